"""The study as its author writes it: every key, its type and its rule."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

from whatif.axes import Axis, read_axes
from whatif.domain import (
    LOWER_IS_BETTER,
    METRIC_KEYS,
    PRESETS,
    Membership,
    broken_symbol,
    canonical_timeframe,
    check_options,
    costs_from,
    duration_us,
    overlays_from_mapping,
)
from whatif.errors import EngineError, nearest
from whatif.labels import SEAM as LABELS
from whatif.labels import LabelKind
from whatif.models import SEAM as MODELS
from whatif.models import ModelKind
from whatif.paths import broken_rule
from whatif.searches import SEAM as SEARCHES
from whatif.searches import Search
from whatif.section import Section
from whatif.splits import SEAM as SPLITS
from whatif.splits import Split
from whatif.texts import shown

NAMES = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""What a name is made of, which becomes that of a folder."""

Name = Annotated[str, Field(pattern=NAMES, max_length=120)]
Integer = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Scalar = bool | Integer | float | str
MAX_SYMBOLS = 20_000
MAX_FEATURES = 1_000
MAX_CONSTRAINTS = 50
FIRST_DAY, LAST_DAY = date(1800, 1, 1), date(2200, 12, 31)
"""Trading dates between which calendars count, in nanoseconds of 64 bits."""

MAX_YEARS = 100
"""Longest slice: calendars of more take minutes to build."""


MAX_LAGS = 200
"""Values of a series that `lags` names at most."""

_LAGS = re.compile(r"lags\((?:(?P<source>.+),)?\s*(?P<count>[0-9]+)\s*\)", re.DOTALL)


def with_sets_written_out(features: Any) -> Any:
    """Return features with each set of them written out, in its place.

    `scaled_window` is the close and its averages of 2 to 16 bars, scaled inside the row, and rates of change
    over 2 to 16 bars; `lags(x, n)` the values of x of 1 to n bars ago.

    Raises
    ------
    ValueError
        If `lags` names none, or too many.
    """
    if not isinstance(features, (list, tuple)):
        return features
    found: list[Any] = []
    for one in features:
        lags = _LAGS.fullmatch(one.strip()) if isinstance(one, str) else None
        if isinstance(one, str) and one.strip() == "scaled_window":
            found += [f"scaled({period}, 2, 16)" for period in range(1, 17)]
            found += [f"roc({period})" for period in range(2, 17)]
        elif lags is not None:
            count, source = int(lags["count"]), (lags["source"] or "close").strip()
            if not 1 <= count <= MAX_LAGS:
                raise ValueError(
                    f"{one!r} names {count:,} values: write lags(x, n) with n from 1 to {MAX_LAGS}"
                )
            found += [f"lag({source}, {period})" for period in range(1, count + 1)]
        else:
            found.append(one)
    return found


