"""Features and label of a symbol: their specification and their computation, on Spark and off it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from whatif.domain import (
    DAY_US,
    PRICE_FIELDS,
    Bars,
    bars_from_frame,
    timestamps,
)
from whatif.engines import bars_of_frame
from whatif.errors import IndicatorError, StudyError, nearest
from whatif.features.news import NewsSlice, news_of_frames
from whatif.indicators import (
    INDICATORS,
    NEWS_SERIES,
    TIME_SERIES,
    ArrayCache,
    Expression,
    Needs,
    News,
    OtherBars,
    Stored,
    evaluate,
    needs_of,
    parse,
    with_needs,
)
from whatif.labels import LabelKind, check_labels
from whatif.search import BarSlice
from whatif.splits import Timeline
from whatif.study import Study, digest
from whatif.typing import FloatArray


@dataclass(frozen=True)
class FeatureSpec:
    """Features and label over one slice of bars.

    Attributes
    ----------
    bars : BarSlice
        Which bars.
    features : tuple of str
        Indicator expressions as the study writes them, such as "ema(10)" or "vwap".
    label : LabelKind or None
        What models learn of a bar; None without models.
    news : NewsSlice or None
        Where series of news are from; None where no feature is one.
    """

    bars: BarSlice
    features: tuple[str, ...]
    label: LabelKind | None
    news: NewsSlice | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What determines the rows, apart from the market; part of the digests of tables and models.

        Expressions stand in it as `parse` writes them: two ways to write a series are one table.
        """
        label = {"horizon_us": None} if self.label is None else self._label_identity(self.label)
        news = {} if self.news is None else {"news": self.news.identity}
        bars = {key: value for key, value in asdict(self.bars).items() if key != "adjustment" or value}
        return {"bars": bars, "features": [one.text for one in self.expressions], **label, **news}

    def _label_identity(self, label: LabelKind) -> dict[str, Any]:
        texts = {label.inputs[name]: one.text for name, one in self.label_inputs.items()}
        return {
            name: {key: texts.get(one, one) if isinstance(one, str) else one for key, one in part.items()}
            if isinstance(part, dict)
            else part
            for name, part in label.identity.items()
        }

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """Features, parsed."""
        return tuple(parse(text) for text in self.features)

    @property
    def needs(self) -> Needs:
        """What features and label are made of beside the bars' own series."""
        return needs_of((*self.expressions, *self.label_inputs.values()))

    @property
    def label_inputs(self) -> dict[str, Expression]:
        """Expressions that the label is made with, parsed, by the label's name for them."""
        return label_inputs(self.label)

    @property
    def columns(self) -> tuple[str, ...]:
        """Column of each feature, in order."""
        return tuple(expression.column for expression in self.expressions)

    @property
    def table(self) -> str:
        """Name of the table, made of everything that determines its rows but the market and its news."""
        news = {} if self.news is None else {"news": {"delay_us": self.news.delay_us}}
        return f"features_{digest(self.identity | news)}"

    def column_of(self) -> Mapping[str, str]:
        """Return the column of each feature by the text that the study uses."""
        return dict(zip(self.features, self.columns, strict=True))


def check_features(study: Study) -> None:
    """Refuse features that no table could hold.

    Raises
    ------
    StudyError
        If two of them would share a column.
    IndicatorError
        If one is unknown or malformed.
    """
    columns = []
    for text in study.features:
        try:
            expression = parse(text)
        except IndicatorError as error:
            raise IndicatorError(f"features: {error}") from error
        _check_computable(text, expression)
        columns.append(expression.column)
    for name, expression in label_inputs(study.label).items():
        _check_computable(str(expression), expression, f"label.{name}")
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise StudyError(f"features: two of them are the same series, {', '.join(twice)}; name each once")


def features_needs(study: Study) -> Needs:
    """Return what features and label of a study are made of beside the bars' own series."""
    return needs_of((*map(parse, study.features), *label_inputs(study.label).values()))


