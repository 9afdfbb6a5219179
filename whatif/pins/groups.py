"""Rows that come symbol by symbol, as workers get them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

import numpy as np
import pyarrow as pa


def symbols_of(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, pa.Table]]:
    """Yield the rows of each symbol, of batches in whose column `symbol` each has one run of rows."""
    for name, runs in groupby(runs_of(batches), key=itemgetter(0)):
        yield str(name), pa.Table.from_batches([rows for _, rows in runs])


def runs_of(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str | None, pa.RecordBatch]]:
    """Yield batches cut where `symbol` changes, each with its symbol, None where that is missing."""
    for batch in batches:
        symbols = batch.column("symbol")
        codes = symbols.dictionary_encode().indices.fill_null(-1).to_numpy()
        ends = np.flatnonzero(np.diff(codes)) + 1
        for first, stop in zip([0, *ends], [*ends, batch.num_rows], strict=True):
            if stop > first:
                yield symbols[int(first)].as_py(), batch.slice(int(first), int(stop - first))
