"""Forward chains: time-ordered folds inside a train window, for tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from whatif.calendars import Schedule
from whatif.errors import StudyError
from whatif.splits import Window
from whatif.typing import IntArray

SNAP_STRETCHES = 20
"""From this many sessions on, cuts fall between sessions and never inside one."""


@dataclass(frozen=True)
class Chain:
    """One fold: `train` ends where `validate` begins.

    Attributes
    ----------
    train, validate : tuple of Window
        Several where the train window itself is several intervals.
    """

    train: tuple[Window, ...]
    validate: tuple[Window, ...]


def forward_chains(schedule: Schedule, train: Sequence[Window], folds: int, bar_us: int) -> tuple[Chain, ...]:
    """Return the folds of a train window, never a random one.

    The window's trading time is cut into `folds` + 1 parts of equal length; fold k learns from the
    first k parts and looks at the next one.

    Parameters
    ----------
    schedule : Schedule
        Sessions of the slice.
    train : sequence of Window
        Intervals of the train window, in time order.
    folds : int
        How many.
    bar_us : int
        Length of a bar, microseconds: cuts inside a session fall on a multiple of it.

    Raises
    ------
    StudyError
        If a part would be empty.
    """
    stretches = _stretches(schedule, train)
    begin, end = train[0].start_us, train[-1].end_us
    edges = [begin, *(_cut(stretches, k / (folds + 1), bar_us) for k in range(1, folds + 1)), end]
    if any(later <= earlier for earlier, later in pairwise(edges)):
        raise StudyError(
            f"models: {folds} folds (tune, calibrate, out_of_fold) cut {train[0]} into parts without a bar: "
            "take fewer folds or a longer train window"
        )
    return tuple(
        Chain(_part(train, begin, edges[k], "learn"), _part(train, edges[k], edges[k + 1], "look"))
        for k in range(1, folds + 1)
    )


def _stretches(schedule: Schedule, train: Sequence[Window]) -> IntArray:
    """Return the bounds of trading time inside the windows, (k, 2), microseconds UTC."""
    found = []
    for window in train:
        inside = schedule.between(window.start_us, window.end_us)
        found.append(
            np.column_stack(
                [np.maximum(inside.open_us, window.start_us), np.minimum(inside.close_us, window.end_us)]
            )
        )
    return np.concatenate(found).astype(np.int64)


def _cut(stretches: IntArray, share: float, bar_us: int) -> int:
    lengths = stretches[:, 1] - stretches[:, 0]
    until = np.cumsum(lengths)
    target = share * float(until[-1]) if len(until) else 0.0
    if len(stretches) >= SNAP_STRETCHES:
        k = int(np.argmin(np.abs(until - target))) + 1
        return int(stretches[min(k, len(stretches) - 1), 0])
    k = int(np.searchsorted(until, target * (1 - 1e-12), "left"))
    inside = round((target - float(until[k] - lengths[k])) / bar_us) * bar_us
    if inside < lengths[k]:
        return int(stretches[k, 0]) + inside
    return int(stretches[min(k + 1, len(stretches) - 1), 0])


def _part(train: Sequence[Window], start_us: int, end_us: int, name: str) -> tuple[Window, ...]:
    cut = (Window(name, max(w.start_us, start_us), min(w.end_us, end_us)) for w in train)
    return tuple(window for window in cut if window.end_us > window.start_us)
