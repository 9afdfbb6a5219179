"""Numbers, stamps and lines are read as they are written, or refused; never as something else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from whatif.errors import SourceError
from whatif.sources import IngestSpec
from whatif.sources.chunk import NoRowsError
from whatif.sources.delivery import read_file

NY = {"symbol": "S", "exchange": "XNYS", "timezone": "America/New_York"}
HEADER = "ts,open,high,low,close,volume"


def read(tmp_path: Path, text: str, **spec: object) -> list[dict]:  # type: ignore[type-arg]
    path = tmp_path / "x.csv"
    path.write_text(text)
    batches = read_file(str(path), IngestSpec(**{**NY, **spec}))  # type: ignore[arg-type]
    return pa.Table.from_batches(list(batches)).to_pylist()  # type: ignore[no-any-return]


def stamped(tmp_path: Path, stamps: Iterable[str], **spec: object) -> list[tuple[str | None, str | None]]:
    rows = read(tmp_path, f"{HEADER}\n" + "".join(f'"{s}",1,2,1,2,5\n' for s in stamps), **spec)
    return [
        (row["rule"], row["ts"].strftime("%Y-%m-%d %H:%M") if row["kind"] == "bar" else None) for row in rows
    ]


# numbers


def german(volumes: Iterable[str], price: str = "16751") -> str:
    lines = [f"02.01.2024 09:0{i};{price};{price};{price};{price};{v}" for i, v in enumerate(volumes)]
    return "\n".join(["ts;open;high;low;close;volume", *lines]) + "\n"


DAX = {"exchange": "XETR", "timezone": "Europe/Berlin", "time_format": "%d.%m.%Y %H:%M"}


@pytest.mark.parametrize(
    ("volumes", "price", "words"),
    [
        (
            ["1.234", "12.500", "1.234.567"],
            "16751",
            r"'1\.234\.567': dots separate thousands.*--thousands \.",
        ),
        (["1.234", "12.500"], "16751", r"1\.234 may be 1234.*--thousands \. or --decimal \."),
        (["1.234", "1.500"], "16.751,64", r"'16\.751,64'.*--decimal ,"),
        (["5", "6"], "951,64", r"--decimal ,"),
        (["5", "6"], "16,751.64", r"--thousands ,"),
        (["5", "6"], "16,751", r"--decimal , or --thousands ,"),
    ],
)
def test_commas_and_dots_that_do_not_mean_a_decimal_point(
    tmp_path: Path, volumes: list[str], price: str, words: str
) -> None:
    with pytest.raises(SourceError, match=words):
        read(tmp_path, german(volumes, price), **DAX)


@pytest.mark.parametrize(
    ("volumes", "price", "style", "expected"),
    [
        (["1.234", "12.500", "1.234.567"], "16751", {"thousands": "."}, ([1234, 12500, 1234567], 16751.0)),
        (["1.234", "500"], "16.751,64", {"decimal": ","}, ([1234, 500], 16751.64)),
        (["1.234", "12.500"], "951,5", {"decimal": ",", "thousands": "."}, ([1234, 12500], 951.5)),
        (["1,234", "12,500"], "16,751.64", {"thousands": ","}, ([1234, 12500], 16751.64)),
        (["1 234", "12\u00a0500"], "951,64", {"decimal": ",", "thousands": " "}, ([1234, 12500], 951.64)),
        (["1'234", "7"], "951.64", {"thousands": "'"}, ([1234, 7], 951.64)),
        (["1.234", "12.500"], "16751", {"decimal": "."}, ([1.234, 12.5], 16751.0)),
        # without being told: a value that thousands cannot be
        (["1.234", "0.500"], "16751", {}, ([1.234, 0.5], 16751.0)),
        (["1.234", "1234.500"], "16751", {}, ([1.234, 1234.5], 16751.0)),
        (["1.5", "2.25"], "16751", {}, ([1.5, 2.25], 16751.0)),
    ],
)
def test_numbers_as_stated(
    tmp_path: Path, volumes: list[str], price: str, style: dict[str, str], expected: tuple[list[float], float]
) -> None:
    rows = read(tmp_path, german(volumes, price), **{**DAX, **style})
    assert [row["volume"] for row in rows] == expected[0]
    assert {row["close"] for row in rows} == {expected[1]}


def test_groups_that_are_none_are_no_numbers(tmp_path: Path) -> None:
    rows = read(tmp_path, german(["12.34", "1.2345", "1.234", "12"]), **{**DAX, "thousands": "."})
    assert [row["rule"] for row in rows] == ["unparsable_number", "unparsable_number", None, None]


@pytest.mark.parametrize(("decimal", "thousands"), [(",", ","), (".", "."), (";", None), (None, "x")])
def test_signs_that_cannot_be(decimal: str | None, thousands: str | None) -> None:
    with pytest.raises(SourceError, match=r"decimal|thousands"):
        IngestSpec(decimal=decimal, thousands=thousands)


@pytest.mark.parametrize("count", ["1.5", "-3", "1e300", "x"])
def test_a_trade_count_is_a_whole_number(tmp_path: Path, count: str) -> None:
    text = f"{HEADER},trades\n2024-01-02 09:30,1,2,1,2,5,7\n2024-01-02 09:31,1,2,1,2,5,{count}\n"
    good, bad = read(tmp_path, text)
    assert (good["trade_count"], bad["rule"]) == (7, "unparsable_number")


def test_rounding_is_no_price_outside_the_range(tmp_path: Path) -> None:
    # one unit in the last place above the high, as adjusting for dividends leaves it
    text = f"{HEADER}\n2024-01-16,180.25,182.3551483154297,179.03,182.35514831542972,5\n"
    (row,) = read(tmp_path, text, timeframe="1d")
    assert (row["kind"], row["high"], row["close"]) == ("bar", 182.3551483154297, 182.35514831542972)
    worse = text.replace("182.35514831542972", "182.356")
    assert read(tmp_path, worse, timeframe="1d")[0]["rule"] == "price_outside_range"


# stamps


def test_minutes_are_no_offset(tmp_path: Path) -> None:
    stamps = ["2024-01-02 09-35", "2024-01-02 09-40", "2024-01-02 09-45"]
    with pytest.raises(SourceError, match=r"--time-format '%Y-%m-%d %H-%M'"):
        stamped(tmp_path, stamps)
    read_right = stamped(tmp_path, stamps, time_format="%Y-%m-%d %H-%M")
    assert read_right == [(None, "2024-01-02 14:35"), (None, "2024-01-02 14:40"), (None, "2024-01-02 14:45")]


@pytest.mark.parametrize(
    "stamp",
    ["2024", "2024-01", "2024-01-02 9", "2024-01-02 09", "2024-01-02 09-05", "2024-01-02T09:3", "2024010209",
     "2024-01-02 09:31 PM", "2024-01-02 09:31+1", "2024-01-02 09:31+25:00", "1704205860", "9", "",
     "2024-13-02 09:31", "2024-01-02 24:31", "2024-01/02 09:31"],
)  # fmt: skip
def test_what_is_no_whole_stamp_is_none(tmp_path: Path, stamp: str) -> None:
    assert stamped(tmp_path, ["2024-01-02 09:30", stamp])[1] == ("unparsable_time", None)


@pytest.mark.parametrize(
    "stamp",
    ["2024-01-02 09:31", "2024-01-02T09:31:00", "2024-01-02T09:31:00.000000", "20240102 093100",
     "20240102T0931",
     "2024/01/02 09:31", "2024.01.02 09:31:00", "2024-01-02T14:31Z", "2024-01-02 14:31:00+00:00",
     "2024-01-02 09:31:00-0500", "2024-01-02 09:31:00 -05:00"],
)  # fmt: skip
def test_iso_8601(tmp_path: Path, stamp: str) -> None:
    assert stamped(tmp_path, ["2024-01-02 09:30", stamp])[1] == (None, "2024-01-02 14:31")


def test_hours_alone_are_an_offset_where_every_stamp_has_one(tmp_path: Path) -> None:
    assert stamped(tmp_path, ["2024-01-02 09:31:00-05"]) == [(None, "2024-01-02 14:31")]
    # else they may be seconds
    assert stamped(tmp_path, ["2024-01-02 09:30", "2024-01-02 09:31-05"])[1] == ("unparsable_time", None)
    with pytest.raises(SourceError, match="is not a time"):
        stamped(tmp_path, ["2024-01-02 09:30-00", "2024-01-02 09:31-00"])


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("20240102 09:31:00 US/Eastern", (None, "2024-01-02 14:31")),
        ("20240102 09:31:00 America/New_York", (None, "2024-01-02 14:31")),
        ("20240102 14:31:00 UTC", (None, "2024-01-02 14:31")),
        ("20240102 09:31:00 EST", (None, "2024-01-02 14:31")),
        ("20240702 09:31:00 EDT", (None, "2024-07-02 13:31")),
        ("20240102 09:31:00 XYZ", ("unparsable_time", None)),
        ("20240102 09:31:00", ("unparsable_time", None)),
        ("99991231 23:59:59 US/Eastern", ("unparsable_time", None)),
    ],
)
def test_names_of_zones_in_stamps(
    tmp_path: Path, stamp: str, expected: tuple[str | None, str | None]
) -> None:
    stamps = ["20240102 09:30:00 US/Eastern", stamp]
    assert stamped(tmp_path, stamps, time_format="%Y%m%d %H:%M:%S %Z")[1] == expected
    assert stamped(tmp_path, stamps, time_format="%Y%m%d %H:%M:%S %Z", timezone=None)[1] == expected


@pytest.mark.parametrize(
    "stamp", ["9999-12-31 23:59:59", "0001-01-01 00:00", "1700-01-01 09:30", "2924-01-02 09:30"]
)
@pytest.mark.parametrize("timeframe", ["1min", "1d"])
def test_years_that_stand_for_nothing(tmp_path: Path, stamp: str, timeframe: str) -> None:
    first = "2024-01-02 09:30" if timeframe == "1min" else "2024-01-02"
    rows = stamped(tmp_path, [first, stamp], timeframe=timeframe)
    assert rows == [(None, "2024-01-02 14:30"), ("implausible_date", None)]


def test_digits_that_run_together_are_all_there(tmp_path: Path) -> None:
    # strptime reads 20240102 93500 as 09:35:00 and 2024112 as 12 January or 2 November
    spec = {"time_format": "%Y%m%d %H%M%S"}
    rows = stamped(tmp_path, ["20240102 093000", "20240102 93500", "2024112 093600"], **spec)
    assert [rule for rule, _ in rows] == [None, "unparsable_time", "unparsable_time"]


def test_days_of_one_digit_count_where_the_file_writes_them_so(tmp_path: Path) -> None:
    spec = {"time_format": "%d.%m.%Y %H:%M"}
    assert stamped(tmp_path, ["2.1.2024 9:30", "2.1.2024 9:31"], **spec)[1] == (None, "2024-01-02 14:31")
    many = [f"02.01.2024 {9 + (30 + m) // 60:02}:{(30 + m) % 60:02}" for m in range(300)]
    many[7] = "2.01.2024 09:37"
    assert [rule for rule, _ in stamped(tmp_path, many, **spec)].count("unparsable_time") == 1


@pytest.mark.parametrize(
    ("time_format", "words"),
    [
        ("%H:%M", "names no year"),
        ("%Y %H:%M", "names no day"),
        ("%d.%m.%Y %I:%M", "%I .* and %p .* go together"),
        ("%d.%m.%Y %H:%M %p", "%I .* and %p .* go together"),
        ("%Z %d.%m.%Y %H:%M", "%Z, can stand at the end only"),
        ("dd.mm.yyyy", "has no directive"),
        ("", "has no directive"),
        ("%", "has no directive"),
        ("%%", "has no directive"),
        ("%Y-%d %H:%M", "names no month"),
        ("%Y-%m-%d %Q", "%Q is not known here: write %f for it"),
        ("%F %T", "%F is not known here: write %Y-%m-%d for it"),
        ("%s", "write the whole format as epoch_s for it"),
        ("%Y-%m-%d %", r"cannot be read \(stray %\)"),
        ("%-d.%-m.%Y", "'-' is a bad directive"),
        ("%Y-%m-%d \u00e9%\u00e9", "is a bad directive"),
        ("%Y%Y%m%d", "stands in it twice"),
        ("%d.%m.%c", "stands in it twice"),
        ("%y %Y-%m-%d", "names the year twice"),
        ("%Y %U", "cannot be read"),
        ("%Y-%m-%d" + "x" * 100_000, "has 100,008 characters: write 100 at most"),
    ],
)
def test_formats_that_cannot_be_read_or_lose_a_part_of_the_stamp(time_format: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        IngestSpec(time_format=time_format)


def test_two_formats_that_fit_are_both_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"'%d/%m/%Y %H:%M' or '%m/%d/%Y %H:%M'"):
        stamped(tmp_path, ["02/01/2024 09:30", "03/01/2024 09:30"])
    with pytest.raises(SourceError, match=r"--time-format '%d/%m/%Y %H:%M'$"):
        stamped(tmp_path, ["22/01/2024 09:30", "23/01/2024 09:30"])


def test_times_of_parquet_count_nothing(tmp_path: Path) -> None:
    index = pd.DatetimeIndex(["2024-01-02 14:30"], tz="UTC")
    for stamps in (index, index.tz_localize(None)):
        frame = pd.DataFrame({"ts": stamps, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 1})
        frame.to_parquet(tmp_path / "x.parquet")
        with pytest.raises(SourceError, match="leave out --time-format epoch_ms"):
            list(read_file(str(tmp_path / "x.parquet"), IngestSpec(**NY, time_format="epoch_ms")))  # type: ignore[arg-type]


# lines


def test_a_stray_quote_costs_its_own_line(tmp_path: Path) -> None:
    lines = [f"2024-01-02 09:3{m},1,2,1,2,{m}" for m in range(10)]
    lines[3] = '"' + lines[3]
    lines[6] = lines[6].replace(",5", ',"5') if ",5" in lines[6] else lines[6].replace(",6", ',"6')
    rows = read(tmp_path, "\n".join([HEADER, *lines]) + "\n")
    refused = {row["row"]: row["rule"] for row in rows if row["kind"] == "refused"}
    assert refused == {4: "wrong_field_count", 7: "wrong_field_count"}
    assert sorted(row["volume"] for row in rows if row["kind"] == "bar") == [0, 1, 2, 4, 5, 7, 8, 9]


def test_a_quote_that_opens_after_another_costs_its_own_line(tmp_path: Path) -> None:
    # two quotes, of which the first is within a field, and the second opens one
    lines = [f"2024-01-02 09:3{m},1,2,1,2,{m}" for m in range(4)]
    lines[1] += '"6,"'
    rows = read(tmp_path, "\n".join([HEADER, *lines]) + "\n")
    assert {row["row"]: row["rule"] for row in rows} == {1: None, 2: "wrong_field_count", 3: None, 4: None}


def test_quotes_that_close_are_quotes(tmp_path: Path) -> None:
    (row,) = read(tmp_path, f'{HEADER}\n"2024-01-02 09:30","1","2","1","2","5"\n')
    assert (row["kind"], row["volume"]) == ("bar", 5)


@pytest.mark.parametrize("preamble", ["# exported\n# tz=UTC\n", "\n\n", "sep=,\n", '"sep=,"\n'])
def test_what_stands_before_the_header(tmp_path: Path, preamble: str) -> None:
    assert [row["kind"] for row in read(tmp_path, f"{preamble}{HEADER}\n2024-01-02 09:30,1,2,1,2,5\n")] == [
        "bar"
    ]


def test_a_header_may_begin_with_a_comment_sign(tmp_path: Path) -> None:
    rows = read(tmp_path, f"#{HEADER}\n2024-01-02 09:30,1,2,1,2,5\n", columns={"ts": ("#ts",)})
    assert [row["kind"] for row in rows] == ["bar"]


def test_the_index_that_pandas_leaves_without_a_name(tmp_path: Path) -> None:
    (row,) = read(tmp_path, ",Open,High,Low,Close,Volume\n2004-08-19,1,2,1,2,5\n", timeframe="1d")
    assert str(row["session"]) == "2004-08-19"
    index = pd.DatetimeIndex(["2004-08-19 09:30", "2004-08-19 09:31"])
    frame = pd.DataFrame({"Open": 1.0, "High": 1.0, "Low": 1.0, "Close": 1.0, "Volume": 1}, index=index)
    frame.to_parquet(tmp_path / "x.parquet")
    batches = list(read_file(str(tmp_path / "x.parquet"), IngestSpec(**NY)))  # type: ignore[arg-type]
    assert [batch.num_rows for batch in batches] == [2]


def test_metatraders_names_and_its_two_volumes(tmp_path: Path) -> None:
    text = (
        "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
        "2024.03.15\t16:00:00\t1.0888\t1.0889\t1.0887\t1.0888\t31\t0\t2\n"
    )
    spec = {"exchange": "24/7", "timezone": "Europe/Athens"}
    with pytest.raises(SourceError, match=r"--map 'volume=<TICKVOL>'"):
        read(tmp_path, text, **spec)
    (row,) = read(tmp_path, text, **spec, columns={"volume": ("<TICKVOL>",)})
    assert (row["ts"].strftime("%H:%M"), row["volume"]) == ("14:00", 31)


# symbols


def test_the_symbol_is_the_files_name_or_its_folder(tmp_path: Path) -> None:
    text = f"{HEADER}\n2024-01-02 09:30,1,2,1,2,5\n"
    with pytest.raises(SourceError, match="--symbol-from file"):
        read(tmp_path, text, symbol=None)
    assert {row["symbol"] for row in read(tmp_path, text, symbol=None, symbol_from="file")} == {"x"}
    folder = tmp_path / "symbol=BRK%2FB"
    folder.mkdir()
    assert {row["symbol"] for row in read(folder, text, symbol=None)} == {"BRK/B"}
    with pytest.raises(SourceError, match="leave one out"):
        IngestSpec(symbol="S", symbol_from="file")
    with pytest.raises(SourceError, match="leave out --symbol-from"):
        read(tmp_path, f"symbol,{HEADER}\nQ,2024-01-02 09:30,1,2,1,2,5\n", symbol=None, symbol_from="file")


# whole files


@pytest.mark.parametrize(
    ("beginning", "words"),
    [(b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh9", "bzip2"), (b"\xfd7zXZ", "xz"), (b"ARROW1", "Feather")],
)
def test_files_that_are_packed(tmp_path: Path, beginning: bytes, words: str) -> None:
    (tmp_path / "x.csv").write_bytes(beginning + b"\x00" * 20)
    with pytest.raises(SourceError, match=words):
        list(read_file(str(tmp_path / "x.csv"), IngestSpec(**NY)))  # type: ignore[arg-type]


def test_a_header_alone_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NoRowsError, match="has no rows"):
        read(tmp_path, HEADER + "\n")


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="CSV or Parquet"):
        list(read_file(str(tmp_path / "x.h5"), IngestSpec(**NY)))  # type: ignore[arg-type]
