"""Rows read by row groups are those that PyIceberg's reader gives."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from pyiceberg.expressions import EqualTo, GreaterThan, Or
from pyiceberg.table import FileScanTask

from whatif.errors import LakeDamagedError
from whatif.pins import (
    LakeLocation,
    all_of,
    api,
    current_pin,
    equal,
    one_of,
    read_arrow,
    read_bars_of,
    within,
)
from whatif.pins.integrity import local_path
from whatif.pins.read import _in_runs, encoded_rows, planned, scan
from whatif.pins.row_groups import Term, plain_rows, terms_of

from .conftest import bar, utc

COLUMNS = ["symbol", "ts", "close", "vwap", "session"]
BEGIN = utc("2013-10-07 13:30")


def us(minute: int) -> int:
    return int(
        (BEGIN + timedelta(minutes=minute) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)
    )


def a_bar(symbol: str, minute: int, **more: str) -> dict[str, object]:
    return bar(symbol, str((BEGIN + timedelta(minutes=minute)).replace(tzinfo=None)), 100.0 + minute, **more)


def regroup(pin, rows: int) -> None:
    """Write the table's files anew, with so many rows in a row group."""
    for task in planned(pin.table, scan(pin, ["symbol"], all_of())):
        path = local_path(task.file.file_path)
        pq.write_table(pq.read_table(path), path, row_group_size=rows)


def rows_of(table: pa.Table) -> list[dict[str, object]]:
    return sorted(table.to_pylist(), key=lambda row: (row["symbol"], row["ts"]))


def by_groups(pin, wanted) -> list[dict[str, object]]:
    found = [row for batch in encoded_rows(pin, COLUMNS, wanted) for row in batch.to_pylist()]
    return sorted(found, key=lambda row: (row["symbol"], row["ts"]))


@pytest.fixture
def grouped(hadoop_bars, lake_home: LakeLocation):
    """Three files of row groups of 7 rows: in order, not in order, and with values that are missing."""
    hadoop_bars([a_bar(symbol, minute) for symbol in "ABCD" for minute in range(10)])
    hadoop_bars([a_bar(symbol, minute, hours="extended") for minute in range(10, 15) for symbol in "DCBA"])
    hadoop_bars([a_bar("B", 20) | {"vwap": None}, a_bar("C", 21) | {"hours": None}])
    pin = current_pin(lake_home, "bars")
    regroup(pin, 7)
    return pin


