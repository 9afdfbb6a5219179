"""Tables of the local lake that PyIceberg makes and writes, beside those that Spark does."""

from __future__ import annotations

import errno
import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.exceptions import CommitFailedException

from whatif.errors import LakeError
from whatif.lake import (
    BARS,
    PREDICTIONS,
    TABLES,
    TEST_LOOKS,
    TableSpec,
    append_arrow,
    append_files,
    append_rows,
    create_tables,
    features_table,
    insert_missing,
    local_files,
    local_tables,
    maintain_all,
    set_properties,
    tag_pin,
    upsert_arrow,
    write_files,
)
from whatif.lake.local_tables import (
    FolderCatalog,
    delete_locally,
    insert_missing_locally,
    put_files_locally,
    write_files_locally,
)
from whatif.pins import (
    LakeLocation,
    Pin,
    current_pin,
    equal,
    everything,
    one_of,
    open_table,
    read_arrow,
    table_names,
    tagged_pin,
)
from whatif.pins.integrity import checksum_fault, local_path

PAIRS = TableSpec(
    "pairs", (("k", "string"), ("n", "int"), ("v", "array<double>")), key=("k", "n"), sort_order=("k", "n")
)

ARROW = pa.schema({"k": pa.string(), "n": pa.int32(), "v": pa.list_(pa.float64())})


@pytest.fixture
def lake(tmp_path) -> LakeLocation:
    return LakeLocation(tmp_path / "home")


def rows(location: LakeLocation) -> list[tuple[object, ...]]:
    table = read_arrow(current_pin(location, "pairs"), ["k", "n", "v"])
    return [tuple(row.values()) for row in table.to_pylist()]


def test_all_tables_are_made_and_again_changes_nothing(lake) -> None:
    create_tables(None, lake)
    before = {spec.name: open_table(lake, spec.name).metadata_location for spec in TABLES}
    create_tables(None, lake)
    for spec in TABLES:
        table = open_table(lake, spec.name)
        assert table.metadata_location == before[spec.name]
        assert [field.name for field in table.schema().fields] == list(spec.column_names)
        assert all(not field.required for field in table.schema().fields)


def test_the_elements_of_lists_are_numbered_after_all_columns(lake) -> None:
    create_tables(None, lake, [PAIRS])
    fields = open_table(lake, "pairs").schema().fields
    assert [field.field_id for field in fields] == [1, 2, 3]
    assert fields[2].field_type.element_id == 4


def test_rows_are_appended_in_the_order_of_the_table(lake) -> None:
    create_tables(None, lake, [PAIRS])
    append_rows(None, lake, PAIRS, [{"k": "b", "n": 1, "v": [2.5]}, {"k": "a", "n": 7, "v": None}])
    append_rows(None, lake, PAIRS, [{"k": "c", "n": 2, "v": []}])
    assert sorted(rows(lake), key=str) == [("a", 7, None), ("b", 1, [2.5]), ("c", 2, [])]
    (first, *_) = sorted(
        (lake.table_folder("pairs") / "data").glob("*.parquet"), key=lambda p: p.stat().st_mtime_ns
    )
    assert pa.parquet.read_table(first)["k"].to_pylist() == ["a", "b"]


def table(*values: tuple[str, int, list[float] | None]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip("knv", row, strict=True)) for row in values], schema=ARROW)


def test_only_what_is_missing_is_inserted_and_nothing_changes(lake) -> None:
    create_tables(None, lake, [PAIRS])
    insert_missing_locally(lake, PAIRS, table(("b", 1, [2.0]), ("a", 1, None)), everything())
    before = open_table(lake, "pairs").current_snapshot().snapshot_id
    insert_missing_locally(lake, PAIRS, table(("a", 1, [9.0]), ("a", 2, [3.0])), equal("k", "a"))
    assert sorted(rows(lake), key=str) == [("a", 1, None), ("a", 2, [3.0]), ("b", 1, [2.0])]
    after = open_table(lake, "pairs").current_snapshot()
    assert after.parent_snapshot_id == before
    insert_missing_locally(lake, PAIRS, table(("a", 1, [9.0])), everything())
    assert open_table(lake, "pairs").current_snapshot().snapshot_id == after.snapshot_id


