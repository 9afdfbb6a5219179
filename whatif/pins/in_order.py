"""Rows of one symbol in parts, months in order, each later than those before it: of tables of ticks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import schema_to_pyarrow

from whatif.pins.damage import planned, reading
from whatif.pins.filters import all_of, equal, everything, within
from whatif.pins.pin import Pin
from whatif.pins.read import reader_of, scan
from whatif.pins.row_groups import is_as_asked

if TYPE_CHECKING:
    from pyiceberg.table import DataScan, FileScanTask

PART_ROWS = 1_000_000
"""Ticks of a symbol that are read at a time."""


@dataclass(frozen=True)
class _Group:
    """A row group of a file that has rows of the symbol.

    Attributes
    ----------
    begin, end : int
        Its first and last instant, microseconds UTC.
    file : int
        Which of the month's files it is in.
    number : int
        Which of the file's row groups it is.
    rows : int
        How many rows it has.
    whole : bool
        Whether all of them are asked for.
    """

    begin: int
    end: int
    file: int
    number: int
    rows: int
    whole: bool


def parts_in_order(
    pin: Pin, columns: Sequence[str], symbol: str, start_us: int | None, end_us: int | None, rows: int
) -> Iterator[pa.Table]:
    """Yield the pinned rows of a symbol in parts, of which each is later than those before it.

    Parameters
    ----------
    pin : Pin
        Of a table that is partitioned by months of `ts`, and by nothing else.
    columns : sequence of str
        Columns to read, `ts` among them, and their order.
    symbol : str
        Whose rows.
    start_us, end_us : int or None
        Rows of [start_us, end_us), microseconds UTC.
    rows : int
        A part has that many rows, and those of a row group and an instant more at most, where the files' row
        groups overlap as little as those of files that were written in order; else up to a month's.

    Yields
    ------
    pa.Table
        Rows in no order within a part; an instant is never in two.

    Raises
    ------
    LakeError, LakeDamagedError
        As `whatif.pins.read.read_arrow` does.
    """
    wanted = _Wanted(pin, tuple(columns), symbol, start_us, end_us)
    scanned = scan(pin, columns, all_of(equal("symbol", symbol), within("ts", start_us, end_us)))
    with reading(pin.table, scanned):
        months: dict[int, list[FileScanTask]] = {}
        for task in planned(pin.table, scanned):
            months.setdefault(int(task.file.partition[0]), []).append(task)
        for _, files in sorted(months.items()):
            yield from _Month(scanned, wanted, files).parts(rows)


def held_symbols(pin: Pin) -> set[str]:
    """Return the symbols of which a table holds rows; of row groups of one symbol nothing is read."""
    scanned = scan(pin, ["symbol"], everything())
    found: set[str] = set()
    with reading(pin.table, scanned):
        for task in planned(pin.table, scanned):
            if task.delete_files:
                found |= set(reader_of(scanned).to_table([task])["symbol"].unique().to_pylist())
                continue
            with _opened(scanned, task) as opened:
                found |= _symbols_of(opened)
    return found


def _symbols_of(opened: pq.ParquetFile) -> set[str]:
    """Return the symbols of a file."""
    at = opened.metadata.schema.names.index("symbol")
    found: set[str] = set()
    for number in range(opened.metadata.num_row_groups):
        told = opened.metadata.row_group(number).column(at).statistics
        if told is not None and told.has_min_max and told.min == told.max:
            found.add(told.min)
        else:
            found |= set(opened.read_row_group(number, ["symbol"])["symbol"].unique().to_pylist())
    return found


def _opened(scanned: DataScan, task: FileScanTask, metadata: pq.FileMetaData | None = None) -> pq.ParquetFile:
    source = scanned.io.new_input(task.file.file_path).open()
    return pq.ParquetFile(
        source,
        metadata=metadata,
        read_dictionary=["symbol"],
        pre_buffer=True,
        page_checksum_verification=True,
    )


@dataclass(frozen=True)
class _Wanted:
    """Which rows are asked for: see `parts_in_order`."""

    pin: Pin
    columns: tuple[str, ...]
    symbol: str
    start_us: int | None
    end_us: int | None

    def of(self, table: pa.Table) -> pa.Table:
        """Return those of some rows, which have `symbol` too."""
        keep = pc.equal(table["symbol"].cast(pa.string()), self.symbol)
        at = table["ts"].cast(pa.int64())
        if self.start_us is not None:
            keep = pc.and_(keep, pc.greater_equal(at, self.start_us))
        if self.end_us is not None:
            keep = pc.and_(keep, pc.less(at, self.end_us))
        return table.filter(keep).select(list(self.columns))

    def group(
        self, file: int, number: int, metadata: pq.RowGroupMetaData, at: dict[str, int]
    ) -> _Group | None:
        """Return a row group, or None if it has no rows that are asked for.

        Raises
        ------
        LookupError
            If it does not say what it holds.
        """
        symbols, instants = (metadata.column(at[name]).statistics for name in ("symbol", "ts"))
        if any(one is None or not one.has_min_max or one.null_count for one in (symbols, instants)):
            raise LookupError("a row group without bounds")
        begin, end = int(instants.min_raw), int(instants.max_raw)
        if not symbols.min <= self.symbol <= symbols.max:
            return None
        first = begin if self.start_us is None else max(begin, self.start_us)
        last = end if self.end_us is None else min(end, self.end_us - 1)
        if first > last:
            return None
        whole = (first, last) == (begin, end) and symbols.min == symbols.max
        return _Group(begin, end, file, number, metadata.num_rows, whole)


class _Month:
    """A month's files.

    Parameters
    ----------
    scanned : DataScan
        The scan that they belong to.
    wanted : _Wanted
        Rows that are asked for.
    files : sequence of FileScanTask
        The files.
    """

    def __init__(self, scanned: DataScan, wanted: _Wanted, files: Sequence[FileScanTask]) -> None:
        self._scanned, self._wanted, self._files = scanned, wanted, files
        self._metadata: list[pq.FileMetaData] = []
        fields = scanned.table_metadata.schema().select(*{*wanted.columns, "symbol", "ts"})
        self._schema = schema_to_pyarrow(fields)

    def parts(self, rows: int) -> Iterator[pa.Table]:
        """Yield the rows in parts."""
        groups = self._groups()
        if groups is None:
            # rows of files were deleted, or these are older than a column: PyIceberg puts them right
            table = reader_of(self._scanned).to_table(self._files)
            if table.num_rows:
                yield table.select(list(self._wanted.columns))
            return
        pending: list[_Group] = []
        held: list[pa.Table] = []
        count, due, newest = 0, rows, 0
        for group, following in zip(groups, [*groups[1:], None], strict=True):
            pending.append(group)
            count, newest = count + group.rows, max(newest, group.end)
            if following is not None and count < due:
                continue
            table = self._read(held, pending)
            pending, held = [], [table]
            if following is None or newest < following.begin:
                held = []
            else:
                table, *held = _split(table, following.begin)
            count = sum(one.num_rows for one in held)
            due = count + rows
            if table.num_rows:
                yield table

    def _groups(self) -> list[_Group] | None:
        """Return the row groups with rows that are asked for, oldest first; None if that is not known."""
        found: list[_Group] = []
        for file, task in enumerate(self._files):
            if task.delete_files:
                return None
            with self._open(file) as opened:
                metadata, schema = opened.metadata, opened.schema_arrow
            names = metadata.schema.names
            if not is_as_asked(schema, self._schema):
                return None
            self._metadata.append(metadata)
            at = {name: names.index(name) for name in ("symbol", "ts")}
            try:
                some = [
                    self._wanted.group(file, number, metadata.row_group(number), at)
                    for number in range(metadata.num_row_groups)
                ]
            except LookupError:
                return None
            found += [one for one in some if one is not None]
        return sorted(found, key=lambda one: (one.begin, one.end, one.file, one.number))

    def _open(self, file: int) -> pq.ParquetFile:
        known = self._metadata[file] if file < len(self._metadata) else None
        return _opened(self._scanned, self._files[file], known)

    def _read(self, held: Sequence[pa.Table], groups: Sequence[_Group]) -> pa.Table:
        """Return the rows of row groups behind those that are held."""
        found = list(held)
        names = list(self._wanted.columns)
        for file, whole in sorted({(one.file, one.whole) for one in groups}):
            numbers = [one.number for one in groups if (one.file, one.whole) == (file, whole)]
            with self._open(file) as opened:
                if whole:
                    rows = opened.read_row_groups(numbers, names).select(names)
                else:
                    needed = [*dict.fromkeys((*names, "symbol", "ts"))]
                    rows = self._wanted.of(opened.read_row_groups(numbers, needed))
                found.append(
                    rows.cast(pa.schema([self._schema.field(name).remove_metadata() for name in names]))
                )
        return pa.concat_tables(found)


def _split(table: pa.Table, before_us: int) -> list[pa.Table]:
    """Return rows before an instant, and those at it or behind it."""
    early = pc.less(table["ts"].cast(pa.int64()), before_us)
    return [table.filter(early), table.filter(pc.invert(early))]
