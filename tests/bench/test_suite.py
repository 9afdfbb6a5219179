"""The benchmarks: goals, table, JSON, and that each of them measures what it says."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from whatif.bench import crossover, market, search, suite
from whatif.bench.figures import BenchReport, Figure, Goal, Measurement, print_report, write_report
from whatif.bench.probe import peak_mb
from whatif.bench.setting import BenchOptions, Setting
from whatif.bench.sweep import store
from whatif.cli import main
from whatif.errors import RunError, SourceError
from whatif.pins import LakeLocation

CONDITIONS = {
    "host": "h", "cores": 4, "cores_used": 2, "load_before": 0.5, "bars": "b", "versions": {"whatif": "1"},
}  # fmt: skip


def report(*figures: Figure, error: str = "") -> BenchReport:
    return BenchReport((Measurement("name", "title", figures, error=error),), CONDITIONS)


def printed(given: BenchReport) -> str:
    console = Console(file=io.StringIO(), width=100)
    print_report(given, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def line(given: BenchReport, text: str) -> str:
    return next(row for row in printed(given).splitlines() if text in row)


@pytest.mark.parametrize(
    ("rule", "below", "there", "above"),
    [
        ("at least", False, True, True),
        ("at most", True, True, False),
        ("under", True, False, False),
        ("exactly", False, True, False),
    ],
)
def test_goals(rule: str, below: bool, there: bool, above: bool) -> None:
    goal = Goal(rule, 2.0)  # type: ignore[arg-type]
    assert [goal.reached_by(value) for value in (1.9, 2.0, 2.1)] == [below, there, above]


@pytest.mark.parametrize("rule", ["at least", "at most", "under", "exactly"])
def test_what_was_not_measured_reaches_no_goal(rule: str) -> None:
    assert not Goal(rule, 2.0).reached_by(math.nan)  # type: ignore[arg-type]


def test_the_table_says_reached_and_missed() -> None:
    given = report(
        Figure("a", "fast enough", 7.25, "x", Goal("at least", 1.5)),
        Figure("b", "too slow", 2.5, "s", Goal("under", 2.0)),
        Figure("c", "no goal", 123456.7, "bars/s"),
        Figure("d", "nothing", math.nan, "s", Goal("under", 2.0)),
    )
    assert "7.25 x" in line(given, "fast enough")
    assert "≥ 1.5 x" in line(given, "fast enough")
    assert "reached" in line(given, "fast enough")
    assert "missed" in line(given, "too slow")
    assert "reached" not in line(given, "too slow")
    assert "123,457 bars/s" in line(given, "no goal")
    assert not {"reached", "missed"} & set(line(given, "no goal").split())
    assert "not measured" in line(given, "nothing")
    assert "missed" in line(given, "nothing")


def test_a_quick_run_and_a_failed_one_say_so() -> None:
    failed = report(error="RunError: no Java")
    assert failed.failed
    assert "failed" in line(failed, "no Java")
    assert "smoke test" in printed(replace(failed, quick=True))
    assert "smoke test" not in printed(failed)


def test_json_holds_figures_goals_and_conditions(tmp_path: Path) -> None:
    given = report(Figure("a", "t", 3.0, "s", Goal("under", 2.0)), Figure("b", "t", math.nan))
    path = tmp_path / "new" / "bench.json"
    write_report(given, path)
    read = json.loads(path.read_text())
    first, second = read["measurements"][0]["figures"]
    assert first["value"] == 3.0
    assert first["goal"] == {"rule": "under", "limit": 2.0}
    assert first["reached"] is False
    assert (second["value"], second["goal"], second["reached"]) == (None, None, None)
    assert read["conditions"]["versions"] == {"whatif": "1"}


def test_benchmarks_are_chosen_by_name() -> None:
    assert suite.choose(()) == tuple(suite.BENCHMARKS)
    assert suite.choose(("demo", "crossover")) == ("crossover", "demo")
    with pytest.raises(RunError, match="did you mean 'crossover'"):
        suite.choose(("crosover",))
    assert all(callable(suite.load(name)) for name in suite.BENCHMARKS)


def test_the_ranges_of_a_grid_of_searches() -> None:
    """A study's ranges are closed, and a part of one is spread over all of it."""
    assert search._closed((5, 205, 1)) == (5, 204, 1)
    assert search._closed((210, 1210, 5), 20) == (210, 1160, 50)
    assert search._FULL.points == 40_000


def test_a_benchmark_that_raises_is_reported(lake_home: LakeLocation) -> None:
    def broken(_: Setting) -> Measurement:
        raise ValueError("no disk")

    found = suite.run_one("demo", broken, Setting(lake_home, BenchOptions()))
    assert (found.name, found.error) == ("demo", "ValueError: no disk")


