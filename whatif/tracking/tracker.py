"""Tracker that logs to MLflow and cannot fail a run: the first error is said, the rest left out.

A run that holds an answer already is found without MLflow: importing it and opening its data base takes
4 s of a processor, longer than an answer of which nothing is new. A file of SQLite is asked with the
standard library, and only read.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from whatif.errors import WhatIfError
from whatif.masking import masked
from whatif.pins import LakeLocation
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
Job = tuple[Callable[..., None], tuple[Any, ...]]
"""What is called with the tracker of the process that logs, and what else it is given."""

REQUEST_SECONDS = 20
REQUEST_RETRIES = 2
"""What a tracking server that does not answer may cost, unless MLflow's own variables say otherwise: three
requests of 20 seconds, and the pauses between them."""

MAX_FAILURE_TEXT = 300


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
        self.send: Callable[[Job], None] | None = None
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

    def hand_over(self, send: Callable[[Job], None]) -> None:
        """Let the process that takes what is sent begin the run that waits, and log all that follows."""
        self.send = send
        send((Tracker.start, (self._begin,)))

    def do(self, job: Callable[..., None], *given: Any) -> None:
        """Do a job of logging: it is called with the tracker of the process that logs, and what is given.

        Both can be pickled: that process may be a child, see `whatif.tracking.beside`.
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

    def close(self, status: str = "FINISHED") -> None:
        """Close the run, so that MLflow shows how it ended."""
        self.attempt(lambda run: finish(run, status))

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
