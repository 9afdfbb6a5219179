"""Memory stays where it is, however many runs a process makes."""

from __future__ import annotations

import gc

from whatif.domain.execution import Execution
from whatif.engines import BacktestTask, run_engine
from whatif.strategies import resolve


def test_a_finished_step_run_leaves_nothing_to_collect(walk) -> None:
    bars, spec, cache = walk(1, 150), resolve("sma_crossover"), {}
    costs = Execution(cash=1e5, commission=0.001)

    def run() -> int:
        return len(
            run_engine(
                BacktestTask([bars], spec, spec.validate({"fast": 2, "slow": 5}), costs), "auto", cache
            ).fills
        )

    assert run() > 10
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(50):
            run()
        grown = len(gc.get_objects()) - before
        garbage = gc.collect()
    finally:
        gc.enable()

    # one kept run would be some thousand orders, notifications and executions
    assert grown < 50
    assert garbage < 50
    # and configurations that share a parameter share its array
    assert len(cache) == 3
