"""The demo: its truth is as stated, an edge is found, the same rule on noise is called luck."""

from __future__ import annotations

import io
import math
import re

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from whatif.demo import DEFAULT_EDGE, TRUE_SHARPE, DemoOptions, run_demo, study_texts, truths
from whatif.pins import LakeLocation
from whatif.report.summary import summarize
from whatif.sources import generate_days
from whatif.study import parse_study


def test_the_stated_truth_is_what_the_rule_earns_over_many_markets() -> None:
    found = [_sharpe(generate_days(DemoOptions(seed).market, "TREND")) for seed in range(100, 124)]
    error = np.std(found) / math.sqrt(len(found))
    assert error < 0.1
    assert np.mean(found) == pytest.approx(TRUE_SHARPE, abs=3 * error)


def test_the_same_rule_earns_its_costs_on_noise() -> None:
    found = [_sharpe(generate_days(DemoOptions(seed).market, "NOISE")) for seed in range(100, 124)]
    assert -0.8 < np.mean(found) < 0.1


def _sharpe(bars: pd.DataFrame) -> float:
    """Return the annual Sharpe ratio of the crossover of 3 and 15 closes, 0.06 % a side."""
    close = bars["close"]
    side = np.sign(close.rolling(3).mean() - close.rolling(15).mean()).fillna(0.0)
    returns = side.shift() * close.pct_change() - 0.0006 * side.diff().shift().abs()
    return float(returns.mean() / returns.std() * math.sqrt(252))


def _number(text: str) -> float:
    return float(text.replace("−", "-"))


def test_both_studies_ask_the_same_of_another_symbol() -> None:
    planted, noise = (parse_study(text) for text in study_texts(DemoOptions()).values())
    assert (planted.data.symbols, noise.data.symbols) == (("TREND",), ("NOISE",))
    other = {"study", "description", "data", "text"}
    assert planted.model_dump(exclude=other) == noise.model_dump(exclude=other)
    assert planted.data.model_dump(exclude={"symbols"}) == noise.data.model_dump(exclude={"symbols"})


def test_what_is_not_known_of_another_edge_is_not_said() -> None:
    assert "Sharpe" in truths(DemoOptions(edge=DEFAULT_EDGE))[0]
    assert "Sharpe" not in truths(DemoOptions(edge=0.1))[0]
    assert "martingale" in truths(DemoOptions(edge=0.0))[0]


def test_the_demo_finds_the_edge_and_calls_noise_luck(tmp_path) -> None:
    printed = io.StringIO()
    console = Console(file=printed, width=80)
    found = run_demo(LakeLocation(home=tmp_path / "demo"), DemoOptions(), console)
    told = [summarize(result.data) for result in found.results]
    assert [one.kind for one in told] == ["edge", "luck"]
    test, chance = (_number(told[0].numbers[1].value), told[0].numbers[3].value)
    assert 1.5 <= test <= 3.0
    assert chance == "under 0.01 %"
    assert _number(told[1].numbers[1].value) < 0.5
    text, page = printed.getvalue(), found.page.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 40
    for one in told:
        for said in (one.word, one.numbers[0].value, one.numbers[1].value):
            assert said in text
            assert said in page
    assert not re.search(r"\d[eE]-\d", text)
    assert 'href="demo/report.html"' in page
    assert 'href="demo-noise/report.html"' in page
    assert len(page) < 3_000_000
