"""What a file shows of its stamps: how they are written, of which clock, how long its bars are, which end."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from whatif.domain import DAY_US, timestamps
from whatif.errors import WhatIfError
from whatif.exchanges import time_zone
from whatif.sources.chunk import Layout
from whatif.sources.columns import ENDS, bare_name
from whatif.sources.look import Look
from whatif.sources.patterns import ISO_AWARE, UNITS, fitting_formats
from whatif.sources.providers import FX, Provider, name_of_minutes, timeframe_in
from whatif.sources.review import looks_like_ends, may_be_ends
from whatif.sources.spacing import FirstRows, first_rows, timeframe_of
from whatif.sources.stamps import clock_digits, formats_of, half_clock
from whatif.sources.times import read_times

_CURRENCIES = frozenset(
    ("USD", "EUR", "JPY", "GBP", "CHF", "AUD", "CAD", "NZD", "SEK", "NOK", "DKK", "PLN", "HUF", "CZK", "TRY",
     "ZAR", "MXN", "SGD", "HKD", "CNH", "XAU", "XAG")
)  # fmt: skip
_RTYPES = {"33": "1min", "34": "1h", "35": "1d"}


def find_stamp_format(work: Look) -> None:
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


def _short_clocks(work: Look, texts: Sequence[str]) -> None:
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


def _all_stamps(work: Look) -> list[str]:
    """Return the stamps of the whole text, each once: one of them may show which is the day."""
    return work.whole_column(work.at["ts"]) or []


def find_exchange_and_zone(work: Look) -> None:
    """Find the market and the zone of a provider's symbols, and the end that a column is named after."""
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


def find_timeframe(work: Look) -> bool:
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
        elif first is not None and (why := may_be_ends(first, timeframe, str(spec.exchange))) is not None:
            work.questions.append(
                f"{why}: give --stamps end, or --stamps start if bars begin at their stamps"
            )
    return True


def is_at_midnight(work: Look) -> bool:
    """Tell whether each symbol has one stamp, at midnight in UTC or where the exchange is."""
    first = _first_rows(work, "1min")
    if first is None or not len(first.stamps) or len(np.unique(first.stamps)) > 1:
        return False
    zones = ("UTC", work.spec.timezone or "UTC", time_zone(_exchange_of(work)))
    moment = timestamps(first.stamps[:1])
    return any(not moment.tz_convert(zone).tz_localize(None).asi8 % DAY_US for zone in zones)


def _are_instants(work: Look) -> bool:
    """Tell whether stamps say themselves what time it is: by an offset, or as counts since 1970."""
    stamps = work.column("ts")
    if stamps is None or work.spec.time_format in UNITS or isinstance(stamps.dtype, pd.DatetimeTZDtype):
        return stamps is not None
    texts = work.texts("ts")
    return bool(texts) and all(re.match(ISO_AWARE, text.strip()) for text in texts)


def _said(work: Look) -> str | None:
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


def _exchange_of(work: Look) -> str:
    return work.spec.exchange or "24/7"


def _first_rows(work: Look, timeframe: str) -> FirstRows | None:
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
