"""Row filters of PyIceberg for bars and predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from whatif.domain import timeframe_names
from whatif.errors import LakeError, nearest

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression

    _Comparison = Callable[[str, object], BooleanExpression]

HOURS = ("regular", "extended")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def everything() -> BooleanExpression:
    """Return the filter that every row passes."""
    from pyiceberg.expressions import AlwaysTrue

    return AlwaysTrue()


def equal(column: str, value: str | int | float | bool) -> BooleanExpression:
    """Return the filter of rows whose `column` is `value`."""
    from pyiceberg.expressions import EqualTo

    return cast("_Comparison", EqualTo)(column, value)


def one_of(column: str, values: Sequence[str]) -> BooleanExpression:
    """Return the filter of rows whose `column` is one of `values`."""
    from pyiceberg.expressions import In

    return cast("_Comparison", In)(column, list(values))


def starts_with(column: str, text: str) -> BooleanExpression:
    """Return the filter of rows whose `column` begins with `text`."""
    from pyiceberg.expressions import StartsWith

    return cast("_Comparison", StartsWith)(column, text)


def at_most(column: str, value: float) -> BooleanExpression:
    """Return the filter of rows whose `column` is at most `value`; null is not."""
    from pyiceberg.expressions import LessThanOrEqual

    return cast("_Comparison", LessThanOrEqual)(column, value)


def within(column: str, start_us: int | None, end_us: int | None) -> BooleanExpression:
    """Return the filter of rows whose timestamp `column` is in [start_us, end_us), microseconds UTC."""
    from pyiceberg.expressions import GreaterThanOrEqual, LessThan

    terms = []
    if start_us is not None:
        terms.append(cast("_Comparison", GreaterThanOrEqual)(column, _iso(start_us)))
    if end_us is not None:
        terms.append(cast("_Comparison", LessThan)(column, _iso(end_us)))
    return all_of(*terms)


def all_of(*terms: BooleanExpression) -> BooleanExpression:
    """Return the filter of rows that pass every one of `terms`."""
    from pyiceberg.expressions import And

    combined = everything()
    for term in terms:
        combined = And(combined, term)
    return combined


def of_timeframe(timeframe: str) -> BooleanExpression:
    """Return the filter of bars of a length, under whatever name a lake holds it."""
    return one_of("timeframe", timeframe_names(timeframe))


def bars_filter(
    symbols: Sequence[str], timeframe: str, start_us: int | None, end_us: int | None, hours: str
) -> BooleanExpression:
    """Return the filter of bars of `symbols` whose ts lies in [start_us, end_us).

    `hours` is "regular", or "extended" for all bars.

    Raises
    ------
    LakeError
        If `hours` is neither.
    """
    if hours not in HOURS:
        raise LakeError(f"hours {hours!r} are unknown: {nearest(hours, HOURS)}")
    of_hours = equal("hours", "regular") if hours == "regular" else everything()
    return all_of(
        one_of("symbol", symbols), of_timeframe(timeframe), within("ts", start_us, end_us), of_hours
    )


def _iso(moment_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=int(moment_us))).isoformat(timespec="microseconds")
