"""What a file shows of itself is taken, and what it may mean in two ways is asked."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pytest

from whatif.errors import SourceError
from whatif.sources import IngestSpec
from whatif.sources.delivery import file_parts, read_part

NY = {"symbol": "S", "exchange": "XNYS", "timezone": "America/New_York"}
HEADER = "ts,open,high,low,close,volume"
MINUTES = f"{HEADER}\n2024-01-02 09:30,1,2,1,2,5\n2024-01-02 09:31,2,3,2,3,6\n2024-01-02 09:32,2,3,2,3,6\n"


def bars(path: Path, **spec: object) -> list[dict]:  # type: ignore[type-arg]
    parts, _ = file_parts([path], IngestSpec(**spec))  # type: ignore[arg-type]
    accept = bool(spec.get("accept"))
    rows = [row for part in parts for batch in read_part(part, accept) for row in batch.to_pylist()]
    return [row for row in rows if row["kind"] == "bar"]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def stamps(rows: list[dict]) -> list[str]:  # type: ignore[type-arg]
    return [row["ts"].strftime("%Y-%m-%d %H:%M") for row in rows]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        # 3 April or 4 March
        (["03/04/2024 09:30,1,2,1,2,5", "03/04/2024 09:31,2,3,2,3,6"], r"%d/%m/%Y %H:%M.*%m/%d/%Y %H:%M"),
        (["03-04-2024,1,2,1,2,5", "04-04-2024,2,3,2,3,6"], r"%d-%m-%Y.*%m-%d-%Y"),
    ],
)
def test_a_date_that_can_be_two_is_asked(tmp_path: Path, lines: list[str], words: str) -> None:
    path = write(tmp_path / "x.csv", "\n".join([HEADER, *lines]) + "\n")
    with pytest.raises(SourceError, match=words):
        bars(path, **NY)


def test_a_later_date_settles_it(tmp_path: Path) -> None:
    # 5,000 stamps of 3 April, or 4 March; the last one is of the 13th, which is no month
    early = [f"03/04/2024 {9 + k // 60:02}:{k % 60:02},1,2,1,2,5" for k in range(420)] * 12
    path = write(tmp_path / "x.csv", "\n".join([HEADER, *early, "13/05/2024 09:30,1,2,1,2,5"]) + "\n")
    rows = bars(path, **{**NY, "exchange": "24/7", "timezone": "UTC"})
    assert stamps(rows)[0] == "2024-04-03 09:00"


@pytest.mark.parametrize(
    ("gap", "rows", "timeframe"),
    [(5, 3, "5min"), (15, 3, "15min"), (60, 3, "1h"), (1, 2, "1min"), (7, 9, "1min"), (2, 3, "1min")],
)
def test_spacing_shows_the_timeframe(tmp_path: Path, gap: int, rows: int, timeframe: str) -> None:
    # 7 minutes divide no day, and three stamps 2 minutes apart are by accident once in eight times
    begin = pd.Timestamp("2024-01-02 10:00")
    lines = [f"{begin + pd.Timedelta(minutes=gap * k)},1,2,1,2,5" for k in range(rows)]
    found = bars(write(tmp_path / "x.csv", "\n".join([HEADER, *lines]) + "\n"), **NY)
    assert {row["timeframe"] for row in found} == {timeframe}
    assert len(found) == rows


def test_a_file_that_shows_no_timeframe_has_that_of_its_delivery(tmp_path: Path) -> None:
    five = [f"2024-01-02 10:{5 * k:02},1,2,1,2,5" for k in range(4)]
    write(tmp_path / "d" / "AAPL.csv", "\n".join([HEADER, *five]) + "\n")
    write(tmp_path / "d" / "MSFT.csv", f"{HEADER}\n2024-01-02 10:05,1,2,1,2,5\n")
    rows = bars(tmp_path / "d", exchange="XNYS", timezone="America/New_York")
    assert {(row["symbol"], row["timeframe"]) for row in rows} == {("AAPL", "5min"), ("MSFT", "5min")}


def test_edges_of_sessions_show_ends(tmp_path: Path) -> None:
    days = [
        pd.date_range(f"2024-01-{d:02} 09:35", f"2024-01-{d:02} 16:00", freq="5min") for d in (2, 3, 4, 5)
    ]
    lines = [f"{stamp},1,2,1,2,5" for day in days for stamp in day]
    rows = bars(write(tmp_path / "x.csv", "\n".join([HEADER, *lines]) + "\n"), **NY)
    assert stamps(rows)[0] == "2024-01-02 14:30"
    assert stamps(rows)[-1] == "2024-01-05 20:55"
    starts = bars(tmp_path / "x.csv", **NY, stamps="start", accept=True)
    assert stamps(starts)[0] == "2024-01-02 14:35"  # what the user says stands


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("x.csv.gz", gzip.compress),
        ("x.csv.bz2", bz2.compress),
        ("x.csv.xz", lzma.compress),
        ("x.csv.zst", lambda data: pa.compress(data, codec="zstd", asbytes=True)),
    ],
)
def test_packed_files(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / name).write_bytes(pack(MINUTES.encode()))
    assert len(bars(tmp_path / name, **NY)) == 3
    (tmp_path / name).write_bytes(pack(MINUTES.encode())[:30])
    with pytest.raises(SourceError, match=r"x\.csv"):
        bars(tmp_path / name, **NY)


@pytest.mark.parametrize(
    "pack", [bz2.compress, lzma.compress, lambda d: pa.compress(d, "zstd", asbytes=True)]
)
def test_a_packed_bomb_is_refused(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    ending = {bz2.compress: "bz2", lzma.compress: "xz"}.get(pack, "zst")
    bomb = HEADER.encode() + b"\n" + b"2024-01-02 09:30,1,2,1,2,5\n" * 2_000_000
    (tmp_path / f"x.csv.{ending}").write_bytes(pack(bomb))
    with pytest.raises(SourceError, match="times its size"):
        bars(tmp_path / f"x.csv.{ending}", **NY)


def test_a_zip_of_several_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("AAPL.csv", MINUTES)
        archive.writestr("sub/MSFT.csv", MINUTES)
        archive.writestr("__MACOSX/._AAPL.csv", "rubbish")
        archive.writestr("readme.md", "words")
    rows = bars(tmp_path / "all.zip", exchange="XNYS", timezone="America/New_York")
    assert {(row["symbol"], row["source"].rpartition("::")[2]) for row in rows} == {
        ("AAPL", "AAPL.csv"),
        ("MSFT", "sub/MSFT.csv"),
    }


def test_feather_of_freqtrade(tmp_path: Path) -> None:
    date = pd.date_range("2024-01-01", periods=3, freq="5min", tz="UTC")
    frame = pd.DataFrame({"date": date, "open": 1.0, "high": 2.0, "low": 1.0, "close": 2.0, "volume": 5.0})
    pyarrow.feather.write_feather(frame, str(tmp_path / "BTC_USDT-5m.feather"))
    rows = bars(tmp_path / "BTC_USDT-5m.feather")
    assert [(row["symbol"], row["timeframe"], row["exchange"]) for row in rows] == [
        ("BTC/USDT", "5min", "24/7")
    ] * 3


def test_a_text_of_utf_16(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(MINUTES, encoding="utf-16")
    assert len(bars(tmp_path / "x.csv", **NY)) == 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        # open, close, high, low: which of both is the open nothing shows
        ("2024-01-02 09:30,1.5,1.2,2,1,5\n2024-01-02 09:31,1.2,1.6,2,1,5\n", "no header"),
        # a close that was adjusted stands before the volume
        ("2024-01-02,1.5,2,1,1.2,1.19,500\n2024-01-03,1.5,2,1,1.2,1.19,700\n", "no header"),
    ],
)
def test_columns_without_a_name_are_asked(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SourceError, match=rf"{why}.*--columns"):
        bars(write(tmp_path / "x.csv", text), **NY)


@pytest.mark.parametrize("name", ["x.csv", "prices.csv", "a b.csv", "AAPL MSFT.csv", "2024-01-02.csv"])
def test_a_name_that_is_no_symbol_is_asked(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="--symbol"):
        bars(write(tmp_path / "d" / name, MINUTES), exchange="XNYS", timezone="America/New_York")


def test_local_stamps_without_a_zone_are_asked(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="--timezone"):
        bars(write(tmp_path / "x.csv", MINUTES), symbol="S", exchange="XNYS")


FALL = ["00:30", "01:00", "01:30", "01:00", "01:30", "02:00"]
SUMMER_AND_WINTER = ["04:30", "05:00", "05:30", "06:00", "06:30", "07:00"]


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_hour_that_clocks_repeat_is_told_by_order(tmp_path: Path, newest_first: bool) -> None:
    lines = [f"2023-11-05 {clock},1,2,1,2,5" for clock in FALL]
    lines = lines[::-1] if newest_first else lines
    spec = {"symbol": "B", "exchange": "24/7", "timezone": "America/New_York", "timeframe": "30min"}
    path = write(tmp_path / "x.csv", "\n".join([HEADER, *lines]) + "\n")
    assert len(bars(path, **spec, accept=True)) == 2
    told = bars(path, **spec, ambiguous="order")
    assert sorted(stamps(told)) == [f"2023-11-05 {clock}" for clock in SUMMER_AND_WINTER]


def test_an_hour_that_stands_once_is_told_by_no_order(tmp_path: Path) -> None:
    lines = [f"2023-11-05 {clock},1,2,1,2,5" for clock in ("00:30", "01:00", "01:30", "02:00")]
    spec = {"symbol": "B", "exchange": "24/7", "timezone": "America/New_York", "timeframe": "30min"}
    path = write(tmp_path / "x.csv", "\n".join([HEADER, *lines]) + "\n")
    assert len(bars(path, **spec, ambiguous="order", accept=True)) == 2


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"layout": "kibbot"}, "did you mean 'kibot'"),
        ({"shift": "7h"}, "--timezone"),
        ({"shift": "lots", "timezone": "UTC"}, "not a duration"),
        ({"skip": 1}, "--columns"),
        ({"ambiguous": "guess"}, "order"),
        ({"price_unit": 0.0}, "above 0"),
    ],
)
def test_options_that_cannot_be(spec: dict[str, object], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        IngestSpec(**spec)  # type: ignore[arg-type]


def test_a_shift_of_stamps_that_know_their_clock_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", MINUTES.replace("09:3", "09:3").replace(":30,", ":30Z,"))
    with pytest.raises(SourceError, match="--shift"):
        bars(path, **NY, shift="7h", accept=True)


def test_noise_of_adjustment_is_mended_and_more_is_not(tmp_path: Path) -> None:
    lines = ["2024-01-02 09:30,1,2,1,2.000000001,5", "2024-01-02 09:31,1,2,1,2.00001,5"]
    path = write(tmp_path / "x.csv", "\n".join([HEADER, *lines]) + "\n")
    parts, _ = file_parts([path], IngestSpec(**NY))  # type: ignore[arg-type]
    rows = [row for part in parts for batch in read_part(part) for row in batch.to_pylist()]
    assert [(row["kind"], row["rule"], row["high"], row["row"]) for row in rows] == [
        ("bar", None, 2.000000001, 1),
        ("refused", "price_outside_range", 2.0, 2),
        ("mended", None, None, 1),
    ]


@pytest.mark.parametrize("odd", [[[1.0], [2.0]], [{"a": 1}, {"a": 2}]])
def test_a_column_of_lists_or_mappings_is_no_stamp(tmp_path: Path, odd: list[object]) -> None:
    at = pd.to_datetime(["2024-01-02T14:30Z", "2024-01-02T14:31Z"])
    prices = {name: [2.0, 3.0] for name in ("open", "high", "low", "close", "volume")}
    pd.DataFrame({"when_it_was": at, **prices, "odd": odd}).to_parquet(tmp_path / "x.parquet")
    assert stamps(bars(tmp_path / "x.parquet", **NY | {"timezone": None})) == [
        "2024-01-02 14:30", "2024-01-02 14:31",
    ]  # fmt: skip


PACKED = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda text: bytes(pa.compress(text, "zstd")),
}


@pytest.mark.parametrize("ending", PACKED)
def test_packed_files_that_are_cut_say_what_to_do(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"S.csv.{ending}"
    packed = PACKED[ending](MINUTES.encode())
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(SourceError, match=r"cannot be read.*: fetch it again"):
        bars(path, **NY)


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_packed_files_with_more_behind_them_say_what_to_do(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"S.csv.{ending}"
    path.write_bytes(PACKED[ending](MINUTES.encode()) + b"and more")
    with pytest.raises(SourceError, match=r"cannot be read.*: fetch it again"):
        bars(path, **NY)


def test_zips_that_are_damaged_say_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "S.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("S.csv", MINUTES)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"09:31", b"09:39"))
    with pytest.raises(SourceError, match=r"S\.zip::S\.csv: cannot be read.*Bad CRC-32.*: fetch it again"):
        bars(path, **NY)
    path.write_bytes(whole[:90])
    with pytest.raises(SourceError, match=r"is not a zip, or half-written .*: fetch it again"):
        bars(path, **NY)


def session_of(day: str, first: int, last: int) -> list[str]:
    return [f"2006-01-{day} {k // 60:02}:{k % 60:02},1,2,1,2,5" for k in range(first, last + 1)]


DAX = {"symbol": "S", "exchange": "XEUR", "timezone": "Europe/Berlin"}


def test_ends_inside_of_the_calendar_s_sessions_are_asked(tmp_path: Path) -> None:
    """As of the ESTX50 future of 2006: 9:01 to 22:00 in Berlin, where the calendar's sessions are longer."""
    rows = [row for day in ("02", "03", "04", "05") for row in session_of(day, 541, 1320)]
    path = write(tmp_path / "x.csv", "\n".join([HEADER, *rows]) + "\n")
    with pytest.raises(SourceError, match=r"08:01 to 21:00 UTC.*--stamps end, or --stamps start"):
        bars(path, **DAX)
    assert stamps(bars(path, **DAX, stamps="end"))[0] == "2006-01-02 08:00"
    assert stamps(bars(path, **DAX, stamps="start"))[0] == "2006-01-02 08:01"


@pytest.mark.parametrize(("first", "last"), [(540, 1319), (540, 1320), (541, 1319)])
def test_starts_inside_of_the_calendar_s_sessions_are_not_asked(
    tmp_path: Path, first: int, last: int
) -> None:
    rows = [row for day in ("02", "03", "04", "05") for row in session_of(day, first, last)]
    path = write(tmp_path / "x.csv", "\n".join([HEADER, *rows]) + "\n")
    assert len(bars(path, **DAX)) == len(rows)
