"""Jobs that log a study's answer: what each is given can be pickled, for a child process may do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from whatif.pins import LakeLocation, Pin
from whatif.tracking.child_runs import log_configurations
from whatif.tracking.run import ANSWER_TAG, log, log_files, log_tables
from whatif.tracking.tracker import Tracker


@dataclass(frozen=True)
class Told:
    """Metrics and tags of an answer, a digest of all that is logged of it, and its files."""

    metrics: dict[str, float]
    tags: dict[str, str]
    answer: str
    files: Sequence[Path]


@dataclass(frozen=True)
class Ranked:
    """A ranking, the axes that vary in it, and what the run of each of its rows is called."""

    board: pd.DataFrame
    axes: Sequence[str]
    names: Sequence[str]


def log_ranking(own: Tracker, pins: Sequence[Pin], ranked: Ranked, location: LakeLocation) -> None:
    """Log the ranking, and the tables that were read."""
    own.children = (
        own.attempt(lambda run: log_configurations(run, ranked.board, ranked.axes, ranked.names)) or 0
    )
    own.attempt(lambda run: log_tables(run, pins, location))


def log_answer(own: Tracker, told: Told) -> None:
    """Log files, metrics and tags; the digest of all of it last."""
    own.attempt(lambda run: log_files(run, told.files))
    own.attempt(lambda run: log(run, metrics=told.metrics, tags=told.tags))
    own.attempt(lambda run: log(run, tags={ANSWER_TAG: told.answer}))
    if own.run_id:
        own.tell(f"MLflow: run {own.run_id}, {own.children:,} {'child' if own.children == 1 else 'children'}")
