"""Data of a report, in parts: origin, ranking, chosen series, joined folds and verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from whatif.domain import METRICS
from whatif.report.judgement import Judgement
from whatif.search import never_traded
from whatif.typing import FloatArray, IntArray

WINDOWS = ("validate", "test")
"""The windows a report shows, in the order of time."""


def _empty(columns: str) -> pd.DataFrame:
    return pd.DataFrame({name: [] for name in columns.split()})


def texts(column: pd.Series, missing: str) -> pd.Series:
    """Return a column as texts, `missing` where it holds nothing; an empty one may be of any type."""
    return column.astype(object).where(column.notna(), missing).astype(str)


@dataclass(frozen=True, eq=False)
class Ranking:
    """Leaderboard of a study, and what it was ranked by.

    Attributes
    ----------
    objective : str
        Key of the metric that ranks; measured on the validate window.
    rank : str
        "per_symbol" or "pooled".
    leaderboard : pandas.DataFrame
        One row per backtest on the validate window, the best first: `rank`, `config_id`, `symbol`, one
        column per name in `axes`, `status` ("ok", "dropped" or "error"), `error`, then metrics by their keys,
        then
        `benchmark_return_pct`, `benchmark_sharpe` and `benchmark_max_drawdown_pct` of the market held long
        with all of the cash. NaN where a metric is undefined or the backtest failed.
    axes : tuple of str
        The axis columns of the leaderboard, in the study's order; empty for a single configuration.
    objectives : tuple of str
        All metrics that the study asks for, if there are several; `front` of the leaderboard says of which
        rows no other is better in all.
    choose : str
        Of several objectives, how one configuration was chosen: "first", by the first of them, or "ideal",
        the one nearest to the best of all, as a study's key of that name says.
    orders : mapping of str to sequence
        Values of axes in the order of the study's file, as the leaderboard has them; pages keep it for what
        is no number.
    """

    objective: str
    rank: str
    leaderboard: pd.DataFrame
    axes: tuple[str, ...] = ()
    objectives: tuple[str, ...] = ()
    choose: str = "first"
    orders: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @property
    def ranked(self) -> pd.DataFrame:
        """The rows of the leaderboard that ran, in its order."""
        return self.leaderboard[self.leaderboard["status"] == "ok"]

    @property
    def failed(self) -> pd.DataFrame:
        """The rows of the leaderboard that failed, in its order."""
        return self.leaderboard[~self.leaderboard["status"].isin(["ok", "dropped"])]

    @property
    def dropped(self) -> int:
        """How many of the leaderboard's rows were dropped on the way, after the first windows that rank."""
        return int((self.leaderboard["status"] == "dropped").sum())

    @property
    def idle(self) -> int:
        """How many of the leaderboard's rows ran and never traded; they rank after those that did."""
        return int(never_traded(self.leaderboard).sum())

    @property
    def metrics(self) -> list[str]:
        """Keys of the metrics that the leaderboard holds, the objective first."""
        keys = [key for key in METRICS if key in self.leaderboard.columns]
        return sorted(keys, key=lambda key: key != self.objective)


