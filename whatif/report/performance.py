"""Tear sheet of an account: growth, losses, tails, worst drawdowns and months, beside the market."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from whatif.domain import timestamps
from whatif.errors import WhatIfError
from whatif.report.data import WINDOWS, ReportData
from whatif.report.timeline import NIGHT_US, below_peak, to_us
from whatif.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from whatif.domain import BacktestResult

NAN = float("nan")
TAIL = 0.05
"""Share of the worst days that value at risk is the bound of."""

MOST_DRAWDOWNS = 5
_DAY_US = 86_400_000_000
_YEAR_DAYS = 365.25


@dataclass(frozen=True)
class Figure:
    """One figure of a tear sheet: its key, how it is headed, how it is written, and what it means."""

    key: str
    heading: str
    kind: str
    meaning: str


FIGURES = (
    Figure("days", "Days", "count",
           "Days of the window: its sessions, or dates in UTC where bars know no night."),
    Figure("cagr_pct", "CAGR, % a year", "percent",
           "Growth as if it went on for a year: (end / start) to the power of days a year / days, less 1. "
           "Missing under a quarter of a year, of which no year can be told."),
    Figure("max_drawdown_pct", "Max drawdown, %", "percent",
           "Deepest fall from an earlier peak at any bar's close, as the metric of this name."),
    Figure("calmar", "Calmar", "ratio", "CAGR over the deepest drawdown, both in percent. Young (1991)."),
    Figure("var_pct", "Value at risk, % a day", "percent",
           "Return that the worst 5 % of days stay below: the 5th percentile of what was seen."),
    Figure("cvar_pct", "Conditional VaR, % a day", "percent",
           "Mean return of the worst 5 % of days (expected shortfall)."),
    Figure("tail_ratio", "Tail ratio", "ratio",
           "The 95th percentile of days' returns over the size of the 5th: above 1, good days are larger."),
    Figure("skew", "Skew", "ratio",
           "Skewness of days' returns, of the sample; below 0, bad days are the larger."),
    Figure("kurtosis", "Excess kurtosis", "ratio",
           "Of days' returns, of the sample; 0 for a normal, above it fat tails."),
    Figure("up_capture", "Up capture", "ratio",
           "Growth on days on which the market rose, over the market's on those, both as a year of them."),
    Figure("down_capture", "Down capture", "ratio",
           "The same of days on which the market fell; less is better."),
    Figure("best_day_pct", "Best day, %", "percent", "Highest return of a day."),
    Figure("worst_day_pct", "Worst day, %", "percent", "Lowest return of a day."),
    Figure("days_up", "Days up, %", "fraction", "Share of days with a return above 0."),
)  # fmt: skip
"""Figures in their order."""


@dataclass(frozen=True, eq=False)
class TearSheet:
    """How an account did, day by day, beside the market.

    Attributes
    ----------
    figures : DataFrame
        A row for each of `FIGURES` by its key; columns `strategy` and, where there is one, `market`. Returns
        are of days and not scaled, but for `cagr_pct` and the captures; NaN where one is not defined.
    drawdowns : DataFrame
        The deepest first, at most five: `depth_pct`, `peak`, `trough`, `recovered` (UTC, starts of bars;
        `recovered` is NaT where it has not), `days` (of the calendar, from the peak to that, or to the end).
    months : DataFrame
        Return in percent by year and month, `1` to `12`, NaN where there is no day, and `year` for the
        whole year; months are of days' dates, UTC.
    returns : DataFrame
        Simple return of each day by the start of its last bar (UTC): `strategy` and `market`.
    days_per_year : float
        What scales to a year.
    """

    figures: pd.DataFrame
    drawdowns: pd.DataFrame
    months: pd.DataFrame
    returns: pd.DataFrame
    days_per_year: float

    def __repr__(self) -> str:
        """Say the figures, a line each."""
        figures = self.figures.to_string(float_format="{:,.4g}".format)
        return f"TearSheet, {self.days_per_year:g} days a year\n{figures}"

    def _repr_html_(self) -> str:
        # displays import much that a sheet of numbers does without
        from whatif.report.displays import sheet_html

        return sheet_html(self)


@dataclass(frozen=True, eq=False)
class Account:
    """Values of an account over a window.

    Attributes
    ----------
    ts : int64 array (m,)
        Start of each bar, microseconds UTC, increasing.
    equity : float64 array (m,)
        Value at each bar's close.
    cash : float
        Value before the first bar.
    market : float64 array (m,), optional
        Of the market held long, from `market_cash` on.
    market_cash : float
        Its value before the first bar.
    """

    ts: IntArray
    equity: FloatArray
    cash: float
    market: FloatArray | None = field(default=None)
    market_cash: float = NAN


def tear_sheet(
    equity: BacktestResult | pd.Series,
    market: pd.Series | None = None,
    *,
    cash: float | None = None,
    days_per_year: float | None = None,
) -> TearSheet:
    """Return the tear sheet of a backtest, or of any account.

    Parameters
    ----------
    equity : BacktestResult, or Series by time
        What `whatif.backtest` returned, or the value of an account at each bar's close, by the bar's start
        (tz-aware). Each value is a day's where they lie a day or more apart; else days are sessions, which a
        pause of three hours ends, or dates in UTC where more than 24 hours know no such pause.
    market : Series by time, optional
        Prices or levels to compare with, which hold from one time to the next. Of a backtest, its symbols
        held in equal shares from their first closes, if left out.
    cash : float, optional
        Value before the first bar; of a Series, its first value if left out, and the first day starts there.
    days_per_year : float, optional
        Scales to a year; 252 if left out, 365 where there are days on Saturdays and Sundays, and what the
        spacing says where days lie further apart, as weeks and months do.

    Returns
    -------
    TearSheet

    Raises
    ------
    WhatIfError
        If there is no value, times have no zone, do not increase, or a value is missing; if the market's
        levels are of another time than the account.
    """
    if days_per_year is not None and not days_per_year > 0:
        raise WhatIfError(f"days_per_year {days_per_year:g}: give a number above 0, such as 252")
    if hasattr(equity, "run"):
        account = _account_of_result(cast("BacktestResult", equity), market, cash)
    else:
        account = _account_of_series(cast("pd.Series[Any]", equity), market, cash)
    return sheet_of(account, days_per_year)


def sheet_of(account: Account, days_per_year: float | None = None) -> TearSheet:
    """Return the tear sheet of an account; see `tear_sheet`."""
    last = last_bars(account.ts)
    when = timestamps(account.ts[last])
    per_year = days_per_year or days_a_year(account.ts[last])
    named = {"strategy": (account.equity, account.cash)}
    if account.market is not None:
        named["market"] = (account.market, account.market_cash)
    returns = {name: daily_returns(values[last], cash) for name, (values, cash) in named.items()}
    market = returns.get("market")
    figures = {
        name: _figures(returns[name], market, values, cash, per_year)
        for name, (values, cash) in named.items()
    }
    frame = pd.DataFrame(returns, index=when.rename("day"))
    return TearSheet(
        figures=pd.DataFrame(figures, index=[one.key for one in FIGURES]),
        drawdowns=worst_drawdowns(account.equity, account.ts, account.cash),
        months=monthly(frame["strategy"]),
        returns=frame,
        days_per_year=per_year,
    )


def _account_of_series(equity: pd.Series, market: pd.Series | None, cash: float | None) -> Account:
    ts, values = _series("equity", equity)
    start = float(values[0]) if cash is None else float(cash)
    return _beside(Account(ts, values, start), market)


def _account_of_result(result: BacktestResult, market: pd.Series | None, cash: float | None) -> Account:
    run = result.run
    if cash is not None:
        raise WhatIfError("cash: a backtest knows its own; give it with a Series only")
    if not len(run.ts):
        raise WhatIfError("the backtest's window has no bar, so it has no tear sheet")
    start = float(run.equity[-1]) - float(result.metrics["pnl_net"])
    own = Account(run.ts, run.equity, start)
    return (
        replace(own, market=held_market(run.close), market_cash=1.0)
        if market is None
        else _beside(own, market)
    )


def _beside(account: Account, market: pd.Series | None) -> Account:
    """Return the account with a market's levels at its bars: the last one known, or the first to come.

    It starts at its last level before the account's first bar, or at its first.

    Raises
    ------
    WhatIfError
        If it ends before the account, or begins after it, by more than a week and more than its levels ever
        lie apart: one level would stand in for a market that is not known.
    """
    if market is None:
        return account
    ts, values = _series("market", market)
    apart = max([7 * _DAY_US, *np.diff(ts).tolist()])
    if ts[0] - account.ts[0] > apart or account.ts[-1] - ts[-1] > apart:
        own, theirs = (timestamps(np.array([at[0], at[-1]])).date for at in (account.ts, ts))
        raise WhatIfError(
            f"market: its levels are of {theirs[0]} to {theirs[1]}, and the account is of {own[0]} to "
            f"{own[1]}: give those of the account's time"
        )
    row = np.clip(np.searchsorted(ts, account.ts, side="right") - 1, 0, len(ts) - 1)
    before = max(int(np.searchsorted(ts, account.ts[0], side="left")) - 1, 0)
    return replace(account, market=values[row], market_cash=float(values[before]))


def _series(name: str, given: pd.Series) -> tuple[IntArray, FloatArray]:
    """Return times and values of a Series, or refuse it."""
    if not isinstance(given, pd.Series):
        raise WhatIfError(f"{name}: give a Series by tz-aware time, not a {type(given).__name__}")
    index = given.index
    if not isinstance(index, pd.DatetimeIndex) or index.tz is None:
        raise WhatIfError(f"{name}: give a Series by tz-aware time; its index is of {index.dtype}")
    values = given.to_numpy(dtype=np.float64, na_value=np.nan)
    ts = to_us(index.to_series())
    if not len(ts) or not np.isfinite(values).all() or not (np.diff(ts) > 0).all():
        raise WhatIfError(
            f"{name}: give one value at least, none missing or infinite, by times that increase; of "
            f"{len(ts):,} {int((~np.isfinite(values)).sum()):,} are not a number"
        )
    return ts, values


def held_market(close: FloatArray) -> FloatArray:
    """Return what a unit of money is worth that is held in equal shares of all symbols.

    Parameters
    ----------
    close : float64 array (k, m)
        The last close of each symbol at each bar; NaN before its first bar.

    Returns
    -------
    float64 array (m,)
        Each symbol is bought at its first close; its share stays money until then. Not rebalanced, without
        costs.
    """
    known = np.isfinite(close)
    first = np.take_along_axis(close, known.argmax(axis=1)[:, None], axis=1)
    worth: FloatArray = np.where(known, close / first, 1.0).mean(axis=0)
    return worth


def study_sheets(data: ReportData, name: str = "") -> dict[str, TearSheet]:
    """Return the tear sheets of the chosen configuration, by window; none without an account.

    On the symbol of this name, or on the chosen one.
    """
    symbol = name or next(iter(data.series.symbols), "")
    rows = data.series.equity[data.series.equity["symbol"] == symbol]
    found = {}
    for window in WINDOWS:
        part = rows[rows["window"] == window].sort_values("ts")
        if len(part):
            own, held = (
                part[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in ("equity", "benchmark")
            )
            cash = [_start(data, symbol, window, who, float(values[-1])) for who, values in
                    (("strategy", own), ("buy_and_hold", held))]  # fmt: skip
            found[window] = sheet_of(Account(to_us(part["ts"]), own, cash[0], held, cash[1]))
    return found


def _start(data: ReportData, symbol: str, window: str, who: str, final: float) -> float:
    """Return the value before the window's first bar, from the return that the metrics have."""
    made = data.series.figures.get((symbol, window, who), {}).get("return_pct", NAN)
    return final / (1.0 + made / 100.0) if made > -100.0 else NAN


