"""Rows as Arrow batches: texts of parameters made for many at once, columns of one value, gaps in series."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from whatif.runner import batches

NAMES = ("fast", "100%", 'a"b', "mode, %s")
TEXTS = st.sampled_from(["", "a, b", "}, {", "%s", '"', "é"])
NUMBERS = st.integers(-9, 9), st.floats(), st.booleans()
VALUES = st.sampled_from([*NUMBERS, TEXTS, st.one_of(*NUMBERS), st.one_of(TEXTS, st.none(), st.floats())])


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    kinds = draw(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3))
    return draw(st.lists(st.fixed_dictionaries(kinds), min_size=1, max_size=4))


@given(rows())
def test_parameters_of_many_are_those_of_each(many: list[dict[str, Any]]) -> None:
    assert batches.parameters_of_many(many) == [json.dumps(row) for row in many]


def test_parameters_that_are_not_the_same_ones_are_told_too() -> None:
    many = [{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1}]
    assert batches.parameters_of_many(many) == ['{"a": 1, "b": 2}', '{"b": 2, "a": 1}', '{"a": 1}']


def test_a_column_of_one_object_is_the_column_of_its_values() -> None:
    text, number = "x" * 3, 0.5
    assert batches._column([text, text], "string").equals(pa.array(["xxx", "xxx"]))
    assert batches._column([None, None], "string").equals(pa.nulls(2, pa.string()))
    assert batches._column([None, text], "string").equals(pa.array([None, "xxx"]))
    assert batches._column([number, number], "double").equals(pa.array([0.5, 0.5]))
    assert batches._column([math.nan, math.nan], "double").null_count == 2
    assert batches._column([math.nan, number], "double").to_pylist() == [None, 0.5]


def test_returns_that_are_no_number_are_missing() -> None:
    whole = np.arange(6.0).reshape(2, 3)
    assert batches._lists(whole).to_pylist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    whole[1, 0] = math.nan
    assert batches._lists(whole).to_pylist() == [[0.0, 1.0, 2.0], [None, 4.0, 5.0]]
    both = np.array([[math.inf, -math.inf]])
    assert batches._lists(both).to_pylist() == [[math.inf, -math.inf]]
    assert batches._lists(np.empty((2, 0))).to_pylist() == [[], []]
