"""Made ticks: trades and quotes of the sample market's minutes, for notebooks and trials.

python -m whatif.sources.sample_ticks FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from whatif.domain import MINUTE_US, microseconds, timestamps
from whatif.sources.sample import generate
from whatif.sources.sample_market import SampleMarket

TRADES = 8
"""Trades of a minute."""

LATE = "Z"
"""Condition of trades that were told late, at a price of the past."""

_TICK = 0.01


def make_ticks(market: SampleMarket, symbol: str, quiet: float = 0.02) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return trades and quotes of which a symbol's minutes of the sample market are made.

    Parameters
    ----------
    market : SampleMarket
        Whose seed counts here too.
    symbol : str
        One of its symbols.
    quiet : float
        Share of the minutes in which nothing is traded.

    Returns
    -------
    trades : DataFrame
        symbol, ts (datetime64[us, UTC]), price, size, conditions; in order of time. The first of a minute is
        its open, the last its close, the high and the low are among them, and sizes sum up to its volume; "@"
        is their condition. Beside them one of 200 is `LATE`, at a price 1 % off.
    quotes : DataFrame
        symbol, ts, bid, bid_size, ask, ask_size: one cent around each trade, a millisecond before it.
    """
    bars = generate(market, symbol)
    rng = np.random.default_rng([market.seed, *symbol.encode()])
    bars = bars[rng.random(len(bars)) >= quiet]
    n = len(bars)
    low, high = bars["low"].to_numpy()[:, None], bars["high"].to_numpy()[:, None]
    price = np.round((low + rng.random((n, TRADES)) * (high - low)) / _TICK) * _TICK
    extremes = np.argsort(rng.random((n, TRADES - 2)), axis=1)[:, :2] + 1
    price[np.arange(n), extremes[:, 0]], price[np.arange(n), extremes[:, 1]] = bars["high"], bars["low"]
    price[:, 0], price[:, -1] = bars["open"], bars["close"]
    price = np.clip(np.round(price, 2), low, high).ravel()
    within = np.sort(rng.choice(MINUTE_US // 1_000, (n, TRADES)), axis=1) * 1_000
    at = (microseconds(bars["ts"])[:, None] + within).ravel()
    size = np.repeat(bars["volume"].to_numpy() / TRADES, TRADES)
    late = np.flatnonzero(rng.random(len(at)) < 1.0 / 200.0)
    rows = np.sort(np.concatenate([np.arange(len(at)), late]))
    again = np.append(False, rows[1:] == rows[:-1])
    trades = pd.DataFrame(
        {
            "symbol": symbol,
            "ts": timestamps(at[rows]),
            "price": np.where(again, np.round(price[rows] * 0.99, 2), price[rows]),
            "size": size[rows],
            "conditions": np.where(again, LATE, "@"),
        }
    )
    bid, ask = np.round(price - _TICK, 2), np.round(price + _TICK, 2)
    told = {"bid": bid, "bid_size": 100.0, "ask": ask, "ask_size": 100.0}
    return trades, pd.DataFrame({"symbol": symbol, "ts": timestamps(at - 1_000), **told})


def write_sample_ticks(market: SampleMarket, folder: Path, quiet: float = 0.02) -> dict[str, list[Path]]:
    """Write two Parquet files for each symbol, as `whatif ingest-ticks` reads them.

    Returns
    -------
    dict of str to list of Path
        "trades" and "quotes" → ``folder/<symbol>_trades.parquet`` and ``…_quotes.parquet``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths: dict[str, list[Path]] = {"trades": [], "quotes": []}
    for symbol in market.symbols:
        for kind, frame in zip(paths, make_ticks(market, symbol.name, quiet), strict=True):
            path = folder / f"{symbol.name}_{kind}.parquet"
            pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
            paths[kind].append(path)
    return paths


def main(arguments: Sequence[str]) -> int:
    """Write the default market's ticks of five sessions into a folder."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m whatif.sources.sample_ticks FOLDER\n")
        return 2
    for kind, paths in write_sample_ticks(SampleMarket(sessions=5), Path(arguments[0])).items():
        sys.stdout.write(f"{kind}: {', '.join(map(str, paths))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
