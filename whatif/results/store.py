"""The store of results: what the tables have to know of a study, and its rows, read without a JVM."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from whatif.domain import Periods, timestamps
from whatif.lake import RESULTS, RETURNS, TableSpec, delete_matching, delete_rows, sql_text
from whatif.pins import (
    LakeLocation,
    Pin,
    all_of,
    batches,
    equal,
    one_of,
    open_table,
    read_arrow,
    table_exists,
    within,
)
from whatif.search import BarSlice, Configuration, Dropped, Grid
from whatif.splits import Fold, Timeline, Window
from whatif.study import Study

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyspark.sql import SparkSession

MAX_IN_FILTER = 200

_KEY = ["config_id", "symbol"]


class ResolvedStudy(Protocol):
    """A study joined with its time, its configurations and the bars that it runs on."""

    @property
    def study(self) -> Study:
        """The study as authored."""

    @property
    def timeline(self) -> Timeline:
        """Its folds as instants."""

    @property
    def bars(self) -> Pin:
        """The snapshot that it runs on."""

    @property
    def data_digest(self) -> str:
        """Digest of the slice that results depend on."""

    @property
    def slices(self) -> Mapping[str, BarSlice]:
        """Bars by timeframe."""

    @property
    def models(self) -> Mapping[tuple[str, str, int], Any]:
        """What it trains, by name, timeframe and number of the fold."""

    @property
    def periods(self) -> Mapping[str, Periods]:
        """Periods of each window that backtests run in."""

    @property
    def window_bars(self) -> Mapping[tuple[str, str], int]:
        """Bars of the first timeframe by symbol and window, for estimates."""

    @property
    def portfolios(self) -> tuple[tuple[str, ...], ...]:
        """Groups of symbols that share an account: one each, or all together."""

    @property
    def pooled(self) -> bool:
        """Whether a row of the ranking stands for several accounts."""

    @property
    def searched_folds(self) -> tuple[tuple[int, ...], ...]:
        """Numbers of the folds that share what a search which learns asks for."""

    @property
    def grid(self) -> Grid:
        """Configurations of the last fold."""

    @property
    def dropped(self) -> Dropped:
        """What was run on the first of several windows that rank, and not on the others."""

    @property
    def count(self) -> int:
        """How many configurations there are; of a search that learns, how many there could be."""

    @property
    def reach(self) -> int:
        """Rows of the ranking that a search which learns could have come to; 0 of one that does not."""

    @property
    def every_configuration(self) -> Collection[Configuration]:
        """The configurations of all folds, each once."""

    def configuration(self, config_id: str) -> Configuration:
        """Return the configuration of this id, of whatever fold."""

    def configurations(self, fold: Fold) -> tuple[Configuration, ...]:
        """Return the configurations of a fold."""

    def names_in(self, fold: Fold) -> Mapping[str, str]:
        """Return what each configuration of the last fold is called in another, if it is run there."""


@dataclass(frozen=True)
class Slot:
    """Where a study's rows are: market, slice, window, and symbols as rows name them (None for any)."""

    bars_snapshot: int
    data_digest: str
    window: Window
    symbols: tuple[str, ...] | None = None

    def matches(
        self, configurations: Sequence[str] | None = None, symbols: Sequence[str] | None = None
    ) -> BooleanExpression:
        """Return the filter of its rows, of some configurations and symbols or of all."""
        terms = [
            equal("bars_snapshot", self.bars_snapshot),
            equal("data_digest", self.data_digest),
            equal("window", self.window.name),
            within("window_start", self.window.start_us, self.window.start_us + 1),
            within("window_end", self.window.end_us, self.window.end_us + 1),
        ]
        if configurations is not None and len(configurations) <= MAX_IN_FILTER:
            terms.append(one_of("config_id", configurations))
        own = self.symbols if symbols is None else symbols
        if own is not None and len(own) <= MAX_IN_FILTER:
            terms.append(one_of("symbol", own))
        return all_of(*terms)

    def holds(self, symbol: str) -> bool:
        """Tell whether rows of `symbol` are its own."""
        return self._own is None or symbol in self._own

    @cached_property
    def _own(self) -> frozenset[str] | None:
        return None if self.symbols is None else frozenset(self.symbols)


