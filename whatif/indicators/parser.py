"""Parser of indicator expressions."""

from __future__ import annotations

import ast
from functools import lru_cache
from itertools import accumulate

from whatif.errors import IndicatorError
from whatif.indicators.expression import Call, Expression, Node, Parameter, Series, default_sources
from whatif.indicators.registry import Indicator, get_indicator
from whatif.paths import shown

MAX_LENGTH = 2_000
"""Longest expression, characters."""

MAX_DEPTH = 30
"""Indicators inside of each other."""


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Parse an indicator expression.

    Parameters
    ----------
    text : str
        A series (``vwap``) or an indicator of series and numbers (``sma(vwap, 20)``,
        ``crossover(sma(fast), sma(slow))``). In the place of a series, a name is a series of
        the bars or an input from outside; in the place of a number, a strategy's parameter.

    Returns
    -------
    Expression

    Raises
    ------
    IndicatorError
        If the text is no such expression, is too long or nested too deep, an indicator is unknown, a
        period is not a positive integer, or a factor not a number of at least 0.
    """
    _check_size(text)
    try:
        return Expression(_node(ast.parse(text.strip(), mode="eval").body, text))
    except (SyntaxError, ValueError, AttributeError, RecursionError, MemoryError) as error:
        raise IndicatorError(
            f"{shown(text)} is not an indicator expression; write for instance sma(20)"
        ) from error


def _check_size(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise IndicatorError(
            f"{shown(text)} has {len(text):,} characters, more than {MAX_LENGTH:,}: name a shorter expression"
        )
    depth = max(accumulate(("([{".find(c) >= 0) - (")]}".find(c) >= 0) for c in text), default=0)
    if depth > MAX_DEPTH:
        raise IndicatorError(
            f"{shown(text)} nests {depth} levels deep, more than {MAX_DEPTH}: name a shorter expression"
        )


def _node(tree: ast.expr, text: str) -> Node:
    if isinstance(tree, ast.Name):
        return Series(tree.id)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
        return _call(tree, get_indicator(tree.func.id), text)
    raise IndicatorError(
        f"{text!r}: {ast.unparse(tree)!r} is neither a series nor an indicator; "
        "write for instance sma(vwap, 20)"
    )


def _call(tree: ast.Call, indicator: Indicator, text: str) -> Call:
    given = tree.args
    count = len(indicator.sources)
    omitted = indicator.may_omit_sources and len(given) == len(indicator.parameters)
    if tree.keywords or not (omitted or len(given) == count + len(indicator.parameters)):
        raise IndicatorError(f"{text!r}: {ast.unparse(tree)!r} does not fit; write {indicator.usage}")
    named = [] if omitted else given[:count]
    numbers = given[len(named) :]
    return Call(
        indicator.name,
        tuple(_node(arg, text) for arg in named) or default_sources(indicator),
        tuple(_number(indicator, k, arg, text) for k, arg in enumerate(numbers)),
    )


def _number(indicator: Indicator, index: int, tree: ast.expr, text: str) -> int | float | Parameter:
    if isinstance(tree, ast.Name):
        return Parameter(tree.id)
    try:
        value = ast.literal_eval(tree)
    except ValueError:
        value = ast.unparse(tree)
    return indicator.number(index, value, text)
