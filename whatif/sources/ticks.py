"""Trades and quotes into the lake, from files: tables `trades_raw` and `quotes`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from whatif.domain import broken_symbol
from whatif.errors import LakeError, SourceError
from whatif.lake import (
    BARS_QUARANTINE,
    QUOTES,
    TRADES_RAW,
    TableSpec,
    append_arrow,
    create_tables,
    delete_rows,
    delivery_id,
    is_file,
    writer_lock,
)
from whatif.pins import (
    LakeLocation,
    all_of,
    current_pin,
    equal,
    has_rows,
    in_words,
    one_of,
    read_arrow,
    schema_of,
    type_of,
    within,
)
from whatif.sources.chunk import Chunk, NoRowsError
from whatif.sources.files import find_files
from whatif.sources.kinds import file_kind
from whatif.sources.limits import ACCEPT, CORRECTED_SHARE, MISREAD_SHARE, REFUSED_SHARE, exceeds
from whatif.sources.news import changes_of, merge_rows
from whatif.sources.numbers import read_numbers
from whatif.sources.rules import RULES
from whatif.sources.spec import IngestSpec
from whatif.sources.times import read_times
from whatif.typing import BoolArray, FloatArray

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MAX_ROWS = 30_000_000
"""Ticks of a delivery that this process holds, some 100 bytes each."""

SUSPICIOUS = "suspicious"
"""Condition of ticks that Lean's files mark so."""

TABLES: Mapping[str, TableSpec] = {"trades": TRADES_RAW, "quotes": QUOTES}

TICK_RULES: Mapping[str, str] = {
    **{name: RULES[name] for name in ("wrong_field_count", "missing_symbol", "unparsable_time",
                                      "implausible_date", "ambiguous_time", "nonexistent_time")},
    "unparsable_number": "prices and sizes are numbers",
    "missing_price": "a trade has a price, and a quote a bid or an ask",
    "not_finite": "no price and no size is infinite",
    "non_positive_price": "every price is above zero",
    "missing_size": "a trade has a size",
    "non_positive_size": "the size of a trade is above zero, and that of a quote is not below it",
}  # fmt: skip
"""Rules for ticks; the order is that in which they are tried."""

_ONE_BY_ONE = ("missing_price", "not_finite", "non_positive_price", "missing_size", "non_positive_size")
"""Rules that single rows break; many that break another one mean that the file was misread."""

_NUMBERS = {"trades": ("price", "size"), "quotes": ("bid", "bid_size", "ask", "ask_size")}
_PRICES = {"trades": ("price",), "quotes": ("bid", "ask")}


@dataclass(frozen=True)
class TicksReport:
    """What came of an ingest of ticks.

    Attributes
    ----------
    files : int
        Files that were read.
    came : int
        Rows in them: the sum of `landed`, `already_there`, `corrected` and the refused.
    landed, already_there, corrected : mapping of str to int
        "trades" or "quotes" → new ones, those that the lake holds with the same values, and with others.
    refused : mapping of str to int
        Rule → rows in quarantine for breaking it.
    crossed : int
        Quotes whose bid is above the ask; they land, marked.
    disordered : int
        Rows that came earlier in time than the one before them; they were put in order.
    symbols : int
        Symbols of the ticks.
    dry_run : bool
        Whether nothing was written.
    delivery : str
        Name of the ingest, by which `forget_ticks` takes it back; "" where nothing landed.
    """

    files: int
    came: int = 0
    landed: Mapping[str, int] = field(default_factory=dict)
    already_there: Mapping[str, int] = field(default_factory=dict)
    corrected: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    crossed: int = 0
    disordered: int = 0
    symbols: int = 0
    dry_run: bool = False
    delivery: str = ""

    def summary(self) -> str:
        """Return the figures as text for a terminal."""
        would = "would land" if self.dry_run else "landed"
        parts = []
        for name in TABLES:
            figures = [self.landed.get(name, 0), self.already_there.get(name, 0), self.corrected.get(name, 0)]
            if any(figures):
                new, same, other = figures
                parts.append(f"{new:,} {name} {would}, {same:,} already there, {other:,} corrected")
        lines = [
            f"{self.files:,} file{'s' * (self.files != 1)}, {self.came:,} ticks of {self.symbols:,} "
            f"symbol{'s' * (self.symbols != 1)} came: "
            + "; ".join([*parts, f"{sum(self.refused.values()):,} refused"])
        ]
        lines += [f"  {count:>10,} {rule} (rule: {TICK_RULES[rule]})" for rule, count in self.refused.items()]
        if self.crossed:
            lines.append(f"  note: {self.crossed:,} quotes are crossed, and marked so")
        if self.delivery:
            lines.append(f"  delivery {self.delivery}: 'whatif forget --ticks --delivery' takes it back")
        if self.disordered:
            lines.append(f"  note: {self.disordered:,} ticks came out of order, and were put into it")
        return "\n".join([*lines, *(["  dry run: nothing was written"] if self.dry_run else [])])


