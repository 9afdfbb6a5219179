"""The page of a check of bars: its data, and what it shows of names that are markup."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from whatif.lake import BarsCheck
from whatif.report import bars_page, write_check, write_prices
from whatif.report.packing import unpacked

NAME = "<b>&"


def check(days: int = 3) -> BarsCheck:
    sessions = pd.bdate_range("2024-01-01", periods=days)
    rows = pd.DataFrame(
        {
            "symbol": [NAME] * days + ["A"] * days, "timeframe": "1min", "exchange": "XNYS",
            "session": [*sessions, *sessions], "expected": 390, "bars": [195] * days + [390] * days,
            "missing": [195] * days + [0] * days, "suspicious": 0, "errors": [1] + [0] * (2 * days - 1),
        }
    )  # fmt: skip
    found = pd.DataFrame(
        {
            "symbol": [NAME], "timeframe": "1min", "exchange": "XNYS", "session": sessions[:1],
            "ts": pd.to_datetime(["2024-01-01 14:30"], utc=True), "rule": "spike", "error": True, "bars": 1,
            "value": 12.5,
        }
    )  # fmt: skip
    return BarsCheck(rows, found)


def drawn(path: Path) -> tuple[str, dict[str, object]]:
    text = path.read_text(encoding="utf-8")
    payload = re.search(r'id="payload">(.*?)</script>', text, re.DOTALL)
    assert payload is not None
    return text, json.loads(unpacked(payload.group(1)))["maps"][0]


def test_coverage_is_the_share_that_is_there(tmp_path: Path) -> None:
    text, drawing = drawn(write_check(check(), tmp_path / "deep" / "out.html"))
    heat, warnings, errors = drawing["data"]
    assert heat["x"] == ["2024-01-01", "2024-01-02", "2024-01-03"]
    assert dict(zip(heat["y"], heat["z"], strict=True)) == {"&lt;b&gt;&amp;": [50.0] * 3, "A": [100.0] * 3}
    assert (warnings["x"], errors["x"], errors["y"]) == ([], ["2024-01-01"], ["&lt;b&gt;&amp;"])
    assert NAME not in text.replace("<!doctype", "")
    assert "12.5 typical ranges outside" in text
    assert "https://" not in re.sub(r'<script type="text/plain".*?</script>', "", text, flags=re.DOTALL)


def test_many_sessions_are_months(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars_page, "MAX_COLUMNS", 30)
    text, drawing = drawn(write_check(check(44), tmp_path / "out.html"))
    assert drawing["data"][0]["x"] == ["2024-01", "2024-02"]
    assert drawing["data"][0]["z"] == [[100.0] * 2, [50.0] * 2]
    assert "each column a month" in text


def test_of_many_symbols_those_with_errors_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars_page, "MAX_SYMBOLS", 1)
    text, drawing = drawn(write_check(check(), tmp_path / "out.html"))
    assert drawing["data"][0]["y"] == ["&lt;b&gt;&amp;"]
    assert "the 1 of 2 symbols" in text


@pytest.mark.parametrize("marked", [0, 1])
def test_marks_stand_below_the_buttons_and_no_volume_is_below_zero(tmp_path: Path, marked: int) -> None:
    ts = pd.date_range("2024-01-02 14:30", periods=3, freq="1D", tz="UTC")
    prices = {name: [1.0, 2.0, 3.0] for name in ("open", "high", "low", "close")}
    bars = pd.DataFrame({"ts": ts, **prices, "volume": 0.0})
    row = {
        "symbol": "A", "timeframe": "1d", "exchange": "XNYS", "session": ts[1].tz_localize(None), "ts": ts[1],
        "rule": "spike", "error": True, "bars": 1, "value": 9.0,
    }  # fmt: skip
    found = pd.DataFrame([row]).iloc[:marked]
    _, chart = drawn(write_prices("A", "A", [("1d", bars)], found, tmp_path / "a.html"))
    layout: Any = chart["layout"]
    assert layout["yaxis2"]["rangemode"] == "nonnegative"
    assert layout["height"] == 460 + 24 * marked
