"""Work items computed by processes of this machine: rows as one worker gives them, whatever happens."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from joblib.externals.loky.process_executor import ShutdownExecutorError

from whatif.domain.rows import PLAN_COLUMNS, row_columns
from whatif.errors import MachineError, RunError
from whatif.lake import EQUITY, RESULTS, RETURNS, TRADES, create_tables
from whatif.pins import Pin, current_pin, has_rows, read_arrow
from whatif.results import NOTHING, Keep
from whatif.runner import local
from whatif.runner.plan import Plan, WorkItem
from whatif.runner.run import fresh_tables

from ..markets import walk
from .conftest import configuration, evaluate_table

ALL_TABLES = frozenset(table.name for table in (RESULTS, RETURNS, TRADES, EQUITY))

NOT_RESULT = ("worker", "wall_seconds", "finished_at")

DEADLY = """
import os
from collections.abc import Iterator
from whatif.strategies import Param, hold, strategy, target

@strategy(params={"mode": Param(0)})
def deadly(i, x, p, s):
    if p.mode == 1:
        os._exit(9)
    return target(10.0)
"""


@pytest.fixture(autouse=True, scope="module")
def _ended():
    yield
    local.end()


def crossovers(count: int) -> tuple:
    return tuple(
        configuration(f"c{k}", fast=2 + k, slow=20, size=50.0, enter_at_once=False) for k in range(count)
    )


@pytest.fixture(params=[False, True], ids=["pool", "forks"])
def forks(request: pytest.FixtureRequest) -> bool:
    return request.param


def computed(plan, items, forks: bool = False) -> pd.DataFrame:
    tables = list(local.compute(plan, items, 2, forks))
    return pa.concat_tables(tables).to_pandas().sort_values(["symbol", "config_id"], ignore_index=True)


def same(rows: pd.DataFrame) -> pd.DataFrame:
    kept = rows.drop(columns=[name for name in (*NOT_RESULT, *PLAN_COLUMNS) if name in rows.columns])
    return kept.sort_values(["symbol", "config_id"], ignore_index=True)


@pytest.mark.parametrize(
    ("engine", "keep"),
    [
        ("backtrader", True),
        ("compiled", False),
        pytest.param("backtrader", False, marks=pytest.mark.slow),
        pytest.param("compiled", True, marks=pytest.mark.slow),
    ],
)
def test_rows_are_those_of_one_worker(lake, make_plan, engine: str, keep: bool, forks: bool) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1), walk("B", 2)]), ["A", "B"], engine=engine)
    items = [WorkItem((s,), "validate", crossovers(3), keep) for s in "AB"]
    rows = computed(plan, items, forks)
    assert list(rows.columns) == list(row_columns(keep))
    assert set(rows["study"]) == {"made"}
    sent = evaluate_table(plan, *items).to_pandas()
    pd.testing.assert_frame_equal(same(rows), same(sent), check_exact=True)


@pytest.mark.slow
@pytest.mark.parametrize("forks", [False, True], indirect=True, ids=["pool", "forks"])
def test_a_process_that_dies_costs_its_own_row_alone(lake, make_plan, tmp_path: Path, forks: bool) -> None:
    (tmp_path / "deadly.py").write_text(DEADLY)
    plan = make_plan(
        lake.put_bars([walk("A", 1), walk("B", 2)]),
        ["A", "B"],
        str(tmp_path / "deadly.py"),
        engine="backtrader",
    )
    modes = tuple(configuration(f"m{k}", mode=int(k == 2)) for k in range(3))
    rows = computed(plan, [WorkItem((s,), "validate", modes) for s in "AB"], forks)
    failed = rows[rows["status"] == "error"]
    assert list(zip(failed["symbol"], failed["config_id"], strict=True)) == [("A", "m2"), ("B", "m2")]
    assert failed["error"].str.contains("its process ended each time").all()
    assert len(rows) == 6
    assert (rows["status"] == "ok").sum() == 4


def test_what_cannot_be_read_is_tried_again_and_then_said(lake, make_plan, forks: bool) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"])
    gone = replace(plan, bars=Pin("bars", plan.bars.snapshot_id, plan.bars.metadata_location + ".gone"))
    with pytest.raises(MachineError):
        computed(gone, [WorkItem(("A",), "validate", crossovers(1))], forks)


ENDLESS = """
from whatif.strategies import Param, hold, strategy

