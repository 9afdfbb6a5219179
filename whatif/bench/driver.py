"""Benchmark of a driver's memory for a very large study, with ranking, verdict and report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from whatif.bench import probe, sweep
from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.setting import Setting
from whatif.bench.standalone import EXECUTORS, Cluster, run_cluster
from whatif.bench.studies import StudyText, write_study

_FULL = (range(2, 252), range(252, 652))
_QUICK = (range(2, 12), range(252, 272))
_GOAL = Goal("at most", 2048.0)
_BY_MINUTE_DAYS = 8
"""Days so few that returns are kept for every minute, thousands of them."""

_NOTES = (
    "by `spark-submit` on a standalone cluster of two executors of one core, so that the driver's JVM holds "
    "the driver and no backtests: resolving, waves, ranking, returns thinned to 10,000, verdict, report, "
    "MLflow; memory is the most that a process ever held (VmHWM)",
    f"returns by minute: the same configurations on {_BY_MINUTE_DAYS} days, whose returns are kept for every "
    "bar: the verdict compares thousands of periods",
)


def measure(setting: Setting) -> Measurement:
    """Measure the peak memory of a driver of 100,000 configurations, with few and with many periods."""
    fast, slow = _QUICK if setting.options.quick else _FULL
    total = len(fast) * len(slow)
    text = StudyText(f"bench-driver-{total}", fast, slow, 3, sweep.COMPILED)
    by_minute = replace(text, name=f"{text.name}-minutes", size=4, days=_BY_MINUTE_DAYS)
    folder = setting.location.home / "driver"
    folder.mkdir(parents=True, exist_ok=True)
    with run_cluster(folder, EXECUTORS) as cluster:
        found, minutes = (_run(setting, cluster, one) for one in (text, by_minute))
    missing = 2 * total - found["rows"] - minutes["rows"]
    return Measurement(
        name="driver",
        title=f"the driver of {total:,} configurations, {sweep.COMPILED} engine",
        figures=(
            Figure("memory", "peak of Python and JVM together", found["memory"], "MB", _GOAL),
            Figure("memory_minutes", "the same, returns by minute", minutes["memory"], "MB", _GOAL),
            Figure("missing", "rows missing in the rankings", missing, "", Goal("exactly", 0)),
            Figure(
                "failed", "backtests that failed", found["failed"] + minutes["failed"], "", Goal("exactly", 0)
            ),
            Figure("python", "Python", found["python_mb"], "MB"),
            Figure("jvm", "JVM (spark.driver.memory 1g)", found["jvm_mb"], "MB"),
            Figure("seconds", "command to answer", found["seconds"], "s"),
            Figure("python_minutes", "returns by minute, Python", minutes["python_mb"], "MB"),
            Figure("jvm_minutes", "returns by minute, JVM", minutes["jvm_mb"], "MB"),
            Figure("seconds_minutes", "returns by minute, command to answer", minutes["seconds"], "s"),
        ),
        notes=_NOTES,
        detail={"all_bars": found, "by_minute": minutes},
    )


def _run(setting: Setting, cluster: Cluster, text: StudyText) -> dict[str, Any]:
    """Run a study by spark-submit; return what it counted, with `seconds` and `memory`."""
    home = setting.location.home
    setting.say(f"driver: {text.name}, {text.engine} engine")
    study, answer = write_study(setting, text), home / "driver.json"
    seconds = cluster.run(Path(probe.__file__), ("study", study, answer), home)
    found = json.loads(answer.read_text(encoding="utf-8"))
    return {**found, "seconds": seconds, "memory": found["python_mb"] + found["jvm_mb"]}
