"""Contract of splits: the rules that the folds of each one keep to, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from whatif.errors import StudyError
from whatif.splits.base import Folds, Split, TimeSlice
from whatif.splits.fold import Fold, Window


def check_folds(split: Split, made: Folds, time: TimeSlice) -> None:
    """Raise unless folds keep to the contract of `Split.make_folds`.

    Raises
    ------
    StudyError
        Naming the split, the fold and the rule.
    """
    for broken in _broken(split, made, time):
        raise StudyError(f"split.kind = {split.kind!r} breaks its contract: {broken}")


def _broken(split: Split, made: Folds, time: TimeSlice) -> Iterator[str]:
    """Yield what is wrong with folds."""
    if not made.ranked:
        yield "it makes no fold, and nothing could be ranked"
    every = made.ranked if made.final is None else (*made.ranked, made.final)
    if [fold.number for fold in every] != list(range(1, len(every) + 1)):
        yield f"folds are numbered {[fold.number for fold in every]}, not from 1 on"
    named: dict[str, Window] = {}
    for fold in every:
        for window in fold.windows:
            if not time.start_us <= window.start_us < window.end_us <= time.end_us:
                yield f"fold {fold.number}: window {window} is empty or leaves the slice"
            if named.setdefault(window.name, window) != window:
                yield f"two windows have the name {window.name!r}: {named[window.name]} and {window}"
        yield from _overlaps(fold)
        if fold is not made.final and not fold.validate:
            yield f"fold {fold.number} has no validate window to rank on"
        if split.ranks_paths and len(fold.paths) != len(fold.validate):
            yield f"fold {fold.number} has {len(fold.validate)} validate windows and {len(fold.paths)} paths"
        if split.joins_tests and fold.test is None:
            yield f"fold {fold.number} has no test window to join"
    if split.joins_tests:
        for one, other in pairwise(fold.test for fold in made.ranked):
            if one is not None and other is not None and other.start_us < one.end_us:
                yield f"test windows {one} and {other} overlap, or are out of order"


def _overlaps(fold: Fold) -> Iterator[str]:
    """Yield windows of a fold in which bars are both learnt from and ranked or told on."""
    windows = sorted(fold.windows, key=lambda window: window.start_us)
    for one, other in pairwise(windows):
        if other.start_us < one.end_us:
            yield f"fold {fold.number}: windows {one} and {other} overlap"
    if fold.test is not None and any(w.end_us > fold.test.start_us for w in (*fold.train, *fold.validate)):
        yield f"fold {fold.number}: its test window {fold.test} begins before others end"