@strategy(params={"mode": Param(0)})
def endless(i, x, p, s):
    while p.mode == 1:
        pass
    return hold()
"""


def test_a_time_limit_holds(lake, make_plan, tmp_path: Path, forks: bool) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)
    pin = lake.put_bars([walk("A", 1)])
    plan = make_plan(pin, ["A"], str(tmp_path / "endless.py"), engine="backtrader")
    modes = tuple(configuration(f"m{k}", mode=int(k == 1)) for k in range(3))
    rows = computed(replace(plan, time_limit=1.0), [WorkItem(("A",), "validate", modes)], forks)
    assert list(rows["status"]) == ["ok", "error", "ok"]
    assert rows["error"][1].startswith("stopped: ")


@pytest.mark.slow
def test_an_error_ends_what_nobody_waits_for(lake, make_plan, lake_home) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"])
    runner = local.LocalRunner(lake_home, 2)
    ok = [WorkItem(("A",), "validate", crossovers(1))]
    runner.compute(plan, ok)
    first = local._pool(2).submit(os.getpid).result()
    with pytest.raises(KeyError):
        runner.compute(plan, [WorkItem(("A",), "no such window", crossovers(1))])
    assert not Path(f"/proc/{first}").exists()
    assert runner.compute(plan, ok).counts == {"ok": 1}


def test_what_is_cancelled_is_not_tried_again(lake, make_plan, lake_home, tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], str(tmp_path / "endless.py"), engine="backtrader")
    runner = local.LocalRunner(lake_home, 1)
    worker = local._pool(1).submit(os.getpid).result()
    with ThreadPoolExecutor(1) as threads:
        items = [WorkItem(("A",), "validate", (configuration("m0", mode=1),))]
        waiting = threads.submit(runner.compute, plan, items)
        time.sleep(2.0)
        assert not waiting.done()
        runner.cancel()
        with pytest.raises(ShutdownExecutorError):
            waiting.result(20)
    assert not Path(f"/proc/{worker}").exists()


def test_children_that_are_cancelled_are_gone(lake, make_plan, lake_home, tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(ENDLESS)
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], str(tmp_path / "endless.py"), engine="backtrader")

    def children() -> set[str]:
        return {
            pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()
        }

    before = children()
    runner = local.LocalRunner(lake_home, 1, short=True)
    with ThreadPoolExecutor(1) as threads:
        items = [WorkItem(("A",), "validate", (configuration("m0", mode=1),))]
        waiting = threads.submit(runner.compute, plan, items)
        time.sleep(1.0)
        assert not waiting.done()
        (child,) = children() - before
        runner.cancel()
        with pytest.raises(RunError, match="were ended"):
            waiting.result(20)
    assert not Path(f"/proc/{child}").exists()


def test_whoever_was_left_begins_no_process_and_tries_nothing_again(
    lake, make_plan, lake_home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a command is stopped: its children are killed from outside while it leaves."""
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"])
    items = [WorkItem(("A",), "validate", (one,)) for one in crossovers(2)]
    begun = list[object]()
    monkeypatch.setattr(local, "_pool", lambda processes: begun.append(processes))
    runner = local.LocalRunner(lake_home, 2, short=True)

    def answers(shares: list[object], *_: object) -> Iterator[tuple[int, bytes | None]]:
        begun.append(shares)
        runner.cancel()
        yield from ((k, None) for k in range(2))

    with monkeypatch.context() as patched:
        patched.setattr(local, "answers_apart", answers)
        with pytest.raises(RunError, match="were ended"):
            runner.compute(plan, items)
    assert len(begun) == 1  # children, and then no pool
    with pytest.raises(RunError, match="were ended"):
        runner.compute(plan, items)
    assert len(begun) == 1


