"""Writes to tables: append rows, add missing ones, correct those that differ."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pandas as pd
import pyarrow as pa

from whatif.errors import LakeError
from whatif.lake.local_tables import (
    PLAIN,
    Commit,
    append_files_locally,
    append_locally,
    append_table_locally,
    delete_locally,
    insert_missing_locally,
    put_files_locally,
    replace_locally,
    upsert_locally,
    write_files_locally,
)
from whatif.lake.lock import writer_lock
from whatif.lake.spec import TableSpec
from whatif.pins import LakeLocation, in_words

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.manifest import DataFile
    from pyspark.sql import Column, DataFrame, SparkSession

MAIN = "main"
"""The branch that is the table itself."""

ATTEMPTS = 10
"""Times that a statement is begun anew because another process wrote what it had read."""

_CONFLICT = re.compile(r"Found (new )?conflicting|CommitFailedException|Missing required files to delete")
_CHECKED = "WHEN MATCHED AND 1 = 0 THEN DELETE"
"""Deletes nothing. Iceberg looks for rows that came meanwhile only in a MERGE that may change rows: one
that inserts is an append, and two of them at once would each insert the same row."""


def append(
    spark: SparkSession,
    location: LakeLocation,
    table: TableSpec,
    frame: DataFrame,
    properties: Mapping[str, str] | None = None,
    branch: str | None = None,
) -> None:
    """Append rows in one atomic commit.

    Parameters
    ----------
    spark : SparkSession
        The session.
    location : LakeLocation
        Where the lake is.
    table : TableSpec
        The table; it must exist.
    frame : DataFrame
        Rows with the table's columns, in any order.
    properties : mapping of str to str, optional
        Noted in the snapshot's summary, such as {"whatif.bars-snapshot": "123"}; see `find_pin`.
    branch : str, optional
        The branch that it goes to, see `begin_branch`; the table itself if left out, or "main".
    """
    writer = _in_order(table, frame).writeTo(_named(location, table, branch))
    for key, value in (properties or {}).items():
        writer = writer.option(f"snapshot-property.{key}", value)
    with in_words(location.described), writer_lock(location, f"append to {table.name}"):
        writer.append()


def append_rows(
    spark: SparkSession | None, location: LakeLocation, table: TableSpec, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Append a few rows of this process in one atomic commit.

    Parameters
    ----------
    spark : SparkSession or None
        The session, which only a catalog service needs.
    location, table
        As in `append`.
    rows : sequence of mapping
        A value for each column; instants tz-aware.
    """
    if spark is None or location.local:
        with in_words(location.described), writer_lock(location, f"append to {table.name}"):
            append_locally(location, table, rows)
    else:
        append(spark, location, table, spark.createDataFrame(pd.DataFrame(rows), table.ddl))


def replace(
    spark: SparkSession,
    location: LakeLocation,
    table: TableSpec,
    frame: DataFrame,
    properties: Mapping[str, str] | None = None,
    where: Column | None = None,
    ordered: bool = False,
) -> None:
    """Replace all rows of a table, or those of a filter, in one atomic commit.

    Older snapshots stay readable. Of two processes that replace the same rows, one stands: each commit
    takes the place of what it finds. Where the rows of each task come `ordered`, as the table is, they are
    written as they come: to range them, Spark would make them all twice and exchange them.
    """
    from pyspark.sql import functions as F  # noqa: N812

    writer = _in_order(table, frame).writeTo(location.identifier(table.name))
    if ordered:
        writer = writer.option("use-table-distribution-and-ordering", "false").option(
            "fanout-enabled", "true"
        )
    for key, value in (properties or {}).items():
        writer = writer.option(f"snapshot-property.{key}", value)
    with in_words(location.described), writer_lock(location, f"replace {table.name}"):
        writer.overwrite(F.lit(True) if where is None else where)


