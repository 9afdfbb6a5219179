"""CSV files: rows with a delimiter, under a header or given names."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions
from pyarrow.csv import read_csv as read_table

from whatif.errors import SourceError
from whatif.sources.bounded import encoding_of, text_of
from whatif.sources.chunk import Chunk, Layout, LineNumbers, NoRowsError
from whatif.sources.columns import layout_of, resolve_columns
from whatif.sources.opening import open_binary
from whatif.sources.spec import IngestSpec
from whatif.sources.wide import put_back
from whatif.typing import IntArray

CHUNK_ROWS = 50_000
_PIECE = 1024 * 1024
_DELIMITERS = ",;\t|"
_SEP = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_MIN_COLUMNS = 5
_FOREIGN = {b"PK\x03\x04": "a zip archive", b"\x1f\x8b": "gzipped", b"PAR1": "Parquet", b"%PDF": "a PDF",
            b"\x28\xb5\x2f\xfd": "compressed with zstd (zstd -d unpacks it)", b"BZh": "compressed with bzip2",
            b"\xfd7zX": "compressed with xz", b"ARRO": "Feather (--format feather)",
            b"\xd0\xcf\x11\xe0": "an Excel file (save it as CSV)"}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Block:
    """Lines of a text, in UTF-8.

    Attributes
    ----------
    data : bytes
        All of them, with their ends.
    """

    data: bytes

    @cached_property
    def bytes(self) -> IntArray:
        """Return the same as an array, uint8."""
        return np.frombuffer(self.data, dtype=np.uint8)

    @cached_property
    def ends(self) -> IntArray:
        """Return where its newlines are."""
        found: IntArray = np.flatnonzero(self.bytes == _NEWLINE)
        return found

    @cached_property
    def lines(self) -> list[str]:
        """Return the lines, with their ends, as a text file in universal mode has them."""
        return list(io.StringIO(self.data.decode(), newline=""))

    def line(self, i: int) -> str:
        """Return one line of a block of which each ends in a newline."""
        begin = int(self.ends[i - 1]) + 1 if i else 0
        return self.data[begin : int(self.ends[i]) + 1].decode()


def _ends_in(data: bytes) -> int:
    """Return about how many lines end in a text, by newlines or by returns."""
    return max(data.count(b"\n"), data.count(b"\r"))


@dataclass
class _Lines:
    """Lines of a text file; remembers the latest, and refuses what is no text.

    Attributes
    ----------
    source : str
        The file.
    stream : iterator of str
        What is left of its lines.
    text : TextIOBase or None
        What `stream` takes them from, if nothing is between.
    """

    source: str
    stream: Iterator[str]
    text: io.TextIOBase | None = None
    latest: str = ""
    numbers: LineNumbers = field(default_factory=LineNumbers)
    ahead: list[str] = field(default_factory=list)
    rest: bytes = b""

    def take(self, count: int) -> list[str]:
        """Return the next lines, `count` at the most; none at the end."""
        lines, self.ahead = self.ahead[:count], self.ahead[count:]
        with self._told():
            lines += islice(self.stream, count - len(lines))
        if any("\0" in line for line in lines):
            raise self._no_text()
        self.latest = lines[-1] if lines else self.latest
        return lines

    def block(self, count: int, begun: Sequence[str]) -> Block | None:
        """Return the lines that have begun, and the next until they are `count`; None at the end.

        Where a line ends by a return alone, as many as end by a newline, and more, are a block.
        """
        if self.text is None:
            lines = [*begun, *self.take(count - len(begun))]
            return Block("".join(lines).encode()) if lines else None
        pieces = ["".join([*begun, *self.ahead]).encode() + self.rest]
        self.ahead = []
        ends = _ends_in(pieces[0])
        with self._told():
            while ends < count and (piece := self._piece()):
                pieces.append(piece)
                ends += _ends_in(piece)
        block = Block(b"".join(pieces))
        if b"\0" in block.data:
            raise self._no_text()
        self.rest = b""
        if ends >= count:
            newest = max(block.data.rfind(b"\n"), block.data.rfind(b"\r"))
            end = int(block.ends[count - 1] if len(block.ends) >= count else newest) + 1
            block, self.rest = Block(block.data[:end]), block.data[end:]
        if not block.data:
            return None
        self.latest = block.data[block.data.rfind(b"\n", 0, -1) + 1 :].decode()
        return block

    def _piece(self) -> bytes:
        """Return what comes next, at the end nothing; no end of a line is parted."""
        assert self.text is not None
        piece = more = self.text.read(_PIECE)
        while more.endswith("\r"):
            more = self.text.read(1)
            piece += more
        return piece.encode()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:
            raise SourceError(
                f"{self.source}: is not CSV in UTF-8 ({error.reason} at byte {error.start}): "
                "name a text file, or convert it to UTF-8"
            ) from error
        except (OSError, EOFError) as error:
            raise SourceError(f"{self.source}: cannot be read to its end: {error}: fetch it again") from error

    def _no_text(self) -> SourceError:
        return SourceError(f"{self.source}: is not CSV, it has bytes that no text has: name a text file")

    def __iter__(self) -> Iterator[str]:
        while lines := self.take(1):
            yield lines[0]


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
        beginning = _head(source, stream)
        _check_text(source, beginning)
        stream.seek(0)
        text = text_of(source, stream, encoding_of(beginning))
        lines = _Lines(source, text, text)
        yield from _chunks(lines, spec, chunk_rows)


def _chunks(lines: _Lines, spec: IngestSpec, chunk_rows: int) -> Iterator[Chunk]:
    source = lines.source
    if spec.skip is not None:
        delimiter = spec.delimiter or ","
        lines.take(spec.skip)
        lines.numbers.before = spec.skip
        named = _Columns(spec.header, resolve_columns(source, spec.header, spec), delimiter)
        yield from _batches(layout_of(source, spec), named, lines, chunk_rows, [])
        return
    wide = None
    if not spec.header:
        first_lines = lines.take(3)
        stream, wide = put_back(first_lines, lines.stream)
        if wide is None:
            lines.ahead = first_lines
        else:
            lines.stream, lines.text = stream, None
    text = iter(lines)
    first_line, stated, before = _first_line(text, spec)
    if first_line is None:
        raise SourceError(f"{source}: is empty: name a file with a header and rows")
    delimiter = spec.delimiter or stated or max(_DELIMITERS, key=first_line.count)
    (first,) = _records(source, [first_line], delimiter)
    names, first_is_data = _names(source, first, spec)
    lines.numbers.before = before if first_is_data else before + 1
    if wide is not None:
        lines.numbers.before, lines.numbers.each = wide.lines, len(wide.symbols)
    columns = _Columns(tuple(names), resolve_columns(source, names, spec), delimiter)
    layout = layout_of(source, spec)
    yield from _batches(layout, columns, lines, chunk_rows, [first_line] if first_is_data else [])


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


@dataclass(frozen=True)
class _Columns:
    """Columns of a text file.

    Attributes
    ----------
    names : tuple of str
        As the file has them.
    at : mapping of str to tuple of int
        Column of the table → those of the file that it is made of.
    delimiter : str
        What stands between them.
    """

    names: tuple[str, ...]
    at: Mapping[str, tuple[int, ...]]
    delimiter: str


def read_rows(layout: Layout, names: Sequence[str], text: io.TextIOBase, chunk_rows: int) -> Iterator[Chunk]:
    """Yield the rows of comma-separated text without a header; `names` are table columns."""
    columns = _Columns(tuple(names), {name: (i,) for i, name in enumerate(names)}, ",")
    yield from _batches(layout, columns, _Lines(layout.source, text, text), chunk_rows, [])


def _batches(
    layout: Layout, columns: _Columns, lines: _Lines, chunk_rows: int, begun: list[str]
) -> Iterator[Chunk]:
    """Yield chunks of as many lines, `begun` first."""
    rows = taken = 0
    while (block := lines.block(chunk_rows, begun)) is not None:
        begun = []
        chunk = _plain_chunk(layout, columns, block, rows, lines.numbers)
        came = len(block.ends)
        if chunk is None:
            came = len(block.lines)
            records = _records(layout.source, block.lines, columns.delimiter)
            nothing: tuple[list[str], ...] = ([], [""] * len(columns.names))
            blanks = [k for k, record in enumerate(records, start=taken + 1) if record in nothing]
            lines.numbers.blanks.extend(blanks)
            found = [record for record in records if record not in nothing]
            if rows == 0 and found:
                _check_header(layout.source, columns.names, found)
            if found:
                _check_last_row(lines, columns.names, found[-1])
            chunk = _chunk(layout, columns, found, rows, lines.numbers)
        taken += came
        rows += len(chunk) + len(chunk.misfits)
        if len(chunk) or chunk.misfits:
            yield chunk
    if rows == 0:
        raise NoRowsError(f"{layout.source}: has no rows: name a file with rows")


def _plain_chunk(
    layout: Layout, columns: _Columns, block: Block, done: int, numbers: LineNumbers
) -> Chunk | None:
    """Return lines as a chunk, read by Arrow; None where one of them is not as plain as this needs.

    Plain lines end alike, have as many delimiters as there are columns, and quote fields as a whole.
    Arrow and Python's csv read those alike.
    """
    text, width = block.data, len(columns.names)
    if not _is_plain(block, width, ord(columns.delimiter)):
        return None
    without = columns.delimiter.encode() * (width - 1)  # as Excel writes rows of which nothing is left
    if text.startswith((without + b"\n", without + b"\r")) or b"\n" + without in text:
        return None
    names = [str(k) for k in range(width)]
    table = read_table(
        pa.py_buffer(text),
        read_options=ReadOptions(column_names=names, block_size=max(len(text), 1)),
        parse_options=ParseOptions(delimiter=columns.delimiter),
        convert_options=ConvertOptions(
            column_types=dict.fromkeys(names, pa.large_string()),
            include_columns=sorted({str(k) for where in columns.at.values() for k in where}),
            strings_can_be_null=False,
        ),
    )
    arrays = [
        pc.binary_join_element_wise(
            *(table[str(k)].combine_chunks() for k in where), pa.scalar(" ", pa.large_string())
        )
        if len(where) > 1
        else table[str(where[0])].combine_chunks()
        for where in columns.at.values()
    ]
    return Chunk(
        layout=layout,
        row=np.arange(done + 1, done + len(block.ends) + 1, dtype=np.int64),
        batch=pa.record_batch(arrays, names=list(columns.at)),
        raw=lambda i: _as_json(columns, *_records(layout.source, [block.line(i)], columns.delimiter)),
        lines=numbers,
    )


_MAX_BLOCK = 256 * 1024 * 1024
_QUOTE, _NEWLINE, _RETURN = ord('"'), ord("\n"), ord("\r")


def _is_plain(block: Block, width: int, delimiter: int) -> bool:
    """Tell whether a block is of lines that end alike, of `width` fields each, quoted whole or not at all.

    Parameters
    ----------
    block : Block
        The lines.
    width : int
        Fields of each.
    delimiter : int
        What stands between fields; ASCII.
    """
    text, ends = block.bytes, block.ends
    count = len(ends)
    if not count or ends[-1] != len(text) - 1 or delimiter > 127 or len(text) > _MAX_BLOCK:
        return False
    returns = np.flatnonzero(text == _RETURN) if b"\r" in block.data else np.zeros(0, dtype=np.int64)
    if len(returns) and (len(returns) != count or not np.array_equal(returns + 1, ends)):
        return False
    if text[0] in (_NEWLINE, _RETURN) or (np.diff(ends) <= 1 + bool(len(returns))).any():
        return False
    breaks = np.flatnonzero(text == delimiter)
    # the last delimiter of line k is number (k + 1) * (width - 1)
    if not _in_lines(breaks, ends, width - 1):
        return False
    if b'"' not in block.data:
        return True
    quotes = np.flatnonzero(text == _QUOTE)
    opens, closes = quotes[::2], quotes[1::2]
    if len(opens) != len(closes):
        return False
    bounds = np.array([delimiter, _NEWLINE, _RETURN], dtype=np.uint8)
    before = (opens == 0) | np.isin(text[np.maximum(opens - 1, 0)], bounds)
    behind = np.isin(text[closes + 1], bounds)
    # nothing that ends a field lies between
    within = np.searchsorted(breaks, opens) != np.searchsorted(breaks, closes)
    within |= np.searchsorted(ends, opens) != np.searchsorted(ends, closes)
    return bool(before.all() and behind.all() and not within.any())


def _in_lines(breaks: IntArray, ends: IntArray, each: int) -> bool:
    """Tell whether each line, ending at `ends`, (n,), has so many breaks; both are positions, ascending."""
    if len(breaks) != each * len(ends):
        return False
    if not each:
        return True
    by_line = breaks.reshape(len(ends), each)
    return bool((by_line[:, -1] < ends).all() and (by_line[1:, 0] > ends[:-1]).all())


def _chunk(
    layout: Layout, columns: _Columns, batch: list[list[str]], done: int, numbers: LineNumbers
) -> Chunk:
    width = len(columns.names)
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
    arrays = [pa.array(_column(rows, where), pa.large_string()) for where in columns.at.values()]
    return Chunk(
        layout=layout,
        row=row[np.asarray(fit, dtype=bool)],
        batch=pa.record_batch(arrays, names=list(columns.at)),
        raw=lambda i: _as_json(columns, rows[i]),
        misfits=misfits,
        lines=numbers,
    )


def _as_json(columns: _Columns, record: list[str]) -> str:
    return json.dumps(dict(zip(columns.names, record, strict=True)))


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


def _head(source: str, stream: IO[bytes]) -> bytes:
    try:
        return stream.read(4)
    except (OSError, EOFError) as error:
        raise SourceError(f"{source}: cannot be read: {error}: fetch it again") from error


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


def _records(source: str, lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Return the fields of each line; none of a blank one."""
    # a quote that is opened and not closed would swallow the lines that follow
    closed = [_closed(line, delimiter) if '"' in line else line for line in lines]
    try:
        return list(csv.reader(closed, delimiter=delimiter))
    except csv.Error as error:
        raise SourceError(f"{source}: is not CSV: {error}; name a text file with one row a line") from error


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return value.strip().lower() not in ("nan", "inf", "infinity")
