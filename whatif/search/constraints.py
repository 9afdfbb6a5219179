"""Constraints of a study: comparisons of parameters, which leave points out, and of results, which rank."""

from __future__ import annotations

import ast
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from whatif.domain import METRIC_KEYS
from whatif.errors import StrategyError, StudyError, nearest
from whatif.strategies import check_constraint, holds, shortfall
from whatif.typing import BoolArray

UNKNOWN = 1e12
"""By how much a constraint counts as broken where a metric that it names has no value."""


@dataclass(frozen=True)
class Constraints:
    """A study's constraints, by what they speak of.

    Attributes
    ----------
    on_points : tuple of str
        Those between parameters: a point that breaks one is left out.
    on_results : tuple of str
        Those of metrics: a backtest that breaks one ranks after all that keep to it, and is never chosen.
    """

    on_points: tuple[str, ...] = ()
    on_results: tuple[str, ...] = ()

    def broken(self, params: Mapping[str, Any]) -> str:
        """Return the first constraint between parameters that a point breaks; "" if there is none.

        Raises
        ------
        StudyError
            If one cannot be told of these values, such as an order of a text and a number.
        """
        for text in self.on_points:
            try:
                kept = holds(text, params)
            except (TypeError, KeyError, ZeroDivisionError, StrategyError) as error:
                values = ", ".join(f"{name} = {params.get(name)!r}" for name in sorted(names_of(text)))
                raise StudyError(
                    f"constraints: {text!r} cannot be told of {values}: {error}; compare numbers with numbers"
                ) from error
            if not kept:
                return text
        return ""

    def violations(self, row: Mapping[str, Any]) -> tuple[float, ...]:
        """Return by how much a result breaks each constraint of metrics, 0 where it holds."""
        return tuple(_violation(text, row) for text in self.on_results)

    def kept(self, rows: pd.DataFrame) -> BoolArray:
        """Return which rows keep to all constraints of metrics, (rows,); a missing metric breaks one."""
        if not self.on_results:
            return np.ones(len(rows), dtype=np.bool_)
        named = sorted({name for text in self.on_results for name in names_of(text)})
        columns = [rows[name].astype("float64").to_numpy(dtype=np.float64, na_value=np.nan) for name in named]
        found = [
            all(_violation(text, dict(zip(named, values, strict=True))) <= 0 for text in self.on_results)
            for values in zip(*columns, strict=True)
        ]
        return np.array(found, dtype=np.bool_)


def constraints_of(texts: Sequence[str], parameters: Collection[str] | None = None) -> Constraints:
    """Return constraints by what they speak of: metrics, or else parameters.

    Parameters
    ----------
    texts : sequence of str
        As a study lists them.
    parameters : collection of str, optional
        What points have by name; if left out, the names are taken to be right.

    Raises
    ------
    StudyError
        If one is no comparison, names what is not there, or speaks of both.
    """
    on_points: list[str] = []
    on_results: list[str] = []
    for text in texts:
        names = names_of(text)
        measured = {name for name in names if name in METRIC_KEYS and name not in (parameters or ())}
        (on_results if names and measured == names else on_points).append(text)
        if parameters is not None:
            _check(text, names, measured, parameters)
    _check_leave_some(on_results)
    return Constraints(tuple(on_points), tuple(on_results))


def _check_leave_some(on_results: Sequence[str]) -> None:
    """Refuse constraints that bound a metric so that no value is left.

    Raises
    ------
    StudyError
        Naming the two that exclude each other.
    """
    low: dict[str, tuple[float, bool, str]] = {}
    high: dict[str, tuple[float, bool, str]] = {}
    for text in on_results:
        for name, sign, value, strict in _bounds(text):
            # the greatest of the low ends, and of the high ends with a minus
            side, bound = (low, value) if sign > 0 else (high, -value)
            if name not in side or (bound, strict) > side[name][:2]:
                side[name] = bound, strict, text
    for name in low.keys() & high.keys():
        (least, above, one), (minus, below, other) = low[name], high[name]
        if least > -minus or (least == -minus and (above or below)):
            raise StudyError(
                f"constraints: {one!r} and {other!r} exclude each other, so no result could keep to them: "
                "remove or loosen one of the two"
            )


