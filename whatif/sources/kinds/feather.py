"""Feather: Arrow's files of columns, also with the index of pandas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa
import pyarrow.feather

from whatif.errors import SourceError
from whatif.sources.beginning import Beginning, beginning_of_columns
from whatif.sources.chunk import Chunk
from whatif.sources.file_source import FileSource
from whatif.sources.opening import open_binary
from whatif.sources.spec import IngestSpec

CHUNK_ROWS = 50_000


class Feather(FileSource):
    """Feather files, as freqtrade and pandas write them, and Arrow's IPC files."""

    endings: ClassVar[tuple[str, ...]] = (".feather", ".arrow", ".ipc")

    @classmethod
    def beginning(cls, path: str, spec: IngestSpec) -> Beginning | None:
        """Return the first rows of a file."""
        return beginning_of_columns(path, _table(path))

    @classmethod
    def shape(cls, path: str) -> tuple[int, int]:
        """Return how many rows and columns the footer, and the heads of its batches, tell of."""
        from pyarrow import dataset  # 20 ms

        try:
            found = dataset.dataset(path, format="feather")
            return found.count_rows(), len(found.schema)
        except (pa.ArrowInvalid, OSError):
            return 0, 0  # of the first version of the format, or reading it says what is wrong

    def read_file(self, path: str) -> Iterator[Chunk]:
        """Yield the rows of a file.

        Raises
        ------
        SourceError
            If it is not Feather, or a column is missing.
        """
        table = _table(path)
        yield from self.chunks(path, table.column_names, table.to_batches(max_chunksize=CHUNK_ROWS))


def _table(path: str) -> pa.Table:
    with open_binary(path) as stream:
        try:
            found: pa.Table = pyarrow.feather.read_table(stream, memory_map=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise SourceError(f"{path}: is not Feather, or half-written ({error}): fetch it again") from error
    return found
