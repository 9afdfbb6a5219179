"""Tracker that logs to MLflow and cannot fail a run: the first error is said, the rest left out.

A run that holds an answer already is found without MLflow: importing it and opening its data base takes
4 s of a processor, longer than an answer of which nothing is new. A file of SQLite is asked with the
standard library, and only read.
"""

from __future__ import annotations

import os
import pickle
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import IO, Any, TypeVar
from urllib.parse import quote

from whatif.errors import WhatIfError
from whatif.masking import masked
from whatif.pins import LakeLocation
from whatif.runner import done_apart
from whatif.tracking.run import (
    ANSWER_TAG,
    IDENTITY_TAG,
    KIND_TAG,
    PARENT_TAG,
    TrackedRun,
    file_of,
    finish,
    tracking_uri,
)

T = TypeVar("T")
_Job = tuple[Callable[..., None], tuple[Any, ...]]

REQUEST_SECONDS = 20
REQUEST_RETRIES = 2
"""What a tracking server that does not answer may cost, unless MLflow's own variables say otherwise: three
requests of 20 seconds, and the pauses between them."""

MAX_FAILURE_TEXT = 300

CHILD_SECONDS = 1e6
"""What a child may take, which waits for the backtests of a study: 11 days."""


class Tracker:
    """A study's run in MLflow, as long as MLflow answers.

    Parameters
    ----------
    say : callable
        Takes a line for the user, where tracking fails.
    tell : callable, optional
        Takes a line that says what was logged.

    Attributes
    ----------
    send : callable or None
        Gives a job to the child process that logs; None where this one does.
    children : int
        Configurations that got a run of their own.
    """

    def __init__(self, say: Callable[[str], None], tell: Callable[[str], None] = lambda line: None) -> None:
        self._say, self.tell = say, tell
        self.send: Callable[[_Job], None] | None = None
        self.children = 0
        self._begin: Callable[[], TrackedRun] | None = None
        self._known = ""
        self.run: TrackedRun | None = None
        self.failure = ""

    @property
    def run_id(self) -> str:
        """Identifier of the run, or "" if there is none or it is not complete."""
        return self._known if self.run is None or self.failure else self.run.run_id

    @property
    def waits(self) -> bool:
        """Whether there is a run to begin, and nothing was logged to it yet."""
        return self._begin is not None

    def start(self, begin: Callable[[], TrackedRun], later: bool = False) -> None:
        """Begin the run, or take it up again; `later` with the first that is logged."""
        self._begin = begin
        if not later:
            self.begin()

    def keep(self, run_id: str) -> None:
        """Leave the run that waits to begin as it is: all that there is to log is in it."""
        self._begin, self._known = None, run_id

    def adopt(self, run_id: str, failure: str, said: Sequence[tuple[bool, str]]) -> None:
        """Take the run that waited to begin as a child left it, and say what that had to say."""
        self._begin, self._known, self.failure = None, run_id, failure
        for is_told, line in said:
            (self.tell if is_told else self._say)(line)

    def of_child(self, said: list[tuple[bool, str]]) -> Tracker:
        """Return a tracker of the same run, which waits to begin, that notes what it has to say."""
        child = Tracker(lambda line: said.append((False, line)), lambda line: said.append((True, line)))
        child._begin = self._begin
        return child

    def do(self, job: Callable[..., None], *given: Any) -> None:
        """Do a job of logging: it is called with the tracker of the process that logs, and what is given.

        Both can be pickled: that process may be a child, see `log_beside`.
        """
        if self.send is None:
            job(self, *given)
        else:
            self.send((job, given))

    def begin(self) -> None:
        """Begin the run that waits, if one does."""
        begin, self._begin = self._begin, None
        if begin is None:
            return
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(REQUEST_SECONDS))
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", str(REQUEST_RETRIES))
        try:
            self.run = begin()
        except Exception as error:
            self._fail(error)

    def attempt(self, action: Callable[[TrackedRun], T]) -> T | None:
        """Return what `action` does with the run; None if it failed, or if tracking failed before."""
        self.begin()
        if self.run is None or self.failure:
            return None
        try:
            return action(self.run)
        except WhatIfError:
            raise
        except Exception as error:
            self._fail(error)
            return None

    def _fail(self, error: Exception) -> None:
        text = masked(" ".join(str(error).split())) or type(error).__name__
        self.failure = text if len(text) <= MAX_FAILURE_TEXT else f"{text[:MAX_FAILURE_TEXT]} …"
        self._say(
            f"MLflow failed, and tracking of this run ends here: {self.failure}\n"
            "The answer does not depend on it. Mend what it says ('whatif doctor' checks a database in the "
            "lake's home) and run the same command again to log it, or turn tracking off (--no-track)."
        )


