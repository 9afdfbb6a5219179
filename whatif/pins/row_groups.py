"""Rows of plain Parquet files, of which only row groups that can hold what is asked for are decoded.

PyIceberg's reader compares every row of a file with every term of a filter, and makes a text of each. Files
of bars are in order of symbol and ts, and a row group says from which to which it goes: most of a filter
holds for whole groups, or for none of their rows. What is left is compared by codes of dictionaries.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.table import DataScan, FileScanTask

_NUMBER = b"PARQUET:field_id"
_TEXTS = (pa.string(), pa.large_string())

FOOTERS_KEPT = 32
"""Files whose footers a process keeps; one of 100 row groups of 18 columns takes a millisecond to read."""


@dataclass(frozen=True)
class Term:
    """What a filter asks of one column; a row without a value does not pass.

    Attributes
    ----------
    column : str
        A text, or an instant.
    values : tuple of str, optional
        Texts in order, of which it is one.
    start, end : int, optional
        Instants of [start, end), microseconds UTC.
    """

    column: str
    values: tuple[str, ...] | None = None
    start: int | None = None
    end: int | None = None

    def of_group(self, low: Any, high: Any) -> bool | None:
        """Tell whether all rows of a row group pass, True, or none, False; None if that is not known.

        Parameters
        ----------
        low, high : str or int
            The bounds of its values, none of which is missing.
        """
        if self.values is not None:
            at = bisect_left(self.values, low)
            if at == len(self.values) or self.values[at] > high:
                return False
            return True if low == high else None
        if (self.start is not None and high < self.start) or (self.end is not None and low >= self.end):
            return False
        inside = (self.start is None or low >= self.start) and (self.end is None or high < self.end)
        return True if inside else None

    def passed(self, column: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return which rows pass, (n,): texts are encoded as a dictionary."""
        if self.values is not None:
            codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            known = [value in self.values for value in column.dictionary.to_pylist()]
            found: np.ndarray[Any, np.dtype[np.bool_]] = np.array([*known, False])[codes]
            return found
        there: np.ndarray[Any, np.dtype[np.bool_]] = column.is_valid().to_numpy(zero_copy_only=False)
        at = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        if self.start is not None:
            there = there & (at >= self.start)
        return there if self.end is None else there & (at < self.end)


def terms_of(scanned: DataScan) -> tuple[Term, ...] | None:
    """Return the terms of a scan's filter; None if it has other ones than are known here."""
    from pyiceberg.expressions.visitors import bind

    schema = scanned.table_metadata.schema()
    found: list[Term] = []
    waiting: list[Any] = [bind(schema, scanned.row_filter, scanned.case_sensitive)]
    while waiting:
        one = waiting.pop()
        kind = type(one).__name__
        if kind == "And":
            waiting += [one.left, one.right]
        elif kind != "AlwaysTrue":
            term = _term(kind, one)
            if term is None:
                return None
            found.append(term)
    return tuple(sorted(found, key=lambda term: term.values is None))


def _term(kind: str, one: Any) -> Term | None:
    from pyiceberg.types import StringType, TimestamptzType

    reference = getattr(one, "term", None)
    field = getattr(reference, "field", None)
    if field is None:  # of several terms
        return None
    if isinstance(field.field_type, StringType) and kind in ("BoundIn", "BoundEqualTo"):
        values = [one.literal] if kind == "BoundEqualTo" else one.literals
        return Term(field.name, tuple(sorted(value.value for value in values)))
    if isinstance(field.field_type, TimestamptzType):
        if kind == "BoundGreaterThanOrEqual":
            return Term(field.name, start=int(one.literal.value))
        if kind == "BoundLessThan":
            return Term(field.name, end=int(one.literal.value))
    return None


