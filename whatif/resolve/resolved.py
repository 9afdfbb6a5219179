"""Resolution of a study: pins, feature tables, models, and the identity of each configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from whatif.domain import Periods, timeframe_us
from whatif.errors import RunError, StudyError
from whatif.features import (
    FeatureSpec,
    NewsSlice,
    describe_news,
    feature_spec,
    features_needs,
    pin_news,
)
from whatif.lake import QUALITY_RULES, check_quality, tag_pin
from whatif.pins import (
    LakeLocation,
    Pin,
    adjusted_pin,
    at_most,
    bars_filter,
    batches,
    current_pin,
    has_rows,
    moment_of,
    of_timeframe,
    older_state,
    open_table,
    pin_at,
    renamed_pin,
    symbol_names,
    symbol_rows,
    tagged_pin,
    time_of_ms,
    within,
)
from whatif.resolve.check import Checked, bar_slice, check_study
from whatif.resolve.universe import membership_identity
from whatif.resolve.windows import Survey, coverage, most_bars, survey
from whatif.search import BarSlice, Configuration, Dropped, Grid, PointIndex, make_grid
from whatif.splits import Fold, Timeline, Window
from whatif.strategies import AnyStrategy, PortableStrategy, StrategySpec
from whatif.study import Study, digest
from whatif.training import ModelSpec, model_spec

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyspark.sql import SparkSession

Session = Callable[[], "SparkSession"]
"""Gives the Spark session, and starts it the first time that it is asked for."""

ModelKey = tuple[str, str, int]
"""Name of a model, timeframe, and number of the fold that trains it."""

PartKey = tuple[str, str, int, str]
"""The same, and the symbol of a model of one symbol; "" of one that learns from all."""


@dataclass(frozen=True, eq=False)
class Resolved:
    """A study joined with its strategy, its time and the lake.

    Attributes
    ----------
    checked : Checked
        What is known without the lake: study, strategy, timeline, periods.
    bars : Pin
        The snapshot it runs on.
    slices : mapping of str to BarSlice
        Bars by timeframe.
    features : mapping of str to FeatureSpec
        Feature sets by timeframe; empty where the study has no models.
    models : mapping of (str, str, int) to ModelSpec
        Models by name, timeframe and number of the fold, those that some configuration uses.
    grids : mapping of int to Grid
        Configurations by number of the fold: the same points in the same order, and one grid for
        all folds where nothing is trained. Of a search that learns, examples until it was gone through
        (`whatif.resolve.rounds.explore`).
    window_bars : mapping of (str, str) to int
        Bars of the first timeframe by symbol and window, for estimates.
    data_digest : str
        Digest of the slice that results depend on.
    notes : tuple of str
        Which bars it reads, in words: what they are made of, and whether there are newer ones.
    news : NewsSlice or None
        What its features read of news.
    dropped : Dropped
        What was run on the first of several windows that rank and not on the others, where points are halved.
    """

    checked: Checked
    bars: Pin
    slices: Mapping[str, BarSlice]
    features: Mapping[str, FeatureSpec]
    models: Mapping[ModelKey, ModelSpec]
    grids: Mapping[int, Grid]
    window_bars: Mapping[tuple[str, str], int]
    data_digest: str
    notes: tuple[str, ...] = ()
    news: NewsSlice | None = None
    dropped: Dropped = field(default_factory=Dropped)

    @property
    def study(self) -> Study:
        """The study as authored."""
        return self.checked.study

    @property
    def strategy(self) -> AnyStrategy:
        """The strategy that it names."""
        return self.checked.strategy

    @property
    def portable(self) -> PortableStrategy:
        """The strategy as it travels to workers."""
        return self.checked.portable

    @property
    def timeline(self) -> Timeline:
        """Its folds as instants."""
        return self.checked.timeline

    @property
    def grid(self) -> Grid:
        """Configurations of the last fold."""
        return self.grids[self.timeline.last.number]

    @cached_property
    def parts(self) -> Mapping[PartKey, ModelSpec]:
        """What is trained: models, or one for each symbol of those that are for one symbol each."""
        return {(*key, part.symbol): part for key, spec in self.models.items() for part in spec.parts}

    def named(self, key: PartKey) -> str:
        """Return what a model is called: name and symbol, its timeframe if there are several, its fold."""
        name, timeframe, number, symbol = key
        several = [timeframe] if len(self.checked.timeframes) > 1 else []
        fold = [f"fold {number}"] if len(self.timeline.every) > 1 else []
        return ", ".join([name, *([symbol] if symbol else []), *several, *fold])

    @property
    def count(self) -> int:
        """How many configurations there are; of a search that learns, how many there could be."""
        search, space = self.study.search, self.checked.space
        if search.learns:
            return search.most(space.searched()) * space.worlds * len(self.searched_folds)
        return len(self.grid.configurations) + len(self.dropped)

    @property
    def searched_folds(self) -> tuple[tuple[int, ...], ...]:
        """Numbers of the folds that share what a search which learns asks for.

        All of them, but where each fold chooses anew: what one is told on, later ones rank on, so each has a
        search of its own, which learns of that fold's validate window alone.
        """
        numbers = tuple(fold.number for fold in self.timeline.every)
        if self.study.search.learns and self.timeline.joins_tests:
            return tuple((number,) for number in numbers)
        return (numbers,)

    @property
    def reach(self) -> int:
        """Rows of the ranking that a search which learns could have come to; 0 of one that does not."""
        if not self.study.search.learns:
            return 0
        return self.checked.space.searched().allowed_size * (1 if self.pooled else len(self.portfolios))

    def configurations(self, fold: Fold) -> tuple[Configuration, ...]:
        """Return the configurations of a fold."""
        return self.grids[fold.number].configurations

    def names_in(self, fold: Fold) -> Mapping[str, str]:
        """Return what each configuration of the last fold is called in another, whose models differ.

        Without those that are not run there.
        """
        own = {one.point: one.config_id for one in self.configurations(fold)}
        return {last.config_id: own[last.point] for last in self.grid.configurations if last.point in own}

    def configuration(self, config_id: str) -> Configuration:
        """Return the configuration of this id, of whatever fold."""
        return self._by_id[config_id]

    @property
    def every_configuration(self) -> Collection[Configuration]:
        """Return the configurations of all folds, each once."""
        return self._by_id.values()

    @cached_property
    def _by_id(self) -> Mapping[str, Configuration]:
        found = {c.config_id: c for grid in self.grids.values() for c in grid.configurations}
        return found | {c.config_id: c for c in self.dropped.configurations}

    @property
    def periods(self) -> Mapping[str, Periods]:
        """Periods of each window that backtests run in."""
        return self.checked.periods

    @property
    def portfolios(self) -> tuple[tuple[str, ...], ...]:
        """Groups of symbols that share an account: one each, or all together."""
        return portfolios(self.study)

    @property
    def pooled(self) -> bool:
        """Whether a row of the ranking stands for several accounts."""
        return self.study.rank == "pooled" and len(self.portfolios) > 1

    @property
    def identity(self) -> str:
        """Digest of study and pin: a run with the same identity is the same run, resumed."""
        content = self.study.model_dump(mode="json", by_alias=True, exclude={"description"})
        content |= membership_identity(self.study) | _news_identity(self.news)
        if adjustment := _adjustment_identity(self.bars):
            content |= {"adjusted": adjustment}
        return digest({"study": content, "strategy": self.strategy.digest, "bars": self.bars.snapshot_id})


def portfolios(study: Study) -> tuple[tuple[str, ...], ...]:
    """Return the groups of symbols that share an account: one each, or all together."""
    symbols = study.data.symbols
    return (symbols,) if study.portfolio == "shared" else tuple((s,) for s in symbols)


def resolve_study(
    study: Study | Checked,
    location: LakeLocation,
    session: Session | None = None,
    latest: bool = False,
    trial: Callable[[Resolved], None] | None = None,
) -> Resolved:
    """Return `study` ready to run, or refuse it before any work is done.

    Parameters
    ----------
    study : Study or Checked
        The study, as authored or checked already.
    location : LakeLocation
        Where the lake is.
    session : callable, optional
        Asked for Spark only if the study's pin has to be written down. If left out, nothing
        is written: a study that has no pin yet is seen on the newest bars.
    latest : bool
        Run on the newest bars instead of those the study first ran on.
    trial : callable, optional
        Looks at the study once it is ready, before Spark starts and anything is written.

    Raises
    ------
    StudyError, StrategyError, IndicatorError, CalendarError
        Naming the key, the value, the rule and the remedy.
    RunError
        If the lake lacks the symbols or bars that the study asks for.
    """
    checked = study if isinstance(study, Checked) else check_study(study, runs=False, location=location)
    asked, timeline = checked.study, checked.timeline
    check_bars(location)
    bars, behind = _pinned_bars(asked, location, latest)
    found = survey(bars, asked, timeline, checked.named)
    made = _sources(bars, checked, found)
    said = _adjustment_identity(bars)
    slices = {
        tf: replace(bar_slice(asked, timeline, source, tf), adjustment=said)
        for tf, (source, _) in made.items()
    }
    _check_quality(checked, location, bars, {source for source, _ in made.values()})
    news = _news(asked, location, latest)
    features = {tf: feature_spec(asked, part, timeline, news) for tf, part in slices.items() if asked.models}
    models = _models(asked, features, timeline)
    used = {(setting.model, setting.timeframe) for setting in checked.space.settings}
    resolved = Resolved(
        checked=checked,
        bars=bars,
        slices=slices,
        features=features,
        models={key: model for key, model in models.items() if key[:2] in used},
        grids=_known_grids(checked, models),
        window_bars=_window_bars(checked, found, slices[checked.timeframes[0]]),
        data_digest=_data_digest(checked, slices, news, said),
        notes=(
            *(text for _, text in made.values()),
            *([behind] if behind else []),
            *_left_out(bars, checked, slices.values()),
            *_news_notes(asked, timeline, location, news),
        ),
        news=news,
    )
    _check_warmup(resolved, found)
    _check_train(resolved, found)
    if trial is not None:
        trial(resolved)
    # last, so that a study that is refused leaves no pin behind
    if session is not None:
        actions = () if bars.adjustment is None else (bars.adjustment.actions,)
        names = () if bars.renames is None else (bars.renames,)
        for pin in (bars, *actions, *names, *(() if news is None else news.pins)):
            kept = tagged_pin(location, pin.table, _tag(asked))
            if kept is None or kept.snapshot_id != pin.snapshot_id:
                tag_pin(None if location.local else session(), location, pin, _tag(asked))
    return resolved


def _pinned_bars(study: Study, location: LakeLocation, latest: bool) -> tuple[Pin, str]:
    """Return the bars that a study reads, adjusted as it says, and what to say of newer ones.

    Raises
    ------
    LakeError
        If there are none as of then, or no actions to adjust by.
    """
    data, tag = study.data, _tag(study)
    tagged = tagged_pin(location, "bars", tag)
    if data.as_of is not None:
        bars, behind = pin_at(location, "bars", data.as_of), ""
        if latest:
            behind = f"data.as_of {data.as_of} stands: --latest takes no newer bars"
        moment = moment_of(data.as_of)  # none of a tag, or a snapshot's number
        behind = (older_state(location, bars, moment) if moment else "") or behind
    else:
        bars = current_pin(location, "bars") if latest or tagged is None else tagged
        behind = "" if latest or tagged is None else _changed_since(location, bars)
    known = None if data.as_of is None else moment_of(data.as_of)
    of_first = "" if latest else tag
    bars = adjusted_pin(location, bars, data.adjust, of_first, known)
    return renamed_pin(location, bars, data.renames, of_first, known), behind


def _left_out(bars: Pin, checked: Checked, parts: Iterable[BarSlice]) -> list[str]:
    """Return how many bars of slices stand under a name that none of the study's symbols had then."""
    if bars.renames is None:
        return []
    symbols = (*checked.study.data.symbols, *sorted(checked.named))
    names = symbol_names(bars, tuple(dict.fromkeys(symbols)))
    dated = sorted({one.ticker for one in names.held if not one.plain})
    if not dated:
        return []
    counts: Counter[str] = Counter()
    for part in {one.source_timeframe: one for one in parts}.values():
        read = bars_filter(dated, part.source_timeframe, part.start_us, part.end_us, part.hours)
        for batch in batches(bars, ("symbol", "session"), read):
            symbol = batch["symbol"].to_numpy(zero_copy_only=False)
            days = np.asarray(batch["session"].to_numpy(zero_copy_only=False), dtype="datetime64[D]")
            for ticker in dated:
                own = symbol == ticker
                held = [one.holds(days) for one in names.held if one.ticker == ticker]
                counts[ticker] += int((own & ~np.any(held, axis=0)).sum())
    return [
        f"{count:,} bars under {ticker} are left out: on their dates the map of names has it for none of "
        "the study's symbols (renames: none takes bars by their names alone)"
        for ticker, count in sorted(counts.items())
        if count > 0
    ]