def ingest_ticks(
    paths: Sequence[str | Path],
    spec: IngestSpec | None = None,
    location: LakeLocation | None = None,
    spark: SparkSession | None = None,
    dry_run: bool = False,
) -> TicksReport:
    """Read trades or quotes into the lake. The same ticks twice add nothing.

    Parameters
    ----------
    paths : sequence of str or Path
        Files, folders, globs or URIs: CSV and Parquet with ts, price and size, or ts, bid and ask; Lean's
        zips of ticks, whose paths say which they are.
    spec : IngestSpec, optional
        How to read them; `rows` is "trades" or "quotes". Needs `exchange`, but for Lean's files.
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.
    spark : SparkSession, optional
        Writes, where tables are in a catalog service; a local lake needs none.
    dry_run : bool
        Say what would come of it and write nothing.

    Notes
    -----
    A tick is known by symbol, instant and its number among those of that instant, in the order of files and
    rows. Which instant it lies in does not depend on the order of rows.

    Raises
    ------
    SourceError
        If a file cannot be read, or too much would be refused or corrected (unless `spec.accept`); nothing
        has been written then.
    LakeLockedError
        If another process is writing to the lake.
    """
    spec = spec or IngestSpec(rows="trades")
    if spec.rows not in TABLES:
        raise SourceError(f"a row of {spec.rows} is no tick: say rows='trades' or rows='quotes'")
    location = location or LakeLocation.from_environment()
    now = datetime.now(UTC)
    files = find_files(paths, spec.format, what="ticks")
    read = _read(files, spec)
    refused = _quarantined(read.refused, now)
    count = Counter(refused["rule"].to_pylist())
    report = TicksReport(
        files=len(files),
        came=sum(table.num_rows for table in read.ticks.values()) + refused.num_rows,
        refused={name: count[name] for name in TICK_RULES if count[name]},
        disordered=read.disordered,
        symbols=len(
            {name for table in read.ticks.values() for name in pc.unique(table["symbol"]).to_pylist()}
        ),
        dry_run=dry_run,
    )
    lock = writer_lock(location, f"ingest of ticks, {len(files)} files, first {files[0]}")
    with nullcontext() if dry_run else lock, in_words(location.described):
        found = {name: _against_lake(location, TABLES[name], rows) for name, rows in read.ticks.items()}
        report = _counted(report, read.ticks, found)
        if not spec.accept:
            _check_limits(report, refused)
        if not dry_run:
            for name, (new, changed) in found.items():
                _write(location, spark, TABLES[name], _stamped(new, now), _stamped(changed, now))
            broken = changes_of(location, BARS_QUARANTINE, refused)
            merge_rows(location, spark, BARS_QUARANTINE, pa.concat_tables(broken))
            if sum(report.landed.values()) + sum(report.corrected.values()):
                report = replace(report, delivery=delivery_id(now))
    return report


@dataclass(frozen=True, eq=False)
class _Read:
    """Ticks of a delivery in order, by table; refused rows; and how many came out of order."""

    ticks: Mapping[str, pa.Table]
    refused: pa.Table
    disordered: int


_REFUSED = schema_of(
    {"source": "string", "row": "bigint", "line": "bigint", "symbol": "string", "ts": "timestamp",
     "raw": "string", "rule": "string"}
)  # fmt: skip


