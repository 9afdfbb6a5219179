"""What the decorator makes of a step function."""

from __future__ import annotations

import dataclasses
from collections import namedtuple

import numpy as np
import pytest

from whatif.domain.compile import _set_up
from whatif.errors import IndicatorError, StrategyError
from whatif.strategies import (
    BY_SYMBOL,
    Param,
    StrategySpec,
    buy,
    close,
    hold,
    resolve,
    sell,
    strategy,
    target,
    target_percent,
)


def step(i, x, p, s):
    return hold()


def test_a_spec_is_frozen_and_says_what_it_needs() -> None:
    spec = strategy(
        params={"n": Param(5, low=1)},
        inputs={"level": "sma(news, n)", "raw": "forecast"},
        lookback=3,
        scratch=4,
    )(step)

    assert isinstance(spec, StrategySpec)
    assert (spec.name, spec.lookback, spec.scratch, spec.defaults) == ("step", 3, 4, {"n": 5})
    assert spec.external_inputs() == {"news", "forecast"}
    assert {name: str(e) for name, e in spec.bound_inputs({"n": 7}).items()} == {
        "level": "sma(news, 7)",
        "raw": "forecast",
    }
    assert (spec.warmup({"n": 7}), spec.warmup({"n": 1})) == (6, 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        spec.params["n"] = Param(1)  # type: ignore[index]


def test_the_source_identifies_it() -> None:
    spec = resolve("sma_crossover")

    assert "def sma_crossover" in spec.source
    assert spec.digest == resolve("sma_crossover").digest
    assert dataclasses.replace(spec, source=spec.source + "#").digest != spec.digest
    assert dataclasses.replace(spec, source=spec.source.replace("\n", "\r\n")).digest == spec.digest


@pytest.mark.parametrize(
    ("declaration", "error", "said"),
    [
        ({"params": {"n": 5}}, StrategyError, "declare it as Param"),
        ({"params": {"n": Param(5, low=6)}}, StrategyError, "below its least value"),
        ({"inputs": {"close": "sma(5)"}}, StrategyError, "already a series of the bars"),
        ({"inputs": {"a": "sma(m)"}, "params": {"n": Param(5)}}, IndicatorError, "uses parameter 'm'"),
        ({"inputs": {"a": "smo(5)"}}, IndicatorError, "did you mean 'sma'"),
        ({"inputs": {"a b": "sma(5)"}}, StrategyError, "cannot be a name"),
        ({"params": {"_n": Param(5)}}, StrategyError, "cannot be a name"),
        ({"constraint": "n < 3"}, StrategyError, "not a parameter"),
        ({"lookback": -1}, StrategyError, "at least 0"),
        ({"params": {"n": Param(0, same_as="m")}}, StrategyError, "name another"),
        ({"params": {"n": Param(0, same_as="m"), "m": Param(1.0)}}, StrategyError, "of its type"),
        ({"params": {"n": Param(0, same_as="n")}}, StrategyError, "stands for itself"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(declaration, error, said: str) -> None:
    with pytest.raises(error) as refused:
        strategy(**declaration)(step)

    assert said in str(refused.value)


def test_intents_are_pairs_of_code_and_amount() -> None:
    assert hold() == (0, 0.0)
    assert [intent[1] for intent in (target(-3), buy(2), sell(1), close(), target_percent(0.5))] == [
        -3,
        2,
        1,
        0,
        0.5,
    ]
    assert (
        len({intent[0] for intent in (hold(), target(1), buy(1), sell(1), close(), target_percent(1))}) == 6
    )
    assert all(type(intent[1]) is float for intent in (target(1), buy(1), sell(1), target_percent(1)))


ANSWER_PAIRS = [name for name in BY_SYMBOL if not resolve(name).answers_orders]
"""Those whose step is plain enough for numba without whatif's own words."""


@pytest.mark.parametrize(
    "given",
    [{}, *(pytest.param({name: True}, marks=pytest.mark.slow) for name in ("enter_at_once", "on_close"))],
)
@pytest.mark.parametrize("name", ANSWER_PAIRS)
@pytest.mark.slow
def test_built_in_steps_compile_as_they_are(name: str, given: dict[str, bool]) -> None:
    # the compiled engine calls the very same function
    spec = resolve(name)
    if not set(given) <= set(spec.params):
        pytest.skip("it has no such parameter")
    rng = np.random.default_rng(5)
    fields = {"close": rng.normal(10.0, 1.0, 30)}
    fields |= {
        field: np.where(rng.random(30) < 0.2, np.nan, rng.normal(10.0, 1.0, 30)) for field in spec.inputs
    }
    if name == "probability_threshold":
        fields |= {field: rng.random(30) for field in spec.inputs}
    arrays = namedtuple("Arrays", fields)(**fields)
    params = namedtuple("Params", spec.params)(**spec.validate(given))
    states = [namedtuple("State", ["size", "entry_price"])(size, 10.0) for size in (0.0, 2.0, -2.0)]

    # what a step calls is taught to numba when the first kernel is compiled
    compiled = _set_up().njit(spec.step)

    seen = set()
    for i in range(1, 30):
        for state in states:
            intent = spec.step(i, arrays, params, state)
            assert compiled(i, arrays, params, state) == intent
            seen.add(intent[0])
    assert len(seen) > 1


def nan_arrays(spec: StrategySpec):
    fields = {"close": np.ones(3), **{field: np.full(3, np.nan) for field in spec.inputs}}
    return namedtuple("Arrays", fields)(**fields)


@pytest.mark.parametrize("name", ANSWER_PAIRS)
def test_without_inputs_a_built_in_step_decides_nothing(name: str) -> None:
    spec = resolve(name)
    given = [
        {},
        *({key: True} for key in ("enter_at_once", "on_close", "exit_on_neutral") if key in spec.params),
    ]
    for size in (0.0, 1.0, -1.0):
        state = namedtuple("State", ["size", "entry_price"])(size, 1.0)
        for params in given:
            bound = namedtuple("Params", spec.params)(**spec.validate(params))
            assert spec.step(1, nan_arrays(spec), bound, state) == hold()


def test_what_is_pinned_is_looked_at_once() -> None:
    sizes = {"size": 1.0}

    @strategy()
    def step(i, x, p, s):
        return target(sizes["size"])

    pinned, before = step.pinned(), step.digest
    assert pinned.digest == before
    sizes["size"] = 2.0

    assert pinned.digest == before != step.digest
    assert step.pinned().digest == step.digest
    assert (pinned.name, pinned.step, pinned.answers_orders, pinned.notes) == (
        step.name, step.step, step.answers_orders, step.notes,
    )  # fmt: skip
