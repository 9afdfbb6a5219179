"""Contract of sources: the rules that parts and chunks of each one keep to, whoever wrote it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whatif.calendars import canonical_exchange
from whatif.domain import canonical_timeframe
from whatif.errors import SourceError, WhatIfError
from whatif.masking import masked
from whatif.sources.base import Source
from whatif.sources.chunk import COLUMNS, Chunk
from whatif.sources.spec import check_exchange
from whatif.texts import hidden_character

_NEEDED = ("ts", "open", "high", "low", "close", "volume")


def checked_parts(source: Source) -> tuple[str, ...]:
    """Return the names of a source's parts.

    Raises
    ------
    SourceError
        Naming the source and the rule, if they break the contract of `Source.parts`.
    """
    try:
        parts = tuple(source.parts())
    except WhatIfError:
        raise
    except Exception as error:
        raise _failed(source, "naming its parts", error) from error
    for broken in _broken_names(parts):
        raise _breach(source, broken)
    return parts


def checked_chunks(source: Source, part: str, checkpoint: str | None) -> Generator[Chunk]:
    """Yield the chunks of a part.

    Raises
    ------
    SourceError
        Naming the source and the rule, if they break the contract of `Source.read`.
    """
    if source.as_written:
        yield from source.read(part, checkpoint)
        return
    state = _Read(part)
    try:
        for chunk in source.read(part, checkpoint):
            for broken in state.broken(chunk):
                raise _breach(source, f"part {part!r}: {broken}")
            yield chunk
    except WhatIfError:
        raise
    except Exception as error:
        raise _failed(source, f"reading {part!r}", error) from error


def _breach(source: Source, broken: str) -> SourceError:
    return SourceError(f"source {source.label!r} breaks its contract: {broken}")


def _failed(source: Source, doing: str, error: Exception) -> SourceError:
    return SourceError(f"source {source.label!r} failed {doing}: {type(error).__name__}: {error}")


def _broken_names(parts: tuple[str, ...]) -> Iterator[str]:
    if not parts:
        yield "it names no part, and nothing could be read"
    for part in parts:
        if not isinstance(part, str) or not part.strip() or hidden_character(part):
            yield f"{part!r} is no name of a part: a text of visible characters is"
        elif masked(part) != part:
            yield f"the name {masked(part)!r} of a part carries a key, and names are stored with the bars"
    twice = sorted({part for part in parts if parts.count(part) > 1}) if len(set(parts)) < len(parts) else []
    if twice:
        yield f"it names part {twice[0]!r} twice"


@dataclass
class _Read:
    """What of a part was read so far: the last row's number, and the last stamp of each symbol."""

    part: str
    row: int = 0
    latest: dict[str, int] = field(default_factory=dict)

    def broken(self, chunk: object) -> Iterator[str]:
        """Yield what is wrong with the next chunk."""
        if not isinstance(chunk, Chunk):
            yield f"it gives a {type(chunk).__name__}, not a whatif.sources.Chunk"
            return
        yield from self._layout(chunk)
        yield from _schema(chunk)
        yield from self._rows(chunk)
        yield from self._order(chunk)

    def _layout(self, chunk: Chunk) -> Iterator[str]:
        layout, checkpoint = chunk.layout, cast(object, chunk.checkpoint)
        if layout.source != self.part:
            yield f"a chunk says that it is of {layout.source!r}: Layout.source is the part's name"
        if checkpoint is not None and not isinstance(checkpoint, str):
            yield f"checkpoint {checkpoint!r} is no text"
        try:
            check_exchange(layout.exchange)
            timeframe, exchange = canonical_timeframe(layout.timeframe), canonical_exchange(layout.exchange)
            if (timeframe, exchange) != (layout.timeframe, layout.exchange):
                yield f"timeframe and exchange are written {timeframe!r} and {exchange!r} in a layout"
        except WhatIfError as error:
            yield str(error)

    def _rows(self, chunk: Chunk) -> Iterator[str]:
        rows = chunk.numbers() + self.row if chunk.row is None else chunk.row
        if len(rows) != len(chunk) or (np.diff(rows, prepend=self.row) <= 0).any():
            yield "rows are not numbered upwards, each one"
        elif len(rows):
            self.row = int(rows[-1])

    def _order(self, chunk: Chunk) -> Iterator[str]:
        """Yield the first symbol whose stamps go back, within the chunk or behind the one before."""
        stamps = pc.cast(chunk.batch["ts"], pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
        if "symbol" in chunk.batch.schema.names:
            named = chunk.batch["symbol"].dictionary_encode()
            symbols, codes = named.dictionary.to_pylist(), named.indices.fill_null(-1).to_numpy()
        else:
            symbols, codes = [chunk.layout.symbol or ""], np.zeros(len(chunk), dtype=np.int32)
        rows = np.flatnonzero((codes >= 0) & stamps.is_valid().to_numpy(zero_copy_only=False))
        rows = rows[np.argsort(codes[rows], kind="stable")]
        ts, codes = stamps.fill_null(0).to_numpy()[rows], codes[rows]
        first = np.flatnonzero(np.diff(codes, prepend=-1))
        before = np.concatenate([ts[:1], ts[:-1]])
        before[first] = [self.latest.get(symbols[codes[k]], ts[k]) for k in first]
        for k in np.flatnonzero(ts < before)[:1]:
            symbol = symbols[codes[k]]
            yield f"bars of {symbol} are out of order: {_text(ts[k])} comes after {_text(before[k])}"
        last = np.append(first[1:], len(ts)) - 1
        self.latest.update({symbols[codes[k]]: int(ts[k]) for k in last if k >= 0})


def _schema(chunk: Chunk) -> Iterator[str]:
    names = chunk.batch.schema.names
    for name in names:
        if name not in COLUMNS or names.count(name) > 1:
            yield f"column {name!r} is none of {', '.join(COLUMNS)}, or is there twice"
    for name in _NEEDED:
        if name not in names:
            yield f"column {name!r} is missing"
    if ("symbol" in names) == (chunk.layout.symbol is not None):
        yield "the symbol is named by a column or by Layout.symbol, and by one of them alone"
    for name, kind in zip(names, chunk.batch.schema.types, strict=True):
        if (wanted := _wanted(name, kind, chunk.layout.timeframe)) is not None:
            yield f"column {name!r} is {kind}, not {wanted}"


def _wanted(name: str, kind: pa.DataType, timeframe: str) -> str | None:
    """Return the type that a column must have, or None if it has it."""
    if name == "ts":
        if pa.types.is_timestamp(kind) and kind.tz is None:
            return "a timestamp with a time zone, as timestamp[us, tz=UTC]: its stamps are naive"
        dated = pa.types.is_date32(kind) and timeframe == "1d"
        return None if dated or pa.types.is_timestamp(kind) else "timestamp[us, tz=UTC]"
    if name == "symbol":
        return None if pa.types.is_string(kind) or pa.types.is_large_string(kind) else "string"
    if name == "trade_count":
        return None if pa.types.is_integer(kind) else "int64"
    return None if pa.types.is_floating(kind) or pa.types.is_integer(kind) else "double"


def _text(us: int) -> str:
    return f"{np.datetime64(int(us), 'us')}".removesuffix(".000000")
