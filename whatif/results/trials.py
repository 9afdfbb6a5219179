"""Trials on the same data, in any study, and looks at its test window: counted without a JVM, and noted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from whatif.domain import timestamps
from whatif.lake import RESULTS, TEST_LOOKS, TableSpec, append_rows
from whatif.pins import all_of, equal, within
from whatif.results.store import ResolvedStudy, ResultStore
from whatif.results.work import Pending
from whatif.splits import Window

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyspark.sql import SparkSession

Row = tuple[str, ...]


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """Where the returns of a backtest are measured.

    Attributes
    ----------
    start_us, end_us : int
        The window, half-open, microseconds UTC.
    period : str
        Kind of its periods.
    timeframe : str
        Its bars.
    """

    start_us: int
    end_us: int
    period: str
    timeframe: str


@dataclass(frozen=True, slots=True)
class OtherTrial:
    """What another study tried and this one did not.

    Attributes
    ----------
    key : tuple of str
        What makes it one trial: config_id, and symbol if symbols are ranked apart.
    study : str
        The study that ran it; of several, the first by name.
    backtests : tuple of (str, str, Place)
        config_id, symbol and place of each of its backtests.
    """

    key: Row
    study: str
    backtests: tuple[tuple[str, str, Place], ...]


@dataclass(frozen=True)
class Trials:
    """What was tried on a study's symbols and validate windows.

    Attributes
    ----------
    count : int
        Distinct configurations; on each symbol one, if symbols are ranked apart.
    own : int
        Those of the study itself, with what it dropped on the way.
    studies : int
        Studies that they come from, the study itself included.
    others : tuple of OtherTrial
        Those that are not ranked by the study itself, by their keys.
    dropped : int
        Those of them that it dropped on the way.
    """

    count: int
    own: int
    studies: int
    others: tuple[OtherTrial, ...] = ()
    dropped: int = 0


@dataclass(frozen=True)
class Looks:
    """How often a test window was opened.

    Attributes
    ----------
    configurations : int
        Distinct ones that it was opened for.
    openings : int
        Times; a configuration that is run again on newer bars opens it again.
    own : int
        Distinct configurations that the study itself opened it for.
    """

    configurations: int
    openings: int
    own: int = 0


def count_trials(store: ResultStore, windows: Sequence[Window], own: Sequence[tuple[str, str]]) -> Trials:
    """Count what was tried on data that overlap with the study's in symbols and validate dates.

    Parameters
    ----------
    store : ResultStore
        The study, and where its tables are.
    windows : sequence of Window
        Its validate windows.
    own : sequence of (str, str)
        config_id and symbol of what it tried itself.

    Notes
    -----
    A configuration counts once, whatever snapshot of the bars, slice or study it ran in: the same
    configuration on the same days is the same trial. One that failed told nothing and does not
    count; one that never traded did run, and does.
    """
    studies = {store.resolved.study.study}
    mine = {_trial(store.resolved, *key) for key in own}
    # what a configuration gives in another world is nothing to choose
    worlds = {one.config_id for one in store.resolved.every_configuration if one.world}
    others: dict[Row, dict[tuple[str, str, Place], None]] = {}
    ran: dict[Row, str] = {}
    # of very many trials, each place is held once
    places: dict[Place, Place] = {}
    for study, config_id, symbol, start, end, period, timeframe in _ranked_rows(store, windows):
        studies.add(study)
        trial = _trial(store.resolved, config_id, symbol)
        if trial not in mine and config_id not in worlds:
            place = Place(int(start), int(end), period, timeframe)
            others.setdefault(trial, {})[config_id, symbol, places.setdefault(place, place)] = None
            ran[trial] = min(study, ran.get(trial, study))
    found = tuple(OtherTrial(key, ran[key], tuple(sorted(others[key]))) for key in sorted(others))
    gone = {one.config_id for one in store.resolved.dropped.configurations}
    dropped = sum(one.key[0] in gone for one in found)
    return Trials(len(mine) + len(found), len(mine) + dropped, len(studies), found, dropped)


def _ranked_rows(store: ResultStore, windows: Sequence[Window]) -> Iterator[tuple[str, ...]]:
    """Yield study, config_id, symbol, place of what ran on validate windows that overlap with some."""
    columns = ["study", "config_id", "symbol", "window_start", "window_end", "period", "timeframe"]
    for window in windows:
        for *row, name, status in _overlapping(store, RESULTS, window, [*columns, "window", "status"]):
            # a combinatorial split ranks on folds, one of a user's own on windows of whatever name
            if status == "ok" and not name.startswith("test") and _shares(store.resolved, row[2]):
                yield tuple(row)


def count_looks(store: ResultStore, windows: Sequence[Window]) -> Looks:
    """Count how often test windows that overlap with the study's in symbols and dates were opened.

    Of several windows, those of the folds of a study, the one that was opened most counts.
    """
    found = [_looks_at(store, window) for window in windows]
    return max(found, key=lambda looks: (looks.configurations, looks.openings), default=Looks(0, 0))


def _looks_at(store: ResultStore, window: Window) -> Looks:
    rows: Counter[Row] = Counter()
    own: set[str] = set()
    columns = ["study", "config_id", "symbol", "window_start"]
    for study, config_id, symbol, start in _overlapping(store, TEST_LOOKS, window, columns, distinct=False):
        if _shares(store.resolved, symbol):
            rows[config_id, symbol, start] += 1
            if study == store.resolved.study.study:
                own.add(config_id)
    times: dict[str, int] = {}
    for (config_id, *_), count in rows.items():
        times[config_id] = max(times.get(config_id, 0), count)
    return Looks(len(times), sum(times.values()), len(own))


def _trial(resolved: ResolvedStudy, config_id: str, symbol: str) -> Row:
    together = resolved.pooled or resolved.study.portfolio == "shared"
    return (config_id,) if together else (config_id, symbol)


def _shares(resolved: ResolvedStudy, symbol: str) -> bool:
    return not set(symbol.split("+")).isdisjoint(resolved.study.data.symbols)


def _overlapping(
    store: ResultStore,
    table: TableSpec,
    window: Window,
    columns: Sequence[str],
    distinct: bool = True,
) -> Iterator[Row]:
    """Yield rows of windows that overlap with one in time, as texts; of the study alone if it says so."""
    terms: list[BooleanExpression] = [
        within("window_start", None, window.end_us),
        within("window_end", window.start_us + 1, None),
    ]
    study = store.resolved.study
    if study.trials == "study":
        terms.append(equal("study", study.study))
    for batch in store.stream(table, columns, all_of(*terms)):
        part = pa.Table.from_batches([batch]).select(list(columns))
        if distinct:
            part = part.group_by(list(columns)).aggregate([])
        yield from zip(*(_texts(part[name]) for name in columns), strict=True)


def _texts(column: pa.ChunkedArray) -> list[str]:
    """Return values as texts, an instant as its microseconds."""
    return [str(value) for value in microsecond_column(column).to_pylist()]


def microsecond_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of instants as whole microseconds since 1970-01-01 UTC; any other as it is."""
    if not pa.types.is_timestamp(column.type):
        return column
    return column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())


def record_looks(
    session: Callable[[], SparkSession],
    store: ResultStore,
    pending: Sequence[Pending],
    origin: Mapping[str, str],
) -> None:
    """Add a row to `test_looks` for each backtest that is about to be run on a test window."""
    bounds = {
        fold.test.name: timestamps(np.array([fold.test.start_us, fold.test.end_us]))
        for fold in store.resolved.timeline.every
        if fold.test is not None
    }
    rows = [
        {
            "study": store.resolved.study.study,
            "data_digest": store.resolved.data_digest,
            "looked_at": datetime.now(UTC),
            "user": origin["user"],
            "host": origin["host"],
            "config_id": configuration.config_id,
            "symbol": "+".join(part.symbols),
            "window_start": bounds[part.window][0],
            "window_end": bounds[part.window][1],
            "command": origin["command"],
        }
        for part in pending
        for configuration in part.configurations
    ]
    append_rows(None if store.location.local else session(), store.location, TEST_LOOKS, rows)
