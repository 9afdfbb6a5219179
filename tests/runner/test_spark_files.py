"""Files that Spark's tasks write, without Spark: the function of a task, and what the driver makes of it."""

from __future__ import annotations

import errno
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from whatif.domain.rows import PLAN_COLUMNS
from whatif.errors import MachineError
from whatif.lake import RESULTS, RETURNS, TableSpec, create_tables
from whatif.pins import LakeLocation, current_pin, everything, read_arrow
from whatif.results import NOTHING
from whatif.runner import spark
from whatif.runner.plan import Plan, WorkItem

from ..markets import walk
from .conftest import configuration, evaluate_table
from .test_local import NOT_RESULT, crossovers

FAILS = """
from whatif.strategies import Param, hold, strategy

@strategy(params={"mode": Param(0)})
def fails(i, x, p, s):
    if p.mode == 1:
        raise ValueError("as told")
    return hold()
"""


@pytest.fixture
def own(tmp_path: Path) -> LakeLocation:
    location = LakeLocation(tmp_path / "own")
    create_tables(None, location, [RESULTS, RETURNS])
    return location


def told_by_tasks(own: LakeLocation | None, plan: Plan, items: list[WorkItem]) -> list[Any]:
    packed = spark._packed(items)
    run = spark._writer(own, plan, packed)
    batches = [pa.record_batch({"id": pa.array([k], pa.int64())}) for k in range(len(packed))]
    return [
        pickle.loads(value)
        for batch in batches
        for made in run(iter([batch]))
        for value in made.column("written").to_pylist()
    ]


def stored(own: LakeLocation, spec: TableSpec) -> pd.DataFrame:
    rows = read_arrow(current_pin(own, spec.name), spec.column_names, everything()).to_pandas()
    return rows.sort_values(["symbol", "config_id"], ignore_index=True)


@pytest.mark.parametrize("task", [None, 0])
@pytest.mark.parametrize("held_bytes", [1, spark.HELD_BYTES])
def test_rows_are_those_of_one_worker(
    lake, own, make_plan, monkeypatch, held_bytes: int, task: int | None
) -> None:
    monkeypatch.setattr(spark, "HELD_BYTES", held_bytes)
    plan = make_plan(lake.put_bars([walk("A", 1), walk("B", 2)]), ["A", "B"], engine="compiled")
    items = [WorkItem((s,), "validate", crossovers(3), task=task) for s in "BA"]
    told = told_by_tasks(own, plan, items)
    assert len(told) == (1 if task == 0 and held_bytes > 1 else 2)
    assert sum((one.counts for one in told), Counter()) == {"ok": 6}
    assert sum(one.working for one in told) > 0.0
    runner = spark.SparkRunner(None, own, lambda: 2)  # type: ignore[arg-type]
    runner.store(plan, items, told, NOTHING, ())
    runner.release(told)
    rows = evaluate_table(plan, *items).to_pandas().sort_values(["symbol", "config_id"], ignore_index=True)
    for spec in (RESULTS, RETURNS):
        found = stored(own, spec)
        assert list(found.columns) == list(spec.column_names)
        names = [name for name in found.columns if name not in (*NOT_RESULT, *PLAN_COLUMNS)]
        pd.testing.assert_frame_equal(found[names], rows[names], check_exact=True)
    assert set(stored(own, RESULTS)["study"]) == {"made"}


def test_of_a_backtest_that_failed_there_are_no_returns(lake, own, make_plan, tmp_path: Path) -> None:
    (tmp_path / "fails.py").write_text(FAILS)
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], str(tmp_path / "fails.py"), engine="backtrader")
    modes = tuple(configuration(f"m{k}", mode=int(k != 1)) for k in range(3))
    items = [WorkItem(("A",), "validate", modes)]
    told = told_by_tasks(own, plan, items)
    assert [one.counts for one in told] == [{"ok": 1, "error": 2}]
    spark.SparkRunner(None, own, lambda: 2).store(plan, items, told, NOTHING, ())  # type: ignore[arg-type]
    assert list(stored(own, RESULTS)["status"]) == ["error", "ok", "error"]
    assert list(stored(own, RETURNS)["config_id"]) == ["m1"]


def test_without_a_lake_rows_are_counted_and_no_file_is_written(lake, make_plan, monkeypatch) -> None:
    monkeypatch.setattr(spark, "write_files", None)
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], engine="compiled")
    (told,) = told_by_tasks(None, plan, [WorkItem(("A",), "validate", crossovers(3))])
    assert told.counts == {"ok": 3}
    assert (told.results, told.returns) == ([], [])
    assert told.working > 0.0


def test_a_disk_that_is_full_is_the_machines_fault(lake, own, make_plan, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], engine="compiled")
    monkeypatch.setattr(spark, "write_files", full)
    with pytest.raises(MachineError, match=r"could not be written to .*own: .*No space left"):
        told_by_tasks(own, plan, [WorkItem(("A",), "validate", crossovers(1))])