class Universe(Section):
    """Where it is said which symbols may be traded when: a file, or a table of the lake.

    Attributes
    ----------
    file : str or None
        CSV or Parquet with symbol, from and to, beside the study; None for a table.
    table : str or None
        Table of the lake with the same columns; None for a file.
    ignore_others : bool
        Whether rows of symbols that the study does not name are left aside, not refused.
    """

    file: str | None = None
    table: str | None = None
    ignore_others: bool = False

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, given: Any) -> Any:
        return {"file": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one_place(self) -> Universe:
        if bool(self.file) == bool(self.table):
            raise ValueError("needs a file or a table, and not both: write universe: members.csv")
        return self


class DataSlice(Section):
    """Which bars: symbols, timeframe and the trading dates [start, end).

    Attributes
    ----------
    universe : Universe or None
        When each symbol may be traded; None for always.
    symbols : tuple of str
        Whose bars, as the lake calls them; may be left out with a universe.
    timeframe : str
        Length of the bars, such as 1min, 1h or 1d.
    start : date
        First trading date of the slice.
    end : date
        First trading date that is not in the slice.
    news_delay : str
        Duration from an item's publication until features of news know it.
    fill : str
        What is done with missing bars; they are left missing.
    adjust : str
        What prices and volumes are adjusted for where bars are read.
    renames : str
        Whether bars of former names are joined under a symbol that changed (follow), or not.
    as_of : str or None
        Moment (UTC), tag or snapshot of which the bars are; None for the newest when it first ran.
    quality : str
        Whether the study is refused where bars are suspicious: by errors, by warnings too (strict), or not.
    """

    universe: Universe | None = None
    symbols: Annotated[tuple[str, ...], Field(strict=False)]
    timeframe: str = "1min"
    start: date
    end: date
    news_delay: str = "0min"
    fill: str = "leave"
    adjust: Literal["none", "splits", "all"] = "none"
    renames: Literal["none", "follow"] = "none"
    as_of: str | None = None
    quality: Literal["accept", "refuse", "strict"] = "accept"

    @field_validator("as_of", mode="before")
    @classmethod
    def _moment(cls, value: Any) -> Any:
        # YAML reads dates and numbers by themselves
        if isinstance(value, date):
            return value.isoformat()
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("start", "end", mode="before")
    @classmethod
    def _whole_date(cls, value: Any) -> Any:
        if isinstance(value, datetime):
            raise ValueError("must be a trading date such as 2013-10-04, without a time of day")
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            raise ValueError(f"{value!r} is no date: write a trading date such as 2013-10-04") from None

    @model_validator(mode="before")
    @classmethod
    def _all_of_a_universe(cls, given: Any) -> Any:
        named = isinstance(given, dict) and given.get("universe") is not None
        return {"symbols": (), **given} if named else given

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # of what has its default nothing is said: digests of studies are older
        made: dict[str, Any] = write(self)
        unsaid = {"universe": None, "news_delay": "0min", "fill": "leave", "adjust": "none", "as_of": None}
        unsaid |= {"quality": "accept", "renames": "none"}
        return {key: value for key, value in made.items() if key not in unsaid or value != unsaid[key]}

    @field_validator("symbols")
    @classmethod
    def _distinct(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not value and info.data.get("universe") is None:
            raise ValueError("names no symbol; name at least one")
        if len(value) > MAX_SYMBOLS:
            raise ValueError(f"names {len(value):,} symbols, more than {MAX_SYMBOLS:,}: split the study")
        for symbol in value:
            broken = broken_symbol(symbol)
            if broken:
                raise ValueError(f"names the symbol {shown(symbol)}, which {broken}")
        if len(set(value)) != len(value):
            raise ValueError("names a symbol twice; name each symbol once")
        return value

    @field_validator("timeframe")
    @classmethod
    def _timeframe(cls, value: str) -> str:
        return canonical_timeframe(value)

    @field_validator("fill")
    @classmethod
    def _left_as_they_are(cls, value: str) -> str:
        if value in ("forward", "null"):
            raise ValueError(
                f"{value!r} would let orders fill on bars in which nothing was traded: write leave; "
                "whatif.timeseries.fill_bars fills the bars of a frame, and marks them"
            )
        if value != "leave":
            raise ValueError(f"{value!r} is no policy for missing bars: write leave")
        return value

    @field_validator("news_delay")
    @classmethod
    def _delay(cls, value: str) -> str:
        if value not in ("0", "0min"):
            duration_us(value)
        return "0min" if value == "0" else value

    @model_validator(mode="after")
    def _ordered(self) -> DataSlice:
        if self.end <= self.start:
            raise ValueError(f"end {self.end} must be after start {self.start} (end itself is left out)")
        if self.start < FIRST_DAY or self.end > LAST_DAY:
            raise ValueError(f"{self.start} to {self.end} is not between {FIRST_DAY} and {LAST_DAY}")
        if self.end.year - self.start.year > MAX_YEARS:
            raise ValueError(
                f"{self.start} to {self.end} is longer than {MAX_YEARS} years: give a part of it"
            )
        return self


class CalendarSection(Section):
    """Which exchange's sessions, and which of its hours.

    Attributes
    ----------
    exchange : str
        Code of the calendar, such as XNYS; may be left out with session 24/7.
    session : str
        Whether bars of regular hours alone take part, those around them too, or days are UTC's.
    """

    exchange: str
    session: Literal["regular", "extended", "24/7"] = "regular"

    @model_validator(mode="before")
    @classmethod
    def _always_open(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("session") == "24/7":
            return {"exchange": "24/7", **given}
        return given

    @field_validator("exchange")
    @classmethod
    def _one_name(cls, value: str) -> str:
        # imported here: the library of calendars is slow to load, and only studies need it
        from whatif.calendars import canonical_exchange

        return canonical_exchange(value)

    @model_validator(mode="after")
    def _same_hours(self) -> CalendarSection:
        if self.session == "24/7" and self.exchange != "24/7":
            raise ValueError(f"session 24/7 needs exchange 24/7, not {self.exchange}")
        return self

    @property
    def hours(self) -> str:
        """Return "extended" if bars outside regular hours take part, else "regular"."""
        return "extended" if self.session == "extended" else "regular"


class StrategySection(Section):
    """Which strategy, and the parameters that no axis varies.

    Attributes
    ----------
    name : str
        One that comes along, path/file.py, or package.module:Name.
    params : dict
        Its parameters by name; those left out have their defaults.
    """

    name: str
    params: dict[str, Scalar] = Field(default_factory=dict)


class Keep(Section):
    """Whose trades and equity are stored: of the best, of the N best, or of all.

    Attributes
    ----------
    trades, equity : str or int
        best, all, or how many of the best.
    """

    trades: Literal["best", "all"] | Annotated[int, Field(ge=0)] = "best"
    equity: Literal["best", "all"] | Annotated[int, Field(ge=0)] = "best"


class Study(Section):
    """A what-if question, whole.

    Attributes
    ----------
    study : str
        Its name, and that of its folder of reports.
    description : str
        For people; changes no result.
    data : DataSlice
        Which bars.
    calendar : CalendarSection
        Whose sessions.
    features : tuple of str
        Series that models learn from, such as ema(10) or (close - sma(20)) / atr(14).
    label : LabelKind or None
        What models learn.
    models : dict
        What is trained, by name.
    strategy : StrategySection
        What trades.
    search : Search
        Which points of the axes are evaluated.
    axes : dict
        What varies: each name with its values; every combination is a configuration.
    execution : dict
        Cash, costs and switches of the broker that no axis varies.
    costs : dict
        Costs by name, which execution may speak of.
    overlays : dict
        Exits, sizing and latency laid over the strategy.
    split : Split
        How time is divided into train, validate and test.
    objective : str
        The metric that ranks, on validate.
    objectives : tuple of str
        Metrics of a Pareto front, the one that ranks first; a minus asks for the least.
    choose : str
        Which point of the front is chosen.
    constraints : tuple of str
        Comparisons that a point, or what came of it, has to meet, such as trades >= 30.
    period : str
        What returns are measured over.
    rank : str
        Whether each symbol ranks by itself, or all together.
    portfolio : str
        Whether symbols have accounts of their own, or share one.
    trials : str
        What counts as tried: all studies of the same data, or this one.
    engine : str
        Which broker.
    keep : Keep
        Whose trades and equity are stored.
    """

    study: Name
    description: str = ""
    data: DataSlice
    calendar: CalendarSection
    features: Annotated[tuple[str, ...], Field(strict=False)] = ()
    label: Annotated[SerializeAsAny[LabelKind], BeforeValidator(LABELS.section)] | None = None
    models: dict[Name, Annotated[SerializeAsAny[ModelKind], BeforeValidator(MODELS.section)]] = Field(
        default_factory=dict
    )
    strategy: StrategySection
    search: Annotated[SerializeAsAny[Search], BeforeValidator(SEARCHES.section)] = Field(
        default_factory=lambda: SEARCHES.section({})
    )
    axes: dict[str, SerializeAsAny[Axis]] = Field(default_factory=dict)
    execution: dict[str, Scalar | dict[str, Any]] = Field(default_factory=dict)
    costs: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    overlays: dict[str, Scalar | None] = Field(default_factory=dict)
    split: Annotated[SerializeAsAny[Split], BeforeValidator(SPLITS.section)] = Field(
        default_factory=lambda: SPLITS.section({})
    )
    objective: str = "sharpe"
    objectives: Annotated[tuple[str, ...], Field(strict=False)] = ()
    choose: Literal["first", "ideal"] = "first"
    constraints: Annotated[tuple[str, ...], Field(strict=False)] = ()
    period: Literal["auto", "session", "hour", "bar"] = "auto"
    rank: Literal["per_symbol", "pooled"] = "per_symbol"
    portfolio: Literal["separate", "shared"] = "separate"
    trials: Literal["all", "study"] = "all"
    engine: Literal["auto", "compiled", "backtrader"] = "auto"
    keep: Keep = Field(default_factory=Keep)
    _text: str = PrivateAttr("")
    _folder: Path | None = PrivateAttr(None)
    _members: Mapping[str, tuple[Membership, ...]] | None = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _completed_split(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        split = {} if given.get("split") is None else given["split"]
        kind = SPLITS.class_of(split) if isinstance(split, Mapping) else None
        return given if kind is None else {**given, "split": kind.completed(split, bool(given.get("models")))}

    @property
    def text(self) -> str:
        """The study as YAML: as it was read, or written out if it was made in Python."""
        return self._text or yaml.safe_dump(self.model_dump(mode="json", by_alias=True), sort_keys=False)

    @property
    def members(self) -> Mapping[str, tuple[Membership, ...]] | None:
        """When each symbol of its universe may be traded; None without one, or before that was read."""
        return self._members

    def with_members(self, members: Mapping[str, tuple[Membership, ...]]) -> Study:
        """Return the same study, of these symbols and their periods."""
        data = self.data.model_copy(update={"symbols": tuple(members)})
        joined = self.model_copy(update={"data": data})
        joined._members = members
        return joined

    @property
    def folder(self) -> Path | None:
        """The folder of the file it was read from, where relative strategy files are looked for."""
        return self._folder

    @field_validator("study")
    @classmethod
    def _names_a_folder(cls, value: str) -> str:
        broken = broken_rule(value)
        if broken:
            raise ValueError(f"the name {broken}, and it becomes that of a folder: take another")
        return value

    @field_validator("axes", mode="before")
    @classmethod
    def _axes(cls, given: Any, info: ValidationInfo) -> Any:
        # a search that is wrong itself is not there, and said beside
        whole = info.data["search"].whole if "search" in info.data else False
        return read_axes(given, whole) if isinstance(given, Mapping) else given

    @field_serializer("axes")
    def _written_axes(self, axes: dict[str, Axis]) -> dict[str, Any]:
        return {name: axis.written for name, axis in axes.items()}

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # of a grid, and of what is empty, nothing is said: digests of studies are older
        made: dict[str, Any] = write(self)
        unsaid = {"costs": {}, "objectives": (), "constraints": (), "choose": "first"}
        return {
            key: value
            for key, value in made.items()
            if (key != "search" or self.search != SEARCHES.section({}))
            and (key not in unsaid or value not in (unsaid[key], []))
        }

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that it asks for, the one that ranks first."""
        return tuple(name.removeprefix("-") for name in self.objectives)

    @model_validator(mode="before")
    @classmethod
    def _first_objective(cls, given: Any) -> Any:
        """Let the first of several objectives be the one that ranks."""
        if not isinstance(given, Mapping) or "objective" in given:
            return given
        several = given.get("objectives")
        if not isinstance(several, (list, tuple)) or not several:
            return given
        return {**given, "objective": str(several[0]).removeprefix("-")}

    @field_validator("objectives")
    @classmethod
    def _metrics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = [one.removeprefix("-") for one in value]
        for one, name in zip(value, names, strict=True):
            cls._metric(name)
            if one != name and name not in LOWER_IS_BETTER:
                raise ValueError(
                    f"{one!r} asks for the least {name}, of which the greatest is best: write {name}; a "
                    f"minus may stand before {', '.join(sorted(LOWER_IS_BETTER))}"
                )
        if len(names) == 1:
            raise ValueError(f"holds {value[0]!r} alone: write objective: {names[0]}")
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(f"names {twice[0]} twice; name each metric once")
        return value

    @field_validator("constraints")
    @classmethod
    def _distinct_constraints(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) > MAX_CONSTRAINTS:
            raise ValueError(f"lists {len(value):,} constraints, more than {MAX_CONSTRAINTS}")
        twice = [text for text, count in Counter(value).items() if count > 1]
        if twice:
            raise ValueError(f"lists {twice[0]!r} twice; write each constraint once")
        return value

    @field_validator("costs")
    @classmethod
    def _costs(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, given in value.items():
            if name in PRESETS:
                raise ValueError(
                    f"{name!r} is the name of a preset: take another, and give it preset: {name}"
                )
            try:
                costs_from(given)
            except EngineError as error:
                raise ValueError(f"{name}: {error}") from None
        return value

    @field_validator("overlays")
    @classmethod
    def _overlays(cls, value: dict[str, Scalar | None]) -> dict[str, Scalar | None]:
        try:
            overlays_from_mapping(value)
        except EngineError as error:
            raise ValueError(str(error).removeprefix("overlays: ")) from None
        return value

    @model_validator(mode="before")
    @classmethod
    def _sets_written_out(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        written = (
            {**given, "features": with_sets_written_out(given["features"])} if "features" in given else given
        )
        models = given.get("models")
        if not isinstance(models, Mapping):
            return written
        own = {
            name: {**model, "features": with_sets_written_out(model["features"])}
            if isinstance(model, Mapping) and "features" in model
            else model
            for name, model in models.items()
        }
        return {**written, "models": own}

    @field_validator("features")
    @classmethod
    def _distinct_features(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        torn = [feature for feature in value if feature.count("(") != feature.count(")")]
        if torn:
            raise ValueError(f"{torn[0]!r} is torn: quote an expression with a comma, as in 'sma(vwap, 20)'")
        if len(value) > MAX_FEATURES:
            raise ValueError(f"names {len(value):,} features, more than {MAX_FEATURES:,}")
        twice = sorted(feature for feature, count in Counter(value).items() if count > 1)
        if twice:
            raise ValueError(f"names {', '.join(twice)} twice; name each feature once")
        return value

    @field_validator("objective")
    @classmethod
    def _metric(cls, value: str) -> str:
        if value not in METRIC_KEYS:
            raise ValueError(f"metric {value!r} is unknown: {nearest(value, METRIC_KEYS)}")
        return value

    @model_validator(mode="after")
    def _joined(self) -> Study:
        if self.models and (self.label is None or not self.features):
            raise ValueError("models need a label and features: declare both, or remove the models")
        for axis in self.axes.values():
            axis.check(self.models)
        if self.objectives and self.objective != self.metrics[0]:
            raise ValueError(
                f"objective {self.objective!r} is not the first of objectives, {self.metrics[0]!r}, which "
                "ranks: leave objective out"
            )
        if self.choose != "first" and not self.objectives:
            raise ValueError(f"choose: {self.choose} needs several objectives: list them, or leave it out")
        try:
            check_options(self.overlays, self.axes)
        except EngineError as error:
            raise ValueError(str(error)) from None
        if "costs" in self.execution:
            try:
                costs_from(self.execution["costs"], self.costs)
            except EngineError as error:
                raise ValueError(f"execution: {error}") from None
        for name, model in self.models.items():
            for feature in model.features or ():
                if feature not in self.features:
                    raise ValueError(
                        f"model {name} uses feature {feature!r}: {nearest(feature, self.features)}"
                    )
        return self
