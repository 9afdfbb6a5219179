"""Numbers. Python's float is the outside opinion: it rounds correctly."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatif.sources.numbers import MISSING, read_numbers


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_text_is_rounded_as_python_rounds(values: list[float]) -> None:
    read, bad = read_numbers(pd.Series([repr(value) for value in values], dtype="str"))
    assert read.tolist() == values
    assert not bad.any()


@pytest.mark.parametrize("text", sorted(MISSING))
def test_what_stands_for_nothing(text: str) -> None:
    read, bad = read_numbers(pd.Series(["1.5", text.upper(), " 2 "], dtype="str"))
    assert read[0] == 1.5
    assert math.isnan(read[1])
    assert read[2] == 2.0
    assert not bad.any()


@pytest.mark.parametrize("text", ["12,5", "abc", "1_000", "1.2.3", "$5", "0x10"])
def test_what_is_no_number(text: str) -> None:
    read, bad = read_numbers(pd.Series(["3", text], dtype="str"))
    assert read[0] == 3.0
    assert bad.tolist() == [False, True]


def test_columns_of_numbers_with_gaps() -> None:
    read, bad = read_numbers(pd.Series([1, None, 3], dtype="Int64"))
    assert read[[0, 2]].tolist() == [1.0, 3.0]
    assert math.isnan(read[1])
    assert not bad.any()
