"""Shares of a delivery that may be refused or corrected."""

from __future__ import annotations

import pytest

from whatif.sources.limits import MISREAD, OUTSIDE, broken_limits
from whatif.sources.rules import RULES
from whatif.workflow.deliveries import delivery_faults


@pytest.mark.parametrize(
    ("came", "refused", "corrected", "words"),
    [
        (1_000, {"unparsable_time": 10}, 0, []),
        (1_000, {"unparsable_time": 11}, 0, ["11 of 1,000 rows (1.1%; at most 1%) cannot be read as bars"]),
        # they count together
        (1_000, {"unparsable_number": 6, "wrong_field_count": 5}, 0, ["11 of 1,000 rows"]),
        (1_000, {"off_grid": 6, "overlap": 5}, 0, ["11 of 1,000 rows"]),
        (1_000, {"no_session": 50}, 0, []),
        (1_000, {"no_session": 51}, 0, ["51 of 1,000 rows (5.1%; at most 5%) lie outside the exchange's"]),
        (1_000, {"ambiguous_time": 30, "nonexistent_time": 21}, 0, ["51 of 1,000 rows"]),
        (1_000, {"price_outside_range": 500}, 0, []),
        (1_000, {"price_outside_range": 501}, 0, ["501 of 1,000 rows (50.1%; at most 50%) break a rule"]),
        (1_000, {}, 10, []),
        (1_000, {}, 11, ["11 of 1,000 rows (1.1%; at most 1%) would overwrite bars"]),
        (1_000, {"duplicate": 900}, 0, []),
        (1_000, {"unparsable_time": 20, "no_session": 60}, 20, ["20 of", "60 of", "20 of"]),
        # fewer than three rows are rows, not a file
        (10, {"unparsable_time": 2}, 0, []),
        (10, {"unparsable_time": 3}, 0, ["3 of 10 rows"]),
        (2, {}, 2, []),
    ],
)
def test_shares(came: int, refused: dict[str, int], corrected: int, words: list[str]) -> None:
    found = broken_limits(came, refused, corrected)
    assert len(found) == len(words)
    assert all(word in sentence for word, sentence in zip(words, found, strict=True))


def test_a_delivery_of_refused_rows_only() -> None:
    (fault,) = delivery_faults(2, {"no_session": 1, "missing_price": 1}, 0)
    assert "no row of 2 can be landed: 1 missing_price, 1 no_session" in fault
    assert delivery_faults(2, {"no_session": 1}, 0) == []
    assert delivery_faults(2, {}, 0) == []


def test_the_rules_named_exist() -> None:
    assert set(MISREAD) | set(OUTSIDE) <= set(RULES)
