"""CSV files: rows with a delimiter, under a header or given names."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import numpy as np
import pyarrow as pa

from whatif.errors import SourceError
from whatif.sources.bounded import text_of
from whatif.sources.chunk import Chunk, Layout, LineNumbers, NoRowsError
from whatif.sources.columns import layout_of, resolve_columns
from whatif.sources.opening import open_binary
from whatif.sources.spec import IngestSpec

CHUNK_ROWS = 50_000
_DELIMITERS = ",;\t|"
_SEP = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_MIN_COLUMNS = 5
_FOREIGN = {b"PK\x03\x04": "a zip archive", b"\x1f\x8b": "gzipped", b"PAR1": "Parquet", b"%PDF": "a PDF",
            b"\x28\xb5\x2f\xfd": "compressed with zstd (zstd -d unpacks it)", b"BZh": "compressed with bzip2",
            b"\xfd7zX": "compressed with xz", b"ARRO": "Feather (write it as Parquet)",
            b"\xd0\xcf\x11\xe0": "an Excel file (save it as CSV)"}  # fmt: skip


@dataclass
class _Lines:
    """Lines of a text file; remembers the latest, and refuses what is no text."""

    source: str
    stream: io.TextIOBase
    latest: str = ""
    delimiter: str | None = None  # once it is known
    numbers: LineNumbers = field(default_factory=LineNumbers)

    def __iter__(self) -> Iterator[str]:
        try:
            for line in self.stream:
                if "\0" in line:
                    raise SourceError(
                        f"{self.source}: is not CSV, it has bytes that no text has: name a text file"
                    )
                self.latest = line
                # a quote that is opened and not closed would swallow the lines that follow
                yield _closed(line, self.delimiter) if '"' in line and self.delimiter else line
        except UnicodeDecodeError as error:
            raise SourceError(
                f"{self.source}: is not CSV in UTF-8 ({error.reason} at byte {error.start}): "
                "name a text file, or convert it to UTF-8"
            ) from error
        except (OSError, EOFError) as error:
            raise SourceError(f"{self.source}: cannot be read to its end: {error}") from error


def read_csv(source: str, spec: IngestSpec, chunk_rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
    """Yield the rows of a CSV file.

    Parameters
    ----------
    source : str
        Path or URI.
    spec : IngestSpec
        What the user says about it.
    chunk_rows : int
        Most rows in a chunk.

    Raises
    ------
    SourceError
        If the file is empty, is not CSV, ends within a row, or a column is missing.
    """
    with open_binary(source) as stream:
        _check_text(source, stream.read(4))
        stream.seek(0)
        lines = _Lines(source, text_of(source, stream, "utf-8-sig"))
        yield from _chunks(lines, spec, chunk_rows)


def _chunks(lines: _Lines, spec: IngestSpec, chunk_rows: int) -> Iterator[Chunk]:
    source = lines.source
    text = iter(lines)
    first_line, stated, before = _first_line(text, spec)
    if first_line is None:
        raise SourceError(f"{source}: is empty: name a file with a header and rows")
    delimiter = spec.delimiter or stated or max(_DELIMITERS, key=first_line.count)
    lines.delimiter = delimiter
    first_line = _closed(first_line, delimiter)
    (first,) = _records(source, csv.reader([first_line], delimiter=delimiter), lines)
    names, first_is_data = _names(source, first, spec)
    if first_is_data:
        text = chain([first_line], text)
    lines.numbers.before = before if first_is_data else before + 1
    records = _records(source, csv.reader(text, delimiter=delimiter), lines)
    at = resolve_columns(source, names, spec)
    layout = layout_of(source, spec)
    yield from _batches(layout, names, at, records, lines, chunk_rows)


def _first_line(lines: Iterator[str], spec: IngestSpec) -> tuple[str | None, str | None, int]:
    """Return the header's line, what Excel's `sep=;` before it names, and how many lines are before it."""
    stated = None
    for before, line in enumerate(lines):
        text = line.strip()
        if (separator := _SEP.fullmatch(text)) is not None:
            stated = separator.group(1)
        elif text and (not text.startswith("#") or _is_header(text, spec)):
            return line, stated, before
    return None, stated, 0


def _is_header(comment: str, spec: IngestSpec) -> bool:
    """Tell whether a line that begins with # names columns."""
    delimiter = spec.delimiter or max(_DELIMITERS, key=comment.count)
    return comment.count(delimiter) >= _MIN_COLUMNS - 1


def _closed(line: str, delimiter: str) -> str:
    """Return a line, as one field if a quote is left open in it or closes within a field."""
    try:
        for _ in csv.reader([line], delimiter=delimiter, strict=True):
            pass
    except csv.Error:
        return _as_one_field(line)
    return line


