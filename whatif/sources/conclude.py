"""What a file shows of itself: options that its user has left out, each with what it was concluded from.

Nothing is guessed where it would change a number. What a file can mean in two ways is asked, with the options
that settle it; what nothing shows is left to the rules of reading, which refuse the file or have a default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from whatif.domain import DAY_US, timestamps
from whatif.errors import SourceError, WhatIfError
from whatif.exchanges import time_zone
from whatif.sources.beginning import (
    MAX_LINES,
    Beginning,
    fields_of,
    like_volumes,
    only_stamps,
    roles_of,
    side_by_side,
)
from whatif.sources.bounded import encoding_of, text_of
from whatif.sources.chunk import Layout
from whatif.sources.columns import ENDS, bare_name, find_columns, symbol_of, volumes_in
from whatif.sources.numbers import MISSING
from whatif.sources.opening import MEMBER, open_binary
from whatif.sources.patterns import ISO_AWARE, UNITS, fitting_formats
from whatif.sources.providers import FX, Provider, name_of_minutes, provider_of, timeframe_in
from whatif.sources.review import looks_like_ends
from whatif.sources.signs import signs_of, with_units
from whatif.sources.spacing import FirstRows, first_rows, timeframe_of
from whatif.sources.spec import IngestSpec
from whatif.sources.stamps import clock_digits, formats_of, half_clock, is_date_alone, is_time_alone
from whatif.sources.times import read_times
from whatif.sources.wide import as_long

_PRICES = ("open", "high", "low", "close")
_CURRENCIES = frozenset(
    ("USD", "EUR", "JPY", "GBP", "CHF", "AUD", "CAD", "NZD", "SEK", "NOK", "DKK", "PLN", "HUF", "CZK", "TRY",
     "ZAR", "MXN", "SGD", "HKD", "CNH", "XAU", "XAG")
)  # fmt: skip
_TICKER = re.compile(r"[A-Z^][A-Z0-9^=!.\-]{0,14}|\d{3,6}\.[A-Z]{1,3}")
_NO_TICKERS = frozenset(
    ("ASCII", "BARS", "BID", "ASK", "CSV", "DATA", "DAT", "DATASET", "EXPORT", "FULL", "HISTORICAL",
     "HISTORY", "LAST", "MINUTE", "MT", "NT", "OHLC", "OHLCV", "PRICES", "SAMPLE", "TEST", "TRADES", "UTC",
     "NEW", "COPY", "FINAL", "RAW", "ADJ", "MID")
)  # fmt: skip
_MAX_SCANNED = 2_000_000
_RTYPES = {"33": "1min", "34": "1h", "35": "1d"}


@dataclass(frozen=True)
class Finding:
    """An option that was concluded.

    Attributes
    ----------
    option : str
        As it would be typed.
    because : str
        What shows it.
    """

    option: str
    because: str


@dataclass(frozen=True)
class Concluded:
    """How a file is to be read.

    Attributes
    ----------
    path : str
        The file.
    spec : IngestSpec
        What the user said, and what was concluded.
    findings : tuple of Finding
        What was concluded.
    questions : tuple of str
        What the file can mean in several ways, with the options that settle it.
    timeframe_shown : bool
        Whether the user or the file says how long its bars are.
    days_or_minutes : bool
        Whether it has one bar a symbol, at midnight, and nothing shows whether that is a day.
    """

    path: str
    spec: IngestSpec
    findings: tuple[Finding, ...] = ()
    questions: tuple[str, ...] = ()
    timeframe_shown: bool = True
    days_or_minutes: bool = False


@dataclass
class _Work:
    """What is known of a file while it is looked at; `spec` fills up."""

    begin: Beginning
    spec: IngestSpec
    provider: Provider | None = None
    names: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    at: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    short_clocks: bool = False

    def take(self, option: str, because: str, **values: Any) -> None:
        """Set fields of the spec, and note why; what the user said stays."""
        self.spec = replace(self.spec, **values)
        self.findings.append(Finding(option, because))

    def column(self, target: str) -> pd.Series | None:
        """Return the first rows of a table column, joined if it is of several; None if there is none."""
        at = self.at.get(target, ())
        if not at:
            return None
        joined = self.begin.rows[at[0]]
        for k in at[1:]:
            joined = joined.astype("str") + " " + self.begin.rows[k].astype("str")
        return joined

    def texts(self, target: str) -> list[str]:
        """Return the first rows of a table column that is text; none if it is typed."""
        found = self.column(target)
        if found is None or pd.api.types.is_numeric_dtype(found.dtype) or found.dtype.kind in "Mm":
            return []
        return [str(value) for value in found.dropna()]


def conclude(begin: Beginning, spec: IngestSpec) -> Concluded:
    """Return how a file is to be read: what the user says, and what its first rows and its name show.

    Parameters
    ----------
    begin : Beginning
        The file's first rows.
    spec : IngestSpec
        What the user says.

    Raises
    ------
    SourceError
        If the user names a layout or a column that there is none of.
    """
    work = _Work(begin, spec)
    work.provider = provider_of(spec.layout, begin.stem, begin.names, begin.rows.shape[1], begin.above)
    _layout(work)
    if not _columns(work):
        return Concluded(begin.path, work.spec, tuple(work.findings), tuple(work.questions))
    _symbol(work)
    _volume(work)
    _none_traded(work)
    _numbers(work)
    _stamp_format(work)
    _exchange_and_zone(work)
    shown = _timeframe(work)
    unclear = not shown and _at_midnight(work)
    return Concluded(begin.path, work.spec, tuple(work.findings), tuple(work.questions), shown, unclear)


def _layout(work: _Work) -> None:
    """Take what the provider documents and a file does not show."""
    provider, spec = work.provider, work.spec
    if provider is None:
        return
    why = f"layout {provider.name}" if spec.layout else f"looks like a file of {provider.name}"
    for name in ("exchange", "stamps", "timeframe"):
        value = getattr(provider, name)
        if value is not None and getattr(spec, name) is None:
            work.take(f"--{name} {value}", why, **{name: value})
    if provider.timezone is not None and spec.timezone is None:
        zone = "UTC" if work.spec.exchange == "24/7" else provider.timezone
        work.take(f"--timezone {zone}", why, timezone=zone)


def _columns(work: _Work) -> bool:
    """Name the columns; False where that is left to whoever reads the file, who says what is wrong."""
    begin, provider = work.begin, work.provider
    names = begin.names
    if not names:
        given = (
            provider.columns if provider is not None and len(provider.columns) == begin.rows.shape[1] else ()
        )
        roles = given or roles_of(begin.rows)
        if roles is None:
            work.questions.append(
                "it has no header, and values do not show which columns are open, high, low, close and "
                "volume: name all columns, as in --columns ts,open,high,low,close,volume"
            )
            return False
        names = roles
        work.take(
            f"--columns '{','.join(names)}'",
            f"no header; as {provider.name} documents"
            if given and provider
            else "no header; by their values",
            header=names,
        )
    elif len({name for name in names if name}) < sum(bool(name) for name in names):
        return False
    if begin.delimiter is not None:
        if not (begin.names and begin.plain) and work.spec.skip is None:
            work.spec = replace(work.spec, header=tuple(names), skip=begin.skip)
        work.spec = replace(work.spec, delimiter=begin.delimiter)
    elif not begin.names:
        work.spec = replace(work.spec, header=tuple(names))
    work.names = tuple(names)
    bare = [bare_name(name) for name in names]
    for target, wanted in (provider.mapping if provider else {}).items():
        if target not in work.spec.columns and wanted in bare:
            _map(
                work,
                target,
                (names[bare.index(wanted)],),
                f"as {provider.name if provider else ''} documents",
            )
    work.at = find_columns(begin.path, work.names, work.spec)
    _one_column_of_stamps(work)
    _unusual_stamps(work)
    return not _several_symbols(work)


def _map(work: _Work, target: str, names: tuple[str, ...], because: str) -> None:
    columns = {**work.spec.columns, target: names}
    work.take(f"--map '{target}={'+'.join(names)}'", because, columns=columns)
    work.at = find_columns(work.begin.path, work.names, work.spec)


def _one_column_of_stamps(work: _Work) -> None:
    """Where a date and a time stand beside each other, join them only if that is what they are."""
    at = work.at.get("ts", ())
    if len(at) != 2 or "ts" in work.spec.columns:
        return
    date, time = ([str(v) for v in work.begin.rows[k].dropna()] for k in at)
    if is_date_alone(date) and (is_time_alone(time) or clock_digits(date, time)):
        work.short_clocks = not is_time_alone(time)
        return
    alone = [k for k, values in zip(at, (date, time), strict=True) if len(formats_of(values)) == 1]
    for k in alone[:1] if not is_time_alone(time) else [at[0]] if formats_of(date) else []:
        if k == at[0] and is_date_alone(date) and _several_a_date(work, at):
            names = "+".join(work.names[j] for j in at)
            work.questions.append(
                f"dates stand beside several times of day each ({date[0]} {time[0]}), which no format reads: "
                f"give one, as in --map 'ts={names}' --time-format '%Y%m%d %H%M', or write times as 09:30"
            )
            return
        _map(work, "ts", (work.names[k],), "it holds whole stamps")


def _several_a_date(work: _Work, at: Sequence[int]) -> bool:
    """Tell whether a symbol has rows of one date at several times of day."""
    rows = work.begin.rows[list(at)].assign(symbol=work.column("symbol"))
    return bool(rows.drop_duplicates().duplicated(["symbol", at[0]]).any())


def _unusual_stamps(work: _Work) -> None:
    """Where no column is named as one of stamps, take the only one whose values are."""
    if work.at.get("ts") or "ts" in work.spec.columns:
        return
    name = only_stamps(work.begin.rows, work.names, _used(work), work.column("symbol"))
    if name is not None:
        _map(work, "ts", (name,), "no other column holds stamps")


def _several_symbols(work: _Work) -> bool:
    """Ask which symbol is meant where columns of several stand side by side; True if they do."""
    if work.at.get("open") or any(name in work.spec.columns for name in _PRICES):
        return False
    several = side_by_side(work.names)
    if not several:
        return False
    symbol, roles = next(iter(several.items()))
    if len(several) == 1 and _TICKER.fullmatch(symbol) and symbol not in _NO_TICKERS:
        for role, name in roles.items():
            _map(work, role, (name,), f"of {symbol}, as R's quantmod names it")
        if work.spec.symbol is None and not work.at.get("symbol"):
            work.take(f"--symbol {symbol}", "its columns are named after it", symbol=symbol)
        return False
    wanted = [role for role in (*_PRICES, "volume") if role in roles or not work.at.get(role)]
    maps = " ".join(f"--map '{role}={roles.get(role, '')}'" for role in wanted)
    work.questions.append(
        f"open, high, low and close of {', '.join(list(several)[:5])} stand side by side: ingest one at a "
        f"time, as in {maps}, with --symbol {symbol} if that is a symbol"
    )
    return True


def _used(work: _Work) -> set[int]:
    """Return the columns that a field of a bar is read from."""
    return {k for at in work.at.values() for k in at}


def _symbol(work: _Work) -> None:
    begin, spec = work.begin, work.spec
    if work.at.get("symbol") or symbol_of(begin.path, spec) is not None or spec.symbol_from is not None:
        return
    if begin.symbol is not None:
        work.take(f"--symbol {begin.symbol}", "named beside the rows", symbol=begin.symbol)
        return
    provider, symbol, why = work.provider, None, f"its name is {begin.stem!r}"
    if provider is not None and provider.file and (found := re.fullmatch(provider.file, begin.stem)):
        symbol = found.groupdict().get("symbol")
        if symbol is not None and provider.name == "freqtrade":
            symbol = symbol.replace("_", "/", 1).replace("_", ":")
        symbol = symbol.upper() if symbol else None
    symbol = symbol or _ticker_in(begin.stem)
    if symbol is None and not re.search(r"[A-Za-z]{2}", begin.stem):
        folder = PurePosixPath(begin.path.replace("\\", "/").partition(MEMBER)[0]).parent.name
        symbol, why = _ticker_in(folder), f"its folder is {folder!r}"
    if symbol is not None:
        work.take(f"--symbol {symbol}", why, symbol=symbol)


def _ticker_in(stem: str) -> str | None:
    """Return the one word of a name that can be a symbol; None if there is none, or several."""
    stem = re.sub(r"(?i)\.us$", "", stem) if re.fullmatch(r"[A-Z0-9\-]+\.US", stem) is None else stem
    words = [word for word in re.split(r"[ _,;()]+", stem) if word]
    kept = [
        word
        for word in words
        if not re.fullmatch(r"[\d.\-:T]+", word)
        and word.upper().strip(".") not in _NO_TICKERS
        and timeframe_in(word) is None
        and not word.islower()
    ]
    kept = [re.sub(r"-\d+[mhdw](?:-.*)?$", "", word) for word in kept]
    capitals = [word for word in kept if _TICKER.fullmatch(word)]
    return capitals[0] if len(capitals) == 1 else None


def _volume(work: _Work) -> None:
    """Choose the volume where several columns can be it and the rows show which; say so if there is none."""
    if "volume" in work.spec.columns:
        return
    several = volumes_in(work.names)
    rows = {name: work.begin.rows[work.names.index(name)] for name in several}
    if len(several) > 1:
        traded = [name for name in several if bare_name(name) not in ("tickvol", "tick volume")]
        quotes = [name for name in several if name not in traded]
        if len(traded) == 1 and len(quotes) == 1 and _all_zero(rows[traded[0]]):
            _map(work, "volume", (quotes[0],), f"{traded[0]} is 0 in all rows")
            return
        base = _of_base(work, traded)
        if base is not None:
            _map(work, "volume", (base,), "in units of what is traded")
        return
    if several and not work.at.get("volume"):
        _map(work, "volume", (several[0],), "the only volume")
        return
    hints = ("vol", "qty", "amount", "turnover", "quantity", "size")
    hinted = any(hint in name.lower() for name in work.names for hint in hints)
    counted = (
        [] if hinted or work.at.get("volume") else like_volumes(work.begin.rows, work.names, _used(work))
    )
    if counted:
        options = " or ".join(f"--map 'volume={name}'" for name in counted)
        work.questions.append(
            f"no column is named as its volume, and {', '.join(counted)} may be it, or parts of it: give "
            f"{options}, or --map volume= for none"
        )
        return
    if not hinted and not work.at.get("volume") and all(work.at.get(p) for p in (*_PRICES, "ts")):
        _map(work, "volume", (), "no column is one; volumes are 0")


def _none_traded(work: _Work) -> None:
    """Take a column that is empty in all rows, as of an index, or -1, as Interactive Brokers', for none."""
    minus = work.provider is not None and work.provider.name == "ib"
    for target in ("volume", "vwap", "trade_count") if minus else ("volume",):
        at = work.at.get(target, ())
        if target in work.spec.columns or len(at) != 1:
            continue
        begun = list(dict.fromkeys(str(value) for value in work.begin.rows[at[0]]))
        empty = all(map(_is_missing, begun))
        if not (empty or (minus and all(map(_is_minus_one, begun)))):
            continue
        rest = _texts_of(work, at)
        if rest is not None and all((_is_missing if empty else _is_minus_one)(text) for text in rest):
            why = f"{work.names[at[0]]} is {'empty' if empty else '-1'} in all rows"
            _map(work, target, (), f"{why}; volumes are 0" if target == "volume" else why)


