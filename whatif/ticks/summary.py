"""What a bar says of its trades: prices, volume, averages, who began them, and the quotes at its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

import numpy as np

from whatif.domain import jit
from whatif.errors import SourceError
from whatif.ticks.cuts import BarKind, Cuts, TimeBars
from whatif.ticks.trades import Quotes, QuotesInParts, Trades
from whatif.typing import FloatArray, IntArray

COLUMNS = {
    "ts": "timestamp", "end": "timestamp",
    "open": "double", "high": "double", "low": "double", "close": "double",
    "volume": "double", "value": "double", "trade_count": "bigint",
    "vwap": "double", "twap": "double", "std": "double",
    "buy_volume": "double", "sell_volume": "double", "complete": "boolean",
}  # fmt: skip
"""Columns of bars of trades and their types, beside the symbol; timestamps are int64 microseconds UTC."""

QUOTE_COLUMNS = ("bid", "ask", "mid", "spread")
"""Columns, float64, that quotes add."""

Aggregate = Callable[[Trades], float]


def bars_of(
    trades: Trades,
    kind: BarKind,
    quotes: Quotes | None = None,
    aggregates: Mapping[str, Aggregate] | None = None,
) -> dict[str, np.ndarray]:
    """Return the bars of one symbol's trades, oldest first: a row of each column for each bar.

    Parameters
    ----------
    trades : Trades
        In order.
    kind : BarKind
        Where bars begin and end.
    quotes : Quotes, optional
        Give `QUOTE_COLUMNS`.
    aggregates : mapping of str to callable, optional
        Further columns: each is given a bar's trades, one at least, and returns a number; infinity is NaN.

    Returns
    -------
    dict of arrays (m,)
        `COLUMNS`. `volume` in units, `value` in money; `vwap` is value over volume; `twap` weighs a price by
        the time until the next trade of the bar, the last one's by that until the bar's end, and is the plain
        mean where no time passes; `std` is that of a sample of prices, NaN of one trade; `buy_volume` and
        `sell_volume` are by the tick rule (`Trades.side`), and a trade before the first change of price
        counts in neither. `bid`, `ask`, `mid` and `spread` are of the newest quotes before the bar's end (at
        or before the last trade's instant, where a bar ends with a trade), NaN while a side is unknown or the
        two cross.

    Notes
    -----
    *Timing*: a bar knows trades and quotes up to its end, and is known then; it is stamped with its start.

    Raises
    ------
    SourceError
        If an aggregate has the name of a column, or returns no number.
    """
    told = None if quotes is None else QuotesInParts([quotes])
    return _said(trades, kind.cut(trades), kind, told, aggregates or {})


def _said(
    trades: Trades,
    cuts: Cuts,
    kind: BarKind,
    quotes: QuotesInParts | None,
    aggregates: Mapping[str, Aggregate],
) -> dict[str, np.ndarray]:
    """Return the columns of some bars."""
    first, last = cuts.first, cuts.stop - 1
    sums = _summed(trades.ts, trades.price, trades.size, trades.side, first, cuts.stop, cuts.end)
    high, low, volume, value, twap, std, bought, sold = sums
    found: dict[str, np.ndarray] = {
        "ts": cuts.start,
        "end": cuts.end,
        "open": trades.price[first],
        "high": high,
        "low": low,
        "close": trades.price[last],
        "volume": volume,
        "value": value,
        "trade_count": cuts.stop - first,
        "vwap": value / volume,
        "twap": twap,
        "std": std,
        "buy_volume": bought,
        "sell_volume": sold,
        "complete": cuts.complete,
    }
    if quotes is not None:
        before = cuts.end if isinstance(kind, TimeBars) else cuts.end + 1
        bid, ask = quotes.sides_at(before)
        found |= {"bid": bid, "ask": ask, "mid": (bid + ask) / 2.0, "spread": ask - bid}
    for name, aggregate in aggregates.items():
        found[name] = _aggregated(name, aggregate, trades, cuts, found)
    return found


def bars_in_parts(
    parts: Iterable[Trades],
    kind: BarKind,
    quotes: Iterable[Quotes] | None = None,
    aggregates: Mapping[str, Aggregate] | None = None,
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the bars of one symbol's trades: joined, they are `bars_of` of all of its parts, as bytes.

    Of earlier parts, the trades of bars are held that later ones may change: of the newest one, or of time
    bars that overlap, of those that have not ended. Of quotes, a part and what lies behind the newest bar.

    Parameters
    ----------
    parts : iterable of Trades
        None older than those before it.
    quotes : iterable of Quotes, optional
        The same of quotes; a part is taken when bars reach it.
    kind, aggregates
        As in `bars_of`.

    Raises
    ------
    SourceError
        As `bars_of` does, and if a part goes back behind the one before it.
    """
    held: Trades | None = None
    state: tuple[float, ...] = ()
    told, further = None if quotes is None else QuotesInParts(quotes), aggregates or {}
    cuts = None
    for part in parts:
        if not len(part):
            continue
        held = part if held is None else held.followed_by(part)
        cuts = kind.cut(held, state)
        state, settled = cuts.state, cuts.settled
        if settled:
            yield _said(held, cuts.part(settled), kind, told, further)
            held, cuts = held.part(int(cuts.first[settled]), len(held)), None
    if held is not None:
        yield _said(held, cuts or kind.cut(held, state), kind, told, further)


