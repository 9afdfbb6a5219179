"""Parts of a delivery: what is read apart from each other, by which source, and from where on."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from whatif.errors import SourceError
from whatif.lake import BARS
from whatif.pins import LakeLocation, all_of, current_pin, equal, has_rows, of_timeframe, read_arrow
from whatif.sources.base import Source
from whatif.sources.beginning import is_prose
from whatif.sources.chunk import Chunk, NoRowsError
from whatif.sources.conclude import Concluded, conclude, settle
from whatif.sources.contract import checked_chunks, checked_parts
from whatif.sources.file_source import FileSource
from whatif.sources.files import find_files
from whatif.sources.kinds import file_kind, file_kinds
from whatif.sources.look import Finding
from whatif.sources.normalize import normalize, spelled, whole_hours, whole_part
from whatif.sources.opening import members_of
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


def digest_of_parts(parts: Sequence[Part]) -> str:
    """Return the SHA-256 of a delivery's file; of several, of the lines that `sha256sum` prints of them.

    In their order; a file of which several parts are read counts once. "" unless all are of this machine.
    """
    paths = list(dict.fromkeys(part.name.partition("::")[0] for part in parts))
    if not all(isinstance(part.source, FileSource) for part in parts) or not all(map(os.path.isfile, paths)):
        return ""
    digests = []
    for path in paths:
        with open(path, "rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    if len(paths) == 1:
        return digests[0]
    lines = "".join(f"{digest}  {path}\n" for digest, path in zip(digests, paths, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()


def size_of_part(part: Part) -> int:
    """Return about how many bytes a part has as text; 0 if it is no file of this machine."""
    path = Path(part.name)
    if not isinstance(part.source, FileSource) or not path.is_file():
        return 0
    return part.source.text_bytes(part.name)


def file_parts(paths: Sequence[str | Path], spec: IngestSpec) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """Return the parts of a delivery of files, in order, and notes on the files that are left out.

    Raises
    ------
    SourceError
        If a path names no file, or one of no format.
    """
    found, notes = looked_at(paths, spec)
    settled = settle(found)
    readers: dict[str, Source] = {}
    parts = []
    for one in settled:
        kind = file_kind(one.path, spec.format)
        key = f"{kind.__module__}:{kind.__qualname__}:{one.spec!r}"
        if key not in readers:
            readers[key] = kind(spec=one.spec)
        parts.append(Part(one.path, readers[key]))
    return tuple(parts), (*notes, *told(settled))


def looked_at(paths: Sequence[str | Path], spec: IngestSpec) -> tuple[Sequence[Concluded], tuple[str, ...]]:
    """Return how each file of a delivery is to be read, in order, and notes on those that are left out.

    Raises
    ------
    SourceError
        As `file_parts`, but for files that can mean several things.
    """
    files = find_files(paths, spec.format)
    notes: tuple[str, ...] = ()
    for kind in file_kinds(spec.format).values():
        own = [file for file in files if file_kind(file, spec.format) is kind]
        if own:
            files, left_out = kind.sort_out(files, own, spec)
            notes += left_out
    files = tuple(one for file in files for one in _opened(file, spec))
    named = {str(path) for path in paths}
    for words, is_other in (("by its name no data", _is_about), ("it is no table", is_prose)):
        others = [file for file in files if file not in named and is_other(file)] if len(files) > 1 else []
        if others and len(others) < len(files):
            files = tuple(file for file in files if file not in others)
            notes += (f"left out, {words}: {', '.join(others)}",)
    return [concluded(file, spec) for file in files], notes


_ABOUT = re.compile(
    r"(?i)(.*[/\\:])?((readme|licen[cs]e|changelog|disclaimer)(\.(txt|md|rst|html?))?"
    r"|[^/\\:]+-\d+[mhd]-(mark|index|premiumIndex|funding_rate)\.(feather|parquet|json(\.gz)?))"
)


def _is_about(path: str) -> bool:
    """Tell whether a file is by its name one that tells of others: README.txt, LICENSE, freqtrade's marks."""
    return _ABOUT.fullmatch(path) is not None


def concluded(path: str, spec: IngestSpec) -> Concluded:
    """Return how a file is to be read; as the user says, where its beginning cannot be looked at."""
    try:
        begin = file_kind(path, spec.format).beginning(path, spec)
    except SourceError:  # reading it says what is wrong
        begin = None
    return Concluded(path, spec) if begin is None else conclude(begin, spec)


