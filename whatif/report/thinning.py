"""Fewer points that look the same: what a screen can show of a long series."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from whatif.report.timeline import session_starts, to_us
from whatif.typing import FloatArray, IntArray


def thin_lines(lines: list[FloatArray], most: int) -> IntArray:
    """Choose points to draw so that no peak or trough of any line is lost.

    Parameters
    ----------
    lines : list of float64 array (n,)
        Lines on a common axis; NaN is never an extreme.
    most : int
        Points to keep, at most; all are kept when there are no more.

    Returns
    -------
    int64 array (k,)
        Increasing indices: in each of several equal stretches the first point, the last, and the
        highest and lowest of every line.
    """
    n = len(lines[0])
    if n <= most:
        return np.arange(n, dtype=np.int64)
    stretches = max(1, most // (2 + 2 * len(lines)))
    edges = np.linspace(0, n, stretches + 1).astype(np.int64)
    keep = [edges[:-1], edges[1:] - 1]
    for line in lines:
        for fill, pick in ((np.inf, np.argmin), (-np.inf, np.argmax)):
            filled = np.where(np.isnan(line), fill, line)
            spans = pairwise(edges)
            keep.append(np.array([a + pick(filled[a:b]) for a, b in spans], dtype=np.int64))
    return np.unique(np.concatenate(keep))


def thin_bars(bars: pd.DataFrame, most: int) -> tuple[pd.DataFrame, int]:
    """Merge neighbouring bars into longer ones until about `most` are left.

    Parameters
    ----------
    bars : pandas.DataFrame
        `ts`, `open`, `high`, `low`, `close` of one symbol in one window, by time.
    most : int
        Bars to keep. Every session keeps at least one, as no bar ever spans two sessions, unless there
        are more sessions than that.

    Returns
    -------
    tuple of pandas.DataFrame and int
        First open, highest high, lowest low, last close of each group, `ts` of its first bar; and how
        many bars a full group holds (1: nothing was merged).
    """
    n = len(bars)
    if n <= most:
        return bars, 1
    size = -(-n // most)
    stamps = to_us(bars["ts"])
    starts = session_starts(stamps)
    if len(starts) > most:  # daily bars: sessions themselves must merge
        starts = np.zeros(1, np.int64)
    session = np.searchsorted(starts, np.arange(n), side="right") - 1
    within = np.arange(n) - starts[session]
    group = np.cumsum((within % size) == 0) - 1
    rules = {"ts": "first", "open": "first", "high": "max", "low": "min", "close": "last"}
    return bars.groupby(group).agg(rules).reset_index(drop=True), size


def change_points(values: FloatArray) -> IntArray:
    """Return the indices at which a step line changes, with the first and the last one."""
    if not len(values):
        return np.zeros(0, np.int64)
    changed = np.append(True, values[1:] != values[:-1])
    changed[-1] = True
    return np.asarray(np.flatnonzero(changed), dtype=np.int64)
