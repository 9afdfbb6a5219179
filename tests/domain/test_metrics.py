"""Metrics against arithmetic done by hand and Backtrader's analyzers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from whatif.domain import LOWER_IS_BETTER, METRIC_KEYS
from whatif.domain.execution import Execution
from whatif.domain.fills import Fills
from whatif.domain.metrics import (
    account_metrics,
    account_of,
    compute_metrics,
    max_drawdown,
    period_returns,
    profit_metrics,
    sharpe,
    sortino,
)
from whatif.domain.periods import Periods
from whatif.domain.run import EngineRun
from whatif.domain.statistics import tally_array

DESIGNED = (
    "pnl_gross pnl_net costs return_pct sharpe sortino max_drawdown_pct max_drawdown_bars trades win_rate "
    "profit_factor sqn exposure turnover open_at_end"
)


def run_of(equity, rows=(), position=None) -> EngineRun:
    equity = np.array(equity, dtype=np.float64)
    n = len(equity)
    held = np.zeros((1, n)) if position is None else np.array([position], dtype=np.float64)
    ts = np.arange(n, dtype=np.int64) * 10
    return EngineRun(("X",), ts, Fills.from_rows(rows), equity, held, np.full((1, n), 10.0), 0, "test")


def bar_periods(n: int, per_year: float = 4.0) -> Periods:
    return Periods("bar", np.arange(n, dtype=np.int64) * 10 + 1, per_year)


def test_keys_are_the_designed_ones() -> None:
    assert DESIGNED.split() == list(METRIC_KEYS)
    assert set(METRIC_KEYS) > LOWER_IS_BETTER


def test_all_metrics_of_a_small_run_by_hand() -> None:
    # 10 bought at 10 on row 1 and sold at 12 on row 3, 1 % of the value each time; then 5 sold short
    rows = [
        (1, 0, 0, 10, 10.0, 0.0, 1.0, 1.0),
        (3, 0, -10, 0, 12.0, 1.2, 0.0, 1.0),
        (4, 0, 0, -5, 12.0, 0, 0.6, 1),
    ]
    run = run_of([200.0, 199.0, 189.0, 217.8, 217.2], rows, [0, 10, 10, 0, -5])

    metrics = compute_metrics(run, Execution(cash=200.0), bar_periods(5))

    assert list(metrics) == list(METRIC_KEYS)
    assert metrics["pnl_net"] == pytest.approx(17.2)
    assert metrics["costs"] == pytest.approx(2.8)
    assert metrics["pnl_gross"] == pytest.approx(20.0)
    assert metrics["return_pct"] == pytest.approx(8.6)
    returns = [0.0, -1 / 200, -10 / 199, 28.8 / 189, -0.6 / 217.8]
    mean = sum(returns) / 5
    deviation = math.sqrt(sum((r - mean) ** 2 for r in returns) / 4)
    downside = math.sqrt(sum(min(r, 0.0) ** 2 for r in returns) / 5)
    assert metrics["sharpe"] == pytest.approx(mean / deviation * 2.0)
    assert metrics["sortino"] == pytest.approx(mean / downside * 2.0)
    assert metrics["max_drawdown_pct"] == pytest.approx(100.0 * 11.0 / 200.0)
    assert metrics["max_drawdown_bars"] == 2
    assert metrics["trades"] == 1
    assert metrics["win_rate"] == 1.0
    assert metrics["profit_factor"] == math.inf
    assert math.isnan(metrics["sqn"])
    assert metrics["exposure"] == 0.6
    assert metrics["turnover"] == pytest.approx((100.0 + 120.0 + 60.0) / (1023.0 / 5))
    assert metrics["open_at_end"] is True


def test_periods_carry_equity_forward_and_begin_with_the_cash() -> None:
    equity, ts = np.array([110.0, 121.0, 99.0]), np.array([10, 20, 40], dtype=np.int64)
    # before the first bar; a bar that starts at the end belongs to the next; no bar; the last
    periods = Periods("hour", np.array([10, 20, 40, 41, 99], dtype=np.int64), 1.0)

    returns = period_returns(equity, ts, periods, 100.0)

    np.testing.assert_allclose(returns, [0.0, 0.1, 0.1, 99.0 / 121.0 - 1.0, 0.0], atol=1e-15)


def test_a_ratio_to_debt_is_no_return() -> None:
    returns = period_returns(np.array([50.0, -50.0, -100.0, 10.0]), np.arange(4) * 10, bar_periods(4), 100.0)

    np.testing.assert_array_equal(returns, [-0.5, -2.0, np.nan, np.nan])
    # losing twice as much as there was must not rank as a profit of 100 %
    assert math.isnan(sharpe(returns, 1.0))
    assert math.isnan(sortino(returns, 1.0))


@pytest.mark.parametrize("returns", [[], [0.1], [0.0, 0.0, 0.0], [0.01, 0.01, 0.01]])
def test_no_sharpe_without_variance_or_under_two_periods(returns: list[float]) -> None:
    assert math.isnan(sharpe(np.array(returns), 252.0))


def test_no_sortino_without_a_loss() -> None:
    assert math.isnan(sortino(np.array([0.1, 0.0, 0.2]), 252.0))


def test_a_loss_that_is_rounding_is_none() -> None:
    """Three returns of one rounding among gains gave a Sortino ratio of 9.8e13."""
    gains = np.where(np.arange(400) % 10 == 3, 0.002, 0.0)
    gains[[17, 117, 217]] = -2.220446049250313e-16

    assert math.isnan(sortino(gains, 252.0))
    assert sharpe(gains, 252.0) == pytest.approx(gains.mean() / gains.std(ddof=1) * math.sqrt(252.0))
    assert sortino(np.array([0.1, -1e-9]), 1.0) == pytest.approx(0.05 / (1e-9 / math.sqrt(2.0)))


@pytest.mark.parametrize("level", [0.0, 0.01, 5.0])
def test_a_spread_that_is_rounding_is_none(level: float) -> None:
    returns = np.full(50, level)
    returns[::7] = np.nextafter(level, 9.0) if level else 2.2e-16

    assert math.isnan(sharpe(returns, 252.0))


def test_profits_that_are_rounding_of_their_trades() -> None:
    # ten units bought and sold at 1e6 / 10; nets of 1e-9 are a rounding of that, of which none is a loss
    prices = [1e5, 1e5 + 1.0, 1e5, 1e5, 1e5, 1e5 + 1.0, 1e5, 1e5]
    rows = [(k, 0, -10 * (k % 2), 10 * ((k + 1) % 2), p, 0.0, 0.0, 1.0) for k, p in enumerate(prices)]
    run = run_of([1e6 + k for k in range(8)], rows)
    noise = np.array([10.0, -1e-9, 10.0, -1e-9])

    account = replace(account_of(run, Execution(cash=1e6), bar_periods(8)), net=noise)
    metrics = account_metrics(account, Execution(cash=1e6), bar_periods(8))

    assert metrics["win_rate"] == 1.0
    assert metrics["profit_factor"] == math.inf
    only = account_metrics(replace(account, net=noise[1::2]), Execution(cash=1e6), bar_periods(8))
    assert (only["win_rate"], only["trades"]) == (1.0, 2)
    assert math.isnan(only["profit_factor"])
    alike = replace(account, net=np.array([10.0, 10.0 + 1e-9, 10.0]))
    assert math.isnan(account_metrics(alike, Execution(cash=1e6), bar_periods(8))["sqn"])


def test_an_account_of_which_rounding_is_left_has_no_returns() -> None:
    equity = np.array([50.0, 1.8e-12, 3.6e-12, 9.9e-12])

    returns = period_returns(equity, np.arange(4) * 10, bar_periods(4), 100.0)

    np.testing.assert_array_equal(returns[:2], [-0.5, 1.8e-12 / 50.0 - 1.0])
    assert np.isnan(returns[2:]).all()
    ruined = run_of([1e-12] * 3, [(0, 0, 0, 1, 100.0, 0.0, 0.0, 1.0)], [1, 1, 1])
    assert math.isnan(compute_metrics(ruined, Execution(cash=1e4), bar_periods(3))["turnover"])


@pytest.mark.parametrize(
    ("equity", "percent", "bars"),
    [
        ([100.0, 101.0, 102.0], 0.0, 0),
        ([100.0, 50.0, 75.0, 100.0, 99.0], 50.0, 2),
        ([100.0, 90.0, 110.0, 108.0, 107.0, 109.0], 10.0, 3),
        ([100.0], 0.0, 0),
        ([], 0.0, 0),
    ],
)
def test_drawdown_by_hand(equity: list[float], percent: float, bars: int) -> None:
    assert max_drawdown(np.array(equity)) == (percent, bars)


def bar_by_bar(equity: list[float], start: float) -> tuple[float, int]:
    """Return drawdown and its length with nothing looked at but one bar after the other."""
    peak, deepest, below, longest = start, 0.0, 0, 0
    for value in equity:
        below = below + 1 if value < peak else 0
        longest = max(longest, below)
        peak = value if value > peak else peak
        if value < peak:
            deepest = max(deepest, 100.0 * (peak - value) / peak)
    return deepest, longest


@pytest.mark.parametrize("drift", [-0.5, -0.02, 0.0, 0.02, 0.5])
def test_drawdown_is_that_of_one_bar_after_the_other(drift: float) -> None:
    rng = np.random.default_rng([7, int(1000 * (drift + 1))])
    for bars in [*range(0, 200, 7), 63, 64, 65, 128, 1000]:
        steps = np.round(rng.normal(drift, 1.0, bars))  # so that many are equal
        equity = 1000.0 + np.cumsum(steps)
        for start in (1000.0, 1003.0):
            assert max_drawdown(equity, start) == bar_by_bar(equity.tolist(), start), (bars, start)


@pytest.mark.parametrize("at", [0, 31, 63, 64, 100])
def test_a_peak_of_one_bar_among_many_below_is_seen(at: int) -> None:
    equity = np.full(130, 90.0)
    equity[at] = 120.0
    before, after = at, 129 - at
    fall = 25.0 if after else 10.0
    assert max_drawdown(equity, 100.0) == (fall, max(before, after))


def test_equity_is_added_up_in_eight_lanes() -> None:
    # 2**53 + 1 is no double: a lane that holds it forgets a one, another lane does not
    big = 2.0**53
    equity = np.array([big, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, -big, 0, 0, 0, 0, 0, 0, 0, 0.25])
    assert tally_array(equity, 0.0)[2] == 2.25
    # what is left of a group of eight comes after all lanes, in order
    assert tally_array(np.array([1.0] + [0.0] * 7 + [big, -big]), 0.0)[2] == 0.0
    assert tally_array(np.arange(7.0), 0.0)[2] == 21.0


def test_drawdown_counts_from_the_cash_at_the_start() -> None:
    # bought on the first bar: 100 became 90, and never more than 95 again
    equity = np.array([90.0, 95.0, 93.0])

    assert max_drawdown(equity, 100.0) == (10.0, 3)
    assert max_drawdown(equity) == (100.0 * 2.0 / 95.0, 1)
    assert max_drawdown(np.array([]), 100.0) == (0.0, 0)
    metrics = compute_metrics(run_of([90.0, 95.0, 93.0], []), Execution(cash=100.0), bar_periods(3))
    assert (metrics["max_drawdown_pct"], metrics["max_drawdown_bars"]) == (10.0, 3)


def test_trades_by_hand() -> None:
    # three round trips of one unit: +4, -1, 0 (a net of zero counts as won, as Backtrader has it)
    prices = [10.0, 14.0, 10.0, 9.0, 10.0, 10.0]
    rows = [(k, 0, -(k % 2), (k + 1) % 2, price, 0.0, 0.0, 1.0) for k, price in enumerate(prices)]

    measured = profit_metrics(run_of([1.0] * 6, rows).trades.pnl_net)

    assert measured["trades"] == 3
    assert measured["win_rate"] == pytest.approx(2 / 3)
    assert measured["profit_factor"] == 4.0
    # mean 1, population variance (9 + 4 + 1) / 3
    assert measured["sqn"] == pytest.approx(math.sqrt(3) / math.sqrt(14 / 3))


def test_equal_trades_have_no_sqn() -> None:
    rows = [(k, 0, -(k % 2), (k + 1) % 2, 10.0 + k % 2, 0.0, 0.0, 1.0) for k in range(6)]

    measured = profit_metrics(run_of([1.0] * 6, rows).trades.pnl_net)

    assert math.isnan(measured["sqn"])
    assert measured["profit_factor"] == math.inf
