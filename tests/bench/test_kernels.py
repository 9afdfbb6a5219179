"""The benchmark of the compiled loop alone: whom it times."""

from __future__ import annotations

import numpy as np

from whatif.bench import kernels
from whatif.strategies import BUILTIN, resolve
from whatif.testing import random_bars


def test_each_strategy_finds_its_inputs() -> None:
    bars = kernels._with_forecasts(random_bars(1, 200))
    wanted = {
        name for one in BUILTIN for expression in resolve(one).inputs.values() for name in expression.inputs
    }
    assert wanted == set(bars.inputs)
    assert all(np.isfinite(values).all() and len(values) == 200 for values in bars.inputs.values())


def test_the_example_is_there() -> None:
    assert resolve(str(kernels.EXAMPLE)).name == "example"
