"""What tells one strategy from another: everything that its code can reach, by value."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import importlib
import io
import itertools
import math
import os
import random
import subprocess
import sys
import textwrap
import threading
import time
import types
from typing import Any

import backtrader as bt
import numba
import numpy as np
import pytest

from whatif.errors import StrategyError
from whatif.strategies import resolve, strategy, target
from whatif.strategies.identity import identity_of


class Side(enum.Enum):
    LONG = 1
    SHORT = 2


@dataclasses.dataclass
class Costs:
    rate: float = 0.1
    steps: list[int] = dataclasses.field(default_factory=list)


class Slotted:
    __slots__ = ("size",)

    def __init__(self, size: float) -> None:
        self.size = size


class Hiding:
    """Says that it has no state when it is copied."""

    def __init__(self, size: float) -> None:
        self.size = size

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__


class Numbers(dict):
    pass


Pair = collections.namedtuple("Pair", "a b")
OtherPair = collections.namedtuple("OtherPair", "a b")


def numbers(extra: int) -> Numbers:
    found = Numbers(a=1)
    found.extra = extra
    return found


def of(value: object) -> str:
    def step(i, x, p, s):
        return target(value)

    return identity_of("step", step)


ALL_DIFFERENT: list[list[object]] = [
    [1, True, 1.0, "1", b"1", 1j, np.int64(1), np.int32(1), np.float64(1), np.float32(1), np.True_, None],
    [0.0, -0.0, 0, False, np.float64(-0.0), float("nan"), math.inf, (), [], {}, set(), ""],
    [(1, 2), [1, 2], (1, 2.0), (1.0, 2.0), (2, 1), {1, 2}, frozenset({1, 2}), Pair(1, 2), OtherPair(1, 2)],
    [{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1.0, "b": 2}, types.MappingProxyType({"a": 1, "b": 2})],
    [Side.LONG, Side.SHORT, Side, 2, "LONG"],
    [Costs(), Costs(0.2), Costs(steps=[1]), Costs, Slotted(1.0), Slotted(2.0), Hiding(1.0), Hiding(2.0)],
    [numbers(1), numbers(2), {"a": 1}, collections.OrderedDict(a=1), collections.Counter(a=1)],
    [np.zeros(3), np.zeros(4), np.zeros(3, dtype=np.float32), np.zeros(3, dtype=int), np.zeros((3, 1))],
    [np.ones((2, 2)), np.asfortranarray(np.ones((2, 2))), np.array([[1.0, 1.0], [1.0, -1.0]])],
    [(np.zeros(2), np.zeros(2)), (np.zeros(2), np.ones(2)), [np.zeros(2), np.zeros(2)]],
    [np.array([1, None], dtype=object), np.array([2, None], dtype=object)],
    [np.datetime64("2020-01-01"), np.datetime64("2020-01-01", "s"), datetime.date(2020, 1, 1)],
    [datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)],
    [decimal.Decimal("1.0"), decimal.Decimal("1.00"), datetime.timedelta(1), datetime.timedelta(2)],
    [functools.partial(max, 1), functools.partial(max, 2), functools.partial(min, 1), max],
    [collections.deque([1], 3), collections.deque([1], 4), slice(1, 2), slice(1, 3), range(3), range(4)],
    [lambda a: a + 1, lambda a: a + 2, lambda a: a + 1.0, lambda a, b=1: a + 1, lambda a, b=2: a + 1],
    [lambda a: a in {1, 2}, lambda a: a in {1, 3}, lambda a: -0.0, lambda a: 0.0],
    [lambda a: True, lambda a: 1],
    [math.sin, math.cos, np.sin, np.cos, np.mean, np.std, len, abs, math],
    [types.SimpleNamespace(a=1), types.SimpleNamespace(a=2)],
    [strategy(lookback=1)(lambda i, x, p, s: 1), strategy(lookback=2)(lambda i, x, p, s: 1)],
]  # fmt: skip


@pytest.mark.parametrize("values", ALL_DIFFERENT, ids=lambda values: str(type(values[0]).__name__))
def test_values_of_another_type_or_value_are_another_strategy(values: list[object]) -> None:
    found = [of(value) for value in values]

    assert [of(value) for value in values] == found
    same = [(a, b) for (a, x), (b, y) in itertools.combinations(zip(values, found, strict=True), 2) if x == y]
    assert same == []


def at_each_change(step: Any, *changes: Any) -> None:
    """Make one change after the other: each gives another identity, and none comes twice."""
    spec = step if isinstance(step, type) else strategy()(step)
    first = resolve(spec).digest
    seen = {first}
    for count, change in enumerate(changes, 2):
        change()
        seen.add(resolve(spec).digest)
        assert len(seen) == count


def test_what_changes_in_place_is_seen_when_it_is_used() -> None:
    array, listed, mapping, costs = np.zeros(3), [1], {"a": [1]}, Costs()

    def step(i, x, p, s):
        return target(array[0] + listed[0] + mapping["a"][0] + costs.rate)

    at_each_change(
        step,
        lambda: array.__setitem__(0, 1.0),
        lambda: listed.append(2),
        lambda: mapping["a"].append(2),
        lambda: setattr(costs, "rate", 1.0),
        lambda: costs.steps.append(1),
    )


def test_a_cell_that_is_bound_anew_and_defaults_and_attributes() -> None:
    level = 1

    def step(i, x, p, s, at=1, *, by=1):
        return target(level + at + by)

    def rebind() -> None:
        nonlocal level
        level = 2

    at_each_change(
        step,
        rebind,
        lambda: setattr(step, "__defaults__", (2,)),
        lambda: setattr(step, "__kwdefaults__", {"by": 2}),
        lambda: setattr(step, "level", 3),
    )


def module(name: str, text: str) -> types.ModuleType:
    found = types.ModuleType(name)
    exec(textwrap.dedent(text), found.__dict__)
    return found


def test_modules_are_known_by_the_attributes_that_are_read() -> None:
    inner = module("inner", "K = 1\nUNUSED = open('/dev/null')")
    cfg = module(
        "cfg", "K = 1\nclass Settings:\n    size = 1\ndef helper(): return deeper()\ndef deeper(): return K"
    )
    cfg.inner = inner

    def step(i, x, p, s):
        return target(cfg.helper() + cfg.inner.K + cfg.Settings.size)

    at_each_change(
        step,
        lambda: setattr(cfg, "K", 2),  # read by a helper of a helper
        lambda: setattr(inner, "K", 2),
        lambda: setattr(inner, "K", 2.0),
        lambda: setattr(cfg.Settings, "size", 2),
        lambda: exec("def deeper(): return 7 * K", cfg.__dict__),
        lambda: delattr(inner, "K"),
    )


def test_a_module_that_is_handed_about_counts_whole() -> None:
    cfg = module("cfg", "K = 1\nL = 1")

    def step(i, x, p, s):
        return target(getattr(cfg, "K"))  # noqa: B009

    at_each_change(step, lambda: setattr(cfg, "K", 2), lambda: setattr(cfg, "M", 1))
    cfg.log = io.StringIO()
    with pytest.raises(StrategyError, match=r"cfg\.log, all of which .* is an open file"):
        of(cfg)


def test_builtins_that_are_shadowed_and_names_that_are_not_there_yet() -> None:
    home = module("home", "def step(i, x, p, s):\n    return (1, abs(later))")
    home.step.__module__ = "home"
    spec = strategy()(home.step)
    digests = [dataclasses.replace(spec, source="s").digest]
    for change in ({"later": 1}, {"later": 1.0}, {"abs": float}, {"abs": lambda a: a}):
        home.__dict__.update(change)
        digests.append(dataclasses.replace(spec, source="s").digest)
    assert len(set(digests)) == len(digests)


def test_an_import_inside_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    helper = module("helper_in_step", "K = 1\nL = 1")
    monkeypatch.setitem(sys.modules, "helper_in_step", helper)

    def taking(i, x, p, s):
        from helper_in_step import K

        return target(K)

    def asking(i, x, p, s):
        import helper_in_step as h

        return target(h.K)

    for step in (taking, asking):
        before = strategy()(step).digest
        helper.L += 1
        assert strategy()(step).digest == before
        helper.K += 1
        assert strategy()(step).digest != before


def test_strategies_of_a_loop_differ_in_what_is_declared_too() -> None:
    def made(period: int, lookback: int) -> str:
        @strategy(inputs={"level": f"sma({period})"}, lookback=lookback)
        def step(i, x, p, s):
            return target(x.level[i])

        return step.digest

    assert len({made(2, 1), made(3, 1), made(2, 2)}) == 3
    assert made(2, 1) == made(2, 1)


def test_functions_that_call_each_other_and_values_that_hold_themselves() -> None:
    knot: list[Any] = [1]
    knot.append(knot)

    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1) and knot

    def step(i, x, p, s):
        return target(even(i))

    at_each_change(step, lambda: knot.__setitem__(0, 2))


class Ordinary(bt.Strategy):
    params = (("n", 5),)
    size = 3
    table = {"a": [1]}

    def __init__(self):
        self.average = bt.ind.SMA(period=self.p.n)

    def next(self):
        if self.data.close[0] > self.average[0]:
            self.buy(size=self.size * FACTOR)


FACTOR = 1


def test_ordinary_strategies_by_the_same_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    at_each_change(
        Ordinary,
        lambda: monkeypatch.setattr(Ordinary, "size", 3.0),
        lambda: monkeypatch.setitem(globals(), "FACTOR", 2),
        lambda: Ordinary.table["a"].append(2),
        lambda: monkeypatch.setattr(Ordinary, "next", lambda self: self.sell()),
        lambda: monkeypatch.setattr(Ordinary.params, "_getpairs", lambda: {"n": 6}),
    )


def test_a_class_keeps_its_identity_when_it_runs() -> None:
    before = resolve(Ordinary).digest
    cerebro = bt.Cerebro()
    cerebro.addstrategy(Ordinary)
    assert resolve(Ordinary).digest == before


LATER = [
    (lambda: open, "open, which reads a file"),
    (lambda: eval, "eval, which reads what no digest can see"),
    (lambda: __import__, "__import__, which reads what no digest can see"),
    (lambda: importlib.import_module, "importlib.import_module, which reads what no digest can see"),
    (lambda: io.StringIO(), "an open file"),
    (lambda: os.environ, "os.environ, the environment of one machine"),
    (lambda: os.getenv, "os.getenv, which reads this machine"),
    (lambda: time.time, "time.time, which reads the clock"),
    (lambda: time.perf_counter_ns, "which reads the clock"),
    (lambda: random.random, "a random generator, whose next number depends on what ran before"),
    (lambda: random.Random(1), "a random generator"),
    (lambda: np.random.rand, "which draws by chance"),
    (lambda: np.random.default_rng(1), "a random generator"),
    (lambda: np.load, "numpy.load, which reads a file"),
    (lambda: iter([1]), "an iterator, whose next value depends on what ran before"),
    (lambda: threading.Lock(), "lock, which has no value"),
    (lambda: {"a": [threading.local()]}, "value['a'], which"),
    (lambda: np.frompyfunc(lambda a: a, 1, 1), "which has no value"),
]


@pytest.mark.parametrize(("make", "said"), LATER)
def test_what_has_no_value_is_refused_by_name(make: Any, said: str) -> None:
    with pytest.raises(StrategyError) as refused:
        of(make())

    message = str(refused.value)
    assert said.replace("value['a'], which", "has no value") in message
    assert "strategy step: value" in message
    assert "give it as a parameter" in message


def by_the_clock(i, x, p, s):
    return target(float(time.time() > 0))


def by_the_day(i, x, p, s):
    return target(float(datetime.datetime.now().day))


def by_the_environment(i, x, p, s):
    return target(float(os.environ.get("SIZE", "1")))


def by_an_import(i, x, p, s):
    import time as clock

    return target(clock.time())


def by_a_helper(i, x, p, s):
    return by_the_clock(i, x, p, s)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (by_the_clock, "time.time, which by_the_clock reads"),
        (by_the_day, "datetime.datetime.now, which by_the_day reads, is datetime.datetime.now"),
        (by_the_environment, "os.environ.get, which by_the_environment reads, is os.environ"),
        (by_an_import, "time.time, which by_an_import reads"),
        (by_a_helper, "strategy by_a_helper: time.time, which by_the_clock reads"),
    ],
)
def test_reads_of_clock_and_environment_are_refused(step: Any, said: str) -> None:
    with pytest.raises(StrategyError, match=said):
        strategy()(step).digest  # noqa: B018


def test_what_waits_or_has_a_clock_beside_it_is_not_refused() -> None:
    def step(i, x, p, s):
        time.sleep(0)
        return target(float(datetime.datetime(2020, 1, 1).day))

    assert strategy()(step).digest


COMPILED_LEVEL = 2.0


@numba.njit
def of_its_arguments(a):
    return math.sqrt(a) * np.pi


@numba.njit
def of_a_global(a):
    return a * COMPILED_LEVEL


def test_what_numba_compiled_before_may_have_frozen_no_value() -> None:
    def fine(i, x, p, s):
        return target(of_its_arguments(1.0))

    def frozen(i, x, p, s):
        return target(of_a_global(1.0))

    assert strategy()(fine).digest
    with pytest.raises(
        StrategyError, match=r"of_a_global.* compiled by numba already, with the value that COMPILED_LEVEL"
    ):
        strategy()(frozen).digest  # noqa: B018


SCRIPT = """
import types, enum, dataclasses, numpy as np, math
from whatif.strategies.identity import identity_of
class Side(enum.Enum):
    LONG = 1
@dataclasses.dataclass
class Costs:
    names: frozenset = frozenset({"a", "b", "c", "d"})
cfg = types.ModuleType("cfg"); cfg.K = {"x": {"p", "q", "r"}}
def helper(a): return a in {"k", "l", "m", "n"} and Side.LONG and Costs()
def step(i, x, p, s, at=np.arange(3)): return helper(at) + np.mean(at) + math.pi + cfg.K["x"]
print(identity_of("step", step))
"""


def test_every_process_gives_the_same_digest() -> None:
    found = set()
    for seed in ("0", "1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=True
        )
        found.add(done.stdout)
    assert len(found) == 1
