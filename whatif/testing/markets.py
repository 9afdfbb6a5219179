"""Random bars: ordinary ones, and those on which a broker's arithmetic is hard to get right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from whatif.domain import Bars
from whatif.typing import FloatArray

MINUTE_US = 60_000_000
DAY_US = 1440 * MINUTE_US
FIRST_DAY = 16_000
"""The first session, days since 1970-01-01."""
OPEN_MINUTE = 13 * 60 + 30
"""The regular open of each session, minutes after midnight UTC."""


@dataclass(frozen=True)
class Shape:
    """What kind of market random bars are drawn from.

    Attributes
    ----------
    price : float
        Price at the start, in money.
    step : float
        Standard deviation of a bar's logarithmic return.
    tick : float
        Prices are multiples of this fraction of `price`; 0 leaves them all their digits.
    flat, gap, repeat : float
        Shares of bars whose four prices are one, that open away from the last close, and that
        are copies of the bar before.
    session_bars : int
        Bars of one session; the next begins on the following day.
    """

    price: float = 100.0
    step: float = 0.01
    tick: float = 0.0
    flat: float = 0.1
    gap: float = 0.2
    repeat: float = 0.05
    session_bars: int = 30


def random_bars(seed: int, n: int, shape: Shape | None = None, symbol: str = "X") -> Bars:
    """Return n one-minute bars drawn from `shape`, the same for the same seed.

    Always low <= open, close <= high, all of them positive and finite.
    """
    shape = shape or Shape()
    rng = np.random.default_rng(seed)
    close = shape.price * np.exp(np.clip(np.cumsum(rng.normal(0.0, shape.step, n)), -8.0, 8.0))
    open_ = np.concatenate([[shape.price], close[:-1]])
    gaps = rng.random(n) < shape.gap
    open_ = np.where(gaps, open_ * np.exp(rng.normal(0.0, 3 * shape.step, n)), open_)
    high = np.maximum(open_, close) * (1.0 + rng.exponential(shape.step, n) * (rng.random(n) < 0.7))
    low = np.minimum(open_, close) / (1.0 + rng.exponential(shape.step, n) * (rng.random(n) < 0.7))
    prices = np.column_stack([open_, high, low, close])
    flat = rng.random(n) < shape.flat
    prices[flat] = prices[flat, 3:]
    for row in np.flatnonzero(rng.random(n) < shape.repeat).tolist():
        prices[row] = prices[max(row - 1, 0)]
    if shape.tick:
        tick = shape.tick * shape.price
        prices = np.maximum(np.round(prices / tick), 1.0) * tick
    return bars_of_prices(prices, symbol, shape.session_bars)


def bars_of_prices(prices: object, symbol: str = "X", session_bars: int = 390) -> Bars:
    """Return one-minute bars in sessions of `session_bars`.

    Parameters
    ----------
    prices : array_like (n, 4)
        Rows of open, high, low, close.
    symbol : str
        The symbol.
    session_bars : int
        Bars of one session.
    """
    table = np.asarray(prices, dtype=np.float64).reshape(-1, 4)
    o, h, lo, c = (np.ascontiguousarray(table[:, k]) for k in range(4))
    day, minute = np.divmod(np.arange(len(table), dtype=np.int64), session_bars)
    session = FIRST_DAY + day
    opened = session * DAY_US + OPEN_MINUTE * MINUTE_US
    return Bars(
        symbol=symbol,
        ts=opened + minute * MINUTE_US,
        open=o,
        high=h,
        low=lo,
        close=c,
        volume=np.full(len(table), 100.0),
        vwap=(h + lo + c) / 3.0,
        session=session,
        session_open=opened,
        session_close=opened + session_bars * MINUTE_US,
    )


def random_series(seed: int, n: int, missing: float = 0.1, scale: float = 0.01) -> FloatArray:
    """Return a series from outside, float64 (n,): normal around zero, a share of it missing (NaN)."""
    rng = np.random.default_rng(seed)
    series = rng.normal(0.0, scale, n)
    series[rng.random(n) < missing] = np.nan
    return series


PRICES = (100.0, 1.0, 1e-6, 1e9, 0.1, 3.7)
"""Levels on which random markets start."""


def random_shape(rng: np.random.Generator, price: float | None = None) -> Shape:
    """Return a shape drawn from all kinds of markets, or from those that start at `price`."""
    pick: Mapping[str, tuple[float, ...]] = {
        "price": PRICES if price is None else (price,),
        "step": (0.0, 0.001, 0.02, 0.3),
        "tick": (0.0, 0.0, 0.01, 0.25),
        "flat": (0.0, 0.1, 0.9),
        "gap": (0.0, 0.2, 1.0),
        "repeat": (0.0, 0.05, 0.5),
    }
    drawn = {name: float(rng.choice(values)) for name, values in pick.items()}
    return Shape(session_bars=int(rng.choice([1, 7, 30, 390])), **drawn)


def shapes(price: float = 100.0) -> st.SearchStrategy[Shape]:
    """Return a strategy of all kinds of markets that start at `price`."""
    return st.builds(
        Shape,
        price=st.just(price),
        step=st.sampled_from([0.001, 0.0, 0.02, 0.3]),
        tick=st.sampled_from([0.01, 0.25, 0.0]),
        flat=st.sampled_from([0.0, 0.1, 0.9]),
        gap=st.sampled_from([0.0, 0.2, 1.0]),
        repeat=st.sampled_from([0.0, 0.05, 0.5]),
        session_bars=st.sampled_from([390, 30, 7, 1]),
    )


def markets(price: float = 100.0, max_bars: int = 80) -> st.SearchStrategy[Bars]:
    """Return a strategy of 2 and more bars around `price`: listed, which shrinks well, or by a seed."""
    seeds = st.integers(0, 2**32 - 1)
    seeded = st.builds(random_bars, seeds, st.integers(2, max_bars), shapes(price))
    rows = st.lists(_prices(price), min_size=2, max_size=min(max_bars, 25))
    return st.one_of(st.builds(bars_of_prices, rows, session_bars=st.sampled_from([390, 7, 1])), seeded)


def _prices(price: float) -> st.SearchStrategy[tuple[float, float, float, float]]:
    tenth = price / 10.0
    level = st.one_of(
        st.integers(8, 12).map(lambda tenths: tenths * tenth), st.floats(0.5 * price, 2.0 * price)
    )
    return st.tuples(level, level, level, level).map(_ordered)


def _ordered(four: tuple[float, ...]) -> tuple[float, float, float, float]:
    """Keep the first as open and the last as close; the highest and the lowest become high and low."""
    return four[0], max(four), min(four), four[3]