def last_bars(ts: IntArray) -> IntArray:
    """Return the row of the last bar of each day, int64 array (days,).

    A day ends with a pause of three hours; where more than 24 hours know none, with the date, UTC.
    """
    if not len(ts):
        return np.zeros(0, dtype=np.int64)
    pause = np.diff(ts) > NIGHT_US
    first = ts[np.append(True, pause)]
    end = ts[np.append(pause, True)]
    new = pause if (end - first).max() <= _DAY_US else np.diff(ts // _DAY_US) > 0
    return np.flatnonzero(np.append(new, True))


def days_a_year(days: IntArray) -> float:
    """Return how many days a year has, told by the starts of their last bars: 252, 365, 52.18 weeks, ..."""
    if len(days) < 2:
        return 252.0
    apart = float(np.median(np.diff(days))) / _DAY_US
    if apart >= 4.5:
        return _YEAR_DAYS / apart
    weekday = (days // _DAY_US + 3) % 7  # 1970 began on a Thursday
    return 365.0 if (weekday == 5).any() and (weekday == 6).any() else 252.0


def daily_returns(levels: FloatArray, cash: float) -> FloatArray:
    """Return the simple return of each day, (days,); the first from `cash`, NaN once nothing is left."""
    before = np.append(cash, levels[:-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(before > 0.0, levels / before - 1.0, NAN)


def growth(returns: FloatArray, per_year: float) -> float:
    """Return what returns come to in a year, compounded, a fraction; NaN without any, -1 if all is lost."""
    if not len(returns) or not np.isfinite(returns).all():
        return NAN
    whole = float(np.prod(1.0 + returns))
    return whole ** (per_year / len(returns)) - 1.0 if whole > 0.0 else -1.0


def _figures(
    returns: FloatArray, market: FloatArray | None, values: FloatArray, cash: float, per_year: float
) -> Mapping[str, float]:
    known = returns[np.isfinite(returns)]
    found: dict[str, float] = dict.fromkeys((one.key for one in FIGURES), NAN)
    deepest = abs(float(np.fmin.reduce(below_peak(np.append(cash, values)), initial=0.0)))
    found |= {"days": float(len(returns)), "max_drawdown_pct": deepest}
    if len(known) < 2 or len(known) < len(returns):
        return found
    long = len(known) >= per_year / 4.0  # of less, what it comes to in a year is not told
    year = growth(known, per_year) if long else NAN
    low, high = (float(np.quantile(known, share)) for share in (TAIL, 1.0 - TAIL))
    worst = np.sort(known)[: int((len(known) - 1) * TAIL) + 1]
    found |= {
        "cagr_pct": 100.0 * year,
        "calmar": 100.0 * year / deepest if deepest > 0.0 else NAN,
        "var_pct": 100.0 * low,
        "cvar_pct": 100.0 * float(worst.mean()),
        "tail_ratio": abs(high) / abs(low) if low else NAN,
        "skew": _number(pd.Series(known).skew()),
        "kurtosis": _number(pd.Series(known).kurt()),
        "best_day_pct": 100.0 * float(known.max()),
        "worst_day_pct": 100.0 * float(known.min()),
        "days_up": float((known > 0.0).mean()),
    }
    if long and market is not None and np.isfinite(market).all():
        found |= {
            "up_capture": _capture(returns, market, market > 0.0, per_year),
            "down_capture": _capture(returns, market, market < 0.0, per_year),
        }
    return found


def _number(value: Any) -> float:
    return float(value)


def _capture(returns: FloatArray, market: FloatArray, days: np.ndarray[Any, Any], per_year: float) -> float:
    """Return growth over the market's on some days."""
    theirs = growth(market[days], per_year)
    return growth(returns[days], per_year) / theirs if theirs else NAN


def worst_drawdowns(equity: FloatArray, ts: IntArray, cash: float) -> pd.DataFrame:
    """Return the deepest falls from a peak that do not overlap, see `TearSheet.drawdowns`."""
    columns = ["depth_pct", "peak", "trough", "recovered", "days"]
    if not len(ts) or not np.isfinite(equity).all():
        return pd.DataFrame(columns=columns)
    # the cash before the first bar is the first peak; its time is the first bar's
    levels, stamps = np.append(cash, equity), np.append(ts[0], ts)
    below = below_peak(levels)
    starts = np.flatnonzero((below[1:] < 0.0) & (below[:-1] == 0.0))
    ends = np.append(np.flatnonzero((below[1:] == 0.0) & (below[:-1] < 0.0)) + 1, len(levels))[: len(starts)]
    rows = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        low = start + int(np.argmin(below[start:end]))
        until = min(end, len(levels) - 1)
        rows.append((-float(below[low]), start, low, end, (stamps[until] - stamps[start]) / _DAY_US))
    rows.sort(key=lambda row: (-row[0], row[1]))
    when = [
        (depth, _at(stamps, start), _at(stamps, low), _at(stamps, end), days)
        for depth, start, low, end, days in rows[:MOST_DRAWDOWNS]
    ]
    return pd.DataFrame(when, columns=columns)


def _at(stamps: IntArray, row: int) -> pd.Timestamp | None:
    return timestamps(stamps[row : row + 1])[0] if row < len(stamps) else None


def monthly(returns: pd.Series) -> pd.DataFrame:
    """Return daily returns compounded by month and year, in percent; see `TearSheet.months`."""
    days = pd.DatetimeIndex(returns.index)
    grown = (1.0 + returns).groupby([days.year, days.month]).prod() - 1.0
    table = grown.unstack().reindex(columns=range(1, 13))
    table["year"] = (1.0 + returns).groupby(days.year).prod() - 1.0
    table.index.name, table.columns.name = "year", "month"
    return 100.0 * table
