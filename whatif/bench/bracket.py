"""Benchmark of a sweep of brackets by the compiled engine through Spark, against Backtrader's optstrategy."""

from __future__ import annotations

import math
import statistics
from typing import Any

from whatif.bench import sweep
from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.rivals import OPTSTRATEGY, RivalRun, rate_of, run_rival, spread
from whatif.bench.setting import Setting
from whatif.engines import RunInputs, WindowInputs, get_engine
from whatif.strategies import Param, bracket, hold, resolve, strategy

_FULL = (range(20, 120), range(10, 110))
_QUICK = (range(20, 30), range(10, 20))
_SIDE, _QUICK_SIDE = 3, 2
_NOTES = (
    "a bid at the lowest low of 20 to 119 bars, a stop 10 to 109 basis points below it, a target twice as "
    "far above; anew when nothing is held or waits",
    "whatif: wall time through Spark in a session that has run another sweep, rows not stored; all metrics, "
    "returns and buy-and-hold. Backtrader: optstrategy on a part of the grid, final values only",
)


@strategy(
    params={"fast": Param(20, low=1), "slow": Param(50, low=1, high=9999), "size": Param(1.0)},
    inputs={"floor": "lowest(low, fast)"},
)
def bid_at_the_low(i: int, x: Any, p: Any, s: Any) -> Any:
    """Bid at the lowest low of `fast` bars; leave `slow` basis points below that, or twice as far above."""
    if s.size != 0.0 or s.pending > 0 or not x.floor[i] > 0.0:
        return hold()
    entry, away = x.floor[i], p.slow / 10_000.0
    return bracket(p.size, limit=entry, stop=entry * (1.0 - away), target=entry * (1.0 + 2.0 * away))


def measure(setting: Setting) -> Measurement:
    """Compare configuration-bars a second, and the final values of what both ran."""
    fast, slow = _QUICK if setting.options.quick else _FULL
    bars, configurations = len(setting.market.bars), len(fast) * len(slow)
    setting.say(f"bracket: {configurations:,} configurations, {setting.options.repeats} rounds")
    sweep.compute(setting, sweep.COMPILED, fast[:2], slow[:2], sweep.BRACKET)
    side = _QUICK_SIDE if setting.options.quick else _SIDE
    part = spread(fast, side), spread(slow, side)
    rates, theirs, answer = [], [], None
    for _ in range(setting.options.repeats):
        rates.append(
            configurations * bars / sweep.compute(setting, sweep.COMPILED, fast, slow, sweep.BRACKET)
        )
        answer = run_rival(setting, OPTSTRATEGY, *part, bracket=1)
        theirs.append(rate_of(answer, bars))
    ratio = statistics.median(own / other for own, other in zip(rates, theirs, strict=True))
    rate = statistics.median(rates)
    different = math.nan if answer is None else len(differing(setting, answer))
    return Measurement(
        name="bracket",
        title=f"brackets, {configurations:,} configurations on {bars:,} bars of {setting.market.bars.symbol}",
        figures=(
            Figure("rate", "configuration-bars through Spark", rate, "bars/s", Goal("at least", 100e6)),
            Figure("ratio_optstrategy", "through Spark / optstrategy", ratio, "x", Goal("at least", 2500.0)),
            Figure("rate_optstrategy", "optstrategy", statistics.median(theirs), "bars/s"),
            Figure("different", "configurations of other final values", different, "", Goal("exactly", 0)),
        ),
        notes=_NOTES,
        detail={"rates": rates, "rates_optstrategy": theirs, "grid": [list(fast), list(slow)]},
    )


def differing(setting: Setting, answer: RivalRun) -> list[tuple[int, int]]:
    """Return the pairs of `fast` and `slow` whose final value is not the rival's, to 12 digits."""
    plan = sweep.sweep_plan(setting.market, "brackets", sweep.COMPILED, strategy=sweep.BRACKET)
    spec, pairs = resolve(sweep.BRACKET), list(answer.values)
    window = WindowInputs([setting.market.bars], spec, plan.windows[sweep.WINDOW].periods, cache={})
    run = get_engine(sweep.COMPILED).open_for_many(window)
    assert run is not None
    params = [spec.validate({"fast": fast, "slow": slow, "size": sweep.SIZE}) for fast, slow in pairs]
    found = run([RunInputs(one, sweep.EXECUTION) for one in params]).metrics["pnl_net"]
    return [
        pair
        for pair, net in zip(pairs, found.tolist(), strict=True)
        if not math.isclose(sweep.EXECUTION.cash + net, answer.values[pair], rel_tol=1e-12)
    ]
