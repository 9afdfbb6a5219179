"""Benchmark of searches that learn, of resampled pasts, and of the comparison of two configurations."""

from __future__ import annotations

import json
import math
import pickle
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from whatif.axes import SEAM, MarketAxis
from whatif.bench import sweep
from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.market import BenchMarket, load_market
from whatif.bench.setting import MAIN, Setting
from whatif.calendars import EPOCH
from whatif.pins import LakeLocation
from whatif.resolve import check_study, run_rounds
from whatif.results import Pending
from whatif.runner import work_items
from whatif.search import PointIndex, change_of, make_grid
from whatif.study import digest, load_study

TOP = 0.5
"""Percent of the grid, the best of it, that a search has to reach."""

HISTORY = "stationary_bootstrap"


@dataclass(frozen=True)
class _Size:
    fast: tuple[int, int, int]
    slow: tuple[int, int, int]
    small: int
    trials: int
    seeds: int
    pasts: int
    side: int

    @property
    def points(self) -> int:
        return len(range(*self.fast)) * len(range(*self.slow))


_FULL = _Size((5, 205, 1), (210, 1210, 5), 20, 400, 10, 1_000, 10)
_QUICK = _Size((5, 15, 1), (20, 70, 5), 4, 20, 2, 3, 4)

_STUDY = """\
study: {name}
data:      {{symbols: [{symbol}], timeframe: 1min, start: {start}, end: {end}}}
calendar:  {{exchange: {exchange}, session: extended}}
strategy:  {{name: sma_crossover}}
axes:
  fast: {{from: {fast[0]}, to: {fast[1]}, step: {fast[2]}}}
  slow: {{from: {slow[0]}, to: {slow[1]}, step: {slow[2]}}}
execution: {{cash: 100000, commission: 0.0001, slippage: 0.00005}}
split:     {{kind: holdout, train: 0.0, validate: 0.65, test: 0.35}}
search:    {search}
"""

_NOTES = (
    "the grid is run once as a study; each seed's search is told what the grid stored, so quality and the "
    "driver's time need no backtest. That is what asking, making configurations and telling take",
    "seconds of a study: a process from command to prompt on a lake that holds the bars alone, with verdict, "
    "report and MLflow. The grid pays up to where its points take as long as the search does: by a line "
    "through its time at both sizes",
    "pasts: one worker, a process of its own, for as many plain configurations as resampled ones; its rate "
    "includes drawing bars and computing indicators for each past",
)


def measure(setting: Setting) -> Measurement:
    """Measure what a search finds and takes, what pasts cost, and how long a comparison is waited for."""
    size = _QUICK if setting.options.quick else _FULL
    with tempfile.TemporaryDirectory(prefix="whatif-bench-search-", dir=setting.location.home) as folder:
        studies = _Studies(setting, Path(folder), size)
        found = _searched(setting, size, studies)
        pasts = _pasts(setting, size, studies.market)
        compared = [_compared(setting, studies) for _ in range(setting.options.repeats)]
    whole, small, searched = (studies.seconds[name] for name in ("grid", "small", "tpe"))
    each = (whole - small) / (size.points - size.small**2)
    pays = (searched - small) / each if searched > small and each > 0 else math.nan
    return Measurement(
        name="search",
        title=f"searches: {size.points:,} crossovers on {len(studies.market.bars):,} bars of "
        f"{studies.market.bars.symbol}; pasts; compare",
        figures=(
            Figure(
                "top",
                f"TPE, {size.trials} trials: share of the grid that is better than its best, "
                f"median of {size.seeds} seeds",
                median(one["better_pct"] for one in found),
                "%",
                Goal("at most", TOP),
            ),
            Figure(
                "driver",
                "TPE, CPU of the driver beside backtests, a trial",
                median(one["milliseconds"] for one in found),
                "ms",
                Goal("under", 3.0),
            ),
            Figure(
                "search_seconds", "the search as a study, all in all", searched, "s", Goal("under", whole)
            ),
            Figure("grid_seconds", "the grid as a study, all in all", whole, "s"),
            Figure("pays", "points of a grid from which the search pays", size.small**2 + pays),
            Figure(
                "pasts",
                f"{size.pasts:,} resampled pasts × {size.side**2} configurations / plain sweep",
                pasts["ratio"],
                "x",
                Goal("at least", 0.3),
            ),
            Figure("pasts_rate", "configuration-bars over pasts, one worker", pasts["rate"], "bars/s"),
            Figure("plain_rate", "of as many without pasts", pasts["plain"], "bars/s"),
            Figure("pasts_peak", "peak memory of the worker over pasts", pasts["peak_mb"], "MB"),
            Figure("failed", "backtests that failed", pasts["failed"], "", Goal("exactly", 0)),
            Figure("compare_seconds", "whatif compare, a process", median(compared), "s", Goal("under", 3.0)),
        ),
        notes=_NOTES,
        detail={"seeds": found, "seconds": studies.seconds, "compared": compared, "pasts": pasts},
    )


