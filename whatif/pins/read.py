"""Pinned rows, read through PyIceberg without a JVM, and a bounded cache of them for each worker process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import numpy as np

from whatif.calendars import EPOCH
from whatif.domain import Bars, canonical_timeframe
from whatif.errors import LakeError, nearest
from whatif.pins.adjust import Scale, make_scale
from whatif.pins.damage import check_manifests, planned, reading
from whatif.pins.filters import all_of, bars_filter, equal, everything, one_of, within
from whatif.pins.integrity import local_path
from whatif.pins.location import catalog_properties
from whatif.pins.manifests import manifests_of
from whatif.pins.metadata import load_table, newest_metadata
from whatif.pins.pin import Pin
from whatif.pins.renames import RENAME_COLUMNS, Names, names_of
from whatif.pins.service import in_words
from whatif.startup import without_collecting
from whatif.typing import FloatArray, IntArray

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.io.pyarrow import ArrowScan
    from pyiceberg.table import DataScan, FileScanTask, StaticTable, Table

_FLOATS = ("open", "high", "low", "close", "volume", "vwap")
_TIMES = ("ts", "session_open", "session_close")

MAX_RUNS = 8
"""Runs of ordered rows in a file, for each symbol, up to which they are put together and not sorted."""

FILES_AT_ONCE = 4
"""Data files that are read side by side, and held at most, where rows are looked at and dropped."""

BYTES_AT_ONCE = 8 * 1024 * 1024
"""What they may have together, unless one alone has more."""


def scan(pin: Pin, columns: Sequence[str], row_filter: str | BooleanExpression) -> DataScan:
    """Return PyIceberg's scan of the pinned rows.

    A column that the table was given after the snapshot is left out.

    Raises
    ------
    LakeError
        If the metadata file is gone, the snapshot has expired, or a column is not in the table.
    LakeDamagedError
        If metadata or a manifest is cut off or altered.
    """
    table = _pinned_table(pin)
    snapshot = table.snapshot_by_id(pin.snapshot_id)
    if snapshot is None:
        raise LakeError(
            f"pin of {pin.table}: snapshot {pin.snapshot_id} is not in {pin.metadata_location}, it was "
            "expired or belongs to another table: pin the table again (--latest)"
        )
    check_manifests(pin.table, table.metadata, table.io, snapshot)
    known = [f.name for f in table.schema().fields]
    for column in columns:
        if column not in known:
            raise LakeError(f"table {pin.table} has no column {column!r}: {nearest(column, known)}")
    then = table.schema() if snapshot.schema_id is None else table.schemas()[snapshot.schema_id]
    there = tuple(column for column in columns if column in then.column_names)
    return table.scan(row_filter=row_filter, selected_fields=there, snapshot_id=pin.snapshot_id)


def _pinned_table(pin: Pin) -> StaticTable:
    """Return the table as the pin's metadata describes it, or the newest, where that is gone.

    A local table keeps its newest metadata files only. A snapshot is the same in all that list it.
    """
    with in_words(f"pin of {pin.table}"), suppress(FileNotFoundError):
        return load_table(pin.table, pin.metadata_location, catalog_properties())
    newest = _newest_beside(pin.metadata_location)
    if newest is None:
        raise LakeError(
            f"pin of {pin.table}: metadata {pin.metadata_location} is gone: pin the table again (--latest)"
        )
    return load_table(pin.table, newest)


def _newest_beside(location: str) -> str | None:
    """Return the newest metadata file of a local table of which `location` was one."""
    path = local_path(location)
    newest = None if path is None else newest_metadata(path.parent.parent)
    return None if newest is None else str(newest)


def batches(
    pin: Pin, columns: Sequence[str], row_filter: str | BooleanExpression
) -> Iterator[pa.RecordBatch]:
    """Yield the pinned rows that pass a filter, in parts and no particular order.

    Memory holds a few files' rows. PyIceberg's own reader of batches, as of 0.12, reads all files
    ahead of whoever takes the batches, so that it holds what a table holds.
    """
    import pyarrow as pa
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    scanned = scan(pin, columns, row_filter)
    schema, reader = schema_to_pyarrow(scanned.projection()), reader_of(scanned)
    with reading(pin.table, scanned):
        for some in _together(planned(pin.table, scanned)):
            found = reader.to_record_batches(some)
            yield from pa.RecordBatchReader.from_batches(schema, found).cast(schema)
    # what the largest of them took is not needed any more
    pa.default_memory_pool().release_unused()


def values_of(pin: Pin, column: str, row_filter: str | BooleanExpression) -> set[Any]:
    """Return what stands in a column of the pinned rows that pass a filter; None too where one is missing.

    Memory holds what `batches` does.
    """
    found: set[Any] = set()
    for batch in batches(pin, [column], row_filter):
        found |= set(batch.column(column).unique().to_pylist())
    return found


def reader_of(scanned: DataScan) -> ArrowScan:
    """Return PyIceberg's reader of the files of a scan."""
    from pyiceberg.io.pyarrow import ArrowScan

    return ArrowScan(
        scanned.table_metadata, scanned.io, scanned.projection(), scanned.row_filter, scanned.case_sensitive
    )


