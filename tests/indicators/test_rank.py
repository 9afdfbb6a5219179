"""Rank of a series among named symbols: pandas' ranks, row by row, and nothing of later rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import whatif
from whatif.errors import IndicatorError
from whatif.indicators import parse
from whatif.indicators.operators import rank

from ..markets import lake_rows, walk

VALUES = st.one_of(st.sampled_from([1.0, 2.0, 2.0, -3.5, np.nan]), st.floats(-1e6, 1e6))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(VALUES, min_size=4, max_size=4), min_size=1, max_size=12))
def test_it_is_the_average_rank_of_pandas(rows: list[list[float]]) -> None:
    table = pd.DataFrame(rows)
    expected = (table.rank(axis=1, method="average").sub(0.5)).div(table.count(axis=1), axis=0)
    columns = [table[name].to_numpy() for name in table]
    for name in table:
        np.testing.assert_allclose(rank(columns[name], *columns), expected[name], rtol=1e-12)


def test_a_symbol_that_is_not_among_those_named_by_hand() -> None:
    own = np.array([5.0, 5.0, 5.0, np.nan, 5.0])
    named = (np.array([1.0, 5.0, 9.0, 1.0, np.nan]), np.array([2.0, 9.0, np.nan, 2.0, np.nan]))
    np.testing.assert_array_equal(rank(own, *named), [1.0, 0.25, 0.0, np.nan, np.nan])


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("rank( roc( close,20 ),IBM,SPY,IBM)", "rank(roc(20), IBM, SPY)"),
        ("rank((close-sma(20))/atr(14), 'B-U', BRK.B)", "rank((close - sma(20)) / atr(14), 'B-U', BRK.B)"),
        ("sma(rank(close@1h, SPY, IBM), 5)", "sma(rank(close@1h, IBM, SPY), 5)"),
        ("rank(bbands(20, 2).upper, A)", "rank(bbands(20, 2).upper, A)"),
    ],
)  # fmt: skip
def test_two_ways_to_write_it_are_one_series(written: str, text: str) -> None:
    assert parse(written).text == text
    assert parse(text) == parse(written)
    assert parse(text).column == parse(written).column
    assert parse(text).bind({}) == parse(text)


def test_a_strategys_parameter_is_put_into_each_symbols_part() -> None:
    assert parse("rank(roc(n), SPY, IBM)").bind({"n": 7}) == parse("rank(roc(7), IBM, SPY)")
    assert parse("rank(roc(7), IBM, SPY)").needs.symbols == {"SPY", "IBM"}
    assert parse("rank(roc(7), SPY)").warmup() == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rank(close)", r"write rank\(source, SPY, IBM\)"),
        ("rank(SPY.close, IBM)", "SPY.close is not the same for each symbol"),
        ("rank(minute_of_session, SPY)", "minute_of_session is not the same for each symbol"),
        ("rank(close, 5)", "a symbol is a name or a text in quotes"),
        ("rank(rank(close, SPY), IBM)", "SPY.close is not the same"),
        ("rank(close, by=SPY)", "does not fit"),
        ("rnk(close, SPY)", "did you mean 'rank'"),
    ],
)
def test_what_does_not_fit_is_refused(text: str, said: str) -> None:
    with pytest.raises(IndicatorError, match=said):
        parse(text)


def test_features_rank_symbols_at_each_bar_and_nothing_looks_ahead() -> None:
    market = [walk(symbol, seed, minutes=60) for seed, symbol in enumerate(("SPY", "IBM", "BAC"))]
    frame = pd.concat([lake_rows(one) for one in market])
    texts = ["roc(5)", "rank(roc(5), SPY, IBM, BAC)"]
    found = whatif.features(frame, texts, calendar="XNYS")
    wide = found.pivot(index="ts", columns="symbol", values="roc(5)").dropna()
    assert len(wide) > 100
    ranked = found.pivot(index="ts", columns="symbol", values=texts[1]).loc[wide.index]
    expected = (wide.rank(axis=1) - 0.5).div(wide.count(axis=1), axis=0)
    np.testing.assert_allclose(ranked, expected, rtol=1e-12)
    cut = wide.index[len(wide) // 2]
    changed = frame.copy()
    later = changed["ts"] > cut
    for name in ("open", "high", "low", "close", "vwap"):
        changed.loc[later, name] *= np.random.default_rng(1).uniform(0.5, 2.0, int(later.sum()))
    after = whatif.features(changed, texts, calendar="XNYS")
    before = found[found["ts"] <= cut]
    pd.testing.assert_frame_equal(after[after["ts"] <= cut], before)
