"""Hints that errors give."""

from __future__ import annotations

import pytest

from whatif.errors import nearest, split_remedy


@pytest.mark.parametrize(
    ("given", "valid", "hint"),
    [
        ("comission", ["commission", "cash"], "did you mean 'commission'?"),
        ("fsat", ["fast", "slow"], "did you mean 'fast'?"),
        ("SPX", ["SPY", "IBM"], "did you mean 'SPY'?"),
        # half alike is another word
        ("leverage", ["slippage", "cash"], "valid: cash, slippage"),
        ("delay", ["latency", "stop_loss"], "valid: latency, stop_loss"),
    ],
)
def test_a_hint_is_a_slip_of_the_pen_or_everything_there_is(given: str, valid: list[str], hint: str) -> None:
    assert nearest(given, valid) == hint


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("engine 'x' is unknown; valid: auto, compiled", ("engine 'x' is unknown", "valid: auto, compiled")),
        ("no key of A: none is set. Set KEY", ("no key of A: none is set", "Set KEY")),
        (
            "the lake holds no bars: 'whatif ingest' brings some",
            ("the lake holds no bars", "'whatif ingest' brings some"),
        ),
        # no remedy: a key that is called as a verb is, a quotation, a fact
        ("costs: name = 3 is no text", ("costs: name = 3 is no text", "")),
        ("run: it ended: disk full", ("run: it ended: disk full", "")),
        (
            "SQL: DROP changes nothing here: write a query",
            ("SQL: DROP changes nothing here", "write a query"),
        ),
        ("", ("", "")),
    ],
)
def test_a_remedy_begins_with_what_to_do(line: str, parts: tuple[str, str]) -> None:
    assert split_remedy(line) == parts
