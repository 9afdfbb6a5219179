"""At a terminal an ingest shows what it concluded, and asks; elsewhere it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from whatif.cli import ingest, main
from whatif.pins import LakeLocation, has_rows

ROWS = "Date;Open;High;Low;Close;Volume\n2024-01-02;10,5;11;9,5;10,25;100\n2024-01-03;10,5;11;9,5;10,75;100\n"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Ingest at a terminal; return what is asked, which is answered with no."""
    questions: list[str] = []
    monkeypatch.setattr(ingest, "_at_a_terminal", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda text, **_: bool(questions.append(text)))
    monkeypatch.setenv("WHATIF_RUNNER", "local")
    return questions


def command(home: LakeLocation, path: Path, *more: str) -> list[str]:
    return ["--home", str(home.home), "ingest", str(path), "--exchange", "XNYS", *more]


def test_what_was_concluded_is_shown_and_a_no_lands_nothing(
    asked: list[str], lake_home: LakeLocation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "SPY.csv").write_text(ROWS)
    assert main(command(lake_home, tmp_path / "SPY.csv")) == 1
    told = capsys.readouterr().out
    assert asked == ["Land them so?"]
    assert "--symbol SPY" in told
    assert "SPY 1d 2024-01-02 14:30:00 UTC" in told
    assert "nothing was written" in told
    assert not has_rows(lake_home, "bars")


@pytest.mark.parametrize("more", [["--yes"], ["-y"]])
def test_yes_does_not_ask(asked: list[str], lake_home: LakeLocation, tmp_path: Path, more: list[str]) -> None:
    (tmp_path / "SPY.csv").write_text(ROWS)
    assert main(command(lake_home, tmp_path / "SPY.csv", *more)) == 0
    assert asked == []
    assert has_rows(lake_home, "bars")


def test_a_file_that_is_refused_anyway_is_not_asked_about(
    asked: list[str], lake_home: LakeLocation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "SPY.csv").write_text(
        ROWS.replace("2024-01-02", "01/02/2024").replace("2024-01-03", "01/03/2024")
    )
    assert main(command(lake_home, tmp_path / "SPY.csv")) == 2
    assert asked == []
    assert not has_rows(lake_home, "bars")


def test_a_script_is_not_asked(
    lake_home: LakeLocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHATIF_RUNNER", "local")
    monkeypatch.setattr("typer.confirm", lambda *_, **__: pytest.fail("it asked"))
    (tmp_path / "SPY.csv").write_text(ROWS)
    assert main(command(lake_home, tmp_path / "SPY.csv")) == 0