def plain_rows(
    scanned: DataScan,
    tasks: Sequence[FileScanTask],
    other: Callable[[FileScanTask], pa.Table],
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of each file of a scan that pass its filter, in the order of the file.

    Parameters
    ----------
    scanned : DataScan
        The scan.
    tasks : sequence of FileScanTask
        Its files, or some of them.
    other : callable
        Reads a file that has deleted rows, or is older than a column, and all if the filter is one that is
        not known here.

    Yields
    ------
    RecordBatch
        The columns that are asked for; texts are encoded as dictionaries.
    """
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    projection, terms = scanned.projection(), terms_of(scanned)
    names = [field.name for field in projection.fields]
    needed = list(dict.fromkeys([*names, *(term.column for term in terms or ())]))
    schema = schema_to_pyarrow(scanned.table_metadata.schema().select(*needed))
    for task in tasks:
        table = None if terms is None or task.delete_files else _read(scanned.io, task, schema, terms, names)
        yield _encoded((other(task) if table is None else table).select(names))


def _read(
    io: FileIO, task: FileScanTask, schema: pa.Schema, terms: Sequence[Term], names: Sequence[str]
) -> pa.Table | None:
    """Return the rows of a file that pass; None if its columns are not those of the table."""
    path, size = task.file.file_path, task.file.file_size_in_bytes
    texts = [field.name for field in schema if field.type in _TEXTS]
    with io.new_input(path).open() as source:
        footer = _footer(path, size, source)
        with pq.ParquetFile(
            source,
            metadata=footer.metadata,
            read_dictionary=texts,
            pre_buffer=True,
            page_checksum_verification=True,
        ) as file:
            if not is_as_asked(file.schema_arrow, schema):
                return None
            numbers, left = footer.groups(terms)
            table = file.read_row_groups(numbers, list(dict.fromkeys([*names, *(t.column for t in left)])))
    passed: np.ndarray[Any, np.dtype[np.bool_]] | None = None
    for term in left if numbers else ():
        mine = term.passed(_whole(table[term.column]))
        passed = mine if passed is None else passed & mine
    if passed is None or passed.all():
        return table
    at = np.flatnonzero(passed)
    if len(at) and at[-1] - at[0] + 1 == len(at):  # a symbol's rows, or those of some that lie together
        return table.slice(int(at[0]), len(at))
    return table.filter(pa.array(passed))


class _Footer:
    """The footer of a Parquet file.

    Parameters
    ----------
    metadata : FileMetaData
        What stands in it.
    """

    def __init__(self, metadata: pq.FileMetaData) -> None:
        self.metadata = metadata
        self._at = {name: k for k, name in enumerate(metadata.schema.names)}
        self._bounds: dict[str, list[tuple[Any, Any] | None]] = {}

    def groups(self, terms: Sequence[Term]) -> tuple[list[int], list[Term]]:
        """Return the row groups that may have rows which pass, and the terms that may not hold for all."""
        numbers, left = list(range(self.metadata.num_row_groups)), []
        for term in terms:
            bounds = self._bounds_of(term.column)
            told = {k: None if bounds[k] is None else term.of_group(*bounds[k]) for k in numbers}  # type: ignore[misc]
            numbers = [k for k in numbers if told[k] is not False]
            if any(told[k] is None for k in numbers):
                left.append(term)
        return numbers, left

    def _bounds_of(self, column: str) -> list[tuple[Any, Any] | None]:
        """Return the bounds of a column in each row group; None where a value or a bound is missing."""
        if column not in self._bounds:
            at = self._at[column]
            told = [
                self.metadata.row_group(k).column(at).statistics for k in range(self.metadata.num_row_groups)
            ]
            self._bounds[column] = [
                None
                if one is None or not one.has_min_max or not one.has_null_count or one.null_count
                else (one.min_raw, one.max_raw)
                if isinstance(one.min_raw, int)
                else (one.min, one.max)
                for one in told
            ]
        return self._bounds[column]


_footers: OrderedDict[tuple[str, int], _Footer] = OrderedDict()


def _footer(path: str, size: int, source: Any) -> _Footer:
    """Return the footer of an opened file, which never changes under its name."""
    found = _footers.pop((path, size), None) or _Footer(pq.read_metadata(source))
    _footers[path, size] = found
    while len(_footers) > FOOTERS_KEPT:
        _footers.popitem(last=False)
    return found


def is_as_asked(found: pa.Schema, wanted: pa.Schema) -> bool:
    """Tell whether a file's columns are those of the table, of the same kinds."""
    if len(set(found.names)) < len(found.names):
        return False
    for field in wanted:
        at = found.get_field_index(field.name)
        there = None if at < 0 else found.field(at)
        if there is None or (there.metadata or {}).get(_NUMBER) != (field.metadata or {}).get(_NUMBER):
            return False
        kind = there.type.value_type if pa.types.is_dictionary(there.type) else there.type
        # texts are stored in one way, and Arrow has several types of them
        if kind != field.type and not (kind in _TEXTS and field.type in _TEXTS):
            return False
    return True


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one chunk."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.array([], column.type) if not column.num_chunks else pa.concat_arrays(_alike(column).chunks)


def _alike(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column whose chunks have the same dictionary, if they have any."""
    return column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column


def _encoded(table: pa.Table) -> pa.RecordBatch:
    """Return rows with texts as dictionaries of texts."""
    columns = [_whole(column) for column in table.columns]
    return pa.RecordBatch.from_arrays(
        [
            column.cast(pa.string()).dictionary_encode() if column.type in _TEXTS else column
            for column in columns
        ],
        table.column_names,
    )
