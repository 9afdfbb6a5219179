"""What a file shows only in many rows, or behind its first ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from whatif.errors import SourceError
from whatif.sources import IngestSpec
from whatif.sources.delimited import read_csv
from whatif.sources.delivery import file_parts, read_part
from whatif.sources.kinds import csv

HEADER = "ts,open,high,low,close,volume"


def rows_of(path: Path, **spec: object) -> list[dict]:  # type: ignore[type-arg]
    parts, _ = file_parts([path], IngestSpec(**spec))  # type: ignore[arg-type]
    return [row for part in parts for batch in read_part(part) for row in batch.to_pylist()]


def crypto(path: Path, minutes: int, count: int) -> Path:
    first = datetime(2024, 1, 1)
    lines = [f"{first + k * timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ},1,2,1,2,5" for k in range(count)]
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


# 5 ** 442, 60 ** 174 and 720 ** 108 are above the largest number of 64 bits
@pytest.mark.parametrize(("minutes", "count", "name"), [(5, 500, "5min"), (60, 200, "1h"), (720, 120, "12h")])
def test_the_length_of_many_bars_is_found(tmp_path: Path, minutes: int, count: int, name: str) -> None:
    rows = rows_of(crypto(tmp_path / "BTC.csv", minutes, count), exchange="24/7")
    assert {row["timeframe"] for row in rows} == {name}
    assert len(rows) == count


def test_many_bars_of_another_length_than_stated_are_refused(tmp_path: Path) -> None:
    path = crypto(tmp_path / "BTC.csv", 60, 400)
    with pytest.raises(SourceError, match="as 1h bars do, not 1min ones"):
        rows_of(path, exchange="24/7", timeframe="1min")


NY = {"exchange": "XNYS", "timezone": "America/New_York"}
DATES = ("2024-01-02", "2024-01-03", "2024-01-04")


def clocks(begin: str, end: str, step: int = 1) -> list[datetime]:
    """Return the times of day from one to another, the latter left out."""
    first, last = (datetime.strptime(f"2024-01-02 {text}", "%Y-%m-%d %H:%M") for text in (begin, end))
    return [first + timedelta(minutes=k) for k in range(0, int((last - first).total_seconds()) // 60, step)]


def of_first_day(rows: list[dict], k: int) -> tuple[str, float]:  # type: ignore[type-arg]
    return f"{rows[k]['ts']:%Y-%m-%d %H:%M}", rows[k]["open"]


# QuantQuote and SAS write times of day as numbers; 9:30 in New York is 14:30 UTC
@pytest.mark.parametrize("written", ["%H%M", "%H%M%S"])
@pytest.mark.parametrize("header", ["date,time,open,high,low,close,volume", ""])
def test_times_of_day_without_leading_zeros(tmp_path: Path, written: str, header: str) -> None:
    bars = clocks("09:30", "16:00")
    rows = [f"{day.replace('-', '')},{int(f'{clock:{written}}')}" for day in DATES for clock in bars]
    lines = [f"{row},{k}.5,{k}.7,{k}.2,{k}.6,{k}" for k, row in enumerate(rows, start=10)]
    path = tmp_path / "SPY.csv"
    path.write_text("\n".join([header, *lines][not header :]) + "\n")
    found = rows_of(path, **NY)
    assert len(found) == 3 * 390
    assert of_first_day(found, 0) == ("2024-01-02 14:30", 10.5)
    assert of_first_day(found, 389) == ("2024-01-02 20:59", 399.5)
    assert {row["timeframe"] for row in found} == {"1min"}


def test_times_of_day_whose_digits_show_behind_the_first_rows(tmp_path: Path) -> None:
    # one o'clock is 10000; in the first hour of 24/7 bars 100 is a minute past midnight, and not 1:00
    lines = [
        f"202401{day:02},{minute // 60 * 10000 + minute % 60 * 100},1,2,1,2,{minute}"
        for day in (1, 2)
        for minute in range(1440)
    ]
    path = tmp_path / "BTC.csv"
    path.write_text("\n".join(["date,time,open,high,low,close,volume", *lines]) + "\n")
    rows = rows_of(path, exchange="24/7", timezone="UTC")
    assert f"{rows[1]['ts']:%Y-%m-%d %H:%M}" == "2024-01-01 00:01"
    assert f"{rows[1439]['ts']:%Y-%m-%d %H:%M}" == "2024-01-01 23:59"


def test_a_stated_format_reads_times_of_day_as_the_file_shows_them(tmp_path: Path) -> None:
    path = tmp_path / "SPY.csv"
    path.write_text(f"{HEADER}\n20240102 930,1,2,1,2,5\n20240102 1000,2,3,2,3,6\n")
    rows = rows_of(path, **NY, time_format="%Y%m%d %H%M", timeframe="1min")
    assert [f"{row['ts']:%H:%M}" for row in rows] == ["14:30", "15:00"]
    with pytest.raises(SourceError, match="is not a time"):  # 930 could be 00:09:30
        rows_of(path, **NY, time_format="%Y%m%d %H%M%S", timeframe="1min")


# 04:00 to 20:00 in New York is before and after regular hours too
@pytest.mark.parametrize(("begin", "end"), [("04:01", "20:01"), ("04:00", "20:00")])
def test_ends_of_bars_beside_regular_hours(tmp_path: Path, begin: str, end: str) -> None:
    lines = [f"{day} {c:%H:%M},1,2,1,2,5" for day in DATES for c in clocks(begin, end)]
    path = tmp_path / "SPY.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    rows = rows_of(path, **NY)
    assert [f"{rows[k]['ts']:%m-%d %H:%M}" for k in (0, 959, 960)] == [
        "01-02 09:00",
        "01-03 00:59",
        "01-03 09:00",
    ]


def test_ends_of_bars_whose_stamps_carry_an_offset(tmp_path: Path) -> None:
    lines = [f"{day}T{c:%H:%M}:00-05:00,1,2,1,2,5" for day in DATES for c in clocks("09:31", "16:01")]
    path = tmp_path / "SPY.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    rows = rows_of(path, exchange="XNYS")
    assert [f"{rows[k]['ts']:%H:%M}" for k in (0, 389)] == ["14:30", "20:59"]


BLOCK = 4_000
"""Rows that are read at a time, in the tests below."""


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv, "read_csv", partial(read_csv, chunk_rows=BLOCK))


def minutes(first: datetime, count: int) -> list[datetime]:
    return [first + timedelta(minutes=k) for k in range(count)]


def bars(path: Path, stamps: list[str], volumes: list[str]) -> Path:
    lines = [f"{stamp},1,2,1,2,{volume}" for stamp, volume in zip(stamps, volumes, strict=True)]
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


ZONED = [f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in minutes(datetime(2024, 1, 1), BLOCK + 1)]
SECONDS = [str(1_704_067_200 + 60 * k) for k in range(BLOCK + 1)]


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("small_first", [False, True])
def test_volumes_of_which_only_some_blocks_have_dots_are_not_guessed(
    tmp_path: Path, small_first: bool
) -> None:
    count = BLOCK + 1_000
    small = [str(1 + k % 900) for k in range(1_000 if not small_first else BLOCK)]
    dots = [f"{1 + k % 9}.{k % 900 + 100}" for k in range(count - len(small))]
    stamps = [f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in minutes(datetime(2024, 1, 1), count)]
    path = bars(tmp_path / "BTC.csv", stamps, small + dots if small_first else dots + small)
    with pytest.raises(SourceError, match=r"--thousands \. or --decimal \."):
        rows_of(path, exchange="24/7")
    rows = rows_of(path, exchange="24/7", thousands=".")
    assert sorted(row["volume"] for row in rows) == sorted(float(v.replace(".", "")) for v in small + dots)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(
    ("stamps", "volume", "rule"),
    [
        ([*ZONED[:-1], "Total"], "5", "unparsable_time"),
        ([*ZONED[:-1], ""], "5", "unparsable_time"),
        ([*ZONED[:-1], "2024-01-03 18:40:00"], "5", "unparsable_time"),
        (ZONED, '"1,234"', "unparsable_number"),
        ([f"{stamp}000" for stamp in SECONDS[:-1]] + SECONDS[-1:], "5", "implausible_date"),
        ([*SECONDS[:-1], f"{SECONDS[-1]}000"], "5", "implausible_date"),
        ([*SECONDS[:-1], "0"], "5", "implausible_date"),
    ],
)
def test_one_bad_row_alone_in_its_block_is_a_bad_row(
    tmp_path: Path, stamps: list[str], volume: str, rule: str
) -> None:
    unit = {13: "epoch_ms", 10: "epoch_s"}.get(len(stamps[0]))
    path = bars(tmp_path / "BTC.csv", stamps, [*["5"] * BLOCK, volume])
    rows = rows_of(path, exchange="24/7", time_format=unit)
    assert [(row["row"], row["rule"]) for row in rows if row["kind"] == "refused"] == [(BLOCK + 1, rule)]
    assert sum(row["kind"] == "bar" for row in rows) == BLOCK


# among 1,000 minutes whose seconds are read as milliseconds, one lies on the grid
def test_counts_of_another_unit_among_others_are_no_bars_of_1970(tmp_path: Path) -> None:
    stamps = [f"{second}000" for second in SECONDS[:3_000]]
    stamps[1_000] = str(60_000 * 28_400)  # as seconds 2023-12-31T21:20, as milliseconds 1970-01-20T17:20
    rows = rows_of(bars(tmp_path / "BTC.csv", stamps, ["5"] * 3_000), exchange="24/7", time_format="epoch_ms")
    assert [row["rule"] for row in rows if row["kind"] == "refused"] == ["implausible_date"]


def test_days_from_1970_on_keep_its_first(tmp_path: Path) -> None:
    stamps = [str(86_400 * k) for k in range(-200, 200)]
    path = bars(tmp_path / "EURUSD.csv", stamps, ["5"] * 400)
    rows = rows_of(path, exchange="24/7", time_format="epoch_s", timeframe="1d")
    assert [row["kind"] for row in rows] == ["bar"] * 400


# clocks in New York were set back on 2023-11-05 at 06:00 UTC: 01:00 to 01:59 came twice
@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("back_at", [BLOCK - 60, BLOCK - 30, BLOCK, BLOCK + 30, BLOCK + 60])
@pytest.mark.parametrize("newest_first", [False, True])
def test_an_hour_that_clocks_repeat_may_lie_across_blocks(
    tmp_path: Path, back_at: int, newest_first: bool
) -> None:
    zone = ZoneInfo("America/New_York")
    count = BLOCK + 200
    back_at = count - back_at if newest_first else back_at
    first = datetime(2023, 11, 5, 6, tzinfo=UTC) - timedelta(minutes=back_at)
    wanted = minutes(first, count)
    order = wanted[::-1] if newest_first else wanted
    stamps = [f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}" for at in order]
    path = bars(tmp_path / "BTC.csv", stamps, [str(k) for k in range(count)])
    rows = rows_of(path, exchange="24/7", timezone="America/New_York", ambiguous="order")
    assert [(row["ts"], row["volume"], row["row"]) for row in rows] == [
        (at, k, k + 1) for k, at in enumerate(order)
    ]
