"""Chunks: rows as a source has them, before they are checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa

from whatif.errors import SourceError
from whatif.sources.numbers import POINTS, NumberStyle
from whatif.typing import IntArray

COLUMNS = ("ts", "symbol", "open", "high", "low", "close", "volume", "vwap", "trade_count", "complete")
"""Columns that a source may have."""


class NoRowsError(SourceError):
    """A part has no rows: of a file, a header or a schema alone."""


@dataclass(frozen=True)
class Layout:
    """What is the same for all rows of a chunk.

    Attributes
    ----------
    source : str
        Name of the part that they came from; of a file, its absolute path or URI.
    timeframe, exchange, stamps : str
        As in `IngestSpec`.
    symbol : str or None
        Symbol of all rows, or None where a column names it.
    timezone : str or None
        Zone of stamps that carry no offset.
    time_format : str or None
        As in `IngestSpec`, or "lean_ms": milliseconds of the local `day`.
    day : str or None
        Date of the file, where stamps count within a day; ISO.
    price_unit : float
        What a price is divided by.
    numbers : NumberStyle
        How text writes numbers.
    shift_us : int
        How far the clock of local stamps is ahead of `timezone`, microseconds.
    by_order : bool
        Whether local times that occur twice are told apart by the order of rows.
    allow_nonpositive : bool
        Whether prices may be at or below zero.
    written_us : int or None
        When the file was written, microseconds UTC, if that is known.
    """

    source: str
    timeframe: str
    exchange: str
    stamps: str = "start"
    symbol: str | None = None
    timezone: str | None = None
    time_format: str | None = None
    day: str | None = None
    price_unit: float = 1.0
    numbers: NumberStyle = POINTS
    shift_us: int = 0
    by_order: bool = False
    allow_nonpositive: bool = False
    written_us: int | None = None


@dataclass
class LineNumbers:
    """Where rows stand in a text file, each in a line of its own.

    Attributes
    ----------
    before : int
        Lines before the first row.
    blanks : list of int
        Empty lines behind that, counted from the first row's line, which is 1; ascending.
    each : int
        Rows that a line is read as, of which empty ones count as lines above.
    """

    before: int = 0
    blanks: list[int] = field(default_factory=list)
    each: int = 1

    def of(self, row: IntArray) -> IntArray:
        """Return the line of each row, (n,), of which the first is 1."""
        blanks = np.array(self.blanks, dtype=np.int64)
        passed = np.searchsorted(blanks - np.arange(len(blanks)), row, side="right")
        found: IntArray = self.before + (row + passed - 1) // self.each + 1
        return found


@dataclass(frozen=True, eq=False)
class Chunk:
    """A bounded number of rows of one part.

    Attributes
    ----------
    layout : Layout
        What they share.
    batch : RecordBatch (n rows)
        Columns of the table, `COLUMNS`, as far as the source has them; `symbol` may be left out if the
        layout names it. Prices per unit, volume in units.
    checkpoint : str or None
        What `Source.read` takes to go on behind this chunk.
    row : int64 array (n,) or None
        Number of each row in its part, from 1 on; None has them counted.
    raw : callable or None
        Position in the chunk → JSON of what the source has there; None takes it from the batch.
    misfits : tuple of (int, str)
        Number and JSON of rows that have the wrong number of fields.
    lines : LineNumbers or None
        Their lines, of a file that is text.
    """

    layout: Layout
    batch: pa.RecordBatch
    checkpoint: str | None = None
    row: IntArray | None = None
    raw: Callable[[int], str] | None = None
    misfits: tuple[tuple[int, str], ...] = ()
    lines: LineNumbers | None = None

    def __len__(self) -> int:
        """Return the number of rows, misfits not counted."""
        return int(self.batch.num_rows)

    @cached_property
    def columns(self) -> pd.DataFrame:
        """Return the columns of the batch as pandas has them (n rows)."""
        names = self.batch.schema.names
        return pd.DataFrame({name: self.batch.column(k).to_pandas() for k, name in enumerate(names)})

    def numbers(self) -> IntArray:
        """Return the number of each row, (n,); the first is 1 if the source numbers none."""
        return np.arange(1, len(self) + 1, dtype=np.int64) if self.row is None else self.row

    def text(self, i: int) -> str:
        """Return JSON of what the source has at a position of the chunk."""
        if self.raw is not None:
            return self.raw(i)
        return json.dumps(self.batch.slice(i, 1).to_pylist()[0], default=str)


def joined(first: Chunk, second: Chunk) -> Chunk:
    """Return the numbered rows of two chunks that follow each other, and share their layout, as one."""
    tables = [pa.Table.from_batches([chunk.batch]) for chunk in (first, second)]
    whole = pa.concat_tables(tables, promote_options="permissive").unify_dictionaries().combine_chunks()
    n = len(first)
    return Chunk(
        layout=first.layout,
        batch=pa.record_batch([column.combine_chunks() for column in whole.columns], schema=whole.schema),
        checkpoint=first.checkpoint if second.checkpoint is None else second.checkpoint,
        row=np.concatenate([first.numbers(), second.numbers()]),
        raw=lambda i: first.text(i) if i < n else second.text(i - n),
        misfits=(*first.misfits, *second.misfits),
        lines=second.lines,
    )
