"""Tables with columns for several symbols, as yfinance writes them, land as bars of each."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import whatif
from whatif.errors import SourceError
from whatif.lake import BARS_QUARANTINE
from whatif.pins import LakeLocation, current_pin, read_arrow
from whatif.sources import IngestSpec
from whatif.sources.wide import as_long
from whatif.workflow import ingest

# yf.download(["AAPL", "MSFT"]).to_csv(...), as of yfinance 0.2.50
BY_PRICE = """Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume
Ticker,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT
Date,,,,,,,,,,
2024-01-02,184.08,367.94,186.86,372.95,182.34,363.88,185.58,370.95,82488700,25258600
2024-01-03,182.70,,184.32,,181.89,,182.67,,58414500,
2024-01-04,180.38,365.02,181.56,370.15,179.37,364.23,180.62,367.72,71983600,20901500
"""
# the same with group_by="ticker"
BY_TICKER = """Ticker,MSFT,MSFT,MSFT,MSFT,MSFT,AAPL,AAPL,AAPL,AAPL,AAPL
Price,Open,High,Low,Close,Volume,Open,High,Low,Close,Volume
Date,,,,,,,,,,
2024-01-02,370.95,372.95,363.88,367.94,25258600,185.58,186.86,182.34,184.08,82488700
2024-01-03,,,,,,182.67,184.32,181.89,182.70,58414500
2024-01-04,367.72,370.15,364.23,365.02,20901500,180.62,181.56,179.37,180.38,71983600
"""
BARS = {
    "AAPL": [
        ("2024-01-02", 185.58, 186.86, 182.34, 184.08, 82488700),
        ("2024-01-03", 182.67, 184.32, 181.89, 182.70, 58414500),
        ("2024-01-04", 180.62, 181.56, 179.37, 180.38, 71983600),
    ],
    "MSFT": [
        ("2024-01-02", 370.95, 372.95, 363.88, 367.94, 25258600),
        ("2024-01-04", 367.72, 370.15, 364.23, 365.02, 20901500),
    ],
}


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def landed(location: LakeLocation, symbol: str) -> list[tuple[object, ...]]:
    frame = whatif.read_bars(symbol, timeframe="1d", location=location)
    columns = ["open", "high", "low", "close", "volume"]
    return [
        (f"{day:%Y-%m-%d}", *row)
        for day, *row in frame[["session", *columns]].itertuples(index=False, name=None)
    ]


@pytest.mark.parametrize(
    "text", [BY_PRICE, BY_TICKER, BY_PRICE.replace("Price,", ",").replace("Ticker,", ",")]
)
def test_every_symbol_lands(lake_home: LakeLocation, tmp_path: Path, text: str) -> None:
    report = ingest([write(tmp_path / "prices.csv", text)], IngestSpec(exchange="XNYS"), lake_home)
    assert (report.came, report.landed) == (5, 5)
    assert {symbol: landed(lake_home, symbol) for symbol in BARS} == BARS


@pytest.mark.parametrize(
    "first", [",367.94,,372.95,,363.88,,370.95,,25258600", "184.08,367.94,,372.95,,363.88,,370.95,,25258600"]
)
def test_a_symbol_may_begin_later_than_others(lake_home: LakeLocation, tmp_path: Path, first: str) -> None:
    """Of the first, there is nothing on the first day, or too little to be a bar, which is refused."""
    lines = BY_PRICE.splitlines()
    lines[3] = f"2024-01-02,{first}"
    spec = IngestSpec(exchange="XNYS", accept=True)
    report = ingest([write(tmp_path / "prices.csv", "\n".join(lines) + "\n")], spec, lake_home)
    assert report.landed == 4
    assert report.came == (4 if first.startswith(",") else 5)
    assert landed(lake_home, "AAPL") == BARS["AAPL"][1:]
    assert landed(lake_home, "MSFT") == BARS["MSFT"]


def test_what_is_refused_says_its_line_of_the_file(lake_home: LakeLocation, tmp_path: Path) -> None:
    # line 6: MSFT's low is above its high; line 7 has a field too few
    text = BY_PRICE.replace("364.23", "399.9") + "2024-01-05,181,366,182,367,180,365,181\n"
    spec = IngestSpec(exchange="XNYS", accept=True)
    ingest([write(tmp_path / "prices.csv", text)], spec, lake_home)
    names = ["row", "rule", "raw"]
    names = [name for name in BARS_QUARANTINE.column_names if name in (*names, "line", "symbol")]
    rows = read_arrow(current_pin(lake_home, "bars_quarantine"), names).to_pylist()
    assert sorted(row["line"] for row in rows) == [6, 7]
    assert landed(lake_home, "MSFT") == BARS["MSFT"][:1]


def test_a_file_that_breaks_off_is_refused(lake_home: LakeLocation, tmp_path: Path) -> None:
    text = BY_PRICE + "2024-01-05,181,366,18"
    with pytest.raises(SourceError, match="half-written"):
        ingest([write(tmp_path / "prices.csv", text)], IngestSpec(exchange="XNYS"), lake_home)


@pytest.mark.parametrize(
    "text",
    [
        "Price,Close,High,Low,Open\nTicker,A,A,A,A\nDate,,,,\n2024-01-02,1,1,1,1\n",  # a single symbol
        "Date,Open,High,Low,Close,Volume\n2024-01-02,1,1,1,1,1\n2024-01-03,1,1,1,1,1\n",
        BY_PRICE.replace("Ticker,AAPL,MSFT", "Ticker,AAPL,AAPL"),  # one column twice
        BY_PRICE.replace("Open", "First"),
        "a\n",
        "",
    ],
)
def test_other_headers_are_left_as_they_are(text: str) -> None:
    lines = text.splitlines(keepends=True)
    found, wide = as_long(lines)
    assert (list(found), wide) == (lines, None)


@pytest.mark.parametrize("order", [["Price", "Ticker"], ["Ticker", "Price"]])
def test_rows_are_those_of_pandas_own_stack(order: list[str]) -> None:
    rng = np.random.default_rng(7)
    symbols, fields = ["A", "B B", "C,D"], ["Open", "High", "Low", "Close", "Adj Close"]
    columns = pd.MultiIndex.from_product(
        [fields, symbols] if order[0] == "Price" else [symbols, fields], names=order
    )
    days = pd.Index(pd.bdate_range("2024-01-02", periods=40).strftime("%Y-%m-%d"), name="Date")
    wide = pd.DataFrame(rng.integers(1, 99, (40, 15)).astype(float), days, columns)
    rows, header = as_long(wide.to_csv().splitlines(keepends=True))
    found = pd.read_csv(io.StringIO("".join(rows))).set_index(["Date", "Ticker"])
    assert header is not None
    expected = wide.stack("Ticker", future_stack=True)
    pd.testing.assert_frame_equal(
        found.sort_index()[fields], expected.sort_index()[fields], check_names=False
    )
