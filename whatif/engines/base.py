"""The seam of engines: what a broker that runs strategies has to say of itself.

An engine declares what it covers, and runs one task, or opens a window for one configuration after the
other. Those that come along stand in packages beside this module, one class each; one of your own is
given to `whatif.backtest` as `module:Name`, and tried with `whatif.testing.check_engine`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from whatif.domain import (
    METRIC_COLUMNS,
    SEMANTICS,
    Account,
    EngineRun,
    Execution,
    Overlays,
    account_of,
)
from whatif.errors import EngineError
from whatif.typing import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from whatif.engines.task import BacktestTask, WindowInputs
    from whatif.indicators import ArrayCache
    from whatif.strategies import AnyStrategy


class UnsupportedStepError(EngineError):
    """An engine covers step functions, and cannot run this one."""


@dataclass(frozen=True, eq=False)
class RunInputs:
    """What one configuration differs in from the others in its window.

    Attributes
    ----------
    params : mapping
        Complete and validated parameters.
    execution : Execution
        Cash, costs and the broker's switches.
    overlays : Overlays
        Exits, sizing and latency laid over a step function's intents.
    members : bool
        Whether bars say on which of them a symbol may be traded; asked before any is there.
    """

    params: Mapping[str, object] = field(default_factory=dict)
    execution: Execution = field(default_factory=Execution)
    overlays: Overlays = field(default_factory=Overlays)
    members: bool = False


@dataclass(frozen=True, eq=False)
class Measured:
    """What comes of one configuration in an opened window.

    Attributes
    ----------
    account : Account
        What its metrics need to know.
    rejected : int
        Orders refused for want of cash.
    run : EngineRun, optional
        Fills, cash and equity at every bar, where the engine had to make them.
    """

    account: Account
    rejected: int
    run: EngineRun | None = None


@dataclass(frozen=True, eq=False)
class MeasuredRuns:
    """What comes of c configurations in an opened window, without their series; k periods.

    Attributes
    ----------
    good : bool array (c,)
        False for those that are to be run for themselves, which says why they fail; nothing else here
        is said of them.
    metrics : mapping of str to array (c,)
        One for each of `whatif.domain.METRIC_KEYS`.
    rejected : int64 array (c,)
        Orders refused for want of cash.
    returns : float64 array (c, k)
        Simple return of each period.
    bars : int
        Bars of the window.
    """

    good: BoolArray
    metrics: Mapping[str, Any]
    rejected: IntArray
    returns: FloatArray
    bars: int

    @classmethod
    def none_of(cls, count: int, periods: int, bars: int) -> MeasuredRuns:
        """Return room for configurations of which none has been run yet."""
        kinds = {"double": np.float64, "bigint": np.int64, "boolean": np.bool_}
        return cls(
            good=np.zeros(count, dtype=np.bool_),
            metrics={name: np.zeros(count, dtype=kinds[kind]) for name, kind in METRIC_COLUMNS.items()},
            rejected=np.zeros(count, dtype=np.int64),
            returns=np.zeros((count, periods)),
            bars=bars,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Periods and bars of the window."""
        return self.returns.shape[1], self.bars

    def put(self, places: IntArray, other: MeasuredRuns) -> None:
        """Write what came of the configurations at these places, (o,), of which `other` tells."""
        self.good[places] = other.good
        for name, values in other.metrics.items():
            self.metrics[name][places] = values
        self.rejected[places] = other.rejected
        self.returns[places] = other.returns


MeasureRuns: TypeAlias = Callable[[Sequence["RunInputs"]], MeasuredRuns]
"""Runs configurations in the window that was opened, all that do not fail."""

Measure: TypeAlias = Callable[[RunInputs], Measured]
"""Runs one configuration in the window that was opened; raises an `EngineError` if it fails."""


def shares_account(strategy: AnyStrategy, several: bool) -> bool:
    """Return whether a strategy is one for an account of symbols, of which there may be one."""
    return several or getattr(strategy, "cross_sectional", False)