def _check_positive(bars: Pin, symbols: Sequence[str], *terms: BooleanExpression) -> None:
    """Refuse bars with a price at or below zero; files tell by their bounds that they hold none.

    Raises
    ------
    StudyError
        Naming the first of them.
    """
    rows = symbol_rows(bars, ("symbol", "ts", "low"), symbols, *terms, at_most("low", 0.0))
    some = [batch for batch in rows if batch.num_rows]
    if some:
        found = pa.Table.from_batches(some)
        first = found.sort_by([("ts", "ascending"), ("symbol", "ascending")]).slice(0, 1).to_pylist()[0]
        raise StudyError(
            f"data: {found.num_rows:,} bars of this slice have a price at or below zero, which no broker "
            f"here trades at, first {first['symbol']} at {first['ts']:%Y-%m-%d %H:%M} UTC, low "
            f"{first['low']:g}: choose other dates or symbols, or take them back with 'whatif forget'"
        )


def _check_quality(checked: Checked, location: LakeLocation, bars: Pin, sources: Collection[str]) -> None:
    """Refuse a slice of which some bars are suspicious, if the study asks for that.

    Raises
    ------
    StudyError
        Naming the first of them, and what can be done.
    """
    asked, timeline = checked.study.data, checked.timeline
    symbols = tuple(dict.fromkeys((*asked.symbols, *sorted(checked.named))))
    for source in sorted(sources):
        between = within("ts", timeline.start_us, timeline.end_us)
        _check_positive(bars, symbols, of_timeframe(source), between)
    if asked.quality == "accept":
        return
    for source in sorted(sources):
        check = check_quality(location, symbols, source, bars, timeline.start_us, timeline.end_us)
        found = check.found if asked.quality == "strict" else check.found[check.found["error"]]
        if not len(found):
            continue
        named = found["symbol"].unique().tolist()
        first = "; ".join(
            f"{row['symbol']} {row['ts']:%Y-%m-%d %H:%M} UTC {row['rule']}: {row['value']:,.4g} "
            f"{QUALITY_RULES[row['rule']].measure}"
            for row in found.head(3).to_dict("records")
        )
        raise StudyError(
            f"data.quality {asked.quality}: rules for {source} bars are broken {len(found):,} times in this "
            f"slice, first {first}: 'whatif bars {' '.join(named[:3])} --check --timeframe {source}' lists "
            f"{'those of these symbols' if len(named) > 3 else 'them'}; ingest corrected bars and run with "
            "--latest, choose other dates, or write quality: accept"
        )


