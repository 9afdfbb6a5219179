"""Walk-forward split: train, choose on the next sessions, test on those after them, and move on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from whatif.calendars import EPOCH
from whatif.errors import StudyError
from whatif.splits.base import Folds, Split, TimeSlice
from whatif.splits.edges import Edges
from whatif.splits.fold import Fold, embargoed
from whatif.splits.lengths import Embargo, Length, length_or_none


class WalkForward(Split):
    """Train, choose on validate, apply to test; then move on by `step` and do it again.

    Attributes
    ----------
    train, validate_, test : int or str
        Lengths: sessions, or calendar days such as "30d". `train` may be left out, or 0, where the
        strategy learns nothing.
    windows : int, optional
        In place of `test`: so many test windows, as equal as whole sessions allow, over all that
        the first train and validate leave.
    step : int or str, optional
        From one test window to the next; the length of `test` if left out, and never less.
    anchored : bool
        Whether each train begins with the slice and grows; otherwise it keeps its length.
    embargo : int or str
        Left out between train and validate, and between validate and test.
    """

    joins_tests: ClassVar[bool] = True

    kind: Literal["walk_forward"]
    train: Annotated[int | str, BeforeValidator(length_or_none)] = 0
    validate_: Length = Field(alias="validate")
    test: Length | None = None
    windows: Annotated[int, Field(ge=1, le=10_000)] | None = None
    step: Length | None = None
    anchored: bool = False
    embargo: Embargo = "0min"

    @model_validator(mode="after")
    def _consistent(self) -> WalkForward:
        if (self.test is None) == (self.windows is None):
            raise ValueError(
                "walk_forward needs either test, the length of a test window, or windows, their number; "
                f"got {'both' if self.test is not None else 'neither'}"
            )
        if self.windows is not None and self.step is not None:
            raise ValueError("step means nothing beside windows, which follow each other: remove one of them")
        if self.test is not None and self.step is not None and _shorter(self.step, self.test):
            raise ValueError(
                f"step = {self.step!r} is shorter than test = {self.test!r}, so test windows would overlap, "
                "and a stitched result would count the same bars twice: make step at least as long as test"
            )
        return self

    def make_folds(self, time: TimeSlice) -> Folds:
        """Return the folds, in time order.

        Test windows follow each other by `step`; train and validate are what lies so many sessions, or
        calendar days, before each of them. The first train begins with the slice, as far as weekends
        and holidays allow. A fold whose test window would leave the slice is not made.
        """
        edges = time.edges
        found = list(_places(self, time))
        if not found:
            raise StudyError(
                f"split: train {self.train}, validate {self.validate_} and test {self.test} do not fit into "
                f"the {len(edges)} sessions from data.start {time.start} to data.end {time.end}: "
                "take a longer slice or shorter windows"
            )
        for one, other in pairwise(found):
            if other.test < one.end:
                raise StudyError(
                    f"split: with step {self.step}, the test window that begins {edges.date(other.test)} "
                    f"overlaps the one before it, which begins {edges.date(one.test)}: make step at least "
                    "as long as test"
                )
        digits = max(2, len(str(len(found))))
        return Folds(tuple(_fold(self, edges, k, one, digits) for k, one in enumerate(found, 1)))


def _shorter(one: int | str, other: int | str) -> bool:
    """Whether one length is shorter than another in the same unit."""
    if isinstance(one, str) != isinstance(other, str):
        return False
    return int(str(one).rstrip("d")) < int(str(other).rstrip("d"))


@dataclass(frozen=True)
class _Sessions:
    """First sessions of a fold's train, validate and test, and the session that follows it."""

    train: int
    validate: int
    test: int
    end: int


def _places(split: WalkForward, time: TimeSlice) -> Iterator[_Sessions]:
    edges, last_day = time.edges, time.end.toordinal() - EPOCH.toordinal()
    validate = edges.forward(0, split.train, last_day)
    test = None if validate is None or validate >= len(edges) else edges.forward(
        validate, split.validate_, last_day
    )  # fmt: skip
    if test is None or test >= len(edges):
        return
    if split.windows is not None:
        cuts = _equal(time, test, split.windows)
    else:
        cuts = _stepped(split, edges, test, last_day)
    for begin, end in cuts:
        chosen_on = edges.back(begin, split.validate_)
        learnt_on = 0 if split.anchored and split.train else edges.back(chosen_on, split.train)
        yield _Sessions(learnt_on, chosen_on, begin, end)


def _equal(time: TimeSlice, first: int, windows: int) -> Iterator[tuple[int, int]]:
    sessions = len(time.edges)
    left = sessions - first
    if left < windows:
        raise StudyError(
            f"split.windows = {windows}: train and validate leave {left} of {sessions} sessions for test "
            f"(data.end is {time.end}), so a window would be empty: ask for {left} at most, or a "
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
    windows = embargoed(cuts, lambda end: edges.after(end, split.embargo))
    train, validate, test = windows
    assert validate is not None  # its length is never 0
    return Fold(number, () if train is None else (train,), (validate,), test)
