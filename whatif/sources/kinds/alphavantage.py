"""Bars of Alpha Vantage: days as they were traded, and minutes, month by month; actions, news and overviews.

Functions, answers and limits are those of https://www.alphavantage.co/documentation/.
"""

from __future__ import annotations

import calendar
import http.client
import json
import math
import os
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from whatif.calendars import canonical_exchange, known_schedule
from whatif.domain import broken_symbol, canonical_timeframe
from whatif.errors import SourceError, StudyError
from whatif.exchanges import known_dates
from whatif.masking import MASK, masked
from whatif.sources.base import Source
from whatif.sources.chunk import Chunk, Layout
from whatif.sources.columns import bare_name
from whatif.sources.services import pause, secret_text
from whatif.texts import shortened

ADDRESS = "https://www.alphavantage.co/query"
KEY = "ALPHAVANTAGE_API_KEY"
"""What the environment, or a secret that is an object of JSON, calls the key."""

ATTEMPTS = 6
"""How often a request is sent before its failure is told."""

_LONGEST = 60.0
_TIMEOUT = 60.0
_MAX_BYTES = 256_000_000
_SAID = ("Error Message", "Note", "Information")
_LOCAL = ("127.0.0.1", "localhost", "::1")

_PACE = threading.Lock()
_next: dict[str, float] = {}

ZONE = "America/New_York"
"""Zone of the service's stamps, which its answers call US/Eastern."""

_INTERVALS = {"1min": "1min", "5min": "5min", "15min": "15min", "30min": "30min", "1h": "60min"}
_COLUMNS = ("open", "high", "low", "close", "volume")
_OVER = 20
"""Hour of New York at which the extended hours of a day are over."""

_ACTIONS = {
    "split": ("SPLITS", "effective_date", "split_factor"),
    "dividend": ("DIVIDENDS", "ex_dividend_date", "amount"),
}
"""Kind → function, and what its answer calls date and value."""

_TAGS = ("Sector", "Industry", "Exchange", "Country")
"""What of an overview becomes a tag."""

_ASSETS = {"common stock": "equity", "etf": "fund"}
"""Kind of asset, as the service calls it → asset class."""

_ARTICLES = 1_000
"""Articles that an answer of news has, at most, and is asked for."""

_FEWEST_ARTICLES = 50
"""Articles that it has if fewer are allowed to a key: what is documented as its default."""

_MINUTE = "%Y%m%dT%H%M"
"""How NEWS_SENTIMENT is asked for a time, UTC; its answers have seconds too."""

_NO_NEWS = "no articles found"

_COMPACT_DAYS = 90
"""Days that the latest hundred sessions of a short answer surely cover."""


