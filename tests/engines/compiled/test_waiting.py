"""Orders that wait for a price on many bars, which are passed by in groups: they fill as in their turn."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from whatif.domain import Execution
from whatif.domain.overlays import Overlays
from whatif.engines import BacktestTask, run_engine
from whatif.strategies import Param, buy, cancel, close, hold, oco, sell, strategy
from whatif.testing import assert_same, random_bars

ROWS = 500
DISTANCES = (0.0, 0.002, 0.01, 0.03)


@strategy(params={"every": Param(150), "below": Param(0.01), "above": Param(0.01), "valid": Param(0)})
def waits(i, x, p, s):
    if i % p.every == 3:
        low, high = x.close[i] * (1.0 - p.below), x.close[i] * (1.0 + p.above)
        if s.size > 0.0:
            return cancel(), sell(s.size, limit=high)
        if s.size < 0.0:
            return cancel(), buy(-s.size, limit=low)
        return cancel(), oco(buy(2.0, limit=low, valid=p.valid), buy(1.0, stop=high, valid=p.valid))
    if i % p.every == 120 and s.size > 0.0:
        return close()
    return hold()


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([60, 150, 400]),
    st.sampled_from(DISTANCES),
    st.sampled_from(DISTANCES),
    st.sampled_from([0, 0, 31, 32, 33, 90]),
    st.booleans(),
)
def test_orders_far_from_the_price(
    seed: int, every: int, below: float, above: float, valid: int, stops: bool
) -> None:
    rng = np.random.default_rng(seed)
    params = {"every": every, "below": below, "above": above, "valid": valid}
    loss = {"stop_loss": 0.004} if stops else {}
    sized = {"percent_of_equity": 0.5} if rng.random() < 0.3 else {}
    task = BacktestTask(
        [random_bars(seed, ROWS)],
        waits,
        waits.validate(params),
        execution=Execution(cash=100_000.0, coc=bool(rng.random() < 0.3)),
        overlays=Overlays(**loss, **sized, max_bars_held=40 if rng.random() < 0.2 else None),
    )

    assert_same(run_engine(task, "compiled"), run_engine(task, "backtrader"))
