"""A forest in MLflow is one that others can load."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from whatif.models import RandomForest
from whatif.pins import LakeLocation
from whatif.splits.fold import Window
from whatif.tracking.child_runs import log_model
from whatif.tracking.run import TrackedRun, is_over, runs_below, start_child, start_study_run
from whatif.training.fit import Trained, train
from whatif.training.spec import model_spec

from ..markets import us
from ..training.test_fit import DDL, FEATURES, at

pytestmark = pytest.mark.spark


@pytest.fixture
def trained(spark) -> Trained:
    start = us("2013-10-04T13:30")
    rows = pd.DataFrame(
        {
            "symbol": "A",
            "ts": [at(start + k * 60_000_000) for k in range(40)],
            "sma_5": 1.0,
            "roc_3": [float(k % 2) for k in range(40)],
            "close": 10.0,
            "label_level": 11.0,
            "label_return": [0.01 if k % 2 else -0.03 for k in range(40)],
            "label_end": at(start + 60 * 60_000_000),
        }
    )
    window = Window("train", start, us("2013-10-04T20:00"))
    forest = RandomForest.model_validate({"trees": 2, "depth": 2, "feature_subset": "all", "seed": 1})
    return train(spark.createDataFrame(rows, DDL), model_spec("rf", forest, FEATURES, "return", window))


def test_parameters_metrics_importances_and_the_forest_itself(
    spark, mlflow_home: LakeLocation, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent: TrackedRun = start_study_run(mlflow_home, "s", "d", {})
    metrics = {"rmse": 0.1, "skill": float("nan")}
    # a run that was killed while it wrote its forest
    killed = start_child(parent, "model rf", "m-1", "model")
    killed.client.log_text(killed.run_id, "half of it", "model/sparkml/metadata/part-00000")
    run = log_model(parent, trained, metrics, "m-1", 1.5)
    assert log_model(parent, trained, metrics, "m-1", 1.5).run_id == run.run_id
    assert is_over(runs_below(parent, "model")["m-1"])
    assert run.run_id != killed.run_id

    data = run.client.get_run(run.run_id).data
    assert {name: data.params[name] for name in ("trees", "depth", "seed", "target", "features")} == {
        "trees": "2", "depth": "2", "seed": "1", "target": "return", "features": "sma_5, roc_3, close",
    }  # fmt: skip
    assert data.metrics == {
        "validate.rmse": 0.1, "train.rows": 40.0, "train.seconds": 1.5,
        "importance.sma_5": 0.0, "importance.roc_3": 1.0, "importance.close": 0.0,
    }  # fmt: skip
    importances = run.client.download_artifacts(run.run_id, "feature_importances.json", str(tmp_path))
    assert json.loads(Path(importances).read_text()) == {"sma_5": 0.0, "roc_3": 1.0, "close": 0.0}

    folder = run.client.download_artifacts(run.run_id, "model", str(tmp_path))
    rows = pd.DataFrame({"sma_5": [1.0, 1.0], "roc_3": [1.0, 0.0], "close": [10.0, 10.0]})
    loaded = mlflow.spark.load_model(folder, dfs_tmpdir=str(tmp_path / "dfs"))
    got = loaded.transform(spark.createDataFrame(rows.assign(n=[0, 1]))).orderBy("n").toPandas()
    assert got["prediction"].tolist() == pytest.approx([0.01, -0.03])
    monkeypatch.setenv("MLFLOW_DFS_TMP", str(tmp_path / "dfs2"))
    assert list(mlflow.pyfunc.load_model(folder).predict(rows)) == pytest.approx([0.01, -0.03])
    flavours = mlflow.models.Model.load(folder).flavors
    held = {"columns": ["sma_5", "roc_3", "close"], "target": "return", "model_digest": "m-1"}
    assert flavours["whatif"].items() >= held.items()
    assert flavours["whatif"]["features"] == ["sma(5)", "roc(3)", "close"]
