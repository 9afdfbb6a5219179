"""The trial of a step: some hundred bars, in Python and in machine code, before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from whatif.domain import Bars
from whatif.engines.compare import differences
from whatif.engines.select import REFERENCE, get_engine
from whatif.engines.task import BacktestTask
from whatif.errors import EngineError, LookAheadError, StrategyError
from whatif.strategies import StrategySpec

TRIAL_BARS = 300
"""Bars that a step is tried on."""

MAX_TRIED = 6
"""Configurations that a step is tried with."""


TRIAL_FAILED = f"the step was tried on up to {TRIAL_BARS} bars before the run, and fails"


def try_step(tasks: Sequence[BacktestTask], engine: str) -> list[str]:
    """Run a step with each of some configurations on some hundred bars, and return what failed of it.

    In Python by Backtrader's broker, and by the engine that is to run it: both have to come to the same
    bytes.

    Parameters
    ----------
    tasks : sequence of BacktestTask
        One for each configuration, on the first `TRIAL_BARS` bars of a window.
    engine : str
        Name of the engine that will run it.

    Returns
    -------
    list of str
        What the step raised with some of the configurations.

    Raises
    ------
    LookAheadError
        If it looks ahead with one of them.
    StrategyError
        If it raises with all of them, answers with what is no intent, or is not the same on
        that engine.
    """
    failed: list[str] = []
    for task in tasks:
        try:
            _compare(task, engine)
        except LookAheadError as error:
            raise LookAheadError(f"{TRIAL_FAILED}: {error}") from error
        except EngineError as error:
            failed.append(str(error))
            if _is_no_intent(error) or len(failed) == len(tasks):
                raise StrategyError(f"{TRIAL_FAILED}: {error}") from error
    return failed


def _is_no_intent(error: EngineError) -> bool:
    return "must return an intent" in str(error) or "returned the intent" in str(error)


def _compare(task: BacktestTask, engine: str) -> None:
    plain = REFERENCE.checked_run(task)
    chosen = get_engine(engine)
    if chosen.is_reference:
        return
    found = differences(plain, chosen.checked_run(task))
    if found:
        shown = ", ".join(f"{name}={value}" for name, value in task.params.items())
        raise StrategyError(
            f"strategy {task.strategy.name} with {shown or 'no parameters'}: its step is not the same on "
            f"engine {engine} as in Python ({found[0]}): set engine: backtrader, which runs it in Python, "
            "and please report the step"
        )


def with_drawn_inputs(spec: StrategySpec, bars: Bars) -> Bars:
    """Return bars with what a step needs from models, which there are none of yet, drawn."""
    missing = sorted(spec.external_inputs() - set(bars.inputs))
    rng = np.random.default_rng(0)
    return bars.with_inputs({name: rng.normal(0.0, 0.002, len(bars)) for name in missing})


def outermost(params: Sequence[Mapping[str, object]]) -> list[int]:
    """Return which of many parameters differ most: the first, the last, and each one's least and greatest."""
    chosen = {0, len(params) - 1}
    for name in params[0]:
        values: list[Any] = [given[name] for given in params]
        if len(set(values)) > 1:
            chosen |= {values.index(min(values)), values.index(max(values))}
    return sorted(chosen)