class _AgainError(Exception):
    """A request failed in a way that another attempt may not."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Goes to no other address: the key would go along."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(frozen=True)
class _Service:
    """How the service is asked. The key is no field: it is read for each request, and stands in no text.

    Attributes
    ----------
    secret : str or None
        Name of the secret of AWS Secrets Manager that holds the key; None takes the environment's.
    region : str or None
        Where the secret is; that of the environment if None.
    per_minute : int
        Requests that this process sends in a minute, at most, spread evenly.
    seed : int
        Of the random part of what is waited before another attempt.
    address : str
        Where the service is: https, or this machine.
    """

    secret: str | None = None
    region: str | None = None
    per_minute: int = 60
    seed: int = 0
    address: str = ADDRESS

    def check(self) -> None:
        """Refuse settings that no request can be sent with.

        Raises
        ------
        SourceError
            If there is no key, or the address would carry it for all to read.
        """
        parts = urllib.parse.urlsplit(self.address)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
            raise SourceError(
                f"address {masked(self.address)} is not https: the key would be sent for all to read; "
                f"{ADDRESS} is the service's own"
            )
        if self.per_minute < 1:
            raise SourceError(f"option per_minute={self.per_minute} is less than 1: give requests a minute")
        self._key()

    def ask(self, **asked: str) -> dict[str, Any]:
        """Return the service's answer to a request; what fails on the way, or is throttled, is sent again.

        Parameters
        ----------
        **asked : str
            Parameters of the request but the key, `function` among them.

        Raises
        ------
        SourceError
            If it refuses the request or the key, wants to be paid, or fails `ATTEMPTS` times in a row.
        """
        key = self._key()
        what = f"Alpha Vantage, {asked['function']}" + (
            f" of {asked[name]}" if (name := "symbol" if "symbol" in asked else "tickers") in asked else ""
        )
        rng = np.random.default_rng(self.seed)
        for attempt in range(ATTEMPTS):
            self._wait_for_turn()
            try:
                return _meant(what, self._fetched(asked, key), key)
            except _AgainError as error:
                said = str(error)
            if attempt + 1 < ATTEMPTS:
                pause(attempt, 1.0, _LONGEST, rng)
        raise SourceError(
            f"{what}: failed {ATTEMPTS} times in a row, last: {_hidden(said, key)}. Run the same command "
            "later"
            + (", or give a lower --per-minute" if re.search("throttles|429", said) else "")
            + (f", and check the network and the address, {self.address}" if said.startswith(_NOBODY) else "")
        )

    def _key(self) -> str:
        text = os.environ.get(KEY, "") if self.secret is None else secret_text(self.secret, KEY, self.region)
        if not text.strip():
            where = f"{KEY} is not set" if self.secret is None else f"secret {self.secret} is empty"
            raise SourceError(
                f"no key of Alpha Vantage: {where}. Set {KEY}, or name a secret of AWS Secrets Manager that "
                "holds it with --secret"
            )
        return text.strip()

    def _wait_for_turn(self) -> None:
        with _PACE:
            now = time.monotonic()
            turn = max(now, _next.get(self.address, now))
            _next[self.address] = turn + 60.0 / self.per_minute
        if turn > now:
            time.sleep(turn - now)

    def _fetched(self, asked: dict[str, str], key: str) -> Any:
        address = f"{self.address}?{urllib.parse.urlencode({**asked, 'apikey': key})}"
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with opener.open(address, timeout=_TIMEOUT) as answer:
                content = answer.read(_MAX_BYTES + 1)
                length = answer.headers.get("Content-Length")
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 429 or error.code >= 500:
                raise _AgainError(f"it answered {error.code} {error.reason}") from None
            raise SourceError(
                f"Alpha Vantage answered {error.code} {_hidden(str(error.reason), key)}: check the address "
                "and, of 401 and 403, the key; a redirect is not followed, as the key would go along"
            ) from None
        except urllib.error.URLError as error:
            raise _AgainError(f"{_NOBODY} ({error.reason})") from None
        except (OSError, http.client.HTTPException) as error:
            raise _AgainError(f"{type(error).__name__}: {error}") from None
        if len(content) > _MAX_BYTES:
            raise SourceError(f"Alpha Vantage answered more than {_MAX_BYTES:,} bytes: ask for less")
        if length is not None and len(content) < int(length):
            raise _AgainError(f"half an answer came, {len(content):,} of {int(length):,} bytes")
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise _AgainError(
                f"half an answer came, or no JSON: {shortened(repr(content[:80]), 80)}"
            ) from None


_NOBODY = "nobody answers"


class AlphaVantageBars(Source):
    """Bars by TIME_SERIES_DAILY_ADJUSTED, or by TIME_SERIES_INTRADAY of each month; a symbol is a part.

    Prices are not adjusted. A day lands once it is over, at 20:00 in New York; the next ingest goes on behind
    the last day, and asks for no month again that was over.

    Attributes
    ----------
    symbols : tuple of str
        As the service calls them.
    timeframe : str
        1d, or 1min, 5min, 15min, 30min, 1h.
    start, end : str, optional
        First and last month (2024-01) or day (2024-01-15), both included. All days if left out; of minutes
        this month.
    exchange : str
        Calendar of the symbols.
    secret, region : str, optional
        Secret of AWS Secrets Manager with the key, and where it is; the environment's
        ALPHAVANTAGE_API_KEY if left out.
    per_minute, seed, address
        Requests a minute, at most; seed of what is waited before another attempt; where the service is,
        https or this machine.
    """

    as_written: ClassVar[bool] = True

    symbols: tuple[str, ...]
    timeframe: str = "1d"
    start: str | None = None
    end: str | None = None
    exchange: str = "XNYS"
    secret: str | None = None
    region: str | None = None
    per_minute: int = 60
    seed: int = 0
    address: str = ADDRESS

    def parts(self) -> list[str]:
        """Return a part for each symbol."""
        timeframe = self._timeframe
        self._check()
        return [f"alphavantage:{symbol}:{timeframe}" for symbol in self.symbols]

    def _check(self) -> None:
        """Refuse settings that nothing can be asked with."""
        if not self.symbols:
            raise SourceError("no symbol is named: give --symbols IBM,SPY")
        for symbol in self.symbols:
            if broken := broken_symbol(symbol):
                raise SourceError(f"the symbol {symbol!r} {broken}")
        first, last = self._first(), self._last()
        if first > last:
            raise SourceError(
                f"nothing lies between {first} and {last}: give an earlier start, or a later end"
            )
        self._service.check()

    def read(self, part: str, checkpoint: str | None) -> Iterator[Chunk]:
        """Yield the bars of a symbol behind a checkpoint, the last day that was read."""
        symbol = part.removeprefix("alphavantage:").rpartition(":")[0]
        first, last = self._first(), self._last()
        if checkpoint is not None:
            first = max(first, date.fromisoformat(checkpoint) + timedelta(days=1))
        if first > last:
            yield self._chunk(part, symbol, {}, checkpoint)
        elif self._timeframe == "1d":
            yield self._days(part, symbol, first, last, checkpoint)
        else:
            yield from self._months(part, symbol, first, last)

    def actions(self) -> Iterator[dict[str, Any]]:
        """Yield the splits and dividends of each symbol, by SPLITS and DIVIDENDS; none yet to come."""
        self._check()
        since = None if self.start is None else self._first()
        until = _today() if self.end is None else self._last()
        for symbol in self.symbols:
            for kind, (function, day, value) in _ACTIONS.items():
                answer = self._service.ask(function=function, symbol=symbol, datatype="json")
                for row in _rows(answer, "data", function, symbol):
                    found = _action(symbol, kind, row.get(day), row.get(value))
                    changes = found["value"] != (1.0 if kind == "split" else 0.0)
                    if changes and (since is None or since <= found["ex_date"]) and found["ex_date"] <= until:
                        yield found

    def news(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Yield the articles about each symbol by NEWS_SENTIMENT, a page for each request, oldest first.

        Of an article stays what it says of that symbol. Days are of UTC, as its stamps are. A key may be
        answered fewer articles than were asked for, so that how long a page is does not show that it is the
        last: one that brings nothing new does. An article that comes again with the next page is left out.
        """
        self._check()
        first = _today().replace(day=1) if self.start is None else self._first()
        until = _today() if self.end is None else _bound("end", self.end)[1]
        end = min(datetime.now(UTC), datetime.combine(until, datetime.max.time(), UTC))
        for symbol in self.symbols:
            begin: datetime | None = datetime.combine(first, datetime.min.time(), UTC)
            known: set[tuple[str, str]] = set()
            while begin is not None and begin <= end:
                asked = {"time_from": f"{begin:{_MINUTE}}", "time_to": f"{end:{_MINUTE}}"}
                answer = self._service.ask(
                    function="NEWS_SENTIMENT", tickers=symbol, sort="EARLIEST", limit=str(_ARTICLES), **asked
                )
                feed = _rows(answer, "feed", "NEWS_SENTIMENT", symbol)
                new = {key: one for one in feed if (key := _known_by(one)) not in known}
                page = f"{self.label}:NEWS_SENTIMENT:{symbol}:{asked['time_from']}"
                yield page, _about_symbol(list(new.values()), symbol)
                known |= new.keys()
                begin = _next_page(feed, bool(new), symbol, begin)

    def overviews(self) -> Iterator[dict[str, Any]]:
        """Yield what each symbol is, by OVERVIEW: name, description, kind of asset, sector and industry."""
        self._check()
        for symbol in self.symbols:
            answer = self._service.ask(function="OVERVIEW", symbol=symbol)
            of = str(answer.get("Symbol"))
            if of.upper() != symbol.upper():
                raise SourceError(f"Alpha Vantage was asked what {symbol} is and answered {of}: correct it")
            told = {name: _said(answer, name) for name in ("Name", "Description", "AssetType", *_TAGS)}
            kind = told["AssetType"].lower()
            yield {
                "symbol": symbol,
                "description": shortened(": ".join(filter(None, (told["Name"], told["Description"]))), 1_900),
                "asset_class": _ASSETS.get(kind, kind),
                "tags": tuple(filter(None, (_tag(told[name]) for name in _TAGS))),
            }

    def _days(self, part: str, symbol: str, first: date, last: date, checkpoint: str | None) -> Chunk:
        near = checkpoint is not None and (_today() - first).days < _COMPACT_DAYS
        size = "compact" if near else "full"
        answer = self._service.ask(
            function="TIME_SERIES_DAILY_ADJUSTED", symbol=symbol, outputsize=size, datatype="json"
        )
        rows = _series(answer, symbol, "Daily")
        if size == "full" and str(_about(answer, "output size")).lower().startswith("compact"):
            raise SourceError(f"Alpha Vantage answered 100 days of {symbol} where all were asked for")
        rows = {ts: row for ts, row in rows.items() if first <= _day(symbol, ts) <= last}
        if not rows and checkpoint is None:
            raise SourceError(
                f"Alpha Vantage has no day of {symbol} from {first} to {last}: correct the days"
            )
        return self._chunk(part, symbol, rows, max((ts[:10] for ts in rows), default=checkpoint))

    def _months(self, part: str, symbol: str, first: date, last: date) -> Iterator[Chunk]:
        """Yield a chunk for each month; its checkpoint is its last day, or the last that is over.

        A month of which no session is over is not asked for, since the service calls that a mistake; one
        that is answered without bars is asked for again.
        """
        interval = _INTERVALS[self._timeframe]
        month = first.replace(day=1)
        while month <= last:
            until = month.replace(day=calendar.monthrange(month.year, month.month)[1])
            if not self._has_sessions(max(first, month), min(until, last)):
                yield self._chunk(part, symbol, {}, min(until, last).isoformat())
                month = until + timedelta(days=1)
                continue
            answer = self._service.ask(
                function="TIME_SERIES_INTRADAY", symbol=symbol, interval=interval, month=f"{month:%Y-%m}",
                adjusted="false", extended_hours="true", outputsize="full", datatype="json",
            )  # fmt: skip
            rows = _series(answer, symbol, interval)
            other = next((ts for ts in rows if not month <= _day(symbol, ts) <= until), None)
            if other is not None:
                raise SourceError(
                    f"Alpha Vantage was asked for {symbol} of {month:%Y-%m} and answered a bar of {other}: "
                    "try again"
                )
            rows = {ts: row for ts, row in rows.items() if first <= _day(symbol, ts) <= last}
            yield self._chunk(part, symbol, rows, min(until, last).isoformat() if rows else None)
            month = until + timedelta(days=1)

    def _has_sessions(self, first: date, last: date) -> bool:
        """Tell whether the exchange was open on a day, or its calendar does not know those days."""
        begin, end = known_dates(canonical_exchange(self.exchange))
        known = begin <= first and last <= end
        return not known or bool(len(known_schedule(canonical_exchange(self.exchange), first, last)))

    def _chunk(
        self, part: str, symbol: str, rows: Mapping[str, Mapping[str, str]], checkpoint: str | None
    ) -> Chunk:
        stamps = sorted(rows)
        columns = {"ts": pa.array(stamps, pa.string())}
        columns |= {name: pa.array([rows[ts].get(name) for ts in stamps], pa.string()) for name in _COLUMNS}
        layout = Layout(
            part, self._timeframe, canonical_exchange(self.exchange), symbol=symbol, timezone=ZONE
        )
        return Chunk(layout, pa.RecordBatch.from_pydict(columns), checkpoint=checkpoint)

    @property
    def _service(self) -> _Service:
        return _Service(self.secret, self.region, self.per_minute, self.seed, self.address)

    @property
    def _timeframe(self) -> str:
        try:
            timeframe = canonical_timeframe(self.timeframe)
        except StudyError as error:
            raise SourceError(f"option timeframe: {error}") from error
        if timeframe != "1d" and timeframe not in _INTERVALS:
            raise SourceError(
                f"option timeframe={self.timeframe} is none of Alpha Vantage: give 1d, "
                f"{', '.join(_INTERVALS)}"
            )
        return timeframe

    def _first(self) -> date:
        if self.start is None:
            return date(1990, 1, 1) if self._timeframe == "1d" else _today().replace(day=1)
        return _bound("start", self.start)[0]

    def _last(self) -> date:
        """Return the last day that is wanted, and over."""
        now = datetime.now(UTC).astimezone(ZoneInfo(ZONE))
        over = now.date() - timedelta(days=now.hour < _OVER)
        return over if self.end is None else min(over, _bound("end", self.end)[1])


