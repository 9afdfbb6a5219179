"""Pinned rows, read without Spark from tables that PyIceberg wrote."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from whatif.errors import LakeError
from whatif.pins import (
    LakeLocation,
    Pin,
    current_pin,
    find_pin,
    read_arrow,
    read_bars,
    read_bars_of,
    table_exists,
)
from whatif.pins.api import _has_twice
from whatif.pins.api import read_bars as read_frame
from whatif.pins.read import latest_rows

from .conftest import bar, utc


def us(text: str) -> int:
    return int(utc(text).timestamp()) * 1_000_000


ROWS = [
    bar("SPY", "2013-10-07 13:32", 103.0),
    bar("SPY", "2013-10-07 13:30", 101.0),
    bar("SPY", "2013-10-07 13:00", 100.0, hours="extended"),
    bar("SPY", "2013-10-07 13:31", 102.0),
    bar("SPY", "2013-10-07 13:30", 500.0, timeframe="1h"),
    bar("O'X", "2013-10-07 13:30", 7.0),
]


def test_of_a_length_under_two_names_the_row_that_was_ingested_last_stands() -> None:
    rows = [
        ("SPY", "2013-10-07 13:30", "60min", "2024-01-02"),
        ("SPY", "2013-10-07 13:30", "1h", "2024-01-01"),
        ("SPY", "2013-10-07 14:30", "60min", "2024-01-01"),
        ("SPY", "2013-10-07 14:30", "1h", "2024-01-01"),
        ("IBM", "2013-10-07 13:30", "1h", "2024-01-01"),
    ]
    names = ("symbol", "ts", "timeframe", "ingested_at")
    table = pa.table({name: [row[k] for row in rows] for k, name in enumerate(names)})
    # IBM's; the later of the first two; of two that came at once, the one under the name in use
    assert latest_rows(table).tolist() == [4, 0, 3]


class TestReadBars:
    def test_a_length_that_is_not_there_names_those_that_are(
        self, hadoop_bars, lake_home: LakeLocation
    ) -> None:
        hadoop_bars([bar("SPY", "2013-10-07 13:30", 500.0, timeframe="60min")])
        with pytest.raises(
            LakeError, match="'SPY' has no 1min bars in the lake: it has 1h: give timeframe='1h'"
        ):
            read_frame("SPY", location=lake_home)
        with pytest.raises(LakeError, match="'IBM' has no 1min bars in the lake: ingest some first"):
            read_frame("IBM", location=lake_home)

    def test_regular_bars_of_one_symbol_oldest_first(self, hadoop_bars, lake_home: LakeLocation) -> None:
        hadoop_bars(ROWS)
        bars = read_bars(current_pin(lake_home, "bars"), "SPY", "1min")
        assert bars.symbol == "SPY"
        assert bars.ts.tolist() == [us(f"2013-10-07 13:{minute}") for minute in (30, 31, 32)]
        assert bars.close.tolist() == [101.0, 102.0, 103.0]
        assert bars.open.tolist() == [100.0, 101.0, 102.0]
        assert bars.high.tolist() == [103.0, 104.0, 105.0]
        assert bars.low.tolist() == [99.0, 100.0, 101.0]
        assert bars.volume.tolist() == [1010.0, 1020.0, 1030.0]
        assert bars.vwap.tolist() == [101.5, 102.5, 103.5]
        # 7 October 2013 is day 15,985
        assert bars.session.tolist() == [15_985] * 3
        assert bars.session_open.tolist() == [us("2013-10-07 13:30")] * 3
        assert bars.session_close.tolist() == [us("2013-10-07 20:00")] * 3
        assert {bars.ts.dtype, bars.session.dtype} == {np.dtype(np.int64)}
        assert bars.close.dtype == np.float64

    def test_several_symbols_are_each_as_alone(self, hadoop_bars, lake_home: LakeLocation) -> None:
        hadoop_bars(ROWS)
        pin = current_pin(lake_home, "bars")
        names = ["O'X", "NONE", "SPY"]
        found = read_bars_of(pin, names, "1min")
        assert list(found) == names
        for name, bars in found.items():
            alone = read_bars(pin, name, "1min")
            assert bars.symbol == name
            for field in ("ts", "open", "close", "vwap", "session", "session_close"):
                assert getattr(bars, field).tobytes() == getattr(alone, field).tobytes(), (name, field)
        assert [len(bars) for bars in found.values()] == [1, 0, 3]

    def test_the_range_is_half_open(self, hadoop_bars, lake_home: LakeLocation) -> None:
        hadoop_bars(ROWS)
        pin = current_pin(lake_home, "bars")
        start, end = us("2013-10-07 13:30"), us("2013-10-07 13:32")
        assert read_bars(pin, "SPY", "1min", start, end).close.tolist() == [101.0, 102.0]
        assert read_bars(pin, "SPY", "1min", start + 1, end + 1).close.tolist() == [102.0, 103.0]

    def test_extended_means_all_bars(self, hadoop_bars, lake_home: LakeLocation) -> None:
        hadoop_bars(ROWS)
        bars = read_bars(current_pin(lake_home, "bars"), "SPY", "1min", hours="extended")
        assert bars.close.tolist() == [100.0, 101.0, 102.0, 103.0]

    def test_none_is_empty_and_a_quote_in_a_name_is_a_quote(
        self, hadoop_bars, lake_home: LakeLocation
    ) -> None:
        hadoop_bars(ROWS)
        pin = current_pin(lake_home, "bars")
        assert len(read_bars(pin, "IBM", "1min")) == 0
        assert read_bars(pin, "O'X", "1min").close.tolist() == [7.0]

    def test_arrays_are_ones_own(self, hadoop_bars, lake_home: LakeLocation) -> None:
        # compiled kernels are built once for arrays that may be written to
        hadoop_bars(ROWS)
        bars = read_bars(current_pin(lake_home, "bars"), "SPY", "1min")
        for name in ("ts", "open", "vwap", "session", "session_close"):
            flags = getattr(bars, name).flags
            assert flags.writeable
            assert flags.c_contiguous

    def test_hours_that_do_not_exist(self, hadoop_bars, lake_home: LakeLocation) -> None:
        hadoop_bars(ROWS)
        with pytest.raises(LakeError, match="did you mean 'extended'"):
            read_bars(current_pin(lake_home, "bars"), "SPY", "1min", hours="extend")


class TestPins:
    def test_a_pin_gives_the_same_rows_after_more_were_written(self, hadoop_bars, lake_home) -> None:
        hadoop_bars(ROWS)
        pin = current_pin(lake_home, "bars")
        hadoop_bars([bar("SPY", "2013-10-07 13:33", 104.0)])
        assert len(read_bars(pin, "SPY", "1min")) == 3
        assert len(read_bars(current_pin(lake_home, "bars"), "SPY", "1min")) == 4

    def test_a_hint_that_lags_behind_a_killed_writer(self, hadoop_bars, lake_home) -> None:
        hadoop_bars(ROWS)
        hadoop_bars([bar("SPY", "2013-10-07 13:33", 104.0)])
        hint = lake_home.table_folder("bars") / "metadata" / "version-hint.text"
        for text in ("1", "", None):
            hint.unlink() if text is None else hint.write_text(text)
            assert len(read_bars(current_pin(lake_home, "bars"), "SPY", "1min")) == 4

    def test_as_of_is_the_latest_snapshot_not_after_it(self, hadoop_bars, lake_home) -> None:
        before = datetime.now(UTC) - timedelta(seconds=1)
        hadoop_bars(ROWS[:2])
        time.sleep(0.01)
        between = datetime.now(UTC)
        time.sleep(0.01)
        hadoop_bars(ROWS[2:])
        old = current_pin(lake_home, "bars", between)
        assert read_arrow(old, ["close"]).num_rows == 2
        assert current_pin(lake_home, "bars", datetime.now(UTC)) == current_pin(lake_home, "bars")
        with pytest.raises(LakeError, match="had no snapshot at"):
            current_pin(lake_home, "bars", before)
        with pytest.raises(LakeError, match="no time zone"):
            current_pin(lake_home, "bars", datetime(2030, 1, 1))

    def test_a_table_that_is_not_there_or_empty(self, hadoop_bars, lake_home) -> None:
        hadoop_bars([])
        assert table_exists(lake_home, "bars")
        assert not table_exists(lake_home, "features_x")
        with pytest.raises(LakeError, match="no rows yet"):
            current_pin(lake_home, "bars")
        with pytest.raises(LakeError, match=r"whatif\.predictions does not exist.*valid: bars"):
            current_pin(lake_home, "predictions")

    def test_no_lake_at_all(self, lake_home) -> None:
        with pytest.raises(LakeError, match=r"bars does not exist.*whatif ingest"):
            current_pin(lake_home, "bars")

    def test_a_snapshot_is_found_by_what_it_notes(self, hadoop_bars, lake_home) -> None:
        table = hadoop_bars(ROWS[:1])
        table.append(table.scan().to_arrow(), snapshot_properties={"whatif.bars-snapshot": "42"})
        noted = table.current_snapshot().snapshot_id
        hadoop_bars(ROWS[1:2])
        found = find_pin(lake_home, "bars", {"whatif.bars-snapshot": "42"})
        assert found is not None
        assert found.snapshot_id == noted
        assert find_pin(lake_home, "bars", {"whatif.bars-snapshot": "43"}) is None

    def test_a_pin_of_what_is_gone(self, hadoop_bars, lake_home) -> None:
        hadoop_bars(ROWS)
        pin = current_pin(lake_home, "bars")
        elsewhere = lake_home.table_folder("nowhere") / "metadata" / "v1.metadata.json"
        with pytest.raises(LakeError, match=r"is gone.*--latest"):
            read_arrow(Pin("bars", pin.snapshot_id, str(elsewhere)), ["ts"])
        # the table's newest metadata serves, as long as the snapshot is in them
        older = Path(pin.metadata_location).with_name("v0.metadata.json")
        assert read_arrow(Pin("bars", pin.snapshot_id, str(older)), ["ts"]).num_rows == len(ROWS)
        with pytest.raises(LakeError, match=r"snapshot 1 is not in .*, it was expired"):
            read_arrow(Pin("bars", 1, str(older)), ["ts"])
        with pytest.raises(LakeError, match="snapshot 1 is not in"):
            read_arrow(Pin("bars", 1, pin.metadata_location), ["ts"])

    def test_a_column_that_is_not_there(self, hadoop_bars, lake_home) -> None:
        hadoop_bars(ROWS)
        with pytest.raises(LakeError, match="did you mean 'close'"):
            read_arrow(current_pin(lake_home, "bars"), ["colse"])

    def test_columns_come_in_the_order_asked_for(self, hadoop_bars, lake_home) -> None:
        hadoop_bars(ROWS)
        pin = current_pin(lake_home, "bars")
        assert read_arrow(pin, ["close", "symbol"], "timeframe = '1h'").to_pydict() == {
            "close": [500.0],
            "symbol": ["SPY"],
        }


class TestFrame:
    def test_pandas(self, hadoop_bars) -> None:
        hadoop_bars(ROWS)
        frame = read_frame(["SPY", "O'X"], "2013-10-07 13:30", "2013-10-07T13:32:00Z")
        assert frame["symbol"].tolist() == ["O'X", "SPY", "SPY"]
        assert str(frame["ts"].dt.tz) == "UTC"
        assert frame["ts"].iloc[1] == utc("2013-10-07 13:30")
        assert frame["close"].tolist() == [7.0, 101.0, 102.0]

    def test_extended_and_other_timeframes(self, hadoop_bars) -> None:
        hadoop_bars(ROWS)
        assert len(read_frame("SPY", session="extended")) == 4
        assert read_frame("SPY", timeframe="1h")["close"].tolist() == [500.0]

    def test_a_local_time_with_its_zone(self, hadoop_bars) -> None:
        hadoop_bars(ROWS)
        assert read_frame("SPY", "2013-10-07 09:32-04:00")["close"].tolist() == [103.0]

    def test_an_unknown_symbol_names_the_nearest_and_an_empty_range_is_empty(self, hadoop_bars) -> None:
        hadoop_bars(ROWS)
        with pytest.raises(LakeError, match=r"'SPQ' has no 1min bars.*did you mean 'SPY'"):
            read_frame(["SPY", "SPQ"])
        assert read_frame("SPY", "2020-01-01").empty

    def test_as_of_a_pin(self, hadoop_bars, lake_home: LakeLocation) -> None:
        hadoop_bars(ROWS)
        pin = current_pin(lake_home, "bars")
        hadoop_bars([bar("SPY", "2013-10-07 13:33", 104.0)])
        assert len(read_frame("SPY", as_of=pin)) == 3

    def test_a_time_that_is_none(self, hadoop_bars) -> None:
        hadoop_bars(ROWS)
        with pytest.raises(LakeError, match="is not a time"):
            read_frame("SPY", "yesterdayish")


@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int32(), pa.string())])
def test_a_bar_that_is_there_twice_is_seen_however_its_symbol_is_stored(kind) -> None:
    ts = pa.array([1, 2, 2, 2], pa.timestamp("us", "UTC"))
    for symbols, twice in ((["A", "A", "A", "B"], True), (["A", "A", "B", "C"], False)):
        assert _has_twice(pa.table({"symbol": pa.array(symbols).cast(kind), "ts": ts})) is twice
