"""A step means what Python means by it, on both engines; what cannot is refused by name and line."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from whatif.domain.execution import Execution
from whatif.engines import BacktestTask, run_engine
from whatif.engines.compare import differences
from whatif.engines.compiled.refusal import StepNotCompiledError
from whatif.errors import EngineError, LookAheadError, StrategyError
from whatif.resolve.trial import try_step
from whatif.strategies import Param, StrategySpec, buy, hold, strategy, target
from whatif.testing import check_strategy, random_bars

from .compiled.alone import compile_alone

BARS = random_bars(3, 60).with_inputs({"odd": np.where(np.arange(60) % 9 == 4, np.nan, 0.001)})
RICH = Execution(cash=1e12, checksubmit=False)


def task(step, **declared) -> BacktestTask:
    spec = strategy(**{"lookback": 20, "inputs": {"odd": "odd"}, **declared})(step)
    return BacktestTask([BARS], spec, spec.validate({}), RICH)


def sizes(step, **declared) -> list[float]:
    """Return the sizes that a step buys, the same on both engines."""
    one, other = (run_engine(task(step, **declared), engine) for engine in ("backtrader", "compiled"))
    assert (one.engine, other.engine) == ("backtrader", "compiled")
    assert differences(one, other) == []
    return one.fills.size.tolist()


def test_conditions_are_counted() -> None:
    up, above = BARS.close[20:-1] > BARS.open[20:-1], BARS.close[20:-1] > BARS.close[19:-2]
    expected = [float(int(a) + int(b)) + 1.0 for a, b in zip(up, above, strict=True)]

    found = sizes(lambda i, x, p, s: buy((x.close[i] > x.open[i]) + (x.close[i] > x.close[i - 1]) + 1.0))

    assert found == expected
    assert {1.0, 2.0, 3.0} == set(found)


@pytest.mark.slow
def test_sums_and_powers_have_numpys_and_cs_bytes() -> None:
    def step(i, x, p, s):
        window = x.close[i - 19 : i + 1]
        return buy(np.mean(window) + np.std(window) + x.close[i] ** 0.5 + math.exp(x.open[i] / 100.0))

    windows = [BARS.close[i - 19 : i + 1] for i in range(20, 59)]
    expected = [
        float(np.mean(w)) + float(np.std(w)) + float(w[-1]) ** 0.5 + math.exp(BARS.open[20 + k] / 100.0)
        for k, w in enumerate(windows)
    ]
    assert sizes(step) == expected


def test_each_power_of_a_whole_number_is_its_own() -> None:
    found = sizes(
        lambda i, x, p, s: buy(
            i**2
            + 0.1 * i**3
            + (i - 38) ** 4 / 1e4
            + (i - i) ** 0
            + (i**1 == i)
            + 2**3
            + (0 * i + 3) ** 2
            - (0.5 - i) ** 3.0 / 100.0
        )
    )

    assert found == [
        i**2 + 0.1 * i**3 + (i - 38) ** 4 / 1e4 + 1 + 1 + 8 + 9 - (0.5 - i) ** 3.0 / 100.0
        for i in range(20, 59)
    ]


@pytest.mark.slow
def test_numpys_functions_take_windows_with_nan() -> None:
    found = sizes(
        lambda i, x, p, s: buy(2.0) if np.isnan(np.median(x.odd[i - 9 : i] / x.close[i])) else buy(3.0)
    )

    assert found == [2.0] * 39


def test_a_truth_value_is_one_to_numpy_too() -> None:
    """Not a half of precision: numpy's own tanh(True) is 0.7617."""
    found = sizes(
        lambda i, x, p, s: buy(
            np.tanh(max(x.close[i] > 0.0, False)) + np.power(max(True, x.open[i] < 0.0), 3.0)
        )
    )

    assert found == [0.7615941559557649 + 1.0] * 39


