"""Normalization of raw rows: bars with times, sessions and numbers, and refused rows, as one Arrow batch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whatif.domain import DAY_US, broken_symbol, timeframe_us
from whatif.sources.chunk import Chunk, Layout, joined
from whatif.sources.grid import find_grid, starts_on
from whatif.sources.numbers import read_counts, read_numbers
from whatif.sources.review import FileReview
from whatif.sources.rules import NOISE, RULES, are_unfinished, broken_price_rules, mend_range
from whatif.sources.sessions import Tags, breaks_of, find_days, tag_bars
from whatif.sources.spacing import first_rows, overlapping
from whatif.sources.times import Times, read_times
from whatif.typing import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Placed:
    """Bars of a chunk in time.

    Attributes
    ----------
    ts : int64 array (n,)
        Starts, microseconds UTC.
    tags : Tags
        Their sessions.
    off_grid, overlap : bool array (n,)
        Bars that break the rule of that name.
    """

    ts: IntArray
    tags: Tags
    off_grid: BoolArray
    overlap: BoolArray


def place(
    times: Times, layout: Layout, symbol: IntArray | None, review: FileReview, volume: FloatArray
) -> Placed:
    """Return where bars belong; what the first rows of a file tell is kept in `review`.

    Parameters
    ----------
    times : Times
        Stamps.
    layout : Layout
        Timeframe, exchange and end of stamps.
    symbol : int64 array (n,) or None
        Codes of symbols; None if all rows are of one.
    review : FileReview
        Of the file.
    volume : float64 array (n,)
        Units traded.
    """
    known = times.known
    if not known.all():  # a row without a time must not ask for a calendar of 1970
        anchor = times.us[known][0] if known.any() else 0
        times = Times(
            np.where(known, times.us, anchor), times.broken, times.dated, times.wall, times.date_only
        )
    length = timeframe_us(layout.timeframe)
    placed = (
        _days(times, layout, symbol) if length == DAY_US else _bars(times, layout, symbol, review, length)
    )
    if review.first is None:
        review.first = first_rows(times.us, placed.ts, known, symbol, volume, times.date_only, layout)
    return placed


def _bars(times: Times, layout: Layout, symbol: IntArray | None, review: FileReview, length: int) -> Placed:
    ends, us, known = layout.stamps == "end", times.us, times.known
    tags = tag_bars(us - 1, 1, layout.exchange) if ends else tag_bars(us, length, layout.exchange)
    if review.grid is None:
        review.grid = find_grid(us[known], tags.of(known), length, layout.exchange, ends)
    ts, on = starts_on(us, tags, review.grid, layout.exchange, ends)
    tags = tag_bars(ts, length, layout.exchange) if ends else tags
    usable = known & on & tags.found
    cut = (ts == tags.session_open) | (ts == breaks_of(tags, layout.exchange)[1])
    overlap = overlapping(symbol, ts, usable, length, cut)
    return Placed(ts, tags, known & tags.found & ~on, overlap)


def _days(times: Times, layout: Layout, symbol: IntArray | None) -> Placed:
    tags, unclear = find_days(times, layout.exchange, layout.stamps == "end")
    ts = np.where(tags.found, tags.session_open, times.us)
    return Placed(ts, tags, times.known & unclear, _again(times, tags, symbol))


def _again(times: Times, tags: Tags, symbol: IntArray | None) -> BoolArray:
    """Return which stamps name a session that a stamp before it named, at another time."""
    usable = np.flatnonzero(times.known & tags.found)
    codes = np.zeros(len(usable), dtype=np.int64) if symbol is None else symbol[usable]
    order = np.lexsort((usable, tags.session[usable], codes))
    rows = usable[order]
    same = (np.diff(tags.session[rows]) == 0) & (np.diff(codes[order]) == 0) & (np.diff(times.us[rows]) != 0)
    found = np.zeros(len(times.us), dtype=bool)
    found[rows[1:][same]] = True
    return found


_PRICES = ("open", "high", "low", "close")
_TS = pa.timestamp("us", tz="UTC")
_WORD = pa.dictionary(pa.int32(), pa.string())
"""Texts of few values, each of them held once."""

STAGED = pa.schema(
    [
        ("kind", _WORD),
        ("source", _WORD),
        ("row", pa.int64()),
        ("line", pa.int64()),
        ("rule", _WORD),
        ("raw", pa.string()),
        ("symbol", _WORD),
        ("ts", _TS),
        ("timeframe", _WORD),
        ("session", pa.date32()),
        ("session_open", _TS),
        ("session_close", _TS),
        ("hours", _WORD),
        ("open", pa.float64()),
        ("high", pa.float64()),
        ("low", pa.float64()),
        ("close", pa.float64()),
        ("volume", pa.float64()),
        ("vwap", pa.float64()),
        ("trade_count", pa.int64()),
        ("vwap_estimated", pa.bool_()),
        ("exchange", _WORD),
    ]
)
"""Columns of a parsed row.

