"""MLflow log of a study: its run, its configurations, its verdict and its files."""

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
from whatif.report import Judgement
from whatif.resolve import Resolved
from whatif.results import Chosen, Stitched
from whatif.runner import Plan
from whatif.stats import VerdictStatistics, WindowStatistics
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
from whatif.workflow.origin import provenance, versions

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


def log_judgement(tracked: TrackedRun, judgement: Judgement) -> None:
    """Log the statistics of a verdict as metrics, and its word and reasons as tags."""
    verdict, stability = judgement.verdict, judgement.stability
    metrics = {
        "verdict.looks": float(judgement.looks),
        "verdict.openings": float(judgement.openings),
        **({} if verdict.figures is None else _statistics(verdict.figures)),
    }
    if stability is not None:
        metrics["verdict.neighbours_share"] = stability.neighbours.share
        metrics["verdict.edges"] = float(len(stability.edges))
    if judgement.correlation is not None:
        metrics["verdict.rank_correlation"] = judgement.correlation.rho
    tags = {
        "whatif.verdict": verdict.word.value,
        "whatif.verdict_rests_on": verdict.rests_on,
        "whatif.verdict_reasons": " ".join(verdict.reasons),
        "whatif.trials_of": judgement.scope,
    }
    log(tracked, metrics=metrics, tags=tags)


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


def _statistics(figures: VerdictStatistics) -> dict[str, float]:
    return {
        "verdict.dsr": figures.dsr,
        "verdict.dsr_market": figures.dsr_market,
        "verdict.expected_maximum_sharpe": figures.expected_maximum_sharpe,
        "verdict.pbo": figures.pbo,
        "verdict.spa_p": figures.spa_zero,
        "verdict.spa_market_p": figures.spa_market,
        "verdict.trials": float(figures.trials),
        "verdict.effective_trials": figures.effective_trials,
        "verdict.record_periods": figures.record_periods,
        **_side("validate", figures.validate),
        **(_side("test", figures.test) if figures.test is not None else {}),
    }


def _side(name: str, side: WindowStatistics) -> dict[str, float]:
    figures = {
        "psr": side.psr,
        "objective": side.objective.estimate,
        "objective_low": side.objective.low,
        "objective_high": side.objective.high,
        "market": side.market,
        "beta": side.beta,
        "alpha": side.alpha,
    }
    if side.excess is not None:
        figures |= {"excess_sharpe": side.excess.estimate, "excess_low": side.excess.low}
    return {f"verdict.{name}_{key}": value for key, value in figures.items()}
