"""What bars a study finds in its pinned snapshot. Starts no JVM."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whatif.calendars import Schedule
from whatif.domain.timeframe import DAY_US
from whatif.errors import RunError, StudyError, nearest
from whatif.pins import Pin
from whatif.pins.filters import all_of, equal, everything, one_of, within
from whatif.pins.read import batches
from whatif.search.fold import Timeline
from whatif.search.slices import BarSlice
from whatif.search.window import Window
from whatif.study import Study


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
    terms = [one_of("symbol", study.data.symbols), within("ts", timeline.start_us, timeline.end_us)]
    if study.calendar.hours == "regular":
        terms.append(equal("hours", "regular"))
    counts: dict[str, Counter[tuple[str, str]]] = {}
    for batch in batches(pin, columns, all_of(*terms)):
        _check_exchange(batch, study)
        for name, mask in _masks(batch, timeline.windows).items():
            counts.setdefault(name, Counter()).update(_counted(batch, mask))
    keys = reduce(set.union, (set(counter) for counter in counts.values()), set[tuple[str, str]]())
    _check_symbols(pin, study, {symbol for symbol, _ in keys})
    names = [window.name for window in timeline.windows]
    return {
        key: Found(
            {name: counts[f"in {name}"][key] for name in names},
            {name: counts[f"until {name}"][key] for name in names},
        )
        for key in keys
    }


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
    wanted = study.calendar.exchange
    other = batch.filter(pc.not_equal(batch.column("exchange"), wanted))
    if other.num_rows:
        symbol, exchange = other.column("symbol")[0].as_py(), other.column("exchange")[0].as_py()
        raise StudyError(
            f"calendar.exchange {wanted!r} is not the one that {symbol} was ingested with, {exchange!r}: "
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
