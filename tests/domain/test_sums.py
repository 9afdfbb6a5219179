"""The exact sum against `math.fsum`."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whatif.domain import exact_sum, exact_sum_python

MODERATE = st.floats(min_value=-1e300, max_value=1e300, allow_nan=False)


@pytest.mark.parametrize("summed", [exact_sum, exact_sum_python])
@settings(deadline=None)
@given(values=st.lists(MODERATE, min_size=1, max_size=60))
def test_equals_fsum_for_any_magnitudes(summed, values: list[float]) -> None:
    total, _ = summed(np.array(values), 0, len(values))

    assert total == math.fsum(values)


def test_halves_are_rounded_to_even_as_fsum_does() -> None:
    values = [1.0, 2.0**-53, 2.0**-106]

    total, left = exact_sum(np.array(values), 0, 3)

    assert total == math.fsum(values) == 1.0 + 2.0**-52
    assert left == -(2.0**-53) * (1.0 - 2.0**-53)


def test_sums_only_the_window() -> None:
    assert exact_sum(np.array([1.0, 2.0, 4.0, 8.0]), 1, 3)[0] == 6.0
