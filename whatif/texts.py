"""Texts that come from outside, as messages show them: bounded, and without what acts on a screen."""

from __future__ import annotations

import unicodedata
from contextvars import ContextVar
from pathlib import Path
from shlex import quote

_FORBIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories of what shows no character: controls, direction marks, halves of pairs, line breaks."""


def hidden_character(text: str) -> str:
    """Return the first character of `text` that a screen does not show as one, escaped; "" if none is."""
    found = next((char for char in text if unicodedata.category(char) in _FORBIDDEN), "")
    return f"\\u{ord(found):04x}" if found else ""


def shown(text: str, most: int = 120) -> str:
    """Return `text` as a quoted literal of bounded length, without characters that act on a screen."""
    literal = ascii(text[:most]) if hidden_character(text[:most]) else repr(text[:most])
    return literal if len(text) <= most else f"{literal}…"


def shortened(text: str, most: int) -> str:
    """Return a text, or its first `most` characters and … if there are more."""
    return text if len(text) <= most else f"{text[:most]}…"


def visible(text: str, keep: str = "") -> str:
    """Return `text` with what acts on a screen, or shows nothing, written out; the characters `keep` stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"\\u{ord(char):04x}" if unicodedata.category(char) in _FORBIDDEN and char not in keep else char
        for char in text
    )


home_given: ContextVar[Path | None] = ContextVar("home_given", default=None)
"""The lake's folder that this command line names by --home; None without."""


def command(rest: str) -> str:
    """Return a command of whatif as it is typed after this one: with the folder that this one names."""
    home = home_given.get()
    return f"whatif {rest}" if home is None else f"whatif --home {quote(str(home))} {rest}"
