"""The compiled engine: what it covers, one task after the other, and many in one window."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from whatif.domain import SPECIAL_SETTINGS, EngineRun, Periods, sources_digest
from whatif.engines.base import Engine, Measure, Measured, MeasureRuns, RunInputs, shares_account
from whatif.engines.task import BacktestTask, WindowInputs, check_task, check_window
from whatif.indicators import ArrayCache
from whatif.strategies import ORDER_FIELDS, AnyStrategy, StrategySpec

if TYPE_CHECKING:
    from whatif.engines.compiled.shared_window import SharedWindow
    from whatif.engines.compiled.window import PreparedWindow


class CompiledEngine(Engine):
    """What Backtrader's broker does with a step's orders, in machine code."""

    name = "compiled"
    reuses_windows = True
    items_per_core = 2
    order_fields = ORDER_FIELDS
    takes_costs = True
    takes_settings = SPECIAL_SETTINGS
    asks_across = True
    takes_members = True
    tells_notes = True

    def rate(self, strategy: AnyStrategy) -> float:
        """Return configuration-bars a second on one core, assumed until the first wave has been timed."""
        return 50_000_000.0

    def unsupported(self, strategy: AnyStrategy, shared: bool = False) -> list[str]:
        """Return why it cannot run a strategy: it is no step function."""
        if isinstance(strategy, StrategySpec):
            return []
        return [f"{strategy.name} is an ordinary backtrader.Strategy, not a step function"]

    def load(self) -> None:
        """Import numba's compiler and the loop."""
        import whatif.engines.compiled.window  # noqa: F401

    def keep_in(self, home: Path) -> None:
        """Keep machine code in the folder `kernels` of the lake's home, unless another one is named."""
        from whatif.engines.compiled.folder import keep_kernels_in

        keep_kernels_in(home)

    def prepare(self, strategy: AnyStrategy, kinds: Iterable[RunInputs]) -> None:
        """Compile a strategy's kernels, or find them on disk, and load them with the loop around them.

        Raises
        ------
        UnsupportedStepError
            If numba cannot compile the step; the line is named.
        EngineError
            If no folder for kernels can be written to.
        """
        assert isinstance(strategy, StrategySpec)  # it covers nothing else
        asked = list(kinds)
        if not asked:
            return
        self._compile(strategy, asked)
        if not strategy.cross_sectional:
            from whatif.engines.compiled.columns import is_special
            from whatif.engines.compiled.window import load_loop

            for given in {is_special(given): given for given in asked}.values():
                load_loop(strategy, given)
        self._note(strategy, asked, shared=False)

    def _compile(self, strategy: StrategySpec, asked: Sequence[RunInputs]) -> None:
        # imported here, and below: numba and the kernels are not needed to refuse or to rank a study
        from whatif.engines.compiled.window import compile_ahead

        for given in asked:
            compile_ahead(strategy, given.params, given.overlays, given.members)

    def prepare_shared(self, strategy: AnyStrategy, kinds: Iterable[RunInputs]) -> None:
        """Compile a strategy's kernels for one symbol, on which it is tried, and for several.

        Raises
        ------
        UnsupportedStepError, EngineError
            As `prepare`.
        """
        assert isinstance(strategy, StrategySpec)
        asked = list(kinds)
        if not asked:
            return
        from whatif.engines.compiled.shared_window import compile_shared_ahead

        self._compile(strategy, asked)
        for given in asked:
            compile_shared_ahead(strategy, given.params, given.overlays, given.members)
        self._note(strategy, asked, shared=True)

    def is_known(self, strategy: AnyStrategy, kinds: Iterable[RunInputs], shared: bool = False) -> bool:
        """Return whether these kernels were compiled, or found on disk, by this package and this numba.

        Raises
        ------
        EngineError
            If no folder for kernels can be written to.
        """
        from whatif.engines.compiled.folder import is_compilable

        assert isinstance(strategy, StrategySpec)
        return is_compilable(_digest_of(strategy, list(kinds), shared))

    def _note(self, strategy: StrategySpec, asked: Sequence[RunInputs], shared: bool) -> None:
        from whatif.engines.compiled.folder import is_compilable, note_compilable

        digest = _digest_of(strategy, asked, shared)
        if not is_compilable(digest):
            note_compilable(digest)

    def run(self, task: BacktestTask, cache: ArrayCache | None = None) -> EngineRun:
        """Run one task, of one symbol or of several that share an account.

        Raises
        ------
        EngineError
            If the bars cannot be traded on, an input is missing, the step cannot be compiled, raises,
            or returns what is no intent.
        """
        from whatif.engines.compiled.measure import run_of
        from whatif.engines.compiled.refusal import StepRaisedError
        from whatif.engines.compiled.window import PreparedWindow

        check_task(task)
        self.refuse(self.reasons_against_task(task))
        assert isinstance(task.strategy, StrategySpec)
        given = RunInputs(task.params, task.execution, task.overlays)
        first, stop = task.rows(task.bars[0])
        try:
            if shares_account(task.strategy, len(task.bars) > 1):
                return _shared_window(task, task.strategy, cache=cache).engine_run(given)
            prepared = PreparedWindow(task.strategy, task.bars[0], first, stop, cache=cache)
            found = prepared.run(given, series=True)
        except StepRaisedError:
            # machine code does not say on which bar; the same step in Python does
            from whatif.engines.backtrader.across import run_across
            from whatif.engines.backtrader.steps import run_steps

            if task.strategy.cross_sectional:
                run_across(task, task.strategy, cache)
            run_steps(task, task.strategy, cache)
            raise
        return run_of(prepared.bars, first, stop, *found)

    def open(self, window: WindowInputs) -> Measure:
        """Make a window ready, and return what runs a configuration in it, without its series.

        Raises
        ------
        EngineError
            If the bars cannot be traded on, or the engine does not cover them.
        """
        if window.series:
            return super().open(window)
        from whatif.engines.compiled.refusal import StepRaisedError

        prepared = self._prepared(window)

        def measure(given: RunInputs) -> Measured:
            shared = shares_account(prepared.spec, len(window.bars) > 1)
            self.refuse(self.unsupported_settings(given, shared))
            try:
                return prepared.measure(given)
            except StepRaisedError:
                # alone, and by an engine that says on which bar
                self.run(window.task(given), window.cache)
                raise

        return measure

    def open_for_many(self, window: WindowInputs) -> MeasureRuns:
        """Make a window ready, and return what runs many configurations in it, without their series.

        Raises
        ------
        EngineError
            If the bars cannot be traded on, or the engine does not cover them.
        """
        return self._prepared(window).measure_runs

    def _prepared(self, window: WindowInputs) -> PreparedWindow | SharedWindow:
        from whatif.engines.compiled.window import PreparedWindow

        task = window.task(RunInputs())
        check_window(task)
        self.refuse(self.unsupported(task.strategy, len(task.bars) > 1))
        spec, bars = task.strategy, task.bars[0]
        assert isinstance(spec, StrategySpec)
        if shares_account(spec, len(task.bars) > 1):
            return _shared_window(task, spec, window.periods, window.cache)
        return PreparedWindow(spec, bars, *task.rows(bars), window.periods, window.cache, window.grid)


def _shared_window(
    task: BacktestTask,
    spec: StrategySpec,
    periods: Periods | None = None,
    cache: ArrayCache | None = None,
) -> SharedWindow:
    from whatif.engines.compiled.shared_window import SharedWindow

    ranges = [task.rows(bars) for bars in task.bars]
    return SharedWindow(spec, task.bars, ranges, task.bar_us, periods, cache)


def _digest_of(strategy: StrategySpec, asked: Sequence[RunInputs], shared: bool) -> str:
    """Return a digest of all that decides whether kernels can be compiled."""
    kinds = [
        (
            [(name, value if isinstance(value, str) else type(value)) for name, value in one.params.items()],
            (one.overlays.is_on or one.members, one.overlays.exit_orders),
        )
        for one in asked
    ]
    software = version("numba"), sys.version, sources_digest()
    return hashlib.sha256(repr((strategy.digest, kinds, shared, software)).encode()).hexdigest()[:32]
