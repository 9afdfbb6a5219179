"""Standalone Spark cluster on loopback: a master and workers, each a process of this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyspark

import whatif
from whatif.bench.setting import wait_for
from whatif.conf_files import conf_dir, read_spark_conf
from whatif.errors import SessionError
from whatif.session import find_iceberg_jar, find_java

SPARK_HOME = Path(pyspark.__file__).parent
CODE = Path(whatif.__file__).resolve().parent.parent
"""Folder that holds the package, which drivers and executors import it from."""

EXECUTORS = 2
"""Workers that benchmarks start."""

START_SECONDS = 300.0
_NOT_FOR_CHILDREN = ("SPARK_", "PYSPARK_", "WHATIF_", "MLFLOW_")
_KEPT = ("WHATIF_CONF", "WHATIF_ICEBERG_JAR", "WHATIF_TEST_DATA")
_ON_LOOPBACK = ("--host", "127.0.0.1", "--webui-port", "0")
_CONF = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.executor.memory": "512m",
    "spark.executorEnv.PYSPARK_EXECUTOR_MEMORY_MB": "4096",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "4",
}


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Attributes
    ----------
    master : str
        Its URL.
    environment : mapping of str to str
        Variables of its processes and of drivers.
    folder : Path
        Its logs; those of executors are under `work`.
    memory : str
        What executors may take of a worker.
    daemons : list of Popen
        The master and the workers that were started, those that ended too.
    """

    master: str
    environment: Mapping[str, str]
    folder: Path = field(default_factory=Path)
    memory: str = "1g"
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def workers(self) -> list[int]:
        """Process ids of the workers that run."""
        return [daemon.pid for daemon in self.daemons[1:] if daemon.poll() is None]

    def start_worker(self) -> None:
        """Start a worker of one core."""
        arguments = [*_ON_LOOPBACK, "--cores", "1", "--memory", self.memory, self.master]
        log = self.folder / f"worker{len(self.daemons) - 1}.log"
        self.daemons.append(_start("worker.Worker", arguments, self.environment, log))

    def command(
        self, script: Path, arguments: Sequence[str | Path], conf: Mapping[str, str] | None = None
    ) -> list[str]:
        """Return the command line that submits a script of Python."""
        command = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", self.master]
        command += ["--jars", str(find_iceberg_jar())]
        whatifs = read_spark_conf(conf_dir() / "spark" / "cluster.conf")
        for key, value in {**whatifs, **_CONF, **(conf or {})}.items():
            command += ["--conf", f"{key}={value}"]
        return [*command, str(script), *map(str, arguments)]

    def start(
        self,
        script: Path,
        arguments: Sequence[str | Path],
        home: Path,
        conf: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Submit a script on the lake in `home`; what it says goes to a log there."""
        home.mkdir(parents=True, exist_ok=True)
        with (home / "child.log").open("ab") as log:
            return subprocess.Popen(
                self.command(script, arguments, conf),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**self.environment, "WHATIF_HOME": str(home), "COLUMNS": "120"},
            )

    def run(
        self,
        script: Path,
        arguments: Sequence[str | Path],
        home: Path,
        conf: Mapping[str, str] | None = None,
    ) -> float:
        """Submit a script, wait for its end, and return the seconds that took.

        Raises
        ------
        RunError
            With the end of what it said, if it fails.
        """
        started = time.perf_counter()
        wait_for(self.start(script, arguments, home, conf), "a driver on the cluster", home)
        return time.perf_counter() - started


@contextmanager
def run_cluster(
    folder: Path, workers: int = 2, environment: Mapping[str, str] | None = None, memory: str = "1g"
) -> Iterator[Cluster]:
    """Start a master and workers of one core each, and stop them as the block ends.

    Parameters
    ----------
    folder : Path
        Where logs and the executors' folders go.
    workers : int
        How many; each gives one executor of one core at most.
    environment : mapping of str to str, optional
        Variables of its processes, which executors inherit; `environment_of` if left out.
    memory : str
        What executors may take of a worker.

    Raises
    ------
    SessionError
        If it does not start.
    """
    variables = dict(environment or environment_of(folder))
    port = _free_port()
    log = folder / "master.log"
    cluster = Cluster(f"spark://127.0.0.1:{port}", variables, folder, memory)
    master = _start("master.Master", [*_ON_LOOPBACK, "--port", str(port)], variables, log)
    cluster.daemons.append(master)
    try:
        for _ in range(workers):
            cluster.start_worker()
        _wait(log, "Registering worker", workers)
        yield cluster
    finally:
        for daemon in reversed(cluster.daemons):
            daemon.terminate()
        for daemon in cluster.daemons:
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(timeout=30)
            daemon.kill()
            daemon.wait()


def environment_of(folder: Path) -> dict[str, str]:
    """Return this process's environment for a cluster whose executors import this very package."""
    kept = {k: v for k, v in os.environ.items() if k in _KEPT or not k.startswith(_NOT_FOR_CHILDREN)}
    path = [str(CODE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **kept,
        "JAVA_HOME": str(find_java()),
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_WORKER_DIR": str(folder / "work"),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join(path),
        "TZ": "UTC",
    }


def below(pids: Sequence[int]) -> dict[int, str]:
    """Return all processes below some (not themselves), with their command lines. Needs Linux's /proc."""
    parents: dict[int, int] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                # the name in brackets may hold anything
                parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
    found: dict[int, str] = {}
    front = set(pids)
    while front:
        front = {pid for pid, parent in parents.items() if parent in front and pid not in found}
        for pid in front:
            found[pid] = ""
            with suppress(OSError):
                found[pid] = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    return found


def kill(pid: int) -> None:
    """End a process at once, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _start(
    name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    command = [str(SPARK_HOME / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", *arguments]
    with log.open("wb") as file:
        return subprocess.Popen(
            command, cwd=log.parent, env=dict(environment), stdout=file, stderr=subprocess.STDOUT
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(log: Path, text: str, times: int) -> None:
    end = time.monotonic() + START_SECONDS
    while (said := log.read_text(errors="replace")).count(text) < times:
        if time.monotonic() > end:
            raise SessionError(f"the cluster did not start in {START_SECONDS:.0f} s: {said[-2000:]}")
        time.sleep(0.2)