def told(found: Sequence[Concluded]) -> tuple[str, ...]:
    """Return what was concluded, each kind of conclusion once, with how many files it is on."""
    lines: dict[str, list[str]] = {}
    for one in found:
        for finding in one.findings:
            symbol = finding.option.startswith("--symbol ")
            text = "--symbol, each file's own" if symbol and len(found) > 1 else _as_told(finding)
            lines.setdefault(text, []).append(one.path)
    count = len(found)
    return tuple(
        f"concluded {text}" + (f" ({len(paths):,} of {count:,} files)" if len(paths) < count else "")
        for text, paths in lines.items()
    )


def _as_told(finding: Finding) -> str:
    return f"{finding.option} ({finding.because})"


def _opened(path: str, spec: IngestSpec) -> tuple[str, ...]:
    """Return the files of bars in a zip that is none of Lean's; of all others the file itself."""
    if not path.lower().endswith(".zip") or spec.format not in ("auto", "csv", "json", "parquet", "feather"):
        return (path,)
    if any(kind.claims(path) for kind in file_kinds(spec.format).values()):
        return (path,)
    members = members_of(path)
    kinds = file_kinds(spec.format).values()
    found = tuple(one for one in members if any(one.lower().endswith(kind.endings) for kind in kinds))
    return found or (path,)


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
    chunks = checked_chunks(part.source, part.name, part.checkpoint)

    def numbered() -> Iterator[Chunk]:
        nonlocal rows
        for chunk in _ahead(chunks) if isinstance(part.source, FileSource) else chunks:
            if chunk.row is None:
                chunk = replace(chunk, row=chunk.numbers() + rows)
                rows += len(chunk)
            yield chunk

    for chunk in whole_hours(numbered()):
        yield normalize(chunk, review)
        checkpoint = checkpoint if chunk.checkpoint is None else chunk.checkpoint
    review.finish()
    if review.rows == 0:
        yield whole_part("empty", part.name)
    if review.mended:
        yield whole_part("mended", part.name, row=review.mended)
    if review.nonpositive:
        yield whole_part("nonpositive", part.name, row=review.nonpositive)
    if checkpoint is not None:
        yield whole_part("checkpoint", part.name, checkpoint, rows)


def _ahead(chunks: Generator[Chunk]) -> Iterator[Chunk]:
    """Yield chunks, each of which is read while the one before it is worked on."""
    with closing(chunks), ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = reader.submit(next, chunks, None)
            yield chunk


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


_PUBLISHED = (
    "symbol", "ts", "timeframe", "session", "exchange", "open", "high", "low", "close", "volume", "vwap",
    "trade_count", "vwap_estimated",
)  # fmt: skip
"""Columns of bars that are published: see `Source.publish`."""


def bars_of_files(
    paths: Sequence[str | Path], spec: IngestSpec, refused: Counter[str]
) -> Iterator[pa.RecordBatch]:
    """Yield the bars of files, those that break no rule, for `Source.publish`.

    Parameters
    ----------
    paths : sequence of str or Path
        The files.
    spec : IngestSpec
        What the user says about them.
    refused : Counter of str
        Rows that are left out, by the rule that they break, are counted here as they are read.

    Raises
    ------
    SourceError
        As `file_parts` and `read_part`.
    """
    for part in file_parts(paths, spec)[0]:
        for batch in read_part(part):
            refused.update(batch["rule"].drop_null().to_pylist())
            yield spelled(batch.filter(pc.equal(batch["kind"], "bar")))


def bars_of_lake(
    location: LakeLocation, symbols: Sequence[str], timeframe: str | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the bars that the lake holds of symbols, of one timeframe or all, for `Source.publish`.

    Raises
    ------
    SourceError
        If it holds none of a symbol.
    """
    if not has_rows(location, BARS.name):
        raise SourceError("the lake holds no bars: 'whatif ingest' brings some")
    pin = current_pin(location, BARS.name)
    for symbol in symbols:
        wanted = [equal("symbol", symbol)] + ([of_timeframe(timeframe)] if timeframe else [])
        rows = read_arrow(pin, _PUBLISHED, all_of(*wanted)).sort_by("ts")
        if not rows.num_rows:
            raise SourceError(f"the lake holds no bars of {symbol}: 'whatif bars' lists what it holds")
        yield from rows.to_batches(max_chunksize=10_000)
