"""The steps of a study one at a time, and what is stored of it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from whatif.lake import create_tables, writer_lock
from whatif.pins import LakeLocation, Pin
from whatif.report import ReportData
from whatif.session import get_spark
from whatif.study import load_study
from whatif.tracking.run import finish
from whatif.workflow.answer import leaderboard
from whatif.workflow.resolve import resolve_study
from whatif.workflow.run import track_study
from whatif.workflow.train import Prepared, Say, prepare, prepare_features


def build_study_features(
    path: Path, location: LakeLocation, latest: bool, console: Console
) -> dict[str, Pin]:
    """Build the features tables of a study and return their pins by timeframe."""
    study = load_study(path)
    with writer_lock(location, f"features of study {study.study}"):
        spark = get_spark(location)
        create_tables(spark, location)
        resolved = resolve_study(study, spark, location, latest)
        return prepare_features(spark, location, resolved, _say(console))


def train_study_models(path: Path, location: LakeLocation, latest: bool, console: Console) -> Prepared:
    """Train the models of a study whose predictions are not stored yet."""
    study = load_study(path)
    with writer_lock(location, f"train study {study.study}"):
        spark = get_spark(location)
        create_tables(spark, location)
        resolved = resolve_study(study, spark, location, latest)
        if not resolved.models:
            return Prepared({}, {}, (), {})
        tracked = track_study(location, resolved)
        try:
            prepared = prepare(spark, location, resolved, tracked, _say(console))
        except BaseException:
            finish(tracked, "FAILED")
            raise
        finish(tracked)
        return prepared


def stored_leaderboard(path: Path, location: LakeLocation) -> tuple[ReportData, int]:
    """Return the ranking of a study's stored backtests, and how many are still to be run."""
    study = load_study(path)
    spark = get_spark(location)
    resolved = resolve_study(study, spark, location)
    board = leaderboard(location, resolved)
    rows = len(resolved.grid.configurations)
    if study.rank == "per_symbol":
        rows *= len(resolved.portfolios)
    data = ReportData(
        study=study.study,
        study_text=study.text,
        objective=study.objective,
        rank=study.rank,
        leaderboard=board,
        axes=tuple(study.axes),
    )
    return data, rows - len(board)


def _say(console: Console) -> Say:
    return lambda text: console.print(text, highlight=False, markup=False, soft_wrap=True)