@jit
def _summed(
    ts: IntArray,
    price: FloatArray,
    size: FloatArray,
    side: FloatArray,
    first: IntArray,
    stop: IntArray,
    end: IntArray,
) -> tuple[FloatArray, ...]:
    """Return of each bar high, low, volume, value, twap, std, and what buyers and sellers began; (m,) each.

    Sums carry along what rounding took from them (Knuth, The Art of Computer Programming, volume 2, section
    4.2.2, theorem B). Squares are of prices less the bar's first, since a price's square has too few digits.
    """
    m = len(first)
    highs, lows, twap, std = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
    volumes, values, bought, sold = np.empty(m), np.empty(m), np.empty(m), np.empty(m)
    for k in range(m):
        a, b = first[k], stop[k]
        base = price[a]
        high, low, away = base, base, 0.0
        volume = value = timed = buys = sells = (0.0, 0.0)
        for t in range(a, b):
            one, units = price[t], size[t]
            high, low = max(high, one), min(low, one)
            away += one - base
            until = ts[t + 1] if t + 1 < b else end[k]
            volume = _plus(volume, units)
            value = _plus(value, one * units)
            timed = _plus(timed, one * (until - ts[t]))
            buys = _plus(buys, units if side[t] > 0.0 else 0.0)
            sells = _plus(sells, units if side[t] < 0.0 else 0.0)
        mean, squares = away / (b - a), 0.0
        for t in range(a, b):
            squares += (price[t] - base - mean) ** 2
        span = end[k] - ts[a]
        highs[k], lows[k] = high, low
        twap[k] = (timed[0] + timed[1]) / span if span > 0 else base + mean
        std[k] = math.sqrt(squares / (b - a - 1)) if b - a > 1 else np.nan
        volumes[k], values[k] = volume[0] + volume[1], value[0] + value[1]
        bought[k], sold[k] = buys[0] + buys[1], sells[0] + sells[1]
    return highs, lows, volumes, values, twap, std, bought, sold


@jit
def _plus(total: tuple[float, float], one: float) -> tuple[float, float]:
    """Return a sum with one more, and what rounding has taken from it."""
    made = total[0] + one
    part = made - total[0]
    return made, total[1] + ((total[0] - (made - part)) + (one - part))


def _aggregated(
    name: str, aggregate: Aggregate, trades: Trades, cuts: Cuts, columns: Collection[str]
) -> FloatArray:
    if name in columns or name == "symbol":
        raise SourceError(f"aggregate {name!r} has the name of a column of bars: give it another one")
    found = np.empty(len(cuts.first))
    for k, (first, stop) in enumerate(zip(cuts.first, cuts.stop, strict=True)):
        value = aggregate(trades.part(int(first), int(stop)))
        try:
            found[k] = float(value)
        except (TypeError, ValueError):
            raise SourceError(
                f"aggregate {name!r} returned {value!r} of a bar: return one number for a bar's trades"
            ) from None
    return np.where(np.isinf(found), np.nan, found)
