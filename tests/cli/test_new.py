"""What `whatif new` writes: it runs as it is, and nothing that is there is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from whatif.cli import main
from whatif.pins import LakeLocation
from whatif.sources import IngestSpec, SampleMarket, SampleSymbol, write_days
from whatif.study import load_study
from whatif.workflow import RunOptions, ingest, run

MARKET = SampleMarket(
    7, "XNYS", sessions=300, symbols=(SampleSymbol("NO", 50.0, 0.2), SampleSymbol("B", 20.0, 0.3))
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> LakeLocation:
    folder = tmp_path_factory.mktemp("new")
    location = LakeLocation(home=folder / "home")
    files = write_days(MARKET, folder)
    ingest(files, IngestSpec(exchange="XNYS", timezone="UTC"), location, runner="local")
    return location


def _new(lake: LakeLocation, folder: Path, *more: str) -> int:
    return main(["--home", str(lake.home), "new", "mine", "--folder", str(folder), *more])


def test_it_runs_as_it_is(lake, tmp_path) -> None:
    assert _new(lake, tmp_path / "own", "--symbol", "NO") == 0
    study = load_study(tmp_path / "own" / "mine.yaml")
    assert study.data.symbols == ("NO",)
    result = run(study, location=lake, options=RunOptions(track=False, runner="local"))
    board = result.leaderboard()
    assert len(board) == 20
    assert set(board["status"]) == {"ok"}
    assert board["trades"].max() > 3
    assert len(result.data.series.bars) == MARKET.sessions


def test_the_next_command_names_the_lake_as_this_one_did(lake, tmp_path, capsys, monkeypatch) -> None:
    assert _new(lake, tmp_path / "a") == 0
    assert f"next: whatif --home {lake.home} run {tmp_path}/a/mine.yaml" in capsys.readouterr().out
    monkeypatch.setenv("WHATIF_HOME", str(lake.home))
    assert main(["new", "mine", "--folder", str(tmp_path / "b")]) == 0
    assert f"next: whatif run {tmp_path}/b/mine.yaml" in capsys.readouterr().out


def test_what_is_there_stays(lake, tmp_path, capsys) -> None:
    kept = tmp_path / "mine_strategy.py"
    kept.write_text("my own")
    assert _new(lake, tmp_path) == 2
    assert "is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [kept.name]
    assert kept.read_text() == "my own"


def test_a_link_to_nowhere_is_not_written_through(lake, tmp_path, capsys) -> None:
    (tmp_path / "mine.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    assert _new(lake, tmp_path) == 2
    assert "is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_file_s_name_is_no_study_s(lake, tmp_path, capsys) -> None:
    assert main(["--home", str(lake.home), "new", "mine.yaml", "--folder", str(tmp_path)]) == 2
    assert "'whatif new mine' writes mine.yaml" in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def test_bars_that_are_not_there_are_refused_with_those_that_are(lake, tmp_path, capsys) -> None:
    assert _new(lake, tmp_path, "--symbol", "C") == 2
    assert "--symbol B --timeframe 1d" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_name_that_leaves_the_folder_is_refused(lake, tmp_path) -> None:
    assert main(["--home", str(lake.home), "new", "../mine", "--folder", str(tmp_path / "own")]) == 2
    assert not list(tmp_path.iterdir())
