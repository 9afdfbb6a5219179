"""Parquet: files of columns, also with the index of pandas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from whatif.errors import SourceError
from whatif.sources.beginning import MAX_LINES, Beginning, beginning_of_columns
from whatif.sources.bounded import check_parquet
from whatif.sources.chunk import Chunk
from whatif.sources.file_source import FileSource
from whatif.sources.opening import open_binary
from whatif.sources.spec import IngestSpec

CHUNK_ROWS = 50_000


class Parquet(FileSource):
    """Parquet files, also with the index of pandas."""

    endings: ClassVar[tuple[str, ...]] = (".parquet", ".pq")

    @classmethod
    def beginning(cls, path: str, spec: IngestSpec) -> Beginning | None:
        """Return the first rows of a file."""
        with open_binary(path) as stream:
            try:
                file = pq.ParquetFile(stream)
                check_parquet(path, file.metadata, stream.seek(0, 2))
                batch = next(file.iter_batches(batch_size=MAX_LINES), None)
            except (pa.ArrowInvalid, OSError):
                return None  # reading it says what is wrong
        return None if batch is None else beginning_of_columns(path, pa.Table.from_batches([batch]))

    @classmethod
    def shape(cls, path: str) -> tuple[int, int]:
        """Return how many rows and columns the footer tells of."""
        try:
            footer = pq.read_metadata(path)
        except (pa.ArrowInvalid, OSError):
            return 0, 0  # reading it says what is wrong
        return footer.num_rows, footer.num_columns

    def read_file(self, path: str) -> Iterator[Chunk]:
        """Yield the rows of a file.

        Raises
        ------
        SourceError
            If it is not Parquet, is empty or half-written, or a column is missing.
        """
        with open_binary(path) as stream:
            try:
                file = pq.ParquetFile(stream)
            except (pa.ArrowInvalid, OSError) as error:
                raise SourceError(
                    f"{path}: is not Parquet, or half-written ({error}): fetch it again, or give its format"
                ) from error
            check_parquet(path, file.metadata, stream.seek(0, 2))
            batches = file.iter_batches(batch_size=CHUNK_ROWS)
            try:
                yield from self.chunks(path, file.schema_arrow.names, batches)
            except (pa.ArrowInvalid, OSError) as error:
                raise SourceError(f"{path}: is damaged ({error}): fetch it again") from error
