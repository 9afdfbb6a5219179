"""A random forest as a study declares it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from whatif.study.section import Section

FEATURE_SUBSETS = ("auto", "all", "onethird", "sqrt", "log2")


class RandomForest(Section):
    """One random-forest variant of Spark ML."""

    kind: Literal["random_forest"] = "random_forest"
    trees: Annotated[int, Field(ge=1, le=10_000)] = 20
    depth: Annotated[int, Field(ge=0, le=30)] = 5
    bins: Annotated[int, Field(ge=2, le=10_000)] = 32
    min_leaf: Annotated[int, Field(ge=1)] = 1
    feature_subset: str = "auto"
    features: Annotated[tuple[str, ...] | None, Field(strict=False)] = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0
    target: Literal["return", "level"] | None = None

    @field_validator("feature_subset", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value

    @field_validator("feature_subset")
    @classmethod
    def _subset(cls, value: str) -> str:
        fraction = re.fullmatch(r"(0?\.[0-9]*[1-9][0-9]*)|(1\.0*)", value)
        if value not in FEATURE_SUBSETS and not re.fullmatch(r"[1-9][0-9]{0,8}", value) and not fraction:
            raise ValueError(
                f"{value!r} is no way to choose features: use {', '.join(FEATURE_SUBSETS)}, a number "
                "of features such as 3, or a fraction of them above 0 and up to 1.0"
            )
        return value
