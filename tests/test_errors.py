"""Hints that errors give."""

from __future__ import annotations

import pytest

from whatif.errors import nearest


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
