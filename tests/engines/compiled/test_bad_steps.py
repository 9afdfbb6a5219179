"""Steps that answer nonsense, raise, or use what numba does not know; and what compiles after all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from whatif.domain.execution import Execution
from whatif.engines import BacktestTask, EngineRun, run_engine
from whatif.engines.compiled import kernel
from whatif.engines.compiled.refusal import StepNotCompiledError
from whatif.errors import EngineError, StrategyError
from whatif.strategies import Param, StrategySpec, buy, hold, resolve, sell, strategy, target
from whatif.testing import differences, random_bars

from .alone import compile_alone

BARS = random_bars(3, 40)
RICH = Execution(cash=1e9)
BAR_7 = "X, bar 7 at 2013-10-22T13:37:00+00:00"

HEAD = """
import math
import numpy as np
import pandas as pd
from whatif.strategies import Param, buy, close, hold, sell, strategy, target, target_percent

def beyond(price):
    return pd.to_numeric(price)

def half(price):
    return twice(price) / 4.0

def twice(price):
    return 2.0 * price

class Thing:
    size = 1.0

"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., StrategySpec]:
    """Return a function that puts a step's body into a file of its own and loads it."""

    def load(body: str, declared: str = "lookback=6, scratch=2", head: str = HEAD) -> StrategySpec:
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        path = tmp_path / "own.py"
        path.write_text(f"{head}@strategy({declared})\ndef own(i, x, p, s):\n{lines}\n")
        spec = resolve(str(path))
        assert isinstance(spec, StrategySpec)
        return spec

    return load


def task(spec: StrategySpec, **given: object) -> BacktestTask:
    return BacktestTask([BARS], spec, spec.validate(given), RICH)


def message(spec: StrategySpec, engine: str, **given: object) -> str:
    with pytest.raises(EngineError) as caught:
        run_engine(task(spec, **given), engine)
    return str(caught.value)


def both(spec: StrategySpec, **given: object) -> EngineRun:
    """Return the run of a step that compiles and does the same in Python."""
    first, second = (run_engine(task(spec, **given), engine) for engine in ("backtrader", "compiled"))
    assert differences(first, second) == []
    assert (first.engine, second.engine) == ("backtrader", "compiled")
    return second


NONSENSE = {
    "target(np.nan)": "(1, nan); a size must be a finite number, and not negative for buy and sell",
    "target(np.inf)": "(1, inf); a size must be a finite number",
    "target_percent(-np.inf)": "(5, -inf); a size must be a finite number",
    "buy(-1.0)": "(2, -1.0); a size must be a finite number, and not negative for buy and sell",
    "sell(-0.5)": "(3, -0.5); a size must be a finite number, and not negative",
    "(17, 1.0)": "(17, 1.0); use hold, target, buy, sell, close, target_percent, bracket or cancel",
    "(-1, 1.0)": "(-1, 1.0); use hold, target, buy, sell, close, target_percent, bracket or cancel",
}
RAISING = {
    "return target(1.0 / (i - 7))": "ZeroDivisionError: ",
    "return target(x.close[i] / (x.close[i] - x.close[7]))": "ZeroDivisionError: float division by zero",
    "return target((x.close[i] - x.close[7]) / (x.close[i] - x.close[7]))": "ZeroDivisionError: ",
    "return target(x.close[i] // (x.close[i] - x.close[7]))": "ZeroDivisionError: ",
    "return target(x.close[i] % (x.close[i] - x.close[7]))": "ZeroDivisionError: ",
    "if i == 7:\n    raise RuntimeError('on purpose')\nreturn hold()": "RuntimeError: on purpose",
}


def one_of(bodies: Iterable[str]) -> str:
    """Return a body that is the one of several that `p.which` says."""
    parts = ["\n".join(f"    {line}" for line in body.splitlines()) for body in bodies]
    return "\n".join(f"if p.which == {k}:\n{part}" for k, part in enumerate(parts)) + "\nreturn hold()"


