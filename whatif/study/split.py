"""How a study splits its time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from itertools import pairwise
from math import comb
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from whatif.domain.timeframe import duration_us
from whatif.study.section import Section

MAX_SESSIONS = 100_000
"""Sessions of a window or an embargo; no calendar holds more."""

MAX_SPLITS = 5_000
"""Splits of a combinatorial study; each one trains its models anew."""


def _shown(value: Any) -> str:
    """Return a value as a message shows it: texts in quotes, nothing at length."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _length(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_SESSIONS:
        return value
    if isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,4}d", value):
        return value
    raise ValueError(
        f"{_shown(value)} is no length of a window: write a number of sessions such as 20 (at most "
        f"{MAX_SESSIONS:,}), or of calendar days such as '30d'"
    )


def _length_or_none(value: Any) -> Any:
    return 0 if value == 0 and not isinstance(value, bool) else _length(value)


def _embargo(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_SESSIONS:
        return value
    if not isinstance(value, str):
        raise ValueError(
            f"{_shown(value)} is no embargo: write a number of sessions such as 1 (at most "
            f"{MAX_SESSIONS:,}), or a duration such as '5min'"
        )
    if value not in NO_EMBARGO:
        duration_us(value)
    return value


NO_EMBARGO = ("0", "0min")
Length = Annotated[int | str, BeforeValidator(_length)]
"""Of a window: a number of sessions, or of calendar days such as "30d"."""
Embargo = Annotated[int | str, BeforeValidator(_embargo)]
"""What is left out behind a window: a number of sessions, or a duration such as "5min"."""


class Holdout(Section):
    """Train, validate and test, one after the other in time.

    Each of the three is a fraction of the slice's trading time, or all three are
    pairs of trading dates [first, last] with both dates included; `train` may be 0 then.
    Of a study without models, train is nothing unless it is given, see `without_models`.
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
        if value not in ("0", "0min"):
            duration_us(value)
        return value

    @property
    def embargo_us(self) -> int:
        """Length of the embargo in microseconds."""
        return 0 if self.embargo in ("0", "0min") else duration_us(self.embargo)

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


class WalkForward(Section):
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

    kind: Literal["walk_forward"]
    train: Annotated[int | str, BeforeValidator(_length_or_none)] = 0
    validate_: Length = Field(alias="validate")
    test: Length | None = None
    windows: Annotated[int, Field(ge=1, le=10_000)] | None = None
    step: Length | None = None
    anchored: bool = False
    embargo: Embargo = "0min"

    @property
    def embargo_us(self) -> int:
        """Length of the embargo in microseconds; 0 if it counts sessions."""
        return 0 if isinstance(self.embargo, int) or self.embargo in NO_EMBARGO else duration_us(self.embargo)

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


def _shorter(one: int | str, other: int | str) -> bool:
    """Whether one length is shorter than another in the same unit."""
    if isinstance(one, str) != isinstance(other, str):
        return False
    return int(str(one).rstrip("d")) < int(str(other).rstrip("d"))


class Combinatorial(Section):
    """Combinatorial purged cross-validation on what lies before a test window that is kept apart.

    Attributes
    ----------
    folds : int
        Consecutive parts of equal length.
    test_folds : int
        How many of them each split leaves out of training, and backtests on.
    embargo : int or str
        Left out of training behind each of those, and between them all and the test window.
    test : float
        Share of the slice's trading time that is kept apart; 0 for none.
    """

    kind: Literal["cpcv"]
    folds: Annotated[int, Field(ge=3, le=100)] = 10
    test_folds: Annotated[int, Field(ge=2)] = 2
    embargo: Embargo = "0min"
    test: Annotated[float, Field(strict=False, ge=0, lt=1)] = 0.2

    @property
    def embargo_us(self) -> int:
        """Length of the embargo in microseconds; 0 if it counts sessions."""
        return 0 if isinstance(self.embargo, int) or self.embargo in NO_EMBARGO else duration_us(self.embargo)

    @model_validator(mode="after")
    def _some_train(self) -> Combinatorial:
        if self.test_folds >= self.folds:
            raise ValueError(
                f"test_folds = {self.test_folds} of folds = {self.folds} leave nothing to train on: "
                "take fewer of them"
            )
        splits = comb(self.folds, self.test_folds)
        if splits > MAX_SPLITS:
            raise ValueError(
                f"{self.test_folds} of {self.folds} folds make {splits:,} splits, more than {MAX_SPLITS:,}: "
                "take fewer folds"
            )
        return self


def without_models(given: Any) -> Any:
    """Return a split as it was written, with what it leaves out as a study without models has it.

    Nothing learns there, so a holdout has no train window, and validate and test share the slice: half
    each, or what the other one leaves. Where both are given and leave something, that stays before them.
    """
    split = {} if given is None else given
    if not isinstance(split, Mapping) or split.get("kind", "holdout") != "holdout" or "train" in split:
        return given
    parts = [split.get(name) for name in ("validate", "test")]
    shares = [part for part in parts if isinstance(part, (int, float)) and not isinstance(part, bool)]
    if len(shares) != sum(part is not None for part in parts):  # dates, or nonsense
        return {**split, "train": 0}
    if len(shares) == 2:
        return {**split, "train": max(0.0, round(1.0 - sum(shares), 12))}
    rest = round(1.0 - shares[0], 12) if shares else 0.5
    named = {
        name: rest if part is None else part for name, part in zip(("validate", "test"), parts, strict=True)
    }
    return {**split, "train": 0, **named}


SPLITS: Mapping[str, type[Section]] = {
    "holdout": Holdout,
    "walk_forward": WalkForward,
    "cpcv": Combinatorial,
}


def _kind(given: Any) -> Any:
    kind = given.get("kind", "holdout") if isinstance(given, Mapping) else getattr(given, "kind", "holdout")
    return str(kind)


Split = Annotated[
    Annotated[Holdout, Tag("holdout")]
    | Annotated[WalkForward, Tag("walk_forward")]
    | Annotated[Combinatorial, Tag("cpcv")],
    Discriminator(_kind),
]
"""A study's split, told apart by `kind`; a holdout if it has none."""
