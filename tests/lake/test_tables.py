"""The tables in Iceberg, and the ways to write to them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from whatif.errors import LakeError, LakeLockedError
from whatif.lake import (
    TABLES,
    TableSpec,
    append,
    create_tables,
    features_table,
    insert_missing,
    pin,
    read_pinned,
    upsert,
)
from whatif.lake import replace as replace_rows
from whatif.lake.tables import BARS
from whatif.pins import current_pin, find_pin, open_table, read_arrow

pytestmark = pytest.mark.spark

PAIRS = TableSpec("pairs", (("k", "string"), ("n", "int"), ("v", "double")), key=("k", "n"))


def frame(spark, *rows: tuple[str | None, int, float | None]):
    return spark.createDataFrame(list(rows), "k string, n int, v double")


def rows(location) -> list[tuple[object, ...]]:
    table = read_arrow(current_pin(location, "pairs"), ["k", "n", "v"]).to_pylist()
    return sorted(tuple(row.values()) for row in table)


def snapshots(location, table: str = "pairs") -> int:
    return len(open_table(location, table).metadata.snapshots)


class TestCreate:
    def test_all_tables_are_version_2_zstd_and_laid_out_as_said(self, spark, lake_home) -> None:
        create_tables(spark, lake_home)
        for spec in TABLES:
            table = open_table(lake_home, spec.name)
            assert table.metadata.format_version == 2
            assert table.properties["write.parquet.compression-codec"] == "zstd"
            assert [field.name for field in table.schema().fields] == list(spec.column_names)
            names = {field.field_id: field.name for field in table.schema().fields}
            assert [names[f.source_id] for f in table.sort_order().fields] == list(spec.sort_order)
            assert len(table.spec().fields) == len(spec.partitioning)
        assert str(open_table(lake_home, "bars").spec().fields[0].transform) == "month"

    def test_rows_that_go_to_files_by_partition_are_made_once(self, spark, lake_home, tmp_path) -> None:
        spec = TableSpec(
            name="dear",
            columns=(("k", "string"), ("n", "int")),
            partitioning=("k",),
            sort_order=("n",),
            by_partition=True,
        )
        create_tables(spark, lake_home, [spec])
        made = tmp_path / "made"

        def tell(frames):
            for each in frames:
                with made.open("a") as file:
                    file.writelines(f"{n}\n" for n in each["n"])
                yield each

        few = spark.createDataFrame([("a", n) for n in (3, 1, 2)] + [("b", 0)], "k string, n int")
        append(spark, lake_home, spec, few.repartition(2).mapInPandas(tell, few.schema))
        assert sorted(made.read_text().split()) == ["0", "1", "2", "3"]
        table = read_arrow(current_pin(lake_home, "dear"), ["k", "n"]).to_pylist()
        assert [row["n"] for row in table if row["k"] == "a"] == [1, 2, 3]

    def test_again_changes_nothing(self, spark, lake_home) -> None:
        create_tables(spark, lake_home, [BARS])
        before = open_table(lake_home, "bars").metadata_location
        create_tables(spark, lake_home, [BARS])
        assert open_table(lake_home, "bars").metadata_location == before

    def test_a_column_that_a_newer_version_brought_is_added(self, spark, lake_home) -> None:
        create_tables(spark, lake_home, [PAIRS])
        append(spark, lake_home, PAIRS, frame(spark, ("a", 1, 1.0)))
        create_tables(spark, lake_home, [replace(PAIRS, columns=(*PAIRS.columns, ("note", "string")))])
        table = read_arrow(current_pin(lake_home, "pairs"), ["k", "note"])
        assert table.to_pylist() == [{"k": "a", "note": None}]

    def test_a_new_key_is_refused(self, spark, lake_home) -> None:
        create_tables(spark, lake_home, [PAIRS])
        with pytest.raises(LakeError, match="part of its key"):
            create_tables(
                spark, lake_home, [TableSpec("pairs", (*PAIRS.columns, ("z", "int")), key=("k", "n", "z"))]
            )

    def test_features(self, spark, lake_home) -> None:
        create_tables(spark, lake_home, [features_table("features_s1", ["ema_10"], {"label": "double"})])
        assert spark.table("lake.whatif.features_s1").columns == ["symbol", "ts", "ema_10", "label"]


class TestWrite:
    @pytest.fixture(autouse=True)
    def _table(self, spark, lake_home) -> None:
        create_tables(spark, lake_home, [PAIRS])

    def test_insert_missing_never_changes_a_row(self, spark, lake_home) -> None:
        insert_missing(spark, lake_home, PAIRS, frame(spark, ("a", 1, 1.0), ("a", 2, 2.0)))
        insert_missing(spark, lake_home, PAIRS, frame(spark, ("a", 1, 9.0), ("b", 1, 3.0)))
        assert rows(lake_home) == [("a", 1, 1.0), ("a", 2, 2.0), ("b", 1, 3.0)]

    def test_insert_missing_takes_a_repeated_key_once(self, spark, lake_home) -> None:
        insert_missing(spark, lake_home, PAIRS, frame(spark, ("a", 1, 1.0), ("a", 1, 1.0)))
        assert rows(lake_home) == [("a", 1, 1.0)]

    def test_a_null_in_a_key_is_a_value(self, spark, lake_home) -> None:
        for _ in range(2):
            insert_missing(
                spark, lake_home, PAIRS, spark.createDataFrame([(None, 1, 1.0)], "k string, n int, v double")
            )
        assert rows(lake_home) == [(None, 1, 1.0)]

    def test_upsert_corrects_and_adds_in_one_commit(self, spark, lake_home) -> None:
        append(spark, lake_home, PAIRS, frame(spark, ("a", 1, 1.0), ("a", 2, None), ("a", 3, 3.0)))
        before = snapshots(lake_home)
        upsert(spark, lake_home, PAIRS, frame(spark, ("a", 1, 5.0), ("a", 2, 2.0), ("b", 1, 7.0)), ["v"])
        assert rows(lake_home) == [("a", 1, 5.0), ("a", 2, 2.0), ("a", 3, 3.0), ("b", 1, 7.0)]
        assert snapshots(lake_home) == before + 1

    def test_columns_may_come_in_any_order_and_must_all_come(self, spark, lake_home) -> None:
        append(spark, lake_home, PAIRS, frame(spark, ("a", 1, 1.0)).select("v", "n", "k"))
        assert rows(lake_home) == [("a", 1, 1.0)]
        with pytest.raises(LakeError, match="lack v"):
            append(spark, lake_home, PAIRS, frame(spark, ("a", 1, 1.0)).drop("v"))

    def test_properties_of_a_snapshot(self, spark, lake_home) -> None:
        append(spark, lake_home, PAIRS, frame(spark, ("a", 1, 1.0)), {"whatif.bars-snapshot": "11"})
        replace_rows(spark, lake_home, PAIRS, frame(spark, ("b", 1, 1.0)), {"whatif.bars-snapshot": "12"})
        old = find_pin(lake_home, "pairs", {"whatif.bars-snapshot": "11"})
        new = find_pin(lake_home, "pairs", {"whatif.bars-snapshot": "12"})
        assert new == pin(spark, lake_home, "pairs")
        assert old is not None
        assert new is not None
        assert [row.k for row in read_pinned(spark, lake_home, old).collect()] == ["a"]
        assert [row.k for row in read_pinned(spark, lake_home, new).collect()] == ["b"]

    def test_no_key_no_merge(self, spark, lake_home) -> None:
        with pytest.raises(LakeError, match="append them"):
            insert_missing(spark, lake_home, replace(PAIRS, key=()), frame(spark, ("a", 1, 1.0)))

    def test_no_view_is_left_behind(self, spark, lake_home) -> None:
        insert_missing(spark, lake_home, PAIRS, frame(spark, ("a", 1, 1.0)))
        assert [view for view in spark.catalog.listTables() if view.isTemporary] == []

    def test_a_second_writer_is_told_who_is_writing(self, spark, lake_home) -> None:
        hold = (
            "import sys, time; from pathlib import Path; from whatif.lake import writer_lock; "
            "from whatif.pins import LakeLocation\n"
            "with writer_lock(LakeLocation(Path(sys.argv[1])), 'ingest'):\n"
            "    print('held', flush=True); time.sleep(60)"
        )
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        command = [sys.executable, "-c", hold, str(lake_home.home)]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            other.stdout.readline()
            try:
                with pytest.raises(LakeLockedError, match=f"process {other.pid}"):
                    append(spark, lake_home, PAIRS, frame(spark, ("a", 1, 1.0)))
            finally:
                other.kill()
        append(spark, lake_home, PAIRS, frame(spark, ("a", 1, 1.0)))
        assert len(rows(lake_home)) == 1