@dataclass(eq=False)
class Held:
    """Rows that this process computed and has not stored yet, or has just stored.

    Where it alone may write, as on a local lake, they need not be read from there.

    Attributes
    ----------
    tables : list of pa.Table
        Rows with the columns of `results` and `returns`, as workers give them.
    done : dict of str to set of (str, str)
        By window, config_id and symbol of what the lake held when it was first asked, and is not run again.
    failed : dict of str to set of (str, str)
        The same of what it held as failed, and is run again.
    """

    tables: list[pa.Table] = field(default_factory=list)
    done: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    failed: dict[str, set[tuple[str, str]]] = field(default_factory=dict)

    def rows(
        self, table: TableSpec, window: Window, columns: Sequence[str], configurations: Sequence[str]
    ) -> pd.DataFrame | None:
        """Return the rows of a table on a window, of some configurations; None if none are held."""
        found: list[pd.DataFrame] = []
        ids = pa.array(sorted(set(configurations)))
        for held in self.tables if table.name in (RESULTS.name, RETURNS.name) else ():
            mine = pc.and_(pc.equal(held["window"], window.name), pc.is_in(held["config_id"], ids))
            if table.name == RETURNS.name:
                mine = pc.and_(mine, pc.equal(held["status"], "ok"))
            part = held.filter(mine)
            if part.num_rows:
                found.append(part.select(list(columns)).to_pandas())
        return pd.concat(found, ignore_index=True) if found else None


