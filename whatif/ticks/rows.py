"""Trades and quotes taken from rows of tables: put in order, and by their conditions."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from whatif.errors import SourceError, nearest
from whatif.ticks.trades import Quotes, Trades
from whatif.typing import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    import pyarrow as pa

_SEPARATORS = re.compile(r"[,;|\s]+")
NONE = "none"
"""What stands for a trade without conditions, where conditions are named."""

TIES = (("seq",), ("source", "row"), ("row",), ("price", "size"), ("bid", "ask"))
"""Columns that put rows of one instant in order: the first of these that are there."""


def order_columns(names: Collection[str]) -> tuple[str, ...]:
    """Return the columns by which ticks of one symbol are in order: the instant, then their place in it.

    `seq` of the lake's tables, else source and row, else the values themselves: so that no run differs from
    another, whatever order rows come in.
    """
    return ("ts", *next((ties for ties in TIES if set(ties) <= set(names)), ()))


def conditions_of(named: Collection[str]) -> tuple[str, ...]:
    """Return conditions that are named; a text is one, not its letters."""
    return (named,) if isinstance(named, str) else tuple(named)


def trades_in(rows: pa.Table, only: Collection[str] = (), leave_out: Collection[str] = ()) -> Trades:
    """Return the trades of a table's rows of one symbol, in order.

    Parameters
    ----------
    rows : pa.Table
        Columns ts (timestamp, UTC), price and size, what of `TIES` orders rows of one instant, and conditions
        where they are asked for.
    only, leave_out : collection of str, or str
        Conditions: trades that have one of them, and that have none; "none" is a trade without any.

    Raises
    ------
    SourceError
        If a column is missing, a price or size is no finite number above 0, or a condition is in both lists.
    """
    _check(rows, ("ts", "price", "size", *(("conditions",) if only or leave_out else ())), "trades")
    only, leave_out = conditions_of(only), conditions_of(leave_out)
    both = sorted(set(only) & set(leave_out))
    if both:
        raise SourceError(f"condition {both[0]!r} is asked for and left out: name it in one of the lists")
    rows = _in_order(rows)
    if only or leave_out:
        keep = np.ones(rows.num_rows, dtype=bool)
        if only:
            keep &= _has_condition(rows, set(only))
        if leave_out:
            keep &= ~_has_condition(rows, set(leave_out))
        rows = rows.filter(keep)
    trades = Trades(_instants(rows), _numbers(rows, "price"), _numbers(rows, "size"))
    for name in ("price", "size"):
        values = getattr(trades, name)
        # of an unknown one, neither is true
        if len(values) and not (values.min() > 0.0 and values.max() < np.inf):
            wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0.0)))
            raise SourceError(
                f"the {name} of a trade is {values[wrong[0]]}: it is a finite number above 0; leave such "
                "trades out, as 'whatif ingest-ticks' does"
            )
    return trades


def quotes_in(rows: pa.Table) -> Quotes:
    """Return the quotes of a table's rows of one symbol, in order.

    Parameters
    ----------
    rows : pa.Table
        Columns ts (timestamp, UTC), bid and ask (null or 0 of a side that is not told), and what of `TIES`
        orders rows of one instant.

    Raises
    ------
    SourceError
        If a column is missing, or a price is infinite or below 0.
    """
    _check(rows, ("ts", "bid", "ask"), "quotes")
    rows = _in_order(rows)
    return Quotes(_instants(rows), _side(rows, "bid"), _side(rows, "ask"))


def _side(rows: pa.Table, name: str) -> FloatArray:
    """Return the prices of one side, NaN where it is not told."""
    values = _numbers(rows, name)
    wrong = np.flatnonzero((values < 0.0) | np.isinf(values))
    if len(wrong):
        raise SourceError(
            f"the {name} of a quote is {values[wrong[0]]}: it is a finite number, and not below 0; leave "
            "such quotes out, as 'whatif ingest-ticks' does"
        )
    return np.where(values == 0.0, np.nan, values)


def _check(rows: pa.Table, needed: Collection[str], what: str) -> None:
    for name in needed:
        if name not in rows.column_names:
            raise SourceError(f"{what} have no column {name!r}: {nearest(name, rows.column_names)}")


def _in_order(rows: pa.Table) -> pa.Table:
    keys = order_columns(rows.column_names)
    if _is_in_order(rows, keys):
        return rows
    return rows.sort_by([(name, "ascending") for name in keys])


def _is_in_order(rows: pa.Table, keys: Collection[str]) -> bool:
    """Tell whether rows ascend by the first column, and where it is the same by the next; False may err."""
    import pyarrow as pa

    tied: IntArray | None = None  # rows that the columns before did not tell from those before them
    for name in keys:
        column = rows[name]
        if name == "ts":
            values: np.ndarray = _instants(rows)
        elif pa.types.is_integer(column.type) and not column.null_count:
            values = column.to_numpy()
        else:
            return False
        before, after = (values[:-1], values[1:]) if tied is None else (values[tied - 1], values[tied])
        later = after > before
        if later.all():
            return True
        if (after < before).any():
            return False
        same = np.flatnonzero(~later)
        tied = same + 1 if tied is None else tied[same]
    return True


def _instants(rows: pa.Table) -> IntArray:
    import pyarrow as pa

    column = rows["ts"]
    if not pa.types.is_timestamp(column.type) or column.type.tz is None:
        raise SourceError(
            f"column ts is {column.type}, and has to be a timestamp with a time zone: give it one, as with "
            'tz_localize("America/New_York")'
        )
    if column.null_count:
        raise SourceError("a tick has no ts: leave such rows out")
    us = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
    return np.asarray(us.to_numpy(), dtype=np.int64)


def _numbers(rows: pa.Table, name: str) -> FloatArray:
    import pyarrow as pa

    try:
        return np.asarray(rows[name].cast(pa.float64()).to_numpy(), dtype=np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SourceError(f"column {name} is {rows[name].type}, and has to be numbers: {error}") from error


def check_conditions(texts: Collection[str | None], only: Collection[str]) -> None:
    """Refuse conditions of which trades, some at least, have none: bars of them would be no bars.

    Parameters
    ----------
    texts : collection of str or None
        What trades have as their conditions, each once at least.
    only : collection of str
        Conditions that are asked for.

    Raises
    ------
    SourceError
        Naming the nearest that they have.
    """
    known: set[str] = set()
    for text in texts:
        known |= _codes(text or "")
    if only and texts and not known & set(only):
        wrong = min(only)
        raise SourceError(f"no trade has the condition {wrong!r}: {nearest(wrong, known)}")


def _conditions(rows: pa.Table) -> pa.ChunkedArray:
    import pyarrow as pa

    return rows["conditions"].cast(pa.string()).fill_null("")


def _codes(text: str) -> set[str]:
    return set(_SEPARATORS.split(text.strip())) if text.strip() else {NONE}


def _has_condition(rows: pa.Table, codes: set[str]) -> BoolArray:
    """Tell which trades have one of some conditions, (n,)."""
    texts = _conditions(rows).combine_chunks().dictionary_encode()
    # a day has few different ones
    known = [bool(codes & _codes(text)) for text in texts.dictionary.to_pylist()]
    found: BoolArray = np.array(known, dtype=bool)[texts.indices.to_numpy()]
    return found
