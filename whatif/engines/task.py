"""The task that every engine takes: one configuration in one window, and what no broker could trade on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from whatif.domain import Bars, Execution, Overlays, Periods
from whatif.engines.base import shares_account
from whatif.engines.closing import check_bounds, check_fills, check_sizing, check_volume
from whatif.engines.timeline import instant
from whatif.errors import EngineError
from whatif.indicators import ArrayCache
from whatif.strategies import BacktraderSpec, StrategySpec
from whatif.typing import FloatArray

if TYPE_CHECKING:
    from whatif.engines.base import RunInputs
    from whatif.strategies import AnyStrategy


@dataclass(frozen=True, eq=False)
class BacktestTask:
    """One configuration on one symbol, or on several that share an account, in one window.

    Attributes
    ----------
    bars : sequence of Bars
        One for each symbol, in the order in which the step is called on a shared timestamp.
    strategy : StrategySpec or BacktraderSpec
        What decides.
    params : mapping
        Complete and validated parameters (`strategy.validate`).
    execution : Execution
        Cash, costs and the broker's switches.
    start, end : int, optional
        The window as a half-open interval of bar starts, microseconds UTC; all bars if absent.
        Bars before `start` are history, which only indicators see; bars from `end` on are not
        looked at.
    warmup : int
        Bars before the window that an ordinary Backtrader strategy is fed. Step functions need
        none: their indicators are computed on all history.
    bar_us : int, optional
        Length of the bars, microseconds; told from the spacing of each symbol's bars if absent.
    overlays : Overlays
        Exits, sizing and latency laid over a step function's intents.
    """

    bars: Sequence[Bars]
    strategy: AnyStrategy
    params: Mapping[str, object] = field(default_factory=dict)
    execution: Execution = field(default_factory=Execution)
    start: int | None = None
    end: int | None = None
    warmup: int = 0
    overlays: Overlays = field(default_factory=Overlays)
    bar_us: int | None = None

    def rows(self, bars: Bars) -> tuple[int, int]:
        """Return the half-open range of rows of `bars` that lie in the window."""
        first = 0 if self.start is None else int(np.searchsorted(bars.ts, self.start))
        stop = len(bars) if self.end is None else int(np.searchsorted(bars.ts, self.end))
        return first, max(first, stop)


@dataclass(frozen=True, eq=False)
class WindowInputs:
    """What all configurations have in common that run on the same bars in one window.

    Attributes
    ----------
    bars, strategy, start, end, bar_us
        As in `BacktestTask`.
    periods : Periods
        Over which returns are measured.
    cache : mutable mapping, optional
        Where arrays are kept that configurations share.
    grid : sequence of mapping
        Parameters of all configurations that will be run there, by which is told what is worth keeping.
    series : bool
        Whether trades, and equity at each bar's close, are asked for too.
    """

    bars: Sequence[Bars]
    strategy: AnyStrategy
    periods: Periods
    start: int | None = None
    end: int | None = None
    bar_us: int | None = None
    cache: ArrayCache | None = None
    grid: Sequence[Mapping[str, object]] = ()
    series: bool = False

    def task(self, given: RunInputs) -> BacktestTask:
        """Return one configuration in this window, for itself."""
        return BacktestTask(
            bars=self.bars,
            strategy=self.strategy,
            params=given.params,
            execution=given.execution,
            start=self.start,
            end=self.end,
            warmup=warmup_of(self.strategy, given.params),
            overlays=given.overlays,
            bar_us=self.bar_us,
        )


def warmup_of(strategy: AnyStrategy, params: Mapping[str, object]) -> int:
    """Return the bars before a window that a strategy is fed; a step's indicators see all history."""
    return strategy.warmup(params) if isinstance(strategy, BacktraderSpec) else 0


def check_task(task: BacktestTask) -> None:
    """Refuse bars that no broker could trade on.

    Raises
    ------
    EngineError
        If there is no symbol or no bar in the window, a symbol comes twice, timestamps do not
        increase, a price is not a positive finite number, a series that the strategy needs
        from outside has an infinite value, or no value in the window at all. Of an account of several
        symbols, one may have no bar there, and no such value.
    """
    check_fill_timeframe(task.strategy, task.execution, len(task.bars) > 1)
    check_fills(task.bars, task.execution)
    check_window(task)


