"""Parts of a delivery: what is read apart from each other, by which source, and from where on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import pyarrow as pa

from whatif.errors import SourceError
from whatif.sources.base import Source
from whatif.sources.chunk import NoRowsError
from whatif.sources.contract import checked_chunks, checked_parts
from whatif.sources.file_source import FileSource
from whatif.sources.files import find_files
from whatif.sources.kinds import file_kind, file_kinds
from whatif.sources.normalize import normalize, whole_part
from whatif.sources.review import FileReview
from whatif.sources.spec import IngestSpec


@dataclass(frozen=True)
class Part:
    """What one task reads.

    Attributes
    ----------
    name : str
        The `source` of its rows.
    source : Source
        What reads it.
    checkpoint : str or None
        Where to go on; None for all of it.
    rows : int
        Rows before that: the next one's number is one more.
    """

    name: str
    source: Source
    checkpoint: str | None = None
    rows: int = 0


_PLAIN = (".csv", ".txt", ".tsv")
_UNPACKED_BY = 8
"""How much larger files of other endings are when they are read: packed text, columns."""


def size_of_part(part: Part) -> int:
    """Return about how many bytes a part has as text; 0 if it is no file of this machine."""
    path = Path(part.name)
    if not isinstance(part.source, FileSource) or not path.is_file():
        return 0
    return path.stat().st_size * (1 if path.suffix.lower() in _PLAIN else _UNPACKED_BY)


def file_parts(paths: Sequence[str | Path], spec: IngestSpec) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """Return the parts of a delivery of files, in order, and notes on the files that are left out.

    Raises
    ------
    SourceError
        If a path names no file, or one of no format.
    """
    files = find_files(paths, spec.format)
    notes: tuple[str, ...] = ()
    for kind in file_kinds(spec.format).values():
        own = [file for file in files if file_kind(file, spec.format) is kind]
        if own:
            files, left_out = kind.sort_out(files, own, spec)
            notes += left_out
    readers: dict[type[Source], Source] = {}
    parts = []
    for file in files:
        kind = file_kind(file, spec.format)
        if kind not in readers:
            readers[kind] = kind(spec=spec)
        parts.append(Part(file, readers[kind]))
    return tuple(parts), notes


def source_parts(source: Source, resume: Mapping[str, tuple[str, int]]) -> tuple[Part, ...]:
    """Return the parts of a source.

    Parameters
    ----------
    source : Source
        What reads them.
    resume : mapping of str to (str, int)
        Part → checkpoint, and rows before it.

    Raises
    ------
    SourceError
        If the source breaks its contract.
    """
    return tuple(Part(name, source, *resume.get(name, (None, 0))) for name in checked_parts(source))


def read_part(part: Part, accept: bool = False) -> Iterator[pa.RecordBatch]:
    """Yield a part's rows in order, parsed, tagged and judged, in batches of bounded size.

    The last batch is the checkpoint behind them, if the source gave one.

    Raises
    ------
    SourceError
        If the part as a whole cannot be read as bars, or, after its last row, if most rows cannot be
        what its layout says that they are (unless `accept`).
    """
    review = FileReview(accept=accept)
    checkpoint, rows = part.checkpoint, part.rows
    for chunk in checked_chunks(part.source, part.name, part.checkpoint):
        if chunk.row is None:
            chunk = replace(chunk, row=chunk.numbers() + rows)
            rows += len(chunk)
        yield normalize(chunk, review)
        checkpoint = checkpoint if chunk.checkpoint is None else chunk.checkpoint
    review.finish()
    if review.rows == 0:
        yield whole_part("empty", part.name)
    if checkpoint is not None:
        yield whole_part("checkpoint", part.name, checkpoint, rows)


def read_or_refuse(part: Part, accept: bool) -> Iterator[pa.RecordBatch]:
    """Yield a part's rows; one that cannot be read gives a row that says why."""
    try:
        yield from read_part(part, accept)
    except NoRowsError:  # a quiet day's file has a header only
        yield whole_part("empty", part.name)
    except SourceError as error:
        yield whole_part("file", part.name, str(error))


def try_first(parts: Sequence[Part], accept: bool) -> None:
    """Read the first rows of the first part, all of a small one: most mistakes show there.

    Raises
    ------
    SourceError
        As `read_part`.
    """
    try:
        for _ in islice(read_part(parts[0], accept), 2):
            pass
    except NoRowsError:
        if len(parts) == 1:
            raise


def read_file(path: str, spec: IngestSpec) -> Iterator[pa.RecordBatch]:
    """Yield a file's rows, as `read_part`."""
    return read_part(Part(path, file_kind(path, spec.format)(spec=spec)), spec.accept)
