"""Features and label of a symbol: their specification and their computation, on Spark and off it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from whatif.domain import (
    DAY_US,
    PRICE_FIELDS,
    Bars,
    bar_ends,
    bars_from_frame,
    duration_us,
    timestamps,
)
from whatif.engines import bars_of_frame
from whatif.errors import IndicatorError, StudyError, nearest
from whatif.indicators import (
    INDICATORS,
    TIME_SERIES,
    ArrayCache,
    Expression,
    Needs,
    OtherBars,
    Stored,
    evaluate,
    needs_of,
    parse,
    with_needs,
)
from whatif.search import BarSlice
from whatif.splits import Timeline
from whatif.study import Study, digest
from whatif.typing import FloatArray, IntArray

LABEL_COLUMNS = {"label_level": "double", "label_return": "double", "label_end": "timestamp"}


@dataclass(frozen=True)
class FeatureSpec:
    """Features and label over one slice of bars.

    Attributes
    ----------
    bars : BarSlice
        Which bars.
    features : tuple of str
        Indicator expressions as the study writes them, such as "ema(10)" or "vwap".
    horizon_us : int or None
        How far ahead the label's bar starts, microseconds; None without a label.
    """

    bars: BarSlice
    features: tuple[str, ...]
    horizon_us: int | None

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """Features, parsed."""
        return tuple(parse(text) for text in self.features)

    @property
    def needs(self) -> Needs:
        """What the features are made of beside the bars' own series."""
        return needs_of(self.expressions)

    @property
    def columns(self) -> tuple[str, ...]:
        """Column of each feature, in order."""
        return tuple(expression.column for expression in self.expressions)

    @property
    def table(self) -> str:
        """Name of the table, made of everything that determines its rows but the market."""
        return f"features_{digest(asdict(self))}"

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
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise StudyError(f"features: two of them are the same series, {', '.join(twice)}; name each once")


def features_needs(study: Study) -> Needs:
    """Return what the features of a study are made of beside the bars' own series."""
    return needs_of(parse(text) for text in study.features)


def _check_computable(text: str, expression: Expression) -> None:
    _check_numbers(text, expression)
    unknown = sorted(expression.inputs)
    if unknown and unknown[0] in INDICATORS:
        raise IndicatorError(
            f"features: {text!r}: {unknown[0]} is an indicator: give its parameters, as in {unknown[0]}(20)"
        )
    if unknown:
        raise IndicatorError(
            f"features: {text!r}: series {unknown[0]!r} is unknown: "
            f"{nearest(unknown[0], [*PRICE_FIELDS, *TIME_SERIES])}"
        )


def _check_numbers(text: str, expression: Expression) -> None:
    if expression.parameters:
        name = min(expression.parameters)
        raise IndicatorError(
            f"features: {text!r}: {name!r} is no number: write one, as in sma(20); the parameters of a "
            "strategy are not known here"
        )


def feature_spec(study: Study, bars: BarSlice, timeline: Timeline) -> FeatureSpec:
    """Return what the features table of `study` holds for the slice `bars`.

    Raises
    ------
    StudyError
        If the label's horizon is no multiple of the timeframe, or no session is longer
        than it; or if two features would share a column.
    IndicatorError
        If a feature is unknown or malformed.
    """
    horizon = duration_us(study.label.horizon) if study.label else None
    spec = FeatureSpec(bars, study.features, horizon)
    check_features(study)
    if horizon is not None and study.label is not None:
        _check_horizon(study.label.horizon, horizon, bars, timeline)
    return spec


def _check_horizon(text: str, horizon: int, bars: BarSlice, timeline: Timeline) -> None:
    regular = int((timeline.schedule.close_us - timeline.schedule.open_us).max())
    longest = regular if bars.hours == "regular" else DAY_US
    if horizon >= longest:
        raise StudyError(
            f"label.horizon {text!r} reaches out of every session: the longest of {bars.exchange} lasts "
            f"{longest // 60_000_000} minutes and a label never leaves its session; use a shorter horizon"
        )
    if horizon % bars.bar_us:
        raise StudyError(
            f"label.horizon {text!r} is no multiple of the timeframe {bars.timeframe!r}, so no bar starts "
            "there; use a multiple"
        )


