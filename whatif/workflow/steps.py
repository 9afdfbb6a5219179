"""Steps of a study one at a time, for commands and notebooks; Spark starts when one first needs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from whatif.errors import StudyError
from whatif.lake import read_pinned, writer_lock
from whatif.pins import LakeLocation, Pin
from whatif.report import Origin, Ranking, ReportData, waits_on
from whatif.resolve import check_bars, check_study, replayed, resolve_study
from whatif.results import ResultStore, choose_in_folds
from whatif.study import Study, load_study

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from whatif.workflow.train import Prepared, Say


def build_study_features(
    path: Path, location: LakeLocation, latest: bool, console: Console
) -> dict[str, Pin]:
    """Build the features tables of a study and return their pins by timeframe."""
    # imported here, and below: a leaderboard trains and logs nothing
    from whatif.workflow.train import lazy_session, prepare_features

    checked = check_study(load_study(path), runs=False, location=location)
    check_bars(location)
    with writer_lock(location, f"features of study {checked.study.study}"):
        wait = waits_on(console)
        session = lazy_session(location, wait=wait)
        resolved = resolve_study(checked, location, session, latest)
        if not resolved.features:
            return {}
        return prepare_features(session(), location, resolved, _say(console), wait)


def train_study_models(path: Path, location: LakeLocation, latest: bool, console: Console) -> Prepared:
    """Train the models of a study whose predictions are not stored yet."""
    from whatif.workflow.track import tracked_study
    from whatif.workflow.train import lazy_session, prepare

    checked = check_study(load_study(path), runs=False, location=location)
    check_bars(location)
    with writer_lock(location, f"train study {checked.study.study}"):
        wait = waits_on(console)
        session = lazy_session(location, wait=wait)
        resolved = resolve_study(checked, location, session, latest)
        if not resolved.models:
            return Prepared({}, {}, (), {})
        say = _say(console)
        with tracked_study(location, resolved, say, say) as tracker:
            return prepare(session, location, resolved, tracker, say, wait=wait)


def stored_leaderboard(path: Path, location: LakeLocation) -> tuple[ReportData, int]:
    """Return the ranking of a study's stored backtests, and how many are still to be run.

    Writes nothing, waits for nobody and starts no JVM.
    """
    study = load_study(path)
    resolved, missing = replayed(resolve_study(study, location), location)
    board = choose_in_folds(ResultStore(location, resolved))[-1].board
    ranking = Ranking(study.objective, study.rank, board, tuple(study.axes))
    return ReportData(Origin(study.study, study.text), ranking), missing


def _say(console: Console) -> Say:
    return lambda text: console.print(text, highlight=False, markup=False, soft_wrap=True)


def study_features(
    study: Study, spark: SparkSession | None = None, location: LakeLocation | None = None
) -> DataFrame:
    """Return the features and label of a study: symbol, ts (UTC), a column a feature, label columns.

    Built and stored if they are not yet.

    Raises
    ------
    StudyError
        If the study declares no models, for then nothing needs features.
    """
    from whatif.workflow.train import lazy_session, prepare_features

    where = location or LakeLocation.from_environment()
    with writer_lock(where, f"features of study {study.study}"):
        lazy = lazy_session(where, spark)
        session = lazy()
        pins = prepare_features(session, where, resolve_study(study, where, lazy))
    if study.data.timeframe not in pins:
        raise StudyError(f"study {study.study} has no models, so it has no features table: declare a model")
    return read_pinned(session, where, pins[study.data.timeframe])