`kind` is "bar" or "refused"; or the row stands for a part as a whole: "file" is refused (`raw` says why),
"empty" has no rows, "mended" had so many rows (`row`) with a price outside its range by noise, "nonpositive"
so many bars with a price at or below zero, which are allowed, and "checkpoint" is where to go on (`raw`)
behind so many rows (`row`).
"""

STAGED_DDL = """
    kind string, source string, row bigint, line bigint, rule string, raw string, symbol string, ts timestamp,
    timeframe string, session date, session_open timestamp, session_close timestamp, hours string,
    open double, high double, low double, close double, volume double, vwap double,
    trade_count bigint, vwap_estimated boolean, exchange string
"""
"""The same as Spark takes a schema."""


def spelled(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows with each text spelled out, as `STAGED_DDL` has them."""
    fields = [f.with_type(pa.string()) if f.type == _WORD else f for f in batch.schema]
    return batch.cast(pa.schema(fields))


def whole_hours(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Yield chunks, those joined between which an hour lies that clocks repeat and the order of rows tells.

    Parameters
    ----------
    chunks : iterable of Chunk
        Of one part, in order.
    """
    held: Chunk | None = None
    for chunk in chunks:
        if held is not None and held.layout != chunk.layout:
            yield held
            held = None
        held = chunk if held is None else joined(held, chunk)
        if held.layout.by_order and _ends_within(held):
            continue
        yield held
        held = None
    if held is not None:
        yield held


def _ends_within(chunk: Chunk) -> bool:
    """Tell whether the last time of a symbol is one that occurs twice."""
    if not len(chunk):
        return False
    layout, codes = replace(chunk.layout, by_order=False), _symbols(chunk).codes
    daily, before = timeframe_us(layout.timeframe) == DAY_US, int(chunk.numbers()[0]) - 1
    times = read_times(chunk.columns["ts"], layout, daily, codes, before)
    twice = times.broken.get("ambiguous_time", np.zeros(len(chunk), dtype=bool))
    rows = np.flatnonzero(times.known | twice)
    codes = np.zeros(len(chunk), dtype=np.int64) if codes is None else codes
    last = len(rows) - 1 - np.unique(codes[rows][::-1], return_index=True)[1]
    return bool(twice[rows[last]].any())


def normalize(chunk: Chunk, review: FileReview | None = None) -> pa.RecordBatch:
    """Return one row for each row of `chunk` (misfits too), columns `STAGED`; counted in `review`."""
    review = review or FileReview()
    review.layout = layout = chunk.layout
    if not len(chunk):
        review.count(chunk, np.empty(0, dtype=np.int64))
        return _refused_misfits(chunk)
    daily = timeframe_us(layout.timeframe) == DAY_US
    symbols = _symbols(chunk)
    codes = symbols.codes
    before = int(chunk.numbers()[0]) - 1
    times = read_times(chunk.columns["ts"], layout, daily, codes, before)
    values, unparsable = _numbers(chunk, review, before)
    placed = place(times, layout, codes, review, values["volume"])
    broken = {
        "missing_symbol": symbols.missing,
        **times.broken,
        "unfinished": _unfinished(chunk, placed, times.known),
        "unparsable_number": unparsable,
        **broken_price_rules({name: values[name] for name in _PRICES}, values["volume"]),
        "outside_calendar": times.known & ~placed.tags.known,
        "no_session": times.known & ~placed.tags.found,
        "off_grid": placed.off_grid,
        "overlap": placed.overlap,
    }
    nonpositive = broken["non_positive_price"]
    if layout.allow_nonpositive:
        broken["non_positive_price"] = np.zeros(len(chunk), dtype=bool)
    rule = _first_rule(broken, len(chunk))
    review.nonpositive += int((nonpositive & (rule < 0)).sum())
    review.count(chunk, rule)
    bars = _batch(chunk, symbols.named, placed.ts, times.known, placed.tags, values, rule)
    if not chunk.misfits:
        return bars
    return pa.Table.from_batches([bars, _refused_misfits(chunk)]).combine_chunks().to_batches()[0]


def _numbers(chunk: Chunk, review: FileReview, before: int) -> tuple[dict[str, FloatArray], BoolArray]:
    columns, n, style = chunk.columns, len(chunk), chunk.layout.numbers
    bad = np.zeros(n, dtype=bool)
    values = {"volume": np.zeros(n), "vwap": np.full(n, np.nan), "trade_count": np.full(n, np.nan)}
    for name in (*_PRICES, "volume", "vwap", "trade_count"):
        if name in columns:
            read = read_counts if name == "trade_count" else read_numbers
            values[name], broken = read(columns[name], style)
            bad |= broken
    review.look_at_numbers(columns, values, before)
    if chunk.layout.price_unit != 1.0:
        for name in _PRICES:
            values[name] = values[name] / chunk.layout.price_unit
    review.mended += mend_range(values)
    return values, bad


def _unfinished(chunk: Chunk, placed: Placed, known: BoolArray) -> BoolArray:
    """Return which bars had not ended; a day ends with its session."""
    length, tags, ts = timeframe_us(chunk.layout.timeframe), placed.tags, placed.ts
    closes = np.where(tags.regular, np.minimum(ts + length, tags.session_close), ts + length)
    ends = tags.session_close if length == DAY_US else closes
    flags = chunk.columns.get("complete")
    return are_unfinished(flags, ts, ends, known & tags.found, chunk.layout.written_us)


@dataclass(frozen=True, eq=False)
class _Symbols:
    """Symbols of a chunk.

    Attributes
    ----------
    codes : int64 array (n,) or None
        A number for each as it is written; None if all rows are of one.
    missing : bool array (n,)
        Rows that name none.
    named : DictionaryArray (n,)
        What they are called, without blanks around them.
    """

    codes: IntArray | None
    missing: BoolArray
    named: pa.DictionaryArray


def _symbols(chunk: Chunk) -> _Symbols:
    n = len(chunk)
    if "symbol" not in chunk.batch.schema.names:
        return _Symbols(None, np.zeros(n, dtype=bool), _constant(chunk.layout.symbol, n))
    written = chunk.batch["symbol"]
    if not (pa.types.is_string(written.type) or pa.types.is_large_string(written.type)):
        written = pa.array(chunk.columns["symbol"].astype("str"), type=pa.string(), from_pandas=True)
    each = written.dictionary_encode()
    index = each.indices.fill_null(-1).to_numpy().astype(np.int64)
    names = pc.utf8_trim_whitespace(each.dictionary.cast(pa.string())).dictionary_encode()
    unfit = np.array([bool(broken_symbol(name)) for name in names.to_pylist()] + [True])
    place = np.append(names.indices.to_numpy(), -1).astype(np.int32)[index]
    named = pa.DictionaryArray.from_arrays(pa.array(place, mask=index < 0), names.dictionary)
    return _Symbols(index if len(each.dictionary) > 1 else None, unfit[index], named)


def _constant(text: str | None, n: int) -> pa.DictionaryArray:
    """Return a text n times, or none."""
    if text is None:
        return pa.nulls(n, _WORD)
    return _chosen(np.zeros(n, dtype=np.int64), [text])


def _chosen(index: IntArray | BoolArray, texts: Sequence[str]) -> pa.DictionaryArray:
    """Return some of a few texts; none where the index, (n,), is below 0."""
    at = index.astype(np.int32)
    none = at < 0
    return pa.DictionaryArray.from_arrays(
        pa.array(at, mask=none if none.any() else None), pa.array(texts, pa.string())
    )


_RULES = tuple(RULES)


def _first_rule(broken: dict[str, BoolArray], n: int) -> IntArray:
    """Return the place in `RULES` of the first rule that each row breaks, or -1."""
    rule = np.full(n, -1, dtype=np.int64)
    for place in reversed(range(len(_RULES))):
        rows = broken.get(_RULES[place])
        if rows is not None and rows.any():
            rule[rows] = place
    return rule


def _batch(
    chunk: Chunk,
    symbol: pa.DictionaryArray,
    ts: IntArray,
    known_time: BoolArray,
    tags: Tags,
    values: dict[str, FloatArray],
    rule: IntArray,
) -> pa.RecordBatch:
    layout, n = chunk.layout, len(chunk)
    refused = rule >= 0
    with np.errstate(invalid="ignore", over="ignore"):
        slack = NOISE * np.abs(values["high"])
        inside = (values["vwap"] >= values["low"] - slack) & (values["vwap"] <= values["high"] + slack)
        estimated = ~(inside & (values["vwap"] > 0))
        typical = (values["high"] + values["low"] + values["close"]) / 3
    columns = {
        "kind": _chosen(refused, ["bar", "refused"]),
        "source": _constant(layout.source, n),
        "row": chunk.numbers(),
        "line": pa.nulls(n, pa.int64()) if chunk.lines is None else chunk.lines.of(chunk.numbers()),
        "rule": _chosen(rule, _RULES) if refused.any() else pa.nulls(n, _WORD),
        "raw": _raw(chunk, refused),
        "symbol": symbol,
        "ts": pa.array(ts.astype("datetime64[us]"), mask=None if known_time.all() else ~known_time).cast(_TS),
        "timeframe": _constant(layout.timeframe, n),
        "session": pa.array(tags.session.astype(np.int32)).cast(pa.date32()),
        "session_open": pa.array(tags.session_open.astype("datetime64[us]")).cast(_TS),
        "session_close": pa.array(tags.session_close.astype("datetime64[us]")).cast(_TS),
        "hours": _chosen(~tags.regular, ["regular", "extended"]),
        **{name: values[name] for name in (*_PRICES, "volume")},
        "vwap": np.where(estimated, typical, values["vwap"]),
        "trade_count": _counts(values["trade_count"]),
        "vwap_estimated": estimated,
        "exchange": _constant(layout.exchange, n),
    }
    return pa.record_batch([_array(columns[f.name], f.type) for f in STAGED], schema=STAGED)


def _raw(chunk: Chunk, refused: BoolArray) -> pa.Array:
    """Return what the source has of the rows that are refused; none of others."""
    if not refused.any():
        return pa.nulls(len(chunk), pa.string())
    raw = np.full(len(chunk), None, dtype=object)
    for i in np.flatnonzero(refused):
        raw[i] = chunk.text(int(i))
    return pa.array(raw, pa.string())


def _counts(values: FloatArray) -> pa.Array:
    missing = ~np.isfinite(values)
    if missing.all():
        return pa.nulls(len(values), pa.int64())
    return pa.array(np.where(missing, 0, values).astype(np.int64), mask=missing)


def _array(values: object, kind: pa.DataType) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values, type=kind)


def _refused_misfits(chunk: Chunk) -> pa.RecordBatch:
    row_numbers = np.array([row for row, _ in chunk.misfits], dtype=np.int64)
    lines = [None] * len(row_numbers) if chunk.lines is None else chunk.lines.of(row_numbers).tolist()
    rows = [
        {
            "kind": "refused",
            "source": chunk.layout.source,
            "row": row,
            "line": line,
            "rule": "wrong_field_count",
            "raw": raw,
            "symbol": chunk.layout.symbol,
            "timeframe": chunk.layout.timeframe,
        }
        for (row, raw), line in zip(chunk.misfits, lines, strict=True)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=STAGED)


def duplicate_texts(rows: pa.Table | pa.RecordBatch) -> pa.Array:
    """Return JSON of what bars hold, for those that came twice; (n,)."""
    names = ["symbol", "ts", *_PRICES, "volume"]
    texts = []
    for row in rows.select(names).to_pylist():
        held = {name: value for name, value in row.items() if value is not None}
        held["ts"] = row["ts"].strftime("%Y-%m-%dT%H:%M:%S.") + f"{row['ts'].microsecond // 1000:03}Z"
        texts.append(json.dumps(held, separators=(",", ":")))
    return pa.array(texts, pa.string())


def whole_part(kind: str, part: str, raw: str | None = None, row: int | None = None) -> pa.RecordBatch:
    """Return the one row that stands for a part as a whole: see `STAGED`."""
    return pa.RecordBatch.from_pylist([{"kind": kind, "source": part, "raw": raw, "row": row}], schema=STAGED)