def label_inputs(label: LabelKind | None) -> dict[str, Expression]:
    """Return the expressions that a label is made with, by its name for them.

    Raises
    ------
    IndicatorError
        If one is malformed.
    """
    found = {}
    for name, text in (label.inputs if label is not None else {}).items():
        try:
            found[name] = parse(text)
        except IndicatorError as error:
            raise IndicatorError(f"label.{name}: {error}") from error
    return found


def _check_computable(text: str, expression: Expression, where: str = "features") -> None:
    _check_numbers(text, expression, where)
    unknown = sorted(expression.inputs)
    if unknown and unknown[0] in NEWS_SERIES:
        raise IndicatorError(
            f"{where}: {text!r}: {unknown[0]} is a series of news: say of how many days, as in "
            f"{unknown[0]}(5)"
        )
    if unknown and unknown[0] in INDICATORS:
        raise IndicatorError(
            f"{where}: {text!r}: {unknown[0]} is an indicator: give its parameters, as in {unknown[0]}(20)"
        )
    if unknown:
        raise IndicatorError(
            f"{where}: {text!r}: series {unknown[0]!r} is unknown: "
            f"{nearest(unknown[0], [*PRICE_FIELDS, *TIME_SERIES])}"
        )


def _check_numbers(text: str, expression: Expression, where: str = "features") -> None:
    if expression.parameters:
        name = min(expression.parameters)
        raise IndicatorError(
            f"{where}: {text!r}: {name!r} is no number: write one, as in sma(20); the parameters of a "
            "strategy are not known here"
        )


def _check_lengths(expressions: Mapping[str, Expression], rows: int) -> None:
    for text, expression in expressions.items():
        if 0 < rows <= expression.warmup():
            raise IndicatorError(
                f"{text!r} has its first value after {expression.warmup():,} bars, and no symbol has more "
                f"than {rows:,}: give more bars, or write a shorter period"
            )


def feature_spec(
    study: Study, bars: BarSlice, timeline: Timeline, news: NewsSlice | None = None
) -> FeatureSpec:
    """Return what the features table of `study` holds for the slice `bars`, with these news.

    Raises
    ------
    StudyError
        If no bar could have the label; or if two features would share a column.
    IndicatorError
        If a feature is unknown or malformed.
    """
    check_features(study)
    if study.label is not None:
        regular = int((timeline.schedule.close_us - timeline.schedule.open_us).max())
        longest = regular if bars.hours == "regular" else DAY_US
        study.label.check(bars.bar_us, bars.timeframe, longest, bars.exchange)
    return FeatureSpec(bars, study.features, study.label, news)


def feature_frame(bars: Bars, spec: FeatureSpec) -> pd.DataFrame:
    """Return one row for each bar: symbol, ts, features, label columns.

    Timing: a feature at row ts uses bars that are complete when the bar at ts is. The
    label looks ahead by definition; `label_end` says when it is known.
    NaN: a feature is NaN until it is warm; the label where its bar does not exist.
    """
    return pd.DataFrame(feature_columns(bars, spec))


def feature_columns(bars: Bars, spec: FeatureSpec) -> dict[str, object]:
    """Return the columns of `feature_frame` by name: a text, instants, and arrays (n,)."""
    columns: dict[str, object] = {"symbol": bars.symbol, "ts": timestamps(bars.ts)}
    for expression, column in zip(spec.expressions, spec.columns, strict=True):
        columns[column] = _known(evaluate(expression, bars))
    if spec.label is not None:
        columns |= label_columns(bars, spec)
    return columns


def _known(values: FloatArray) -> FloatArray:
    """Return values, (n,), with NaN for what is infinite, as a price of 0 or a frame's column may make it."""
    infinite = np.isinf(values)
    return np.where(infinite, np.nan, values) if infinite.any() else values


