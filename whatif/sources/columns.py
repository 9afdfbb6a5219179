"""Which column of a file holds what."""

from __future__ import annotations

from collections.abc import Sequence

from whatif.errors import SourceError, nearest
from whatif.sources.chunk import Layout
from whatif.sources.spec import IngestSpec

_USUAL: dict[str, tuple[tuple[str, ...], ...]] = {
    "ts": (("ts",), ("timestamp",), ("datetime",), ("date", "time"), ("date",), ("time",)),
    "symbol": (("symbol",), ("ticker",), ("sym",)),
    "open": (("open",), ("o",)),
    "high": (("high",), ("h",)),
    "low": (("low",), ("l",)),
    "close": (("close",), ("c",)),
    "volume": (("volume",), ("vol",), ("v",)),
    "vwap": (("vwap",), ("vw",)),
    "trade_count": (("trade_count",), ("trades",), ("transactions",), ("n",)),
}
_REQUIRED = ("ts", "open", "high", "low", "close", "volume")


def resolve_columns(source: str, names: Sequence[str], spec: IngestSpec) -> dict[str, tuple[int, ...]]:
    """Return for each table column which of the file's columns (by position) hold it.

    Raises
    ------
    SourceError
        If a required column, or one that the mapping names, is not in the file; if the
        symbol is given twice or not at all.
    """
    positions = {target: _positions(source, names, spec, target) for target in _USUAL}
    if not positions["symbol"] and spec.symbol is None:
        raise SourceError(
            f"{source}: no column names the symbol (columns: {', '.join(names)}): give it, as in "
            "--symbol SPY, or map its column, as in --map symbol=Ticker"
        )
    if positions["symbol"] and spec.symbol is not None:
        raise SourceError(
            f"{source}: the symbol {spec.symbol!r} is given, and the file has a column for it: leave out "
            "--symbol, or say that the column is not to be used with --map symbol="
        )
    for target in _REQUIRED:
        if not positions[target] and not (target == "volume" and "volume" in spec.columns):
            raise SourceError(
                f"{source}: column {target!r} is missing (columns: {', '.join(names)}): map it, as in "
                f"--map {target}={target.title()}" + _other_remedy(target, names)
            )
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
        exchange=spec.exchange,
        stamps=spec.stamps,
        symbol=spec.symbol,
        timezone=spec.timezone,
        time_format=spec.time_format,
    )


def _positions(source: str, names: Sequence[str], spec: IngestSpec, target: str) -> tuple[int, ...]:
    if target in spec.columns:
        for name in spec.columns[target]:
            if name not in names:
                raise SourceError(
                    f"{source}: column {name!r}, mapped to {target}, is missing: {nearest(name, names)}"
                )
        return tuple(list(names).index(name) for name in spec.columns[target])
    lower = [name.strip().lower() for name in names]
    for usual in _USUAL[target]:
        if all(name in lower for name in usual):
            return tuple(lower.index(name) for name in usual)
    return ()


def _other_remedy(target: str, names: Sequence[str]) -> str:
    if target == "volume":
        return ", or say that there is none with --map volume="
    return ", or give a delimiter, as in --delimiter ';'" if len(names) == 1 else ""