def _schema(table: TableSpec, without: Sequence[str]) -> pa.Schema:
    return schema_of({name: kind for name, kind in table.columns if name not in without})


def _read(files: Sequence[str], spec: IngestSpec) -> _Read:
    """Return all ticks of files, in the order of symbol, instant, file and row."""
    parts: dict[str, list[pa.Table]] = {}
    refused: list[pa.Table] = [_REFUSED.empty_table()]
    came = disordered = 0
    for file in files:
        rows = file_kind(file, spec.format).rows_of(file, spec)
        own = replace(spec, rows=rows, columns=spec.columns if rows == spec.rows else {})
        latest: dict[str, int] = {}
        for chunk in _chunks(file, own):
            ticks, broken = _normalized(chunk, rows)
            came += ticks.num_rows
            if came > MAX_ROWS:
                raise SourceError(
                    f"more than {MAX_ROWS:,} ticks are named: ingest some of the files at a time, such as a "
                    "month; nothing was written"
                )
            disordered += _going_back(ticks, latest)
            parts.setdefault(rows, []).append(ticks)
            refused.append(broken)
    ticks_of = {rows: _numbered(pa.concat_tables(tables)) for rows, tables in parts.items()}
    return _Read(ticks_of, pa.concat_tables(refused), disordered)


def _chunks(file: str, spec: IngestSpec) -> Iterator[Chunk]:
    """Yield the chunks of a file with row numbers; a quiet day's, of a header alone, has none."""
    done = 0
    try:
        for chunk in file_kind(file, spec.format)(spec=spec).read_file(file):
            if chunk.row is None:
                chunk = replace(chunk, row=chunk.numbers() + done)
                done += len(chunk)
            yield chunk
    except NoRowsError:
        return


def _normalized(chunk: Chunk, rows: str) -> tuple[pa.Table, pa.Table]:
    """Return the ticks of a chunk, without `seq`, and the rows that break a rule."""
    n, columns, layout = len(chunk), chunk.columns, chunk.layout
    if not n:
        return _schema(TABLES[rows], ("seq", "ingested_at")).empty_table(), _misfits(chunk)
    times = read_times(columns["ts"], layout, False, before=int(chunk.numbers()[0]) - 1)
    values, bad = {}, np.zeros(n, dtype=bool)
    for name in _NUMBERS[rows]:
        if name in columns:
            values[name], broken = read_numbers(columns[name], layout.numbers)
            bad |= broken
        else:
            values[name] = np.full(n, np.nan)
    for name in _PRICES[rows]:
        values[name] = values[name] / layout.price_unit
    if rows == "quotes":
        _drop_empty_sides(values)
    symbol = (
        _texts(chunk, "symbol")
        if "symbol" in columns
        else pa.repeat(pa.scalar(layout.symbol, pa.string()), n)
    )
    rule = _first_rule(_broken(rows, values, bad, times.broken, symbol), n)
    good = np.array([name is None for name in rule], dtype=bool)
    stamps = pa.array(times.us, mask=~times.known).cast(type_of("timestamp"))
    every = {
        "symbol": symbol, "ts": stamps, **{name: pa.array(one) for name, one in values.items()},
        "conditions": _conditions(chunk), "venue": _texts(chunk, "venue"),
        "exchange": pa.repeat(layout.exchange, n), "source": pa.repeat(layout.source, n),
        "row": pa.array(chunk.numbers()),
    }  # fmt: skip
    if rows == "quotes":
        with np.errstate(invalid="ignore"):
            every["crossed"] = pa.array(values["bid"] > values["ask"])
        for name, one in values.items():
            every[name] = pa.array(one, mask=np.isnan(one))
    schema = _schema(TABLES[rows], ("seq", "ingested_at"))
    ticks = pa.table([every[name] for name in schema.names], schema=schema)
    if good.all():
        return ticks, _misfits(chunk)
    at = np.flatnonzero(~good)
    lines = pa.nulls(n, pa.int64()) if chunk.lines is None else pa.array(chunk.lines.of(chunk.numbers()))
    broken_rows = pa.table(
        [*(column.take(pa.array(at)) for column in (every["source"], every["row"], lines, symbol, stamps)),
         pa.array([chunk.text(int(k)) for k in at], pa.string()), pa.array(rule[at], pa.string())],
        schema=_REFUSED,
    )  # fmt: skip
    return ticks.filter(pa.array(good)), pa.concat_tables([broken_rows, _misfits(chunk)])


