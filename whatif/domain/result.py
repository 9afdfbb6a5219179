"""A backtest's result as frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from whatif.domain.frames import timestamps
from whatif.domain.run import EngineRun


@dataclass(frozen=True, eq=False)
class BacktestResult:
    """What a backtest did and what came of it; the frames are made when they are first looked at.

    Attributes
    ----------
    fills : DataFrame
        One row for each execution, in order: ts (start of the bar on which it happened, UTC),
        symbol, size (signed), price (exact, slippage included), commission (money).
    trades : DataFrame
        Closed trades: symbol, opened_at and closed_at (ts of the bars of their first and last
        fill), size (signed), entry_price, exit_price, pnl (before), pnl_net (after commission).
    equity : Series
        float64 by ts (UTC): the broker's value at every bar's close.
    metrics : mapping
        One value for each of `whatif.domain.metrics.METRIC_KEYS`.
    run : EngineRun
        The same as plain arrays.
    notes : tuple of str
        What a reader has to know beside the figures: that the strategy ended the run, or set its costs.
    analyzers : mapping of str to object
        Results (`get_analysis()`) of the analyzers that an ordinary Backtrader strategy added, by name.
        They see its feed, which begins with the warm-up.
    """

    metrics: Mapping[str, float | int | bool]
    run: EngineRun

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know beside the figures."""
        return self.run.notes

    @property
    def analyzers(self) -> Mapping[str, Any]:
        """Results of the strategy's own analyzers, by name."""
        return self.run.analyses

    @cached_property
    def fills(self) -> pd.DataFrame:
        """The executions, in order."""
        return fills_frame(self.run)

    @cached_property
    def trades(self) -> pd.DataFrame:
        """The closed trades, oldest close first."""
        return trades_frame(self.run)

    @cached_property
    def equity(self) -> pd.Series:
        """The broker's value at every bar's close."""
        index = timestamps(self.run.ts).rename("ts")
        return pd.Series(self.run.equity, index=index, name="equity", dtype=np.float64)


def fills_frame(run: EngineRun) -> pd.DataFrame:
    """Return the executions of a run, in order."""
    fills = run.fills
    return pd.DataFrame(
        {
            "ts": timestamps(run.ts[fills.row]),
            "symbol": _names(run, fills.symbol),
            "size": fills.size,
            "price": fills.price,
            "commission": fills.commission,
        }
    )


def trades_frame(run: EngineRun) -> pd.DataFrame:
    """Return the closed trades of a run, oldest close first."""
    trades = run.trades
    return pd.DataFrame(
        {
            "symbol": _names(run, trades.symbol),
            "opened_at": timestamps(run.ts[trades.opened]),
            "closed_at": timestamps(run.ts[trades.closed]),
            "size": trades.size,
            "entry_price": trades.entry_price,
            "exit_price": trades.exit_price,
            "pnl": trades.pnl,
            "pnl_net": trades.pnl_net,
        }
    )


def _names(run: EngineRun, index: np.ndarray) -> pd.Series:
    return pd.Series(pd.array(run.symbols, dtype="str").take(index))