def _adjustment_identity(bars: Pin) -> str:
    """Return what adjusts and joins bars, by which actions and names; "" for bars as they are stored."""
    said, names = bars.adjustment, bars.renames
    return ", ".join(
        [
            *(() if said is None else (f"{said.mode} by {said.actions.snapshot_id}",)),
            *(() if names is None else (f"renamed by {names.snapshot_id}",)),
        ]
    )


def _news(study: Study, location: LakeLocation, latest: bool) -> NewsSlice | None:
    """Return the news that models of a study learn from: those it first ran on, or the newest."""
    if not study.models:
        return None
    if study.data.renames == "follow" and features_needs(study).news:
        raise StudyError(
            "data.renames follow: news of former names are not followed, and features of news are asked for: "
            "write renames none, or leave those features out"
        )
    return pin_news(location, features_needs(study), study.data.news_delay, "" if latest else _tag(study))


def _news_identity(news: NewsSlice | None) -> dict[str, Any]:
    return {} if news is None else {"news": news.identity}


def _news_notes(
    study: Study, timeline: Timeline, location: LakeLocation, news: NewsSlice | None
) -> tuple[str, ...]:
    """Return what to say of a study's news: which there are, and whether there are newer ones."""
    if news is None:
        return ()
    said = describe_news(news, study.data.symbols, timeline.start_us, timeline.end_us)
    return (said, *filter(None, (_changed_since(location, pin, "news") for pin in news.pins)))


