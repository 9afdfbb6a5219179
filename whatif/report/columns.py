"""Texts of a report's columns: how numbers of metrics and values of axes are written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from whatif.domain import METRICS, Metric

MISSING = "–"
_MAX_WRITTEN_OUT = 1e15
"""Largest number whose digits are written; a larger one is, as a power of ten, 2.5e+28."""
_MINUS = "\N{MINUS SIGN}"
_MAX_ZEROS = 9


def metric(key: str) -> Metric:
    """Return how `key` is shown; an unknown key is shown as a plain ratio under its own name."""
    return METRICS.get(key) or Metric(key, key.replace("_", " "), "", "ratio", "", signed=True)


def format_metric(key: str, value: Any) -> str:
    """Write a metric's value without its unit, as every table of the report does.

    Returns
    -------
    str
        Thousands separated by commas, a true minus sign, "–" for what is missing or NaN, "∞" for infinity.
    """
    return format_number(value, metric(key).kind)


def format_number(value: Any, kind: str) -> str:
    """Write a number of the given kind; `report.js` holds the same rule for the browser."""
    number = _as_float(value)
    if math.isnan(number):
        return MISSING
    if kind == "flag":
        return "yes" if number else "no"
    scaled = number * 100 if kind == "fraction" else number
    if math.isinf(scaled):
        return "∞" if scaled > 0 else f"{_MINUS}∞"
    if abs(scaled) > _MAX_WRITTEN_OUT:
        return _power(scaled)
    return _digits(scaled, _decimals(abs(scaled), kind))


def _as_float(value: Any) -> float:
    if value is None:
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):  # pandas.NA, or text where a number should be
        return math.nan


def _decimals(size: float, kind: str) -> int:
    if kind == "count" or size >= 1000:
        return 0
    if kind == "fraction":
        return 1
    if size == 0 or size >= 0.01 or kind == "money":
        return 2
    return min(4, 1 - math.floor(math.log10(size)))  # two significant digits of what is small


def _digits(number: float, decimals: int) -> str:
    # Halves go away from zero, as JavaScript's toFixed does: the browser must write the same digits.
    exact = Decimal(number).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    text = f"{abs(exact):,f}"
    return f"{_MINUS}{text}" if exact < 0 else text


def _power(number: float) -> str:
    """Write what nobody counts the digits of, as an account that lost all and owes makes it: "2.5e+28"."""
    exact = Decimal(abs(number))
    power = exact.adjusted()
    tenths = int((exact.scaleb(1 - power)).to_integral_value(ROUND_HALF_UP))
    if tenths == 100:
        tenths, power = 10, power + 1
    return f"{_MINUS if number < 0 else ''}{tenths // 10}.{tenths % 10}e+{power}"


def axis_label(value: Any) -> str:
    """Write one value of an axis: short, and different for different values.

    A mapping becomes "target=0.0005, stop=0.0001".
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={axis_label(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(axis_label(item) for item in value)
    if isinstance(value, float):
        return MISSING if math.isnan(value) else _plain(f"{value:.12g}")
    return MISSING if value is None else str(value)


def _plain(text: str) -> str:
    """Write a small number without an exponent: "0.00005", not "5e-05"."""
    short = "e-" in text and int(text.rpartition("e-")[2]) <= _MAX_ZEROS
    return f"{Decimal(text):f}" if short else text


def axis_key(value: Any) -> Any:
    """Return what an axis value sorts and stores as: numbers stay numbers, the rest becomes text.

    A missing one, such as an overlay that is off, is None, and so equal to the next missing one.
    """
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, sort_keys=False, default=str)
    if isinstance(value, float) and math.isnan(value):
        return None
    return value