@given(
    st.lists(st.sampled_from("ABCDE"), min_size=1, max_size=3, unique=True),
    st.one_of(st.none(), st.integers(-1, 23)),
    st.one_of(st.none(), st.integers(-1, 23)),
    st.sampled_from(["regular", "extended", ""]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_rows_are_those_of_pyicebergs_reader(grouped, symbols, start, end, hours) -> None:
    terms = [one_of("symbol", symbols), within("ts", *(None if m is None else us(m) for m in (start, end)))]
    wanted = all_of(*terms, *([equal("hours", hours)] if hours else []))
    assert by_groups(grouped, wanted) == rows_of(read_arrow(grouped, COLUMNS, wanted))


def test_a_filter_that_is_not_known_is_left_to_pyiceberg(grouped) -> None:
    wanted = Or(EqualTo("symbol", "A"), GreaterThan("close", 120.5))
    assert terms_of(scan(grouped, COLUMNS, wanted)) is None
    found = by_groups(grouped, wanted)
    assert found == rows_of(read_arrow(grouped, COLUMNS, wanted))
    assert [row["symbol"] for row in found] == ["A"] * 15 + ["C"]


def test_a_file_with_deleted_rows_is_left_to_pyiceberg(grouped) -> None:
    """Which rows are gone stands in another file; what a reader of it gives is passed on."""
    scanned = scan(grouped, ["symbol", "ts"], all_of(equal("symbol", "A")))
    task = planned(grouped.table, scanned)[0]
    kept = read_arrow(grouped, ["symbol", "ts"], equal("symbol", "A")).slice(0, 3)
    asked: list[FileScanTask] = []

    def other(task: FileScanTask) -> pa.Table:
        asked.append(task)
        return kept

    gone = FileScanTask(task.file, delete_files={task.file})
    (batch,) = plain_rows(scanned, [gone], other)
    assert asked == [gone]
    assert batch.to_pylist() == kept.to_pylist()


def test_a_file_older_than_a_column_has_no_value_in_it(grouped) -> None:
    wanted = all_of(equal("symbol", "B"))
    path = local_path(planned(grouped.table, scan(grouped, ["symbol"], wanted))[0].file.file_path)
    pq.write_table(pq.read_table(path).drop_columns("vwap"), path, row_group_size=7)
    found = by_groups(grouped, wanted)
    assert found == rows_of(read_arrow(grouped, COLUMNS, wanted))
    assert {row["vwap"] for row in found} > {None}


def test_a_page_whose_bytes_have_changed_is_refused(grouped) -> None:
    path = Path(
        str(local_path(planned(grouped.table, scan(grouped, ["symbol"], all_of()))[0].file.file_path))
    )
    table = pq.read_table(path)
    plain = {"compression": "none", "use_dictionary": ["symbol"], "write_page_checksum": True}
    pq.write_table(table, path, row_group_size=7, **plain)
    close = struct.pack("<d", float(table["close"][1].as_py()))
    path.write_bytes(path.read_bytes().replace(close, close[:-1] + bytes([close[-1] ^ 1])))
    with pytest.raises(LakeDamagedError, match=path.name):
        by_groups(grouped, all_of(equal("symbol", str(table["symbol"][1]))))


def test_row_groups_without_such_rows_are_not_decoded(grouped, monkeypatch) -> None:
    read: list[int] = []
    plain = pq.ParquetFile.read_row_groups

    def noted(self, numbers, *args, **options):
        read.append(len(numbers))
        return plain(self, numbers, *args, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", noted)
    wanted = all_of(equal("symbol", "A"), within("ts", us(0), us(10)))
    assert len(by_groups(grouped, wanted)) == 10
    assert sum(read) == 2  # rows 0 to 6 and 7 to 13 of the first file


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        ("A", "A", False),
        ("B", "B", True),
        ("A", "C", None),
        ("C", "C", False),
        ("D", "D", True),
        ("E", "F", False),
    ],
)
def test_bounds_of_texts(low, high, told) -> None:
    assert Term("symbol", ("B", "D")).of_group(low, high) is told


@pytest.mark.parametrize(
    ("low", "high", "told"), [(10, 19, True), (9, 10, None), (19, 20, None), (0, 9, False), (20, 30, False)]
)
def test_bounds_of_instants(low, high, told) -> None:
    assert Term("ts", start=10, end=20).of_group(low, high) is told


def test_bars_of_files_in_any_order_are_in_order(grouped) -> None:
    found = read_bars_of(grouped, ["D", "B", "E"], "1min", None, None, "extended")
    assert found["D"].ts.tolist() == [us(minute) for minute in range(15)]
    assert found["B"].ts.tolist() == [us(minute) for minute in (*range(15), 20)]
    assert found["B"].close.tolist() == [100.0 + minute for minute in (*range(15), 20)]
    assert len(found["E"]) == 0
    assert found["E"].ts.dtype == found["D"].ts.dtype == "int64"


def test_runs_are_not_put_together_where_a_bar_is_there_twice(grouped) -> None:
    columns = ["symbol", "session", "ts", "session_open", "session_close"]
    columns += ["open", "high", "low", "close", "volume", "vwap"]
    some = list(encoded_rows(grouped, columns, equal("symbol", "A")))
    assert _in_runs(some, ["A"]) is not None
    assert _in_runs([*some, some[0].slice(3, 1)], ["A"]) is None
    # the last row once more in a file of its own, and a row once more in its own file
    assert _in_runs([*some, some[-1].slice(len(some[-1]) - 1)], ["A"]) is None
    assert _in_runs([some[0].take(pa.array([0, 1, 1, 2]))], ["A"]) is None


def test_rows_in_no_order_are_not_put_together(grouped) -> None:
    (some,) = [one for one in encoded_rows(grouped, ["symbol", "ts"], equal("symbol", "A")) if len(one) == 10]
    assert _in_runs([some.take(pa.array(range(9, -1, -1)))], ["A"]) is None


@pytest.mark.parametrize("symbols", ["B", ["C", "A"]])
def test_a_frame_is_that_of_pyicebergs_reader(grouped, monkeypatch, symbols) -> None:
    found = api.read_bars(symbols, as_of=grouped, session="extended")
    monkeypatch.setattr(api, "read_symbols", lambda pin, columns, wanted, _: read_arrow(pin, columns, wanted))
    other = api.read_bars(symbols, as_of=grouped, session="extended")
    assert len(found) == 16 * (1 if symbols == "B" else 2) - (symbols != "B")
    assert_frame_equal(found, other, check_exact=True)
    assert [set(map(type, found[name])) for name in found] == [set(map(type, other[name])) for name in other]
