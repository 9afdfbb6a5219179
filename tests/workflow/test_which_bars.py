"""Which bars of a lake a study reads, and what it says of them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from whatif.domain.bars import Bars
from whatif.domain.timeframe import HOUR_US
from whatif.pins import LakeLocation, current_pin, read_bars
from whatif.pins import api as pins_api
from whatif.resolve.resolved import resolve_study
from whatif.study import parse_study

from ..markets import put_bars, walk
from .conftest import study_text


def hours(bars: Bars, sessions: int, price: float) -> Bars:
    """Return whole hours of the first sessions, all at one price."""
    from_open = bars.ts - bars.session_open
    first = np.isin(bars.session, np.unique(bars.session)[:sessions]) & (from_open % HOUR_US == 0)
    some = bars.take(first)
    flat = np.full(len(some), price)
    return replace(some, open=flat, high=flat, low=flat, close=flat, vwap=flat)


def put_hours(location: LakeLocation, bars: Bars, name: str, at: str) -> None:
    put_bars(location, [bars], name, ingested_at=pd.Timestamp(at, tz="UTC"))


def asked(timeframe: str = "1h"):
    data = {"symbols": ["A"], "timeframe": timeframe, "start": "2013-10-04", "end": "2013-10-12"}
    return parse_study(study_text(data=data, axes={"fast": [2], "slow": [3]}))


def test_patchy_hours_do_not_take_the_place_of_whole_minutes(lake_home) -> None:
    """Six sessions of minutes make 7 hours each; the hours of one session cover 7."""
    minutes = walk("A", 1)
    put_bars(lake_home, [minutes])
    assert resolve_study(asked(), lake_home).slices["1h"].source_timeframe == "1min"
    put_hours(lake_home, hours(minutes, 1, 50.0), "1h", "2024-01-02")
    resolved = resolve_study(asked(), lake_home)
    assert resolved.slices["1h"].source_timeframe == "1min"
    assert "1h bars: made of the lake's 1min bars, which cover 42 of them (1h " in resolved.notes[0]


def test_whole_hours_are_taken_as_they_are(lake_home) -> None:
    minutes = walk("A", 1)
    put_bars(lake_home, [replace_session_out(minutes)])
    put_hours(lake_home, hours(minutes, 6, 50.0), "60min", "2024-01-02")
    resolved = resolve_study(asked("60min"), lake_home)
    assert resolved.slices["1h"].source_timeframe == "1h"
    assert resolved.notes[0].startswith("1h bars: as the lake holds them, which cover")


def replace_session_out(bars: Bars) -> Bars:
    """Return the bars without those of the second and the third session."""
    gone = np.isin(bars.session, np.unique(bars.session)[1:3])
    return bars.take(~gone)


@pytest.mark.spark
@pytest.mark.parametrize("first", [pytest.param("60min", marks=pytest.mark.slow), "1h"])
def test_a_lake_of_two_names_has_each_bar_once_the_one_that_came_last(spark, lake_home, first: str) -> None:
    bars = hours(walk("A", 1), 6, 100.0)
    other = "1h" if first == "60min" else "60min"
    put_hours(lake_home, bars, first, "2024-01-02")
    put_hours(lake_home, hours(walk("A", 1), 3, 50.0), other, "2024-01-03")
    pin = current_pin(lake_home, "bars")
    halves = len(hours(walk("A", 1), 3, 50.0))
    for name in ("1h", "60min"):
        read = read_bars(pin, "A", name)
        assert read.ts.tolist() == bars.ts.tolist()
        assert read.close.tolist() == [50.0] * halves + [100.0] * (len(bars) - halves)
        frame = pins_api.read_bars("A", as_of=pin, timeframe=name)
        assert frame["close"].tolist() == read.close.tolist()
        assert set(frame["timeframe"]) == {"1h"}
    resolved = resolve_study(asked(), lake_home)
    assert resolved.slices["1h"].source_timeframe == "1h"
    there = {window: count for (_, window), count in resolved.window_bars.items()}
    assert sum(there.values()) == len(bars)

    from whatif.features.build import pinned_bars

    rows = pinned_bars(spark, lake_home, pin, resolved.slices["1h"]).orderBy("ts").toPandas()
    assert rows["close"].tolist() == read_bars(pin, "A", "1h").close.tolist()
    assert set(rows["timeframe"]) == {"1h"}


def test_a_study_says_that_bars_are_newer_than_its_pin(lake_home) -> None:
    put_bars(lake_home, [walk("A", 1)])
    resolve_study(asked("5min"), lake_home, lambda: None)
    assert not [note for note in resolve_study(asked("5min"), lake_home).notes if "--latest" in note]
    put_hours(lake_home, hours(walk("A", 1), 1, 50.0), "1h", "2024-01-02")
    (note,) = [note for note in resolve_study(asked("5min"), lake_home).notes if "--latest" in note]
    assert note.startswith("the lake's bars were written to 1 time since this study's were pinned (")
    assert not [n for n in resolve_study(asked("5min"), lake_home, latest=True).notes if "--latest" in n]


CHOICE = """
import sys
from whatif.pins import LakeLocation
from whatif.study import load_study
from whatif.resolve.resolved import resolve_study
resolved = resolve_study(load_study(sys.argv[2]), LakeLocation(sys.argv[1]))
print(resolved.slices["1h"].source_timeframe, resolved.data_digest, resolved.notes[0])
"""


@pytest.mark.slow
def test_no_choice_depends_on_the_hash_seed(lake_home, tmp_path: Path) -> None:
    bars = hours(walk("A", 1), 6, 100.0)
    for k, name in enumerate(("60min", "30min", "1h", "15min")):
        put_hours(lake_home, bars, name, f"2024-01-0{k + 2}")
    file = tmp_path / "s.yaml"
    file.write_text(asked().text)
    said = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", CHOICE, str(lake_home.home), str(file)],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in (1, 2, 3)
    }  # fmt: skip
    assert len(said) == 1
    assert said.pop().startswith("1h ")
