"""Sweep of a work item's configurations, in windows that its engine opens, and of the market that is held."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from whatif.domain import Bars, Execution, Periods, period_rows
from whatif.engines import (
    BacktestTask,
    Measure,
    Measured,
    MeasuredRuns,
    MeasureRuns,
    RunInputs,
    WindowInputs,
    account_rows,
    explained,
    get_engine,
)
from whatif.errors import MachineError, out_of_memory
from whatif.pins import PriceJump, price_jumps
from whatif.runner.load import array_store, check_has_bars, compiled_of, forget, load_bars, renew, strategy_of
from whatif.runner.plan import Plan, WorkItem
from whatif.search import Configuration
from whatif.splits import Window
from whatif.stats import BuyAndHold, FirstBar, Holding, buy_and_hold, hold_shares
from whatif.typing import FloatArray

if TYPE_CHECKING:
    from whatif.results import ResolvedStudy


_key: Callable[[Configuration], tuple[Any, ...]] = attrgetter(
    "timeframe", "execution.fill_timeframe", "model", "fold", "market"
)
"""Returns what configurations have in common that run in one window."""


class Sweep:
    """Runs the configurations of one item in windows that its engine opens, and shares what they share.

    Parameters
    ----------
    plan : Plan
        What all items share.
    item : WorkItem
        Its configurations, on one symbol or on those that share an account.
    """

    def __init__(self, plan: Plan, item: WorkItem) -> None:
        self.plan, self.item = plan, item
        self.window = plan.windows[item.window]
        # series are asked of few backtests, each of which is then run for itself
        self._reuses = get_engine(plan.engine).reuses_windows and not item.keep
        self._opened: dict[Any, tuple[WindowInputs, Measure]] = {}
        self._for_many: dict[Any, tuple[WindowInputs, MeasureRuns | None]] = {}
        self._holdings: dict[Any, BuyAndHold] = {}

    def measure(self, configuration: Configuration) -> tuple[Measured, BuyAndHold]:
        """Run one configuration; return what came of it, and what holding would have given.

        Raises
        ------
        WhatIfError
            Whatever is wrong with it, with the bar on which its step raised.
        """
        key = _key(configuration)
        if key not in self._opened:
            self._opened[key] = self._open(configuration)
        window, run = self._opened[key]
        try:
            given = _inputs_of(configuration)
            found = run(given)
        finally:
            if not self._reuses:
                self._opened.clear()
                renew(self.plan.strategy)
        if found.run is not None and self.item.keep:
            found = replace(found, run=explained(window.task(given), found.run))
        return found, self._holding(key, configuration, window, found)

    def measure_many(
        self, configurations: Sequence[Configuration]
    ) -> tuple[MeasuredRuns, list[BuyAndHold]] | None:
        """Run configurations by as few calls as their engine can.

        Returns
        -------
        MeasuredRuns, list of BuyAndHold
            What came of them, and what holding would have given, of those that are good; the others
            fail, or have something that is wrong with it, and `measure` says what. None if the engine
            runs one after the other.

        Raises
        ------
        MachineError
            If what they need cannot be read.
        """
        places: dict[Any, list[int]] = {}
        for place, key in enumerate(map(_key, configurations)):
            places.setdefault(key, []).append(place)
        whole: MeasuredRuns | None = None
        held: dict[int, BuyAndHold] = {}
        for key, mine in places.items():
            many = [configurations[k] for k in mine]
            try:
                window, run = self._opened_for_many(key, many[0])
                if run is None:
                    return None
                found = run([_inputs_of(one) for one in many])
                good = np.flatnonzero(found.good).tolist()
                executions = {id(many[k].execution): many[k].execution for k in good}
                each = {k: self._held(key, window, execution) for k, execution in executions.items()}
                # nothing fails any more: what is good has its holding
                if many[0].market:  # of many markets, each is held while it is run
                    del self._for_many[key]
                if len(places) == 1:
                    return found, [each[id(many[k].execution)] for k in good]
                whole = whole or MeasuredRuns.none_of(len(configurations), *found.shape)
                whole.put(np.array(mine), found)
                held |= {mine[k]: each[id(many[k].execution)] for k in good}
            except MachineError:
                raise
            except Exception as error:  # each of them for itself says what is wrong
                if out_of_memory(error):
                    forget()
                    self._for_many.clear()
        return None if whole is None else (whole, [held[k] for k in sorted(held)])

    def _opened_for_many(
        self, key: Any, configuration: Configuration
    ) -> tuple[WindowInputs, MeasureRuns | None]:
        if key not in self._for_many:
            window = replace(self._window(configuration), strategy=compiled_of(self.plan.strategy))
            self._for_many[key] = window, get_engine(self.plan.engine).open_for_many(window)
        return self._for_many[key]

    def _open(self, configuration: Configuration) -> tuple[WindowInputs, Measure]:
        window = self._window(configuration)
        return window, get_engine(self.plan.engine).open(window)

    def _window(self, configuration: Configuration) -> WindowInputs:
        return replace(
            window_of(self.plan, self.item, configuration),
            cache=array_store(self.plan),
            grid=self._grids[_key(configuration)],
            series=self.item.keep,
        )

    @cached_property
    def _grids(self) -> Mapping[Any, list[Mapping[str, Any]]]:
        """Parameters of the configurations that run in each window: of many markets, each has few."""
        found: dict[Any, list[Mapping[str, Any]]] = {}
        for one, key in zip(self.item.configurations, map(_key, self.item.configurations), strict=True):
            found.setdefault(key, []).append(one.params)
        return found

    def _holding(
        self, key: Any, configuration: Configuration, window: WindowInputs, found: Measured
    ) -> BuyAndHold:
        """Return the benchmark: of a run with its series, on those; one for many where there are none."""
        execution, periods = configuration.execution, window.periods
        if found.run is not None:
            return buy_and_hold(found.run, window.bars, execution, periods)
        return self._held(key, window, execution)

    def _held(self, key: Any, window: WindowInputs, execution: Execution) -> BuyAndHold:
        if (key, execution) not in self._holdings:
            ranges = [window.task(RunInputs()).rows(one) for one in window.bars]
            if len(window.bars) > 1:
                ts, closes = account_rows(list(window.bars), ranges, window.bar_us)
                held = hold_shares(ts, closes, window.bars, execution, window.periods)
            else:
                held = _held(window.bars[0], ranges[0], execution, window.periods).at(1.0)
            # of many, only figures are kept
            self._holdings[key, execution] = replace(held, equity=np.empty(0))
        return self._holdings[key, execution]


def market_returns(
    plan: Plan, resolved: ResolvedStudy, window: Window, configuration: Configuration, symbols: Sequence[str]
) -> FloatArray:
    """Return what holding some symbols with all of the account gives in each period of a window.

    The same market as `whatif.stats.benchmark.buy_and_hold` has, so that a page holds one of it.

    Parameters
    ----------
    plan : Plan
        Where the bars are.
    resolved : ResolvedStudy
        The study.
    window : Window
        The window.
    configuration : Configuration
        Its timeframe says which bars, its execution what the one purchase costs.
    symbols : sequence of str
        Held in equal shares: bought once in a shared portfolio; of separate accounts that are pooled,
        made equal again after each period, as their returns are.

    Returns
    -------
    float64 array (periods,)
        Simple returns, the first from the cash before the purchase; 0 where a symbol has no bar yet.
    """
    periods = resolved.periods[window.name]
    bar_us = resolved.slices[configuration.timeframe].bar_us
    plain = replace(configuration, model=None)  # bars alone, no predictions
    held = np.zeros((len(symbols), len(periods)))
    for k, symbol in enumerate(symbols):
        bars = load_bars(plan, symbol, window.name, plain, may_lack=True)
        first, _ = window.rows(bars, bar_us)
        rows = (first, len(bars))
        if first < len(bars):
            held[k] = _held(bars, rows, configuration.execution, periods).returns(1.0)
    if resolved.study.portfolio != "shared":
        return np.asarray(held.mean(axis=0))
    levels = np.cumprod(np.column_stack([np.ones(len(symbols)), 1.0 + held]), axis=1).mean(axis=0)
    return np.asarray(levels[1:] / levels[:-1] - 1.0)


def unadjusted(
    plan: Plan, windows: Iterable[Window], configuration: Configuration, symbols: Sequence[str]
) -> list[str]:
    """Return a line for each symbol whose bars jump as at a split that they are not adjusted for.

    Parameters
    ----------
    plan : Plan
        Where the bars are.
    windows : iterable of Window
        The bars that are looked at, as `configuration` runs on them.
    configuration : Configuration
        Its timeframe says which bars.
    symbols : sequence of str
        Whose.
    """
    plain = replace(configuration, model=None)
    bar_us = plan.slices[configuration.timeframe].bar_us
    told = []
    for symbol in symbols:
        found: dict[date, PriceJump] = {}
        for window in windows:
            bars = load_bars(plan, symbol, window.name, plain, may_lack=True)
            own = bars.take(slice(window.rows(bars, bar_us)[0], len(bars)))
            found |= {jump.session: jump for jump in price_jumps(symbol, own) if jump.ratio}
        if found:
            told.append(_as_at_split([found[day] for day in sorted(found)], plan.bars.adjustment is not None))
    return told


def _as_at_split(jumps: Sequence[PriceJump], adjusted: bool) -> str:
    first, more = jumps[0], f", and {len(jumps) - 1} more like it" if len(jumps) > 1 else ""
    known = "by splits that the lake knows " if adjusted else ""
    remedy = (
        "a move of the market, or a split that is missing"
        if adjusted
        else "'whatif ingest-actions FILE' brings splits, 'adjust: splits' in the study's data uses them"
    )
    return (
        f"{first.symbol} is not adjusted {known}for what looks like a split of {first.ratio} on "
        f"{first.session} (closed at {first.close:,.6g}, opened at {first.open:,.6g}){more}. "
        f"If it is one, strategy and hold win or lose there what nobody did: {remedy}"
    )


def _held(bars: Bars, rows: tuple[int, int], execution: Execution, periods: Periods) -> Holding:
    first, stop = rows
    ends = period_rows(bars.ts[first:stop], periods)
    bought = FirstBar.of(bars, first)
    return Holding(bought, bars.close[first:stop], ends, execution, periods)


def window_of(plan: Plan, item: WorkItem, configuration: Configuration) -> WindowInputs:
    """Return an item's window as an engine opens it, with the bars that a configuration runs on."""
    bars = [load_bars(plan, symbol, item.window, configuration, may_lack=True) for symbol in item.symbols]
    check_has_bars(bars, plan, item.window, configuration)
    return WindowInputs(
        bars=bars,
        strategy=strategy_of(plan.strategy),
        periods=plan.windows[item.window].periods,
        start=plan.windows[item.window].window.start_us,
        bar_us=plan.slices[configuration.timeframe].bar_us,
    )


def task_of(plan: Plan, item: WorkItem, configuration: Configuration) -> BacktestTask:
    """Return a configuration of an item as an engine takes it."""
    return window_of(plan, item, configuration).task(_inputs_of(configuration))


def _inputs_of(configuration: Configuration) -> RunInputs:
    return RunInputs(configuration.params, configuration.execution, configuration.overlays)