def check_bars(location: LakeLocation) -> None:
    """Refuse a lake without bars.

    Raises
    ------
    RunError
        If the table is missing or empty.
    """
    if not has_rows(location, "bars"):
        raise RunError(f"{location.described} has no bars: run 'whatif ingest' first")


def _data_digest(
    checked: Checked, slices: Mapping[str, BarSlice], news: NewsSlice | None, adjustment: str
) -> str:
    study = checked.study
    # of one snapshot, another stretch of time may be covered better by bars of another length
    joined = {tf: part.source_timeframe for tf, part in slices.items() if part.resampled}
    data: dict[str, Any] = {
        "exchange": study.calendar.exchange,
        "hours": study.calendar.hours,
        "start": study.data.start.isoformat(),
        "period": next(iter(checked.periods.values())).kind,
        **({"made of": joined} if joined else {}),
        **membership_identity(study),
        **_news_identity(news),
        # ranks of its inputs without names are among these
        **({"among": sorted(study.data.symbols)} if checked.strategy.needs.everyone else {}),
        **({"adjusted": adjustment} if adjustment else {}),
    }
    return digest(data)


def _sources(pin: Pin, checked: Checked, found: Survey) -> dict[str, tuple[str, str]]:
    """Return, by the timeframe of the study's bars, what they are made of, and what to say of that.

    Bars with finer ones inside are made of the same bars as those.
    """
    study, timeline, fills = checked.study, checked.timeline, checked.fill_timeframes
    if not fills:
        return {tf: _source(pin, study, timeline, found, tf) for tf in checked.timeframes}
    source, text = _source(pin, study, timeline, found, *fills)
    made = {tf: (source, f"{tf} bars: {_made_of(source, tf)}") for tf in checked.timeframes}
    last, (_, said) = next(reversed(made.items()))
    return {**made, last: (source, f"{said}; orders are tried on {text}")}


