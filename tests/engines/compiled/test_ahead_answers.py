"""Any answers, drawn for a step that is asked ahead: what an account does with them is as in their turn."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from whatif.domain import Bars, Execution
from whatif.domain.bars import Membership
from whatif.domain.overlays import Overlays
from whatif.engines import BacktestTask, run_engine
from whatif.errors import WhatIfError
from whatif.strategies import BUY, CLOSE, HOLD, SELL, TARGET, TARGET_PERCENT, strategy
from whatif.testing import random_bars

from .draws import that_act

FAILS, FAILS_FLAT, NO_CODE = 90, 91, 77
ROWS = 700


@strategy(inputs={"code": "code", "amount": "amount"})
def answers(i, x, p, s):
    code = int(x.code[i])
    if code == 90 or (code == 91 and s.size == 0.0):
        raise ValueError("a row whose turn came")
    return code, x.amount[i]


def drawn(rng: np.random.Generator, faults: bool) -> Bars:
    """Return bars with answers, each given for a run of bars; few of them are faulty."""
    codes = [HOLD, TARGET, TARGET, TARGET, CLOSE, BUY, SELL, TARGET_PERCENT, FAILS_FLAT]
    amounts = [0.0, -0.0, 3.0, -3.0, 5.0, 3.5, 1e-3]
    code, amount = np.zeros(ROWS), np.zeros(ROWS)
    at = 0
    while at < ROWS:
        end = at + int(rng.choice([1, 2, 15, 80, 200]))
        code[at:end] = rng.choice(codes, p=[0.35, 0.15, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05])
        amount[at:end] = rng.choice(amounts)
        # nothing but a few bars of these: each one adds to the position
        code[at:end][2:] = np.where(np.isin(code[at:end][2:], (BUY, SELL)), HOLD, code[at:end][2:])
        at = end
    code[code == FAILS_FLAT] = FAILS_FLAT if faults else HOLD
    amount = np.where(np.isin(code, (BUY, SELL)), np.abs(amount), amount)
    amount = np.where(code == TARGET_PERCENT, amount / 10.0, amount)
    amount = np.where((code == CLOSE) & (rng.random() < 0.5), 0.0, amount)
    if faults and rng.random() < 0.5:
        row = int(rng.integers(100, ROWS))
        code[row], amount[row] = rng.choice(
            [(FAILS, 0.0), (NO_CODE, 0.0), (TARGET, np.nan), (TARGET, np.inf), (CLOSE, np.nan), (BUY, -1.0)]
        )
    bars = random_bars(int(rng.integers(2**32)), ROWS).with_inputs({"code": code, "amount": amount})
    if rng.random() < 0.3:
        begin, end = sorted(rng.choice(bars.ts, 2).tolist())
        bars = bars.with_members([Membership(begin, end, start_is_date=False, end_is_date=False)])
    return bars


def overlays_of(rng: np.random.Generator) -> Overlays:
    """Return overlays of which each is on in about half of the draws; none at all in a quarter."""
    if rng.random() < 0.25:
        return Overlays()
    values = {
        "take_profit": float(rng.choice([0.001, 0.01, 0.05])),
        "stop_loss": float(rng.choice([0.001, 0.01, 0.05])),
        "max_bars_held": int(rng.choice([1, 2, 16, 17, 90])),
        "flat_before_close": int(rng.integers(10, 60)),
        str(rng.choice(["percent_of_equity", "percent_of_cash"])): float(rng.choice([0.1, 0.95])),
    }
    on = {name: value for name, value in values.items() if rng.random() < 0.5}
    return Overlays(**on, latency=1 if rng.random() < 0.2 else 0)


def told(task: BacktestTask, engine: str) -> tuple[bytes, ...] | str:
    """Return what a run made, as bytes; or what was wrong with it."""
    try:
        run = run_engine(task, engine)
    except WhatIfError as error:
        return str(error)
    fills = run.fills
    columns = (fills.row, fills.closed, fills.opened, fills.price, run.equity, run.cash, run.position)
    return tuple(column.tobytes() for column in columns)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_drawn_answers(seed: int, faults: bool) -> None:
    rng = np.random.default_rng(seed)
    bars = drawn(rng, faults)
    overlays = that_act(overlays_of(rng), bars, (0, ROWS))
    task = BacktestTask([bars], answers, {}, execution=Execution(cash=5_000.0), overlays=overlays)

    assert told(task, "compiled") == told(task, "backtrader")
