"""Holdout split: train, validate and test, one after the other in time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from whatif.calendars import schedule
from whatif.errors import StudyError
from whatif.splits.base import Folds, Split, TimeSlice
from whatif.splits.bounds import bounds_of
from whatif.splits.fold import Cut, Fold, embargoed
from whatif.splits.lengths import embargo_length_us


class Holdout(Split):
    """Train, validate and test, one after the other in time.

    Each of the three is a fraction of the slice's trading time, or all three are
    pairs of trading dates [first, last] with both dates included; `train` may be 0 then.
    Of a study without models, train is nothing unless it is given, see `completed`. Each window after the
    first begins `embargo` after the one before it ends.

    Attributes
    ----------
    train, validate_, test : float or (date, date)
        Fraction of the trading time, or first and last trading date.
    embargo : str
        Duration between the end of a window and the begin of the next.
    """

    kind: Literal["holdout"] = "holdout"
    train: Annotated[float, Field(strict=False)] | tuple[date, date] = 0.5
    validate_: Annotated[float, Field(strict=False)] | tuple[date, date] = Field(0.25, alias="validate")
    test: Annotated[float, Field(strict=False)] | tuple[date, date] = 0.25
    embargo: str = "0min"

    @field_validator("train", "validate_", "test", mode="before")
    @classmethod
    def _pair(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("must be a fraction such as 0.25, or a pair of dates")
        if isinstance(value, list):
            if len(value) != 2 or any(
                isinstance(day, datetime) or not isinstance(day, date) for day in value
            ):
                raise ValueError("must be a fraction such as 0.25, or a pair of dates [first, last]")
            return tuple(value)
        return value

    @field_validator("embargo")
    @classmethod
    def _embargo(cls, value: str) -> str:
        embargo_length_us(value)
        return value

    @property
    def embargo_us(self) -> int:
        """Length of the embargo in microseconds."""
        return embargo_length_us(self.embargo)

    @model_validator(mode="after")
    def _consistent(self) -> Holdout:
        parts = (self.train, self.validate_, self.test)
        pairs = [p for p in parts if isinstance(p, tuple)]
        learns = not (pairs and self.train == 0)
        fractions = [p for p in (parts if learns else parts[1:]) if isinstance(p, (int, float))]
        if fractions and pairs:
            raise ValueError("train, validate and test must be all fractions or all pairs of dates")
        if fractions:
            self._check_fractions(fractions)
        for (first, last), following in pairwise([*pairs, None]):  # type: ignore[misc]
            if last < first:
                raise ValueError(f"window [{first}, {last}] ends before it begins")
            if following is not None and following[0] <= last:
                raise ValueError(f"window that begins {following[0]} overlaps the one that ends {last}")
        return self

    @staticmethod
    def _check_fractions(fractions: list[float]) -> None:
        if any(not 0 <= f < 1 for f in fractions) or fractions[1] == 0:
            raise ValueError(f"fractions {fractions} must lie in [0, 1), and validate above 0")
        if sum(fractions) > 1 + 1e-9:
            raise ValueError(f"fractions {fractions} add up to {sum(fractions):g}, more than 1")

    @classmethod
    def completed(cls, given: Mapping[str, Any], learns: bool) -> Mapping[str, Any]:
        """Return the section with what it leaves out as a study without models has it.

        Nothing learns there, so there is no train window, and validate and test share the slice: half
        each, or what the other one leaves. Where both are given and leave something, that stays before them.
        """
        if learns or "train" in given:
            return given
        parts = [given.get(name) for name in ("validate", "test")]
        shares = [part for part in parts if isinstance(part, (int, float)) and not isinstance(part, bool)]
        if len(shares) != sum(part is not None for part in parts):  # dates, or nonsense
            return {**given, "train": 0}
        if len(shares) == 2:
            return {**given, "train": max(0.0, round(1.0 - sum(shares), 12))}
        rest = round(1.0 - shares[0], 12) if shares else 0.5
        both = zip(("validate", "test"), parts, strict=True)
        return {**given, "train": 0, **{name: rest if part is None else part for name, part in both}}

    def make_folds(self, time: TimeSlice) -> Folds:
        """Return the one fold. Fractions are shares of the trading time, see `TimeSlice.cut`."""
        if isinstance(self.validate_, tuple):
            cuts = [self._dated(time, name, part) for name, part in self._parts if isinstance(part, tuple)]
            if not isinstance(self.train, tuple):  # 0, which is nothing
                cuts.insert(0, ("train", time.start_us, time.start_us))
        else:
            cuts = self._shares(time)
        train, validate, test = embargoed(cuts, lambda end: end + self.embargo_us)
        if validate is None:
            raise StudyError(
                f"split.validate = {self.validate_} leaves no bar to choose on: give it a larger share"
            )
        return Folds((Fold(1, () if train is None else (train,), (validate,), test),))

    @property
    def _parts(self) -> tuple[tuple[str, float | tuple[date, date]], ...]:
        return ("train", self.train), ("validate", self.validate_), ("test", self.test)

    def _shares(self, time: TimeSlice) -> list[Cut]:
        shares = [float(part) for _, part in self._parts]  # type: ignore[arg-type]
        edges = [time.start_us]
        for share in np.cumsum(shares):
            edges.append(time.end_us if share > 1 - 1e-9 else time.cut(float(share)))
        names = (name for name, _ in self._parts)
        cuts = list(zip(names, edges, edges[1:], strict=False))
        for share, (name, begin, end) in zip(shares, cuts, strict=True):
            if share > 0 and end <= begin:
                raise StudyError(
                    f"split.{name} = {share:g} of {len(time.schedule)} sessions is less than the step at "
                    "which windows are cut, so it would be empty: give it a larger share, or a longer slice"
                )
        return cuts

    def _dated(self, time: TimeSlice, name: str, part: tuple[date, date]) -> Cut:
        first, last = part
        if first < time.start or last >= time.end:
            raise StudyError(
                f"split.{name} [{first}, {last}] leaves the slice: data.start is {time.start} and "
                f"data.end {time.end} (left out); widen the slice or move the window"
            )
        inner = schedule(time.exchange, first, last)
        if not len(inner):
            raise StudyError(f"split.{name} [{first}, {last}] holds no session of {time.exchange}")
        return (name, *bounds_of(inner, time.hours))
