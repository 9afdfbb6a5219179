"""What bars a study finds in its pinned snapshot. Starts no JVM."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whatif.calendars import Schedule, canonical_exchange
from whatif.domain import DAY_US, canonical_timeframe, timeframe_names, timeframe_us
from whatif.errors import RunError, StudyError, nearest
from whatif.pins import Pin, all_of, batches, equal, everything, of_timeframe, one_of, within
from whatif.search import BarSlice
from whatif.splits import Timeline, Window
from whatif.study import Study
from whatif.typing import IntArray

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression


@dataclass(frozen=True)
class Found:
    """Bars of one symbol at one timeframe: inside each window, and from the slice's start to its end."""

    windows: Mapping[str, int]
    until: Mapping[str, int]


Survey = Mapping[tuple[str, str], Found]
"""What was found, by symbol and timeframe."""


def survey(pin: Pin, study: Study, timeline: Timeline) -> Survey:
    """Count the pinned bars of the study's slice by symbol, timeframe and window.

    Rows are counted as they are read, so memory holds counts and never all rows.

    Raises
    ------
    StudyError
        If a symbol was ingested with another exchange than the study's.
    RunError
        If a symbol has no bars in the slice; names the nearest one that the lake holds.
    """
    columns = ("symbol", "timeframe", "exchange", "ts")
    terms = _terms(study, timeline)
    counts: dict[str, Counter[tuple[str, str]]] = {}
    for batch in batches(pin, columns, all_of(*terms)):
        _check_exchange(batch, study)
        for name, mask in _masks(batch, timeline.windows).items():
            counts.setdefault(name, Counter()).update(_counted(batch, mask))
    keys = reduce(set.union, (set(counter) for counter in counts.values()), set[tuple[str, str]]())
    _check_symbols(pin, study, {symbol for symbol, _ in keys})
    names = [window.name for window in timeline.windows]
    found = {
        key: Found(
            {name: counts[f"in {name}"][key] for name in names},
            {name: counts[f"until {name}"][key] for name in names},
        )
        for key in sorted(keys)
    }
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
            both = all_of(*terms, equal("symbol", symbol), of_timeframe(timeframe))
            parts = [batch.column("ts").cast(pa.int64()) for batch in batches(pin, ("ts",), both)]
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
    terms = _terms(study, timeline)
    return {source: _buckets(pin, all_of(*terms, of_timeframe(source)), length) for source in sources}


def _buckets(pin: Pin, row_filter: BooleanExpression, length: int) -> int:
    """Count the different bars of a length that rows fall into, by symbol and from their session's open."""
    starts: dict[str, list[IntArray]] = {}
    for batch in batches(pin, ("symbol", "ts", "session_open"), row_filter):
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
    """Return the filters of the study's slice."""
    terms = [one_of("symbol", study.data.symbols), within("ts", timeline.start_us, timeline.end_us)]
    if study.calendar.hours == "regular":
        terms.append(equal("hours", "regular"))
    return terms


def _masks(batch: pa.RecordBatch, windows: tuple[Window, ...]) -> dict[str, pa.Array]:
    ts = batch.column("ts").cast(pa.int64())
    masks = {"in slice": pc.is_valid(ts)}
    for window in windows:
        before = pc.less(ts, window.end_us)
        masks[f"until {window.name}"] = before
        masks[f"in {window.name}"] = pc.and_(before, pc.greater_equal(ts, window.start_us))
    return masks


def _counted(batch: pa.RecordBatch, mask: pa.Array) -> dict[tuple[str, str], int]:
    rows = pa.table({name: batch.column(name) for name in ("symbol", "timeframe")}).filter(mask)
    grouped = rows.group_by(["symbol", "timeframe"], use_threads=False).aggregate([([], "count_all")])
    return {(row["symbol"], row["timeframe"]): row["count_all"] for row in grouped.to_pylist()}


def _check_exchange(batch: pa.RecordBatch, study: Study) -> None:
    wanted = canonical_exchange(study.calendar.exchange)
    names = pc.unique(batch.column("exchange")).to_pylist()
    same = [name for name in names if canonical_exchange(name) == wanted]  # aliases of one exchange are one
    if len(same) == len(names):
        return
    other = batch.filter(pc.invert(pc.is_in(batch.column("exchange"), pa.array(same, type=pa.string()))))
    if other.num_rows:
        symbol, exchange = other.column("symbol")[0].as_py(), other.column("exchange")[0].as_py()
        raise StudyError(
            f"calendar.exchange {study.calendar.exchange!r} is not the one that {symbol} was ingested with, "
            f"{exchange!r}: "
            f"use {exchange!r}, or ingest again with the right exchange"
        )


def _check_symbols(pin: Pin, study: Study, found: set[str]) -> None:
    missing = [symbol for symbol in study.data.symbols if symbol not in found]
    if not missing:
        return
    known = symbols_of(pin)
    absent = [symbol for symbol in missing if symbol not in known]
    if absent:
        raise RunError(
            f"data.symbols: {absent[0]} is not in the lake: {nearest(absent[0], known)}; ingest it with "
            "'whatif ingest', and if the study ran before, run it with --latest"
        )
    raise RunError(
        f"data.symbols: {missing[0]} has no {study.calendar.session} bar from {study.data.start} to "
        f"{study.data.end} in the pinned snapshot {pin.snapshot_id}: 'whatif bars' lists what there is; "
        "bars ingested since the study first ran are seen with --latest"
    )


def symbols_of(pin: Pin) -> set[str]:
    """Return all symbols of a pinned table."""
    known: set[str] = set()
    for batch in batches(pin, ("symbol",), everything()):
        known |= set(pc.unique(batch.column("symbol")).to_pylist())
    return known
