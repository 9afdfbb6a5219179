"""A study with a search of one's own runs to its answer, and goes on where it stopped."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from whatif.errors import PluginError, RunError
from whatif.lake.results import RESULTS
from whatif.workflow import RunOptions, run, stored_leaderboard
from whatif.workflow import study as run_module

from .conftest import rows_of

AXES = {"fast": [3, 5], "slow": [15, 20, 25, 30]}
FAILS = """

class Fails(Halves):
    def start(self, space):
        searcher = super().start(space)
        searcher.tell = lambda results: 1 / 0
        return searcher
"""


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the section of the documents' example, which its driver alone imports."""
    _, _, below = (Path(__file__).parents[2] / "docs" / "extending.md").read_text().partition("## A search")
    code = re.search(r"```python\n(.*?)```", below, re.DOTALL)
    assert code is not None
    (tmp_path / "my_searches.py").write_text(code[1] + FAILS)
    monkeypatch.delitem(sys.modules, "my_searches", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    return {"kind": "my_searches:Halves", "seed": 1}


def test_half_of_the_grid_in_two_rounds(market, go, make_study, write_study, search, monkeypatch) -> None:
    changes = {
        "axes": AXES,
        "search": search,
        "rank": "pooled",
        "split": {"train": 0, "validate": 0.5, "test": 0.5},
    }
    path = write_study("own.yaml", **changes)
    assert stored_leaderboard(path, market)[1] == 4
    with pytest.raises(RunError, match="has 4 backtests still to run"):
        run(make_study(**changes), None, market, RunOptions(track=False, only_stored=True))

    # stopped after the first round, its rows stored
    explore = run_module._Run._sweep
    swept: list[int] = []

    def stops(self: Any, plan: Any, pending: Any, resumed: int) -> None:
        swept.append(sum(len(part.configurations) for part in pending))
        if len(swept) == 2:
            raise KeyboardInterrupt
        explore(self, plan, pending, resumed)

    with monkeypatch.context() as patched:
        patched.setattr(run_module._Run, "_sweep", stops)
        with pytest.raises(KeyboardInterrupt):
            go(**changes)
    assert swept == [4, 4]
    first = rows_of(market, RESULTS)
    data, missing = stored_leaderboard(path, market)
    assert (len(data.ranking.leaderboard), missing) == (2, 4)

    result = go(**changes)
    assert (result.computed, result.resumed, result.failed) == (4, 4, 0)
    board = result.leaderboard()
    assert len(board) == 4
    assert set(first["config_id"]) < set(board["config_id"])
    # what is told decides: the second round is closest to the best of the first
    told = board[board["config_id"].isin(set(first["config_id"]))]
    best = told.sort_values("sharpe").iloc[-1]
    second = board[~board["config_id"].isin(set(first["config_id"]))]
    assert all((row["fast"] == best["fast"]) or (row["slow"] == best["slow"]) for _, row in second.iterrows())
    # the verdict counts what was evaluated
    assert (result.data.verdict.own_trials, result.data.verdict.verdict.figures.trials) == (4, 4)
    again = go(**changes)
    assert (again.computed, again.resumed) == (0, 8)
    assert stored_leaderboard(path, market)[1] == 0
    # of the same names as in the grid, which takes them over
    grid = go(**{**changes, "search": None})
    assert (grid.computed, grid.resumed) == (8, 8)

    with pytest.raises(PluginError, match="search 'my_searches:Fails': tell raised ZeroDivisionError"):
        go(**{**changes, "search": {"kind": "my_searches:Fails"}})
