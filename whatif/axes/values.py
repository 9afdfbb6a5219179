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


def count_values(name: str, given: Any, ranges: bool) -> int:
    """Return how many values an axis has, without writing a range out.

    Raises
    ------
    ValueError
        If it is a range that is none, or of more than `MAX_POINTS`.
    """
    if ranges and isinstance(given, Mapping):
        return _range(name, given)[2]
    return len(given) if isinstance(given, (list, tuple)) else 1


def listed(name: str, given: Any, ranges: bool) -> list[Any]:
    """Return the values of an axis, a range written out.

    Raises
    ------
    ValueError
        If they are no list, or a number among them is not finite or beyond 64 bits.
    """
    if ranges and isinstance(given, Mapping):
        given = _written_out(name, given)
    if not isinstance(given, (list, tuple)):
        how = "a list of values, or {from, to, step}" if ranges else "a list of values"
        raise ValueError(f"axis {name} must be {how}; got {given!r}")
    if not given:
        raise ValueError(f"axis {name} is empty, so the grid is empty: give at least one value")
    for value in given:
        if _is_unusable(value):
            raise ValueError(f"axis {name} holds a number that is not finite or beyond 64 bits: give another")
    return list(given)


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
        raise ValueError(f"axis {name} must be a list of values, or {{from, to, step}}; got {_given(given)}")
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


def _given(values: Mapping[str, Any]) -> str:
    return shown(str(dict(values)))
