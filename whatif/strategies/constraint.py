"""Rules between parameters, such as ``fast < slow``."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from whatif.errors import StrategyError, nearest

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
