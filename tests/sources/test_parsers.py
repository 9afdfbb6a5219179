"""One suite over every format: the same bars, and the same rules, however they are written."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whatif.errors import SourceError
from whatif.sources import RULES, IngestSpec
from whatif.sources.delivery import read_file
from whatif.sources.kinds import parquet
from whatif.sources.kinds.lean import read_lean
from whatif.sources.normalize import STAGED

# ms since midnight in New York, prices, volume; the first is the open of the session of 7 October 2013
GOOD = [
    (34_200_000, 10.0, 10.5, 9.9, 10.2, 100),
    (34_260_000, 10.2, 10.4, 10.1, 10.3, 50),
    (57_600_000, 10.3, 10.3, 10.3, 10.3, 1),
]
Writer = Callable[[Path, list[tuple[float, ...]]], tuple[str, IngestSpec]]
SPEC = IngestSpec(symbol="SPY", exchange="XNYS", timezone="America/New_York")


def _stamp(ms: float) -> str:
    return str(pd.Timestamp("2013-10-07") + pd.Timedelta(milliseconds=ms))


def write_csv(folder: Path, rows: list[tuple[float, ...]]) -> tuple[str, IngestSpec]:
    lines = ["ts,open,high,low,close,volume"]
    lines += [",".join([_stamp(ms), *(("" if v != v else repr(v)) for v in rest)]) for ms, *rest in rows]
    path = folder / "spy.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path), SPEC


def write_parquet(folder: Path, rows: list[tuple[float, ...]]) -> tuple[str, IngestSpec]:
    frame = pd.DataFrame(rows, columns=["ms", "open", "high", "low", "close", "volume"])
    frame.insert(0, "Date", [pd.Timestamp(_stamp(ms)) for ms in frame.pop("ms")])
    path = folder / "spy.parquet"
    frame.to_parquet(path)
    return str(path), replace(SPEC, columns={"ts": ("Date",)})


def write_lean(folder: Path, rows: list[tuple[float, ...]]) -> tuple[str, IngestSpec]:
    path = folder / "equity" / "usa" / "minute" / "spy" / "20131007_trade.zip"
    path.parent.mkdir(parents=True)
    lines = [
        ",".join([str(int(ms)), *(("" if p != p else str(round(p * 10_000))) for p in prices), str(volume)])
        for ms, *prices, volume in rows
    ]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("20131007_spy_minute_trade.csv", "\n".join(lines))
    return str(path), IngestSpec()


@pytest.fixture(params=[write_csv, write_parquet, write_lean], ids=["csv", "parquet", "lean"])
def write(request: pytest.FixtureRequest) -> Writer:
    return request.param  # type: ignore[no-any-return]


def rows_of(source: str, spec: IngestSpec) -> list[dict[str, object]]:
    batches = list(read_file(source, spec))
    assert all(batch.schema == STAGED for batch in batches)
    return pa.Table.from_batches(batches).to_pylist()  # type: ignore[no-any-return]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_good_rows(write: Writer, tmp_path: Path) -> None:
    source, spec = write(tmp_path, GOOD)
    rows = rows_of(source, spec)
    assert [row["kind"] for row in rows] == ["bar"] * 3
    assert [row["row"] for row in rows] == [1, 2, 3]
    first, _, last = rows
    assert first["ts"] == utc("2013-10-07 13:30")
    assert (first["open"], first["high"], first["low"], first["close"]) == (10.0, 10.5, 9.9, 10.2)
    assert (first["symbol"], first["timeframe"], first["exchange"]) == ("SPY", "1min", "XNYS")
    assert first["session"] == datetime(2013, 10, 7).date()
    assert first["session_open"] == utc("2013-10-07 13:30")
    assert first["session_close"] == utc("2013-10-07 20:00")
    assert (first["hours"], last["hours"]) == ("regular", "extended")
    assert first["vwap_estimated"] is True
    assert first["vwap"] == (10.5 + 9.9 + 10.2) / 3
    assert first["trade_count"] is None
    assert first["source"] == source


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        ((34_320_000, float("nan"), 10.4, 10.1, 10.3, 5), "missing_price"),
        ((34_320_000, 0.0, 10.4, 0.0, 10.3, 5), "non_positive_price"),
        ((34_320_000, 10.2, 10.4, -10.1, 10.3, 5), "non_positive_price"),
        ((34_320_000, 10.2, 10.4, 10.1, 10.3, -5), "negative_volume"),
        ((34_320_000, 10.2, 10.1, 10.4, 10.3, 5), "high_below_low"),
        ((34_320_000, 10.5, 10.4, 10.1, 10.3, 5), "price_outside_range"),
        ((34_320_000, 10.2, 10.4, 10.1, 10.0, 5), "price_outside_range"),
    ],
)
def test_a_bad_row_keeps_its_number_and_words(
    write: Writer, tmp_path: Path, bad: tuple[float, ...], rule: str
) -> None:
    source, spec = write(tmp_path, [GOOD[0], bad, *GOOD[1:]])
    rows = rows_of(source, spec)
    assert [row["kind"] for row in rows] == ["bar", "refused", "bar", "bar"]
    assert (rows[1]["row"], rows[1]["rule"]) == (2, rule)
    assert len(json.loads(str(rows[1]["raw"]))) == 6


def test_the_boundary_is_allowed(write: Writer, tmp_path: Path) -> None:
    source, spec = write(tmp_path, [(34_200_000, 10.0, 10.0, 10.0, 10.0, 0)])
    assert rows_of(source, spec)[0]["kind"] == "bar"


def test_a_bar_end_stamp_is_moved_to_the_start(tmp_path: Path) -> None:
    source, spec = write_csv(tmp_path, [(57_600_000, 10.0, 10.0, 10.0, 10.0, 1)])
    row = rows_of(source, replace(spec, stamps="end"))[0]
    # stamped 16:00, it holds 15:59 to 16:00: the last regular minute
    assert (row["ts"], row["hours"]) == (utc("2013-10-07 19:59"), "regular")


def test_chunks_are_bounded_and_numbered_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, spec = write_parquet(tmp_path, GOOD)
    monkeypatch.setattr(parquet, "CHUNK_ROWS", 2)
    assert [batch["row"].to_pylist() for batch in read_file(source, spec)] == [[1, 2], [3]]
    source, spec = write_lean(tmp_path, GOOD)
    assert [chunk.row.tolist() for chunk in read_lean(source, spec, chunk_rows=2)] == [[1, 2], [3]]


def test_prices_of_lean_are_ten_thousandths(tmp_path: Path) -> None:
    source, spec = write_lean(tmp_path, [(34_200_000, 167.4501, 167.4501, 167.4501, 167.4501, 3)])
    assert rows_of(source, spec)[0]["open"] == 167.4501


def test_hours_and_days_of_lean(tmp_path: Path) -> None:
    for timeframe in ("hour", "daily"):
        path = tmp_path / "equity" / "usa" / timeframe / "spy.zip"
        path.parent.mkdir(parents=True)
        with zipfile.ZipFile(path, "w") as archive:
            stamp = "20131129 09:00" if timeframe == "hour" else "20131129 00:00"
            archive.writestr("spy.csv", f"{stamp},100000,100000,100000,100000,5\n")
    hour = rows_of(str(tmp_path / "equity" / "usa" / "hour" / "spy.zip"), IngestSpec())[0]
    day = rows_of(str(tmp_path / "equity" / "usa" / "daily" / "spy.zip"), IngestSpec())[0]
    assert (hour["timeframe"], hour["ts"]) == ("1h", utc("2013-11-29 14:00"))
    # a day's ts is its session's open; that session closed at 13:00 in New York
    assert (day["timeframe"], day["ts"]) == ("1d", utc("2013-11-29 14:30"))
    assert day["session_close"] == utc("2013-11-29 18:00")


def test_a_weekend_bar_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "equity" / "usa" / "daily" / "spy.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("spy.csv", "20131005 00:00,100000,100000,100000,100000,5\n")
    row = rows_of(str(path), IngestSpec())[0]
    assert (row["kind"], row["rule"]) == ("refused", "no_session")


def test_a_holiday_a_date_that_no_calendar_knows_and_one_of_no_bars_are_told_apart(tmp_path: Path) -> None:
    # Shanghai: 30 September 2025 was traded, 1 October is the national holiday, and the exchange announces a
    # year's holidays at the end of the one before: exchange_calendars 4.13 knows them to the end of 2026
    dates = ["2025-09-30", "2025-10-01", "2027-01-05", "1700-01-05"]
    path = tmp_path / "days.csv"
    path.write_text("ts,open,high,low,close,volume\n" + "".join(f"{day},10,11,9,10,5\n" for day in dates))
    rows = rows_of(str(path), IngestSpec(symbol="X", exchange="XSHG", timeframe="1d", accept=True))
    assert [row["rule"] for row in rows] == [None, "no_session", "outside_calendar", "implausible_date"]


@pytest.mark.parametrize(
    "name", ["spy.zip", "minute/spy/20131007_trade.zip", "equity/usa/minute/spy/spy.zip"]
)
def test_a_path_that_is_not_leans(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="not a path of Lean's trade bars"):
        list(read_lean(str(tmp_path / name), IngestSpec()))


def test_a_broken_zip(tmp_path: Path) -> None:
    source, spec = write_lean(tmp_path, GOOD * 400)
    whole = Path(source).read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"hello"):
        Path(source).write_bytes(broken)
        with pytest.raises(SourceError, match="half-written"):
            list(read_file(source, spec))


def test_a_broken_parquet(tmp_path: Path) -> None:
    source, spec = write_parquet(tmp_path, GOOD)
    whole = Path(source).read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"ts,open\n1,2\n"):
        Path(source).write_bytes(broken)
        with pytest.raises(SourceError, match="half-written"):
            list(read_file(source, spec))


def test_every_rule_is_documented() -> None:
    assert len(RULES) == 20
    assert all(RULES.values())


def test_real_spy_minutes(data_dir: Path) -> None:
    # Lean's BasicTemplateAlgorithm buys 688 SPY at 167.45 after the first minute, at the ask of its quotes,
    # a cent above the trade; it ends the week at 170.30 (the arithmetic of its own test)
    folder = data_dir / "lean" / "equity" / "usa" / "minute" / "spy"
    first = rows_of(str(folder / "20131007_trade.zip"), IngestSpec())
    last = rows_of(str(folder / "20131011_trade.zip"), IngestSpec())
    regular = [row for row in first if row["hours"] == "regular"]
    closing = [row for row in last if row["hours"] == "regular"]
    assert (len(regular), len(closing)) == (390, 390)
    bought, sold = float(str(regular[0]["close"])), float(str(closing[-1]["close"]))
    assert bought + 0.01 == pytest.approx(167.45, abs=1e-9)
    assert sold == 170.30


def test_columns_that_parquet_types_otherwise(tmp_path: Path) -> None:
    table = pa.table(
        {
            "timestamp": pa.array([1381152600000, None], pa.int64()),
            "ticker": pa.array(["A", "A"]).dictionary_encode(),
            "open": pa.array([Decimal("10.10"), Decimal("10.10")]),
            "high": pa.array([11, 11], pa.int32()),
            "low": pa.array([9.5, 9.5], pa.float32()),
            "close": pa.array(["10", "10"]),
            "volume": pa.array([100, None], pa.int64()),
            "trades": pa.array([3, None], pa.int64()),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    spec = IngestSpec(exchange="XNYS", time_format="epoch_ms")
    good, bad = rows_of(str(tmp_path / "a.parquet"), spec)
    assert (good["ts"], good["symbol"], good["trade_count"]) == (utc("2013-10-07 13:30"), "A", 3)
    assert [good[name] for name in ("open", "high", "low", "close", "volume")] == [
        10.1,
        11.0,
        9.5,
        10.0,
        100.0,
    ]
    assert (bad["rule"], bad["ts"]) == ("unparsable_time", None)


def test_days_that_parquet_keeps_in_a_zone(tmp_path: Path) -> None:
    # midnight in Tokyo is the day before in UTC
    days = pd.DatetimeIndex(["2013-10-07", "2013-10-08"], tz="Asia/Tokyo")
    frame = pd.DataFrame({"ts": days, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 1})
    frame.to_parquet(tmp_path / "a.parquet")
    spec = IngestSpec(symbol="A", exchange="XTKS", timeframe="1d")
    sessions = [str(row["session"]) for row in rows_of(str(tmp_path / "a.parquet"), spec)]
    assert sessions == ["2013-10-07", "2013-10-08"]
