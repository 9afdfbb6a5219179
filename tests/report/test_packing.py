"""What a page packs comes back, and no number changes a digit that is shown."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatif.report.columns import format_number
from whatif.report.figures import luck_band
from whatif.report.packing import packed, shown_numbers, unpacked

NUMBERS = st.one_of(
    st.floats(-1e12, 1e12),
    st.floats(-2.0, 2.0),
    st.integers(-100_000, 100_000).map(lambda k: k / 8_000),  # halves, exact ones and others
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.005, 1.115, 0.125, 999.995, 0.0099999]),
)


@given(text=st.text(max_size=300))
def test_a_text_comes_back_and_no_sign_means_something_in_html(text) -> None:
    made = packed(text)
    assert unpacked(made) == text
    assert not set(made) & set("<>&\"'\\")


@pytest.mark.parametrize("kind", ["ratio", "percent", "fraction", "money", "count", "flag"])
@given(values=st.lists(NUMBERS, min_size=1, max_size=50))
def test_no_number_changes_a_digit_that_is_shown(kind, values) -> None:
    if kind == "flag":
        values = [float(value > 0) for value in values]
    held = shown_numbers(np.array(values), kind)
    assert [format_number(one, kind) for one in held] == [format_number(one, kind) for one in values]


def test_the_band_of_luck_by_simulation() -> None:
    rng = np.random.default_rng(3)
    money = 1000.0 * np.exp(np.cumsum(np.append(0.0, rng.normal(0.0, 0.002, 400))))
    at = np.array([0, 200, 400])
    some = money[np.linspace(0, 400, 201).astype(int)]
    spread = np.diff(np.log(some)).std() * math.sqrt(200)
    for trials in (1, 12):
        # the best at the end of so many walks that are worth nothing, and where it was half way
        steps = rng.normal(0.0, spread / math.sqrt(400), (4_000, trials, 2)) * math.sqrt(200)
        paths = steps.cumsum(axis=2)
        best = paths[np.arange(4_000), paths[:, :, -1].argmax(axis=1)]
        low, high = luck_band(money, at, trials)
        assert (low[0], high[0]) == (money[0], money[0])
        expected = 1000.0 * np.exp(np.quantile(best, (0.05, 0.95), axis=0))
        np.testing.assert_allclose(np.array([low[1:], high[1:]]), expected * money[0] / 1000.0, rtol=0.004)
