"""Windows of a study: their instants, the pinned bars found in them, and lines that describe them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whatif.calendars import Schedule, canonical_exchange, schedule
from whatif.domain import DAY_US, canonical_timeframe, timeframe_names, timeframe_us
from whatif.engines import date_of
from whatif.errors import RunError, StudyError, nearest
from whatif.labels import Reach
from whatif.pins import (
    Pin,
    equal,
    held_symbols,
    of_timeframe,
    symbol_names,
    symbol_rows,
    within,
)
from whatif.results import ResolvedStudy
from whatif.search import BarSlice
from whatif.splits import Fold, Timeline, TimeSlice, Window, bounds_of
from whatif.study import Study
from whatif.typing import IntArray

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression

MIN_SHARE = 0.005
"""Share of the slice's trading time under which it is not worth saying that it is unused."""


def resolve_timeline(study: Study) -> Timeline:
    """Return the folds of `study` as instants.

    Raises
    ------
    StudyError
        If the slice or a window holds no session.
    """
    sessions = schedule(study.calendar.exchange, study.data.start, study.data.end - timedelta(days=1))
    if not len(sessions):
        raise StudyError(
            f"data.start {study.data.start} to data.end {study.data.end} (left out) holds no session of "
            f"{study.calendar.exchange}: choose dates on which the exchange trades"
        )
    start_us, end_us = bounds_of(sessions, study.calendar.hours)
    reach = label_reach(study, sessions, study.data.timeframe)
    time = TimeSlice(
        exchange=study.calendar.exchange,
        hours=study.calendar.hours,
        timeframe=study.data.timeframe,
        start=study.data.start,
        end=study.data.end,
        label_us=reach.us,
        schedule=sessions,
        start_us=start_us,
        end_us=end_us,
        label_sessions=reach.sessions,
    )
    return Timeline.of(study.split, time)


def label_reach(study: Study, sessions: Schedule, timeframe: str) -> Reach:
    """Return how far the label of a study looks ahead; nowhere if nothing learns."""
    if study.label is None or not study.models:
        return Reach(0)
    shortest = int((sessions.close_us - sessions.open_us).min())
    return study.label.reach(timeframe_us(timeframe), shortest)


def windows_said(resolved: ResolvedStudy) -> tuple[str, ...]:
    """Return a line for each window, or for those of the first and the last fold, and what is unused."""
    timeline, learns = resolved.timeline, bool(resolved.models)
    folds = timeline.every
    lines: list[str] = []
    for fold in (folds[0], folds[-1]) if len(folds) > 1 else folds:
        name = f"fold {fold.number} of {len(folds)}, " if len(folds) > 1 else ""
        lines += [f"{name}{line}" for line in _of_fold(resolved, fold)]
    return (*lines, *unused(timeline, learns))


def unused(timeline: Timeline, learns: bool) -> Iterator[str]:
    """Yield what of the slice no window uses, and why.

    Parameters
    ----------
    timeline : Timeline
        The slice and its windows.
    learns : bool
        Whether there are models, which are all that train windows are for.
    """
    used = timeline.windows if learns else timeline.backtested
    left = _left_over(timeline.schedule, used)
    share = float(left.sum() / timeline.schedule.trading_us.sum())
    if share < MIN_SHARE:
        return
    idle = timeline.schedule.session[left > 0]
    train = "" if learns or not any(fold.train for fold in timeline.every) else _NOTHING_LEARNS
    yield f"unused: {100.0 * share:.0f} % of the slice's trading time, between {_dates(idle)}{train}"


_NOTHING_LEARNS = "; a train window is for models, and the study has none: split.train: 0 would use it"


def _of_fold(resolved: ResolvedStudy, fold: Fold) -> Iterator[str]:
    for window in fold.windows:
        sessions = resolved.timeline.schedule.between(window.start_us, window.end_us)
        count = f"{len(sessions):,} session{'s' * (len(sessions) != 1)}"
        yield f"{window.name}: {_dates(sessions.session)}, {count}{_bars(resolved, window)}"