def _is_missing(text: str) -> bool:
    return text.strip().lower() in MISSING


def _is_minus_one(text: str) -> bool:
    return re.fullmatch(r"-1(\.0*)?", text.strip()) is not None


def _all_zero(column: pd.Series) -> bool:
    numbers = pd.to_numeric(column, errors="coerce")
    return bool((numbers == 0).all())


def _of_base(work: _Work, traded: Sequence[str]) -> str | None:
    """Return the volume that is named after what is traded: `Volume BTC` of BTC/USDT."""
    texts = work.texts("symbol")[:1]
    symbol = (work.spec.symbol or (texts[0] if texts else "")).upper()
    fitting = []
    for name in traded:
        unit = re.sub(r"(?i)vol(ume)?|[^A-Za-z0-9]", "", name).upper()
        if unit and symbol.startswith(unit):
            fitting.append(name)
    return fitting[0] if len(fitting) == 1 else None


def _numbers(work: _Work) -> None:
    spec = work.spec
    prices = [text for name in _PRICES for text in work.texts(name)]
    volumes = work.texts("volume")
    if not spec.units and with_units([*prices[:400], *volumes]):
        work.take("--units", "a currency's sign, or K, M or B", units=True)
    if spec.decimal is None and spec.thousands is None and prices:
        decimal, thousands = signs_of(prices, volumes)
        if decimal is not None and (decimal, thousands) != (".", None):
            shown = f"--decimal '{decimal}'" + (f" --thousands '{thousands}'" if thousands else "")
            example = next((t for t in (*prices, *volumes) if thousands and thousands in t), prices[0])
            work.take(shown, f"{example!r}", decimal=decimal, thousands=thousands)
    unit = work.provider.price_unit if work.provider is not None else 1.0
    if unit != 1.0 and spec.price_unit == 1.0 and all(re.fullmatch(r"-?\d+", text) for text in prices):
        numbers = [work.column(name) for name in _PRICES]
        whole = bool(prices) or all(n is not None and pd.api.types.is_integer_dtype(n.dtype) for n in numbers)
        if whole:
            work.take(f"--price-unit {unit:g}", "prices are whole numbers of this layout", price_unit=unit)


