"""Deliveries in this process: rows as Arrow tables, judged and written without a JVM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whatif.calendars import canonical_exchange
from whatif.errors import SourceError
from whatif.lake import (
    BARS,
    BARS_QUARANTINE,
    Commit,
    append_arrow,
    create_tables,
    rows_without,
    set_properties,
    upsert_arrow,
)
from whatif.pins import (
    LakeLocation,
    PriceJump,
    all_of,
    current_pin,
    has_rows,
    jump_rows,
    one_of,
    read_arrow,
    within,
)
from whatif.sources.delivery import Part, read_or_refuse
from whatif.sources.normalize import STAGED, duplicate_texts
from whatif.sources.staged import (
    COMPARED,
    MAX_PAIRS,
    MAX_SYMBOLS_IN_FILTER,
    PRICES,
    DifferingFiles,
    RefusedRow,
    RowGroup,
    StagedDelivery,
    SymbolBars,
)
from whatif.typing import BoolArray, IntArray

_JUMP = ["symbol", "timeframe", "session", "open", "close"]
_STATUS = ("new", "same", "changed", "duplicate")
_NEW, _SAME, _CHANGED, _DUPLICATE = range(4)


class TooManyRowsError(SourceError):
    """A delivery has more rows than this process should hold."""


@dataclass(frozen=True, eq=False)
class _Bars:
    """Bars of a delivery in the order of symbol, timeframe and start, those that stand first of each.

    Attributes
    ----------
    rows : pa.Table (n rows)
        Columns `STAGED`.
    group : int64 array (n,)
        A number for each symbol and timeframe, ascending.
    ts : int64 array (n,)
        Starts, microseconds UTC.
    stands : bool array (n,)
        Rows that are no duplicates.
    """

    rows: pa.Table
    group: IntArray
    ts: IntArray
    stands: BoolArray


class LocalDelivery(StagedDelivery):
    """A delivery as Arrow tables of this process.

    Parameters
    ----------
    location : LakeLocation
        Where the lake is: on this machine.
    parts : sequence of Part
        What is read.
    accept : bool
        Whether to take parts that look misread.
    max_rows : int
        Rows that this process may hold.

    Raises
    ------
    TooManyRowsError
        If there are more.
    """

    def __init__(self, location: LakeLocation, parts: Sequence[Part], accept: bool, max_rows: int) -> None:
        self._location = location
        self._place = {part.name: number for number, part in enumerate(parts)}
        bars, others, came = [], [], 0
        for part in parts:
            for batch in read_or_refuse(part, accept):
                came += batch.num_rows
                if came > max_rows:
                    raise TooManyRowsError(
                        f"more than {max_rows:,} rows: ingest some of the files at a time, or all by "
                        "--runner spark"
                    )
                is_bar = pc.equal(batch["kind"], "bar")
                if is_bar.true_count < batch.num_rows:
                    others.append(batch.filter(pc.invert(is_bar)))
                    batch = batch.filter(is_bar)
                bars.append(batch)
        self._others = pa.Table.from_batches(others, STAGED).unify_dictionaries()
        self._unsorted = pa.Table.from_batches(bars, STAGED).unify_dictionaries()
        self._gone: pa.Table | None = None

    def release(self) -> None:
        """Do nothing: what is held goes with the object."""

    def create_tables(self) -> None:
        """Create the tables of bars and their quarantine."""
        create_tables(None, self._location, (BARS, BARS_QUARANTINE))

    def groups(self) -> Sequence[RowGroup]:
        """Return how many rows of each kind and rule came."""
        counted = _words(self._others.select(["kind", "rule"])).group_by(["kind", "rule"])
        found = [
            RowGroup(row["kind"], row["rule"], row["count_all"])
            for row in counted.aggregate([([], "count_all")]).to_pylist()
        ]
        bars = self._unsorted.num_rows
        return [*found, RowGroup("bar", None, bars)] if bars else found

    def part_errors(self, most: int) -> Sequence[str]:
        """Return why parts as a whole cannot be read."""
        rows = self._others_of("file").select(["source", "raw"]).to_pylist()
        return [row["raw"] for row in sorted(rows, key=lambda row: row["source"])[:most]]

    def refused_rows(self, most: int) -> Sequence[RefusedRow]:
        """Return the first rows that break a rule."""
        names = ["source", "row", "line", "rule", "raw"]
        rows = _words(self._others_of("refused").select(names))
        first = rows.sort_by([("source", "ascending"), ("row", "ascending")]).slice(0, most)
        return [RefusedRow(*(row[name] for name in names)) for row in first.to_pylist()]

    def symbols(self, most: int) -> Sequence[SymbolBars]:
        """Return the bars by symbol, timeframe and exchange."""
        keys = ["symbol", "timeframe", "exchange"]
        rows = _words(self._unsorted.select([*keys, "ts", "hours"]))
        rows = rows.append_column("regular", pc.equal(rows["hours"], "regular").cast(pa.int64()))
        figures = [([], "count_all"), ("regular", "sum"), ("ts", "min"), ("ts", "max")]
        found = rows.group_by(keys).aggregate(figures).sort_by([(key, "ascending") for key in keys])
        return [
            SymbolBars(row["symbol"], row["timeframe"], row["exchange"], row["count_all"],
                       row["regular_sum"], row["ts_min"], row["ts_max"])
            for row in found.slice(0, most).to_pylist()
        ]  # fmt: skip

    def exchanges_breaking(self, rule: str) -> Sequence[str]:
        """Return the exchanges of the rows that break a rule."""
        rows = self._others.filter(pc.equal(self._others["rule"], rule))
        return sorted({str(name) for name in pc.unique(rows["exchange"]).to_pylist()})

    def checkpoints(self) -> Mapping[str, tuple[str, int]]:
        """Return for each part where the next ingest goes on."""
        rows = self._others_of("checkpoint").select(["source", "raw", "row"]).to_pylist()
        return {row["source"]: (row["raw"], row["row"]) for row in rows}

    def counted(self, kind: str) -> int:
        """Return how many rows are of a kind that parts count."""
        return int(pc.sum(self._others_of(kind)["row"]).as_py() or 0)

    def judge(self) -> Mapping[str, int]:
        """Return how many bars are new, same, changed or duplicate."""
        counts = np.bincount(self._status, minlength=len(_STATUS))
        return {name: int(count) for name, count in zip(_STATUS, counts, strict=True) if count}

    def differing_files(self) -> Sequence[DifferingFiles]:
        """Return files that have other values for one bar."""
        bars = self._bars
        twice = np.flatnonzero(~bars.stands)
        stands = np.maximum.accumulate(np.where(bars.stands, np.arange(len(bars.ts)), 0))[twice]
        columns = ["source", *PRICES]
        mine, theirs = (bars.rows.select(columns).take(pa.array(at)) for at in (twice, stands))
        same = np.ones(len(twice), dtype=bool)
        for name in PRICES:
            same &= _equal(mine[name], theirs[name])
        pairs = pa.table({"source": _text(mine["source"]), "by": _text(theirs["source"])})
        pairs = pairs.filter(pa.array(~same)).filter(pc.field("source") != pc.field("by"))
        found = pairs.group_by(["source", "by"]).aggregate([([], "count_all")])
        order = [("count_all", "descending"), ("source", "ascending"), ("by", "ascending")]
        rows = found.sort_by(order).slice(0, MAX_PAIRS).to_pylist()
        return [DifferingFiles(row["source"], row["by"], row["count_all"]) for row in rows]

    def bars_of_files(self) -> Mapping[str, int]:
        """Return how many bars came from each file."""
        counted = pc.value_counts(self._unsorted["source"].combine_chunks()).to_pylist()
        return {row["values"]: row["counts"] for row in counted}

    def jumps(self, most: int) -> Sequence[PriceJump]:
        """Return the first prices that change by a factor between sessions."""
        bars = self._bars
        session = bars.rows["session"].cast(pa.int32()).to_numpy()
        opens, closes = (bars.rows[name].to_numpy() for name in ("open", "close"))
        last, first = jump_rows(session, opens, closes, _changes(bars.group))
        pairs = zip(bars.rows.take(pa.array(last)).select(_JUMP).to_pylist(),
                    bars.rows.take(pa.array(first)).select(_JUMP).to_pylist(), strict=True)  # fmt: skip
        found = sorted(pairs, key=lambda pair: (pair[1]["symbol"], pair[1]["session"], pair[1]["timeframe"]))
        return [
            PriceJump(now["symbol"], was["session"], was["close"], now["session"], now["open"])
            for was, now in found[:most]
        ]

    def quarantine(self, at: datetime, duplicates: bool = True) -> None:
        """Put the refused rows, and the duplicates or not, into quarantine."""
        names = [name for name in BARS_QUARANTINE.column_names if name != "ingested_at"]
        twice = self._bars.rows.filter(pa.array((self._status == _DUPLICATE) & duplicates))
        raw = duplicate_texts(twice)
        twice = _words(twice.drop_columns(["rule", "raw"]))
        twice = twice.append_column("rule", pa.repeat("duplicate", len(raw))).append_column("raw", raw)
        rows = pa.concat_tables([_words(self._others_of("refused").select(names)), twice.select(names)])
        told = ["source", "row", "rule", "raw"]
        if has_rows(self._location, BARS_QUARANTINE.name):
            known = read_arrow(current_pin(self._location, BARS_QUARANTINE.name), told)
            rows = rows_without(rows, known.cast(rows.select(told).schema))
        if rows.num_rows:
            upsert_arrow(self._location, BARS_QUARANTINE, _stamped(rows, at))

    def write(self, at: datetime, properties: Mapping[str, str], branch: str | None = "main") -> None:
        """Write the bars that are new or changed, in one commit, to a branch that is there."""
        wanted = (self._status == _NEW) | (self._status == _CHANGED)
        gone = self._gone
        if not wanted.any() and gone is None:
            return
        bars = self._bars.rows.select([name for name in BARS.column_names if name != "ingested_at"])
        rows = _stamped(bars if wanted.all() else bars.filter(pa.array(wanted)), at)
        commit = Commit(properties, branch, gone)
        if gone is not None or (self._status == _CHANGED).any():
            upsert_arrow(self._location, BARS, _words(rows), commit)
        else:
            append_arrow(self._location, BARS, rows, commit)

    def replace_range(self) -> int:
        """Let bars of the lake go that lie within this range and are not in it; return how many they are.

        A row that is refused says what it is a bar of: the lake's own stays.
        """
        bars = self._bars
        if not len(bars.ts) or not has_rows(self._location, BARS.name):
            return 0
        held = self._known
        names, begins, ends = _series_of(bars)
        pairs = {name: number for number, name in enumerate(names)}
        group, ts = _groups_of(held, pairs), _micros(held["ts"])
        known = np.maximum(group, 0)
        inside = (group >= 0) & (ts >= bars.ts[begins][known]) & (ts <= bars.ts[ends - 1][known])
        rows = np.flatnonzero(inside)
        keys = _words(held.select(list(BARS.key)).take(pa.array(rows)))
        key = list(BARS.key)
        refused = self._others_of("refused").select(key).drop_null()
        brought = pa.concat_tables(
            [_words(rows).cast(keys.schema) for rows in (bars.rows.select(key), refused)]
        )
        gone = rows_without(keys, brought)
        self._gone = gone if gone.num_rows else None
        return int(gone.num_rows)

    def note(self, properties: Mapping[str, str]) -> None:
        """Set properties of the table of bars."""
        set_properties(None, self._location, BARS.name, properties)

    def _others_of(self, kind: str) -> pa.Table:
        return self._others.filter(pc.equal(self._others["kind"], kind))

    @cached_property
    def _bars(self) -> _Bars:
        rows = self._unsorted
        symbol, timeframe = _codes(rows["symbol"]), _codes(rows["timeframe"])
        group = symbol * (int(timeframe.max(initial=0)) + 1) + timeframe
        ts = _micros(rows["ts"])
        if not _ascending(group, ts):
            places = np.array([self._place[name] for name in rows["source"].chunk(0).dictionary.to_pylist()])
            place = places[_indices(rows["source"])]
            order = np.lexsort((rows["row"].to_numpy(), -place, ts, group))
            rows, group, ts = rows.take(pa.array(order)).combine_chunks(), group[order], ts[order]
        stands = _changes(group) | _changes(ts)
        return _Bars(rows, group, ts, stands)

    @cached_property
    def _status(self) -> IntArray:
        """The place in `_STATUS` of each row of `_bars`."""
        bars = self._bars
        status = np.where(bars.stands, _NEW, _DUPLICATE)
        if not bars.stands.any() or not has_rows(self._location, BARS.name):
            return status
        held = self._known
        at, found = _positions(bars, held)
        mine, theirs = np.flatnonzero(bars.stands & found), at[bars.stands & found]
        same = np.ones(len(mine), dtype=bool)
        left, right = bars.rows.take(pa.array(mine)), held.take(pa.array(theirs))
        for name in COMPARED:
            same &= _equal(left[name], right[name])
        status[mine] = np.where(same, _SAME, _CHANGED)
        return status

    @cached_property
    def _known(self) -> pa.Table:
        """Return the bars of the lake among which those of the delivery may be."""
        rows, ts = self._bars.rows, self._bars.ts
        symbols = pc.unique(rows["symbol"]).to_pylist()
        terms = [
            within("ts", int(ts.min()), int(ts.max()) + 1),
            one_of("timeframe", sorted(pc.unique(rows["timeframe"]).to_pylist())),
        ]
        if len(symbols) <= MAX_SYMBOLS_IN_FILTER:
            terms.append(one_of("symbol", sorted(symbols)))
        held = read_arrow(current_pin(self._location, BARS.name), (*BARS.key, *COMPARED), all_of(*terms))
        kinds = {name: rows.schema.field(name).type for name in held.column_names}
        held = held.cast(pa.schema(list(kinds.items()))).unify_dictionaries()
        names = _text(held["exchange"]).dictionary_encode().unify_dictionaries()
        one_name = {name: canonical_exchange(name) for name in pc.unique(names).drop_null().to_pylist()}
        if any(name != known for name, known in one_name.items()):
            texts = [one_name.get(name) for name in _text(held["exchange"]).to_pylist()]
            column = pa.array(texts, pa.string()).dictionary_encode()
            held = held.set_column(held.column_names.index("exchange"), "exchange", column)
        return held


def _series_of(bars: _Bars) -> tuple[list[tuple[str, str]], IntArray, IntArray]:
    """Return symbol and timeframe of each group of bars, where it begins, and where it has ended."""
    begins = np.flatnonzero(_changes(bars.group))
    ends = np.append(begins[1:], len(bars.ts))
    rows = bars.rows.select(["symbol", "timeframe"]).take(pa.array(begins)).to_pylist()
    return [(row["symbol"], row["timeframe"]) for row in rows], begins, ends


def _positions(bars: _Bars, held: pa.Table) -> tuple[IntArray, BoolArray]:
    """Return for each bar the row of the lake with its key, and whether there is one; (n,) each."""
    n = len(bars.ts)
    at, found = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool)
    if not held.num_rows:
        return at, found
    names, begins, ends = _series_of(bars)
    pairs = {name: number for number, name in enumerate(names)}
    group, ts = _groups_of(held, pairs), _micros(held["ts"])
    order = np.lexsort((ts, group))
    group, ts = group[order], ts[order]
    for number, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        low, high = np.searchsorted(group, [number, number + 1])
        if low == high:
            continue
        place = low + np.searchsorted(ts[low:high], bars.ts[begin:end])
        place = np.minimum(place, high - 1)
        at[begin:end] = order[place]
        found[begin:end] = ts[place] == bars.ts[begin:end]
    return at, found


def _groups_of(held: pa.Table, pairs: Mapping[tuple[str, str], int]) -> IntArray:
    """Return the number of each row's symbol and timeframe, -1 where it has none; (n,)."""
    symbols, timeframes = (held[name].combine_chunks() for name in ("symbol", "timeframe"))
    known = np.full((len(symbols.dictionary), len(timeframes.dictionary)), -1, dtype=np.int64)
    for i, symbol in enumerate(symbols.dictionary.to_pylist()):
        for j, timeframe in enumerate(timeframes.dictionary.to_pylist()):
            known[i, j] = pairs.get((symbol, timeframe), -1)
    found: IntArray = known[symbols.indices.to_numpy(), timeframes.indices.to_numpy()]
    return found


