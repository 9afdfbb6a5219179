"""Bars of trades, of all symbols at once on Spark, and in this process: the same function, the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from whatif.errors import LakeError, SourceError, nearest
from whatif.pins import (
    LakeLocation,
    all_of,
    current_pin,
    has_rows,
    moment_us,
    one_of,
    read_arrow,
    schema_of,
    symbols_of,
    within,
)
from whatif.ticks import (
    COLUMNS,
    QUOTE_COLUMNS,
    BarKind,
    Trades,
    bar_kind,
    bars_of,
    order_columns,
    quotes_in,
    trades_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame

_READ = {
    "trades_raw": ("symbol", "ts", "seq", "price", "size", "conditions"),
    "quotes": ("symbol", "ts", "seq", "bid", "ask"),
}


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
    """

    def __init__(
        self,
        kind: BarKind,
        only: Sequence[str],
        leave_out: Sequence[str],
        aggregates: Mapping[str, Callable[[Trades], float]],
        quoted: bool,
    ) -> None:
        self.kind, self.only, self.leave_out = kind, tuple(only), tuple(leave_out)
        self.aggregates, self.quoted = dict(aggregates), quoted

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
    quotes : the same kind of frame, optional
        Columns symbol, ts, bid, ask. Bars get bid, ask, mid and spread of the newest quotes at their end.
    only, leave_out : sequence of str
        Conditions of the trades that count: those with one of them, and without any of them. "none" is a
        trade that has no condition.
    aggregates : mapping of str to callable, optional
        Further columns: each gets the `whatif.ticks.Trades` of a bar and returns a number.

    Returns
    -------
    pandas or Spark DataFrame, or pyarrow Table
        As `trades` is: symbol and the columns of `whatif.ticks.bars_of`, by symbol and start. On Spark each
        symbol is computed by one task, and rows are in no order.

    Notes
    -----
    *Timing*: a bar that starts at ts is known at its `end`.

    Raises
    ------
    SourceError
        If a column is missing, or `bars` names no kind.
    """
    rule = TickRule(bar_kind(bars), only, leave_out, aggregates or {}, quotes is not None)
    taken = [name for name in COLUMNS | dict.fromkeys((*QUOTE_COLUMNS, "symbol")) if name in rule.aggregates]
    if taken:
        raise SourceError(f"aggregate {taken[0]!r} has the name of a column of bars: give it another one")
    if isinstance(trades, pa.Table):
        return _of_table(trades, quotes, rule)
    if isinstance(trades, pd.DataFrame):
        given = None if quotes is None else pa.Table.from_pandas(quotes, preserve_index=False)
        return _of_table(pa.Table.from_pandas(trades, preserve_index=False), given, rule).to_pandas()
    return _on_spark(trades, quotes, rule)


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
) -> pd.DataFrame:
    """Return bars of the lake's trades as a frame, by symbol and start. Starts no JVM.

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

    Raises
    ------
    LakeError
        If the lake has no trades of a symbol, naming the nearest that it has.
    """
    location = location or LakeLocation.from_environment()
    wanted = [symbols] if isinstance(symbols, str) else list(symbols)
    trades = read_ticks(wanted, "trades_raw", start, end, location)
    quotes = read_ticks(wanted, "quotes", start, end, location) if with_quotes else None
    made = collect_bars(trades, bars, quotes, only, leave_out, aggregates)
    return made.to_pandas()  # type: ignore[no-any-return]


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
    location = location or LakeLocation.from_environment()
    if table not in _READ:
        raise LakeError(f"table {table!r} holds no ticks: {nearest(table, _READ)}")
    if not has_rows(location, table):
        raise LakeError(f"the lake holds no {table.removesuffix('_raw')}: 'whatif ingest-ticks' brings some")
    pin = current_pin(location, table)
    first, last = moment_us(start), moment_us(end)
    rows = read_arrow(pin, _READ[table], all_of(one_of("symbol", list(symbols)), within("ts", first, last)))
    missing = sorted(set(symbols) - set(rows["symbol"].unique().to_pylist()))
    if missing:
        known = set(read_arrow(pin, ["symbol"])["symbol"].unique().to_pylist())
        for symbol in missing:
            if symbol not in known:
                raise LakeError(f"table {table} holds nothing of {symbol!r}: {nearest(symbol, known)}")
    return rows


def _of_table(trades: pa.Table, quotes: pa.Table | None, rule: TickRule) -> pa.Table:
    of_trades = _by_symbol(trades, "trades")
    of_quotes = {} if quotes is None else _by_symbol(quotes, "quotes")
    none = None if quotes is None else quotes.slice(0, 0)
    made = [rule.bars(symbol, of_trades[symbol], of_quotes.get(symbol, none)) for symbol in sorted(of_trades)]
    return pa.concat_tables(made or [rule.schema.empty_table()])


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
    from pyspark.sql import functions as F  # noqa: N812

    if quotes is not None:
        return _with_quotes(trades, quotes, rule)
    keys = order_columns(trades.columns)
    needed = ["symbol", *keys, "price", "size", *(["conditions"] if rule.only or rule.leave_out else [])]
    for name in needed:
        if name not in trades.columns:
            raise SourceError(f"trades have no column {name!r}: {nearest(name, trades.columns)}")
    rows = trades.select(*(F.col(f"`{name}`") for name in dict.fromkeys(needed)))
    apart = rows.repartition("symbol").sortWithinPartitions("symbol", *keys)
    return apart.mapInArrow(_per_partition(rule), rule.ddl)


def _per_partition(rule: TickRule) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def compute(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for symbol, rows in symbols_of(batches):
            yield from rule.bars(symbol, rows, None).to_batches()

    return compute


def _with_quotes(trades: DataFrame, quotes: DataFrame, rule: TickRule) -> DataFrame:
    def compute(left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
        if left.empty:
            return _naive(rule.schema.empty_table().to_pandas())
        symbol = str(left["symbol"].iloc[0])
        mine, theirs = (_as_table(frame) for frame in (left, right))
        return _naive(rule.bars(symbol, mine, theirs).to_pandas())

    grouped = trades.groupBy("symbol").cogroup(quotes.groupBy("symbol"))
    return grouped.applyInPandas(compute, schema=rule.ddl)


def _as_table(frame: pd.DataFrame) -> pa.Table:
    """Return rows of a group, whose instants are UTC by the session's time zone."""
    ts = pd.DatetimeIndex(frame["ts"])
    ts = ts.tz_localize("UTC") if ts.tz is None else ts.tz_convert("UTC")
    return pa.Table.from_pandas(frame.assign(ts=ts.as_unit("us")), preserve_index=False)


def _naive(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{name: frame[name].dt.tz_localize(None) for name in ("ts", "end")})
