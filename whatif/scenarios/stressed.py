"""Stress of a choice: later, dearer, beside its neighbours, and in pasts that did not happen."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from whatif.axes import MarketAxis, Parameter, read_axes
from whatif.domain import Execution, max_drawdown
from whatif.errors import StudyError, WhatIfError
from whatif.pins import LakeLocation
from whatif.report import Progress
from whatif.runner import Plan
from whatif.scenarios.page import page_of
from whatif.scenarios.side import FIGURES, Outcome, Side, in_window, run_in, side_of
from whatif.search import Configuration, change_of
from whatif.study import Study
from whatif.tracking import finish, log, log_files, start_study_run
from whatif.typing import FloatArray

HISTORIES = 100
"""Pasts that are drawn, if it is not said how many."""

MAX_HISTORIES = 10_000

ORDERS = 1_000
"""Orders that the trades are put into."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of what the pasts give, and of the fan of their equity."""

DOUBLED = (
    *("commission", "slippage", "slippage_fixed", "interest", "per_order", "per_unit", "fraction", "maker"),
    *("taker", "minimum", "maximum", "maximum_fraction", "exchange_per_unit", "exchange_fraction"),
    *("buy_per_unit", "buy_fraction", "sell_per_unit", "sell_fraction", "spread_ticks", "range_slippage"),
    "impact",
)
"""Keys of an execution, and of its costs, that are money or a share of it."""


@dataclass(frozen=True, eq=False)
class Stress:
    """What becomes of a choice under stress, on the window that it was ranked on.

    Attributes
    ----------
    name, window : str
        The study and its configuration, and from when to when.
    scenarios : DataFrame
        One row for each: scenario, `FIGURES`, and why it could not run or ""; the first is the choice itself.
    histories : DataFrame
        `FIGURES` of each past.
    fan : DataFrame
        Quantiles, by column, of the pasts' equity of a unit of cash after each period.
    probability_of_loss : float
        Share of the pasts in which it loses money; NaN without any.
    drawdown : mapping of float to float
        Quantiles of the deepest fall in the pasts, percent.
    shuffled : float64 array (orders,)
        Deepest fall, percent, in each other order of its closed trades; empty of fewer than two.
    break_even : float
        Fraction of the traded value that would take all of the net profit, beside the costs that there are;
        negative if there is a loss, NaN if nothing was traded.
    """

    name: str
    window: str
    scenarios: pd.DataFrame
    histories: pd.DataFrame
    fan: pd.DataFrame
    probability_of_loss: float
    drawdown: Mapping[float, float]
    shuffled: FloatArray
    break_even: float

    @property
    def sentences(self) -> tuple[str, ...]:
        """What it comes to, in words."""
        said = [_break_even(1e4 * self.break_even)]
        if len(self.histories):
            deep = ", ".join(f"{share:.0%} {value:.2f}" for share, value in self.drawdown.items())
            lost = 100 * self.probability_of_loss
            said.append(f"Of {len(self.histories):,} resampled pasts it loses money in {lost:.0f} %")
            said.append(f"Quantiles of the deepest fall there, in percent: {deep}")
        if len(self.shuffled):
            half, most = np.quantile(self.shuffled, [0.5, 0.95])
            said.append(
                f"In {len(self.shuffled):,} other orders of its trades the deepest fall is {half:.2f} % in "
                f"half of them, and more than {most:.2f} % in one of twenty"
            )
        return tuple(said)

    @property
    def metrics(self) -> dict[str, float]:
        """Return it as numbers, by the names that MLflow shows; those that are defined."""
        told = {"break_even": self.break_even, "probability_of_loss": self.probability_of_loss}
        told |= {f"drawdown_{share:.0%}".replace("%", "pct"): fall for share, fall in self.drawdown.items()}
        if len(self.shuffled):
            told["shuffled_drawdown_95pct"] = float(np.quantile(self.shuffled, 0.95))
        for row in self.scenarios.to_dict("records"):
            name = re.sub(r"[^a-z0-9]+", "_", str(row["scenario"]).lower()).strip("_")
            told[f"{name}.pnl_net"] = row["pnl_net"]
            told[f"{name}.sharpe"] = row["sharpe"]
        return {f"stress.{name}": value for name, value in told.items() if np.isfinite(value)}

    def html(self) -> str:
        """Return a page of it, whole in itself."""
        tables = [("Scenarios", self.scenarios, False), ("Resampled pasts", self.histories.describe(), True)]
        return page_of(f"Stress of {self.name}", self.window, self.sentences, self.fan, tables)


