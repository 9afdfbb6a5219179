"""What `asking` takes from a strategy; a kernel's module has that strategy's own instead.

This one holds an empty strategy, so that `asking` is a module like any other.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from whatif.engines.language.order_answers import DESK
from whatif.strategies import ACROSS_FIELDS, STATE_FIELDS, hold
from whatif.typing import FloatArray, IntArray

AHEAD = False
"""Whether the step may be asked ahead of its turn: it keeps nothing, and answers with pairs."""

OVERLAID = False
"""Whether a layer of overlays lies between the step and the broker."""

ORDERS = False
"""Whether the step answers with an `Order`, and not with a pair."""


SHARED = False
"""Whether the account is one of several symbols, whose value the loop knows."""

# mypy would have the fields written here once more
_make: Any = namedtuple
State = _make("State", (*STATE_FIELDS, DESK))
"""What a step sees, see `whatif.strategies.State`, and what its orders are written to."""


AcrossSeen = _make("AcrossState", ACROSS_FIELDS)
"""What a cross-sectional step sees, see `whatif.strategies.AcrossState`."""


def desk_of(places: IntArray, count: int) -> Any:
    """Return what else a cross-sectional step's state holds: the desk of one that answers with orders."""
    return ()


def across_of(series_at: int, rows_at: int, has_bar_at: int, count: int) -> Any:
    """Return what such a step reads of `count` symbols, by where addresses of values, rows and flags lie."""
    return ()


def state_of(own: Any, desk: FloatArray, x: Any, row: int, opened_row: int, places: IntArray) -> Any:
    """Return a `State` of its `own` fields and a desk, with what the step reads beyond them."""
    return State(*own, desk)


def arrays_of(series: tuple[FloatArray, ...]) -> Any:
    """Return the series, a tuple of float64 arrays (n,), by the names under which the step reads them."""
    return series


def seen_of(series: tuple[FloatArray, ...], row: int) -> Any:
    """Return the series, a tuple of float64 arrays (n,), as the step sees them on a bar: nothing after it."""
    return series


def series_of(series_at: int, count: int) -> Any:
    """Return the series of a configuration, `count` values each, by where their addresses (s,) lie."""
    return ()


def params_of(columns_at: int, run: int) -> Any:
    """Return a configuration's parameters by their names, from the addresses of columns, (p,)."""
    return ()


def step(i: int, x: Any, p: Any, s: Any) -> Any:
    """Do nothing."""
    return hold()
