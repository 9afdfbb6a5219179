"""Fills of the built-in strategies, worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import whatif
from whatif.domain.execution import Execution
from whatif.engines import BacktestTask, run_engine
from whatif.strategies import resolve

NAN = float("nan")


def flat_bars(build_bars, closes, **inputs):
    """Return bars that open at the previous close, so that every fill price is known."""
    rows = []
    for k, close in enumerate(closes):
        opened = closes[k - 1] if k else close
        rows.append((opened, max(opened, close) + 1.0, min(opened, close) - 1.0, close))
    return build_bars(rows, **inputs)


def fills_of(run) -> list[tuple[int, float, float, float]]:
    fills = run.fills
    return list(
        zip(
            fills.row.tolist(),
            fills.size.tolist(),
            fills.price.tolist(),
            fills.commission.tolist(),
            strict=True,
        )
    )


def test_forecast_threshold_keeps_its_position_on_a_neutral_forecast(build_bars) -> None:
    closes = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0]
    forecast = [9.0, 0.02, 0.005, NAN, -0.02, 0.01, -0.01, 9.0]
    bars = flat_bars(build_bars, closes, forecast=forecast)
    spec = resolve("forecast_threshold")
    params = spec.validate({"threshold": 0.01, "size": 10})

    run = run_engine(BacktestTask([bars], spec, params, Execution(cash=1000.0, commission=0.01)))

    # bar 0 is before the lookback; 0.02 on bar 1 buys 10 at bar 2's open, 11;
    # 0.005 and NaN change nothing; -0.02 on bar 4 reverses at bar 5's open, 14;
    # exactly 0.01 and -0.01 are not beyond the threshold; the order of bar 7 dies with the data
    assert fills_of(run) == [(2, 10.0, 11.0, 1.1), (5, -20.0, 14.0, pytest.approx(2.8))]
    assert run.position[0].tolist() == [0, 0, 10, 10, 10, -10, -10, -10]
    cash = 1000.0 - 110.0 - 1.1
    assert run.equity[:5].tolist() == [1000.0, 1000.0, cash + 120.0, cash + 130.0, cash + 140.0]
    np.testing.assert_allclose(
        run.equity[5:], 1000.0 + 30.0 - 1.1 - 2.8 - np.array([10.0, 20.0, 30.0]), rtol=1e-15
    )
    assert run.trades.pnl.tolist() == [30.0]
    np.testing.assert_allclose(run.trades.pnl_net, [30.0 - 1.1 - 1.4], rtol=1e-15)
    assert (run.trades.size[0], run.trades.entry_price[0], run.trades.exit_price[0]) == (10.0, 11.0, 14.0)
    assert run.open_at_end


def test_forecast_threshold_leaves_on_a_neutral_forecast_but_not_on_a_missing_one(build_bars) -> None:
    forecast = [0.0, 0.02, NAN, 0.0, 0.0, -0.02, 0.0, 0.0]
    bars = flat_bars(build_bars, [10.0] * 8, forecast=forecast)
    spec = resolve("forecast_threshold")
    params = spec.validate({"threshold": 0.01, "size": 10, "exit_on_neutral": True})

    run = run_engine(BacktestTask([bars], spec, params))

    # in on bar 2, kept over the NaN, out at bar 4; short on bar 6, out at bar 7
    assert [(row, size) for row, size, _, _ in fills_of(run)] == [
        (2, 10.0),
        (4, -10.0),
        (6, -10.0),
        (7, 10.0),
    ]
    assert not run.open_at_end
    assert run.trades.size.tolist() == [10.0, -10.0]


def test_sma_crossover_acts_on_a_cross_only_and_reverses(build_bars) -> None:
    # averages of 1 and 3: fast is below on bar 2, above on bar 3, equal on 5, below on 6
    closes = [12.0, 11.0, 10.0, 14.0, 15.0, 14.5, 9.0, 9.0, 9.0, 9.0]
    bars = flat_bars(build_bars, closes)
    spec = resolve("sma_crossover")
    params = spec.validate({"fast": 1, "slow": 3, "size": 5})

    run = run_engine(BacktestTask([bars], spec, params, Execution(cash=1000.0)))

    # bar 2: 10 - 11 < 0 seeds; bar 3: 14 - 11.67 > 0 is a cross, filled at bar 4's open, 14;
    # bar 5: 14.5 - 14.5 = 0 is none; bar 6: 9 - 12.83 < 0 is one, filled at bar 7's open, 9;
    # from bar 8 on the averages touch (9 - 9), which is no cross
    assert [(row, size, price) for row, size, price, _ in fills_of(run)] == [(4, 5.0, 14.0), (7, -10.0, 9.0)]
    assert run.trades.pnl.tolist() == [-25.0]
    assert run.equity[-1] == 975.0


def test_slippage_moves_the_price_against_the_order_within_the_bar(build_bars) -> None:
    rows = [(10.0, 10.0, 10.0, 10.0)] * 2 + [(10.0, 12.0, 8.0, 10.0), (10.0, 10.05, 9.0, 10.0)]
    bars = build_bars(rows, forecast=[0.0, 1.0, -1.0, 0.0])
    spec = resolve("forecast_threshold")
    task = BacktestTask([bars], spec, spec.validate({"size": 1}), Execution(slippage=0.01))

    run = run_engine(task)

    # bought at 10 * 1.01; sold 2 at 10 * 0.99
    assert [(size, price) for _, size, price, _ in fills_of(run)] == [(1.0, 10.1), (-2.0, 9.9)]


def test_nothing_is_remembered_when_the_broker_refuses(build_bars) -> None:
    bars = flat_bars(build_bars, [10.0] * 6, forecast=[0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    spec = resolve("forecast_threshold")
    task = BacktestTask([bars], spec, spec.validate({"size": 1000}), Execution(cash=100.0))

    run = run_engine(task)

    assert len(run.fills) == 0
    assert run.margin_rejected == 1
    assert run.equity.tolist() == [100.0] * 6


@pytest.mark.parametrize("engine", ["compiled", "backtrader"])
def test_bollinger_reversion_bids_at_the_band_and_leaves_at_the_mean(build_bars, engine) -> None:
    rows = [
        (100.0, 100.0, 100.0, 100.0),
        # mean 101 and deviation 1 of the last two closes: bands at 99 and 103, a stop at 94.05
        (100.0, 102.0, 100.0, 102.0),
        (101.0, 102.0, 98.5, 100.0),
        (100.0, 101.5, 99.0, 100.5),
        # bands at 99.75 and 100.75
        (100.25, 100.3, 100.2, 100.25),
    ]
    spec = resolve("bollinger_reversion")
    params = spec.validate({"period": 2, "width": 2.0, "loss": 0.05, "size": 1.0})

    run = run_engine(BacktestTask([build_bars(rows)], spec, params, Execution(cash=1000.0)), engine)

    assert fills_of(run) == [(2, 1.0, 99.0, 0.0), (3, -1.0, 101.0, 0.0)]


@pytest.mark.parametrize("engine", ["compiled", "backtrader"])
def test_an_opening_range_is_left_once_a_session(engine) -> None:
    day = [
        (100.0, 101.0, 99.0, 100.0),  # minutes 0 and 1 are the range, 99 to 102
        (100.0, 102.0, 100.0, 101.0),
        (101.0, 101.5, 100.5, 101.0),  # minute 2: buy stop at 102, sell stop at 99
        (101.0, 103.0, 101.0, 102.5),  # in at 102; the stop at 99 is placed
        (102.0, 102.0, 98.0, 99.0),  # out at 99
        (99.0, 110.0, 90.0, 100.0),  # and no more on that day
    ]
    frame = pd.DataFrame(day * 2, columns=["open", "high", "low", "close"])
    opens = (pd.Timestamp("2024-01-02 14:30Z"), pd.Timestamp("2024-01-03 14:30Z"))
    frame["ts"] = [at + pd.Timedelta(minutes=k) for at in opens for k in range(len(day))]
    frame["symbol"], frame["volume"] = "X", 1000.0

    found = whatif.backtest(
        frame, "opening_range_breakout", {"minutes": 2, "size": 1.0}, calendar="XNYS", engine=engine
    )

    assert found.fills["ts"].tolist() == [frame["ts"][k] for k in (3, 4, 9, 10)]
    assert found.fills["size"].tolist() == [1.0, -1.0] * 2
    assert found.fills["price"].tolist() == [102.0, 99.0] * 2
