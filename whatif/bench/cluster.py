"""Benchmark of a cluster on this machine: what a second executor brings, and what a small study costs."""

from __future__ import annotations

import json
import math
import pickle
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from whatif.bench import probe, sweep
from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.market import BenchMarket
from whatif.bench.setting import Setting, said
from whatif.bench.standalone import EXECUTORS, Cluster, run_cluster
from whatif.bench.studies import StudyText, write_study
from whatif.engines import get_engine
from whatif.errors import RunError
from whatif.results import Pending
from whatif.runner import MAX_AT_ONCE, Plan, work_items
from whatif.search import Configuration
from whatif.strategies import resolve, to_portable
from whatif.study import digest

_FAST, _SLOW = range(5, 45, 5), range(50, 850, 100)
_QUICK_FAST, _QUICK_SLOW = range(5, 15, 5), range(50, 250, 100)
_PROCESS_CONFIGURATIONS = 8

_ORDINARY, _SLOW_ONE = 0.25, 40.0
"""Seconds of a backtest where one is slow: the slow one takes 160 times as long."""

_SLEEPERS = 128
_WINDOW_BARS = 400
_SLEEPER = """\
import time

from whatif.strategies import Param, strategy, target


@strategy(params={"n": Param(1), "pause": Param(0.0)})
def sleeper(i, x, p, s):
    time.sleep(p.pause)
    return target(1.0)
"""
_ORDINARY_STRATEGY = """\
import backtrader as bt


class Crossover(bt.Strategy):
    params = (("fast", 10), ("slow", 50), ("size", 1.0))
    warmup = 0

    def __init__(self):
        averages = (bt.indicators.SMA(period=n) for n in (self.p.fast, self.p.slow))
        self.cross = bt.indicators.CrossOver(*averages)

    def next(self):
        if self.cross[0]:
            self.order_target_size(target=self.p.size * self.cross[0])
"""
_NOTES = (
    "master, workers and drivers are processes of this machine, executors have one core and 512 MB each; a "
    "rate is that of a sweep from pending configurations to stored rows, after a small one, not counted",
    "on these bars a step function runs in seconds, of which the last wave's commits are a part that no "
    "executor shortens: on a year of the sample market's minutes it is little; a bt.Strategy of the same "
    "rule takes ten times as long, and is measured once",
    "two plain processes: the same backtests by the worker's own code without Spark, alone and two at once; "
    "cores that share caches, memory or a clock give two processes less than twice the rate of one",
    "the small study: from `whatif submit` until it shows the leaderboard, with JVM, executors, test window, "
    "report and MLflow; the first one also makes the tables and MLflow's data base",
    f"the slow one: {_SLEEPERS} backtests of {_ORDINARY} s that sleep, one of the first wave {_SLOW_ONE} s; "
    "waves that wait do so for their last task; the least possible: all of it shared by two cores",
)

_Rounds = Sequence[Mapping[str, float]]

_runs = count(1)


@dataclass(frozen=True)
class _Sweep:
    """A sweep for a driver to time."""

    plan: Plan
    warm: list[Pending]
    pending: list[Pending]


def measure(setting: Setting) -> Measurement:
    """Measure rates on one and on two executors, a study of one configuration, and one slow configuration."""
    setting.say(f"cluster: {EXECUTORS} workers on loopback")
    folder = setting.location.home / "cluster"
    folder.mkdir(parents=True, exist_ok=True)
    repeats = range(setting.options.repeats)
    with run_cluster(folder, EXECUTORS) as cluster:
        rates = [_rates(setting, cluster, k, _crossovers) for k in repeats]
        year = [_rates(setting, cluster, k, _year) for k in repeats]
        ordinary = [_rates(setting, cluster, 0, _ordinary)]
        small = [_small_study(setting, cluster, k) for k in repeats]
        slow = _slow_one(setting, cluster)
    plain = [_two_processes(setting, k) for k in repeats]
    configurations = len(_periods(setting)[0]) * len(_periods(setting)[1])
    return Measurement(
        name="cluster",
        title=f"standalone cluster, {configurations} configurations in Backtrader's broker",
        figures=(
            *_goals(rates, year, ordinary, small),
            *_plain_processes(rates, plain),
            *_seconds_of_sweeps(rates, year, ordinary),
            Figure("overhead_again", "one configuration, later ones", statistics.median(small), "s"),
            Figure("slow_waiting", "one slow configuration, waves that wait", slow["waiting"], "s"),
            Figure("slow", "one slow configuration, as it is", slow["now"], "s"),
            Figure("slow_least", "one slow configuration, least possible", slow["least"], "s"),
        ),
        notes=_NOTES,
        detail={
            "rates": rates,
            "year": year,
            "ordinary": ordinary,
            "small": small,
            "plain": plain,
            "slow": slow,
        },
    )


