"""Holdings of bars by symbol and timeframe: the table of `whatif bars`. Starts no JVM."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from whatif.calendars import EPOCH, canonical_exchange, schedule
from whatif.domain import DAY_US, timeframe_us
from whatif.errors import LakeError, nearest
from whatif.lake.catalogue import TEXTS, About, catalogue, files_by_symbol
from whatif.pins import (
    ACTIONS,
    DIVIDEND,
    SPLIT,
    LakeLocation,
    Pin,
    all_of,
    batches,
    current_pin,
    everything,
    has_rows,
    of_timeframe,
    one_of,
    read_arrow,
    within,
)
from whatif.texts import shown

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression

COLUMNS = (
    "symbol", "timeframe", "exchange", "first", "last",
    "sessions", "bars", "extended_bars", "missing_minutes", "refused",
    "last_delivery", "splits", "dividends", "description", "owner", "asset_class", "licence", "tags",
)  # fmt: skip

_GROUP = ("symbol", "timeframe", "exchange", "session", "hours")
_READ = (*_GROUP, "ts", "ingested_at")
_COMPACT_ROWS = 1_000_000


def list_bars(
    location: LakeLocation | None = None,
    pin: Pin | None = None,
    symbols: Sequence[str] = (),
    timeframe: str | None = None,
    tag: str | None = None,
) -> pd.DataFrame:
    """Return one row for each symbol, timeframe and exchange in the lake.

    Parameters
    ----------
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.
    pin : Pin, optional
        A pin of `bars`; its current snapshot if left out.
    symbols : str or sequence of str
        Only these; all if empty.
    timeframe : str, optional
        Only bars of this length, under whatever name; of every one if left out.
    tag : str, optional
        Only symbols of which this tag or asset class is said.

    Returns
    -------
    DataFrame
        `symbol`, `timeframe`, `exchange`; `first` and `last`, starts of bars, tz-aware UTC;
        `sessions` that have a bar; `bars`, all of them; `extended_bars`, those outside regular
        hours; `missing_minutes`, the bars of the timeframe that the calendar has room for in
        regular hours, from the first to the last session, and the lake does not hold; `refused`, rows of
        that symbol and timeframe in quarantine now; `last_delivery`, when the newest of the bars was
        ingested, tz-aware UTC; `splits` and `dividends` that are known of the symbol now; `description`,
        `owner`, `asset_class`, `licence` and `tags` (with commas between them) as `describe` was told, ""
        where it was not.

    Raises
    ------
    LakeError
        If the lake holds no bars, or none of what is asked for; the nearest symbol, or tag, is named.
    """
    location = location or LakeLocation.from_environment()
    symbols = (symbols,) if isinstance(symbols, str) else symbols
    of_bars = pin or current_pin(location, "bars")
    sessions = _by_session(of_bars, asked_for(symbols, timeframe)).to_pandas()
    check_held(of_bars, symbols, timeframe, set(sessions["symbol"]))
    sessions["exchange"] = sessions["exchange"].map(canonical_exchange)
    refused, actions = refused_rows(location), _actions(location)
    about = _abouts(location, of_bars, sorted(set(sessions["symbol"])))
    if tag is not None:
        sessions = sessions[[about[symbol].has(tag) for symbol in sessions["symbol"]]]
        if sessions.empty:
            known = sorted({one for said in about.values() for one in (*said.tags, said.asset_class) if one})
            hint = nearest(tag, known) if known else "'whatif describe SYMBOL --tag TAG' says one"
            raise LakeError(f"no bars have the tag {shown(tag)}: {hint}")
    keys = ["symbol", "timeframe", "exchange"]
    rows = [
        (
            *key,
            *_summary(str(key[1]), str(key[2]), group),
            refused[key[0], key[1]],
            group["ingested_at_max"].max(),
            actions[key[0], SPLIT],
            actions[key[0], DIVIDEND],
            *(getattr(about[str(key[0])], name) for name in TEXTS),
            ", ".join(about[str(key[0])].tags),
        )
        for key, group in sessions.groupby(keys)
    ]
    return pd.DataFrame(rows, columns=[*COLUMNS[:13], *TEXTS, "tags"])[list(COLUMNS)]


def _actions(location: LakeLocation) -> Counter[tuple[str, str]]:
    """Return how many splits and dividends are known by symbol and kind."""
    if not has_rows(location, ACTIONS):
        return Counter()
    rows = read_arrow(current_pin(location, ACTIONS), ["symbol", "kind"]).to_pylist()
    return Counter((row["symbol"], row["kind"]) for row in rows)


def _abouts(location: LakeLocation, pin: Pin, symbols: Sequence[str]) -> dict[str, About]:
    """Return what is said of each symbol."""
    said = catalogue(location)
    files = files_by_symbol(pin) if said.sources else {}
    return {symbol: said.of(symbol, files.get(symbol, ())) for symbol in symbols}


def refused_rows(location: LakeLocation) -> Counter[tuple[str, str]]:
    """Return how many rows are in quarantine by symbol and timeframe."""
    try:
        pin = current_pin(location, "bars_quarantine")
    except LakeError:  # nothing was ever refused
        return Counter()
    counted: Counter[tuple[str, str]] = Counter()
    for batch in batches(pin, ("symbol", "timeframe"), everything()):
        counted.update(
            zip(*(batch.column(name).to_pylist() for name in ("symbol", "timeframe")), strict=True)
        )
    return counted


def refused_in(location: LakeLocation, symbols: Sequence[str], start_us: int, end_us: int) -> str:
    """Return a sentence on rows of a study's slice that are in quarantine; "" if there are none.

    Rows for a bar that came again are no bars that are missing, and not counted.
    """
    try:
        pin = current_pin(location, "bars_quarantine")
    except LakeError:
        return ""
    counted: Counter[str] = Counter()
    inside = all_of(one_of("symbol", symbols), within("ts", start_us, end_us))
    for batch in batches(pin, ("symbol", "rule"), inside):
        rules = (batch.column(name).to_pylist() for name in ("symbol", "rule"))
        counted.update(symbol for symbol, rule in zip(*rules, strict=True) if rule != "duplicate")
    if not counted:
        return ""
    parts = ", ".join(f"{symbol} {count:,}" for symbol, count in sorted(counted.items()))
    return f"rows of these dates that were refused at ingest, and are missing here: {parts} (bars_quarantine)"


def asked_for(symbols: Sequence[str], timeframe: str | None, *terms: BooleanExpression) -> BooleanExpression:
    """Return the filter of bars of some symbols, or of all, and of a length, or of every one."""
    of_symbols = (one_of("symbol", symbols),) if symbols else ()
    return all_of(*of_symbols, *((of_timeframe(timeframe),) if timeframe else ()), *terms)


def check_held(pin: Pin, symbols: Sequence[str], timeframe: str | None, found: Collection[str]) -> None:
    """Refuse symbols of which nothing was found.

    Raises
    ------
    LakeError
        If there is one, or nothing was found at all; names the nearest symbol that the lake holds.
    """
    absent = [symbol for symbol in symbols if symbol not in found]
    if not absent and found:
        return
    known: set[str] = set()
    for batch in batches(pin, ("symbol",), everything()):
        known |= set(batch.column("symbol").unique().to_pylist())
    what = f"{timeframe} bars" if timeframe else "bars"
    if absent and absent[0] not in known:
        raise LakeError(f"the lake holds no bars of {shown(absent[0])}: {nearest(absent[0], sorted(known))}")
    whose = f" of {absent[0]}" if absent else ""
    raise LakeError(f"the lake holds no {what}{whose} in that time: 'whatif bars' lists what there is")


def _by_session(pin: Pin, rows: BooleanExpression) -> pa.Table:
    """Return bars counted by symbol, timeframe, exchange, session and hours.

    Batches are counted as they come, so memory holds counts and never all rows.
    """
    counted: list[pa.Table] = []
    waiting = 0
    for batch in batches(pin, _READ, rows):
        table = pa.Table.from_batches([batch]).select(list(_READ)).group_by(list(_GROUP), use_threads=False)
        part = table.aggregate([("ts", "count"), ("ts", "min"), ("ts", "max"), ("ingested_at", "max")])
        counted.append(part)
        waiting += part.num_rows
        if waiting > _COMPACT_ROWS:
            counted, waiting = [_added_up(counted)], 0
    return _added_up(counted)


def _added_up(parts: list[pa.Table]) -> pa.Table:
    figures = [("ts_count", "sum"), ("ts_min", "min"), ("ts_max", "max"), ("ingested_at_max", "max")]
    if not parts:  # no file can hold what is asked for
        return pa.table({name: [] for name in (*_GROUP, *(name for name, _ in figures))})
    table = pa.concat_tables(parts).group_by(list(_GROUP), use_threads=False)
    return table.aggregate(figures).rename_columns([*_GROUP, *(name for name, _ in figures)])


def _summary(timeframe: str, exchange: str, group: pd.DataFrame) -> tuple[object, ...]:
    regular = group[group["hours"] == "regular"]
    return (
        group["ts_min"].min(),
        group["ts_max"].max(),
        int(group["session"].nunique()),
        int(group["ts_count"].sum()),
        int(group["ts_count"].sum() - regular["ts_count"].sum()),
        _missing(timeframe, exchange, group["session"].min(), group["session"].max(), regular),
    )


def _missing(timeframe: str, exchange: str, first: date, last: date, regular: pd.DataFrame) -> int:
    """Return how many bars of regular hours are not there, session by session."""
    length = timeframe_us(timeframe)
    sessions = schedule(exchange, first, last)
    room = np.ones(len(sessions)) if length == DAY_US else np.ceil(sessions.trading_us / length)
    dates = [EPOCH + timedelta(days=int(day)) for day in sessions.session]
    there = regular.groupby("session")["ts_count"].sum().reindex(dates, fill_value=0).to_numpy()
    return int(np.maximum(room - there, 0).sum())
