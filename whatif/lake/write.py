"""Ways to write rows: append, add what is missing, correct what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

from whatif.errors import LakeError
from whatif.lake.lock import writer_lock
from whatif.lake.spec import TableSpec
from whatif.pins import LakeLocation

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def append(
    spark: SparkSession,
    location: LakeLocation,
    table: TableSpec,
    frame: DataFrame,
    properties: Mapping[str, str] | None = None,
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
    """
    writer = _in_order(table, frame).writeTo(location.identifier(table.name))
    for key, value in (properties or {}).items():
        writer = writer.option(f"snapshot-property.{key}", value)
    with writer_lock(location, f"append to {table.name}"):
        writer.append()


def replace(
    spark: SparkSession,
    location: LakeLocation,
    table: TableSpec,
    frame: DataFrame,
    properties: Mapping[str, str] | None = None,
) -> None:
    """Replace all rows of a table in one atomic commit; older snapshots stay readable."""
    from pyspark.sql import functions as F  # noqa: N812

    writer = _in_order(table, frame).writeTo(location.identifier(table.name))
    for key, value in (properties or {}).items():
        writer = writer.option(f"snapshot-property.{key}", value)
    with writer_lock(location, f"replace {table.name}"):
        writer.overwrite(F.lit(True))


def insert_missing(
    spark: SparkSession,
    location: LakeLocation,
    table: TableSpec,
    frame: DataFrame,
    condition: str = "true",
    distinct: bool = False,
) -> None:
    """Insert the rows whose key the table does not hold yet, in one atomic commit.

    Rows of `frame` that share a key count once. A table row is never changed.

    Parameters
    ----------
    spark, location, table, frame
        As in `append`.
    condition : str
        SQL that holds for the table's rows `t` with the keys of `frame`, with literals, to read
        fewer files.
    distinct : bool
        The caller vouches that no key comes twice in `frame`, which saves looking.
    """
    rows = _in_order(table, frame)
    if not distinct:
        rows = rows.dropDuplicates(list(_key(table)))
    _merge(spark, location, table, rows, "WHEN NOT MATCHED THEN INSERT *", condition)


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
        with writer_lock(location, f"delete from {table.name}"):
            spark.sql(
                f"DELETE FROM {location.identifier(table.name)} "
                f"WHERE {condition} AND `{column}` IN (SELECT `{column}` FROM {view})"
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
    """
    differ = " OR ".join(f"NOT (t.`{column}` <=> s.`{column}`)" for column in compared)
    actions = f"WHEN MATCHED AND ({differ}) THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    _merge(spark, location, table, _in_order(table, frame), actions, condition)


def _merge(
    spark: SparkSession,
    location: LakeLocation,
    table: TableSpec,
    rows: DataFrame,
    actions: str,
    condition: str = "true",
) -> None:
    view = f"whatif_{table.name}_{uuid4().hex}"
    same = " AND ".join(f"t.`{column}` <=> s.`{column}`" for column in _key(table))
    rows.createOrReplaceTempView(view)
    try:
        with writer_lock(location, f"merge into {table.name}"):
            spark.sql(
                f"MERGE INTO {location.identifier(table.name)} t USING {view} s "
                f"ON {same} AND ({condition}) {actions}"
            )
    finally:
        spark.catalog.dropTempView(view)


def _key(table: TableSpec) -> tuple[str, ...]:
    if not table.key:
        raise LakeError(f"table {table.name} has no key, so rows cannot be merged into it: append them")
    return table.key


def _in_order(table: TableSpec, frame: DataFrame) -> DataFrame:
    missing = [name for name in table.column_names if name not in frame.columns]
    if missing:
        raise LakeError(f"rows for table {table.name} lack {', '.join(missing)}: give every column")
    return frame.select(*table.column_names)
