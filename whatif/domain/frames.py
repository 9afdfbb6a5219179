"""Frames with calendar types: bars taken from them, and a backtest's result given as them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from whatif.domain.bars import PRICE_FIELDS, Bars
from whatif.doors import shower
from whatif.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from whatif.domain.run import EngineRun

DAY_S = 86_400


def microseconds(series: pd.Series | pd.DatetimeIndex) -> IntArray:
    """Return timestamps (UTC, tz-aware or naive) as microseconds since 1970-01-01 UTC, int64 array (n,)."""
    stamps = pd.DatetimeIndex(series)
    if stamps.tz is not None:
        stamps = stamps.tz_convert("UTC")
    return np.asarray(stamps.as_unit("us").asi8, dtype=np.int64)


def instant_us(stamp: pd.Timestamp) -> int:
    """Return a timestamp (UTC or naive, else by its zone) as microseconds since 1970-01-01 UTC."""
    return int(stamp.as_unit("us").asm8.astype(np.int64))


def days(series: pd.Series | pd.DatetimeIndex) -> IntArray:
    """Return dates as days since 1970-01-01, int64 array (n,)."""
    stamps = pd.DatetimeIndex(pd.to_datetime(series))
    return np.asarray(stamps.as_unit("s").asi8 // DAY_S, dtype=np.int64)


def timestamps(ts: IntArray) -> pd.DatetimeIndex:
    """Return microseconds since 1970-01-01 UTC, int64 array (n,), as tz-aware timestamps."""
    return pd.DatetimeIndex(np.asarray(ts, dtype="datetime64[us]")).tz_localize("UTC")


def sessions_of(frame: pd.DataFrame | Mapping[str, pd.Series]) -> tuple[IntArray, IntArray, IntArray]:
    """Return the columns session, session_open and session_close.

    Returns
    -------
    session : int64 array (n,)
        Days since 1970-01-01.
    session_open, session_close : int64 array (n,)
        Microseconds since 1970-01-01 UTC.
    """
    return (
        days(frame["session"]),
        microseconds(frame["session_open"]),
        microseconds(frame["session_close"]),
    )


def bars_from_frame(
    frame: pd.DataFrame | Mapping[str, pd.Series],
    symbol: str,
    inputs: Iterable[str] = (),
    sessions: tuple[IntArray, IntArray, IntArray] | None = None,
    starts: IntArray | None = None,
) -> Bars:
    """Return the rows of `frame` as bars of `symbol`, ordered by time.

    Parameters
    ----------
    frame : DataFrame or mapping of str to Series
        Columns ts, session, session_open, session_close, open, high, low, close, volume, and vwap,
        for which (high + low + close) / 3 stands in.
    symbol : str
        The symbol that all rows belong to.
    inputs : iterable of str
        Further float columns to carry along by name.
    sessions : tuple of three int64 arrays (n,), optional
        Session, its open and its close of each row, as `sessions_of` returns them, in place of the
        columns.
    starts : int64 array (n,), optional
        Start of each bar, as `microseconds` returns it, in place of the column ts.
    """
    ts = microseconds(frame["ts"]) if starts is None else starts
    ordered = bool((ts[1:] > ts[:-1]).all())
    order = slice(None) if ordered else np.argsort(ts, kind="stable")

    def floats(name: str) -> FloatArray:
        return np.ascontiguousarray(frame[name].to_numpy(dtype=np.float64, na_value=np.nan)[order])

    prices = {name: floats(name) for name in PRICE_FIELDS if name in frame}
    if "vwap" not in prices:
        prices["vwap"] = (prices["high"] + prices["low"] + prices["close"]) / 3.0
    session, opened, closed = (values[order] for values in sessions or sessions_of(frame))
    return Bars(
        symbol=symbol,
        ts=ts[order],
        session=session,
        session_open=opened,
        session_close=closed,
        inputs={name: floats(name) for name in inputs},
        joined={},
        member=None,
        finer=None,
        **prices,
    )


@dataclass(frozen=True, eq=False)
class BacktestResult:
    """What a backtest did and what came of it; the frames are made when they are first looked at.

    Attributes
    ----------
    fills : DataFrame
        One row for each execution, in order: ts (start of the bar on which it happened, of the shorter one
        where orders were tried on those, UTC),
        symbol, size (signed), price (exact, slippage included), commission (money).
    trades : DataFrame
        Closed trades: symbol, opened_at and closed_at (ts of the bars of their first and last
        fill), size (signed), entry_price, exit_price, pnl (before), pnl_net (after commission).
    exits : DataFrame
        One row for each of the trades: exit_reason (why it was left: one of `whatif.domain.EXIT_REASONS`;
        None if the engine does not tell), and prices of orders around it, NaN where none waited:
        entry_order, stop_price, target_price.
    equity : Series
        float64 by ts (UTC): the broker's value at every bar's close.
    metrics : mapping
        One value for each of `whatif.domain.METRIC_KEYS`.
    run : EngineRun
        The same as plain arrays.
    notes : tuple of str
        What a reader has to know beside the figures: that the strategy ended the run, or set its costs.
    analyzers : mapping of str to object
        Results (`get_analysis()`) of the analyzers that an ordinary Backtrader strategy added, by name.
        They see its feed, which begins with the warm-up.
    """

    metrics: Mapping[str, float | int | bool]
    run: EngineRun

    def __repr__(self) -> str:
        """Say in a line what came of it; times are the starts of the first and last bar, UTC."""
        run, said = self.run, self.metrics
        span = " to ".join(
            f"{at:%Y-%m-%d %H:%M}" for at in timestamps(run.ts[[0, -1] if len(run.ts) else []])
        )
        more = len(run.symbols) - 3
        names = ", ".join(run.symbols[:3]) + (f" and {more} more" if more > 0 else "")
        trades = f"{said['trades']:,} closed trade{'' if said['trades'] == 1 else 's'}"
        trades += ", a position open at the end" if said.get("open_at_end") else ""
        return (
            f"<BacktestResult {names}: {len(run.ts):,} bars, {span} UTC, {run.engine}; "
            f"return {said['return_pct']:.2f} %, Sharpe {said['sharpe']:.2f}, "
            f"max drawdown {said['max_drawdown_pct']:.2f} %, {trades}>"
        )

    def _repr_html_(self) -> str:
        shown: str = shower("whatif.report", "backtest_html")(self)
        return shown

    @property
    def plot(self) -> Any:
        """Charts, each by one call: see `whatif.report.BacktestPlots`."""
        return shower("whatif.report", "BacktestPlots")(self)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know beside the figures."""
        return self.run.notes

    @property
    def analyzers(self) -> Mapping[str, Any]:
        """Results of the strategy's own analyzers, by name."""
        return self.run.analyses

    @cached_property
    def fills(self) -> pd.DataFrame:
        """The executions, in order."""
        return fills_frame(self.run)

    @cached_property
    def trades(self) -> pd.DataFrame:
        """The closed trades, oldest close first."""
        return trades_frame(self.run)

    @cached_property
    def exits(self) -> pd.DataFrame:
        """Why each closed trade was left, and the prices of the orders around it."""
        notes = self.run.trade_notes
        return pd.DataFrame(
            {
                "exit_reason": pd.Series(notes.exit_reason, dtype=object),
                "entry_order": notes.entry_order,
                "stop_price": notes.stop_price,
                "target_price": notes.target_price,
            }
        )

    @cached_property
    def equity(self) -> pd.Series:
        """The broker's value at every bar's close."""
        index = timestamps(self.run.ts).rename("ts")
        return pd.Series(self.run.equity, index=index, name="equity", dtype=np.float64)


def fills_frame(run: EngineRun) -> pd.DataFrame:
    """Return the executions of a run, in order."""
    fills = run.fills
    return pd.DataFrame(
        {
            "ts": timestamps(run.filled_at),
            "symbol": _names(run, fills.symbol),
            "size": fills.size,
            "price": fills.price,
            "commission": fills.commission,
        }
    )


def trades_frame(run: EngineRun) -> pd.DataFrame:
    """Return the closed trades of a run, oldest close first."""
    trades = run.trades
    opened, closed = run.traded_at
    return pd.DataFrame(
        {
            "symbol": _names(run, trades.symbol),
            "opened_at": timestamps(opened),
            "closed_at": timestamps(closed),
            "size": trades.size,
            "entry_price": trades.entry_price,
            "exit_price": trades.exit_price,
            "pnl": trades.pnl,
            "pnl_net": trades.pnl_net,
        }
    )


def _names(run: EngineRun, index: np.ndarray) -> pd.Series:
    return pd.Series(pd.array(run.symbols, dtype="str").take(index))