def _source(
    pin: Pin, study: Study, timeline: Timeline, found: Survey, timeframe: str, *others: str
) -> tuple[str, str]:
    """Return the timeframe in the lake that bars are made of, and what to say of the choice.

    It is the one that most bars of the slice can be made of; of equals the longest, whose bars have to
    be joined least. Bars of the other timeframes can be made of it too.
    """
    lengths = [timeframe_us(tf) for tf in (timeframe, *others)]
    sources = []
    for symbol in sorted({symbol for symbol, _ in found}):
        own = {tf for (s, tf) in found if s == symbol}
        sources.append({tf for tf in own if not any(length % timeframe_us(tf) for length in lengths)})
    common = sorted(set.intersection(*sources), key=timeframe_us, reverse=True)
    if not common:
        have = ", ".join(sorted(f"{symbol} {tf}" for symbol, tf in found))
        raise RunError(
            f"timeframe {timeframe!r} cannot be made of the bars in the lake ({have}): use one of "
            "those timeframes or a multiple"
        )
    if len(common) == 1:
        return common[0], f"{timeframe} bars: {_made_of(common[0], timeframe)}"
    covered = coverage(pin, study, timeline, timeframe, common)
    best = max(common, key=lambda source: covered[source])
    rest = ", ".join(f"{source} {covered[source]:,}" for source in common if source != best)
    text = f"{timeframe} bars: {_made_of(best, timeframe)}, which cover {covered[best]:,} of them ({rest})"
    return best, text


