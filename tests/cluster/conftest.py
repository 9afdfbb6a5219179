"""A standalone Spark cluster on loopback: one master, two workers of one core."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from whatif.bench.standalone import SPARK_HOME as SPARK_HOME
from whatif.bench.standalone import Cluster as Standalone
from whatif.bench.standalone import environment_of, run_cluster

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 2


@dataclass(frozen=True)
class Cluster(Standalone):
    """A running cluster that takes the jobs of this repository."""

    def submit(self, job: str, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
        """Run a job of this repository by spark-submit and wait for it."""
        environment = {**self.environment, "WHATIF_HOME": str(home)}
        command = self.command(ROOT / "jobs" / job, arguments)
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300, check=False
        )


@contextmanager
def standalone(folder: Path, environment: Mapping[str, str]) -> Iterator[Cluster]:
    """Run a cluster whose daemons have this environment, and executors what they inherit of it."""
    with run_cluster(folder, WORKERS, environment) as running:
        yield Cluster(**vars(running))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start the cluster, and stop it when the tests are over."""
    folder = tmp_path_factory.mktemp("cluster")
    shared = {"WHATIF_KERNELS": os.environ["WHATIF_KERNELS"]}
    with standalone(folder, {**environment_of(folder), **shared}) as running:
        yield running