@pytest.mark.parametrize(
    ("step", "size"),
    [
        (lambda i, x, p, s: buy(np.exp(x.close[i] > 0.0)), math.e),
        (lambda i, x, p, s: buy(np.sqrt(True) + np.square(True) * 200.0), 201.0),
        (lambda i, x, p, s: buy(1.0 + np.hypot(True, False)), 2.0),
        (lambda i, x, p, s: buy(1.0 + np.maximum(True, False) + np.logical_and(True, True)), 3.0),
    ],
)
def test_numpys_functions_of_truth_values_in_python(step, size: float) -> None:
    """Those that machine code does not know, on Backtrader's engine; where numpy knows them, they stay."""
    run = run_engine(task(step), "backtrader")

    assert run.fills.size.tolist() == [size] * 39


def test_numpys_power_of_whole_numbers_does_not_wrap() -> None:
    """A number that is whole on one path and not on the other: machine code has floats on both."""

    def step(i, x, p, s):
        base = i
        if x.close[i] < 0.0:
            base = x.close[i]
        return buy(np.power(base, base) / 1e95 + np.power(base, -1))

    found = sizes(step)

    # 21 ** 21 is beyond 64 bits, and 2 ** -1 no whole number
    assert found == [float(i**i) / 1e95 + 1.0 / i for i in range(20, 59)]