def test_files_that_tasks_wrote_take_the_place_of_all_rows_at_once(lake) -> None:
    create_tables(None, lake, [PAIRS])
    put_files_locally(lake, "pairs", write_files_locally(lake, PAIRS, table(("a", 1, None))), {})
    before = current_pin(lake, "pairs")
    files = [
        pickle.loads(pickle.dumps(file))
        for part in (table(("d", 4, []), ("b", 1, [2.0])), table(("c", 3, [1.0])))
        for file in write_files_locally(lake, PAIRS, part)
    ]
    assert rows(lake) == [("a", 1, None)]
    put_files_locally(lake, "pairs", files, {"made": "so"})
    assert sorted(rows(lake)) == [("b", 1, [2.0]), ("c", 3, [1.0]), ("d", 4, [])]
    assert read_arrow(before, ["k"])["k"].to_pylist() == ["a"]
    summaries = [one.summary for one in open_table(lake, "pairs").metadata.snapshots]
    assert [one["made"] if "made" in one.additional_properties else None for one in summaries] == [None, "so"]
    for path in (lake.table_folder("pairs") / "data").glob("*.parquet"):
        assert checksum_fault(path) == ""
    put_files_locally(lake, "pairs", [], {})
    assert rows(lake) == []


def test_files_that_tasks_wrote_are_appended_at_once_and_others_are_no_rows(lake) -> None:
    create_tables(None, lake, [PAIRS])
    first, twice, second = (
        pickle.loads(pickle.dumps(write_files(lake, PAIRS, table(*part))))
        for part in ([("d", 4, []), ("b", 1, [2.0])], [("c", 3, [1.0])], [("c", 3, [1.0])])
    )
    append_files(lake, PAIRS, first)
    before = current_pin(lake, "pairs")
    append_files(lake, PAIRS, second)
    assert sorted(rows(lake)) == [("b", 1, [2.0]), ("c", 3, [1.0]), ("d", 4, [])]
    assert sorted(read_arrow(before, ["k"])["k"].to_pylist()) == ["b", "d"]
    append_files(lake, PAIRS, [])
    assert write_files(lake, PAIRS, table()) == []
    assert len(open_table(lake, "pairs").metadata.snapshots) == 2
    # what a task wrote whose answer did not count lies about until maintenance
    (orphan,) = (local_path(file.file_path) for file in twice)
    assert orphan.exists()
    assert maintain_all(lake, timedelta(0))
    assert not orphan.exists()
    assert sorted(rows(lake)) == [("b", 1, [2.0]), ("c", 3, [1.0]), ("d", 4, [])]


def test_files_that_tasks_wrote_go_with_a_commit_that_comes_to_nothing(lake, monkeypatch) -> None:
    create_tables(None, lake, [PAIRS])
    append_arrow(lake, PAIRS, table(("a", 1, None)))
    before = files_of(lake)
    files = write_files(lake, PAIRS, table(("b", 1, None)))
    assert files_of(lake) > before

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(local_tables, "publish", full)
    with pytest.raises((LakeError, OSError), match=r"disk is full|No space left"):
        append_files(lake, PAIRS, files)
    assert files_of(lake) == before
    assert rows(lake) == [("a", 1, None)]


def test_a_file_written_in_any_pieces_has_its_checksums(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_files, "_SUMMED_AT_ONCE", 1_000)
    for k, pieces in enumerate(([0], [511, 1], [512, 512], [3, 2_000, 70, 700, 1])):
        path = tmp_path / f"{k}.bin"
        with local_files.SummedFileIO().new_output(str(path)).create() as stream:
            for number, length in enumerate(pieces):
                stream.write(bytes([number + 1]) * length)
        assert checksum_fault(path) == ""
        assert path.stat().st_size == sum(pieces)


