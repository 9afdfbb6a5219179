"""Columns of a file: which one holds which field of a bar."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

from whatif.calendars import canonical_exchange
from whatif.errors import SourceError, nearest
from whatif.sources.chunk import Layout
from whatif.sources.spec import TARGETS, IngestSpec

_USUAL: dict[str, tuple[tuple[str, ...], ...]] = {
    "ts": (("ts",), ("timestamp",), ("datetime",), ("date", "time"), ("date",), ("time",)),
    "symbol": (("symbol",), ("ticker",), ("sym",)),
    "open": (("open",), ("o",)),
    "high": (("high",), ("h",)),
    "low": (("low",), ("l",)),
    "close": (("close",), ("c",)),
    "volume": (("volume",), ("vol",), ("v",), ("tickvol",)),
    "vwap": (("vwap",), ("vw",)),
    "trade_count": (("trade_count",), ("trades",), ("transactions",), ("n",)),
    "price": (("price",), ("last",), ("trade_price",), ("p",)),
    "size": (("size",), ("quantity",), ("qty",), ("amount",), ("volume",), ("s",)),
    "bid": (("bid",), ("bid_price",), ("bidprice",)),
    "bid_size": (("bid_size",), ("bidsize",), ("bid_qty",), ("bid_amount",)),
    "ask": (("ask",), ("ask_price",), ("askprice",), ("offer",)),
    "ask_size": (("ask_size",), ("asksize",), ("ask_qty",), ("ask_amount",)),
    "conditions": (("conditions",), ("condition",), ("sale_condition",), ("cond",)),
    "venue": (("venue",), ("market",), ("mic",)),
}
_UNNAMED = ("", "unnamed: 0", "__index_level_0__", "index")
"""What pandas calls the column of an index without a name."""

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
    positions = {target: _positions(source, names, spec, target) for target in TARGETS[spec.rows]}
    if not positions["symbol"] and symbol_of(source, spec) is None:
        raise SourceError(
            f"{source}: no column names the symbol (columns: {', '.join(names)}): give it, as in "
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
        timeframe=spec.timeframe,
        exchange=canonical_exchange(spec.exchange),
        stamps=spec.stamps,
        symbol=symbol_of(source, spec),
        timezone=spec.timezone,
        time_format=spec.time_format,
        numbers=spec.numbers,
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
    lower = _bare(names)
    for usual in _USUAL[target]:
        if all(name in lower for name in usual):
            return tuple(lower.index(name) for name in usual)
    return (0,) if target == "ts" and lower and lower[0] in _UNNAMED else _index_of(target, lower)


def _index_of(target: str, lower: Sequence[str]) -> tuple[int, ...]:
    """Return the column in which Parquet keeps an index without a name, which comes last."""
    return (lower.index(_UNNAMED[2]),) if target == "ts" and _UNNAMED[2] in lower else ()


def _bare(names: Sequence[str]) -> list[str]:
    """Return names in small letters, without the <> that MetaTrader puts around them."""
    return [name.strip().strip("<>").strip().lower() for name in names]


def _check_volume(source: str, names: Sequence[str], spec: IngestSpec) -> None:
    """Refuse to choose between the volume traded and the number of quotes, as MetaTrader gives both."""
    lower = _bare(names)
    if "volume" in spec.columns or "tickvol" not in lower or not {"vol", "volume"} & set(lower):
        return
    both = [name for name, bare in zip(names, lower, strict=True) if bare in ("tickvol", "vol", "volume")]
    raise SourceError(
        f"{source}: two columns can be the volume ({', '.join(both)}): say which, as in "
        f"--map 'volume={both[0]}' or --map 'volume={both[1]}'"
    )


def _likely(target: str, names: Sequence[str]) -> str:
    if target != "ts":
        return next((name for name in names if target in name.lower()), target.title())
    likely = [name for name in names if any(word in name.lower() for word in ("date", "time", "stamp"))]
    return "+".join(likely) if likely else "Date"


def _other_remedy(target: str, names: Sequence[str]) -> str:
    if target == "volume":
        return ", or say that there is none with --map volume="
    return ", or give a delimiter, as in --delimiter ';'" if len(names) == 1 else ""
