"""Benchmark of the runner with Backtrader's broker against Backtrader's own parallel optimiser."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.rivals import OPTSTRATEGY, RivalRun, run_rival
from whatif.bench.setting import Setting
from whatif.bench.sweep import EXECUTION, StoredSweep, compute, rows_of, store
from whatif.errors import RunError

ENGINE = "backtrader"

_FAST = (5, 10, 20, 40)
_SLOW = (60, 120, 240, 480)
_NOTES = (
    "whatif: wall time of the runner, from pending configurations to stored results, in a session that has "
    "run one sweep of other periods; all metrics, returns and buy-and-hold of each configuration included",
    "optstrategy: wall time of cerebro.run(maxcpus) alone, in a fresh process, no observers, final value "
    "only; its time to load the bars is included, reading the file is not",
)

Values = Mapping[tuple[int, int], float]


@dataclass(frozen=True)
class _Round:
    """One comparison: both on the same grid, one after the other."""

    stored_seconds: float
    computed_seconds: float
    rival: RivalRun
    waves: int
    backtests: int
    equal: int

    def to_dict(self) -> dict[str, Any]:
        """Return the round for JSON."""
        return vars(self) | {"rival": self.rival.to_dict()}


def measure(setting: Setting) -> Measurement:
    """Compare configuration-bars a second of the runner and of `optstrategy` on the same sweep."""
    bars = len(setting.market.bars)
    # other periods than any measured grid, so that no indicator is there already
    store(setting, "crossover warm-up", ENGINE, [f + 500 for f in _FAST], [s + 1000 for s in _SLOW])
    rounds = [_round(setting, k) for k in range(setting.options.repeats)]
    count = len(_FAST) * len(_SLOW)
    cost = float(count * bars)
    own = statistics.median(cost / one.stored_seconds for one in rounds)
    computed = statistics.median(cost / one.computed_seconds for one in rounds)
    rival = statistics.median(cost / one.rival.seconds for one in rounds)
    ratio = statistics.median(one.rival.seconds / one.stored_seconds for one in rounds)
    bare = statistics.median(one.rival.seconds / one.computed_seconds for one in rounds)
    equal = min(one.equal for one in rounds)
    title = (
        f"sma_crossover, {count} configurations on {bars:,} bars of {setting.market.bars.symbol}, Backtrader"
    )
    return Measurement(
        name="crossover",
        title=title,
        figures=(
            Figure("ratio", "through Spark / optstrategy, results stored", ratio, "x", Goal("at least", 2.0)),
            Figure(
                "equal", "final values equal to optstrategy's as bytes", equal, "", Goal("exactly", count)
            ),
            Figure("ratio_computed", "through Spark / optstrategy, before results are stored", bare, "x"),
            Figure("rate", "whatif, results stored", own, "bars/s"),
            Figure("rate_computed", "whatif, before results are stored", computed, "bars/s"),
            Figure("rate_optstrategy", f"optstrategy(maxcpus={setting.options.cores})", rival, "bars/s"),
            Figure(
                "peak_optstrategy",
                "peak memory of optstrategy's largest process",
                max(one.rival.peak_mb for one in rounds),
                "MB",
            ),
        ),
        notes=_NOTES,
        detail={
            "bars": bars,
            "rounds": [{"grid": _grid(k), **one.to_dict()} for k, one in enumerate(rounds)],
        },
    )


def _grid(k: int) -> tuple[list[int], list[int]]:
    """Return the periods of round `k`; no round shares one with another."""
    return [f + k for f in _FAST], [s + 10 * k for s in _SLOW]


def _round(setting: Setting, k: int) -> _Round:
    fast, slow = _grid(k)
    setting.say(f"crossover: round {k + 1} of {setting.options.repeats}")
    rival = run_rival(setting, OPTSTRATEGY, fast, slow) if k % 2 else None
    stored = store(setting, f"crossover round {k}", ENGINE, fast, slow)
    computed = compute(setting, ENGINE, fast, slow)
    rival = rival or run_rival(setting, OPTSTRATEGY, fast, slow)
    if rival is None:
        raise RunError(OPTSTRATEGY.remedy)
    values = _profits(setting, stored)
    theirs = {key: value - EXECUTION.cash for key, value in rival.values.items()}
    return _Round(
        stored_seconds=stored.seconds,
        computed_seconds=computed,
        rival=rival,
        waves=stored.waves,
        backtests=len(values),
        equal=sum(theirs.get(key) == value for key, value in values.items()),
    )


def _profits(setting: Setting, sweep: StoredSweep) -> Values:
    """Return net profit by (fast, slow); NaN where no row is stored."""
    stored = rows_of(setting, sweep, ["pnl_net"])["pnl_net"].to_dict()
    return {
        (c.params["fast"], c.params["slow"]): float(stored.get(c.config_id, math.nan))
        for c in sweep.pending[0].configurations
    }
