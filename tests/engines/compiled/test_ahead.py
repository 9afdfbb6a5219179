"""A step asked ahead of its turn, on many rows at once: what it says, raises and prints is as in its turn."""

from __future__ import annotations

import numpy as np
import pytest

from whatif.domain import Bars
from whatif.engines import BacktestTask, run_engine
from whatif.errors import WhatIfError
from whatif.strategies import StrategySpec, close, hold, strategy, target
from whatif.testing import random_bars

BARS = random_bars(17, 300)


def told(spec: StrategySpec, engine: str, bars: Bars = BARS) -> tuple[bytes, ...] | str:
    """Return what a run made, as bytes; or what was wrong with it."""
    try:
        run = run_engine(BacktestTask([bars], spec, spec.validate({})), engine)
    except WhatIfError as error:
        return str(error)
    return run.equity.tobytes(), run.fills.size.tobytes(), run.fills.price.tobytes(), run.position.tobytes()


def same(spec: StrategySpec, bars: Bars = BARS) -> tuple[bytes, ...] | str:
    found = told(spec, "compiled", bars)
    assert found == told(spec, "backtrader", bars)
    return found


def test_each_row_prints_once(capfd: pytest.CaptureFixture[str]) -> None:
    @strategy()
    def step(i, x, p, s):
        print(i)  # noqa: T201
        if i == 100:
            return target(1.0)
        return hold()

    run_engine(BacktestTask([BARS], step, {}), "compiled")

    assert capfd.readouterr().out.split() == [str(i) for i in range(1, 300)]


def test_a_step_raises_in_its_turn_alone() -> None:
    """In from row 61's fill on, so that rows on which it would raise when flat are never asked about."""

    @strategy()
    def step(i, x, p, s):
        if i == 60:
            return target(1.0)
        if i == 150:
            return close()
        if 61 < i < 151 and s.size == 0.0:
            raise ValueError("flat")
        if i == 290 and s.size == 0.0:
            raise ValueError("its turn")
        return hold()

    assert "its turn" in same(step)


def test_what_the_account_says_is_of_each_row() -> None:
    @strategy()
    def step(i, x, p, s):
        if s.size == 0.0:
            return target(2.0) if i % 80 == 70 and s.value == s.cash else hold()
        if s.bars_held >= 66 or s.value > s.cash + 2.0 * s.entry_price * 1.05:
            return target(0.0)
        return target(s.size)

    assert len(np.frombuffer(same(step)[1])) >= 4


@pytest.mark.parametrize("missing", [0, 70, 299])
def test_a_row_without_a_value_is_no_order(missing: int) -> None:
    values = np.where(np.arange(300) == missing, np.nan, np.where(np.arange(300) % 100 == 66, 1.0, 0.0))

    assert same(_on_marks, BARS.with_inputs({"mark": values}))[0]


@strategy(inputs={"mark": "mark"}, lookback=3)
def _on_marks(i, x, p, s):
    if x.mark[i] == 0.0:
        return hold()
    return target(1.0) if x.mark[i] > 0.0 else target(-1.0)
