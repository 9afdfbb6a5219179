"""MLflow log of a study: its run, its configurations, its verdict and its files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
from whatif.study import digest
from whatif.tracking import (
    ANSWER_TAG,
    LoggedAnswer,
    TrackedRun,
    Tracker,
    count_of_children,
    finish,
    log,
    log_configurations,
    log_files,
    log_tables,
    logged_run,
    start_study_run,
)
from whatif.workflow.origin import provenance, versions

Say = Callable[[str], None]


@contextmanager
def tracked_study(
    location: LakeLocation, resolved: Resolved, say: Say, track: bool = True, later: bool = False
) -> Iterator[Tracker]:
    """Give the study's run in MLflow, the same one when it is resumed; close it as the block ends.

    Where MLflow fails, that is said, and the block goes on without it. With `track` false, nothing is logged;
    with `later`, nothing before there is something to log.
    """
    tracker = Tracker(say)
    if track:
        tracker.start(lambda: _start(location, resolved), later)
    try:
        yield tracker
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        if not tracker.waits:
            tracker.attempt(lambda run: finish(run, status))
        raise
    tracker.attempt(finish)


@dataclass(frozen=True)
class Answered:
    """What is logged of an answer.

    Attributes
    ----------
    plan : Plan
        The sweep's, for the tables that were read.
    board : DataFrame
        The last fold's ranking.
    chosen : Chosen or None
        What came first in it.
    judgement : Judgement
        The verdict.
    whole : Stitched or None
        The test windows of all folds joined.
    files : sequence of Path
        Report and tables.
    """

    plan: Plan
    board: pd.DataFrame
    chosen: Chosen | None
    judgement: Judgement
    whole: Stitched | None
    files: Sequence[Path]


def log_study(
    tracker: Tracker, location: LakeLocation, resolved: Resolved, answered: Answered, say: Say
) -> None:
    """Log all of an answer; nothing, and MLflow is not even asked, where a run of a file holds it already."""
    metrics, tags = _said(answered)
    keys = [answered.board[name].astype(str).tolist() for name in ("config_id", "symbol", "status")]
    answer = digest({"metrics": repr(sorted(metrics.items())), "tags": tags, "rows": keys, "of": versions()})
    names, children = [file.name for file in answered.files], count_of_children(len(answered.board))
    wanted = LoggedAnswer(resolved.study.study, resolved.identity, answer, children, names)
    held = logged_run(location, wanted) if tracker.waits else ""
    if held:
        tracker.keep(held)
        say(f"MLflow: run {held}, which holds all of it already")
        return

    def log_all(run: TrackedRun) -> None:
        started = time.perf_counter()
        logged = log_answer(run, location, answered)
        log(run, metrics=metrics, tags=tags)
        log(run, tags={ANSWER_TAG: answer})
        say(f"MLflow: run {run.run_id}, {logged} children, {time.perf_counter() - started:.1f} s")

    tracker.attempt(log_all)


def log_answer(tracked: TrackedRun, location: LakeLocation, answered: Answered) -> int:
    """Log ranking, tables read and files; return how many children are new."""
    logged = log_configurations(tracked, answered.board)
    plan = answered.plan
    log_tables(tracked, list(dict.fromkeys([plan.bars, *(m.pin for m in plan.models.values())])), location)
    log_files(tracked, answered.files)
    return logged


def _said(answered: Answered) -> tuple[dict[str, float], dict[str, str]]:
    """Return metrics and tags of the chosen configuration, of the verdict, and of all test windows joined."""
    chosen, judgement, whole = answered.chosen, answered.judgement, answered.whole
    verdict, stability = judgement.verdict, judgement.stability
    metrics = {
        "verdict.looks": float(judgement.looks),
        "verdict.openings": float(judgement.openings),
        **({} if verdict.figures is None else _statistics(verdict.figures)),
    }
    tags = {
        "whatif.verdict": verdict.word.value,
        "whatif.verdict_rests_on": verdict.rests_on,
        "whatif.verdict_reasons": " ".join(verdict.reasons),
        "whatif.trials_of": judgement.scope,
    }
    if stability is not None:
        metrics["verdict.neighbours_share"] = stability.neighbours.share
        metrics["verdict.edges"] = float(len(stability.edges))
    if judgement.correlation is not None:
        metrics["verdict.rank_correlation"] = judgement.correlation.rho
    if chosen is not None:
        metrics |= {f"validate.{name}": value for name, value in _numbers(chosen.validate).items()}
        metrics |= {f"test.{name}": value for name, value in _numbers(chosen.test).items()}
        tags["whatif.best"] = f"{chosen.config_id}/{chosen.symbol}"
    if whole is not None:
        metrics |= {f"stitched.{name}": value for name, value in _numbers(whole.figures).items()}
    return metrics, tags


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
