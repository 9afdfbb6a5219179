"""What a run says to whom gave it no console: a script, a notebook, or nobody."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from whatif.errors import RunError
from whatif.report import console_of, print_result


def test_a_script_is_told_on_standard_error(capsys, make) -> None:
    own = console_of(None, quiet=False)
    own.print("round 1: 4 configurations")
    print_result(make.study(), own, verbose=False)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("round 1")
    assert make.study().series.chosen["config_id"] in err
    assert "hold" in err
    assert "Leaderboard" not in err


def test_a_notebook_is_told_of_progress_alone_and_in_plain_text(monkeypatch, capsys, make) -> None:
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)  # as a kernel's may say
    own = console_of(None, quiet=False)
    monkeypatch.undo()
    assert not own.is_terminal
    own.print("round 1")
    print_result(make.study(), own, verbose=False)
    assert capsys.readouterr() == ("round 1\n", "")


def test_nobody_is_told_of_a_quiet_run() -> None:
    assert console_of(None, quiet=True) is None
    print_result(None, None, verbose=False)
    given = Console(file=io.StringIO())
    assert console_of(given, quiet=False) is given
    with pytest.raises(RunError, match="leave out one of the two"):
        console_of(given, quiet=True)


def test_a_given_console_has_the_leaderboard_too(make) -> None:
    given = Console(file=io.StringIO(), width=100)
    print_result(make.study(), given, verbose=False)
    assert "Leaderboard of crossover-sample" in given.file.getvalue()
