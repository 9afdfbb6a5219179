"""A study of several objectives, with constraints and Optuna, runs to its answer and goes on after a stop."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from whatif.lake.results import RESULTS, RETURNS
from whatif.pins import LakeLocation, open_table
from whatif.searches.kinds.optuna import _Batches as Batches
from whatif.workflow import RunOptions, run
from whatif.workflow import study as run_module

from .conftest import WINDOWS, at, rows_of, run_twice

CHANGES: dict[str, Any] = {
    "axes": {
        "fast": {"from": 2, "to": 20},
        "slow": {"from": 10, "to": 60, "log": 12},
        "stop_loss": [None, 0.01],
    },
    "objectives": ["sharpe", "-max_drawdown_pct"],
    "choose": "ideal",
    "constraints": ["fast < slow", "trades >= 2"],
    "rank": "pooled",
    "split": {"train": 0, "validate": 0.5, "test": 0.5},
}


LESS = {**CHANGES, "constraints": ["fast < slow"], "objectives": None, "objective": "sharpe", "choose": None}


def search(trials: int) -> dict[str, Any]:
    return {"kind": "optuna", "trials": trials, "batch": 6, "seed": 1}


def test_a_stopped_search_goes_on_with_the_same_trials(go, market, monkeypatch) -> None:
    pytest.importorskip("optuna")
    swept = 0
    sweep = run_module._Run._sweep

    def stops(self: Any, plan: Any, pending: Any, resumed: int) -> None:
        nonlocal swept
        swept += 1
        if swept == 2:
            raise KeyboardInterrupt
        sweep(self, plan, pending, resumed)

    with monkeypatch.context() as patched:
        patched.setattr(run_module._Run, "_sweep", stops)
        with pytest.raises(KeyboardInterrupt):
            go(**CHANGES, search=search(18))
    first = set(rows_of(market, RESULTS)["config_id"])
    assert len(first) == 6

    result = go(**CHANGES, search=search(18))
    board = result.leaderboard()
    assert (result.computed, result.resumed, len(board)) == (24, 12, 18)
    assert first < set(board["config_id"])
    assert (board["fast"] < board["slow"]).all()
    # on the front, nothing is better in both; the one that is chosen keeps to the constraint, and is on it
    kept = board[board["trades"] >= 2]
    for _, row in kept.iterrows():
        better = (kept["sharpe"] > row["sharpe"]) & (kept["max_drawdown_pct"] < row["max_drawdown_pct"])
        assert not (row["front"] and better.any())
    chosen = board[board["config_id"] == result.best.config_id].iloc[0]
    assert chosen["front"]
    assert chosen["trades"] >= 2
    assert result.data.verdict.own_trials == 18


@pytest.mark.slow
def test_a_shorter_budget_is_part_of_it_and_a_longer_one_goes_on(go) -> None:
    pytest.importorskip("optuna")
    board = go(**CHANGES, search=search(18)).leaderboard()
    shorter = go(**CHANGES, search=search(12))
    assert (shorter.computed, len(shorter.leaderboard())) == (0, 12)
    longer = go(**CHANGES, search=search(20))
    assert (longer.computed, longer.resumed) == (4, 36)
    assert set(board["config_id"]) < set(longer.leaderboard()["config_id"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["optuna", "random", "sobol"])
def test_bars_of_the_test_window_change_no_choice(make_study, tmp_path, monkeypatch, kind: str) -> None:
    """Of each search that draws points, and in a past that is drawn."""
    pytest.importorskip("optuna")
    monkeypatch.setenv("WHATIF_RUNNER", "local")
    past = {"past": {"kind": "stationary_bootstrap", "values": [0, 1], "mean_block": 30}}
    changes = {**CHANGES, "axes": {**past, **CHANGES["axes"]}, "split": {**WINDOWS, "train": 0}}
    section = search(12) if kind == "optuna" else {"kind": kind, "trials": 12, "seed": 1}
    study = make_study(**changes, search=section)
    results = run_twice(study, tmp_path, lambda _: at("2013-10-10 13:30"))
    columns = ["config_id", "past", "fast", "slow", "sharpe", "max_drawdown_pct", "pnl_net", "front"]
    one, other = (result.leaderboard()[columns] for result in results)
    pd.testing.assert_frame_equal(one, other)
    assert set(one["past"]) == {0, 1}
    first, second = (result.best for result in results)
    assert first is not None
    assert second is not None
    assert first.config_id == second.config_id
    assert first.test["pnl_net"] != second.test["pnl_net"]


def test_rounds_are_stored_together_and_told_as_they_were_computed(go, market, monkeypatch) -> None:
    """Nothing is committed between rounds; told is the same that is read from the lake later."""
    pytest.importorskip("optuna")
    told: list[list[Any]] = []
    tell = Batches.tell

    def listens(self: Any, results: Any) -> None:
        told[-1] += [(dict(one.point), one.value, [row["trades"] for row in one.rows]) for one in results]
        tell(self, results)

    monkeypatch.setattr(Batches, "tell", listens)
    commits: list[int] = []
    for _ in range(2):
        told.append([])
        result = go(**LESS, search=search(18))
        commits.append(len(open_table(market, RESULTS.name).metadata.snapshots))
    assert result.computed == 0
    # one of the search, and one of the test window
    assert commits == [2, 2]
    assert len(told[0]) == 18
    assert told[0] == told[1]


WALK = {"kind": "walk_forward", "train": 0, "validate": 1, "test": 1, "step": 2}


@pytest.mark.slow
def test_each_fold_of_a_walk_forward_searches_for_itself(make_study, tmp_path, monkeypatch) -> None:
    """Bars changed from the second fold's test window on change nothing that folds 1 and 2 tried or chose."""
    pytest.importorskip("optuna")
    monkeypatch.setenv("WHATIF_RUNNER", "local")
    study = make_study(**{**LESS, "split": WALK}, search={**search(13), "batch": 10})
    one, other = run_twice(study, tmp_path, lambda _: at("2013-10-09 13:30"))
    choice = ["config_id", "symbol", "fast", "slow", "stop_loss", "validate"]
    assert len(one.folds) == 3
    pd.testing.assert_frame_equal(one.folds[choice].head(2), other.folds[choice].head(2))
    assert one.folds["validate"].iloc[2] != other.folds["validate"].iloc[2]
    tried = [
        {
            window: set(part["config_id"])
            for window, part in rows_of(LakeLocation(tmp_path / home), RESULTS).groupby("window")
            if window.startswith("validate")
        }
        for home in ("home0", "home1")
    ]
    assert [len(ids) for ids in tried[0].values()] == [13] * 3
    assert all(tried[0][f"validate-0{k}"] == tried[1][f"validate-0{k}"] for k in (1, 2))
    # what a fold learns of makes it ask for points of its own
    assert tried[0]["validate-01"] != tried[0]["validate-02"]
    assert len(one.leaderboard()) == 13
    assert one.data.verdict.own_trials == 13
    again = run(study, None, LakeLocation(tmp_path / "home0"), RunOptions(track=False, report=False))
    assert (again.computed, again.resumed) == (0, 3 * 13 * 2)
    pd.testing.assert_frame_equal(again.folds, one.folds)


