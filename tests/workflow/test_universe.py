"""Studies of a universe: traded while a symbol is a member, and stored by its periods."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from whatif.errors import RunError
from whatif.lake import RESULTS, append_rows, create_tables
from whatif.lake.spec import TableSpec, columns

from ..markets import put_bars, walk
from .conftest import STUDY, at, rows_of

SLICE = {name: value for name, value in STUDY["data"].items() if name != "symbols"}
CHANGES = "symbol,from,to\nA,2013-10-01,\nB,2013-10-01,2013-10-09\n"


def traded(market, results):
    """Return the trades of each symbol and window that came last."""
    rows = rows_of(market, RESULTS)
    mine = rows[rows["data_digest"] == results]
    return mine.groupby(["symbol", "window"])["trades"].sum().to_dict()


def test_a_symbol_is_traded_while_it_is_a_member_and_other_periods_are_other_data(
    go, market, tmp_path
) -> None:
    (tmp_path / "members.csv").write_text(CHANGES)
    data = {**SLICE, "universe": "members.csv"}

    first = go(data=data)
    assert first.computed == 8
    assert go(data=data).computed == 0
    (digest,) = rows_of(market, RESULTS)["data_digest"].unique()
    held = traded(market, digest)
    # B is one on 2013-10-08 alone, of the two sessions of validate
    assert held["A", "test"] > 0
    assert held["B", "test"] == 0
    assert 0 < held["B", "validate"] < held["A", "validate"]

    (tmp_path / "members.csv").write_text(CHANGES.replace("B,2013-10-01,2013-10-09", "B,2013-10-01,"))
    always = go(data=data)
    assert always.computed == 8
    (other,) = set(rows_of(market, RESULTS)["data_digest"]) - {digest}
    plain = go()
    (without,) = set(rows_of(market, RESULTS)["data_digest"]) - {digest, other}
    # members all the time are what no universe is
    assert traded(market, other) == traded(market, without)
    assert plain.leaderboard()["sharpe"].tolist() == always.leaderboard()["sharpe"].tolist()


def test_one_account_of_members_from_a_table_of_the_lake(go, market) -> None:
    spec = TableSpec(name="members", columns=columns("symbol string, from date, to date"), key=("symbol",))
    create_tables(None, market, (spec,))
    rows = [("A", date(2013, 10, 1), None), ("B", date(2013, 10, 1), date(2013, 10, 9))]
    append_rows(None, market, spec, [dict(zip(("symbol", "from", "to"), row, strict=True)) for row in rows])

    found = go(data={**SLICE, "universe": {"table": "members"}}, portfolio="shared", report=True)

    # at the open of the first session outside
    left = found.trades[found.trades["exit_reason"] == "universe"]
    assert left["closed_at"].tolist() == [pd.Timestamp("2013-10-09T13:30Z")]


@pytest.fixture
def listed(market):
    """Return the lake with two more symbols: one that ends before validate, one that begins in test."""
    gone, young = walk("GONE", 3, minutes=120), walk("YOUNG", 4, minutes=120)
    put_bars(
        market,
        [
            gone.slice(0, int(gone.ts.searchsorted(at("2013-10-08")))),
            young.slice(int(young.ts.searchsorted(at("2013-10-10"))), len(young)),
        ],
    )
    return market


@pytest.mark.slow
def test_an_account_trades_what_there_is_of_symbols_that_begin_late_or_are_gone(go, listed, tmp_path) -> None:
    rows = "".join(f"{name},2013-10-01,\n" for name in ("GONE", "A", "YOUNG", "B"))
    (tmp_path / "members.csv").write_text("symbol,from,to\n" + rows)
    given = {"portfolio": "shared", "axes": {"fast": [3], "slow": [15]}, "report": True}

    found = go(data={**SLICE, "universe": "members.csv"}, **given).trades
    plain = go(**given).trades

    def of_window(trades, window):
        rows = trades[trades["window"] == window]
        return rows[["trade_symbol", "opened_at", "closed_at", "pnl"]].reset_index(drop=True)

    assert set(of_window(found, "test")["trade_symbol"]) == {"A", "B", "YOUNG"}
    before = of_window(found, "validate")
    assert set(before["trade_symbol"]) == {"A", "B"}
    # two that are not there make no difference
    pd.testing.assert_frame_equal(before, of_window(plain, "validate"))


def test_an_account_of_one_symbol_needs_bars_in_each_window(go, listed) -> None:
    with pytest.raises(RunError, match=r"GONE has no bar in window validate .* share an account of a step"):
        go(data={**SLICE, "symbols": ["A", "GONE"]})
    with pytest.raises(RunError, match="none of the 2 symbols has a bar in window validate"):
        go(data={**SLICE, "symbols": ["GONE", "YOUNG"]}, portfolio="shared")
