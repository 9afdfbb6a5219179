"""A study of several objectives, with constraints and Optuna, runs to its answer and goes on after a stop."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from whatif.lake.results import RESULTS
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
def test_bars_of_the_test_window_change_no_choice(make_study, tmp_path, monkeypatch) -> None:
    """Of a search that learns, and in a past that is drawn."""
    pytest.importorskip("optuna")
    monkeypatch.setenv("WHATIF_RUNNER", "local")
    past = {"past": {"kind": "stationary_bootstrap", "values": [0, 1], "mean_block": 30}}
    changes = {**CHANGES, "axes": {**past, **CHANGES["axes"]}, "split": {**WINDOWS, "train": 0}}
    study = make_study(**changes, search=search(12))
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
