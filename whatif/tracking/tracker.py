"""Tracker that logs to MLflow and cannot fail a run: the first error is said, the rest left out."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from whatif.errors import WhatIfError
from whatif.masking import masked
from whatif.tracking.run import TrackedRun

T = TypeVar("T")

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
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
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
            self._start()

    def keep(self, run_id: str) -> None:
        """Leave the run that waits to begin as it is: all that there is to log is in it."""
        self._begin, self._known = None, run_id

    def _start(self) -> None:
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
        self._start()
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