def test_a_missed_goal_is_no_error_and_a_failure_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missed = Figure("a", "t", 3.0, "s", Goal("under", 2.0))

    def slow(setting: Setting) -> Measurement:
        assert setting.location.home.is_dir()
        homes.append(setting.location.home)
        return Measurement("demo", "title", (missed,))

    def broken(_: Setting) -> Measurement:
        raise ValueError("no disk")

    homes: list[Path] = []
    output = tmp_path / "b.json"
    arguments = ["bench", "--only", "demo", "--output", str(output)]
    before = os.sched_getaffinity(0)
    monkeypatch.setattr(suite, "load", lambda _: slow)
    assert main(arguments) == 0
    assert "missed" in capsys.readouterr().out
    assert json.loads(output.read_text())["measurements"][0]["figures"] == [missed.to_dict()]
    assert not homes[0].exists()
    assert os.sched_getaffinity(0) == before
    monkeypatch.setattr(suite, "load", lambda _: broken)
    assert main(arguments) == 1


def test_the_file_of_bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WHATIF_TEST_DATA", raising=False)
    assert market.find_file(None) is None
    assert "sample market" in market.source_text(None, market.BARS)
    monkeypatch.setenv("WHATIF_TEST_DATA", str(tmp_path))
    assert market.find_file(None) is None
    file = tmp_path / market.FILE
    file.parent.mkdir()
    file.write_text("")
    assert market.find_file(None) == file
    with pytest.raises(SourceError, match="is not a file"):
        market.find_file(tmp_path / "none.csv")


def test_children_get_a_lake_of_their_own(lake_home: LakeLocation, tmp_path: Path) -> None:
    setting = Setting(lake_home, BenchOptions())
    setting.run_child(["-c", "import os; print(os.environ['WHATIF_HOME'])"], tmp_path / "other")
    assert (tmp_path / "other" / "child.log").read_text().strip() == str(tmp_path / "other")
    with pytest.raises(RunError, match=r"code 3: .*why"):
        setting.run_child(["-c", "print('why'); raise SystemExit(3)"])


def test_the_probe_counts_its_own_memory_only() -> None:
    """A child of a process that holds 200 MB more has not held them itself."""
    ballast = np.ones(25_000_000)
    code = "from whatif.bench.probe import peak_mb; print(peak_mb())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert peak_mb() > ballast.nbytes / 2**20
    assert 5 < float(told) < peak_mb() - 100


def test_the_probe_needs_no_spark() -> None:
    code = "import sys, whatif.bench.probe; print(sorted({'pyspark', 'mlflow'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "[]"


@pytest.mark.slow
@pytest.mark.spark
def test_bars_that_are_there_already_serve_as_well(
    spark: Any, lake_home: LakeLocation, tmp_path: Path
) -> None:
    """A year of the sample market, after a part of it was ingested for another benchmark."""
    part, whole = (market.load_market(spark, lake_home, None, minutes) for minutes in (500, 900))
    again = market.load_market(spark, lake_home, None, 500)
    assert [len(found.bars) for found in (part, whole, again)] == [500, 900, 900]
    nothing = tmp_path / "nothing.csv"
    high_below_low = [f"2006-01-02,09:0{minute}:00,3602,3590,3597,3599,5699,0\n" for minute in (1, 2, 3)]
    nothing.write_text("Date,Time,Open,High,Low,Close,Volume,OpenInterest\n" + "".join(high_below_low))
    with pytest.raises(SourceError, match=r"3 of 3 rows break the rule high_below_low"):
        market.load_market(spark, lake_home, nothing)


@pytest.mark.slow
@pytest.mark.spark
def test_both_sides_of_the_comparison_trade_alike(
    spark: object, lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tiny data: Backtrader's own optimiser and the runner end with the same money to the last bit."""
    monkeypatch.delenv("WHATIF_TEST_DATA", raising=False)
    monkeypatch.setattr(crossover, "_FAST", (3, 5))
    monkeypatch.setattr(crossover, "_SLOW", (20, 40))
    setting = Setting(lake_home, BenchOptions(quick=True))
    monkeypatch.setattr(BenchOptions, "most_bars", 1_200)
    found = crossover.measure(setting)
    assert len(setting.market.bars) == 1_200
    assert found.figure("equal").value == 4
    (one,) = found.detail["rounds"]
    assert one["backtests"] == 4
    assert found.figure("ratio").value == pytest.approx(one["rival"]["seconds"] / one["stored_seconds"])
    assert found.figure("rate").value == pytest.approx(4 * 1_200 / one["stored_seconds"])
    values = crossover._profits(setting, store(setting, "look", "backtrader", (3, 5), (20, 40)))
    assert len({value for value in values.values() if value != 0.0}) == 4
