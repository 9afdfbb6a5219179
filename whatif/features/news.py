"""News of a study: pinned rows of the lake, or frames, as series of features take them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from whatif.domain import DAY_US, EVER, days, duration_us, microseconds, timestamps
from whatif.errors import IndicatorError, RunError, nearest
from whatif.indicators import RELATED, Items, Needs, News, Relation
from whatif.lake import NEWS_RELATIONS, NEWS_SENTIMENT
from whatif.pins import (
    LakeLocation,
    Pin,
    current_pin,
    everything,
    has_rows,
    one_of,
    read_added,
    read_arrow,
    tagged_pin,
)
from whatif.pins import microseconds as arrow_us
from whatif.search import BarSlice

NO_DELAY = "0min"

MAX_NAMED = 200
"""Symbols that a filter names one by one; of more, all news are read."""


@dataclass(frozen=True)
class NewsSlice:
    """Which news, and how late after their publication they are known.

    Attributes
    ----------
    pin : Pin
        Of the table `news_sentiment`.
    relations : Pin or None
        Of the table `news_relations`; None where no series needs it.
    delay_us : int
        Microseconds.
    """

    pin: Pin
    relations: Pin | None
    delay_us: int

    @property
    def identity(self) -> dict[str, Any]:
        """What determines the series, apart from the bars."""
        relations = None if self.relations is None else self.relations.snapshot_id
        return {"snapshot": self.pin.snapshot_id, "relations": relations, "delay_us": self.delay_us}

    @property
    def pins(self) -> tuple[Pin, ...]:
        """All that it reads."""
        return (self.pin,) if self.relations is None else (self.pin, self.relations)


def delay_us(text: str) -> int:
    """Return a delay such as "15min", or "0min", in microseconds.

    Raises
    ------
    StudyError
        If it is no duration.
    """
    return 0 if text == NO_DELAY else duration_us(text)


def pin_news(location: LakeLocation, needs: Needs, delay: str, tag: str = "") -> NewsSlice | None:
    """Return the news that features need, at the snapshots that a tag names, else the newest; None without.

    Raises
    ------
    RunError
        If the lake has none, or lacks relations that a series needs.
    """
    if not needs.news:
        return None
    related = sorted(name for name in needs.news if name.startswith(RELATED))
    wanted = [(NEWS_SENTIMENT.name, min(needs.news), "news")]
    wanted += [(NEWS_RELATIONS.name, name, "relations") for name in related[:1]]
    for table, series, what in wanted:
        if not has_rows(location, table):
            raise RunError(
                f"feature {series} needs {what}, and {location.described} has none: run 'whatif ingest-news' "
                f"with a file of {what} first"
            )

    def pinned(table: str) -> Pin:
        return (tagged_pin(location, table, tag) if tag else None) or current_pin(location, table)

    relations = pinned(NEWS_RELATIONS.name) if related else None
    return NewsSlice(pinned(NEWS_SENTIMENT.name), relations, delay_us(delay))


def describe_news(part: NewsSlice, symbols: Sequence[str], start_us: int, end_us: int) -> str:
    """Return in words what news there are of some symbols in a slice of time.

    Raises
    ------
    RunError
        If there are none of any.
    """
    news = read_news(part, tuple(symbols))
    inside = {
        symbol: int(np.count_nonzero((items.known >= start_us) & (items.known < end_us)))
        for symbol, items in news.items.items()
    }
    there = {symbol: count for symbol, count in inside.items() if count}
    if not there:
        known = sorted(set(read_arrow(part.pin, ["symbol"])["symbol"].to_pylist()))
        raise RunError(
            f"the lake has no news of {', '.join(symbols[:6])}, or of what they are related to, in the "
            f"study's slice: {nearest(symbols[0], known)}; ingest some ('whatif ingest-news')"
        )
    last = max(int(news.items[symbol].known.max()) for symbol in there)
    none = [symbol for symbol in symbols if symbol not in there]
    day = f"{timestamps(np.array([last]))[0]:%Y-%m-%d}"
    text = f"news: {sum(there.values()):,} items of {len(there):,} symbols, the last of {day}"
    return text + (f"; none of {', '.join(none[:6])}" + " and more" * (len(none) > 6) if none else "")


@lru_cache(maxsize=2)
def read_news(part: NewsSlice, symbols: tuple[str, ...]) -> News:
    """Return the pinned news of symbols and of what they are related to; read once by a process."""
    related = _read_relations(part)
    wanted = sorted(_with_related(related, symbols))
    rows = one_of("symbol", wanted) if len(wanted) <= MAX_NAMED else None
    frame = read_arrow(part.pin, ["symbol", "published_at", "url", "relevance", "score"], rows).to_pandas()
    return News(_items(frame, part.delay_us), related)


def first_heard(part: NewsSlice, since: int, bars: BarSlice) -> int | None:
    """Return the first instant whose rows may know news that came behind an older snapshot.

    The slice's end where none did that rows of the slice know; None if more happened than adding.

    Parameters
    ----------
    part : NewsSlice
        The newer news.
    since : int
        The older snapshot of `news_sentiment`; relations are the same.
    bars : BarSlice
        The rows.
    """
    added = read_added(part.pin, since, ["symbol", "published_at"], everything())
    if added is None:
        return None
    related = _with_related(_read_relations(part), bars.symbols)
    mine = added.filter(pc.is_in(added["symbol"], pa.array(sorted(related), pa.string())))
    if not mine.num_rows:
        return bars.end_us
    # a row knows what is known when its bar ends; bars of several days end where the next one starts
    reach = bars.bar_us if bars.bar_us <= DAY_US else 3 * bars.bar_us
    return min(int(arrow_us(mine["published_at"]).min()) + part.delay_us - reach, bars.end_us)


def _read_relations(part: NewsSlice) -> tuple[Relation, ...]:
    if part.relations is None:
        return ()
    names = ["symbol", "peer", "sector", "from", "to"]
    return _relations(read_arrow(part.relations, names).to_pandas())


def _with_related(relations: Collection[Relation], symbols: Collection[str]) -> set[str]:
    """Return symbols, their peers, and all others of their sectors, whenever they were."""
    named = set(symbols)
    sectors = {one.sector for one in relations if one.symbol in named} - {""}
    peers = {one.peer for one in relations if one.symbol in named} - {""}
    return named | peers | {one.symbol for one in relations if one.sector in sectors}


def news_of_frames(news: pd.DataFrame, relations: pd.DataFrame | None = None, delay: str = NO_DELAY) -> News:
    """Return news and relations of frames, as `whatif.features` takes them.

    Parameters
    ----------
    news : DataFrame
        Columns symbol, published_at (tz-aware), score, and optionally relevance (1 if left out) and url.
    relations : DataFrame, optional
        Columns symbol, from, and to (dates; empty while it holds), and peer or sector or both of them.
    delay : str
        Time from publication until an item is known, such as "15min".

    Raises
    ------
    IndicatorError
        If a column is missing, or a time has no zone.
    """
    _check_columns("news", news, ("symbol", "published_at", "score"))
    if len(news) and not isinstance(news["published_at"].dtype, pd.DatetimeTZDtype):
        raise IndicatorError(
            "news: column 'published_at' has no time zone: give it one, as with tz_localize('UTC')"
        )
    whole = news.assign(
        **{name: value for name, value in (("relevance", 1.0), ("url", "")) if name not in news}
    )
    if relations is None:
        return News(_items(whole, delay_us(delay)))
    _check_columns("relations", relations, ("symbol", "from", "to"))
    empty = {name: "" for name in ("peer", "sector") if name not in relations}
    return News(_items(whole, delay_us(delay)), _relations(relations.assign(**empty)))


def _check_columns(what: str, frame: pd.DataFrame, wanted: Sequence[str]) -> None:
    for name in wanted:
        if name not in frame:
            raise IndicatorError(
                f"{what}: column {name!r} is missing; it has {', '.join(map(str, frame.columns))}"
            )


def _items(frame: pd.DataFrame, delay: int) -> Mapping[str, Items]:
    """Return the items of each symbol by the instant at which they are known; of one instant, by address."""
    ordered = frame.sort_values(["published_at", "url"], kind="stable")
    return {
        str(symbol): Items(
            microseconds(part["published_at"]) + delay,
            part["relevance"].to_numpy("float64"),
            part["score"].to_numpy("float64"),
        )
        for symbol, part in ordered.groupby("symbol", sort=True)
    }


def _relations(frame: pd.DataFrame) -> tuple[Relation, ...]:
    """Return relations in one order, whatever that of the rows."""
    symbol, peer, sector = (frame[name].fillna("").astype(str) for name in ("symbol", "peer", "sector"))
    start, end = (pd.to_datetime(frame[name]) for name in ("from", "to"))
    begins, known = days(start), end.notna()
    ends = np.where(known, days(end.fillna(pd.Timestamp(0))), EVER)
    rows = zip(symbol, peer, sector, begins, ends, strict=True)
    return tuple(
        sorted(Relation(own, other, of, int(first), int(last)) for own, other, of, first, last in rows)
    )
