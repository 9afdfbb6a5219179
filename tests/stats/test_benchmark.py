"""The market held with all of the cash, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatif.domain.bars import Bars
from whatif.domain.costs import costs_from
from whatif.domain.execution import Execution
from whatif.domain.fills import Fills
from whatif.domain.periods import Periods
from whatif.domain.run import EngineRun
from whatif.stats.benchmark import FirstBar, Holding, buy_and_hold

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


def test_equity_and_measures_by_hand() -> None:
    run, bars = market()

    held = buy_and_hold(run, [bars], Execution(cash=1000.0, commission=0.01), PERIODS)

    # whatever the run held: 1,000 buys 10 at the window's first open, 100 (not at the bar before
    # it), for a commission of 10
    assert held.weight == 1.0
    equity = 1000.0 - 10.0 + 10.0 * np.array([0.0, 10.0, 20.0, -1.0])
    np.testing.assert_allclose(held.equity, equity, rtol=1e-15)
    assert held.return_pct == pytest.approx(-2.0)
    returns = equity / np.append(1000.0, equity[:-1]) - 1.0
    np.testing.assert_allclose(held.returns, returns, atol=1e-15)
    assert held.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1) * 3.0)
    assert held.max_drawdown_pct == pytest.approx(100.0 * 210.0 / 1190.0)


def test_what_the_purchase_costs_is_a_fall_from_the_cash() -> None:
    run, bars = market()
    falling = replace(bars, open=np.full(5, 100.0), close=np.array([95.0, 80.0, 70.0, 60.0, 80.0]))
    one = replace(
        run, close=falling.close[None, 1:], equity=np.full(4, 1000.0), position=np.full((1, 4), 10.0)
    )
    both = replace(
        one, symbols=("X", "Y"), close=np.vstack([one.close] * 2), position=np.vstack([one.position] * 2)
    )

    # 1,000 buys 10 at 100, or 5 of each; 60 is the lowest close
    for run_, held in ((one, [falling]), (both, [falling, replace(falling, symbol="Y")])):
        found = buy_and_hold(run_, held, Execution(cash=1000.0), PERIODS)
        assert found.max_drawdown_pct == pytest.approx(40.0)


def test_slippage_raises_the_purchase_price_up_to_the_high() -> None:
    run, bars = market()

    one = buy_and_hold(run, [bars], Execution(cash=1000.0, slippage=0.25), PERIODS)
    other = buy_and_hold(run, [bars], Execution(cash=1000.0, slippage_fixed=5.0), PERIODS)

    # 125 would be beyond the high of 120
    assert one.equity[-1] == pytest.approx(1000.0 / 120.0 * 99.0)
    assert other.equity[-1] == pytest.approx(1000.0 / 105.0 * 99.0)


def test_the_purchase_pays_what_costs_say() -> None:
    run, bars = market()
    bars = replace(bars, volume=np.full(5, 40.0))

    def equity(**costs):
        return buy_and_hold(run, [bars], Execution(cash=1000.0, costs=costs_from(costs)), PERIODS).equity[-1]

    # 10 at 100; half of the spread, an eighth of the range of 40, 1/8 of 100 times the root of 10/40
    assert equity(per_unit=0.5, minimum=7.0, buy_fraction=0.01) == pytest.approx(1000.0 - 7.0 - 10.0 - 10.0)
    assert equity(sell_fraction=0.5, spread_ticks=5, tick=1.0) == pytest.approx(1000.0 / 102.5 * 99.0)
    assert equity(range_slippage=0.125) == pytest.approx(1000.0 / 105.0 * 99.0)
    assert equity(impact=0.125) == pytest.approx(1000.0 / 106.25 * 99.0)
    assert equity(maker=0.0, taker=0.01) == pytest.approx(980.0)


@pytest.mark.parametrize("position", [0.0, 5.0, -10.0])
def test_every_run_is_compared_with_the_same_market(position: float) -> None:
    """Idle, half invested or short: the market held long is one number on one window."""
    run, bars = market()

    held = buy_and_hold(
        replace(run, position=np.full((1, 4), position)), [bars], Execution(cash=1000.0), PERIODS
    )

    assert held.equity.tolist() == [1000.0, 1100.0, 1200.0, 990.0]


def test_symbols_get_equal_shares() -> None:
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

    # 500 each, that of Y when its first bar comes
    assert held.weight == 1.0
    assert held.equity[0] == pytest.approx(1000.0)
    assert held.equity[-1] == pytest.approx(500.0 * 0.99 + 500.0 * 60.0 / 50.0)


@given(
    closes=st.lists(st.floats(0.01, 1e6), min_size=1, max_size=40),
    late=st.integers(0, 3),
    weight=st.sampled_from([0.0, 0.5, 1.0, 3.0, 1e4]),
    commission=st.sampled_from([0.0, 0.001, 0.9, 0.999]),
)
def test_returns_by_whole_arrays_are_the_same_bytes(closes, late, weight, commission) -> None:
    """Also before the first bar, and after the account has come to nothing."""
    close = np.array(closes)
    ends = np.array([0] * late + list(range(1, len(closes) + 1)))
    execution = Execution(cash=1_000.0, commission=commission)
    periods = Periods("bar", np.arange(len(ends), dtype=np.int64), 252.0)
    holding = Holding(FirstBar(close[0], close[0], close[0], 1.0), close, ends, execution, periods)
    assert holding.returns(weight).tobytes() == holding.at(weight).returns.tobytes()
