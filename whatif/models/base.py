"""The seam of models: the base class of all kinds of models.

A model is a section of the study. Its class gives the keys, learns from rows of a features table, and
predicts others. Kinds that come along stand in `whatif.models.kinds`; one of your own is found by entry
point (`whatif.models`) or by `module:Name` as the model's `kind`, and tried with
`whatif.testing.check_model`. A study is read without Spark, so a kind imports what it learns with inside of
its methods.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from whatif.models.calibration import Calibration
from whatif.section import Section

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

WEIGHT = "weight"
"""Column of how much each row counts, where the study weighs rows."""

MAX_CANDIDATES = 1_000
"""Combinations of parameters that one model may choose among."""


class Tune(Section):
    """How a model's own parameters are chosen: on so many folds of its train window, in time order.

    Attributes
    ----------
    folds : int
        So many.
    """

    folds: Annotated[int, Field(ge=1, le=100)] = 3


class Calibrate(Section):
    """How probabilities are calibrated: on so many folds of the train window, in time order.

    Attributes
    ----------
    method : str
        By steps that rise (isotonic), or by a logistic curve (platt).
    folds : int
        So many.
    """

    method: Literal["isotonic", "platt"] = "isotonic"
    folds: Annotated[int, Field(ge=1, le=100)] = 3


@dataclass(frozen=True)
class Fitted:
    """What a model learnt, and from what.

    Attributes
    ----------
    columns : tuple of str
        Feature columns, in the order in which it learnt from them.
    model : Any
        The kind's own object; None if there was no row to learn from.
    rows : int
        Rows that it learnt from.
    importances : tuple of float, or None
        How much each column counts, in the order of `columns`, where the kind knows it.
    calibration : Calibration or None
        What its probabilities are put through, which `predict` of a kind leaves to the engine.
    """

    columns: tuple[str, ...]
    model: Any
    rows: int
    importances: tuple[float, ...] | None = None
    calibration: Calibration | None = None


@dataclass(frozen=True)
class Registration:
    """A model of a registry, and what it was trained as.

    Attributes
    ----------
    name : str
        Its name and version, as in "forest@3".
    uri : str
        Where its files are.
    digest : str
        Names what it learnt: part of each `config_id` that trades it.
    section : mapping
        Keys of the kind that it was trained as, as a study would have them.
    features : tuple of str
        Expressions that it learnt from, in order.
    columns : tuple of str
        Their columns.
    timeframe : str
        Of the bars that it learnt from.
    target : str
        What it learnt.
    train_end_us : int
        When the last window that it learnt from ended, microseconds UTC.
    """

    name: str
    uri: str
    digest: str
    section: Mapping[str, Any]
    features: tuple[str, ...]
    columns: tuple[str, ...]
    timeframe: str
    target: str
    train_end_us: int


class ModelKind(Section):
    """A kind of model, and the keys of its section.

    `whatif.models.SparkModel` and `whatif.models.ArrayModel` do most of it for estimators of Spark ML,
    and for what learns from arrays of numpy.

    Attributes
    ----------
    kind : str
        Name by which a study asks for it.
    features : tuple of str, or None
        Those of the study's features that it learns from; None for all of them.
    target : str or None
        What it learns, one of `targets`; None for what the study's label says.
    tune : Tune or None
        How one value is chosen of each parameter that is a list.
    calibrate : Calibrate or None
        How its probabilities are calibrated; None for not.
    out_of_fold : int or None
        On how many folds of the train window, in time order, bars inside of it are predicted too, each by a
        model that learnt from those before; None for none.
    each : str or None
        "symbol": one model for each symbol, which learns from that symbol's rows alone; None for one of all.
    weights : str or None
        By what the rows that it learns from are weighed; None for all alike.
    tunable : tuple of str
        Keys that may be lists of values to choose among, declared such as `depth: int | tuple[int, ...]`.
    needs_spark : bool
        Whether it learns on Spark alone; else it takes frames of pandas too, with the same result.
    family : bool
        Whether it stands for all kinds whose name begins with its own and a dot.
    """

    kind: str
    features: Annotated[tuple[str, ...] | None, Field(strict=False)] = None
    target: Literal["return", "level", "class"] | None = None
    tune: Tune | None = None
    calibrate: Calibrate | None = None
    out_of_fold: Annotated[int, Field(ge=1, le=100)] | None = None
    weights: Literal["uniqueness", "class", "both"] | None = None
    each: Literal["symbol"] | None = None

    tunable: ClassVar[tuple[str, ...]] = ()
    needs_spark: ClassVar[bool] = True
    family: ClassVar[bool] = False

    @abstractmethod
    def fit(self, rows: DataFrame, columns: tuple[str, ...]) -> Fitted:
        """Return what is learnt from rows.

        Parameters
        ----------
        rows : DataFrame
            `symbol`, `ts`, the feature columns, and `label` in the target's unit (of classes 1 for long, -1
            for short, 0 for neither), and `weight` where `weights` is said; doubles, none of them missing.
            They lie in a fixed number of partitions
            by a hash of symbol and ts, sorted in each, so that the same rows come in the same order wherever
            they are. There may be none: `Fitted.rows`
            is 0 then, and the engine says so.
        columns : tuple of str
            The feature columns, in order.
        """

    @abstractmethod
    def predict(self, fitted: Fitted, rows: DataFrame) -> DataFrame:
        """Return the rows with a column `prediction` added: a finite double in the target's unit for each.

        A kind that `classifies` adds `prob_long` and `prob_short` in its place, which are not negative and
        together at most 1. A row's prediction depends on that row's features alone.

        Parameters
        ----------
        fitted : Fitted
            What `fit` returned, or `load`.
        rows : DataFrame
            `symbol`, `ts` and the feature columns, none of them missing, and maybe further columns of
            numbers, which are kept as they are.
        """

    @abstractmethod
    def save(self, fitted: Fitted, folder: Path) -> Mapping[str, Mapping[str, Any]]:
        """Write what was learnt to files of a folder, its calibration too, and return how MLflow reads them.

        Returns
        -------
        mapping
            Options of MLflow's flavours by name, such as "python_function"; empty if nothing was written
            that could be read again.
        """

    @abstractmethod
    def load(self, folder: Path) -> Fitted:
        """Return what `save` wrote."""

    @property
    def targets(self) -> tuple[str, ...]:
        """What it can learn: "return" and "level" are numbers, "class" is long, short or neither."""
        return ("return", "level")

    @property
    def takes_weights(self) -> bool:
        """Whether it can learn from rows of which some count more than others."""
        return False

    @property
    def classifies(self) -> bool:
        """Whether it predicts probabilities; known once it is known what it learns."""
        return self.target == "class"

    @property
    def identity(self) -> dict[str, Any]:
        """What makes this variant another model on the same rows: its keys by value.

        It becomes part of `model_digest` and of each `config_id` that trades the model.
        """
        return {"model": self.parameters}

    @property
    def parameters(self) -> dict[str, Any]:
        """Its keys by value, but for which rows and columns it learns from."""
        return self.model_dump(exclude={"target", "features"})

    @property
    def candidates(self) -> tuple[Self, ...]:
        """The variants that it stands for, the last parameter varying fastest; itself if there is one."""
        if self.tune is None:
            return (self,)
        lists = {name: getattr(self, name) for name in self.lists}
        points = (dict(zip(lists, point, strict=True)) for point in product(*lists.values()))
        return tuple(self.model_copy(update={**point, "tune": None}) for point in points)

    @property
    def folds(self) -> set[int]:
        """Into how many folds its train window is cut, for whatever it asks for."""
        asked = (self.tune and self.tune.folds, self.calibrate and self.calibrate.folds, self.out_of_fold)
        return {count for count in asked if count}

    @property
    def lists(self) -> tuple[str, ...]:
        """The parameters that are lists of values to choose among."""
        return tuple(name for name in self.tunable if isinstance(getattr(self, name), tuple))

    @field_validator("*", mode="before")
    @classmethod
    def _list(cls, value: Any, info: ValidationInfo) -> Any:
        if info.field_name not in ("features", *cls.tunable):
            return value
        value = tuple(value) if isinstance(value, list) else value
        if isinstance(value, tuple) and (not value or len(set(map(repr, value))) < len(value)):
            raise ValueError(f"{list(value)} must hold at least one value, and each once")
        return value

    @model_validator(mode="after")
    def _weighed(self) -> Self:
        if self.weights is not None and not self.takes_weights:
            raise ValueError(
                f"weights = {self.weights!r}: kind {self.kind!r} learns from all rows alike: remove "
                "weights, or take a kind that weighs them, such as random_forest"
            )
        return self

    @model_validator(mode="after")
    def _tuned(self) -> Self:
        several = self.lists
        if self.tune is not None and not several:
            lists = f"give a list for one of {', '.join(self.tunable)}, or " if self.tunable else ""
            raise ValueError(f"tune has nothing to choose: {lists}remove tune")
        if several and self.tune is None:
            raise ValueError(
                f"{several[0]} holds several values, and the model does not say how one is chosen: add "
                "tune: {folds: 3}, or declare a model for each value and name them on the axis model"
            )
        count = prod(len(getattr(self, name)) for name in several)
        if count > MAX_CANDIDATES:
            raise ValueError(
                f"{count:,} combinations would be trained on each fold, more than "
                f"{MAX_CANDIDATES:,}: give fewer values"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_unsaid(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not said of these, so that names made of the content stay what they were."""
        content: dict[str, Any] = dump(self)
        for name in ("tune", "calibrate", "out_of_fold", "weights", "each"):
            if content.get(name) is None:
                content.pop(name, None)
        return content
