"""Whose returns a study of many configurations keeps."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from whatif.results.retention import returns_to_keep

NAMES = [f"{k:016x}" for k in range(10_001)]


def test_up_to_ten_thousand_all_are_kept() -> None:
    assert returns_to_keep(NAMES[:10_000]) == frozenset(NAMES[:10_000])


def test_above_that_the_best_2000_and_8000_others() -> None:
    names = [f"{k:016x}" for k in range(25_000)]
    kept = returns_to_keep(names)
    assert len(kept) == 10_000
    assert kept.issuperset(names[:2_000])


def test_one_more_than_ten_thousand_loses_one() -> None:
    assert len(returns_to_keep(NAMES)) == 10_000


def test_a_configuration_of_several_symbols_counts_once_where_it_stands_first() -> None:
    ranked = ["b", "a", "b", "c", "a", "d", "e"]
    kept = returns_to_keep(ranked, all_up_to=3, best=2, sampled=1)
    assert len(kept) == 3
    assert {"a", "b"} <= kept


def test_the_sample_does_not_depend_on_the_ranking() -> None:
    best, others = NAMES[:5], NAMES[5:400]
    kept = returns_to_keep([*best, *others], all_up_to=10, best=5, sampled=50)
    assert returns_to_keep([*best, *reversed(others)], all_up_to=10, best=5, sampled=50) == kept


def test_another_seed_draws_another_sample() -> None:
    draws = [returns_to_keep(NAMES[:400], seed, all_up_to=10, best=5, sampled=50) for seed in (0, 1)]
    assert draws[0] != draws[1]
    assert returns_to_keep(NAMES[:400], 1, all_up_to=10, best=5, sampled=50) == draws[1]


def test_every_rank_is_drawn_as_often_as_any_other() -> None:
    # 200 draws of half of 100: each is in 100 of them, with a standard deviation of 7
    counts = dict.fromkeys(NAMES[:100], 0)
    for seed in range(200):
        for name in returns_to_keep(NAMES[:100], seed, all_up_to=10, best=0, sampled=50):
            counts[name] += 1
    drawn = np.array(list(counts.values()))
    assert drawn.sum() == 200 * 50
    assert abs(drawn - 100).max() < 5 * 7.1
    assert abs(drawn[:50].mean() - 100) < 5


@given(
    st.lists(st.text("abcdef", min_size=1, max_size=3), max_size=60), st.integers(0, 20), st.integers(0, 20)
)
def test_the_rule_holds_for_any_ranking(ranked, best, sampled) -> None:
    distinct = list(dict.fromkeys(ranked))
    kept = returns_to_keep(ranked, all_up_to=best + sampled, best=best, sampled=sampled)
    assert len(kept) == min(len(distinct), best + sampled)
    assert kept.issuperset(distinct[:best])
    assert kept.issubset(distinct)