@pytest.mark.slow
def test_what_a_child_does_not_answer_in_time_goes_to_the_pool(
    lake, make_plan, lake_home, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"])
    real, here = local.row_stream, os.getpid()

    def hangs_after_a_fork(*given: object) -> bytes:
        time.sleep(60.0 if os.getppid() == here else 0.0)
        return real(*given)

    monkeypatch.setattr(local, "row_stream", hangs_after_a_fork)
    monkeypatch.setattr(local, "CHILD_SECONDS", 0.5)
    items = [WorkItem(("A",), "validate", (one,)) for one in crossovers(2)]
    began = time.monotonic()
    assert local.LocalRunner(lake_home, 2, short=True).compute(plan, items).counts == {"ok": 2}
    assert time.monotonic() - began < 50.0


def test_a_child_answers_the_rest_of_its_share_after_a_task_that_failed(
    lake, make_plan, lake_home, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"])
    real, here, again = local.row_stream, os.getpid(), list[str]()

    def fails_once(plan: Plan, text: str, *given: Any) -> bytes:
        if os.getppid() == here and '"c1"' in text:
            raise MachineError("a disk that was away")
        return real(plan, text, *given)

    def in_pool(sent: bytes, text: str, *given: object) -> object:
        again.append(text)
        return submit(local.stream_in_pool, sent, text, *given)

    submit = local._pool(1).submit
    monkeypatch.setattr(local, "row_stream", fails_once)
    monkeypatch.setattr(local, "_pool", lambda _: SimpleNamespace(submit=lambda _, *given: in_pool(*given)))
    items = [WorkItem(("A",), "validate", (one,)) for one in crossovers(4)]
    assert local.LocalRunner(lake_home, 1, short=True).compute(plan, items).counts == {"ok": 4}
    assert [text for text in again if '"c1"' in text] == again
    assert len(again) == 1


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_all_items_of_one_of_many_symbols_go_to_one_child(processes: int) -> None:
    (one,) = crossovers(1)
    items = [WorkItem((f"S{k}",), window, (one,)) for window in ("validate", "test") for k in range(13)]
    shares = local._shares(items, processes)
    assert sorted(place for share in shares for place in share) == list(range(26))
    for share in shares:
        assert len(share) == 2 * len({items[place].symbols for place in share})
    assert max(map(len, shares)) - min(map(len, shares)) <= 2


def test_items_of_few_symbols_are_dealt_one_by_one() -> None:
    items = [WorkItem(("A",), "validate", (one,)) for one in crossovers(5)]
    assert local._shares(items, 2) == [[0, 2, 4], [1, 3]]
    assert local._shares(items[:1], 2) == [[0]]


def test_a_process_of_a_pool_imports_neither_frames_nor_what_stores_rows(lake, make_plan) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], engine="compiled")
    local.end()
    (rows,) = local.compute(plan, [WorkItem(("A",), "validate", crossovers(2))], 1)
    assert rows["status"].to_pylist() == ["ok", "ok"]
    imported = local._pool(1).submit(
        eval, "{name: list(vars(it)) for name, it in __import__('sys').modules.items()}"
    )
    found = imported.result()
    assert "evaluate" in found["whatif.runner.worker"]
    assert "DataFrame" not in found["pandas"]
    assert not {"whatif.runner.local", "whatif.lake.local_tables", "whatif.domain.frames"} & set(found)


def test_a_process_does_something_else_meanwhile(lake, make_plan, lake_home, forks: bool) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"])
    done: list[int] = []
    runner = local.LocalRunner(lake_home, 2, short=forks, meanwhile=lambda: done.append(os.getpid()))
    items = [WorkItem(("A",), "validate", (one,)) for one in crossovers(5)]
    assert runner.compute(plan, items).counts == {"ok": 5}
    assert done == [os.getpid()]


def test_processes_end_when_this_one_is_gone(lake) -> None:
    pid = os.fork()
    if not pid:  # a process of its own, whose pool is left behind
        ran = local._pool(1).submit(os.getpid).result()
        Path(lake.catalog.properties["warehouse"].removeprefix("file://")).mkdir(exist_ok=True)
        (Path(lake.catalog.properties["warehouse"].removeprefix("file://")) / "pid").write_text(str(ran))
        os._exit(0)
    os.waitpid(pid, 0)
    child = int((Path(lake.catalog.properties["warehouse"].removeprefix("file://")) / "pid").read_text())
    for _ in range(100):
        if not Path(f"/proc/{child}").exists():
            return
        time.sleep(0.1)
    pytest.fail("it still runs")


