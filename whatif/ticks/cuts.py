"""Kinds of bars: where one ends and the next begins, among the trades of a symbol.

Time bars may be of any length and may overlap. Tick, volume, dollar and imbalance bars are those of López de
Prado, Advances in Financial Machine Learning (Wiley, 2018), chapter 2: a bar ends with the trade that reaches
its threshold, which belongs to it whole, so that what is traded in all bars is what was traded.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from whatif.domain import jit
from whatif.errors import SourceError, nearest
from whatif.texts import shown
from whatif.ticks.trades import Trades
from whatif.typing import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Cuts:
    """Bars of some trades.

    Attributes
    ----------
    first, stop : int64 array (m,)
        Trades first to stop, that one not included, are a bar's; at least one is.
    start, end : int64 array (m,)
        When it begins and ends, microseconds UTC: a bar of time covers [start, end); others begin with the
        first trade and end with the last.
    complete : bool array (m,)
        Whether it ended by its own rule: the last bar may have been cut off by the end of the trades.
    settled : int
        So many of them no later trade can change, which are never all; 0 where that is not known.
    state : tuple of float
        What their kind has to know, beside the trades of bars that are not settled, to go on from there.
    """

    first: IntArray
    stop: IntArray
    start: IntArray
    end: IntArray
    complete: BoolArray
    settled: int = 0
    state: tuple[float, ...] = ()

    def part(self, stop: int) -> Cuts:
        """Return the first of them, up to `stop`."""
        names = ("first", "stop", "start", "end", "complete")
        return replace(self, **{name: getattr(self, name)[:stop] for name in names})


class BarKind(ABC):
    """A rule by which trades are cut into bars."""

    @abstractmethod
    def cut(self, trades: Trades, state: tuple[float, ...] = ()) -> Cuts:
        """Return the bars of trades, oldest first; a bar uses its own trades and earlier ones alone.

        Parameters
        ----------
        trades : Trades
            In order.
        state : tuple of float
            That of the cuts of earlier trades, where these begin with those of the bars not settled there:
            bars go on from the first of them.
        """


_LONGEST_US = 365_000 * 86_400_000_000


@dataclass(frozen=True)
class TimeBars(BarKind):
    """Bars of equal length; those without a trade are left out.

    Attributes
    ----------
    length_us : int
        How long one is, microseconds.
    slide_us : int, optional
        From the start of one to that of the next; the length if left out, and shorter where bars overlap.
    origin_us : int
        When one begins, microseconds UTC; 1970-01-01 00:00 if left out.
    """

    length_us: int
    slide_us: int | None = None
    origin_us: int = 0

    def __post_init__(self) -> None:
        for name in ("length_us", "slide_us"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= _LONGEST_US:
                raise SourceError(
                    f"{name} of time bars is {value}: give at least 1 microsecond, and 1,000 years at most"
                )
        if self.slide_us is not None and self.slide_us > self.length_us:
            raise SourceError(
                f"time bars of {self.length_us:,} us every {self.slide_us:,} us would leave trades out: let "
                "them slide by at most their length"
            )
        if self.slide_us is not None and self.length_us > 10_000 * self.slide_us:
            raise SourceError(
                f"time bars of {self.length_us:,} us every {self.slide_us:,} us would hold each trade "
                f"{self.length_us // self.slide_us:,} times: at most 10,000 times is allowed"
            )

    def cut(self, trades: Trades, state: tuple[float, ...] = ()) -> Cuts:
        """Return the bars that have a trade; all count as complete, since time goes on without trades."""
        slide = self.slide_us or self.length_us
        first, starts = _periods(trades.ts, slide, self.origin_us)
        stop = np.append(first[1:], len(trades))[: len(first)]
        if slide < self.length_us:
            back = np.arange(-(-self.length_us // slide)) * slide
            starts = np.unique(starts[:, None] - back[None, :])
            starts = starts[starts >= state[0]] if state else starts
            first = np.searchsorted(trades.ts, starts, side="left")
            stop = np.searchsorted(trades.ts, starts + self.length_us, side="left")
            there = stop > first
            first, stop, starts = first[there], stop[there], starts[there]
        ends = starts + self.length_us
        settled = int(np.searchsorted(ends, trades.ts[-1], side="right")) if len(trades) else 0
        onward: tuple[float, ...] = (int(starts[settled]),) if len(trades) else state
        return Cuts(first, stop, starts, ends, np.ones(len(starts), dtype=bool), settled, onward)


@dataclass(frozen=True)
class TickBars(BarKind):
    """Bars of so many trades each.

    Attributes
    ----------
    count : int
        Trades of a bar.
    """

    count: int

    def __post_init__(self) -> None:
        _at_least("tick bars", "count", self.count, 1)

    def cut(self, trades: Trades, state: tuple[float, ...] = ()) -> Cuts:
        """Return the bars; the last may have fewer trades, and is not complete then."""
        whole = np.arange(self.count, len(trades) + 1, self.count, dtype=np.int64)
        return _between(trades, whole)


@dataclass(frozen=True)
class VolumeBars(BarKind):
    """Bars that end once so many units were traded.

    Attributes
    ----------
    volume : float
        Units.
    """

    volume: float

    def __post_init__(self) -> None:
        _at_least("volume bars", "volume", self.volume, 0.0)

    def cut(self, trades: Trades, state: tuple[float, ...] = ()) -> Cuts:
        """Return the bars; the trade that reaches the volume ends its bar, and belongs to it whole."""
        return _between(trades, _reaching(trades.size, float(self.volume)))


@dataclass(frozen=True)
class DollarBars(BarKind):
    """Bars that end once so much money changed hands.

    Attributes
    ----------
    value : float
        Money: price times size.
    """

    value: float

    def __post_init__(self) -> None:
        _at_least("dollar bars", "value", self.value, 0.0)

    def cut(self, trades: Trades, state: tuple[float, ...] = ()) -> Cuts:
        """Return the bars; the trade that reaches the value ends its bar, and belongs to it whole."""
        return _between(trades, _reaching(trades.value, float(self.value)))


FLOWS = ("ticks", "volume", "dollars")


@dataclass(frozen=True)
class ImbalanceBars(BarKind):
    """Bars that end once buyers or sellers prevail by more than expected (section 2.3.2.1 and 2.3.2.2).

    With b the tick rule's side and v what counts of a trade, a bar ends at the first trade at which
    |sum of b v| >= E[T] |E[b v]|. Both expectations are exponential averages over earlier bars: of their
    trades' number, and of their trades' b v. Until the first bar has ended, which it does after `ticks`
    trades, there is no expectation of b v.

    Attributes
    ----------
    ticks : int
        Trades of the first bar, and E[T] at the beginning.
    of : str
        What v is: "ticks" (1), "volume" (size) or "dollars" (price times size).
    memory : int
        Span of the averages, in bars: the newest weighs 2 / (memory + 1); of b v, `memory * ticks` trades.
    least, most : float
        Bounds on E[T]; without them it may run away, as is known of these bars.
    """

    ticks: int
    of: str = "ticks"
    memory: int = 20
    least: float = 1.0
    most: float = math.inf

    def __post_init__(self) -> None:
        _at_least("imbalance bars", "ticks", self.ticks, 1)
        _at_least("imbalance bars", "memory", self.memory, 1)
        if self.of not in FLOWS:
            raise SourceError(
                f"imbalance bars of {shown(str(self.of))} are unknown: {nearest(self.of, FLOWS)}"
            )
        if not 1.0 <= self.least <= self.ticks <= self.most:
            raise SourceError(
                f"imbalance bars of {self.ticks} ticks lie outside their bounds {self.least:g} to "
                f"{self.most:g}: let them hold the ticks, the lower one at least 1"
            )

    def cut(self, trades: Trades, state: tuple[float, ...] = ()) -> Cuts:
        """Return the bars; the trade that reaches the expectation ends its bar."""
        amount = {"ticks": np.ones(len(trades)), "volume": trades.size, "dollars": trades.value}[self.of]
        flow = trades.side * amount
        bounds = (float(self.ticks), float(self.memory), float(self.least), float(self.most))
        ends, *onward = _unbalanced(flow, *bounds, *(state or (float(self.ticks), np.nan)))
        return _between(trades, ends, tuple(onward))


def _at_least(what: str, name: str, value: float, least: float) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    fits = whole and value >= 1 if least == 1 else 0.0 < float(value) < math.inf
    if not fits:
        rule = "a whole number of at least 1" if least == 1 else "a finite number above 0"
        raise SourceError(f"{name} of {what} is {value}: give {rule}")


def _between(trades: Trades, ends: IntArray, state: tuple[float, ...] = ()) -> Cuts:
    """Return bars that end before trades, (m,) ascending; what follows the last is a bar that is cut off."""
    n = len(trades)
    stop = ends if n == 0 or (len(ends) and ends[-1] == n) else np.append(ends, n)
    first = np.append(0, stop[:-1])[: len(stop)].astype(np.int64)
    complete = np.arange(len(stop)) < len(ends)
    settled = max(len(stop) - 1, 0)
    return Cuts(first, stop, trades.ts[first], trades.ts[stop - 1], complete, settled, state)


@jit
def _periods(ts: IntArray, length: int, origin: int) -> tuple[IntArray, IntArray]:
    """Return the first trade of each period that has one, and when the period begins; (m,)."""
    first = np.empty(len(ts), dtype=np.int64)
    start = np.empty(len(ts), dtype=np.int64)
    found = 0
    end = 0
    for t in range(len(ts)):
        if found == 0 or ts[t] >= end:
            start[found] = origin + (ts[t] - origin) // length * length
            end = start[found] + length
            first[found] = t
            found += 1
    return first[:found].copy(), start[:found].copy()


@jit
def _reaching(amount: FloatArray, threshold: float) -> IntArray:
    """Return behind which trades bars end that each hold a threshold at least; (m,)."""
    ends = np.empty(len(amount), dtype=np.int64)
    found = 0
    total = 0.0
    for t in range(len(amount)):
        total += amount[t]
        if total >= threshold:
            ends[found] = t + 1
            found += 1
            total = 0.0
    return ends[:found].copy()


@jit
def _unbalanced(
    flow: FloatArray, ticks: float, memory: float, least: float, most: float, expected: float, mean: float
) -> tuple[IntArray, float, float]:
    """Return behind which trades imbalance bars end, (m,), and what was expected before the last bar.

    That is E[T] and E[b v], NaN before the first bar. The last bar may not have ended.
    """
    ends = np.empty(len(flow), dtype=np.int64)
    of_bars = 2.0 / (memory + 1.0)
    of_trades = 2.0 / (memory * ticks + 1.0)
    before = (expected, mean)
    found = 0
    first = 0
    total = 0.0
    for t in range(len(flow)):
        if t == first:
            before = (expected, mean)
        total += flow[t]
        count = t + 1 - first
        if np.isnan(mean):
            if count < ticks:
                continue
            mean = total / count
        else:
            if abs(total) < expected * abs(mean):
                continue
            expected = expected + of_bars * (count - expected)
            expected = min(max(expected, least), most)
            for k in range(first, t + 1):
                mean = mean + of_trades * (flow[k] - mean)
        ends[found] = t + 1
        found += 1
        first = t + 1
        total = 0.0
    return ends[:found].copy(), before[0], before[1]


_LENGTH = re.compile(r"([1-9][0-9]{0,11}) ?(us|ms|s|min|h|d)")
_US = {"us": 1, "ms": 1_000, "s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_CALL = re.compile(r"(\w+)\(([^()]*)\)")
_COUNTED: dict[str, Any] = {
    "ticks": TickBars,
    "volume": VolumeBars,
    "dollars": DollarBars,
    "imbalance": ImbalanceBars,
}
_USAGE = (
    "'1min', '30s', '5min every 1min', 'ticks(500)', 'volume(10000)', 'dollars(1e6)', "
    "'imbalance(500, volume)'"
)


def bar_kind(text: str | BarKind) -> BarKind:
    """Return the kind of bars that a text names.

    Parameters
    ----------
    text : str or BarKind
        A length such as "1min", "250ms" or "1d" (of UTC), also "5min every 1min"; or ticks(500),
        volume(10000), dollars(1e6), imbalance(500), imbalance(500, volume).

    Raises
    ------
    SourceError
        If it names none, or its numbers break the kind's rules.
    """
    if isinstance(text, BarKind):
        return text
    if not isinstance(text, str):
        raise SourceError(f"bars of {shown(str(text))} are unknown: write such as {_USAGE}")
    plain = text.strip()
    length, every, slide = plain.partition(" every ")
    if every or _LENGTH.fullmatch(length.strip()):
        return TimeBars(_length(length), _length(slide) if every else None)
    call = _CALL.fullmatch(plain)
    if call is None or call[1] not in _COUNTED:
        hint = f"; {nearest(call[1], _COUNTED)}" if call else ""
        raise SourceError(f"bars of {shown(text)} are unknown{hint}: write such as {_USAGE}")
    first, *more = (part.strip() for part in call[2].split(","))
    kind = _COUNTED[call[1]]
    whole = kind in (TickBars, ImbalanceBars)
    try:
        number = int(first) if whole else float(first)
    except ValueError:
        rule = "a whole number" if whole else "a number"
        raise SourceError(
            f"bars {shown(text)}: {shown(first)} is not {rule}: write such as {_USAGE}"
        ) from None
    if len(more) > (kind is ImbalanceBars):
        raise SourceError(f"bars {shown(text)} have more than they take: write such as {_USAGE}")
    made: BarKind = kind(number, *more)
    return made


def _length(text: str) -> int:
    found = _LENGTH.fullmatch(text.strip())
    if found is None:
        raise SourceError(f"{shown(text)} is not a length of bars: write such as 250ms, 30s, 1min, 1h or 1d")
    return int(found[1]) * _US[found[2]]
