"""Rank of a series among all symbols, or named ones: pandas' ranks, row by row, and nothing of later rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import whatif
from whatif.errors import IndicatorError
from whatif.features.build import local_features
from whatif.features.spec import FeatureSpec
from whatif.indicators import parse
from whatif.indicators.operators import rank
from whatif.resolve import resolve_study
from whatif.search.slices import BarSlice
from whatif.strategies import Param, strategy, target
from whatif.study import load_study

from ..markets import lake_rows, put_bars, us, walk

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
        ("rank( roc(close , 20) )", "rank(roc(20))"),
        ("sma(rank(close), 5) - 1/2", "sma(rank(close), 5) - 0.5"),
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
        ("rank()", r"write rank\(source\) or rank\(source, SPY, IBM\)"),
        ("rank(rank(close))", r"rank\(close\) is a rank already"),
        ("rank(sma(rank(close), 5), SPY)", "is a rank already"),
        ("rank(SPY.close)", "SPY.close is not the same for each symbol"),
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


SYMBOLS = ("SPY", "IBM", "BAC", "XOM")
AMONG_ALL = ("roc(5)", "rank(roc(5))", "ema(rank(roc(5)), 3)", "rank(close / close@15min)")


def gappy(seed: int = 0) -> pd.DataFrame:
    """Return bars of which each symbol lacks some; the last one begins later."""
    rng = np.random.default_rng(seed)
    parts = [lake_rows(walk(symbol, k, minutes=60)) for k, symbol in enumerate(SYMBOLS)]
    parts[-1] = parts[-1].iloc[100:]
    return pd.concat([part[rng.random(len(part)) > 0.1] for part in parts], ignore_index=True)


def test_without_names_it_is_among_the_bars_of_the_instant() -> None:
    found = whatif.features(gappy(), AMONG_ALL, calendar="XNYS")
    wide = found.pivot(index="ts", columns="symbol", values="roc(5)")
    count = wide.count(axis=1)
    assert set(count[10:]) >= {1, 2, 3, 4}
    expected = (wide.rank(axis=1) - 0.5).div(count, axis=0)
    ranked = found.pivot(index="ts", columns="symbol", values="rank(roc(5))")
    np.testing.assert_allclose(ranked, expected, rtol=1e-12)
    # pandas' share of the present ones, and Qlib's CSRank, is half a place above
    share = wide.rank(axis=1, pct=True)
    np.testing.assert_allclose(ranked, share.sub(0.5 / count.where(count > 0), axis=0), rtol=1e-12)
    # who is alone at an instant stands in the middle
    np.testing.assert_array_equal(ranked[count == 1].max(axis=1), 0.5)
    alone = whatif.features(gappy()[lambda one: one["symbol"] == "IBM"], AMONG_ALL[:2], calendar="XNYS")
    assert set(alone["rank(roc(5))"].dropna()) == {0.5}


def test_longer_bars_are_each_symbols_own() -> None:
    found = whatif.features(gappy(), ["close / close@15min", AMONG_ALL[3]], calendar="XNYS")
    wide, ranked = (found.pivot(index="ts", columns="symbol", values=name) for name in found.columns[2:])
    np.testing.assert_allclose(ranked, (wide.rank(axis=1) - 0.5).div(wide.count(axis=1), axis=0), rtol=1e-12)


def test_without_names_nothing_looks_ahead() -> None:
    frame = gappy()
    found = whatif.features(frame, AMONG_ALL, calendar="XNYS")
    cut = frame["ts"].sort_values().iloc[len(frame) // 2]
    changed, later = frame.copy(), frame["ts"] > cut
    for name in ("open", "high", "low", "close", "vwap"):
        changed.loc[later, name] *= np.random.default_rng(1).uniform(0.5, 2.0, int(later.sum()))
    # and fewer bars later on
    changed = changed[~(later & (changed["symbol"] == "BAC"))]
    after = whatif.features(changed, AMONG_ALL, calendar="XNYS")
    before = found[found["ts"] <= cut]
    pd.testing.assert_frame_equal(
        after[after["ts"] <= cut].reset_index(drop=True), before.reset_index(drop=True)
    )


def test_the_table_of_a_study_is_the_frame_s(lake_home) -> None:
    pin = put_bars(lake_home, [walk(symbol, k, minutes=60) for k, symbol in enumerate(SYMBOLS)])
    part = BarSlice(SYMBOLS[:3], "1min", "1min", "XNYS", "regular", us("2013-10-01"), us("2013-11-01"))
    made = local_features(pin, FeatureSpec(part, AMONG_ALL, None))
    frame = whatif.read_bars(list(SYMBOLS), location=lake_home)
    found = whatif.features(frame[frame["symbol"] != "XOM"], AMONG_ALL, calendar="XNYS")
    both = made.merge(found, on=["symbol", "ts"])
    assert len(both) == len(made) == len(found)
    for text in AMONG_ALL:
        assert both[parse(text).column].to_numpy().tobytes() == both[text].to_numpy().tobytes(), text
    assert parse("rank(roc(5))").column == "rank_roc_5"


def test_a_frame_of_the_lake_s_others_is_not_among_those_traded() -> None:
    """`symbols=` says which there are; others are there to be named."""

    @strategy(params={"n": Param(5)}, inputs={"x": "rank(roc(n))", "y": "rank(roc(n), SPY, IBM)"})
    def ranked(i, x, p, s):
        return target(1.0 if x.x[i] == x.y[i] else 0.0)

    frame = pd.concat([lake_rows(walk(symbol, k, minutes=60)) for k, symbol in enumerate(SYMBOLS)])
    two = whatif.backtest(frame, ranked, symbols=["SPY", "IBM"], calendar="XNYS")
    assert len(two.fills) == 2
    # among four no place is one that there is among two, or three
    assert len(whatif.backtest(frame, ranked, calendar="XNYS").fills) == 0


STUDY = """
study: ranked
data: {symbols: [SPY, IBM], start: 2013-10-04, end: 2013-10-12}
calendar: {exchange: XNYS}
strategy: {name: ranked.py}
"""

RANKED = """
from whatif.strategies import Param, hold, strategy

@strategy(params={"n": Param(5)}, inputs={"x": "rank(roc(n))"})
def ranked(i, x, p, s):
    return hold()
"""


def test_results_are_of_the_symbols_that_were_ranked(lake_home, tmp_path: Path) -> None:
    put_bars(lake_home, [walk(symbol, k) for k, symbol in enumerate(SYMBOLS)])
    (tmp_path / "ranked.py").write_text(RANKED)

    def digest_with(symbols: str, name: str = "ranked.py") -> str:
        (tmp_path / "study.yaml").write_text(STUDY.replace("SPY, IBM", symbols).replace("ranked.py", name))
        return resolve_study(load_study(tmp_path / "study.yaml"), lake_home).data_digest

    assert digest_with("SPY, IBM") == digest_with("IBM, SPY") != digest_with("SPY, IBM, BAC")
    assert digest_with("SPY, IBM", "sma_crossover") == digest_with("SPY, IBM, BAC", "sma_crossover")
