"""How many configurations of a grid have their inputs made at once: memory is that of a few."""

from __future__ import annotations

import pytest

from whatif.engines import arrays
from whatif.engines.arrays import GridInputs
from whatif.strategies import Param, hold, strategy
from whatif.testing import random_bars

BARS = random_bars(3, 1_000)
OF_ITS_OWN = arrays.SHARED_BYTES // (8 * 1_000)

PERIODS = [{"fast": 2 + k % 20, "slow": 30 + k // 20} for k in range(400)]
ALL_DIFFERENT = [{"fast": 2, "slow": 30 + k} for k in range(400)]


def at_once(expression: str, grid: list[dict[str, int]]) -> int:
    @strategy(params={"fast": Param(2), "slow": Param(30)}, inputs={"seen": expression})
    def step(i, x, p, s):
        return hold()

    return GridInputs(step, BARS, 1_000, None, grid).at_once(["seen"])


@pytest.mark.parametrize(
    ("expression", "grid", "count"),
    [
        ("crossover(sma(close, fast), sma(close, slow))", PERIODS, arrays.MAX_AT_ONCE),
        ("sma(close, fast)", PERIODS, arrays.MAX_AT_ONCE),
        ("close", PERIODS, arrays.MAX_AT_ONCE),
        ("sma(close, slow)", ALL_DIFFERENT, OF_ITS_OWN),
        # it is made as it is needed, but each configuration has a series of its own that crosses
        ("crossover(close, sma(close, slow))", ALL_DIFFERENT, OF_ITS_OWN),
    ],
)
def test_many_where_inputs_are_shared_and_few_where_each_has_its_own(expression, grid, count) -> None:
    assert at_once(expression, grid) == count


def test_few_where_all_that_are_shared_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 averages of 8,000 bytes each, and of a crossing 20 more."""
    monkeypatch.setattr(arrays, "MAX_KNOWN_BYTES", 20 * 8_000)
    assert at_once("sma(close, fast)", PERIODS) == arrays.MAX_AT_ONCE
    assert at_once("crossover(sma(close, fast), sma(close, slow))", PERIODS) == OF_ITS_OWN
