"""Values of an axis as they are written: lists, and ranges of numbers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from math import isfinite
from typing import Any

from whatif.texts import shown

MAX_POINTS = 500_000
"""Points of a grid that a driver holds, and so values of an axis; they are counted before any is made."""

DIGITS = 6
"""Significant digits of the numbers of a logarithmic range."""


def count_values(name: str, given: Any, ranges: bool) -> int:
    """Return how many values an axis has, without writing a range out.

    Raises
    ------
    ValueError
        If it is a range that is none, or of more than `MAX_POINTS`.
    """
    if ranges and isinstance(given, Mapping):
        return _log_range(name, given)[2] if "log" in given else _range(name, given)[2]
    return len(given) if isinstance(given, (list, tuple)) else 1


def listed(name: str, given: Any, ranges: bool) -> list[Any]:
    """Return the values of an axis, a range written out.

    Raises
    ------
    ValueError
        If they are no list, or a number among them is not finite or beyond 64 bits.
    """
    if ranges and isinstance(given, Mapping):
        given = _on_a_log_scale(name, given) if "log" in given else _written_out(name, given)
    if not isinstance(given, (list, tuple)):
        how = "a list of values, {from, to, step} or {from, to, log}" if ranges else "a list of values"
        raise ValueError(f"axis {name} must be {how}; got {given!r}")
    if not given:
        raise ValueError(f"axis {name} is empty, so the grid is empty: give at least one value")
    for value in given:
        if _is_unusable(value):
            raise ValueError(f"axis {name} holds a number that is not finite or beyond 64 bits: give another")
    return list(given)


def values_counted(name: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of an axis' section with the values 0 to n in place of `n`.

    Raises
    ------
    ValueError
        If `n` counts nothing, or stands beside `values`.
    """
    n = keys["n"]
    if "values" in keys:
        raise ValueError(f"axis {name} has both n and values: keep one of them")
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n < MAX_POINTS:
        raise ValueError(f"axis {name}: n = {n!r} must be a whole number from 1 to {MAX_POINTS - 1:,}")
    return {**{key: one for key, one in keys.items() if key != "n"}, "values": list(range(n + 1))}


def check_distinct(name: str, values: Iterable[Any]) -> None:
    """Refuse a value that stands twice.

    Raises
    ------
    ValueError
        Naming it.
    """
    twice = [text for text, count in Counter(text_of(value) for value in values).items() if count > 1]
    if twice:
        raise ValueError(f"axis {name} names the value {twice[0]} twice; name each value once")


def text_of(value: Any) -> str:
    """Return a text that is equal for equal values of the same type."""
    try:
        return json.dumps(value, sort_keys=True, default=repr)
    except TypeError:  # keys that cannot be sorted, such as 1 beside a word
        return repr(value)


def count_text(number: int) -> str:
    """Return a number of values, in powers of ten if it is beyond what one reads."""
    return f"{number:,}" if number < 10**15 else f"about 1e{len(str(number)) - 1}"


def _is_unusable(value: Any) -> bool:
    """Whether a value, or one inside of it, is a number that neither a strategy nor a table can hold."""
    if isinstance(value, Mapping):
        return any(_is_unusable(one) for one in value.values())
    if isinstance(value, (list, tuple)):
        return any(_is_unusable(one) for one in value)
    if isinstance(value, float):
        return not isfinite(value)
    return isinstance(value, int) and not -(2**63) <= value < 2**63


def _range(name: str, given: Mapping[str, Any]) -> tuple[Decimal, Decimal, int]:
    """Return where a range begins, its step, and how many values it has."""
    if set(given) - {"from", "to", "step"} or not {"from", "to"} <= set(given):
        how = "a list of values, {from, to, step} or {from, to, log}"
        raise ValueError(f"axis {name} must be {how}; got {_given(given)}")
    first, last, step = given["from"], given["to"], given.get("step", 1)
    numbers = [first, last, step]
    if any(isinstance(v, bool) or not isinstance(v, (int, float)) or _is_unusable(v) for v in numbers):
        raise ValueError(f"axis {name}: from, to and step must be numbers; got {_given(given)}")
    if step <= 0 or last < first:
        raise ValueError(f"axis {name}: step must be above 0, and to not below from; got {_given(given)}")
    # in decimals, as they are written: 0.1 + 2 * 0.1 is 0.3
    begin, stride = Decimal(str(first)), Decimal(str(step))
    count = int((Decimal(str(last)) - begin) / stride) + 1
    if count > MAX_POINTS:
        raise ValueError(
            f"axis {name} has {count_text(count)} values, more than {MAX_POINTS:,}: take a longer step"
        )
    return begin, stride, count


def _written_out(name: str, given: Mapping[str, Any]) -> list[int | float]:
    begin, stride, count = _range(name, given)
    kind = int if isinstance(given["from"], int) and isinstance(given.get("step", 1), int) else float
    return [kind(begin + k * stride) for k in range(count)]


def _log_range(name: str, given: Mapping[str, Any]) -> tuple[float, float, int]:
    """Return where a logarithmic range begins and ends, and how many values it has at most."""
    if set(given) != {"from", "to", "log"}:
        raise ValueError(f"axis {name}: a logarithmic range is {{from, to, log}}; got {_given(given)}")
    first, last, count = given["from"], given["to"], given["log"]
    if any(isinstance(v, bool) or not isinstance(v, (int, float)) or _is_unusable(v) for v in (first, last)):
        raise ValueError(f"axis {name}: from and to must be numbers; got {_given(given)}")
    if isinstance(count, bool) or not isinstance(count, int) or not 2 <= count <= MAX_POINTS:
        raise ValueError(
            f"axis {name}: log says how many values there are, a whole number from 2 to {MAX_POINTS:,}; "
            f"got {_given(given)}"
        )
    if not 0 < first < last:
        raise ValueError(f"axis {name}: from must be above 0, and to above from; got {_given(given)}")
    return float(first), float(last), count


def _on_a_log_scale(name: str, given: Mapping[str, Any]) -> list[int | float]:
    """Return numbers of equal ratio, rounded to `DIGITS`, each once; whole ones if the ends are."""
    first, last, count = _log_range(name, given)
    whole = isinstance(given["from"], int) and isinstance(given["to"], int)
    exact = [first * (last / first) ** (k / (count - 1)) for k in range(count)]
    inner: list[int | float] = [round(one) if whole else float(f"{one:.{DIGITS}g}") for one in exact[1:-1]]
    return list(dict.fromkeys([given["from"], *inner, given["to"]]))


def _given(values: Mapping[str, Any]) -> str:
    return shown(str(dict(values)))


def setting_text(name: str, value: Any, commission_type: str = "perc") -> str:
    """Write a setting of the execution for a reader: costs that are fractions in percent, "0.005 %".

    Parameters
    ----------
    name : str
        The setting, such as "commission".
    value : scalar
        What it is.
    commission_type : str
        The settings' `commtype`: of "fixed", a commission is money for each unit, and written as it is.
    """
    fractions = ("commission", "slippage") if commission_type == "perc" else ("slippage",)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{_percent(value)} %" if name in fractions and is_number else str(value)


def _percent(fraction: Any) -> str:
    """Write a fraction in percent, exactly, without an exponent and zeros at the end: 0.005 of 5e-05."""
    text = f"{Decimal(str(fraction)) * 100:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"
