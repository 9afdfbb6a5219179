"""How a study splits its time."""

from __future__ import annotations

from datetime import date, datetime
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from whatif.domain.timeframe import duration_us
from whatif.study.section import Section


class Holdout(Section):
    """Train, validate and test, one after the other in time.

    Each of the three is a fraction of the slice's trading time, or all three are
    pairs of trading dates [first, last] with both dates included.
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
        fractions = [p for p in parts if isinstance(p, (int, float))]
        pairs = [p for p in parts if isinstance(p, tuple)]
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
