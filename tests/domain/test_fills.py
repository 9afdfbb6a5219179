"""Round trips and positions from executions, against Backtrader's Position, Trade and CommInfo."""

from __future__ import annotations

import backtrader as bt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whatif.domain.fills import Fills, closed_trades, positions

UNITS = st.integers(-50, 50).filter(bool)
EXECUTIONS = st.lists(st.tuples(UNITS, st.floats(1.0, 500.0)), min_size=1, max_size=40)


def fills_of(executions, commission: float = 0.0, multiplier: float = 1.0, fee: float | None = None) -> Fills:
    """Return executions as Backtrader's Position splits them into closed and opened parts."""
    position = bt.Position()
    rows = []
    for row, (size, price) in enumerate(executions):
        _, _, opened, closed = position.update(size, price)
        fees = [
            abs(part) * commission * price if fee is None else abs(part) * fee for part in (closed, opened)
        ]
        rows.append((row, 0, closed, opened, price, *fees, multiplier))
    return Fills.from_rows(rows)


class FakeData:
    """As much of a feed as Backtrader's Trade reads."""

    _name, _tz = "X", None

    def __init__(self) -> None:
        self.datetime = [0.0]

    def __len__(self) -> int:
        return 1


class FakeOrder:
    """As much of an order as Backtrader's Trade reads."""

    class p:  # noqa: N801
        simulated = True


def trades_by_backtrader(fills: Fills, comminfo: bt.CommInfoBase) -> list[tuple[float, float]]:
    """Return (pnl, pnlcomm) of each trade that Backtrader's own Trade closes."""
    closed = []
    trade = bt.Trade(data=FakeData())
    for k in range(len(fills)):
        price = fills.price[k]
        for part, fee in (
            (fills.closed[k], fills.closed_commission[k]),
            (fills.opened[k], fills.opened_commission[k]),
        ):
            if not part:
                continue
            if trade.isclosed:
                trade = bt.Trade(data=FakeData())
            trade.update(FakeOrder, part, price, 0.0, fee, 0.0, comminfo)
            if trade.isclosed:
                closed.append((trade.pnl, trade.pnlcomm))
    return closed


@settings(deadline=None)
@given(executions=EXECUTIONS, commission=st.sampled_from([0.0, 0.001]))
def test_trades_equal_backtraders_as_bytes(executions, commission) -> None:
    fills = fills_of(executions, commission)
    expected = trades_by_backtrader(fills, bt.CommissionInfo(commission=commission))

    trades = closed_trades(fills)

    assert list(zip(trades.pnl.tolist(), trades.pnl_net.tolist(), strict=True)) == expected


@settings(deadline=None)
@given(executions=EXECUTIONS)
def test_trades_of_futures_equal_backtraders_as_bytes(executions) -> None:
    comminfo = bt.CommissionInfo(commission=2.0, mult=10.0, margin=1000.0)
    fills = fills_of(executions, multiplier=10.0, fee=2.0)

    trades = closed_trades(fills)

    expected = trades_by_backtrader(fills, comminfo)
    assert list(zip(trades.pnl.tolist(), trades.pnl_net.tolist(), strict=True)) == expected


@settings(deadline=None)
@given(executions=EXECUTIONS)
def test_positions_equal_backtraders(executions) -> None:
    position, expected = bt.Position(), []
    for size, price in executions:
        position.update(size, price)
        expected.append(float(position.size))

    assert positions(fills_of(executions), 1, len(executions))[0].tolist() == expected


def test_a_reversal_closes_one_trade_and_opens_the_next() -> None:
    # backtrader tests/test_position.py: 10 at 10, then -15: closes 10, opens -5 at the new price
    fills = fills_of([(10, 10.0), (-15, 12.0), (5, 11.0)], commission=0.01)
    assert (fills.closed.tolist(), fills.opened.tolist()) == ([0, -10, 5], [10, -5, 0])

    trades = closed_trades(fills)

    assert trades.size.tolist() == [10.0, -5.0]
    assert (trades.opened.tolist(), trades.closed.tolist()) == ([0, 1], [1, 2])
    assert trades.entry_price.tolist() == [10.0, 12.0]
    assert trades.exit_price.tolist() == [12.0, 11.0]
    assert trades.pnl.tolist() == [20.0, 5.0]
    np.testing.assert_allclose(trades.pnl_net, [20.0 - 1.0 - 1.2, 5.0 - 0.6 - 0.55], rtol=1e-15)


def test_averaging_and_partial_exits_are_weighted_by_units() -> None:
    # backtrader tests/test_position.py: 10 at 10 and 5 at 12 average to 160 / 15
    fills = fills_of([(10, 10.0), (5, 12.0), (-6, 13.0), (-9, 11.0)])

    trades = closed_trades(fills)

    assert trades.size.tolist() == [15.0]
    assert trades.entry_price[0] == 160.0 / 15.0
    assert trades.exit_price[0] == (6 * 13.0 + 9 * 11.0) / 15.0
    assert trades.pnl[0] == pytest.approx(6 * 13.0 + 9 * 11.0 - 160.0, rel=1e-14)


def test_an_open_trade_is_not_among_the_closed_ones() -> None:
    assert len(closed_trades(fills_of([(10, 10.0), (-4, 12.0)]))) == 0
    assert len(closed_trades(Fills.from_rows([]))) == 0


def test_fractional_units_close_when_the_position_does() -> None:
    # 0.1 + 0.2 is not 0.3: what is held is 0.30000000000000004, and so is what is sold
    fills = fills_of([(0.1, 10.0), (0.2, 10.0), (-(0.1 + 0.2), 11.0)])

    assert closed_trades(fills).size.tolist() == [0.1 + 0.2]
    assert positions(fills, 1, 3)[0, -1] == 0.0


def test_several_symbols_and_several_fills_on_a_row() -> None:
    fills = Fills.from_rows(
        [(1, 0, 0, 2, 10, 0, 0, 1), (1, 1, 0, 3, 20, 0, 0, 1), (1, 0, -2, 0, 11, 0, 0, 1)]
    )

    assert positions(fills, 2, 3).tolist() == [[0.0, 0.0, 0.0], [0.0, 3.0, 3.0]]
    assert closed_trades(fills).symbol.tolist() == [0]
