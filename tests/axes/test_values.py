"""Ranges of an axis: by a step, and by a ratio."""

from __future__ import annotations

import pytest

from whatif.axes import read_axes, setting_text


def values_of(given: object, whole: bool = True) -> tuple[object, ...]:
    return tuple(read_axes({"a": given}, whole)["a"].values)


def test_a_logarithmic_range_has_equal_ratios() -> None:
    assert values_of({"from": 0.001, "to": 10, "log": 5}) == (0.001, 0.01, 0.1, 1.0, 10)
    # whole numbers between whole ends, each once: 1, 1.58, 2.5, 3.98, 6.3, 10
    assert values_of({"from": 1, "to": 10, "log": 6}) == (1, 2, 3, 4, 6, 10)
    assert values_of({"from": 1, "to": 3, "log": 9}) == (1, 2, 3)
    # sqrt(2 * 3) to six digits
    assert values_of({"from": 2.0, "to": 3.0, "log": 3}) == (2.0, 2.44949, 3.0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"from": 0, "to": 10, "log": 5}, "from must be above 0"),
        ({"from": 5, "to": 5, "log": 5}, "to above from"),
        ({"from": 1, "to": 5, "log": True}, "log says how many values there are, a whole number from 2"),
        ({"from": 1, "to": 5, "log": 1}, "a whole number from 2"),
        ({"from": 1, "to": 5, "log": 3, "step": 1}, "a logarithmic range is {from, to, log}"),
        ({"from": 1, "log": 3}, "a logarithmic range is {from, to, log}"),
        ({"from": "1", "to": 5, "log": 3}, "from and to must be numbers"),
    ],
)
def test_what_is_no_logarithmic_range_is_refused(given: object, said: str) -> None:
    with pytest.raises(ValueError, match=f"axis a.*{said}"):
        values_of(given)


def test_a_search_of_some_points_is_held_to_the_number_of_values() -> None:
    axes = {"a": {"from": 1, "to": 1000}, "b": {"from": 1, "to": 1000}}
    with pytest.raises(ValueError, match=r"the grid has 1,000,000 points .*{kind: sobol}"):
        read_axes(axes)
    assert len(read_axes(axes, whole=False)["b"].values) == 1000
    with pytest.raises(ValueError, match=r"the axes have 600,000 values \(300,000 of a \+ 300,000 of b\)"):
        read_axes({name: {"from": 1, "to": 300_000} for name in "ab"}, whole=False)


@pytest.mark.parametrize(
    ("name", "value", "kind", "text"),
    [
        ("commission", 5e-05, "perc", "0.005 %"),
        ("slippage", 0.0, "perc", "0 %"),
        ("commission", 0.35, "fixed", "0.35"),
        ("slippage", 0.0001, "fixed", "0.01 %"),
        ("slip_open", True, "perc", "True"),
    ],
)
def test_costs_are_told_in_percent(name, value, kind, text) -> None:
    assert setting_text(name, value, kind) == text
