"""Child process that logs to MLflow: importing MLflow takes longer than all that there is to log.

Whoever knows that there will be something to log begins the child as soon as what both need is imported: it
imports MLflow on a core of its own while this process reads bars and runs backtests.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import IO, TypeVar

from whatif.pins import LakeLocation
from whatif.runner import Begun, can_run_apart, cores, forking_ahead
from whatif.tracking.run import logs_without_mlflow
from whatif.tracking.tracker import Job, Tracker

T = TypeVar("T")
Said = list[tuple[bool, str]]

WHAT_LOGS = ("mlflow", "whatif.tracking.run", "whatif.tracking.child_runs", "whatif.tracking.steps")
"""Modules that the child imports while nothing is sent to it."""

_ahead: list[LoggingProcess] = []


class LoggingProcess:
    """A child process that logs what it is sent, in the order in which it comes.

    What one leaves that is killed, or cannot go on, is logged by this process when it is closed.

    Attributes
    ----------
    pid : int
        Its number.
    """

    def __init__(self) -> None:
        reading, writing = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
        self._sent: list[Job] = []
        self._begun = Begun(lambda: _logged(_received(reading, writing)))
        self.pid = self._begun.pid
        self._writing = writing
        reading.close()

    def send(self, job: Job) -> None:
        """Give a job to the child; both parts of it can be pickled."""
        self._sent.append(job)
        # a child that has ended reads nothing: what it left is done by this process
        with suppress(BrokenPipeError):
            pickle.dump(job, self._writing, pickle.HIGHEST_PROTOCOL)
            self._writing.flush()

    def close(self) -> tuple[str, str, Said]:
        """Wait until all is logged; return the run, why it failed, and what there is to say of it."""
        self._hang_up()
        for answer in self._begun.answer():
            return answer
        return _logged(self._sent)

    def end(self) -> None:
        """Kill the child, whatever it is at."""
        self._hang_up()
        self._begun.end()

    def _hang_up(self) -> None:
        with suppress(BrokenPipeError):
            self._writing.close()


@contextmanager
def beginning_ahead(logs: bool, forks: bool) -> Iterator[None]:
    """Begin the process that logs, or the one that forks those that run backtests.

    The first is kept for `log_beside` as long as the block goes on. None is begun where processes cannot be
    forked, where this process has MLflow already, or where there is no core for it. One that logs imports for
    seconds, which leaves no core for the other.

    Parameters
    ----------
    logs, forks : bool
        Whether one is wanted that logs, or one that forks, see `whatif.runner.forking_ahead`.
    """
    if logs and can_run_apart() and cores() > 1 and "mlflow" not in sys.modules:
        _ahead.append(LoggingProcess())
    try:
        with forking_ahead(forks and not _ahead):
            yield
    finally:
        drop_ahead()


def drop_ahead() -> None:
    """End the process that was begun ahead, if there is one that nobody took: nothing is logged by it."""
    while _ahead:
        _ahead.pop().end()


def log_beside(tracker: Tracker, make: Callable[[], T], location: LakeLocation | None = None) -> T:
    """Return what `make` gives, while a child process logs: the one that was begun ahead, or a new one.

    Where MLflow need not be imported, this process logs by itself, sooner than a child begins.

    Parameters
    ----------
    tracker : Tracker
        Of a run that waits to begin. What it is given to do, the child does; the run is closed as this ends.
    make : callable
        What this process does. The run that a child logs is closed as failed if it raises.
    location : LakeLocation, optional
        Where the run is; a child logs if left out.

    Raises
    ------
    Exception
        What `make` raises, once the run is closed.
    """
    if location is not None and logs_without_mlflow(location):
        tracker.begin()
        return make()
    process = _ahead.pop() if _ahead else LoggingProcess()
    try:
        tracker.hand_over(process.send)
        try:
            made = make()
        except Exception:
            process.send((Tracker.close, ("FAILED",)))
            tracker.adopt(*process.close())
            raise
        process.send((Tracker.close, ("FINISHED",)))
        tracker.adopt(*process.close())
        return made
    finally:
        tracker.send = None
        process.end()


def _logged(jobs: Iterable[Job]) -> tuple[str, str, Said]:
    """Do jobs of logging, and return the run, why it failed, and what there is to say of it."""
    said: Said = []
    own = Tracker(lambda line: said.append((False, line)), lambda line: said.append((True, line)))
    for job, given in jobs:
        job(own, *given)
    return own.run_id, own.failure, said


def _received(reading: IO[bytes], writing: IO[bytes]) -> Iterator[Job]:
    """Yield what the other process sends, in the child that has both ends of the pipe."""
    writing.close()
    # where one of them is missing or broken, the job that needs it says so
    with suppress(Exception):
        for name in WHAT_LOGS:
            import_module(name)
    with reading, suppress(EOFError):
        while True:
            yield pickle.load(reading)