def test_floored_division_is_exact_arithmetic() -> None:
    found = sizes(lambda i, x, p, s: buy(abs(-x.close[i] // 0.3)))

    assert found == [float(abs(-Fraction(c) // Fraction(0.3))) for c in BARS.close[20:-1].tolist()]


RAISED = (
    "ValueError: cannot convert",
    "ValueError: math domain error",
    "ZeroDivisionError: float division by zero",
    "ZeroDivisionError: ",
)


def _raises(i, x, p, s):
    if p.which == 0:
        return buy(1.0) if int(x.odd[i]) < 20 else hold()
    if p.which == 1:
        return buy(math.sqrt(-x.close[i]))
    if p.which == 2:
        return buy(1.0 / (x.odd[i] * 0.0))
    return buy(np.log(x.close[i]) / (x.close[i] - x.close[i]))


def test_what_python_raises_machine_code_raises() -> None:
    for which, raised in enumerate(RAISED):
        texts = set()
        for engine in ("backtrader", "compiled"):
            with pytest.raises(EngineError, match=f"the step raised {raised}") as caught:
                run_engine(task(_raises, params={"which": Param(which)}), engine)
            texts.add(str(caught.value))
        assert len(texts) == 1


def test_whole_numbers_do_not_wrap() -> None:
    with pytest.raises(EngineError, match=r"a whole number beyond 2\*\*53 in a compiled step"):
        run_engine(task(lambda i, x, p, s: target(float(i**31 % 5))), "compiled")


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (lambda i, x, p, s: target(10.0 * 2 ** (-(i % 3))), r"write float\(a\) \*\* b"),
        (lambda i, x, p, s: target(np.percentile(x.close[:i], 30)), "in machine code: .*percentile"),
        (lambda i, x, p, s: target(round(x.close[i], 1)), "in machine code: round to digits"),
        (lambda i, x, p, s: target(np.dot(x.close[:i], x.open[:i])), "in machine code: .*dot"),
        (lambda i, x, p, s: target(math.hypot(x.close[i], 1.0)), "in machine code: math.hypot"),
    ],
)  # fmt: skip
def test_what_is_not_the_same_is_refused_by_name_and_line(step, reason: str) -> None:
    spec = task(step).strategy
    assert isinstance(spec, StrategySpec)
    with pytest.raises(StepNotCompiledError, match=rf"line \d+ of .*test_step_language.py .*{reason}"):
        compile_alone(spec)


def _later(a, k):
    return a[k + 1]


def _swallows(i, x, p, s):
    try:
        return target(x.close[i + 1])
    except Exception:
        return hold()


PEEKS = {
    "next": lambda i, x, p, s: target(x.close[i + 1] - x.close[i]),
    "last": lambda i, x, p, s: target(x.close[-1] - x.close[i]),
    "wraps": lambda i, x, p, s: target(x.close[i - 40] - x.close[i]),
    "most": lambda i, x, p, s: target(x.close.max() - x.close[i]),
    "length": lambda i, x, p, s: target(len(x.close) - 30),
    "mean": lambda i, x, p, s: target(np.mean(x.close) - x.close[i]),
    "each": lambda i, x, p, s: target(sum([v for v in x.close]) - x.close[i]),  # noqa: C416
    "slice": lambda i, x, p, s: target(x.close[i - 3 : i + 2].sum()),
    "open slice": lambda i, x, p, s: target(x.close[i - 3 :].sum()),
    "early slice": lambda i, x, p, s: target(x.close[i - 40 : i + 1].sum()),
    "helper": lambda i, x, p, s: target(_later(x.close, i)),
    "computed": lambda i, x, p, s: target(x.close[i + p.n]),
    "late": lambda i, x, p, s: target(x.close[i + 1] if i == 57 else 1.0),
    "swallowed": _swallows,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PEEKS)
def test_machine_code_refuses_a_step_that_looks_ahead(name: str) -> None:
    with pytest.raises(LookAheadError, match="the step reads a"):
        run_engine(task(PEEKS[name], params={"n": Param(2)}), "auto")


def test_machine_code_refuses_some_steps_that_look_ahead() -> None:
    for name in ("slice", "computed"):
        test_machine_code_refuses_a_step_that_looks_ahead(name)


@pytest.mark.parametrize("name", PEEKS)
def test_a_step_that_looks_ahead_is_refused_with_its_line(name: str) -> None:
    given = task(PEEKS[name], params={"n": Param(2)})
    with pytest.raises(LookAheadError, match="the step reads a"):
        run_engine(given, "backtrader")
    assert isinstance(given.strategy, StrategySpec)
    with pytest.raises(AssertionError, match="the step looks ahead"):
        check_strategy(given.strategy, bars=BARS, cases=1, engines=("backtrader", "backtrader"))


def test_the_past_is_read_as_ever() -> None:
    def step(i, x, p, s):
        prices = x.close
        s.scratch[0] += 1.0
        return buy(prices[i - 19 : i + 1].sum() + prices[i] + prices[0] + x.low[: i + 1].min() + s.scratch[0])

    c, low = BARS.close, BARS.low
    expected = [
        float(c[i - 19 : i + 1].sum()) + c[i] + c[0] + low[: i + 1].min() + (i - 19.0) for i in range(20, 59)
    ]
    assert sizes(step, scratch=1) == expected


class TestTrial:
    """What is found on some hundred bars, before anything is made of a step."""

    def test_an_answer_that_is_none(self) -> None:
        def step(i, x, p, s):
            if x.close[i] > 0.0:
                return None
            return hold()

        with pytest.raises(StrategyError, match=r"tried on .* must return an intent such as hold\(\)"):
            try_step([task(step), task(lambda i, x, p, s: hold())], "backtrader")

    def test_a_division_by_zero_names_strategy_bar_and_line(self) -> None:
        with pytest.raises(
            StrategyError, match=r"bar 25 at .*ZeroDivisionError.*\(line \d+ of .*language.py"
        ):
            try_step([task(lambda i, x, p, s: target(1.0 / (i - 25)))], "backtrader")

    def test_what_fails_with_some_parameters_is_left_to_their_rows(self) -> None:
        given = [task(lambda i, x, p, s: target(1.0 / (i - 25))), task(lambda i, x, p, s: target(1.0))]
        assert len(try_step(given, "backtrader")) == 1

    def test_a_look_ahead_with_any_parameters(self) -> None:
        with pytest.raises(LookAheadError, match="tried on up to 300 bars"):
            try_step([task(lambda i, x, p, s: hold()), task(PEEKS["late"])], "backtrader")
