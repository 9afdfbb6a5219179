"""Spark refuses altered files too, and a repaired table can be written by it."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from whatif.errors import LakeError
from whatif.lake import TableSpec, append, create_tables, pin, read_pinned
from whatif.lake.doctor import examine, repair
from whatif.pins import current_pin, open_table, read_arrow

pytestmark = pytest.mark.spark

NUMBERS = TableSpec("numbers", (("n", "int"), ("v", "double")), key=("n",))


@pytest.fixture
def stored(spark, lake_home) -> Path:
    """The data file of a table that Spark wrote, without Hadoop's checksum file beside it."""
    create_tables(spark, lake_home, [NUMBERS])
    rng = random.Random(1)
    rows = [(n, rng.random()) for n in range(4_000)]
    append(spark, lake_home, NUMBERS, spark.createDataFrame(rows, "n int, v double").coalesce(1))
    (task,) = open_table(lake_home, "numbers").scan().plan_files()
    path = Path(task.file.file_path.removeprefix("file:"))
    path.with_name(f".{path.name}.crc").unlink()
    return path


def test_spark_verifies_the_checksum_of_every_page(spark, lake_home, stored: Path) -> None:
    content = bytearray(stored.read_bytes())
    column = pq.read_metadata(stored).row_group(0).column(1)
    # in the middle of the values, which are noise and compress to themselves
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    stored.write_bytes(content)
    with pytest.raises(Exception, match="page integrity"):
        read_pinned(spark, lake_home, pin(spark, lake_home, "numbers")).collect()
    with pytest.raises(LakeError, match=f"{stored} cannot be decoded"):
        read_arrow(current_pin(lake_home, "numbers"), ["v"])


def test_a_table_that_was_mended_can_be_written(spark, lake_home, stored: Path) -> None:
    append(spark, lake_home, NUMBERS, spark.createDataFrame([(9_000, 1.0)], "n int, v double"))
    newest = {task.file.file_path for task in open_table(lake_home, "numbers").scan().plan_files()}
    (later,) = newest - {str(stored), f"file:{stored}"}
    Path(later.removeprefix("file:")).unlink()
    (finding,) = examine(lake_home)
    assert "goes back to snapshot" in finding.remedy
    repair(lake_home, [finding])
    append(spark, lake_home, NUMBERS, spark.createDataFrame([(9_001, 2.0)], "n int, v double"))
    assert read_pinned(spark, lake_home, pin(spark, lake_home, "numbers")).count() == 4_001
    assert examine(lake_home) == []


def test_a_table_of_a_clock_ahead_is_written_after_the_repair(spark, lake_home, stored: Path) -> None:
    opened = open_table(lake_home, "numbers")
    path = Path(opened.metadata_location.removeprefix("file:"))
    metadata = json.loads(path.read_text())
    tomorrow = int(time.time() * 1000) + 86_400_000
    metadata["last-updated-ms"] = metadata["snapshots"][-1]["timestamp-ms"] = tomorrow
    metadata["snapshot-log"][-1]["timestamp-ms"] = tomorrow
    path.write_text(json.dumps(metadata))
    path.with_name(f".{path.name}.crc").unlink()
    one = spark.createDataFrame([(9_001, 2.0)], "n int, v double")
    with pytest.raises(LakeError, match=r"a clock that was ahead.*whatif doctor --repair"):
        append(spark, lake_home, NUMBERS, one)
    repair(lake_home, examine(lake_home))
    append(spark, lake_home, NUMBERS, one)
    assert read_pinned(spark, lake_home, pin(spark, lake_home, "numbers")).count() == 4_001
