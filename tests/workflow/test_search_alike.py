"""A search gives the same trials on any number of cores; and what cannot be searched or answered is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from whatif.domain.bars import PRICE_FIELDS
from whatif.domain.timeframe import MINUTE_US
from whatif.errors import StudyError
from whatif.lake.results import RESULTS, RETURNS
from whatif.pins import LakeLocation
from whatif.resolve.windows import resolve_timeline
from whatif.runner import local
from whatif.workflow import RunOptions, StudyResult, run

from ..markets import put_bars, walk
from .conftest import NOT_RESULT, plain_rows, rows_of

SPACE: dict[str, Any] = {
    "axes": {
        "fast": {"from": 2, "to": 20},
        "slow": {"from": 21, "to": 60, "step": 3},
        "stop_loss": [None, 0.01],
    },
    "rank": "pooled",
    "split": {"train": 0, "validate": 0.5, "test": 0.5},
}
TPE = {"kind": "optuna", "trials": 12, "batch": 5, "seed": 1}
WALK = {"kind": "walk_forward", "train": 0, "validate": 1, "test": 1, "step": 2}
PATHS = {"kind": "cpcv", "folds": 3, "test_folds": 2, "test": 0.2}

SEARCHES = {
    "tpe": {"search": TPE},
    "walk forward": {"search": TPE, "split": WALK},
    "halving": {
        "search": {"kind": "random", "trials": 12, "halving": {"factor": 2, "least": 2}},
        "split": WALK,
    },
    "cpcv": {"search": TPE, "split": PATHS},
    "cpcv, halved": {"search": {**TPE, "halving": {"factor": 2, "least": 1}}, "split": PATHS},
}


OPTIONS = RunOptions(track=False, report=False, certify=False, runner="local")


def board_of(result: StudyResult) -> pd.DataFrame:
    """Return the ranking without what two lakes never share."""
    return result.leaderboard().drop(columns=[*NOT_RESULT, "bars_snapshot", "pins"], errors="ignore")


def answered(study: Any, home: Path) -> tuple[StudyResult, LakeLocation]:
    """Run a study in a lake of its own."""
    where = LakeLocation(home)
    put_bars(where, [walk("A", 1, minutes=120), walk("B", 2, minutes=120)])
    return run(study, None, where, OPTIONS), where


@pytest.fixture(autouse=True, scope="module")
def _ended():
    yield
    local.end()


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == "walk forward" else pytest.mark.slow) for name in SEARCHES],
)
def test_one_process_and_two_try_the_same(name: str, make_study, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("optuna")
    if "cpcv" in name:
        pytest.importorskip("skfolio")
    study = make_study(**{**SPACE, **SEARCHES[name]})
    used: set[int] = set()
    compute = local.compute

    def counted(plan: Any, items: Any, processes: int, *more: Any) -> Any:
        used.add(processes)
        return compute(plan, items, processes, *more)

    monkeypatch.setattr(local, "compute", counted)
    boards, rows = [], []
    for count in (1, 2):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, count=count: set(range(count)))
        result, where = answered(study, tmp_path / str(count))
        boards.append(board_of(result))
        rows.append([plain_rows(where, spec) for spec in (RESULTS, RETURNS)])
    assert used == {1, 2}
    pd.testing.assert_frame_equal(*boards)
    assert rows[0] == rows[1]
    assert len(boards[0]) == 12


KINDS: dict[str, dict[str, Any]] = {
    "grid": {"kind": "grid"},
    "random": {"kind": "random", "trials": 10},
    "sobol": {"kind": "sobol", "trials": 8},
    **{
        sampler: {"kind": "optuna", "sampler": sampler, "trials": 12, "batch": 4, "seed": 1}
        for sampler in ("tpe", "cmaes", "nsga2", "nsga3")
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_search_is_led_by_the_test_window(kind: str, make_study, tmp_path: Path) -> None:
    """Turn the bars of the test window around: the same trials, figures and choice, another test figure."""
    if KINDS[kind]["kind"] == "optuna":
        pytest.importorskip("cmaes" if kind == "cmaes" else "optuna")
    axes = {"fast": [2, 5, 9], "slow": [21, 40]} if kind == "grid" else SPACE["axes"]
    study = make_study(**{**SPACE, "axes": axes, "search": KINDS[kind]})
    bars = [walk("A", 1, minutes=120), walk("B", 2, minutes=120)]
    test = resolve_timeline(study).last.test
    assert test is not None
    boards, chosen, told = [], [], []
    for name in ("as they are", "turned"):
        where = LakeLocation(tmp_path / name)
        put_bars(where, bars)
        found = run(study, None, where, OPTIONS)
        assert found.best is not None
        boards.append(board_of(found))
        chosen.append((found.best.config_id, str(found.best.validate)))
        told.append(found.best.test["pnl_net"])
        for one in bars:
            first, stop = test.rows(one, MINUTE_US)
            assert stop - first > 100
            for field in PRICE_FIELDS:
                series = getattr(one, field).copy()
                series[first:stop] = series[first:stop][::-1] * 1.5
                object.__setattr__(one, field, series)
    pd.testing.assert_frame_equal(*boards, check_exact=True)
    assert chosen[0] == chosen[1]
    assert told[0] != told[1]


_ON = """\
import sys
from whatif.pins import LakeLocation
from whatif.session import get_spark
from whatif.workflow import RunOptions, run
where = LakeLocation(sys.argv[2])
spark = get_spark(where, master=sys.argv[3])
options = RunOptions(track=False, report=False, runner="spark")
print(len(run(sys.argv[1], spark, where, options).leaderboard()))
"""


@pytest.mark.spark
@pytest.mark.slow
def test_spark_on_one_core_and_on_two_tries_what_processes_try(write_study, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    path = write_study(**{**SPACE, **SEARCHES["walk forward"]})
    _, where = answered(path, tmp_path / "processes")
    expected = [plain_rows(where, spec) for spec in (RESULTS, RETURNS)]
    for cores in ("1", "2"):
        home = LakeLocation(tmp_path / cores)
        put_bars(home, [walk("A", 1, minutes=120), walk("B", 2, minutes=120)])
        given = [sys.executable, "-c", _ON, str(path), str(home.home), f"local[{cores}]"]
        subprocess.run(given, check=True, capture_output=True, text=True, timeout=300)
        assert [plain_rows(home, spec) for spec in (RESULTS, RETURNS)] == expected


def test_what_another_study_of_the_name_tried_is_not_gone_on_with(make_study, tmp_path: Path) -> None:
    """A search is made of its own points' rows alone: there is no state of another one to take up."""
    pytest.importorskip("optuna")
    own = make_study(**SPACE, search=TPE)
    alone, _ = answered(own, tmp_path / "alone")
    other = make_study(**SPACE, strategy={"name": "sma_crossover", "params": {"size": 7.0}}, search=TPE)
    before, where = answered(other, tmp_path / "after")
    found = run(own, None, where, OPTIONS)
    assert found.study.study == before.study.study
    assert found.resumed == 0
    pd.testing.assert_frame_equal(board_of(found), board_of(alone))
    # one that searches otherwise goes its own way too, and takes rows only of points that it asks for itself
    reseeded = run(make_study(**SPACE, search={**TPE, "seed": 2}), None, where, OPTIONS)
    shared = set(reseeded.leaderboard()["config_id"]) & set(found.leaderboard()["config_id"])
    assert reseeded.resumed == 2 * len(shared) < 24


