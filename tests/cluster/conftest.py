"""A standalone Spark cluster on loopback: one master, two workers of one core."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyspark
import pytest

from whatif.session import find_iceberg_jar, find_java

SPARK_HOME = Path(pyspark.__file__).parent
ROOT = Path(__file__).resolve().parents[2]
WORKERS = 2
START_SECONDS = 300.0


@dataclass(frozen=True)
class Cluster:
    """A running cluster."""

    master: str
    environment: dict[str, str]

    def submit(self, job: str, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
        """Run a job of this repository by spark-submit and wait for it."""
        command = [
            str(SPARK_HOME / "bin" / "spark-submit"),
            *("--master", self.master),
            *("--jars", str(find_iceberg_jar())),
            *(
                "--conf",
                "spark.sql.extensions=org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
            ),
            *("--conf", "spark.executor.memory=512m", "--conf", "spark.driver.memory=1g"),
            *("--conf", "spark.driver.host=127.0.0.1", "--conf", "spark.ui.enabled=false"),
            *("--conf", "spark.sql.shuffle.partitions=4"),
            str(ROOT / "jobs" / job),
            *arguments,
        ]
        environment = {**self.environment, "WHATIF_HOME": str(home)}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300, check=False
        )


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start the cluster, and stop it when the tests are over."""
    folder = tmp_path_factory.mktemp("cluster")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "WHATIF_"))},
        "JAVA_HOME": str(find_java()),
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_WORKER_DIR": str(folder / "work"),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "TZ": "UTC",
    }
    with standalone(folder, environment) as running:
        yield running


@contextmanager
def standalone(folder: Path, environment: dict[str, str]) -> Iterator[Cluster]:
    """Run a cluster whose daemons have this environment, and executors what they inherit of it."""
    port = _free_port()
    url = f"spark://127.0.0.1:{port}"
    common = ["--host", "127.0.0.1", "--webui-port", "0"]
    daemons = [_start("master.Master", [*common, "--port", str(port)], environment, folder / "master.log")]
    for k in range(WORKERS):
        arguments = [*common, "--cores", "1", "--memory", "1g", url]
        daemons.append(_start("worker.Worker", arguments, environment, folder / f"worker{k}.log"))
    try:
        _wait(folder / "master.log", "Registering worker", WORKERS)
        yield Cluster(url, environment)
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            daemon.wait(timeout=30)


def _start(
    name: str, arguments: list[str], environment: dict[str, str], log: Path
) -> subprocess.Popen[bytes]:
    command = [str(SPARK_HOME / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", *arguments]
    with log.open("wb") as file:
        return subprocess.Popen(
            command, cwd=log.parent, env=environment, stdout=file, stderr=subprocess.STDOUT
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(log: Path, text: str, times: int) -> None:
    end = time.monotonic() + START_SECONDS
    while log.read_text(errors="replace").count(text) < times:
        if time.monotonic() > end:
            raise TimeoutError(
                f"the cluster did not start in {START_SECONDS:.0f} s: {log.read_text(errors='replace')}"
            )
        time.sleep(0.2)