def _today() -> date:
    return datetime.now(UTC).astimezone(ZoneInfo(ZONE)).date()


def _bound(name: str, text: str) -> tuple[date, date]:
    """Return the first and the last day of a month or a day."""
    try:
        if len(text) != 7:
            return date.fromisoformat(text), date.fromisoformat(text)
        month = date.fromisoformat(f"{text}-01")
    except ValueError:
        raise SourceError(
            f"option {name}={text} is no month and no day: write 2024-01 or 2024-01-15"
        ) from None
    return month, month.replace(day=calendar.monthrange(month.year, month.month)[1])


def _day(symbol: str, ts: str) -> date:
    try:
        return date.fromisoformat(ts[:10])
    except ValueError:
        raise SourceError(f"Alpha Vantage answered {ts!r} as the stamp of a bar of {symbol}") from None


def _about(answer: Mapping[str, Any], name: str) -> Any:
    about = answer.get("Meta Data")
    found = {bare_name(str(one)): value for one, value in about.items()} if isinstance(about, dict) else {}
    return found.get(name)


def _series(answer: Mapping[str, Any], symbol: str, interval: str) -> dict[str, dict[str, str]]:
    """Return the bars of an answer: stamp → column → what is written there."""
    name = f"Time Series ({interval})"
    rows = answer.get(name)
    if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
        raise SourceError(
            f"Alpha Vantage answered {', '.join(map(repr, list(answer)[:5]))} where {name!r} of {symbol} was "
            "asked for: nothing was read of it; try again"
        )
    of, zone = str(_about(answer, "symbol")), _about(answer, "time zone")
    if of.upper() != symbol.upper():
        raise SourceError(f"Alpha Vantage was asked for {symbol} and answered {of}: correct --symbols")
    if zone not in ("US/Eastern", ZONE):
        raise SourceError(f"stamps of {symbol} are in zone {zone!r}, and US/Eastern is what is known")
    return {str(ts): {bare_name(key): str(value) for key, value in row.items()} for ts, row in rows.items()}


