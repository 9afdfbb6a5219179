"""Bars that are missing inside of sessions, filled by a stated policy and marked; those outside by name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from whatif.calendars import EPOCH, known_schedule
from whatif.domain import DAY_US, days, microseconds, timeframe_us, timestamps
from whatif.errors import StudyError, nearest
from whatif.typing import IntArray

POLICIES = ("leave", "forward", "null")
HOURS = ("regular", "extended")
PRICES = ("open", "high", "low", "close", "vwap")
_TOLD = ("symbol", "ts", "timeframe", "session", "session_open", "session_close", "hours", "exchange")


def fill_bars(bars: Any, policy: str, hours: str = "regular") -> Any:
    """Return bars with a row for each that sessions have room for, `filled` where nothing was traded.

    Parameters
    ----------
    bars : pandas or Spark DataFrame
        Rows as `whatif.read_bars` returns them, or of table `bars`: of one timeframe and exchange for each
        symbol.
    policy : str
        What becomes of a bar that is missing between the open of a symbol's first session and the close of
        its last: "leave" adds none; "forward" adds one at the last close before it, of an earlier session
        too, with volume 0; "null" adds one without prices and volume. Before a symbol's first bar there is
        nothing to go forward, and prices are missing.
    hours : str
        "regular" drops the bars outside of sessions, "extended" keeps them; none is added there.

    Returns
    -------
    pandas or Spark DataFrame
        The same columns, without `source` and `ingested_at`, and `filled`; by symbol and ts, on Spark in no
        order. Further columns are missing in added rows.

    Notes
    -----
    *Timing*: a filled bar holds what was known before it. A study trades on bars of the lake, and none
    of these are in it.

    Raises
    ------
    StudyError
        If the policy is unknown, a column is missing, or bars do not lie on the timeframe's grid, which is
        counted from each session's open and has no place in a midday break.
    """
    for what, value, valid in (("policy", policy, POLICIES), ("hours", hours, HOURS)):
        if value not in valid:
            raise StudyError(f"{what} {value!r} is unknown: {nearest(value, valid)}")
    columns = list(bars.columns)
    missing = [name for name in (*_TOLD, *PRICES) if name not in columns]
    if missing:
        raise StudyError(
            f"bars have no column {missing[0]!r}: give such as whatif.read_bars returns; "
            f"{nearest(missing[0], columns)}"
        )
    kept = [name for name in columns if name not in ("source", "ingested_at")]
    if isinstance(bars, pd.DataFrame):
        groups = [_filled(part, policy, hours) for _, part in bars[kept].groupby("symbol", sort=True)]
        return pd.concat(groups, ignore_index=True) if groups else bars[kept].assign(filled=False)
    from pyspark.sql.types import BooleanType, StructField, StructType

    rows = bars.select(*kept)
    schema = StructType([*rows.schema.fields, StructField("filled", BooleanType())])
    return rows.groupBy("symbol").applyInPandas(_per_symbol(policy, hours), schema=schema)


def _per_symbol(policy: str, hours: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def fill(frame: pd.DataFrame) -> pd.DataFrame:
        return _filled(frame, policy, hours)

    return fill


def _filled(frame: pd.DataFrame, policy: str, hours: str) -> pd.DataFrame:
    """Return the bars of one symbol."""
    symbol = frame["symbol"].iloc[0]
    for name in ("timeframe", "exchange"):
        found = sorted(frame[name].unique())
        if len(found) > 1:
            raise StudyError(f"{symbol} has bars of {', '.join(found)}: filter one {name} before filling")
    given = frame.assign(filled=False).sort_values("ts", kind="stable", ignore_index=True)
    if hours == "regular":
        given = given[given["hours"] == "regular"].reset_index(drop=True)
    regular = given[given["hours"] == "regular"]
    if policy == "leave" or regular.empty:
        return given
    added = _missing(regular, str(symbol))
    if added.empty:
        return given
    may_be_missing = {"i": "Int64", "b": "boolean"}
    kinds = {name: given[name].dtype.kind for name in given if name not in added}
    given = given.astype(
        {name: may_be_missing[kind] for name, kind in kinds.items() if kind in may_be_missing}
    )
    for column in given:
        if column not in added:
            added[column] = pd.Series([None] * len(added), dtype=given[column].dtype)
    whole = pd.concat([given, added[list(given)].astype(given.dtypes.to_dict())])
    whole = whole.sort_values("ts", kind="stable", ignore_index=True)
    return _carried(whole) if policy == "forward" else whole


def _missing(regular: pd.DataFrame, symbol: str) -> pd.DataFrame:
    """Return what is known of the bars that are not there: their times."""
    exchange, timeframe = str(regular["exchange"].iloc[0]), str(regular["timeframe"].iloc[0])
    dates = days(pd.to_datetime(regular["session"]))
    first, last = (EPOCH + timedelta(days=int(day)) for day in (dates.min(), dates.max()))
    starts, of, sessions = _grid(exchange, first, last, timeframe_us(timeframe))
    there = microseconds(regular["ts"])
    strange = there[~np.isin(there, starts)]
    if len(strange):
        raise StudyError(
            f"the {timeframe} bar of {symbol} at {timestamps(strange[:1])[0]} is on none of {exchange}'s, "
            "counted from the session's open: resample the bars first"
        )
    absent = ~np.isin(starts, there)
    of = of[absent]
    zone = regular["ts"].dt.tz

    def instants(us: IntArray) -> pd.DatetimeIndex:
        return timestamps(us) if zone is not None else timestamps(us).tz_localize(None)

    sample = regular["session"].iloc[0]
    dated = pd.DatetimeIndex(sessions.session[of].astype("datetime64[D]").astype("datetime64[us]"))
    return pd.DataFrame(
        {
            "symbol": symbol,
            "ts": instants(starts[absent]),
            "timeframe": timeframe,
            "session": dated if isinstance(sample, pd.Timestamp) else dated.date,
            "session_open": instants(sessions.open_us[of]),
            "session_close": instants(sessions.close_us[of]),
            "hours": "regular",
            "exchange": exchange,
            "filled": True,
        }
    )


def _grid(exchange: str, first: Any, last: Any, bar_us: int) -> tuple[IntArray, IntArray, Any]:
    """Return the starts of all bars inside of sessions, the session of each, and the sessions."""
    sessions = known_schedule(exchange, first, last)
    if bar_us >= DAY_US:
        return sessions.open_us, np.arange(len(sessions)), sessions
    counts = -(-(sessions.close_us - sessions.open_us) // bar_us)
    of = np.repeat(np.arange(len(sessions)), counts)
    nth = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = sessions.open_us[of] + nth * bar_us
    resumes = sessions.break_start_us + sessions.break_us
    open_ = (starts < sessions.break_start_us[of]) | (starts >= resumes[of])
    return starts[open_], of[open_], sessions


def _carried(whole: pd.DataFrame) -> pd.DataFrame:
    """Return bars of which the added ones stand at the last close before them, without volume."""
    added = whole["filled"].to_numpy(dtype=bool)
    last = whole["close"].ffill()
    made = {name: whole[name].where(~added, last) for name in PRICES}
    for name, value in (("volume", 0.0), ("trade_count", 0), ("vwap_estimated", True)):
        if name in whole:
            made[name] = whole[name].where(~added, value).astype(whole[name].dtype)
    return whole.assign(**made)
