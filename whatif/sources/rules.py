"""Rules for rows of bars; a row that breaks one goes to quarantine under the rule's name.

The order is that in which rules are tried: a row is refused under the first it breaks.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from whatif.typing import BoolArray, FloatArray, IntArray

NOISE = 1e-12
"""Share of a price that rounding may move it by, as when prices are adjusted for splits and dividends."""

MENDED = 1e-9
"""Share of a price by which open or close may lie outside low and high for those to be widened: what is left
of prices that were adjusted in single precision, or rounded one by one."""

RULES: dict[str, str] = {
    "wrong_field_count": "the row has as many fields as the header has names",
    "missing_symbol": "the row names its symbol, in characters that are seen, 100 at most",
    "unparsable_time": "the stamp is a time in the stated format, with a time zone if none is stated",
    "implausible_date": "the stamp's year is one of bars: from 1850 to the next year",
    "ambiguous_time": "the local stamp occurs once; it does not when clocks are set back",
    "nonexistent_time": "the local stamp exists; it does not when clocks are set forward",
    "unfinished": "the bar had ended when its file was written, and none of its columns says that it goes on",
    "unparsable_number": "every price, the volume and vwap are numbers, and the trade count is a whole one",
    "missing_price": "open, high, low and close are there",
    "not_finite": "no price and no volume is infinite",
    "non_positive_price": "every price is above zero",
    "missing_volume": "the volume is there",
    "negative_volume": "the volume is not below zero",
    "high_below_low": "the high is not below the low",
    "price_outside_range": "open and close lie within low and high",
    "outside_calendar": "the exchange's calendar knows the bar's date",
    "no_session": "the exchange has a session on the bar's date, which is no weekend and no holiday",
    "off_grid": "a bar begins on its timeframe's grid, and a day with its session",
    "overlap": "a bar begins when the one before it has ended",
    "duplicate": "within a delivery a bar occurs once; the last file stays, and in a file the first row",
}


def broken_price_rules(prices: dict[str, FloatArray], volume: FloatArray) -> dict[str, BoolArray]:
    """Return for each rule on numbers which rows break it.

    Parameters
    ----------
    prices : dict of float64 array (n,)
        `open`, `high`, `low`, `close`; NaN where missing.
    volume : float64 array (n,)
        Units traded; NaN where missing.
    """
    four = np.vstack([prices[name] for name in ("open", "high", "low", "close")])
    low, high = prices["low"], prices["high"]
    with np.errstate(invalid="ignore"):  # of infinities
        slack = NOISE * np.abs(high)
        lowest, highest = low - slack, high + slack
    outside = [(prices[name] < lowest) | (prices[name] > highest) for name in ("open", "close")]
    return {
        "missing_price": _any_row(np.isnan(four)),
        "not_finite": _any_row(np.isinf(four)) | np.isinf(volume),
        "non_positive_price": _any_row(four <= 0),
        "missing_volume": np.isnan(volume),
        "negative_volume": volume < 0,
        "high_below_low": high < lowest,
        "price_outside_range": outside[0] | outside[1],
    }


def mend_range(prices: dict[str, FloatArray]) -> int:
    """Widen lows and highs, in place, to opens and closes outside them by noise; return how many rows it was.

    Parameters
    ----------
    prices : dict of float64 array (n,)
        `open`, `high`, `low`, `close`; NaN where missing.
    """
    low, high = prices["low"], prices["high"]
    inner = np.fmin(prices["open"], prices["close"]), np.fmax(prices["open"], prices["close"])
    with np.errstate(invalid="ignore"):
        slack = np.abs(high)
        below = (inner[0] < low - NOISE * slack) & (inner[0] >= low - MENDED * slack) & (high >= low)
        above = (inner[1] > high + NOISE * slack) & (inner[1] <= high + MENDED * slack) & (high >= low)
    prices["low"] = np.where(below, inner[0], low)
    prices["high"] = np.where(above, inner[1], high)
    return int((below | above).sum())


_NOT_YET = frozenset({"false", "f", "no", "n", "0", "0.0"})
_ENDED = frozenset({"true", "t", "yes", "y", "1", "1.0"})


def are_unfinished(
    flags: Iterable[object] | None, starts: IntArray, ends: IntArray, known: BoolArray, written_us: int | None
) -> BoolArray:
    """Tell which bars go on: their provider says so, or they had begun and not ended when they were written.

    Parameters
    ----------
    flags : iterable of object (n,) or None
        Whether each is complete, as its file says it: true or 1, false or 0. What is neither says nothing.
    starts, ends : int64 array (n,)
        When bars begin and end, microseconds UTC.
    known : bool array (n,)
        Bars whose times are known.
    written_us : int or None
        When their file was written. It says nothing where a bar begins later, as in a copy of another age.
    """
    found, ended = np.zeros(len(starts), dtype=bool), np.zeros(len(starts), dtype=bool)
    if flags is not None:
        said = [str(flag).strip().lower() for flag in flags]
        found = np.array([flag in _NOT_YET for flag in said], dtype=bool)
        ended = np.array([flag in _ENDED for flag in said], dtype=bool)
    if written_us is not None and known.any() and starts[known].max() <= written_us:
        found = found | (known & (ends > written_us) & ~ended)
    return found


def _any_row(table: BoolArray) -> BoolArray:
    """Return for each column of a (4, n) table whether any of its four values holds."""
    result: BoolArray = np.logical_or.reduce(table, axis=0)
    return result
