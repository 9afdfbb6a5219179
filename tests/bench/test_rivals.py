"""The sweep benchmark: what rivals are asked and answer, who is missing, what is compared."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from whatif.bench import bracket, compiled, luck, rivals, single, start, sweep
from whatif.bench.compiled import COMPARED, differing, draw, same
from whatif.bench.rivals import BACKTESTING, OPTSTRATEGY, VECTORBT, Rival, RivalRun
from whatif.bench.setting import BenchOptions, Setting
from whatif.bench.sweep import StoredSweep, store
from whatif.conf_files import conf_dir
from whatif.domain import METRIC_COLUMNS
from whatif.pins import LakeLocation

from ..markets import walk

NAMED = os.environ.get(rivals.PYTHON, "")
"""Taken before the fixtures clear the user's settings."""

NOBODY = Rival("nobody", "nobody.py", "no_such_backtester")


def run_of(seconds: float, backtests: int = 4) -> RivalRun:
    return RivalRun(seconds, backtests, 100.0, {}, {"rival": "1"}, {"seconds_one": 2.0 * seconds})


def test_a_request_holds_bars_periods_and_costs(tmp_path: Path) -> None:
    bars = walk("A", 1, 20)
    asked = rivals.request_of(bars, tmp_path, range(2, 4), [10], 2)
    assert (asked["fast"], asked["slow"], asked["cores"]) == ([2, 3], [10], 2)
    assert (asked["cash"], asked["commission"], asked["slippage"]) == (100_000.0, 0.0001, 0.00005)
    json.dumps(asked)
    written = np.load(asked["bars"])
    for name in ("ts", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(written[name], getattr(bars, name))


def test_an_answer_is_read_and_kept_for_the_file() -> None:
    answer = {
        "seconds": 2.0,
        "backtests": 4,
        "peak_mb": 10.5,
        "values": [[2, 10, 99.5]],
        "versions": {"numpy": "2"},
        "engine": "rust",
    }
    run = rivals.answer_of(answer)
    assert run.values == {(2, 10): 99.5}
    assert run.rate(1_000) == 2_000.0  # 4 configurations on 1,000 bars in 2 s
    assert run.to_dict() == {k: v for k, v in answer.items() if k != "values"}
    with pytest.raises(KeyError, match="peak_mb"):
        rivals.answer_of({"seconds": 1.0, "backtests": 1})


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [0]), (2, [0, 9]), (4, [0, 3, 6, 9]), (10, [*range(10)]), (99, [*range(10)])]
)
def test_a_part_of_the_grid_is_spread_over_it(count: int, expected: list[int]) -> None:
    assert rivals.spread(range(10), count) == expected


def test_a_missing_rival_is_not_measured(
    lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for named in (str(tmp_path / "no-python"), sys.executable):
        monkeypatch.setenv(rivals.PYTHON, named)
        assert rivals.find_python(NOBODY) is None
    assert rivals.run_rival(Setting(lake_home, BenchOptions()), NOBODY, [2], [3]) is None
    assert math.isnan(rivals.rate_of(None, 10))
    assert math.isnan(rivals.peak_of(None))
    assert "nobody is not installed" in NOBODY.remedy
    assert "make bench-rivals" in NOBODY.remedy


def test_an_interpreter_that_has_the_rival_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "no_such_backtester.py").write_text("")
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    other.chmod(0o755)
    monkeypatch.setenv(rivals.PYTHON, str(other))
    assert rivals.find_python(NOBODY) == str(other)
    # what this interpreter has, it runs itself
    assert rivals.find_python(OPTSTRATEGY) == sys.executable


def rounds(missing: Rival | None = None) -> list[compiled._Round]:
    runs = {OPTSTRATEGY: run_of(40.0), VECTORBT: run_of(0.2), BACKTESTING: run_of(4.0)}
    found = {rival: None if rival is missing else run for rival, run in runs.items()}
    stored = SimpleNamespace(seconds=2.0, waves=3, failed=0)
    return [compiled._Round(seconds, 2 * seconds, stored, found) for seconds in (1.0, 4.0, 2.0)]  # type: ignore[arg-type]


