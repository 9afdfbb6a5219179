"""The steps of a study one at a time, and what is stored of it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from whatif.lake import writer_lock
from whatif.pins import LakeLocation, Pin
from whatif.report import ReportData
from whatif.resolve import check_bars, check_study, replayed, resolve_study
from whatif.results import ResultStore, choose_in_folds
from whatif.study import load_study
from whatif.workflow.lazy import lazy_session
from whatif.workflow.track import tracked_study
from whatif.workflow.train import Prepared, Say, prepare, prepare_features


def build_study_features(
    path: Path, location: LakeLocation, latest: bool, console: Console
) -> dict[str, Pin]:
    """Build the features tables of a study and return their pins by timeframe."""
    checked = check_study(load_study(path), runs=False)
    check_bars(location)
    with writer_lock(location, f"features of study {checked.study.study}"):
        session = lazy_session(location)
        resolved = resolve_study(checked, location, session, latest)
        if not resolved.features:
            return {}
        return prepare_features(session(), location, resolved, _say(console))


def train_study_models(path: Path, location: LakeLocation, latest: bool, console: Console) -> Prepared:
    """Train the models of a study whose predictions are not stored yet."""
    checked = check_study(load_study(path), runs=False)
    check_bars(location)
    with writer_lock(location, f"train study {checked.study.study}"):
        session = lazy_session(location)
        resolved = resolve_study(checked, location, session, latest)
        if not resolved.models:
            return Prepared({}, {}, (), {})
        with tracked_study(location, resolved, _say(console)) as tracker:
            return prepare(session, location, resolved, tracker, _say(console))


def stored_leaderboard(path: Path, location: LakeLocation) -> tuple[ReportData, int]:
    """Return the ranking of a study's stored backtests, and how many are still to be run.

    Writes nothing, waits for nobody and starts no JVM.
    """
    study = load_study(path)
    resolved, missing = replayed(resolve_study(study, location), location)
    board = choose_in_folds(ResultStore(location, resolved))[-1].board
    data = ReportData(
        study=study.study,
        study_text=study.text,
        objective=study.objective,
        rank=study.rank,
        leaderboard=board,
        axes=tuple(study.axes),
    )
    return data, missing


def _say(console: Console) -> Say:
    return lambda text: console.print(text, highlight=False, markup=False, soft_wrap=True)
