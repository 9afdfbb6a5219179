"""From the study as authored to the study as it runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812

from whatif.calendars import choose_period, make_periods
from whatif.domain.frames import timestamps
from whatif.domain.periods import Periods
from whatif.domain.timeframe import timeframe_us
from whatif.errors import RunError, StrategyError, StudyError, nearest
from whatif.features.spec import FeatureSpec, feature_spec
from whatif.lake.snapshots import read_pinned
from whatif.lake.tags import pin_by_tag
from whatif.models.spec import ModelSpec, model_spec
from whatif.pins import LakeLocation, Pin, table_exists
from whatif.search.grid import Grid, expand
from whatif.search.slices import BarSlice
from whatif.search.windows import Timeline, Window, resolve_timeline
from whatif.strategies import AnyStrategy, StrategySpec
from whatif.strategies import resolve as find_strategy
from whatif.study import Study, digest


@dataclass(frozen=True, eq=False)
class Resolved:
    """A study joined with its strategy, its time and the lake.

    Attributes
    ----------
    study : Study
        As authored.
    strategy : StrategySpec or BacktraderSpec
        What it names.
    timeline : Timeline
        Its windows as instants.
    bars : Pin
        The snapshot it runs on.
    slices : mapping of str to BarSlice
        Bars by timeframe.
    features : mapping of str to FeatureSpec
        Feature sets by timeframe; empty where the study has no models.
    models : mapping of (str, str) to ModelSpec
        Models by name and timeframe, those that some configuration uses.
    grid : Grid
        Configurations.
    periods : mapping of str to Periods
        Periods of validate and test.
    window_bars : mapping of (str, str) to int
        Bars of the study's timeframe by symbol and window.
    data_digest : str
        Digest of the slice that results depend on.
    """

    study: Study
    strategy: AnyStrategy
    timeline: Timeline
    bars: Pin
    slices: Mapping[str, BarSlice]
    features: Mapping[str, FeatureSpec]
    models: Mapping[tuple[str, str], ModelSpec]
    grid: Grid
    periods: Mapping[str, Periods]
    window_bars: Mapping[tuple[str, str], int]
    data_digest: str

    @property
    def portfolios(self) -> tuple[tuple[str, ...], ...]:
        """Groups of symbols that share an account: one each, or all together."""
        symbols = self.study.data.symbols
        return (symbols,) if self.study.portfolio == "shared" else tuple((s,) for s in symbols)

    @property
    def identity(self) -> str:
        """Digest of study and pin: a run with the same identity is the same run, resumed."""
        content = self.study.model_dump(mode="json", by_alias=True, exclude={"description"})
        return digest({"study": content, "strategy": self.strategy.digest, "bars": self.bars.snapshot_id})


def resolve_study(study: Study, spark: SparkSession, location: LakeLocation, latest: bool = False) -> Resolved:
    """Return `study` ready to run, or refuse it before any work is done.

    Parameters
    ----------
    study : Study
        The authored study.
    spark : SparkSession
        A session whose catalog holds the lake.
    location : LakeLocation
        Where the lake is.
    latest : bool
        Run on the newest bars instead of those the study first ran on.

    Raises
    ------
    StudyError, StrategyError, IndicatorError, CalendarError
        Naming the key, the value, the rule and the remedy.
    RunError
        If the lake lacks the symbols or bars that the study asks for.
    """
    strategy = find_named(study)
    timeline = resolve_timeline(study)
    if not table_exists(location, "bars"):
        raise RunError(f"the lake in {location.home} has no bars: run 'whatif ingest' first")
    bars = pin_by_tag(spark, location, "bars", _tag(study), latest)
    survey = _survey(spark, location, bars, study, timeline)
    slices = {tf: _slice(study, timeline, survey, tf) for tf in _timeframes(study)}
    features = {tf: feature_spec(study, part, timeline) for tf, part in slices.items() if study.models}
    models = _models(study, features, timeline)
    grid = expand(study, strategy, lambda name, tf: models[name, tf].identity)
    used = {(c.model, c.timeframe) for c in grid.configurations}
    _check_inputs(study, strategy)
    window_bars = _window_bars(study, survey, slices[_timeframes(study)[0]], timeline)
    periods = _periods(study, timeline)
    data = {
        "exchange": study.calendar.exchange,
        "hours": study.calendar.hours,
        "start": study.data.start.isoformat(),
        "period": periods["validate"].kind,
    }
    resolved = Resolved(
        study=study,
        strategy=strategy,
        timeline=timeline,
        bars=bars,
        slices=slices,
        features=features,
        models={key: model for key, model in models.items() if key in used},
        grid=grid,
        periods=periods,
        window_bars=window_bars,
        data_digest=digest(data),
    )
    _check_warmup(resolved, survey)
    return resolved


def find_named(study: Study) -> AnyStrategy:
    """Return the strategy that the study names; a file is looked for beside the study, then here."""
    name = study.strategy.name
    folder = study.folder
    file = name.rpartition(":")[0] if ":" in name else name
    if folder is not None and file.endswith(".py") and (folder / file).exists():
        return find_strategy(name, folder)
    return find_strategy(name, Path())


@dataclass(frozen=True)
class _Found:
    """Bars of one symbol at one timeframe: all of the slice, and by window, and before its end."""

    bars: int
    windows: Mapping[str, int]
    until: Mapping[str, int]


def _survey(
    spark: SparkSession, location: LakeLocation, pin: Pin, study: Study, timeline: Timeline
) -> dict[tuple[str, str], _Found]:
    """Count the pinned bars by symbol, timeframe and window: one row each comes to the driver."""
    rows = read_pinned(spark, location, pin).where(F.col("symbol").isin(list(study.data.symbols)))
    if study.calendar.hours == "regular":
        rows = rows.where(F.col("hours") == "regular")
    rows = rows.where(_between(timeline.start_us, timeline.end_us))
    counts = [F.count("*").alias("bars"), F.max("exchange").alias("exchange")]
    for window in timeline.windows:
        inside = F.when(_between(window.start_us, window.end_us), 1)
        counts.append(F.count(inside).alias(f"in_{window.name}"))
        counts.append(F.count(F.when(_between(0, window.end_us), 1)).alias(f"until_{window.name}"))
    found: dict[tuple[str, str], _Found] = {}
    for row in rows.groupBy("symbol", "timeframe").agg(*counts).collect():
        if row["exchange"] != study.calendar.exchange:
            raise StudyError(
                f"calendar.exchange {study.calendar.exchange!r} is not the one that {row['symbol']} was ingested "
                f"with, {row['exchange']!r}: use {row['exchange']!r}, or ingest again with the right exchange"
            )
        names = [window.name for window in timeline.windows]
        found[row["symbol"], row["timeframe"]] = _Found(
            row["bars"], {n: row[f"in_{n}"] for n in names}, {n: row[f"until_{n}"] for n in names}
        )
    _check_symbols(spark, location, pin, study, {symbol for symbol, _ in found})
    return found


def _between(start_us: int, end_us: int) -> Any:
    start, end = (F.lit(t.to_pydatetime()) for t in timestamps(np.array([start_us, end_us])))
    return (F.col("ts") >= start) & (F.col("ts") < end)


def _check_symbols(
    spark: SparkSession, location: LakeLocation, pin: Pin, study: Study, found: set[str]
) -> None:
    missing = [symbol for symbol in study.data.symbols if symbol not in found]
    if not missing:
        return
    known = [row["symbol"] for row in read_pinned(spark, location, pin).select("symbol").distinct().collect()]
    symbol = missing[0]
    if symbol in known:
        raise RunError(
            f"data.symbols: {symbol} has no {study.calendar.session} bar from {study.data.start} to "
            f"{study.data.end} in the pinned snapshot {pin.snapshot_id}: 'whatif bars' lists what there is; "
            "bars ingested since the study first ran are seen with --latest"
        )
    raise RunError(
        f"data.symbols: {symbol} is not in the lake: {nearest(symbol, known)}; ingest it with 'whatif ingest', "
        "and if the study ran before, run it with --latest"
    )


def _timeframes(study: Study) -> tuple[str, ...]:
    return tuple(study.axes.get("timeframe", (study.data.timeframe,)))


def _slice(
    study: Study, timeline: Timeline, survey: Mapping[tuple[str, str], _Found], timeframe: str
) -> BarSlice:
    """Return the slice at `timeframe`, from the lake's own bars or the longest that it can be made of."""
    length = timeframe_us(timeframe)
    sources = []
    for symbol in study.data.symbols:
        sources.append({tf for (s, tf) in survey if s == symbol and length % timeframe_us(tf) == 0})
    common = set.intersection(*sources)
    if not common:
        have = ", ".join(sorted(f"{symbol} {tf}" for symbol, tf in survey))
        raise RunError(
            f"data.timeframe {timeframe!r} cannot be made of the bars in the lake ({have}): use one of "
            "those timeframes or a multiple"
        )
    return BarSlice(
        symbols=study.data.symbols,
        source_timeframe=max(common, key=timeframe_us),
        timeframe=timeframe,
        exchange=study.calendar.exchange,
        hours=study.calendar.hours,
        start_us=timeline.start_us,
        end_us=timeline.end_us,
    )


