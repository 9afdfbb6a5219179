"""MLflow log of a study: its run, its configurations, its verdict and its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whatif.domain import KEY_COLUMNS
from whatif.pins import LakeLocation, Pin
from whatif.report import Judgement, ReportData, Summary, axis_label, short_word, summarize
from whatif.resolve import Resolved
from whatif.results import Chosen, Stitched
from whatif.runner import provenance, versions
from whatif.study import digest
from whatif.tracking import (
    LoggedAnswer,
    Ranked,
    Told,
    TrackedRun,
    Tracker,
    count_of_children,
    log_answer,
    log_ranking,
    logged_run,
    start_study_run,
    verdict_metrics,
)

Say = Callable[[str], None]


@contextmanager
def tracked_study(
    location: LakeLocation, resolved: Resolved, warn: Say, say: Say, track: bool = True, later: bool = False
) -> Iterator[Tracker]:
    """Give the study's run in MLflow, the same one when it is resumed; close it as the block ends.

    Where MLflow fails, that is a warning, and the block goes on without it. With `track` false, nothing is
    logged; with `later`, nothing before there is something to log.
    """
    tracker = Tracker(warn, say)
    if track:
        tracker.start(_beginning(location, resolved), later)
    try:
        yield tracker
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        if not tracker.waits:
            tracker.close(status)
        raise
    tracker.close()


@dataclass(frozen=True)
class Answered:
    """What is logged of an answer.

    Attributes
    ----------
    pins : sequence of Pin
        Of the tables that were read.
    board : DataFrame
        The last fold's ranking.
    chosen : Chosen or None
        What came first in it.
    judgement : Judgement
        The verdict.
    whole : Stitched or None
        The test windows of all folds joined.
    files : sequence of Path
        Report, tables and pictures.
    data : ReportData
        What the report shows.
    """

    pins: Sequence[Pin]
    board: pd.DataFrame
    chosen: Chosen | None
    judgement: Judgement
    whole: Stitched | None
    files: Sequence[Path]
    data: ReportData


def log_study(tracker: Tracker, location: LakeLocation, resolved: Resolved, answered: Answered) -> None:
    """Log all of an answer; nothing, and MLflow is not even asked, where a run of a file holds it already.

    The process beside this one, if there is one, has the ranking already, see `log_ranking`.
    """
    board = answered.board
    metrics, tags = _said(answered)
    rows = [board[name].astype(str).tolist() for name in ("config_id", "symbol", "status")]
    answer = digest({"metrics": repr(sorted(metrics.items())), "tags": tags, "rows": rows, "of": versions()})
    if tracker.send is None:
        names, children = [file.name for file in answered.files], count_of_children(len(board))
        wanted = LoggedAnswer(resolved.study.study, resolved.identity, answer, children, names)
        held = logged_run(location, wanted) if tracker.waits else ""
        if held:
            tracker.keep(held)
            tracker.tell(f"MLflow: run {held}, which holds all of it already")
            return
        tracker.do(log_ranking, answered.pins, ranked_of(resolved, board), location)
    tracker.do(log_answer, Told(metrics, tags, answer, answered.files))


def _said(answered: Answered) -> tuple[dict[str, float], dict[str, str]]:
    """Return metrics and tags of the chosen configuration, of the verdict, and of all test windows joined."""
    chosen, judgement, whole = answered.chosen, answered.judgement, answered.whole
    verdict, stability = judgement.verdict, judgement.stability
    metrics = {
        "verdict.looks": float(judgement.looks),
        "verdict.openings": float(judgement.openings),
        **({} if verdict.figures is None else verdict_metrics(verdict.figures)),
    }
    told = summarize(answered.data)
    tags = {
        "verdict": short_word(judgement),
        "mlflow.note.content": _note(told, answered.files),
        "whatif.report": str(answered.files[0]) if answered.files else "",
        "whatif.configuration": told.configuration,
        "whatif.verdict": verdict.word.value,
        "whatif.verdict_rests_on": verdict.rests_on,
        "whatif.verdict_reasons": " ".join(verdict.reasons),
        "whatif.trials_of": judgement.scope,
    }
    if stability is not None:
        metrics["verdict.neighbours_share"] = stability.neighbours.share
        metrics["verdict.axes_at_bound"] = float(len(stability.edges))
    if judgement.correlation is not None:
        metrics["verdict.rank_correlation"] = judgement.correlation.rho
    if chosen is not None:
        metrics |= {f"validate.{name}": value for name, value in _numbers(chosen.validate).items()}
        metrics |= {f"test.{name}": value for name, value in _numbers(chosen.test).items()}
        tags["whatif.best"] = f"{chosen.config_id}/{chosen.symbol}"
    if whole is not None:
        metrics |= {f"stitched.{name}": value for name, value in _numbers(whole.figures).items()}
    return metrics, tags


def ranked_of(resolved: Resolved, board: pd.DataFrame) -> Ranked:
    """Return a ranking with what the run of each of its rows is called: "fast=20, slow=90", by what varies.

    Where symbols are ranked apart, each has its own behind that.
    """
    axes = tuple(resolved.study.axes)
    several = len(resolved.portfolios) > 1 and not resolved.pooled
    names = []
    for row in board.head(count_of_children(len(board))).to_dict("records"):
        varied = ", ".join(f"{name}={axis_label(row[name])}" for name in axes)
        where = str(row["symbol"]) if several or not varied else ""
        names.append(" ".join(filter(None, (varied, where))))
    return Ranked(board, axes, names)


def _note(told: Summary, files: Sequence[Path]) -> str:
    """Return a run's description in Markdown: verdict, choice, four numbers, and where the report is."""
    lines = [f"**{told.word}.** {told.sentence}"]
    if told.configuration:
        lines.append(f"`{told.configuration.replace('`', '')}`, configuration {told.config_id}")
        cells = [f"{one.name} | {one.value} | {one.note}" for one in told.numbers]
        head = f"| | {told.objective} | |\n| --- | ---: | --- |"
        lines.append("\n".join([head, *(f"| {cell} |" for cell in cells)]))
    if files:
        lines.append(f"Report: `report.html` among the artifacts; written to `{files[0]}`")
    return "\n\n".join(lines)


def _beginning(location: LakeLocation, resolved: Resolved) -> Callable[[], TrackedRun]:
    """Return what begins the run; it can be pickled, for another process may be the one that logs."""
    study = resolved.study
    origin = provenance()
    tags = {
        "mlflow.user": origin["user"],
        "mlflow.source.name": origin["command"],
        "mlflow.source.type": "LOCAL" if location.local else "JOB",
        "mlflow.source.git.commit": versions().get("commit", ""),
        "whatif.version": versions()["whatif"],
        "whatif.commit": versions().get("commit", ""),
        "whatif.bars_pin": resolved.bars.to_json(),
        **{f"whatif.{name}": text for name, text in origin.items()},
    }
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
    return partial(start_study_run, location, study.study, resolved.identity, tags, params, study.text)


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    kinds = (bool, int, float, np.bool_, np.number)
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, kinds) and name not in KEY_COLUMNS and not np.isnan(value)
    }