def check_same_words(spec: StrategySpec, which: int, begins: str) -> None:
    texts = {engine: message(spec, engine, which=which) for engine in ("backtrader", "compiled", "auto")}
    assert len(set(texts.values())) == 1
    assert texts["compiled"].startswith(begins)


@pytest.mark.slow
def test_nonsense_is_refused_in_the_same_words_by_both(write) -> None:
    bodies = (f"return {answer} if i == 7 else hold()" for answer in NONSENSE)
    spec = write(one_of(bodies), "params={'which': Param(0)}")
    for which, shown in enumerate(NONSENSE.values()):
        check_same_words(spec, which, f"strategy own: {BAR_7}: the step returned the intent {shown}")


def test_what_a_step_raises_names_the_bar(write) -> None:
    spec = write(one_of(RAISING), "lookback=7, params={'which': Param(0)}")
    for which, raised in enumerate(RAISING.values()):
        check_same_words(spec, which, f"strategy own: {BAR_7}: the step raised {raised}")


def test_only_a_division_of_numbers_by_zero_raises(write) -> None:
    spec = write(
        "ratio = (x.close[i - 3 : i + 1] - x.close[i]) / (x.close[i - 3 : i + 1] - x.close[i - 3])\n"
        "far = np.log(x.close[i] - x.close[i]) < 0.0\n"
        "odd = np.isnan(np.sqrt(-x.close[i]))\n"
        "return target(float(far) + 2.0 * float(odd) + float(np.isnan(ratio[3])))"
    )
    run = both(spec)
    # -inf and NaN, silently
    assert run.fills.size.tolist() == [3.0]


@pytest.mark.parametrize(
    ("body", "at", "reason"),
    [
        ("sizes = {'a': 1}\nsizes.update(b=2)\nreturn target(1.0)", "sizes.update(b=2)", "numba cannot do d"),
        (
            "mean = pd.Series(x.close).mean()\nreturn target(mean)",
            "mean = pd.Series(x.close).mean()",
            "numba does not know pandas.Series",
        ),
        ("return target(beyond(x.close[i]))", "return pd.to_numeric(price)", "numba does not know pandas"),
        ("if x.closes[i] > 3:\n    return buy(1.0)\nreturn hold()", "if x.closes[i] > 3:", "x has no 'clos"),
        ("return target(p.siz)", "return target(p.siz)", "p has no 'siz'; did you mean 'size'?"),
        ("return target(s.position)", "return target(s.position)", "s has no 'position'; valid: bars_held"),
        ("n = 3\nreturn target(many)", "return target(many)", "NameError: name 'many' is not defined"),
        ("return target(Thing.size)", "return target(Thing.size)", "the name 'Thing' stands for a type"),
        ("s.size = 3.0\nreturn hold()", "s.size = 3.0", "s.size belongs to the broker and cannot be set"),
        ("x.close[i] = 3.0\nreturn hold()", "x.close[i] = 3.0", "the arrays x.name cannot be written to"),
        ("print(f'{x.close[i]:.2f}')\nreturn hold()", "print(f'{x.close[i]:.2f}')", "format spec in f-str"),
    ],
)  # fmt: skip
def test_what_cannot_be_compiled_names_the_line_and_the_reason(
    write, body: str, at: str, reason: str
) -> None:
    spec = write(body, "params={'size': Param(1.0)}")

    with pytest.raises(StepNotCompiledError) as caught:
        compile_alone(spec)

    check_refusal(spec, str(caught.value), at, reason)


@pytest.mark.parametrize(
    "body",
    [
        "return 'buy'",
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("return (1, 2.0, 3.0)", "x.close[i]")),
    ],
)
def test_what_is_no_intent_cannot_be_compiled(write, body: str) -> None:
    spec = write(body)
    at, reason = "def own(i, x, p, s):", "the step must return an intent such as hold() or target("
    check_refusal(spec, message(spec, "compiled"), at, reason)


