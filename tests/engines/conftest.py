"""Bars to run on, and plain Backtrader as the reference that the engine must equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from whatif.domain.bars import Bars
from whatif.domain.execution import Execution

MINUTE = 60_000_000
DAY = 1440 * MINUTE
START = 20_000 * DAY


def build_bars(prices: Any, symbol: str = "X", ts: np.ndarray | None = None, **inputs: Any) -> Bars:
    """Return one-minute bars from rows of (open, high, low, close)."""
    table = np.asarray(prices, dtype=np.float64)
    stamps = (
        START + MINUTE * np.arange(len(table), dtype=np.int64) if ts is None else np.asarray(ts, np.int64)
    )
    session = stamps // DAY
    o, h, lo, c = (np.ascontiguousarray(table[:, k]) for k in range(4))
    return Bars(
        symbol=symbol,
        ts=stamps,
        open=o,
        high=h,
        low=lo,
        close=c,
        volume=np.full(len(table), 100.0),
        vwap=(h + lo + c) / 3.0,
        session=session,
        session_open=session * DAY,
        session_close=(session + 1) * DAY,
        inputs={name: np.asarray(values, dtype=np.float64) for name, values in inputs.items()},
    )


def walk(seed: int, n: int, symbol: str = "X", step: float = 0.004, **inputs: Any) -> Bars:
    """Return bars of a random walk with many digits."""
    rng = np.random.default_rng(seed)
    close = 80.0 * np.exp(np.cumsum(rng.normal(0.0, step, n)))
    opened = np.concatenate([[80.0], close[:-1]]) * np.exp(rng.normal(0.0, step / 2, n))
    high = np.maximum(opened, close) * (1.0 + rng.exponential(step / 2, n))
    low = np.minimum(opened, close) * (1.0 - rng.exponential(step / 4, n))
    return build_bars(np.column_stack([opened, high, low, close]), symbol, **inputs)


@pytest.fixture(name="build_bars", scope="session")
def _build_bars() -> Callable[..., Bars]:
    return build_bars


@pytest.fixture(name="walk", scope="session")
def _walk() -> Callable[..., Bars]:
    return walk


@pytest.fixture(scope="session")
def estx50(data_dir: Path) -> Bars:
    """Return 30,889 one-minute bars of a European index future."""
    rows = pd.read_csv(data_dir / "estx50" / "2006-01-02-volume-min-001.csv", skiprows=1, header=None)
    ends = pd.to_datetime(rows[0] + " " + rows[1]).dt.tz_localize("Europe/Berlin").dt.tz_convert("UTC")
    ts = pd.DatetimeIndex(ends).as_unit("us").asi8 - MINUTE
    return build_bars(rows[[2, 3, 4, 5]].to_numpy(), "ESTX50", ts)


@pytest.fixture(scope="session")
def year_2006(data_dir: Path) -> Bars:
    """Return Backtrader's own 255 daily bars of 2006."""
    rows = pd.read_csv(data_dir / "backtrader" / "2006-day-001.txt")
    ts = pd.DatetimeIndex(pd.to_datetime(rows["Date"])).as_unit("us").asi8
    return build_bars(rows[["Open", "High", "Low", "Close"]].to_numpy(), "2006", ts)


@dataclass
class Plain:
    """What a plain Backtrader run did, read from its notifications and analyzers."""

    fills: list[tuple[int, str, float, float, float]] = field(default_factory=list)
    trades: list[tuple[float, float]] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)
    cash: float = 0.0
    analysis: dict[str, Any] = field(default_factory=dict)


class _Notes(bt.Analyzer):
    """Writes down every notification as Backtrader delivers it."""

    def start(self) -> None:
        self.plain = Plain()

    def notify_order(self, order: bt.Order) -> None:
        for bit in order.executed.iterpending():
            self.plain.fills.append((len(self.data) - 1, order.data._name, bit.size, bit.price, bit.comm))

    def notify_trade(self, trade: bt.Trade) -> None:
        if trade.isclosed:
            self.plain.trades.append((trade.pnl, trade.pnlcomm))

    def notify_cashvalue(self, cash: float, value: float) -> None:
        self.plain.cash = cash
        self.plain.equity.append(value)


def run_plain(
    strategy: type, bars: Bars | Sequence[Bars], execution: Execution | None = None, **params: Any
) -> Plain:
    """Run an ordinary strategy in an ordinary Cerebro, with indicators and observers as they come."""
    execution = execution or Execution()
    cerebro = bt.Cerebro()
    for one in [bars] if isinstance(bars, Bars) else bars:
        frame = pd.DataFrame(
            {name: getattr(one, name) for name in ("open", "high", "low", "close", "volume")},
            index=pd.DatetimeIndex(one.ts.astype("datetime64[us]")),
        )
        daily = len(one) > 1 and np.median(np.diff(one.ts)) >= DAY
        timeframe = bt.TimeFrame.Days if daily else bt.TimeFrame.Minutes
        cerebro.adddata(bt.feeds.PandasData(dataname=frame, timeframe=timeframe), name=one.symbol)
    cerebro.broker.setcash(execution.cash)
    cerebro.broker.setcommission(commission=execution.commission)
    if execution.slippage:
        cerebro.broker.set_slippage_perc(execution.slippage)
    cerebro.broker.set_checksubmit(execution.checksubmit)
    cerebro.broker.set_coc(execution.coc)
    cerebro.broker.set_shortcash(execution.shortcash)
    cerebro.addanalyzer(_Notes, _name="notes")
    cerebro.addanalyzer(bt.analyzers.DrawDown, _name="drawdown")
    cerebro.addanalyzer(bt.analyzers.SQN, _name="sqn")
    cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
    cerebro.addstrategy(strategy, **params)
    done = cerebro.run()[0]
    plain: Plain = done.analyzers.notes.plain
    plain.analysis = {
        name: getattr(done.analyzers, name).get_analysis() for name in ("drawdown", "sqn", "trades")
    }
    return plain


@pytest.fixture(scope="session")
def plain() -> Callable[..., Plain]:
    return run_plain
