"""Trades of the lake as bars of time: from table `trades_raw` into `bars`, for studies to trade on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import PrivateAttr

from whatif.calendars import EPOCH
from whatif.domain import DAY_US, MINUTE_US, Bars, canonical_timeframe, resample, timeframe_us
from whatif.errors import SourceError, StudyError, nearest
from whatif.pins import (
    PART_ROWS,
    LakeLocation,
    Pin,
    all_of,
    current_pin,
    has_rows,
    held_symbols,
    may_hold,
    one_of,
    parts_in_order,
    values_of,
    within,
)
from whatif.sources.base import Source
from whatif.sources.chunk import Chunk, Layout
from whatif.sources.sessions import tag_bars
from whatif.ticks import Trades, bar_kind, bars_in_parts, check_conditions, trades_in


class LakeTrades(Source):
    """Time bars of the trades that the lake holds.

    Attributes
    ----------
    symbols : tuple of str
        Whose trades; all symbols of the table if left out.
    timeframe : str
        Length of a bar, such as "1min", "1h" or "1d"; longer ones than a minute are of regular hours,
        counted from the session's open and cut at its close.
    only, leave_out : tuple of str
        Conditions: trades with one of them alone, and without any of them.
    start, end : date, optional
        Trades of [start, end), UTC dates.
    """

    symbols: tuple[str, ...] = ()
    timeframe: str = "1min"
    only: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    start: date | None = None
    end: date | None = None

    _pin: Pin | None = PrivateAttr(default=None)
    """The snapshot that all parts are read of, wherever that is done."""

    def parts(self) -> list[str]:
        """Return a part for each symbol."""
        location = LakeLocation.from_environment()
        if not has_rows(location, "trades_raw"):
            raise SourceError("the lake holds no trades: 'whatif ingest-ticks' brings some")
        try:
            canonical_timeframe(self.timeframe)
        except StudyError as error:
            raise SourceError(f"option timeframe: {error}") from error
        self._pin = current_pin(location, "trades_raw")
        known = held_symbols(self._pin)
        for symbol in self.symbols:
            if symbol not in known:
                raise SourceError(f"the lake holds no trades of {symbol}: {nearest(symbol, known)}")
        asked = self.symbols or sorted(known)
        wanted = all_of(one_of("symbol", asked), within("ts", *self._bounds))
        turned = self.start is not None and self.end is not None and self.start >= self.end
        if turned or not may_hold(location, "trades_raw", wanted):
            dates = f"[{self.start or ''}, {self.end or ''})"
            raise SourceError(
                f"the lake holds no trades of {', '.join(asked[:5])} of {dates}: give other dates, start "
                "before end"
            )
        if self.only:
            check_conditions(values_of(self._pin, "conditions", wanted), self.only)
        return [f"trades:{symbol}{self._settings}" for symbol in self.symbols or sorted(known)]

    @property
    def _settings(self) -> str:
        """What a part's name says of how its bars are made."""
        said = [self.timeframe, *(f"only {one}" for one in self.only)]
        return "".join(f":{one}" for one in (*said, *(f"without {one}" for one in self.leave_out)))

    def read(self, part: str, checkpoint: str | None) -> Iterator[Chunk]:
        """Yield a symbol's bars."""
        symbol = part.removeprefix("trades:").removesuffix(self._settings)
        pin = self._pin or current_pin(LakeLocation.from_environment(), "trades_raw")
        first, end = self._bounds
        columns = ["ts", "seq", "price", "size", "exchange"]
        columns += ["conditions"] if self.only or self.leave_out else []
        exchanges: set[str] = set()

        def trades() -> Iterator[Trades]:
            for rows in parts_in_order(pin, columns, symbol, first, end, PART_ROWS):
                exchanges.update(rows["exchange"].unique().to_pylist())
                yield trades_in(rows, self.only, self.leave_out)

        made = list(bars_in_parts(trades(), bar_kind("1min")))
        if len(exchanges) > 1:
            raise SourceError(
                f"trades of {symbol} are of several calendars, {', '.join(sorted(exchanges))}: forget those "
                "of one"
            )
        if not made:
            return
        minutes = {name: np.concatenate([part[name] for part in made]) for name in made[0]}
        timeframe, exchange = canonical_timeframe(self.timeframe), exchanges.pop()
        bars = minutes if timeframe == "1min" else _longer(minutes, timeframe, exchange, symbol)
        names = ("open", "high", "low", "close", "volume", "vwap")
        series = [pa.array(bars["ts"]).cast(pa.timestamp("us", "UTC")), *(pa.array(bars[n]) for n in names)]
        batch = pa.record_batch(
            [*series, pa.array(bars["trade_count"].astype(np.int64))], names=["ts", *names, "trade_count"]
        )
        yield Chunk(Layout(part, timeframe, exchange, symbol=symbol), batch)

    @property
    def _bounds(self) -> tuple[int | None, int | None]:
        first, end = (None if day is None else _us(day) for day in (self.start, self.end))
        return first, end


def _us(day: date) -> int:
    return (day - EPOCH).days * DAY_US


def _longer(
    minutes: dict[str, np.ndarray], timeframe: str, exchange: str, symbol: str
) -> dict[str, np.ndarray]:
    """Return minutes of regular hours joined into longer bars, never across a session's bounds."""
    tags = tag_bars(minutes["ts"], MINUTE_US, exchange)
    inside = tags.found & tags.regular
    there, of = {name: values[inside] for name, values in minutes.items()}, tags.of(inside)
    prices: dict[str, Any] = {
        name: there[name] for name in ("open", "high", "low", "close", "volume", "vwap")
    }
    bars = Bars(
        symbol=symbol, ts=there["ts"], session=of.session, session_open=of.session_open,
        session_close=of.session_close, inputs={"trade_count": there["trade_count"].astype(np.float64)},
        **prices,
    )  # fmt: skip
    made = resample(bars, timeframe_us(timeframe), MINUTE_US, {"trade_count": np.add})
    names = ("ts", "open", "high", "low", "close", "volume", "vwap")
    return {name: getattr(made, name) for name in names} | {"trade_count": made.inputs["trade_count"]}