def _drop_empty_sides(values: dict[str, FloatArray]) -> None:
    """Take a side of price 0 for one that the quote does not tell."""
    for price, size in (("bid", "bid_size"), ("ask", "ask_size")):
        none = values[price] == 0.0
        values[price] = np.where(none, np.nan, values[price])
        values[size] = np.where(none | np.isnan(values[price]), np.nan, values[size])


def _broken(
    rows: str,
    values: Mapping[str, FloatArray],
    bad: BoolArray,
    times: Mapping[str, BoolArray],
    symbol: pa.Array,
) -> dict[str, BoolArray]:
    """Return for each rule which rows break it."""
    prices = np.vstack([values[name] for name in _PRICES[rows]])
    sizes = np.vstack([values[name] for name in _NUMBERS[rows] if name not in _PRICES[rows]])
    names = pd.Series(symbol.to_pandas())
    unfit = {name for name in names.dropna().unique() if broken_symbol(str(name))}
    with np.errstate(invalid="ignore"):
        return {
            "missing_symbol": np.asarray(names.isna() | names.isin(unfit), dtype=bool),
            **times,
            "unparsable_number": bad,
            "missing_price": ~_any_row(~np.isnan(prices)),
            "not_finite": _any_row(np.isinf(prices)) | _any_row(np.isinf(sizes)),
            "non_positive_price": _any_row(prices <= 0.0),
            "missing_size": _any_row(np.isnan(sizes)) & (rows == "trades"),
            "non_positive_size": _any_row(sizes <= 0.0 if rows == "trades" else sizes < 0.0),
        }


def _any_row(table: BoolArray) -> BoolArray:
    found: BoolArray = np.logical_or.reduce(table, axis=0)
    return found


def _first_rule(broken: Mapping[str, BoolArray], n: int) -> np.ndarray:
    rule = np.full(n, None, dtype=object)
    for name in reversed([name for name in TICK_RULES if name in broken]):
        rule[broken[name]] = name
    return rule


def _texts(chunk: Chunk, name: str) -> pa.Array:
    """Return a column as text, null where it is blank or not there."""
    if name not in chunk.batch.schema.names:
        return pa.nulls(len(chunk), pa.string())
    text = pc.utf8_trim_whitespace(chunk.batch[name].cast(pa.string()))
    return pc.if_else(pc.equal(text, ""), None, text)


def _conditions(chunk: Chunk) -> pa.Array:
    """Return the conditions of ticks, of which being suspicious is one."""
    text = _texts(chunk, "conditions")
    marked = _texts(chunk, "suspicious")
    if marked.null_count == len(chunk):
        return text
    wrong = pc.and_(pc.is_valid(marked), pc.invert(pc.is_in(marked, pa.array(["0", "False", "false"]))))
    joined = pc.binary_join_element_wise(text, SUSPICIOUS, ",", null_handling="skip")
    return pc.if_else(pc.fill_null(wrong, False), joined, text)


def _misfits(chunk: Chunk) -> pa.Table:
    rows = np.array([row for row, _ in chunk.misfits], dtype=np.int64)
    lines = [None] * len(rows) if chunk.lines is None else chunk.lines.of(rows).tolist()
    found = [
        {"source": chunk.layout.source, "row": row, "line": line, "symbol": chunk.layout.symbol, "raw": raw,
         "rule": "wrong_field_count"}
        for (row, raw), line in zip(chunk.misfits, lines, strict=True)
    ]  # fmt: skip
    return pa.Table.from_pylist(found, _REFUSED)