def _stamp_format(work: _Work) -> None:
    """Find how stamps are written; ask where they can be read as different times."""
    stamps = work.column("ts")
    if stamps is None or work.spec.time_format is not None or stamps.dtype.kind in "Mm":
        return
    if isinstance(stamps.dtype, pd.DatetimeTZDtype) or not len(stamps.dropna()):
        return
    texts = [_whole(value) for value in stamps.dropna()]
    documented = work.provider.time_format if work.provider is not None else None
    if documented is not None:
        for time_format in (documented, documented.partition(" ")[0]):
            if _all_read(texts, time_format):
                why = f"as {work.provider.name if work.provider else ''} documents"
                work.take(f"--time-format '{time_format}'", why, time_format=time_format)
                return
    if work.short_clocks:
        _short_clocks(work, texts)
        return
    example = half_clock(texts) if len(set(work.texts("symbol"))) < 2 else None
    if example is not None:
        work.questions.append(
            f"clocks go from 12 to 1 within a date ({example}) and say neither AM nor PM: write the file "
            "anew with hours of 0 to 23"
        )
    found = formats_of(texts)
    if len(found) > 1:
        found = formats_of([*texts, *_all_stamps(work)])
    if len(found) > 1:
        several = " or ".join(f"--time-format '{one.time_format}'" for one in found[:4])
        work.questions.append(f"the stamp {texts[0]!r} can be read as different times: give {several}")
    elif found and found[0].time_format is not None:
        one = found[0]
        work.take(f"--time-format '{one.time_format}'", one.because, time_format=one.time_format)


