"""From raw rows to bars and refused rows, as one Arrow batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from whatif.domain.timeframe import DAY_US, timeframe_us
from whatif.errors import SourceError
from whatif.sources.chunk import RawChunk
from whatif.sources.delimited import read_csv
from whatif.sources.files import kind_of
from whatif.sources.lean import read_lean
from whatif.sources.numbers import read_numbers
from whatif.sources.parquet import read_parquet
from whatif.sources.rules import RULES, broken_price_rules
from whatif.sources.sessions import Tags, tag_bars, tag_days
from whatif.sources.spec import IngestSpec
from whatif.sources.times import read_times
from whatif.typing import BoolArray, FloatArray, IntArray

_READERS = {"csv": read_csv, "parquet": read_parquet, "lean": read_lean}
_PRICES = ("open", "high", "low", "close")
_TS = pa.timestamp("us", tz="UTC")

STAGED = pa.schema(
    [
        ("kind", pa.string()),
        ("source", pa.string()),
        ("row", pa.int64()),
        ("rule", pa.string()),
        ("raw", pa.string()),
        ("symbol", pa.string()),
        ("ts", _TS),
        ("timeframe", pa.string()),
        ("session", pa.date32()),
        ("session_open", _TS),
        ("session_close", _TS),
        ("hours", pa.string()),
        ("open", pa.float64()),
        ("high", pa.float64()),
        ("low", pa.float64()),
        ("close", pa.float64()),
        ("volume", pa.float64()),
        ("vwap", pa.float64()),
        ("trade_count", pa.int64()),
        ("vwap_estimated", pa.bool_()),
        ("exchange", pa.string()),
    ]
)
"""Columns of a parsed row; `kind` is "bar", "refused" or "file" (the file as a whole: `raw` says why)."""

STAGED_DDL = """
    kind string, source string, row bigint, rule string, raw string, symbol string, ts timestamp,
    timeframe string, session date, session_open timestamp, session_close timestamp, hours string,
    open double, high double, low double, close double, volume double, vwap double,
    trade_count bigint, vwap_estimated boolean, exchange string
