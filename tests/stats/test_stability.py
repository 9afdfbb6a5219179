"""The surroundings of the best point, by hand on a small grid."""

from __future__ import annotations

import math

import numpy as np
import pytest

from whatif.errors import StatisticsError
from whatif.stats import influence, rank_correlation, stability_of_best

AXES = {"fast": [5, 10, 20], "slow": [50, 100, 200, 400], "model": ["rf", "gbt"], "side": [1, 2]}


def surface(fast: int, slow: int, model: str, side: int) -> float:
    """Return an objective whose best is fast 20, slow 100, rf, side 2."""
    table = {5: [1.0, 2.0, 1.5, 0.0], 10: [2.0, 4.0, 3.0, 1.0], 20: [3.0, 5.0, 2.0, 1.0]}
    return table[fast][AXES["slow"].index(slow)] - (0.25 if model == "gbt" else 0.0) - 0.5 * (2 - side)


POINTS = [
    {"fast": f, "slow": s, "model": m, "side": d}
    for f in AXES["fast"]
    for s in AXES["slow"]
    for m in AXES["model"]
    for d in AXES["side"]
]
VALUES = [surface(**point) for point in POINTS]  # type: ignore[arg-type]


def test_the_surroundings_of_the_best() -> None:
    found = stability_of_best(AXES, POINTS, VALUES)

    assert POINTS[found.best] == {"fast": 20, "slow": 100, "model": "rf", "side": 2}
    assert found.objective == 5.0
    # fast 10: 4, slow 50: 3, slow 200: 2, side 1: 4.5; the model has no order
    assert sorted(VALUES[k] for k in found.neighbours.points) == [2.0, 3.0, 4.0, 4.5]
    assert found.neighbours.count == 4
    assert found.neighbours.missing == 0
    assert found.neighbours.median == 3.5
    assert found.neighbours.share == pytest.approx(0.7)
    # side has two values, of which one is always on an end
    assert [(edge.axis, edge.end, edge.value) for edge in found.edges] == [("fast", "high", 20)]


def test_slices_and_planes_go_through_the_best() -> None:
    found = stability_of_best(AXES, POINTS, VALUES)

    assert list(found.slices) == list(AXES)
    assert found.slices["slow"].values == (50, 100, 200, 400)
    assert found.slices["slow"].objective.tolist() == [3.0, 5.0, 2.0, 1.0]
    assert found.slices["model"].objective.tolist() == [5.0, 4.75]
    (plane,) = found.planes
    assert (plane.x, plane.y) == ("slow", "fast")
    assert plane.x_values == (50, 100, 200, 400)
    assert plane.y_values == (5, 10, 20)
    assert plane.objective.tolist() == [[1.0, 2.0, 1.5, 0.0], [2.0, 4.0, 3.0, 1.0], [3.0, 5.0, 2.0, 1.0]]
    assert len(stability_of_best(AXES, POINTS, VALUES, all_planes=True).planes) == 6


def test_influence_is_the_share_of_variance_explained() -> None:
    shares = influence(AXES, POINTS, VALUES)
    assert list(shares) == ["slow", "fast", "side", "model"]
    # 0.5 * (2 - side) has variance 1/16, the model's 1/64; table by slow: means 2, 11/3, 13/6, 2/3
    table = np.array([[1.0, 2.0, 1.5, 0.0], [2.0, 4.0, 3.0, 1.0], [3.0, 5.0, 2.0, 1.0]])
    total = table.var() + 1 / 16 + 1 / 64
    assert shares["side"] == pytest.approx(1 / 16 / total)
    assert shares["model"] == pytest.approx(1 / 64 / total)
    assert shares["slow"] == pytest.approx(np.var([2.0, 11 / 3, 13 / 6, 2 / 3]) / total)


def test_what_was_not_measured_is_missing() -> None:
    kept = [k for k, point in enumerate(POINTS) if point["fast"] != 10]
    values = [math.nan if POINTS[k]["side"] == 1 else VALUES[k] for k in kept]

    found = stability_of_best(AXES, [POINTS[k] for k in kept], values)

    assert found.neighbours.count == 2
    assert found.neighbours.missing == 2
    assert found.neighbours.median == 2.5
    np.testing.assert_array_equal(found.slices["fast"].objective, [2.0, np.nan, 5.0])


def test_a_lone_point_has_no_surroundings() -> None:
    found = stability_of_best({"fast": [5]}, [{"fast": 5}], [1.0])
    assert found.neighbours.count == 0
    assert math.isnan(found.neighbours.median)
    assert math.isnan(found.neighbours.share)
    assert (found.edges, found.slices, found.planes) == ((), {}, ())
    assert found.influence == {"fast": 0.0}