def test_speeds_are_medians_for_each_configuration_and_bar() -> None:
    figures = {one.key: one for one in compiled._speeds(rounds(), bars=1_000, configurations=400_000)}
    assert figures["rate"].value == 200e6  # 400,000 x 1,000 in 2 s
    assert figures["rate_rows"].value == 100e6
    assert figures["rate_stored"].value == 200e6
    assert figures["stored_share"].value == 1.0  # computed in 1, 4 and 2 s, stored in 2
    assert figures["rate_optstrategy"].value == 100.0  # 4 x 1,000 in 40 s
    assert figures["ratio_optstrategy"].value == 2e6
    assert figures["ratio_vectorbt"].value == 10_000.0
    assert figures["ratio_vectorbt_alone"].value == 20_000.0  # in twice the time
    assert figures["ratio_backtesting"].goal is None
    goals = {key: (f.goal.rule, f.goal.limit) for key, f in figures.items() if f.goal}
    assert goals == {
        "rate": ("at least", 100e6),
        "ratio_optstrategy": ("at least", 10_000.0),
        "ratio_vectorbt": ("at least", 40.0),
        "stored_share": ("at least", 0.8),
    }


def test_figures_of_a_missing_rival_are_nan() -> None:
    given = rounds(VECTORBT)
    figures = {one.key: one for one in compiled._speeds(given, 1_000, 400)}
    assert math.isnan(figures["ratio_vectorbt"].value)
    assert figures["ratio_optstrategy"].value > 0
    peaks = {one.key: one for one in compiled._memory(given, {"rows": 400, "peak_mb": 200.0}, None)}
    assert peaks["peak_worker"].value == 200.0
    assert peaks["peak_backtesting"].value == 100.0
    assert math.isnan(peaks["peak_vectorbt"].value)
    assert math.isnan(peaks["peak_vectorbt_at_once"].value)
    assert given[0].to_dict()["rivals"]["vectorbt"] is None


def test_the_same_configurations_are_drawn_each_time() -> None:
    pending = sweep.crossovers(SimpleNamespace(bars=walk("A", 1, 20)), range(2, 12), range(20, 30), 50)  # type: ignore[arg-type]
    (one,) = pending
    drawn = draw(one.configurations, 20)
    assert drawn == draw(one.configurations, 20)
    assert len({c.config_id for c in drawn}) == 20
    assert len(draw(one.configurations[:3], 20)) == 3


@pytest.mark.parametrize(
    ("stored", "expected", "equal"),
    [
        (0.1 + 0.2, 0.3, False),
        (0.1 + 0.2, 0.30000000000000004, True),
        (0.0, -0.0, False),
        (math.nan, math.nan, True),
        (None, math.nan, True),
        (math.nan, 0.0, False),
        (3, np.int64(3), True),
        (True, np.bool_(True), True),
        (True, False, False),
    ],
)
def test_numbers_are_compared_as_bytes(stored: object, expected: object, equal: bool) -> None:
    assert same(stored, expected) is equal


def test_all_metrics_are_compared() -> None:
    assert set(METRIC_COLUMNS) < set(COMPARED)


def test_a_cold_start_keeps_compiled_code_apart(tmp_path: Path) -> None:
    variables = start.compiled_code_in(tmp_path)
    assert variables.pop("PYTHONDONTWRITEBYTECODE") == ""
    assert set(variables) == {"WHATIF_KERNELS", "NUMBA_CACHE_DIR"}
    assert all(Path(value).is_relative_to(tmp_path) for value in variables.values())


def test_children_get_further_variables_and_another_python(lake_home: LakeLocation, tmp_path: Path) -> None:
    setting = Setting(lake_home, BenchOptions())
    code = "import os, sys; print(os.environ['NUMBA_CACHE_DIR'], sys.executable)"
    setting.run_child(["-c", code], tmp_path, sys.executable, {"NUMBA_CACHE_DIR": "here"})
    assert (tmp_path / "child.log").read_text().strip() == f"here {sys.executable}"


