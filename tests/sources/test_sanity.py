"""Files as a whole: rows that cannot be what the options say are refused before one lands.

Expected starts, sessions and words come from calendars on paper: New York opens at 09:30 (14:30 UTC in
winter, 13:30 in summer) and closes at 16:00; Frankfurt opens at 09:00, closes at 17:30; Tokyo trades from
09:00 to 11:30 and from 12:30 to 15:00 (15:30 since November 2024).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from whatif.errors import SourceError
from whatif.sources import IngestSpec
from whatif.sources.delivery import read_file

NY = IngestSpec(symbol="S", exchange="XNYS", timezone="America/New_York")
UTC_NY = IngestSpec(symbol="S", exchange="XNYS", timezone="UTC")
ALWAYS = IngestSpec(symbol="S", exchange="24/7", timezone="UTC")


def rows_of(
    tmp_path: Path, stamps: Iterable[object], spec: IngestSpec, values: str = "1,2,1,2,5"
) -> list[dict]:  # type: ignore[type-arg]
    path = tmp_path / "x.csv"
    path.write_text("ts,open,high,low,close,volume\n" + "".join(f"{stamp},{values}\n" for stamp in stamps))
    return staged(path, spec)


def staged(path: Path, spec: IngestSpec) -> list[dict]:  # type: ignore[type-arg]
    return pa.Table.from_batches(list(read_file(str(path), spec))).to_pylist()  # type: ignore[no-any-return]


def starts(rows: list[dict]) -> list[str]:  # type: ignore[type-arg]
    return [row["ts"].strftime("%Y-%m-%d %H:%M") for row in rows if row["kind"] == "bar"]


def every(first: str, minutes: int, count: int) -> list[str]:
    begin = datetime.fromisoformat(first)
    return [str(begin + timedelta(minutes=minutes * k)) for k in range(count)]


def with_spec(spec: IngestSpec, **changes: object) -> IngestSpec:
    return IngestSpec(**{**spec.__dict__, **changes})  # type: ignore[arg-type]


# bars of one timeframe sit on its grid and are as far apart as it says


@pytest.mark.parametrize(
    ("stamps", "spec", "words"),
    [
        (["2004-08-19", "2004-08-20", "2004-08-23"], NY, r"stamps are days.*--timeframe 1d"),
        (["2004-08-19"], NY, r"stamps are days.*--timeframe 1d"),
        (["2024-01-02 00:00", "2024-01-03 00:00"], NY, r"stamps are days.*--timeframe 1d"),
        # days stamped at the open of each session
        ([f"2024-01-{d:02} 09:30" for d in (2, 3, 4, 5, 8, 9, 10)], NY, r"stamps are days.*--timeframe 1d"),
        (every("2024-01-02 09:30", 60, 7), NY, r"1h apart.*--timeframe 1h"),
        (every("2024-01-02 09:30", 5, 30), NY, r"5min apart.*--timeframe 5min"),
        (every("2024-01-02 00:00", 240, 12), ALWAYS, r"4h apart.*--timeframe 4h"),
        (every("2024-01-02 09:30", 1, 30), with_spec(NY, timeframe="1h"), r"--timeframe 1min"),
        (every("2024-01-02 09:30", 30, 13), with_spec(NY, timeframe="1h"), r"--timeframe 30min"),
        (every("2024-01-02 09:30", 5, 30), with_spec(NY, timeframe="15min"), r"--timeframe 5min"),
        (every("2024-01-02 09:30", 1, 30), with_spec(NY, timeframe="1d"), r"--timeframe 1min"),
        (every("2024-01-02 09:30", 60, 7), with_spec(NY, timeframe="1d"), r"--timeframe 1h"),
        (every("2024-01-02 00:00", 60, 24), with_spec(ALWAYS, timeframe="4h"), r"--timeframe 1h"),
        (
            ["2015-09-23T20:57:42.146", "2015-09-23T20:57:46.151", "2015-09-23T21:00:00.238"],
            ALWAYS,
            r"begin 4\.005 s apart, they overlap",
        ),
        (["2024-01-05", "2024-01-12", "2024-01-19", "2024-01-26", "2024-02-02"],
         with_spec(NY, timeframe="1d"),
         r"7 days apart"),
    ],
)  # fmt: skip
def test_another_timeframe_than_stated(
    tmp_path: Path, stamps: list[str], spec: IngestSpec, words: str
) -> None:
    with pytest.raises(SourceError, match=words):
        rows_of(tmp_path, stamps, spec)


def test_one_stamp_within_a_minute_is_refused_alone(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, ["2024-01-02 09:30:05", *every("2024-01-02 09:31", 1, 14)], NY)
    assert [row["rule"] for row in rows] == ["off_grid"] + [None] * 14


def test_what_the_user_accepts_lands_but_for_the_bad_rows(tmp_path: Path) -> None:
    stamps = [f"2024-01-02 09:3{m}:05" for m in range(4)] + ["2024-01-02 09:34"]
    with pytest.raises(SourceError, match="4 of 5 rows are not on the grid"):
        rows_of(tmp_path, stamps, NY)
    rows = rows_of(tmp_path, stamps, with_spec(NY, accept=True))
    assert [row["rule"] for row in rows] == ["off_grid"] * 4 + [None]


@pytest.mark.parametrize(
    ("stamps", "spec"),
    [
        # from the session's open, by the clock, and by the clock with the first hour cut by the open
        (every("2024-01-02 09:30", 60, 7), with_spec(NY, timeframe="1h")),
        (every("2024-01-02 09:00", 60, 7), with_spec(NY, timeframe="1h")),
        (["2024-01-02 09:30", *every("2024-01-02 10:00", 60, 6)], with_spec(NY, timeframe="1h")),
        # 4 hours as foreign exchange counts them, from 17:00 in New York
        (every("2024-01-02 22:00", 240, 12), with_spec(ALWAYS, timeframe="4h")),
        (every("2024-01-02 18:30", 60, 12), with_spec(ALWAYS, timeframe="1h")),
        # Tokyo's afternoon counts from 12:30
        (
            [
                "2024-01-04 09:00",
                "2024-01-04 10:00",
                "2024-01-04 11:00",
                "2024-01-04 12:30",
                "2024-01-04 13:30",
            ],
            IngestSpec(symbol="S", exchange="XTKS", timezone="Asia/Tokyo", timeframe="1h"),
        ),
        # a quiet symbol: minutes are missing at random
        ([f"2024-01-02 {t}" for t in ("09:31", "09:47", "10:02", "11:15", "11:16", "13:40", "15:59")], NY),
    ],
)
def test_grids_that_exchanges_use(tmp_path: Path, stamps: list[str], spec: IngestSpec) -> None:
    rows = rows_of(tmp_path, stamps, spec)
    assert {row["kind"] for row in rows} == {"bar"}
    assert [row["ts"].astimezone(UTC) for row in rows] == sorted(row["ts"] for row in rows)


# ends of bars


@pytest.mark.parametrize("before", ["0us", "1us", "1ms", "1s"])
@pytest.mark.parametrize(
    ("ends", "begins", "exchange", "zone", "timeframe"),
    [
        (["15:30", "20:30", "21:00"], ["14:30", "19:30", "20:30"], "XNYS", "UTC", "1h"),
        (["15:00", "16:00", "21:00"], ["14:00", "15:00", "20:00"], "XNYS", "UTC", "1h"),
        (["14:31", "20:59", "21:00"], ["14:30", "20:58", "20:59"], "XNYS", "UTC", "1min"),
        # London closes at 16:30: the last hour by the clock is cut there
        (["09:00", "10:00", "16:30"], ["08:00", "09:00", "16:00"], "XLON", "UTC", "1h"),
        # Tokyo's morning ends at 11:30 (02:30 UTC), its afternoon begins at 12:30
        (["01:00", "02:00", "02:30", "04:30", "06:00"], ["00:00", "01:00", "02:00", "03:30", "05:30"], "XTKS",
         "UTC", "1h"),
    ],
)  # fmt: skip
def test_an_end_belongs_to_the_cell_that_holds_the_last_instant(
    tmp_path: Path, ends: list[str], begins: list[str], exchange: str, zone: str, timeframe: str, before: str
) -> None:
    spec = IngestSpec(symbol="S", exchange=exchange, timezone=zone, timeframe=timeframe, stamps="end")
    stamps = [pd.Timestamp(f"2024-01-04 {end}") - pd.Timedelta(before) for end in ends]
    assert starts(rows_of(tmp_path, stamps, spec)) == [f"2024-01-04 {begin}" for begin in begins]


def test_an_end_at_midnight_is_of_the_day_before(tmp_path: Path) -> None:
    spec = with_spec(ALWAYS, stamps="end")
    rows = rows_of(tmp_path, ["2024-01-02 00:00:00", "2024-01-01 23:59:59.999"], spec)
    assert starts(rows) == ["2024-01-01 23:59"] * 2
    assert {str(row["session"]) for row in rows} == {"2024-01-01"}


def test_ends_taken_for_starts_and_the_other_way_round(tmp_path: Path) -> None:
    ends, begins = every("2024-01-02 09:31", 1, 390), every("2024-01-02 09:30", 1, 390)
    with pytest.raises(SourceError, match=r"last bar begins at the close.*did you mean --stamps end\?"):
        rows_of(tmp_path, ends, NY)
    with pytest.raises(SourceError, match=r"first bar ends at the open.*did you mean --stamps start\?"):
        rows_of(tmp_path, begins, with_spec(NY, stamps="end"))
    with pytest.raises(SourceError, match=r"did you mean --stamps end\?"):
        rows_of(
            tmp_path, [*every("2024-01-02 10:30", 60, 6), "2024-01-02 16:00"], with_spec(NY, timeframe="1h")
        )
    assert len(starts(rows_of(tmp_path, begins, NY))) == 390
    assert starts(rows_of(tmp_path, ends, with_spec(NY, stamps="end")))[0] == "2024-01-02 14:30"


def test_an_auction_after_the_close_is_no_sign_of_ends(tmp_path: Path) -> None:
    assert len(starts(rows_of(tmp_path, every("2024-01-02 09:30", 1, 391), NY))) == 391


# zones


def test_a_zone_under_which_most_bars_lie_outside_sessions(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"outside the regular sessions of XNYS.*--timezone America/New_York"
    ):
        rows_of(tmp_path, every("2024-01-02 09:30", 1, 390), UTC_NY)
    with pytest.raises(SourceError, match=r"--timezone UTC"):
        rows_of(tmp_path, every("2024-01-02 14:30", 1, 390), NY)
    # local times that were marked as UTC
    marked = [stamp.replace(" ", "T") + "Z" for stamp in every("2024-01-02 09:30", 1, 390)]
    with pytest.raises(SourceError, match=r"--time-format '%Y-%m-%dT%H:%M:%SZ' --timezone America/New_York"):
        rows_of(tmp_path, marked, IngestSpec(symbol="S", exchange="XNYS"))
    remedied = with_spec(NY, time_format="%Y-%m-%dT%H:%M:%SZ")
    assert starts(rows_of(tmp_path, marked, remedied))[0] == "2024-01-02 14:30"


def test_extended_hours_are_no_wrong_zone(tmp_path: Path) -> None:
    assert len(starts(rows_of(tmp_path, every("2024-01-02 04:00", 1, 960), NY))) == 960


@pytest.mark.parametrize(
    ("given", "named"),
    [("ET", "America/New_York"), ("EDT", "America/New_York"), ("PST", "America/Los_Angeles"),
     ("CEST", "Europe/Berlin"), ("IST", "Asia/Kolkata"), ("JST", "Asia/Tokyo")],
)  # fmt: skip
def test_names_that_people_call_zones_by(given: str, named: str) -> None:
    with pytest.raises(SourceError, match=f"--timezone {named}"):
        IngestSpec(timezone=given)


def test_a_short_unknown_zone_proposes_no_other(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        IngestSpec(timezone="XT")
    assert "did you mean" not in str(caught.value)


# days


def _days(tmp_path: Path, given: list[str], exchange: str, **more: str) -> list[str]:
    spec = IngestSpec(symbol="S", exchange=exchange, timeframe="1d", **more)  # type: ignore[arg-type]
    return [str(row["session"]) for row in rows_of(tmp_path, given, spec) if row["kind"] == "bar"]


BERLIN = ["2023-08-10", "2023-08-11", "2023-08-14"]


@pytest.mark.parametrize(
    ("stamps", "exchange", "more"),
    [
        (BERLIN, "XFRA", {}),
        # midnight in Berlin, as UTC, as an offset, as epochs (1691618400 is 2023-08-09 22:00 UTC), in a zone
        (["2023-08-09 22:00:00+00:00", "2023-08-10 22:00:00+00:00", "2023-08-13 22:00:00+00:00"], "XFRA", {}),
        (["2023-08-09T22:00:00Z", "2023-08-10T22:00:00Z", "2023-08-13T22:00:00Z"], "XFRA",
         {"timezone": "Europe/Berlin"}),
        ([f"{day} 00:00:00+02:00" for day in BERLIN], "XFRA", {}),
        (["1691618400", "1691704800", "1691964000"], "XFRA", {"time_format": "epoch_s"}),
        (["1691618400000", "1691704800000", "1691964000000"], "XFRA", {"time_format": "epoch_ms"}),
        ([f"{day} 00:00:00" for day in BERLIN], "XFRA", {"timezone": "Europe/Berlin"}),
        # midnight in UTC, the session's open and its close (09:00 and 17:30 in Berlin)
        ([f"{day}T00:00:00Z" for day in BERLIN], "XFRA", {}),
        ([f"{day}T07:00:00Z" for day in BERLIN], "XFRA", {}),
        ([f"{day} 17:30" for day in BERLIN], "XFRA", {}),
        ([f"{day}T15:30:00Z" for day in BERLIN], "XFRA", {"stamps": "end"}),
        # a stated zone that is not the exchange's: midnight there
        (["2023-08-09T15:00:00Z", "2023-08-10T15:00:00Z", "2023-08-13T15:00:00Z"], "XFRA",
         {"timezone": "Asia/Tokyo"}),
        # Sydney's midnight and New York's
        (["2023-08-09T14:00:00Z", "2023-08-10T14:00:00Z", "2023-08-13T14:00:00Z"], "XASX", {}),
        (["2023-08-10T04:00:00Z", "2023-08-11T04:00:00Z", "2023-08-14T04:00:00Z"], "XNYS", {}),
        # Chicago's futures open at 17:00 of the day before
        (["2023-08-09T22:00:00Z", "2023-08-10T22:00:00Z", "2023-08-13T22:00:00Z"], "CMES", {}),
        (["2023-08-10T00:00:00Z", "2023-08-11T00:00:00Z", "2023-08-14T00:00:00Z"], "CMES", {}),
    ],
)  # fmt: skip
def test_days_by_the_exchanges_session(
    tmp_path: Path, stamps: list[str], exchange: str, more: dict[str, str]
) -> None:
    assert _days(tmp_path, stamps, exchange, **more) == BERLIN


def test_days_of_parquet_are_the_same(tmp_path: Path) -> None:
    utc = pd.DatetimeIndex(["2023-08-09 22:00", "2023-08-10 22:00", "2023-08-13 22:00"], tz="UTC")
    for index in (utc, utc.tz_convert("Europe/Berlin")):
        frame = pd.DataFrame({"ts": index, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 1})
        frame.to_parquet(tmp_path / "d.parquet")
        spec = IngestSpec(symbol="S", exchange="XFRA", timeframe="1d")
        assert [str(row["session"]) for row in staged(tmp_path / "d.parquet", spec)] == BERLIN


def test_ends_of_days_that_are_always_open(tmp_path: Path) -> None:
    # 1704153599999 is 2024-01-01 23:59:59.999 UTC
    for stamp in ("1704153599999", "1704153600000"):
        days = _days(tmp_path, [stamp], "24/7", time_format="epoch_ms", stamps="end")
        assert days == ["2024-01-01"]


def test_days_that_are_not_the_calendars(tmp_path: Path) -> None:
    stamps = [f"2022-03-{d:02}T06:00:00Z" for d in (8, 9, 10)]
    with pytest.raises(SourceError, match=r"begin at 06:00:00 UTC are not the sessions of 24/7"):
        _days(tmp_path, stamps, "24/7")
    with pytest.raises(SourceError, match="not the sessions of 24/7"):
        _days(tmp_path, [f"2022-03-{d:02} 06:00" for d in (8, 9, 10)], "24/7")


# epochs


@pytest.mark.parametrize("right", ["epoch_s", "epoch_ms", "epoch_us", "epoch_ns"])
@pytest.mark.parametrize("given", ["epoch_s", "epoch_ms", "epoch_us", "epoch_ns"])
@pytest.mark.parametrize("timeframe", ["1min", "1d"])
def test_the_unit_that_fits_is_named(tmp_path: Path, right: str, given: str, timeframe: str) -> None:
    scale = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}[right]
    step = 60 if timeframe == "1min" else 86_400
    stamps = [(1704067200 + step * k) * scale for k in range(2)]  # 2024-01-01 00:00 UTC
    spec = IngestSpec(symbol="S", exchange="24/7", timeframe=timeframe, time_format=given)
    if given == right:
        assert starts(rows_of(tmp_path, stamps, spec))[0] == "2024-01-01 00:00"
    else:
        with pytest.raises(SourceError, match=f"--time-format {right}$"):
            rows_of(tmp_path, stamps, spec)
    with pytest.raises(SourceError, match=rf"--time-format {right}\b"):
        rows_of(tmp_path, stamps, with_spec(spec, time_format=None))


def test_days_of_the_seventies_count_in_seconds(tmp_path: Path) -> None:
    # 1972-01-03 and 04 are 732 and 733 days after 1970-01-01
    days = _days(tmp_path, [str(732 * 86_400), str(733 * 86_400)], "XNYS", time_format="epoch_s")
    assert days == ["1972-01-03", "1972-01-04"]


# vwap


@pytest.mark.parametrize(
    ("vwap", "estimated"),
    [("1.5", False), ("1", False), ("2", False), ("150", True), ("0.99", True), ("", True)],
)
def test_a_vwap_outside_its_bar_is_an_estimate_instead(tmp_path: Path, vwap: str, estimated: bool) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"ts,open,high,low,close,volume,vwap\n2024-01-02 09:30,1,2,1,2,5,{vwap}\n")
    (row,) = staged(path, NY)
    assert row["vwap_estimated"] is estimated
    assert row["vwap"] == pytest.approx(5 / 3 if estimated else float(vwap))


def test_what_is_wrong_with_most_rows_refuses_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    rows = [f"2024-01-02 09:3{m},1,{0.5 if m < 3 else 2},1,1,5" for m in range(4)]
    path.write_text("ts,open,high,low,close,volume\n" + "\n".join(rows) + "\n")
    with pytest.raises(
        SourceError, match=r"3 of 4 rows break the rule high_below_low.*first row 1.*--accept"
    ):
        staged(path, NY)
