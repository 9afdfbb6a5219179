"""A study with an axis of one's own runs to its answer."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from whatif.lake.results import RESULTS
from whatif.workflow import StudyResult

from .conftest import rows_of

FACTOR = """
from dataclasses import replace

from whatif.axes import Axis, Settings

class CostFactor(Axis):
    values: tuple[float, ...]

    def put(self, value: float, settings: Settings) -> Settings:
        costs = settings.execution["commission"] * value
        return replace(settings, execution={**settings.execution, "commission": costs})
"""


def test_a_study_that_varies_the_market_and_its_costs(market, go, tmp_path, monkeypatch) -> None:
    _, _, below = (Path(__file__).parents[2] / "docs" / "extending.md").read_text().partition("## An axis")
    shock = re.search(r"```python\n(.*?)```", below, re.DOTALL)
    assert shock is not None
    (tmp_path / "my_axes.py").write_text(shock[1] + FACTOR)
    monkeypatch.syspath_prepend(tmp_path)
    at = datetime.fromisoformat("2013-10-08T14:00:00+00:00")
    axes = {
        "fast": [3, 5],
        "shock": {"kind": "my_axes:PriceShock", "at": at, "values": [0, -0.05]},
        "my_axes:CostFactor": [1, 3],
    }
    alone: StudyResult = go(axes={"fast": [3, 5]})
    result: StudyResult = go(axes=axes, report=True)
    board = result.leaderboard()
    assert (result.computed, result.resumed, result.failed) == (12, 4, 0)
    assert set(board["shock"]) == {0.0, -0.05}
    assert set(board["my_axes:CostFactor"]) == {1.0, 3.0}
    # what leaves everything as it is, is the study without the axes
    same = board[(board["shock"] == 0.0) & (board["my_axes:CostFactor"] == 1.0)]
    assert set(same["config_id"]) == set(alone.leaderboard()["config_id"])
    # another world is none of what is chosen from, and says how a configuration spreads
    at_home = board["world"] == ""
    assert set(board["shock"][at_home]) == {0.0}
    assert board["rank"][at_home].max() < board["rank"][~at_home].min()
    assert result.best is not None
    assert result.best.axes["shock"] == 0.0
    other = board.set_index(["symbol", "fast", "shock", "my_axes:CostFactor"])
    assert other.loc["A", 3, 0.0, 1.0]["worlds"] == 1
    assert other.loc["A", 3, 0.0, 1.0]["worlds_low"] == other.loc["A", 3, -0.05, 1.0]["sharpe"]
    assert result.verdict is not None
    assert result.verdict.verdict.figures is None or result.verdict.verdict.figures.trials == 8
    by = board.set_index(["symbol", "fast", "shock", "my_axes:CostFactor"])["pnl_net"]
    assert by["A", 3, -0.05, 1.0] != by["A", 3, 0.0, 1.0] > by["A", 3, 0.0, 3.0]
    assert go(axes=axes).computed == 0
    assert len(rows_of(market, RESULTS).drop_duplicates(["config_id", "symbol", "window"])) == len(
        rows_of(market, RESULTS)
    )