def _models(
    study: Study, features: Mapping[str, FeatureSpec], timeline: Timeline
) -> dict[tuple[str, str], ModelSpec]:
    if not study.models:
        return {}
    if timeline.train is None:
        raise StudyError("split.train leaves no bar to train the models on: give it a share above 0")
    target = study.label.target if study.label else "return"
    return {
        (name, timeframe): model_spec(name, forest, spec, target, timeline.train)
        for name, forest in study.models.items()
        for timeframe, spec in features.items()
    }


def _check_inputs(study: Study, strategy: AnyStrategy) -> None:
    wanted = strategy.external_inputs()
    unknown = sorted(wanted - {"forecast"})
    if unknown:
        raise StrategyError(
            f"strategy {study.strategy.name!r} needs input {unknown[0]!r}, which a study cannot give it: "
            f"{nearest(unknown[0], ['forecast'])} or an indicator expression"
        )
    if "forecast" in wanted and "model" not in study.axes and len(study.models) != 1:
        declared = ", ".join(study.models) or "none"
        raise StudyError(
            f"strategy {study.strategy.name!r} trades a model's forecast, and the study does not say which "
            f"(models: {declared}): declare models and add the axis model"
        )


def _window_bars(
    study: Study, survey: Mapping[tuple[str, str], _Found], part: BarSlice, timeline: Timeline
) -> dict[tuple[str, str], int]:
    share = timeframe_us(part.source_timeframe) / part.bar_us
    counts: dict[tuple[str, str], int] = {}
    for symbol in study.data.symbols:
        found = survey[symbol, part.source_timeframe]
        for window in timeline.windows:
            counts[symbol, window.name] = math.ceil(found.windows[window.name] * share)
            if not found.windows[window.name] and (window.name != "train" or study.models):
                raise RunError(
                    f"{symbol} has no bar in window {window}: ingest bars for that time, or choose another slice"
                )
    return counts