def test_the_best_of_a_loss_has_no_share() -> None:
    found = stability_of_best({"x": [1, 2, 3]}, [{"x": k} for k in (1, 2, 3)], [-3.0, -1.0, -2.0])
    assert found.neighbours.median == -2.5
    assert math.isnan(found.neighbours.share)


def test_the_lowest_can_be_best() -> None:
    points = [{"x": k} for k in (1, 2, 3)]
    found = stability_of_best({"x": [1, 2, 3]}, points, [4.0, 8.0, 9.0], lower_is_better=True)
    assert found.best == 0
    assert found.neighbours.share == 0.5
    assert found.edges[0].end == "low"


def test_axes_of_words_have_an_order_if_told() -> None:
    axes = {"timeframe": ["1min", "5min", "15min"]}
    points = [{"timeframe": name} for name in axes["timeframe"]]
    assert stability_of_best(axes, points, [1.0, 3.0, 2.0]).neighbours.count == 0
    found = stability_of_best(axes, points, [1.0, 3.0, 2.0], ordinal=["timeframe"])
    assert found.neighbours.median == 1.5
    assert found.edges == ()


def test_nothing_to_choose_from_is_refused() -> None:
    with pytest.raises(StatisticsError, match="none is known"):
        stability_of_best({"x": [1]}, [{"x": 1}], [math.nan])
    with pytest.raises(StatisticsError, match="one for each is needed"):
        stability_of_best({"x": [1]}, [{"x": 1}], [1.0, 2.0])


def test_ranks_that_last_by_hand() -> None:
    # differences of ranks 1, 1, 1, 1, 0: rho = 1 - 6 * 4 / (5 * 24)
    found = rank_correlation([1.0, 2.0, 3.0, 4.0, 5.0, np.nan], [20.0, 10.0, 40.0, 30.0, 50.0, 60.0])
    assert found.rho == pytest.approx(0.8)
    assert found.n == 5
    # table of Student's t: 2.309 with three degrees of freedom
    assert found.p_value == pytest.approx(0.104, abs=5e-4)
    assert rank_correlation([1, 2, 3, 4], [9, 7, 5, 1]).rho == pytest.approx(-1.0)


def test_ranks_that_last_are_those_of_scipy_to_the_last_bit() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(7)
    for turn in range(200):
        one = rng.normal(size=int(rng.integers(3, 60)))
        other = {0: one.copy(), 1: -one}.get(turn, one * rng.normal() + rng.normal(size=len(one)))
        one, other = (np.round(one), np.round(other, 1)) if turn % 3 == 2 else (one, other)
        if (one == one[0]).all() or (other == other[0]).all():
            continue
        found, scipys = rank_correlation(one, other), spearmanr(one, other)
        assert (found.rho, found.p_value) == (float(scipys.statistic), float(scipys.pvalue))


@pytest.mark.parametrize(
    ("validate", "test"), [([1.0, 2.0], [2.0, 1.0]), ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]), ([], [])]
)
def test_no_ranks_no_correlation(validate: list[float], test: list[float]) -> None:
    found = rank_correlation(validate, test)
    assert math.isnan(found.rho)
    assert math.isnan(found.p_value)
    assert found.n == len(validate)


def test_sides_of_different_length_are_refused() -> None:
    with pytest.raises(StatisticsError, match="on either side"):
        rank_correlation([1.0, 2.0], [1.0])


def test_the_chosen_one_of_equal_ones_is_marked() -> None:
    """Of several equal values, that of the choice is the one that slices and planes point to."""
    points = [{"a": a, "b": b} for a in (1, 2, 3) for b in (10, 20)]
    values = [1.0, 5.0, 0.5, 5.0, 5.0, 2.0]

    found = stability_of_best({"a": [1, 2, 3], "b": [10, 20]}, points, values, best=4)

    assert (found.best, found.objective) == (4, 5.0)
    assert (found.slices["a"].best, found.slices["b"].best) == (2, 0)
    (plane,) = found.planes
    assert plane.objective[plane.best] == 5.0
    assert (plane.x_values[plane.best[1]], plane.y_values[plane.best[0]]) in {(3, 10), (10, 3)}
    assert stability_of_best({"a": [1, 2, 3], "b": [10, 20]}, points, values).best == 1
    with pytest.raises(StatisticsError, match="best=6 of 6 points"):
        stability_of_best({"a": [1, 2, 3], "b": [10, 20]}, points, values, best=6)
