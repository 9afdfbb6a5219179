"""`whatif indicators`: what there is, how it is written, and whose definition it has."""

from __future__ import annotations

import json
import re
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest

from whatif.cli import main
from whatif.indicators import ACROSS, INDICATORS, NEWS_SERIES, TIME_SERIES, parse
from whatif.report.packing import unpacked

WORDS = {
    "days": "9",
    r"fast\w?|slow\w?|signal|\w*period\w?|first|second|tenkan|kijun|senkou|leftbars|rightbars": "9",
    "deviations": "2.0",
    "source1?": "close",
    "source[23]": "open",
}
EVERY = [*INDICATORS, *ACROSS, *TIME_SERIES, *NEWS_SERIES]
OWN = ("lag", "scaled", "zscore", "log", "abs", "clip", "where", "rank")


def listed(capsys, *given):
    assert main(["indicators", *given, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_all_are_listed_with_one_line_and_origin(capsys):
    found = listed(capsys)
    assert [one["name"] for one in found] == EVERY
    assert all(one["summary"] and "\n" not in one["summary"] for one in found)
    origins = {one["name"]: one["origin"] for one in found}
    assert {origins[name] for name in ("sma", "atr", "bbands", "adx")} == {"Backtrader"}
    assert {origins[name] for name in (*OWN, *TIME_SERIES, *NEWS_SERIES)} == {"own"}
    assert {origins[name] for name in ("willr", "cdldoji", "ht_sine")} == {"TA-Lib"}
    assert set(origins.values()) == {"Backtrader", "own", "TA-Lib"}


def test_each_is_written_as_it_says(capsys):
    for one in listed(capsys):
        # with sources, and without where they may be left out
        for form in one["usage"].partition(" on ")[0].split(" or "):
            # the first output of several, and without what may be left out
            form = re.sub(r"(, )?\[\w+\]", "", form.partition(";")[0])
            head, arguments, tail = re.fullmatch(r"(\w+)(?:\((.*)\))?(.*)", form).groups()
            for words, value in WORDS.items():
                arguments = re.sub(rf"\b({words})\b", value, arguments or "")
            given = f"{head}({arguments.strip(', ')}){tail}" if "(" in form else form
            assert one["name"] in parse(given).text


def test_the_table_names_all_of_them(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["indicators"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in EVERY)
    assert "Average the true range as Wilder does." in said


def test_one_is_told_whole(capsys):
    assert main(["indicators", "rsi"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("rsi(source, period) or rsi(period) on close, Backtrader")
    assert "*Timing*: row t uses rows up to t." in said
    assert listed(capsys, "rsi")["name"] == "rsi"


def test_each_says_inputs_parameters_outputs_and_warmup(capsys):
    found = {one["name"]: one for one in listed(capsys)}
    one = found["t3"]
    assert one["inputs"] == ["close"]
    assert one["parameters"] == [
        {"name": "period", "rule": "a whole number from 1 to 100,000", "default": None},
        {"name": "vfactor", "rule": "a number from 0 to 1", "default": 0.7},
    ]
    assert (one["shown"], one["warmup"], one["source"]) == ("t3(14)", 78, f"TA-Lib {version('TA-Lib')}")
    assert found["bbands"]["outputs"] == ["upper", "middle", "lower"]
    assert (found["adx"]["shown"], found["adx"]["warmup"]) == ("adx(14)", 27)
    assert found["correlation"]["inputs"] == ["any series", "any series"]


@pytest.mark.parametrize("name", ["bbands", "rsi(7)"])
def test_one_is_drawn_on_bars_of_the_lake(name, tmp_path, monkeypatch, capsys):
    bars = drawn_bars()
    monkeypatch.setattr("whatif.pins.api.read_bars", lambda symbol, timeframe: bars.assign(symbol=symbol))
    page = tmp_path / "out.html"
    assert main(["indicators", name, "--symbol", "SPY", "--plot", str(page)]) == 0
    assert "60 bars of SPY" in " ".join(capsys.readouterr().out.split())
    text = page.read_text(encoding="utf-8")
    payload = re.search(r'id="payload">(.*?)</script>', text, re.DOTALL)
    (drawn,) = json.loads(unpacked(payload[1]))["maps"]
    candles, first, *_ = drawn["data"]
    assert (candles["type"], len(candles["x"])) == ("candlestick", 60)
    assert first["name"] == ("bbands(14, 2).upper" if name == "bbands" else "rsi(7)")
    # else the slider of candles lies over the indicator
    assert [drawn["layout"][axis]["rangeslider"]["visible"] for axis in ("xaxis", "xaxis2")] == [False] * 2
    assert "<script src=" not in text
    assert "default-src 'none'" in text


def test_a_rank_is_drawn_among_those_it_names(tmp_path, monkeypatch, capsys):
    def read(symbols, timeframe):
        assert symbols == ["SPY", "IBM"]
        return pd.concat([drawn_bars().assign(symbol=symbol) for symbol in symbols])

    monkeypatch.setattr("whatif.pins.api.read_bars", read)
    page = tmp_path / "out.html"
    assert main(["indicators", "rank(roc(5), SPY, IBM)", "--symbol", "SPY", "--plot", str(page)]) == 0
    assert "60 bars of SPY" in " ".join(capsys.readouterr().out.split())
    assert main(["indicators", "rank(roc(5))", "--symbol", "SPY", "--plot", str(page)]) == 2
    assert "name those that it is to be among" in " ".join(capsys.readouterr().err.split())


def test_what_a_drawing_needs_is_said(capsys):
    assert main(["indicators", "rsi", "--symbol", "SPY"]) == 2
    assert "whatif indicators rsi --symbol SPY --plot" in " ".join(capsys.readouterr().err.split())


def drawn_bars():
    prices = 100.0 + np.sin(np.arange(60.0))
    ts = pd.date_range("2024-01-02 14:30", periods=60, freq="1min", tz="UTC")
    return pd.DataFrame(
        {"ts": ts, "exchange": "XNYS", "open": prices, "high": prices + 1.0, "low": prices - 1.0,
         "close": prices, "volume": 10.0}
    )  # fmt: skip


@pytest.mark.parametrize(("given", "remedy"), [("smaa", "did you mean 'sma'"), ("+", "is unknown")])
def test_an_unknown_one_is_refused_with_the_nearest(given, remedy, capsys):
    assert main(["indicators", given]) == 2
    assert remedy in capsys.readouterr().err
