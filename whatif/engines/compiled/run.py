"""The compiled engine: one task after the other."""

from __future__ import annotations

from whatif.domain import EngineRun, positions
from whatif.engines.base import BacktestTask, check_task
from whatif.engines.compiled.cover import not_covered, refuse
from whatif.engines.compiled.refusal import StepRaisedError
from whatif.engines.compiled.stage import Part, Stage, fills_of
from whatif.indicators import ArrayCache
from whatif.strategies import StrategySpec


def run(task: BacktestTask, cache: ArrayCache | None = None) -> EngineRun:
    """Run one task with the compiled broker.

    Parameters
    ----------
    task : BacktestTask
        What to run: one symbol.
    cache : mutable mapping, optional
        Holds arrays that tasks on the same bars share.

    Raises
    ------
    EngineError
        If the broker does not cover the task, the bars cannot be traded on, an input is missing,
        the step cannot be compiled, raises, or returns what is no intent.
    """
    check_task(task)
    refuse(not_covered(task.strategy, len(task.bars) > 1))
    assert isinstance(task.strategy, StrategySpec)
    bars = task.bars[0]
    first, stop = task.rows(bars)
    stage = Stage(task.strategy, bars, first, stop, cache=cache)
    try:
        outcome, book = stage.play(Part(task.params, task.execution, task.overlays), series=True)
    except StepRaisedError:
        # machine code does not say on which bar; the same step in Python does
        from whatif.engines.backtrader.run import run as run_backtrader

        run_backtrader(task, cache)
        raise
    fills = fills_of(outcome, book)
    return EngineRun(
        symbols=(bars.symbol,),
        ts=stage.ts,
        fills=fills,
        equity=book.equity,
        position=positions(fills, 1, stop - first),
        close=bars.close[None, first:stop].copy(),
        margin_rejected=outcome.rejected,
        engine="compiled",
        cash=book.cash,
    )