def replace_made(
    location: LakeLocation,
    table: TableSpec,
    rows: DataFrame,
    make: Callable[[Iterable[pa.RecordBatch]], Iterable[pa.Table]],
    properties: Mapping[str, str] | None = None,
) -> None:
    """Replace all rows of a table by what is made of the partitions of a frame, in one atomic commit.

    On the local lake each task writes its own files, and the commit names them: their values never become
    rows of the JVM, which would cost more than to compute and to pack them. A catalog service is written
    to by Spark. What a task leaves behind that was killed, no snapshot names.

    Parameters
    ----------
    location : LakeLocation
        Where the lake is.
    table : TableSpec
        The table; it must exist.
    rows : DataFrame
        What the rows are made of.
    make : callable
        Takes the Arrow batches of a partition, and yields tables with the table's columns and types, in the
        table's order; it travels to the workers.
    properties : mapping of str to str, optional
        As in `append`.
    """
    if not location.local:
        made = made_of(table, rows, make)
        replace(rows.sparkSession, location, table, made, properties, ordered=True)
        return
    with in_words(location.described), writer_lock(location, f"replace {table.name}"):
        told = rows.mapInArrow(_files_made(location, table, make), "file binary").collect()
        put_files_locally(location, table.name, [pickle.loads(row["file"]) for row in told], properties or {})


def made_of(
    table: TableSpec, rows: DataFrame, make: Callable[[Iterable[pa.RecordBatch]], Iterable[pa.Table]]
) -> DataFrame:
    """Return what is made of the partitions of a frame, as rows of a table; `make` as in `replace_made`."""
    return rows.mapInArrow(_batches_made(make), table.ddl)


HELD_BYTES = 64 * 1024 * 1024
"""Made rows that a task holds before it writes them, unless one table alone has more."""


