"""Places of points on a grid."""

from __future__ import annotations

import numpy as np
import pytest

from whatif.errors import StatisticsError
from whatif.stats.stability import Grid

AXES = {"size": [300, 100, 200], "model": ["b", "a"], "costs": [{"fee": 0.0}, {"fee": 0.1}]}


def test_numbers_are_put_in_order_and_others_left() -> None:
    grid = Grid(AXES, [{"size": 300, "model": "b", "costs": {"fee": 0.1}, "further": 1}])
    assert grid.values["size"] == (100, 200, 300)
    assert grid.values["model"] == ("b", "a")
    assert grid.places == [(2, 0, 1)]
    assert grid.ordinal == {"size"}


def test_steps_go_along_ordered_axes_only() -> None:
    assert Grid(AXES, []).around((1, 0, 0)) == [(0, 0, 0), (2, 0, 0)]
    assert Grid(AXES, []).around((2, 0, 0)) == [(1, 0, 0)]
    assert Grid(AXES, [], ordinal=["model"]).around((1, 0, 0)) == [(1, 1, 0)]
    assert Grid({"on": [True, False], "x": np.array([1.0, 2.0])}, []).ordinal == {"x"}


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([{"size": 100, "model": "a"}], "no value for axis 'costs'"),
        ([{"size": 150, "model": "a", "costs": {"fee": 0.0}}], "size=150 is not on its axis"),
        ([{"size": 100, "model": "a", "costs": {"fee": 0.0}}] * 2, "points 0 and 1 are the same"),
    ],
)
def test_points_off_the_grid_are_refused(points: list[dict[str, object]], message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        Grid(AXES, points)


def test_an_unknown_ordered_axis_is_refused() -> None:
    with pytest.raises(StatisticsError, match="did you mean 'model'"):
        Grid(AXES, [], ordinal=["modell"])
