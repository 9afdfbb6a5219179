"""Rules of a symbol: one line of visible characters."""

from __future__ import annotations

import unicodedata

from whatif.texts import hidden_character

MAX_SYMBOL = 100
"""Longest symbol, characters."""


def broken_symbol(symbol: str) -> str:
    """Return what keeps `symbol` from being one, and the remedy; "" if nothing does.

    A symbol stands in tables, on pages and in terminals, so two that look alike have to be one.
    """
    if (
        symbol.isascii()
        and symbol.isprintable()
        and 0 < len(symbol) <= MAX_SYMBOL
        and symbol == symbol.strip()
    ):
        return ""
    if not symbol.strip():
        return "is blank: name one, such as SPY"
    if hidden_character(symbol):
        return f"holds the character {hidden_character(symbol)}, which is not seen: leave it out"
    if symbol != symbol.strip():
        return "begins or ends with a blank: leave it out"
    if len(symbol) > MAX_SYMBOL:
        return f"has more than {MAX_SYMBOL} characters: is it a symbol?"
    plain = unicodedata.normalize("NFKC", symbol)
    return f"looks like {plain!r} and is not the same: write that" if plain != symbol else ""