def _batches_made(
    make: Callable[[Iterable[pa.RecordBatch]], Iterable[pa.Table]],
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for made in make(batches):
            yield from made.to_batches(max_chunksize=10_000)

    return run


def _files_made(
    location: LakeLocation,
    table: TableSpec,
    make: Callable[[Iterable[pa.RecordBatch]], Iterable[pa.Table]],
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def written(held: Sequence[pa.Table]) -> pa.RecordBatch:
        files = write_files_locally(location, table, pa.concat_tables(held)) if held else []
        return pa.record_batch({"file": pa.array([pickle.dumps(one) for one in files], pa.binary())})

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held: list[pa.Table] = []
        for made in make(batches):
            held.append(made)
            if sum(one.nbytes for one in held) >= HELD_BYTES:
                yield written(held)
                held = []
        yield written(held)

    return run


def insert_missing(
    spark: SparkSession,
    location: LakeLocation,
    table: TableSpec,
    frame: DataFrame,
    condition: str = "true",
    distinct: bool = False,
    fresh: bool = False,
    branch: str | None = None,
) -> None:
    """Insert the rows whose key the table does not hold yet, in one atomic commit.

    Rows of `frame` that share a key count once. A table row is never changed. On a catalog service,
    where others may write at the same time, what they wrote meanwhile counts as held: the statement is
    begun anew.

    Parameters
    ----------
    spark, location, table, frame
        As in `append`.
    condition : str
        SQL that holds for the table's rows `t` with the keys of `frame`, with literals, to read
        fewer files.
    distinct : bool
        The caller vouches that no key comes twice in `frame`, which saves looking.
    fresh : bool
        The caller vouches that the table holds none of the keys, and that nobody else writes one.
    branch : str, optional
        As in `append`.
    """
    rows = _in_order(table, frame)
    if not distinct:
        rows = rows.dropDuplicates(list(_key(table)))
    if fresh:
        append(spark, location, table, rows, branch=branch)
        return
    # the lock keeps other writers out of the local lake, and nothing has to be looked for
    checked = "" if location.local else f"{_CHECKED} "
    actions = f"{checked}WHEN NOT MATCHED THEN INSERT *"
    _merge(spark, location, table, rows, actions, condition, branch=branch)


def insert_missing_rows(
    location: LakeLocation, table: TableSpec, rows: pa.Table, near: BooleanExpression, fresh: bool = False
) -> None:
    """Insert rows whose key the local lake's table does not hold yet, in one atomic commit, without a JVM.

    Parameters
    ----------
    location, table
        As in `append`.
    rows : pa.Table
        Rows with the table's columns; no key comes twice.
    near : BooleanExpression
        What all rows of the table pass that could have one of those keys, to read fewer files.
    fresh : bool
        The caller vouches that the table holds none of the keys.
    """
    with in_words(location.described), writer_lock(location, f"insert into {table.name}"):
        if fresh:
            append_table_locally(location, table, rows)
        else:
            insert_missing_locally(location, table, rows, near)


def write_files(location: LakeLocation, table: TableSpec, rows: pa.Table) -> list[DataFile]:
    """Write rows into files of the local lake's table that no snapshot names yet; see `append_files`.

    Parameters
    ----------
    location, table
        As in `append`.
    rows : pa.Table
        Rows with the table's columns.

    Returns
    -------
    list of DataFile
        What describes the files, which can be pickled.
    """
    return write_files_locally(location, table, rows) if rows.num_rows else []


def append_files(location: LakeLocation, table: TableSpec, files: Sequence[DataFile]) -> None:
    """Append the rows of files that `write_files` wrote, in this process or others, in one atomic commit.

    The caller vouches that the table holds none of the keys. Files that are never appended, of a task that
    was killed or made twice, are no rows of the table; maintenance removes them.

    Parameters
    ----------
    location, table
        As in `append`.
    files : sequence of DataFile
        What describes them.
    """
    with in_words(location.described), writer_lock(location, f"append to {table.name}"):
        append_files_locally(location, table.name, files)


def append_arrow(location: LakeLocation, table: TableSpec, rows: pa.Table, commit: Commit = PLAIN) -> None:
    """Append rows to the local lake's table in one atomic commit, without a JVM.

    Parameters
    ----------
    location, table
        As in `append`.
    rows : pa.Table
        Rows with the table's columns.
    commit : Commit
        What its snapshot notes, and the branch that it goes to.
    """
    with in_words(location.described), writer_lock(location, f"append to {table.name}"):
        append_table_locally(location, table, rows, commit)


def upsert_arrow(location: LakeLocation, table: TableSpec, rows: pa.Table, commit: Commit = PLAIN) -> None:
    """Put rows in the place of those of the local lake with the same keys, and append the others.

    In one atomic commit, without a JVM.

    Parameters
    ----------
    location, table
        As in `append`.
    rows : pa.Table
        Rows with the table's columns; no key comes twice.
    commit : Commit
        As in `append_arrow`.
    """
    with in_words(location.described), writer_lock(location, f"merge into {table.name}"):
        upsert_locally(location, table, rows, commit)


def replace_arrow(
    location: LakeLocation,
    table: TableSpec,
    rows: pa.Table,
    where: BooleanExpression,
    properties: Mapping[str, str] | None = None,
) -> None:
    """Put rows in the place of those of the local lake that pass a filter, without a JVM; as `replace`."""
    with in_words(location.described), writer_lock(location, f"replace {table.name}"):
        replace_locally(location, table, rows, where, properties or {})


def delete_rows(location: LakeLocation, table: TableSpec, rows: BooleanExpression) -> None:
    """Delete the rows of the local lake that pass a filter, in one atomic commit, without a JVM."""
    with in_words(location.described), writer_lock(location, f"delete from {table.name}"):
        delete_locally(location, table.name, rows)


def delete_matching(
    spark: SparkSession,
    location: LakeLocation,
    table: TableSpec,
    values: DataFrame,
    condition: str = "true",
) -> None:
    """Delete the rows of which one column is among the values of a frame, in one atomic commit.

    Parameters
    ----------
    spark, location, table
        As in `append`.
    values : DataFrame
        One column, named as the table's.
    condition : str
        Further SQL that rows must meet, with literals, to read fewer files.
    """
    (column,) = values.columns
    view = f"whatif_{table.name}_{uuid4().hex}"
    values.createOrReplaceTempView(view)
    try:
        with in_words(location.described), writer_lock(location, f"delete from {table.name}"):
            _execute(
                spark,
                location.identifier(table.name),
                f"DELETE FROM {location.identifier(table.name)} "
                f"WHERE {condition} AND `{column}` IN (SELECT `{column}` FROM {view})",
            )
    finally:
        spark.catalog.dropTempView(view)


def upsert(
    spark: SparkSession,
    location: LakeLocation,
    table: TableSpec,
    frame: DataFrame,
    compared: Sequence[str],
    condition: str = "true",
    branch: str | None = None,
) -> None:
    """Insert new rows and update those that differ in a `compared` column, in one atomic commit.

    Parameters
    ----------
    spark, location, table, frame
        As in `append`; a key must not occur twice in `frame`.
    compared : sequence of str
        Columns whose values decide whether a row is updated.
    condition : str
        Further SQL on the table's rows `t`, with literals, to read fewer partitions.
    branch : str, optional
        As in `append`.
    """
    differ = " OR ".join(f"NOT (t.`{column}` <=> s.`{column}`)" for column in compared)
    actions = f"WHEN MATCHED AND ({differ}) THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    _merge(spark, location, table, _in_order(table, frame), actions, condition, branch=branch)


def take_back(
    spark: SparkSession,
    location: LakeLocation,
    table: TableSpec,
    frame: DataFrame,
    key: Sequence[str] = (),
    condition: str = "true",
    branch: str | None = None,
) -> None:
    """Delete rows, and give others the values they had before, in one atomic commit.

    Parameters
    ----------
    spark, location, table
        As in `append`.
    frame : DataFrame
        Rows with the table's columns and `restored`: True for values to put in the place of the row of
        that key, or where it stood; False for a row to delete.
    key : sequence of str, optional
        Columns that tell rows apart; the table's key if left out.
    condition, branch
        As in `upsert`.
    """
    columns = ", ".join(f"t.`{name}` = s.`{name}`" for name in table.column_names)
    names = ", ".join(f"`{name}`" for name in table.column_names)
    values = ", ".join(f"s.`{name}`" for name in table.column_names)
    actions = (
        f"WHEN MATCHED AND s.restored THEN UPDATE SET {columns} WHEN MATCHED THEN DELETE "
        f"WHEN NOT MATCHED AND s.restored THEN INSERT ({names}) VALUES ({values})"
    )
    _merge(spark, location, table, frame, actions, condition, key, branch)


def _merge(
    spark: SparkSession,
    location: LakeLocation,
    table: TableSpec,
    rows: DataFrame,
    actions: str,
    condition: str = "true",
    key: Sequence[str] = (),
    branch: str | None = None,
) -> None:
    target = _named(location, table, branch)
    view = f"whatif_{table.name}_{uuid4().hex}"
    same = " AND ".join(f"t.`{column}` <=> s.`{column}`" for column in key or _key(table))
    rows.createOrReplaceTempView(view)
    try:
        with in_words(location.described), writer_lock(location, f"merge into {table.name}"):
            _execute(
                spark,
                location.identifier(table.name),
                f"MERGE INTO {target} t USING {view} s ON {same} AND ({condition}) {actions}",
            )
    finally:
        spark.catalog.dropTempView(view)


def _execute(spark: SparkSession, table: str, statement: str) -> None:
    """Run a statement that changes a table, and anew if another process changed what it had read."""
    begin_anew(lambda: spark.sql(statement), table, lambda: spark.catalog.refreshTable(table))


def begin_anew(statement: Callable[[], object], table: str, refresh: Callable[[], object]) -> None:
    """Run a statement until no other writer's commit came between its reading and its writing.

    Parameters
    ----------
    statement : callable
        Reads the table and commits, all or nothing.
    table : str
        Its name, for the message.
    refresh : callable
        Makes the next attempt see the newest snapshot.

    Raises
    ------
    LakeError
        If others were faster `ATTEMPTS` times.
    """
    for attempt in range(ATTEMPTS):
        if attempt:
            refresh()
        try:
            statement()
            return
        except Exception as error:
            if not _CONFLICT.search(str(error)):
                raise
            conflict = error
    raise LakeError(
        f"table {table}: others wrote the same rows {ATTEMPTS} times while this statement ran, so nothing of "
        "it was stored: let one run of the study end, then run the same command again"
    ) from conflict


def _named(location: LakeLocation, table: TableSpec, branch: str | None) -> str:
    """Return what SQL calls a table, or a branch of it."""
    whole = location.identifier(table.name)
    return whole if branch in (None, MAIN) else f"{whole}.`branch_{branch}`"


def _key(table: TableSpec) -> tuple[str, ...]:
    if not table.key:
        raise LakeError(f"table {table.name} has no key, so rows cannot be merged into it: append them")
    return table.key


def _in_order(table: TableSpec, frame: DataFrame) -> DataFrame:
    missing = [name for name in table.column_names if name not in frame.columns]
    if missing:
        raise LakeError(f"rows for table {table.name} lack {', '.join(missing)}: give every column")
    return frame.select(*table.column_names)