def label_columns(bars: Bars, spec: FeatureSpec) -> dict[str, object]:
    """Return the label's columns for bars that carry what the expressions need.

    Raises
    ------
    StudyError
        If a label of others breaks its contract.
    """
    assert spec.label is not None
    inputs = {name: evaluate(expression, bars) for name, expression in spec.label_inputs.items()}
    made = spec.label.make(bars, spec.bars.bar_us, inputs)
    check_labels(spec.label, bars, made)
    instants = (
        {"label_end": made.end} if made.known is None else {"label_known": made.known, "label_end": made.end}
    )
    return {
        **{f"label_{name}": _known(values) for name, values in made.values.items()},
        **{name: timestamps(at).where(at > 0) for name, at in instants.items()},
    }


def features_of_symbol(
    frame: pd.DataFrame, spec: FeatureSpec, other: OtherBars | None = None, news: News | None = None
) -> pd.DataFrame:
    """Return the feature rows of a frame that holds one symbol's bars from the lake.

    `other` gives the bars of another symbol that a feature names, and `news` what was published.
    """
    source = bars_from_frame(frame, str(frame["symbol"].iloc[0]))
    own = Stored(source, spec.bars.source_us, spec.bars.bar_us)
    return pd.DataFrame(features_of_bars(own, spec, other, news))


def features_of_bars(
    own: Stored, spec: FeatureSpec, other: OtherBars | None = None, news: News | None = None
) -> dict[str, object]:
    """Return the columns of the feature rows of one symbol's bars; see `features_of_symbol`."""
    bars, _ = own.at(spec.bars.timeframe)
    return feature_columns(
        with_needs(bars, spec.needs, own, spec.bars.exchange, other, news, spec.bars.symbols), spec
    )


def features_of_frame(
    bars: pd.DataFrame,
    features: Sequence[str] | str,
    calendar: str | None = None,
    news: pd.DataFrame | None = None,
    relations: pd.DataFrame | None = None,
    news_delay: str = "0min",
) -> pd.DataFrame:
    """Return features of bars, as the table of a study holds them. No Spark.

    Parameters
    ----------
    bars : DataFrame
        As `whatif.backtest` takes them: columns symbol, ts (tz-aware start of the bar), open, high, low,
        close, volume, and optionally vwap and session; further numeric columns are series by name. It holds
        the symbols that expressions name, too.
    features : sequence of str, or str
        Expressions such as ``sma(20)``, ``ema(close@1h, 5)``, ``SPY.close`` or ``minute_of_session``.
    calendar : str, optional
        Code of an exchange such as "XNYS", whose sessions the bars belong to.
    news : DataFrame, optional
        Of ``sentiment(5)`` and the like: columns symbol, published_at (tz-aware), score, and optionally
        relevance and url.
    relations : DataFrame, optional
        Peers and sectors: columns symbol, peer or sector or both, from, to (dates).
    news_delay : str
        Time from publication until an item is known, such as "15min".

    Returns
    -------
    DataFrame
        Columns symbol and ts, and one float64 column for each expression, by its text. One row for each
        bar, symbols in order of first appearance.

    Notes
    -----
    *Timing*: row ts knows bars that have ended when the bar at ts has. *NaN*: until an expression is warm,
    counted from the symbol's first bar, and where a series is missing.

    Raises
    ------
    EngineError, IndicatorError, CalendarError
        Saying what was given, the rule it broke, and the remedy.
    """
    texts = [features] if isinstance(features, str) else list(features)
    strange = [one for one in texts if not isinstance(one, str)]
    if strange:
        raise IndicatorError(f"{strange[0]!r} is no expression: write text, such as 'sma(20)'")
    expressions = {text: parse(text) for text in texts}
    for text, expression in expressions.items():
        _check_numbers(text, expression)
    needs = needs_of(expressions.values())
    published = None if news is None else news_of_frames(news, relations, news_delay)
    parts = []
    each = list(bars_of_frame(bars, calendar, needs, published))
    _check_lengths(expressions, max((len(one) for one in each), default=0))
    for one in each:
        cache: ArrayCache = {}
        columns = {text: _known(evaluate(wanted, one, cache)) for text, wanted in expressions.items()}
        parts.append(pd.DataFrame({"symbol": one.symbol, "ts": timestamps(one.ts), **columns}))
    return pd.concat(parts, ignore_index=True)
