"""Sample bars: a seeded market of minutes with a known truth.

Synthetic: made to see whether an engine finds an edge that is there and finds none where
none is. `SampleMarket` says what is made, `SampleMarket.truth` what is true about it.

It is made one session at a time. A minute has `STEPS` trades. Each moves the price by a simple return
with mean zero, and the price is then rounded to a whole tick *by chance*: up with a probability equal to
the fraction, so that rounding changes no expectation and what is published is itself the process. A
symbol without drift and edge is therefore a martingale to the last digit, at every trade, open and close.
Price of that: at most STEPS/4 squared ticks of extra variance a minute (1/6 a trade on average).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from whatif.calendars import Schedule, schedule, sessions_per_year
from whatif.domain import MINUTE_US, jit, timestamps
from whatif.errors import SourceError
from whatif.sources.sample_market import (
    DEFAULT_EDGE,
    DEFAULT_HORIZON,
    SampleMarket,
    SampleSymbol,
    SampleTruth,
    default_symbols,
)
from whatif.typing import FloatArray, IntArray

STEPS = 8
"""Trades in a minute, from which open, high, low, close and vwap are taken."""
TICKS_PER_UNIT = 100
"""Prices are multiples of 0.01."""
TAIL_DEGREES = 5.0
"""Degrees of freedom of the Student t of a minute's and of an overnight return."""
LARGEST_SCALE = 20.0
"""Bound of a t variate's random scale; cuts about one minute in a million, symmetrically."""
DAY_PERSISTENCE = 0.95
"""AR(1) coefficient of a session's log volatility."""
DAY_DISPERSION = 0.35
"""Standard deviation of a session's log volatility."""
OVERNIGHT_SHARE = 0.2
"""Part of a day's variance that falls between two sessions, where a calendar has gaps."""
VOLUME_PER_TRADE = 120
"""Units of an average trade."""


@dataclass(frozen=True)
class Scale:
    """What a symbol's session is scaled by.

    Attributes
    ----------
    session_sigma : float
        Standard deviation of a close-to-close return of a regular session, a fraction.
    regular_minutes : int
        Minutes of a regular session; shorter ones have less variance and volume.
    overnight_share : float
        Part of that variance that falls between two sessions; 0 where none has a gap.
    drift : float
        Expected log return of a session.
    """

    session_sigma: float
    regular_minutes: int
    overnight_share: float
    drift: float


class Draws(NamedTuple):
    """Random numbers of one session with m minutes, and what they are scaled by.

    Attributes
    ----------
    gap : float
        Gross return overnight, mean 1.
    gap_variance : float
        Its variance.
    sigma : float64 array (m,)
        Volatility of each minute as known before it, a fraction.
    gross : float64 array (m, STEPS)
        Gross return of each trade, mean 1.
    coins : float64 array (m, STEPS)
        Uniform in [0, 1): rounds up when at least 1 - fraction.
    weights : float64 array (m, STEPS)
        Share of the minute's volume, each row sums to 1.
    volume, trades : int64 array (m,)
        Units and number of trades.
    """

    gap: float
    gap_variance: float
    sigma: FloatArray
    gross: FloatArray
    coins: FloatArray
    weights: FloatArray
    volume: np.ndarray
    trades: np.ndarray


class Walk(NamedTuple):
    """Prices in ticks and moments of n bars, filled session by session.

    Attributes
    ----------
    open, high, low, close, vwap : float64 array (n,)
        Ticks.
    variance : float64 array (n,)
        Variance of each bar's close-to-close return without the edge.
    expected : float64 array (n,)
        Expected simple return of each bar, close to close, given all bars before it.
    """

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    vwap: FloatArray
    variance: FloatArray
    expected: FloatArray


class Rule(NamedTuple):
    """What the expected return of a minute is made of."""

    start: float
    drift: float
    edge: float
    horizon: int


def empty_walk(rows: int) -> Walk:
    """Return a walk of `rows` bars to be filled."""
    return Walk(*(np.empty(rows) for _ in Walk._fields))


def session_generator(seed: int, name: str, day: int) -> np.random.Generator:
    """Return the random numbers of one symbol on one trading date (days since 1970-01-01)."""
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, digest, day + 2**31])))


def smile(minutes: int, edge_height: float) -> FloatArray:
    """Return a U-shape over a session, (minutes,), mean 1.

    The open adds `edge_height` times the middle's level to it, the close half as much; both
    fade over 7 % of the session.
    """
    x = (np.arange(minutes) + 0.5) / minutes
    shape = 1.0 + edge_height * (np.exp(-x / 0.07) + 0.5 * np.exp(-(1.0 - x) / 0.07))
    return np.asarray(shape / shape.mean(), dtype=np.float64)