@pytest.mark.slow
def test_on_paths_a_search_is_told_what_ranks(go, monkeypatch) -> None:
    pytest.importorskip("optuna")
    pytest.importorskip("skfolio")
    told: dict[Any, float] = {}
    tell = Batches.tell

    def listens(self: Any, results: Any) -> None:
        told.update({tuple(one.point.values()): one.value for one in results})
        tell(self, results)

    monkeypatch.setattr(Batches, "tell", listens)
    split = {"kind": "cpcv", "folds": 3, "test_folds": 2, "test": 0.2}
    board = go(**{**LESS, "split": split}, search=search(12)).leaderboard()
    assert len(board) == len(told) == 12
    for row in board.to_dict("records"):
        stop = None if pd.isna(row["stop_loss"]) else row["stop_loss"]
        assert told[row["fast"], row["slow"], stop] == row["sharpe"]


def test_what_is_bad_in_the_first_folds_is_not_run_on_the_others(go, market) -> None:
    """Sixteen points in the first fold, half of them in the second, and the best quarter in the third."""
    changes = {
        "axes": {"fast": [2, 3, 5, 8], "slow": [10, 15, 25, 40]},
        "rank": "pooled",
        "split": WALK,
        "search": {"kind": "grid", "halving": {"factor": 2, "least": 3}},
    }
    result = go(**changes)
    stored = rows_of(market, RESULTS)
    assert stored.groupby("window")["config_id"].nunique().to_dict() == {
        "validate-01": 16,
        "validate-02": 8,
        "validate-03": 4,
        **{f"test-0{k}": 1 for k in (1, 2, 3)},
    }
    # the objective of each fold by hand: of the mean return of both symbols
    returns = rows_of(market, RETURNS).groupby(["window", "config_id"])["returns"].agg(list)
    year = stored["periods_per_year"].iloc[0]

    def sharpe(window: str, config_id: str) -> float:
        mean = np.mean(returns[window, config_id], axis=0)
        return float(mean.mean() / mean.std(ddof=1) * np.sqrt(year))

    first = {name: sharpe("validate-01", name) for name in returns["validate-01"].index}
    second = set(returns["validate-02"].index)
    assert second == set(sorted(first, key=lambda name: -first[name])[:8])
    both = {name: first[name] + sharpe("validate-02", name) for name in second}
    third = set(returns["validate-03"].index)
    assert third == set(sorted(both, key=lambda name: -both[name])[:4])
    # what was dropped is said, ranked last, and counts as tried
    board = result.leaderboard()
    assert board["status"].tolist() == ["ok"] * 4 + ["dropped"] * 12
    assert set(board["config_id"]) == set(first)
    said = board.set_index("config_id")["error"]
    worst = min(first, key=lambda name: first[name])
    assert said[worst] == "dropped behind validate-01: number 16 of 16 by sharpe, and 8 go on"
    assert all("behind validate-02" in said[name] for name in second - third)
    assert board["sharpe"].notna().tolist() == [True] * 4 + [False] * 12
    assert result.failed == 0
    assert (result.data.verdict.own_trials, result.data.verdict.studies) == (16, 1)
    again = go(**changes)
    assert (again.computed, again.resumed) == (0, 2 * (16 + 8 + 4))
    pd.testing.assert_frame_equal(again.leaderboard(), board)