class Engine(ABC):
    """A broker that runs a strategy over a window of bars.

    Attributes
    ----------
    name : str
        By which a study asks for it.
    is_reference : bool
        Whether the others have to come to its bytes: fills, cash and equity.
    reuses_windows : bool
        Whether an opened window runs many configurations fast, and nothing that one of them does reaches
        the next. The worker opens one for each configuration if not.
    items_per_core : int
        Work items for each core in a wave: a task has a price, which fast backtests would feel.
    order_fields : collection of str, optional
        Fields of a step's `Order`, beyond code and amount, that it acts on; what breaks a rule is refused on
        its bar (`whatif.engines.orders.refused_order`). None if it knows pairs only: a step
        that may answer with an `Order` is then refused, or falls to the next engine.
    semantics : str
        What its fills mean, which stands in each row of results whose execution does not say otherwise.
    takes_costs : bool
        Whether it reckons by `Execution.costs`; a task that has them is refused if not.
    takes_settings : collection of str
        Settings of `Execution` beyond costs and those that there were first that it acts on: of
        `whatif.domain.SPECIAL_SETTINGS`; a task that has others of them is refused.
    asks_across : bool
        Whether it asks a cross-sectional step once a timestamp for all symbols of an account.
    takes_members : bool
        Whether it leaves a symbol, and opens nothing, where `Bars.member` says that it may not be traded; a
        study with a universe is refused if not.
    tells_notes : bool
        Whether the state that it shows a step says `whatif.strategies.NOTES`; a step that reads them is
        refused if not.
    """

    name: ClassVar[str]
    is_reference: ClassVar[bool] = False
    reuses_windows: ClassVar[bool] = False
    items_per_core: ClassVar[int] = 4
    order_fields: ClassVar[Collection[str] | None] = None
    takes_costs: ClassVar[bool] = False
    takes_settings: ClassVar[Collection[str]] = ()
    semantics: ClassVar[str] = SEMANTICS
    asks_across: ClassVar[bool] = False
    takes_members: ClassVar[bool] = False
    tells_notes: ClassVar[bool] = False

    @abstractmethod
    def run(self, task: BacktestTask, cache: ArrayCache | None = None) -> EngineRun:
        """Run one task; arrays go through the cache, which tasks on the same bars share.

        Raises
        ------
        EngineError
            If the engine does not cover the task, the bars cannot be traded on, an input is missing, the
            strategy raises, or asks for what is no order.
        """

    def rate(self, strategy: AnyStrategy) -> float:
        """Return configuration-bars a second on one core, assumed until the first wave has been timed."""
        return 150_000.0

    def keep_in(self, home: Path) -> None:
        """Keep what the engine makes for later processes in the lake's home, from here on."""
        return

    def load(self) -> None:
        """Import what running a task takes, and checking a study does not."""
        return

    def unsupported(self, strategy: AnyStrategy, shared: bool = False) -> list[str]:
        """Return in words what of a strategy the engine does not cover; empty if it can run it.

        Parameters
        ----------
        strategy : StrategySpec or BacktraderSpec
            The strategy.
        shared : bool
            Whether several symbols share an account.
        """
        return []

    def reasons_against(self, strategy: AnyStrategy, shared: bool = False) -> list[str]:
        """Return what of a strategy the engine does not cover, its orders among it; empty if it can run it.

        Parameters
        ----------
        strategy, shared
            As `unsupported` takes them.
        """
        reasons = self.unsupported(strategy, shared)
        if not self.asks_across and getattr(strategy, "cross_sectional", False):
            reasons = [*reasons, f"{strategy.name}, a cross-sectional step"]
        if self.order_fields is None and strategy.answers_orders:
            reasons = [*reasons, f"the orders of {strategy.name}, which are no pairs of code and amount"]
        notes = getattr(strategy, "notes", ())
        if notes and not self.tells_notes:
            reasons = [*reasons, f"what {strategy.name} reads of its state: {', '.join(sorted(notes))}"]
        return reasons

    def unsupported_settings(self, given: RunInputs, shared: bool = False) -> list[str]:
        """Return in words what of a configuration the engine does not cover; empty if it can run it.

        Parameters
        ----------
        given : RunInputs
            The configuration.
        shared : bool
            Whether several symbols share an account.
        """
        reasons = []
        if given.execution.costs is not None and not self.takes_costs:
            reasons.append("execution: costs")
        others = [name for name in given.execution.special if name not in self.takes_settings]
        if others:
            reasons.append(f"execution: {', '.join(others)}")
        if given.members and not self.takes_members:
            reasons.append("data.universe")
        if given.overlays.exit_orders and self.order_fields is None:
            reasons.append("overlays whose orders wait at the broker")
        return reasons

    def reasons_against_task(self, task: BacktestTask) -> list[str]:
        """Return what of a task the engine does not cover; empty if it can run it."""
        shared = shares_account(task.strategy, len(task.bars) > 1)
        members = any(bars.member is not None for bars in task.bars)
        given = RunInputs(task.params, task.execution, task.overlays, members)
        return [*self.reasons_against(task.strategy, shared), *self.unsupported_settings(given, shared)]

    def prepare(self, strategy: AnyStrategy, kinds: Iterable[RunInputs]) -> None:
        """Make ready what running a strategy needs, before any bar is there.

        Parameters
        ----------
        strategy : StrategySpec or BacktraderSpec
            A strategy that the engine covers.
        kinds : iterable of RunInputs
            One configuration of each kind: with overlays and without, and for each value of a text.

        Raises
        ------
        UnsupportedStepError
            If it cannot be run after all; the line is named.
        """
        return

    def prepare_shared(self, strategy: AnyStrategy, kinds: Iterable[RunInputs]) -> None:
        """Do as `prepare` for an account of several symbols.

        Raises
        ------
        UnsupportedStepError
            As `prepare`.
        """
        self.prepare(strategy, kinds)

    def is_known(self, strategy: AnyStrategy, kinds: Iterable[RunInputs], shared: bool = False) -> bool:
        """Return whether `prepare`, or `prepare_shared`, has made this ready before and refuses nothing.

        Where nothing is run then, nothing has to be made ready.
        """
        return False

    def open(self, window: WindowInputs) -> Measure:
        """Make a window ready, and return what runs a configuration in it.

        Raises
        ------
        EngineError
            If the bars cannot be traded on, or the engine does not cover them.
        """

        def measure(given: RunInputs) -> Measured:
            run = self.checked_run(window.task(given), window.cache)
            return Measured(account_of(run, given.execution, window.periods), run.margin_rejected, run)

        return measure

    def open_for_many(self, window: WindowInputs) -> MeasureRuns | None:
        """Make a window ready, and return what runs many configurations in it by one call.

        Returns
        -------
        callable or None
            None if the engine runs one after the other, as `open` has it.

        Raises
        ------
        EngineError
            As `open`.
        """
        return None

    def checked_run(self, task: BacktestTask, cache: ArrayCache | None = None) -> EngineRun:
        """Run one task that the engine covers, and hold what it gives back to the contract.

        Raises
        ------
        EngineError
            Whatever the engine refuses; also if what comes of it does not cover the window.
        """
        self.refuse(self.reasons_against_task(task))
        found = self.run(task, cache)
        check_run(self.name, task, found)
        return found

    def refuse(self, reasons: Iterable[str]) -> None:
        """Refuse what the engine does not cover; without a reason, do nothing.

        Raises
        ------
        EngineError
            Naming everything.
        """
        named = "; ".join(reasons)
        if named:
            raise EngineError(f"engine {self.name} does not cover {named}: use engine auto or backtrader")


def check_run(name: str, task: BacktestTask, run: EngineRun) -> None:
    """Raise unless a run is one of the task: its symbols, its window, and the engine that made it.

    Raises
    ------
    EngineError
        Naming the engine and the rule.
    """
    if len(task.bars) == 1:
        first, stop = task.rows(task.bars[0])
        if len(run.ts) != stop - first:
            raise EngineError(
                f"engine {name}: {len(run.ts)} rows came of a window of {stop - first} bars: an "
                "engine gives a value for every bar of its window, or says where it ended"
            )
    symbols = tuple(bars.symbol for bars in task.bars)
    if run.symbols != symbols:
        raise EngineError(f"engine {name}: a run of {symbols} is said to be of {run.symbols}")
    if run.engine != name:
        raise EngineError(f"engine {name}: its run is said to be made by engine {run.engine!r}")
