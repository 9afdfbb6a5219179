"""Declared parameters of a strategy and the check of given ones."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from whatif.errors import StrategyError, nearest

Value: TypeAlias = bool | int | float | str


@dataclass(frozen=True)
class Param:
    """One parameter of a strategy; its type is that of its default.

    Attributes
    ----------
    default : bool, int, float or str
        The value when none is given.
    low, high : float, optional
        Inclusive bounds of a number.
    same_as : str
        Another parameter whose value is meant wherever this one has its default; "" for none.
    """

    default: Value
    low: float | None = None
    high: float | None = None
    same_as: str = ""

    @property
    def kind(self) -> type:
        """The parameter's type."""
        return type(self.default)

    def check(self, value: object, where: str) -> Value:
        """Return `value` in the parameter's type.

        Parameters
        ----------
        value : object
            What was given; numpy scalars and integral floats for integers are welcome.
        where : str
            Names strategy and parameter in a message.

        Raises
        ------
        StrategyError
            If the value has another type or breaks a bound.
        """
        typed = _typed(value, self.kind)
        if typed is None:
            raise StrategyError(f"{where} = {value!r}: {_RULES[self.kind]}")
        if isinstance(typed, str):
            return typed
        if self.low is not None and typed < self.low:
            raise StrategyError(f"{where} = {value!r} is below its least value; use at least {self.low:g}")
        if self.high is not None and typed > self.high:
            raise StrategyError(f"{where} = {value!r} is above its greatest value; use at most {self.high:g}")
        return typed


_RULES: dict[type, str] = {
    bool: "it must be true or false",
    int: "it must be an integer of at most 64 bits",
    float: "it must be a finite number",
    str: "it must be text",
}


def check_names(given: Mapping[str, object], declared: Mapping[str, object], strategy: str) -> None:
    """Refuse parameters that a strategy does not declare.

    Raises
    ------
    StrategyError
        Naming the nearest declared one.
    """
    for name, value in given.items():
        if name not in declared:
            remedy = nearest(name, declared) if declared else "it takes no parameters"
            raise StrategyError(f"strategy {strategy}: parameter {name!r} (= {value!r}) is unknown; {remedy}")


def _typed(value: object, kind: type) -> Value | None:
    if kind is str:
        return value if isinstance(value, str) else None
    if kind is bool:
        return bool(value) if isinstance(value, bool) or type(value).__name__ == "bool" else None
    if isinstance(value, (bool, str)) or type(value).__name__ == "bool":
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    if not math.isfinite(number):
        return None
    if kind is float:
        return number
    if number != int(number) or not -(2**63) <= number < 2**63:
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return int(number)