def _together(files: Sequence[FileScanTask]) -> Iterator[list[FileScanTask]]:
    """Yield files to read at once: not many, and few bytes, unless a single one has more."""
    some: list[FileScanTask] = []
    size = 0
    for file in files:
        if some and (len(some) >= FILES_AT_ONCE or size + file.file.file_size_in_bytes > BYTES_AT_ONCE):
            yield some
            some, size = [], 0
        some.append(file)
        size += file.file.file_size_in_bytes
    if some:
        yield some


def read_arrow(
    pin: Pin, columns: Sequence[str], row_filter: str | BooleanExpression | None = None
) -> pa.Table:
    """Return columns of the pinned rows that pass a filter, in no particular order.

    Parameters
    ----------
    pin : Pin
        The table and its snapshot.
    columns : sequence of str
        Columns to read, and their order.
    row_filter : str or pyiceberg expression, optional
        Such as "symbol = 'SPY'"; all rows if left out.

    Returns
    -------
    pyarrow.Table
        The columns in the order asked for; null where the snapshot is older than a column.
    """
    import pyarrow as pa

    scanned = scan(pin, columns, everything() if row_filter is None else row_filter)
    with reading(pin.table, scanned):
        table = reader_of(scanned).to_table(planned(pin.table, scanned))
    for name in columns:
        if name not in table.column_names:
            kind = scanned.table_metadata.schema().as_arrow().field(name).type
            table = table.append_column(name, pa.nulls(table.num_rows, kind))
    return table.select(list(columns))


def encoded_rows(
    pin: Pin, columns: Sequence[str], row_filter: str | BooleanExpression
) -> Iterator[pa.RecordBatch]:
    """Yield the pinned rows that pass a filter, file by file, each in its order; texts are dictionaries.

    Parameters
    ----------
    pin : Pin
        The table and its snapshot.
    columns : sequence of str
        Columns to read, and their order; the snapshot has them.
    row_filter : str or pyiceberg expression
        Such as "symbol = 'SPY'".
    """
    from whatif.pins.row_groups import plain_rows

    scanned = scan(pin, columns, row_filter)
    with reading(pin.table, scanned):
        reader = reader_of(scanned)
        for batch in plain_rows(scanned, planned(pin.table, scanned), lambda task: reader.to_table([task])):
            yield batch.select(list(columns))


def rows_of_files(table: Table, files: Sequence[FileScanTask]) -> pa.Table:
    """Return the rows of some files of a table's newest snapshot, file by file; texts are dictionaries."""
    import pyarrow as pa

    from whatif.pins.row_groups import plain_rows

    scanned = table.scan()
    reader = reader_of(scanned)
    rows = plain_rows(scanned, files, lambda task: reader.to_table([task]))
    # lists are of several types, by who wrote the file
    found = pa.concat_tables((pa.Table.from_batches([one]) for one in rows), promote_options="permissive")
    return found.unify_dictionaries()


