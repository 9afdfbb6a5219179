"""What the runner refuses or says, seen without a JVM."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from whatif.domain.execution import Execution
from whatif.errors import MachineError, RunError
from whatif.pins import LakeLocation
from whatif.results import NOTHING, Keep, Pending
from whatif.runner.local import LocalRunner
from whatif.runner.plan import WorkItem
from whatif.runner.run import run_waves
from whatif.runner.spark import ROWS_OF_A_TASK, _gave_up, _held_rows, _writes_files
from whatif.search.configuration import Configuration
from whatif.session import task_slots


def pending(*names: str, symbol: str = "A") -> Pending:
    many = tuple(Configuration(name, {}, None, "1min", Execution()) for name in names)
    return Pending((symbol,), "validate", many, 100)


def test_a_backtest_that_is_pending_twice_is_refused() -> None:
    work = [pending("a", "b"), pending("a", symbol="B"), pending("b")]
    with pytest.raises(RunError, match=r"backtest \(\('A',\), 'validate', 'b'\) is pending twice"):
        run_waves(LocalRunner(LakeLocation(Path("none"))), None, work)  # type: ignore[arg-type]


def test_nothing_pending_starts_nothing() -> None:
    assert run_waves(LocalRunner(LakeLocation(Path("none"))), None, []) == 0  # type: ignore[arg-type]


def test_of_few_configurations_no_files_of_others_are_opened() -> None:
    plan = SimpleNamespace(bars=SimpleNamespace(snapshot_id=7), data_digest="d")
    market = "t.bars_snapshot = 7 AND t.data_digest = 'd'"
    few = [WorkItem(("A",), w, pending("b", "a").configurations) for w in ("validate", "test")]
    assert _held_rows(plan, few) == f"{market} AND t.config_id IN ('a', 'b')"  # type: ignore[arg-type]
    many = [WorkItem(("A",), "validate", pending(*map(str, range(201))).configurations)]
    assert _held_rows(plan, many) == market  # type: ignore[arg-type]


def test_tasks_write_files_where_rows_are_many_and_new() -> None:
    def items(count: int, keep: bool = False) -> list[WorkItem]:
        some = pending(*map(str, range(count))).configurations
        return [WorkItem(("A",), "validate", part, keep) for part in (some, some[:1])]

    lake, both = LakeLocation(Path("none")), {"results", "returns", "trades"}
    many = 2 * ROWS_OF_A_TASK - 1
    assert _writes_files(lake, items(many), both)
    assert not _writes_files(lake, items(many - 1), both)
    assert not _writes_files(lake, items(many, keep=True), both)
    assert not _writes_files(lake, items(many), {"returns"})
    assert not _writes_files(lake, items(many), {"results"})
    assert not _writes_files(lake, items(many), ())
    assert not _writes_files(LakeLocation(Path("none"), local=False), items(many), both)


def test_what_spark_could_not_do_is_said_in_one_line() -> None:
    error = RuntimeError(
        "An error occurred while calling o123.collectToPython.\n"
        ": org.apache.spark.SparkException: Job aborted due to stage failure: Python worker exited\n"
        "\tat org.apache.spark.scheduler.DAGScheduler.abortStage(DAGScheduler.scala:1)\n"
    )
    items = [WorkItem((symbol,), "validate", ()) for symbol in "DCBA"]
    said = str(_gave_up(error, items))
    assert "wave of backtests of A, B, C …" in said
    assert "Job aborted due to stage failure: Python worker exited" in said
    assert "DAGScheduler.scala" not in said


def test_a_fault_of_the_machine_comes_home_in_the_workers_words() -> None:
    error = RuntimeError(
        "An error occurred while calling o123.collectToPython.\n"
        ": org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 failed 4 times\n"
        "OSError: [Errno 5] Input/output error\n\n"
        "The above exception was the direct cause of the following exception:\n\n"
        "Traceback (most recent call last):\n"
        '  File "load.py", line 1, in load_bars\n'
        "whatif.errors.MachineError: bars of A could not be read: OSError: run it again\n\n"
        "\tat org.apache.spark.api.python.BasePythonRunner\n"
    )
    found = _gave_up(error, [WorkItem(("A",), "validate", ())])
    assert isinstance(found, MachineError)
    assert str(found) == "bars of A could not be read: OSError: run it again"


def test_series_are_yielded_only_if_somebody_wants_them() -> None:
    assert not NOTHING.anything
    assert Keep(None, frozenset()).anything
    assert Keep(frozenset(), frozenset({"c/A"})).anything


class TestSlots:
    def session(self, now: int, **conf: str) -> SimpleNamespace:
        settings = {f"spark.{key.replace('_', '.')}": value for key, value in conf.items()}
        return SimpleNamespace(
            sparkContext=SimpleNamespace(defaultParallelism=now),
            conf=SimpleNamespace(get=lambda key, default: settings.get(key, default)),
        )

    def test_a_fixed_cluster_has_what_it_has(self) -> None:
        assert task_slots(self.session(6)) == 6  # type: ignore[arg-type]

    def test_executors_that_may_still_come_count(self) -> None:
        dynamic = {"dynamicAllocation_enabled": "true", "executor_cores": "4"}
        assert task_slots(self.session(2, dynamicAllocation_maxExecutors="50", **dynamic)) == 200  # type: ignore[arg-type]

    def test_executors_that_are_late_or_lost_count(self) -> None:
        asked = {"executor_instances": "10", "executor_cores": "4"}
        assert task_slots(self.session(8, **asked)) == 40  # type: ignore[arg-type]

    def test_a_cluster_without_bound_counts_what_is_there(self) -> None:
        dynamic = {"dynamicAllocation_enabled": "true", "dynamicAllocation_maxExecutors": str(2**31 - 1)}
        assert task_slots(self.session(8, **dynamic)) == 8  # type: ignore[arg-type]