def check_refusal(spec: StrategySpec, text: str, at: str, reason: str) -> None:
    file = spec.step.__code__.co_filename
    line = next(k for k, text in enumerate(spec.source.splitlines(), 1) if text.strip() == at)
    shown = f"strategy own: line {line} of {file} ({at}) cannot be compiled: {reason}"
    assert text.startswith(shown)
    assert "\n" not in text
    assert len(text) < 700
    assert not re.search(r"site-packages|Function\(|CPUDispatcher|whatif_kernel|0x[0-9a-f]{6}", text)
    assert text.endswith("or set engine: backtrader, which runs any Python")


def test_auto_runs_with_backtrader_what_cannot_be_compiled(write) -> None:
    spec = write("sizes = {'up': 2.0}\nsizes.update(up=3.0)\nreturn target(sizes['up'])")
    with pytest.raises(StepNotCompiledError):
        run_engine(task(spec), "compiled")

    run = run_engine(task(spec), "auto")

    assert run.engine == "backtrader"
    assert run.fills.size.tolist() == [3.0]


def test_what_cannot_be_compiled_is_not_tried_again(write, monkeypatch, tmp_path) -> None:
    # a folder that remembers nothing of an earlier run
    monkeypatch.setenv("WHATIF_KERNELS", str(tmp_path / "kernels"))
    made = []
    real = kernel.jit_step
    monkeypatch.setattr(kernel, "jit_step", lambda *a: made.append(a[0].__name__) or real(*a))
    spec = write("return target(pd.to_numeric(x.close[i]))", "params={'size': Param(1.0)}")
    texts = {message(spec, "compiled", size=float(size)) for size in range(1, 6)}
    assert len(texts) == 1
    assert made == ["own", "own"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        "return target(half(x.close[i]))",
        "sizes = np.zeros(3)\nfor k in range(3):\n    sizes[k] = x.close[i - k]\nreturn target(sizes.sum())",
        "return target(np.mean(x.close[i - 5 : i + 1]))",
        "return target(float(x.close[i] > np.mean(x.close[i - 5 : i + 1])))",
        "return target(float(x.close[i] >= x.low[i - 5 : i + 1].max()))",
        "return target((x.close[i - 4 : i + 1] / x.close[i - 5 : i] - 1.0).sum())",
        "prices = [x.close[i - k] for k in range(3)]\nreturn target(sum(prices))",
        "sizes = {'a': 1.0}\nreturn target(sizes['a'])",
        "low, high = min(x.open[i], x.low[i]), max(x.open[i], x.low[i], 3)\nreturn target(round(high - low))",
        "return target(math.floor(math.sqrt(x.close[i]) + math.log(x.close[i]) + math.atan(x.open[i])))",
        "s.scratch[0] += 1.0\nreturn target(s.scratch[0]) if s.scratch[0] % 5.0 == 0.0 else hold()",
        "return (1, 5) if i % 3 else (0, 0)",
        "size = 0\nif x.close[i] > x.open[i]:\n    size = 0.5\nreturn target(size)",
        "if x.close[i] < 0.0:\n    raise ValueError('no price')\nreturn target(1.0)",
        "return target(max([x.close[i], x.open[i]]))",
        "double = lambda a: a * 2.0\nreturn target(double(x.close[i]))",
        "return target(1.0 if i % 4 in (1, 2) else -1.0)",
        "k = 0\nwhile k < 5 and x.close[i - k] > x.close[i - k - 1]:\n    k += 1\nreturn target(k)",
    ],
)  # fmt: skip
def test_what_compiles_does_what_python_does(write, body: str) -> None:
    assert len(both(write(body)).fills) > 0


def test_a_helper_from_another_module_of_the_user(write, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_helpers_7.py").write_text(
        "STEP = 3.0\ndef size_of(a):\n    return _whole(a * STEP)\ndef _whole(a):\n    return a // 1.0\n"
    )
    spec = write("return target(size_of(x.close[i]))", head=HEAD + "from own_helpers_7 import size_of\n\n")
    run = both(spec)
    assert run.fills.size[0] == np.floor(3.0 * BARS.close[6])


