"""Rows as a source has them, before anything is believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from whatif.errors import SourceError
from whatif.sources.numbers import POINTS, NumberStyle
from whatif.typing import IntArray


class NoRowsError(SourceError):
    """A file has a header, or a schema, and no rows."""


@dataclass(frozen=True)
class Layout:
    """What is the same for all rows of one file.

    Attributes
    ----------
    source : str
        The file, as an absolute path or URI.
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


@dataclass
class LineNumbers:
    """Where rows stand in a text file, each in a line of its own.

    Attributes
    ----------
    before : int
        Lines before the first row.
    blanks : list of int
        Empty lines behind that, counted from the first row's line, which is 1; ascending.
    """

    before: int = 0
    blanks: list[int] = field(default_factory=list)

    def of(self, row: IntArray) -> IntArray:
        """Return the line of each row, of which the first is 1."""
        blanks = np.array(self.blanks, dtype=np.int64)
        passed = np.searchsorted(blanks - np.arange(len(blanks)), row, side="right")
        found: IntArray = self.before + row + passed
        return found


@dataclass(frozen=True, eq=False)
class RawChunk:
    """A bounded number of rows of one file.

    Attributes
    ----------
    layout : Layout
        What they share.
    row : int64 array (n,)
        Number of each row in its file; the first data row is 1.
    columns : DataFrame (n rows)
        Table columns that the file has (`ts`, `open`, …), values as in the file.
    raw : callable
        Position in the chunk → JSON of what the file has there.
    misfits : tuple of (int, str)
        Number and JSON of rows that have the wrong number of fields.
    lines : LineNumbers or None
        Their lines, of a file that is text.
    """

    layout: Layout
    row: IntArray
    columns: pd.DataFrame
    raw: Callable[[int], str]
    misfits: tuple[tuple[int, str], ...] = ()
    lines: LineNumbers | None = None

    def __len__(self) -> int:
        """Return the number of rows, misfits not counted."""
        return len(self.row)
