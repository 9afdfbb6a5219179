"""A Python algorithm of Lean's: what is decided is the same, what is filled is Lean's own."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from whatif.domain import DAY_US, HOUR_US, MINUTE_US, Costs, Execution, timestamps
from whatif.engines import BacktestTask
from whatif.errors import StudyError
from whatif.exports.base import Choice, Format, rendered
from whatif.exports.rules import KIND_WORDS, ORDER_WORDS, WORDS, reason_in
from whatif.indicators import Call, Node
from whatif.strategies import NOTES, StrategySpec, overlay_rules

_SETTINGS = ("cash", "commission", "commtype", "slippage", "slippage_fixed", "leverage", "costs")
_PLAIN = ("checksubmit", "shortcash", "slip_open", "slip_limit", "slip_match", "slip_out")
"""Settings that say how Backtrader's broker does it, and Lean's does otherwise in any case."""

_OTHER_COSTS = ("maker", "taker", "tiers", "range_slippage", "impact")
"""Costs by how an order came to its fill, by the month's volume or by the bar: Lean's models know of none."""

_OVERLAYS = (
    "take_profit", "stop_loss", "max_bars_held", "flat_before_close", "percent_of_equity", "percent_of_cash",
    "latency", "take_profit_intrabar", "stop_loss_intrabar", "trailing_stop",
)  # fmt: skip
_LIMITS = {
    "stop_loss": "STOP_LOSS", "take_profit": "TAKE_PROFIT", "max_bars_held": "MAX_BARS_HELD",
    "flat_before_close": "FLAT_BEFORE_CLOSE", "stop_loss_intrabar": "STOP_ORDER",
    "trailing_stop": "TRAIL_ORDER", "take_profit_intrabar": "TARGET_ORDER",
}  # fmt: skip
_EXCHANGES = ("XNYS", "XNAS", "ARCX", "BATS", "XASE")
_RESOLUTIONS = {MINUTE_US: "Resolution.MINUTE", HOUR_US: "Resolution.HOUR", DAY_US: "Resolution.DAILY"}
_PRICES = ("open", "high", "low", "close", "volume")


_Writer: TypeAlias = "Callable[[Lines, list[str], list[str]], str]"


class Lean(Format):
    """An algorithm for Lean: its securities, its models of fees and slippage, and the rule."""

    script = "main.py"

    def reason_against(self, task: BacktestTask) -> str:
        """Return what of a task the algorithm does not express; "" if it expresses all."""
        spec = task.strategy
        if not isinstance(spec, StrategySpec):
            return (
                f"{spec.name} is a Backtrader strategy, whose calls Lean does not have: write its rule as a "
                "step function, or export it --as backtrader"
            )
        if spec.cross_sectional or any(bars.member is not None for bars in task.bars):
            return "its step answers for all symbols at once, or a universe says which may be held"
        plain = Execution().written
        given = {name: value for name, value in task.execution.written.items() if value != plain.get(name)}
        differ = sorted(given.keys() - {*_SETTINGS, *_PLAIN})
        if differ:
            return f"its execution sets {', '.join(differ)}, which has no model here"
        costs, free = task.execution.costs, Costs()
        if costs is not None and (
            named := [k for k in _OTHER_COSTS if getattr(costs, k) != getattr(free, k)]
        ):
            return f"its costs say {', '.join(named)}, which a model of Lean's is not told enough to compute"
        other = [name for name in task.overlays.active if name not in _OVERLAYS]
        if other:
            return f"its overlays {', '.join(other)} are not written"
        read = {one.attr for one in ast.walk(ast.parse(spec.source)) if isinstance(one, ast.Attribute)}
        if read & {*NOTES, "vwap"}:
            return f"its rule reads {', '.join(sorted(read & {*NOTES, 'vwap'}))}, which Lean does not say"
        if _trails_with_limit(spec.source):
            return "its rule asks for a trailing stop with a limit, which is not written"
        for name, expression in spec.bound_inputs(task.params).items():
            if why := _reason_against(expression.node):
                return f"its series {name} = {expression}: {why}"
        return reason_in(spec.source, spec.step.__name__, (WORDS | ORDER_WORDS) - {*KIND_WORDS, "Order"})

    def files(self, choice: Choice) -> dict[str, str]:
        """Return the algorithm.

        Raises
        ------
        StudyError
            If the symbols are none of Lean's equities of the USA.
        """
        if choice.exchange not in _EXCHANGES:
            raise StudyError(
                f"{choice.name} cannot be exported as lean: its symbols are of exchange {choice.exchange!r}, "
                f"and the algorithm adds equities of the USA ({', '.join(_EXCHANGES)})"
            )
        return {self.script: rendered("lean.py.j2", _values(choice))}

    def said(self, script: Path) -> str:
        """Return what to do with the algorithm."""
        return (
            f"next: lean backtest {script.parent}     (never run on Lean by whatif: {script.name} says "
            "at its head what differs)"
        )


def _values(choice: Choice) -> dict[str, Any]:
    """Return what the template is filled with."""
    task, spec = choice.task, choice.spec
    ex, ov = task.execution, task.overlays
    lines = Lines()
    series = {name: lines.add(one.node) for name, one in spec.bound_inputs(task.params).items()}
    read = {one.attr for one in ast.walk(ast.parse(spec.source)) if isinstance(one, ast.Attribute)}
    bar_us = task.bar_us or MINUTE_US
    resolution = next((name for us, name in reversed(_RESOLUTIONS.items()) if bar_us % us == 0), "")
    sized = ov.percent_of_equity is not None or ov.percent_of_cash is not None
    limits = {_LIMITS[name]: value for name in _LIMITS if (value := getattr(ov, name)) is not None}
    half_spread = 0.0 if ex.costs is None else 0.5 * (ex.costs.spread_ticks * ex.costs.tick)
    moved = bool(ex.slippage or ex.slippage_fixed or half_spread)
    symbols = [bars.symbol for bars in task.bars]
    return {
        "header": f"{choice.name} on {', '.join(map(repr, symbols))}, as an algorithm for Lean",
        "fees": f"fees{' and slippage' if moved else ''} are models of the study's numbers that Lean applies",
        "windows": {name: _window(one) for name, one in choice.tasks.items()},
        "symbols": symbols, "params": dict(task.params), "lookback": spec.lookback, "ex": ex, "ov": ov,
        "share": overlay_rules(ov, ex).share if sized else None, "limits": limits,
        "imports": choice.rule.imports, "costs": None if ex.costs is None else _costs(ex.costs),
        "half_spread": half_spread,
        "rule": choice.rule.text, "aliases": choice.rule.aliases, "functions": lines.functions(),
        "names": {name: name for name in _PRICES} | series, "lines": [*_PRICES, *lines.made],
        "made": lines.made, "step": spec.step.__name__, "scratch": spec.scratch,
        "leaves": bool(limits.keys() & {"STOP_LOSS", "TAKE_PROFIT", "MAX_BARS_HELD", "FLAT_BEFORE_CLOSE"}),
        "exits": ov.exit_orders,
        "clock": bool(read & {"minute", "minutes_to_close"}) or ov.flat_before_close is not None,
        "resolution": resolution, "extended": choice.extended,
        "consolidated": "" if bar_us in _RESOLUTIONS else f"timedelta(seconds={bar_us // 1_000_000})",
        "normalization": {"none": "RAW", "splits": "SPLIT_ADJUSTED", "all": "ADJUSTED"}[choice.adjust],
    }  # fmt: skip


def _costs(costs: Costs) -> dict[str, str]:
    """Return the parts of what an order pays, as expressions of `units` and `value`; "" for none."""

    def linear(*terms: tuple[float, str]) -> str:
        return " + ".join(f"{rate}{f' * {of}' if of else ''}" for rate, of in terms if rate)

    most = [str(costs.maximum)] if costs.maximum is not None else []
    most += [f"{costs.maximum_fraction} * value"] if costs.maximum_fraction is not None else []
    return {
        "commission": linear((costs.per_unit, "units"), (costs.fraction, "value"), (costs.per_order, ""))
        or "0.0",
        "least": str(costs.minimum) if costs.minimum else "",
        "most": ", ".join(most),
        "exchange": linear((costs.exchange_per_unit, "units"), (costs.exchange_fraction, "value")),
        "buy": linear((costs.buy_per_unit, "units"), (costs.buy_fraction, "value")),
        "sell": linear((costs.sell_per_unit, "units"), (costs.sell_fraction, "value")),
    }


def _window(task: BacktestTask) -> tuple[tuple[int, int, int], tuple[int, int, int], int]:
    """Return first and last day of a window, and how many days lie before it that series begin on."""
    bars = [one for one in task.bars if task.rows(one)[0] < task.rows(one)[1]]
    first = timestamps(np.array([min(one.ts[task.rows(one)[0]] for one in bars)]))
    last = timestamps(np.array([max(one.ts[task.rows(one)[1] - 1] for one in bars)]))
    begin = timestamps(np.array([min(one.ts[0] for one in bars)]))
    days = int((first.normalize() - begin.normalize()).days[0])
    ends = [(int(one.year[0]), int(one.month[0]), int(one.day[0])) for one in (first, last)]
    return ends[0], ends[1], days


def _trails_with_limit(source: str) -> bool:
    calls = [
        {one.arg for one in node.keywords}
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
    ]
    return any("limit" in given and given & {"trail", "trail_percent"} for given in calls)


def _reason_against(node: Node) -> str:
    """Return what of a series is not written; "" if it is."""
    if not isinstance(node, Call):
        name = getattr(node, "name", None)
        if name is None or (name in _PRICES and not any(node.place)):
            return ""
        return f"{name} is not one of {', '.join(_PRICES)} of the symbol's own bars, and Lean has no other"
    if node.indicator not in _WRITTEN or any(node.place):
        return f"{node.indicator} is not written: {', '.join(sorted(_WRITTEN))} on the symbol's own bars are"
    return next(filter(None, map(_reason_against, node.sources)), "")


class Lines:
    """Series of a program, each a list that grows by a value with each bar.

    Attributes
    ----------
    made : dict of str to str
        What is appended to each, in the order in which they need each other.
    """

    def __init__(self) -> None:
        self.made: dict[str, str] = {}

    def add(self, node: Node) -> str:
        """Add a series, and those that it is made of; return its name."""
        if not isinstance(node, Call):
            return str(node.name) if hasattr(node, "name") else repr(float(node.value))
        numbers = [repr(one) for one in node.numbers]
        sources = [self.add(one) for one in node.sources]
        return _WRITTEN[node.indicator](self, sources, numbers)

    def line(self, name: str, text: str) -> str:
        """Return the name of a line of that text, under which it is made if it is not there."""
        name = re.sub(r"\W+", "_", name).strip("_")
        same = next((known for known, old in self.made.items() if old == text), None)
        if same is not None:
            return same
        while name in self.made or name in _PRICES:
            name += "_"
        self.made[name] = text
        return name

    def functions(self) -> list[str]:
        """Return the functions that are called, as text."""
        called = " ".join(self.made.values())
        names = [name for name in _FUNCTIONS if re.search(rf"\b{name}\(", called)]
        if "smooth" in names or "stddev" in names:
            names = list(dict.fromkeys(["sma", *names]))
        return [_FUNCTIONS[name] for name in names]


def _last(name: str) -> str:
    return f"self.{name}[-1]" if name.isidentifier() else name


def _of_window(name: str) -> _Writer:
    return lambda lines, s, n: lines.line(f"{name}_{s[0]}_{n[0]}", f"{name}(self.{s[0]}, {n[0]})")


def _smoothed(lines: Lines, name: str, source: str, period: str, weight: str) -> str:
    name = f"{name}_{source}_{period}"
    return lines.line(name, f"smooth(self.{name}, self.{source}, {period}, {weight})")


def _ema(lines: Lines, s: list[str], n: list[str]) -> str:
    return _smoothed(lines, "ema", s[0], n[0], f"2.0 / (1.0 + {n[0]})")


def _smma(lines: Lines, s: list[str], n: list[str]) -> str:
    return _smoothed(lines, "smma", s[0], n[0], f"1.0 / {n[0]}")


def _macd(lines: Lines, s: list[str], n: list[str]) -> str:
    fast, slow = _ema(lines, s, n[:1]), _ema(lines, s, n[1:2])
    return lines.line(f"macd_{n[0]}_{n[1]}", f"self.{fast}[-1] - self.{slow}[-1]")


def _band(side: str) -> _Writer:
    def write(lines: Lines, s: list[str], n: list[str]) -> str:
        mean, width = _of_window("sma")(lines, s, n), _of_window("stddev")(lines, s, n)
        name = f"bollinger_{'top' if side == '+' else 'bottom'}_{n[0]}"
        return lines.line(name, f"self.{mean}[-1] {side} {n[1]} * self.{width}[-1]")

    return write


def _rsi(lines: Lines, s: list[str], n: list[str]) -> str:
    up = lines.line(f"rise_{s[0]}", f"rise(self.{s[0]}, 1.0)")
    down = lines.line(f"fall_{s[0]}", f"rise(self.{s[0]}, -1.0)")
    gain, loss = _smma(lines, [up], n), _smma(lines, [down], n)
    return lines.line(f"rsi_{s[0]}_{n[0]}", f"strength(self.{gain}[-1], self.{loss}[-1])")


def _operator(sign: str) -> _Writer:
    return lambda lines, s, _: lines.line(
        f"line_{len(lines.made) + 1}", f"{_last(s[0])} {sign} {_last(s[1])}"
    )


_WRITTEN: Mapping[str, _Writer] = {
    **{name: _of_window(name) for name in ("sma", "highest", "lowest", "stddev", "roc")},
    "ema": _ema,
    "smma": _smma,
    "macd": _macd,
    "macd_signal": lambda lines, s, n: _ema(lines, [_macd(lines, s, n)], n[2:]),
    "bollinger_mid": lambda lines, s, n: _of_window("sma")(lines, s, n),
    "bollinger_top": _band("+"),
    "bollinger_bottom": _band("-"),
    "rsi": _rsi,
    "crossover": lambda lines, s, _: lines.line(
        f"crossover_{s[0]}_{s[1]}", f"crossover(self.{s[0]}, self.{s[1]})"
    ),
    **{sign: _operator(sign) for sign in ("+", "-", "*")},
    "/": lambda lines, s, _: lines.line(
        f"line_{len(lines.made) + 1}", f"ratio({_last(s[0])}, {_last(s[1])})"
    ),
    "neg": lambda lines, s, _: lines.line(f"neg_{s[0]}", f"-{_last(s[0])}"),
}
"""What is written of each indicator: adds the lines that it takes, and returns the name of its own."""

_FUNCTIONS = {
    "sma": """\