def test_an_objective_without_a_value_anywhere_is_said_with_its_reason(make_study, tmp_path: Path) -> None:
    """Means that are known for the last bars alone and do not cross there: no trade, and no ratio of any."""
    pytest.importorskip("optuna")
    axes = {"fast": {"from": 300, "to": 309}, "slow": {"from": 333, "to": 338}}
    result, where = answered(make_study(**{**SPACE, "axes": axes}, search=TPE), tmp_path / "home")
    assert (result.best, result.failed, len(rows_of(where, RESULTS))) == (None, 0, 24)
    said = " ".join(result.data.verdict.verdict.reasons)
    assert "Nothing can be chosen on validate: sharpe has no value for any of 12 backtests" in said
    assert "12 made no trade" in said
    assert "parameters that trade" in said


@pytest.mark.parametrize("search", [{"kind": "grid"}, {"kind": "random", "trials": 4}])
def test_a_past_that_is_shorter_than_the_warm_up_is_refused(go, search: dict[str, Any]) -> None:
    past = {"past": {"kind": "stationary_bootstrap", "n": 2}}
    axes = {**past, "fast": [3], "slow": [700]}
    said = r"slow = 700, .* needs 700 bars to warm up, and A has 339 1min bars .*: begin the data earlier"
    with pytest.raises(StudyError, match=said):
        go(**{**SPACE, "axes": axes}, search=search)
