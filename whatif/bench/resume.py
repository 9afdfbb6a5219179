"""Benchmark of a run that is killed at 70 %, and what it takes to finish it."""

from __future__ import annotations

import json
import math
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.setting import Setting, said
from whatif.bench.studies import StudyText, write_study
from whatif.errors import RunError
from whatif.lake import RESULTS
from whatif.pins import current_pin, everything, open_table, read_arrow, table_exists

KILL_AT = 0.70

_FULL = (range(5, 45), range(50, 850, 20))
_QUICK = (range(5, 10), range(50, 250, 20))
_PAUSE_SECONDS = 2.0
"""From the commit to the kill, at most: the next wave is under way already, and may be a short one."""

_POLL_SECONDS = 0.2
_NOTES = (
    "each time is that of a whole process: imports, JVM, sweep, test window, report, MLflow; the undisturbed "
    "run is of the same study with another position size, on the same lake",
    f"the kill: SIGKILL of the driver amid a wave, once {KILL_AT:.0%} of the backtests are stored",
)


@dataclass(frozen=True)
class _Killed:
    """A run up to its kill.

    Attributes
    ----------
    seconds : float
        Wall time from start to kill.
    stored : int
        Backtests that were stored by then.
    waves : tuple of int
        Backtests of each wave that was stored.
    longest : float
        Longest time from one wave's commit to the next, seconds; of a single wave, the whole run.
    lost : float
        Time from the last commit to the kill, seconds.
    """

    seconds: float
    stored: int
    waves: tuple[int, ...]
    longest: float
    lost: float


def measure(setting: Setting) -> Measurement:
    """Compare the time to finish a killed run with that of an undisturbed one."""
    fast, slow = _QUICK if setting.options.quick else _FULL
    total = len(fast) * len(slow)
    setting.say(f"resume: an undisturbed run of {total:,} configurations")
    whole, _ = _run(setting, write_study(setting, StudyText("bench-whole", fast, slow, 1)))
    setting.say(f"resume: the same, killed at {KILL_AT:.0%}")
    study = write_study(setting, StudyText("bench-killed", fast, slow, 2))
    killed = _run_and_kill(setting, study, total)
    setting.say("resume: finishing what was killed")
    rest, counts = _run(setting, study)
    share, waves = 100.0 * rest / whole, killed.lost / killed.longest
    again = counts["computed"] + counts["resumed"] - total
    wrong = _wrong_rows(setting, "bench-killed", total)
    return Measurement(
        name="resume",
        title=f"kill and resume: {total:,} configurations, killed with {killed.stored:,} stored",
        figures=(
            Figure("resume", "resume / undisturbed run", share, "%", Goal("at most", 40.0)),
            Figure("lost", "work lost and done again, in waves", waves, "", Goal("at most", 1.0)),
            Figure("again", "stored before the kill and computed again", again, "", Goal("exactly", 0)),
            Figure("rows", "rows missing or there twice", wrong, "", Goal("exactly", 0)),
            Figure("undisturbed_seconds", "undisturbed run", whole, "s"),
            Figure("killed_seconds", "run until it was killed", killed.seconds, "s"),
            Figure("resume_seconds", "resumed run", rest, "s"),
            Figure("wave", "largest wave, of all backtests", 100.0 * max(killed.waves) / total, "%"),
        ),
        notes=_NOTES,
        detail={"killed": vars(killed), "resumed": counts, "configurations": total},
    )


def _command(setting: Setting, study: Path) -> tuple[list[str | Path], Path]:
    answer = setting.location.home / "study.json"
    return ["-m", "whatif.bench.probe", "study", study, answer], answer


def _run(setting: Setting, study: Path) -> tuple[float, dict[str, Any]]:
    """Run a study in a process of its own; return its wall time and what it counted."""
    command, answer = _command(setting, study)
    started = time.perf_counter()
    setting.run_child(command)
    seconds = time.perf_counter() - started
    counts: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return seconds, counts


def _run_and_kill(setting: Setting, study: Path, total: int) -> _Killed:
    """Start a study and kill its driver in the middle of a wave, once 70 % are stored."""
    before = _commits(setting)
    command, _ = _command(setting, study)
    started = time.time()
    process = setting.start_child(command, setting.location.home)
    try:
        commits = _wait(setting, process, len(before), math.ceil(KILL_AT * total))
        time.sleep(max(0.0, commits[-1][0] + min(_gap(commits) / 2, _PAUSE_SECONDS) - time.time()))
    finally:
        process.kill()
        process.wait()
    ended = time.time()
    commits = _commits(setting)[len(before) :]
    waves = tuple(count for _, count in commits)
    return _Killed(
        seconds=ended - started,
        stored=sum(waves),
        waves=waves,
        longest=max((b - a for (a, _), (b, _) in pairwise(commits)), default=ended - started),
        lost=ended - commits[-1][0],
    )


def _wait(
    setting: Setting, process: subprocess.Popen[bytes], before: int, wanted: int
) -> list[tuple[float, int]]:
    """Wait until `wanted` backtests are stored by commits after the first `before`; return these."""
    while process.poll() is None:
        commits = _commits(setting)[before:]
        if sum(count for _, count in commits) >= wanted:
            return commits
        time.sleep(_POLL_SECONDS)
    raise RunError(f"the run ended before it could be killed: {said(setting.location.home)}")


def _gap(commits: Sequence[tuple[float, int]]) -> float:
    return commits[-1][0] - commits[-2][0] if len(commits) > 1 else 0.0


def _commits(setting: Setting) -> list[tuple[float, int]]:
    """Return when each wave was stored, seconds since 1970, and how many rows it brought."""
    if not table_exists(setting.location, RESULTS.name):
        return []
    snapshots = open_table(setting.location, RESULTS.name).metadata.snapshots
    found = []
    for snapshot in sorted(snapshots, key=lambda s: s.sequence_number or 0):
        summary: dict[str, Any] = snapshot.summary.additional_properties if snapshot.summary else {}
        found.append((snapshot.timestamp_ms / 1000.0, int(summary.get("added-records", 0))))
    return found


def _wrong_rows(setting: Setting, study: str, total: int) -> int:
    """Return how many rows of the sweep are missing, plus how many are there more than once."""
    pin = current_pin(setting.location, RESULTS.name)
    rows = read_arrow(pin, ["study", "config_id", "window"], everything()).to_pylist()
    there = Counter(r["config_id"] for r in rows if (r["study"], r["window"]) == (study, "validate"))
    return abs(total - len(there)) + sum(count - 1 for count in there.values())