@dataclass(frozen=True, eq=False)
class ResultStore:
    """The stored results of one study.

    Attributes
    ----------
    location : LakeLocation
        Where the tables are.
    resolved : ResolvedStudy
        The study.
    held : Held or None
        Rows that were computed, and may not be in the tables yet.
    """

    location: LakeLocation
    resolved: ResolvedStudy
    held: Held | None = None

    def slot(self, window: Window) -> Slot:
        """Return where the study's rows on `window` are."""
        resolved = self.resolved
        symbols = tuple("+".join(group) for group in resolved.portfolios)
        return Slot(resolved.bars.snapshot_id, resolved.data_digest, window, symbols)

    def rows(
        self,
        table: TableSpec,
        window: Window,
        columns: Sequence[str] | None = None,
        configurations: Sequence[str] | None = None,
        symbols: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return the study's rows of `table` on `window`; see `read_rows`."""
        slot, names = self.slot(window), list(columns or table.column_names)
        if self.held is None or configurations is None or symbols is not None:
            return read_rows(self.location, table, slot, columns, configurations, symbols)
        part = self.held.rows(table, window, names, configurations)
        if part is None:
            return read_rows(self.location, table, slot, columns, configurations)
        counts = part["config_id"].value_counts()
        whole = set(counts.index[counts == len(self.resolved.portfolios)])
        rest = [one for one in configurations if one not in whole]
        if not rest:
            return part
        stored = read_rows(self.location, table, slot, columns, rest)
        # what was held may have been stored since
        keys = set(zip(part["config_id"], part["symbol"], strict=True))
        other = [key not in keys for key in zip(stored["config_id"], stored["symbol"], strict=True)]
        return pd.concat([part, stored[other]], ignore_index=True)

    def keys(
        self, table: TableSpec, window: Window, configurations: Sequence[str] | None = None
    ) -> set[tuple[str, str]]:
        """Return (config_id, symbol) of the study's rows of `table` on `window`.

        Rows are looked at as they are read: a table with a row for each bar may be long.
        """
        slot = self.slot(window)
        keys: set[tuple[str, str]] = set()
        for batch in self.stream(table, _KEY, slot.matches(configurations)):
            distinct = pa.Table.from_batches([batch]).select(_KEY).group_by(_KEY).aggregate([])
            keys.update(zip(*(distinct[name].to_pylist() for name in _KEY), strict=True))
        asked = None if configurations is None else set(configurations)
        return {key for key in keys if (asked is None or key[0] in asked) and slot.holds(key[1])}

    def delete(
        self,
        session: Callable[[], SparkSession],
        table: TableSpec,
        window: Window,
        configurations: Collection[str],
        among: Mapping[str, Collection[str]],
    ) -> None:
        """Delete rows of some configurations on `window` whose columns have one of the values in `among`.

        By Spark on a catalog service, by PyIceberg on a local lake.
        """
        resolved, names = self.resolved, sorted(configurations)
        if self.location.local:
            mine = Slot(resolved.bars.snapshot_id, resolved.data_digest, window).matches()
            terms = [one_of(column, sorted(values)) for column, values in among.items()]
            delete_rows(self.location, table, all_of(mine, one_of("config_id", names), *terms))
            return
        start, end = (
            f"TIMESTAMP '{t.isoformat()}'" for t in timestamps(np.array([window.start_us, window.end_us]))
        )
        where = (
            f"bars_snapshot = {resolved.bars.snapshot_id} AND data_digest = '{resolved.data_digest}' "
            f"AND `window` = '{window.name}' AND window_start = {start} AND window_end = {end}"
        )
        for column, values in among.items():
            where += f" AND {column} IN ({', '.join(map(sql_text, sorted(values)))})"
        frame = session().createDataFrame(pd.DataFrame({"config_id": names}), "config_id string")
        delete_matching(session(), self.location, table, frame, where)

    def stream(
        self, table: TableSpec, columns: Sequence[str], row_filter: BooleanExpression
    ) -> Iterator[pa.RecordBatch]:
        """Yield columns of all rows of `table` that pass a filter, in parts and no particular order.

        Of any study: what another one tried on the same data is a trial too.
        """
        opened = _opened(self.location, table)
        if opened is not None:
            yield from batches(opened[0], columns, row_filter)


def ranked_on(resolved: ResolvedStudy) -> dict[Window, tuple[Configuration, ...]]:
    """Return the configurations that are ranked on each window: of all folds that rank on it."""
    found: dict[Window, dict[str, Configuration]] = {}
    for fold in resolved.timeline.folds:
        for window in fold.validate:
            found.setdefault(window, {}).update((c.config_id, c) for c in resolved.configurations(fold))
    return {window: tuple(by_id.values()) for window, by_id in found.items()}


def read_rows(
    location: LakeLocation,
    table: TableSpec,
    slot: Slot,
    columns: Sequence[str] | None = None,
    configurations: Sequence[str] | None = None,
    symbols: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the rows of `table` in `slot`, of some configurations and symbols or of all.

    None is an empty frame. A table with a row for each bar is read for few of both only.

    Timestamps are tz-aware UTC; null numbers are NaN. A column that the table, written by an
    older version of whatif, does not have yet is all null.
    """
    names = list(columns or table.column_names)
    opened = _opened(location, table)
    if opened is None:
        return pd.DataFrame(columns=names)
    pinned, there = opened
    wanted = [name for name in dict.fromkeys([*names, "config_id", "symbol"]) if name in there]
    frame: pd.DataFrame = read_arrow(pinned, wanted, slot.matches(configurations, symbols)).to_pandas()
    if configurations is not None:
        frame = frame[frame["config_id"].isin(set(configurations))]
    own = slot.symbols if symbols is None else symbols
    if own is not None:
        frame = frame[frame["symbol"].isin(own)]
    return frame.reindex(columns=names).reset_index(drop=True)


def _opened(location: LakeLocation, table: TableSpec) -> tuple[Pin, set[str]] | None:
    """Return the pin of the newest snapshot and the table's columns; None if there are no rows."""
    if not table_exists(location, table.name):
        return None
    opened = open_table(location, table.name)
    snapshot = opened.current_snapshot()
    if snapshot is None:
        return None
    pinned = Pin(table.name, snapshot.snapshot_id, opened.metadata_location)
    return pinned, {field.name for field in opened.schema().fields}
