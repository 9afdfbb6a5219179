"""Bars of trades, of all symbols at once on Spark, and in this process: the same function, the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from whatif.errors import LakeError, SourceError, nearest
from whatif.pins import (
    PART_ROWS,
    LakeLocation,
    Pin,
    all_of,
    current_pin,
    has_rows,
    held_symbols,
    moment_us,
    one_of,
    parts_in_order,
    read_arrow,
    runs_of,
    schema_of,
    values_of,
    within,
)
from whatif.ticks import (
    COLUMNS,
    QUOTE_COLUMNS,
    BarKind,
    Trades,
    bar_kind,
    bars_in_parts,
    bars_of,
    check_conditions,
    conditions_of,
    order_columns,
    quotes_in,
    trades_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame, SparkSession


_READ = {
    "trades_raw": ("symbol", "ts", "seq", "price", "size", "conditions"),
    "quotes": ("symbol", "ts", "seq", "bid", "ask"),
}

MOST_TASKS = 256
"""Most tasks that symbols are spread over."""


class TickRule:
    """How bars are made of ticks; it travels to the workers.

    Attributes
    ----------
    kind : BarKind
        Where bars begin and end.
    only, leave_out : tuple of str
        Conditions of trades.
    aggregates : mapping of str to callable
        Further columns.
    quoted : bool
        Whether there are quotes.

    Raises
    ------
    SourceError
        If an aggregate has the name of a column.
    """

    def __init__(
        self,
        kind: BarKind,
        only: Sequence[str],
        leave_out: Sequence[str],
        aggregates: Mapping[str, Callable[[Trades], float]],
        quoted: bool,
    ) -> None:
        self.kind, self.only, self.leave_out = kind, conditions_of(only), conditions_of(leave_out)
        self.aggregates, self.quoted = dict(aggregates), quoted
        taken = [name for name in (*COLUMNS, *QUOTE_COLUMNS, "symbol") if name in self.aggregates]
        if taken:
            raise SourceError(f"aggregate {taken[0]!r} has the name of a column of bars: give it another one")

    @property
    def columns(self) -> dict[str, str]:
        """The columns of bars, and their kinds."""
        further = (*(QUOTE_COLUMNS if self.quoted else ()), *self.aggregates)
        return {"symbol": "string", **COLUMNS, **dict.fromkeys(further, "double")}

    @property
    def schema(self) -> pa.Schema:
        """The columns as Arrow has them."""
        return schema_of(self.columns)

    @property
    def ddl(self) -> str:
        """The columns as Spark takes a schema."""
        return ", ".join(f"`{name}` {kind}" for name, kind in self.columns.items())

    def bars(self, symbol: str, trades: pa.Table, quotes: pa.Table | None) -> pa.Table:
        """Return the bars of one symbol."""
        made = bars_of(
            trades_in(trades, self.only, self.leave_out),
            self.kind,
            quotes_in(quotes) if quotes is not None and self.quoted else None,
            self.aggregates,
        )
        return self._table(symbol, made)

    def bars_of_parts(
        self, symbol: str, parts: Iterable[pa.Table], quotes: Iterable[pa.Table] | None = None
    ) -> Iterator[pa.Table]:
        """Yield the bars of one symbol, of whose trades and quotes no part is older than those before it."""
        trades = (trades_in(part, self.only, self.leave_out) for part in parts)
        told = None if quotes is None else (quotes_in(part) for part in quotes)
        for made in bars_in_parts(trades, self.kind, told, self.aggregates):
            yield self._table(symbol, made)

    def _table(self, symbol: str, made: Mapping[str, np.ndarray]) -> pa.Table:
        columns = [pa.repeat(pa.scalar(symbol), len(made["ts"]))]
        columns += [_column(made[field.name], field.type) for field in self.schema if field.name != "symbol"]
        return pa.table(columns, schema=self.schema)


def _column(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array(values.astype(np.int64)).cast(kind)
    return pa.array(values.astype(kind.to_pandas_dtype()))


def collect_bars(
    trades: Any,
    bars: str | BarKind = "1min",
    quotes: Any = None,
    only: Sequence[str] = (),
    leave_out: Sequence[str] = (),
    aggregates: Mapping[str, Callable[[Trades], float]] | None = None,
) -> Any:
    """Return the bars of trades of any number of symbols.

    Parameters
    ----------
    trades : pandas or Spark DataFrame, or pyarrow Table
        Columns symbol, ts (tz-aware), price, size; `seq`, or source and row, puts those of one instant in
        order (table `trades_raw` has it); conditions where they are asked for. Rows may come in any order.
    bars : str or BarKind
        "1min", "30s", "5min every 1min" (overlapping), "ticks(500)", "volume(10000)", "dollars(1e6)",
        "imbalance(500)", "imbalance(500, volume)"; see `whatif.ticks.bar_kind`.
    quotes : frame or Table, optional
        Of Spark where trades are. Columns symbol, ts, bid, ask. Bars get bid, ask, mid and spread of the
        newest quotes at their end.
    only, leave_out : sequence of str, or str
        Conditions of the trades that count: those with one of them, and without any of them. "none" is a
        trade that has no condition.
    aggregates : mapping of str to callable, optional
        Further columns: each gets the `whatif.ticks.Trades` of a bar and returns a number.

    Returns
    -------
    pandas or Spark DataFrame, or pyarrow Table
        As `trades` is: symbol and the columns of `whatif.ticks.bars_of`, by symbol and start. On Spark each
        symbol is computed by one task, which holds some million of its trades and quotes at a time, and rows
        are in no order.

    Notes
    -----
    *Timing*: a bar that starts at ts is known at its `end`.

    Raises
    ------
    SourceError
        If a frame is none, a column is missing or there twice, a price or size is no finite number above 0,
        `bars` names no kind, or no trade has one of the conditions `only` (of a frame that is here).
    """
    rule = TickRule(bar_kind(bars), only, leave_out, aggregates or {}, quotes is not None)
    here = (pd.DataFrame, pa.Table)
    for what, frame in (("trades", trades), ("quotes", quotes)):
        if not (
            isinstance(frame, here) or hasattr(frame, "mapInArrow") or (frame is None and what == "quotes")
        ):
            raise SourceError(
                f"{what} are a {type(frame).__name__}: give a frame of pandas or Spark, or an Arrow table"
            )
    if not isinstance(trades, here) and not isinstance(quotes, here):
        return _on_spark(trades, quotes, rule)
    if not all(isinstance(frame, (*here, type(None))) for frame in (trades, quotes)):
        raise SourceError(
            "of trades and quotes one is a frame of Spark, and the other is not: give two alike"
        )
    made = _of_table(
        _as_table(trades, "trades"), None if quotes is None else _as_table(quotes, "quotes"), rule
    )
    return made if isinstance(trades, pa.Table) else made.to_pandas()


def collect(
    symbols: str | Sequence[str],
    bars: str | BarKind = "1min",
    start: str | pd.Timestamp | None = None,
    end: str | pd.Timestamp | None = None,
    with_quotes: bool = False,
    only: Sequence[str] = (),
    leave_out: Sequence[str] = (),
    aggregates: Mapping[str, Callable[[Trades], float]] | None = None,
    location: LakeLocation | None = None,
    spark: SparkSession | None = None,
) -> Any:
    """Return bars of the lake's trades as a frame, by symbol and start. Starts no JVM.

    Some million trades and quotes of one symbol are held at a time, however many there are, and the trades of
    bars that have not ended.

    Parameters
    ----------
    symbols : str or sequence of str
        Whose trades.
    bars, only, leave_out, aggregates
        As in `collect_bars`.
    start, end : str or Timestamp, optional
        Trades of [start, end); UTC where no time zone is given.
    with_quotes : bool
        Whether bars get bid, ask, mid and spread, of the lake's quotes of the same time.
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.
    spark : SparkSession, optional
        The same bars as a DataFrame of Spark, in no order: its workers read the trades themselves, a symbol
        for each task.

    Raises
    ------
    LakeError
        If the lake has no trades of a symbol, naming the nearest that it has, or start is not before end.
    SourceError
        If no trade has one of the conditions `only` (without Spark, which is not asked for all of them).
    """
    location = location or LakeLocation.from_environment()
    alone = isinstance(symbols, str) or not isinstance(symbols, Iterable)
    wanted: list[str] = list(dict.fromkeys([symbols] if alone else symbols))  # type: ignore[list-item]  # checked
    strange = [one for one in wanted if not isinstance(one, str)]
    if strange:
        raise LakeError(f"a symbol is text, and {strange[0]!r} is none: leave it out")
    rule = TickRule(bar_kind(bars), only, leave_out, aggregates or {}, with_quotes)
    first, last = moment_us(start), moment_us(end)
    if first is not None and last is not None and first >= last:
        raise LakeError(f"start {start} is not before end {end}, and no trade lies between: turn them round")
    trades = _pinned("trades_raw", location)
    ticks = _Ticks(trades, _pinned("quotes", location) if with_quotes else None, rule, first, last)
    if spark is not None:
        _check_known(trades, wanted)
        # a task takes symbols that follow each other, as evenly many as there can be
        numbers = spark.range(0, len(wanted), 1, min(max(len(wanted), 1), MOST_TASKS))
        return numbers.mapInArrow(ticks.of_symbols(wanted), rule.ddl)
    made, missing = [rule.schema.empty_table()], []
    for symbol in sorted(wanted):
        found = list(ticks.bars(symbol))
        made += found
        missing += [] if found else [symbol]
    if missing:
        _check_known(trades, missing)
    if rule.only and wanted and len(missing) == len(wanted):
        within_time = all_of(one_of("symbol", wanted), within("ts", first, last))
        check_conditions(values_of(trades, "conditions", within_time), rule.only)
    return pa.concat_tables(made).to_pandas()


@dataclass(frozen=True)
class _Ticks:
    """Ticks of the lake, and what bars are made of them; it travels to the workers.

    Attributes
    ----------
    trades, quotes : Pin
        The tables; quotes only where bars get them.
    rule : TickRule
        How bars are made.
    first, last : int or None
        Trades of [first, last), microseconds UTC.
    """

    trades: Pin
    quotes: Pin | None
    rule: TickRule
    first: int | None
    last: int | None

    def of_symbols(
        self, symbols: Sequence[str]
    ) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
        """Return what yields the bars of symbols of which batches hold the numbers."""

        def compute(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for number in batch.column("id").to_pylist():
                    for made in self.bars(symbols[number]):
                        yield from made.to_batches()

        return compute

    def bars(self, symbol: str) -> Iterator[pa.Table]:
        """Yield the bars of one symbol, oldest first; nothing of one without trades."""
        columns = [name for name in _READ["trades_raw"] if name not in ("symbol", "conditions")]
        columns += ["conditions"] if self.rule.only or self.rule.leave_out else []
        names = [name for name in _READ["quotes"] if name != "symbol"]
        quotes = None if self.quotes is None else self._parts(self.quotes, names, symbol)
        yield from self.rule.bars_of_parts(symbol, self._parts(self.trades, columns, symbol), quotes)

    def _parts(self, pin: Pin, columns: Sequence[str], symbol: str) -> Iterator[pa.Table]:
        return parts_in_order(pin, columns, symbol, self.first, self.last, PART_ROWS)


def read_ticks(
    symbols: Sequence[str],
    table: str = "trades_raw",
    start: str | pd.Timestamp | None = None,
    end: str | pd.Timestamp | None = None,
    location: LakeLocation | None = None,
) -> pa.Table:
    """Return the lake's trades or quotes, in no order: what `collect_bars` needs of them.

    Raises
    ------
    LakeError
        If the table holds nothing of a symbol, naming the nearest that it has.
    """
    if table not in _READ:
        raise LakeError(f"table {table!r} holds no ticks: {nearest(table, _READ)}")
    pin = _pinned(table, location or LakeLocation.from_environment())
    asked = all_of(one_of("symbol", list(symbols)), within("ts", moment_us(start), moment_us(end)))
    rows = read_arrow(pin, _READ[table], asked)
    missing = sorted(set(symbols) - set(rows["symbol"].unique().to_pylist()))
    if missing:
        _check_known(pin, missing)
    return rows


def _pinned(table: str, location: LakeLocation) -> Pin:
    if not has_rows(location, table):
        raise LakeError(f"the lake holds no {table.removesuffix('_raw')}: 'whatif ingest-ticks' brings some")
    return current_pin(location, table)


def _check_known(pin: Pin, symbols: Sequence[str]) -> None:
    known = held_symbols(pin)
    for symbol in symbols:
        if symbol not in known:
            raise LakeError(f"table {pin.table} holds nothing of {symbol!r}: {nearest(symbol, known)}")


def _as_table(frame: pd.DataFrame | pa.Table, what: str) -> pa.Table:
    names = list(frame.columns) if isinstance(frame, pd.DataFrame) else frame.column_names
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise SourceError(f"{what} have two columns {twice[0]!r}: leave one out")
    return pa.Table.from_pandas(frame, preserve_index=False) if isinstance(frame, pd.DataFrame) else frame


def _of_table(trades: pa.Table, quotes: pa.Table | None, rule: TickRule) -> pa.Table:
    of_trades = _by_symbol(trades, "trades")
    of_quotes = {} if quotes is None else _by_symbol(quotes, "quotes")
    none = None if quotes is None else quotes.slice(0, 0)
    made = [rule.bars(symbol, of_trades[symbol], of_quotes.get(symbol, none)) for symbol in sorted(of_trades)]
    bars = pa.concat_tables(made or [rule.schema.empty_table()])
    if rule.only and not bars.num_rows:
        check_conditions(trades["conditions"].cast(pa.string()).unique().to_pylist(), rule.only)
    return bars


def _by_symbol(rows: pa.Table, what: str) -> dict[str, pa.Table]:
    if "symbol" not in rows.column_names:
        raise SourceError(f"{what} have no column 'symbol': {nearest('symbol', rows.column_names)}")
    names = rows["symbol"].combine_chunks().cast(pa.string()).dictionary_encode()
    if names.null_count:
        raise SourceError(f"some of the {what} have no symbol: leave such rows out")
    if len(names.dictionary) == 1:
        return {names.dictionary[0].as_py(): rows}
    codes = names.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(names.dictionary) + 1))
    return {
        name: rows.take(pa.array(order[bounds[k] : bounds[k + 1]]))
        for k, name in enumerate(names.dictionary.to_pylist())
    }


def _on_spark(trades: DataFrame, quotes: DataFrame | None, rule: TickRule) -> DataFrame:
    """Return bars of symbols that lie, each whole, in one partition, whose rows come in order."""
    rows, keys = _told_apart(trades, "trades", ["price", "size"], rule)
    if quotes is not None:
        told, further = _told_apart(quotes, "quotes", ["bid", "ask"], rule)
        rows, keys = rows.unionByName(told, allowMissingColumns=True), [*keys, *further]
    apart = rows.repartition("symbol").sortWithinPartitions("symbol", "ts", *keys)
    return apart.mapInArrow(_per_partition(rule), rule.ddl)


def _told_apart(
    ticks: DataFrame, what: str, values: Sequence[str], rule: TickRule
) -> tuple[DataFrame, list[str]]:
    """Return ticks with columns that say what they are, and which put those of one instant in order."""
    from pyspark.sql import functions as F  # noqa: N812

    keys = order_columns(ticks.columns)[1:]
    asked = what == "trades" and (rule.only or rule.leave_out)
    needed = dict.fromkeys((*keys, *values, *(["conditions"] if asked else [])))
    for name in ("symbol", "ts", *needed):
        if name not in ticks.columns:
            raise SourceError(f"{what} have no column {name!r}: {nearest(name, ticks.columns)}")
    renamed = (F.col(f"`{name}`").alias(f"{what} {name}") for name in needed)
    rows = ticks.select("symbol", "ts", F.lit(what).alias("of"), *renamed)
    return rows, [f"`{what} {name}`" for name in keys]


def _per_partition(rule: TickRule) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def compute(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for symbol, runs in groupby(runs_of(batches), key=itemgetter(0)):
            if symbol is None:
                raise SourceError("some of the ticks have no symbol: leave such rows out")
            ticks = _InTurn(rows for _, rows in runs)
            quotes = ticks.of("quotes") if rule.quoted else None
            for made in rule.bars_of_parts(symbol, ticks.of("trades"), quotes):
                yield from made.to_batches()

    return compute


class _InTurn:
    """Trades and quotes of one symbol that come in one order of time, as those of each.

    Of the one that is not asked for, what came before the other's is held.

    Parameters
    ----------
    batches : iterable of RecordBatch
        As `_told_apart` makes them, in order.
    """

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = iter(batches)
        self._held: dict[str, list[pa.Table]] = {"trades": [], "quotes": []}

    def of(self, what: str) -> Iterator[pa.Table]:
        """Yield parts of trades, or of quotes."""
        while True:
            while not self._held[what]:
                if not self._read():
                    return
            yield self._held[what].pop(0)

    def _read(self) -> bool:
        """Hold what comes next; return whether anything did."""
        some: list[pa.RecordBatch] = []
        while sum(one.num_rows for one in some) < PART_ROWS and (batch := next(self._batches, None)):
            some.append(batch)
        if not some:
            return False
        rows = pa.Table.from_batches(some)
        for what, held in self._held.items():
            names = [name for name in rows.column_names if name.startswith(f"{what} ")]
            mine = rows.filter(pc.equal(rows["of"], what)).select(["ts", *names])
            if mine.num_rows:
                held.append(mine.rename_columns(["ts", *(name.removeprefix(f"{what} ") for name in names)]))
        return True