def stress(
    study: Study | str | Path,
    location: LakeLocation | None = None,
    histories: int = HISTORIES,
    mean_block: float = 60.0,
    seed: int = 0,
    console: Console | None = None,
    track: bool = False,
) -> Stress:
    """Run what a study chose under a stated set of stresses.

    One bar of latency more, costs doubled, volatility halved and raised by half, one bar in a hundred
    missing, each neighbour on the study's axes of numbers, pasts resampled by the stationary
    bootstrap, and its trades in other orders. All on the validate window: the test window is not opened.

    Parameters
    ----------
    study : Study, str or Path
        A study that ran; of a path, `path#config_id` names another configuration than the chosen one.
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.
    histories : int
        Pasts that are drawn.
    mean_block : float
        Mean length of a block, in bars of the lake.
    seed : int
        Of the draws.
    console : Console, optional
        Where progress is shown.
    track : bool
        Log it to the study's run in MLflow: numbers as `stress.*`, and the page.

    Raises
    ------
    RunError
        If the study is not finished, or chose nothing.
    StudyError
        If it trades a model, whose predictions are of the bars that were; or a number is out of bounds.
    """
    if not 0 <= histories <= MAX_HISTORIES:
        raise StudyError(f"histories = {histories} must be a whole number from 0 to {MAX_HISTORIES:,}")
    where = location or LakeLocation.from_environment()
    side = side_of(study, where)
    if histories and side.configuration.model is not None:
        raise StudyError(
            f"{side.name} trades model {side.configuration.model!r}, which predicts from the bars that the "
            "lake holds: take --histories 0"
        )
    axis = _axis("stationary_bootstrap", values=[0], mean_block=mean_block, seed=seed)
    plan = in_window(side, side.window, side.periods)
    scenarios = list(_scenarios(side))
    base = run_in(plan, side.configuration, side.groups)
    count, bars = len(scenarios) + histories, _bars(side)
    bar = Progress(count, float(count * bars), console=console) if console else None
    rows: list[dict[str, Any]] = [{"scenario": "as chosen", **base.figures, "error": ""}]
    pasts = []
    with bar or nullcontext():
        for k in range(count):
            if k < len(scenarios):
                name, configuration = scenarios[k]
                rows.append({"scenario": name, **_tried(plan, configuration, side)})
            else:
                market = (*side.configuration.market, change_of(axis, k - len(scenarios) + 1))
                past = run_in(plan, replace(side.configuration, market=market), side.groups)
                pasts.append((past.figures, past.returns))  # its runs are let go: there may be thousands
            if bar is not None:
                bar.advance(1, float(bars), 0)
    found = _stress(side, base, rows, pasts, seed)
    if track:
        _log(found, side, where)
    return found


def _log(found: Stress, side: Side, location: LakeLocation) -> None:
    """Log it to the study's run: what it is called names the configuration, if it is not the chosen one."""
    resolved = side.resolved
    run = start_study_run(location, resolved.study.study, resolved.identity, {"stress.of": found.name})
    log(run, metrics=found.metrics)
    with TemporaryDirectory() as folder:
        page = Path(folder) / "stress.html"
        page.write_text(found.html(), encoding="utf-8")
        log_files(run, [page])
    finish(run)


def _stress(
    side: Side,
    base: Outcome,
    rows: list[dict[str, Any]],
    pasts: list[tuple[dict[str, float], FloatArray]],
    seed: int,
) -> Stress:
    histories = pd.DataFrame([figures for figures, _ in pasts], columns=list(FIGURES))
    equity = np.array([np.cumprod(1.0 + returns) for _, returns in pasts])
    fan = {f"{share:.0%}": _quantiles(equity, share) for share in QUANTILES} if pasts else {}
    deep = histories["max_drawdown_pct"].to_numpy(dtype=np.float64)
    return Stress(
        name=side.name,
        window=str(side.window),
        scenarios=pd.DataFrame(rows, columns=["scenario", *FIGURES, "error"]),
        histories=histories,
        fan=pd.DataFrame(fan),
        probability_of_loss=float((histories["pnl_net"] < 0).mean()) if pasts else float("nan"),
        drawdown={share: float(np.quantile(deep, share)) for share in QUANTILES} if pasts else {},
        shuffled=_shuffled(base, side, seed),
        break_even=base.figures["pnl_net"] / base.traded if base.traded else float("nan"),
    )


