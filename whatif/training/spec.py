"""Specifications of trained models, and the digests that name them."""

from __future__ import annotations

from dataclasses import dataclass

from whatif.errors import ModelError, StrategyError
from whatif.features import FeatureSpec
from whatif.models import ModelKind
from whatif.splits import Window
from whatif.strategies import identity_of
from whatif.study import digest


@dataclass(frozen=True)
class ModelSpec:
    """One model variant over one feature set and one train window.

    Attributes
    ----------
    name : str
        What the study calls it; has no part in the digest.
    kind : ModelKind
        The variant's parameters as authored.
    features : FeatureSpec
        Where rows and label come from.
    columns : tuple of str
        Feature columns the model uses, in order.
    target : str
        "return" or "level".
    train : tuple of Window
        Rows may train only if they lie in one of these windows, and their label's bar ends by its end.
    everywhere : bool
        Whether all bars outside `train` are predicted; only those behind it otherwise.
    code : str
        Digest of the kind's code; "" for one that comes along.
    """

    name: str
    kind: ModelKind
    features: FeatureSpec
    columns: tuple[str, ...]
    target: str
    train: tuple[Window, ...]
    everywhere: bool = False
    code: str = ""

    @property
    def identity(self) -> dict[str, object]:
        """What a configuration that uses this model depends on, apart from the market."""
        bounds = [[window.start_us, window.end_us] for window in self.train]
        return {
            **self.kind.identity,
            "features": self.features.identity,
            "columns": list(self.columns),
            "target": self.target,
            "train": bounds if self.everywhere else bounds[0],
            **({"code": self.code} if self.code else {}),
        }

    def digest(self, bars_snapshot: int) -> str:
        """Return the key of this model's rows in `predictions`: the identity and the bars it saw."""
        return digest({"model": self.identity, "bars": bars_snapshot})

    @property
    def label_column(self) -> str:
        """Column of the features table that the model learns."""
        return f"label_{self.target}"


def model_spec(
    name: str,
    kind: ModelKind,
    features: FeatureSpec,
    default_target: str,
    train: Window | tuple[Window, ...],
    everywhere: bool = False,
) -> ModelSpec:
    """Return the resolved model `name` of a study.

    Raises
    ------
    ModelError
        If the code of its kind reaches what has no value.
    """
    windows = (train,) if isinstance(train, Window) else train
    column_of = features.column_of()
    chosen = features.columns if kind.features is None else tuple(column_of[f] for f in kind.features)
    target = kind.target or default_target
    return ModelSpec(name, kind, features, chosen, target, windows, everywhere, code_of(type(kind)))


def code_of(kind: type[ModelKind]) -> str:
    """Return a digest of all that the code of a kind can reach; "" for one that comes along.

    Raises
    ------
    ModelError
        If it reaches what has no value, such as an open file or a clock; it is named.
    """
    if kind.__module__.startswith("whatif."):
        return ""
    try:
        return identity_of(f"{kind.__module__}:{kind.__qualname__}", kind, noun="model kind")
    except StrategyError as error:
        raise ModelError(str(error)) from error