def read_symbols(pin: Pin, columns: Sequence[str], row_filter: BooleanExpression, names: Names) -> pa.Table:
    """Return what `read_arrow` does, of bars of symbols and under these; texts may be dictionaries.

    Parameters
    ----------
    pin : Pin
        Of the bars.
    columns : sequence of str
        Columns to read, and their order; `symbol` and `session` among them.
    row_filter : pyiceberg expression
        Rows that are asked for.
    names : Names
        What the symbols are stored under, as `symbol_names` has it.
    """
    import pyarrow as pa

    if names.plain and len(scan(pin, columns, row_filter).projection().fields) == len(columns):
        found = [pa.Table.from_batches([batch]) for batch in encoded_rows(pin, columns, row_filter)]
        if found:
            return pa.concat_tables(found).unify_dictionaries()
    return names.put_on(read_arrow(pin, columns, row_filter))


def read_added(
    pin: Pin, since: int, columns: Sequence[str], row_filter: str | BooleanExpression
) -> pa.Table | None:
    """Return rows that were appended behind a snapshot, up to the pinned one; of other files nothing is read.

    Parameters
    ----------
    pin : Pin
        The table and its newer snapshot.
    since : int
        The older snapshot.
    columns : sequence of str
        Columns to read, which the newer snapshot has.
    row_filter : str or pyiceberg expression
        Rows that are asked for.

    Returns
    -------
    pyarrow.Table or None
        None if the one is not behind the other, or something else than appending happened between them.
    """
    scanned = scan(pin, columns, row_filter)
    known = {snapshot.snapshot_id: snapshot for snapshot in scanned.table_metadata.snapshots}
    at, new = known.get(pin.snapshot_id), set()
    while at is not None and at.snapshot_id != since:
        if at.summary is None or at.summary.operation.value != "append":
            return None
        new.add(at.snapshot_id)
        at = None if at.parent_snapshot_id is None else known.get(at.parent_snapshot_id)
    newest = scanned.snapshot()
    if at is None or newest is None:
        return None
    added = {
        entry.data_file.file_path
        for manifest in manifests_of(newest, scanned.io)
        if manifest.added_snapshot_id in new
        for entry in manifest.fetch_manifest_entry(scanned.io)
        if entry.snapshot_id in new
    }
    with reading(pin.table, scanned):
        tasks = [task for task in planned(pin.table, scanned) if task.file.file_path in added]
        return reader_of(scanned).to_table(tasks).select(list(columns))


def read_bars(
    pin: Pin,
    symbol: str,
    timeframe: str,
    start_us: int | None = None,
    end_us: int | None = None,
    hours: str = "regular",
) -> Bars:
    """Return one symbol's bars in [start_us, end_us), oldest first; none is an empty `Bars`.

    Parameters
    ----------
    pin : Pin
        Pin of the table `bars`.
    symbol, timeframe : str
        Such as "SPY" and "1min".
    start_us, end_us : int, optional
        Half-open range of the bars' starts, microseconds UTC.
    hours : str
        "regular", or "extended" for all bars.
    """
    return read_bars_of(pin, [symbol], timeframe, start_us, end_us, hours)[symbol]


def read_bars_of(
    pin: Pin,
    symbols: Sequence[str],
    timeframe: str,
    start_us: int | None = None,
    end_us: int | None = None,
    hours: str = "regular",
) -> dict[str, Bars]:
    """Return what `read_bars` returns of several symbols, whose files are planned and read once."""
    columns = ["symbol", "session", *_TIMES, *_FLOATS]
    names = symbol_names(pin, symbols)
    row_filter = bars_filter(names.tickers, timeframe, start_us, end_us, hours)
    # of a process's first read, most is importing PyIceberg
    with without_collecting():
        found = None
        if names.plain:
            found = _in_runs(list(encoded_rows(pin, columns, row_filter)), symbols)
        if found is None:
            found = _sorted_bars(pin, columns, row_filter, symbols, names)
    if pin.adjustment is None:
        return found
    scales = scales_of(pin, symbols, timeframe, hours)
    return {symbol: scales[symbol].bars(bars) for symbol, bars in found.items()}


