"""Exposure-matched buy-and-hold, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from whatif.domain.bars import Bars
from whatif.domain.execution import Execution
from whatif.domain.fills import Fills
from whatif.domain.periods import Periods
from whatif.domain.run import EngineRun
from whatif.stats.benchmark import buy_and_hold

PERIODS = Periods("bar", np.array([1, 11, 21, 31], dtype=np.int64), 9.0)


def market() -> tuple[EngineRun, Bars]:
    """Return a run that is invested with half of its equity on two of four bars."""
    ts = np.array([-10, 0, 10, 20, 30], dtype=np.int64)
    opened = np.array([90.0, 100.0, 100.0, 110.0, 120.0])
    close = np.array([95.0, 100.0, 110.0, 120.0, 99.0])
    day = np.zeros(5, dtype=np.int64)
    bars = Bars("X", ts, opened, opened + 20.0, opened - 20.0, close, day * 1.0, close, day, day, day)
    position = np.array([[0.0, 5.0, -5.0, 0.0]])
    equity = np.array([1000.0, 1100.0, 1200.0, 1000.0])
    return EngineRun(("X",), ts[1:], Fills.from_rows([]), equity, position, close[None, 1:], 0, "test"), bars


def test_weight_equity_and_measures_by_hand() -> None:
    run, bars = market()

    held = buy_and_hold(run, [bars], Execution(cash=1000.0, commission=0.01), PERIODS)

    # (0 + 5 * 110 / 1100 + 5 * 120 / 1200 + 0) / 4 = 0.25: 250 buys 2.5 at the window's first
    # open, 100 (not at the bar before it), for a commission of 2.5
    assert held.weight == 0.25
    equity = 1000.0 - 2.5 + 2.5 * np.array([0.0, 10.0, 20.0, -1.0])
    np.testing.assert_allclose(held.equity, equity, rtol=1e-15)
    assert held.return_pct == pytest.approx(-0.5)
    returns = equity / np.append(1000.0, equity[:-1]) - 1.0
    np.testing.assert_allclose(held.returns, returns, atol=1e-15)
    assert held.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1) * 3.0)
    assert held.max_drawdown_pct == pytest.approx(100.0 * 52.5 / 1047.5)


def test_what_the_purchase_costs_is_a_fall_from_the_cash() -> None:
    run, bars = market()
    falling = replace(bars, open=np.full(5, 100.0), close=np.array([95.0, 80.0, 70.0, 60.0, 80.0]))
    one = replace(
        run, close=falling.close[None, 1:], equity=np.full(4, 1000.0), position=np.full((1, 4), 10.0)
    )
    both = replace(
        one, symbols=("X", "Y"), close=np.vstack([one.close] * 2), position=np.vstack([one.position] * 2)
    )

    # the share of equity is 0.725 on average: 725 buys 7.25 at 100; 60 is the lowest close
    for run_, held in ((one, [falling]), (both, [falling, replace(falling, symbol="Y")])):
        found = buy_and_hold(run_, held, Execution(cash=1000.0), PERIODS)
        assert found.max_drawdown_pct == pytest.approx(len(held) * 7.25 * 40.0 / 1000.0 * 100.0)


def test_slippage_raises_the_purchase_price_up_to_the_high() -> None:
    run, bars = market()

    one = buy_and_hold(run, [bars], Execution(cash=1000.0, slippage=0.25), PERIODS)
    other = buy_and_hold(run, [bars], Execution(cash=1000.0, slippage_fixed=5.0), PERIODS)

    # 125 would be beyond the high of 120
    assert one.equity[-1] == pytest.approx(1000.0 - 250.0 + 250.0 / 120.0 * 99.0)
    assert other.equity[-1] == pytest.approx(1000.0 - 250.0 + 250.0 / 105.0 * 99.0)


def test_a_run_that_never_invests_is_compared_with_cash() -> None:
    run, bars = market()

    held = buy_and_hold(replace(run, position=np.zeros((1, 4))), [bars], Execution(cash=1000.0), PERIODS)

    assert (held.weight, held.return_pct, held.max_drawdown_pct) == (0.0, 0.0, 0.0)
    assert held.equity.tolist() == [1000.0] * 4
    assert np.isnan(held.sharpe)


def test_symbols_are_weighted_one_by_one() -> None:
    run, bars = market()
    both = replace(
        run,
        symbols=("X", "Y"),
        position=np.vstack([run.position, [[0.0, 0.0, 0.0, 10.0]]]),
        close=np.vstack([run.close, [[np.nan, 50.0, 50.0, 60.0]]]),
    )
    late = replace(
        bars.slice(2, 5), symbol="Y", open=np.array([50.0] * 3), close=np.array([50.0, 50.0, 60.0])
    )

    held = buy_and_hold(both, [bars, late], Execution(cash=1000.0), PERIODS)

    # Y: 600 / 1000 on one of four bars = 0.15 of the cash, bought when its first bar comes
    assert held.weight == pytest.approx(0.4)
    assert held.equity[0] == pytest.approx(1000.0)
    assert held.equity[-1] == pytest.approx(1000.0 - 2.5 + 150.0 * (60.0 / 50.0 - 1.0))
