"""Parameters: types, bounds, and what a message says."""

from __future__ import annotations

import numpy as np
import pytest

from whatif.errors import StrategyError
from whatif.strategies import Param, hold, resolve, strategy
from whatif.strategies.params import check_constraint, holds


@pytest.mark.parametrize(
    ("param", "given", "typed"),
    [
        (Param(10), 5, 5),
        (Param(10), 5.0, 5),
        (Param(10), np.int64(5), 5),
        (Param(1.0), 5, 5.0),
        (Param(1.0), np.float64(0.5), 0.5),
        (Param(False), True, True),
        (Param(False), np.bool_(True), True),
        (Param("ema"), "sma", "sma"),
        (Param(10, low=1, high=20), 20, 20),
    ],
)
def test_values_take_the_declared_type(param: Param, given: object, typed: object) -> None:
    found = param.check(given, "p")

    assert found == typed
    assert type(found) is type(typed)


@pytest.mark.parametrize(
    ("param", "given", "said"),
    [
        (Param(10), 5.5, "p = 5.5: it must be an integer"),
        (Param(10), "5", "p = '5': it must be an integer"),
        (Param(10), True, "p = True: it must be an integer"),
        (Param(1.0), float("nan"), "p = nan: it must be a finite number"),
        (Param(1.0), None, "p = None: it must be a finite number"),
        (Param(False), 1, "p = 1: it must be true or false"),
        (Param("ema"), 3, "p = 3: it must be text"),
        (Param(10, low=1), 0, "use at least 1"),
        (Param(0.5, high=1), 1.1, "use at most 1"),
    ],
)
def test_other_values_are_refused_with_the_rule(param: Param, given: object, said: str) -> None:
    with pytest.raises(StrategyError) as refused:
        param.check(given, "p")

    assert said in str(refused.value)


def test_validation_completes_and_types_in_declared_order() -> None:
    found = resolve("sma_crossover").validate({"slow": 30.0, "fast": 3})

    assert list(found.items()) == [("fast", 3), ("slow", 30), ("size", 100.0), ("enter_at_once", False)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fats": 3}, "strategy sma_crossover: parameter 'fats' (= 3) is unknown; did you mean 'fast'?"),
        (
            {"fast": 0},
            "strategy sma_crossover: parameter 'fast' = 0 is below its least value; use at least 1",
        ),
    ],
)
def test_a_message_names_key_value_rule_and_remedy(given: dict[str, object], said: str) -> None:
    with pytest.raises(StrategyError) as refused:
        resolve("sma_crossover").validate(given)

    assert said in str(refused.value)


def test_a_default_may_stand_for_another_parameter() -> None:
    spec = resolve("breakout")

    assert spec.validate({"period": 7})["exit_period"] == 7
    assert spec.validate({"period": 7, "exit_period": 0})["exit_period"] == 7
    assert spec.validate({"period": 7, "exit_period": 3})["exit_period"] == 3
    again = spec.validate({"period": 7})
    assert spec.validate(again) == again


def test_a_broken_constraint_is_named() -> None:
    @strategy(params={"fast": Param(10), "slow": Param(50)}, constraint="fast < slow")
    def pair(i, x, p, s):  # type: ignore[no-untyped-def]
        return hold()

    with pytest.raises(StrategyError, match=r"fast=50, slow=50 breaks its rule fast < slow"):
        pair.validate({"fast": 50})


@pytest.mark.parametrize(
    ("text", "params", "expected"),
    [
        ("fast < slow", {"fast": 1, "slow": 2}, True),
        ("fast < slow", {"fast": 2, "slow": 2}, False),
        ("0 < fast <= slow", {"fast": 2, "slow": 2}, True),
        ("fast * 2 < slow and not fast == 3", {"fast": 3, "slow": 9}, False),
        ("fast - slow < -1 or slow / fast >= 4", {"fast": 1, "slow": 4}, True),
    ],
)
def test_constraints(text: str, params: dict[str, int], expected: bool) -> None:
    assert holds(text, params) is expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fats < slow", "did you mean 'fast'"),
        ("__import__('os')", "not a parameter"),
        ("fast.real < slow", "is not allowed"),
        ("[fast] < [slow]", "is not allowed"),
        ("fast <", "not an expression"),
    ],
)
def test_a_constraint_is_nothing_but_comparisons(text: str, said: str) -> None:
    with pytest.raises(StrategyError) as refused:
        check_constraint(text, ["fast", "slow"])

    assert said in str(refused.value)
