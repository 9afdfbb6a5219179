"""Whose returns a study of many configurations keeps."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatif.results.retention import after_ranking, by_series, returns_to_keep
from whatif.results.work import NOTHING, Keep, Pending

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


def _universe(symbols: int, bars: int, pooled: bool = False, **keep: object) -> tuple[SimpleNamespace, ...]:
    """A study on so many symbols of so many bars on validate and 10 on test, whose choice is "b" on S03."""
    names = [f"S{k:02d}" for k in range(symbols)]
    validate, test = SimpleNamespace(name="validate"), SimpleNamespace(name="test")
    resolved = SimpleNamespace(
        portfolios=tuple((name,) for name in names),
        pooled=pooled,
        window_bars={(name, "validate"): bars for name in names} | {(name, "test"): 10 for name in names},
        study=SimpleNamespace(keep=SimpleNamespace(**({"trades": "best", "equity": "best"} | keep))),
    )
    rows = [("b", "S03"), ("a", "S01"), ("a", "S05"), ("b", "S00")]
    board = pd.DataFrame(rows, columns=["config_id", "symbol"]).assign(status=["ok", "ok", "error", "ok"])
    chosen = SimpleNamespace(config_id="b", symbol="S03")
    fold = SimpleNamespace(validate=(validate,), test=test)
    return resolved, SimpleNamespace(fold=fold, board=board, chosen=chosen)


@pytest.mark.parametrize(
    ("symbols", "bars", "kept"),
    [
        (20, 99_990, 20),  # 20 * (99,990 + 10) = 2,000,000
        (20, 99_991, 8),  # 20 more, too many: those that the report draws
        (8, 900_000, 8),  # it draws no more than eight in any case
        (20, 600_000, 3),  # and of long ones fewer: 4 * 600,010 > 2,000,000
    ],
)
def test_series_are_kept_of_all_symbols_or_of_those_that_are_drawn(symbols, bars, kept) -> None:
    found = after_ranking(*_universe(symbols, bars))
    others = [name for name in (f"S{k:02d}" for k in range(symbols)) if name != "S03"]
    assert found.trades == found.equity == {"b/S03", *(f"b/{name}" for name in others[: kept - 1])}


def test_rows_of_the_ranking_that_are_asked_for_are_kept_whatever_is_drawn() -> None:
    found = after_ranking(*_universe(20, 600_000, trades=3, equity="all"))
    drawn = {"b/S03", "b/S00", "b/S01"}
    assert found.trades == drawn | {"a/S01"}  # the third has failed, and is no row
    assert found.equity == drawn | {"a/S01"}
    pooled = after_ranking(*_universe(20, 600_000, pooled=True, trades=1))
    assert pooled.trades == {f"b/S{k:02d}" for k in range(20)}
    assert pooled.equity == drawn


def test_nothing_is_kept_where_nothing_was_chosen() -> None:
    resolved, answer = _universe(20, 10)
    assert after_ranking(resolved, SimpleNamespace(**(vars(answer) | {"chosen": None}))) == NOTHING


def test_backtests_without_series_are_run_apart_from_those_with() -> None:
    b = SimpleNamespace(config_id="b")
    pending = [Pending((f"S0{k}",), "test", (b,)) for k in range(3)]
    keep = Keep(frozenset({"b/S01"}), frozenset({"b/S01"}))
    assert by_series(pending, keep) == [([pending[1]], keep), ([pending[0], pending[2]], NOTHING)]
    assert by_series(pending, Keep(None, frozenset())) == [(pending, Keep(None, frozenset()))]
    assert by_series(pending[1:2], keep) == [(pending[1:2], keep)]
    assert by_series(pending, NOTHING) == [(pending, NOTHING)]
