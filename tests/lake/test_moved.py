"""A lake that was moved to another folder: nothing of it is damaged, and one command lets it open there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from whatif.cli import main
from whatif.errors import LakeError
from whatif.lake import examine, repair
from whatif.lake.local_files import readdress
from whatif.pins import LakeLocation, current_pin, read_arrow
from whatif.study import Study
from whatif.workflow import RunOptions, run

from ..markets import put_bars, walk


def rows(location: LakeLocation) -> list[dict[str, object]]:
    return read_arrow(current_pin(location, "bars"), ["symbol", "ts", "close"]).to_pylist()


def moved(tmp_path: Path) -> tuple[LakeLocation, Path, int]:
    """Return a lake of two commits of bars that was moved, where it was, and how many bars it holds."""
    old, new = tmp_path / "old", tmp_path / "new"
    put_bars(LakeLocation(old), [walk("A", 1, minutes=5)])
    put_bars(LakeLocation(old), [walk("B", 2, minutes=5)])
    count = len(rows(LakeLocation(old)))
    old.rename(new)
    return LakeLocation(new), old, count


def study(location: LakeLocation) -> Study:
    at = [row["ts"] for row in rows(location)]
    return Study.model_validate(
        {
            "study": "after-a-move", "calendar": {"exchange": "XNYS"},
            "data": {"symbols": ["A"], "timeframe": "1min", "start": f"{min(at):%F}", "end": f"{max(at):%F}"},
            "strategy": {"name": "sma_crossover", "params": {"slow": 9}}, "axes": {"fast": [2, 3]},
        }
    )  # fmt: skip


def test_it_says_where_its_files_are_named_and_opens_again_by_a_link(tmp_path: Path) -> None:
    location, old, count = moved(tmp_path)
    with pytest.raises(LakeError, match=rf"{old}/lake/whatif/bars, which is not there: the lake was moved"):
        rows(location)
    found = examine(location)
    assert found
    assert all("the lake was moved" in one.problem for one in found)
    old.symlink_to(location.home)
    assert len(rows(location)) == count
    assert examine(location) == []


def test_doctor_lets_it_open_where_it_is(tmp_path: Path, monkeypatch, capsys) -> None:
    location, old, count = moved(tmp_path)
    monkeypatch.setenv("WHATIF_HOME", str(location.home))
    with pytest.raises(LakeError, match="'whatif doctor --repair' names them where they are now"):
        rows(location)
    assert main(["doctor", "--repair"]) == 0
    assert "is sound now" in capsys.readouterr().out
    assert not old.exists()
    assert len(rows(location)) == count
    put_bars(location, [walk("C", 3, minutes=5)])
    assert len(rows(location)) == 3 * count // 2
    assert not old.exists()
    # every file, Hadoop's checksums included, names the new place alone
    for path in (location.home / "lake").rglob("*"):
        assert path.is_dir() or str(old).encode() not in path.read_bytes(), path


def test_a_copy_stands_by_itself_after_the_same_command(tmp_path: Path) -> None:
    old, new = LakeLocation(tmp_path / "old"), LakeLocation(tmp_path / "new")
    put_bars(old, [walk("A", 1, minutes=5)])
    count = len(rows(old))
    shutil.copytree(old.home, new.home)
    assert all(f"it is a copy of {old.home}" in one.problem for one in examine(new))
    before = {path: path.read_bytes() for path in old.home.rglob("*") if path.is_file()}
    repair(new, examine(new))
    assert (examine(old), examine(new)) == ([], [])
    put_bars(new, [walk("B", 2, minutes=5)])
    assert (len(rows(old)), len(rows(new))) == (count, 2 * count)
    assert {path: path.read_bytes() for path in old.home.rglob("*") if path.is_file()} == before


def test_a_move_that_was_killed_half_way_is_gone_on_with(tmp_path: Path, monkeypatch) -> None:
    location, _, count = moved(tmp_path)
    replace, calls = os.replace, 0

    def killed(source, target) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        repair(location, examine(location))
    monkeypatch.setattr(os, "replace", replace)
    assert all("the lake was moved" in one.problem for one in examine(location))
    repair(location, examine(location))
    assert examine(location) == []
    assert len(rows(location)) == count


def test_a_study_goes_on_after_a_move(tmp_path: Path) -> None:
    old, new = LakeLocation(tmp_path / "old"), LakeLocation(tmp_path / "new")
    put_bars(old, [walk("A", 1, minutes=60)])
    asked = study(old)
    options = RunOptions(track=False, report=False, runner="local")
    first = run(asked, None, old, options)
    assert first.computed > 0
    old.home.rename(new.home)
    repair(new, examine(new))
    again = run(asked, None, new, options)
    assert (again.computed, again.resumed) == (0, first.computed)
    assert again.leaderboard()["sharpe"].tolist() == first.leaderboard()["sharpe"].tolist()
    assert not old.home.exists()


@pytest.mark.spark
def test_spark_reads_and_writes_after_a_move(spark, lake_home: LakeLocation, tmp_path: Path) -> None:
    old = LakeLocation(tmp_path / "old")
    put_bars(old, [walk("A", 1, minutes=60)])
    asked = study(old)
    first = run(asked, None, old, RunOptions(track=False, report=False, runner="local"))
    old.home.rename(lake_home.home)
    repair(lake_home, examine(lake_home))
    again = run(asked, spark, lake_home, RunOptions(track=False, report=False))
    assert (again.computed, again.resumed) == (0, first.computed)
    wider = Study.model_validate({**asked.model_dump(by_alias=True), "axes": {"fast": [2, 3, 4]}})
    more = run(wider, spark, lake_home, RunOptions(track=False, report=False))
    assert more.computed == first.computed // 2
    assert spark.table("lake.whatif.bars").count() == len(rows(lake_home))
    assert not old.home.exists()


def test_files_of_deleted_rows_are_refused_before_anything_is_written(tmp_path: Path, monkeypatch) -> None:
    location, old, _ = moved(tmp_path)
    folder = location.warehouse / location.namespace / "bars"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr("whatif.lake.local_files._header", lambda path: {"content": "deletes"})
    with pytest.raises(LakeError, match="lists files of deleted rows"):
        readdress(folder, str(old / "lake" / "whatif" / "bars"))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
