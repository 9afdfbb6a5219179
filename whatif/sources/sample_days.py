"""Sample market in bars of a day: decades of sessions in a moment, with the same known truth.

Made as `whatif.sources.sample` makes minutes, where each bar is a session of `TRADES` trades: a symbol
without drift and edge is a martingale to the last digit, and the planted momentum of `SampleSymbol` looks
back on sessions instead of minutes.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from whatif.domain import timestamps
from whatif.sources.sample import (
    DAY_DISPERSION,
    TICKS_PER_UNIT,
    VOLUME_PER_TRADE,
    Draws,
    Rule,
    empty_walk,
    fill_session,
    next_log_volatility,
    sample_schedule,
    session_generator,
)
from whatif.sources.sample_market import SampleMarket, SampleSymbol
from whatif.typing import FloatArray

TRADES = 32
"""Trades of a session, from which open, high, low, close and vwap are taken."""


def generate_days(market: SampleMarket, symbol: str) -> pd.DataFrame:
    """Make the bars of a day of one symbol.

    Parameters
    ----------
    market : SampleMarket
        The market; the `edge_horizon` of its symbols counts sessions.
    symbol : str
        Name of one of its symbols.

    Returns
    -------
    DataFrame
        One row for each session, oldest first: symbol (string), ts (the session's open, datetime64[us,
        UTC]), open, high, low, close (multiples of 0.01), volume (int64), vwap and trade_count (int64).
        Nothing is missing. More sessions append; the earlier bars stay.

    Raises
    ------
    SourceError
        If the market has no such symbol.
    """
    made, sessions = market.symbol(symbol), sample_schedule(market)
    draws = _draw(market, made, sessions.session)
    walk = empty_walk(len(sessions))
    drift = math.expm1(math.log1p(made.annual_drift) / SESSIONS)
    rule = Rule(round(made.start_price * TICKS_PER_UNIT), drift, made.edge, made.edge_horizon)
    fill_session(walk, 0, draws, rule)
    prices = {name: getattr(walk, name) / TICKS_PER_UNIT for name in ("open", "high", "low", "close")}
    vwap = np.clip(walk.vwap / TICKS_PER_UNIT, prices["low"], prices["high"])
    names = pd.Series([symbol], dtype="str").repeat(len(sessions)).array
    lead = {"symbol": names, "ts": timestamps(sessions.open_us)}
    return pd.DataFrame({**lead, **prices, "volume": draws.volume, "vwap": vwap, "trade_count": draws.trades})


SESSIONS = 252
"""Sessions of a year, by which volatility and drift a year are shared out."""


def write_days(market: SampleMarket, folder: Path) -> list[Path]:
    """Write one Parquet file of bars of a day for each symbol, as `whatif ingest` reads it; return them."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for symbol in market.symbols:
        path = folder / f"{symbol.name}.parquet"
        pq.write_table(pa.Table.from_pandas(generate_days(market, symbol.name), preserve_index=False), path)
        paths.append(path)
    return paths


def _draw(market: SampleMarket, symbol: SampleSymbol, days: np.ndarray) -> Draws:
    """Draw all random numbers, a generator for each session."""
    n = len(days)
    sigma, volume = np.empty(n), np.empty(n, np.int64)
    normal, coins, sizes = np.empty((n, TRADES)), np.empty((n, TRADES)), np.empty((n, TRADES))
    log_vol: float | None = None
    for k, day in enumerate(days):
        generator = session_generator(market.seed, symbol.name, int(day))
        log_vol = next_log_volatility(generator, log_vol)
        sigma[k] = math.exp(log_vol - DAY_DISPERSION**2) * symbol.annual_volatility / math.sqrt(SESSIONS)
        normal[k], coins[k] = generator.standard_normal(TRADES), generator.random(TRADES)
        sizes[k] = generator.standard_exponential(TRADES) + 0.05
        busy = symbol.daily_volume * math.exp(0.6 * log_vol + 0.4 * generator.standard_normal() - 0.08)
        volume[k] = max(round(busy), TRADES)
    weights: FloatArray = sizes / sizes.sum(axis=1, keepdims=True)
    gross = 1.0 + sigma[:, None] / math.sqrt(TRADES) * normal
    trades = np.clip(volume // VOLUME_PER_TRADE, TRADES, volume)
    return Draws(1.0, 0.0, sigma, gross, coins, weights, volume, trades)
