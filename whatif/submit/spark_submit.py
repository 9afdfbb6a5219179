"""Runner of jobs by spark-submit: on a standalone cluster, or on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from whatif.errors import SubmitError
from whatif.masters import check_master
from whatif.submit.attend import birth, read_state
from whatif.submit.requests import Job, spark_submit_command
from whatif.submit.runner import Found, Phase, State, choose

START_SECONDS = 30.0


@dataclass(frozen=True)
class Launcher:
    """How to launch Spark here.

    Attributes
    ----------
    program : str
        Path of spark-submit.
    master : str
        `spark://host:port` or `local[…]`.
    conf : mapping of str to str
        Spark settings.
    environment : mapping of str to str
        Variables on top of this process's own.
    """

    program: str
    master: str
    conf: Mapping[str, str]
    environment: Mapping[str, str]


class SparkSubmit:
    """A runner whose runs are processes of this machine; what is known of them stands in a folder."""

    def __init__(self, launcher: Launcher, folder: Path, sleep: Callable[[float], None] = time.sleep) -> None:
        self._launcher, self._folder, self._sleep = launcher, folder, sleep
        self._shown: dict[str, int] = {}

    def request(self, job: Job) -> dict[str, Any]:
        """Return the command line that would start `job`."""
        return {"command": self._command(job), "environment": dict(self._launcher.environment)}

    def find(self, job: Job) -> Found:
        """Return the run of the same identity that is going on or has succeeded."""
        runs = [self._run(path) for path in self._folder.glob(f"{job.identity}-*.process.json")]
        runs.sort(key=lambda run: int(run.rpartition("-")[2]))
        return choose([(run, self.state(run)) for run in runs])

    def check(self) -> None:
        """Refuse a master that does not answer."""
        check_master(self._launcher.master)

    def start(self, job: Job) -> str:
        """Start the job in a process that outlives this one."""
        run = f"{job.identity}-{job.attempt}"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._claim(run)
        command = [sys.executable, "-m", "whatif.submit.attend", str(self._file(run)), str(self._log(run))]
        environment = {**os.environ, **self._launcher.environment}
        subprocess.Popen(
            [*command, *self._command(job)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait_for(run)
        return run

    def state(self, run: str) -> State:
        """Return how a run is doing: what its keeper wrote down, and whether that one is alive."""
        known = read_state(self._file(run))
        if not known:
            return State("UNKNOWN", Phase.FAILED, f"nothing is known of run {run} in {self._folder}")
        if "pid" not in known:
            return _starting(known)
        started, ended = _time(known["started"]), _time(known.get("ended"))
        if "code" not in known:
            if birth(int(known["pid"])) == known["born"]:
                return State("RUNNING", Phase.RUNNING, "", started)
            return State("GONE", Phase.FAILED, "its process was killed", started)
        if known.get("cancelled"):
            return State("CANCELLED", Phase.CANCELLED, "", started, ended)
        code = known["code"]
        if code == 0:
            return State("FINISHED", Phase.SUCCEEDED, "", started, ended)
        return State("FAILED", Phase.FAILED, f"exit code {code}; see {self._log(run)}", started, ended)

    def cancel(self, run: str) -> None:
        """Stop a run that is going on."""
        if self.state(run).phase is Phase.RUNNING:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(read_state(self._file(run))["pid"]), signal.SIGTERM)

    def logs(self, run: str) -> list[str]:
        """Return the lines that the run has printed since the last call."""
        try:
            with self._log(run).open("rb") as log:
                log.seek(self._shown.get(run, 0))
                new = log.read()
        except OSError:
            return []
        whole = new[: new.rfind(b"\n") + 1]
        self._shown[run] = self._shown.get(run, 0) + len(whole)
        return whole.decode("utf-8", "replace").splitlines()

    def _command(self, job: Job) -> list[str]:
        return spark_submit_command(self._launcher.program, self._launcher.master, self._launcher.conf, job)

    def _claim(self, run: str) -> None:
        """Take the run's name; of two processes that submit the same at once, one does."""
        try:
            with self._file(run).open("x", encoding="utf-8") as file:
                file.write(f'{{"started": "{datetime.now(UTC).isoformat()}"}}')
        except FileExistsError:
            raise SubmitError(
                f"run {run} is being started by another process: run the same command again to follow it"
            ) from None

    def _wait_for(self, run: str) -> None:
        for _ in range(int(START_SECONDS * 10)):
            if "pid" in read_state(self._file(run)):
                return
            self._sleep(0.1)
        self._file(run).unlink(missing_ok=True)
        raise SubmitError(f"spark-submit did not start in {START_SECONDS:.0f} s; see {self._log(run)}")

    def _file(self, run: str) -> Path:
        return self._folder / f"{run}.process.json"

    def _log(self, run: str) -> Path:
        return self._folder / f"{run}.log"

    @staticmethod
    def _run(path: Path) -> str:
        return path.name.removesuffix(".process.json")


def _starting(known: dict[str, Any]) -> State:
    """Return the state of a run whose name is taken, and that may never have begun."""
    started = datetime.fromisoformat(known["started"])
    if (datetime.now(UTC) - started).total_seconds() > 2 * START_SECONDS:
        return State("GONE", Phase.FAILED, "it never started", started)
    return State("STARTING", Phase.WAITING, "", started)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
