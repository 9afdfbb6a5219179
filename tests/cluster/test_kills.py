"""`kill -9` of executors, workers (Spark's and Python's) and the driver at random moments: the same rows."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from whatif.bench.standalone import below, kill
from whatif.lake import TableSpec
from whatif.lake.results import RESULTS, RETURNS
from whatif.lake.tables import EQUITY, TEST_LOOKS, TRADES
from whatif.pins import LakeLocation

from ..markets import put_bars, walk
from ..workflow.conftest import plain_rows, rows_of, study_text
from .conftest import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(7_200)]

SEED = 6
KILLS = {"executor": 5, "Spark worker": 4, "python worker": 5, "driver's python": 3, "driver's JVM": 3}
PAUSE_SECONDS = (0.3, 4.0)
TABLES = (RESULTS, RETURNS, TRADES, EQUITY)

DRIVER = """
import sys
from pathlib import Path

from whatif.pins import LakeLocation
from whatif.runner import waves
from whatif.workflow import RunOptions, run

home, study, cost = sys.argv[1:]
if float(cost):
    waves.Pace.wave_cost = lambda self, remaining, cores: float(cost)
run(Path(study), location=LakeLocation(Path(home)), options=RunOptions(track=False))
"""

STRATEGY = """
import time

from whatif.strategies import Param, strategy, target


@strategy(params={"n": Param(1), "every": Param(10)})
def sleepy(i, x, p, s):
    if i % 40 == 0:
        time.sleep(0.03)
    return target(float(p.n) if (i // p.every) % 2 else 0.0)
"""

A_WAVE = 226.0 * 16
"""Configuration-bars of a wave: sixteen backtests."""


class Run:
    """A study on the cluster whose processes are killed while it runs.

    Parameters
    ----------
    cluster : Cluster
        Where.
    script, study : Path
        The driver's program and what it runs.
    rng : Random
        Says who is killed, and when.
    turns : list of str
        The kinds of processes that are still to be killed, the next one last.
    """

    def __init__(self, cluster: Cluster, script: Path, study: Path, rng: random.Random) -> None:
        self.cluster, self.script, self.study, self.rng = cluster, script, study, rng
        self.turns: list[str] = []
        self.killed: Counter[str] = Counter()
        self.gave_up = 0

    def to_the_end(self, home: Path) -> None:
        """Run the study as often as it takes, killing whose turn it is on the way."""
        while not self.once(home):
            pass

    def once(self, home: Path) -> bool:
        """Start the driver, kill whose turn it is, and tell whether the driver came to its end."""
        cost = A_WAVE if self.turns else 0.0
        driver = self.cluster.start(self.script, (home, self.study, str(cost)), home)
        try:
            while self.turns and self.still_runs(driver, self.rng.uniform(*PAUSE_SECONDS)):
                kind = self.kill_next(driver)
                if kind is not None and kind.startswith("driver"):
                    self.wait_for_its_end(driver)
                    return False
            code = driver.wait(timeout=1_800)
        finally:
            for pid in [*below([driver.pid]), driver.pid]:
                kill(pid)
            driver.wait()
        if code != 0:
            # four kills of the same task: Spark gives up, and whatif says what to do
            said = (home / "child.log").read_text()[-3_000:]
            assert "the same command goes on from there" in said, said
            self.gave_up += 1
        return code == 0

    def still_runs(self, driver: subprocess.Popen[bytes], seconds: float) -> bool:
        with suppress(subprocess.TimeoutExpired):
            driver.wait(seconds)
        return driver.poll() is None

    def kill_next(self, driver: subprocess.Popen[bytes]) -> str | None:
        """Kill one process of the kind whose turn it is; None if there is none now."""
        found = sorted(self.processes(driver)[self.turns[-1]])
        if not found:
            return None
        kill(self.rng.choice(found))
        if self.turns[-1] == "Spark worker":
            # as the service that keeps it would; its executor goes with it
            self.cluster.start_worker()
        self.killed[self.turns[-1]] += 1
        return self.turns.pop()

    def processes(self, driver: subprocess.Popen[bytes]) -> dict[str, list[int]]:
        executors, drivers = below(self.cluster.workers), below([driver.pid])
        return {
            "Spark worker": self.cluster.workers,
            "executor": [p for p, line in executors.items() if "CoarseGrainedExecutorBackend" in line],
            "python worker": [p for p, line in executors.items() if "pyspark.daemon" in line],
            "driver's python": [p for p, line in drivers.items() if self.script.name in line],
            "driver's JVM": [driver.pid],
        }

    def wait_for_its_end(self, driver: subprocess.Popen[bytes]) -> None:
        """The half of a driver that is left must notice that the other one is gone."""
        end = time.monotonic() + 60.0
        while any(self.script.name in line for line in self.left_of(driver)):
            assert time.monotonic() < end, "half of a driver outlives the other one"
            time.sleep(0.2)

    def left_of(self, driver: subprocess.Popen[bytes]) -> list[str]:
        driver.poll()
        mine = [Path(f"/proc/{path.name}/cmdline") for path in Path("/proc").iterdir() if path.name.isdigit()]
        lines = []
        for path in mine:
            with suppress(OSError):
                lines.append(path.read_text(errors="replace"))
        return [line for line in lines if str(self.script) in line]


@pytest.fixture
def homes(spark: Any, tmp_path: Path) -> Iterator[LakeLocation]:
    """Return lakes with the same bars, as many as are asked for."""

    def made() -> Iterator[LakeLocation]:
        for k in count():
            home = LakeLocation(tmp_path / f"home{k}")
            put_bars(home, [walk("A", 1, minutes=120), walk("B", 2, minutes=120)])
            yield home

    return made()


def looks(location: LakeLocation) -> set[tuple[Any, ...]]:
    frame = rows_of(location, TEST_LOOKS)
    columns = ["study", "config_id", "symbol", "window_start", "window_end"]
    return set(frame[columns].itertuples(index=False, name=None))


def compared(location: LakeLocation, spec: TableSpec) -> list[str]:
    assert not rows_of(location, spec).duplicated(list(spec.key)).any(), spec.name
    return plain_rows(location, spec)


def test_twenty_kills_change_no_row(cluster: Cluster, homes: Any, tmp_path: Path) -> None:
    script, study = tmp_path / "killed_driver.py", tmp_path / "study.yaml"
    script.write_text(DRIVER)
    (tmp_path / "sleepy.py").write_text(STRATEGY)
    axes = {"n": list(range(1, 13)), "every": list(range(5, 45, 5))}
    keep = {"trades": "all", "equity": "all"}
    text = study_text(strategy={"name": "sleepy.py"}, axes=axes, keep=keep, engine="backtrader")
    study.write_text(text)
    run = Run(cluster, script, study, random.Random(SEED))

    undisturbed = next(homes)
    run.to_the_end(undisturbed.home)
    expected = {table.name: compared(undisturbed, table) for table in TABLES}
    assert len(expected["results"]) == 96 * 2 + 2
    run.turns = [kind for kind, times in KILLS.items() for _ in range(times)]
    run.rng.shuffle(run.turns)
    rounds = 0
    while run.turns:
        assert rounds < 10, f"only {run.killed.total()} kills: runs are too short"
        home = next(homes)
        run.to_the_end(home.home)
        rounds += 1
        for table in TABLES:
            assert compared(home, table) == expected[table.name], (table.name, run.killed)
        # opened for what was chosen and nothing else, perhaps more than once
        assert looks(home) == looks(undisturbed)
    print(f"studies: {rounds}, killed: {dict(run.killed)}, given up by Spark: {run.gave_up}")  # noqa: T201
    assert run.killed == KILLS