def _short_clocks(work: _Work, texts: Sequence[str]) -> None:
    """Find how a date, and a time of day whose leading zeros were lost, are written; ask if several fit."""
    every = [text for text in (*texts, *_all_stamps(work)) if text.strip()]
    dates, clocks = zip(*(text.rsplit(" ", 1) for text in every), strict=True)
    digits = clock_digits(dates, clocks) or 4
    whole = [f"{date} {clock.zfill(digits)}" for date, clock in zip(dates, clocks, strict=True)]
    found = fitting_formats(list(dict.fromkeys(whole)))
    if len(found) == 1:
        because = f"{clocks[0]!r} is {clocks[0].zfill(digits)!r}"
        work.take(f"--time-format '{found[0]}'", because, time_format=found[0])
        return
    several = " or ".join(f"--time-format '{one}'" for one in found) or "--map ts= the column of whole stamps"
    work.questions.append(f"the stamp {texts[0]!r} can be read as different times: give {several}")


def _whole(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _all_read(texts: Sequence[str], time_format: str) -> bool:
    series = pd.Series(texts, dtype="str")
    return bool(pd.to_datetime(series, format=time_format, errors="coerce").notna().all())


def _all_stamps(work: _Work) -> list[str]:
    """Return the stamps of the whole text, each once: one of them may show which is the day."""
    return _texts_of(work, work.at["ts"]) or []


def _texts_of(work: _Work, at: Sequence[int]) -> list[str] | None:
    """Return what stands in a column, each text once; None if it is not known to the file's end."""
    begin = work.begin
    delimiter = begin.delimiter
    if delimiter is None:
        short = len(at) == 1 and len(begin.rows) < MAX_LINES
        return list(dict.fromkeys(map(str, begin.rows[at[0]]))) if short else None
    with open_binary(begin.path) as stream:
        try:
            encoding = encoding_of(stream.read(4))
            stream.seek(0)
            text = text_of(begin.path, stream, encoding)
            given = work.spec.header or work.spec.skip is not None
            lines = islice(text if given else as_long(text)[0], begin.skip, _MAX_SCANNED)
            records = (fields_of(line, delimiter) for line in lines)
            found = {" ".join(r[k] for k in at): None for r in records if len(r) == begin.rows.shape[1]}
            return list(found) if next(text, None) is None else None
        except (UnicodeDecodeError, OSError, EOFError):
            return None


def _exchange_and_zone(work: _Work) -> None:
    spec, provider = work.spec, work.provider
    if spec.exchange is None and provider is not None:
        symbols = [spec.symbol] if spec.symbol else list(dict.fromkeys(work.texts("symbol")))
        exchange = _market_of(provider, [symbol for symbol in symbols if symbol])
        if exchange is not None:
            work.take(f"--exchange {exchange}", f"{symbols[0]} of {provider.name}", exchange=exchange)
    if spec.timezone is None and (at := work.at.get("ts")):
        named = " ".join(work.names[k] for k in at).lower()
        if re.search(r"\b(utc|gmt)\b", re.sub(r"[_\W]+", " ", named)):
            work.take("--timezone UTC", f"the column is named {work.names[at[0]]!r}", timezone="UTC")
    if work.spec.stamps is None and (at := work.at.get("ts")) and bare_name(work.names[at[-1]]) in ENDS:
        work.take("--stamps end", f"the column is named {work.names[at[-1]]!r}", stamps="end")


def _market_of(provider: Provider, symbols: Sequence[str]) -> str | None:
    """Return the calendar of symbols as their provider writes them; None if that does not show it."""
    if not symbols:
        return None
    pairs = all(len(s) == 6 and {s[:3].upper(), s[3:].upper()} <= _CURRENCIES for s in symbols)
    if provider.name in ("dukascopy", "metatrader", "mt4") and pairs:
        return FX
    if provider.name == "polygon":
        classes = {symbol.partition(":")[0] if ":" in symbol else "" for symbol in symbols}
        known = {"": "XNYS", "O": "XNYS", "X": "24/7", "C": FX}
        return known.get(classes.pop()) if len(classes) == 1 else None
    return None


def _timeframe(work: _Work) -> bool:
    """Find the length of bars and the end that stamps mark; False where nothing shows the length."""
    said = _said(work)
    first = _first_rows(work, said or work.spec.timeframe or "1min")
    if work.spec.timeframe is None:
        found = timeframe_of(first, _exchange_of(work), said) if first is not None else None
        if found is None and said is not None:
            found = said, "its name or its columns say so"
        if found is None:
            return False
        work.take(f"--timeframe {found[0]}", found[1], timeframe=found[0])
    spec = work.spec
    timeframe = str(spec.timeframe)
    if (
        len(work.begin.rows) > 2
        and spec.stamps is None
        and spec.exchange not in (None, "24/7")
        and timeframe != "1d"
        and (spec.timezone or _are_instants(work))
    ):
        first = _first_rows(work, timeframe)
        why = looks_like_ends(first, timeframe, str(spec.exchange)) if first is not None else None
        if why is not None:
            work.take("--stamps end", why, stamps="end")
    return True


def _at_midnight(work: _Work) -> bool:
    """Tell whether each symbol has one stamp, at midnight in UTC or where the exchange is."""
    first = _first_rows(work, "1min")
    if first is None or not len(first.stamps) or len(np.unique(first.stamps)) > 1:
        return False
    zones = ("UTC", work.spec.timezone or "UTC", time_zone(_exchange_of(work)))
    moment = timestamps(first.stamps[:1])
    return any(not moment.tz_convert(zone).tz_localize(None).asi8 % DAY_US for zone in zones)


def _are_instants(work: _Work) -> bool:
    """Tell whether stamps say themselves what time it is: by an offset, or as counts since 1970."""
    stamps = work.column("ts")
    if stamps is None or work.spec.time_format in UNITS or isinstance(stamps.dtype, pd.DatetimeTZDtype):
        return stamps is not None
    texts = work.texts("ts")
    return bool(texts) and all(re.match(ISO_AWARE, text.strip()) for text in texts)


def _said(work: _Work) -> str | None:
    """Return the timeframe that a file's columns or its name state."""
    bare = [bare_name(name) for name in work.names]
    for name in ("per", "period", "timeframe", "interval", "rtype"):
        if name in bare:
            values = {str(value).strip() for value in work.begin.rows[bare.index(name)].dropna()}
            if len(values) == 1:
                value = values.pop()
                return _RTYPES.get(value) if name == "rtype" else timeframe_in(value)
    provider, stem = work.provider, work.begin.stem
    if provider is not None and (folder := re.search(r"[/\\](day|minute)_aggs", work.begin.path)):
        return timeframe_in(folder.group(1))
    if provider is not None and provider.file and (found := re.fullmatch(provider.file, stem)):
        groups = found.groupdict()
        if groups.get("minutes"):
            return name_of_minutes(int(groups["minutes"]))
        if groups.get("timeframe"):
            return timeframe_in(groups["timeframe"])
    words = {
        t for word in re.split(r"[ _,;()\-.]+", stem) if not word.isdigit() and (t := timeframe_in(word))
    }
    return words.pop() if len(words) == 1 else None


def _exchange_of(work: _Work) -> str:
    return work.spec.exchange or "24/7"


def _first_rows(work: _Work, timeframe: str) -> FirstRows | None:
    """Return the first rows in time; None if they cannot be read."""
    stamps, spec = work.column("ts"), work.spec
    if stamps is None or not len(stamps):
        return None
    try:
        zone = spec.timezone or time_zone(_exchange_of(work))
        layout = Layout("", timeframe, _exchange_of(work), timezone=zone, time_format=spec.time_format)
        times = read_times(stamps, layout, daily=False)
    except WhatIfError:
        return None
    column = work.column("symbol")
    symbol = None if column is None else pd.factorize(column)[0].astype(np.int64)
    return first_rows(times.us, times.us, times.known, symbol, np.zeros(len(stamps)), times.date_only, layout)


def settle(found: Sequence[Concluded]) -> list[Concluded]:
    """Return conclusions on the files of a delivery, with the timeframe of the others where one shows none.

    Raises
    ------
    SourceError
        If a file can mean several things, with the options that settle it.
    """
    asked = [f"{one.path}: {question}" for one in found for question in one.questions]
    if asked:
        more = f"\n… and {len(asked) - 3} more" if len(asked) > 3 else ""
        raise SourceError("\n".join(asked[:3]) + more + "\nnothing was written")
    # what a file's name or spacing shows holds for files of the same delivery that show nothing
    lengths = {one.spec.timeframe for one in found if one.timeframe_shown and one.spec.timeframe}
    if len(lengths) != 1:
        unclear = next((one.path for one in found if one.days_or_minutes), None)
        if unclear is not None:
            raise SourceError(
                f"{unclear}: one bar a symbol, at midnight, may be the day or a minute: give --timeframe 1d "
                "or --timeframe 1min; nothing was written"
            )
        return list(found)
    length = lengths.pop()
    return [
        one if one.timeframe_shown else replace(one, spec=replace(one.spec, timeframe=length))
        for one in found
    ]
