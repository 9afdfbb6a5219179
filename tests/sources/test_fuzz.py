"""Damaged CSV files: no row is lost or made up, no value changes, and nothing ends in a traceback.

What each line says is read here a second time, by Python's own `csv`, `float` and `datetime`.
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from whatif.errors import SourceError
from whatif.sources import RULES, IngestSpec
from whatif.sources.delivery import read_file

NEW_YORK = ZoneInfo("America/New_York")


@dataclass(frozen=True)
class Shape:
    """A way to write a file, and to read its stamps back."""

    name: str
    header: str
    stamp: Callable[[datetime], str]
    read: Callable[[str], datetime]
    options: dict[str, object] = field(default_factory=dict)
    step: timedelta = timedelta(minutes=1)
    delimiter: str = ","


def _exact(pattern: str, zone: ZoneInfo | None = None) -> Callable[[str], datetime]:
    def read(text: str) -> datetime:
        stamp = datetime.strptime(text, pattern).replace(tzinfo=zone or UTC)
        if stamp.astimezone(zone or UTC).strftime(pattern) != text:
            raise ValueError(text)
        return stamp.astimezone(UTC)

    return read


def _offset(text: str) -> datetime:
    stamp = datetime.fromisoformat(text)
    if stamp.tzinfo is None:
        raise ValueError(text)
    return stamp.astimezone(UTC)


def _local(text: str) -> datetime:
    try:
        return _offset(text)
    except ValueError:
        return _exact("%Y-%m-%d %H:%M:%S", NEW_YORK)(text)


def _short(text: str) -> datetime:
    """Read a day or an hour of one digit too, as a file may write them that has few rows."""
    return datetime.strptime(text, "%d.%m.%Y %H:%M").replace(tzinfo=UTC)


def _milliseconds(text: str) -> datetime:
    return datetime.fromtimestamp(float(text) / 1000, UTC)


HEADER = "ts,open,high,low,close,volume"
SHAPES = (
    Shape("utc", HEADER, lambda t: t.strftime("%Y-%m-%dT%H:%M:%SZ"), _offset),
    Shape("local", HEADER, lambda t: t.astimezone(NEW_YORK).strftime("%Y-%m-%d %H:%M:%S"),
          _local, {"timezone": "America/New_York"}),
    Shape("format", HEADER.replace(",", ";"), lambda t: t.strftime("%d.%m.%Y %H:%M"),
          _short,
          {"timezone": "UTC", "time_format": "%d.%m.%Y %H:%M"}, delimiter=";"),
    Shape("epoch", HEADER, lambda t: str(round(t.timestamp() * 1000)), _milliseconds,
          {"time_format": "epoch_ms"}),
    Shape("days", HEADER, lambda t: t.strftime("%Y-%m-%d"), _exact("%Y-%m-%d"), {"timeframe": "1d"},
          timedelta(days=1)),
)  # fmt: skip


def write(shape: Shape, pick: random.Random) -> str:
    at = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
    lines = [shape.header]
    for _ in range(pick.randint(1, 14)):
        low, high = pick.uniform(1, 50), pick.uniform(50, 99)
        prices = [f"{pick.uniform(low, high):.4f}", f"{high + 0.001:.3f}", f"{low - 0.001:.3f}"]
        prices.append(f"{pick.uniform(low, high):.2f}")
        lines.append(shape.delimiter.join([shape.stamp(at), *prices, str(pick.randint(0, 10**6))]))
        at += shape.step * pick.choice((1, 1, 1, 2))
    return "\n".join(lines) + pick.choice(("\n", "\n", ""))


CHARACTERS = "0123456789.,;:-+TZ \"'\n\r\t#|_eEnaNif/\\x%€½\ufeff"


def mutate(text: str, pick: random.Random) -> str:
    """Damage a file, its header in one of eight, as a damaged header refuses the file."""
    head, end, body = text.partition("\n")
    if pick.randrange(8):
        return head + end + _mutate(body, pick)
    return _mutate(text, pick)


def _mutate(text: str, pick: random.Random) -> str:
    for _ in range(pick.choice((1, 1, 2, 3, 8))):
        at = pick.randrange(len(text) + 1)
        kind = pick.randrange(9)
        if kind == 0:
            text = text[:at] + text[at + 1 :]
        elif kind <= 2:
            text = text[:at] + pick.choice(CHARACTERS) + text[at:]
        elif kind <= 4:
            text = text[:at] + pick.choice(CHARACTERS) + text[at + 1 :]
        elif kind == 5:
            text = text[:at]
        else:
            text = _mutate_lines(text, pick, kind)
    return text


def _mutate_lines(text: str, pick: random.Random, kind: int) -> str:
    lines = text.split("\n")
    at = pick.randrange(len(lines))
    if kind == 6:
        lines.insert(at, pick.choice((lines[at], "", "# comment", pick.choice(lines)[:9])))
    elif kind == 7:
        lines[at] = pick.choice(('"' + lines[at], lines[at] + '"', lines[at] + ",", lines[at][::-1], ""))
    else:
        words = lines[at].split(",")
        words[pick.randrange(len(words))] = pick.choice(
            ("", "nan", "inf", "-1", "1e400", "9" * 40, "9999-12-31T00:00:00Z", "0001-01-01", "1,5",
             "1.234.567",
             "2024-11-03 01:30:00", "2024-03-10 02:30:00", "-", "0", "1_0", "٣")
        )  # fmt: skip
        lines[at] = ",".join(words)
    return "\n".join(lines)


def check(path: Path, shape: Shape, text: str, accept: bool) -> str:
    """Read a file and compare each row with its line; return what came of it."""
    path.write_bytes(text.encode("utf-8"))
    spec = IngestSpec(symbol="S", exchange="24/7", accept=accept, **shape.options)  # type: ignore[arg-type]
    try:
        rows = pa.Table.from_batches(list(read_file(str(path), spec))).to_pylist()
    except SourceError:
        return "refused"
    lines = _data_lines(text)
    assert sorted(row["row"] for row in rows) == list(range(1, len(lines) + 1)), text
    for row in rows:
        if row["kind"] == "bar":
            _same(row, lines[row["row"] - 1], shape)
        else:
            assert row["rule"] in RULES
            assert row["raw"]
    return "read"


def _data_lines(text: str) -> list[str]:
    """Return the lines below the header that hold anything; lines end as Python's text files have them."""
    lines = [line.rstrip("\n") for line in io.StringIO(text.removeprefix("\ufeff"), newline=None)]
    header = next(i for i, line in enumerate(lines) if line.strip() and not _is_comment(line))
    width = len(HEADER.split(","))
    return [line for line in lines[header + 1 :] if line not in ("", *(sign * (width - 1) for sign in ",;"))]


