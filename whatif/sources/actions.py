"""Ingestion of splits, dividends and changes of symbols, from CSV and Lean's factor and map files."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from whatif.domain import broken_symbol
from whatif.errors import SourceError
from whatif.lake import BARS, CORPORATE_ACTIONS, SYMBOL_NAMES, writer_lock
from whatif.pins import (
    DIVIDEND,
    RENAMES,
    SPLIT,
    LakeLocation,
    Named,
    contradiction,
    current_pin,
    has_rows,
    in_words,
    one_of,
    read_arrow,
)
from whatif.sources.base import Source
from whatif.sources.columns import bare_name
from whatif.sources.files import find_files
from whatif.sources.news import changes_of, merge_rows, table_of
from whatif.sources.opening import open_binary
from whatif.sources.stamps import formats_of
from whatif.texts import shown

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SYMBOLS = ("symbol", "ticker", "sym", "code")
_DATES = ("ex date", "exdate", "ex dividend date", "effective date", "date", "timestamp", "execution date")
_KINDS = ("kind", "type", "action")
_VALUES = ("value", "amount", "ratio")
_DIVIDENDS = ("dividends", "dividend", "dividend amount", "cash amount", "div cash")
_SPLITS = ("stock splits", "split", "split ratio", "split coefficient", "split factor", "splits")
_OF_DIVIDENDS = ("ex dividend date",)
"""Dates that only dividends have: an amount beside one is its cash."""

_FILE = re.compile(r"(?i)(?:daily_adjusted|dividends?|splits?)_(?P<symbol>[^_].*)")
"""How files are named that Alpha Vantage's answers are saved to."""

_RATIO = re.compile(r"(?P<new>\d+(?:\.\d+)?)[\s-]*(?:[:/]|for|to)[\s-]*(?P<old>\d+(?:\.\d+)?)", re.IGNORECASE)
_LEAN = re.compile(r"\d{8},[\d.eE+-]+,[\d.eE+-]+(,[\d.eE+-]*)?\s*")
_MAP = re.compile(r"\d{8},[^,]*(,[^,]*){0,2}")
_NOW = date(2050, 12, 31)
"""The date that Lean's map files write for a name that holds."""

_NUMBERED = re.compile(r"\.\d+$")
"""What Lean adds to names of map files of securities whose name is another's now."""

_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class ActionsReport:
    """What came of an ingest of corporate actions.

    Attributes
    ----------
    files : int
        Files that were read.
    splits, dividends : int
        Actions in them.
    symbols : int
        Symbols that they are of.
    landed, corrected : int
        Those that are new, and those that the lake held with other values.
    dry_run : bool
        Whether nothing was written.
    notes : tuple of str
        Symbols of which the lake's bars are of other dates.
    maps, renamed : int
        Securities whose names were told, and those that had more than one.
    names_landed, names_corrected : int
        Names among them that are new, and those that the lake held otherwise.
    """

    files: int
    splits: int
    dividends: int
    symbols: int
    landed: int
    corrected: int
    dry_run: bool = False
    notes: tuple[str, ...] = ()
    maps: int = 0
    renamed: int = 0
    names_landed: int = 0
    names_corrected: int = 0

    def summary(self) -> str:
        """Return the figures as text for a terminal."""
        would = "would land" if self.dry_run else "landed"
        line = (
            f"{self.files:,} file{'s' * (self.files != 1)}: {self.splits:,} splits and {self.dividends:,} "
            f"dividends of {self.symbols:,} symbols; {self.landed:,} {would}, {self.corrected:,} corrected"
        )
        lines = [line]
        if self.maps:
            lines.append(
                f"  names of {self.maps:,} securit{'y' if self.maps == 1 else 'ies'}, {self.renamed:,} of "
                f"which had more than one; {self.names_landed:,} {would}, {self.names_corrected:,} corrected"
            )
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join([*lines, *(["dry run: nothing was written"] if self.dry_run else [])])


