"""Choice of the runner of a study's backtests, with its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from whatif.engines import get_engine
from whatif.lake import create_tables
from whatif.pins import LakeLocation
from whatif.resolve import Resolved, Session
from whatif.results import Pending
from whatif.runner import LocalRunner, Runner, SparkRunner, drop_forker, total_cost
from whatif.session import task_slots
from whatif.strategies import from_portable
from whatif.workflow.where import check_runner, reason_for_spark, runner_asked

__all__ = ["MAX_LOCAL_SECONDS", "RunnerQuestion", "check_runner", "choose_runner", "runner_asked"]

MAX_LOCAL_SECONDS = 60.0
"""Longest run, as estimated for the cores of this machine, that is not given to Spark."""

MANY_ROUNDS = 10
"""Rounds of a search from which on processes stay that have read the bars, however short each round is."""

SHORT_SECONDS = 5.0
"""Longest run that is done by children of this process; a pool's own would take as long to start."""


@dataclass(frozen=True)
class RunnerQuestion:
    """What the choice of a runner depends on.

    Attributes
    ----------
    asked : str
        "auto", "local" or "spark".
    location : LakeLocation
        Where the lake is.
    resolved : Resolved
        The study.
    has_session : bool
        Whether the caller gave a Spark session.
    """

    asked: str
    location: LakeLocation
    resolved: Resolved
    has_session: bool


def choose_runner(
    question: RunnerQuestion,
    pending: Sequence[Pending],
    session: Session,
    meanwhile: Callable[[], None],
) -> tuple[Runner, str]:
    """Return the runner of a study's backtests, and a line that says which one it is and why.

    Both give the same rows. "auto" takes the local one where the lake is local, nobody has started Spark,
    and the work should take less than `MAX_LOCAL_SECONDS` on this machine's cores.

    Parameters
    ----------
    question : RunnerQuestion
        What was asked, and of what.
    pending : sequence of Pending
        The backtests that are missing.
    session : callable
        Gives Spark, which is asked for only if it is chosen.
    meanwhile : callable
        What this process can do while the local runner computes.

    Raises
    ------
    RunError
        If the local runner is asked for on a lake in a catalog service.
    """
    location, resolved = question.location, question.resolved
    reason = reason_for_spark(question.asked, location, question.has_session)
    local = LocalRunner(location)
    engine = get_engine(resolved.checked.engine)
    seconds = total_cost(pending) / (engine.rate(from_portable(resolved.portable)) * local.slots())
    if not reason and question.asked == "auto" and seconds > MAX_LOCAL_SECONDS:
        reason = f"about {seconds:,.0f} s of work on this machine"
    if not reason:
        create_tables(None, location)
        local.short, local.meanwhile = (
            seconds <= SHORT_SECONDS and not _many_rounds(resolved, pending),
            meanwhile,
        )
        cores = f"{local.slots()} core{'s' if local.slots() != 1 else ''}"
        return local, f"runner local: about {max(1, round(seconds)):,} s on {cores}, no JVM"
    drop_forker()  # of no use beside Spark's own workers
    spark = session()
    return SparkRunner(spark, location, lambda: task_slots(spark)), f"runner spark: {reason}"


def _many_rounds(resolved: Resolved, pending: Sequence[Pending]) -> bool:
    """Whether a search asks for so little in its first round that many more are to come."""
    if not resolved.study.search.learns:
        return False
    first = {one.config_id for part in pending for one in part.configurations}
    return resolved.count >= MANY_ROUNDS * len(first)
