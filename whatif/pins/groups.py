"""Rows that come symbol by symbol, as workers get them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa


def symbols_of(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, pa.Table]]:
    """Yield the rows of each symbol, of batches in whose column `symbol` each has one run of rows."""
    held: list[pa.RecordBatch] = []
    name: str | None = None
    for batch in batches:
        symbols = batch.column("symbol")
        codes = symbols.dictionary_encode()
        ends = np.flatnonzero(np.diff(codes.indices.to_numpy())) + 1
        for first, stop in zip([0, *ends], [*ends, batch.num_rows], strict=True):
            if stop == first:
                continue
            owner = symbols[int(first)].as_py()
            if owner != name and held:
                yield str(name), pa.Table.from_batches(held)
                held = []
            name = owner
            held.append(batch.slice(int(first), int(stop - first)))
    if held:
        yield str(name), pa.Table.from_batches(held)
