"""CSV: delimited text, under a header or given names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from whatif.sources.beginning import Beginning, beginning_of_text
from whatif.sources.chunk import Chunk
from whatif.sources.delimited import read_csv
from whatif.sources.file_source import FileSource
from whatif.sources.opening import UNPACKED_BY
from whatif.sources.spec import IngestSpec


class Csv(FileSource):
    """Delimited text, under a header or given names; also packed by gzip, bzip2, xz or zstd."""

    endings: ClassVar[tuple[str, ...]] = tuple(
        f"{text}{packed}" for packed in ("", *UNPACKED_BY) for text in (".csv", ".txt", ".tsv")
    )

    @classmethod
    def beginning(cls, path: str, spec: IngestSpec) -> Beginning | None:
        """Return the first rows of a file."""
        return beginning_of_text(path, spec)

    def read_file(self, path: str) -> Iterator[Chunk]:
        """Yield the rows of a file."""
        return read_csv(path, self.spec)
