"""Sample markets: their symbols, and what is true about each."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date

from whatif.errors import SourceError, nearest

# a minute's forecast correlates 0.11 with its return: enough for a small forest, trained on 30
# sessions of all symbols, to pay 2 basis points a side and show a profit in 15 sessions
DEFAULT_EDGE = 0.16
DEFAULT_HORIZON = 20


@dataclass(frozen=True)
class SampleSymbol:
    """One symbol of a sample market, and the truth about it.

    Attributes
    ----------
    name : str
        Letters, digits, ".", "_", "-". The name seeds the symbol's random numbers.
    start_price : float
        Price before the first bar, in the exchange's currency; at least 10, so that the
        tick of 0.01 is small against a minute's move.
    annual_volatility : float
        Standard deviation of a year's return without the edge, a fraction above 0.
    annual_drift : float
        Expected simple return a year, a fraction; earned evenly by the minutes of each
        session, nothing overnight.
    edge : float
        Strength of the planted momentum; 0 plants none, below 0 is mean reversion. The
        expected simple return of minute t+1, given all up to t, is::

            drift + edge * sigma(t+1) * tanh(z(t))
            z(t) = (close(t) / close(t - edge_horizon) - 1) / s(t)

        with sigma(t+1) the minute's volatility as it stands before the minute, and s(t)
        the square root of the sum of variances of the `edge_horizon` bars up to t
        (overnight moves included). The ratio in z is ``roc(edge_horizon)``. Momentum adds to
        the variance of longer spans: 0.16 turns a volatility of 0.45 a year into about 0.7.
    edge_horizon : int
        Bars that the momentum looks back on. ``|edge| * sqrt(edge_horizon)`` must be
        below 1: there the returns are stationary, in one regime.
    daily_volume : int
        Units traded in an ordinary regular session.

    Raises
    ------
    SourceError
        If a value breaks its rule.
    """

    name: str
    start_price: float
    annual_volatility: float
    annual_drift: float = 0.0
    edge: float = 0.0
    edge_horizon: int = DEFAULT_HORIZON
    daily_volume: int = 2_000_000

    def __post_init__(self) -> None:
        self._require("name", bool(re.fullmatch(r"[A-Za-z0-9._-]+", self.name)), "letters, digits, . _ -")
        self._require("start_price", 10.0 <= self.start_price < 1e6, "at least 10 and below 1,000,000")
        self._require("annual_volatility", 0.0 < self.annual_volatility <= 2.0, "above 0, at most 2")
        self._require("annual_drift", -1.0 < self.annual_drift <= 2.0, "above -1, at most 2")
        self._require("edge_horizon", self.edge_horizon >= 1, "at least 1 bar")
        self._require("daily_volume", self.daily_volume >= 1, "at least 1")
        limit = 1.0 / math.sqrt(self.edge_horizon)
        rule = f"within ±{limit:.4g}, exclusive, for edge_horizon {self.edge_horizon}"
        self._require("edge", abs(self.edge) < limit, rule)

    def _require(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            given = getattr(self, name)
            raise SourceError(f"sample symbol {self.name!r}: {name} is {given!r}; it must be {rule}")


@dataclass(frozen=True)
class SampleTruth:
    """What is known about a sample symbol, because it was made so.

    Attributes
    ----------
    symbol, sentence : str
        The symbol, and its truth in plain English.
    is_martingale : bool
        Whether the best forecast of every later price is the last price.
    edge : float
        Largest expected return of a minute, in standard deviations of that minute.
    edge_horizon : int
        Bars that the edge looks back on; 0 without an edge.
    annual_drift, annual_volatility : float
        Fractions a year.
    """

    symbol: str
    sentence: str
    is_martingale: bool
    edge: float
    edge_horizon: int
    annual_drift: float
    annual_volatility: float


def default_symbols(edge: float = DEFAULT_EDGE) -> tuple[SampleSymbol, ...]:
    """Return the demo's symbols: a planted edge, a martingale, and two in between."""
    return (
        SampleSymbol("EDGE", start_price=120.0, annual_volatility=0.45, edge=edge),
        SampleSymbol("NOISE", start_price=150.0, annual_volatility=0.24),
        SampleSymbol("DRIFT", start_price=240.0, annual_volatility=0.18, annual_drift=0.08),
        SampleSymbol("FAINT", start_price=90.0, annual_volatility=0.28, annual_drift=0.04, edge=0.02),
    )


@dataclass(frozen=True)
class SampleMarket:
    """A market of independent symbols, determined to the last bit by these values.

    What stays the same when something else changes: a symbol's bars depend on the seed,
    the exchange, `first` and its own values, so adding, removing or reordering symbols
    changes no other symbol. Raising `sessions` appends; the earlier bars stay. The random
    numbers of a session depend on seed, name and trading date only. Another release of
    numpy may draw other numbers from the same seed.

    Attributes
    ----------
    seed : int
        Any whole number from 0.
    exchange : str
        Calendar whose regular sessions are filled; one without a midday break, or "24/7".
    first : date
        The first session, or the day after which it comes.
    sessions : int
        Number of sessions. The default, 60 from October 2024, holds the end of daylight
        saving time and two half days.
    symbols : tuple of SampleSymbol
        Names are distinct.

    Raises
    ------
    SourceError
        If the seed or the number of sessions is out of range, or names repeat.
    """

    seed: int = 1
    exchange: str = "XNYS"
    first: date = date(2024, 10, 1)
    sessions: int = 60
    symbols: tuple[SampleSymbol, ...] = default_symbols()

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise SourceError(f"sample market: seed is {self.seed}; it must be a whole number from 0")
        if self.sessions < 1:
            raise SourceError(f"sample market: sessions is {self.sessions}; it must be at least 1")
        if not self.symbols:
            raise SourceError("sample market: symbols is empty; name at least one SampleSymbol")
        names = [symbol.name for symbol in self.symbols]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise SourceError(f"sample market: symbols {repeated} appear twice; names must be distinct")

    def symbol(self, name: str) -> SampleSymbol:
        """Return the symbol called `name`; raises SourceError if there is none."""
        for symbol in self.symbols:
            if symbol.name == name:
                return symbol
        valid = [symbol.name for symbol in self.symbols]
        raise SourceError(f"the sample market has no symbol {name!r}: {nearest(name, valid)}")

    def truth(self, name: str) -> SampleTruth:
        """Return what is true about the symbol called `name`."""
        symbol = self.symbol(name)
        return SampleTruth(
            symbol=name,
            sentence=_sentence(symbol),
            is_martingale=symbol.edge == 0.0 and symbol.annual_drift == 0.0,
            edge=symbol.edge,
            edge_horizon=symbol.edge_horizon if symbol.edge else 0,
            annual_drift=symbol.annual_drift,
            annual_volatility=symbol.annual_volatility,
        )


def _sentence(symbol: SampleSymbol) -> str:
    name, edge = symbol.name, symbol.edge
    drift = f"a drift of {symbol.annual_drift:+.1%} a year" if symbol.annual_drift else "no drift"
    if edge:
        kind = "momentum" if edge > 0 else "mean reversion"
        return (
            f"{name} carries planted {kind} of strength {abs(edge):g}: the expected return of the next "
            f"minute is {edge:g} x (that minute's volatility) x tanh(z), where z is the return of the last "
            f"{symbol.edge_horizon} bars in units of its standard deviation; it has {drift}."
        )
    if symbol.annual_drift:
        return f"{name} has {drift} and no other edge: its past says nothing more about its future."
    return (
        f"{name} is a martingale: the best forecast of any later price is the last price, "
        "and no rule has an edge on it."
    )
