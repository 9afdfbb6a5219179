"""Walk-forward folds: train, choose on what follows, apply to what follows that, move on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from whatif.calendars import EPOCH
from whatif.errors import StudyError
from whatif.search.edges import Edges
from whatif.search.fold import Fold, embargoed
from whatif.study import Study, WalkForward


@dataclass(frozen=True)
class _Sessions:
    """First sessions of a fold's train, validate and test, and the session that follows it."""

    train: int
    validate: int
    test: int
    end: int


def walk_forward(study: Study, split: WalkForward, edges: Edges) -> tuple[Fold, ...]:
    """Return the folds of a walk-forward study, in time order.

    Test windows follow each other by `step`; train and validate are what lies so many sessions, or
    calendar days, before each of them. The first train begins with the slice, as far as weekends
    and holidays allow. A fold whose test window would leave the slice is not made.

    Raises
    ------
    StudyError
        If the slice is too short for one fold, or test windows overlap.
    """
    folds = list(_folds(study, split, edges))
    if not folds:
        raise StudyError(
            f"split: train {split.train}, validate {split.validate_} and test {split.test} do not fit into "
            f"the {len(edges)} sessions from data.start {study.data.start} to data.end {study.data.end}: "
            "take a longer slice or shorter windows"
        )
    for one, other in pairwise(folds):
        if other.test < one.end:
            raise StudyError(
                f"split: with step {split.step}, the test window that begins {edges.date(other.test)} "
                f"overlaps the one before it, which begins {edges.date(one.test)}: make step at least as "
                "long as test"
            )
    digits = max(2, len(str(len(folds))))
    return tuple(_fold(split, edges, k, one, digits) for k, one in enumerate(folds, 1))


def _folds(study: Study, split: WalkForward, edges: Edges) -> Iterator[_Sessions]:
    last_day = study.data.end.toordinal() - EPOCH.toordinal()
    validate = edges.forward(0, split.train, last_day)
    test = None if validate is None or validate >= len(edges) else edges.forward(
        validate, split.validate_, last_day
    )  # fmt: skip
    if test is None or test >= len(edges):
        return
    if split.windows is not None:
        cuts = _equal(study, test, len(edges), split.windows)
    else:
        cuts = _stepped(split, edges, test, last_day)
    for begin, end in cuts:
        chosen_on = edges.back(begin, split.validate_)
        learnt_on = 0 if split.anchored and split.train else edges.back(chosen_on, split.train)
        yield _Sessions(learnt_on, chosen_on, begin, end)


def _equal(study: Study, first: int, sessions: int, windows: int) -> Iterator[tuple[int, int]]:
    left = sessions - first
    if left < windows:
        raise StudyError(
            f"split.windows = {windows}: train and validate leave {left} of {sessions} sessions for test "
            f"(data.end is {study.data.end}), so a window would be empty: ask for {left} at most, or a "
            "longer slice"
        )
    for k in range(windows):
        yield first + k * left // windows, first + (k + 1) * left // windows


def _stepped(split: WalkForward, edges: Edges, first: int, last_day: int) -> Iterator[tuple[int, int]]:
    length = split.test
    assert length is not None  # the study has either windows or test
    begin: int | None = first
    while begin is not None and begin < len(edges):
        end = edges.forward(begin, length, last_day)
        if end is None:
            return
        if end > begin:  # some calendar days hold no session
            yield begin, end
        begin = edges.forward(begin, split.step or length, last_day)


def _fold(split: WalkForward, edges: Edges, number: int, at: _Sessions, digits: int) -> Fold:
    def instant(k: int) -> int:
        return int(edges.at[k])

    cuts = [
        (f"train-{number:0{digits}}", instant(at.train), instant(at.validate)),
        (f"validate-{number:0{digits}}", instant(at.validate), instant(at.test)),
        (f"test-{number:0{digits}}", instant(at.test), instant(at.end)),
    ]
    windows = embargoed(cuts, lambda end: edges.after(end, split.embargo, split.embargo_us))
    train, validate, test = windows
    assert validate is not None  # its length is never 0
    return Fold(number, () if train is None else (train,), (validate,), test)
