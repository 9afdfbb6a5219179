"""Help: commands stand in groups by what a user wants to do, and shells complete them."""

from __future__ import annotations

import os
import subprocess
import sys

from whatif.cli import main
from whatif.cli.app import GROUPS, app


def test_every_command_stands_in_one_group() -> None:
    grouped = [name for commands in GROUPS.values() for name in commands]
    assert len(grouped) == len(set(grouped))
    assert sorted(grouped) == sorted(str(command.name) for command in app.registered_commands)


def test_help_names_the_groups_in_their_order(capsys) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    places = [shown.index(f"─ {group} ─") for group in GROUPS]
    assert places == sorted(places)


def test_a_shell_completes_commands() -> None:
    asked = {"COMP_WORDS": "whatif st", "COMP_CWORD": "1", "_WHATIF_COMPLETE": "complete_bash"}
    call = "import sys; from whatif.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", call], env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.split()) == ["status", "stress", "studies"]