class _Studies:
    """Studies of crossovers as processes, each in a lake of its own that holds the bars."""

    def __init__(self, setting: Setting, folder: Path, size: _Size) -> None:
        self.setting, self.folder, self.size = setting, folder, size
        self.seconds: dict[str, float] = {}
        self.market = self._lake("grid")

    def _lake(self, name: str) -> BenchMarket:
        home = LakeLocation(self.folder / name)
        return load_market(None, home, self.setting.file, self.setting.options.most_bars)

    def run(self, name: str, search: str, side: int = 0) -> Path:
        """Run the study of some points on each side, or all of them, and note its seconds."""
        if name != "grid":
            self._lake(name)
        self.setting.say(f"search: study {name}")
        path = self.write(name, search, side)
        started = time.perf_counter()
        self.command(name, "run", path)
        self.seconds[name] = time.perf_counter() - started
        return path

    def write(self, name: str, search: str, side: int = 0) -> Path:
        """Write a study and return its file."""
        bars, size = self.market.bars, self.size
        first, last = (EPOCH + timedelta(days=int(day)) for day in (bars.session[0], bars.session[-1]))
        text = _STUDY.format(
            name=name,
            symbol=bars.symbol,
            exchange=self.market.exchange,
            start=first,
            end=last + timedelta(days=1),
            fast=_closed(size.fast, side),
            slow=_closed(size.slow, side),
            search=search,
        )
        path = self.folder / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    def command(self, name: str, *arguments: str | Path) -> None:
        """Run a command of whatif to its end, on a study's lake."""
        self.setting.run_child(["-c", MAIN, *arguments], self.folder / name)