def check_window(task: BacktestTask) -> None:
    """Refuse what `check_task` does, but for what the execution asks of finer bars.

    Raises
    ------
    EngineError
        As `check_task`.
    """
    _check_across(task.strategy, task.overlays)
    check_sizing(task.strategy, task.overlays)
    check_bounds(task.strategy, task.overlays, shares_account(task.strategy, len(task.bars) > 1))
    _check_members(task)
    if not task.bars:
        raise EngineError("no bars were given; give the bars of at least one symbol")
    symbols = [bars.symbol for bars in task.bars]
    if len(set(symbols)) < len(symbols):
        raise EngineError(f"symbols {symbols} come twice; give each symbol's bars once")
    there = _with_bars(task)
    for bars in there:
        _check_bars(bars, *task.rows(bars))
        _check_finer(bars, *task.rows(bars))
        check_volume(bars, *task.rows(bars), task.execution)
        _check_inputs(task.strategy, bars, *task.rows(bars))
    _check_known(task.strategy, [(bars, *task.rows(bars)) for bars in there])


def _with_bars(task: BacktestTask) -> list[Bars]:
    """Return the bars of the symbols that have any in the window.

    Raises
    ------
    EngineError
        If no symbol has; of an ordinary Backtrader strategy, if one has none.
    """
    there = [bars for bars in task.bars if task.rows(bars)[0] < task.rows(bars)[1]]
    if len(there) == len(task.bars) or (there and isinstance(task.strategy, StrategySpec)):
        return there
    lacking = next(bars.symbol for bars in task.bars if bars not in there)
    if there:
        raise EngineError(
            f"{lacking}: no bar lies in the window, and {task.strategy.name}, an ordinary Backtrader "
            "strategy, is not called before all of its symbols have one: leave the symbol out, or write a "
            "step function"
        )
    raise EngineError(f"{lacking}: no bar lies in the window; choose one that the data covers")


def _check_across(strategy: AnyStrategy, overlays: Overlays) -> None:
    """Refuse overlays over a cross-sectional step, which answers for all symbols at once."""
    if isinstance(strategy, StrategySpec) and strategy.cross_sectional and overlays.by_symbol:
        raise EngineError(
            f"overlays {', '.join(overlays.by_symbol)} cannot be laid over {strategy.name}, a "
            "cross-sectional step, which answers for all symbols at once: leave them out"
        )


def _check_members(task: BacktestTask) -> None:
    """Refuse a universe over an ordinary Backtrader strategy, which would not leave what is no member."""
    if isinstance(task.strategy, StrategySpec) or all(bars.member is None for bars in task.bars):
        return
    raise EngineError(
        f"data.universe says where symbols may be traded, and {task.strategy.name}, an ordinary Backtrader "
        "strategy, handles its own orders: leave it out, or write a step function"
    )


def check_fill_timeframe(strategy: AnyStrategy, execution: Execution, shared: bool) -> None:
    """Refuse orders on finer bars where no broker tries them there.

    Raises
    ------
    EngineError
        For an ordinary Backtrader strategy, a cross-sectional step, and an account of several symbols.
    """
    if not execution.fill_timeframe:
        return
    asked = f"execution: fill_timeframe = {execution.fill_timeframe!r}"
    if not isinstance(strategy, StrategySpec):
        raise EngineError(
            f"{asked} is for step functions, and {strategy.name} is an ordinary Backtrader strategy, whose "
            "orders are tried on the bars that it is fed: leave it out, or write it as a step function"
        )
    if shared or strategy.cross_sectional:
        what = (
            f"{strategy.name} is a cross-sectional step" if strategy.cross_sectional else "several share it"
        )
        raise EngineError(
            f"{asked} is for an account of one symbol, and {what}: leave it out, or give each symbol an "
            "account of its own (portfolio: separate)"
        )


_JOINED: Mapping[str, Callable[..., FloatArray]] = {
    "open": lambda prices, first, last: prices[first],
    "high": lambda prices, first, last: np.maximum.reduceat(prices, first),
    "low": lambda prices, first, last: np.minimum.reduceat(prices, first),
    "close": lambda prices, first, last: prices[last],
}


