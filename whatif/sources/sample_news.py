"""Sample news: daily bars of a made market whose news move prices by a known strength.

    python -m whatif.sources.sample_news FOLDER

writes `bars.csv`, `news.json` in the layout of Alpha Vantage's NEWS_SENTIMENT, and `relations.csv`.
"""

from __future__ import annotations

import csv
import json
import math
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from whatif.calendars import EPOCH, Schedule
from whatif.domain import MINUTE_US
from whatif.errors import SourceError
from whatif.sources.news_layouts import STAMP
from whatif.sources.sample import sample_schedule, session_generator
from whatif.sources.sample_market import SampleMarket

SPREAD = 0.35
"""Standard deviation of an article's score."""

MEAN_ITEMS = 1.5
"""Articles about a symbol on an average session."""

OVERNIGHT_SHARE = 0.2
"""Part of a day's variance that falls between two sessions."""


@dataclass(frozen=True)
class SampleNews:
    """A market of daily bars in which news move prices, determined by these values.

    The sentiment of a session is the mean score of its articles, weighed by relevance; 0 without any. The
    expected return of the next session, from open to close, is `strength` × `volatility` × sentiment /
    `SPREAD`: of the sentiment about itself for a symbol of `heard`, about the one before it in `heard` for
    one of `peered`, and 0 for one of `deaf`, about which news are written too.

    Attributes
    ----------
    seed, sessions, exchange, first
        As of `SampleMarket`.
    strength : float
        From 0 to 1.
    volatility : float
        Standard deviation of a session's return.
    heard, peered, deaf : tuple of str
        Symbols; each of `peered` has the one at its place in `heard` as its peer.
    """

    seed: int = 1
    sessions: int = 750
    exchange: str = "XNYS"
    first: date = date(2020, 1, 2)
    strength: float = 0.5
    volatility: float = 0.02
    heard: tuple[str, ...] = ("HEARD1", "HEARD2", "HEARD3")
    peered: tuple[str, ...] = ("PEER1", "PEER2", "PEER3")
    deaf: tuple[str, ...] = ("DEAF1", "DEAF2")

    def __post_init__(self) -> None:
        if not 0.0 <= self.strength <= 1.0:
            raise SourceError(f"sample news: strength is {self.strength!r}; it must be from 0 to 1")
        if len(self.peered) > len(self.heard):
            raise SourceError(
                f"sample news: peered names {len(self.peered)} symbols and heard {len(self.heard)}; each of "
                "peered needs one at its place in heard"
            )

    @property
    def symbols(self) -> tuple[str, ...]:
        """All of its symbols."""
        return self.heard + self.peered + self.deaf

    def moved_by(self, symbol: str) -> str:
        """Return whose news move a symbol; "" if none do."""
        if symbol in self.peered:
            return self.heard[self.peered.index(symbol)]
        return symbol if symbol in self.heard else ""


def write_sample_news(market: SampleNews, folder: Path) -> tuple[Path, Path, Path]:
    """Write bars, news and relations of a market into a folder, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    sessions = sample_schedule(SampleMarket(market.seed, market.exchange, market.first, market.sessions))
    articles = {symbol: _articles(market, symbol, sessions) for symbol in market.symbols}
    mood = {symbol: _mood(market, symbol, articles[symbol]) for symbol in market.symbols}
    bars, news, relations = (folder / name for name in ("bars.csv", "news.json", "relations.csv"))
    with bars.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("symbol", "date", "open", "high", "low", "close", "volume"))
        for symbol in market.symbols:
            rows.writerows(_bars(market, symbol, sessions, mood.get(market.moved_by(symbol))))
    feed = [article for symbol in market.symbols for article in articles[symbol]]
    feed.sort(key=lambda article: (article["time_published"], article["url"]))
    news.write_text(json.dumps({"items": str(len(feed)), "feed": feed}, indent=0), encoding="utf-8")
    with relations.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("symbol", "peer", "sector", "from", "to"))
        rows.writerows((own, market.moved_by(own), "", market.first, "") for own in market.peered)
        rows.writerows((own, "", "made", market.first, "") for own in market.symbols)
    return bars, news, relations


def _articles(market: SampleNews, symbol: str, sessions: Schedule) -> list[dict[str, Any]]:
    """Return the articles about a symbol, each published while the exchange is open."""
    found = []
    for k, (opened, closed) in enumerate(zip(sessions.open_us, sessions.close_us, strict=True)):
        random = session_generator(market.seed, f"news of {symbol}", int(sessions.session[k]))
        level = random.normal(0.0, SPREAD)
        for number in range(random.poisson(MEAN_ITEMS)):
            minute = int(random.integers(0, (closed - opened) // MINUTE_US))
            moment = datetime.fromtimestamp(int(opened) / 1e6, UTC) + timedelta(minutes=minute)
            score = float(np.clip(round(level + random.normal(0.0, SPREAD / 4), 6), -1.0, 1.0))
            own = {
                "ticker": symbol, "relevance_score": str(round(random.uniform(0.2, 1.0), 6)),
                "ticker_sentiment_score": str(score), "ticker_sentiment_label": _label(score),
            }  # fmt: skip
            found.append(
                {
                    "title": f"{symbol}, {number + 1} of session {k + 1}",
                    "url": f"https://news.invalid/{symbol}/{k}/{number}",
                    "time_published": moment.strftime(STAMP),
                    "source": "made", "session": k, "ticker_sentiment": [own],
                }
            )  # fmt: skip
    return found


def _label(score: float) -> str:
    return "Bullish" if score > SPREAD else "Bearish" if score < -SPREAD else "Neutral"


def _mood(market: SampleNews, symbol: str, articles: list[dict[str, Any]]) -> np.ndarray:
    """Return the sentiment of each session about a symbol, (sessions,), in units of `SPREAD`."""
    total, weight = np.zeros(market.sessions), np.zeros(market.sessions)
    for article in articles:
        (own,), k = article["ticker_sentiment"], article.pop("session")
        total[k] += float(own["relevance_score"]) * float(own["ticker_sentiment_score"])
        weight[k] += float(own["relevance_score"])
    return np.divide(total, weight * SPREAD, out=np.zeros(market.sessions), where=weight > 0.0)


def _bars(
    market: SampleNews, symbol: str, sessions: Schedule, mood: np.ndarray | None
) -> list[tuple[Any, ...]]:
    rows, close = [], 100.0
    gap, inside = (market.volatility * math.sqrt(part) for part in (OVERNIGHT_SHARE, 1.0 - OVERNIGHT_SHARE))
    for k, day in enumerate(sessions.session):
        random = session_generator(market.seed, symbol, int(day))
        expected = 0.0 if mood is None or k == 0 else market.strength * market.volatility * mood[k - 1]
        opened = close * math.exp(random.normal(0.0, gap))
        steps = random.normal(0.0, inside / math.sqrt(8), 8) + expected / 8
        path = opened * np.exp(np.concatenate([[0.0], np.cumsum(steps)]))
        close = float(path[-1])
        prices = (round(float(one), 4) for one in (opened, path.max(), path.min(), close))
        rows.append((symbol, EPOCH + timedelta(days=int(day)), *prices, int(random.integers(10_000, 90_000))))
    return rows


if __name__ == "__main__":
    for written in write_sample_news(SampleNews(), Path(sys.argv[1])):
        sys.stdout.write(f"{written}\n")