def _meant(what: str, answer: Any, key: str) -> dict[str, Any]:
    """Return an answer that is one; raise what it says instead."""
    if not isinstance(answer, dict):
        raise _AgainError("its answer is no object of JSON")
    said = next((str(answer[name]) for name in _SAID if name in answer), None)
    if said is None:
        if not answer:
            raise SourceError(f"{what}: it knows nothing of it (an empty answer): correct --symbols")
        return answer
    text, told = said.lower(), shortened(_hidden(said, key), 300)
    if _NO_NEWS in text:
        return {"feed": []}
    if "invalid inputs" in text:
        raise SourceError(
            f"{what}: it knows no such symbol, or no such time ({told}). Correct --symbols, --start or --end"
        )
    if re.search(r"per (second|minute)|call frequency|burst", text):
        raise _AgainError(f"it throttles: {told}")
    if "per day" in text or ("daily" in text and "limit" in text):
        raise SourceError(
            f"{what}: the key's requests of today are used up ({told}). Run the same command tomorrow"
        )
    if "premium" in text:
        raise SourceError(
            f"{what}: the key may not ask for this, which is paid for ({told}). Give the key of a plan "
            "that has it, or ask for another --timeframe"
        )
    if re.search(r"api ?key", text) and re.search(r"invalid|missing|demo", text):
        raise SourceError(f"{what}: the key is refused ({told}). Correct {KEY}, or the secret")
    if "Error Message" in answer:
        raise SourceError(
            f"{what}: it knows no such symbol, or has nothing of the time that was asked for ({told}). "
            "Correct --symbols, or give a later --start"
        )
    raise SourceError(f"{what}: it says {told!r} instead of an answer")