def _check_finer(bars: Bars, first: int, stop: int) -> None:
    """Refuse bars that are not what the finer ones inside them make: fills and values would contradict."""
    if bars.finer is None or first == stop:
        return
    begins, finer = bars.finer.begins[first : stop + 1], bars.finer.bars
    empty = np.flatnonzero(np.diff(begins) <= 0)
    if len(empty):
        row = first + int(empty[0])
        raise EngineError(
            f"{bars.symbol}: bar {row} at {instant(bars.ts[row])} holds no finer bar; make the bars of the "
            "finer ones, or leave it out"
        )
    _check_bars(finer, int(begins[0]), int(begins[-1]))
    begin, end = begins[0], begins[-1]
    for name, join in _JOINED.items():
        made = join(getattr(finer, name)[begin:end], begins[:-1] - begin, begins[1:] - begin - 1)
        own = getattr(bars, name)[first:stop]
        unlike = np.flatnonzero(made != own)
        if len(unlike):
            row = int(unlike[0])
            raise EngineError(
                f"{bars.symbol}: {name} of bar {first + row} at {instant(bars.ts[first + row])} is "
                f"{own[row]}, and that of the finer bars inside it {made[row]}: make the bars of the finer "
                "ones"
            )


def check_execution(strategy: AnyStrategy, execution: Execution, overlays: Overlays) -> None:
    """Refuse settings that could do nothing for a strategy.

    Raises
    ------
    EngineError
        If a step function that places market orders only is given a rule for limit orders, or sized by a
        stop that nothing says, or an account that is bounded holds contracts.
    """
    check_sizing(strategy, overlays)
    if overlays.bounds and (execution.margin or execution.mult != 1.0):
        raise EngineError(
            f"overlays {', '.join(overlays.bounds)} bound what positions are worth at their prices, which by "
            f"execution: margin = {execution.margin}, mult = {execution.mult} is not theirs: leave one or "
            "the other out"
        )
    has_orders = strategy.answers_orders or overlays.exit_orders
    if isinstance(strategy, StrategySpec) and not (execution.slip_limit or has_orders):
        raise EngineError(
            f"execution: slip_limit = False is about limit orders, and {strategy.name} is a step function, "
            "which places market orders only: leave it out"
        )


def _check_bars(bars: Bars, first: int, stop: int) -> None:
    if not (bars.ts[1:stop] > bars.ts[: stop - 1]).all():
        row = int(np.flatnonzero(np.diff(bars.ts[:stop]) <= 0)[0]) + 1
        raise EngineError(
            f"{bars.symbol}: bar {row} at {instant(bars.ts[row])} is not after the one before; sort them"
        )
    for name in ("open", "high", "low", "close"):
        prices = getattr(bars, name)[:stop]
        # one that is no number is neither
        if prices.min() > 0.0 and prices.max() < math.inf:
            continue
        bad = ~(np.isfinite(prices) & (prices > 0.0))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise EngineError(
                f"{bars.symbol}: {name} of bar {row} at {instant(bars.ts[row])} is {prices[row]}; "
                "a price must be a positive finite number: leave the bar out or correct it"
            )


def _check_inputs(strategy: AnyStrategy, bars: Bars, first: int, stop: int) -> None:
    """Refuse a series that could decide anything; NaN is a missing value."""
    for name in sorted(strategy.external_inputs() & set(bars.inputs)):
        values = bars.inputs[name][:stop]
        infinite = np.isinf(values)
        if infinite.any():
            row = int(np.flatnonzero(infinite)[0])
            raise EngineError(
                f"{bars.symbol}: input {name!r} of bar {row} at {instant(bars.ts[row])} is {values[row]}; "
                "it must be finite, or NaN where there is no value"
            )


def _check_known(strategy: AnyStrategy, windows: Sequence[tuple[Bars, int, int]]) -> None:
    """Refuse a series that has no value in the window: of an account, one that no symbol has one of."""
    for name in sorted(strategy.external_inputs()):
        own = [(bars, bars.inputs[name][first:stop]) for bars, first, stop in windows if name in bars.inputs]
        if own and all(np.isnan(values).all() for _, values in own):
            raise EngineError(
                f"{own[0][0].symbol}: input {name!r} has no value on any bar of the window, so strategy "
                f"{strategy.name} could decide nothing; give it values for this time"
            )