def feature_frame(bars: Bars, spec: FeatureSpec) -> pd.DataFrame:
    """Return one row for each bar: symbol, ts, features, label columns.

    Timing: a feature at row ts uses bars that are complete when the bar at ts is. The
    label looks ahead by definition; `label_end` says when it is known.
    NaN: a feature is NaN until it is warm; the label where its bar does not exist.
    """
    columns: dict[str, object] = {"symbol": bars.symbol, "ts": timestamps(bars.ts)}
    for expression, column in zip(spec.expressions, spec.columns, strict=True):
        columns[column] = evaluate(expression, bars)
    if spec.horizon_us is not None:
        level, forward, end = forward_vwap(bars, spec.horizon_us, spec.bars.bar_us)
        ends = timestamps(end).where(end > 0)
        columns |= dict(zip(LABEL_COLUMNS, (level, forward, ends), strict=True))
    return pd.DataFrame(columns)


def forward_vwap(bars: Bars, horizon_us: int, bar_us: int) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return the VWAP of the bar that starts `horizon_us` after each bar's start.

    Parameters
    ----------
    bars : Bars
        Bars of one symbol.
    horizon_us, bar_us : int
        Horizon and length of a bar, microseconds.

    Returns
    -------
    level : float64 array (n,)
        VWAP of the bar at ts + horizon in the same session, joined on time; NaN where
        that bar does not exist.
    forward : float64 array (n,)
        level / close - 1, a fraction.
    end : int64 array (n,)
        When that bar ends, microseconds UTC; 0 where it does not exist.
    """
    wanted = bars.ts + horizon_us
    found = np.minimum(np.searchsorted(bars.ts, wanted), max(len(bars) - 1, 0))
    exists = (bars.ts[found] == wanted) & (bars.session[found] == bars.session)
    level = np.where(exists, bars.vwap[found], np.nan)
    end = np.where(exists, bar_ends(bars, bar_us)[found], 0)
    return level, level / bars.close - 1.0, end


def features_of_symbol(
    frame: pd.DataFrame, spec: FeatureSpec, other: OtherBars | None = None
) -> pd.DataFrame:
    """Return the feature rows of a frame that holds one symbol's bars from the lake.

    `other` gives the bars of another symbol that a feature names.
    """
    source = bars_from_frame(frame, str(frame["symbol"].iloc[0]))
    own = Stored(source, spec.bars.source_us, spec.bars.bar_us)
    bars, _ = own.at(spec.bars.timeframe)
    return feature_frame(with_needs(bars, spec.needs, own, spec.bars.exchange, other), spec)


def features_of_frame(
    bars: pd.DataFrame, features: Sequence[str], calendar: str | None = None
) -> pd.DataFrame:
    """Return features of bars, as the table of a study holds them. No Spark.

    Parameters
    ----------
    bars : DataFrame
        As `whatif.backtest` takes them: columns symbol, ts (tz-aware start of the bar), open, high, low,
        close, volume, and optionally vwap and session; further numeric columns are series by name. It holds
        the symbols that expressions name, too.
    features : sequence of str
        Expressions such as ``sma(20)``, ``ema(close@1h, 5)``, ``SPY.close`` or ``minute_of_session``.
    calendar : str, optional
        Code of an exchange such as "XNYS", whose sessions the bars belong to.

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
    expressions = {text: parse(text) for text in features}
    for text, expression in expressions.items():
        _check_numbers(text, expression)
    needs = needs_of(expressions.values())
    parts = []
    for one in bars_of_frame(bars, calendar, needs):
        cache: ArrayCache = {}
        columns = {text: evaluate(expression, one, cache) for text, expression in expressions.items()}
        parts.append(pd.DataFrame({"symbol": one.symbol, "ts": timestamps(one.ts), **columns}))
    return pd.concat(parts, ignore_index=True)