def _goals(rates: _Rounds, year: _Rounds, ordinary: _Rounds, small: Sequence[float]) -> list[Figure]:
    """Return the figures that have a goal."""
    failed = sum(r["failed"] for r in (*rates, *year, *ordinary))
    gain = Goal("at least", 1.8)
    return [
        Figure("ratio", "rate on 2 executors / on 1", _median(rates, "ratio"), "x", gain),
        Figure("ratio_year", "the same on a year of minutes", _median(year, "ratio"), "x", gain),
        Figure("ratio_ordinary", "the same of a bt.Strategy", _median(ordinary, "ratio"), "x", gain),
        Figure("overhead", "one configuration, command to leaderboard", small[0], "s", Goal("under", 25.0)),
        Figure("failed", "backtests that failed", failed, "", Goal("exactly", 0)),
    ]


def _plain_processes(rates: _Rounds, plain: Sequence[float]) -> list[Figure]:
    ratio, gain = _median(rates, "ratio"), statistics.median(plain)
    return [
        Figure("plain", "two plain processes / one", gain, "x"),
        Figure("of_plain", "of what two plain processes gain", 100.0 * ratio / gain, "%"),
    ]


def _seconds_of_sweeps(rates: _Rounds, year: _Rounds, ordinary: _Rounds) -> list[Figure]:
    return [
        Figure("seconds_one", "sweep on 1 executor", _median(rates, "one"), "s"),
        Figure("seconds_two", "sweep on 2 executors", _median(rates, "two"), "s"),
        Figure("year_one", "year on 1 executor", _median(year, "one"), "s"),
        Figure("year_two", "year on 2 executors", _median(year, "two"), "s"),
        Figure("ordinary_one", "bt.Strategy on 1 executor", _median(ordinary, "one"), "s"),
        Figure("ordinary_two", "bt.Strategy on 2 executors", _median(ordinary, "two"), "s"),
    ]


def _median(rounds: _Rounds, name: str) -> float:
    return statistics.median(found[name] for found in rounds)


def _periods(setting: Setting) -> tuple[Sequence[int], Sequence[int]]:
    return (_QUICK_FAST, _QUICK_SLOW) if setting.options.quick else (_FAST, _SLOW)


def _rates(setting: Setting, cluster: Cluster, k: int, made: Callable[[Setting], _Sweep]) -> dict[str, float]:
    found = {cores: _timed(setting, cluster, made(setting), cores) for cores in (1, 2)}
    one, two = found[1]["seconds"], found[2]["seconds"]
    setting.say(f"cluster: round {k + 1}, {one:.1f} s on one executor, {two:.1f} s on two")
    return {
        "one": one,
        "two": two,
        "ratio": one / two,
        "waves_one": found[1]["waves"],
        "waves_two": found[2]["waves"],
        "failed": found[1]["failed"] + found[2]["failed"],
    }


def _year(setting: Setting) -> _Sweep:
    """Return the same sweep on bars that take long enough for what does not shrink to be little."""
    return _crossovers(setting, setting.year)


def _crossovers(setting: Setting, given: BenchMarket | None = None) -> _Sweep:
    market = given or setting.market
    plan = sweep.sweep_plan(market, f"cluster {next(_runs)}", "backtrader")
    warm, pending = (
        sweep.crossovers(market, fast, slow, len(market.bars))
        for fast, slow in (((3, 4), (45, 46)), _periods(setting))
    )
    return _Sweep(plan, warm, pending)


def _ordinary(setting: Setting) -> _Sweep:
    """Return the same sweep of an ordinary `backtrader.Strategy`."""
    path = setting.location.home / "ordinary.py"
    path.write_text(_ORDINARY_STRATEGY, encoding="utf-8")
    strategy, given = resolve(str(path)), _crossovers(setting)
    plan = replace(given.plan, strategy=to_portable(strategy), strategy_name="Crossover")

    def renamed(part: Pending) -> Pending:
        found = (
            replace(
                c,
                config_id=digest({"ordinary": c.params}),
                params=strategy.validate({name: c.params[name] for name in ("fast", "slow", "size")}),
            )
            for c in part.configurations
        )
        return replace(part, configurations=tuple(found))

    return _Sweep(plan, [renamed(part) for part in given.warm], [renamed(part) for part in given.pending])


def _timed(
    setting: Setting, cluster: Cluster, given: _Sweep, cores: int, at_once: int = MAX_AT_ONCE
) -> dict[str, Any]:
    """Let a driver run a sweep on so many executors and say how long it took."""
    home = setting.location.home
    request, answer = home / "sweep.pickle", home / "sweep.json"
    request.write_bytes(pickle.dumps((given.plan, given.warm, given.pending, cores, at_once)))
    conf = {"spark.cores.max": str(cores), "spark.executor.cores": "1"}
    cluster.run(Path(probe.__file__), ("sweep", request, answer), home, conf)
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return found


