"""Sources whose parts are files: one class for each format."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pyarrow as pa

from whatif.errors import SourceError
from whatif.sources.base import Source
from whatif.sources.beginning import Beginning
from whatif.sources.chunk import Chunk, Layout, NoRowsError
from whatif.sources.columns import layout_of, resolve_columns
from whatif.sources.services import object_version
from whatif.sources.spec import IngestSpec

_PLAIN = (".csv", ".txt", ".tsv")
_UNPACKED_BY = 8
"""How much larger files of other endings are as text, where nothing in them says it."""

VALUE_BYTES = 6
"""What a value of bars has as text, with what parts it from the next: a time and five numbers, 36."""


class FileSource(Source):
    """Files of one format.

    Attributes
    ----------
    endings : tuple of str
        How names of such files end, in small letters.
    in_folders : bool
        Whether such files are bars wherever they stand; else they are named, or asked for by `--format`.
    files : tuple of str
        Absolute paths or URIs.
    spec : IngestSpec
        What the user says about them.
    """

    as_written: ClassVar[bool] = True
    endings: ClassVar[tuple[str, ...]] = ()
    in_folders: ClassVar[bool] = True

    files: tuple[str, ...] = ()
    spec: IngestSpec = IngestSpec()

    @classmethod
    def claims(cls, path: str) -> bool:
        """Tell whether a file is of this format, by its path."""
        return path.lower().endswith(cls.endings)

    @classmethod
    def beginning(cls, path: str, spec: IngestSpec) -> Beginning | None:
        """Return the first rows of a file, which its layout is concluded from; None if nothing is to be.

        Raises
        ------
        SourceError
            If it cannot be opened.
        """
        return None

    def parts(self) -> Sequence[str]:
        """Return the files."""
        return self.files

    def read(self, part: str, checkpoint: str | None) -> Iterator[Chunk]:
        """Yield the rows of a file; it is read whole.

        Raises
        ------
        SourceError
            As `read_file`; or, behind its rows, if an object of S3 was changed meanwhile.
        """
        before = object_version(part)
        yield from self.read_file(part)
        if before != object_version(part):
            raise SourceError(
                f"{part}: the object was changed while it was read (another ETag): run the same command "
                "again once whoever writes it has finished"
            )

    @abstractmethod
    def read_file(self, path: str) -> Iterator[Chunk]:
        """Yield the rows of a file.

        Raises
        ------
        SourceError
            If it cannot be read as one of this format.
        """

    @classmethod
    def text_bytes(cls, path: str) -> int:
        """Return about how many bytes a file of this machine has as text."""
        about = Path(path)
        rows, columns = cls.shape(path)
        size = about.stat().st_size * (1 if about.suffix.lower() in _PLAIN else _UNPACKED_BY)
        return rows * columns * VALUE_BYTES or size

    @classmethod
    def shape(cls, path: str) -> tuple[int, int]:
        """Return how many rows and columns a file of this machine says that it has; (0, 0) if it does not."""
        return 0, 0

    @classmethod
    def rows_of(cls, path: str, spec: IngestSpec) -> str:
        """Return what a row of a file of ticks is, "trades" or "quotes": what the user says."""
        return spec.rows

    @classmethod
    def sort_out(
        cls, files: Sequence[str], own: Sequence[str], spec: IngestSpec
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the parts of a delivery that holds files of this format, and notes on what is left out.

        Parameters
        ----------
        files : sequence of str
            All files, in the order of the delivery.
        own : sequence of str
            Those of this format.
        spec : IngestSpec
            What the user says about them.
        """
        return tuple(files), ()

    def chunks(self, path: str, names: Sequence[str], batches: Iterable[pa.RecordBatch]) -> Iterator[Chunk]:
        """Yield batches with a file's own columns as chunks; the table's are found by name and the spec.

        Parameters
        ----------
        path : str
            The file.
        names : sequence of str
            Its columns.
        batches : iterable of RecordBatch
            Its rows, with these columns.

        Raises
        ------
        SourceError
            If a column is missing, or there are no rows.
        """
        at, layout, empty = resolve_columns(path, names, self.spec), layout_of(path, self.spec), True
        for batch in batches:
            if batch.num_rows:
                empty = False
                yield _chunk(layout, at, batch)
        if empty:
            raise NoRowsError(f"{path}: has no rows: name a file with rows")


def _chunk(layout: Layout, at: dict[str, tuple[int, ...]], batch: pa.RecordBatch) -> Chunk:
    columns = [batch.column(k[0]) if len(k) == 1 else _joined(batch, k) for k in at.values()]
    whole = Chunk(layout, batch)
    return Chunk(layout, pa.record_batch(columns, names=list(at)), raw=whole.text)


def _joined(batch: pa.RecordBatch, where: tuple[int, ...]) -> pa.Array:
    text: pd.Series = batch.column(where[0]).to_pandas().astype("str")
    for k in where[1:]:
        text = text + " " + batch.column(k).to_pandas().astype("str")
    return pa.Array.from_pandas(text)
