"""Stamps. New York is UTC-5 in winter and UTC-4 in summer; Berlin UTC+1 and UTC+2."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whatif.errors import SourceError
from whatif.sources import times
from whatif.sources.chunk import Layout
from whatif.sources.times import Times, read_times


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


def read(stamps: object, daily: bool = False, **layout: str | None) -> Times:
    series = stamps if isinstance(stamps, pd.Series) else pd.Series(stamps)
    return read_times(series, Layout("f.csv", "1min", "XNYS", **layout), daily)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stamp", "zone", "expected"),
    [
        ("2013-10-07 09:30:00", "America/New_York", "2013-10-07 13:30:00"),
        ("2013-12-02 09:30", "America/New_York", "2013-12-02 14:30:00"),
        ("2006-01-02 09:01:00", "Europe/Berlin", "2006-01-02 08:01:00"),
        ("2006-07-03T09:01:00.250", "Europe/Berlin", "2006-07-03 07:01:00.250"),
        # an offset in the stamp counts, whatever zone is stated
        ("2013-10-07T09:30:00-04:00", "Europe/Berlin", "2013-10-07 13:30:00"),
        ("2013-10-07T13:30:00Z", None, "2013-10-07 13:30:00"),
        ("2013-10-07 13:30:00+0000", None, "2013-10-07 13:30:00"),
    ],
)
def test_text(stamp: str, zone: str | None, expected: str) -> None:
    times = read([stamp], timezone=zone)
    assert times.us.tolist() == [us(expected)]
    assert not any(bad.any() for bad in times.broken.values())


def test_an_hour_that_occurs_twice_or_never_is_refused_by_name() -> None:
    times = read(
        ["2013-11-03 01:30", "2014-03-09 02:30", "2014-03-09 03:30", "nonsense"], timezone="America/New_York"
    )
    assert {name: bad.tolist() for name, bad in times.broken.items()} == {
        "unparsable_time": [False, False, False, True],
        "ambiguous_time": [True, False, False, False],
        "nonexistent_time": [False, True, False, False],
    }
    assert times.us[2] == us("2014-03-09 07:30")


def test_no_zone_anywhere_is_an_error_that_says_how_to_name_it() -> None:
    with pytest.raises(SourceError, match=r"carry no time zone.*--timezone"):
        read(["2013-10-07 09:30"])


def test_one_stamp_without_an_offset_among_others_is_refused_alone() -> None:
    times = read(["2013-10-07T13:30:00Z", "2013-10-07T13:31:00"])
    assert times.broken["unparsable_time"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("unit", "count"),
    [("epoch_s", 1381152600), ("epoch_ms", 1381152600000), ("epoch_us", 1381152600000000),
     ("epoch_ns", 1381152600000000000)],
)  # fmt: skip
@pytest.mark.parametrize("as_text", [True, False])
def test_counts_from_1970(unit: str, count: int, as_text: bool) -> None:
    # 1381152600 is 2013-10-07 13:30 UTC: 15,985 days of 86,400 s and 48,600 s
    assert 15_985 * 86_400 + 48_600 == 1381152600
    assert read([str(count) if as_text else count], time_format=unit).us.tolist() == [us("2013-10-07 13:30")]


def test_numbers_need_to_be_told_what_they_count() -> None:
    with pytest.raises(SourceError, match="--time-format epoch_s "):
        read([1381152600])
    with pytest.raises(SourceError, match="--time-format epoch_ms "):
        read([1381152600000])


def test_a_format_of_ones_own() -> None:
    times = read(["07.10.2013 15:30"], time_format="%d.%m.%Y %H:%M", timezone="Europe/Berlin")
    assert times.us.tolist() == [us("2013-10-07 13:30")]
    with pytest.raises(SourceError, match="--time-format"):
        read(["07.10.2013 15:30"], timezone="Europe/Berlin")


def test_lean_counts_milliseconds_of_the_local_day() -> None:
    layout = {"time_format": "lean_ms", "day": "2013-10-07", "timezone": "America/New_York"}
    assert read(["34200000"], **layout).us.tolist() == [us("2013-10-07 13:30")]  # 9.5 h


def test_days_are_dates_as_written() -> None:
    stamps = ["2013-10-07", "2013-10-08 00:00:00", "2013-10-09T05:00:00Z", "2013-10-10 00:00:00-04:00"]
    days = [us(f"2013-10-{day:02}") for day in (7, 8, 9, 10)]
    assert (read(stamps, daily=True).us // 86_400_000_000 * 86_400_000_000).tolist() == days


def test_datetime_columns() -> None:
    aware = pd.Series(pd.DatetimeIndex(["2013-10-07 09:30"], tz="America/New_York"))
    naive = pd.Series(pd.DatetimeIndex(["2013-10-07 09:30"]))
    assert read(aware).us.tolist() == [us("2013-10-07 13:30")]
    assert read(naive, timezone="America/New_York").us.tolist() == [us("2013-10-07 13:30")]
    with pytest.raises(SourceError, match="--timezone"):
        read(naive)


def test_microseconds_are_kept() -> None:
    assert read(["2013-10-07T13:30:00.123456Z"]).us[0] % 1_000_000 == 123_456
    assert np.issubdtype(read(["2013-10-07T13:30:00Z"]).us.dtype, np.int64)


_MOMENTS = st.datetimes(datetime(1700, 1, 1), datetime(2250, 1, 1))
_WRITTEN = (
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%SZ",
    "%Y-%m-%dT%H:%M:%S+05:30",
    "%Y-%m-%dT%H:%M+0530",
)


@given(
    moments=st.lists(_MOMENTS, min_size=1, max_size=3),
    written=st.sampled_from(_WRITTEN),
    at=st.integers(0, 24),
    put=st.sampled_from(["", "", "", "0", "9", "-", ":", " ", "T", "Z", ".", "/", "+"]),
)
@settings(max_examples=400, deadline=None)
def test_stamps_of_one_length_are_read_as_any_others(
    moments: list[datetime], written: str, at: int, put: str
) -> None:
    texts = [f"{moment:{written}}" for moment in moments]
    if put:
        texts[0] = texts[0][:at] + put + texts[0][at + 1 :]
    stamps = pd.Series(texts, dtype="str")
    quick = times._alike(stamps, daily=False)
    whole = times._iso(stamps.str.strip(), daily=False)
    if quick is None:  # what somebody wrote oddly, or in a way that is looked at piece by piece
        assert put or written == _WRITTEN[-1]
        return
    assert quick.utc.tolist() == whole.utc.tolist()
    assert quick.aware.tolist() == whole.aware.tolist()
    assert quick.date_only == whole.date_only


def test_clocks_without_zeros_of_later_rows_may_all_be_below_one() -> None:
    layout = Layout("f.csv", "1min", "24/7", timezone="UTC", time_format="%Y%m%d %H%M")
    few = pd.Series(["20240102 0", "20240102 5", "20240102 59"])
    found = read_times(few, layout, False, before=5_000)
    assert found.us.tolist() == [us(f"2024-01-02 00:{minute:02}") for minute in (0, 5, 59)]
    with pytest.raises(SourceError, match="is not a time"):  # nothing shows how many digits a clock has
        read_times(few, layout, False)
