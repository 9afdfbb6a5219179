"""Waves in flight: the next one begins as soon as cores have nothing left to begin.

A wave waits for its last task, and a configuration may cost many times its estimate. While it
runs, the other cores would idle for as long as it takes; a wave that is overdue and has no task
left to begin is therefore given company: the next wave. That is the right measure for this work:

- Smaller items alone do not help, since a configuration cannot be cut, and a task has a price.
- Speculation (`spark.speculation`, off) runs the task a second time: what is slow on one core is
  as slow on another. It may be turned on against slow machines; rows are stored once all the same.
- A time limit changes results, so only a user may set one (`RunOptions.time_limit`).

Which wave a backtest runs in, and beside which, changes no result. What waves cost a kill: the one
whose rows are being stored, and those under way, of which there is one as long as nothing is overdue.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import uuid4

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MAX_AT_ONCE = 8
"""Waves that may be under way at once: rows of all of them are lost by a kill."""

OVERDUE = 1.25
SECONDS_ALLOWED = 2.0
"""A wave is overdue after so many times what it should take, and so many seconds."""

POOL = "backtests"
"""Scheduler pool of waves: where Spark shares cores fairly, a commit need not queue behind them."""

_POLL_SECONDS = 0.25

T = TypeVar("T")


@dataclass(eq=False)
class Wave(Generic[T]):
    """A wave under way.

    Attributes
    ----------
    wave : T
        What was given to `WavesInFlight.start`.
    tasks : int
        Spark tasks that compute it.
    expected : float
        Seconds that it should take.
    alone : bool
        Whether no other one has run beside it so far.
    """

    wave: T
    tasks: int
    expected: float
    alone: bool
    future: Future[Any]
    group: str
    began: float = field(default_factory=time.perf_counter)

    def result(self) -> Any:
        """Return what computing it gave, or raise what it raised."""
        return self.future.result()


class WavesInFlight(Generic[T]):
    """The waves under way, each computed by a thread and as a Spark job group of its own.

    Leaving the block cancels what is still running.

    Parameters
    ----------
    spark : SparkSession or None
        The session, if it is Spark that computes; of one that has no context (Spark Connect) only times
        are known.
    at_once : int
        Waves that may be under way at once.
    cancel : callable
        Ends what is computed outside of Spark, if the block is left before that is done.
    """

    def __init__(
        self,
        spark: SparkSession | None,
        at_once: int = MAX_AT_ONCE,
        cancel: Callable[[], None] = lambda: None,
    ) -> None:
        self._context = None if spark is None else _context(spark)
        self._cancel = cancel
        self._at_once = at_once
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="wave")
        self._flying: list[Wave[T]] = []

    def __enter__(self) -> WavesInFlight[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._flying:
            # the context may be gone, which is why this block is left
            with suppress(Exception):
                if self._context is not None:
                    self._context.cancelJobGroup(one.group)
        if self._flying:
            self._cancel()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def __bool__(self) -> bool:
        return bool(self._flying)

    @property
    def waves(self) -> list[T]:
        """The waves under way, in the order in which they began."""
        return [one.wave for one in self._flying]

    def start(self, wave: T, tasks: int, expected: float, compute: Callable[[], Any]) -> None:
        """Begin to compute a wave of so many tasks that should take `expected` seconds."""
        for other in self._flying:
            other.alone = False
        group = f"whatif-wave-{uuid4().hex}"
        future = self._threads.submit(self._compute, group, compute)
        self._flying.append(Wave(wave, tasks, expected, not self._flying, future, group))

    def has_room(self) -> bool:
        """Whether another wave should begin: none is under way, or all that are leave cores idle."""
        if not self._flying:
            return True
        now = time.perf_counter()
        # the last one counts: what began before it is overdue already
        last = self._flying[-1]
        if len(self._flying) >= self._at_once or now - last.began < _allowed(last.expected):
            return False
        return all(self._has_begun(one) for one in self._flying)

    def next_done(self, more: bool) -> Wave[T] | None:
        """Wait for a wave to end and return it; None if another should begin, and there is `more`."""
        while True:
            ended = wait([one.future for one in self._flying], _POLL_SECONDS, FIRST_COMPLETED).done
            if ended:
                done = next(one for one in self._flying if one.future in ended)
                self._flying.remove(done)
                return done
            if more and self.has_room():
                return None

    def _compute(self, group: str, compute: Callable[[], Any]) -> Any:
        if self._context is not None:
            self._context.setJobGroup(group, "whatif: a wave of backtests", interruptOnCancel=False)
            self._context.setLocalProperty("spark.scheduler.pool", POOL)
        return compute()

    def _has_begun(self, one: Wave[T]) -> bool:
        """Whether all tasks of a wave have begun, so that cores that get free stay free."""
        if self._context is None or one.future.done():
            return True
        tracker = self._context.statusTracker()
        jobs = (tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(one.group))
        # a job's last stage computes; those before it may be skipped, and then never count as done
        last = (max(job.stageIds) for job in jobs if job is not None and job.status == "RUNNING")
        stages = (tracker.getStageInfo(stage) for stage in last)
        return any(
            stage.numTasks == one.tasks <= stage.numActiveTasks + stage.numCompletedTasks
            for stage in stages
            if stage is not None
        )


def _allowed(expected: float) -> float:
    return max(OVERDUE * expected, expected + SECONDS_ALLOWED)


def _context(spark: SparkSession) -> Any:
    try:
        return spark.sparkContext
    except Exception:  # a Spark Connect session has no context
        return None
