"""Definition of an indicator: its kernel, its numbers and their rules, its outputs, and how it is written."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from whatif.errors import IndicatorError, nearest
from whatif.typing import FloatArray


@dataclass(frozen=True)
class Limit:
    """Rule of a number that is no plain period.

    Attributes
    ----------
    least, most : float
        Bounds, which are allowed themselves; infinite where there is none.
    whole : bool
        Whether it has to be a whole number.
    default : int or float or None
        What it is if it is left out; None where it may not be.
    """

    least: float
    most: float
    whole: bool = False
    default: int | float | None = None

    def __str__(self) -> str:
        """Return the rule in words."""
        kind = "whole number" if self.whole else "number"
        if math.isinf(self.most):
            return f"a {kind}" if math.isinf(self.least) else f"a {kind} of at least {self.least:g}"
        return (
            f"a {kind} from {self.least:,g} to {self.most:,.0f}"
            if self.whole
            else (f"a {kind} from {self.least:g} to {self.most:g}")
        )

    def number(self, value: object, where: str) -> int | float:
        """Return `value` as such a number, or say which rule it breaks.

        Raises
        ------
        IndicatorError
            If it breaks it; `where` names the place.
        """
        try:
            if isinstance(value, (bool, str)):
                raise TypeError
            found = operator.index(value) if self.whole else float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            found = math.nan
        if not (self.least <= found <= self.most and math.isfinite(found)):
            raise IndicatorError(f"{where}: {value!r} does not fit; use {self}")
        return found


@dataclass(frozen=True)
class Indicator:
    """One indicator: a kernel and what is known about it.

    Attributes
    ----------
    name : str
        As written in expressions; of one output of several, with its name behind a dot.
    kernel : callable
        Takes the sources as float64 arrays (n,), then the parameters; returns a float64 array
        (n,), NaN until warm, whose row t depends on rows up to t only. With `parts`, an array
        (parts, n) of such rows.
    sources : tuple of str
        The series it takes if none is named. An empty name has no such default.
    parameters : tuple of str
        Names of the numbers it takes, in order. Each is a period, an integer of at least 1, but
        for `FACTORS`, which are numbers of at least 0, and those that have a limit.
    warmup : callable
        From the parameters to the number of rows before the first value, given sources that
        are complete.
    many : callable, optional
        Of an indicator without parameters: does the same for c combinations of sources at once. Takes
        for each source an int64 array (c,) of addresses of n values each, and then a float64 array
        (c, n), into which it writes.
    origin : str
        Whose definition it has, to the last bit: "Backtrader", "TA-Lib", or "own".
    limits : mapping of str to Limit
        Rules of parameters that are no plain periods. Those with a default come last.
    parts : tuple of str
        Names of its outputs, if it has several.
    part_rows : mapping of str to callable
        As `warmup`, of those of its outputs that begin at another row.
    constants : bool
        Whether numbers may stand for its sources, but for one.
    text : str
        What is known of it, where its kernel does not say.
    written : str
        How it is written, where sources and numbers do not say.
    """

    name: str
    kernel: Callable[..., FloatArray]
    sources: tuple[str, ...]
    parameters: tuple[str, ...]
    warmup: Callable[..., int]
    many: Callable[..., None] | None = None
    origin: str = "Backtrader"
    limits: Mapping[str, Limit] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    part_rows: Mapping[str, Callable[..., int]] = field(default_factory=dict)
    constants: bool = False
    text: str = ""
    written: str = ""

    @property
    def summary(self) -> str:
        """What it is, in one line."""
        return self.documentation.partition("\n")[0]

    @property
    def documentation(self) -> str:
        """What is known of it."""
        return self.text or inspect.getdoc(self.kernel) or ""

    @property
    def usage(self) -> str:
        """How the indicator is written; what stands in brackets may be left out."""
        if self.written:
            return self.written
        names = [name if len(self.sources) > 1 else "" for name in self.sources]
        series = [name or f"source{k + 1 if len(names) > 1 else ''}" for k, name in enumerate(names)]
        needed = len(self.parameters) - len(self.defaults)
        numbers = [*self.parameters[:needed], *(f"[{name}]" for name in self.parameters[needed:])]
        part = f".{self.parts[0]}" if self.parts else ""
        usage = f"{self.name}({', '.join([*series, *numbers])}){part}"
        if self.may_omit_sources:
            usage += f" or {self.name}({', '.join(numbers)}){part} on {', '.join(self.sources)}"
        if len(self.parts) > 1:
            usage += f"; also {', '.join(f'.{name}' for name in self.parts[1:])}"
        return usage

    @property
    def may_omit_sources(self) -> bool:
        """Whether its sources may be left out, for their defaults."""
        return bool(self.sources) and all(self.sources)

    @cached_property
    def defaults(self) -> tuple[int | float, ...]:
        """Numbers that its last parameters are if they are left out."""
        limits = [self.limits[name] for name in self.parameters if name in self.limits]
        return tuple(limit.default for limit in limits if limit.default is not None)

    @property
    def usual(self) -> tuple[int | float, ...]:
        """Numbers to show it with, one for each parameter."""
        needed = len(self.parameters) - len(self.defaults)
        numbers = [USUAL.get(name, 10 + k) for k, name in enumerate(self.parameters[:needed])]
        return (*numbers, *self.defaults)

    @property
    def shown(self) -> str:
        """Expressions with its usual numbers, one for each output, with "; " between them."""
        if self.written:
            return self.written.rpartition(" or ")[2].replace("source", "close")
        needed = len(self.parameters) - len(self.defaults)
        series = () if self.may_omit_sources else ("close", "open", "volume")[: len(self.sources)]
        numbers = (f"{number:g}" for number in self.usual[:needed])
        text = f"{self.name}({', '.join((*series, *numbers))})"
        return "; ".join(f"{text}.{part}" for part in self.parts) or text

    def default(self, name: str) -> int | float | None:
        """Return what a parameter is if it is left out; None where it may not be."""
        return self.limits[name].default if name in self.limits else None

    def rule(self, name: str) -> str:
        """Return what a parameter has to be, in words."""
        if name in self.limits:
            return str(self.limits[name])
        return "a number of at least 0" if name in FACTORS else "a whole number of at least 1"

    def part(self, name: str) -> Indicator:
        """Return one of its outputs as an indicator.

        Raises
        ------
        IndicatorError
            If there is none of that name, naming the nearest.
        """
        if name not in self.parts:
            raise IndicatorError(f"{self.name} has no output {name!r}; {nearest(name, self.parts)}")
        one, whole = self.parts.index(name), self.kernel

        def kernel(*given: Any) -> FloatArray:
            row: FloatArray = whole(*given)[one]
            return row

        rows, text = self.part_rows.get(name, self.warmup), self.documentation
        return replace(self, name=f"{self.name}.{name}", kernel=kernel, warmup=rows, parts=(), text=text)

    def number(self, index: int, value: object, where: str) -> int | float:
        """Return `value` as the parameter at `index`, or say which rule it breaks.

        Raises
        ------
        IndicatorError
            If it is no period, for a factor no number of at least 0, or out of its limit; `where` names
            the place.
        """
        name = self.parameters[index]
        if name in self.limits:
            return self.limits[name].number(value, where)
        return factor(value, where) if name in FACTORS else period(value, where)


MAX_PERIOD = 100_000_000
"""Longest period, rows: a hundred years of minutes around the clock are half of it."""

USUAL: Mapping[str, int | float] = {
    "period": 14,
    "fast": 12,
    "slow": 26,
    "signal": 9,
    "deviations": 2.0,
    "tenkan": 9,
    "kijun": 26,
    "senkou": 52,
    "slowk": 3,
    "slowd": 3,
    "fastd": 3,
    "minperiod": 2,
    "maxperiod": 30,
}
"""Numbers that parameters often are."""

FACTORS = frozenset({"deviations"})
"""Names of parameters that are not periods."""


def period(value: object, where: str) -> int:
    """Return `value` as a period, or say which rule it breaks.

    Raises
    ------
    IndicatorError
        If it is not a positive integer.
    """
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if not 1 <= number <= MAX_PERIOD:
        raise IndicatorError(
            f"{where}: {value!r} is not a period; use an integer of at least 1 and at most {MAX_PERIOD:,}"
            if number > MAX_PERIOD
            else f"{where}: {value!r} is not a period; use an integer of at least 1"
        )
    return number


def factor(value: object, where: str) -> float:
    """Return `value` as a factor, or say which rule it breaks.

    Raises
    ------
    IndicatorError
        If it is not a finite number of at least 0.
    """
    try:
        number = -1.0 if isinstance(value, (bool, str)) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0.0 <= number < math.inf:
        raise IndicatorError(f"{where}: {value!r} is not a factor; use a number of at least 0, such as 2.0")
    return number
