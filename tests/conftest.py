"""Fixtures for every room: one Spark session for the run, a lake of one's own for each test."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from whatif.pins import LakeLocation

REPOSITORY = Path(__file__).resolve().parent.parent

# numba makes a million objects for a kernel, which need not be looked through every few hundred
gc.set_threshold(100_000, 20, 20)

# every JVM that a test starts lives for seconds: the optimizing compiler would only take its cores away
os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1")

# a kernel takes seconds to compile and is named by all that it depends on: all processes of all runs share
# them, also those of Spark and of a pool, which would else keep them in the lake of one test
os.environ.setdefault("WHATIF_KERNELS", str(Path(tempfile.gettempdir(), f"whatif-kernels-{os.getuid()}")))

KEPT = ("WHATIF_TEST_DATA", "WHATIF_KERNELS")
"""Variables of the run that tests see."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse tests of a cluster elsewhere than in the folder that `make test-cluster` runs."""
    folder = REPOSITORY / "tests" / "cluster"
    lost = [
        item.nodeid
        for item in items
        if item.get_closest_marker("cluster") and folder not in item.path.parents
    ]
    if lost:
        raise pytest.UsageError(f"move tests with mark cluster to {folder}: {', '.join(lost)}")


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's lake and settings out of the tests, and the tests out of the user's."""
    for name in [n for n in os.environ if n.startswith("WHATIF_") and n not in KEPT]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WHATIF_HOME", str(tmp_path / "whatif-home"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of real market data; skip where there is none."""
    folder = Path(os.environ.get("WHATIF_TEST_DATA", REPOSITORY / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no market data in {folder}: set WHATIF_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def _spark_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    from whatif.pins import LakeLocation
    from whatif.session import get_spark

    session = get_spark(
        LakeLocation(tmp_path_factory.mktemp("spark-of-the-run")),
        app_name="whatif-tests",
        master="local[2,4]",
    )
    yield session
    session.stop()


@pytest.fixture
def lake_home(tmp_path: Path) -> LakeLocation:
    """Return the location of an empty lake, the one that WHATIF_HOME names too."""
    from whatif.pins import LakeLocation

    return LakeLocation(tmp_path / "whatif-home")


@pytest.fixture
def spark(_spark_of_the_run: SparkSession, lake_home: LakeLocation) -> Iterator[SparkSession]:
    """Return a session on `lake_home`; what it cached or named is gone after the test."""
    from whatif.session import get_spark

    session = get_spark(lake_home)
    yield session
    session.catalog.clearCache()
    for view in session.catalog.listTables():
        if view.isTemporary:
            session.catalog.dropTempView(view.name)