def _periods(study: Study, timeline: Timeline) -> dict[str, Periods]:
    bar_us = timeframe_us(study.data.timeframe)

    def of(window: Window, kind: str) -> Periods:
        sessions = timeline.schedule.between(window.start_us, window.end_us)
        return make_periods(kind, sessions, window.start_us, window.end_us, bar_us)

    validate = timeline.validate
    kind = study.period
    if kind == "auto":
        sessions = timeline.schedule.between(validate.start_us, validate.end_us)
        kind = choose_period(sessions, validate.start_us, validate.end_us, bar_us)  # type: ignore[assignment]
    windows: Iterable[Window] = (w for w in (validate, timeline.test) if w is not None)
    return {window.name: of(window, kind) for window in windows}


def _check_warmup(resolved: Resolved, survey: Mapping[tuple[str, str], _Found]) -> None:
    """Refuse a configuration that could not decide anything before validate is over."""
    strategy = resolved.strategy
    if not isinstance(strategy, StrategySpec):
        return
    longest: dict[str, tuple[int, Mapping[str, Any]]] = {}
    for configuration in resolved.grid.configurations:
        needed = strategy.warmup(configuration.params)
        if needed > longest.get(configuration.timeframe, (-1, {}))[0]:
            longest[configuration.timeframe] = (needed, configuration.params)
    for timeframe, (needed, params) in longest.items():
        part = resolved.slices[timeframe]
        share = timeframe_us(part.source_timeframe) / part.bar_us
        for symbol in resolved.study.data.symbols:
            until = math.ceil(survey[symbol, part.source_timeframe].until["validate"] * share)
            if needed >= until:
                shown = ", ".join(f"{name} = {value}" for name, value in params.items())
                raise StudyError(
                    f"strategy {resolved.study.strategy.name!r} with {shown} needs {needed} bars to warm up, and "
                    f"{symbol} has {until} {timeframe} bars from data.start to the end of validate: begin the "
                    "data earlier, or use shorter periods"
                )


def _tag(study: Study) -> str:
    """Name of the pin of a study on its slice: another slice is another question, on the newest bars."""
    slice_digest = digest([study.data.model_dump(mode="json"), study.calendar.model_dump(mode="json")])
    return f"study-{study.study}-{slice_digest[:8]}"
