"""An engine against everything there is: the golden cases, then random ones beside Backtrader."""

from __future__ import annotations

from collections.abc import Iterator

from whatif.engines import run_engine
from whatif.testing.cases import random_case
from whatif.testing.compare import task_differences
from whatif.testing.golden import GOLDEN, golden_differences
from whatif.testing.orders import scripted, state_reader


def all_differences(engine: str, cases: int = 200) -> Iterator[str]:
    """Yield for each case in which an engine errs, or differs from Backtrader, what is wrong.

    Parameters
    ----------
    engine : str
        The engine to examine.
    cases : int
        Random cases after the golden ones.
    """
    for golden in GOLDEN:
        if golden.shares_account and engine == "compiled":
            continue
        found = golden_differences(golden, run_engine(golden.task, engine))
        if found:
            yield f"{golden.name}: {'; '.join(found)}"
    for seed in range(cases):
        task = random_case(seed).task(state_reader if seed % 2 else scripted)
        found = task_differences(task, "backtrader", engine)
        if found:
            yield f"random_case({seed}): {'; '.join(found)}"


def first_difference(engine: str = "compiled", cases: int = 200) -> str:
    """Return the first thing that is wrong with an engine, or ""."""
    return next(all_differences(engine, cases), "")
