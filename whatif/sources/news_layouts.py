"""Files of news, and of how symbols are related: their layouts, and the rules for their rows."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from whatif.domain import broken_symbol
from whatif.errors import SourceError
from whatif.sources.opening import open_binary
from whatif.sources.rules import RULES
from whatif.texts import shortened, shown

ENDINGS = (".json", ".jsonl", ".csv", ".json.gz", ".jsonl.gz", ".csv.gz")
"""How names of files of news end."""

MAX_BYTES = 512_000_000
"""Largest file, unpacked."""

STAMP = "%Y%m%dT%H%M%S"
"""How Alpha Vantage writes when an article was published."""

NAMES: Mapping[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker"),
    "published_at": ("published_at", "time_published"),
    "url": ("url",),
    "title": ("title",),
    "source": ("source",),
    "relevance": ("relevance", "relevance_score"),
    "score": ("score", "ticker_sentiment_score"),
    "label": ("label", "ticker_sentiment_label"),
}
"""Column of the table → what it is called in files: the plain name, and Alpha Vantage's."""

_TOLD_BY = {name for names in NAMES.values() for name in names} - {"source"} | {"peer", "sector"}
"""Names of which an article, an item or a relation has one."""

REQUIRED = ("symbol", "published_at", "url", "score")

NEWS_RULES: Mapping[str, str] = {
    "missing_symbol": RULES["missing_symbol"],
    "unparsable_time": "the item says when it was published, with the time of day",
    "ambiguous_time": RULES["ambiguous_time"],
    "nonexistent_time": RULES["nonexistent_time"],
    "published_ahead": "the item was published before it came",
    "missing_url": "the item has an address, which tells it from others of the same instant",
    "unparsable_number": "relevance and score are numbers",
    "relevance_out_of_range": "the relevance is from 0 to 1",
    "score_out_of_range": "the score is from -1 to 1",
    "duplicate": "within a delivery an item occurs once; the last file stays, and in a file the first row",
}
"""Rules for items of news; the order is that in which they are tried."""


@dataclass(frozen=True)
class Item:
    """One row of a file of news: what it says of one symbol.

    Attributes
    ----------
    file : str
        Where it stands.
    row : int
        Which of the file's it is, from 1.
    raw : str
        What stood there.
    values : mapping of str to Any
        Columns of the table; of one that is refused, `symbol` and `published_at` where they could be read.
    rule : str
        The rule that it breaks; "" if none.
    """

    file: str
    row: int
    raw: str
    values: Mapping[str, Any]
    rule: str = ""


def read_file(path: str) -> list[Mapping[str, Any]]:
    """Return the entries of a file of JSON, JSON lines or CSV: articles, items, or relations.

    Raises
    ------
    SourceError
        If it is none of these, or an answer of Alpha Vantage without articles.
    """
    with open_binary(path) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise SourceError(f"{path} has more than {MAX_BYTES:,} bytes: give it in parts")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is no text in UTF-8 ({error}): write it anew as such") from None
    name = path.lower().removesuffix(".gz")
    entries = list(_of_csv(text) if name.endswith(".csv") else _of_json(path, text, name.endswith(".jsonl")))
    if not entries:
        raise SourceError(f"{path} has no rows: name files with rows; nothing was written")
    return entries


def are_relations(entries: Sequence[Mapping[str, Any]]) -> bool:
    """Whether entries say how symbols are related, and not what was published."""
    return "peer" in entries[0] or "sector" in entries[0]


def _of_csv(text: str) -> Iterator[Mapping[str, Any]]:
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    for row in reader:
        found: dict[str, Any] = {
            str(name or "").strip(): value for name, value in row.items() if name is not None
        }
        if "ticker_sentiment" in found:
            found["ticker_sentiment"] = _of_text(found["ticker_sentiment"])
        yield found


