"""What a file shows of itself: options that its user has left out, each with what it was concluded from.

Nothing is guessed where it would change a number. What a file can mean in two ways is asked, with the options
that settle it; what nothing shows is left to the rules of reading, which refuse the file or have a default.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import pandas as pd

from whatif.errors import SourceError
from whatif.sources.beginning import (
    Beginning,
    like_volumes,
    only_stamps,
    other_orders,
    roles_of,
    side_by_side,
    volume_behind,
)
from whatif.sources.columns import bare_name, find_columns, symbol_of, volumes_in
from whatif.sources.conclude_times import (
    find_exchange_and_zone,
    find_stamp_format,
    find_timeframe,
    is_at_midnight,
)
from whatif.sources.look import Finding, Look
from whatif.sources.numbers import MISSING
from whatif.sources.opening import MEMBER
from whatif.sources.providers import provider_of, timeframe_in
from whatif.sources.signs import signs_of, with_units
from whatif.sources.spec import IngestSpec
from whatif.sources.stamps import clock_digits, formats_of, is_date_alone, is_time_alone

_PRICES = ("open", "high", "low", "close")
_TICKER = re.compile(r"[A-Z^][A-Z0-9^=!.\-]{0,14}|\d{3,6}\.[A-Z]{1,3}")
_NO_TICKERS = frozenset(
    ("ASCII", "BARS", "BID", "ASK", "CSV", "DATA", "DAT", "DATASET", "EXPORT", "FULL", "HISTORICAL",
     "HISTORY", "LAST", "MINUTE", "MT", "NT", "OHLC", "OHLCV", "PRICES", "SAMPLE", "TEST", "TRADES", "UTC",
     "NEW", "COPY", "FINAL", "RAW", "ADJ", "MID")
)  # fmt: skip


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
    work = Look(begin, spec)
    row = [str(value) for value in begin.rows.iloc[0]] if len(begin.rows) else []
    work.provider = provider_of(spec.layout, begin.stem, begin.names, begin.rows.shape[1], begin.above, row)
    _layout(work)
    if not _columns(work):
        return Concluded(begin.path, work.spec, tuple(work.findings), tuple(work.questions))
    _symbol(work)
    _volume(work)
    _none_traded(work)
    _numbers(work)
    find_stamp_format(work)
    find_exchange_and_zone(work)
    shown = find_timeframe(work)
    unclear = not shown and is_at_midnight(work)
    return Concluded(begin.path, work.spec, tuple(work.findings), tuple(work.questions), shown, unclear)


def _layout(work: Look) -> None:
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


def _columns(work: Look) -> bool:
    """Name the columns; False where that is left to whoever reads the file, who says what is wrong."""
    begin, provider = work.begin, work.provider
    names = begin.names
    if not names:
        given = (
            provider.columns if provider is not None and len(provider.columns) == begin.rows.shape[1] else ()
        )
        roles = given or roles_of(begin.rows)
        if roles is None:
            orders = " or ".join(f"--columns '{','.join(order)}'" for order in other_orders(begin.rows))
            work.questions.append(
                f"it has no header, and values show high and low, but not which other is the open: give "
                f"{orders}"
                if orders
                else "it has no header, and values do not show which columns are open, high, low, close and "
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
    _turnover(work)
    return not _several_symbols(work)


def _turnover(work: Look) -> None:
    """Ask where the column that is named as the volume is another one times a price, as Huobi's `vol` is."""
    columns = [work.at.get(name, ()) for name in ("low", "high", "volume")]
    if "volume" in work.spec.columns or any(len(at) != 1 for at in columns):
        return
    low, high, volume = (at[0] for at in columns)
    used = {k for at in work.at.values() for k in at}
    rows = work.begin.rows
    others = [k for k in range(min(len(work.names), rows.shape[1])) if k not in used and work.names[k]]
    found = volume_behind(rows, low, high, volume, others)
    if found is not None:
        turned, size = work.names[volume], work.names[found]
        work.questions.append(
            f"{turned} is {size} times a price, as a turnover is, so {size} may be the volume: give "
            f"--map 'volume={size}', or --map 'volume={turned}'"
        )


def _map(work: Look, target: str, names: tuple[str, ...], because: str) -> None:
    columns = {**work.spec.columns, target: names}
    work.take(f"--map '{target}={'+'.join(names)}'", because, columns=columns)
    work.at = find_columns(work.begin.path, work.names, work.spec)


def _one_column_of_stamps(work: Look) -> None:
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


def _several_a_date(work: Look, at: Sequence[int]) -> bool:
    """Tell whether a symbol has rows of one date at several times of day."""
    rows = work.begin.rows[list(at)].assign(symbol=work.column("symbol"))
    return bool(rows.drop_duplicates().duplicated(["symbol", at[0]]).any())


def _unusual_stamps(work: Look) -> None:
    """Where no column is named as one of stamps, take the only one whose values are."""
    if work.at.get("ts") or "ts" in work.spec.columns:
        return
    name = only_stamps(work.begin.rows, work.names, _used(work), work.column("symbol"))
    if name is not None:
        _map(work, "ts", (name,), "no other column holds stamps")


def _several_symbols(work: Look) -> bool:
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


def _used(work: Look) -> set[int]:
    """Return the columns that a field of a bar is read from."""
    return {k for at in work.at.values() for k in at}


def _symbol(work: Look) -> None:
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
        archive, _, member = begin.path.replace("\\", "/").partition(MEMBER)
        for path in (member, archive):
            folder = PurePosixPath(path).parent.name
            if symbol is None and (symbol := _ticker_in(folder)) is not None:
                why = f"its folder is {folder!r}"
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


def _volume(work: Look) -> None:
    """Choose the volume where several columns can be it and the rows show which; say so if there is none."""
    if "volume" in work.spec.columns:
        return
    _ask_of_unit(work)
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


_IN_UNITS = re.compile(
    r"(?i)\b(thousands?|millions?|tsd|mio|mln)\b"
    r"|[(\[]\s*(in )?(k|m|mm|mn|x ?1,?000|['’`]?000['’`]?s?)\.?\s*[)\]]"
)


def _ask_of_unit(work: Look) -> None:
    """Ask where the name of the volume says that it counts thousands or millions."""
    at = work.at.get("volume", ())
    name = work.names[at[0]] if len(at) == 1 else ""
    if _IN_UNITS.search(name):
        work.questions.append(
            f"by its name {name!r} counts thousands or millions, and volumes are stored as they stand: write "
            f'them out in the file, or take them as they are with --map "volume={name}"'
        )


def _none_traded(work: Look) -> None:
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
        rest = work.whole_column(at)
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


def _of_base(work: Look, traded: Sequence[str]) -> str | None:
    """Return the volume that is named after what is traded: `Volume BTC` of BTC/USDT."""
    texts = work.texts("symbol")[:1]
    symbol = (work.spec.symbol or (texts[0] if texts else "")).upper()
    fitting = []
    for name in traded:
        unit = re.sub(r"(?i)vol(ume)?|[^A-Za-z0-9]", "", name).upper()
        if unit and symbol.startswith(unit):
            fitting.append(name)
    return fitting[0] if len(fitting) == 1 else None


def _numbers(work: Look) -> None:
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