@pytest.mark.slow
def test_a_single_backtest_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "COMPILED", "backtrader")
    setting = SimpleNamespace(market=SimpleNamespace(bars=walk("A", 1, 60)), say=lambda _: None)
    found = single.measure(setting)  # type: ignore[arg-type]
    assert len(found.detail["seconds"]) == single.CALLS
    assert 0 < found.figure("milliseconds").value < 10_000
    assert 0 < found.figure("milliseconds_bracket").value < 10_000


def answered(rival: Rival, folder: Path, **more: float) -> RivalRun:
    """Run a rival's program on a random walk, without slippage, which each models in its own way."""
    python = rivals.find_python(rival)
    if python is None:
        pytest.skip(rival.remedy)
    asked, told = folder / "request.json", folder / "answer.json"
    request = rivals.request_of(walk("A", 1, 120), folder, [3, 5], [20, 40], 2) | {"slippage": 0.0} | more
    asked.write_text(json.dumps(request))
    command = [python, str(conf_dir() / "bench" / rival.program), str(asked), str(told)]
    subprocess.run(command, check=True, capture_output=True)
    run = rivals.answer_of(json.loads(told.read_text()))
    assert run.backtests == len(run.values) == 4
    assert run.seconds > 0
    assert run.peak_mb > 20
    assert run.versions[rival.module]
    return run


@pytest.mark.slow
@pytest.mark.parametrize(("rival", "tolerance"), [(VECTORBT, 1e-9), (BACKTESTING, 1e-3)])
def test_rivals_trade_the_same_sweep(
    rival: Rival, tolerance: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vectorbt ends with Backtrader's money; backtesting.py, which misses some crosses, nearly."""
    monkeypatch.setenv(rivals.PYTHON, NAMED)
    theirs, backtrader = answered(rival, tmp_path), answered(OPTSTRATEGY, tmp_path)
    assert theirs.values == pytest.approx(backtrader.values, rel=tolerance)
    assert all(value != 100_000.0 for value in theirs.values.values())


@pytest.mark.slow
def test_both_sides_trade_the_same_brackets(tmp_path: Path) -> None:
    answer = answered(OPTSTRATEGY, tmp_path, bracket=1, slippage=sweep.EXECUTION.slippage)
    market = SimpleNamespace(bars=walk("A", 1, 120), exchange="XNYS", pin=None)
    setting = SimpleNamespace(market=market, say=lambda _: None)
    assert bracket.differing(setting, answer) == []  # type: ignore[arg-type]
    assert len(set(answer.values.values())) > 1
    answer.values[3, 20] += 0.01  # type: ignore[index]
    assert bracket.differing(setting, answer) == [(3, 20)]  # type: ignore[arg-type]


@pytest.mark.spark
@pytest.mark.slow
def test_a_stored_sweep_is_compared_with_backtrader(
    spark: object, lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tiny data: equal rows are equal, another sweep's rows are not, and memory is measured."""
    monkeypatch.delenv("WHATIF_TEST_DATA", raising=False)
    monkeypatch.setattr(BenchOptions, "most_bars", 1_200)
    monkeypatch.setattr(sweep, "COMPILED", "backtrader")
    setting = Setting(lake_home, BenchOptions(quick=True))
    done = store(setting, "look", "backtrader", (3, 5), (20, 40))
    chosen = draw(done.pending[0].configurations, 3)
    assert done.failed == 0
    assert differing(setting, done, chosen) == {}
    elsewhere = store(setting, "other", "backtrader", (4,), (30,))
    mixed = StoredSweep(elsewhere.plan, done.pending, 1.0, 1, 0)
    assert set(differing(setting, mixed, chosen)) == {c.config_id for c in chosen}
    assert sweep.run_worker(setting, done.plan, done.pending)["rows"] == 4
    found = start.measure(setting)
    assert found.figure("failed").value == 0
    assert 0 < found.figure("imports").value < found.figure("warm").value


@pytest.mark.slow
def test_statistics_over_everything_tried_are_timed(lake_home: LakeLocation) -> None:
    found = luck.measure(Setting(lake_home, BenchOptions(quick=True)))
    figures = {figure.key: figure.value for figure in found.figures}
    assert figures["splits"] == math.comb(16, 8)
    assert figures["pbo_seconds"] > 0.0
    assert figures["spa_peak"] > 10.0
