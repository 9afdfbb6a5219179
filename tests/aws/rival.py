"""A writer that commits between Spark's reading of a table and its writing; prints what the table held.

Rows that Spark is about to write come from a function that, the first time, appends others through
PyIceberg: by then Spark has chosen the snapshot that it compares with.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyiceberg.catalog import load_catalog
from pyspark.sql import DataFrame

from whatif.lake import TableSpec, append, create_tables, insert_missing, upsert
from whatif.pins import LakeLocation, catalog_properties, current_pin, read_arrow
from whatif.session import get_spark

Row = tuple[str, str, float]

COLUMNS = ["k", "market", "v"]
TABLE = TableSpec(
    "rival", (("k", "string"), ("market", "string"), ("v", "double")), key=("k",), sorted_apart=True
)
MINE = "t.market = 'm'"

location = LakeLocation.from_environment()
spark = get_spark(location)


def rows_beside(mine: list[Row], theirs: list[Row]) -> DataFrame:
    """Return our rows; while they are computed, the rival commits its own, once."""
    once = Path(tempfile.mkdtemp()) / "committed"
    properties, name = catalog_properties(), (location.namespace, TABLE.name)

    def interfere(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        if not once.exists():
            once.touch()
            rows = pa.Table.from_pandas(pd.DataFrame(theirs, columns=COLUMNS), preserve_index=False)
            load_catalog(location.catalog, **properties).load_table(name).append(rows)
        yield from frames

    made = spark.createDataFrame(pd.DataFrame(mine, columns=COLUMNS), TABLE.ddl)
    return made.coalesce(1).mapInPandas(interfere, TABLE.ddl)


def held() -> list[Row]:
    """Return all rows of the table."""
    stored = read_arrow(current_pin(location, TABLE.name), COLUMNS).to_pylist()
    return sorted((row["k"], row["market"], row["v"]) for row in stored)


def compete() -> dict[str, list[Row]]:
    """Write beside the rival, in each way that whatif writes, and return what was held after each."""
    create_tables(spark, location, (TABLE,))
    append(spark, location, TABLE, spark.createDataFrame([("z", "m", 0.0)], TABLE.ddl))
    seen = {}
    mine = [("a", "m", 1.0), ("b", "m", 1.0), ("z", "m", 9.0)]
    insert_missing(spark, location, TABLE, rows_beside(mine, [("a", "m", 7.0)]), MINE, distinct=True)
    seen["same row"] = held()
    other = rows_beside([("c", "m", 2.0)], [("x", "other", 1.0)])
    insert_missing(spark, location, TABLE, other, MINE, distinct=True)
    seen["other market"] = held()
    upsert(spark, location, TABLE, rows_beside([("d", "m", 3.0)], [("d", "m", 4.0)]), ("v",), MINE)
    seen["upsert"] = held()
    return seen


if __name__ == "__main__":
    sys.stdout.write(json.dumps(compete()) + "\n")
