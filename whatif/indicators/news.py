"""Series of news on the rows of a symbol's bars: sentiment, counts, and those of its peers and its sector."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np

from whatif.domain import DAY_US, EVER, Bars
from whatif.typing import BoolArray, FloatArray, IntArray

MAX_DAYS = 3_650
"""Longest time that a series looks back on, days."""


@dataclass(frozen=True, eq=False)
class Items:
    """What was published about one symbol, by the instant at which it is known.

    Attributes
    ----------
    known : int64 array (m,)
        Publication and delay, microseconds since 1970-01-01 UTC, ascending.
    relevance : float64 array (m,)
        How much the article is about the symbol, from 0 to 1.
    score : float64 array (m,)
        Sentiment of the article towards the symbol.
    """

    known: IntArray
    relevance: FloatArray
    score: FloatArray


class Relation(NamedTuple):
    """A peer of a symbol, or its sector, over trading dates.

    Attributes
    ----------
    symbol : str
        Whose it is.
    peer, sector : str
        One of the two; the other one is "".
    start, end : int
        Days since 1970-01-01, the end left out; `EVER` for none.
    """

    symbol: str
    peer: str
    sector: str
    start: int
    end: int = EVER

    def holds(self, bars: Bars) -> BoolArray:
        """Return on which bars, by trading date, it holds."""
        return (bars.session >= self.start) & (bars.session < self.end)


@dataclass(frozen=True, eq=False)
class News:
    """Items by symbol, and how symbols are related.

    Attributes
    ----------
    items : mapping of str to Items
        Of symbols about which nothing was published, there are none.
    relations : tuple of Relation
        Peers and sectors.
    """

    items: Mapping[str, Items]
    relations: tuple[Relation, ...] = ()
    _sectors: dict[str, list[Relation]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for one in self.relations:
            if one.sector:
                self._sectors.setdefault(one.sector, []).append(one)

    def peers(self, bars: Bars) -> Iterator[tuple[str, BoolArray]]:
        """Yield the peers of the bars' symbol, by name, and on which bars each is one."""
        found: dict[str, BoolArray] = {}
        for one in self.relations:
            if one.symbol == bars.symbol and one.peer:
                found[one.peer] = found.get(one.peer, np.zeros(len(bars), dtype=bool)) | one.holds(bars)
        yield from sorted(found.items())

    def sector_mates(self, bars: Bars) -> Iterator[tuple[str, BoolArray]]:
        """Yield the other symbols of the sectors of the bars' symbol, by name, and on which bars each is."""
        found: dict[str, BoolArray] = {}
        for own in self.relations:
            if own.symbol != bars.symbol or not own.sector:
                continue
            for other in self._sectors[own.sector]:
                if other.symbol != bars.symbol:
                    both = own.holds(bars) & other.holds(bars)
                    found[other.symbol] = found.get(other.symbol, np.zeros(len(bars), dtype=bool)) | both
        yield from sorted(found.items())


def sentiment(bars: Bars, ends: IntArray, news: News, days: int) -> FloatArray:
    """Return the mean score of the symbol's own news of the last `days`, weighed by relevance.

    Timing: an item counts from publication and the stated delay on, on bars that end then or later, and for
    `days` times 24 hours. NaN: where there was no news in that time, or none of any relevance.
    """
    return _mean_of(news, [(bars.symbol, np.ones(len(bars), dtype=bool))], ends, days)


def news_count(bars: Bars, ends: IntArray, news: News, days: int) -> FloatArray:
    """Return how many items about the symbol the last `days` had.

    Timing: as of `sentiment`. NaN: before the first item about the symbol is known, since nobody knows then
    whether its news are collected; 0 where there was none later.
    """
    items = news.items.get(bars.symbol)
    if items is None:
        return np.full(len(bars), np.nan)
    first, stop = _window(items, ends, days)
    return np.where(stop > 0, (stop - first).astype(np.float64), np.nan)


def peer_sentiment(bars: Bars, ends: IntArray, news: News, days: int) -> FloatArray:
    """Return the mean score of the news about the symbol's peers, weighed by relevance to each.

    Timing: as of `sentiment`; a peer counts on bars of trading dates on which it is one. NaN: as of
    `sentiment`, and without a peer.
    """
    return _mean_of(news, news.peers(bars), ends, days)


def sector_sentiment(bars: Bars, ends: IntArray, news: News, days: int) -> FloatArray:
    """Return the mean score of the news about the other symbols of its sector, weighed by relevance to each.

    Timing: as of `sentiment`; another symbol counts on bars of trading dates on which both are of that
    sector. NaN: as of `sentiment`, and without another symbol.
    """
    return _mean_of(news, news.sector_mates(bars), ends, days)


Kernel: TypeAlias = Callable[[Bars, IntArray, News, int], FloatArray]

NEWS_SERIES: Mapping[str, Kernel] = {
    "sentiment": sentiment,
    "news_count": news_count,
    "peer_sentiment": peer_sentiment,
    "sector_sentiment": sector_sentiment,
}
"""Series of news by name: of n bars, the instants (n,) at which they end, news, and days."""

RELATED = ("peer_sentiment", "sector_sentiment")
"""Those of them that need relations."""

_WRITTEN = re.compile(rf"({'|'.join(NEWS_SERIES)})\((\d+)\)")


def is_news(name: str) -> bool:
    """Whether a series is one of news, such as "sentiment(5)"."""
    return _WRITTEN.fullmatch(name) is not None


def news_series(name: str, bars: Bars, ends: IntArray, news: News) -> FloatArray:
    """Return a series of news, such as "sentiment(5)", on bars that end at `ends`; float64 array (n,)."""
    written = _WRITTEN.fullmatch(name)
    assert written is not None  # the parser has made it
    return NEWS_SERIES[written[1]](bars, ends, news, int(written[2]))


def _mean_of(
    news: News,
    symbols: Iterator[tuple[str, BoolArray]] | list[tuple[str, BoolArray]],
    ends: IntArray,
    days: int,
) -> FloatArray:
    """Return the mean score of several symbols' items, weighed by relevance, each on bars where it counts."""
    total, weight = np.zeros(len(ends)), np.zeros(len(ends))
    for symbol, counts in symbols:
        items = news.items.get(symbol)
        if items is None:
            continue
        first, stop = _window(items, ends, days)
        total += np.where(counts, _sums(items.relevance * items.score, first, stop), 0.0)
        weight += np.where(counts, _sums(items.relevance, first, stop), 0.0)
    found = np.full(len(ends), np.nan)
    np.divide(total, weight, out=found, where=weight > 0.0)
    return found


def _window(items: Items, ends: IntArray, days: int) -> tuple[IntArray, IntArray]:
    """Return the first of the items that count at each instant, and the one after the last."""
    stop = np.searchsorted(items.known, ends, side="right")
    first = np.searchsorted(items.known, ends - days * DAY_US, side="right")
    return first.astype(np.int64), stop.astype(np.int64)


def _sums(values: FloatArray, first: IntArray, stop: IntArray) -> FloatArray:
    """Return the sum of each stretch of values, made of those inside alone: no other changes a bit of it."""
    found = np.zeros(len(first))
    some = np.flatnonzero(stop > first)
    if len(some):
        bounds = np.column_stack([first[some], stop[some]]).ravel()
        found[some] = np.add.reduceat(np.append(values, 0.0), bounds)[::2]
    return found