def _going_back(ticks: pa.Table, latest: dict[str, int]) -> int:
    """Return how many ticks are earlier than the one of their symbol before them."""
    names = ticks["symbol"].combine_chunks().dictionary_encode()
    codes, ts, count = names.indices.to_numpy(), ticks["ts"].cast(pa.int64()).to_numpy(), 0
    for code, name in enumerate(names.dictionary.to_pylist()):
        mine = ts[codes == code]
        count += int((np.diff(mine, prepend=latest.get(name, mine[0])) < 0).sum())
        latest[name] = int(mine[-1])
    return count


def _numbered(ticks: pa.Table) -> pa.Table:
    """Return ticks in the order of symbol and instant, those of one instant as they came and numbered so."""
    names = ticks["symbol"].combine_chunks().dictionary_encode()
    words = np.array(names.dictionary.to_pylist(), dtype=object)
    place = np.empty(len(words), dtype=np.int64)
    place[np.argsort(words, kind="stable")] = np.arange(len(words))
    owner = place[names.indices.to_numpy()] if len(words) else np.zeros(0, dtype=np.int64)
    ts = ticks["ts"].cast(pa.int64()).to_numpy()
    order = np.lexsort((np.arange(len(ts)), ts, owner))
    owner, ts = owner[order], ts[order]
    begins = np.append(True, (np.diff(owner) != 0) | (np.diff(ts) != 0))[: len(ts)]
    at = np.arange(len(ts))
    seq = at - np.maximum.accumulate(np.where(begins, at, 0))
    return ticks.take(pa.array(order)).append_column("seq", pa.array(seq.astype(np.int64)))


_AS_BROUGHT = ("exchange", "source", "row")
"""Columns that do not make a tick another one."""


