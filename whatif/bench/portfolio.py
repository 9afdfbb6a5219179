"""Benchmark of one account of many symbols: cross-sectional momentum against a Backtrader script."""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.probe import peak_mb
from whatif.bench.setting import Setting
from whatif.conf_files import conf_dir
from whatif.domain import Bars, Execution, Periods
from whatif.engines import RunInputs, WindowInputs, get_engine
from whatif.strategies import resolve

STRATEGY = "cross_sectional_momentum"
_FULL, _QUICK = (50, 100_000, 1_000), (5, 2_000, 20)
"""Symbols, bars of each, and configurations."""

_SAMPLE, _EVERY, _SHARE, _COUNTS = 2_000, 20, 0.9, 5
_PRICES = ("open", "high", "low", "close", "volume")
_SESSION, _MINUTE_US, _DAY_US = 390, 60_000_000, 86_400_000_000
_EXECUTION = Execution(cash=1_000_000.0, commission=0.0001)
_NOTES = (
    f"random walks with a bar each minute; periods from 20 bars on, {_COUNTS} numbers of symbols, anew each "
    f"{_EVERY}th bar; all metrics and returns a session, one core, one process",
    f"Backtrader: a script with its own indicator and order_target_percent, on the first {_SAMPLE:,} bars of "
    "each symbol, one configuration",
    "memory: all that the process takes beyond imports and a first small run, of the bytes of the ten series "
    "of each symbol's bars",
)


def measure(setting: Setting) -> Measurement:
    """Compare symbol-bars a second of a sweep with a script's, and memory with that of the bars."""
    sizes = _QUICK if setting.options.quick else _FULL
    symbols, rows, count = sizes
    setting.say(f"portfolio: {symbols} symbols, {rows:,} bars of each, {count:,} configurations")
    answer = setting.location.home / "portfolio.json"
    setting.run_child(["-m", "whatif.bench.portfolio", *map(str, sizes), answer])
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    script = _script(setting, market(symbols, min(rows, _SAMPLE)))
    rate = symbols * rows * count / found["seconds"]
    theirs = symbols * min(rows, _SAMPLE) / script["seconds"]
    same = math.isclose(script["final"], found["final_of_sample"], rel_tol=1e-12)
    return Measurement(
        name="portfolio",
        title=f"momentum, one account of {symbols} symbols, {rows:,} bars each, {count:,} configurations",
        figures=(
            Figure("ratio", "compiled / Backtrader script", rate / theirs, "x", Goal("at least", 300.0)),
            Figure("rate", "configuration-symbol-bars", rate, "bars/s"),
            Figure("rate_script", "Backtrader script", theirs, "bars/s"),
            Figure("memory", "memory, of the bars", found["memory_percent"], "%", Goal("at most", 110.0)),
            Figure(
                "different",
                "final values that differ on the sample",
                int(not same),
                "",
                Goal("exactly", 0),
            ),
        ),
        notes=_NOTES,
        detail={**found, "script": script},
    )


def market(symbols: int, rows: int) -> list[Bars]:
    """Return random walks with a bar each minute of the same sessions, on one clock as a worker has them."""
    found: list[Bars] = []
    day, minute = np.divmod(np.arange(rows), _SESSION)
    opened = (15_982 + day) * _DAY_US + 870 * _MINUTE_US
    for k in range(symbols):
        rng = np.random.default_rng(k)
        close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, rows)))
        first = close * (1.0 + rng.normal(0.0, 1e-4, rows))
        one = Bars(
            symbol=f"S{k}",
            ts=opened + minute * _MINUTE_US,
            open=first,
            high=np.maximum(first, close),
            low=np.minimum(first, close),
            close=close,
            volume=np.full(rows, 1_000.0),
            vwap=(first + close) / 2.0,
            session=15_982 + day,
            session_open=opened,
            session_close=opened + _SESSION * _MINUTE_US,
        )
        found.append(one.on_clock_of(found[-1]) if found else one)
    return found


def run_account(symbols: int, rows: int, count: int) -> dict[str, float]:
    """Run the sweep in this process; return seconds, memory, and a final value on the sample."""
    _, finals = _sweep(market(symbols, min(rows, _SAMPLE)), 1)
    base = peak_mb()
    bars = market(symbols, rows)
    seconds, _ = _sweep(bars, count)
    held = (peak_mb() - base) * 2**20
    percent = 100.0 * held / sum(one.nbytes for one in bars)
    return {"seconds": seconds, "memory_percent": percent, "final_of_sample": finals[0]}


def _script(setting: Setting, bars: list[Bars]) -> dict[str, float]:
    """Run the first configuration by a script of Backtrader's; return its seconds and final value."""
    home = setting.location.home
    prices: dict[str, Any] = {name: np.stack([getattr(one, name) for one in bars]) for name in _PRICES}
    np.savez(home / "momentum.npz", ts=bars[0].ts, **prices)
    request = {
        "bars": str(home / "momentum.npz"),
        "cash": _EXECUTION.cash,
        "commission": _EXECUTION.commission,
        "params": {"period": 20, "every": _EVERY, "share": _SHARE},
    }
    (home / "momentum.json").write_text(json.dumps(request), encoding="utf-8")
    program = conf_dir() / "bench" / "backtrader_momentum.py"
    setting.run_child([program, home / "momentum.json", home / "answer.json"])
    return dict(json.loads((home / "answer.json").read_text(encoding="utf-8")))


def _sweep(bars: list[Bars], count: int) -> tuple[float, list[float]]:
    """Run configurations; return seconds, and their final values."""
    spec = resolve(STRATEGY)
    periods = Periods("session", bars[0].ts[_SESSION::_SESSION], 252.0)
    run = get_engine("compiled").open_for_many(WindowInputs(bars, spec, periods))
    assert run is not None
    grid = [
        {"period": 20 + k // _COUNTS, "every": _EVERY, "count": 1 + k % _COUNTS, "share": _SHARE}
        for k in range(count)
    ]
    started, finals = time.perf_counter(), []
    for first in range(0, count, _COUNTS):  # those of one period read the same series
        found = run([RunInputs(spec.validate(one), _EXECUTION) for one in grid[first : first + _COUNTS]])
        finals += (_EXECUTION.cash + found.metrics["pnl_net"]).tolist()
    return time.perf_counter() - started, finals


if __name__ == "__main__":
    *_sizes, _answer = sys.argv[1:]
    Path(_answer).write_text(json.dumps(run_account(*map(int, _sizes))), encoding="utf-8")
