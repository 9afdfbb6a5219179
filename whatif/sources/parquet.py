"""Parquet files."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from whatif.errors import SourceError
from whatif.sources.bounded import check_parquet
from whatif.sources.chunk import Layout, NoRowsError, RawChunk
from whatif.sources.columns import layout_of, resolve_columns
from whatif.sources.files import open_binary
from whatif.sources.spec import IngestSpec

CHUNK_ROWS = 50_000


def read_parquet(source: str, spec: IngestSpec, chunk_rows: int = CHUNK_ROWS) -> Iterator[RawChunk]:
    """Yield the rows of a Parquet file.

    Raises
    ------
    SourceError
        If it is not Parquet, is empty or half-written, or a column is missing.
    """
    with open_binary(source) as stream:
        try:
            file = pq.ParquetFile(stream)
        except (pa.ArrowInvalid, OSError) as error:
            raise SourceError(
                f"{source}: is not Parquet, or half-written ({error}): fetch it again, or give its format"
            ) from error
        check_parquet(source, file.metadata, stream.seek(0, 2))
        names = file.schema_arrow.names
        at = resolve_columns(source, names, spec)
        layout = layout_of(source, spec)
        if file.metadata.num_rows == 0:
            raise NoRowsError(f"{source}: has no rows: name a file with rows")
        done = 0
        try:
            for batch in file.iter_batches(batch_size=chunk_rows):
                yield _chunk(layout, at, batch, done)
                done += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise SourceError(f"{source}: is damaged ({error}): fetch it again") from error


def _chunk(layout: Layout, at: dict[str, tuple[int, ...]], batch: pa.RecordBatch, done: int) -> RawChunk:
    columns = {}
    for target, where in at.items():
        parts = [batch.column(i).to_pandas() for i in where]
        columns[target] = parts[0] if len(parts) == 1 else _joined(parts)
    return RawChunk(
        layout=layout,
        row=np.arange(done + 1, done + batch.num_rows + 1, dtype=np.int64),
        columns=pd.DataFrame(columns),
        raw=lambda i: json.dumps(batch.slice(i, 1).to_pylist()[0], default=str),
    )


def _joined(parts: list[pd.Series]) -> pd.Series:
    text = parts[0].astype("str")
    for part in parts[1:]:
        text = text + " " + part.astype("str")
    return text