@pytest.mark.parametrize("fresh", [False, True])
def test_rows_are_stored_once(lake, make_plan, lake_home, fresh: bool) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], engine="compiled")
    create_tables(None, lake_home, (RESULTS, RETURNS, TRADES, EQUITY))
    items = [WorkItem(("A",), "validate", crossovers(3), keep=True)]
    (rows,) = local.compute(plan, items, 1)
    keep = Keep(trades=None, equity=frozenset({"c1/A"}))
    for known in (fresh, False):
        there = has_rows(lake_home, "results")
        assert fresh_tables(lake_home, plan) == (frozenset() if there else ALL_TABLES)
        local.store(lake_home, plan, items, rows, keep, ALL_TABLES if known else frozenset())
    assert fresh_tables(lake_home, plan) == frozenset()
    assert fresh_tables(lake_home, replace(plan, data_digest="of other bars")) == ALL_TABLES
    stored = {
        t.name: read_arrow(current_pin(lake_home, t.name), list(t.column_names)).to_pandas()
        for t in (RESULTS, RETURNS, TRADES, EQUITY)
    }
    assert sorted(stored["results"]["config_id"]) == ["c0", "c1", "c2"]
    assert [len(r) for r in stored["returns"]["returns"]] == [
        rows["returns"][k].as_py().__len__() for k in range(3)
    ]
    frame = rows.to_pandas()
    assert len(stored["trades"]) == sum(len(one) for one in frame["trades_size"])
    first = stored["trades"][stored["trades"]["config_id"] == "c0"].sort_values("trade_no")
    assert list(first["trade_no"]) == list(range(len(first)))
    assert list(first["pnl"]) == list(frame["trades_pnl"][0])
    assert set(stored["equity"]["config_id"]) == {"c1"}
    assert list(stored["equity"].sort_values("ts")["equity"]) == list(frame["equity_equity"][1])


def test_a_table_without_a_row_of_a_plan_is_fresh_beside_others_that_have_some(
    lake, make_plan, lake_home
) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], engine="compiled")
    create_tables(None, lake_home, (RESULTS, RETURNS, TRADES, EQUITY))
    items = [WorkItem(("A",), "validate", crossovers(3))]
    (rows,) = local.compute(plan, items, 1)
    local.store(lake_home, plan, items, rows, NOTHING, ALL_TABLES)
    fresh = fresh_tables(lake_home, plan)
    assert fresh == {"trades", "equity"}
    again = [replace(item, keep=True) for item in items]
    (rows,) = local.compute(plan, again, 1)
    local.store(lake_home, plan, again, rows, Keep(trades=None, equity=None), fresh)
    assert fresh_tables(lake_home, plan) == frozenset()
    results = read_arrow(current_pin(lake_home, "results"), ["config_id"])
    assert sorted(results["config_id"].to_pylist()) == ["c0", "c1", "c2"]
    equity = read_arrow(current_pin(lake_home, "equity"), ["config_id", "ts"]).to_pandas()
    assert len(equity) == sum(len(one) for one in rows["equity_ts"].to_pylist())
    assert not equity.duplicated().any()


@pytest.mark.slow
def test_long_series_are_written_some_backtests_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MAX_ELEMENTS", 5)
    lists = [[1.0, 2.0], [3.0], None, [4.0, 5.0], [], [6.0] * 12, [7.0], [8.0]]
    rows = pa.table({"n": range(8), "xs": pa.array(lists, pa.list_(pa.float64()))})
    pieces = list(local._pieces(rows, "xs"))
    # 2, 3, 3, then 5, 5, then 17, 18, 19 elements have come
    assert [piece["n"].to_pylist() for piece in pieces] == [[0, 1, 2], [3, 4], [5, 6, 7]]
    assert list(local._pieces(rows.slice(0, 0), "xs")) == []
