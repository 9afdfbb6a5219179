"""What a run says to whom gave it no console: a script, a notebook, or nobody."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from whatif.errors import RunError
from whatif.report import Progress, console_of, print_result, stays


def test_a_script_is_told_on_standard_error(capsys, make) -> None:
    with console_of(None, quiet=False) as own:
        own.print("round 1: 4 configurations")
        print_result(make.study(), own, verbose=False)
    assert stays(own)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("round 1")
    assert make.study().series.chosen["config_id"] in err
    assert "hold" in err
    assert "Leaderboard" not in err


class Cell:
    """What a notebook's front end keeps of a cell: its displays by id, of each the last content."""

    def __init__(self, monkeypatch) -> None:
        self.displays: list[dict] = []
        self.seen: list[str] = []
        monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
        monkeypatch.setattr("IPython.display.display", self.display)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)  # as a kernel's may say

    def display(self, data, raw, display_id):
        assert raw
        assert display_id
        self.displays.append({})
        self.update(data, raw)
        return self

    def update(self, data, raw) -> None:
        assert raw
        self.displays[-1] = data
        self.seen.append(data["text/plain"])


def test_a_notebook_is_told_in_one_line_that_is_gone_in_the_end(monkeypatch, capsys, make) -> None:
    cell = Cell(monkeypatch)
    with console_of(None, quiet=False) as own:
        assert not own.is_terminal
        assert not stays(own)
        own.print("round 1\n  of 2")
        own.print("[bold]round 2[/bold]")
        with Progress(2, 2.0, console=own) as bar:
            bar.advance(1, 1.0)
        print_result(make.study(), own, verbose=False)
    assert capsys.readouterr() == ("", "")
    assert cell.seen[:2] == ["  of 2", "round 2"]
    assert cell.seen[2].startswith("1/2 backtests")
    assert cell.displays == [{"text/plain": ""}]


def test_a_notebook_whose_run_fails_keeps_no_progress_and_a_silent_one_no_display(monkeypatch) -> None:
    cell = Cell(monkeypatch)
    failing = console_of(None, quiet=False)
    failing.__enter__().print("round 1")
    assert not failing.__exit__(RunError, RunError("no"), None)
    assert cell.displays == [{"text/plain": ""}]
    with console_of(None, quiet=False) as own:
        own.print()
    assert len(cell.displays) == 1


def test_a_notebook_that_asks_for_all_of_it_keeps_it(monkeypatch, capsys, make) -> None:
    Cell(monkeypatch)
    with console_of(None, quiet=False) as own:
        print_result(make.study(), own, verbose=True)
    assert "Leaderboard of crossover-sample" in capsys.readouterr().out


def test_nobody_is_told_of_a_quiet_run() -> None:
    with console_of(None, quiet=True) as none:
        assert none is None
    assert not stays(None)
    print_result(None, None, verbose=False)
    given = Console(file=io.StringIO())
    with console_of(given, quiet=False) as own:
        assert own is given
        assert stays(own)
    with pytest.raises(RunError, match="leave out one of the two"), console_of(given, quiet=True):
        pass


def test_a_given_console_has_the_leaderboard_too(make) -> None:
    given = Console(file=io.StringIO(), width=100)
    print_result(make.study(), given, verbose=False)
    assert "Leaderboard of crossover-sample" in given.file.getvalue()