@pytest.mark.slow
def test_a_search_that_learns_drops_points_on_the_way_of_the_paths(go, market) -> None:
    pytest.importorskip("optuna")
    pytest.importorskip("skfolio")
    split = {"kind": "cpcv", "folds": 3, "test_folds": 2, "test": 0.2}
    halved = {**search(12), "halving": {"factor": 2, "least": 1}}
    result = go(**{**LESS, "split": split}, search=halved)
    stored = rows_of(market, RESULTS).groupby("window")["config_id"].nunique().to_dict()
    assert stored == {"fold-01": 12, "fold-02": 6, "fold-03": 4, "test": 1}
    board = result.leaderboard()
    assert board["status"].value_counts().to_dict() == {"ok": 4, "dropped": 8}
    assert result.data.verdict.own_trials == 12
    again = go(**{**LESS, "split": split}, search=halved)
    assert again.computed == 0
    pd.testing.assert_frame_equal(again.leaderboard(), board)


@pytest.mark.slow
def test_a_limit_of_time_ends_a_search_before_a_round(go) -> None:
    pytest.importorskip("optuna")
    hurried = {**search(18), "time": "1min"}
    with pytest.MonkeyPatch.context() as patched:
        # the clock that a run looks at goes a minute each time
        ticks = iter(range(0, 10_000, 60))
        patched.setattr(run_module, "time", SimpleNamespace(monotonic=lambda: float(next(ticks))))
        result = go(**CHANGES, search=hurried)
    assert len(result.leaderboard()) == 6
    # what is stored is answered from without running anything, and another run adds to it
    assert len(go(**CHANGES, search=hurried).leaderboard()) == 18