def next_log_volatility(generator: np.random.Generator, last: float | None) -> float:
    """Return a session's log volatility, given the last one's (None: from the long run)."""
    shock = DAY_DISPERSION * float(generator.standard_normal())
    if last is None:
        return shock
    return DAY_PERSISTENCE * last + math.sqrt(1.0 - DAY_PERSISTENCE**2) * shock


def draw_session(
    generator: np.random.Generator, symbol: SampleSymbol, scale: Scale, log_vol: float, minutes: int
) -> Draws:
    """Draw all random numbers of one session, always in the same order."""
    # E[level^2] = 1, so that the stated volatility is the long-run one
    level = math.exp(log_vol - DAY_DISPERSION**2)
    gap_sigma = scale.session_sigma * level * math.sqrt(scale.overnight_share)
    gap_return = gap_sigma * float(_tail_scale(generator, 1)[0] * generator.standard_normal())
    per_minute = scale.session_sigma * math.sqrt((1.0 - scale.overnight_share) / scale.regular_minutes)
    shape = smile(minutes, 1.8)
    sigma = level * per_minute * shape / math.sqrt(float(np.mean(shape**2)))
    tails = _tail_scale(generator, minutes)
    step = (sigma * tails / math.sqrt(STEPS))[:, None]
    gross = 1.0 + step * generator.standard_normal((minutes, STEPS))
    coins = generator.random((minutes, STEPS))
    sizes = generator.standard_exponential((minutes, STEPS)) + 0.05
    weights = sizes / sizes.sum(axis=1, keepdims=True)
    noise = np.exp(0.4 * generator.standard_normal(minutes) - 0.08)
    busy = symbol.daily_volume / scale.regular_minutes * math.exp(0.6 * log_vol) * smile(minutes, 2.5)
    volume = np.maximum(np.rint(busy * tails**0.7 * noise), STEPS).astype(np.int64)
    trades = np.clip(volume // VOLUME_PER_TRADE, STEPS, volume)
    return Draws(
        gap=1.0 + gap_return,
        gap_variance=gap_sigma**2,
        sigma=sigma,
        gross=gross,
        coins=coins,
        weights=weights,
        volume=volume,
        trades=trades,
    )


def _tail_scale(generator: np.random.Generator, size: int) -> FloatArray:
    """Return scales that turn normal variates into Student t ones of unit variance."""
    chi_square = 2.0 * generator.standard_gamma(TAIL_DEGREES / 2.0, size)
    return np.minimum(np.sqrt((TAIL_DEGREES - 2.0) / chi_square), LARGEST_SCALE)


def _fill_session(walk: Walk, first: int, draws: Draws, rule: Rule) -> None:
    minutes, steps = draws.gross.shape
    for minute in range(minutes):
        row = first + minute
        walk.variance[row] = draws.sigma[minute] ** 2
        expected = rule.drift
        if rule.edge != 0.0 and row > rule.horizon:
            window = 0.0
            for back in range(row - rule.horizon, row):
                window += walk.variance[back]
            z = (walk.close[row - 1] / walk.close[row - 1 - rule.horizon] - 1.0) / math.sqrt(window)
            expected += rule.edge * draws.sigma[minute] * math.tanh(z)
        walk.expected[row] = expected
        growth = (1.0 + expected) ** (1.0 / steps)
        price = walk.close[row - 1] if row > 0 else rule.start
        if minute == 0:
            walk.variance[row] += draws.gap_variance
            price = price * draws.gap
        high, low, value = 0.0, math.inf, 0.0
        for step in range(steps):
            # rounding up by chance keeps the expectation; below one tick there is no price
            moved = price * growth * draws.gross[minute, step]
            price = max(math.floor(moved + draws.coins[minute, step]), 1.0)
            if step == 0:
                walk.open[row] = price
            high, low = max(high, price), min(low, price)
            value += price * draws.weights[minute, step]
        walk.high[row], walk.low[row], walk.close[row] = high, low, price
        walk.vwap[row] = min(max(value, low), high)


fill_session = jit(_fill_session)
"""Fill the bars from row `first` on with one session: ``fill_session(walk, first, draws, rule)``."""


__all__ = [
    "DEFAULT_EDGE",
    "DEFAULT_HORIZON",
    "SampleMarket",
    "SampleSymbol",
    "SampleTruth",
    "default_symbols",
    "expected_returns",
    "generate",
    "sample_schedule",
    "write_sample",
]


class _Made(NamedTuple):
    ts: IntArray
    walk: Walk
    volume: IntArray
    trades: IntArray


def generate(market: SampleMarket, symbol: str) -> pd.DataFrame:
    """Make the bars of one symbol.

    Parameters
    ----------
    market : SampleMarket
        The market.
    symbol : str
        Name of one of its symbols.

    Returns
    -------
    DataFrame
        One row for every minute of the regular sessions, oldest first: symbol (string), ts
        (bar's start, datetime64[us, UTC]), open, high, low, close (multiples of 0.01),
        volume (int64, at least 1), vwap (within low and high, not rounded), trade_count
        (int64, at most the volume). Nothing is missing.

    Raises
    ------
    SourceError
        If the market has no such symbol, or its exchange has a midday break.
    CalendarError
        If the exchange or its sessions are unknown.
    """
    made = _make(market, market.symbol(symbol))
    walk = made.walk
    prices = {name: getattr(walk, name) / TICKS_PER_UNIT for name in ("open", "high", "low", "close")}
    vwap = np.clip(walk.vwap / TICKS_PER_UNIT, prices["low"], prices["high"])
    return pd.DataFrame(
        {
            "symbol": pd.Series([symbol], dtype="str").repeat(len(made.ts)).array,
            "ts": timestamps(made.ts),
            **prices,
            "volume": made.volume,
            "vwap": vwap,
            "trade_count": made.trades,
        }
    )


def expected_returns(market: SampleMarket, symbol: str) -> pd.Series:
    """Return the oracle's forecast: the expected return of the next bar, given all so far.

    Timing: the value at row t is E[close(t+1) / close(t) - 1] given everything up to and
    including bar t, and the volatility that bar t+1 will have. A drift of zero and an edge of
    zero give zeros.

    Returns
    -------
    Series
        float64 by ts (UTC), named "expected_return", simple returns as fractions, same rows
        as `generate`; NaN in the last row, whose next bar was not made.
    """
    made = _make(market, market.symbol(symbol))
    forecast: FloatArray = np.append(made.walk.expected[1:], np.nan)
    return pd.Series(forecast, index=timestamps(made.ts), name="expected_return")


def write_sample(market: SampleMarket, folder: Path) -> list[Path]:
    """Write one Parquet file for each symbol, as `whatif ingest` reads it.

    The folder is made if it is missing; files of the same name are replaced.

    Returns
    -------
    list of Path
        ``folder/<symbol>.parquet`` in the market's order; columns as in `generate`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for symbol in market.symbols:
        path = folder / f"{symbol.name}.parquet"
        table = pa.Table.from_pandas(generate(market, symbol.name), preserve_index=False)
        pq.write_table(table, path)
        paths.append(path)
    return paths


def sample_schedule(market: SampleMarket) -> Schedule:
    """Return the sessions of the market."""
    days = market.sessions * 8 // 5 + 21
    while True:
        found = schedule(market.exchange, market.first, market.first + timedelta(days=days))
        if len(found) >= market.sessions:
            break
        days *= 2
    if found.break_us.any():
        raise SourceError(
            f"sample market: exchange {market.exchange} has a midday break, which sample bars do not know; "
            "use one without, such as XNYS, XEUR or 24/7"
        )
    return found.take(slice(market.sessions))


def _make(market: SampleMarket, symbol: SampleSymbol) -> _Made:
    sessions = sample_schedule(market)
    minutes = sessions.trading_us // MINUTE_US
    ends = np.cumsum(minutes)
    scale = _scale(market, symbol)
    walk = empty_walk(int(ends[-1]))
    volume, trades = np.empty(int(ends[-1]), np.int64), np.empty(int(ends[-1]), np.int64)
    log_vol: float | None = None
    for k in range(len(sessions)):
        generator = session_generator(market.seed, symbol.name, int(sessions.session[k]))
        log_vol = next_log_volatility(generator, log_vol)
        draws = draw_session(generator, symbol, scale, log_vol, int(minutes[k]))
        rows = slice(int(ends[k] - minutes[k]), int(ends[k]))
        volume[rows], trades[rows] = draws.volume, draws.trades
        drift = math.expm1(scale.drift / int(minutes[k]))
        rule = Rule(round(symbol.start_price * TICKS_PER_UNIT), drift, symbol.edge, symbol.edge_horizon)
        fill_session(walk, rows.start, draws, rule)
    starts = [opened + MINUTE_US * np.arange(n) for opened, n in zip(sessions.open_us, minutes, strict=True)]
    return _Made(np.concatenate(starts).astype(np.int64), walk, volume, trades)


def _scale(market: SampleMarket, symbol: SampleSymbol) -> Scale:
    """Return the scale from the calendar of the first year, so that more sessions change nothing."""
    year = market.first.year
    regular = schedule(market.exchange, date(year, 1, 1), date(year, 12, 31))
    sessions = sessions_per_year(market.exchange, market.first, market.first)
    has_gaps = bool((regular.open_us[1:] > regular.close_us[:-1]).any())
    return Scale(
        session_sigma=symbol.annual_volatility / math.sqrt(sessions),
        regular_minutes=int(regular.trading_us.max() // MINUTE_US),
        overnight_share=OVERNIGHT_SHARE if has_gaps else 0.0,
        drift=math.log1p(symbol.annual_drift) / sessions,
    )
