"""Specifications of trained models, and the digests that name them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from whatif.errors import ModelError, StrategyError, StudyError
from whatif.features import FeatureSpec
from whatif.labels import LabelKind
from whatif.models import SEAM as MODELS
from whatif.models import ModelKind, Registered, Registration
from whatif.splits import Window, instant_text
from whatif.strategies import identity_of
from whatif.study import digest, digest_of


@dataclass(frozen=True)
class ModelSpec:
    """One model variant over one feature set and one train window.

    Attributes
    ----------
    name : str
        What the study calls it; has no part in the digest.
    kind : ModelKind
        The variant's parameters as authored, but that its target is said.
    features : FeatureSpec
        Where rows and label come from.
    columns : tuple of str
        Feature columns the model uses, in order.
    target : str
        "return", "level" or "class".
    train : tuple of Window
        Rows may train only if they lie in one of these windows, and their label's bar ends by its end.
    everywhere : bool
        Whether all bars outside `train` are predicted; only those behind it otherwise.
    code : str
        Digest of the kind's code; "" for one that comes along.
    held : Registration or None
        The trained model that a registry has; None of one that is to be trained.
    symbol : str
        The symbol whose rows alone it learns from and predicts; "" for all.
    """

    name: str
    kind: ModelKind
    features: FeatureSpec
    columns: tuple[str, ...]
    target: str
    train: tuple[Window, ...]
    everywhere: bool = False
    code: str = ""
    held: Registration | None = None
    symbol: str = ""

    @property
    def parts(self) -> tuple[ModelSpec, ...]:
        """The models that are trained: itself, or one for each symbol, of the symbol's bars alone."""
        if self.kind.each is None or self.symbol:
            return (self,)
        symbols = self.features.bars.symbols
        return tuple(replace(self, symbol=one, name=f"{self.name} of {one}") for one in symbols)

    @property
    def table(self) -> FeatureSpec:
        """The rows that it needs: those of its features, of its symbol alone if it has one."""
        if not self.symbol:
            return self.features
        return replace(self.features, bars=replace(self.features.bars, symbols=(self.symbol,)))

    @property
    def identity(self) -> dict[str, object]:
        """What a configuration that uses this model depends on, apart from the market."""
        bounds = [[window.start_us, window.end_us] for window in self.train]
        return {
            **(self.kind.identity if self.held is None else {"registered": self.held.digest}),
            "features": self.features.identity,
            "columns": list(self.columns),
            "target": self.target,
            "train": bounds if self.everywhere else bounds[0],
            **({"code": self.code} if self.code else {}),
        }

    def digest(self, bars_snapshot: int) -> str:
        """Return the key of this model's rows in `predictions`: the identity and the bars it saw.

        Of one symbol's model it is that of all of them, and the symbol.
        """
        whole = digest({"model": self.identity, "bars": bars_snapshot})
        return digest_of(whole, self.symbol) if self.symbol else whole

    @property
    def label_column(self) -> str:
        """Column of the features table that the model learns, or whose sign it learns."""
        return "label_return" if self.learns_sign else f"label_{self.target}"

    @property
    def known_column(self) -> str:
        """Column of the features table with the instant at which the label is known."""
        assert self.features.label is not None  # models need one
        return "label_known" if self.features.label.known_early else "label_end"

    @property
    def label_gives(self) -> tuple[str, ...]:
        """What the features table holds of the label, see `LabelKind.gives`."""
        assert self.features.label is not None  # models need one
        return self.features.label.gives

    @property
    def learns_sign(self) -> bool:
        """Whether its classes are the signs of returns."""
        return self.target == "class" and "class" not in self.label_gives

    @property
    def has_side(self) -> bool:
        """Whether it says how likely the side is right that a rule gave, in the column `label_side`."""
        return "side" in self.label_gives


def target_of(name: str, kind: ModelKind, label: LabelKind, default: str | None = None) -> str:
    """Return what a model of a study learns: what it says itself, what the label does, or what both can.

    Parameters
    ----------
    name, kind : str, ModelKind
        The model.
    label : LabelKind
        The study's label.
    default : str, optional
        What models learn that do not say it; what the label says, if left out.

    Raises
    ------
    StudyError
        If it cannot learn what it is to learn, or the label has no such thing.
    """
    wanted = kind.target or default or label.learns
    possible = [target for target in label.targets if target in kind.targets]
    if wanted not in possible and possible and kind.target is None:
        wanted = possible[0]
    if wanted in possible and kind.calibrate is not None and wanted != "class":
        raise StudyError(
            f"models.{name}: calibrate is for probabilities, and the model learns target {wanted!r}, a "
            "number: remove calibrate, or let it learn target: class"
        )
    if wanted in possible and kind.weights in ("class", "both") and wanted != "class":
        raise StudyError(
            f"models.{name}: weights = {kind.weights!r} weighs classes, and the model learns target "
            f"{wanted!r}, a number: write weights: uniqueness, or let it learn target: class"
        )
    if wanted in possible:
        return wanted
    remedy = f"write target: {possible[0]}" if possible else "take another kind, or another label"
    raise StudyError(
        f"models.{name}: kind {kind.kind!r} learns {_or(kind.targets)}, and label kind {label.kind!r} gives "
        f"{_or(label.targets)}, so target {wanted!r} cannot be learnt: {remedy}"
    )


def _or(names: tuple[str, ...]) -> str:
    return " or ".join(names)


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
    StudyError
        If it is a registered model that learnt from other features, or from what it is to predict.
    """
    windows = (train,) if isinstance(train, Window) else train
    if isinstance(kind, Registered):
        return _registered_spec(name, kind, features, windows, everywhere)
    column_of = features.column_of()
    chosen = features.columns if kind.features is None else tuple(column_of[f] for f in kind.features)
    assert features.label is not None  # models need one
    target = target_of(name, kind, features.label, default_target)
    code = code_of(type(kind))
    kind = kind.model_copy(update={"target": target})
    return ModelSpec(name, kind, features, chosen, target, windows, everywhere, code)


def _registered_spec(
    name: str, kind: Registered, features: FeatureSpec, train: tuple[Window, ...], everywhere: bool
) -> ModelSpec:
    """Return a model that was trained before, as the kind that it was trained as."""
    held = kind.found
    if held is None:
        raise StudyError(
            f"models.{name}: {kind.registered!r} was not looked for: no lake says which registry"
        )
    missing = [
        text
        for text, column in zip(held.features, held.columns, strict=True)
        if column not in features.columns
    ]
    if missing or held.timeframe != features.bars.timeframe:
        lacks = f"features lack {', '.join(missing)}" if missing else f"bars are {features.bars.timeframe}"
        raise StudyError(
            f"models.{name}: registered model {held.name!r} learnt from {', '.join(held.features)} on "
            f"{held.timeframe} bars, and the study's {lacks}: a model is given exactly what it learnt from; "
            "change the study, or name another model"
        )
    assert features.label is not None  # models need one
    target_of(name, kind, features.label)
    first = features.bars.start_us if everywhere else train[-1].end_us
    if held.train_end_us > first:
        raise StudyError(
            f"models.{name}: registered model {held.name!r} learnt from bars up to "
            f"{instant_text(held.train_end_us)}, and is to predict from {instant_text(first)} on: it would "
            "know what it is asked; lengthen split.train, begin the data later, or name an older model"
        )
    section = MODELS.section(held.section).model_copy(update={"each": None})
    return ModelSpec(name, section, features, held.columns, held.target, train, everywhere, held=held)


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
