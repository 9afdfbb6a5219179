"""Tables after many commits: few files, few snapshots, the same rows."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.table.metadata import TableMetadata

from whatif.errors import LakeError
from whatif.lake import TableSpec, append, append_rows, create_tables, examine, set_properties, tag_pin
from whatif.lake.local_tables import texts_made
from whatif.lake.maintenance import maintain
from whatif.pins import LakeLocation, current_pin, open_table, read_arrow, tagged_pin
from whatif.workflow.study import _Run

PAIRS = TableSpec("pairs", (("k", "string"), ("n", "int")), key=("k", "n"))
SERIES = TableSpec(
    "series",
    (("name", "string"), ("k", "string"), ("n", "int")),
    key=("k", "n"),
    sort_order=("k", "n"),
    sorted_apart=True,
)
AT_ONCE = timedelta(0)


def put(spark, location: LakeLocation, *numbers: int) -> None:
    for n in numbers:
        append(spark, location, PAIRS, spark.createDataFrame([("a", n)], "k string, n int").coalesce(1))


def numbers(location: LakeLocation, pin=None) -> list[int]:
    return sorted(read_arrow(pin or current_pin(location, "pairs"), ["n"])["n"].to_pylist())


def data_files(location: LakeLocation) -> int:
    return len(list((location.table_folder("pairs") / "data").rglob("*.parquet")))


def metadata_files(location: LakeLocation) -> int:
    return len(list((location.table_folder("pairs") / "metadata").glob("*.metadata.json")))


@pytest.mark.spark
@pytest.mark.slow
def test_files_are_joined_and_old_snapshots_go_when_many_commits_were_made(spark, lake_home) -> None:
    create_tables(spark, lake_home, [PAIRS])
    put(spark, lake_home, *range(4))
    assert maintain(lake_home, [PAIRS], commits=5) == []
    assert data_files(lake_home) == 4
    assert maintain(lake_home, [PAIRS], commits=4, kept=2, kept_for=AT_ONCE) == ["pairs"]
    table = open_table(lake_home, "pairs")
    # what was joined, and what stood before: its files are still there
    assert len(table.metadata.snapshots) == 2
    assert [task.file.record_count for task in table.scan().plan_files()] == [4]
    assert numbers(lake_home) == [0, 1, 2, 3]
    # counted anew from here
    assert maintain(lake_home, [PAIRS], commits=1) == []
    put(spark, lake_home, 4)
    assert maintain(lake_home, [PAIRS], commits=1, kept=1) == ["pairs"]
    # an hour has not passed: whoever reads an older snapshot reads on
    assert len(open_table(lake_home, "pairs").metadata.snapshots) == 4
    assert numbers(lake_home) == [0, 1, 2, 3, 4]


def files_of(location: LakeLocation) -> set[str]:
    """Return the files of the table's folder that are no metadata of the table, checksum files too."""
    folder = location.table_folder("pairs")
    return {path.name for kind in ("parquet", "avro", "crc") for path in folder.rglob(f"*.{kind}")} - {
        f".{path.name}.crc" for path in folder.rglob("*.json")
    }


def test_what_python_wrote_is_joined_and_no_file_is_left_behind(lake_home) -> None:
    create_tables(None, lake_home, [PAIRS])
    for n in range(5):
        append_rows(None, lake_home, PAIRS, [{"k": "b", "n": n}, {"k": "a", "n": 10 + n}])
    append_rows(None, lake_home, PAIRS, [{"k": "c", "n": 9}])
    pinned = current_pin(lake_home, "pairs")
    assert maintain(lake_home, [PAIRS], commits=7) == []
    assert maintain(lake_home, [PAIRS], commits=6, kept=3, kept_for=AT_ONCE) == ["pairs"]
    table = open_table(lake_home, "pairs")
    expected = [0, 1, 2, 3, 4, 9, 10, 11, 12, 13, 14]
    assert numbers(lake_home) == expected
    assert len(table.metadata.snapshots) == 3
    (task,) = table.scan().plan_files()
    assert task.file.record_count == 11
    # a snapshot that is left reads its files, which are still there
    assert numbers(lake_home, pinned) == expected
    assert maintain(lake_home, [PAIRS], commits=0, kept=1, kept_for=AT_ONCE) == ["pairs"]
    assert len(open_table(lake_home, "pairs").metadata.snapshots) == 1
    assert numbers(lake_home) == expected
    # one file of rows, a manifest of it and one of what it replaced, their list, and the checksums of each
    assert len(files_of(lake_home)) == 8
    assert examine(lake_home) == []


