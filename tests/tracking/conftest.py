"""A tracking data base that is there already: MLflow takes seconds to make one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from whatif.pins import LakeLocation


@pytest.fixture(scope="session")
def _empty_data_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mlflow.tracking import MlflowClient

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def mlflow_home(lake_home: LakeLocation, _empty_data_base: Path) -> LakeLocation:
    """Return the lake's location, whose home holds an empty tracking data base."""
    lake_home.home.mkdir(parents=True, exist_ok=True)
    shutil.copy(_empty_data_base, lake_home.home / "mlflow.db")
    return lake_home
