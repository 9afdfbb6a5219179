"""A seeded market of 1-minute bars with a known truth.

Synthetic: made to see whether an engine finds an edge that is there and finds none where
none is. `SampleMarket` says what is made, `SampleMarket.truth` what is true about it.
"""

from __future__ import annotations

import math
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from whatif.calendars import Schedule, schedule, sessions_per_year
from whatif.domain import MINUTE_US, timestamps
from whatif.errors import SourceError
from whatif.sources.sample_market import (
    DEFAULT_EDGE,
    DEFAULT_HORIZON,
    SampleMarket,
    SampleSymbol,
    SampleTruth,
    default_symbols,
)
from whatif.sources.sample_process import (
    OVERNIGHT_SHARE,
    TICKS_PER_UNIT,
    Rule,
    Scale,
    Walk,
    draw_session,
    empty_walk,
    fill_session,
    next_log_volatility,
    session_generator,
)
from whatif.typing import FloatArray, IntArray

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
