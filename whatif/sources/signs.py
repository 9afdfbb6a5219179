"""Signs in the numbers of a file: which is the decimal sign, and what stands between thousands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from whatif.sources.numbers import COMMAS, QUOTE

_GROUPS = r"[+-]?\d{1,3}(?:%s\d{3})+"
_COMMAS = rf"[+-]?{COMMAS}"
_UNIT = re.compile(r"^([+-]?)[$€£¥₹] ?|(?<=\d) ?[KMBkmb]$")


def with_units(values: Iterable[str]) -> bool:
    """Tell whether numbers carry a currency's sign, or K, M, B behind them."""
    return any(_UNIT.search(value.strip()) for value in values)


def signs_of(prices: Sequence[str], volumes: Sequence[str]) -> tuple[str | None, str | None]:
    """Return the decimal sign and what stands between thousands, as far as values show them beyond doubt.

    A value with both shows which is which, and so does one that no groups of three digits give: `951,64`,
    `1,234,567`. Of `1,234` alone nothing is said.

    Parameters
    ----------
    prices, volumes : sequence of str
        As a file has them.
    """
    cleaned = [_UNIT.sub(r"\1", text.strip().replace(QUOTE, "'")) for text in (*prices, *volumes)]
    numbers = [text for text in cleaned if text]
    of_prices = numbers[: sum(1 for text in prices if text.strip())]
    whole = "\n".join(numbers)
    if not re.search(r"[,' _\u00a0]|\.\d*\.", whole):  # points, and no groups
        return None, None
    for decimal, group in ((".", ","), (",", ".")):
        groups = _COMMAS if group == "," else _GROUPS % re.escape(group)
        if any(re.fullmatch(groups + re.escape(decimal) + r"\d+", t) for t in numbers):
            return decimal, group
    for group in ("'", " ", "\u00a0", "_"):
        if any(re.fullmatch(_GROUPS % re.escape(group) + r"(?:[.,]\d+)?", text) for text in numbers):
            decimal = "," if any("," in text for text in numbers) else "."
            return decimal, " " if group == "\u00a0" else group
    commas = [text for text in numbers if "," in text]
    dots = [text for text in of_prices if "." in text]
    if commas and any(not re.fullmatch(_COMMAS, text) for text in commas):
        return (",", None) if not dots and not any(text.count(",") > 1 for text in commas) else (None, None)
    if commas and (any(text.count(",") > 1 for text in commas) or _are_points(dots)):
        return ".", ","
    several = [text for text in numbers if text.count(".") > 1]
    if several and not dots and all(re.fullmatch(_GROUPS % r"\.", text) for text in several):
        return ",", "."
    return None, None


def _are_points(dots: Sequence[str]) -> bool:
    """Tell whether dots are decimal signs: groups of three digits do not give some of the values."""
    return any(not re.fullmatch(_GROUPS % r"\.", text) for text in dots)
