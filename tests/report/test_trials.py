"""What each axis is worth, of planted surfaces whose answer is known, and what the page's script gets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from whatif.report import html
from whatif.report.embed import board_payload
from whatif.report.trials import importance, trials_payload

AXES = {"fast": list(range(3, 23)), "slow": list(range(40, 60)), "stop": [None, 0.01]}


def planted(make, **columns):
    """Return a study whose objective is a line in `fast`, a tenth as steep in `slow`, and knows no `stop`."""
    board = make.leaderboard(AXES, ["SPY"])
    board["sharpe"] = board["fast"].astype(float) + 0.1 * board["slow"].astype(float)
    board = board.sort_values("sharpe", ascending=False, ignore_index=True)
    board["rank"] = np.arange(1.0, len(board) + 1)
    ranking = {"leaderboard": board.assign(**columns), "axes": tuple(AXES), "objective": "sharpe"}
    return make.changed(make.study(), ranking=ranking)


@pytest.mark.parametrize("searched", [False, True])
def test_a_planted_surface_is_told_by_its_axes(make, searched: bool) -> None:
    found = importance(planted(make, **({"trial": np.arange(800.0)} if searched else {})))
    assert found is not None
    assert ("fANOVA" in found.how) is searched
    shares = dict(found.shares)
    # the variance of a sum: 100 parts in 101 of fast, one of slow
    assert shares["fast"] == pytest.approx(100 / 101, abs=0.03 if searched else 1e-9)
    assert shares["slow"] == pytest.approx(1 / 101, abs=0.03 if searched else 1e-9)
    assert shares["stop"] == pytest.approx(0.0, abs=0.01)
    assert next(iter(shares)) == "fast"


def test_only_the_world_of_the_choice_counts(make) -> None:
    world = np.where(np.arange(800) % 2, "", "wild")
    data = planted(make, world=world)
    board = data.ranking.leaderboard.copy()
    board.loc[world == "wild", "sharpe"] = np.random.default_rng(0).normal(size=400) * 1e3
    wild = make.changed(data, ranking={"leaderboard": board})
    there = importance(wild)
    assert there is not None
    assert dict(there.shares)["fast"] > 0.95
    assert "home" in board_payload(wild)
    assert "home" not in board_payload(make.study())


def test_too_few_trials_or_none_that_differ_tell_nothing(make) -> None:
    data = planted(make)
    few = make.changed(data, ranking={"leaderboard": data.ranking.leaderboard.head(7)})
    assert importance(few) is None
    assert trials_payload(few, None) is None
    same = make.changed(data, ranking={"leaderboard": data.ranking.leaderboard.assign(sharpe=1.0)})
    assert importance(same) is None
    assert trials_payload(same, None) == {"importance": None}
    assert "sharpe varies with no axis" in html.render(same)
    nothing = make.changed(
        data, ranking={"leaderboard": pd.DataFrame(columns=data.ranking.leaderboard.columns)}
    )
    assert importance(nothing) is None