def _hidden(text: str, key: str) -> str:
    """Return a text without the key, as it is or as addresses have it."""
    for one in {key, urllib.parse.quote(key), urllib.parse.quote_plus(key)}:
        text = text.replace(one, MASK)
    return masked(text)


def _said(answer: Mapping[str, Any], name: str) -> str:
    """Return a text of an overview; "" where it says none, which it writes as None or -."""
    text = " ".join(str(answer.get(name) or "").split())
    return "" if text in ("None", "-") else text


def _tag(text: str) -> str:
    """Return a text as a tag may be: a list of tags has commas between them, and a tag 60 characters."""
    return " ".join(text.lower().replace(",", " ").split())[:60].strip()


def _about_symbol(feed: Sequence[Mapping[str, Any]], symbol: str) -> list[dict[str, Any]]:
    """Return the articles of a page, with what they say of one symbol."""
    found = []
    for article in feed:
        told = article.get("ticker_sentiment")
        if not isinstance(told, list):
            raise SourceError(
                f"Alpha Vantage answered an article about {symbol} without ticker_sentiment: nothing was "
                "read of it; try again"
            )
        own = [
            one for one in told if isinstance(one, dict) and str(one.get("ticker")).upper() == symbol.upper()
        ]
        if own:
            found.append({**article, "ticker_sentiment": [{**one, "ticker": symbol} for one in own]})
    return found


