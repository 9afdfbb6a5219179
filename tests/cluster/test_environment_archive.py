"""Executors that have nothing but the unpacked environment archive give the bytes of a local run.

The daemons start with an empty environment: no PYTHONPATH, no variable that names the checkout.
Spark itself, which a cluster brings, is reached through a link. The driver runs from the archive
too, unpacked by hand, with the pyspark of that Spark; so no Python but the archive's and its
interpreter's is used at all. Where Python 3.11 is in /usr, as on EMR and Glue, the archive is the
very one that goes there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from whatif.lake.results import RESULTS, RETURNS
from whatif.lake.tables import EQUITY, PREDICTIONS, TRADES
from whatif.pins import LakeLocation
from whatif.session import find_iceberg_jar, find_java
from whatif.workflow import RunOptions, run

from ..markets import put_bars, walk
from ..workflow.conftest import plain_rows, rows_of, study_text
from .conftest import ROOT, SPARK_HOME, standalone
from .test_standalone import MODELS, emptied

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(3600)]

TABLES = (RESULTS, RETURNS, TRADES, EQUITY)
PREFIX = "/usr" if Path("/usr/bin/python3.11").exists() else sys.base_prefix
EXTENSIONS = "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"


@dataclass(frozen=True)
class Bare:
    """A cluster without any Python of its own but the interpreter."""

    master: str
    environment: dict[str, str]
    archive: Path
    unpacked: Path

    def submit(self, job: Path, *arguments: str, home: Path) -> None:
        conf = {
            "spark.pyspark.python": "./environment/bin/python",
            "spark.pyspark.driver.python": f"{self.unpacked}/bin/python",
            "spark.executorEnv.TZ": "UTC",
            "spark.sql.extensions": EXTENSIONS,
            "spark.executor.memory": "512m",
            "spark.driver.memory": "1g",
            "spark.driver.host": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "4",
            # the first job waits until the executors have unpacked the archive
            "spark.sql.broadcastTimeout": "1200",
            "spark.network.timeout": "600s",
        }
        done = subprocess.run(
            [
                f"{self.environment['SPARK_HOME']}/bin/spark-submit",
                *("--master", self.master, "--jars", str(find_iceberg_jar())),
                *("--archives", f"{self.archive}#environment"),
                *(word for key, value in conf.items() for word in ("--conf", f"{key}={value}")),
                *(str(job), *arguments),
            ],
            env={**self.environment, "WHATIF_HOME": str(home)},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=1500,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def build(archive: Path) -> None:
    script = str(ROOT / "infra" / "build_environment.py")
    command = [sys.executable, script, "--output", str(archive), "--python-prefix", PREFIX]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bare]:
    """Build the archive, or take the one that WHATIF_ENVIRONMENT_ARCHIVE names, and start a cluster."""
    folder = tmp_path_factory.mktemp("bare")
    archive = Path(os.environ.get("WHATIF_ENVIRONMENT_ARCHIVE") or folder / "environment.tar.gz").absolute()
    if not archive.exists():
        build(archive)
    unpacked = folder / "driver"
    unpacked.mkdir()
    subprocess.run(["tar", "-xf", str(archive), "-C", str(unpacked)], check=True)
    (folder / "temporary").mkdir()
    (folder / "spark").symlink_to(SPARK_HOME)
    environment = {
        "PATH": "/usr/bin:/bin",
        "JAVA_HOME": str(find_java()),
        "SPARK_HOME": str(folder / "spark"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_WORKER_DIR": str(folder / "work"),
        "TMPDIR": str(folder / "temporary"),
    }
    try:
        with standalone(folder, environment) as cluster:
            yield Bare(cluster.master, environment, archive, unpacked)
    finally:  # every application has unpacked it again, on each executor
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(MODELS, id="compiled, with models"),
        pytest.param({"engine": "backtrader"}, id="backtrader"),
    ],
)
def test_a_study_gives_the_bytes_of_a_local_run(
    spark: Any, lake_home: LakeLocation, bare: Bare, tmp_path: Path, changes: dict[str, Any]
) -> None:
    put_bars(lake_home, [walk("A", 1, minutes=120), walk("B", 2, minutes=120)])
    study = tmp_path / "study.yaml"
    study.write_text(study_text(**changes))
    local = run(study, spark, lake_home, RunOptions(track=False))
    expected = {table.name: plain_rows(lake_home, table) for table in TABLES}
    predictions = plain_rows(lake_home, PREDICTIONS) if "models" in changes else None
    emptied(spark, lake_home, TABLES)

    bare.submit(ROOT / "jobs" / "run_whatif.py", str(study), "--no-track", home=Path(lake_home.home))

    assert len(expected["results"]) > len(local.leaderboard()) >= 6
    for table in TABLES:
        assert plain_rows(lake_home, table) == expected[table.name], table.name
    if predictions is not None:
        assert plain_rows(lake_home, PREDICTIONS) == predictions, "no model may be trained again"
    rows = rows_of(lake_home, RESULTS)
    assert set(rows["engine"]) == {changes.get("engine", "compiled")}
    assert len(set(rows["worker"])) > 1, "one executor did all the work"


def test_every_executor_runs_from_the_unpacked_archive(bare: Bare, tmp_path: Path) -> None:
    bare.submit(Path(__file__).with_name("probe_environment.py"), str(tmp_path / "found"), home=tmp_path)

    looks = [json.loads(line) for line in (tmp_path / "found").read_text().splitlines()]
    assert len({look["folder"] for look in looks}) == 2, "not two executors"
    for look in looks:
        environment = f"{look['folder']}/environment"
        assert look["prefix"] == environment
        assert look["executable"] == f"{environment}/bin/python"
        assert look["whatif"] == f"{environment}/lib/python3.11/site-packages/whatif/__init__.py"
        assert not look["pyspark in site-packages"]
        own = (environment, f"{bare.environment['TMPDIR']}/whatif-kernels-")
        allowed = (*own, f"{PREFIX}/lib/python3.11/", bare.environment["SPARK_HOME"])
        assert [path for path in look["modules"] if not path.startswith(allowed)] == []
        paths = look["variables"].pop("PYTHONPATH").split(":")
        spark = (bare.environment["SPARK_HOME"], str(SPARK_HOME.resolve()))
        assert [path for path in paths if not path.startswith(spark)] == []
        assert [name for name, value in look["variables"].items() if str(ROOT) in value] == []
        assert look["fills"] > 10
        assert look["equal"], "the brokers differ"
        assert look["kernels"], "no compiled strategy was kept"
        assert look["caches"]
        assert look["caches"] == [path for path in look["caches"] if path.startswith(own)]
        assert look["cached"] > 0, "numba kept nothing beside the modules"


def test_a_second_build_gives_the_same_bytes(bare: Bare, tmp_path: Path) -> None:
    if bare.archive.parent != bare.unpacked.parent:
        pytest.skip("the archive was built elsewhere, of sources that may differ")
    again = tmp_path / "again.tar.gz"
    build(again)
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (bare.archive, again)]
    again.unlink()
    assert digests[0] == digests[1]
