"""What a study leaves in MLflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whatif.domain import KEY_COLUMNS
from whatif.masking import masked
from whatif.pins import LakeLocation
from whatif.resolve import Resolved
from whatif.results import Chosen, Stitched
from whatif.runner.plan import Plan
from whatif.tracking import (
    TrackedRun,
    Tracker,
    finish,
    log,
    log_configurations,
    log_files,
    log_tables,
    start_study_run,
)
from whatif.workflow.provenance import provenance, versions

Say = Callable[[str], None]


@contextmanager
def tracked_study(
    location: LakeLocation, resolved: Resolved, say: Say, track: bool = True
) -> Iterator[Tracker]:
    """Give the study's run in MLflow, the same one when it is resumed; close it as the block ends.

    Where MLflow fails, that is said, and the block goes on without it. With `track` false, nothing is logged.
    """
    tracker = Tracker(say)
    if track:
        tracker.start(lambda: _start(location, resolved))
    try:
        yield tracker
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        tracker.attempt(lambda run: finish(run, status))
        raise
    tracker.attempt(finish)


def log_answer(
    tracked: TrackedRun,
    location: LakeLocation,
    plan: Plan,
    board: pd.DataFrame,
    chosen: Chosen | None,
    files: Sequence[Path],
) -> int:
    """Log ranking, tables read, files and the chosen configuration; return how many children are new."""
    logged = log_configurations(tracked, board)
    pins = dict.fromkeys([plan.bars, *(model.pin for model in plan.models.values())])
    log_tables(tracked, list(pins), location)
    log_files(tracked, files)
    if chosen is not None:
        figures = {f"validate.{name}": value for name, value in _numbers(chosen.validate).items()}
        figures |= {f"test.{name}": value for name, value in _numbers(chosen.test).items()}
        log(tracked, metrics=figures, tags={"whatif.best": f"{chosen.config_id}/{chosen.symbol}"})
    return logged


def log_stitched(tracked: TrackedRun, whole: Stitched) -> None:
    """Log the metrics of the test windows of all folds joined."""
    log(tracked, metrics={f"stitched.{name}": value for name, value in _numbers(whole.figures).items()})


def _start(location: LakeLocation, resolved: Resolved) -> TrackedRun:
    origin, study = provenance(), resolved.study
    tags = {
        "whatif.version": versions()["whatif"],
        "whatif.commit": versions().get("commit", ""),
        "whatif.bars_pin": resolved.bars.to_json(),
        **{f"whatif.{name}": text for name, text in origin.items()},
    }
    tracked = start_study_run(location, study.study, resolved.identity, tags)
    tracked.client.log_text(tracked.run_id, masked(study.text), "study.yaml")
    params = {
        "strategy": study.strategy.name,
        "symbols": ", ".join(study.data.symbols),
        "timeframe": study.data.timeframe,
        "start": study.data.start,
        "end": study.data.end,
        "objective": study.objective,
        "rank": study.rank,
        "configurations": resolved.count,
    }
    log(tracked, params=params)
    return tracked


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    kinds = (bool, int, float, np.bool_, np.number)
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, kinds) and name not in KEY_COLUMNS and not np.isnan(value)
    }
