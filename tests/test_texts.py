"""Texts from outside, as messages show them."""

from __future__ import annotations

from whatif.texts import shown


def test_what_is_shown_is_short_and_acts_on_no_screen() -> None:
    assert shown("a'b") == '"a\'b"'
    assert shown("\x1b[2J\u202e") == "'\\x1b[2J\\u202e'"
    assert shown("x" * 500, 10) == "'xxxxxxxxxx'\u2026"