def ingest_actions(
    paths: Sequence[str | Path] | Source,
    location: LakeLocation | None = None,
    spark: SparkSession | None = None,
    symbol: str | None = None,
    dry_run: bool = False,
) -> ActionsReport:
    """Read splits, dividends and names into the lake. The same files twice add nothing; bars are not changed.

    Parameters
    ----------
    paths : sequence of str or Path, or Source
        A source that tells some; or CSV files, folders, globs or URIs. Of a row with `date, kind, value`
        (kind split or dividend; a ratio as 7, 7:1 or 7 for 1), or of columns of dividends and splits as
        yfinance and Alpha Vantage write them; or Lean's factor files and map files, `SYMBOL.csv`.
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.
    spark : SparkSession, optional
        Writes, where tables are in a catalog service; a local lake needs none.
    symbol : str, optional
        Of all rows; else a column's, or the file's name's.
    dry_run : bool
        Say what would come of it and write nothing.

    Raises
    ------
    SourceError
        If a file or a row cannot be read, or maps contradict each other; nothing has been written then.
    LakeLockedError
        If another process is writing to the lake.
    """
    location = location or LakeLocation.from_environment()
    if symbol is not None and (broken := broken_symbol(symbol)):
        raise SourceError(f"the symbol {shown(symbol)} {broken}")
    if isinstance(paths, Source):
        if symbol is not None:
            raise SourceError(f"a symbol of all rows is for files, and {paths.label} names them itself")
        files: Sequence[str] = [paths.label]
    else:
        files = find_files(paths, endings=(".csv", ".csv.gz"), what="splits and dividends")
    now = datetime.now(UTC)
    found, maps, of_maps = _gathered(paths, files, symbol, now)
    rows = table_of(CORPORATE_ACTIONS, list(found.values()))
    lock = writer_lock(location, f"ingest of actions, {len(files)} files, first {files[0]}")
    with nullcontext() if dry_run else lock, in_words(location.described):
        told = _names(location, maps, of_maps)
        names = table_of(SYMBOL_NAMES, [{**row, "ingested_at": now} for row in told])
        new, changed = changes_of(location, CORPORATE_ACTIONS, rows)
        named, renamed = changes_of(location, SYMBOL_NAMES, names)
        if not dry_run:
            merge_rows(location, spark, CORPORATE_ACTIONS, pa.concat_tables([new, changed]))
            merge_rows(location, spark, SYMBOL_NAMES, pa.concat_tables([named, renamed]))
    kinds = [row["kind"] for row in found.values()]
    return ActionsReport(
        files=len(files),
        splits=kinds.count(SPLIT),
        dividends=kinds.count(DIVIDEND),
        symbols=len({row["symbol"] for row in found.values()}),
        landed=new.num_rows,
        corrected=changed.num_rows,
        dry_run=dry_run,
        notes=tuple(_of_other_dates(location, list(found.values()))),
        maps=len(maps),
        renamed=sum(len(held) > 1 for held in maps.values()),
        names_landed=named.num_rows,
        names_corrected=renamed.num_rows,
    )


def _gathered(
    paths: Sequence[str | Path] | Source, files: Sequence[str], symbol: str | None, now: datetime
) -> tuple[dict[tuple[Any, ...], dict[str, Any]], dict[str, list[Named]], dict[str, str]]:
    """Return the actions by their key, names of securities by symbol, and the files that told those.

    Raises
    ------
    SourceError
        If two of them contradict each other, or there are none.
    """
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    maps: dict[str, list[Named]] = {}
    of_maps: dict[str, str] = {}
    for path in files:
        for row in _of_source(paths) if isinstance(paths, Source) else _read(path, symbol):
            if isinstance(row, Named):
                if of_maps.setdefault(row.symbol, path) != path:
                    other = of_maps[row.symbol]
                    raise SourceError(f"{path}: {row.symbol} has a map in {other} too: keep one")
                maps.setdefault(row.symbol, []).append(row)
                continue
            key = tuple(row[name] for name in CORPORATE_ACTIONS.key)
            before = found.get(key)
            if before is not None and before["source"] == path and before["value"] != row["value"]:
                raise SourceError(
                    f"{path}: {row['symbol']} has two {row['kind']}s on {row['ex_date']}: "
                    f"{before['value']:g} and {row['value']:g}; keep one, or add them up"
                )
            found[key] = {**row, "source": path, "ingested_at": now}
    if not found and not maps:
        raise SourceError(f"{files[0]}: holds no split and no dividend: name a file, or symbols, with some")
    return found, maps, of_maps