def _in_runs(batches: Sequence[pa.RecordBatch], symbols: Sequence[str]) -> dict[str, Bars] | None:
    """Return bars of symbols that come in few runs of rows, each in order; None where one has a bar twice.

    Files are in order of symbol and ts, so that nothing is to be sorted.
    """
    places = {symbol: k for k, symbol in enumerate(symbols)}
    runs: list[list[tuple[int, int, int, int]]] = [[] for _ in symbols]
    for number, batch in enumerate(batches):
        column = batch.column("symbol")
        owner = np.array([places.get(one, -1) for one in column.dictionary.to_pylist()], dtype=np.int64)
        owner = owner[column.indices.to_numpy()]
        ts = _whole_microseconds(batch.column("ts"))
        ends = np.flatnonzero((np.diff(owner) != 0) | (np.diff(ts) <= 0)) + 1
        if len(ends) > MAX_RUNS * len(symbols):
            return None
        for first, stop in pairwise([0, *ends.tolist(), len(ts)]):
            if stop > first:
                runs[owner[first]].append((int(ts[first]), number, first, stop))
    for own in runs:
        own.sort()
        lasts = [batches[number].column("ts")[stop - 1].value for _, number, _, stop in own]
        if any(first[0] <= last for first, last in zip(own[1:], lasts, strict=False)):
            return None
    values = [_numbers(batch) for batch in batches]
    return {
        symbol: _joined(symbol, values, [run[1:] for run in own])
        for symbol, own in zip(symbols, runs, strict=True)
    }


def _numbers(batch: pa.RecordBatch) -> dict[str, np.ndarray]:
    """Return the columns of bars as arrays, (n,)."""
    found = {name: _whole_microseconds(batch.column(name)) for name in _TIMES}
    found |= {name: np.asarray(batch.column(name).to_numpy(zero_copy_only=False)) for name in _FLOATS}
    return found | {"session": batch.column("session").cast("int32").to_numpy(zero_copy_only=False)}


def _joined(
    symbol: str, values: Sequence[Mapping[str, np.ndarray]], runs: Sequence[tuple[int, int, int]]
) -> Bars:
    """Return bars that are runs of rows: number of the batch, first row and end of each."""

    def of(name: str, kind: type = np.float64) -> np.ndarray:
        return np.concatenate([np.empty(0, kind), *(values[k][name][first:stop] for k, first, stop in runs)])

    return Bars(
        symbol=symbol,
        ts=of("ts", np.int64),
        open=of("open"),
        high=of("high"),
        low=of("low"),
        close=of("close"),
        volume=of("volume"),
        vwap=of("vwap"),
        session=of("session", np.int64),
        session_open=of("session_open", np.int64),
        session_close=of("session_close", np.int64),
    )


def _whole_microseconds(column: pa.Array) -> IntArray:
    return np.asarray(column.cast("int64").to_numpy(zero_copy_only=False), dtype=np.int64)


def _sorted_bars(
    pin: Pin, columns: Sequence[str], row_filter: BooleanExpression, symbols: Sequence[str], names: Names
) -> dict[str, Bars]:
    """Return bars of symbols whose rows come in any order, of each the one that was ingested last."""
    table = names.put_on(read_arrow(pin, columns, row_filter))
    times = {name: microseconds(table[name]) for name in _TIMES}
    owners, order = _by_symbol(table, symbols, times["ts"])
    same = (np.diff(owners[order]) == 0) & (np.diff(times["ts"][order]) == 0)
    if same.any():
        # a lake may hold one length under two names, such as 60min and 1h
        table = names.put_on(read_arrow(pin, [*columns, "timeframe", "ingested_at"], row_filter))
        table = table.take(latest_rows(table))
        times = {name: microseconds(table[name]) for name in _TIMES}
        owners, order = _by_symbol(table, symbols, times["ts"])
    prices = [floats(table[name]) for name in _FLOATS]
    session = days(table["session"])
    bounds = np.searchsorted(owners[order], np.arange(len(symbols) + 1))
    found = {}
    for symbol, (first, stop) in zip(symbols, pairwise(bounds), strict=True):
        rows = order[first:stop]
        open_, high, low, close, volume, vwap = (values[rows] for values in prices)
        found[symbol] = Bars(
            symbol=symbol,
            ts=times["ts"][rows],
            open=open_,
            high=high,
            low=low,
            close=close,
            volume=volume,
            vwap=vwap,
            session=session[rows],
            session_open=times["session_open"][rows],
            session_close=times["session_close"][rows],
        )
    return found


