"""Plain Backtrader, as its users run it: the reference that engines must equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from whatif.domain.bars import Bars
from whatif.domain.execution import Execution

DAY = 86_400_000_000


@dataclass
class Plain:
    """What a plain Backtrader run did, read from its notifications and analyzers."""

    fills: list[tuple[int, str, float, float, float]] = field(default_factory=list)
    trades: list[tuple[float, float]] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)
    cash: float = 0.0
    cashes: list[float] = field(default_factory=list)
    rejected: int = 0
    analysis: dict[str, Any] = field(default_factory=dict)


class _Notes(bt.Analyzer):
    """Writes down every notification as Backtrader delivers it."""

    def start(self) -> None:
        self.plain = Plain()

    def notify_order(self, order: bt.Order) -> None:
        self.plain.rejected += order.status == order.Margin
        for bit in order.executed.iterpending():
            self.plain.fills.append((len(self.data) - 1, order.data._name, bit.size, bit.price, bit.comm))

    def notify_trade(self, trade: bt.Trade) -> None:
        if trade.isclosed:
            self.plain.trades.append((trade.pnl, trade.pnlcomm))

    def notify_cashvalue(self, cash: float, value: float) -> None:
        self.plain.cash = cash
        self.plain.cashes.append(cash)
        self.plain.equity.append(value)


def run_plain(
    strategy: type, bars: Bars | Sequence[Bars], execution: Execution | None = None, **params: Any
) -> Plain:
    """Run an ordinary strategy in an ordinary Cerebro, with indicators and observers as they come."""
    cerebro = bt.Cerebro(cheat_on_open=bool(execution and execution.coo))
    for one in [bars] if isinstance(bars, Bars) else bars:
        cerebro.adddata(_feed(one), name=one.symbol)
    _set_up(cerebro.broker, execution or Execution())
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


def _feed(bars: Bars) -> bt.feed.DataBase:
    frame = pd.DataFrame(
        {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")},
        index=pd.DatetimeIndex(bars.ts.astype("datetime64[us]")),
    )
    daily = len(bars) > 1 and np.median(np.diff(bars.ts)) >= DAY
    timeframe = bt.TimeFrame.Days if daily else bt.TimeFrame.Minutes
    return bt.feeds.PandasData(dataname=frame, timeframe=timeframe)


def _scheme(execution: Execution) -> dict[str, Any]:
    """Return the keywords of `setcommission`, as its documentation has them."""
    given = {name: getattr(execution, name) for name in ("leverage", "interest", "interest_long")}
    fixed = execution.commtype == "fixed"
    if execution.margin:
        kind = {} if fixed else {"commtype": bt.CommInfoBase.COMM_PERC, "stocklike": False}
        return {**given, **kind, "margin": execution.margin, "mult": execution.mult}
    return {**given, **({"commtype": bt.CommInfoBase.COMM_FIXED, "stocklike": True} if fixed else {})}


def _filler(execution: Execution) -> Any:
    filler = execution.filler
    if filler is None:
        return None
    if filler.name == "fixed_size":
        return bt.fillers.FixedSize(size=filler.amount)
    if filler.name == "fixed_bar_perc":
        return bt.fillers.FixedBarPerc(perc=filler.amount)
    return bt.fillers.BarPointPerc(minmov=filler.minmov, perc=filler.amount)


def _set_up(broker: bt.brokers.BackBroker, execution: Execution) -> None:
    broker.setcash(execution.cash)
    broker.setcommission(commission=execution.commission, **_scheme(execution))
    switches = {
        name: getattr(execution, name) for name in ("slip_open", "slip_match", "slip_limit", "slip_out")
    }
    if execution.slippage:
        broker.set_slippage_perc(execution.slippage, **switches)
    elif execution.slippage_fixed:
        broker.set_slippage_fixed(execution.slippage_fixed, **switches)
    broker.set_checksubmit(execution.checksubmit)
    broker.set_coc(execution.coc)
    broker.set_shortcash(execution.shortcash)
    broker.set_filler(_filler(execution))