def _bars(resolved: ResolvedStudy, window: Window) -> str:
    counts = [resolved.window_bars.get((symbol, window.name)) for symbol in resolved.study.data.symbols]
    known = [count for count in counts if count is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    each = f"{high:,}" if low == high else f"{low:,} to {high:,}"
    return f", {each} {resolved.study.data.timeframe} bars" + (" of each symbol" if len(known) > 1 else "")


def _left_over(sessions: Schedule, used: Sequence[Window]) -> IntArray:
    """Return the trading time of each session that no window holds, microseconds."""
    left = sessions.trading_us.copy()
    end = np.iinfo(np.int64).min
    for window in sorted(used, key=lambda one: one.start_us):
        begin = max(window.start_us, int(end))
        if window.end_us > begin:
            left -= sessions.traded_between(begin, window.end_us)
        end = max(end, window.end_us)
    return np.maximum(left, 0)


def _dates(days: IntArray) -> str:
    first, last = _date(days[0]), _date(days[-1])
    return f"{first}" if first == last else f"{first} to {last}"


def _date(day: np.int64) -> date:
    return date_of(int(day))


@dataclass(frozen=True)
class Found:
    """Bars of one symbol at one timeframe: inside each window, and from the slice's start to its end."""

    windows: Mapping[str, int]
    until: Mapping[str, int]


Survey = Mapping[tuple[str, str], Found]
"""What was found, by symbol and timeframe."""


def survey(pin: Pin, study: Study, timeline: Timeline, named: Collection[str] = ()) -> Survey:
    """Count the pinned bars of the study's slice by symbol, timeframe and window.

    Rows are counted as they are read, so memory holds counts and never all rows. Symbols that the
    study's expressions have `named` are counted too.

    Raises
    ------
    StudyError
        If a symbol was ingested with another exchange than the study's.
    RunError
        If a symbol has no bars in the slice; names the nearest one that the lake holds.
    """
    columns = ("symbol", "timeframe", "exchange", "ts")
    symbols = tuple(dict.fromkeys((*study.data.symbols, *sorted(named))))
    terms = _terms(study, timeline)
    edges = np.unique([edge for window in timeline.windows for edge in (window.start_us, window.end_us)])
    counts: dict[tuple[str, str], IntArray] = {}
    for batch in symbol_rows(pin, columns, symbols, *terms, encoded=True):
        _check_exchange(batch, study)
        for key, count in _counted(batch, edges):
            counts[key] = counts.get(key, 0) + count
    _check_symbols(pin, study, symbols, {symbol for symbol, _ in counts})
    found = {key: _found(before, edges, timeline.windows) for key, before in sorted(counts.items())}
    return _under_one_name(found, pin, terms, timeline)


def _under_one_name(
    found: Survey, pin: Pin, terms: Sequence[BooleanExpression], timeline: Timeline
) -> Survey:
    """Return the counts by the one name of each length of bars: a lake may hold two, and bars twice."""
    named: dict[tuple[str, str], Found] = {}
    for symbol, timeframe in found:
        key = symbol, canonical_timeframe(timeframe)
        others = [name for name in timeframe_names(timeframe) if (symbol, name) in found]
        if len(others) == 1:
            named[key] = found[symbol, timeframe]
        elif key not in named:
            both = symbol_rows(pin, ("ts",), (symbol,), *terms, of_timeframe(timeframe))
            parts = [batch.column("ts").cast(pa.int64()) for batch in both]
            ts = np.unique(np.concatenate([part.to_numpy(zero_copy_only=False) for part in parts]))
            until = {w.name: int(np.searchsorted(ts, w.end_us)) for w in timeline.windows}
            before = {w.name: int(np.searchsorted(ts, w.start_us)) for w in timeline.windows}
            named[key] = Found({name: until[name] - before[name] for name in until}, until)
    return named


def coverage(
    pin: Pin, study: Study, timeline: Timeline, timeframe: str, sources: Sequence[str]
) -> Mapping[str, int]:
    """Count how many bars of a timeframe can be made of the bars of each source timeframe.

    Parameters
    ----------
    pin, study, timeline
        As in `survey`.
    timeframe : str
        What the study asks for.
    sources : sequence of str
        Timeframes that it is a multiple of.

    Returns
    -------
    mapping of str to int
        By source: bars of `timeframe` in the slice that hold a bar of the source, over all symbols.
    """
    length = timeframe_us(timeframe)
    terms, symbols = _terms(study, timeline), study.data.symbols
    return {
        source: _buckets(symbol_rows(pin, _PLACED, symbols, *terms, of_timeframe(source)), length)
        for source in sources
    }


_PLACED = ("symbol", "ts", "session_open")
"""Columns by which a bar falls into a longer one."""


def _buckets(rows: Iterable[pa.RecordBatch], length: int) -> int:
    """Count the different bars of a length that rows fall into, by symbol and from their session's open."""
    starts: dict[str, list[IntArray]] = {}
    for batch in rows:
        ts, opened = (
            batch.column(name).cast(pa.int64()).to_numpy(zero_copy_only=False)
            for name in ("ts", "session_open")
        )
        start = opened if length == DAY_US else ts - (ts - opened) % length
        symbols = batch.column("symbol")
        for symbol in pc.unique(symbols).to_pylist():
            mine = pc.equal(symbols, symbol).to_numpy(zero_copy_only=False)
            starts.setdefault(symbol, []).append(np.unique(start[mine]))
    return sum(len(np.unique(np.concatenate(parts))) for parts in starts.values())


def most_bars(found: int, part: BarSlice, sessions: Schedule) -> int:
    """Return how many bars of the slice's timeframe `found` source bars can make, at most."""
    if not part.resampled:
        return found
    if part.hours == "regular":
        # one more for the bucket that a midday break may cut
        room = int(np.ceil((sessions.close_us - sessions.open_us) / part.bar_us).sum())
    else:
        room = len(sessions) * (DAY_US // part.bar_us + 2)
    return min(found, room)


def _terms(study: Study, timeline: Timeline) -> list[BooleanExpression]:
    """Return the filters of the study's slice, whatever the symbol."""
    terms = [within("ts", timeline.start_us, timeline.end_us)]
    if study.calendar.hours == "regular":
        terms.append(equal("hours", "regular"))
    return terms


def _counted(batch: pa.RecordBatch, edges: IntArray) -> Iterator[tuple[tuple[str, str], IntArray]]:
    """Yield symbol, timeframe and how many of their rows lie before each edge, (e,), and in all: (e + 1,)."""
    columns = [batch.column(name).dictionary_encode() for name in ("symbol", "timeframe")]
    symbols, timeframes = (column.dictionary.to_pylist() for column in columns)
    symbol, timeframe = (column.indices.to_numpy().astype(np.int64) for column in columns)
    between = np.searchsorted(edges, batch.column("ts").cast(pa.int64()).to_numpy(), side="right")
    spaces = len(edges) + 1
    place = (symbol * len(timeframes) + timeframe) * spaces + between
    rows = np.bincount(place, minlength=len(symbols) * len(timeframes) * spaces).reshape(-1, spaces)
    for key, count in zip(product(symbols, timeframes), np.cumsum(rows, axis=1), strict=True):
        if count[-1]:
            yield key, count


def _found(before: IntArray, edges: IntArray, windows: Sequence[Window]) -> Found:
    """Return counts by window from those of the rows before each edge."""
    count = dict(zip(edges.tolist(), before.tolist(), strict=False))
    return Found(
        {window.name: count[window.end_us] - count[window.start_us] for window in windows},
        {window.name: count[window.end_us] for window in windows},
    )


def _check_exchange(batch: pa.RecordBatch, study: Study) -> None:
    wanted = canonical_exchange(study.calendar.exchange)
    names = pc.unique(batch.column("exchange")).to_pylist()
    same = [name for name in names if canonical_exchange(name) == wanted]  # aliases of one exchange are one
    if len(same) == len(names):
        return
    exchange = batch.column("exchange").cast(pa.string())
    other = batch.filter(pc.invert(pc.is_in(exchange, pa.array(same, type=pa.string()))))
    if other.num_rows:
        symbol, exchange = other.column("symbol")[0].as_py(), other.column("exchange")[0].as_py()
        raise StudyError(
            f"calendar.exchange {study.calendar.exchange!r} is not the one that {symbol} was ingested with, "
            f"{exchange!r}: "
            f"use {exchange!r}, or ingest again with the right exchange"
        )


def _check_symbols(pin: Pin, study: Study, symbols: Iterable[str], found: set[str]) -> None:
    missing = [symbol for symbol in symbols if symbol not in found]
    if not missing:
        return
    known = held_symbols(pin)
    names = symbol_names(pin, missing)
    absent = [symbol for symbol in missing if known.isdisjoint(names.tickers_of(symbol))]
    traded = (absent or missing)[0] in study.data.symbols
    where = "data.symbols" if traded else "inputs of the strategy, or features"
    if absent:
        raise RunError(
            f"{where}: {absent[0]} is not in the lake: {nearest(absent[0], known)}; ingest it with "
            "'whatif ingest', and if the study ran before, run it with --latest"
        )
    raise RunError(
        f"{where}: {missing[0]} has no {study.calendar.session} bar from {study.data.start} to "
        f"{study.data.end} in the pinned snapshot {pin.snapshot_id}: 'whatif bars' lists what there is; "
        "bars ingested since the study first ran are seen with --latest"
    )
