"""A random forest as a study declares it."""

from __future__ import annotations

import re
from itertools import product
from math import prod
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from whatif.section import Section

FEATURE_SUBSETS = ("auto", "all", "onethird", "sqrt", "log2")
TUNABLE = ("trees", "depth", "bins", "min_leaf", "feature_subset")
"""Parameters that may be lists, of which one value is chosen inside the train window."""

MOST_CANDIDATES = 1_000


class Tune(Section):
    """How a model's own parameters are chosen: on so many folds of its train window, in time order."""

    folds: Annotated[int, Field(ge=1, le=100)] = 3


def _several(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _distinct(value: Any) -> Any:
    if isinstance(value, tuple) and (not value or len(set(map(repr, value))) < len(value)):
        raise ValueError(f"{list(value)} must hold at least one value, and each once")
    return value


Trees = Annotated[int, Field(ge=1, le=10_000)]
Depth = Annotated[int, Field(ge=0, le=30)]
Bins = Annotated[int, Field(ge=2, le=10_000)]
MinLeaf = Annotated[int, Field(ge=1, lt=2**31)]


class RandomForest(Section):
    """One random-forest variant of Spark ML; of a parameter that is a list, one value is chosen."""

    kind: Literal["random_forest"] = "random_forest"
    trees: Trees | tuple[Trees, ...] = 20
    depth: Depth | tuple[Depth, ...] = 5
    bins: Bins | tuple[Bins, ...] = 32
    min_leaf: MinLeaf | tuple[MinLeaf, ...] = 1
    feature_subset: str | tuple[str, ...] = "auto"
    features: Annotated[tuple[str, ...] | None, Field(strict=False)] = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0
    target: Literal["return", "level"] | None = None
    tune: Tune | None = None

    @field_validator(*TUNABLE, "features", mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        return _distinct(_several(value))

    @field_validator("feature_subset", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        def text(one: Any) -> Any:
            return str(one) if isinstance(one, (int, float)) and not isinstance(one, bool) else one

        return tuple(text(one) for one in value) if isinstance(value, (list, tuple)) else text(value)

    @field_validator("feature_subset")
    @classmethod
    def _subset(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for one in (value,) if isinstance(value, str) else value:
            fraction = re.fullmatch(r"(0?\.[0-9]*[1-9][0-9]*)|(1\.0*)", one)
            if one not in FEATURE_SUBSETS and not re.fullmatch(r"[1-9][0-9]{0,8}", one) and not fraction:
                raise ValueError(
                    f"{one!r} is no way to choose features: use {', '.join(FEATURE_SUBSETS)}, a number "
                    "of features such as 3, or a fraction of them above 0 and up to 1.0"
                )
        return value

    @model_validator(mode="after")
    def _tuned(self) -> RandomForest:
        several = [name for name in TUNABLE if isinstance(getattr(self, name), tuple)]
        if self.tune is not None and not several:
            raise ValueError(
                f"tune has nothing to choose: give a list for one of {', '.join(TUNABLE)}, or remove tune"
            )
        if several and self.tune is None:
            raise ValueError(
                f"{several[0]} holds several values, and the model does not say how one is chosen: add "
                "tune: {folds: 3}, or declare a model for each value and name them on the axis model"
            )
        count = prod(len(getattr(self, name)) for name in several)
        if count > MOST_CANDIDATES:
            raise ValueError(
                f"{count:,} combinations would be trained on each fold, more than "
                f"{MOST_CANDIDATES:,}: give fewer values"
            )
        return self

    @property
    def candidates(self) -> tuple[RandomForest, ...]:
        """The variants that it stands for, the last parameter varying fastest; itself if there is one."""
        if self.tune is None:
            return (self,)
        lists = {name: getattr(self, name) for name in TUNABLE if isinstance(getattr(self, name), tuple)}
        points = (dict(zip(lists, point, strict=True)) for point in product(*lists.values()))
        return tuple(self.model_copy(update={**point, "tune": None}) for point in points)

    @model_serializer(mode="wrap")
    def _without_tune(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave `tune` out where there is none, so that names made of the content stay what they were."""
        content: dict[str, Any] = dump(self)
        return (
            content if content.get("tune") is not None else {k: v for k, v in content.items() if k != "tune"}
        )
