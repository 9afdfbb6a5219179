"""How many configurations of a grid have their inputs made at once: memory is that of a few."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from whatif.engines import arrays
from whatif.engines.arrays import GridInputs
from whatif.indicators import Expression, evaluate
from whatif.strategies import Param, StrategySpec, hold, resolve, strategy
from whatif.testing import random_bars
from whatif.typing import FloatArray, IntArray

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


def test_a_series_that_is_an_input_and_crosses_another_is_made_once_a_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two configurations share the slow average; each has a fast one of its own, which is not kept."""
    step = resolve("sma_crossover")
    assert isinstance(step, StrategySpec)
    made: list[str] = []

    def counted(expression: Expression, *others: Any) -> FloatArray:
        made.append(str(expression))
        return evaluate(expression, *others)

    monkeypatch.setattr(arrays, "evaluate", counted)
    many = [step.validate({"fast": fast, "slow": 50}) for fast in (5, 10)]
    inputs, names = GridInputs(step, BARS, 1_000, None, many), ["fast", "slow", "cross"]
    crossed: dict[int, IntArray] = {}
    found, good = inputs.addresses(many, names, crossed)
    assert good.all()
    assert sorted(made) == ["sma(10)", "sma(5)", "sma(50)"]
    assert crossed[2].tolist() == found[:, :2].tolist()
    for address, fast in zip(found[:, 0].tolist(), (5, 10), strict=True):
        values = np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_double)), (1_000,))
        closes = sliding_window_view(BARS.close, fast)
        assert values[fast - 1 :].tolist() == [math.fsum(window) / fast for window in closes]
    # what was kept is not made again, and what was not is
    made.clear()
    inputs.addresses(many, names, crossed)
    assert sorted(made) == ["sma(10)", "sma(5)"]