def _small_study(setting: Setting, cluster: Cluster, k: int) -> float:
    """Submit a study of one configuration as a user does; return the seconds to its leaderboard."""
    study = write_study(setting, StudyText(f"bench-small-{k}", (10,), (50,), size=10 + k))
    home, script = setting.location.home, "import sys; from whatif.cli import main; sys.exit(main())"
    started, shown = time.perf_counter(), math.nan
    command = [sys.executable, "-c", script, "submit", str(study), "--target", cluster.master]
    environment = {**cluster.environment, "WHATIF_HOME": str(home), "COLUMNS": "120"}
    with (
        (home / "child.log").open("ab") as log,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment
        ) as process,
    ):
        for line in process.stdout or ():
            log.write(line)
            if line.strip().startswith(b"Leaderboard of") and math.isnan(shown):
                shown = time.perf_counter() - started
    if process.returncode != 0 or math.isnan(shown):
        raise RunError(f"whatif submit ended with code {process.returncode}: {said(home)}")
    setting.say(f"cluster: a study of one configuration, {shown:.1f} s")
    return shown


def _two_processes(setting: Setting, k: int) -> float:
    """Return how many times the rate of one plain process two have at the same work."""
    plan = sweep.sweep_plan(setting.market, "plain", "backtrader")
    periods = [60 + 10 * n for n in range(2 if setting.options.quick else _PROCESS_CONFIGURATIONS)]
    pending = sweep.crossovers(setting.market, (10,), periods, len(setting.market.bars))
    items = [item.to_json() for item in work_items(pending, 1, plan.engine)]
    alone = _seconds(setting, plan, items, 1)
    together = _seconds(setting, plan, items, 2)
    setting.say(f"cluster: a plain process {alone:.1f} s, two at once {together:.1f} s")
    return 2.0 * alone / together


def _seconds(setting: Setting, plan: Plan, items: list[str], processes: int) -> float:
    """Return the mean time of some processes that do the same work at the same time."""
    homes = [setting.location.home / f"plain{k}" for k in range(processes)]
    started: list[subprocess.Popen[bytes]] = []
    for home in homes:
        home.mkdir(exist_ok=True)
        (home / "request").write_bytes(pickle.dumps((plan, items)))
        command: list[str | Path] = ["-m", "whatif.bench.probe", "worker", home / "request", home / "answer"]
        started.append(setting.start_child(command, home))
    for process, home in zip(started, homes, strict=True):
        if process.wait() != 0:
            raise RunError(f"a plain process failed: {said(home)}")
    return statistics.mean(float(json.loads((home / "answer").read_text())["seconds"]) for home in homes)


def _slow_one(setting: Setting, cluster: Cluster) -> dict[str, float]:
    backtests = 8 if setting.options.quick else _SLEEPERS
    total = _ORDINARY * (backtests - 1) + _SLOW_ONE
    waiting = _timed(setting, cluster, _sleepers(setting, backtests), EXECUTORS, at_once=1)
    now = _timed(setting, cluster, _sleepers(setting, backtests), EXECUTORS)
    setting.say(f"cluster: one slow configuration, {waiting['seconds']:.1f} and {now['seconds']:.1f} s")
    least = max(total / EXECUTORS, _SLOW_ONE)
    return {"waiting": waiting["seconds"], "now": now["seconds"], "least": least}


def _sleepers(setting: Setting, backtests: int) -> _Sweep:
    """Return a sweep whose third configuration takes 160 times as long as the others."""
    path = setting.location.home / "sleeper.py"
    path.write_text(_SLEEPER, encoding="utf-8")
    market, strategy = setting.market, resolve(str(path))
    plan = sweep.sweep_plan(market, f"sleepers {next(_runs)}", "backtrader", len(market.bars) - _WINDOW_BARS)
    plan = replace(plan, strategy=to_portable(strategy), strategy_name="sleeper")

    def configuration(n: int) -> Configuration:
        seconds = _SLOW_ONE if n == 2 else _ORDINARY
        params = strategy.validate({"n": n, "pause": seconds / _WINDOW_BARS})
        return Configuration(digest({"sleeper": params}), params, None, "1min", sweep.EXECUTION)

    def pending(numbers: Sequence[int]) -> list[Pending]:
        # an honest estimate of the ordinary ones, by the rate that is first assumed of the engine
        some = tuple(configuration(n) for n in numbers)
        cost = int(get_engine(plan.engine).rate(strategy) * _ORDINARY)
        return [Pending((market.bars.symbol,), sweep.WINDOW, some, cost)]

    return _Sweep(plan, pending(range(1_000, 1_004)), pending(range(backtests)))