def symbol_names(pin: Pin, symbols: Sequence[str]) -> Names:
    """Return what bars of symbols are stored under, as a pin of bars says; their own names if it does not.

    Raises
    ------
    LakeError
        If a symbol is but the former name of another.
    """
    rows = () if pin.renames is None else read_arrow(pin.renames, RENAME_COLUMNS).to_pylist()
    return names_of(symbols, rows)


def symbol_rows(
    pin: Pin,
    columns: Sequence[str],
    symbols: Sequence[str],
    *terms: BooleanExpression,
    encoded: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Yield the pinned bars of symbols that pass filters, as `batches`, under the symbols asked for.

    Parameters
    ----------
    pin : Pin
        Of the bars.
    columns : sequence of str
        Columns to read, in this order.
    symbols : sequence of str
        Symbols.
    terms : pyiceberg expressions
        Filters of other columns than the symbol.
    encoded : bool
        Whether texts may come as dictionaries, which costs a quarter.
    """
    names = symbol_names(pin, symbols)
    if encoded and names.plain:
        yield from encoded_rows(pin, columns, all_of(one_of("symbol", names.tickers), *terms))
        return
    needed = tuple(dict.fromkeys((*columns, "symbol", "session")))
    read = tuple(columns) if pin.renames is None else needed
    for batch in batches(pin, read, all_of(one_of("symbol", names.tickers), *terms)):
        yield names.put_on(batch).select(list(columns))


def scales_of(pin: Pin, symbols: Sequence[str], timeframe: str, hours: str = "regular") -> dict[str, Scale]:
    """Return by what the bars of symbols are multiplied, as a pin's adjustment says; it must have one.

    Parameters
    ----------
    pin : Pin
        Of the bars.
    symbols : sequence of str
        Symbols.
    timeframe, hours : str
        Of the bars, whose closes before ex-dates dividends are measured by.
    """
    assert pin.adjustment is not None
    columns = ["symbol", "ex_date", "kind", "value", "factor"]
    names = symbol_names(pin, symbols)
    wanted = one_of("symbol", tuple(dict.fromkeys((*symbols, *names.tickers))))
    rows = read_arrow(pin.adjustment.actions, columns, wanted).to_pylist()
    found = {}
    for symbol in symbols:
        actions = [
            {**row, "ex_date": (row["ex_date"] - EPOCH).days} for row in names.actions_of(symbol, rows)
        ]
        close_before = _CloseBefore(pin, symbol, timeframe, hours)
        found[symbol] = make_scale(symbol, actions, pin.adjustment.mode, close_before)
    return found


@dataclass
class _CloseBefore:
    """Closes of a symbol as traded, read when one is first asked for."""

    pin: Pin
    symbol: str
    timeframe: str
    hours: str

    @cached_property
    def _closes(self) -> Bars:
        return read_bars(replace(self.pin, adjustment=None), self.symbol, self.timeframe, hours=self.hours)

    def __call__(self, day: int) -> float | None:
        at = int(np.searchsorted(self._closes.session, day)) - 1
        return None if at < 0 else float(self._closes.close[at])


def _by_symbol(table: pa.Table, symbols: Sequence[str], ts: IntArray) -> tuple[IntArray, IntArray]:
    """Return the place of each row's symbol, (n,), and the rows in order of symbol and ts, (n,)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(symbols) == 1:
        return np.zeros(len(ts), dtype=np.int64), np.argsort(ts, kind="stable")
    owners = np.asarray(pc.index_in(table["symbol"], pa.array(list(symbols))).to_numpy(), dtype=np.int64)
    return owners, np.lexsort((ts, owners))


def latest_rows(table: pa.Table) -> IntArray:
    """Return, in order of symbol (if there) and ts, the row of each bar that was ingested last, (k,).

    Of rows ingested at once, the one stays whose timeframe has the name that is used now.
    """
    frame = table.select([c for c in ("symbol", "ts", "ingested_at", "timeframe") if c in table.column_names])
    rows = frame.to_pandas()
    keys = [c for c in ("symbol", "ts") if c in rows]
    rows["used"] = rows["timeframe"] == rows["timeframe"].map(canonical_timeframe)
    kept = rows.sort_values([*keys, "ingested_at", "used"], kind="stable").drop_duplicates(keys, keep="last")
    return np.asarray(kept.index, dtype=np.int64)


def microseconds(column: pa.ChunkedArray) -> IntArray:
    """Return a timestamp column as int64 microseconds since 1970-01-01 UTC, (n,)."""
    return np.asarray(column.cast("int64").to_numpy(), dtype=np.int64)


def days(column: pa.ChunkedArray) -> IntArray:
    """Return a date column as int64 days since 1970-01-01, (n,)."""
    return np.asarray(column.cast("int32").to_numpy(), dtype=np.int64)


def floats(column: pa.ChunkedArray) -> FloatArray:
    """Return a double column as float64, (n,), null as NaN."""
    return np.asarray(column.to_numpy(), dtype=np.float64)


def read_predictions(
    pin: Pin,
    model_digest: str,
    symbol: str,
    start_us: int,
    end_us: int,
    columns: Sequence[str] = ("prediction",),
) -> tuple[IntArray, FloatArray]:
    """Return the predictions for bars that start in [start_us, end_us), oldest first.

    Returns
    -------
    ts : int64 array (k,)
        Starts of the bars, microseconds UTC.
    predictions : float64 array (c, k)
        A row for each column: `prediction` in the unit of the model's target, a fraction of the close, or a
        price; probabilities.
    """
    wanted = all_of(
        equal("model_digest", model_digest), equal("symbol", symbol), within("ts", start_us, end_us)
    )
    table = read_arrow(pin, ["ts", *columns], wanted)
    ts = microseconds(table["ts"])
    order = np.argsort(ts, kind="stable")
    return ts[order], np.stack([floats(table[name])[order] for name in columns])


class Sized(Protocol):
    """Anything that knows how many bytes it holds."""

    @property
    def nbytes(self) -> int:
        """Bytes held."""


T = TypeVar("T", bound=Sized)


class PinnedCache:
    """Keep what was read last, up to a number of bytes.

    Snapshots never change, so an entry is never stale. Arrays are shared between callers,
    who must not write to them. A value larger than the bound is returned and not kept.

    Parameters
    ----------
    max_bytes : int
        Bound on the sum of `nbytes` of what is kept.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise LakeError(f"cache of {max_bytes} bytes: give a bound of 0 or more")
        self.max_bytes = max_bytes
        self.nbytes = 0
        self.hits = 0
        self.misses = 0
        self._entries: OrderedDict[Hashable, Sized] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of entries kept."""
        return len(self._entries)

    def look(self, key: Hashable) -> Sized | None:
        """Return the entry of `key`, or None if it is not kept; that is no use of it."""
        return self._entries.get(key)

    def get(self, key: Hashable, load: Callable[[], T]) -> T:
        """Return the entry of `key`, loading it if it is not kept."""
        if key in self._entries:
            self.hits += 1
            self._entries.move_to_end(key)
            return cast(T, self._entries[key])
        self.misses += 1
        value = load()
        self.put(key, value)
        return value

    def find(self, key: Hashable) -> Sized | None:
        """Return the entry of `key`, or None if it is not kept."""
        if key not in self._entries:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return self._entries[key]

    def put(self, key: Hashable, value: Sized) -> None:
        """Keep `value` in place of what `key` had, and forget what was used longest ago."""
        if key in self._entries:
            self.nbytes -= self._entries.pop(key).nbytes
        if value.nbytes > self.max_bytes:
            return
        self._entries[key] = value
        self.nbytes += value.nbytes
        while self.nbytes > self.max_bytes:
            self.nbytes -= self._entries.popitem(last=False)[1].nbytes

    def bars(
        self, pin: Pin, symbol: str, timeframe: str, start_us: int | None, end_us: int | None, hours: str
    ) -> Bars:
        """Return what `read_bars` returns, reading it only if it is not kept."""
        key = (
            "bars",
            pin.table,
            pin.snapshot_id,
            pin.metadata_location,
            pin.adjustment,
            pin.renames,
            symbol,
            timeframe,
            start_us,
            end_us,
            hours,
        )
        return self.get(key, lambda: read_bars(pin, symbol, timeframe, start_us, end_us, hours))
