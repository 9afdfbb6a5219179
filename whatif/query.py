"""SQL over the lake's tables by DuckDB, without a JVM: each at its newest snapshot, and views of studies.

DuckDB is an extra (`pip install "whatif[sql]"`). It runs within this process, on files that PyIceberg names;
nothing is copied, nothing is downloaded by itself, and no table can be changed by it.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from whatif.domain import KEY
from whatif.errors import LakeError
from whatif.lake import BARS, RESULTS, TEST_LOOKS
from whatif.pins import (
    LakeLocation,
    Pin,
    current_pin,
    local_path,
    moment_of,
    older_state,
    open_table,
    planned,
    read_arrow,
    reading,
    scan,
    table_names,
    written_at,
)
from whatif.report import Answer, stored_answers

if TYPE_CHECKING:
    import duckdb

ABSENT = (
    'SQL over the lake needs DuckDB, which is not installed: pip install "whatif[sql]" (or duckdb itself). '
    "Without it, 'whatif leaderboard --csv' and whatif.read_bars give frames"
)

BACKTESTS, STUDIES = "backtests", "studies"
"""Views beside the tables: each backtest of each study, its parameters in columns; what studies answered."""

_REPORTS = "reports"
"""Schema of what reports say of backtests, which the view of them is joined with."""

_SPREAD = {"parameters": "param", "execution": "execution"}
"""Columns of `results` that hold JSON, and what the names of their columns begin with."""

_SETTINGS = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
"""DuckDB would fetch an extension from its makers when a query names something that one has."""


_TELLING = frozenset({"SELECT", "EXPLAIN", "PRAGMA", "CALL", "COPY", "EXPORT", "EXECUTE", "MULTI"})
"""Statements that give rows or write files, by DuckDB's names; one of several is a PIVOT."""

_STORING = frozenset({"CREATE", "DROP", "ALTER", "INSERT", "UPDATE", "DELETE", "MERGE_INTO", "COPY_DATABASE"})
"""Statements that are kept where a file is attached."""


@dataclass(frozen=True)
class Column:
    """A column of a table or view: its name, and DuckDB's name of its type."""

    name: str
    type: str


