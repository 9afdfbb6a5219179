"""Evaluation of indicator expressions on bars."""

from __future__ import annotations

from collections.abc import Hashable, MutableMapping
from typing import Any, TypeAlias

import numpy as np

from whatif.domain import PRICE_FIELDS, Bars
from whatif.errors import IndicatorError, nearest
from whatif.indicators.expression import Call, Expression, Node, Parameter
from whatif.indicators.registry import get_indicator
from whatif.typing import FloatArray

ArrayCache: TypeAlias = MutableMapping[Hashable, Any]
"""Arrays that configurations share; an entry keeps the bars it was computed from alive."""


def evaluate(
    expression: Expression, bars: Bars, cache: ArrayCache | None = None, keep: bool = True
) -> FloatArray:
    """Compute an expression on bars.

    Parameters
    ----------
    expression : Expression
        With all its parameters bound.
    bars : Bars
        Bars of one symbol, n rows, and the inputs the expression names.
    cache : mutable mapping, optional
        Where the arrays of the expression and of its parts are kept, for these very bars.
    keep : bool
        Whether the expression's own array is kept; those of its parts are.

    Returns
    -------
    float64 array (n,)
        Read-only where it is a series of the bars itself. NaN until warm.

    Notes
    -----
    *Timing*: row t depends on bars up to t only.

    Raises
    ------
    IndicatorError
        If a series is not among the bars' own or their inputs, or a parameter is not bound.
    """
    return _evaluate(expression.node, bars, {} if cache is None else cache, keep)


def _evaluate(node: Node, bars: Bars, cache: ArrayCache, keep: bool = True) -> FloatArray:
    if not isinstance(node, Call):
        return _series(node.name, bars)
    key = (id(bars), str(node))
    found = cache.get(key)
    if found is not None:
        array: FloatArray = found[1]
        return array
    array = _apply(node, bars, cache)
    if keep:
        cache[key] = (bars, array)
    return array


def _apply(node: Call, bars: Bars, cache: ArrayCache) -> FloatArray:
    for number in node.numbers:
        if isinstance(number, Parameter):
            raise IndicatorError(f"{node}: {number.name!r} has no value yet; bind the parameters first")
    sources = [np.ascontiguousarray(_evaluate(source, bars, cache)) for source in node.sources]
    array = get_indicator(node.indicator).kernel(*sources, *node.numbers)
    array.flags.writeable = False
    return array


def _series(name: str, bars: Bars) -> FloatArray:
    if name in PRICE_FIELDS:
        array: FloatArray = getattr(bars, name)
        return array
    if name not in bars.inputs:
        raise IndicatorError(
            f"{bars.symbol}: there is no series {name!r}; {nearest(name, [*PRICE_FIELDS, *bars.inputs])}"
        )
    return bars.inputs[name]
