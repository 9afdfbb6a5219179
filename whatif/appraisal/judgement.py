"""Judgement on returns that others made, by the evidence of a study's verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from whatif.appraisal.files import Returns, read_returns
from whatif.domain import YEAR_US
from whatif.errors import StatisticsError, nearest
from whatif.report import Judgement
from whatif.stats import RETURN_OBJECTIVES, Evidence, Verdict, measure
from whatif.stats import judge as judge_evidence

SESSIONS_A_YEAR = 252.0
"""Periods in a year where no times are given."""


@dataclass(frozen=True)
class Given:
    """What is said of returns.

    Attributes
    ----------
    trials : int or None
        Configurations that were tried in all; as many as there are columns of returns if None.
    chosen : str
        Column of the one that was chosen; the best by the objective, before the test window, if "".
    market : str
        Column of what holding the market returned; "" for none.
    test : str
        Where a window begins that had no part in the choice: an instant or date of the times, or a share of
        the rows from 0 to 1; "" if there is none.
    objective : str
        What chose: "sharpe", "sortino" or "return_pct".
    periods_per_year : float or None
        Annualises ratios; told by the times if None, and 252 without any.
    equity : bool
        Whether columns are levels of an account, and not returns.
    seed : int
        Of all bootstraps.
    """

    trials: int | None = None
    chosen: str = ""
    market: str = ""
    test: str = ""
    objective: str = "sharpe"
    periods_per_year: float | None = None
    equity: bool = False
    seed: int = 0


def judge(returns: Any, trials: int | None = None, metric: str = "return", **said: Any) -> Verdict:
    """Judge returns that others made, as a study's are judged.

    Parameters
    ----------
    returns : DataFrame, Series, array, path, list of paths, or "mlflow:EXPERIMENT"
        Simple returns of each period as fractions, oldest first: a column for each configuration that was
        tried. A column, or an index, of times is told by its type, or its name (`ts`, `time`, `date`, ...).
        Files are CSV, Parquet, backtesting.py's equity curves, what vectorbt's frames are written as, and
        Lean's results, one backtest each or many; also backtesting.py's result and vectorbt's portfolio.
    trials : int, optional
        How many were tried in all, if there were more than there are columns.
    metric : str
        Of an experiment: what its runs call the return of a period.
    **said
        Further fields of `Given`: chosen, market, test, objective, periods_per_year, equity, seed.

    Returns
    -------
    Verdict
        `.word`, `.reasons`, `.changes`, `.figures`.

    Raises
    ------
    StatisticsError
        If something is no return, naming the column and the row, or does not fit.
    """
    return appraise(read_returns(returns, metric), Given(trials, **said))[1].verdict


def appraise(returns: Any, given: Given) -> tuple[str, Judgement]:
    """Return the name of what was chosen, and the judgement on it; see `judge`."""
    read = read_returns(returns)
    market_name = given.market or read.market
    frame, times = read.frame, read.times
    if given.equity or read.equity:
        frame, times = _changes(frame), None if times is None else times[1:]
    _check_returns(frame)
    if market_name and market_name not in frame:
        raise StatisticsError(
            f"market {market_name!r} is no column: {nearest(market_name, list(frame.columns))}"
        )
    tried = frame.drop(columns=[market_name] if market_name else [])
    if not len(tried.columns):
        raise StatisticsError("there is a column of the market alone: give one of returns to judge beside it")
    cut = _cut(given.test, times, len(frame))
    per_year = _per_year(given, times)
    chosen = _chosen(given, tried.iloc[:cut], per_year)
    count = _count(given, len(tried.columns), read)
    market = frame[market_name].to_numpy(dtype=np.float64) if market_name else None
    evidence = Evidence(
        tried=tried.iloc[:cut].to_numpy(dtype=np.float64),
        chosen=list(tried.columns).index(chosen),
        objective=given.objective,
        periods_per_year=per_year,
        markets=None if market is None else market[:cut, None],
        test=tried[chosen].to_numpy(dtype=np.float64)[cut:] if cut < len(frame) else None,
        test_market=None if market is None or cut == len(frame) else market[cut:],
        trials=count,
        unseen_why="only their number was given",
    )
    looked = 1 if cut < len(frame) else 0
    verdict = judge_evidence(evidence, seed=given.seed)
    return chosen, Judgement(verdict, "given", count, looks=looked, openings=looked)


def _check_returns(frame: pd.DataFrame) -> None:
    if len(frame) < 2:
        raise StatisticsError(f"there are {len(frame)} rows: give two periods at least")
    for name in frame.columns:
        values = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise StatisticsError(
                f"column {name!r} has no number in row {bad[0] + 1} ({len(bad):,} in all): a period without "
                "a position returns 0"
            )
        low = np.flatnonzero(values <= -1.0)
        if len(low):
            raise StatisticsError(
                f"column {name!r} holds {values[low[0]]:g} in row {low[0] + 1}, which loses everything: give "
                "simple returns as fractions (0.01 is 1 %), or equity with --equity"
            )
        if np.median(np.abs(values)) > 0.5:
            raise StatisticsError(
                f"column {name!r} moves by {100 * np.median(np.abs(values)):,.0f} % in half of its periods, "
                "as percents or equity would: give fractions (0.01 is 1 %), or equity with --equity"
            )


def _cut(test: str, times: pd.DatetimeIndex | None, rows: int) -> int:
    """Return the row at which the test window begins, `rows` without one."""
    if not test:
        return rows
    try:
        share: float | None = float(test)
    except ValueError:
        share = None
    if share is not None:
        if not 0.0 < share < 1.0:
            raise StatisticsError(f"test = {test!r} must be a share of the rows between 0 and 1, or a date")
        return rows - max(1, round(share * rows))
    if times is None:
        raise StatisticsError(
            f"test = {test!r} is a date, and the rows have no times: give a share such as 0.3"
        )
    try:
        begin = pd.Timestamp(test)
    except ValueError as error:
        raise StatisticsError(f"test = {test!r} is neither a share nor a date such as 2024-01-02") from error
    zone = times.tz
    begin = begin.tz_localize(zone) if zone is not None and begin.tzinfo is None else begin
    begin = begin.tz_convert(None) if zone is None and begin.tzinfo is not None else begin
    cut = int(times.searchsorted(begin))
    if not 0 < cut < rows:
        raise StatisticsError(
            f"test = {test!r} is not inside of {times[0]} to {times[-1]}: no row is on one side of it"
        )
    return cut


def _per_year(given: Given, times: pd.DatetimeIndex | None) -> float:
    if given.periods_per_year is not None:
        if not 0.0 < given.periods_per_year < 1e9:
            raise StatisticsError(f"periods_per_year = {given.periods_per_year!r} must be a number above 0")
        return float(given.periods_per_year)
    if times is None:
        return SESSIONS_A_YEAR
    span = (times[-1] - times[0]).total_seconds() * 1e6 / YEAR_US
    return (len(times) - 1) / span


def _chosen(given: Given, tried: pd.DataFrame, per_year: float) -> str:
    if given.objective not in RETURN_OBJECTIVES:
        known = nearest(given.objective, RETURN_OBJECTIVES)
        raise StatisticsError(f"objective {given.objective!r} cannot be told of returns: {known}")
    if given.chosen:
        if given.chosen not in tried:
            raise StatisticsError(
                f"chosen {given.chosen!r} is no column: {nearest(given.chosen, list(tried.columns))}"
            )
        return given.chosen
    values = measure(tried.to_numpy(dtype=np.float64).T, given.objective, per_year)
    best = int(np.nanargmax(values)) if not np.isnan(values).all() else 0
    return str(tried.columns[best])


def _count(given: Given, columns: int, read: Returns) -> int:
    if given.trials is None:
        return max(columns, read.trials)
    if given.trials < columns:
        raise StatisticsError(
            f"trials = {given.trials} and there are {columns} columns of returns: each is a trial, so there "
            "were as many at least"
        )
    return given.trials


def _changes(frame: pd.DataFrame) -> pd.DataFrame:
    wrong = next((name for name in frame.columns if not bool((frame[name] > 0).all())), None)
    if wrong is not None:
        raise StatisticsError(f"column {wrong!r} is no equity: every level is above 0, and none is missing")
    return (frame / frame.shift(1) - 1.0).iloc[1:].reset_index(drop=True)
