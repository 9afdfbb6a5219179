"""Orders tried on finer bars: worked by hand, and the same as bytes whichever engine ran."""

from __future__ import annotations

import pytest

from whatif.testing import (
    random_case,
    random_order_case,
    state_reader,
    with_costs,
    with_finer_fills,
    with_settings,
)
from whatif.testing.order_kinds import note_player

from .conftest import agreed_runs

many = pytest.mark.parametrize(
    "cases", [60, pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)


def drawn(seed):
    """Return a task whose orders are tried on finer bars, of each kind in turn."""
    draws = [
        lambda: with_finer_fills(random_order_case(seed), seed).task(),
        lambda: with_finer_fills(with_settings(random_order_case(seed), seed), seed).task(),
        lambda: with_finer_fills(with_costs(random_order_case(seed), seed), seed).task(),
        lambda: with_finer_fills(with_settings(random_case(seed), seed), seed).task(state_reader),
        lambda: with_finer_fills(random_order_case(seed), seed).task(note_player),
    ]
    return draws[seed % len(draws)]()


@many
def test_two_brokers_one_answer(cases) -> None:
    filled = inside = 0
    for _, run in agreed_runs(drawn(seed) for seed in range(cases)):
        filled += len(run.fills)
        # of fills, those that lie behind the first of the finer bars of their row
        inside += int((run.fill_ts > run.ts[run.fills.row]).sum())
    assert filled > 4 * cases
    assert inside > cases
