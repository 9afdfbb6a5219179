"""Prices at or below zero: refused, or landed by choice, flagged, and refused by a study of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from whatif.cli import main
from whatif.errors import StudyError
from whatif.lake import check_quality
from whatif.pins import LakeLocation, current_pin, read_bars
from whatif.resolve import resolve_study
from whatif.sources import IngestSpec
from whatif.study import Study
from whatif.workflow import ingest

# 2024-03-04 to 15; WTI's May contract of 2020 settled at -37.63
LOWS = (20.0, 18.0, -40.32, 0.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0)
ROWS = [
    f"2024-03-{day:02},{low + 2},{low + 3},{low},{low + 2.69},100"
    for day, low in zip((4, 5, 6, 7, 8, 11, 12, 13, 14, 15), LOWS, strict=True)
]
STUDY = {
    "study": "oil",
    "data": {"symbols": ["CL"], "timeframe": "1d", "start": "2024-03-04", "end": "2024-03-16"},
    "calendar": {"exchange": "XNYS"},
    "strategy": {"name": "sma_crossover"},
    "axes": {"fast": [1], "slow": [2]},
    "split": {"kind": "holdout", "train": 0.2, "validate": 0.4, "test": 0.4},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "CL.csv"
    path.write_text("\n".join(["date,open,high,low,close,volume", *ROWS]) + "\n")
    return path


def test_they_are_refused_unless_allowed(file: Path, lake_home: LakeLocation) -> None:
    refused = ingest([file], IngestSpec(exchange="XNYS", timeframe="1d"), lake_home, runner="local")
    assert (refused.landed, refused.refused) == (8, {"non_positive_price": 2})


def test_allowed_ones_land_told_and_flagged(
    file: Path, lake_home: LakeLocation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHATIF_RUNNER", "local")
    command = ["--home", str(lake_home.home), "ingest", str(file), "--exchange", "XNYS"]
    assert main([*command, "--allow-nonpositive"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "10 rows came: 10 landed" in told
    assert "2 bars have a price at or below zero" in told
    pin = current_pin(lake_home, "bars")
    assert read_bars(pin, "CL", "1d").low.tolist() == list(LOWS)
    found = check_quality(lake_home, ("CL",), "1d").found
    rows = found[found["rule"] == "nonpositive"]
    assert [(f"{row.ts:%m-%d}", row.value, row.error) for row in rows.itertuples()] == [
        ("03-06", -40.32, True), ("03-07", 0.0, True),
    ]  # fmt: skip


def test_those_outside_of_regular_hours_are_flagged_too(tmp_path: Path, lake_home: LakeLocation) -> None:
    path = tmp_path / "CL.csv"
    # 2024-03-04, New York: before the open at 9:30, and after it
    lines = [f"2024-03-04T{minute}:00Z,2,3,{low},2,100" for minute, low in (("14:00", -1.0), ("14:30", 1.0))]
    path.write_text("\n".join(["ts,open,high,low,close,volume", *lines]) + "\n")
    spec = IngestSpec(exchange="XNYS", timeframe="1min", allow_nonpositive=True)
    assert ingest([path], spec, lake_home, runner="local").landed == 2
    found = check_quality(lake_home, ("CL",)).found
    rows = found[found["rule"] == "nonpositive"]
    assert [(f"{row.ts:%H:%M}", row.value) for row in rows.itertuples()] == [("14:00", -1.0)]


def test_a_study_of_them_is_refused_and_one_of_others_is_not(file: Path, lake_home: LakeLocation) -> None:
    spec = IngestSpec(exchange="XNYS", timeframe="1d", allow_nonpositive=True)
    ingest([file], spec, lake_home, runner="local")
    with pytest.raises(StudyError, match=r"2 bars of this slice .* first CL at 2024-03-06 .*low -40\.32"):
        resolve_study(Study.model_validate(STUDY), lake_home)
    later = {**STUDY, "data": {**STUDY["data"], "start": "2024-03-08"}}  # type: ignore[dict-item]
    assert resolve_study(Study.model_validate(later), lake_home).bars.table == "bars"


def test_sources_that_read_no_files_do_not_take_the_option(
    lake_home: LakeLocation, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["ingest", "kinesis", "--stream", "s", "--allow-nonpositive"]
    assert main(["--home", str(lake_home.home), *given]) == 2
    assert "--allow-nonpositive" in " ".join(capsys.readouterr().err.split())
