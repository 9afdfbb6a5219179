"""Files that unpack to more than they are, lines without end: refused before they fill the memory."""

from __future__ import annotations

import gzip
import io
import struct
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whatif.errors import SourceError
from whatif.sources.bounded import BoundedStream, check_parquet, open_archive, text_of
from whatif.sources.delivery import read_file
from whatif.sources.spec import IngestSpec

SPEC = IngestSpec(symbol="X", exchange="XNYS", timezone="UTC")
HEADER = b"ts,open,high,low,close,volume\n"
ROW = b"34200000,1000000,1000000,1000000,1000000,1\n"
MIB = 1024 * 1024


def refusal(path: Path, spec: IngestSpec = SPEC) -> str:
    began = time.process_time()
    with pytest.raises(SourceError) as caught:
        for _ in read_file(str(path), spec):
            pass
    assert time.process_time() - began < 2.0  # most of it the first import
    return str(caught.value)


def zipped(path: Path, content: bytes, times: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.csv", "w") as member:
        for _ in range(times):
            member.write(content)
    return path


def test_a_zip_that_unpacks_to_gigabytes(tmp_path: Path) -> None:
    path = zipped(tmp_path / "equity/usa/minute/spy/20240103_trade.zip", ROW * 25_000, 40)
    assert path.stat().st_size < 300_000
    assert "unpacks to more than 200 times its size" in refusal(path, IngestSpec())


def test_a_zip_that_lies_of_how_much_it_holds(tmp_path: Path) -> None:
    path = zipped(tmp_path / "equity/usa/minute/spy/20240103_trade.zip", b"a" * MIB, 40)
    content = bytearray(path.read_bytes())
    entry = content.rfind(b"PK\x01\x02")
    struct.pack_into("<L", content, entry + 20, 2**31)  # packed bytes, which would make the ratio small
    path.write_bytes(bytes(content))
    assert "unpacks to more than 200 times its size" in refusal(path, IngestSpec())
    struct.pack_into("<L", content, entry + 24, 1000)  # and few unpacked ones: it is cut off there
    path.write_bytes(bytes(content))
    assert "Bad CRC-32 for file 'x.csv': fetch it again" in refusal(path, IngestSpec())


@pytest.mark.parametrize("content", [ROW * 25_000, b"\x00" * MIB, b"a,b\n" * 250_000])
def test_a_gzip_that_unpacks_to_gigabytes(tmp_path: Path, content: bytes) -> None:
    with gzip.open(tmp_path / "x.csv.gz", "wb") as file:
        file.write(HEADER)
        for _ in range(40):
            file.write(content)
    assert "unpacks to more than 200 times its size" in refusal(tmp_path / "x.csv.gz")


@pytest.mark.slow
def test_a_gzip_whose_bomb_comes_late(tmp_path: Path) -> None:
    import random

    draw = random.Random(1)
    with gzip.open(tmp_path / "x.csv.gz", "wb") as file:
        file.write(draw.randbytes(200_000).hex().encode().replace(b"7", b"\n"))
        for _ in range(300):
            file.write(b"1,2\n" * (MIB // 4))
    with gzip.open(tmp_path / "x.csv.gz", "rb") as stream, pytest.raises(SourceError, match="200 times its"):
        for _ in text_of("x", stream, "utf-8"):
            pass


def test_a_line_without_end(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(HEADER + b"1" * 200_000 + b"\n" + ROW)
    assert "is not CSV: it has a line of more than 65,536 bytes" in refusal(tmp_path / "x.csv")
    with (tmp_path / "hole.csv").open("wb") as file:
        file.write(HEADER)
        file.truncate(2**40)  # a terabyte of nothing, on no disk
    assert refusal(tmp_path / "hole.csv")


def test_a_stream_of_whole_lines_goes_through_unchanged() -> None:
    rows = b"".join(b"%d,%s\r\n" % (k, b"x" * (k % 300)) for k in range(3000)) + b"y" * 60_000
    stream = BoundedStream("x", io.BytesIO(rows))
    assert io.TextIOWrapper(stream, encoding="utf-8", newline="").read().encode() == rows
    assert stream.taken == len(rows)


def test_a_zip_of_a_million_names(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.csv", "1")
    content = bytearray(path.read_bytes())
    end = content.rfind(b"PK\x05\x06")
    struct.pack_into("<L", content, end + 12, 60_000_000)
    with pytest.raises(SourceError, match="its list of contents has 60,000,000 bytes"):
        open_archive("x.zip", io.BytesIO(bytes(content)))
    long_form = content[:end] + b"PK\x06\x07" + b"\0" * 16 + content[end:]
    with pytest.raises((SourceError, zipfile.BadZipFile)):
        open_archive("x.zip", io.BytesIO(bytes(long_form)))


def test_what_cannot_be_unpacked_says_so(tmp_path: Path) -> None:
    path = zipped(tmp_path / "equity/usa/daily/spy.zip", b"20240103 00:00,1,1,1,1,1\n", 1)
    content = bytearray(path.read_bytes())
    for offset, value in ((6, 1), (content.rfind(b"PK\x01\x02") + 8, 1)):  # flag of a password
        struct.pack_into("<H", content, offset, value)
    path.write_bytes(bytes(content))
    assert "cannot be unpacked" in refusal(path, IngestSpec())
    broken = bytearray(gzip.compress(HEADER + ROW * 9))
    broken[20] ^= 0xFF
    (tmp_path / "x.csv.gz").write_bytes(bytes(broken))
    assert "x.csv.gz" in refusal(tmp_path / "x.csv.gz")
    (tmp_path / "twice.csv.gz").write_bytes(gzip.compress(gzip.compress(HEADER + ROW)))
    assert "gzipped" in refusal(tmp_path / "twice.csv.gz")


def test_parquet_that_unpacks_to_gigabytes(tmp_path: Path) -> None:
    text = pa.array(["x" * MIB] * 40)
    pq.write_table(pa.table({"open": text}), tmp_path / "x.parquet", compression="zstd", use_dictionary=False)
    assert "unpacks to more than 200 times" in refusal(tmp_path / "x.parquet")
    pq.write_table(pa.table({"open": [1.0, 2.0]}), tmp_path / "y.parquet")
    metadata = pq.read_metadata(tmp_path / "y.parquet")
    check_parquet("y.parquet", metadata, 500)
    stated = SimpleNamespace(num_rows=10**9, num_row_groups=1, row_group=metadata.row_group)
    with pytest.raises(SourceError, match=r"holds 1,000,000,000 rows in 500 bytes"):
        check_parquet("y.parquet", stated, 500)


def test_symbols_that_are_not_seen_go_to_quarantine(tmp_path: Path) -> None:
    names = [
        "SPY",
        " SPY ",
        "",
        "A\tB",
        "A\x1b[2J",
        "\u202eYPS",
        "SP\u200bY",
        "\uff33PY",
        "X" * 101,
        "BRK.B",
        "[/red]",
    ]
    rows = "".join(f'"{n}",2024-01-03T14:{30 + k}:00Z,1,1,1,1,1\n' for k, n in enumerate(names))
    (tmp_path / "x.csv").write_text("symbol,ts,open,high,low,close,volume\n" + rows)
    batch = pa.Table.from_batches(
        read_file(str(tmp_path / "x.csv"), IngestSpec(exchange="XNYS", accept=True))
    ).to_pylist()
    found = {row["row"]: (row["rule"], row["symbol"]) for row in batch}
    assert [found[k][1] for k in (1, 2, 10, 11)] == ["SPY", "SPY", "BRK.B", "[/red]"]
    assert {found[k][0] for k in range(3, 10)} == {"missing_symbol"}
    for name in ("A\nB", "\u202eYPS", "SPY "):
        with pytest.raises(SourceError, match="the symbol"):
            IngestSpec(symbol=name)