def _of_text(text: Any) -> Any:
    """Return what a column of JSON says; the text itself where it is none, which no item can be made of."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


def _of_json(path: str, text: str, lines: bool) -> Iterator[Mapping[str, Any]]:
    try:
        given = (
            [json.loads(line) for line in text.splitlines() if line.strip()] if lines else json.loads(text)
        )
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is no JSON that can be read ({error}): fetch it again") from None
    for page in given if isinstance(given, list) else [given]:
        if not isinstance(page, dict):
            raise SourceError(f"{path} holds {shown(str(page))} where an article or an item has to stand")
        if "feed" in page:
            yield from page["feed"]
        elif _TOLD_BY & set(page):
            yield page
        else:
            said = shortened(str(next(iter(page.values()), "")), 200)
            raise SourceError(
                f"{path} holds no article, no item and no relation, but {said!r}: give what the service "
                "answered to a request that worked"
            )


def items_of(path: str, entries: Iterable[Mapping[str, Any]], zone: str, now: datetime) -> Iterator[Item]:
    """Yield the items of a file, each checked.

    Parameters
    ----------
    path : str
        The file.
    entries : iterable of mapping
        Articles, each of several symbols, or items.
    zone : str
        Time zone of stamps that say none.
    now : datetime
        When they came.

    Raises
    ------
    SourceError
        If the file lacks a column.
    """
    number = 0
    for entry in entries:
        several = entry.get("ticker_sentiment")
        parts: list[Any] = several if isinstance(several, list) else [{}]
        for part in parts:
            number += 1
            own = part if isinstance(part, Mapping) else {}
            given = {**{name: value for name, value in entry.items() if name != "ticker_sentiment"}, **own}
            if number == 1:
                _check_columns(path, given)
            yield _item(path, number, given, ZoneInfo(zone), now)


def _check_columns(path: str, given: Mapping[str, Any]) -> None:
    missing = [name for name in REQUIRED if not any(called in given for called in NAMES[name])]
    if missing:
        wanted = "; ".join(f"{' or '.join(NAMES[name])}" for name in missing)
        raise SourceError(
            f"{path} has no column {wanted} (it has {', '.join(map(str, given)) or 'none'}): it takes "
            f"{', '.join(NAMES)}, or the layout of Alpha Vantage's NEWS_SENTIMENT"
        )


def _item(path: str, number: int, given: Mapping[str, Any], zone: ZoneInfo, now: datetime) -> Item:
    raw = shortened(json.dumps(given, ensure_ascii=False, default=str), 2_000)
    texts = {name: _text(given, name) for name in ("symbol", "url", "title", "source", "label")}
    values: dict[str, Any] = {name: text or None for name, text in texts.items()}
    stamp, broken = _instant(_given(given, "published_at"), zone)
    relevance, score = _number(given, "relevance", 1.0), _number(given, "score", math.nan)
    values |= {"published_at": stamp, "relevance": relevance, "score": score}
    tried = {
        "missing_symbol": bool(broken_symbol(texts["symbol"])),
        broken: bool(broken),
        "published_ahead": stamp is not None and stamp > now,
        "missing_url": not texts["url"],
        "unparsable_number": not (math.isfinite(relevance) and math.isfinite(score)),
        "relevance_out_of_range": not 0.0 <= relevance <= 1.0,
        "score_out_of_range": not -1.0 <= score <= 1.0,
    }
    rule = next((name for name, is_broken in tried.items() if is_broken), "")
    return Item(path, number, raw, values, rule)


def _given(row: Mapping[str, Any], name: str) -> Any:
    return next((row[called] for called in NAMES[name] if row.get(called) not in (None, "")), None)


def _text(row: Mapping[str, Any], name: str) -> str:
    found = _given(row, name)
    return "" if found is None else str(found).strip()


def _number(row: Mapping[str, Any], name: str, default: float) -> float:
    found = _given(row, name)
    if found is None or isinstance(found, bool):
        return default if found is None else math.nan
    try:
        return float(found)
    except (TypeError, ValueError):
        return math.nan


def _instant(given: Any, zone: ZoneInfo) -> tuple[datetime | None, str]:
    """Return when something was published, or the rule that the stamp breaks.

    A date alone is no instant: its midnight is earlier than whatever was published on it.
    """
    text = str(given).strip() if isinstance(given, str) else ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None, "unparsable_time"
    if len(text) <= len("2024-06-10"):
        return None, "unparsable_time"
    if moment.tzinfo is not None:
        return moment.astimezone(UTC), ""
    earlier, later = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if earlier.utcoffset() != later.utcoffset():
        there = earlier.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == moment
        return None, "ambiguous_time" if there else "nonexistent_time"
    return earlier.astimezone(UTC), ""


def relations_of(path: str, entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the relations of a file, as rows of the table.

    Raises
    ------
    SourceError
        If one breaks a rule: a file of relations is written by hand, and mended so.
    """
    missing = [name for name in ("symbol", "from") if name not in entries[0]]
    if missing:
        raise SourceError(
            f"{path} has no column {' and '.join(missing)} (it has {', '.join(entries[0])}): relations have "
            "symbol, from, to, and peer or sector"
        )
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for number, entry in enumerate(entries, 1):
        row = _relation(f"{path}, row {number}", entry)
        found[row["symbol"], row["peer"], row["sector"], row["from"]] = row
    return list(found.values())


def _relation(where: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    symbol, peer, sector = (str(entry.get(name) or "").strip() for name in ("symbol", "peer", "sector"))
    for one in filter(None, (symbol or " ", peer)):
        broken = broken_symbol(one)
        if broken:
            raise SourceError(f"{where}: the symbol {shown(one)} {broken}")
    if bool(peer) == bool(sector):
        has = "both a peer and a sector" if peer else "neither a peer nor a sector"
        raise SourceError(f"{where}: {symbol} has {has}: write a row for each")
    if peer == symbol:
        raise SourceError(f"{where}: {symbol} is said to be its own peer: name another symbol")
    begin, end = _date(entry.get("from"), f"{where}: from"), _date(entry.get("to"), f"{where}: to")
    if begin is None:
        raise SourceError(f"{where}: {symbol} has no from: say since which trading date it holds")
    if end is not None and end <= begin:
        raise SourceError(
            f"{where}: it holds from {begin} to {end}, which ends before it begins: to is the first date on "
            "which it does not hold any more"
        )
    return {"symbol": symbol, "peer": peer, "sector": sector, "from": begin, "to": end}


def _date(given: Any, where: str) -> date | None:
    text = str(given or "").strip()
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SourceError(f"{where} = {shown(text)} is no date: write such as 2024-01-02") from None