def _against_lake(location: LakeLocation, table: TableSpec, rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Return the ticks that the lake does not hold, and those that it holds with other values."""
    if not rows.num_rows or not has_rows(location, table.name):
        return rows, rows.slice(0, 0)
    bounds = pc.min_max(rows["ts"].cast(pa.int64())).as_py()
    near = [within("ts", bounds["min"], bounds["max"] + 1)]
    symbols = pc.unique(rows["symbol"]).to_pylist()
    if len(symbols) <= 200:
        near.append(one_of("symbol", sorted(symbols)))
    names = [name for name in rows.column_names if name not in _AS_BROUGHT]
    held = read_arrow(current_pin(location, table.name), names, all_of(*near))
    return changes_of(location, table, rows, held.cast(rows.select(names).schema))


def _counted(
    report: TicksReport, ticks: Mapping[str, pa.Table], found: Mapping[str, tuple[pa.Table, pa.Table]]
) -> TicksReport:
    landed = {name: new.num_rows for name, (new, _) in found.items()}
    corrected = {name: changed.num_rows for name, (_, changed) in found.items()}
    same = {name: rows.num_rows - landed[name] - corrected[name] for name, rows in ticks.items()}
    crossed = pc.sum(ticks["quotes"]["crossed"]).as_py() or 0 if "quotes" in ticks else 0
    return replace(report, landed=landed, corrected=corrected, already_there=same, crossed=crossed)


def _check_limits(report: TicksReport, refused: pa.Table) -> None:
    misread = sum(n for rule, n in report.refused.items() if rule not in _ONE_BY_ONE)
    corrected, total = sum(report.corrected.values()), sum(report.refused.values())
    faults = []
    if exceeds(misread, report.came, MISREAD_SHARE):
        faults.append(
            f"{misread:,} of {report.came:,} rows cannot be read as ticks (at most {MISREAD_SHARE:.0%} may)"
        )
    elif exceeds(total, report.came, REFUSED_SHARE) or (total and total == report.came):
        faults.append(f"{total:,} of {report.came:,} rows break a rule (at most {REFUSED_SHARE:.0%} may)")
    if exceeds(corrected, report.came, CORRECTED_SHARE):
        faults.append(
            f"{corrected:,} of {report.came:,} ticks would overwrite others of the lake (at most "
            f"{CORRECTED_SHARE:.0%} may): files of several venues for one symbol and time belong together"
        )
    if faults:
        rules = "".join(f"\n  {n:,} {rule} (rule: {TICK_RULES[rule]})" for rule, n in report.refused.items())
        first = f"\n  the first: {refused['raw'][0].as_py()}" if refused.num_rows else ""
        raise SourceError(
            f"the ticks are refused: {'; '.join(faults)}{rules}{first}\nnothing was written: mend the "
            f"options or the files, or {ACCEPT}"
        )


def _quarantined(rows: pa.Table, now: datetime) -> pa.Table:
    """Return refused rows as the table of the quarantine has them."""
    schema = _schema(BARS_QUARANTINE, ())
    stamped = _stamped(rows.append_column("timeframe", pa.nulls(rows.num_rows, pa.string())), now)
    return stamped.select(schema.names).cast(schema)


def _stamped(rows: pa.Table, at: datetime) -> pa.Table:
    return rows.append_column("ingested_at", pa.repeat(pa.scalar(at, type_of("timestamp")), rows.num_rows))


def _write(
    location: LakeLocation, spark: SparkSession | None, table: TableSpec, new: pa.Table, changed: pa.Table
) -> None:
    """Write ticks in one commit."""
    if changed.num_rows or not new.num_rows or not (spark is None or location.local):
        merge_rows(location, spark, table, pa.concat_tables([new, changed]))
        return
    create_tables(spark, location, (table,))
    append_arrow(location, table, new)


def forget_ticks(
    location: LakeLocation | None = None,
    symbol: str | None = None,
    source: str | None = None,
    delivery: str | None = None,
    dry_run: bool = False,
) -> dict[str, int]:
    """Take ticks out of the local lake, as a new snapshot; what is given must hold together.

    A tick that was corrected goes as well, and does not become again what it was: ingest its file again.

    Parameters
    ----------
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.
    symbol, source, delivery : str, optional
        At least one: a symbol; a file (its path, the end of it, or a folder); a delivery's id, or its
        beginning.
    dry_run : bool
        Count, and write nothing.

    Returns
    -------
    dict of str to int
        "trades" and "quotes" → ticks that are gone.

    Raises
    ------
    LakeError
        If nothing is named, nothing of it is there, or the tables are in a catalog service.
    """
    location = location or LakeLocation.from_environment()
    if symbol is None and source is None and delivery is None:
        raise LakeError("nothing is named: give --symbol, --source or --delivery")
    if not location.local:
        raise LakeError(
            f"ticks in {location.described} are not taken out by this command: DELETE FROM trades_raw "
            "WHERE … in Spark does"
        )
    gone: dict[str, int] = {}
    with nullcontext() if dry_run else writer_lock(location, "forget ticks"), in_words(location.described):
        for name, table in TABLES.items():
            if not has_rows(location, table.name):
                continue
            mine = _named(location, table, symbol, source, delivery)
            gone[name] = sum(key["count_all"] for key in mine)
            if mine and not dry_run:
                terms = [] if symbol is None else [equal("symbol", symbol)]
                terms += [] if source is None else [one_of("source", sorted({key["source"] for key in mine}))]
                if delivery is not None:
                    at = int(mine[0]["ingested_at"].timestamp() * 1_000_000)
                    terms.append(within("ingested_at", at, at + 1))
                delete_rows(location, table, all_of(*terms))
    if not sum(gone.values()):
        raise LakeError("no tick of the lake is of all that was named")
    return gone


def _named(
    location: LakeLocation, table: TableSpec, symbol: str | None, source: str | None, delivery: str | None
) -> list[dict[str, Any]]:
    """Return how many ticks of what is named each file and delivery brought."""
    terms = [] if symbol is None else [equal("symbol", symbol)]
    told = read_arrow(current_pin(location, table.name), ["source", "ingested_at"], all_of(*terms))
    keys = told.group_by(["source", "ingested_at"]).aggregate([([], "count_all")]).to_pylist()
    mine = [
        key for key in keys
        if (source is None or is_file(key["source"], source))
        and (delivery is None or delivery_id(key["ingested_at"]).startswith(delivery))
    ]  # fmt: skip
    ids = sorted({delivery_id(key["ingested_at"]) for key in mine})
    if delivery is not None and len(ids) > 1:
        raise LakeError(f"delivery {delivery!r} is the beginning of {', '.join(ids)}: give it whole")
    return mine
