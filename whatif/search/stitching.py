"""Stitching of consecutive windows' backtests into one; equity is carried over, positions are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from whatif.domain import BENCHMARK_COLUMNS, METRIC_KEYS, max_drawdown, sharpe, sortino
from whatif.errors import StudyError
from whatif.search.pooling import FROM_TRADES
from whatif.typing import FloatArray

_SUMS = ("pnl_gross", "pnl_net", "costs", "trades", "turnover")
NAN = float("nan")


def check_stitchable(objective: str) -> None:
    """Refuse an objective that has no value on windows that are joined.

    Raises
    ------
    StudyError
        If the metric needs every trade, which rows do not hold.
    """
    if objective in FROM_TRADES:
        raise StudyError(
            f"objective {objective!r} cannot rank paths joined of several windows, since it needs all their "
            "trades together: use an objective such as sharpe, or another kind of split"
        )


def stitch_equity(returns: FloatArray, cash: float = 1.0) -> FloatArray:
    """Return equity before the first period and after each one, (k + 1,): cash * prod(1 + r)."""
    return np.asarray(cash * np.cumprod(np.concatenate(([1.0], 1.0 + returns))), dtype=np.float64)


def stitch(
    rows: Sequence[Mapping[str, Any]], returns: Sequence[FloatArray], per_year: float
) -> dict[str, float | bool]:
    """Return the metrics of consecutive windows joined.

    Parameters
    ----------
    rows : sequence of mapping
        Metrics of each window that was traded, in time order, as `results` has them.
    returns : sequence of float64 array (k,)
        Per-period returns of each window, those in cash included; k may differ between windows.
    per_year : float
        Periods in a year.

    Returns
    -------
    dict
        `METRIC_KEYS` and the benchmark's. `sharpe`, `sortino`, `return_pct` and the drawdown are
        measured on the joined returns (the drawdown in periods, not bars). Money, trades and
        turnover are summed, each window on the study's cash; exposure is weighted by bars,
        `win_rate` by trades. NaN: what needs every trade.
    """
    joined = np.concatenate([*returns, np.empty(0)])
    equity = stitch_equity(joined)
    deepest, longest = max_drawdown(equity)
    trades = np.array([float(row["trades"]) for row in rows])
    wins = np.array([float(row["win_rate"]) for row in rows])
    held = np.array([float(row["benchmark_return_pct"]) for row in rows])
    exposed = sum(float(row["exposure"]) * _bars(row) for row in rows)
    bars = sum(_bars(row) for row in rows)
    return (
        dict.fromkeys((*METRIC_KEYS, *BENCHMARK_COLUMNS), NAN)
        | {name: float(sum(float(row[name]) for row in rows)) for name in _SUMS}
        | {
            "return_pct": 100.0 * float(equity[-1] - 1.0),
            "sharpe": sharpe(joined, per_year),
            "sortino": sortino(joined, per_year),
            "max_drawdown_pct": deepest,
            "max_drawdown_bars": longest,
            "win_rate": float(np.nansum(wins * trades) / trades.sum()) if trades.sum() else NAN,
            "exposure": exposed / bars if bars else NAN,
            "open_at_end": bool(rows[-1]["open_at_end"]) if rows else False,
            "benchmark_return_pct": 100.0 * float(np.prod(1.0 + held / 100.0) - 1.0),
        }
    )


def _bars(row: Mapping[str, Any]) -> float:
    return float(row.get("bars", 1.0))
