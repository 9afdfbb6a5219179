"""Calibration without lake and Spark: studies judged, and planted edges measured, on the engine's returns."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from whatif.calendars import make_periods
from whatif.calibrate.markets import (
    EXCHANGE,
    HORIZON,
    KINDS,
    SHARE,
    STRATEGY,
    Kind,
    Market,
    Size,
    is_planted,
    sample_market,
    study_of,
    sweep_of,
)
from whatif.calibrate.outcomes import Outcome, flat, key_of
from whatif.domain import (
    MINUTE_US,
    Bars,
    Execution,
    Overlays,
    account_metrics,
    period_rows,
    resample,
    sharpe,
    timeframe_us,
)
from whatif.engines import RunInputs, WindowInputs, bars_of_frame, get_engine
from whatif.errors import RunError, StrategyError
from whatif.resolve import Checked, check_study, run_rounds
from whatif.results import Grid
from whatif.search import PointIndex, make_grid, rank_rows
from whatif.sources import generate, sample_schedule
from whatif.splits import Window
from whatif.stats import Evidence, FirstBar, Holding, Verdict, judge
from whatif.strategies import StrategySpec, resolve
from whatif.typing import FloatArray, IntArray
from whatif.workflow import SEED

EDGE_SEED = 555_000
"""Of the markets that edges are measured on, apart from those of calibration."""
YEAR = Size(sessions=252)
YEARS = 20


@dataclass(frozen=True, eq=False)
class Swept:
    """What came of a study on one market.

    Attributes
    ----------
    returns : float64 array (periods, configurations)
        On validate.
    chosen : int
        Column that came first.
    params : mapping
        Its parameters.
    validate, test : mapping
        Its metrics.
    test_returns : float64 array (test periods,)
        Its returns there.
    """

    returns: FloatArray
    chosen: int
    params: dict[str, Any]
    validate: dict[str, Any]
    test: dict[str, Any]
    test_returns: FloatArray


def judge_offline(market: Market, size: Size) -> Outcome:
    """Return the outcome of a market.

    What `whatif calibrate` does through lake and Spark, on the same bars, windows, engine and
    statistics; one look at the test window counts, the study's own.
    """
    started = time.perf_counter()
    (bars,) = bars_of_frame(generate(sample_market([market], size), market.name), EXCHANGE)
    study = check_study(study_of(market, size), runs=False)
    if study.study.search.learns:
        # of so few points all are run at once, and the search is told what it asks for
        swept = _sweep(check_study(study_of(market, replace(size, search="grid")), runs=False), bars, study)
    else:
        swept = _sweep(study, bars)
    others = (
        _others(study, check_study(sweep_of(market, size), runs=False), bars) if market.kind.swept else None
    )
    verdict = _verdict(study, bars, swept, others)
    return Outcome(
        key=offline_key(market, size),
        market=market.name,
        kind=market.kind.name,
        seed=market.seed,
        word=str(verdict.word),
        planted=is_planted(swept.params),
        chosen=flat(swept.params),
        validate=flat(swept.validate),
        test=flat(swept.test),
        figures=flat(verdict.figures) if verdict.figures is not None else {},
        seconds=round(time.perf_counter() - started, 3),
    )


def offline_key(market: Market, size: Size) -> str:
    """Return `key_of` an outcome that was judged here."""
    return f"offline-{key_of(market, size)}"


def _windows(study: Checked) -> tuple[Window, Window]:
    fold = study.timeline.last
    if fold.test is None:
        raise RunError(f"study {study.study.study} has no test window")
    return fold.validate[0], fold.test


def _sweep(study: Checked, bars: Bars, searched: Checked | None = None) -> Swept:
    """Run every configuration on validate, and the first of them on test.

    With `searched`, the same study with a search that learns, only what that asks for counts.
    """
    spec, grid = study.strategy, study.grid
    if not isinstance(spec, StrategySpec) or grid is None:
        raise RunError(f"study {study.study.study} is none of a step function without models")
    validate, test = _windows(study)
    given = [RunInputs(c.params, c.execution, c.overlays) for c in grid.configurations]
    window = _window(study, spec, bars, validate, [one.params for one in given])
    engine = get_engine("compiled")
    run = engine.open_for_many(window)
    assert run is not None
    found = run(given)
    for k in np.flatnonzero(~found.good):
        engine.open(window)(given[k])  # which says what is wrong with it
    where = {"symbol": bars.symbol, "status": "ok", "window": validate.name, "error": ""}
    rows = [
        {"config_id": c.config_id, **where, "at": k}
        | {name: column[k] for name, column in found.metrics.items()}
        for k, c in enumerate(grid.configurations)
    ]
    board = pd.DataFrame(rows)
    tried = np.arange(len(rows)) if searched is None else _asked(searched, board)
    best = rank_rows(board.iloc[tried], study.study.objective).iloc[0]
    chosen = grid.configurations[int(best["at"])]
    told = engine.open(_window(study, spec, bars, test))(given[int(best["at"])]).account
    return Swept(
        returns=np.ascontiguousarray(found.returns.T[:, tried]),
        chosen=int(np.flatnonzero(tried == int(best["at"]))[0]),
        params=dict(chosen.params),
        validate=rows[int(best["at"])],
        test={"status": "ok", **account_metrics(told, chosen.execution, study.periods[test.name])},
        test_returns=told.returns,
    )


def _asked(study: Checked, board: pd.DataFrame) -> IntArray:
    """Return the rows that a study's search asks for, in this order, told what stands in them."""
    places = {config_id: k for k, config_id in enumerate(board["config_id"])}
    found: list[int] = []

    def make(points: Sequence[PointIndex], _: Collection[int]) -> Mapping[int, Any]:
        return {1: make_grid(study.space, points, lambda *_: {})}

    def evaluate(grids: Mapping[int, Any]) -> list[tuple[int, pd.DataFrame]]:
        rows = [places[one.config_id] for one in grids[1].configurations]
        found.extend(rows)
        return [(1, board.iloc[rows])]

    run_rounds(study.space, make, evaluate)
    return np.array(found)


