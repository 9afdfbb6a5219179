"""The engines that there are, and the choice of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from whatif.domain import EngineRun
from whatif.engines.backtrader.engine import BacktraderEngine
from whatif.engines.base import Engine, RunInputs, UnsupportedStepError, shares_account
from whatif.engines.compiled.engine import CompiledEngine
from whatif.engines.exits import explained
from whatif.engines.task import BacktestTask
from whatif.errors import EngineError, PluginError, nearest
from whatif.indicators import ArrayCache
from whatif.plugins import Seam
from whatif.strategies import AnyStrategy

AUTO = "auto"
"""Name of the choice: the first engine that covers a strategy."""

REFERENCE: Engine = BacktraderEngine()
"""The engine whose bytes the others have to come to. It covers everything."""

_AUTOMATIC: tuple[Engine, ...] = (CompiledEngine(), REFERENCE)

SEAM = Seam("whatif.engines", Engine, "engine", {engine.name: type(engine) for engine in _AUTOMATIC})

ENGINES = (AUTO, *sorted(SEAM.built_in))
"""Names of the engines there are."""


@lru_cache(maxsize=32)
def get_engine(name: str) -> Engine:
    """Return the engine of a name: one that comes along, installed, or `module:Name`.

    Raises
    ------
    EngineError
        If there is none of this name.
    PluginError
        If it cannot be imported, or is no engine.
    """
    try:
        engine: Engine = SEAM.find(name)()
    except PluginError as error:
        if ":" in name:
            raise
        raise EngineError(f"engine {name!r} is unknown; {nearest(name, ENGINES)}") from error
    except TypeError as error:
        raise PluginError(f"engine {name!r} cannot be made: {error}") from error
    return engine


def choose_engine(
    name: str,
    strategy: AnyStrategy,
    shared: bool = False,
    kinds: Iterable[RunInputs] = (),
    prepares: bool = True,
) -> tuple[Engine, str]:
    """Return the engine that runs a strategy, and why not one before it if the choice was left.

    Parameters
    ----------
    name : str
        An engine's, or "auto".
    strategy : StrategySpec or BacktraderSpec
        The strategy.
    shared : bool
        Whether several symbols share an account.
    kinds : iterable of RunInputs
        One configuration of each kind that the engine has to cover, and to make something ready for.
    prepares : bool
        Whether it makes that ready now, unless that was done before (`Engine.is_known`).

    Raises
    ------
    EngineError
        If the engine that was named does not cover the strategy.
    """
    asked = tuple(kinds)
    made = asked if prepares else ()
    if name != AUTO:
        engine = get_engine(name)
        engine.refuse(_reasons_against(engine, strategy, shared, asked))
        _make_ready_once(engine, strategy, shared, made)
        return engine, ""
    against: list[str] = []
    for engine in _AUTOMATIC:
        reasons = _reasons_against(engine, strategy, shared, asked)
        if not reasons:
            try:
                _make_ready_once(engine, strategy, shared, made)
            except UnsupportedStepError as error:
                reasons = [str(error)]
            else:
                break
        against += reasons
    return engine, "; ".join(against)


def make_ready(engine: Engine, strategy: AnyStrategy, shared: bool, kinds: Iterable[RunInputs]) -> None:
    """Make ready what running a strategy needs, on one symbol or on several that share an account.

    Raises
    ------
    UnsupportedStepError
        If it cannot be run after all; the line is named.
    """
    (engine.prepare_shared if shared else engine.prepare)(strategy, kinds)


def _make_ready_once(engine: Engine, strategy: AnyStrategy, shared: bool, kinds: Sequence[RunInputs]) -> None:
    """Do as `make_ready`, unless that is known to refuse nothing."""
    if not (kinds and engine.is_known(strategy, kinds, shared)):
        make_ready(engine, strategy, shared, kinds)


def _reasons_against(
    engine: Engine, strategy: AnyStrategy, shared: bool, kinds: Iterable[RunInputs]
) -> list[str]:
    """Return what of a strategy and its configurations an engine does not cover, each thing once."""
    account = shares_account(strategy, shared)
    of_settings = [reason for given in kinds for reason in engine.unsupported_settings(given, account)]
    return [*engine.reasons_against(strategy, shared), *dict.fromkeys(of_settings)]


def run_engine(task: BacktestTask, engine: str = AUTO, cache: ArrayCache | None = None) -> EngineRun:
    """Run one task with the engine of a name; "auto" takes the first that can.

    Raises
    ------
    EngineError
        Whatever the engine refuses; also if what it gives back does not cover the window.
    """
    if engine != AUTO:
        chosen = get_engine(engine)
        return explained(task, chosen.checked_run(task, cache))
    for tried in _AUTOMATIC[:-1]:
        if not tried.reasons_against_task(task):
            try:
                return explained(task, tried.checked_run(task, cache))
            except UnsupportedStepError:
                pass
    last = _AUTOMATIC[-1]
    return explained(task, last.checked_run(task, cache))


def load_all() -> None:
    """Import what running a task takes, whichever engine may run it."""
    for engine in _AUTOMATIC:
        engine.load()


def keep_in(home: str | Path) -> None:
    """Let the engines of this process keep what they make for later ones in the lake's home."""
    for engine in _AUTOMATIC:
        engine.keep_in(Path(home))