def test_what_was_joined_is_not_joined_again(lake_home) -> None:
    create_tables(None, lake_home, [PAIRS])
    set_properties(None, lake_home, "pairs", {"write.target-file-size-bytes": "20000"})
    draw = random.Random(5)
    # texts that are alike take many times the room in memory that they take in a file
    for part in range(8):
        rows = [{"k": f"the same long text {part}", "n": draw.randrange(2**31)} for _ in range(1500)]
        append_rows(None, lake_home, PAIRS, rows)

    def sizes() -> dict[str, int]:
        tasks = open_table(lake_home, "pairs").scan().plan_files()
        return {task.file.file_path: task.file.file_size_in_bytes for task in tasks}

    before = sizes()
    maintain(lake_home, [PAIRS], commits=8)
    joined = sizes()
    assert len(joined) < len(before) / 2
    assert sum(size < 15_000 for size in joined.values()) <= 1
    maintain(lake_home, [PAIRS], commits=0)
    assert sizes() == joined


def test_rows_are_joined_in_order_and_few_are_made_into_texts_at_once(lake_home, monkeypatch) -> None:
    create_tables(None, lake_home, [SERIES])
    for part in range(6):
        # each file in another order than the whole, and one key in two files
        rows = [
            {"name": None if n == 3 and part == 2 else f"the same long text {k}", "k": f"key {k}", "n": n}
            for k in (part + 1, part)
            for n in range(part, 60, 6)
        ]
        append_rows(None, lake_home, SERIES, rows)
    before = read_arrow(current_pin(lake_home, "series"), list(SERIES.column_names)).to_pylist()
    made: list[int] = []

    def counted(rows: pa.Table, metadata: TableMetadata) -> pa.Table:
        made.append(rows.num_rows)
        return texts_made(rows, metadata)

    monkeypatch.setattr("whatif.lake.local_tables.ROWS_AT_ONCE", 25)
    monkeypatch.setattr("whatif.lake.local_tables.texts_made", counted)
    assert maintain(lake_home, [SERIES], commits=6) == ["series"]
    assert made == [25, 25, 25, 25, 20]
    (task,) = open_table(lake_home, "series").scan().plan_files()
    # as it stands in the file, whatever a reader would do
    found = pq.ParquetFile(task.file.file_path.removeprefix("file:")).read().to_pylist()
    assert found == sorted(before, key=lambda row: (row["k"], row["n"]))
    assert task.file.record_count == 120
    assert read_arrow(current_pin(lake_home, "series"), ["n"], "k = 'key 6'").num_rows == 10
    assert examine(lake_home) == []


def test_a_tag_keeps_its_snapshot(lake_home) -> None:
    create_tables(None, lake_home, [PAIRS])
    append_rows(None, lake_home, PAIRS, [{"k": "a", "n": 0}])
    first = current_pin(lake_home, "pairs")
    tag_pin(None, lake_home, first, "mine")
    append_rows(None, lake_home, PAIRS, [{"k": "a", "n": 1}])
    assert maintain(lake_home, [PAIRS], commits=2, kept=1, kept_for=AT_ONCE) == ["pairs"]
    assert numbers(lake_home) == [0, 1]
    assert numbers(lake_home, tagged_pin(lake_home, "pairs", "mine")) == [0]


@pytest.mark.spark
def test_metadata_files_are_bounded_and_a_pin_outlives_its_own(spark, lake_home) -> None:
    create_tables(spark, lake_home, [PAIRS])
    name = lake_home.identifier("pairs")
    # an older version made tables without bounds; what someone has set stays
    spark.sql(f"ALTER TABLE {name} UNSET TBLPROPERTIES ('write.metadata.delete-after-commit.enabled')")
    spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('write.metadata.previous-versions-max'='3')")
    create_tables(spark, lake_home, [PAIRS])
    properties = open_table(lake_home, "pairs").properties
    assert properties["write.metadata.delete-after-commit.enabled"] == "true"
    assert properties["write.metadata.previous-versions-max"] == "3"
    put(spark, lake_home, 0)
    first = current_pin(lake_home, "pairs")
    put(spark, lake_home, *range(1, 7))
    assert metadata_files(lake_home) == 4
    assert not Path(first.metadata_location).exists()
    assert numbers(lake_home, first) == [0]
    assert numbers(lake_home) == list(range(7))


@pytest.mark.parametrize(
    ("error", "said"),
    [(LakeError("the disk is full: make room"), "the disk is full: make room"), (KeyError(), "KeyError")],
)
def test_an_answer_stands_though_files_cannot_be_joined(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, said: str
) -> None:
    def fail(*_: object) -> list[str]:
        raise error

    monkeypatch.setattr("whatif.workflow.study.maintain", fail)
    heard: list[str] = []
    run = SimpleNamespace(most_slots=2, location=LakeLocation(tmp_path), _warn=heard.append)
    _Run._maintain(run)
    assert heard == [f"files of results could not be joined: {said}. The answer stands; a later run tries it"]
