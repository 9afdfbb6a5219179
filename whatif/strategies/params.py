"""Declared parameters of a strategy, the rules between them, and the check of given ones."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

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


_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def check_constraint(text: str, names: Iterable[str]) -> None:
    """Refuse a constraint that is no comparison of declared parameters and numbers.

    Raises
    ------
    StrategyError
        If it uses anything else, or an undeclared name.
    """
    declared = list(names)
    for node in ast.walk(_parse(text)):
        if isinstance(node, ast.Name) and node.id not in declared:
            raise StrategyError(
                f"constraint {text!r}: {node.id!r} is not a parameter; {nearest(node.id, declared)}"
            )
    _value(_parse(text), dict.fromkeys(declared, 1), text)


def holds(text: str, params: Mapping[str, object]) -> bool:
    """Return whether `params` meet the constraint.

    Raises
    ------
    StrategyError
        If the constraint cannot be evaluated.
    """
    return bool(_value(_parse(text), params, text))


def shortfall(text: str, values: Mapping[str, object]) -> float:
    """Return by how much numbers miss a constraint, 0.0 where it holds.

    Of one comparison that is the difference of its sides; of several, and where the sides are equal, 1.0.

    Raises
    ------
    StrategyError
        If the constraint cannot be evaluated.
    """
    if holds(text, values):
        return 0.0
    tree = _parse(text)
    if isinstance(tree, ast.Compare) and len(tree.ops) == 1:
        left, right = (_value(term, values, text) for term in (tree.left, tree.comparators[0]))
        return abs(float(left) - float(right)) or 1.0
    return 1.0


@lru_cache(maxsize=256)
def _parse(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise StrategyError(
            f"constraint {text!r} is not an expression; write for instance fast < slow"
        ) from error


def _value(node: ast.expr, params: Mapping[str, object], text: str) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return params[node.id]
    if isinstance(node, ast.Compare) and all(type(op) in _COMPARE for op in node.ops):
        terms = [_value(term, params, text) for term in (node.left, *node.comparators)]
        return all(_COMPARE[type(op)](terms[k], terms[k + 1]) for k, op in enumerate(node.ops))
    if isinstance(node, ast.BoolOp):
        parts = (bool(_value(part, params, text)) for part in node.values)
        return all(parts) if isinstance(node.op, ast.And) else any(parts)
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        left, right = _value(node.left, params, text), _value(node.right, params, text)
        return _ARITHMETIC[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not)):
        operand = _value(node.operand, params, text)
        return -operand if isinstance(node.op, ast.USub) else not operand
    raise StrategyError(
        f"constraint {text!r}: {ast.unparse(node)!r} is not allowed; "
        "compare parameters and numbers with < <= > >= == !="
    )
