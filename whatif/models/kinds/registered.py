"""Models that were trained before, and stand in MLflow's registry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from pydantic import PrivateAttr, field_validator

from whatif.errors import ModelError
from whatif.models.base import Fitted, ModelKind, Registration

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class Registered(ModelKind):
    """A model by its name in MLflow's registry, in place of one that the study trains.

    Attributes
    ----------
    registered : str
        Its name, and a version or an alias: ``forest@3``, ``forest@champion``.
    """

    kind: Literal["registered"] = "registered"
    registered: str
    _found: Registration | None = PrivateAttr(None)

    @field_validator("registered")
    @classmethod
    def _named(cls, value: str) -> str:
        name, _, version = value.rpartition("@")
        if not name or not version:
            raise ValueError(
                f"{value!r} names no version: write the model's name, @, and a version or an alias, as in "
                "forest@3 or forest@champion"
            )
        return value

    @field_validator("features", "tune", "calibrate", "out_of_fold", "weights", "each")
    @classmethod
    def _unsaid(cls, value: Any) -> Any:
        if value is not None:
            raise ValueError(
                "is for models that a study trains; a registered one has what it was trained with"
            )
        return value

    @property
    def found(self) -> Registration | None:
        """What the registry says of it; None before it was asked."""
        return self._found

    def bound(self, found: Registration) -> Registered:
        """Return the same with what the registry says, an alias as the version that it stands for."""
        made = self.model_copy(update={"registered": found.name})
        made._found = found
        return made

    @property
    def targets(self) -> tuple[str, ...]:
        """What it learnt, once that is known."""
        return ("return", "level", "class") if self._found is None else (self._found.target,)

    def fit(self, rows: DataFrame, columns: tuple[str, ...]) -> Fitted:
        """Refuse: it is trained."""
        self._refuse("trained")

    def predict(self, fitted: Fitted, rows: DataFrame) -> DataFrame:
        """Refuse: the kind that it was trained as predicts."""
        self._refuse("asked")

    def save(self, fitted: Fitted, folder: Path) -> Mapping[str, Mapping[str, Any]]:
        """Refuse: it is stored."""
        self._refuse("saved")

    def load(self, folder: Path) -> Fitted:
        """Refuse: the kind that it was trained as reads it."""
        self._refuse("read")

    def _refuse(self, what: str) -> NoReturn:
        raise ModelError(
            f"models: {self.registered!r} stands in MLflow's registry and is not {what} as a kind of its "
            "own: use the kind that it was trained as"
        )