def _as_one_field(line: str) -> str:
    return '"' + line.rstrip("\r\n").replace('"', '""') + '"\n'


def read_rows(layout: Layout, names: Sequence[str], text: io.TextIOBase, chunk_rows: int) -> Iterator[Chunk]:
    """Yield the rows of comma-separated text without a header; `names` are table columns."""
    lines = _Lines(layout.source, text, delimiter=",")
    records = _records(layout.source, csv.reader(iter(lines)), lines)
    at = {name: (i,) for i, name in enumerate(names)}
    yield from _batches(layout, names, at, records, lines, chunk_rows)


def _batches(
    layout: Layout,
    names: Sequence[str],
    at: Mapping[str, tuple[int, ...]],
    records: Iterator[list[str]],
    lines: _Lines,
    chunk_rows: int,
) -> Iterator[Chunk]:
    done = 0
    while batch := list(islice(records, chunk_rows)):
        if done == 0:
            _check_header(layout.source, names, batch)
        if len(batch) < chunk_rows:
            _check_last_row(lines, names, batch[-1])
        yield _chunk(layout, names, at, batch, done, lines.numbers)
        done += len(batch)
    if done == 0:
        raise NoRowsError(f"{layout.source}: has no rows: name a file with rows")


def _chunk(
    layout: Layout,
    names: Sequence[str],
    at: Mapping[str, tuple[int, ...]],
    batch: list[list[str]],
    done: int,
    numbers: LineNumbers,
) -> Chunk:
    width = len(names)
    fit = [len(record) == width for record in batch]
    row = np.arange(done + 1, done + len(batch) + 1, dtype=np.int64)
    rows = batch
    misfits: tuple[tuple[int, str], ...] = ()
    if not all(fit):
        rows = [record for record, good in zip(batch, fit, strict=True) if good]
        misfits = tuple(
            (done + i + 1, json.dumps(record))
            for i, (record, good) in enumerate(zip(batch, fit, strict=True))
            if not good
        )
    columns = [pa.array(_column(rows, where), pa.large_string()) for where in at.values()]
    return Chunk(
        layout=layout,
        row=row[np.asarray(fit)],
        batch=pa.record_batch(columns, names=list(at)),
        raw=lambda i: json.dumps(dict(zip(names, rows[i], strict=True))),
        misfits=misfits,
        lines=numbers,
    )


def _column(rows: list[list[str]], where: tuple[int, ...]) -> list[str]:
    if len(where) == 1:
        return [row[where[0]] for row in rows]
    return [" ".join(row[i] for i in where) for row in rows]


def _names(source: str, first: list[str], spec: IngestSpec) -> tuple[list[str], bool]:
    """Return the columns' names, and whether the first line is a row already."""
    is_data = any(_is_number(value) for value in first)
    if spec.header:
        return list(spec.header), is_data
    if is_data:
        raise SourceError(
            f"{source}: the first line looks like a row, not a header ({','.join(first)}): name the columns, "
            "as in --columns ts,open,high,low,close,volume"
        )
    names = [name.strip() for name in first]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise SourceError(
            f"{source}: the header has {', '.join(twice)} twice: name the columns with --columns, each by "
            "another name; a table with columns for several symbols must be written one row a symbol and bar"
        )
    return names, False


def _check_text(source: str, beginning: bytes) -> None:
    for magic, what in _FOREIGN.items():
        if beginning.startswith(magic):
            raise SourceError(
                f"{source}: is not CSV, it is {what}: unpack it, or give its format with --format"
            )


def _check_header(source: str, names: Sequence[str], batch: list[list[str]]) -> None:
    """Refuse a header that does not fit the first row, nor most of the rows that follow."""
    row = batch[0]
    if len(row) != len(names) and 2 * sum(len(other) == len(names) for other in batch) < len(batch):
        raise SourceError(
            f"{source}: the header names {len(names)} columns ({','.join(names)}), but rows have {len(row)} "
            f"fields ({','.join(row)}): name every column, as in "
            "--columns date,time,open,high,low,close,volume,openinterest"
        )


def _check_last_row(lines: _Lines, names: Sequence[str], row: list[str]) -> None:
    if len(row) < len(names) and not lines.latest.endswith(("\n", "\r")):
        raise SourceError(
            f"{lines.source}: is half-written, its last line breaks off ({lines.latest[:80]!r}: "
            f"{len(row)} of {len(names)} fields, no line end): fetch it again"
        )


def _records(source: str, reader: Any, lines: _Lines) -> Iterator[list[str]]:
    try:
        for record in reader:
            if record:
                yield record
            else:
                lines.numbers.blanks.append(reader.line_num)
    except csv.Error as error:
        raise SourceError(f"{source}: is not CSV: {error}; name a text file with one row a line") from error


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return value.strip().lower() not in ("nan", "inf", "infinity")
