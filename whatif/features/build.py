"""Tables of features: computed for all symbols at once, and kept in Iceberg."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_field
from datetime import timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from whatif.calendars import EPOCH, known_schedule
from whatif.domain import DAY_US, bars_from_frame, timeframe_names, timestamps
from whatif.features.news import first_heard, read_news
from whatif.features.spec import FeatureSpec, features_of_bars
from whatif.indicators import Call, Expression, News, Node, Stored, get_indicator
from whatif.lake import (
    TableSpec,
    create_tables,
    features_table,
    made_of,
    pin,
    read_pinned,
    replace,
    replace_arrow,
    replace_made,
)
from whatif.pins import (
    EXTENDS,
    LakeLocation,
    Pin,
    PinnedCache,
    adjusted_frame,
    all_of,
    bars_filter,
    current_pin,
    equal,
    everything,
    find_pin,
    floats,
    has_rows,
    microseconds,
    open_table,
    read_added,
    read_arrow,
    read_bars,
    schema_of,
    symbols_of,
    table_exists,
    within,
)
from whatif.search import BarSlice
from whatif.typing import BoolArray, IntArray

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

BARS_SNAPSHOT = "whatif.bars-snapshot"
NEWS_SNAPSHOT, RELATIONS_SNAPSHOT = "whatif.news-snapshot", "whatif.relations-snapshot"
"""Snapshot properties of a derived table: the bars, and the news, that it was made from."""


TAIL = 64
"""Bars before new ones that an indicator is computed on, times its warm-up: what goes on from the first bar
has forgotten it by then, to the last bit, or it is seen that it has not."""

MOST_TASKS = 256
"""Most tasks that symbols are spread over."""

LEAST_TAIL, CHECKED = 1_024, 512
"""Fewest such bars, and those of them whose features have to be what is stored."""

_SESSION_US = DAY_US // 3
"""What `Expression.history_us` takes a session for."""


def build_features(spark: SparkSession | None, location: LakeLocation, bars: Pin, spec: FeatureSpec) -> Pin:
    """Return the pin of the features of `spec` over the bars that `bars` pins.

    One Spark job computes all symbols, each by `features_of_bars`, and one commit
    stores them; the commit records the snapshots of bars and news. A task holds the bars and the features of
    one symbol at a time; on a local lake it reads and writes them itself. Where a snapshot made from these
    very bars and news exists, it is returned and nothing runs. Where bars were only added behind those that
    the stored features were made from, and news only added, what they change is computed, and it alone is
    written: on a local lake in this process, on a catalog service by Spark's tasks.

    Parameters
    ----------
    spark : SparkSession or None
        None computes all in this process, on a local lake.
    location : LakeLocation
        Where the lake is.
    bars : Pin
        Pin of table `bars`.
    spec : FeatureSpec
        What the table holds.
    """
    table = features_table(spec.table, spec.columns, spec.label.columns if spec.label is not None else {})
    made_from = _sources(bars, spec)
    known = find_pin(location, table.name, made_from) if table_exists(location, table.name) else None
    if known is not None:
        return known
    if _extended(spark, location, bars, spec, table):
        extended = find_pin(location, table.name, made_from)
        if extended is not None or location.local:
            return extended or current_pin(location, table.name)
        # else another writer came between, and what was added stands on its rows
    schema = schema_of(dict(table.columns))
    if spark is None:
        create_tables(None, location, (table,))
        made = _of_symbols(bars, spec, spec.bars.symbols)
        whole = pa.concat_tables(as_table(columns, schema) for columns in made)
        replace_arrow(location, table, whole, everything(), made_from)
        return find_pin(location, table.name, made_from) or current_pin(location, table.name)
    create_tables(spark, location, (table,))
    if location.local or bars.renames is not None:
        replace_made(
            location, table, _places(spark, len(spec.bars.symbols)), _of_places(spec, bars, schema), made_from
        )
    else:
        # else Spark puts few bytes of some symbols' bars into one task, though what is made of them is large
        apart = min(4 * len(spec.bars.symbols), MOST_TASKS)
        rows = pinned_bars(spark, location, bars, spec.bars).select(*_NEEDED).repartition(apart, "symbol")
        ordered = rows.sortWithinPartitions("symbol", "ts")
        replace_made(location, table, ordered, _of_rows(spec, bars, schema), made_from)
    # not the newest snapshot: another run may have stored the features of other bars meanwhile
    return find_pin(location, table.name, made_from) or pin(spark, location, table.name)


def _sources(bars: Pin, spec: FeatureSpec) -> dict[str, str]:
    """Return what a commit notes of the snapshots that its rows are made from."""
    news = dict(zip((NEWS_SNAPSHOT, RELATIONS_SNAPSHOT), spec.news.pins if spec.news else (), strict=False))
    return {name: str(one.snapshot_id) for name, one in {BARS_SNAPSHOT: bars, **news}.items()}


@dataclass(frozen=True)
class _Change:
    """What newer bars and news may change: rows of some symbols, from an instant on.

    Attributes
    ----------
    owners : tuple of str
        Symbols.
    first, first_bar : int
        Rows before the one are as they are, but for labels; the other is the first new bar's `ts`, or the
        slice's end.
    """

    owners: tuple[str, ...]
    first: int
    first_bar: int


@dataclass(frozen=True)
class _Step:
    """Stored features, and what brings them up to newer bars and news."""

    bars: Pin
    spec: FeatureSpec
    stored: Pin
    tail: BarSlice
    change: _Change


def _extended(
    spark: SparkSession | None, location: LakeLocation, bars: Pin, spec: FeatureSpec, table: TableSpec
) -> bool:
    """Bring a table of features up to newer bars and news by computing what these change, if that can be.

    Nothing but bars behind all that there were, and news, may have been added since. Of each symbol the
    features of a tail are computed: so many bars that the oldest of them no longer count. Its last `CHECKED`
    rows but those that change have to be what is stored, to the last bit; where they are not, as of a sum
    over all bars, the symbol's whole history is computed. What is written are the new rows, those that news
    change, and those whose label they change. Returns False if all has to be computed; nothing was written
    then.
    """
    # of symbols that changed, what was added stands under other names
    if bars.renames is not None or not has_rows(location, table.name):
        return False
    stored, change = current_pin(location, table.name), _change(location, bars, spec, table)
    if change is None or read_arrow(stored, ["ts"], within("ts", change.first_bar, None)).num_rows:
        return False  # of one symbol there were bars already behind the first new one of another
    step = _Step(bars, spec, stored, _tail_of(spec, change.first), change)
    if spark is None or location.local:
        return _extended_here(location, step, table)
    return _extended_on_spark(spark, location, step, table)


def _change(location: LakeLocation, bars: Pin, spec: FeatureSpec, table: TableSpec) -> _Change | None:
    """Return what bars and news have changed since the newest features; None if that might be anything."""
    newest = open_table(location, table.name).current_snapshot()
    noted = newest.summary.additional_properties if newest is not None and newest.summary is not None else {}
    wanted = _sources(bars, spec)
    since = {name: int(text) for name in wanted if (text := noted.get(name, "")).isdecimal()}
    related = noted.get(RELATIONS_SNAPSHOT) == wanted.get(RELATIONS_SNAPSHOT)
    if set(since) != set(wanted) or not related:
        return None
    part = spec.bars
    symbols = (*part.symbols, *sorted(spec.needs.symbols - set(part.symbols)))
    rows = bars_filter(symbols, part.source_timeframe, part.start_us, part.end_us, part.hours)
    added = read_added(bars, since[BARS_SNAPSHOT], ["symbol", "ts"], rows)
    heard = part.end_us if spec.news is None else first_heard(spec.news, since[NEWS_SNAPSHOT], part)
    if added is None or heard is None:
        return None
    first_bar = int(_us(added).min()) if added.num_rows else part.end_us
    # a longer bar of another symbol, which a row knows that begins with it, may have had a part alone
    others = part.bar_us > part.source_us and (spec.needs.symbols or spec.needs.everyone)
    # whose news changed, is not asked: those of a peer count too
    everyone = heard < part.end_us or (others and added.num_rows)
    owners = set(part.symbols) if everyone else set(added["symbol"].to_pylist())
    return _Change(tuple(sorted(owners & set(part.symbols))), min(first_bar, heard), first_bar)


def _extended_here(location: LakeLocation, step: _Step, table: TableSpec) -> bool:
    """Compute and write in this process, on a local lake; see `_extended`."""
    tail, first, owners = step.tail, step.change.first, step.change.owners
    held = read_arrow(step.stored, list(table.column_names), within("ts", tail.start_us, None))
    made = [_continued(step, symbol, held.filter(pc.equal(held["symbol"], symbol))) for symbol in owners]
    begins = {one: int(_us(rows).min()) for one, rows in zip(owners, made, strict=True) if rows.num_rows}
    start = min(begins.values(), default=first)
    if start < tail.start_us:
        return False
    # of symbols whose labels change later, or not at all, rows from there on stay as they are
    ends = [begins.get(symbol, step.spec.bars.end_us) for symbol in held["symbol"].to_pylist()]
    stays = held.filter(pa.array((_us(held) >= start) & (_us(held) < np.array(ends, dtype=np.int64))))
    rows = pa.concat_tables([stays, *made])
    replace_arrow(location, table, rows, within("ts", start, None), _sources(step.bars, step.spec))
    return True


def _extended_on_spark(spark: SparkSession, location: LakeLocation, step: _Step, table: TableSpec) -> bool:
    """Let a task for each symbol compute, and Spark write, on a catalog service; see `_extended`.

    What is written takes the place of whole months where older rows change, since a filter of Spark's
    replaces files and not rows.
    """
    from pyspark.sql import functions as F  # noqa: N812

    owners, first, tail = step.change.owners, step.change.first, step.tail
    noted = {**_sources(step.bars, step.spec), EXTENDS: str(step.stored.snapshot_id)}
    made = made_of(table, _places(spark, len(owners)), _of_continued(step, table.column_names)).persist()
    try:
        told = made.groupBy("symbol").agg(F.unix_micros(F.min("ts")).alias("begin")).collect()
        begins = {row["symbol"]: row["begin"] for row in told}
        start = min(begins.values(), default=first)
        if start < tail.start_us:
            return False
        if start < step.change.first_bar:
            start = int(np.datetime64(start, "us").astype("M8[M]").astype("M8[us]").astype(np.int64))
            of_symbol = spark.createDataFrame(sorted(begins.items()), "symbol string, begin bigint")
            held = read_pinned(spark, location, step.stored).join(F.broadcast(of_symbol), "symbol", "left")
            at = F.unix_micros("ts")
            stays = held.where((at >= start) & (F.col("begin").isNull() | (at < F.col("begin"))))
            rows = made.unionByName(stays.select(*table.column_names))
        else:
            rows = made
        where = F.col("ts") >= F.lit(timestamps(np.array([start]))[0].to_pydatetime())
        replace(spark, location, table, rows, noted, where)
    finally:
        made.unpersist()
    return True


def _of_continued(
    step: _Step, columns: Sequence[str]
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.Table]]:
    """Return what a task does with places of the change's owners: rows that newer bars and news change."""
    since, owners = within("ts", step.tail.start_us, None), step.change.owners

    def compute(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for symbol in sorted(owners[k] for batch in batches for k in batch.column("id").to_pylist()):
            held = read_arrow(step.stored, columns, all_of(since, equal("symbol", symbol)))
            yield _continued(step, symbol, held)

    return compute


def _tail_of(spec: FeatureSpec, first: int) -> BarSlice:
    """Return the slice that begins, with a session, so far before an instant that nothing older counts.

    It is the whole one where rows that are checked might not show what is older.
    """
    part = spec.bars
    if any(_hides_history(one.node) for one in _every(spec)):
        return part
    trading = TAIL * _needed_us(spec) + LEAST_TAIL * min(part.bar_us, _SESSION_US)
    day = EPOCH + timedelta(days=first // DAY_US)
    try:
        around = known_schedule(part.exchange, day - timedelta(days=30 + 4 * (trading // _SESSION_US)), day)
    except OverflowError:  # before the first year
        return part
    usual = min(int(np.median(around.trading_us)), _SESSION_US) if len(around) else _SESSION_US
    opens = around.open_us[around.open_us <= first]
    sessions = -(-trading // usual) + 1
    if sessions >= len(opens) or opens[-1 - sessions] <= part.start_us:
        return part
    return replace_field(part, start_us=int(opens[-1 - sessions]))


def _every(spec: FeatureSpec) -> tuple[Expression, ...]:
    """Return all that is computed: features, and what the label is made with."""
    return (*spec.expressions, *spec.label_inputs.values())


def _needed_us(spec: FeatureSpec) -> int:
    """Return the longest warm-up, trading time in microseconds."""
    return max((one.history_us(spec.bars.bar_us) for one in _every(spec)), default=0)


def _hides_history(node: Node) -> bool:
    """Tell whether an indicator that may never forget stands in another, or in arithmetic.

    Of `obv()` each row shows what all rows before it came to; of its rank, or of
    `where(day_of_week == 4, obv(), 0)`, so many rows as are checked may show nothing of it.
    """
    if not isinstance(node, Call):
        return False
    if node.indicator == "crossover" and any(map(_is_often_the_same, node.sources)):
        return True
    return any(_remembers(one) or _hides_history(one) for one in node.sources)


_STEPS = frozenset({">", ">=", "<", "<=", "==", "!=", "where", "clip", "crossover", "rank"})
"""Operators and indicators that have few values, so that two of them may be the same for long."""


def _is_often_the_same(node: Node) -> bool:
    """Tell whether a series may be the same as another for long: a crossing remembers what was before."""
    if not isinstance(node, Call):
        return False
    return node.indicator in _STEPS or any(map(_is_often_the_same, node.sources))


def _remembers(node: Node) -> bool:
    """Tell whether rows of an indicator may depend on all rows before, if only in the last bit."""
    if not isinstance(node, Call):
        return False
    # most of TA-Lib's go from sum to sum; Kaufman's average forgets nothing where prices stand still
    return node.indicator == "kama" or get_indicator(node.indicator).origin == "TA-Lib"


def _continued(step: _Step, symbol: str, held: pa.Table) -> pa.Table:
    """Return the rows of one symbol that change, in order; `held` are those of the tail that are stored."""
    bars, spec, tail, first = step.bars, step.spec, step.tail, step.change.first
    begin = None
    if tail == spec.bars or all(_is_known_by(step, other) for other in _others(spec, symbol)):
        made = _computed(bars, spec, tail, symbol, held.schema)
        begin = _changed_from(made, held.sort_by("ts"), spec, first, 0 if tail == spec.bars else CHECKED)
    if begin is None:
        mine = read_arrow(step.stored, held.column_names, equal("symbol", symbol)).sort_by("ts")
        made = _computed(bars, spec, spec.bars, symbol, held.schema)
        begin = _changed_from(made, mine, spec, first, 0)
    return made.filter(pa.array(_us(made) >= (begin or 0)))


def _others(spec: FeatureSpec, symbol: str) -> set[str]:
    """Return the other symbols whose bars the rows of a symbol know."""
    everyone = set(spec.bars.symbols) if spec.needs.everyone else set()
    return (everyone | spec.needs.symbols) - {symbol}


def _is_known_by(step: _Step, symbol: str) -> bool:
    """Tell whether a tail has enough bars of another symbol, half of what there could be, or all it has.

    Of one that trades now and then, the rows that are compared may not show that it has not.
    """
    part, tail = step.spec.bars, step.tail
    enough = TAIL * _needed_us(step.spec) // min(part.bar_us, _SESSION_US) + LEAST_TAIL
    if 2 * _rows_before(step.bars, tail, symbol, step.change.first) >= enough:
        return True
    return not _rows_before(step.bars, replace_field(part, end_us=tail.start_us), symbol, tail.start_us)


@lru_cache(maxsize=4096)
def _rows_before(bars: Pin, part: BarSlice, symbol: str, instant: int) -> int:
    """Return how many rows a symbol has in a slice before an instant."""
    return int(np.count_nonzero(_other(bars, part, symbol).at("")[0].ts < instant))


def _computed(bars: Pin, spec: FeatureSpec, part: BarSlice, symbol: str, schema: pa.Schema) -> pa.Table:
    """Return the rows of one symbol over a slice, as the table has them."""
    own, other = replace_field(spec, bars=part), partial(_other, bars, part)
    return as_table(features_of_bars(_stored(bars, part, symbol), own, other, _news(spec)), schema)


def _changed_from(made: pa.Table, mine: pa.Table, spec: FeatureSpec, first: int, least: int) -> int | None:
    """Return the instant from which on computed rows are not the stored ones, `first` at the latest.

    None where the last `least` rows before it do not show that those were computed as these would be.
    """
    old, mine = (rows.filter(pa.array(_us(rows) < first)) for rows in (made, mine))
    if not least and old.num_rows != mine.num_rows:
        return 0
    n = min(least or old.num_rows, old.num_rows, mine.num_rows)
    last, known = old.slice(old.num_rows - n), mine.slice(mine.num_rows - n)
    labels = [name for name in mine.column_names if name not in ("symbol", "ts", *spec.columns)]
    differs = np.flatnonzero(~_same_rows(last, known, ["ts", *spec.columns]))
    if least and (n < least or len(differs)):
        return None
    moved = np.flatnonzero(~_same_rows(last, known, labels))
    if least and len(moved) and moved[0] < n // 2:
        return None
    at = [int(_us(last)[rows[0]]) for rows in (differs, moved) if len(rows)]
    return min([first, *at])


def _same_rows(left: pa.Table, right: pa.Table, names: Sequence[str]) -> BoolArray:
    """Return the rows whose values are the same to the last bit, missing ones among them; (n,)."""
    same = np.ones(left.num_rows, dtype=bool)
    for name in names:
        one, other = (_bits(rows[name]) for rows in (left, right))
        same &= one == other
    return same


def _bits(column: pa.ChunkedArray) -> IntArray:
    """Return what tells values apart, (n,): bits of numbers, and instants; one for all that are missing."""
    if not pa.types.is_floating(column.type):
        return np.asarray(column.cast(pa.int64()).fill_null(-1).to_numpy(), dtype=np.int64)
    values = floats(column)
    return np.where(np.isnan(values), np.nan, values).view(np.int64)


def _us(rows: pa.Table) -> IntArray:
    return microseconds(rows["ts"])


def local_features(bars: Pin, spec: FeatureSpec) -> pd.DataFrame:
    """Return the features of `spec` over the bars that `bars` pins, in this process; nothing is stored."""
    made = _of_symbols(bars, spec, spec.bars.symbols)
    return pd.concat([pd.DataFrame(columns) for columns in made], ignore_index=True)


def _of_symbols(bars: Pin, spec: FeatureSpec, symbols: Iterable[str]) -> Iterator[dict[str, object]]:
    """Yield the columns of each symbol's features, read and computed one after the other."""
    other, news = partial(_other, bars, spec.bars), _news(spec)
    for symbol in symbols:
        yield features_of_bars(_stored(bars, spec.bars, symbol), spec, other, news)


def as_table(columns: Mapping[str, object], schema: pa.Schema) -> pa.Table:
    """Return columns as a table of features holds them: what is missing is null."""
    rows = len(columns["ts"])  # type: ignore[arg-type]
    arrays = []
    for field in schema:
        values = columns[field.name]
        made = pa.repeat(values, rows) if isinstance(values, str) else pa.array(values, from_pandas=True)
        arrays.append(made.cast(field.type))
    return pa.table(arrays, schema=schema)


def pinned_bars(spark: SparkSession, location: LakeLocation, pin: Pin, part: BarSlice) -> DataFrame:
    """Return the rows of the bars table that the slice is made of, as of the pin."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    names = timeframe_names(part.source_timeframe)
    start, end = (t.to_pydatetime() for t in timestamps(np.array([part.start_us, part.end_us])))
    rows = read_pinned(spark, location, pin).where(
        F.col("symbol").isin(list(part.symbols))
        & F.col("timeframe").isin(list(names))
        & (F.col("ts") >= F.lit(start))
        & (F.col("ts") < F.lit(end))
    )
    rows = rows.where(F.col("hours") == "regular") if part.hours == "regular" else rows
    if len(names) == 1 or rows.where(F.col("timeframe") != names[0]).limit(1).count() == 0:
        return rows
    # the lake holds this length under two names: of each bar, the row that came last
    latest = Window.partitionBy("symbol", "ts").orderBy(
        F.desc("ingested_at"), F.desc(F.col("timeframe") == names[0])
    )
    numbered = rows.withColumn("nth", F.row_number().over(latest))
    return numbered.where("nth = 1").drop("nth").withColumn("timeframe", F.lit(names[0]))


_NEEDED = (
    "symbol", "ts", "session", "session_open", "session_close",
    "open", "high", "low", "close", "volume", "vwap",
)  # fmt: skip
"""Columns of bars that features are made of."""


def _places(spark: SparkSession, symbols: int) -> DataFrame:
    """Return places of symbols, `id` from 0 on, a task for each of them as far as there may be so many."""
    return spark.range(0, symbols, 1, max(1, min(symbols, MOST_TASKS)))


def _of_places(
    spec: FeatureSpec, bars: Pin, schema: pa.Schema
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.Table]]:
    """Return what a task does with places of symbols, whose bars it reads itself, one after the other."""

    def compute(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        places = (k for batch in batches for k in batch.column("id").to_pylist())
        symbols = sorted(spec.bars.symbols[k] for k in places)
        for columns in _of_symbols(bars, spec, symbols):
            yield as_table(columns, schema)

    return compute


def _of_rows(
    spec: FeatureSpec, bars: Pin, schema: pa.Schema
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.Table]]:
    """Return what a task does with the bars of whole symbols, which follow each other."""
    other = partial(_other, bars, spec.bars)

    def compute(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for symbol, rows in symbols_of(batches):
            frame = rows.to_pandas(date_as_object=False)
            if bars.adjustment is not None:
                frame = adjusted_frame(bars, frame, spec.bars.source_timeframe, spec.bars.hours)
            own = Stored(bars_from_frame(frame, symbol), spec.bars.source_us, spec.bars.bar_us)
            yield as_table(features_of_bars(own, spec, other, _news(spec)), schema)

    return compute


def _news(spec: FeatureSpec) -> News | None:
    return None if spec.news is None else read_news(spec.news, spec.bars.symbols)


@lru_cache(maxsize=4)
def _stored(bars: Pin, part: BarSlice, symbol: str) -> Stored:
    """Return the pinned bars of a symbol."""
    found = read_bars(bars, symbol, part.source_timeframe, part.start_us, part.end_us, part.hours)
    return Stored(found, part.source_us, part.bar_us)


_OTHERS = PinnedCache(256 * 1024 * 1024)
"""Bars of symbols that features of others name or are ranked among: each of many needs the same."""


def _other(bars: Pin, part: BarSlice, symbol: str) -> Stored:
    """Return the pinned bars of a symbol that features name; read once by a process, as far as room is."""
    return _OTHERS.get((bars, part, symbol), lambda: _stored(bars, part, symbol))
