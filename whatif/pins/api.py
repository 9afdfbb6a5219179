"""`whatif.read_bars`: bars as a pandas frame."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from whatif.calendars import canonical_exchange
from whatif.domain import canonical_timeframe, instant_us
from whatif.errors import LakeError, nearest
from whatif.pins.adjust import ADJUSTED_PRICES
from whatif.pins.current import (
    DELIVERY_ID,
    adjusted_pin,
    current_pin,
    has_rows,
    open_table,
    renamed_pin,
)
from whatif.pins.filters import bars_filter, of_timeframe, one_of
from whatif.pins.location import LakeLocation
from whatif.pins.metadata import time_of_ms
from whatif.pins.pin import Pin
from whatif.pins.read import latest_rows, microseconds, read_arrow, read_symbols, scales_of, symbol_names
from whatif.pins.renames import Names

COLUMNS = (
    "symbol", "ts", "timeframe", "session", "session_open", "session_close", "hours",
    "open", "high", "low", "close", "volume", "vwap", "trade_count", "vwap_estimated", "exchange",
)  # fmt: skip

Moment = str | date | datetime | pd.Timestamp


def read_bars(
    symbols: str | Sequence[str],
    start: Moment | None = None,
    end: Moment | None = None,
    as_of: Moment | Pin | None = None,
    timeframe: str = "1min",
    session: str = "regular",
    location: LakeLocation | None = None,
    adjust: str = "none",
    renames: str = "none",
) -> pd.DataFrame:
    """Return bars from the lake as a frame, ordered by symbol and ts. Starts no JVM.

    Parameters
    ----------
    symbols : str or sequence of str
        Symbols to read.
    start, end : str, date or datetime, optional
        Half-open range of the bars' starts; UTC where no time zone is given.
    as_of : str, date, datetime or Pin, optional
        Read the lake as it stood then; now if left out. UTC where no time zone is given. Where snapshots of
        deliveries that came by then have expired, what stood before them is read, with a RuntimeWarning.
    timeframe : str
        Length of a bar, such as "1min" or "1d".
    session : str
        "regular" for the exchange's regular hours, "extended" for all bars.
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.
    adjust : str
        "none" for prices as traded, "splits", or "all" for splits and dividends, by the newest actions of
        the lake; a Pin's own adjustment stands.
    renames : str
        "none" for bars by their names alone, or "follow" for those of former names too, under the symbol
        asked for, by the names that the lake knew `as_of`; what a Pin says itself stands.

    Returns
    -------
    DataFrame
        Columns `symbol, ts, timeframe, session, session_open, session_close, hours, open, high,
        low, close, volume, vwap, trade_count, vwap_estimated, exchange`; times tz-aware UTC,
        `session` a naive midnight.

    Raises
    ------
    LakeError
        If a symbol is not in the lake (the nearest one that is, is named) or but the former name of another,
        or there are no actions or names.
    """
    wanted = [symbols] if isinstance(symbols, str) else list(symbols)
    pin = as_of if isinstance(as_of, Pin) else _pin_at(as_of, location)
    if adjust != "none":
        pin = adjusted_pin(location or LakeLocation.from_environment(), pin, adjust)
    if renames != "none":
        known = None if as_of is None or isinstance(as_of, Pin) else _instant(as_of)
        pin = renamed_pin(location or LakeLocation.from_environment(), pin, renames, as_of=known)
    names = symbol_names(pin, wanted)
    row_filter = bars_filter(names.tickers, timeframe, moment_us(start), moment_us(end), session)
    table = _ordered(read_symbols(pin, COLUMNS, row_filter, names))
    if _has_twice(table):  # one length under two names
        table = names.put_on(read_arrow(pin, (*COLUMNS, "ingested_at"), row_filter))
        table = table.select(COLUMNS).take(latest_rows(table))
    found = set(pc.unique(table["symbol"]).to_pylist())
    if not found.issuperset(wanted):
        _check_symbols(pin, [s for s in wanted if s not in found], timeframe, names)
    midnights = table["session"].cast(pa.timestamp("s"))
    table = table.set_column(table.column_names.index("session"), "session", midnights)
    frame: pd.DataFrame = _plain(table).to_pandas()
    frame["timeframe"] = canonical_timeframe(timeframe)
    if pin.adjustment is not None:
        frame = adjusted_frame(pin, frame, timeframe, session)
    exchanges = {name: canonical_exchange(name) for name in pc.unique(table["exchange"]).to_pylist()}
    if any(name != known for name, known in exchanges.items()):
        frame["exchange"] = frame["exchange"].map(exchanges)
    return frame


def older_state(location: LakeLocation, bars: Pin, until: datetime) -> str:
    """Return what to say where a moment's bars are read as they stood before it; "" where they are not.

    They are if deliveries came between the pinned snapshot and the moment, whose own snapshots have expired.

    Parameters
    ----------
    location : LakeLocation
        Where the lake is.
    bars : Pin
        Of bars, of that moment.
    until : datetime
        The moment, tz-aware.
    """
    pinned = open_table(location, bars.table).snapshot_by_id(bars.snapshot_id)
    if pinned is None or not has_rows(location, _DELIVERIES):
        return ""
    changed = ("landed", "corrected", "removed")
    rows = read_arrow(current_pin(location, _DELIVERIES), ["delivery", *changed]).to_pylist()
    since = time_of_ms(pinned.timestamp_ms)
    gone = sorted(
        row["delivery"]
        for row in rows
        if any(row[name] for name in changed)
        and since < datetime.strptime(row["delivery"], DELIVERY_ID).replace(tzinfo=UTC) <= until
    )
    if not gone:
        return ""
    count = "1 delivery" if len(gone) == 1 else f"{len(gone):,} deliveries"
    which = gone[0] if len(gone) == 1 else f"{gone[0]} to {gone[-1]}"
    return (
        f"as_of {until.isoformat()} reads bars as they stood before {count} that came by then, {which}: "
        "their snapshots have expired (of older days and months the last one is kept); name a moment before "
        "them, or a tag, to read what was there"
    )


_DELIVERIES = "deliveries"


def adjusted_frame(pin: Pin, frame: pd.DataFrame, timeframe: str, hours: str = "regular") -> pd.DataFrame:
    """Return bars with prices and volumes adjusted as a pin says.

    Parameters
    ----------
    pin : Pin
        Of the bars, with an adjustment.
    frame : DataFrame (n rows)
        `symbol`, `session`, prices and `volume`, as traded.
    timeframe, hours : str
        Of the bars.
    """
    frame = frame.copy()
    scales = scales_of(pin, list(dict.fromkeys(frame["symbol"])), timeframe, hours)
    days = pd.to_datetime(frame["session"]).to_numpy().astype("datetime64[D]").astype("int64")
    price, split = np.ones(len(frame)), np.ones(len(frame))
    for symbol, scale in scales.items():
        rows = (frame["symbol"] == symbol).to_numpy()
        price[rows], split[rows] = scale.at(days[rows])
    for name in ADJUSTED_PRICES:
        frame[name] = frame[name] * price
    frame["volume"] = frame["volume"] / split
    return frame


def _plain(table: pa.Table) -> pa.Table:
    """Return a table whose texts are no dictionaries."""
    for at, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(at, field.name, table.column(at).cast(field.type.value_type))
    return table


def _ordered(table: pa.Table) -> pa.Table:
    """Return bars in the order of symbol and ts; most come in it."""
    if _in_order(table):
        return table
    table = _plain(table)
    order = [("symbol", "ascending"), ("ts", "ascending")]
    return table.take(pc.sort_indices(table, sort_keys=order))


def _in_order(table: pa.Table) -> bool:
    ts = microseconds(table["ts"])
    if len(pc.unique(table["symbol"])) > 1:
        return False
    return bool((ts[1:] >= ts[:-1]).all())


def _has_twice(table: pa.Table) -> bool:
    """Tell whether ordered bars have a symbol and ts twice."""
    ts = microseconds(table["ts"])
    same = ts[1:] == ts[:-1]
    if not same.any():
        return False
    symbol = _plain(table.select(["symbol"]))["symbol"].combine_chunks()
    return bool((same & pc.equal(symbol[1:], symbol[:-1]).to_numpy(zero_copy_only=False)).any())


def _pin_at(as_of: Moment | None, location: LakeLocation | None) -> Pin:
    moment = None if as_of is None else _instant(as_of)
    location = location or LakeLocation.from_environment()
    pin = current_pin(location, "bars", moment)
    if moment is not None and (told := older_state(location, pin, moment)):
        warnings.warn(told, RuntimeWarning, stacklevel=3)
    return pin


def _instant(moment: Moment) -> datetime:
    return _timestamp(moment).to_pydatetime(warn=False)


def _check_symbols(pin: Pin, absent: Sequence[str], timeframe: str, names: Names) -> None:
    """Raise for symbols that have no bars at all; a range without bars is no error."""
    known = set(read_arrow(pin, ["symbol"], of_timeframe(timeframe))["symbol"].unique().to_pylist())
    for symbol in absent:
        if known.isdisjoint(names.tickers_of(symbol)):
            lengths = read_arrow(pin, ["timeframe"], one_of("symbol", sorted(names.tickers_of(symbol))))
            others = sorted({canonical_timeframe(name) for name in lengths["timeframe"].unique().to_pylist()})
            hint = nearest(symbol, known) if known else "ingest some first (whatif ingest)"
            hint = f"it has {', '.join(others)}: give timeframe={others[0]!r}" if others else hint
            raise LakeError(f"symbol {symbol!r} has no {timeframe} bars in the lake: {hint}")


def moment_us(moment: Moment | None) -> int | None:
    """Return a moment as microseconds since 1970-01-01 UTC, UTC where it names no zone; None for None.

    Raises
    ------
    LakeError
        If a text is no moment.
    """
    return None if moment is None else instant_us(_timestamp(moment))


def _timestamp(moment: Moment) -> pd.Timestamp:
    try:
        stamp = pd.Timestamp(moment)
    except ValueError as error:
        raise LakeError(f"{moment!r} is not a time: write one such as 2013-10-04T13:30:00+00:00") from error
    return stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