def _made_of(source: str, timeframe: str) -> str:
    return "as the lake holds them" if source == timeframe else f"made of the lake's {source} bars"


def _changed_since(location: LakeLocation, bars: Pin, what: str = "bars") -> str:
    """Return what to say of a pin that the table has left behind; "" if it has not."""
    table = open_table(location, bars.table)
    pinned = table.snapshot_by_id(bars.snapshot_id)
    if pinned is None:
        return ""
    later = [
        snapshot
        for snapshot in table.metadata.snapshots
        if (snapshot.sequence_number or 0) > (pinned.sequence_number or 0)
        and (snapshot.summary is None or snapshot.summary.operation.value != "replace")
    ]
    if not later:
        return ""
    moment = time_of_ms(pinned.timestamp_ms)
    return (
        f"the lake's {what} were written to {len(later):,} time{'s' * (len(later) != 1)} since this study's "
        f"were pinned ({moment:%Y-%m-%d %H:%M} UTC): it keeps to those; --latest takes the newest"
    )


def _models(
    study: Study, features: Mapping[str, FeatureSpec], timeline: Timeline
) -> dict[ModelKey, ModelSpec]:
    target = study.label.learns if study.label else "return"
    combined = timeline.folds if timeline.ranks_paths else ()
    return {
        (name, timeframe, fold.number): model_spec(name, kind, spec, target, fold.train, fold in combined)
        for fold in timeline.every
        if fold.train
        for name, kind in study.models.items()
        for timeframe, spec in features.items()
    }


def _known_grids(checked: Checked, models: Mapping[ModelKey, ModelSpec]) -> dict[int, Grid]:
    """Return the configurations of each fold that are known before anything runs."""
    if checked.grid is not None:
        return {fold.number: checked.grid for fold in checked.timeline.every}
    return grids_of(checked, models, checked.points)


def grids_of(
    checked: Checked,
    models: Mapping[ModelKey, ModelSpec],
    points: Sequence[PointIndex],
    numbers: Collection[int] = (),
) -> dict[int, Grid]:
    """Return the configurations of some points in each fold: other ones in each, if they trade a model.

    One grid is shared by all folds where nothing is trained. Of `numbers`, folds with these alone.
    """
    space = checked.space
    folds = [fold for fold in checked.timeline.every if not numbers or fold.number in numbers]

    def identity(number: int, name: str, timeframe: str) -> Mapping[str, Any]:
        return models[name, timeframe, number].identity

    if not models:
        return dict.fromkeys((fold.number for fold in folds), make_grid(space, points, partial(identity, 1)))
    return {f.number: make_grid(space, points, partial(identity, f.number), f.number) for f in folds}


