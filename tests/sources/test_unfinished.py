"""Bars that had not ended when they were written are refused; once they are whole, they land."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from whatif.sources import IngestSpec
from whatif.sources.delivery import file_parts, read_part

START = 1704205800
"""2024-01-02 14:30 UTC."""


def rules_of(path: Path, **spec: object) -> list[tuple[str, str | None]]:
    parts, _ = file_parts([path], IngestSpec(exchange="24/7", **spec))  # type: ignore[arg-type]
    rows = [row for part in parts for batch in read_part(part) for row in batch.to_pylist()]
    return [(f"{row['ts']:%H:%M}", row["rule"]) for row in rows]


def test_oandas_flag(tmp_path: Path) -> None:
    # developer.oanda.com, Candlestick: complete, "a flag indicating if the candlestick is complete"
    path = tmp_path / "candles.json"
    mid = {"o": "1.1", "h": "1.2", "l": "1.0", "c": "1.15"}
    rows = [
        {"complete": k < 2, "volume": 9, "time": f"2024-01-02T14:3{k}:00.000000000Z", "mid": mid}
        for k in range(3)
    ]
    path.write_text(json.dumps({"instrument": "EUR_USD", "granularity": "M1", "candles": rows}))
    assert rules_of(path) == [("14:30", None), ("14:31", None), ("14:32", "unfinished")]


def test_okx_rows_without_names(tmp_path: Path) -> None:
    # okx.com, docs-v5: [ts, o, h, l, c, vol, volCcy, volCcyQuote, confirm], newest first; 0 is uncompleted
    path = tmp_path / "BTC-USDT.json"
    rows = [
        [str((START + 60 * k) * 1000), "10", "12", "9", "11", "5", "5", "55", "01"[k < 2]] for k in (2, 1, 0)
    ]
    path.write_text(json.dumps({"code": "0", "msg": "", "data": rows}))
    assert rules_of(path) == [("14:32", "unfinished"), ("14:31", None), ("14:30", None)]


def test_a_column_of_zeros_and_ones_is_not_taken_for_a_flag(tmp_path: Path) -> None:
    path = tmp_path / "X.csv"
    lines = [f"{(START + 60 * k) * 1000},10,12,9,11,5,5,55,{int(k == 1)}\n" for k in range(4)]
    path.write_text("".join(lines))
    assert [rule for _, rule in rules_of(path, symbol="X")] == [None] * 4


@pytest.mark.parametrize(("word", "rule"), [("FALSE", "unfinished"), ("0", "unfinished"), ("yes", None),
                                            ("1", None), ("98.5", None), ("", None)])  # fmt: skip
def test_words_of_a_flag(tmp_path: Path, word: str, rule: str | None) -> None:
    path = tmp_path / "X.csv"
    rows = "".join(f"{START + 60 * k},10,12,9,11,5,{word if k else 1}\n" for k in range(2))
    path.write_text("timestamp,open,high,low,close,volume,confirm\n" + rows)
    assert rules_of(path, symbol="X") == [("14:30", None), ("14:31", rule)]


@pytest.mark.parametrize(
    ("written", "last"),
    [
        (START + 150, "unfinished"),  # half-way through the bar of 14:32
        (START + 180, None),
        (START + 90, None),  # a bar begins later: the time of the file says nothing
    ],
)
def test_a_bar_that_ends_behind_its_file(tmp_path: Path, written: int, last: str | None) -> None:
    # fetch_ohlcv of ccxt and Binance's klines end with the bar that goes on
    path = tmp_path / "BTC_USDT.csv"
    rows = "".join(f"{(START + 60 * k) * 1000},10,12,9,11,5\n" for k in range(3))
    path.write_text("timestamp,open,high,low,close,volume\n" + rows)
    os.utime(path, (written, written))
    assert rules_of(path, symbol="X") == [("14:30", None), ("14:31", None), ("14:32", last)]


@pytest.mark.parametrize(("hour", "rule"), [(20, "unfinished"), (21, None)])
def test_a_day_ends_with_its_session(tmp_path: Path, hour: int, rule: str | None) -> None:
    path = tmp_path / "SPY.csv"
    path.write_text("Date,Open,High,Low,Close,Volume\n2024-01-02,10,12,9,11,5\n2024-01-03,10,12,9,11,5\n")
    written = 1704240000 + hour * 3600  # 2024-01-03; New York closes at 21:00 UTC
    os.utime(path, (written, written))
    parts, _ = file_parts([path], IngestSpec(exchange="XNYS"))
    rows = [row for part in parts for batch in read_part(part) for row in batch.to_pylist()]
    assert [row["rule"] for row in rows] == [None, rule]