def _known_by(article: Mapping[str, Any]) -> tuple[str, str]:
    return str(article.get("url")), str(article.get("time_published"))


def _next_page(
    feed: Sequence[Mapping[str, Any]], brings_new: bool, symbol: str, begin: datetime
) -> datetime | None:
    """Return the minute that the next request begins with, the last one's; None behind the last page."""
    if not feed:
        return None
    try:
        last = max(datetime.fromisoformat(str(one.get("time_published"))).replace(tzinfo=UTC) for one in feed)
    except ValueError as error:
        raise SourceError(
            f"Alpha Vantage answered an article about {symbol} without a time: {error}"
        ) from None
    last = last.replace(second=0)
    if brings_new and last > begin:
        return last
    if last <= begin and len(feed) >= min(_ARTICLES, _FEWEST_ARTICLES):
        raise SourceError(
            f"Alpha Vantage has {len(feed):,} articles about {symbol} of the minute {begin:%Y-%m-%d %H:%M} "
            "and answers no more: give a later --start, or an earlier --end"
        )
    return None


def _rows(answer: Mapping[str, Any], name: str, function: str, symbol: str) -> list[dict[str, Any]]:
    """Return the list of objects that an answer has under a name."""
    rows = answer.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise SourceError(
            f"Alpha Vantage answered {', '.join(map(repr, list(answer)[:5]))} to {function} of {symbol}, "
            f"where {name!r} is a list: nothing was read of it; try again"
        )
    return rows


def _action(symbol: str, kind: str, day: Any, value: Any) -> dict[str, Any]:
    try:
        at, number = date.fromisoformat(day), float(value)
    except (TypeError, ValueError):
        at, number = date.min, math.nan
    if not (math.isfinite(number) and number >= 0) or (kind == "split" and not number):
        raise SourceError(
            f"Alpha Vantage tells of a {kind} of {symbol} on {day!r} of {value!r}, which is no date or no "
            "value: nothing was written; load its actions from a file, mended"
        )
    return {"symbol": symbol, "ex_date": at, "kind": kind, "value": number}
