"""A step compiled without the broker around it: refused as with it, at a tenth of the cost."""

from __future__ import annotations

from collections import namedtuple
from functools import lru_cache, partial
from tempfile import TemporaryDirectory
from typing import Any

import numba
import pytest

from whatif.engines import BacktestTask, run_engine
from whatif.engines.compiled.attempt import CompileWithFallback
from whatif.engines.compiled.kernel import STEPS, compiled_step
from whatif.engines.compiled.refusal import uncompiled
from whatif.strategies import StrategySpec, strategy, target
from whatif.testing import random_bars


def compile_alone(spec: StrategySpec) -> None:
    """Compile a step; raise `StepNotCompiledError` if that is refused."""
    params = spec.validate({})
    # the kernel's parameters are a tuple of this name
    kind = namedtuple("Params", list(params))
    row, seen, _, state = _types(tuple(spec.inputs))
    alone = CompileWithFallback([partial(compiled_step, spec.step, lean=False)])
    with uncompiled(spec):
        alone.compile((row, seen, numba.typeof(kind(**params)), state))


@lru_cache(maxsize=8)
def _types(inputs: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the types that a compiled step with these inputs is called with."""
    bars = random_bars(1, 20)
    spec = strategy(inputs={name: name for name in inputs})(_step_of_no_other_test)
    before = set(STEPS)
    # what another process keeps on disk would be loaded, and not compiled
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHATIF_KERNELS", folder)
        run_engine(BacktestTask([bars.with_inputs(dict.fromkeys(inputs, bars.close))], spec, {}), "compiled")
    (digest,) = set(STEPS) - before  # it is compiled here and nowhere else
    (types,) = STEPS[digest].signatures
    return tuple(types)


def _step_of_no_other_test(i, x, p, s):
    return target(0.8414709848)
