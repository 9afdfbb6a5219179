"""What a driver needs for a very large study: ranking, verdict and report included."""

from __future__ import annotations

import json
from pathlib import Path

from whatif.workflow.bench import once, sweep
from whatif.workflow.bench.cluster import EXECUTORS, run_on
from whatif.workflow.bench.figures import Figure, Goal, Measurement
from whatif.workflow.bench.setting import Setting
from whatif.workflow.bench.standalone import run_cluster
from whatif.workflow.bench.studies import StudyText, write_study

_FULL = (range(2, 252), range(252, 652))
_QUICK = (range(2, 12), range(252, 272))
_NOTES = (
    "by `spark-submit` on a standalone cluster of two executors of one core, so that the driver's JVM holds "
    "the driver and no backtests: resolving, waves, ranking, returns thinned to 10,000, verdict, report, "
    "MLflow; memory is the most that a process ever held (VmHWM)",
    "it grows with the periods of returns that the verdict compares, here some dozens of sessions",
)


def measure(setting: Setting) -> Measurement:
    """Measure the peak memory of a driver of 100,000 configurations."""
    fast, slow = _QUICK if setting.options.quick else _FULL
    total = len(fast) * len(slow)
    setting.say(f"driver: {total:,} configurations, {sweep.COMPILED} engine")
    folder, home = setting.location.home / "driver", setting.location.home
    folder.mkdir(parents=True, exist_ok=True)
    text = StudyText(f"bench-driver-{total}", fast, slow, 3, sweep.COMPILED)
    study, answer = write_study(setting, text), home / "driver.json"
    with run_cluster(folder, EXECUTORS) as cluster:
        seconds = run_on(cluster, Path(once.__file__), (study, answer), home)
    found = json.loads(answer.read_text(encoding="utf-8"))
    both = found["python_mb"] + found["jvm_mb"]
    return Measurement(
        name="driver",
        title=f"the driver of {total:,} configurations, {sweep.COMPILED} engine",
        figures=(
            Figure("memory", "peak of Python and JVM together", both, "MB", Goal("at most", 2048.0)),
            Figure("missing", "rows missing in the ranking", total - found["rows"], "", Goal("exactly", 0)),
            Figure("failed", "backtests that failed", found["failed"], "", Goal("exactly", 0)),
            Figure("python", "of that Python", found["python_mb"], "MB"),
            Figure("jvm", "of that the JVM (spark.driver.memory 1g)", found["jvm_mb"], "MB"),
            Figure("seconds", "command to answer", seconds, "s"),
        ),
        notes=_NOTES,
        detail=found,
    )
