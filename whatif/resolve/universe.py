"""Universe of a study: which symbols may be traded when, from a file or a table of the lake."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

from whatif.domain import DAY_US, UNIVERSE_COLUMNS, Membership, instant_of_bound, periods_of
from whatif.errors import StudyError, nearest
from whatif.paths import bounded_text, regular_file
from whatif.pins import LakeLocation, batches, current_pin, everything, open_table, table_exists
from whatif.study import Study
from whatif.texts import shown

MAX_BYTES = 64_000_000
"""Largest file of a universe."""

Rows: TypeAlias = Iterator[tuple[str, Mapping[str, Any]]]
"""Rows by their columns, each with its place in words."""

_EPOCH = date(1970, 1, 1)


def join_universe(study: Study, location: LakeLocation | None = None) -> Study:
    """Return a study that knows which of its symbols may be traded when, and which symbols those are.

    Parameters
    ----------
    study : Study
        As authored, or joined already: then it comes back.
    location : LakeLocation, optional
        Where the lake is whose table it names; from the environment if left out.

    Raises
    ------
    StudyError
        If file or table is not there, lacks a column, or a row breaks a rule; if it names a symbol that the
        study does not, or one of the study's is no member in its slice.
    """
    asked = study.data.universe
    if asked is None or study.members is not None:
        return study
    where = f"data.universe {shown(asked.file or asked.table or '')}"
    rows = _rows_of_file(study, asked.file, where) if asked.file else _rows_of_table(asked.table, location)
    periods = periods_of(rows, where)
    symbols = study.data.symbols or tuple(s for s, own in periods.items() if _in_slice(study, own))
    _check_symbols(study, periods, symbols, where)
    return study.with_members({symbol: tuple(periods[symbol]) for symbol in symbols})


def membership_identity(study: Study) -> dict[str, Any]:
    """Return what of a study's universe its results depend on: nothing, or the periods of its symbols."""
    if study.members is None:
        return {}
    return {"universe": {symbol: [list(one) for one in own] for symbol, own in study.members.items()}}


def _rows_of_file(study: Study, name: str, where: str) -> Rows:
    """Yield the rows of a file, which is looked for beside the study, then here, with their places."""
    folders = [folder for folder in (study.folder, Path()) if folder is not None]
    found = next((f / name for f in folders if regular_file(f / name, "universe", StudyError)), None)
    if found is None:
        looked = " or ".join(dict.fromkeys(str(folder.absolute()) for folder in folders))
        raise StudyError(f"{where} is not in {looked}: give the path of a CSV or Parquet file")
    if found.suffix.lower() == ".parquet":
        yield from _rows_of_parquet(found, where)
        return
    text = bounded_text(found, "universe", MAX_BYTES, StudyError).removeprefix("\ufeff")
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    _check_columns(reader.fieldnames or (), where)
    for row in reader:
        yield f"line {reader.line_num}", row


def _rows_of_parquet(path: Path, where: str) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path)
        _check_columns(table.schema_arrow.names, where)
        rows = table.read(columns=list(UNIVERSE_COLUMNS)).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise StudyError(f"{where} is no Parquet file that can be read ({error}): write it again") from None
    yield from ((f"row {k}", row) for k, row in enumerate(rows, 1))


def _rows_of_table(name: str | None, location: LakeLocation | None) -> Rows:
    """Yield the rows of a table of the lake."""
    assert name is not None
    lake, where = location or LakeLocation.from_environment(), f"data.universe: table {shown(name)}"
    if not table_exists(lake, name):
        raise StudyError(f"{where} is not in {lake.described}: write it there, or name a file")
    _check_columns(open_table(lake, name).schema().column_names, where)
    for batch in batches(current_pin(lake, name), UNIVERSE_COLUMNS, everything()):
        for row in batch.to_pylist():
            yield f"the row of {shown(str(row['symbol']))} from {row['from']}", row


def _check_columns(names: Collection[str], where: str) -> None:
    missing = [name for name in UNIVERSE_COLUMNS if name not in names]
    if missing:
        raise StudyError(
            f"{where} has no column {' and '.join(missing)} (it has {', '.join(names) or 'none'}): it takes "
            f"{', '.join(UNIVERSE_COLUMNS)}"
        )


def _in_slice(study: Study, periods: Iterable[Membership]) -> bool:
    """Return whether a symbol is a member on some date of the study's slice."""
    first, last = ((day - _EPOCH).days * DAY_US for day in (study.data.start, study.data.end))
    return any(
        instant_of_bound(one.start, one.start_is_date) < last
        and instant_of_bound(one.end, one.end_is_date) > first
        for one in periods
    )


def _check_symbols(
    study: Study, periods: Mapping[str, list[Membership]], symbols: tuple[str, ...], where: str
) -> None:
    data = study.data
    if not symbols:
        raise StudyError(f"{where} has no member from {data.start} to {data.end}: give another slice or file")
    never = [symbol for symbol in symbols if not _in_slice(study, periods.get(symbol, ()))]
    if never:
        symbol = never[0]
        known = "" if symbol in periods else f" ({nearest(symbol, periods) if periods else 'it names none'})"
        more = f", nor are {len(never) - 1} more" if len(never) > 1 else ""
        raise StudyError(
            f"{where}: symbol {symbol} of data.symbols is no member from {data.start} to {data.end}{known}"
            f"{more}: add a row for it, or leave it out of data.symbols"
        )
    others = [symbol for symbol in periods if symbol not in symbols]
    if data.symbols and others and data.universe is not None and not data.universe.ignore_others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise StudyError(
            f"{where} names {others[0]}{more}, which data.symbols does not: add it there, leave data.symbols "
            "out to take all, or write ignore_others: true beside the file"
        )
