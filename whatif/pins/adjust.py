"""Adjustment of prices and volumes for splits and dividends, as pinned actions give them.

Backward, as is usual: bars of the last session stay as they are, and earlier prices are multiplied by
1 / ratio of each later split, and with `all` by 1 - dividend / close of each later dividend, the close being
the last one before the ex-date. Volumes are divided by the factors of splits alone. Source of the formulas:
CRSP's and Lean's factor files, whose products these are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np

from whatif.calendars import EPOCH
from whatif.domain import Bars
from whatif.errors import LakeError
from whatif.typing import FloatArray, IntArray

SPLIT, DIVIDEND = "split", "dividend"
ACTIONS = "actions"
"""Name of the table of corporate actions."""

ADJUSTED_PRICES = ("open", "high", "low", "close", "vwap")


@dataclass(frozen=True, eq=False)
class Scale:
    """By what a symbol's bars are multiplied, before each of its actions.

    Attributes
    ----------
    ex_date : int64 array (k,)
        First sessions that are not adjusted, days since 1970-01-01, ascending.
    price, split : float64 array (k + 1,)
        Products of the factors of all actions from each one on, and of its splits; the last is 1.
    """

    ex_date: IntArray
    price: FloatArray
    split: FloatArray

    def at(self, session: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the factors of prices, and those of splits, of bars of sessions, (n,) days since 1970."""
        place = np.searchsorted(self.ex_date, session, side="right")
        return self.price[place], self.split[place]

    def bars(self, bars: Bars) -> Bars:
        """Return bars with prices and volumes adjusted."""
        price, split = self.at(bars.session)
        values = {name: getattr(bars, name) * price for name in ADJUSTED_PRICES}
        return replace(bars, **values, volume=bars.volume / split)


def make_scale(
    symbol: str, actions: Sequence[Mapping[str, Any]], mode: str, close_before: Callable[[int], float | None]
) -> Scale:
    """Return the scale of one symbol.

    Parameters
    ----------
    symbol : str
        Its name.
    actions : sequence of mapping
        `ex_date` (days since 1970-01-01), `kind`, `value` (new shares for one, or cash a share) and `factor`
        (NaN or None where unknown) of each.
    mode : str
        "splits" or "all".
    close_before : callable
        Day → close of the last bar before it, as traded; None if there is none. Asked for dividends without
        a factor.

    Raises
    ------
    LakeError
        If a dividend is as large as the close before it, so that no factor adjusts for it.
    """
    steps: list[tuple[int, float, float]] = []
    for action in sorted(actions, key=lambda action: (action["ex_date"], action["kind"])):
        day, value, factor = int(action["ex_date"]), float(action["value"]), action["factor"]
        if action["kind"] == SPLIT:
            steps.append((day, 1.0 / value, 1.0 / value))
        elif mode == "all":
            if factor is None or not np.isfinite(factor):
                close = close_before(day)
                if close is not None and not close > value:
                    on = EPOCH + timedelta(days=day)
                    raise LakeError(
                        f"{symbol}: the dividend of {value:g} a share on {on} is not "
                        f"below the close before it, {close:g}, so that no factor adjusts for it: correct it "
                        "by whatif ingest-actions, or adjust for splits alone"
                    )
                factor = 1.0 if close is None else 1.0 - value / close
            steps.append((day, float(factor), 1.0))
    days = np.array([day for day, _, _ in steps], dtype=np.int64)
    price = np.append(np.cumprod([p for _, p, _ in steps][::-1])[::-1], 1.0)
    split = np.append(np.cumprod([s for _, _, s in steps][::-1])[::-1], 1.0)
    return Scale(days, price, split)
