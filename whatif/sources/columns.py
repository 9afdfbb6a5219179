"""Columns of a file: which one holds which field of a bar."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

from whatif.calendars import canonical_exchange
from whatif.errors import SourceError, nearest
from whatif.sources.chunk import Layout
from whatif.sources.opening import written_at
from whatif.sources.spec import TARGETS, IngestSpec, shift_us

_USUAL: dict[str, tuple[tuple[str, ...], ...]] = {
    "ts": (
        ("ts",), ("timestamp",), ("datetime",), ("date time",), ("unix",), ("unix timestamp",), ("epoch",),
        ("open time",), ("gmt time",), ("local time",), ("window start",), ("ts event",),
        ("time period start",), ("start time",), ("bar time",), ("begin",), ("t",),
        ("date", "time"), ("dtyyyymmdd", "time"), ("day", "time"), ("datum", "zeit"), ("datum", "uhrzeit"),
        ("data", "czas"), ("date", "minute"), ("trade date",), ("date",), ("time",), ("day",),
        ("dtyyyymmdd",), ("datum",), ("data",), ("fecha",), ("日期",), ("日付",), ("交易日期",),
        ("时间",), ("日時",), ("dly cal dt",), ("dlycaldt",),
        ("time left",),
        ("close time",), ("end time",), ("time period end",), ("end",),
    ),
    "symbol": (("symbol",), ("ticker",), ("sym",), ("ts code",), ("instrument",), ("name",), ("code",),
               ("tic",), ("act symbol",), ("stock",), ("pair",), ("ric",), ("isin",), ("instrument name",),
               ("inst id",), ("股票代码",), ("代码",), ("証券コード",)),
    "open": (("open",), ("o",), ("open price",), ("price open",), ("opening price",), ("first",),
             ("eröffnung",), ("eröffnungskurs",), ("erster",), ("otwarcie",), ("apertura",),
             ("ouverture",), ("开盘",), ("开盘价",), ("始値",),
             ("px open",), ("open prc",), ("eröffn",), ("abertura",), ("ouv",),
             ("openprc",), ("dly open",), ("dlyopen",)),
    "high": (("high",), ("h",), ("high price",), ("price high",), ("max",), ("hoch",), ("tageshoch",),
             ("höchst",), ("najwyzszy",), ("máximo",), ("plus haut",), ("+haut",),
             ("最高",), ("最高价",), ("高値",),
             ("px high",),
             ("high 1",), ("máxima",), ("massimo",), ("hoog",), ("askhi",), ("dly high",), ("dlyhigh",)),
    "low": (("low",), ("l",), ("low price",), ("price low",), ("min",), ("tief",), ("tagestief",),
            ("tiefst",), ("najnizszy",), ("mínimo",), ("plus bas",), ("+bas",),
            ("最低",), ("最低价",), ("安値",),
             ("px low",), ("low 1",),
            ("mínima",), ("minimo",), ("laag",), ("bidlo",), ("dly low",), ("dlylow",)),
    "close": (("close",), ("c",), ("close price",), ("price close",), ("closing price",), ("close last",),
              ("schluss",), ("schlusskurs",), ("zamkniecie",), ("cierre",), ("clôture",), ("clôt",),
              ("收盘",),
              ("收盘价",), ("終値",), ("px last",), ("trdprc 1",), ("last price",),
              ("zuletzt",), ("último",), ("dernier",),
              ("ultimo",), ("ostatnio",), ("laatst",), ("latest",), ("last",), ("price",),
              ("dly close",), ("dlyclose",), ("prc",), ("dly prc",), ("dlyprc",)),
    "volume": (("volume",), ("vol",), ("v",), ("volume traded",), ("total volume",), ("base volume",),
               ("real volume",), ("tickvol",), ("tick volume",), ("volumen",), ("wolumen",), ("stücke",),
               ("umsatz",), ("成交量",), ("出来高",),
             ("tottrdqty",), ("px volume",), ("acvol uns",), ("wol",),
               ("dly vol",), ("dlyvol",), ("number of shares",), ("no of shares",),
               ("total traded quantity",)),
    "vwap": (("vwap",), ("vw",), ("average",), ("weighted price",), ("wap",)),
    "trade_count": (("trade count",), ("trades",), ("transactions",), ("n",), ("number of trades",),
                    ("bar count",), ("trades count",), ("tradecount",), ("barcount",), ("num trades",)),
    "complete": (("complete",), ("confirm",), ("is closed",), ("is complete",), ("is final",),
                 ("window close",)),
    "price": (("price",), ("last",), ("trade price",), ("p",)),
    "size": (("size",), ("quantity",), ("qty",), ("amount",), ("volume",), ("s",)),
    "bid": (("bid",), ("bid price",), ("bidprice",)),
    "bid_size": (("bid size",), ("bidsize",), ("bid qty",), ("bid amount",)),
    "ask": (("ask",), ("ask price",), ("askprice",), ("offer",)),
    "ask_size": (("ask size",), ("asksize",), ("ask qty",), ("ask amount",)),
    "conditions": (("conditions",), ("condition",), ("sale condition",), ("cond",)),
    "venue": (("venue",), ("market",), ("mic",)),
}  # fmt: skip
"""Columns of the table → names that files give them, as `bare_name` writes those; earlier ones come first."""

ENDS = ("close time", "end time", "time period end", "end")
"""Names of columns of stamps that mark the end of a bar."""

_UNNAMED = ("", "unnamed: 0", "__index_level_0__", "index")
"""What pandas calls the column of an index without a name."""

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PAIR = re.compile(r"\(\s*'?([^',]+)'?\s*,.*\)")

_SYMBOL_FOLDER = re.compile(r"[/\\](?:symbol|ticker|sym)=([^/\\]+)[/\\]", re.IGNORECASE)
_REQUIRED = {
    "bars": ("ts", "open", "high", "low", "close", "volume"),
    "trades": ("ts", "price", "size"),
    "quotes": ("ts", "bid", "ask"),
}


def resolve_columns(source: str, names: Sequence[str], spec: IngestSpec) -> dict[str, tuple[int, ...]]:
    """Return for each table column which of the file's columns (by position) hold it.

    Raises
    ------
    SourceError
        If a required column, or one that the mapping names, is not in the file; if the
        symbol is given twice or not at all.
    """
    positions = find_columns(source, names, spec)
    if not positions["symbol"] and symbol_of(source, spec) is None:
        raise SourceError(
            _apart_by_blanks(source, names)
            or f"{source}: no column names the symbol (columns: {', '.join(names)}): give it, as in "
            "--symbol SPY, or map its column, as in --map symbol=Ticker; where each file is named by its "
            "symbol, --symbol-from file takes it from there"
        )
    if positions["symbol"] and (spec.symbol is not None or spec.symbol_from is not None):
        given = "--symbol" if spec.symbol is not None else "--symbol-from"
        raise SourceError(
            f"{source}: {given} {spec.symbol or spec.symbol_from} is given, and the file has a column for "
            "the "
            f"symbol: leave out {given}, or say that the column is not to be used with --map symbol="
        )
    for target in _REQUIRED[spec.rows]:
        if not positions[target] and not (target == "volume" and "volume" in spec.columns):
            raise SourceError(
                f"{source}: column {target!r} is missing (columns: {', '.join(names)}): map it, as in "
                f"--map {target}={_likely(target, names)}" + _other_remedy(target, names)
            )
    if spec.rows == "bars":
        _check_volume(source, names, spec)
    return {target: at for target, at in positions.items() if at}


def _apart_by_blanks(source: str, names: Sequence[str]) -> str | None:
    """Return what to do with a header whose names stand apart by blanks; None of others."""
    words = re.split(r"\s{2,}|\t", names[0].strip()) if len(names) == 1 else []
    if len(words) < len(_REQUIRED["bars"]) - 1:
        return None
    return (
        f"{source}: columns stand apart by blanks ({', '.join(words)}), as of fixed width, which is "
        "not read: write it as CSV, as with pandas.read_fwf(…).to_csv(…)"
    )


def find_columns(source: str, names: Sequence[str], spec: IngestSpec) -> dict[str, tuple[int, ...]]:
    """Return for each table column which of the file's hold it, by the mapping or by their usual names.

    Raises
    ------
    SourceError
        If one that the mapping names is not in the file.
    """
    return {target: _positions(source, names, spec, target) for target in TARGETS[spec.rows]}


def layout_of(source: str, spec: IngestSpec) -> Layout:
    """Return the layout of a file that says nothing about itself.

    Raises
    ------
    SourceError
        If no exchange is given.
    """
    if spec.exchange is None:
        raise SourceError(
            f"{source}: no exchange is given, and it decides what a session is: name its calendar, as in "
            "--exchange XNYS, XEUR or 24/7"
        )
    return Layout(
        source=source,
        timeframe=spec.timeframe or "1min",
        exchange=canonical_exchange(spec.exchange),
        stamps=spec.stamps or "start",
        symbol=symbol_of(source, spec),
        timezone=spec.timezone,
        time_format=spec.time_format,
        numbers=spec.numbers,
        shift_us=shift_us(spec.shift),
        by_order=spec.ambiguous == "order",
        price_unit=spec.price_unit,
        allow_nonpositive=spec.allow_nonpositive,
        written_us=written_at(source),
    )


def symbol_of(source: str, spec: IngestSpec) -> str | None:
    """Return the symbol of all rows of a file: as given, or as its name or its folder says."""
    if spec.symbol is not None:
        return spec.symbol
    if spec.symbol_from == "file":
        name = source.replace("\\", "/").rpartition("/")[2]
        return name.partition(".")[0].strip() or None
    folder = _SYMBOL_FOLDER.search(source)
    return unquote(folder.group(1)).strip() or None if folder else None


def _positions(source: str, names: Sequence[str], spec: IngestSpec, target: str) -> tuple[int, ...]:
    if target in spec.columns:
        for name in spec.columns[target]:
            if name not in names:
                raise SourceError(
                    f"{source}: column {name!r}, mapped to {target}, is missing: {nearest(name, names)}"
                )
        return tuple(list(names).index(name) for name in spec.columns[target])
    lower = [bare_name(name) for name in names]
    for usual in _USUAL[target]:
        if usual == ("last",) and "settle" in lower:  # either may be meant
            continue
        if all(name in lower for name in usual):
            return tuple(lower.index(name) for name in usual)
    raw = [name.strip().lower() for name in names]
    return (0,) if target == "ts" and raw and raw[0] in _UNNAMED else _index_of(target, raw)


def _index_of(target: str, lower: Sequence[str]) -> tuple[int, ...]:
    """Return the column in which Parquet keeps an index without a name, which comes last."""
    return (lower.index(_UNNAMED[2]),) if target == "ts" and _UNNAMED[2] in lower else ()


def bare_name(name: str) -> str:
    """Return a column's name as `_USUAL` has it: small letters, words apart, without units and numbering.

    `<TICKVOL>` is "tickvol", `openTime` "open time", `1. open` "open", `Time (UTC)` "time",
    `('Open', 'SPY')` "open".
    """
    text = name.strip().lstrip("#").strip().strip("<>").strip()
    pair = _PAIR.fullmatch(text)
    text = pair.group(1) if pair else text
    text = _CAMEL.sub(" ", text).lower()
    text = re.sub(r"[(\[].*?[)\]]", " ", text)
    text = re.sub(r"^\d+[a-z]?\.\s+", "", text).rstrip("*")
    return " ".join(re.sub(r"[_\-./]+", " ", text).split())


def _check_volume(source: str, names: Sequence[str], spec: IngestSpec) -> None:
    """Refuse to choose between the volume traded and the number of quotes, as MetaTrader gives both."""
    if "volume" in spec.columns:
        return
    both = volumes_in(names)
    if len(both) < 2:
        return
    raise SourceError(
        f"{source}: two columns can be the volume ({', '.join(both)}): say which, as in "
        f"--map 'volume={both[0]}' or --map 'volume={both[1]}'"
    )


def volumes_in(names: Sequence[str]) -> list[str]:
    """Return those of a file's columns that can be the volume, if it is not clear which is."""
    lower = [bare_name(name) for name in names]
    of_quotes = {"tickvol", "tick volume"} & set(lower)
    traded = [bare for bare in lower if bare in ("vol", "volume", "real volume")]
    if traded and (of_quotes or len(traded) > 1):
        wanted = {*of_quotes, *traded}
    elif not traded:
        wanted = {bare for bare in lower if bare.startswith(("volume ", "vol "))} - {"volume traded"}
    else:
        return []
    return [name for name, bare in zip(names, lower, strict=True) if bare in wanted]


_AS_VOLUME = ("size", "qty", "quantity", "amount", "turnover", "vol")
"""Words in names that may be a volume: which of them is meant is asked."""


def _likely(target: str, names: Sequence[str]) -> str:
    if target != "ts":
        likely = [target, *_AS_VOLUME] if target == "volume" else [target]
        found = (name for word in likely for name in names if word in name.lower())
        return next(found, target.title())
    likely = [name for name in names if any(word in name.lower() for word in ("date", "time", "stamp"))]
    return "+".join(likely) if likely else "Date"


def _other_remedy(target: str, names: Sequence[str]) -> str:
    if target == "volume":
        return ", or say that there is none with --map volume="
    return ", or give a delimiter, as in --delimiter ';'" if len(names) == 1 else ""
