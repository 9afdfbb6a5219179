"""Golden case, and the check of an engine against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from whatif.domain import Bars, Execution, Fills, Overlays
from whatif.engines import BacktestTask, EngineRun, run_engine
from whatif.strategies import several
from whatif.testing.markets import bars_of_prices
from whatif.testing.order_kinds import order_reader, with_answers
from whatif.testing.orders import joined_bars, script_of, scripted

Prices: TypeAlias = tuple[float, float, float, float]
"""Open, high, low, close of a bar."""

Intents: TypeAlias = Mapping[int, Any]
"""Answer by row, code and amount or orders; every other row holds."""


class Fill(NamedTuple):
    """One execution: row, signed units that closed and opened, exact price, commission of each part."""

    row: int
    closed: float
    opened: float
    price: float
    closed_fee: float = 0.0
    opened_fee: float = 0.0
    symbol: int = 0


@dataclass(frozen=True)
class Golden:
    """Bars and intents with the numbers that must come out, worked by hand.

    Attributes
    ----------
    name : str
        What happens, in a few words.
    prices : tuple of Prices
        The bars.
    intents : mapping
        What the strategy asks for.
    execution : Execution
        The broker's settings.
    fills : tuple of Fill
        Executions, in order.
    cash, value : tuple of float
        The account at each bar's close.
    rejected : int
        Orders refused for want of cash.
    trades : tuple of (float, float)
        Profit of each closed trade before and after commission.
    other_prices, other_intents
        The same for a second symbol on the same account, if there is one.
    session_bars : int
        Bars of one session.
    volumes : tuple of float
        Of the first symbol's bars; 100 each if there are none.
    overlays : Overlays
        What lies over the step.
    finer : int
        Where orders are tried on finer bars: so many of these are a bar, and `prices` are theirs.
    """

    name: str
    prices: tuple[Prices, ...]
    intents: Intents
    execution: Execution
    fills: tuple[Fill, ...]
    cash: tuple[float, ...]
    value: tuple[float, ...]
    rejected: int = 0
    trades: tuple[tuple[float, float], ...] = ()
    other_prices: tuple[Prices, ...] = ()
    other_intents: Intents = field(default_factory=dict)
    session_bars: int = 390
    volumes: tuple[float, ...] = ()
    overlays: Overlays = field(default_factory=Overlays)
    finer: int = 0

    @property
    def shares_account(self) -> bool:
        """Whether two symbols share the account, which not every engine covers."""
        return bool(self.other_prices)

    @property
    def task(self) -> BacktestTask:
        """The task in which the intents are played."""
        asked = [self.intents, self.other_intents] if self.shares_account else [self.intents]
        are_orders = any(several(answer) for intents in asked for answer in intents.values())
        prices = (self.prices, self.other_prices)
        markets = [
            _market(symbol, prices[k], intents, are_orders, self.session_bars, self.finer)
            for k, (symbol, intents) in enumerate(zip("XY", asked, strict=False))
        ]
        if self.volumes:
            markets[0] = replace(markets[0], volume=np.array(self.volumes, dtype=np.float64))
        step = order_reader if are_orders else scripted
        return BacktestTask(markets, step, {}, self.execution, overlays=self.overlays)


def bar(open_: float, high: float, low: float, close: float) -> Prices:
    """Return a bar."""
    return (open_, high, low, close)


def flat(price: float) -> Prices:
    """Return a bar on which nothing moves."""
    return (price, price, price, price)


def _market(
    symbol: str,
    prices: tuple[Prices, ...],
    intents: Intents,
    are_orders: bool,
    session_bars: int,
    finer: int,
) -> Bars:
    bars = bars_of_prices(prices, symbol, session_bars)
    if finer:
        bars = joined_bars(bars, np.arange(0, len(bars), finer))
    if are_orders:
        return with_answers(bars, intents)
    return script_of([intents.get(row, (0, 0.0)) for row in range(len(bars))]).on(bars)


def check_golden(case: Golden, engine: str) -> None:
    """Refuse an engine whose run of a case gives other numbers, to the last bit.

    Raises
    ------
    AssertionError
        Naming the case and every number that differs.
    """
    found = golden_differences(case, run_engine(case.task, engine))
    if found:
        raise AssertionError("\n  ".join([f"{engine}, {case.name}:", *found]))


def golden_differences(case: Golden, run: EngineRun) -> list[str]:
    """Return in words where a run's numbers are not those worked by hand."""
    trades = list(zip(run.trades.pnl.tolist(), run.trades.pnl_net.tolist(), strict=True))
    pairs: list[tuple[str, object, object]] = [
        ("fills", list(case.fills), _fills(run.fills)),
        ("cash", _exact(case.cash), run.cash.tolist()),
        ("value", _exact(case.value), run.equity.tolist()),
        ("rejected", case.rejected, run.margin_rejected),
        ("trades", [(float(pnl), float(net)) for pnl, net in case.trades], trades),
    ]
    # repr tells -0.0 from 0.0, and any two different floats
    return [f"{name}: by hand {ours}, it gave {its}" for name, ours, its in pairs if repr(ours) != repr(its)]


def _exact(values: tuple[float, ...]) -> list[float]:
    return list(np.asarray(values, dtype=np.float64).tolist())


def _fills(fills: Fills) -> list[Fill]:
    columns = (fills.row, fills.closed, fills.opened, fills.price)
    fees = (fills.closed_commission, fills.opened_commission, fills.symbol)
    return [Fill(*row) for row in zip(*(column.tolist() for column in (*columns, *fees)), strict=True)]
