"""Folders as they come: Lean's, mixed ones, and what is said about the bars in them."""

from __future__ import annotations

import zipfile
from pathlib import Path

from whatif.pins import current_pin, read_bars
from whatif.sources import IngestSpec
from whatif.workflow import ingest


def put(folder: Path, name: str, *rows: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bars.csv", "\n".join(rows) + "\n")


def test_a_whole_folder_of_leans(any_session, lake_home, tmp_path: Path) -> None:
    """Seven for one on 9 June 2014: 645.57 is followed by 92.69; quotes and factors lie beside it."""
    aapl = "Data/equity/usa/minute/aapl"
    put(tmp_path, f"{aapl}/20140606_trade.zip", "57540000,6454300,6456800,6453000,6455700,641461")
    put(tmp_path, f"{aapl}/20140609_trade.zip", "34200000,926900,929500,925000,927200,2467914")
    put(tmp_path, f"{aapl}/20140609_quote.zip", "14400000,1,1,1,1,1,1,1,1,1,1")
    put(tmp_path, "Data/crypto/coinbase/minute/btcusd/20161007_trade.zip", "0,611.78,611.91,611.78,611.9,1.1")
    factors = tmp_path / "Data/equity/usa/factor_files/aapl.csv"
    factors.parent.mkdir()
    factors.write_text("19980102,0.8613657,0.00892857,1\n")
    report = ingest([tmp_path / "Data"], IngestSpec(), lake_home, any_session)
    assert (report.files, report.landed, dict(report.refused)) == (3, 3, {})
    text = report.summary()
    assert "1 file skipped (quotes" in text
    assert "1 file skipped (not bars)" in text
    assert "AAPL: the close 645.57 of 2014-06-06 is followed by the open 92.69 of 2014-06-09" in text
    assert "a factor of 6.96 overnight" in text
    pin = current_pin(lake_home, "bars")
    assert read_bars(pin, "AAPL", "1min").close.tolist() == [645.57, 92.72]
    assert read_bars(pin, "BTCUSD", "1min").close.tolist() == [611.9]


def test_a_rise_is_no_split(any_session, lake_home, tmp_path: Path) -> None:
    rows = [
        f"2024-01-{day:02},{price},{price},{price},{price},5" for day, price in ((2, 10), (3, 17), (4, 9.6))
    ]
    (tmp_path / "a.csv").write_text("Date,Open,High,Low,Close,Volume\n" + "\n".join(rows) + "\n")
    spec = IngestSpec(symbol="A", exchange="XNYS", timeframe="1d")
    assert ingest([tmp_path / "a.csv"], spec, lake_home, any_session).notes == ()
