"""What bars say of their trades: by hand, and by pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from whatif.errors import SourceError
from whatif.ticks import Quotes, Trades, bar_kind, bars_of, order_columns, quotes_in, trades_in

S = 1_000_000


def some() -> Trades:
    """Return five trades of two minutes: 10, 10, 12, 11 and, in the second, 11."""
    ts = np.array([0, 6, 30, 45, 70], dtype=np.int64) * S
    return Trades(ts, np.array([10.0, 10.0, 12.0, 11.0, 11.0]), np.array([1.0, 2.0, 3.0, 4.0, 5.0]))


def test_a_bar_by_hand() -> None:
    bars = {name: values.tolist() for name, values in bars_of(some(), bar_kind("1min")).items()}
    assert bars["ts"] == [0, 60 * S]
    assert bars["end"] == [60 * S, 120 * S]
    assert (bars["open"], bars["high"], bars["low"], bars["close"]) == (
        [10, 11],
        [12, 11],
        [10, 11],
        [11, 11],
    )
    assert (bars["volume"], bars["value"], bars["trade_count"]) == ([10.0, 5.0], [110.0, 55.0], [4, 1])
    assert bars["vwap"] == [11.0, 11.0]
    # 10 for 30 s, 12 for 15 s, 11 for 15 s; alone it holds for as long as the bar does
    assert bars["twap"] == [(300 + 180 + 165) / 60, 11.0]
    assert bars["std"][0] == pytest.approx(pd.Series([10.0, 10.0, 12.0, 11.0]).std(), rel=1e-15)
    assert np.isnan(bars["std"][1])
    # up to 12, then down to 11, and unchanged is as before; nobody knows who began the first two
    assert (bars["buy_volume"], bars["sell_volume"]) == ([3.0, 0.0], [4.0, 5.0])
    assert bars["complete"] == [True, True]


def test_bars_of_trades_weigh_prices_by_time_up_to_the_last() -> None:
    bars = bars_of(some(), bar_kind("ticks(4)"))
    assert bars["twap"].tolist() == [(300 + 180) / 45, 11.0]
    assert (bars["ts"].tolist(), bars["end"].tolist()) == ([0, 70 * S], [45 * S, 70 * S])


def test_sliding_bars_are_those_of_their_own_trades() -> None:
    rng = np.random.default_rng(3)
    ts = np.sort(rng.integers(0, 600 * S, 500))
    given = Trades(ts, np.round(100 + rng.normal(0, 1, 500), 2), rng.integers(1, 9, 500) * 1.0)
    slid = bars_of(given, bar_kind("1min every 20s"))
    for k in (0, 5, len(slid["ts"]) - 1):
        first, stop = np.searchsorted(ts, [slid["ts"][k], slid["end"][k]])
        alone = bars_of(given.part(first, stop), bar_kind("1d"))
        for name in (
            "open",
            "high",
            "low",
            "close",
            "volume",
            "trade_count",
            "std",
            "buy_volume",
            "sell_volume",
        ):
            assert slid[name][k] == pytest.approx(alone[name][0], rel=1e-12), name
        held = np.diff(np.append(ts[first:stop], slid["end"][k]))
        assert slid["twap"][k] == pytest.approx(np.average(given.price[first:stop], weights=held), rel=1e-12)


def test_quotes_are_the_newest_before_the_bar_ends() -> None:
    nan = np.nan
    quotes = Quotes(
        np.array([20, 40, 59, 60, 80, 130]) * S,
        np.array([9.0, nan, 10.0, 20.0, nan, 1.0]),
        np.array([nan, 11.0, nan, 19.0, 22.0, 2.0]),
    )
    bars = bars_of(some(), bar_kind("1min"), quotes)
    # at 60 s: 10 bid, 11 asked; the one at 60 itself comes later. At 120 s: 20 and 22
    assert (bars["mid"].tolist(), bars["spread"].tolist()) == ([10.5, 21.0], [1.0, 2.0])
    # a bar that ends with a trade at 45 s: no bid but that of 20 s; the last at 70 s sees the crossed one
    made = bars_of(some(), bar_kind("ticks(4)"), quotes)
    assert made["bid"][0] == 9.0
    assert made["ask"][0] == 11.0
    assert np.isnan(made["mid"][1])
    assert np.isnan(made["spread"][1])
    none = bars_of(some(), bar_kind("1min"), Quotes(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0)))
    assert np.isnan(none["mid"]).all()


def test_an_aggregate_of_ones_own() -> None:
    bars = bars_of(
        some(),
        bar_kind("1min"),
        aggregates={"largest": lambda t: t.size.max(), "bought": lambda t: t.side.sum()},
    )
    assert bars["largest"].tolist() == [4.0, 5.0]
    assert bars["bought"].tolist() == [0.0, -1.0]
    with pytest.raises(SourceError, match="'vwap' has the name of a column"):
        bars_of(some(), bar_kind("1min"), aggregates={"vwap": lambda t: 1.0})
    with pytest.raises(SourceError, match="return one number"):
        bars_of(some(), bar_kind("1min"), aggregates={"sizes": lambda t: t.size.tolist()})


def rows(**columns: list) -> pa.Table:
    ts = pa.array(columns.pop("ts")).cast(pa.timestamp("us", "UTC"))
    return pa.table({"ts": ts, **columns})


def test_trades_of_one_instant_are_in_the_order_of_their_rows() -> None:
    given = rows(ts=[5, 3, 5, 5], seq=[1, 0, 2, 0], price=[2.0, 1.0, 3.0, 9.0], size=[1.0, 1.0, 1.0, 1.0])
    assert trades_in(given).price.tolist() == [1.0, 9.0, 2.0, 3.0]
    without = given.drop_columns(["seq"]).append_column("row", pa.array([8, 1, 9, 7]))
    assert trades_in(without).price.tolist() == [1.0, 9.0, 2.0, 3.0]
    assert order_columns(["ts", "price", "size"]) == ("ts", "price", "size")
    assert order_columns(["source", "row", "seq", "ts"]) == ("ts", "seq")


def test_conditions_in_and_out() -> None:
    given = rows(
        ts=[1, 2, 3, 4], price=[1.0, 2.0, 3.0, 4.0], size=[1.0] * 4, conditions=["@,T", None, "X", "@"]
    )
    assert trades_in(given, only=["@"]).price.tolist() == [1.0, 4.0]
    assert trades_in(given, leave_out=["T", "X"]).price.tolist() == [2.0, 4.0]
    assert trades_in(given, only=["@", "none"], leave_out=["T"]).price.tolist() == [2.0, 4.0]
    with pytest.raises(SourceError, match="asked for and left out"):
        trades_in(given, ["@"], ["@"])
    with pytest.raises(SourceError, match="no column 'conditions'"):
        trades_in(given.drop_columns(["conditions"]), ["@"])


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_trade_is_refused(size: float) -> None:
    with pytest.raises(SourceError, match="a finite number above 0"):
        trades_in(rows(ts=[1], price=[1.0], size=[size]))


def test_columns_that_do_not_fit_are_named() -> None:
    with pytest.raises(SourceError, match="no column 'price'"):
        trades_in(rows(ts=[1], size=[1.0]))
    with pytest.raises(SourceError, match="has to be a timestamp"):
        quotes_in(pa.table({"ts": [1], "bid": [1.0], "ask": [1.0]}))


def test_instants_without_a_zone_are_not_taken_for_utc() -> None:
    naive = pa.array([1], pa.timestamp("us"))
    with pytest.raises(SourceError, match="with a time zone: give it one"):
        trades_in(pa.table({"ts": naive, "price": [1.0], "size": [1.0]}))
