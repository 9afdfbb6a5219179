"""What the reference notebooks get wrong and this project does not; numbers as in the list of flaws."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

import whatif
from whatif.domain import METRIC_KEYS


def market(n: int = 400, freq: str = "min", **inputs: np.ndarray) -> pd.DataFrame:
    """Return a frame of bars as a user has it."""
    rng = np.random.default_rng(5)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0002, 0.002, n)))
    opened = np.append(100.0, close[:-1])
    return pd.DataFrame(
        {
            "symbol": "X",
            "ts": pd.date_range("2024-01-02 14:30", periods=n, freq=freq, tz="UTC"),
            "open": opened,
            "high": np.maximum(opened, close) * 1.001,
            "low": np.minimum(opened, close) * 0.999,
            "close": close,
            "volume": 100.0,
            **inputs,
        }
    )


def test_flaw_6_flat_without_a_signal_does_not_go_short() -> None:
    quiet = market(forecast=np.full(400, 0.00005))

    result = whatif.backtest(quiet, "forecast_threshold", {"threshold": 0.0001})

    assert len(result.fills) == 0
    assert (result.run.position == 0.0).all()


def test_flaw_6_can_be_flat_again() -> None:
    forecast = np.zeros(400)
    forecast[10], forecast[11:] = 0.01, 0.0

    result = whatif.backtest(
        market(forecast=forecast),
        "forecast_threshold",
        {"threshold": 0.001, "exit_on_neutral": True, "size": 1},
    )

    assert result.fills["size"].tolist() == [1.0, -1.0]
    assert not result.metrics["open_at_end"]


def test_flaw_10_sharpe_of_a_few_days_of_one_year_is_not_zero() -> None:
    # the reference measures yearly returns: one calendar year has no deviation, so it prints 0.00
    result = whatif.backtest(market(), "sma_crossover", {"fast": 3, "slow": 9, "size": 10})

    assert result.metrics["trades"] > 10
    assert math.isfinite(result.metrics["sharpe"])
    assert result.metrics["sharpe"] != 0.0
    returns = result.equity.to_numpy() / np.append(10_000.0, result.equity.to_numpy()[:-1]) - 1.0
    # 400 minutes of one day: periods are bars, 400 of them in each of 252 sessions a year
    assert result.metrics["sharpe"] == returns.mean() / returns.std(ddof=1) * math.sqrt(252 * 400)


def test_flaw_14_no_crash_without_a_closed_trade() -> None:
    never = whatif.backtest(market(40), "sma_crossover", {"fast": 30, "slow": 60})
    still_open = whatif.backtest(
        market(forecast=np.full(400, 0.01)), "forecast_threshold", {"threshold": 0.001, "size": 1}
    )

    for result in (never, still_open):
        assert set(result.metrics) == set(METRIC_KEYS)
        assert result.metrics["trades"] == 0
        assert all(math.isnan(result.metrics[name]) for name in ("win_rate", "profit_factor", "sqn"))
        assert len(result.trades) == 0
    assert still_open.metrics["open_at_end"]
    assert math.isnan(never.metrics["sharpe"])