def _shuffled(base: Outcome, side: Side, seed: int) -> FloatArray:
    """Return the deepest fall, percent, of the money that the trades make in each of `ORDERS` orders."""
    profits = base.trades["pnl_net"].to_numpy(dtype=np.float64)
    if len(profits) < 2:
        return np.empty(0)
    cash, chance = side.configuration.execution.cash * len(side.groups), np.random.default_rng(seed)
    return np.array([max_drawdown(_account(cash, chance.permutation(profits)))[0] for _ in range(ORDERS)])


def _account(cash: float, profits: FloatArray) -> FloatArray:
    """Return money after each trade, and before the first."""
    return np.asarray(cash + np.concatenate(([0.0], np.cumsum(profits))))


def _quantiles(equity: FloatArray, share: float) -> FloatArray:
    return np.asarray(np.quantile(equity, share, axis=0))


def _bars(side: Side) -> int:
    """Return the bars of the window, of all symbols that are traded."""
    counts, window = side.resolved.window_bars, side.window.name
    return sum(counts[symbol, window] for group in side.groups for symbol in group)


def _tried(plan: Plan, configuration: Configuration | WhatIfError, side: Side) -> dict[str, Any]:
    """Return the figures of a scenario, or why it cannot run."""
    try:
        if isinstance(configuration, WhatIfError):
            raise configuration
        return {**run_in(plan, configuration, side.groups).figures, "error": ""}
    except WhatIfError as error:
        return {**dict.fromkeys(FIGURES, float("nan")), "error": str(error)}


def _scenarios(side: Side) -> Iterator[tuple[str, Configuration | WhatIfError]]:
    """Yield what the choice is put to."""
    one = side.configuration
    later = replace(one.overlays, latency=(one.overlays.latency or 0) + 1)
    yield "one more bar of latency", replace(one, overlays=later)
    yield "double costs", replace(one, execution=doubled(one.execution))
    if one.model is None:
        for name, shock in SHOCKS.items():
            axis = _axis("shock", values=[shock])
            yield name, replace(one, market=(*one.market, change_of(axis, axis.values[0])))
    yield from _neighbours(side)


SHOCKS: Mapping[str, Mapping[str, Any]] = {
    "volatility halved": {"volatility": 0.5},
    "volatility raised by half": {"volatility": 1.5},
    "1 % of the bars missing": {"missing": 0.01},
}
"""Markets that it is put to."""


def _break_even(points: float) -> str:
    """Return in words what costs may grow by; `points` of a ten thousandth of what was traded."""
    if math.isnan(points):
        return "Break-even cost: not known, as nothing was traded"
    if points < 0.0:
        lost = f"it loses {-points:,.2f} basis points of the traded value with those it has"
        return f"Break-even cost: none, {lost}"
    return f"Break-even cost: {points:,.2f} basis points of the traded value more than it has"


def doubled(execution: Execution) -> Execution:
    """Return an execution whose costs are twice as high."""
    costs = execution.costs
    if costs is not None:
        costs = replace(costs, **_twice(costs))
        if costs.tiers:
            costs = replace(costs, tiers=tuple(replace(tier, **_twice(tier)) for tier in costs.tiers))
    return replace(execution, costs=costs, **_twice(execution))


def _twice(given: Any) -> dict[str, Any]:
    names = [f.name for f in fields(given) if f.name in DOUBLED and getattr(given, f.name) is not None]
    return {name: 2.0 * getattr(given, name) for name in names}


def _neighbours(side: Side) -> Iterator[tuple[str, Configuration | WhatIfError]]:
    """Yield the configurations one value away on an axis of numbers that is a parameter."""
    one, space = side.configuration, side.resolved.checked.space
    for name, axis in space.axes.items():
        numbers = [v for v in axis.values if isinstance(v, (int, float)) and not isinstance(v, bool)]
        if (
            not isinstance(axis, Parameter)
            or len(numbers) < len(axis.values)
            or one.params[name] not in numbers
        ):
            continue
        ordered = sorted(numbers)
        at = ordered.index(one.params[name])
        for k in (at - 1, at + 1):
            if 0 <= k < len(ordered):
                said = f"{name} {ordered[k]:g} in place of {ordered[at]:g}"
                try:
                    params = space.strategy.validate({**one.params, name: ordered[k]})
                except WhatIfError as error:
                    yield said, error
                else:
                    yield said, replace(one, params=params)


def _axis(kind: str, **keys: Any) -> MarketAxis:
    (found,) = read_axes({kind: {"kind": kind, **keys}}).values()
    assert isinstance(found, MarketAxis)
    return found
