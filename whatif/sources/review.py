"""Review of each part as a whole: whether its rows are what the options say that they are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from whatif.domain import DAY_US, timeframe_us
from whatif.errors import SourceError
from whatif.sources.chunk import Chunk, Layout
from whatif.sources.grid import Grid
from whatif.sources.limits import ACCEPT, MOST, exceeds
from whatif.sources.numbers import grouped, may_be_grouped, with_commas
from whatif.sources.rules import RULES
from whatif.sources.spacing import FirstRows, spacing_fault
from whatif.sources.zone_check import zone_fault
from whatif.typing import BoolArray, FloatArray, IntArray

_LOOKED_AT = 20_000
"""Rows that spacing and sessions are told from: 51 sessions of New York's minutes."""

_TEXTS = ("open", "high", "low", "close", "volume")


@dataclass
class FileReview:
    """What is known of a file while its rows are read.

    Attributes
    ----------
    accept : bool
        Whether the user takes the file although much of it is refused or looks wrong.
    layout : Layout or None
        What its rows share, once the first were read.
    grid : Grid or None
        Where its bars begin, found on its first rows.
    first : FirstRows or None
        Its first rows, for what spacing and sessions tell.
    rows : int
        Rows so far.
    broken : Counter
        Rule → rows that break it.
    example : dict of str to (int, str)
        Rule → number and content of the first row that breaks it.
    """

    accept: bool = False
    layout: Layout | None = None
    grid: Grid | None = None
    first: FirstRows | None = None
    rows: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    example: dict[str, tuple[int, str]] = field(default_factory=dict)
    grouped: dict[str, bool] = field(default_factory=dict)

    def count(self, chunk: Chunk, rule: np.ndarray) -> None:
        """Count the rows of a chunk and the rules that they break."""
        self.layout = chunk.layout
        self.rows += len(chunk) + len(chunk.misfits)
        if chunk.misfits:
            self.broken["wrong_field_count"] += len(chunk.misfits)
            self.example.setdefault("wrong_field_count", chunk.misfits[0])
        refused = np.flatnonzero(rule != None)  # noqa: E711
        for name, count in Counter(rule[refused]).items():
            self.broken[name] += count
        for name in set(rule[refused]) - set(self.example):
            at = int(np.flatnonzero(rule == name)[0])
            self.example[name] = (int(chunk.numbers()[at]), chunk.text(at))

    def look_at_numbers(self, columns: pd.DataFrame, values: dict[str, FloatArray]) -> None:
        """Notice dots that stand between thousands.

        Raises
        ------
        SourceError
            If a value has two, and the user has not said that they group.
        """
        assert self.layout is not None
        if self.layout.numbers.stated:
            return
        for name in _TEXTS:
            if name not in columns or pd.api.types.is_numeric_dtype(columns[name].dtype):
                continue
            if np.isnan(values[name]).any():
                _check_style(self.layout.source, name, columns[name])
            if name == "volume" and self.grouped.get(name, True):
                self.grouped[name] = may_be_grouped(columns[name], values[name])

    def finish(self) -> None:
        """Refuse the file if most of it breaks a rule, or cannot be what the options say.

        Raises
        ------
        SourceError
            With what is wrong, and the option to type.
        """
        if self.layout is None or self.accept:
            return
        fault = self._fault()
        if fault is not None:
            raise SourceError(f"{self.layout.source}: {fault} ({ACCEPT})")

    def _fault(self) -> str | None:
        assert self.layout is not None
        if self.first is not None:
            misplaced = self.broken["off_grid"] + self.broken["overlap"]
            found = spacing_fault(self.first, self.layout, misplaced, self.rows)
            found = found or zone_fault(self.first, self.layout, self.rows - self.first.rows)
            if found is not None:
                return found
        if self.grouped.get("volume"):
            return (
                "volumes with a dot have three digits after it, so that 1.234 may be 1234: say which, "
                "--thousands . or --decimal ."
            )
        for rule, count in self.broken.most_common():
            if exceeds(count, self.rows, MOST):
                row, raw = self.example[rule]
                return (
                    f"{count:,} of {self.rows:,} rows break the rule {rule} ({RULES[rule]}); "
                    f"first row {row}: {raw[:200]}"
                )
        return None


def overlapping(
    symbol: np.ndarray | None, ts: IntArray, usable: BoolArray, length_us: int, cut: BoolArray
) -> BoolArray:
    """Return which bars begin before the one before it of the same symbol has ended.

    Parameters
    ----------
    symbol : int64 array (n,) or None
        Codes of symbols; None if all rows are of one.
    ts : int64 array (n,)
        Starts, microseconds UTC; the same start twice is no overlap but the bar again.
    usable : bool array (n,)
        Rows to look at.
    length_us : int
        Length of a bar.
    cut : bool array (n,)
        Bars that begin a session, or go on after its break: they may be shorter, or cut the one before.
    """
    rows = np.flatnonzero(usable)
    if symbol is not None:
        rows = rows[np.lexsort((ts[rows], symbol[rows]))]
    elif (np.diff(ts[rows]) < 0).any():
        rows = rows[np.argsort(ts[rows], kind="stable")]
    gap = np.diff(ts[rows])
    near = (gap > 0) & (gap < length_us) & ~cut[rows[1:]] & ~cut[rows[:-1]]
    if symbol is not None:
        near &= symbol[rows[1:]] == symbol[rows[:-1]]
    found = np.zeros(len(ts), dtype=bool)
    found[rows[1:][near]] = True
    return found


def _check_style(source: str, name: str, column: pd.Series) -> None:
    """Refuse numbers with commas, or with dots between thousands, and name the option that reads them."""
    if (commas := with_commas(column)) is not None:
        raise SourceError(f"{source}: {name} {commas[0]!r} is not a number with a point: give {commas[1]}")
    if (value := grouped(column)) is not None:
        raise SourceError(
            f"{source}: {name} {value!r}: dots separate thousands in this column, so that 1.234 is 1234: "
            "give --thousands ."
        )


def first_rows(
    stamps: IntArray, starts: IntArray, known: BoolArray, symbol: np.ndarray | None, volume: FloatArray,
    date_only: bool, layout: Layout,
) -> FirstRows:  # fmt: skip
    """Return the first rows of a file that have a time, for `spacing_fault` and `zone_fault`."""
    rows = np.flatnonzero(known)[:_LOOKED_AT]
    codes = np.zeros(len(rows), dtype=np.int64) if symbol is None else symbol[rows]
    order = np.lexsort((stamps[rows], codes))
    return FirstRows(
        stamps=stamps[rows][order],
        starts=starts[rows][order],
        symbol=codes[order],
        volume=np.nan_to_num(volume[rows][order], nan=0.0, posinf=0.0),
        date_only=date_only,
        rows=min(len(known), _LOOKED_AT),
        daily=timeframe_us(layout.timeframe) == DAY_US,
    )