def _closed(steps: tuple[int, int, int], count: int = 0) -> tuple[int, int, int]:
    """Return first, last and step of a range, of all its values or of some of them, evenly spaced."""
    first, stop, step = steps
    wider = step * (len(range(*steps)) // count) if count else step
    values = range(first, stop, wider)[: count or None]
    return values[0], values[-1], wider


def _tpe(trials: int, seed: int) -> str:
    return f"{{kind: optuna, sampler: tpe, trials: {trials}, seed: {seed}}}"


def _searched(setting: Setting, size: _Size, studies: _Studies) -> list[dict[str, float]]:
    """Run grids and a search as studies; return what the search finds in the grid, for each seed."""
    grid = studies.run("grid", "{kind: grid}")
    studies.run("small", "{kind: grid}", size.small)
    studies.run("tpe", _tpe(size.trials, 0))
    studies.command("grid", "leaderboard", grid, "--csv", studies.folder / "grid.csv")
    known = pd.read_csv(studies.folder / "grid.csv", dtype={"config_id": str}).set_index("config_id")
    setting.say(f"search: {size.seeds} seeds of TPE on the known grid")
    return [_found(studies, size.trials, seed, known) for seed in range(size.seeds)]


def _found(studies: _Studies, trials: int, seed: int, known: pd.DataFrame) -> dict[str, float]:
    """Return how much of a known grid is better than a search's best, and what the driver took a trial."""
    checked = check_study(load_study(studies.write("asked", _tpe(trials, seed))), runs=False)
    told: list[str] = []

    def make(points: Sequence[PointIndex], _: Collection[int]) -> Mapping[int, Any]:
        return {1: make_grid(checked.space, points, lambda *_: {})}

    def evaluate(grids: Mapping[int, Any]) -> list[tuple[int, pd.DataFrame]]:
        asked = [one.config_id for one in grids[1].configurations]
        told.extend(asked)
        return [(1, known.loc[asked].reset_index().assign(window="validate"))]

    started = time.process_time()
    run_rounds(checked.space, make, evaluate)
    seconds = time.process_time() - started
    values = known[checked.study.objective].to_numpy()
    best = np.nanmax(known.loc[told, checked.study.objective])
    return {
        "seed": seed,
        "trials": len(told),
        "better_pct": 100.0 * float(np.sum(values > best)) / len(values),
        "milliseconds": 1000.0 * seconds / len(told),
    }


def _pasts(setting: Setting, size: _Size, market: BenchMarket) -> dict[str, float]:
    """Time a worker over resampled pasts, and over as many configurations without them."""
    setting.say(f"search: {size.pasts:,} pasts")
    axis = SEAM.find(HISTORY).model_validate({"name": "past", "values": tuple(range(1, size.pasts + 1))})
    assert isinstance(axis, MarketAxis)
    side = size.side
    (one,) = sweep.crossovers(market, range(5, 5 + side), range(110, 110 + 10 * side, 10), len(market.bars))
    changes = [change_of(axis, k) for k in axis.values]
    many = [
        replace(found, config_id=digest({"plain": found.config_id, "past": k}), market=(change,))
        for k, change in zip(axis.values, changes, strict=True)
        for found in one.configurations
    ]
    # as many, of which each indicator serves as many as in a sweep
    width = max(1, round(len(many) ** 0.5))
    slow = range(110, 110 + width)
    plain = sweep.crossovers(market, range(5, 5 + len(many) // width), slow, len(market.bars))
    before = _worker(setting, market, "plain", plain)
    after = _worker(setting, market, "pasts", [replace(one, configurations=tuple(many))])
    return {
        "ratio": after["rate"] / before["rate"],
        "rate": after["rate"],
        "plain": before["rate"],
        "peak_mb": after["peak_mb"],
        "failed": before["failed"] + after["failed"],
    }


def _worker(
    setting: Setting, market: BenchMarket, name: str, pending: Sequence[Pending]
) -> Mapping[str, float]:
    """Evaluate configurations in a worker of one process; return its counts, and bars a second."""
    home = setting.location.home
    plan = sweep.sweep_plan(market, name, sweep.COMPILED)
    items = [item.to_json() for item in work_items(pending, 1, plan.engine)]
    request, answer = home / f"{name}.pickle", home / f"{name}.json"
    request.write_bytes(pickle.dumps((plan, items)))
    setting.run_child(["-m", "whatif.bench.probe", "worker", request, answer])
    found = json.loads(answer.read_text(encoding="utf-8"))
    return {**found, "rate": found["rows"] * len(market.bars) / found["seconds"]}


def _compared(setting: Setting, studies: _Studies) -> float:
    """Return the seconds of a comparison of two configurations of the small grid."""
    table, study = studies.folder / "small.csv", studies.folder / "small.yaml"
    if not table.is_file():
        studies.command("small", "leaderboard", study, "--csv", table)
    best, *_, last = pd.read_csv(table, dtype={"config_id": str})["config_id"]
    started = time.perf_counter()
    studies.command("small", "compare", f"{study}#{best}", f"{study}#{last}")
    return time.perf_counter() - started
