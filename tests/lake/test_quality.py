"""The check of bars that the lake holds, on Lean's bars and on planted faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from whatif.cli import main
from whatif.errors import LakeError, StudyError
from whatif.lake import check_quality, list_bars
from whatif.lake.quality import FOUND_COLUMNS, SESSION_COLUMNS, BarsCheck
from whatif.pins import LakeLocation
from whatif.resolve import resolve_study
from whatif.sources import IngestSpec
from whatif.study import Study
from whatif.workflow import ingest

LEAN = "lean/equity/usa"
DIGITS = ["2009-09-21", "2010-08-31", "2011-01-03"]
"""Days of Lean's AAPL on which high or low is off by a factor of ten or so, and no neighbour is."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> LakeLocation:
    """Return a lake with days of AAPL and minutes of GOOG, which no test writes to."""
    location = LakeLocation(tmp_path_factory.mktemp("lake"))
    ingest([data_dir / LEAN / "daily" / "aapl.zip", data_dir / LEAN / "minute" / "goog"], None, location)
    return location


def study(**data: object) -> Study:
    slice_ = {"symbols": ["AAPL"], "timeframe": "1d", "start": "2009-06-01", "end": "2010-03-01"}
    return Study.model_validate(
        {
            "study": "q", "data": {**slice_, **data}, "calendar": {"exchange": "XNYS"},
            "strategy": {"name": "sma_crossover", "params": {"fast": 2, "slow": 4}},
        }
    )  # fmt: skip


def test_lean_s_bars(lake: LakeLocation) -> None:
    check = check_quality(lake)
    assert tuple(check.sessions.columns) == SESSION_COLUMNS
    assert tuple(check.found.columns) == FOUND_COLUMNS
    days = check.found[check.found["timeframe"] == "1d"]
    assert [f"{day:%Y-%m-%d}" for day in days.loc[days["rule"] == "spike", "session"]] == DIGITS
    assert check.errors == len(DIGITS)
    goog = check.sessions[check.sessions["symbol"] == "GOOG"]
    # 24 December is a half day; 8 minutes of the three days had no trade
    assert goog["expected"].tolist() == [390, 210, 390]
    assert goog["missing"].sum() == 8
    assert not check.found["symbol"].eq("GOOG").any()
    listed = list_bars(lake).set_index(["symbol", "timeframe"])
    missing = check.sessions.groupby(["symbol", "timeframe"])["missing"].sum()
    assert listed["missing_minutes"].to_dict() == missing.to_dict()
    summary = check.summary().set_index("symbol").loc["GOOG"]
    assert summary["covered"] == pytest.approx(100 * 982 / 990)


def test_what_is_asked_for(lake: LakeLocation) -> None:
    some = check_quality(lake, ["AAPL"], "1d", end_us=int(pd.Timestamp("2010-01-01").timestamp() * 1e6))
    spikes = some.found[some.found["error"]]
    assert [f"{day:%Y-%m-%d}" for day in spikes["session"]] == DIGITS[:1]
    with pytest.raises(LakeError, match="no 1min bars of AAPL"):
        check_quality(lake, ["AAPL"], "1min")
    with pytest.raises(LakeError, match="did you mean 'GOOG'"):
        check_quality(lake, ["GOOF"])


def test_one_length_under_two_names_is_checked_once(lake_home: LakeLocation, tmp_path: Path) -> None:
    hours = pd.date_range("2024-03-04 14:30", periods=6, freq="1h")
    rows = [f"{at},1,1,1,1,1" for at in hours]
    (tmp_path / "S.csv").write_text("\n".join(["ts,open,high,low,close,volume", *rows]) + "\n")
    spec = IngestSpec(symbol="S", exchange="NYSE", timezone="UTC", timeframe="60min")
    ingest([tmp_path / "S.csv"], spec, lake_home)
    check = check_quality(lake_home, timeframe="60min")
    (row,) = check.sessions.to_dict("records")
    assert (row["timeframe"], row["exchange"], row["expected"], row["bars"]) == ("1h", "XNYS", 7, 6)


def test_the_command(
    lake: LakeLocation, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, home = tmp_path_factory.mktemp("out"), ["--home", str(lake.home)]
    page, csv = folder / "bars.html", folder / "bars.csv"
    assert main([*home, "bars", "--check", "--html", str(page), "--csv", str(csv)]) == 1
    said = capsys.readouterr().out
    assert "error spike, 3 of them" in said
    assert "AAPL 1d 2009-09-21 13:30 UTC: spike" in said
    assert pd.read_csv(csv)["rule"].eq("spike").sum() == 3
    assert "GOOG" in page.read_text()
    assert main([*home, "bars", "GOOG", "--check"]) == 0
    assert main(["bars", "--html", str(page)]) == 2
    assert "--check" in capsys.readouterr().err
    for ignored in (["--top", "3"], ["GOOG", "--plot", str(page), "--top", "3"]):
        assert main([*home, "bars", *ignored]) == 2
        assert "--top" in capsys.readouterr().err
    before = list_bars(lake)
    assert list_bars(lake, symbols=["AAPL"])["bars"].tolist() == before["bars"].tolist()[:1]


class TestStudies:
    def test_one_that_refuses(self, lake: LakeLocation) -> None:
        said = r"broken \d+ times in this slice, first AAPL 2009-09-21 13:30 UTC spike: .* quality: accept"
        with pytest.raises(StudyError, match=said):
            resolve_study(study(quality="refuse"), lake)
        resolve_study(study(), lake)
        resolve_study(study(quality="refuse", start="2012-01-03", end="2013-01-02"), lake)

    def test_the_command_that_lists_them_names_symbols_that_have_some(self, lake: LakeLocation) -> None:
        row = {"symbol": "D", "ts": pd.Timestamp(0, tz="UTC"), "rule": "spike", "error": True, "value": 9.0}
        found = BarsCheck(pd.DataFrame(), pd.DataFrame([row]))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("whatif.resolve.resolved.check_quality", lambda *_: found)
            with pytest.raises(StudyError, match="'whatif bars D --check --timeframe 1d' lists them;"):
                resolve_study(study(quality="refuse"), lake)

    def test_warnings_are_refused_by_strict(self, lake: LakeLocation) -> None:
        slice_ = {"symbols": ["GOOG"], "timeframe": "1min", "start": "2015-12-23", "end": "2015-12-29"}
        resolve_study(study(quality="strict", **slice_), lake)
        with pytest.raises(StudyError, match="strict"):
            resolve_study(study(quality="strict"), lake)

    def test_it_is_part_of_what_a_study_is(self, lake: LakeLocation) -> None:
        assert "quality" not in study().data.model_dump(mode="json")
        clean = {"start": "2012-01-03", "end": "2013-01-02"}
        plain, refusing = (resolve_study(study(quality=q, **clean), lake) for q in ("accept", "refuse"))
        assert plain.identity != refusing.identity
        # a bar is what it is: no stored result changes
        assert plain.data_digest == refusing.data_digest
        ids = [[one.config_id for one in resolved.grid.configurations] for resolved in (plain, refusing)]
        assert ids[0] == ids[1]


def test_a_large_lake_is_read_in_portions(lake: LakeLocation, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = check_quality(lake)
    monkeypatch.setattr("whatif.lake.quality.MOST_AT_ONCE", 100)
    parts = check_quality(lake)
    pd.testing.assert_frame_equal(whole.sessions, parts.sessions)
    pd.testing.assert_frame_equal(whole.found, parts.found)
    assert np.array_equal(whole.summary()["bars"], parts.summary()["bars"])
