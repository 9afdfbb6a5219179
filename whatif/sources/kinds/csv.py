"""CSV: delimited text, under a header or given names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from whatif.sources.chunk import Chunk
from whatif.sources.delimited import read_csv
from whatif.sources.file_source import FileSource


class Csv(FileSource):
    """Delimited text, under a header or given names; also gzipped."""

    endings: ClassVar[tuple[str, ...]] = (".csv", ".txt", ".tsv", ".csv.gz", ".txt.gz")

    def read_file(self, path: str) -> Iterator[Chunk]:
        """Yield the rows of a file."""
        return read_csv(path, self.spec)