def test_text_and_bool_parameters(write) -> None:
    spec = write(
        "size = 1.0 if p.side == 'up' else -1.0\n"
        "if p.double and p.side != 'down':\n    size *= 2.0\n"
        "return target(size * p.count)",
        "params={'side': Param('up'), 'double': Param(False), 'count': Param(3)}",
    )
    sizes = [
        both(spec, side=side, double=double, count=count).fills.size.tolist()
        for side, double, count in [("up", False, 3), ("up", True, 2), ("it's", False, 1)]
    ]
    assert sizes == [[3.0], [4.0], [-1.0]]


def _of_size(size: float) -> StrategySpec:
    def helper(price: float) -> float:
        return size * price

    @strategy()
    def own(i, x, p, s):
        return target(helper(1.0))

    return own


@pytest.mark.slow
def test_steps_of_one_name_are_told_apart_by_what_they_close_over() -> None:
    assert [both(_of_size(size)).fills.size.tolist() for size in (1.0, 2.0)] == [[1.0], [2.0]]
    one, other = (strategy()(lambda i, x, p, s: target(3.0)), strategy()(lambda i, x, p, s: target(4.0)))
    assert [both(step).fills.size.tolist() for step in (one, other)] == [[3.0], [4.0]]

    def by_default(given: float) -> StrategySpec:
        def own(i, x, p, s, size=given):
            return target(size)

        return strategy()(own)

    assert [both(by_default(size)).fills.size.tolist() for size in (5.0, 6.0)] == [[5.0], [6.0]]


@pytest.mark.parametrize("engine", ["backtrader", "compiled"])
class TestBeforeTheRun:
    """What is refused before a step is called, the same by both."""

    def test_parameters_outside_their_range_or_against_the_rule(self, engine: str) -> None:
        spec = strategy(params={"fast": Param(3, low=2, high=9), "slow": Param(5)}, constraint="fast < slow")(
            lambda i, x, p, s: hold()
        )
        with pytest.raises(StrategyError, match="'fast' = 1 is below its least value; use at least 2"):
            run_engine(task(spec, fast=1), engine)
        with pytest.raises(StrategyError, match="'fast' = 10 is above its greatest value; use at most 9"):
            run_engine(task(spec, fast=10), engine)
        with pytest.raises(StrategyError, match="fast=6, slow=5 breaks its rule fast < slow; change one"):
            run_engine(task(spec, fast=6), engine)

    @pytest.mark.parametrize("name", ["open", "high", "low", "close"])
    @pytest.mark.parametrize("price", [0.0, -1.0, np.nan, np.inf])
    def test_prices(self, engine: str, name: str, price: float) -> None:
        series = getattr(BARS, name).copy()
        series[7] = price
        bars = replace(BARS, **{name: series})
        with pytest.raises(
            EngineError, match=rf"X: {name} of bar 7 at .* is {price}; a price must be a posit"
        ):
            run_engine(BacktestTask([bars], strategy()(_buys), {}), engine)

    def test_series_from_outside(self, engine: str) -> None:
        spec = strategy(inputs={"signal": "signal"})(_buys)
        for value, shown in (
            (
                np.r_[np.zeros(7), np.inf, np.zeros(32)],
                "input 'signal' of bar 7 at .* is inf; it must be finite",
            ),
            (np.full(40, np.nan), "input 'signal' has no value on any bar of the window"),
        ):
            with pytest.raises(EngineError, match=shown):
                run_engine(BacktestTask([BARS.with_inputs({"signal": value})], spec, {}), engine)
        with pytest.raises(EngineError, match="signal"):
            run_engine(BacktestTask([BARS], spec, {}), engine)


def _buys(i, x, p, s):
    return buy(1.0) if i % 5 else sell(1.0)