def log_beside(tracker: Tracker, make: Callable[[], T]) -> T:
    """Return what `make` gives, while a child process logs: importing MLflow takes longer than all of it.

    Parameters
    ----------
    tracker : Tracker
        Of a run that waits to begin. What it is given to do, the child does; the run is closed as this ends.
    make : callable
        What this process does. The run is closed as failed if it raises.

    Raises
    ------
    Exception
        What `make` raises, once the run is closed.
    """
    reading, writing = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
    made: list[T] = []
    errors: list[Exception] = []
    sent: list[_Job] = []

    def send(job: _Job) -> None:
        sent.append(job)
        # a child that has ended reads nothing: what it left is done here
        with suppress(BrokenPipeError):
            pickle.dump(job, writing, pickle.HIGHEST_PROTOCOL)
            writing.flush()

    def log_all() -> tuple[str, str, list[tuple[bool, str]]]:
        said: list[tuple[bool, str]] = []
        own = tracker.of_child(said)
        own.begin()
        for job, given in sent if made or errors else _received(reading, writing):
            job(own, *given)
        return own.run_id, own.failure, said

    def give() -> None:
        try:
            made.append(make())
        except Exception as error:
            errors.append(error)
        send((_close, ("FAILED" if errors else "FINISHED",)))
        with suppress(BrokenPipeError):
            writing.close()

    tracker.send = send
    try:
        ((run_id, failure, said),) = done_apart([log_all], give, CHILD_SECONDS, 1)
    finally:
        tracker.send = None
        reading.close()
        with suppress(BrokenPipeError):
            writing.close()
    tracker.adopt(run_id, failure, said)
    if errors:
        raise errors[0]
    return made[0]


def _close(own: Tracker, status: str) -> None:
    own.attempt(lambda run: finish(run, status))


def _received(reading: IO[bytes], writing: IO[bytes]) -> Iterator[_Job]:
    """Yield what the other process sends, in the child that has both ends of the pipe."""
    writing.close()
    with reading, suppress(EOFError):
        while True:
            yield pickle.load(reading)


_QUERY = f"""
SELECT r.run_uuid, r.artifact_uri FROM runs r
JOIN experiments e ON e.experiment_id = r.experiment_id AND e.lifecycle_stage = 'active' AND e.name = :study
JOIN tags i ON i.run_uuid = r.run_uuid AND i.key = '{IDENTITY_TAG}' AND i.value = :identity
JOIN tags a ON a.run_uuid = r.run_uuid AND a.key = '{ANSWER_TAG}' AND a.value = :answer
WHERE r.status = 'FINISHED' AND r.lifecycle_stage = 'active' AND :children <= (
    SELECT count(*) FROM runs c
    JOIN tags p ON p.run_uuid = c.run_uuid AND p.key = '{PARENT_TAG}' AND p.value = r.run_uuid
    JOIN tags k ON k.run_uuid = c.run_uuid AND k.key = '{KIND_TAG}' AND k.value = 'configuration'
    WHERE c.status <> 'RUNNING' AND c.lifecycle_stage = 'active')
"""


@dataclass(frozen=True)
class LoggedAnswer:
    """What a run holds of a study's answer once all of it is logged.

    Attributes
    ----------
    study : str
        The study's name, which names the experiment.
    identity : str
        Digest of the study and its pins.
    answer : str
        Digest of what is logged of the answer.
    children : int
        Configurations that have a run of their own.
    files : sequence of str
        Names of the files that are attached.
    """

    study: str
    identity: str
    answer: str
    children: int
    files: Sequence[str]


def logged_run(location: LakeLocation, wanted: LoggedAnswer) -> str:
    """Return the identifier of the run that holds an answer already; "" if there is none, or it is not known.

    Known it is of a file of SQLite whose runs keep their artifacts on this machine.
    """
    file = file_of(tracking_uri(location), "sqlite")
    if file is None or not file.is_file():
        return ""
    values = {name: getattr(wanted, name) for name in ("study", "identity", "answer", "children")}
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as opened:
            found = opened.execute(_QUERY, values).fetchall()
    except sqlite3.Error:  # damaged, locked, or of a version that keeps its runs elsewhere: MLflow says so
        return ""
    for run_id, artifacts in found:
        folder = file_of(artifacts, "file")
        if folder is not None and all((folder / name).is_file() for name in wanted.files):
            return str(run_id)
    return ""
