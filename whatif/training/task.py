"""Task of training one model: taught, asked and judged alike in this process, in another, and on Spark."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import pandas as pd

from whatif.errors import ModelError
from whatif.features import FeatureSpec, local_features
from whatif.models import check_rows, learn_calibration
from whatif.pins import Pin
from whatif.search import Chain
from whatif.splits import Window
from whatif.training.fit import Trained, example_of, joined, predict, rows_to_predict, train
from whatif.training.importance import Importance
from whatif.training.spec import ModelSpec
from whatif.training.tuning import Tuned, tune
from whatif.training.validation import answers_on, measured


@dataclass(frozen=True)
class TrainTask:
    """What is to be trained; it travels to where that is done.

    Attributes
    ----------
    spec : ModelSpec
        The model.
    bars : Pin
        The snapshot that it learns from.
    chains : mapping of int to tuple of Chain
        Folds of its train window, of each number of them that the kind asks for.
    start_us : int
        Bars from here on are predicted, microseconds UTC.
    validate : tuple of Window
        Where it is judged; empty for nowhere.
    """

    spec: ModelSpec
    bars: Pin
    chains: Mapping[int, tuple[Chain, ...]]
    start_us: int
    validate: tuple[Window, ...]


@dataclass(frozen=True, eq=False)
class TaskDone:
    """What came of it.

    Attributes
    ----------
    trained : Trained
        The model.
    tuned : Tuned or None
        What was chosen, of a model that chooses its own parameters.
    scored : DataFrame
        Rows of `predictions`: of pandas, or of Spark and persisted.
    metrics : mapping of str to float
        How it did on the windows where it is judged.
    example : DataFrame
        A row of its features.
    importance : Importance
        How much its features count there.
    seconds : float
        What choosing and learning took.
    """

    trained: Trained
    tuned: Tuned | None
    scored: Any
    metrics: Mapping[str, float]
    example: pd.DataFrame
    seconds: float
    importance: Importance = field(default_factory=Importance)

    def release(self) -> None:
        """Let Spark forget the rows of predictions."""
        if not isinstance(self.scored, pd.DataFrame):
            self.scored.unpersist()


def train_task(task: TrainTask, features: Any = None, held: Trained | None = None) -> TaskDone:
    """Return what comes of a task.

    Parameters
    ----------
    task : TrainTask
        What is to be trained.
    features : DataFrame, optional
        The features table, of Spark or of pandas; computed here of the pinned bars, if left out.
    held : Trained, optional
        The model, where it is trained already.

    Raises
    ------
    ModelError
        If no row is left to train on, or the kind breaks its contract.
    """
    started = time.perf_counter()
    spec = task.spec
    rows = _features(task.bars, spec.table) if features is None else features
    if spec.symbol and features is not None:
        rows = rows[rows["symbol"] == spec.symbol]
    tuned = None
    if spec.kind.tune is not None and held is None:
        tuned = tune(rows, spec, task.chains[spec.kind.tune.folds])
    own = spec if tuned is None else replace(spec, kind=tuned.kind)
    inside: list[_Inside] = []
    if held is None:
        held, inside = _looked_inside(rows, task, train(rows, own))
    trained = replace(held, spec=spec)
    seconds = time.perf_counter() - started
    snapshot = task.bars.snapshot_id
    scored = joined(
        predict(rows, trained, task.start_us, snapshot),
        [predict(rows, one, 0, snapshot, windows) for one, windows in inside],
    )
    if not isinstance(scored, pd.DataFrame):
        scored = scored.persist()
    done = TaskDone(trained, tuned, scored, {}, example_of(rows, spec), seconds)
    try:
        if not isinstance(scored, pd.DataFrame):
            asked = [rows_to_predict(rows, spec, 0, windows) for _, windows in inside]
            check_rows(trained.kind, joined(rows_to_predict(rows, spec, task.start_us), asked), scored)
        judged = measured(rows, scored, trained, task.validate) if task.validate else ({}, Importance())
    except BaseException:
        done.release()
        raise
    return replace(done, metrics=judged[0], importance=judged[1])


_Inside = tuple[Trained, tuple[Window, ...]]
"""A model of a fold inside of a train window, and where it is asked."""


def _looked_inside(rows: Any, task: TrainTask, trained: Trained) -> tuple[Trained, list[_Inside]]:
    """Return a model calibrated on folds of its train window, and models that predict out of fold.

    Each fold is looked at by a model of the same parameters that learnt from what lies before.
    """
    kind, spec = trained.kind, task.spec
    learn = kind.calibrate
    given: list[pd.DataFrame] = []
    inside: list[_Inside] = []
    for count in sorted({learn.folds if learn else 0, kind.out_of_fold or 0} - {0}):
        for chain in task.chains[count]:
            own = train(rows, replace(spec, kind=kind, train=chain.train))
            if learn is not None and count == learn.folds:
                given.append(answers_on(rows, own, chain.validate))
            if count == kind.out_of_fold:
                inside.append((own, chain.validate))
    calibration = None
    if learn is not None:
        looked = pd.concat(given, ignore_index=True)
        if looked.empty:
            raise ModelError(
                f"model {spec.name!r}: no fold of calibrate has a row to look at: take fewer folds or a "
                "longer train window"
            )
        chances = looked[["prob_long", "prob_short"]].to_numpy("float64")
        calibration = learn_calibration(learn.method, chances, looked["label"].to_numpy("float64"))

    def calibrated(one: Trained) -> Trained:
        return replace(one, spec=spec, fitted=replace(one.fitted, calibration=calibration))

    return calibrated(trained), [(calibrated(one), windows) for one, windows in inside]


@lru_cache(maxsize=2)
def _features(bars: Pin, spec: FeatureSpec) -> pd.DataFrame:
    """Return features of pinned bars, which the next model of the same process learns from too."""
    return local_features(bars, spec)


def forget_features() -> None:
    """Let the features go that this process keeps for the next model."""
    _features.cache_clear()