def _is_comment(line: str) -> bool:
    return line.strip().startswith("#") and max(line.count(sign) for sign in ",;\t|") < 4


def _same(row: dict[str, object], line: str, shape: Shape) -> None:
    stamp, *values = next(csv.reader([line], delimiter=shape.delimiter))
    expected = shape.read(stamp.strip())
    assert row["ts"] == expected, line
    read = [row[name] for name in ("open", "high", "low", "close", "volume")]
    assert read == [float(value) for value in values[:5]], line


def _fuzz(path: Path, seed: int, count: int) -> dict[str, int]:
    pick = random.Random(seed)
    came = {"read": 0, "refused": 0}
    for _ in range(count):
        shape = pick.choice(SHAPES)
        came[check(path, shape, mutate(write(shape, pick), pick), pick.random() < 0.7)] += 1
    return came


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_whole_files_lose_nothing(tmp_path: Path, shape: Shape) -> None:
    for seed in range(5):
        assert check(tmp_path / "x.csv", shape, write(shape, random.Random(seed)), accept=False) == "read"


def test_damaged_files(tmp_path: Path) -> None:
    came = _fuzz(tmp_path / "x.csv", seed=15, count=100)
    assert came["read"] > 60


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_twenty_thousand_damaged_files(tmp_path: Path, seed: int) -> None:
    assert _fuzz(tmp_path / "x.csv", seed=1_000 + seed, count=1_000)["read"] > 600
