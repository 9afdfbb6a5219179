"""Texts from outside, as messages show them."""

from __future__ import annotations

from pathlib import Path

from whatif.texts import command, home_given, shown


def test_what_is_shown_is_short_and_acts_on_no_screen() -> None:
    assert shown("a'b") == '"a\'b"'
    assert shown("\x1b[2J\u202e") == "'\\x1b[2J\\u202e'"
    assert shown("x" * 500, 10) == "'xxxxxxxxxx'\u2026"


def test_a_command_names_the_lake_that_was_named() -> None:
    for home, said in ((Path("my lake"), "whatif --home 'my lake' bars"), (None, "whatif bars")):
        home_given.set(home)
        assert command("bars") == said
