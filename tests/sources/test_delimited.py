"""CSV and what can be wrong with it."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whatif.errors import SourceError
from whatif.sources import IngestSpec, Layout, delimited, parse_mapping
from whatif.sources.chunk import LineNumbers
from whatif.sources.delimited import read_csv
from whatif.sources.delivery import read_file

HEADER = "ts,open,high,low,close,volume"
ROW = "2013-10-07T13:30:00Z,10,10.5,9.9,10.2,100"
NEXT = "2013-10-07T13:31:00Z,10,10.5,9.9,10.2,100"


def spec(**more: object) -> IngestSpec:
    return IngestSpec(**{"symbol": "SPY", "exchange": "XNYS", "format": "csv", **more})  # type: ignore[arg-type]


def rows(tmp_path: Path, text: str | bytes, **more: object) -> list[dict[str, object]]:
    path = tmp_path / "bars.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return pa.Table.from_batches(list(read_file(str(path), spec(**more)))).to_pylist()  # type: ignore[no-any-return]


def test_names_in_any_case_and_order(tmp_path: Path) -> None:
    text = "Volume,Close,Low,High,Open,Date,Time,Ticker,VWAP,Trades\n"
    text += "100,10.2,9.9,10.5,10,2013-10-07,09:30,ibm,10.15,7\n"
    row = rows(tmp_path, text, symbol=None, timezone="America/New_York")[0]
    assert (row["symbol"], row["open"], row["volume"]) == ("ibm", 10.0, 100.0)
    assert (row["vwap"], row["vwap_estimated"], row["trade_count"]) == (10.15, False, 7)
    assert str(row["ts"]) == "2013-10-07 13:30:00+00:00"


def test_mapped_names(tmp_path: Path) -> None:
    text = "d;t;a;b;c;e\n2013-10-07;13:30Z;10;10.5;9.9;10.2\n"
    mapping = parse_mapping(["ts=d+t", "open=a", "high=b", "low=c", "close=e", "volume="])
    row = rows(tmp_path, text, columns=mapping)[0]
    assert (row["high"], row["volume"]) == (10.5, 0.0)


def test_no_vwap_or_none_that_can_be_a_price(tmp_path: Path) -> None:
    text = f"{HEADER},vwap\n{ROW},\n{NEXT},0\n"
    estimated = [(row["vwap_estimated"], row["vwap"]) for row in rows(tmp_path, text)]
    assert estimated == [(True, (10.5 + 9.9 + 10.2) / 3)] * 2


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    text = f"{HEADER}\n{ROW}\n".replace(",", delimiter)
    assert rows(tmp_path, text)[0]["kind"] == "bar"


def test_line_ends_byte_order_mark_blank_lines_and_no_last_line_end(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbf" + f"{HEADER}\r\n{ROW}\r\n\r\n{NEXT}".encode()
    assert [row["row"] for row in rows(tmp_path, text)] == [1, 2]


def test_gzip(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(gzip.compress(f"{HEADER}\n{ROW}\n".encode()))
    assert len(list(read_csv(str(path), spec()))) == 1


def test_a_header_that_names_too_few(tmp_path: Path) -> None:
    text = "Date,Open,High,Low,Close,Volume,OpenInterest\n2006-01-02,09:01:00,3602,3603,3597,3599,5699,0\n"
    names = "date,time,open,high,low,close,volume,openinterest"
    with pytest.raises(SourceError, match=rf"names 7 columns.*rows have 8 fields.*--columns {names}"):
        rows(tmp_path, text, timezone="Europe/Berlin")
    row = rows(
        tmp_path,
        text,
        timezone="Europe/Berlin",
        exchange="XEUR",
        stamps="end",
        header=tuple(names.split(",")),
    )[0]
    # stamped 09:01 in Berlin at the bar's end: it starts at 08:00 UTC
    assert (row["row"], str(row["ts"]), row["open"]) == (1, "2006-01-02 08:00:00+00:00", 3602.0)


def test_without_a_header_names_must_be_given(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"looks like a row.*--columns"):
        rows(tmp_path, f"{ROW}\n{NEXT}\n")
    assert [row["row"] for row in rows(tmp_path, f"{ROW}\n{NEXT}\n", header=tuple(HEADER.split(",")))] == [
        1,
        2,
    ]


def test_a_row_of_another_width_in_the_middle(tmp_path: Path) -> None:
    text = f"{HEADER}\n{ROW}\n1,2,3\n{NEXT}\n"
    good, bad, after = sorted(rows(tmp_path, text), key=lambda row: int(str(row["row"])))
    assert (good["kind"], after["row"]) == ("bar", 3)
    assert (bad["row"], bad["rule"], json.loads(str(bad["raw"]))) == (2, "wrong_field_count", ["1", "2", "3"])


def test_every_row_knows_its_line(tmp_path: Path) -> None:
    text = f"# a comment\nsep=,\n\n{HEADER}\n\n{ROW}\n1,2,3\n\n\n{NEXT}\n1,2\n"
    found = sorted(rows(tmp_path, text), key=lambda row: int(str(row["row"])))
    lines = text.splitlines()
    assert [row["line"] for row in found] == [6, 7, 10, 11]
    assert [lines[int(str(row["line"])) - 1] for row in found] == [ROW, "1,2,3", NEXT, "1,2"]

    bare = rows(tmp_path, f"\n{ROW}\n\n{NEXT}\n", header=tuple(HEADER.split(",")))
    assert [row["line"] for row in bare] == [2, 4]


def test_a_row_that_is_no_number_or_no_time_or_no_symbol(tmp_path: Path) -> None:
    text = f"symbol,{HEADER}\nA,{ROW}\nA,{ROW.replace('10.5', '1o.5')}\nA,x{ROW}\n ,{ROW}\n"
    rules = [row["rule"] for row in rows(tmp_path, text, symbol=None)]
    assert rules == [None, "unparsable_number", "unparsable_time", "missing_symbol"]
    raw = json.loads(str(rows(tmp_path, text, symbol=None)[1]["raw"]))
    assert raw["high"] == "1o.5"


@pytest.mark.parametrize(
    ("bad", "rule"), [("inf", "not_finite"), ("", "missing_volume"), ("-1", "negative_volume")]
)
def test_volumes(tmp_path: Path, bad: str, rule: str) -> None:
    text = f"{HEADER}\n{ROW}\n{NEXT.removesuffix('100')}{bad}\n"
    assert [row["rule"] for row in rows(tmp_path, text)] == [None, rule]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        (f"{HEADER}\n", "no rows"),
        (f"{HEADER}\n{ROW}\n2013-10-07T13:31:00Z,10,1", "half-written"),
        (f"ts,open,high,low,close\n{ROW}\n", "'volume' is missing.*--map volume="),
        (f"{HEADER.replace('open', 'opening')}\n{ROW}\n", "'open' is missing.*--map open="),
        ("ts:open:high\n1:2:3\n", "--delimiter"),
        (b"PK\x03\x04 and so on", "a zip archive"),
        (b"\x1f\x8b and so on", "gzipped"),
        (b"ts,open,high,low,close,volume\n\x00\x01\x02\x03\n", "bytes that no text has"),
        (b"ts,open,high,low,close,volume\n\xff\xfe\xfa\n", "not CSV in UTF-8"),
        (f"{HEADER},open\n{ROW},1\n", "has open twice"),
        (f'{HEADER}\n"{"x" * 200_000}",1,1,1,1,1\n', "is not CSV"),
        (f"{HEADER}\n{ROW.replace('Z', '')}\n", "no time zone"),
    ],
)
def test_files_that_are_refused_whole(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        rows(tmp_path, text)


def test_a_symbol_neither_given_nor_named_or_both(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="--symbol SPY"):
        rows(tmp_path, f"{HEADER}\n{ROW}\n", symbol=None)
    with pytest.raises(SourceError, match="--map symbol="):
        rows(tmp_path, f"symbol,{HEADER}\nA,{ROW}\n")
    assert rows(tmp_path, f"symbol,{HEADER}\nA,{ROW}\n", columns={"symbol": ()})[0]["symbol"] == "SPY"


def test_no_exchange(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="--exchange XNYS"):
        rows(tmp_path, f"{HEADER}\n{ROW}\n", exchange=None)


def test_a_mapped_column_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="did you mean 'open'"):
        rows(tmp_path, f"{HEADER}\n{ROW}\n", columns={"open": ("opem",)})


def test_no_permission(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        next(read_csv(str(tmp_path / "gone.csv"), spec()))


@given(
    text=st.lists(st.sampled_from(["a", "b,c", "é", "", "x" * 9, "\r", "\n", "\r\n", "\r\r\n"]), max_size=30),
    count=st.integers(1, 5),
    piece=st.integers(1, 7),
    begun=st.integers(0, 3),
)
@settings(max_examples=400, deadline=None)
def test_blocks_hold_the_lines_that_python_reads(text: list[str], count: int, piece: int, begun: int) -> None:
    whole = "".join(text)
    wanted = list(io.StringIO(whole, newline=""))
    stream = io.StringIO(whole, newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_PIECE", piece)
        lines = delimited._Lines("x.csv", stream, stream)
        taken = lines.take(begun)
        lines.ahead = taken[1:]
        found, first = [], taken[:1]
        while (block := lines.block(count, first)) is not None:
            first = []
            found.append(block.lines)
            assert "\r" in whole or lines.latest == block.lines[-1]
    assert [line for block in found for line in block] == wanted
    if "\r" not in whole.replace("\r\n", "\n"):
        assert all(len(block) == count for block in found[:-1])


def test_chunks_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("\n".join([HEADER, *[ROW] * 25]) + "\n")
    chunks = list(read_csv(str(path), spec(), chunk_rows=10))
    assert [chunk.row.tolist()[0] for chunk in chunks] == [1, 11, 21]
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]


def a_line(ending: str) -> st.SearchStrategy[str]:
    plain = st.text(alphabet="a1.-' é#\t", max_size=4)
    quoted = st.text(alphabet="a1, 'é\"", max_size=4).map(lambda text: '"' + text.replace('"', '""') + '"')
    odd = st.text(alphabet='a",\r ', max_size=4)
    field = st.one_of(plain, plain, quoted, odd)
    return st.lists(field, min_size=3, max_size=3).map(lambda fields: ",".join(fields) + ending)


@given(
    lines=st.sampled_from(["\n", "\r\n"]).flatmap(
        lambda ending: st.lists(a_line(ending), min_size=1, max_size=4)
    )
)
@settings(max_examples=400, deadline=None)
def test_lines_that_arrow_reads_are_read_as_by_pythons_csv(lines: list[str]) -> None:
    text = io.StringIO("".join(lines), newline="")
    block = list(text)
    layout = Layout(source="x.csv", timeframe="1min", exchange="24/7")
    columns = delimited._Columns(("a", "b", "c"), {"ts": (0, 1), "open": (1,), "close": (2,)}, ",")
    given = delimited.Block(text.getvalue().encode())
    fast = delimited._plain_chunk(layout, columns, given, 7, LineNumbers())
    records = list(csv.reader(block))
    if fast is None:
        # only lines that somebody wrote oddly are left to Python
        assert (
            any(len(record) != 3 for record in records)
            or any(line.startswith(",,") for line in block)  # as Excel writes rows of which nothing is left
            or '"' in text.getvalue()
            or len(block) != len(lines)
        )
        return
    assert fast.batch.to_pylist() == [{"ts": f"{a} {b}", "open": b, "close": c} for a, b, c in records]
    assert fast.numbers().tolist() == [8 + k for k in range(len(block))]
    assert [json.loads(fast.text(k)) for k in range(len(block))] == [
        dict(zip("abc", record, strict=True)) for record in records
    ]
