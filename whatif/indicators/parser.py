"""From text to an indicator expression."""

from __future__ import annotations

import ast
from functools import lru_cache

from whatif.errors import IndicatorError
from whatif.indicators.expression import DEFAULT_SOURCE, Call, Expression, Node, Parameter, Series, period
from whatif.indicators.registry import Indicator, get_indicator


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
        If the text is no such expression, an indicator is unknown, or a period is not a
        positive integer.
    """
    try:
        body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, AttributeError) as error:
        raise IndicatorError(
            f"{text!r} is not an indicator expression; write for instance sma(20)"
        ) from error
    return Expression(_node(body, text))


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
    expected = indicator.sources + len(indicator.parameters)
    source_omitted = indicator.sources == 1 and len(given) == len(indicator.parameters)
    if tree.keywords or not (source_omitted or len(given) == expected):
        raise IndicatorError(f"{text!r}: {ast.unparse(tree)!r} does not fit; write {indicator.usage}")
    count = 0 if source_omitted else indicator.sources
    sources = tuple(_node(arg, text) for arg in given[:count]) or (Series(DEFAULT_SOURCE),)
    return Call(indicator.name, sources, tuple(_number(arg, text) for arg in given[count:]))


def _number(tree: ast.expr, text: str) -> int | Parameter:
    if isinstance(tree, ast.Name):
        return Parameter(tree.id)
    try:
        value = ast.literal_eval(tree)
    except ValueError:
        value = ast.unparse(tree)
    return period(value, text)
