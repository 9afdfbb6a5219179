"""Operators and functions of series, row by row: arithmetic, comparison, logarithm, bounds, choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from whatif.indicators.definition import Indicator
from whatif.indicators.windows import divided
from whatif.typing import FloatArray


def _of_finite(values: FloatArray) -> FloatArray:
    """Return values, (n,), NaN where they are not finite."""
    return np.where(np.isfinite(values), values, np.nan)


def _added(left: FloatArray, right: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        return _of_finite(left + right)


def _subtracted(left: FloatArray, right: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        return _of_finite(left - right)


def _multiplied(left: FloatArray, right: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        return _of_finite(left * right)


def _negated(values: FloatArray) -> FloatArray:
    return _of_finite(-values)


def _compared(how: Callable[[Any, Any], Any]) -> Callable[..., FloatArray]:
    """Return the kernel of a comparison: 1.0 where it holds, 0.0 where not, NaN where an operand is."""

    def compare(left: FloatArray, right: FloatArray) -> FloatArray:
        known = np.isfinite(left) & np.isfinite(right)
        return np.where(known, how(left, right).astype(np.float64), np.nan)

    return compare


def log(source: FloatArray) -> FloatArray:
    """Take the natural logarithm.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.

    Returns
    -------
    float64 array (n,)
        Of numpy's `log`.

    Notes
    -----
    *Timing*: row t uses row t. NaN where the source is, and where it is not above 0.
    """
    with np.errstate(all="ignore"):
        return _of_finite(np.log(source))


def absolute(source: FloatArray) -> FloatArray:
    """Take the magnitude, without its sign.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.

    Returns
    -------
    float64 array (n,)

    Notes
    -----
    *Timing*: row t uses row t. NaN where the source is.
    """
    return _of_finite(np.abs(source))


def clip(source: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Keep values between two bounds, which may be numbers or series.

    Parameters
    ----------
    source, low, high : float64 array (n,)
        Any series.

    Returns
    -------
    float64 array (n,)
        The lower bound where the source is below it, else the upper bound where it is above that,
        which goes before where the bounds are the wrong way round.

    Notes
    -----
    *Timing*: row t uses row t. NaN where one of the three is.
    """
    return _of_finite(np.minimum(np.maximum(source, low), high))


def where(condition: FloatArray, yes: FloatArray, no: FloatArray) -> FloatArray:
    """Choose one of two series, or numbers, by a condition such as close > open.

    Parameters
    ----------
    condition : float64 array (n,)
        Holds where it is not 0.
    yes, no : float64 array (n,)
        What is taken where it holds, and where not.

    Returns
    -------
    float64 array (n,)

    Notes
    -----
    *Timing*: row t uses row t. NaN where the condition is, and where what is taken is.
    """
    return _of_finite(np.where(np.isnan(condition), np.nan, np.where(condition != 0.0, yes, no)))


def rank(source: FloatArray, *named: FloatArray) -> FloatArray:
    """Tell where a series stands among those of all symbols, or of named ones, at the same time, from 0 to 1.

    Written as ``rank(roc(20))``: of this symbol's bars, among the same of all symbols of the study or the
    frame; or as ``rank(roc(20), SPY, IBM, BAC)``: among the same of the bars of each of those symbols.

    Parameters
    ----------
    source : float64 array (n,)
        Any series.
    *named : float64 arrays (n,)
        The same of each symbol; of all symbols this one is among them, of named ones it may be.

    Returns
    -------
    float64 array (n,)
        The share of the known ones that are below it, and half of those that are as it is. Of k symbols that
        differ, this one among them, the lowest has 0.5 / k and the highest 1 - 0.5 / k: pandas' average rank
        less one half, over k (Hazen's plotting position). A symbol that is alone among all has 0.5.

    Notes
    -----
    *Timing*: row t uses row t. Of all symbols those count that have the bar of the same start, and a value
    there; of each named symbol the newest bar that has ended when bar t has. NaN where the series is, and
    where none of those named is known; one that is not known does not count.
    """
    below, known = np.zeros(len(source)), np.zeros(len(source))
    for other in named:
        known += np.isfinite(other)
        below += np.where(other < source, 1.0, np.where(other == source, 0.5, 0.0))
    there = np.isfinite(source) & (known > 0.0)
    return np.where(there, below / np.where(known > 0.0, known, 1.0), np.nan)


def no_rows(*_numbers: float) -> int:
    """Return how many rows come before the first value: none."""
    return 0


NEGATED = "neg"
"""Name of the unary minus among `OPERATORS`."""

COMPARISONS = (">=", "<=", ">", "<", "==", "!=")
"""Signs that compare."""

_ARITHMETIC = {"+": _added, "-": _subtracted, "*": _multiplied, "/": divided}

_HOW = (np.greater_equal, np.less_equal, np.greater, np.less, np.equal, np.not_equal)

OPERATORS: dict[str, Indicator] = {
    **{
        sign: Indicator(sign, kernel, ("", ""), (), no_rows, constants=True)
        for sign, kernel in (
            *_ARITHMETIC.items(),
            *((sign, _compared(how)) for sign, how in zip(COMPARISONS, _HOW, strict=True)),
        )
    },
    NEGATED: Indicator(NEGATED, _negated, ("",), (), no_rows),
}
"""Arithmetic and comparison of series, row by row, as indicators that are written as signs. A row is NaN
where an operand is, and where what comes of it is not finite, as of a division by 0."""

FUNCTIONS = (
    Indicator("log", log, ("",), (), no_rows, origin="own"),
    Indicator("abs", absolute, ("",), (), no_rows, origin="own"),
    Indicator("clip", clip, ("", "", ""), (), no_rows, origin="own", constants=True),
    Indicator("where", where, ("", "", ""), (), no_rows, origin="own", constants=True),
)
"""Functions of series, row by row."""

RANK = "rank"

ACROSS = {
    RANK: Indicator(
        RANK, rank, ("",), (), no_rows, origin="own", written="rank(source) or rank(source, SPY, IBM)"
    )
}
"""Indicators that look across symbols, by name."""
