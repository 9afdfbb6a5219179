"""A forest that was written where the driver cannot see it is not passed off as one."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlparse

import pytest

from whatif.features.spec import FeatureSpec
from whatif.labels import SEAM as LABELS
from whatif.models import Fitted, RandomForest, spark_ml
from whatif.pins import LakeLocation
from whatif.search.slices import BarSlice
from whatif.splits.fold import Window
from whatif.tracking.child_runs import MODEL_TAG, NOT_ATTACHED, _log_fitted
from whatif.tracking.run import start_study_run
from whatif.training import Trained, model_spec


class Elsewhere:
    """Saves as Spark does whose executors are other machines: the driver's folder has no data in it."""

    def __init__(self, parts: tuple[str, ...]) -> None:
        self.parts = parts

    def write(self) -> Elsewhere:
        return self

    def overwrite(self) -> Elsewhere:
        return self

    def save(self, uri: str) -> None:
        for part in ("metadata/_SUCCESS", "stages/1_Forest/data/_SUCCESS", *self.parts):
            file = Path(urlparse(uri).path) / part
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()


@pytest.mark.parametrize(
    "parts", [pytest.param((), marks=pytest.mark.slow), ("stages/1_Forest/data/part-0.snappy.parquet",)]
)
def test_only_a_whole_forest_is_attached(
    mlflow_home: LakeLocation, parts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_ml, "_pipeline", lambda columns, model: Elsewhere(parts))
    run = start_study_run(mlflow_home, "s", "d", {})
    features = FeatureSpec(
        BarSlice(("A",), "1min", "1min", "XNYS", "regular", 0, 9),
        ("close",),
        LABELS.section({"horizon": "5min"}),
    )
    spec = model_spec("m", RandomForest(), features, "return", Window("train", 0, 5))
    trained = Trained(spec, spec.kind, Fitted(("close",), object(), 1))
    _log_fitted(run, trained)
    there = [artifact.path for artifact in run.client.list_artifacts(run.run_id)]
    tags = run.client.get_run(run.run_id).data.tags
    assert there == (["model"] if parts else [])
    assert tags.get(MODEL_TAG) == (None if parts else NOT_ATTACHED)
