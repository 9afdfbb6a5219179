"""Creation of tables, and of columns that a newer version of whatif brought."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from whatif.errors import LakeError
from whatif.lake.local_tables import add_column_locally, create_local, set_local_properties
from whatif.lake.lock import writer_lock
from whatif.lake.processes import user_name
from whatif.lake.spec import TableSpec, sql_text
from whatif.lake.tables import TABLES
from whatif.pins import LakeLocation, in_words, open_table, table_exists

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyspark.sql import SparkSession

_PROPERTIES = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "write.target-file-size-bytes": str(128 * 1024 * 1024),
    "write.parquet.row-group-size-bytes": str(16 * 1024 * 1024),
}

_BY_SYMBOL = {
    # rows, as PyIceberg counts: two symbols' months of minutes of New York's sessions
    "write.parquet.row-group-limit": str(16 * 1024),
    # what Spark holds of a group while it writes it, packed: some 16,000 bars and more
    "write.parquet.row-group-size-bytes": str(1024 * 1024),
}
"""Small row groups: who reads a symbol decodes the rows of few others."""

_RANGED = {"write.distribution-mode": "range"}
_BY_PARTITION = {"write.distribution-mode": "hash"}

_DISTINCT = {
    # a dictionary that grows beyond these bytes is given up, and PyIceberg looks after so many rows
    "write.parquet.dict-size-bytes": str(8 * 1024),
    "write.parquet.page-row-limit": str(2 * 1024),
}

_BOUNDED = {
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "50",
    # PyIceberg joins no manifests unless told, and each month of bars brings one that all plans read
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "32",
}
"""Of local tables: each commit writes all metadata of its table, which would grow with the square of them."""

_SORTED_APART = {
    # a driver reads all of a study's rows, and what reads a file holds several copies of what it has;
    # a file's size is looked at each thousand rows, and counts the row groups that are written
    "write.target-file-size-bytes": str(4 * 1024 * 1024),
    "write.parquet.row-group-size-bytes": str(1024 * 1024),
    "write.distribution-mode": "none",
    # a MERGE into them inserts and changes nothing: no file has to be read for being written anew
    "write.merge.mode": "merge-on-read",
    "write.merge.distribution-mode": "none",
}


def create_tables(
    spark: SparkSession | None, location: LakeLocation, tables: Iterable[TableSpec] = TABLES
) -> None:
    """Create the tables that do not exist, and add columns and settings that existing ones lack.

    Parameters
    ----------
    spark : SparkSession or None
        The session, which only a catalog service needs.
    location : LakeLocation
        Where the lake is.
    tables : iterable of TableSpec, optional
        Tables to create.

    Raises
    ------
    LakeError
        If a column exists with another type.
    LakeLockedError
        If there is something to create while another process is writing.
    """
    wanted = list(tables)
    absent = [spec for spec in wanted if not table_exists(location, spec.name)]
    for spec in wanted:
        if spec not in absent:
            table = open_table(location, spec.name)
            _add_columns(spark, location, spec, table)
            _renew_settings(spark, location, spec, table)
    if not absent:
        return
    with in_words(location.described), writer_lock(location, "create tables"):
        if spark is not None and not location.local:
            spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {location.catalog}.{location.namespace}")
        for spec in absent:
            _create(spark, location, spec)


def set_properties(
    spark: SparkSession | None, location: LakeLocation, table: str, properties: Mapping[str, str]
) -> None:
    """Set properties of a table in one commit; others stay.

    Parameters
    ----------
    spark, location
        As in `create_tables`.
    table : str
        Name of the table.
    properties : mapping of str to str
        Values by name.
    """
    with in_words(location.described), writer_lock(location, f"set properties of {table}"):
        if spark is None or location.local:
            set_local_properties(location, table, properties)
        else:
            spark.sql(f"ALTER TABLE {location.identifier(table)} SET TBLPROPERTIES ({_listed(properties)})")


def _create(spark: SparkSession | None, location: LakeLocation, spec: TableSpec) -> None:
    properties = _PROPERTIES | (_SORTED_APART if spec.sorted_apart else {})
    properties |= (_BY_SYMBOL if spec.by_symbol else {}) | (_DISTINCT if spec.distinct else {})
    if spark is None or location.local:
        ordered = _RANGED if spec.sort_order and not spec.sorted_apart else {}
        ordered = _BY_PARTITION if spec.by_partition else ordered
        create_local(location, spec, {"owner": user_name()} | _BOUNDED | ordered | properties)
        return
    name = location.identifier(spec.name)
    partitioned = f"PARTITIONED BY ({', '.join(spec.partitioning)})" if spec.partitioning else ""
    spark.sql(
        f"CREATE TABLE IF NOT EXISTS {name} ({spec.ddl}) USING iceberg {partitioned} "
        f"TBLPROPERTIES ({_listed(properties)})"
    )
    if spec.sort_order:
        how = "LOCALLY ORDERED" if spec.sorted_apart else "ORDERED"
        how = "DISTRIBUTED BY PARTITION LOCALLY ORDERED" if spec.by_partition else how
        spark.sql(f"ALTER TABLE {name} WRITE {how} BY {', '.join(spec.sort_order)}")


def _listed(properties: Mapping[str, str]) -> str:
    return ", ".join(f"'{key}'={sql_text(value)}" for key, value in properties.items())


def _renew_settings(
    spark: SparkSession | None, location: LakeLocation, spec: TableSpec, table: Table
) -> None:
    """Give a table that an older version made the settings of this one; what someone has set stays."""
    wanted = (_BOUNDED if location.local else {}) | (_BY_SYMBOL if spec.by_symbol else {})
    wanted |= _BY_PARTITION if spec.by_partition else {}
    wanted |= _DISTINCT if spec.distinct else {}
    older = _PROPERTIES | _RANGED
    missing = {
        key: value
        for key, value in wanted.items()
        if table.properties.get(key) in (None, older.get(key)) and table.properties.get(key) != value
    }
    if missing:
        set_properties(spark, location, spec.name, missing)


def _add_columns(spark: SparkSession | None, location: LakeLocation, spec: TableSpec, table: Table) -> None:
    there = {field.name: str(field.field_type) for field in table.schema().fields}
    for column, kind in spec.columns:
        if column in there:
            continue
        if column in spec.key:
            raise LakeError(
                f"table {spec.name} has no column {column!r}, which is part of its key: it was made by an "
                "older version of whatif; drop it or use another WHATIF_HOME"
            )
        with writer_lock(location, f"add column {column} to {spec.name}"):
            if spark is None or location.local:
                add_column_locally(location, spec, column, kind)
            else:
                spark.sql(f"ALTER TABLE {location.identifier(spec.name)} ADD COLUMN `{column}` {kind}")
