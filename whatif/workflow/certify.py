"""Runs the chosen configuration again by Backtrader's broker and compares to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from whatif.engines import run_engine
from whatif.engines.compare import differences
from whatif.errors import RunError
from whatif.runner.load import array_store
from whatif.runner.plan import Plan, WorkItem
from whatif.runner.sweep import task_of
from whatif.workflow.answer import configuration_of
from whatif.workflow.resolve import Resolved
from whatif.workflow.result import Chosen


def certify(plan: Plan, resolved: Resolved, chosen: Chosen) -> str:
    """Return the sentence that says that both brokers agree on the chosen configuration.

    Parameters
    ----------
    plan : Plan
        What the sweep ran with.
    resolved : Resolved
        The study.
    chosen : Chosen
        What it chose, with its figures on validate and test.

    Returns
    -------
    str
        "" if Backtrader's broker ran the sweep itself.

    Raises
    ------
    RunError
        If fills, orders refused, cash or equity differ anywhere, or the stored result is another one.
    """
    if plan.engine != "compiled":
        return ""
    fills, windows = 0, []
    for name in plan.windows:
        figures = _figures(resolved, chosen, name)
        if figures.get("status", "ok") == "ok" and figures:
            fills += sum(
                _compared(plan, resolved, chosen, group, name) for group in _groups(resolved, chosen)
            )
            windows.append(name)
    return (
        f"Certified: Backtrader {version('backtrader')} ran it again on {' and '.join(windows)}; its "
        f"{fills:,} fills, cash and equity at every bar equal the compiled engine's to the last bit."
    )


def _figures(resolved: Resolved, chosen: Chosen, window: str) -> Mapping[str, Any]:
    return chosen.validate if window == resolved.timeline.validate.name else chosen.test


def _groups(resolved: Resolved, chosen: Chosen) -> list[tuple[str, ...]]:
    return [group for group in resolved.portfolios if resolved.pooled or "+".join(group) == chosen.symbol]


def _compared(plan: Plan, resolved: Resolved, chosen: Chosen, group: tuple[str, ...], window: str) -> int:
    """Compare both brokers on one account in one window; return how many fills there were."""
    configuration = configuration_of(resolved, chosen.config_id)
    task = task_of(plan, WorkItem(group, window, (configuration,)), configuration)
    compiled = run_engine(task, "compiled", array_store(plan))
    found = differences(compiled, run_engine(task, "backtrader", array_store(plan)))
    stored = _figures(resolved, chosen, window).get("pnl_net")
    final = float(compiled.equity[-1]) - configuration.execution.cash
    if not resolved.pooled and stored != final:
        found.append(f"pnl_net: {stored!r} (stored), {final!r} (run again)")
    if found:
        raise RunError(
            f"the brokers disagree on the chosen configuration {chosen.config_id} on {'+'.join(group)}, "
            f"{window}: {'; '.join(found[:3])}. None of this study's results can be relied on: run it with "
            "engine: backtrader, and please report this"
        )
    return len(compiled.fills)