def _window(
    study: Checked, spec: StrategySpec, bars: Bars, window: Window, grid: Sequence[Mapping[str, object]] = ()
) -> WindowInputs:
    length = timeframe_us(study.study.data.timeframe)
    traded = bars if length == MINUTE_US else resample(bars, length, MINUTE_US)
    _, stop = window.rows(traded, length)
    periods = study.periods[window.name]
    return WindowInputs([traded.slice(0, stop)], spec, periods, window.start_us, cache={}, grid=grid)


def _others(study: Checked, other: Checked, bars: Bars) -> FloatArray:
    """Return what another study tried, on the periods of this one, (periods, configurations)."""
    validate, theirs = _windows(study)[0], _windows(other)[0]
    grid = Grid((validate.start_us,), (study.periods[validate.name].ends,))
    returns, ends = _sweep(other, bars).returns, other.periods[theirs.name].ends
    placed = [grid.place(theirs.start_us, ends, returns[:, k]) for k in range(returns.shape[1])]
    return np.column_stack([column for column in placed if column is not None])


def _verdict(study: Checked, bars: Bars, swept: Swept, others: FloatArray | None) -> Verdict:
    validate, test = _windows(study)
    own = swept.returns.shape[1]
    return judge(
        Evidence(
            tried=swept.returns,
            chosen=swept.chosen,
            objective=study.study.objective,
            periods_per_year=study.periods[validate.name].per_year,
            markets=_held(study, bars, validate)[:, None],
            test=swept.test_returns,
            test_market=_held(study, bars, test),
            trials=own + (0 if others is None else others.shape[1]),
            others=others,
            trades=float(swept.validate["trades"]),
            test_trades=float(swept.test["trades"]),
            looks=1,
            reach=study.space.searched().allowed_size if study.study.search.learns else 0,
        ),
        seed=SEED,
    )