def _names(
    location: LakeLocation, maps: Mapping[str, Sequence[Named]], of_maps: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the rows that maps make of the table of names; those that hold no longer have the ticker "".

    A map takes the place of the lake's map of the same symbol, and of that whose security it is: one with the
    same first name and date, as Lean tells securities apart.

    Raises
    ------
    SourceError
        If one name would be two securities' at once.
    """
    if not maps:
        return []
    columns = ("symbol", "nth", "ticker", "from", "to", "source")
    stored = (
        read_arrow(current_pin(location, RENAMES), columns).to_pylist() if has_rows(location, RENAMES) else []
    )
    held: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(stored, key=lambda row: (row["symbol"], row["nth"])):
        held.setdefault(row["symbol"], []).append(row)
    begins = {(some[0].ticker, some[0].first): symbol for symbol, some in maps.items()}
    made, kept = [], []
    for symbol, some in held.items():
        is_now = begins.get((some[0]["ticker"], some[0]["from"]), symbol)
        if symbol not in maps and is_now == symbol:
            kept += [Named(symbol, row["ticker"], row["from"], row["to"]) for row in some if row["ticker"]]
        for row in some[len(maps.get(symbol, ())) :] if symbol in maps or is_now != symbol else ():
            gone = {**row, "ticker": "", "from": None, "to": None}
            made.append(gone if not row["ticker"] else {**gone, "source": of_maps[is_now]})
    for symbol, told in maps.items():
        for nth, one in enumerate(told):
            row = {"symbol": symbol, "nth": nth, "ticker": one.ticker, "from": one.first, "to": one.end}
            made.append({**row, "source": of_maps[symbol]})
    if wrong := contradiction([*kept, *(one for some in maps.values() for one in some)]):
        raise SourceError(
            f"{next(iter(of_maps.values()))}: names contradict each other: {wrong}; nothing was written: "
            "ingest the map files of one day, all in one command"
        )
    return made


_MAX_NOTES = 10


def _of_other_dates(location: LakeLocation, actions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a note on each symbol of which no action lies within the dates of the lake's bars."""
    days: dict[str, list[date]] = {}
    for action in actions:
        days.setdefault(action["symbol"], []).append(action["ex_date"])
    if not has_rows(location, BARS.name):
        return
    wanted = one_of("symbol", sorted(days))
    bars = read_arrow(current_pin(location, BARS.name), ["symbol", "session"], wanted)
    held = bars.group_by("symbol").aggregate([("session", "min"), ("session", "max")]).to_pylist()
    apart = []
    for row in sorted(held, key=lambda row: row["symbol"]):
        first, last, own = row["session_min"], row["session_max"], days[row["symbol"]]
        if not any(first < day <= last for day in own):
            effect = "change none of them" if max(own) <= first else "do not change one against another"
            apart.append(
                f"{row['symbol']}: the lake's bars are of {first} to {last}, and its {len(own):,} actions of "
                f"{min(own)} to {max(own)}, none of which lies between: they {effect}; is it the right file?"
            )
    unknown = sorted(set(days) - {row["symbol"] for row in held})
    if unknown:
        many = f"{len(unknown):,} of their symbols, first {unknown[0]}" if len(unknown) > 1 else unknown[0]
        yield f"the lake has no bars of {many}: actions count once there are some under that name"
    yield from apart[:_MAX_NOTES]
    if len(apart) > _MAX_NOTES:
        yield f"… and {len(apart) - _MAX_NOTES:,} more symbols of that kind"


def _of_source(source: Source) -> Iterator[dict[str, Any]]:
    """Yield the actions of a source, as `_read`."""
    for given in source.actions():
        yield {"factor": None, **given}


def _read(path: str, symbol: str | None) -> Iterator[dict[str, Any] | Named]:
    """Yield a file's actions: symbol, ex_date, kind, value, factor; or the names that a map file tells."""
    with open_binary(path) as stream:
        content = stream.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise SourceError(f"{path}: has more than {_MAX_BYTES:,} bytes: give it in parts")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: is no text in UTF-8 ({error}): convert it") from error
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    if not lines:
        raise SourceError(f"{path}: is empty: name a file with rows")
    stem = PurePosixPath(path.replace("\\", "/")).name.partition(".")[0]
    of_function = _FILE.fullmatch(stem)
    name = symbol or (of_function["symbol"] if of_function else stem).upper()
    # a class of shares stands behind a point, as in TAP.A
    of_lean = symbol or _lean_name(path)
    if all(_LEAN.fullmatch(line) for line in lines):
        yield from _of_factors(path, of_lean, lines)
    elif all(_MAP.fullmatch(line.strip()) for line in lines):
        yield from _of_map(path, of_lean, symbol is not None, lines)
    else:
        yield from _of_csv(path, symbol, name, lines)


def _of_factors(path: str, symbol: str, lines: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the actions between the rows of a factor file, whose factors hold up to their dates.

    A row has date, price factor, split factor and the close of that date. The next row's factors hold after
    it, so that the day after it is the first without the action: no session lies between.
    """
    rows = []
    for line in lines:
        day, price, split, *close = line.strip().split(",")
        at = _lean_day(path, day)
        rows.append((at, float(price), float(split), float(close[0]) if close and close[0] else 0.0))
        if not (rows[-1][1] > 0 and rows[-1][2] > 0):
            raise SourceError(f"{path}: {line!r}: a factor is not above 0: fetch the file again")
    rows.sort()
    for before, after in pairwise(rows):
        ex = {"symbol": symbol, "ex_date": before[0] + timedelta(days=1)}
        factor = before[1] / after[1]
        if before[2] != after[2]:
            yield {**ex, "kind": SPLIT, "value": after[2] / before[2], "factor": before[2] / after[2]}
        if factor != 1.0:
            yield {**ex, "kind": DIVIDEND, "value": before[3] * (1 - factor), "factor": factor}


def _lean_name(path: str) -> str:
    """Return the symbol that a file of Lean's is named after."""
    name = PurePosixPath(path.replace("\\", "/")).name
    return re.sub(r"(?i)\.csv(\.gz)?$", "", name).upper()


def _of_map(path: str, symbol: str, given: bool, lines: Sequence[str]) -> Iterator[Named]:
    """Yield the names of a map file, oldest first.

    A row has the last date of a name; the first row the first date of the first name instead. Exchanges, in
    a third column, are not needed.
    """
    rows: list[tuple[date, str]] = []
    for line in lines:
        day, ticker, *more = (part.strip() for part in line.split(","))
        if len(more) > 1:
            raise SourceError(
                f"{path}: {line!r}: a map with four columns is of continuous futures, which are not "
                "followed: leave the file out"
            )
        if broken := broken_symbol(ticker):
            raise SourceError(f"{path}: {line!r}: the symbol {shown(ticker)} {broken}")
        rows.append((_lean_day(path, day), ticker.upper()))
    for (last_day, name), (after, then) in pairwise(rows):
        if after < last_day or (after == last_day and then != name):
            raise SourceError(
                f"{path}: {after:%Y%m%d},{then} stands behind {last_day:%Y%m%d},{name}: dates of a map file "
                "ascend, each the last one of its name: fetch the file again"
            )
    last = rows[-1][1]
    if len(rows) < 2:
        raise SourceError(f"{path}: has a single row, where a map file has a first date and a last one")
    if not given and _NUMBERED.sub("", symbol) != last and symbol != last:
        raise SourceError(
            f"{path}: is named after {symbol}, and its last name is {last}: rename the file, or give --symbol"
        )
    begin = rows[0][0]
    for k, (until, name) in enumerate(rows):
        if k + 1 < len(rows) and rows[k + 1][1] == name:
            continue  # its last date comes yet
        yield Named(symbol, name, begin, None if until >= _NOW else until + timedelta(days=1))
        begin = until + timedelta(days=1)


def _lean_day(path: str, text: str) -> date:
    try:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise SourceError(f"{path}: {text!r} is no date of eight digits: fetch the file again") from error


def _of_csv(path: str, symbol: str | None, name: str, lines: Sequence[str]) -> Iterator[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO("\n".join(lines)), skipinitialspace=True)
    names = {bare_name(column): column for column in reader.fieldnames or ()}
    dated = next((names[one] for one in _DATES if one in names), None)
    named = None if symbol else next((names[one] for one in _SYMBOLS if one in names), None)
    kind = next((names[one] for one in _KINDS if one in names), None)
    value = next((names[one] for one in _VALUES if one in names), None)
    columns = {
        DIVIDEND: next((names[one] for one in _DIVIDENDS if one in names), None),
        SPLIT: next((names[one] for one in _SPLITS if one in names), None),
    }
    if kind is None and not any(columns.values()) and any(one in names for one in _OF_DIVIDENDS):
        columns[DIVIDEND] = value
    if dated is None or not (any(columns.values()) or (kind and value)):
        raise SourceError(
            f"{path}: columns {', '.join(names.values())} say no splits and dividends: name a file with "
            "date, kind (split or dividend) and value, or with columns dividends and splits"
        )
    rows = [row for row in reader if any(row.values())]
    days = _days(path, [str(row[dated] or "") for row in rows])
    for number, (row, day) in enumerate(zip(rows, days, strict=True), start=1):
        of = str(row[named] or "").strip() if named else name
        if not of or broken_symbol(of):
            raise SourceError(f"{path}: row {number} names no symbol: give --symbol, or a column symbol")
        given = _kinds_of(row, kind, value, columns)
        for what, text in given:
            number_ = _value(path, number, what, text)
            if number_ is not None:
                yield {"symbol": of, "ex_date": day, "kind": what, "value": number_, "factor": None}


def _kinds_of(
    row: Mapping[str, Any], kind: str | None, value: str | None, columns: Mapping[str, str | None]
) -> list[tuple[str, str]]:
    """Return the kinds of actions that a row is, and their values as they are written."""
    if kind and value:
        return [(str(row[kind] or "").strip().lower().rstrip("s"), str(row[value] or ""))]
    found = [(what, str(row[column] or "")) for what, column in columns.items() if column]
    return [(what, text) for what, text in found if text.strip() not in ("", "0", "0.0")]  # 0 stands for none


def _value(path: str, number: int, kind: str, text: str) -> float | None:
    """Return the ratio of a split or the cash of a dividend; None for one that changes nothing."""
    if kind not in (SPLIT, DIVIDEND):
        raise SourceError(f"{path}: row {number}: kind {shown(kind)} is neither split nor dividend")
    ratio = _RATIO.fullmatch(text.strip())
    try:
        value = float(ratio["new"]) / float(ratio["old"]) if ratio and kind == SPLIT else float(text)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not (math.isfinite(value) and value >= 0) or (kind == SPLIT and value == 0):
        what = "ratio such as 7, 7:1 or 0.125" if kind == SPLIT else "amount of cash a share"
        raise SourceError(f"{path}: row {number}: {kind} {shown(text)} is no {what}")
    return None if value == (1.0 if kind == SPLIT else 0.0) else value


def _days(path: str, texts: Sequence[str]) -> list[date]:
    """Return dates as written; one that can be read in two ways is refused."""
    found = formats_of([text.strip() for text in texts])
    if len(found) != 1 or (found[0].time_format or "").startswith("epoch"):
        ways = " or ".join(str(one.time_format) for one in found) or "none that is known"
        first = texts[0] if texts else ""
        raise SourceError(f"{path}: dates such as {first!r} can be read as {ways}: write them as 2024-01-31")
    days = []
    for text in texts:
        plain = text.strip()
        try:
            if found[0].time_format is None:
                days.append(datetime.fromisoformat(plain.replace("/", "-").replace(".", "-")).date())
            else:
                days.append(datetime.strptime(plain, found[0].time_format).date())
        except ValueError as error:
            raise SourceError(f"{path}: {text!r} is no date: write it as 2024-01-31") from error
    return days