@dataclass(frozen=True, eq=False)
class ChosenSeries:
    """Chosen configuration with its figures, account, trades and bars; empty where nothing was chosen.

    Attributes
    ----------
    chosen : mapping
        `config_id`, `symbol` and the parameters of the best configuration; empty when every backtest failed.
    comparison : pandas.DataFrame
        The chosen configuration on each symbol: `symbol`, `window`, `who` ("strategy" or "buy_and_hold"),
        metrics by their keys.
    equity : pandas.DataFrame
        `symbol`, `window`, `ts` (UTC, start of the bar), `equity` and `benchmark` (money, at the bar's
        close), `position` (signed size).
    trades : pandas.DataFrame
        Closed trades: `symbol`, `window`, `opened_at`, `closed_at` (UTC), `size` (signed), `entry_price`,
        `exit_price`, `pnl`, `pnl_net`; `exit_reason`, `entry_order`, `stop_price`, `target_price` as
        `whatif.domain.TradeNotes` has them, missing where they were not stored.
    bars : pandas.DataFrame
        `symbol`, `window`, `ts` (UTC), `open`, `high`, `low`, `close`.
    finer : pandas.DataFrame
        `symbol`, `window`, `ts` (UTC), `high`, `low` of finer bars on which trades were closed; empty where
        orders were tried on the bars themselves.
    """

    chosen: Mapping[str, Any] = field(default_factory=dict)
    comparison: pd.DataFrame = field(default_factory=lambda: _empty("symbol window who"))
    equity: pd.DataFrame = field(default_factory=lambda: _empty("symbol window ts equity benchmark position"))
    trades: pd.DataFrame = field(
        default_factory=lambda: _empty(
            "symbol window opened_at closed_at size entry_price exit_price pnl pnl_net exit_reason "
            "entry_order stop_price target_price"
        )
    )
    bars: pd.DataFrame = field(default_factory=lambda: _empty("symbol window ts open high low close"))
    finer: pd.DataFrame = field(default_factory=lambda: _empty("symbol window ts high low"))

    @property
    def symbols(self) -> list[str]:
        """Symbols of comparison, equity and bars; the chosen one first, then in order of appearance."""
        frames = (self.comparison, self.equity, self.bars)
        seen = dict.fromkeys(str(s) for frame in frames for s in frame["symbol"].unique())
        return sorted(seen, key=lambda symbol: symbol != self.chosen.get("symbol"))

    def exits(self) -> pd.DataFrame:
        """Return how positions were left, of the chosen symbol, or of all where none is chosen.

        Returns
        -------
        pandas.DataFrame
            `window`, `exit_reason` ("" if it was not stored, "window_end" for a position that was open at the
            last close, where it was only marked), `trades` (how many), `mean` and `total` of their net profit
            (money); the windows in order, in each the most frequent first, and last what was open.
        """
        symbol = self.chosen.get("symbol")
        trades, equity = (
            frame if symbol is None else frame[frame["symbol"] == symbol]
            for frame in (self.trades, self.equity)
        )
        reasons = trades["exit_reason"] if "exit_reason" in trades else pd.Series("", trades.index)
        trades = trades.assign(exit_reason=texts(reasons, ""))
        found = []
        for window in WINDOWS:
            part = trades[trades["window"] == window]
            counted = (
                part.groupby("exit_reason")["pnl_net"]
                .agg(["size", "mean", "sum"])
                .sort_values("size", ascending=False, kind="stable")
            )
            found += [(window, *row) for row in counted.itertuples()]
            left = self._left_open(equity, part, window)
            found += [(window, "window_end", len(left), sum(left) / len(left), sum(left))] if left else []
        return pd.DataFrame(found, columns=["window", "exit_reason", "trades", "mean", "total"])

    def reached(self) -> tuple[int, int, int | None]:
        """Return how often one bar reached stop and target both, so that it does not say which came first.

        Returns
        -------
        int, int, int or None
            Trades that were left with both prices known; those of them that were on a bar that reached
            both; and on a finer bar that did, None where orders were not tried on finer ones.
        """
        trades = self.trades.reindex(columns=[*self.trades.columns.difference(_BOTH), *_BOTH])
        symbol = self.chosen.get("symbol")
        both = trades[trades[_BOTH].notna().all(axis=1)]
        both = both if symbol is None else both[both["symbol"] == symbol]
        finer = _reach_both(both, self.finer) if len(self.finer) else None
        return len(both), _reach_both(both, self.bars), finer

    def _left_open(self, equity: pd.DataFrame, trades: pd.DataFrame, window: str) -> list[float]:
        """Return what each account had won, fees paid, by what it held at a window's last close."""
        found = []
        for symbol, rows in equity[equity["window"] == window].groupby("symbol", sort=False, observed=True):
            if rows["position"].iloc[-1] != 0.0:
                whole = self.figures.get((str(symbol), window, "strategy"), {}).get("pnl_net", float("nan"))
                found.append(whole - float(trades.loc[trades["symbol"] == symbol, "pnl_net"].sum()))
        return found

    @cached_property
    def figures(self) -> Mapping[tuple[str, str, str], Mapping[str, float]]:
        """Metrics of the comparison by symbol, window and who; NaN where one is not a number."""
        keys = [key for key in METRICS if key in self.comparison]
        numbers = {key: pd.to_numeric(self.comparison[key], errors="coerce").to_numpy() for key in keys}
        found: dict[tuple[str, str, str], dict[str, float]] = {}
        names = zip(*(self.comparison[name] for name in ("symbol", "window", "who")), strict=True)
        for row, name in enumerate(names):
            found.setdefault(name, {key: float(numbers[key][row]) for key in keys})
        return found

    @property
    def parameters(self) -> dict[str, Any]:
        """The chosen configuration's parameters, without what names it."""
        return {k: v for k, v in self.chosen.items() if k not in ("config_id", "symbol")}


_BOTH = ["stop_price", "target_price"]


