"""Help: commands in groups by what a user wants to do, an example of each first, and what shells complete."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import pytest
import typer

from whatif.cli import main
from whatif.cli.app import EXAMPLES, GROUPS, app

WIDTH = 78
"""Characters of a line of help on a terminal of 80."""


def test_every_command_stands_in_one_group() -> None:
    grouped = [name for commands in GROUPS.values() for name in commands]
    assert len(grouped) == len(set(grouped))
    assert sorted(grouped) == sorted(str(command.name) for command in app.registered_commands)


def test_every_command_has_an_example() -> None:
    assert list(EXAMPLES) == [name for commands in GROUPS.values() for name in commands]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_parses_and_fits_its_line(name: str) -> None:
    program, given, *arguments = shlex.split(EXAMPLES[name])
    assert (program, given) == ("whatif", name)
    assert len(EXAMPLES[name]) <= WIDTH
    group = typer.main.get_command(app)
    command = group.get_command(group.make_context("whatif", ["bars"]), name)
    # an option that is not there, a value that is none, or an argument that is missing raises
    context = command.make_context(name, arguments)
    assert all(context.params[p.name] is not None for p in command.params if p.required)


def test_an_example_that_does_not_parse_is_found() -> None:
    """The test above could otherwise pass for want of sight."""
    group = typer.main.get_command(app)
    command = group.get_command(group.make_context("whatif", ["bars"]), "calibrate")
    with pytest.raises(Exception, match="unexpected extra argument"):
        command.make_context("calibrate", ["noise=20"])


@pytest.mark.parametrize("name", ["run", "quarantine", "ingest"])
def test_help_begins_with_the_example(name: str, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([name, "--help"]) == 0
    usage, example, summary, *_ = [
        line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()
    ]
    assert usage.startswith(f"Usage: whatif {name} ")
    assert example == EXAMPLES[name]
    assert re.match(r"[A-Z]\w+ ", summary)


def test_help_names_the_groups_in_their_order(capsys) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    places = [shown.index(f"─ {group} ─") for group in GROUPS]
    assert places == sorted(places)
    assert [line.strip() for line in shown.splitlines() if line.strip()][1] == EXAMPLES["demo"]
    assert not any(
        example in shown for example in EXAMPLES.values() if " " in example.removeprefix("whatif ")
    )


def test_a_shell_completes_commands() -> None:
    asked = {"COMP_WORDS": "whatif st", "COMP_CWORD": "1", "_WHATIF_COMPLETE": "complete_bash"}
    call = "import sys; from whatif.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", call], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.split()) == ["status", "stress", "studies"]