def sma(values, period):
    window = values[-period:]
    return math.fsum(window) / period if len(window) == period else math.nan""",
    "highest": """\
def highest(values, period):
    window = values[-period:]
    return max(window) if len(window) == period and not any(map(math.isnan, window)) else math.nan""",
    "lowest": """\
def lowest(values, period):
    window = values[-period:]
    return min(window) if len(window) == period and not any(map(math.isnan, window)) else math.nan""",
    "roc": """\
def roc(values, period):
    before = values[-1 - period] if len(values) > period else 0.0
    return (values[-1] - before) / before if before else math.nan""",
    "stddev": """\
def stddev(values, period):
    difference = sma([one**2.0 for one in values[-period:]], period) - sma(values, period) ** 2.0
    return abs(difference) ** 0.5""",
    "smooth": """\
def smooth(done, values, period, weight):
    before = done[-1] if done else math.nan
    # the first value is the average of the first ones
    return sma(values, period) if math.isnan(before) else before * (1.0 - weight) + values[-1] * weight""",
    "rise": """\
def rise(values, side):
    return max(side * (values[-1] - values[-2]), 0.0) if len(values) > 1 else math.nan""",
    "strength": """\
def strength(gain, loss):
    if loss != 0.0:
        return 100.0 - 100.0 / (1.0 + gain / loss)
    return 50.0 if gain == 0.0 else 100.0""",
    "ratio": """\
def ratio(one, other):
    return one / other if other else math.nan""",
    "crossover": """\
def crossover(first, second):
    now = first[-1] - second[-1]
    if len(first) < 2 or math.isnan(now) or math.isnan(first[-2] - second[-2]):
        return math.nan
    for k in range(len(first) - 2, -1, -1):
        before = first[k] - second[k]
        if before != 0.0:
            return 1.0 if now > 0.0 > before else -1.0 if now < 0.0 < before else 0.0
    return 0.0""",
}
"""The functions, by their names; a value that is not there is NaN."""
