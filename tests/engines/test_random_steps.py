"""Random steps over a small grammar of Python: equal as bytes on both engines, or refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from random import Random
from textwrap import indent

import numpy as np
import pytest

from whatif.domain.execution import Execution
from whatif.engines import BacktestTask, run_engine
from whatif.engines.compare import differences
from whatif.engines.compiled.refusal import StepNotCompiledError
from whatif.errors import EngineError
from whatif.strategies import StrategySpec, resolve
from whatif.testing import random_bars

from .compiled.alone import compile_alone

BATCH = 25
"""Texts that one kernel holds: most of the time goes into making it."""

HEAD = """
import math
import numpy as np
from whatif.strategies import Param, buy, hold, sell, strategy

@strategy(
    params={"which": Param(0), "n": Param(3), "r": Param(0.7), "flag": Param(True)},
    inputs={"odd": "odd"}, lookback=12, scratch=1,
)
def own(i, x, p, s):
    v = 0.0
    if p.which == -1:
        v = 1.0
"""
TAIL = """
    if v != v:
        return buy(0.001)
    if v >= 0.0:
        return buy(v) if v < 1e12 else buy(0.002)
    return sell(-v) if v > -1e12 else sell(0.002)
"""
RICH = Execution(cash=1e15, checksubmit=False)
ALLOWED = ("beyond 2**53 in a compiled step", "is a complex number, which no step can use")
"""What machine code may raise where Python goes on: it says what it cannot do."""

FLOATS = [
    "x.close[i]", "x.open[i]", "x.high[i - 1]", "x.low[i - p.n]", "x.odd[i]", "x.odd[i - 2]", "s.cash",
    "s.entry_price", "p.r", "0.1", "-2.5", "1e-3", "3.0", "0.0", "100.0",
]  # fmt: skip
WHOLES = ["i", "p.n", "2", "-3", "0", "7", "s.bars_held", "(i % 4)", "s.pending", "s.minute"]
TRUTHS = ["p.flag", "True", "(x.close[i] > x.open[i])", "(x.close[i] <= x.close[i - 1])"]
WINDOWS = [
    "x.close[i - 11 : i + 1]", "x.odd[i - 7 : i + 1]", "x.close[i - 2 : i]", "x.low[:i]",
    "(x.close[i - 8 : i + 1] - x.open[i - 8 : i + 1])", "(x.close[i - 8 : i + 1] / x.odd[i - 9 : i])",
]  # fmt: skip
OF_WINDOW = [
    "np.mean({})", "np.sum({})", "np.std({})", "np.var({}, ddof=1)", "{}.mean()", "{}.std()", "{}.sum()",
    "np.max({})", "{}.min()", "np.median({})", "sum({})", "max({})", "min({})", "float(np.argmax({}))",
    "{}[0]", "{}[-1]", "float(len({}))", "np.sum({} > 100.0)", "np.mean(np.abs({}))",
    "np.cumsum({})[-1]", "np.diff({}).sum()", "np.exp({} / 1000.0).sum()",
]  # fmt: skip
OF_FLOAT = [
    "abs({})", "-({})", "float({})", "round({})", "int({})", "math.sqrt(abs({}))", "math.exp({} / 100.0)",
    "math.log(abs({}) + 0.5)", "math.floor({})", "math.ceil({})", "math.sin({})", "math.tanh({})",
    "math.log10({})", "math.sqrt({})", "math.isnan({})", "np.exp({} / 100.0)", "np.log(abs({}) + 0.5)",
    "np.sqrt({})", "np.abs({})", "np.sign({})", "np.floor({})", "np.isnan({})", "np.tanh({})", "math.erf({})",
    "np.log1p({})", "math.atan({})", "bool({})", "math.fabs({})",
]  # fmt: skip
OF_TWO = [
    "({} + {})", "({} - {})", "({} * {})", "({} / {})", "({} // {})", "({} % {})", "({} ** {})",
    "min({}, {})", "max({}, {})", "np.maximum({}, {})", "math.fmod({}, {})", "({} if {} else 1.5)",
    "({} or {})", "({} and {})", "np.power({}, {})",
    "np.hypot({}, {})",
]  # fmt: skip
COMPARED = ["({} < {})", "({} >= {})", "({} == {})", "({} != {})", "(0.0 < {} < {})"]
OF_TRUTH = ["(not {})", "({} + {})", "({} & {})", "({} | {})", "({} * 2.5)", "({} ^ {})", "-({})", "({} + 1)"]


def expression(rng: Random, depth: int, names: Sequence[str] = ()) -> str:
    """Return a random expression, also of local variables if there are any."""
    if depth == 0 or rng.random() < 0.1:
        return rng.choice(rng.choice([FLOATS, FLOATS, WHOLES, TRUTHS, *([list(names)] * 3 if names else [])]))
    kind = rng.choice(["one", "two", "two", "two", "window", "compared", "truth", "power"])
    if kind == "window":
        text = rng.choice(OF_WINDOW)
        window = rng.choice(WINDOWS)
        return text.format(*[window] * text.count("{}"))
    if kind == "power":
        exponent = rng.choice(["2", "3", "0.5", "-1", "-0.5", "2.0", "p.r"])
        return f"({expression(rng, depth - 1, names)} ** {exponent})"
    if kind == "truth":
        text = rng.choice(OF_TRUTH)
        inner = [
            rng.choice(TRUTHS) if rng.random() < 0.5 else compared(rng, depth - 1, names) for _ in range(2)
        ]
        return text.format(*inner[: text.count("{}")])
    if kind == "compared":
        return compared(rng, depth - 1, names)
    text = rng.choice(OF_FLOAT if kind == "one" else OF_TWO)
    return text.format(*(expression(rng, depth - 1, names) for _ in range(text.count("{}"))))


def compared(rng: Random, depth: int, names: Sequence[str] = ()) -> str:
    """Return a random comparison."""
    text = rng.choice(COMPARED)
    return text.format(*(expression(rng, max(depth, 0), names) for _ in range(text.count("{}"))))


def statements(rng: Random, k: int) -> str:
    """Return random statements that end with a value for `v`, on local variables of their own."""
    names = [f"{name}_{k}" for name in "abc"]
    lines = []
    for at, name in enumerate(names):
        lines.append(f"{name} = {expression(rng, 1, names[:at])}")
    for _ in range(rng.choice([1, 2, 3])):
        name, counter = rng.choice(names), f"k_{k}"
        change = rng.choice(
            ["{} = {}", "{} += {}", "{} -= {}", "{} *= {}", "{} /= {}", "{} //= {}", "{} %= {}", "{} **= {}"]
        ).format(name, expression(rng, 1, names))
        within = [counter, *names]
        lines += rng.choice(
            [
                [change],
                [f"if {compared(rng, 1, names)}:", f"    {change}"],
                [
                    f"if {expression(rng, 1, names)}:",
                    f"    {change}",
                    "else:",
                    f"    {name} = {expression(rng, 1, names)}",
                ],
                [f"for {counter} in range({rng.choice(['3', 'p.n', '1, 5', '6, 0, -2'])}):", f"    {change}"],
                [
                    f"for {counter} in range(4):",
                    f"    if {compared(rng, 1, within)}:",
                    f"        {rng.choice(['break', 'continue'])}",
                    f"    {name} = {expression(rng, 1, within)}",
                ],
                [
                    f"{counter} = 0",
                    f"while {counter} < 5 and {compared(rng, 1, within)}:",
                    f"    {counter} += {rng.choice(['1', '2', 'True'])}",
                    f"    {change}",
                ],
                ["{}, {} = {}, {}".format(*rng.sample(names, 2), *rng.sample(names, 2))],
                [f"s.scratch[0] = {expression(rng, 1, names)}", f"{name} = s.scratch[0]"],
            ]
        )
    return "\n".join([*lines, f"v = float({expression(rng, 1, names)})"])


def loaded(path: Path, texts: dict[int, str]) -> StrategySpec:
    """Return the step that computes what `p.which` names, by its own statements."""
    body = "".join(f"    elif p.which == {k}:\n{indent(text, '        ')}\n" for k, text in texts.items())
    path.write_text(HEAD + body + TAIL)
    spec = resolve(str(path))
    assert isinstance(spec, StrategySpec)
    return spec


def check_line(spec: StrategySpec, message: str) -> None:
    """Fail unless a message names a line of the one text that the step has."""
    found = re.search(r"line (\d+) of", message)
    assert found is not None, message
    lines = spec.source.splitlines()
    begins = next(k for k, line in enumerate(lines) if "elif p.which" in line)
    assert begins + 1 < int(found[1]) <= len(lines) - TAIL.strip().count("\n"), message


def without_refused(path: Path, texts: dict[int, str]) -> dict[int, str]:
    """Return those texts that can be compiled, each tried in a step of its own."""
    kept = {}
    for k, text in texts.items():
        spec = loaded(path.with_name(f"{path.stem}_{k}.py"), {k: text})
        try:
            compile_alone(spec)
            kept[k] = text
        except StepNotCompiledError as error:
            check_line(spec, str(error))
    return kept


def market():
    bars = random_bars(5, 60)
    rng = np.random.default_rng(5)
    odd = np.where(rng.random(60) < 0.1, np.nan, rng.choice([0.0, 1.0, -7.25, 1e9, 3.3], 60))
    return bars.with_inputs({"odd": odd})


BARS = market()


def task_of(spec: StrategySpec, which: int) -> BacktestTask:
    return BacktestTask([BARS], spec, spec.validate({"which": which}), RICH)


def outcome(spec: StrategySpec, which: int, engine: str):
    try:
        return run_engine(task_of(spec, which), engine)
    except EngineError as error:
        return str(error)


def wrong(spec: StrategySpec, which: int) -> str:
    """Return what differs between the engines for one text, "" if nothing does."""
    plain, compiled = (outcome(spec, which, engine) for engine in ("backtrader", "compiled"))
    if isinstance(compiled, str):
        if isinstance(plain, str) or any(text in compiled for text in ALLOWED):
            return ""
        return f"only machine code raises: {compiled}"
    if isinstance(plain, str):
        return f"only Python raises: {plain}"
    return "; ".join(differences(plain, compiled))


def check(seed: int, folder: Path, count: int = BATCH) -> int:
    """Check one batch, half of it expressions and half statements; return how many were compiled."""
    rng = Random(seed)
    texts = {
        k: f"v = float({expression(rng, rng.choice([1, 2, 2, 3]))})" if k % 2 else statements(rng, k)
        for k in range(count)
    }
    path = folder / f"random_{seed}.py"
    kept = without_refused(path, texts)
    spec = loaded(path, kept)
    found = {text: wrong(spec, k) for k, text in kept.items()}
    assert {text: why for text, why in found.items() if why} == {}
    return len(kept)


def test_random_steps_are_equal_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHATIF_KERNELS", str(tmp_path / "kernels"))
    assert check(1, tmp_path, 6) > 3


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("thousand", range(10))
def test_ten_thousand_random_steps_are_equal_or_refused(thousand: int, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("WHATIF_KERNELS", str(tmp_path / "kernels"))
    compiled = sum(check(1000 * (thousand + 1) + k, tmp_path) for k in range(1000 // BATCH))
    assert compiled > 500
