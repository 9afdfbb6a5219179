"""Many models of scikit-learn: in processes beside this one, or a task of Spark each, with the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from whatif.domain import duration_us
from whatif.errors import StudyError
from whatif.lake.tables import PREDICTIONS
from whatif.pins import LakeLocation
from whatif.resolve import resolve_study
from whatif.runner import spread, spread_on_spark
from whatif.study import parse_study
from whatif.workflow import lazy_session, prepare, train

from ..markets import put_bars, walk
from .conftest import rows_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

STUDY = """
study: many
data: {symbols: [A, B], timeframe: 1min, start: 2013-10-04, end: 2013-10-12}
calendar: {exchange: XNYS}
features: [roc(1), roc(5)]
label: {kind: triple_barrier, target: 0.002, stop: 0.0015, horizon: 10}
models:
  bayes: {kind: sklearn.naive_bayes.GaussianNB}
  calm: {kind: sklearn.naive_bayes.GaussianNB, calibrate: {folds: 2}, out_of_fold: 2}
  lines: {kind: sklearn.linear_model.LogisticRegression}
  trees: {kind: sklearn.tree.DecisionTreeClassifier, params: {max_depth: 3}, seed: 3}
strategy: {name: probability_threshold}
axes: {model: [bayes, calm, lines, trees]}
period: hour
"""
NAMES = ["bayes", "calm", "lines", "trees"]


def trained(folder: Path, spark: SparkSession | None = None) -> tuple[list[str], pd.DataFrame]:
    """Train the study's models in a lake of their own; return what was said, and all predictions by model."""
    location = LakeLocation(folder / "whatif-home")  # the one that Spark is on
    put_bars(location, [walk(symbol, seed, minutes=120) for seed, symbol in enumerate("AB")])
    resolved = resolve_study(parse_study(STUDY), location)
    said: list[str] = []
    found = prepare(
        lazy_session(location, spark), location, resolved, say=said.append, on_spark=spark is not None
    )
    assert sorted(found.trained) == sorted(found.metrics) == NAMES
    rows = rows_of(location, PREDICTIONS)
    names = {spec.digest(resolved.bars.snapshot_id): key[0] for key, spec in resolved.models.items()}
    rows = rows.assign(model=rows["model_digest"].map(names)).drop(columns="model_digest")
    return said, rows.sort_values(["model", "symbol", "ts"], ignore_index=True)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Return the predictions of models that this process trained one after the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "POOL_SECONDS", 1e9)
        said, rows = trained(tmp_path_factory.mktemp("alone"))
    assert not any("processes" in line for line in said)
    return rows


def test_in_processes_beside_this_one(alone: pd.DataFrame, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(train, "POOL_SECONDS", -1.0)
    monkeypatch.setattr(train, "cores", lambda: 2)
    said, rows = trained(tmp_path)
    assert "3 more models in 2 processes" in said
    pd.testing.assert_frame_equal(rows, alone, check_exact=True)
    with pytest.raises(StudyError, match="'soon' is not a duration"):
        list(spread(duration_us, ["soon"], 2))


@pytest.mark.spark
def test_in_tasks_of_spark(alone: pd.DataFrame, tmp_path: Path, spark) -> None:
    said, rows = trained(tmp_path, spark)
    assert not any(line.startswith("features") for line in said)  # no table of them is built
    pd.testing.assert_frame_equal(rows, alone, check_exact=True)
    with pytest.raises(StudyError, match="'soon' is not a duration"):
        list(spread_on_spark(spark, duration_us, ["soon"], 2))


@pytest.mark.spark
def test_each_task_of_spark_gets_one_thing(spark) -> None:
    asked = ["__import__('pyspark').TaskContext.get().partitionId()"] * 7
    assert sorted(spread_on_spark(spark, eval, asked, 5)) == [
        *zip(range(7), [0, 1, 2, 3, 4, 0, 1], strict=True)
    ]