def _reach_both(trades: pd.DataFrame, bars: pd.DataFrame) -> int:
    """Return how many trades were closed on a bar that reached their stop and their target."""
    keys = ["symbol", "window"]
    if not len(trades) or not len(bars):
        return 0
    if "trade_symbol" in trades:
        trades = trades.assign(symbol=trades["trade_symbol"])
    left = trades[[*keys, "closed_at", *_BOTH]].sort_values("closed_at")
    right = (
        bars[[*keys, "ts", "high", "low"]].sort_values("ts").astype({key: left[key].dtype for key in keys})
    )
    there = pd.merge_asof(left, right, left_on="closed_at", right_on="ts", by=keys)
    prices = there[_BOTH]
    return int(((there["low"] <= prices.min(axis=1)) & (there["high"] >= prices.max(axis=1))).sum())


@dataclass(frozen=True, eq=False)
class RankedAccounts:
    """Accounts of the first rows of the ranking on the validate window, at some ends of periods.

    Attributes
    ----------
    keys : tuple of (str, str)
        config_id and symbol of each account, in the order of the ranking.
    cash : float64 array (accounts,)
        Money that each begins with.
    ends : int64 array (points,)
        Microseconds since 1970-01-01 UTC, increasing: the start of the window, then exclusive ends of
        periods, the last one's among them.
    growth : float64 array (points, accounts)
        Value of each account over its cash, 1 at first; that of pooled symbols is of their mean returns.
    hold : mapping of str to float64 array (points,)
        The market held long, over the cash it was bought with, by the symbol of a row.
    pooled : bool
        Whether a row of the ranking is several symbols' mean.
    joined : bool
        Whether rows are ranked by several windows joined, of which no account is told.
    """

    keys: tuple[tuple[str, str], ...] = ()
    cash: FloatArray = field(default_factory=lambda: np.empty(0))
    ends: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    growth: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    hold: Mapping[str, FloatArray] = field(default_factory=dict)
    pooled: bool = False
    joined: bool = False


@dataclass(frozen=True, eq=False)
class JoinedFolds:
    """Folds of a walk-forward study with their test windows joined; empty for a study of one fold.

    Attributes
    ----------
    folds : pandas.DataFrame
        One row for each fold: `fold`, bounds of its windows, `config_id` and `symbol` of what it chose, a
        column for each axis, `validate` and `test` (the objective on either window), `test_return_pct`,
        `test_trades`, `note`.
    figures : mapping
        Metrics of the test windows of all folds joined, by their keys.
    equity : pandas.DataFrame
        `fold`, `ts` (UTC, end of the period), `returns` and `equity` of the test windows joined.
    """

    folds: pd.DataFrame = field(default_factory=lambda: _empty("fold"))
    figures: Mapping[str, Any] = field(default_factory=dict)
    equity: pd.DataFrame = field(default_factory=lambda: _empty("fold ts returns equity"))


@dataclass(frozen=True, eq=False)
class Origin:
    """Study file, pinned tables, windows and run that a report rests on.

    Attributes
    ----------
    study : str
        The study's name.
    study_text : str
        The study file, as it was read.
    notes : tuple of str
        What a reader must know first, such as that the data is synthetic.
    pins : sequence of mapping
        `table`, `snapshot_id`, `metadata_location` of each table that was read.
    windows : mapping
        Name to (start, end), half-open, UTC; anything pandas reads as a timestamp, or int64 microseconds.
    windows_said : tuple of str
        A line for each window with its dates and bars, and what of the slice is unused.
    environment : mapping
        Versions, user, host, command, started, finished, engine, counts; nested mappings are flattened.
    certificate : str
        What a second broker, running the chosen configuration again, said of the first; "" if none did.
    """

    study: str
    study_text: str
    notes: tuple[str, ...] = ()
    pins: Sequence[Mapping[str, Any]] = ()
    windows: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    windows_said: tuple[str, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    certificate: str = ""


@dataclass(frozen=True, eq=False)
class ReportData:
    """One finished study, ready to be shown; of several folds, all but `joined` is of the last.

    Attributes
    ----------
    origin : Origin
        Study file, pinned tables, windows and run.
    ranking : Ranking
        The leaderboard, and what it was ranked by.
    series : ChosenSeries
        What was chosen, with its figures, account, trades and bars.
    joined : JoinedFolds
        The folds of a walk-forward study, and their test windows joined.
    verdict : Judgement or None
        Whether this is an edge or luck, and why; None if nobody judged.
    models : mapping of str to mapping
        Trained models by name, with what was noted of each: `validate`, figures by name, and `importance`,
        `own`, `shuffled` and `groups` of features.
    accounts : RankedAccounts
        Accounts of the first rows of the leaderboard, whose returns are stored.
    """

    origin: Origin
    ranking: Ranking
    series: ChosenSeries = field(default_factory=ChosenSeries)
    joined: JoinedFolds = field(default_factory=JoinedFolds)
    verdict: Judgement | None = None
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    accounts: RankedAccounts = field(default_factory=RankedAccounts)
