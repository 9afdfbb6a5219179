"""Regimes: what the choice earned in calm and in volatile markets, by hour, weekday and year."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from whatif.report.data import WINDOWS, ReportData
from whatif.report.timeline import NIGHT_US, to_us
from whatif.typing import FloatArray, IntArray

VOLATILITY_SESSIONS = 10
"""Sessions whose returns a volatility is of."""

TREND_SESSIONS = 20
"""Sessions whose closes a trend is told by."""

UNKNOWN = "not known yet"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
COLUMNS = ("window", "by", "regime", "bars", "exposure", "return_pct", "market_pct", "t", "trades", "pnl_net")
_HOUR_US = 3_600_000_000


def regimes(data: ReportData) -> pd.DataFrame:
    """Return what the chosen configuration earned on its symbol, by regime.

    Returns
    -------
    pandas.DataFrame
        `window`; `by`, what tells regimes apart: volatility, trend, hour, weekday, year; `regime`; `bars`;
        `exposure`, the share of them with a position at the close; `return_pct`, what the account earned in
        these bars, compounded, and `market_pct`, what the market did; `t`, mean over standard error of the
        account's return in a bar; `trades` that were opened in them, and `pnl_net`, their net profit. No row
        without bars or an account.

    Notes
    -----
    Regimes are known when a session opens: *volatility* is that of the returns of the 10 sessions before,
    "high" above the median of all such values up to then; *trend* is "up" where the last session closed at or
    above the mean close of the 20 before. A session ends with a pause of three hours. The *hour* counts from
    the session's first bar; weekday and year are those of its first bar, UTC.
    """
    symbol = data.series.chosen.get("symbol")
    found = []
    equity, bars, trades = (
        frame if symbol is None else frame[frame["symbol"] == symbol]
        for frame in (data.series.equity, data.series.bars, data.series.trades)
    )
    symbols = bars["symbol"].unique()
    if len(symbols) == 1 and len(equity):
        told = _told(bars)
        for window in (name for name in WINDOWS if (equity["window"] == name).any()):
            own, there, made = (frame[frame["window"] == window] for frame in (equity, bars, trades))
            found += list(_rows(window, own, there, made, told))
    return pd.DataFrame(found, columns=list(COLUMNS))


def _told(bars: pd.DataFrame) -> pd.DataFrame:
    """Return the regimes of each bar, by its start; windows go on from each other in time."""
    bars = bars.sort_values("ts", kind="stable").drop_duplicates("ts")
    ts, close = to_us(bars["ts"]), bars["close"].to_numpy(dtype=np.float64)
    first = np.concatenate(([True], np.diff(ts) > NIGHT_US)) if len(ts) else np.zeros(0, dtype=np.bool_)
    session = np.cumsum(first) - 1
    begins = ts[first]
    last = np.flatnonzero(np.append(first[1:], True))
    volatility, trend = _by_session(close[last])
    days = pd.DatetimeIndex(pd.to_datetime(begins, unit="us", utc=True))
    hours = (ts - begins[session]) // _HOUR_US + 1
    weekdays = np.array([f"{day + 1} {WEEKDAYS[day]}" for day in days.day_of_week], dtype=object)
    return pd.DataFrame(
        {
            "volatility": volatility[session],
            "trend": trend[session],
            "hour": [f"{hour:02d}" for hour in hours],
            "weekday": weekdays[session],
            "year": np.array(days.year.astype(str), dtype=object)[session],
        },
        index=pd.Index(ts),
    )


def _by_session(close: FloatArray) -> tuple[np.ndarray, np.ndarray]:
    """Return volatility and trend of each session, from the closes of those before it, (sessions,)."""
    returns = np.diff(np.log(close))
    volatility = np.full(len(close), UNKNOWN, dtype=object)
    trend = np.full(len(close), UNKNOWN, dtype=object)
    earlier: list[float] = []
    for k in range(len(close)):
        if k > VOLATILITY_SESSIONS:
            now = float(np.std(returns[k - 1 - VOLATILITY_SESSIONS : k - 1]))
            if earlier:
                volatility[k] = "high" if now > np.median(earlier) else "low"
            earlier.append(now)
        if k >= TREND_SESSIONS:
            trend[k] = "up" if close[k - 1] >= close[k - TREND_SESSIONS : k].mean() else "down"
    return volatility, trend


def _rows(
    window: str, equity: pd.DataFrame, bars: pd.DataFrame, trades: pd.DataFrame, told: pd.DataFrame
) -> Iterator[tuple[object, ...]]:
    """Yield the rows of one window."""
    equity = equity.sort_values("ts", kind="stable")
    ts = to_us(equity["ts"])
    own, there = _changes(equity["equity"]), np.isin(ts, told.index)
    at = bars.set_index(to_us(bars["ts"]))["close"].reindex(ts)
    market, held = _changes(at), equity["position"].to_numpy(dtype=np.float64) != 0.0
    opened = to_us(trades["opened_at"]) if len(trades) else np.empty(0, dtype=np.int64)
    entered = _bar_of(opened, ts)
    profit = trades["pnl_net"].to_numpy(dtype=np.float64)
    for by in told.columns:
        names = np.full(len(ts), UNKNOWN, dtype=object)
        names[there] = told[by].to_numpy()[np.searchsorted(told.index.to_numpy(), ts[there])]
        codes, known = pd.factorize(names)
        for name in sorted(known, key=lambda one: (one == UNKNOWN, one)):
            inside = codes == known.tolist().index(name)
            mine = inside[entered] if len(ts) else np.zeros(0, dtype=np.bool_)
            yield (
                *(window, by, name, int(inside.sum()), float(held[inside].mean())),
                *(_compounded(own[inside]), _compounded(market[inside]), _t(own[inside])),
                *(int(mine.sum()), float(profit[mine].sum())),
            )


def _changes(levels: pd.Series) -> FloatArray:
    """Return the change of each level to the one before, a fraction; 0 of the first and where one lacks."""
    values = levels.to_numpy(dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        changes = np.concatenate(([0.0], values[1:] / values[:-1] - 1.0))
    return np.where(np.isfinite(changes), changes, 0.0)


def _bar_of(opened: IntArray, ts: IntArray) -> IntArray:
    """Return the row of the bar in which each trade was opened."""
    return np.clip(np.searchsorted(ts, opened, side="right") - 1, 0, max(len(ts) - 1, 0))


def _compounded(changes: FloatArray) -> float:
    return 100.0 * float(np.prod(1.0 + changes) - 1.0)


def _t(changes: FloatArray) -> float:
    """Return mean over standard error; NaN without two values that differ."""
    if len(changes) < 2 or not changes.std(ddof=1) > 0:
        return float("nan")
    return float(changes.mean() / changes.std(ddof=1) * np.sqrt(len(changes)))