def _window_bars(checked: Checked, found: Survey, part: BarSlice) -> dict[tuple[str, str], int]:
    """Return how many bars each symbol has in each window; of an account, one symbol has to have some.

    Of one that an ordinary Backtrader strategy trades, all have to.
    """
    study, timeline = checked.study, checked.timeline
    accounts = portfolios(study)
    if not isinstance(checked.strategy, StrategySpec):
        accounts = tuple((symbol,) for symbol in study.data.symbols)
    counts: dict[tuple[str, str], int] = {}
    for symbol in study.data.symbols:
        for window in timeline.windows:
            there = found[symbol, part.source_timeframe].windows[window.name]
            sessions = timeline.schedule.between(window.start_us, window.end_us)
            counts[symbol, window.name] = most_bars(there, part, sessions)
    for account in accounts:
        for window in timeline.backtested:
            _check_has_bars(account, [window], counts)
        for fold in timeline.every if study.models else ():
            if fold.train:
                _check_has_bars(account, fold.train, counts)
    return counts


def _check_has_bars(
    account: Sequence[str], windows: Sequence[Window], counts: Mapping[tuple[str, str], int]
) -> None:
    if any(counts[symbol, window.name] for symbol in account for window in windows):
        return
    alone = len(account) == 1
    lacking = f"{account[0]} has no bar" if alone else f"none of the {len(account)} symbols has a bar"
    raise RunError(
        f"{lacking} in window {windows[0]}: ingest bars for that time, or choose another slice"
        + ("; of symbols that share an account of a step function, some may have none" if alone else "")
    )


def _check_warmup(resolved: Resolved, found: Survey) -> None:
    """Refuse a configuration that could not decide anything before validate is over."""
    strategy = resolved.strategy
    if not isinstance(strategy, StrategySpec):
        return
    longest: dict[str, tuple[int, Mapping[str, Any]]] = {}
    for configuration in resolved.grid.configurations:
        needed = strategy.warmup(configuration.params)
        if needed > longest.get(configuration.timeframe, (-1, {}))[0]:
            longest[configuration.timeframe] = (needed, configuration.params)
    timeline = resolved.timeline
    first = min(timeline.ranked, key=lambda window: window.end_us)
    sessions = timeline.schedule.between(timeline.start_us, first.end_us)
    for timeframe, (needed, params) in longest.items():
        part = resolved.slices[timeframe]
        for account in resolved.portfolios:
            bars = {
                symbol: most_bars(found[symbol, part.source_timeframe].until[first.name], part, sessions)
                for symbol in account
            }
            # of several, one that begins late waits until it is warm
            symbol = max(bars, key=lambda one: bars[one])
            if needed >= bars[symbol]:
                shown = ", ".join(f"{name} = {value}" for name, value in params.items())
                raise StudyError(
                    f"strategy {resolved.study.strategy.name!r} with {shown} needs {needed} bars to warm "
                    f"up, and {symbol} has {bars[symbol]} {timeframe} bars from data.start to the end of "
                    f"{first.name}: begin the data earlier, or use shorter periods"
                )


def _check_train(resolved: Resolved, found: Survey) -> None:
    """Refuse a train window that ends before a feature of one of its models is warm."""
    timeline = resolved.timeline
    for (name, timeframe, number), spec in resolved.models.items():
        end = spec.train[-1]
        part = resolved.slices[timeframe]
        sessions = timeline.schedule.between(timeline.start_us, end.end_us)
        until = max(
            most_bars(found[symbol, part.source_timeframe].until[end.name], part, sessions)
            for symbol in resolved.study.data.symbols
        )
        own = [e for e in spec.features.expressions if e.column in spec.columns]
        slowest = max(own, key=lambda expression: expression.warmup())
        if slowest.warmup() >= until:
            raise StudyError(
                f"model {name!r}, fold {number}: feature {slowest} needs {slowest.warmup()} bars to warm "
                f"up, and {until} {timeframe} bars lie between data.start and the end of {end}: begin "
                "the data earlier, lengthen split.train, or use shorter periods"
            )


def _tag(study: Study) -> str:
    """Name of the pin of a study on its slice: another slice is another question, on the newest bars."""
    slice_digest = digest([study.data.model_dump(mode="json"), study.calendar.model_dump(mode="json")])
    return f"study-{study.study}-{slice_digest[:8]}"
