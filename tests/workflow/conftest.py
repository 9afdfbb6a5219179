"""Studies of a small market, run for real."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import yaml

from whatif.lake import TableSpec
from whatif.pins import LakeLocation, current_pin, open_table, read_arrow, table_exists
from whatif.study import Study, load_study
from whatif.workflow import RunOptions, StudyResult, run

from ..markets import changed_after, put_bars, walk

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NOT_RESULT = ("worker", "wall_seconds", "finished_at", "user", "host", "command", "versions")
"""Columns that may differ between two runs of the same backtest."""

WINDOWS = {
    "train": ["2013-10-04", "2013-10-07"],
    "validate": ["2013-10-08", "2013-10-09"],
    "test": ["2013-10-10", "2013-10-11"],
}

STUDY = {
    "study": "made",
    "data": {"symbols": ["A", "B"], "timeframe": "1min", "start": "2013-10-04", "end": "2013-10-12"},
    "calendar": {"exchange": "XNYS"},
    "strategy": {"name": "sma_crossover", "params": {"size": 50.0}},
    "axes": {"fast": [3, 5], "slow": [15, 25]},
    "execution": {"cash": 100_000.0, "commission": 0.0001},
    "period": "hour",
}


@pytest.fixture(params=["local", pytest.param("spark", marks=pytest.mark.spark)])
def session(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> SparkSession | None:
    """Return who reads and writes bars: Spark, or nobody but this process."""
    return _session(request, monkeypatch)


@pytest.fixture(params=["local", pytest.param("spark", marks=[pytest.mark.spark, pytest.mark.slow])])
def any_session(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> SparkSession | None:
    """Return the same, for what both do with the same code until they write: Spark in the slow tier."""
    return _session(request, monkeypatch)


def _session(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> SparkSession | None:
    if request.param == "spark":
        found: SparkSession = request.getfixturevalue("spark")
        return found
    monkeypatch.setenv("WHATIF_RUNNER", "local")
    return None


def study_text(**changes: Any) -> str:
    """Return the study with some of its keys changed; None takes a key out."""
    made = {**STUDY, **changes}
    split = made.pop("split", WINDOWS)
    text = yaml.safe_dump({key: value for key, value in made.items() if value is not None}, sort_keys=False)
    if split is None:
        return text
    parts = (
        f"{name}: [{', '.join(map(str, part))}]" for name, part in split.items() if isinstance(part, list)
    )
    shares = (f"{name}: {part}" for name, part in split.items() if not isinstance(part, list))
    return text + f"split: {{{', '.join([*parts, *shares])}}}\n"


def run_twice(
    study: Study, folder: Path, changed_from: Callable[[LakeLocation], int]
) -> tuple[StudyResult, StudyResult]:
    """Run a study on two symbols, and in another lake on bars changed from an instant on, without a JVM.

    Models are trained by Spark all the same.

    `changed_from` is asked for that instant, microseconds UTC, once the first lake is there.
    """
    results = []
    first = LakeLocation(folder / "home0")
    for location in (first, LakeLocation(folder / "home1")):
        markets = [walk("A", 1, minutes=120), walk("B", 2, minutes=120)]
        if location != first:
            begin = changed_from(first)
            markets = [changed_after(m, int(np.searchsorted(m.ts, begin)) - 1) for m in markets]
        put_bars(location, markets)
        options = RunOptions(track=False, report=False, runner="local")
        results.append(run(study, None, location, options))
    one, other = results
    return one, other


def at(text: str) -> int:
    """Return an instant, given as UTC, in microseconds."""
    return pd.Timestamp(text, tz="UTC").value // 1000


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the study with changes and returns its path."""

    def write(file: str = "study.yaml", **changes: Any) -> Path:
        path = tmp_path / file
        path.write_text(study_text(**changes))
        return path

    return write


@pytest.fixture
def make_study(write_study: Callable[..., Path]) -> Callable[..., Study]:
    return lambda **changes: load_study(write_study(**changes))


@pytest.fixture
def market(lake_home: LakeLocation) -> LakeLocation:
    """Return a lake with two random walks of six sessions of two hours."""
    put_bars(lake_home, [walk("A", 1, minutes=120), walk("B", 2, minutes=120)])
    return lake_home


@pytest.fixture
def go(market: LakeLocation, make_study: Callable[..., Study]) -> Callable[..., StudyResult]:
    """Return a function that runs the study with changes, untracked and without a report unless asked.

    Processes of this machine compute it, which both runners' equality (`test_runners`) lets stand for Spark.
    """
    return partial(_go, make_study, None, market, "local")


@pytest.fixture
def go_on_spark(
    spark: Any, market: LakeLocation, make_study: Callable[..., Study]
) -> Callable[..., StudyResult]:
    """Return the function that `go` is, on the Spark session."""
    return partial(_go, make_study, spark, market, "spark")


def _go(
    make_study: Callable[..., Study],
    spark: Any,
    market: LakeLocation,
    runner: str,
    latest: bool = False,
    report: bool = False,
    **changes: Any,
) -> StudyResult:
    options = RunOptions(track=False, latest=latest, report=report, runner=runner)
    return run(make_study(**changes), spark, market, options)


def rows_of(location: LakeLocation, spec: TableSpec) -> pd.DataFrame:
    """Return all rows of a table in the order of its key."""
    if not table_exists(location, spec.name) or open_table(location, spec.name).current_snapshot() is None:
        return pd.DataFrame(columns=list(spec.column_names))
    frame = read_arrow(current_pin(location, spec.name), spec.column_names).to_pandas()
    return frame.sort_values(list(spec.key or spec.column_names[:3]), ignore_index=True)


def plain_rows(location: LakeLocation, spec: TableSpec) -> list[str]:
    """Return a table's rows as texts, one for each, to the last bit, without what may differ.

    That is who ran it when and where, and which snapshot ids the market happened to get.
    """
    frame = rows_of(location, spec).drop(columns=[*NOT_RESULT, "bars_snapshot"], errors="ignore")
    if "pins" in frame:
        pins = [[pin["table"] for pin in json.loads(text)] for text in frame["pins"]]
        frame = frame.assign(pins=[json.dumps(tables) for tables in pins])
    return sorted(json.dumps([_exact(value) for value in row]) for row in frame.itertuples(index=False))


def _exact(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [_exact(one) for one in value]
    return value.hex() if isinstance(value, float) else str(value)
