"""Protocol of a runner: what a place that runs jobs has to be able to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from whatif.submit.requests import Job


class Phase(Enum):
    """What a state means, whatever the service calls it."""

    WAITING = "waiting"
    RUNNING = "running"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing will follow."""
        return self in (Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED)


@dataclass(frozen=True)
class State:
    """A run at one moment.

    Attributes
    ----------
    name : str
        The service's own word.
    phase : Phase
        What it means.
    detail : str
        What the service says about it, such as why it failed.
    started, ended : datetime or None
        When it was taken on, and when it was over; with a timezone.
    hours : mapping of str to float
        What has been used so far, by the key of the price table: `vcpu_hour`, `dpu_hour` …
    """

    name: str
    phase: Phase
    detail: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    hours: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What is known of earlier runs of the same thing.

    Attributes
    ----------
    run : str
        Id of the run that is going on, or of the newest that succeeded; "" if there is none.
    attempts : int
        How many runs there have been.
    state : State or None
        Of that run.
    """

    run: str = ""
    attempts: int = 0
    state: State | None = None


class Runner(Protocol):
    """A place that runs jobs."""

    def request(self, job: Job) -> dict[str, Any]:
        """Return what starting `job` would send, as plain values; sends nothing."""

    def find(self, job: Job) -> Found:
        """Return the run of the same name and identity that is going on or has succeeded."""

    def check(self) -> None:
        """Refuse to start anything where it could not run."""

    def start(self, job: Job) -> str:
        """Start the job and return the id of its run; the same attempt twice is one run."""

    def state(self, run: str) -> State:
        """Return how a run is doing."""

    def cancel(self, run: str) -> None:
        """Stop a run; one that is over stays as it is."""

    def logs(self, run: str) -> list[str]:
        """Return the driver's lines that have come since the last call."""


def choose(runs: list[tuple[str, State]]) -> Found:
    """Return which of all runs of the same thing counts: one going on, else the newest success."""
    going_on = [(run, state) for run, state in runs if not state.phase.over]
    succeeded = [(run, state) for run, state in runs if state.phase is Phase.SUCCEEDED]
    for fitting in (going_on, succeeded):
        if fitting:
            newest = max(fitting, key=lambda one: one[1].started.timestamp() if one[1].started else 0.0)
            return Found(newest[0], len(runs), newest[1])
    return Found(attempts=len(runs))