"""
"""The same as Spark takes a schema."""


def read_file(source: str, spec: IngestSpec) -> Iterator[pa.RecordBatch]:
    """Yield a file's rows in order, parsed, tagged and judged, in batches of bounded size.

    Raises
    ------
    SourceError
        If the file as a whole cannot be read as bars.
    """
    for chunk in _READERS[kind_of(source, spec.format)](source, spec):
        yield normalize(chunk)


def normalize(chunk: RawChunk) -> pa.RecordBatch:
    """Return one row for each row of `chunk` (misfits too), columns `STAGED`."""
    layout = chunk.layout
    length = timeframe_us(layout.timeframe)
    daily = length == DAY_US
    if not len(chunk):
        return _refused_misfits(chunk)
    times = read_times(chunk.columns["ts"], layout, daily)
    ts = times.us if daily or layout.stamps == "start" else times.us - length
    values, unparsable = _numbers(chunk)
    prices = {name: values[name] for name in _PRICES}
    known_time = ~np.any(list(times.broken.values()), axis=0)
    tags = tag_days(ts // DAY_US, layout.exchange) if daily else tag_bars(ts, length, layout.exchange)
    broken = {
        "missing_symbol": _missing_symbol(chunk),
        **times.broken,
        "unparsable_number": unparsable,
        **broken_price_rules(prices, values["volume"]),
        "outside_calendar": known_time & ~tags.known,
        "no_session": known_time & ~tags.found,
    }
    rule = _first_rule(broken, len(chunk))
    ts = np.where(tags.found, tags.session_open, ts) if daily else ts
    bars = _batch(chunk, ts, known_time, tags, values, rule)
    if not chunk.misfits:
        return bars
    return pa.Table.from_batches([bars, _refused_misfits(chunk)]).combine_chunks().to_batches()[0]


def _numbers(chunk: RawChunk) -> tuple[dict[str, FloatArray], BoolArray]:
    columns, n = chunk.columns, len(chunk)
    bad = np.zeros(n, dtype=bool)
    values = {"volume": np.zeros(n), "vwap": np.full(n, np.nan), "trade_count": np.full(n, np.nan)}
    for name in (*_PRICES, "volume", "vwap", "trade_count"):
        if name in columns:
            values[name], broken = read_numbers(columns[name])
            bad |= broken
    if chunk.layout.price_unit != 1.0:
        for name in _PRICES:
            values[name] = values[name] / chunk.layout.price_unit
    return values, bad


def _missing_symbol(chunk: RawChunk) -> BoolArray:
    if "symbol" not in chunk.columns:
        return np.zeros(len(chunk), dtype=bool)
    symbol = chunk.columns["symbol"]
    blank = symbol.astype("str").str.strip().eq("").to_numpy(dtype=bool, na_value=True)
    return np.asarray(symbol.isna().to_numpy(dtype=bool) | blank)


def _first_rule(broken: dict[str, BoolArray], n: int) -> np.ndarray:
    """Return the first rule in the order of `RULES` that each row breaks, or None."""
    rule = np.full(n, None, dtype=object)
    for name in reversed([name for name in RULES if name in broken]):
        rule[broken[name]] = name
    return rule


def _batch(
    chunk: RawChunk,
    ts: IntArray,
    known_time: BoolArray,
    tags: Tags,
    values: dict[str, FloatArray],
    rule: np.ndarray,
) -> pa.RecordBatch:
    layout, n = chunk.layout, len(chunk)
    refused = np.array([name is not None for name in rule], dtype=bool)
    estimated = ~(values["vwap"] > 0) | ~np.isfinite(values["vwap"])
    with np.errstate(invalid="ignore", over="ignore"):
        typical = (values["high"] + values["low"] + values["close"]) / 3
    raw = np.full(n, None, dtype=object)
    for i in np.flatnonzero(refused):
        raw[i] = chunk.raw(int(i))
    columns = {
        "kind": np.where(refused, "refused", "bar"),
        "source": [layout.source] * n,
        "row": chunk.row,
        "rule": rule,
        "raw": raw,
        "symbol": _symbols(chunk),
        "ts": pa.array(ts.astype("datetime64[us]"), mask=~known_time).cast(_TS),
        "timeframe": [layout.timeframe] * n,
        "session": tags.session.astype("datetime64[D]"),
        "session_open": pa.array(tags.session_open.astype("datetime64[us]")).cast(_TS),
        "session_close": pa.array(tags.session_close.astype("datetime64[us]")).cast(_TS),
        "hours": np.where(tags.regular, "regular", "extended"),
        **{name: values[name] for name in (*_PRICES, "volume")},
        "vwap": np.where(estimated, typical, values["vwap"]),
        "trade_count": _counts(values["trade_count"]),
        "vwap_estimated": estimated,
        "exchange": [layout.exchange] * n,
    }
    return pa.record_batch([_array(columns[f.name], f.type) for f in STAGED], schema=STAGED)


def _symbols(chunk: RawChunk) -> list[str | None] | pa.Array:
    if "symbol" not in chunk.columns:
        return [chunk.layout.symbol] * len(chunk)
    return pa.array(chunk.columns["symbol"].astype("str").str.strip(), type=pa.string(), from_pandas=True)


def _counts(values: FloatArray) -> pa.Array:
    missing = ~np.isfinite(values)
    return pa.array(np.where(missing, 0, values).astype(np.int64), mask=missing)


def _array(values: object, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    return values if isinstance(values, pa.Array) else pa.array(values, type=kind)


def _refused_misfits(chunk: RawChunk) -> pa.RecordBatch:
    rows = [
        {
            "kind": "refused",
            "source": chunk.layout.source,
            "row": row,
            "rule": "wrong_field_count",
            "raw": raw,
            "symbol": chunk.layout.symbol,
            "timeframe": chunk.layout.timeframe,
        }
        for row, raw in chunk.misfits
    ]
    return pa.RecordBatch.from_pylist(rows, schema=STAGED)


def refused_file(source: str, error: SourceError) -> pa.RecordBatch:
    """Return the one row that says that a file as a whole is refused."""
    return pa.RecordBatch.from_pylist([{"kind": "file", "source": source, "raw": str(error)}], schema=STAGED)
