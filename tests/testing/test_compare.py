"""A comparison that would miss a bit proves nothing."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from whatif.domain.fills import Fills
from whatif.engines import run_engine
from whatif.testing import assert_same, differences, random_case


@pytest.fixture(scope="module")
def run():
    found = run_engine(random_case(5).task(), "backtrader")
    assert len(found.fills) > 5
    return found


def with_bit_changed(values: np.ndarray, row: int) -> np.ndarray:
    """Return the array with the last bit of one row (of its last axis) turned."""
    changed = np.array(values)
    bits = changed.reshape(-1, changed.shape[-1]).view(np.uint64)
    bits[0, row] ^= np.uint64(1)
    return changed


def test_a_run_is_the_same_as_itself(run) -> None:
    assert differences(run, replace(run)) == []
    assert_same(run, replace(run, engine="other"))


@pytest.mark.parametrize("name", ["cash", "equity", "position", "close", "ts"])
def test_one_changed_bit_of_a_series_is_found(run, name) -> None:
    other = replace(run, **{name: with_bit_changed(getattr(run, name), 3)}, engine="other")

    (found,) = differences(run, other)

    values = [repr(getattr(one, name)[..., 3].tolist()) for one in (run, other)]
    assert found == f"{name}: row 3: {values[0]} (backtrader), {values[1]} (other)"


@pytest.mark.parametrize("name", [column.name for column in fields(Fills)])
def test_one_changed_bit_of_a_fill_is_found(run, name) -> None:
    fills = replace(run.fills, **{name: with_bit_changed(getattr(run.fills, name), 4)})

    found = differences(run, replace(run, fills=fills))

    assert len(found) == 1
    assert found[0].startswith(f"fills.{name}: row 4: ")


def test_a_missing_fill_is_found_and_so_is_a_refusal(run) -> None:
    fewer = Fills(*(getattr(run.fills, column.name)[:-1] for column in fields(Fills)))
    n = len(run.fills)

    found = differences(run, replace(run, fills=fewer, margin_rejected=run.margin_rejected + 1))

    assert f"fills.price: {n} rows (first), {n - 1} rows (second)" in found
    assert f"margin_rejected: {run.margin_rejected} (first), {run.margin_rejected + 1} (second)" in found


@pytest.mark.parametrize(("one", "other"), [(0.0, -0.0), (float("nan"), 0.0)])
def test_zeros_have_signs_and_a_missing_value_equals_only_itself(run, one, other) -> None:
    first, second = (
        replace(run, cash=np.where(np.arange(len(run.ts)) == 2, x, run.cash)) for x in (one, other)
    )

    assert differences(first, second) == [f"cash: row 2: {one} (first), {other} (second)"]
    assert differences(first, replace(first)) == []


def test_trades_are_compared_too(run) -> None:
    trades = replace(run.trades, pnl=with_bit_changed(run.trades.pnl, 0))
    other = replace(run)
    # they are computed once and kept
    vars(other)["trades"] = trades

    (found,) = differences(run, other)
    assert found.startswith("trades.pnl: row 0: ")


def test_a_refusal_names_both_engines_and_the_case(run) -> None:
    other = replace(run, cash=with_bit_changed(run.cash, 0), engine="other")

    with pytest.raises(AssertionError, match="backtrader and other differ: case 7\n  cash: row 0: "):
        assert_same(run, other, "case 7")