def files_of(lake: LakeLocation) -> set[str]:
    return {str(path.relative_to(lake.warehouse)) for path in lake.warehouse.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", [".parquet", ".avro", ".staged"])
def test_a_disk_that_is_full_keeps_nothing_of_a_commit(lake, monkeypatch, name: str) -> None:
    spec = PAIRS
    create_tables(None, lake, [spec])
    rows = pa.Table.from_pylist([{"k": "a", "n": 1, "v": [1.0]}], schema=ARROW)
    append_arrow(lake, spec, rows)
    before, at = files_of(lake), current_pin(lake, "pairs")
    full = OSError(errno.ENOSPC, "No space left on device")
    if name == ".staged":
        whole = Path.write_bytes

        def write_bytes(path: Path, data: bytes) -> int:
            if path.suffix == name:
                whole(path, data[:3])
                raise full
            return whole(path, data)

        monkeypatch.setattr(Path, "write_bytes", write_bytes)
    else:
        write = local_files._SummedStream.write

        def write_some(stream: Any, data: Any) -> int:
            write(stream, data)
            if stream._path.suffix == name:
                raise full
            return len(data)

        monkeypatch.setattr(local_files._SummedStream, "write", write_some)
    more = pa.Table.from_pylist([{"k": "b", "n": 2, "v": [2.0]}], schema=ARROW)
    for change in (append_arrow, upsert_arrow):
        with pytest.raises((LakeError, OSError), match=r"disk is full|No space left"):
            change(lake, spec, more)
        assert files_of(lake) == before
        assert current_pin(lake, "pairs") == at
    if name == ".staged":  # a table that cannot be begun is none
        with pytest.raises((LakeError, OSError), match=r"disk is full|No space left"):
            create_tables(None, lake, [replace(PAIRS, name="others")])
        assert table_names(lake) == ["pairs"]
    monkeypatch.undo()
    upsert_arrow(lake, spec, more)
    assert sorted(read_arrow(current_pin(lake, "pairs"), ["n"])["n"].to_pylist()) == [1, 2]


def test_a_commit_stands_though_its_hint_cannot_be_written(lake, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    create_tables(None, lake, [PAIRS])
    monkeypatch.setattr(local_files, "set_hint", full)
    append_arrow(lake, PAIRS, pa.Table.from_pylist([{"k": "a", "n": 1, "v": [1.0]}], schema=ARROW))
    assert read_arrow(current_pin(lake, "pairs"), ["n"])["n"].to_pylist() == [1]
    for path in (lake.table_folder("pairs") / "metadata").glob("*.json"):
        assert not checksum_fault(path)


def test_values_that_hardly_repeat_get_no_dictionary(lake) -> None:
    wide = features_table("features_x", ("a", "b"), {})
    create_tables(None, lake, [wide])
    n = 20_000
    ts = pa.array(range(n)).cast(pa.timestamp("us", "UTC"))
    values = [float(k) / 7 for k in range(n)]
    made = pa.table({"symbol": ["A"] * n, "ts": ts, "a": values, "b": [1.0] * n})
    (file,) = write_files_locally(lake, wide, made)
    group = pq.ParquetFile(local_path(file.file_path)).metadata.row_group(0)
    sizes = {group.column(k).path_in_schema: group.column(k) for k in range(group.num_columns)}
    # all of them once, and the first in a dictionary too
    assert sizes["a"].total_uncompressed_size < 1.15 * 8 * n
    assert sizes["b"].total_uncompressed_size < n


def test_rows_are_deleted(lake) -> None:
    create_tables(None, lake, [PAIRS])
    delete_locally(lake, "pairs", everything())
    append_rows(None, lake, PAIRS, [{"k": k, "n": 1, "v": [1.0]} for k in "abc"])
    delete_locally(lake, "pairs", one_of("k", ["a", "c", "z"]))
    assert rows(lake) == [("b", 1, [1.0])]
    delete_locally(lake, "pairs", equal("k", "z"))
    assert rows(lake) == [("b", 1, [1.0])]


def test_a_value_of_another_type_is_no_row(lake) -> None:
    create_tables(None, lake, [PAIRS])
    with pytest.raises(pa.ArrowInvalid):
        append_rows(None, lake, PAIRS, [{"k": "b", "n": "one", "v": None}])
    assert open_table(lake, "pairs").current_snapshot() is None


def test_every_file_has_the_checksums_that_hadoop_verifies(lake) -> None:
    create_tables(None, lake, [PAIRS])
    append_rows(None, lake, PAIRS, [{"k": str(k), "n": k, "v": [float(k)] * 100} for k in range(50)])
    files = [
        path
        for path in lake.table_folder("pairs").rglob("*")
        if path.suffix in (".parquet", ".avro", ".json")
    ]
    assert len(files) == 5  # data, manifest, list of manifests, two of metadata
    for path in files:
        assert path.with_name(f".{path.name}.crc").is_file()
        assert checksum_fault(path) == ""
        flipped = bytearray(path.read_bytes())
        flipped[len(flipped) // 2] ^= 1
        path.write_bytes(flipped)
        assert "does not match its checksum" in checksum_fault(path)


def test_a_tag_follows_what_it_is_told(lake) -> None:
    create_tables(None, lake, [PAIRS])
    pins = []
    for k in range(2):
        append_rows(None, lake, PAIRS, [{"k": "a", "n": k, "v": None}])
        pins.append(current_pin(lake, "pairs"))
        tag_pin(None, lake, pins[-1], "mine")
        assert tagged_pin(lake, "pairs", "mine").snapshot_id == pins[-1].snapshot_id
    tag_pin(None, lake, pins[0], "mine")
    assert tagged_pin(lake, "pairs", "mine").snapshot_id == pins[0].snapshot_id


def test_a_column_and_a_property_are_added(lake) -> None:
    create_tables(None, lake, [PAIRS])
    append_rows(None, lake, PAIRS, [{"k": "a", "n": 1, "v": None}])
    wider = replace(PAIRS, columns=(*PAIRS.columns, ("note", "string")))
    create_tables(None, lake, [wider])
    set_properties(None, lake, "pairs", {"whatif.x": "it's \\ one"})
    append_rows(None, lake, wider, [{"k": "b", "n": 1, "v": None, "note": "new"}])
    found = read_arrow(current_pin(lake, "pairs"), ["k", "note"]).to_pylist()
    assert sorted(found, key=str) == [{"k": "a", "note": None}, {"k": "b", "note": "new"}]
    assert open_table(lake, "pairs").properties["whatif.x"] == "it's \\ one"


def test_old_metadata_goes(lake) -> None:
    create_tables(None, lake, [PAIRS])
    set_properties(None, lake, "pairs", {"write.metadata.previous-versions-max": "3"})
    for k in range(8):
        set_properties(None, lake, "pairs", {"whatif.k": str(k)})
    files = sorted(p.name for p in (lake.table_folder("pairs") / "metadata").glob("v*.json"))
    assert len(files) == 4
    sums = (lake.table_folder("pairs") / "metadata").glob(".v*.crc")
    assert sorted(path.name for path in sums) == sorted(f".{name}.crc" for name in files)
    assert files[-1] == "v9.metadata.json" or "v10.metadata.json" in files


def test_of_two_writers_the_second_begins_anew_and_nothing_is_lost(lake) -> None:
    create_tables(None, lake, [PAIRS])
    first, second = (FolderCatalog(lake).load_table(("whatif", "pairs")) for _ in range(2))
    for number, table in enumerate((first, second)):
        table.append(pa.Table.from_pylist([{"k": "a", "n": number, "v": None}], schema=ARROW))
    assert sorted(rows(lake)) == [("a", 0, None), ("a", 1, None)]


def test_a_version_that_is_there_is_never_replaced(lake, monkeypatch) -> None:
    create_tables(None, lake, [PAIRS])
    table = FolderCatalog(lake).load_table(("whatif", "pairs"))
    stale = Path(table.metadata_location)
    set_properties(None, lake, "pairs", {"whatif.k": "1"})
    there = stale.with_name("v2.metadata.json").read_bytes()
    monkeypatch.setattr("whatif.lake.local_tables.newest_metadata", lambda _: stale)
    with pytest.raises(CommitFailedException, match=r"v2\.metadata\.json was written meanwhile"):
        set_properties(None, lake, "pairs", {"whatif.k": "2"})
    assert stale.with_name("v2.metadata.json").read_bytes() == there


def test_a_table_that_is_not_there_is_named(lake) -> None:
    with pytest.raises(LakeError, match=r"whatif\.pairs does not exist"):
        set_properties(None, lake, "pairs", {})


def test_without_a_session_nothing_is_written_beside_a_catalog_service(lake) -> None:
    service = replace(lake, local=False)
    row = dict.fromkeys(PAIRS.column_names)
    for write in (
        lambda: set_properties(None, service, "pairs", {"whatif.x": "1"}),
        lambda: tag_pin(None, service, Pin("pairs", 1, "somewhere"), "mine"),
        lambda: append_rows(None, service, PAIRS, [row]),
    ):
        with pytest.raises(LakeError, match="catalog lake is a service: give a Spark session"):
            write()
    assert not lake.home.exists()


def test_types_that_no_table_has_are_refused(lake) -> None:
    with pytest.raises(LakeError, match="'decimal'"):
        create_tables(None, lake, [TableSpec("pairs", (("k", "decimal"),))])
    assert not list(lake.table_folder("pairs").rglob("*.json"))


@pytest.mark.spark
def test_spark_and_pyiceberg_write_one_table_in_turn(spark, lake_home) -> None:
    create_tables(None, lake_home, [PAIRS, TEST_LOOKS])
    append_rows(None, lake_home, PAIRS, [{"k": "a", "n": 1, "v": [1.5]}])
    frame = spark.createDataFrame([("a", 1, [9.0]), ("b", 1, None)], "k string, n int, v array<double>")
    insert_missing(spark, lake_home, PAIRS, frame)
    append_rows(None, lake_home, PAIRS, [{"k": "c", "n": 1, "v": []}])
    seen = spark.table(lake_home.identifier("pairs")).orderBy("k").collect()
    assert [tuple(row) for row in seen] == [("a", 1, [1.5]), ("b", 1, None), ("c", 1, [])]
    assert sorted(rows(lake_home), key=str) == [("a", 1, [1.5]), ("b", 1, None), ("c", 1, [])]
    instant = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    look = dict.fromkeys(TEST_LOOKS.column_names, "x")
    look |= dict.fromkeys(("looked_at", "window_start", "window_end"), instant)
    append_rows(None, lake_home, TEST_LOOKS, [look])
    (row,) = spark.table(lake_home.identifier("test_looks")).selectExpr("unix_micros(looked_at) us").collect()
    assert row["us"] == int(instant.timestamp() * 1_000_000)


def test_a_symbol_is_read_without_the_rows_of_many_others(lake) -> None:
    create_tables(None, lake)
    n, kind = 10_000, pa.timestamp("us", tz="UTC")
    start = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    given: dict[str, object] = {name: pa.nulls(8 * n) for name in BARS.column_names}
    given["symbol"] = [f"S{k % 8}" for k in range(8 * n)]  # as they come, all symbols at each minute
    given["ts"] = pa.array([start + k // 8 * 60_000_000 for k in range(8 * n)], pa.int64()).cast(kind)
    append_arrow(lake, BARS, pa.table(given))
    (file,) = (task.file.file_path for task in open_table(lake, "bars").scan().plan_files())
    groups = pq.ParquetFile(local_path(file)).metadata
    of_symbol = [
        groups.row_group(k).column(0).statistics.min <= "S3" <= groups.row_group(k).column(0).statistics.max
        for k in range(groups.num_row_groups)
    ]
    assert sum(of_symbol) == 2
    assert max(groups.row_group(k).num_rows for k in range(groups.num_row_groups)) == 16_384


def test_an_older_tables_settings_are_renewed_but_for_what_someone_set(lake) -> None:
    create_tables(None, lake)
    size, limit = "write.parquet.row-group-size-bytes", "write.parquet.row-group-limit"
    set_properties(None, lake, "bars", {size: str(16 * 1024 * 1024), limit: "5000"})
    create_tables(None, lake)
    properties = open_table(lake, "bars").properties
    assert (properties[size], properties[limit]) == (str(1024 * 1024), "5000")


def test_predictions_of_an_older_lake_are_no_longer_ranged(lake) -> None:
    mode = "write.distribution-mode"
    create_tables(None, lake, [PREDICTIONS, BARS])
    set_properties(None, lake, "predictions", {mode: "range"})
    create_tables(None, lake, [PREDICTIONS, BARS])
    assert open_table(lake, "predictions").properties[mode] == "hash"
    assert open_table(lake, "bars").properties[mode] == "range"
    set_properties(None, lake, "predictions", {mode: "none"})  # someone's choice
    create_tables(None, lake, [PREDICTIONS, BARS])
    assert open_table(lake, "predictions").properties[mode] == "none"


def test_an_upsert_is_one_snapshot_and_keeps_all_other_rows(lake) -> None:
    create_tables(None, lake, [PAIRS])
    append_arrow(
        lake, PAIRS, pa.table({"k": ["a", "a", "b"], "n": [1, 2, 1], "v": [[1.0], [2.0], [3.0]]}, ARROW)
    )
    append_arrow(lake, PAIRS, pa.table({"k": ["c"], "n": [9], "v": [[9.0]]}, ARROW))
    upsert_arrow(lake, PAIRS, pa.table({"k": ["a", "b"], "n": [2, 7], "v": [[2.5], [7.0]]}, ARROW))
    assert sorted(rows(lake)) == [
        ("a", 1, [1.0]), ("a", 2, [2.5]), ("b", 1, [3.0]), ("b", 7, [7.0]), ("c", 9, [9.0]),
    ]  # fmt: skip
    assert len(open_table(lake, "pairs").metadata.snapshots) == 3
    # the file that held none of the replaced rows is the same
    assert {len(list(open_table(lake, "pairs").scan(snapshot_id=s.snapshot_id).plan_files()))
            for s in open_table(lake, "pairs").metadata.snapshots} == {1, 2}  # fmt: skip


@pytest.mark.parametrize(
    ("letters", "numbers", "ordered"),
    [
        (["a", "a", "b"], [1, 2, 1], True),
        (["a", "a", "b"], [2, 2, 1], True),
        (["a", "a", "b"], [2, 1, 3], False),
        (["a", "b", "a"], [1, 2, 3], False),
        (["a", None, "b"], [1, 2, 3], False),
        (["a"], [1], True),
        ([], [], True),
    ],
)
def test_rows_that_come_in_the_tables_order_are_not_sorted(letters, numbers, ordered) -> None:
    rows = pa.table({"k": pa.array(letters, pa.string()), "n": pa.array(numbers, pa.int32())})
    assert local_tables._is_ordered(rows) is ordered
    assert local_tables.in_table_order(PAIRS, rows).to_pylist() == sorted(
        rows.to_pylist(), key=lambda row: (row["k"] is None, row["k"] or "", row["n"])
    )
