"""`whatif indicators`: what there is, how it is written, and whose definition it has."""

from __future__ import annotations

import json
import re

import pytest

from whatif.cli import main
from whatif.indicators import INDICATORS, NEWS_SERIES, TIME_SERIES, parse

WORDS = {
    "days": "9",
    r"fast\w?|slow\w?|signal|\w*period\w?|first|second|tenkan|kijun|senkou|leftbars|rightbars": "9",
    "deviations": "2.0",
    "source1?": "close",
    "source[23]": "open",
}
EVERY = [*INDICATORS, *TIME_SERIES, *NEWS_SERIES]
OWN = ("lag", "scaled", "zscore", "log", "abs", "clip", "where")


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


@pytest.mark.parametrize(("given", "remedy"), [("smaa", "did you mean 'sma'"), ("+", "is unknown")])
def test_an_unknown_one_is_refused_with_the_nearest(given, remedy, capsys):
    assert main(["indicators", given]) == 2
    assert remedy in capsys.readouterr().err