def _codes(column: pa.ChunkedArray) -> IntArray:
    """Return the place of each value among all, in the order of text; (n,)."""
    if not len(column):
        return np.zeros(0, dtype=np.int64)
    values = column.chunk(0).dictionary.to_pylist()
    place = np.empty(len(values), dtype=np.int64)
    place[np.array(sorted(range(len(values)), key=lambda k: values[k].encode()), dtype=np.int64)] = np.arange(
        len(values)
    )
    codes: IntArray = place[_indices(column)]
    return codes


def _indices(column: pa.ChunkedArray) -> IntArray:
    parts = [chunk.indices.to_numpy(zero_copy_only=False) for chunk in column.chunks]
    joined: IntArray = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
    return joined


def _micros(column: pa.ChunkedArray) -> IntArray:
    found: IntArray = column.cast(pa.int64()).to_numpy()
    return found


def _ascending(group: IntArray, ts: IntArray) -> bool:
    """Tell whether rows are ordered by both, and no pair comes twice."""
    steps = np.diff(group)
    return bool(((steps > 0) | ((steps == 0) & (np.diff(ts) > 0))).all())


def _changes(values: IntArray) -> BoolArray:
    """Return where a value differs from the one before it; the first does."""
    found = np.ones(len(values), dtype=bool)
    found[1:] = values[1:] != values[:-1]
    return found


def _equal(left: pa.ChunkedArray, right: pa.ChunkedArray) -> BoolArray:
    """Return where two columns have the same value: missing ones are the same, and so are NaN."""
    left, right = _text(left), _text(right)
    same = pc.fill_null(pc.equal(left, right), False)
    neither = pc.and_(pc.is_null(left), pc.is_null(right))
    same = pc.or_(same, neither)
    if pa.types.is_floating(left.type):
        both = pc.and_(pc.fill_null(pc.is_nan(left), False), pc.fill_null(pc.is_nan(right), False))
        same = pc.or_(same, both)
    found: BoolArray = same.to_numpy()
    return found


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def _words(rows: pa.Table) -> pa.Table:
    """Return the table with its texts spelled out."""
    return pa.table({name: _text(rows[name]) for name in rows.column_names})


def _stamped(rows: pa.Table, at: datetime) -> pa.Table:
    stamp = pa.repeat(pa.scalar(at, pa.timestamp("us", tz="UTC")), rows.num_rows)
    return rows.append_column("ingested_at", stamp)