def _bounds(text: str) -> Iterator[tuple[str, int, float, bool]]:
    """Yield the bounds that a comparison of one name and a number sets.

    Yields
    ------
    str, int, float, bool
        The name, 1 for a low end or -1 for a high one, its value, and whether that itself is left out.
    """
    tree = ast.parse(text, mode="eval").body
    if not isinstance(tree, ast.Compare) or len(tree.ops) > 1:
        return
    (op,), left, (right,) = tree.ops, tree.left, tree.comparators
    turned = isinstance(right, ast.Name)
    name, number = (right, left) if turned else (left, right)
    try:
        value = float(ast.literal_eval(number))
    except (ValueError, TypeError):
        return
    if not isinstance(name, ast.Name):
        return
    for sign, kinds in ((1, (ast.Gt, ast.GtE, ast.Eq)), (-1, (ast.Lt, ast.LtE, ast.Eq))):
        if isinstance(op, kinds):
            own = sign if isinstance(op, ast.Eq) or not turned else -sign
            yield name.id, own, value, isinstance(op, (ast.Gt, ast.Lt))


def check_condition(axis: str, text: str, known: Collection[str]) -> None:
    """Refuse what says of an axis when it exists, unless it compares what stands before that axis.

    Parameters
    ----------
    axis : str
        Name of the axis, for messages.
    text : str
        The comparison.
    known : collection of str
        What it may name: parameters, and axes of plain values that stand before.

    Raises
    ------
    StudyError
        Naming axis, text and rule.
    """
    try:
        if constraints_of([text], known).on_results:
            raise StudyError(
                f"constraints: {text!r} speaks of a metric, which no point has before it has run"
            )
    except StudyError as error:
        rule = "it compares parameters, and axes that stand before this one"
        said = str(error).removeprefix("constraints: ")
        raise StudyError(f"axis {axis!r}: when = {said}; {rule}") from error


@lru_cache(maxsize=256)
def names_of(text: str) -> frozenset[str]:
    """Return the names in a constraint.

    Raises
    ------
    StudyError
        If it is no expression.
    """
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise StudyError(
            f"constraints: {text!r} is not an expression; write for instance fast < slow, or trades >= 30"
        ) from error
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


def _check(text: str, names: frozenset[str], measured: set[str], parameters: Iterable[str]) -> None:
    known = [*parameters, *METRIC_KEYS]
    for name in sorted(names):
        if name not in known:
            raise StudyError(
                f"constraints: {text!r} names {name!r}, which is neither a parameter nor a metric: "
                f"{nearest(name, known)}"
            )
    if measured and measured != names:
        raise StudyError(
            f"constraints: {text!r} speaks of {sorted(names - measured)[0]!r}, a parameter, and of "
            f"{sorted(measured)[0]!r}, a metric: write two constraints, one of each"
        )
    tree = ast.parse(text, mode="eval").body
    try:
        check_constraint(text, names)
    except StrategyError as error:
        raise StudyError(f"constraints: {str(error).removeprefix('constraint ')}") from error
    except (TypeError, ZeroDivisionError):
        pass  # the trial values do not fit; the points' own are tried where they are made
    if not names or not isinstance(tree, (ast.Compare, ast.BoolOp, ast.UnaryOp)):
        raise StudyError(f"constraints: {text!r} compares nothing; write for instance fast < slow")


def _violation(text: str, row: Mapping[str, Any]) -> float:
    """Return by how much a row breaks a constraint."""
    values = {name: float(row[name]) for name in names_of(text)}
    if any(math.isnan(value) for value in values.values()):
        return UNKNOWN
    try:
        return min(shortfall(text, values), UNKNOWN)
    except ZeroDivisionError:
        return UNKNOWN
