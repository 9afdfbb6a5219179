"""Deliveries as a whole: what is refused unless accepted, dry runs, and exchanges by one name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from whatif.errors import LakeError, SourceError
from whatif.lake import BARS, upsert_arrow
from whatif.lake.holdings import list_bars
from whatif.pins import LakeLocation, current_pin, read_arrow, table_exists
from whatif.pins.api import read_bars
from whatif.sources import IngestSpec
from whatif.workflow import ingest

SPEC = IngestSpec(symbol="SPY", exchange="XNYS", timezone="America/New_York")


def write(path: Path, count: int, close: float = 10.0, bad: int = 0) -> Path:
    """Write minutes of 7 October 2013 from the open; the last `bad` have no price."""
    rows = []
    for k in range(count):
        at = 570 + k
        value = "" if k < count - bad else "x"
        rows.append(f"2013-10-07 {at // 60:02}:{at % 60:02},10,11,9,{value or close},100")
    path.write_text("\n".join(["ts,open,high,low,close,volume", *rows]) + "\n")
    return path


def closes(location: LakeLocation) -> list[float]:
    return read_bars("SPY", location=location)["close"].tolist()


def test_much_that_cannot_be_read_refuses_the_delivery(any_session, lake_home, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", 100, bad=3)
    with pytest.raises(SourceError, match=r"(?s)3 of 100 rows.*cannot be read.*a\.csv line 99.*--accept"):
        ingest([file], SPEC, lake_home, any_session)
    with pytest.raises(LakeError, match="no rows yet"):
        current_pin(lake_home, "bars")
    with pytest.raises(LakeError, match="no rows yet"):
        current_pin(lake_home, "bars_quarantine")
    report = ingest([file], replace(SPEC, accept=True), lake_home, any_session)
    assert (report.came, report.landed, dict(report.refused)) == (100, 97, {"unparsable_number": 3})
    assert list_bars(lake_home)[["symbol", "bars", "refused"]].values.tolist() == [["SPY", 97, 3]]


def test_many_corrections_refuse_the_delivery(any_session, lake_home, tmp_path: Path) -> None:
    ingest([write(tmp_path / "a.csv", 100)], SPEC, lake_home, any_session)
    changed = write(tmp_path / "b.csv", 100, close=10.5)
    with pytest.raises(SourceError, match=r"100 of 100 rows.*would overwrite bars"):
        ingest([changed], SPEC, lake_home, any_session)
    assert set(closes(lake_home)) == {10.0}
    assert ingest([changed], replace(SPEC, accept=True), lake_home, any_session).corrected == 100
    assert set(closes(lake_home)) == {10.5}


def test_a_dry_run_says_all_and_writes_nothing(any_session, lake_home, tmp_path: Path) -> None:
    report = ingest([write(tmp_path / "a.csv", 100, bad=3)], SPEC, lake_home, any_session, dry_run=True)
    assert not table_exists(lake_home, "bars")
    assert (report.came, report.landed, dict(report.refused)) == (100, 97, {"unparsable_number": 3})
    text = report.summary()
    assert "97 would land" in text
    assert "SPY 1min XNYS: 97 bars from 2013-10-07 13:30:00" in text
    assert "a.csv line 99: unparsable_number" in text
    assert "would be refused: 3 of 100 rows" in text
    assert "nothing was written" in text


def test_a_file_with_a_header_alone_costs_the_others_nothing(any_session, lake_home, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    write(folder / "a.csv", 0)
    write(folder / "b.csv", 5)
    assert ingest([folder], SPEC, lake_home, any_session).landed == 5
    (folder / "b.csv").unlink()
    write(folder / "c.csv", 0)
    with pytest.raises(SourceError, match="no file has rows"):
        ingest([folder], SPEC, lake_home, any_session)


def test_aliases_are_one_exchange(any_session, lake_home, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", 5)
    ingest([file], replace(SPEC, exchange="NYSE"), lake_home, any_session)
    assert set(read_bars("SPY", location=lake_home)["exchange"]) == {"XNYS"}
    # a lake of before, in which rows have another name of the exchange
    rows = read_arrow(current_pin(lake_home, "bars"), BARS.column_names).sort_by("ts").slice(0, 3)
    named = rows.set_column(rows.column_names.index("exchange"), "exchange", pa.array(["NYSE"] * 3))
    upsert_arrow(lake_home, BARS, named)
    report = ingest([file], SPEC, lake_home, any_session)
    assert (report.already_there, report.corrected) == (5, 0)
    assert set(read_bars("SPY", location=lake_home)["exchange"]) == {"XNYS"}
    assert list_bars(lake_home)[["exchange", "bars"]].values.tolist() == [["XNYS", 5]]
