"""Contract of labels: the rules that what a kind says of bars keeps to, whoever wrote it."""

from __future__ import annotations

import numpy as np

from whatif.domain import Bars
from whatif.errors import StudyError
from whatif.labels.base import LabelKind, Labels


def check_labels(kind: LabelKind, bars: Bars, made: object) -> None:
    """Raise unless labels keep to the contract of `LabelKind.make`.

    Raises
    ------
    StudyError
        Naming the kind and the rule.
    """
    if not isinstance(made, Labels):
        raise _broken(kind, f"make returns a whatif.labels.Labels, not a {type(made).__name__}")
    if tuple(made.values) != kind.gives:
        raise _broken(kind, f"it gives {', '.join(made.values)}, and says {', '.join(kind.gives)}")
    for name, array in {**made.values, "end": made.end, "known": made.known}.items():
        if array is not None and np.shape(array) != (len(bars),):
            raise _broken(kind, f"{name} has one value for each bar: ({len(bars)},), not {np.shape(array)}")
    there = np.isfinite(made.values[kind.gives[0]])
    if not np.array_equal(there, made.end > 0):
        raise _broken(kind, "a bar has an end exactly where it has a label")
    if np.any(made.end[there] <= bars.ts[there]):
        raise _broken(kind, "a label ends after its bar begins")
    if kind.known_early != (made.known is not None):
        raise _broken(kind, "it gives known if it says known_early, and only then")
    if made.known is not None and np.any(made.known > made.end):
        raise _broken(kind, "a label is known when all that it looks at is over, or before")
    if "class" in made.values and not set(np.unique(made.values["class"][there])) <= {-1.0, 0.0, 1.0}:
        raise _broken(kind, "a class is 1 for long, -1 for short, or 0")


def _broken(kind: LabelKind, rule: str) -> StudyError:
    return StudyError(f"label: kind {kind.kind!r} breaks its contract: {rule}")