def _held(study: Checked, bars: Bars, window: Window) -> FloatArray:
    """Return the returns of holding the market, as studies compare with."""
    periods = study.periods[window.name]
    first, _ = window.rows(bars, MINUTE_US)
    ends = period_rows(bars.ts[first:], periods)
    bought = FirstBar.of(bars, first)
    return Holding(bought, bars.close[first:], ends, Execution(), periods).at(1.0).returns


@dataclass(frozen=True)
class EdgeMeasured:
    """The Sharpe ratio that following a planted horizon earns.

    Attributes
    ----------
    kind : Kind
        The market, with the Sharpe ratio that it is named after.
    sharpes : float64 array (repeats,)
        Annual Sharpe ratio of session returns over `YEARS` years, one for each set of random numbers.
    without : float64 array (repeats,)
        The same with the same random numbers and no edge; its expectation is 0.
    """

    kind: Kind
    sharpes: FloatArray
    without: FloatArray

    @property
    def mean(self) -> float:
        """Mean over the repeats."""
        return float(np.mean(self.sharpes))

    @property
    def sharper(self) -> float:
        """Mean over the repeats, less what the same random numbers give without an edge."""
        return float(np.mean(self.sharpes - self.without))

    @property
    def error(self) -> float:
        """Standard error of `mean`: a Sharpe ratio of so many years has about that of one of 0."""
        return float(1.0 / np.sqrt(YEARS * len(self.sharpes)))


def measure_edges(
    repeats: int = 10, say: Callable[[str], None] = lambda _: None, kinds: tuple[Kind, ...] = KINDS
) -> list[EdgeMeasured]:
    """Measure the planted kinds anew, each over `repeats` times `YEARS` simulated years.

    The member of the planted family that is measured is fixed: direction 1, the planted horizon,
    threshold 0. A year is 252 sessions of a market of its own.
    """
    planted = [kind for kind in kinds if kind.edge]
    found: dict[str, list[float]] = {kind.name: [] for kind in planted}
    without: list[float] = []
    for repeat in range(repeats):
        say(f"{YEARS} simulated years, {repeat + 1} of {repeats}")
        without.append(_sharpe(replace(planted[0], edge=0.0), repeat))
        for kind in planted:
            found[kind.name].append(_sharpe(kind, repeat))
    return [EdgeMeasured(kind, np.array(found[kind.name]), np.array(without)) for kind in planted]


def edges_text(measured: list[EdgeMeasured]) -> str:
    """Return the measured Sharpe ratios as a table in Markdown."""
    lines = [
        "| planted edge | named | measured | standard error | less the same years without an edge |",
        "|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {one.kind.edge:g} | {one.kind.sharpe:g} | {one.mean:.2f} | {one.error:.2f} | {one.sharper:.2f} |"
        for one in measured
    ]
    return "\n".join(lines)


def _sharpe(kind: Kind, repeat: int) -> float:
    """Return the annual Sharpe ratio over `YEARS` years of following the planted horizon."""
    spec = resolve(STRATEGY)
    if not isinstance(spec, StrategySpec):
        raise StrategyError(f"strategy {STRATEGY} is no step function")
    params = spec.validate({"direction": 1, "horizon": HORIZON, "threshold": 0.0})
    years = [_year(replace(kind, prefix="Y"), repeat * YEARS + k, spec, params) for k in range(YEARS)]
    return sharpe(np.concatenate([returns for returns, _ in years]), years[0][1])


def _year(
    kind: Kind, number: int, spec: StrategySpec, params: Mapping[str, object]
) -> tuple[FloatArray, float]:
    """Return the session returns of one year, and how many a year there are."""
    market = Market(kind, number, EDGE_SEED)
    made = sample_market([market], YEAR)
    (bars,) = bars_of_frame(generate(made, market.name), EXCHANGE)
    start, end = int(bars.ts[0]), int(bars.ts[-1]) + MINUTE_US
    periods = make_periods("session", sample_schedule(made), start, end, MINUTE_US)
    measure = get_engine("compiled").open(WindowInputs([bars], spec, periods))
    measured = measure(RunInputs(params, Execution(cash=100_000.0), Overlays(percent_of_equity=SHARE)))
    return measured.account.returns, periods.per_year
