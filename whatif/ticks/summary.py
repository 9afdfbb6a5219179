"""What a bar says of its trades: prices, volume, averages, who began them, and the quotes at its end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

import numpy as np

from whatif.errors import SourceError
from whatif.ticks.cuts import BarKind, Cuts, TimeBars
from whatif.ticks.trades import Quotes, Trades
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
        Further columns: each is given a bar's trades, one at least, and returns a number.

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
    cuts = kind.cut(trades)
    laid, begin = _laid_out(trades, cuts)
    first, last, count = cuts.first, cuts.stop - 1, cuts.stop - cuts.first
    volume, value = _sums(laid.size, begin), _sums(laid.value, begin)
    found: dict[str, np.ndarray] = {
        "ts": cuts.start,
        "end": cuts.end,
        "open": trades.price[first],
        "high": _joined(np.maximum, laid.price, begin),
        "low": _joined(np.minimum, laid.price, begin),
        "close": trades.price[last],
        "volume": volume,
        "value": value,
        "trade_count": count,
        "vwap": value / volume,
        "twap": _time_weighted(laid, begin, count, cuts),
        "std": _deviation(laid.price, begin, count),
        "buy_volume": _sums(np.where(laid.side > 0.0, laid.size, 0.0), begin),
        "sell_volume": _sums(np.where(laid.side < 0.0, laid.size, 0.0), begin),
        "complete": cuts.complete,
    }
    if quotes is not None:
        before = cuts.end if isinstance(kind, TimeBars) else cuts.end + 1
        bid, ask = quotes.sides_at(before)
        found |= {"bid": bid, "ask": ask, "mid": (bid + ask) / 2.0, "spread": ask - bid}
    for name, aggregate in (aggregates or {}).items():
        found[name] = _aggregated(name, aggregate, trades, cuts, found)
    return found


def bars_in_parts(
    parts: Iterable[Trades], kind: BarKind, aggregates: Mapping[str, Aggregate] | None = None
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the bars of one symbol's trades: joined, they are `bars_of` of all of its parts, as bytes.

    The newest bar of a part waits for the next one, since trades of it may follow. Of a kind that does not
    start anew with each bar (`BarKind.starts_anew`) all parts are held.

    Parameters
    ----------
    parts : iterable of Trades
        Each later than those before it.
    kind, aggregates
        As in `bars_of`.

    Raises
    ------
    SourceError
        As `bars_of` does, and if a part goes back behind the one before it.
    """
    held: Trades | None = None
    for part in parts:
        if not len(part):
            continue
        held = part if held is None else held.followed_by(part)
        if not kind.starts_anew:
            continue
        newest = int(kind.cut(held).first[-1])
        if newest:
            yield bars_of(held.part(0, newest), kind, None, aggregates)
            held = held.part(newest, len(held))
    if held is not None:
        yield bars_of(held, kind, None, aggregates)


def _laid_out(trades: Trades, cuts: Cuts) -> tuple[Trades, IntArray]:
    """Return the trades of all bars, one bar behind the other, and where each begins, (m,).

    A trade of several bars is there several times.
    """
    first, stop = cuts.first, cuts.stop
    if len(first) and first[0] == 0 and stop[-1] == len(trades) and np.array_equal(first[1:], stop[:-1]):
        return trades, first
    count = stop - first
    begin = (np.cumsum(count) - count).astype(np.int64)
    rows = np.arange(int(count.sum())) + np.repeat(first - begin, count)
    laid = object.__new__(Trades)  # bars that overlap go back in time
    laid.__dict__.update({name: getattr(trades, name)[rows] for name in ("ts", "price", "size", "side")})
    return laid, begin


def _joined(function: np.ufunc, values: FloatArray, begin: IntArray) -> FloatArray:
    """Return a function of the values of each bar, (m,)."""
    joined: FloatArray = function.reduceat(values, begin) if len(begin) else np.zeros(0)
    return joined


def _sums(values: FloatArray, begin: IntArray) -> FloatArray:
    return _joined(np.add, values, begin)


def _time_weighted(laid: Trades, begin: IntArray, count: IntArray, cuts: Cuts) -> FloatArray:
    """Return the mean price by time of each bar, (m,)."""
    held, last = np.diff(laid.ts, append=0), begin + count - 1
    held[last] = cuts.end - laid.ts[last]
    span = (cuts.end - laid.ts[begin]).astype(np.float64)
    mean = _sums(laid.price, begin) / count
    weighted = _sums(laid.price * held, begin) / np.where(span > 0.0, span, 1.0)
    return np.where(span > 0.0, weighted, mean)


def _deviation(price: FloatArray, begin: IntArray, count: IntArray) -> FloatArray:
    """Return the standard deviation of each bar's prices, as of a sample; NaN of one; (m,)."""
    away = price - np.repeat(price[begin], count)  # a price's square has too few digits
    mean = _sums(away, begin) / count
    squares = _sums((away - np.repeat(mean, count)) ** 2, begin)
    return np.where(count > 1, np.sqrt(squares / np.maximum(count - 1, 1)), np.nan)


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
    return found
