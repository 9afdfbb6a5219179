"""docs/sql.md: its questions, asked as it says, of minutes of Lean's and of results that are made up."""

from __future__ import annotations

import re
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from whatif.domain import timestamps
from whatif.lake import RESULTS, append_rows, create_tables, list_bars
from whatif.pins import LakeLocation
from whatif.workflow import ingest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")
MINUTES = "lean/equity/usa/minute/ibm"
QUESTIONS = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

ROWS = [
    # study, symbol, window, config_id, sharpe, status
    ("a", "IBM", "validate", "c1", 1.0, "ok"),
    ("a", "IBM", "validate", "c2", 2.0, "ok"),
    ("a", "IBM", "validate", "c3", float("nan"), "ok"),
    ("a", "IBM", "validate", "c4", 9.0, "error"),
    ("a", "IBM", "test", "c2", 5.0, "ok"),
    ("b", "IBM", "validate 1", "c5", -1.0, "ok"),
]
BEST = [("a", "IBM", "validate", "c2", 2.0, 2), ("b", "IBM", "validate 1", "c5", -1.0, 1)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    """Return a folder whose `.whatif` is a lake with minutes of IBM and some results."""
    folder = tmp_path_factory.mktemp("sql")
    location = LakeLocation(folder / ".whatif")
    ingest([data_dir / MINUTES], None, location)
    create_tables(None, location, [RESULTS])
    names = ("study", "symbol", "window", "config_id", "sharpe", "status")
    blank = dict.fromkeys(RESULTS.column_names)
    rows = [{**blank, **dict(zip(names, row, strict=True)), "parameters": "{}"} for row in ROWS]
    append_rows(None, location, RESULTS, rows)
    return folder


@pytest.fixture
def named(home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what the page's Python defines, without DuckDB, in that folder."""
    monkeypatch.chdir(home)
    first, pyiceberg = CODE
    found: dict[str, Any] = {}
    exec(first.replace("import duckdb\n", ""), found)
    exec(pyiceberg, found)
    return found


def expected_sessions(data_dir: Path) -> list[tuple[Any, ...]]:
    """Return open, high, low, close and volume of each day, from Lean's own files."""
    rows = []
    for path in sorted((data_dir / MINUTES).glob("*_trade.zip")):
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
            bars = pd.read_csv(file, names=["ms", "open", "high", "low", "close", "volume"])
        minutes = bars["ms"] / 60_000
        bars = bars[(minutes >= 9 * 60 + 30) & (minutes < 16 * 60)]
        day = datetime.strptime(path.name[:8], "%Y%m%d").replace(tzinfo=UTC).date()
        prices = (bars["open"].iloc[0], bars["high"].max(), bars["low"].min(), bars["close"].iloc[-1])
        rows.append(("IBM", day, *(price / 10_000 for price in prices), float(bars["volume"].sum())))
    return rows


def day_of(value: Any) -> date:
    return value if type(value) is date else pd.Timestamp(value).date()


def same(found: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> None:
    assert [(row[0], day_of(row[1])) for row in found] == [row[:2] for row in expected]
    for mine, theirs in zip(found, expected, strict=True):
        assert mine[2:] == pytest.approx(theirs[2:], rel=1e-12)


def test_there_are_three_questions_and_two_ways_in_python() -> None:
    assert len(QUESTIONS) == 3
    assert len(CODE) == 2


def test_pyiceberg(named: dict[str, Any], home: Path, data_dir: Path) -> None:
    (row,) = named["what_is_there"]().to_pylist()
    listed = list_bars(LakeLocation(home / ".whatif")).to_dict("records")[0]
    assert row["count_all"] == listed["bars"] - listed["extended_bars"]
    assert row["ts_min"] == datetime(2013, 10, 4, 13, 30, tzinfo=UTC)
    same(
        [tuple(row.values()) for row in named["sessions_of"]("IBM").to_pylist()], expected_sessions(data_dir)
    )
    best = named["best"]().to_pylist()
    names = ("study", "symbol", "window", "config_id_first", "sharpe_first", "count_all")
    assert sorted(tuple(row[name] for name in names) for row in best) == BEST


def test_duckdb(home: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("duckdb", reason="DuckDB is not installed")
    monkeypatch.chdir(home)
    found: dict[str, Any] = {}
    exec(CODE[0], found)
    there, sessions, best = (found["answer"](sql, "bars", "results") for sql in QUESTIONS)
    (row,) = there.to_dict("records")
    assert (row["symbol"], row["timeframe"]) == ("IBM", "1min")
    assert pd.Timestamp(row["first_bar"]) == timestamps([1_380_893_400_000_000])[0]  # 2013-10-04 13:30 UTC
    same(list(sessions.itertuples(index=False, name=None)), expected_sessions(data_dir))
    names = ["study", "symbol", "window", "config_id", "sharpe", "configurations"]
    assert list(best[names].itertuples(index=False, name=None)) == BEST