class Tables:
    """The lake's tables for SQL, as they stood when this was made.

    Parameters
    ----------
    location : LakeLocation
        Where the lake is.
    as_of : datetime, optional
        A moment with a time zone: each table at its last snapshot not after that.

    Attributes
    ----------
    connection : duckdb.DuckDBPyConnection
        DuckDB's own connection, for Arrow, Polars and its relational methods; its time zone is UTC.
    notes : tuple of str
        What to know of them: that bars are those of an older moment, since what stood then has expired.
    """

    def __init__(self, location: LakeLocation, as_of: datetime | None = None) -> None:
        self.connection: duckdb.DuckDBPyConnection = _engine().connect(config=dict(_SETTINGS))
        self.connection.execute("SET TimeZone = 'UTC'")
        self._damaged: dict[str, str] = {}
        self.notes: tuple[str, ...] = _older(location, as_of)
        there = table_names(location)
        for name in there:
            try:
                self.connection.register(name, _rows(location, name, as_of))
            except LakeError as error:  # the others can be asked
                self._damaged[name] = str(error)
        self.connection.register(STUDIES, _studies(location))
        if RESULTS.name in there and RESULTS.name not in self._damaged:
            self._view_backtests(location)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of tables and views, in order."""
        found = self.connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        return tuple(sorted(str(name) for (name,) in found))

    def columns(self, name: str) -> list[Column]:
        """Return the columns of a table or view."""
        rows = self.sql(f"DESCRIBE {_quoted(name)}")
        return [Column(str(row["column_name"]), str(row["column_type"])) for row in rows.to_dict("records")]

    def sql(self, query: str, parameters: Sequence[Any] | dict[str, Any] | None = None) -> pd.DataFrame:
        """Return what a query gives.

        Parameters
        ----------
        query : str
            DuckDB's SQL. Times are UTC; `window` is a keyword and is written "window".
        parameters : sequence or dict, optional
            For `?` and `$name` in it.

        Returns
        -------
        DataFrame
            Times are tz-aware, UTC. Of a query that gives no rows, such as `COPY ... TO 'file.csv'`, what
            DuckDB says of it.

        Raises
        ------
        LakeError
            If DuckDB refuses the query, or it is empty; if these tables are closed; if one that it names is
            damaged or absent, or its snapshots of the moment that was asked for are gone.
        """
        engine = _engine()
        if not isinstance(query, str):
            raise LakeError(f"SQL: the query is a {type(query).__name__}: write it as text")
        try:
            answer = self.connection.execute(query, parameters)
            if answer is None:
                raise LakeError("SQL: the query is empty: write one such as 'select * from bars limit 5'")
            return answer.df()
        except engine.ConnectionException as error:
            raise LakeError("SQL: these tables are closed: whatif.tables() opens them anew") from error
        except (engine.Error, OSError) as error:
            raise LakeError(self._refusal(str(error))) from error

    def check_alone(self, query: str) -> None:
        """Refuse a query that nobody asks anything after, if it neither tells nor writes anything.

        Tables and views that it makes or drops are those of this connection, and no table of the lake.

        Raises
        ------
        LakeError
            If its last statement is one of those that change something, of a connection without files.
        """
        engine = _engine()
        try:
            kinds = [one.type.name for one in engine.extract_statements(query)]
        except engine.Error:  # said when it is asked
            return
        if kinds and kinds[-1] not in _TELLING and not ("ATTACH" in kinds[:-1] and kinds[-1] in _STORING):
            raise LakeError(
                f"SQL: {kinds[-1]} changes this connection alone, which ends with the query, and no table "
                "of the lake: write a query last, or COPY (...) TO 'file.csv', or ATTACH a data base of your "
                "own before"
            )

    def close(self) -> None:
        """Let go of memory and files."""
        self.connection.close()

    def __enter__(self) -> Tables:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        """Say which tables and views there are."""
        return f"<Tables {', '.join(self.names)}>"

    def _refusal(self, said: str) -> str:
        needed = {name: {name} for name in self._damaged} | {RESULTS.name: {RESULTS.name, BACKTESTS}}
        lacking = re.search(r"Table with name (\w+) does not exist", said)
        damaged = [
            why
            for name, why in self._damaged.items()
            if (lacking[1] in needed[name] if lacking else name in said)
        ]
        why = damaged[0] if damaged else " ".join(said.strip().partition("\n\n")[0].split())
        if lacking and not damaged and self.names == (STUDIES,):
            remedy = "'whatif ingest' brings bars, and 'whatif run' results"
            return f"SQL: the lake holds no table {lacking[1]!r}: {remedy}"
        return f"SQL: {why}; tables and views: {', '.join(self.names)}"

    def _view_backtests(self, location: LakeLocation) -> None:
        key = ", ".join(_quoted(name) for name in KEY)
        of_results = ", ".join(f"r.{_quoted(name)}" for name in KEY)
        ranked, folds = self._kept("ranked", _ranked(location)), self._kept("folds", _folds(location))
        parts = [
            f"SELECT study, {key} FROM {RESULTS.name}",
            f"SELECT study, {key} FROM {ranked}",
            f"SELECT f.study, {of_results} FROM {folds} f JOIN {ranked} k USING (study) "
            f"JOIN {RESULTS.name} r ON r.window_start = f.window_start AND r.window_end = f.window_end "
            "AND (r.bars_snapshot, r.data_digest, r.config_id, r.symbol) = "
            "(k.bars_snapshot, k.data_digest, k.config_id, k.symbol)",
        ]
        if TEST_LOOKS.name in self.names:
            same = ", ".join(_quoted(name) for name in KEY if name not in ("bars_snapshot", "window"))
            looks = f"{TEST_LOOKS.name} l JOIN {RESULTS.name} r USING ({same})"
            parts.append(f"SELECT l.study, {of_results} FROM {looks}")
        spread = [one for column, lead in _SPREAD.items() for one in self._spread(column, lead)]
        # NaN is missing: DuckDB takes it for the greatest of all numbers
        known = [
            f"CASE WHEN NOT isnan(r.{_quoted(name)}) THEN r.{_quoted(name)} END AS {_quoted(name)}"
            for name, kind in RESULTS.columns
            if kind == "double"
        ]
        whole = f"r.* EXCLUDE (study) REPLACE ({', '.join(known)})"
        columns = ", ".join([f"m.study, {whole}, r.study AS first_stored_by", *spread])
        members = f"SELECT DISTINCT * FROM ({' UNION ALL '.join(parts)})"
        self.connection.execute(
            f"CREATE VIEW {BACKTESTS} AS SELECT {columns} FROM ({members}) m "
            f"JOIN {RESULTS.name} r USING ({key})"
        )

    def _kept(self, name: str, rows: pa.Table) -> str:
        """Keep rows that a view is made of where no list of tables shows them, and return their place."""
        place = f"{_REPORTS}.{name}"
        self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_REPORTS}")
        self.connection.register(name, rows)
        self.connection.execute(f"CREATE TABLE {place} AS SELECT * FROM {name}")
        self.connection.unregister(name)
        return place

    def _spread(self, column: str, lead: str) -> list[str]:
        """Return an expression for each key of a column of JSON: a number, a truth or a text."""
        found = self.connection.execute(
            f"SELECT key, list(DISTINCT json_type({column}, {_pointer('key')})) FROM (SELECT {column}, "
            f"unnest(json_keys({column})) AS key FROM (SELECT DISTINCT {column} FROM {RESULTS.name})) "
            "GROUP BY key ORDER BY key"
        ).fetchall()
        made = []
        for key, types in found:
            kinds = {kind for kind in types if kind not in (None, "NULL")}
            cast = "DOUBLE" if kinds <= _NUMBERS else "BOOLEAN" if kinds == {"BOOLEAN"} else "VARCHAR"
            text = f"json_extract_string(r.{column}, {_pointer(_literal(str(key)))})"
            made.append(f"CAST({text} AS {cast}) AS {_quoted(f'{lead}_{key}')}")
        return made


_NUMBERS = frozenset({"BIGINT", "UBIGINT", "HUGEINT", "DOUBLE"})


def tables(location: LakeLocation | None = None, as_of: datetime | str | None = None) -> Tables:
    """Return the lake's tables for SQL.

    Parameters
    ----------
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.
    as_of : datetime or str, optional
        Read the lake as it stood then; UTC where no time zone is given. Views of reports are today's. Where
        rows that stood then have expired, those before them are read, with a RuntimeWarning.

    Returns
    -------
    Tables
        `.sql("SELECT ...")`, `.names`, `.columns(name)`, `.connection`.

    Raises
    ------
    LakeError
        If DuckDB is not installed, or `as_of` names no moment.
    """
    moment = moment_of(as_of) if isinstance(as_of, str) else as_of
    if as_of is not None and not isinstance(moment, datetime):
        raise LakeError(f"as_of {as_of!r} names no moment: write one such as 2024-03-01T00:00Z")
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    made = Tables(location or LakeLocation.from_environment(), moment)
    for note in made.notes:
        warnings.warn(note, RuntimeWarning, stacklevel=2)
    return made


def _older(location: LakeLocation, as_of: datetime | None) -> tuple[str, ...]:
    """Return what is to be said of tables of a moment; damaged tables tell it where they are asked for."""
    if as_of is None:
        return ()
    notes, behind = [], []
    for name in table_names(location):
        opened = open_table(location, name)
        if opened.current_snapshot() is None:
            continue
        if name == BARS.name and not _is_there(name, opened, as_of):
            notes.append(f"as_of {as_of.isoformat()} is before the first ingest: bars has no row then")
            continue
        with suppress(LakeError):
            pin = current_pin(location, name, as_of)
            if name == BARS.name:
                notes += [told for told in [older_state(location, pin, as_of)] if told]
            elif _is_behind(location, pin):
                behind.append(name)
    if behind:
        notes.append(
            f"as_of {as_of.isoformat()} reads {', '.join(behind)} as they stood before commits that may have "
            "come by then: their snapshots have expired (the newest and those with a tag are kept); name a "
            "later moment to read what came"
        )
    return tuple(notes)


def _is_behind(location: LakeLocation, pin: Pin) -> bool:
    """Tell whether snapshots of a table have expired between a pinned one and the next that is there.

    Snapshots are numbered one by one, and neither what has expired nor the log says when it was made.
    """
    snapshots = open_table(location, pin.table).metadata.snapshots
    numbers = {one.snapshot_id: one.sequence_number or 0 for one in snapshots}
    later = [number for number in numbers.values() if number > numbers[pin.snapshot_id]]
    return bool(later) and min(later) > numbers[pin.snapshot_id] + 1


def _engine() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise LakeError(ABSENT) from error
    return duckdb


def _rows(location: LakeLocation, name: str, as_of: datetime | None) -> Any:
    """Return a table as DuckDB reads it: its files where they are, of this machine, and else its rows."""
    import pyarrow.dataset as ds

    opened = open_table(location, name)
    schema = opened.schema().as_arrow()
    if opened.current_snapshot() is None or (as_of is not None and not _is_there(name, opened, as_of)):
        return schema.empty_table()
    pin = current_pin(location, name, as_of)
    scanned = scan(pin, schema.names, "true")
    with reading(name, scanned):
        files = planned(name, scanned)
    paths = [local_path(task.file.file_path) for task in files]
    if any(path is None for path in paths) or any(task.delete_files for task in files):
        return read_arrow(pin, schema.names)
    # a column that came later is null in files from before
    return (
        ds.dataset([str(path) for path in paths], schema=schema, format="parquet")
        if paths
        else schema.empty_table()
    )


def _is_there(name: str, opened: Any, as_of: datetime) -> bool:
    """Tell whether the table had rows then.

    Raises
    ------
    LakeError
        If nobody knows any more, since the snapshots of that time were dropped.
    """
    kept = sorted(opened.metadata.snapshots, key=lambda one: one.sequence_number or 0)
    if any(at <= as_of.timestamp() * 1000 for at, _ in written_at(opened)):
        return True
    if (kept[0].sequence_number or 0) > 1:  # the first commit of a table has the number 1
        first = pd.Timestamp(kept[0].timestamp_ms, unit="ms", tz="UTC")
        raise LakeError(
            f"the snapshots of table {name} of {as_of.isoformat()} were dropped: what it held then is not "
            f"known, and the oldest that is there is of {first.isoformat()}; ask for a later time"
        )
    return False


def _studies(location: LakeLocation) -> pa.Table:
    found = [vars(one) for one in stored_answers(location.home / "reports")]
    frame = pd.DataFrame(found, columns=list(Answer.__dataclass_fields__))
    frame["finished"] = pd.to_datetime(frame["finished"], utc=True, errors="coerce")
    # stated, since of no study no type shows
    kinds = {"test_sharpe": pa.float64(), "trials": pa.int64(), "finished": _INSTANT}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in frame.columns])
    return pa.Table.from_pandas(frame, schema, preserve_index=False)


def _ranked(location: LakeLocation) -> pa.Table:
    """Return which backtests each study ranked, by the leaderboards beside the reports."""
    times = dict.fromkeys(("window_start", "window_end"), _INSTANT)
    kinds = {"bars_snapshot": pa.int64(), **times}
    return _of_reports(
        location.home / "reports", "leaderboard.parquet", {name: kinds.get(name, pa.string()) for name in KEY}
    )


def _folds(location: LakeLocation) -> pa.Table:
    """Return the validate windows of each study of several folds."""
    bounds = {"validate_start": _INSTANT, "validate_end": _INSTANT}
    return _of_reports(location.home / "reports", "folds.parquet", bounds).rename_columns(
        ["window_start", "window_end", "study"]
    )


_INSTANT = pa.timestamp("us", "UTC")


def _of_reports(reports: Path, file: str, columns: dict[str, pa.DataType]) -> pa.Table:
    """Return columns of a file beside all reports, with the study that each is of."""
    import pyarrow.parquet as pq

    schema = pa.schema([*columns.items(), ("study", pa.string())])
    parts = [schema.empty_table()]
    for path in sorted(reports.glob(f"*/{file}")):
        try:
            part = pq.read_table(path, columns=list(columns))
            named = part.append_column("study", pa.array([_study_of(path.parent)] * len(part), pa.string()))
            parts.append(named.select(schema.names).cast(schema))
        except (OSError, ValueError, pa.ArrowException):  # cut off, or of a version that had other columns
            continue
    return pa.concat_tables(parts)


def _study_of(folder: Path) -> str:
    """Return the name of the study that a folder's report is of; a folder may be called otherwise."""
    try:
        return str(json.loads((folder / "answer.json").read_text(encoding="utf-8"))["study"])
    except (OSError, ValueError, LookupError, TypeError):
        return folder.name


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _pointer(key: str) -> str:
    """Return SQL of the JSON pointer of a key, which is SQL itself."""
    return f"('/' || replace(replace({key}, '~', '~0'), '/', '~1'))"
