"""Table of the metrics: name, column, direction, and how each is shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One metric of a backtest.

    Attributes
    ----------
    key : str
        Its name: column of tables, and objective of a study.
    label : str
        Heading of a column.
    unit : str
        Unit in the heading; empty for a ratio.
    kind : str
        "ratio", "percent" (points), "fraction" (shown as percent), "money", "count" or "flag".
    meaning : str
        One sentence for a reader who meets the metric for the first time.
    place : int
        Where it stands among all that a report shows.
    column : str
        Type of its column of `results`.
    signed : bool
        Whether zero is the middle of its scale.
    less_is_better : bool
        Whether a ranking by it puts the lowest first; NaN ranks last either way.
    """

    key: str
    label: str
    unit: str
    kind: str
    meaning: str
    place: int = 0
    column: str = "double"
    signed: bool = False
    less_is_better: bool = False

    @property
    def heading(self) -> str:
        """Label with the unit, for places without room for two lines."""
        return f"{self.label}, {self.unit}" if self.unit else self.label


_OWN = (
    Metric("pnl_gross", "Gross profit", "money", "money",
           "Profit before costs, in the currency of the prices.", 7, signed=True),
    Metric("pnl_net", "Net profit", "money", "money",
           "Profit after commission and slippage, in the currency of the prices.", 6, signed=True),
    Metric("costs", "Costs", "money", "money", "What trading cost, in the currency of the prices.", 8,
           less_is_better=True),
    Metric("return_pct", "Return", "%", "percent",
           "Change of the account over the window, after all costs; not scaled to a year.", 3, signed=True),
    Metric("sharpe", "Sharpe", "a year", "ratio",
           "Mean over standard deviation of the returns per period, scaled to a year; risk-free rate 0.", 1,
           signed=True),
    Metric("sortino", "Sortino", "a year", "ratio",
           "As Sharpe, but only returns below zero count as risk.", 2, signed=True),
    Metric("max_drawdown_pct", "Max drawdown", "%", "percent",
           "Deepest fall of the account from an earlier peak, as a share of that peak.", 4,
           less_is_better=True),
    Metric("max_drawdown_bars", "Longest drawdown", "bars", "count",
           "Most bars that the account stayed below an earlier peak.", 5, "bigint", less_is_better=True),
    Metric("trades", "Trades", "", "count", "Closed round trips.", 9, "bigint"),
    Metric("win_rate", "Winners", "%", "fraction",
           "Share of closed trades that lost nothing, after costs.", 10),
    Metric("profit_factor", "Profit factor", "", "ratio",
           "Sum of the winners over the sum of the losers; ∞ without a loser.", 11),
    Metric("sqn", "SQN", "", "ratio",
           "System quality number: mean over standard deviation of net trade profits,"
           " times the root of their number.", 12, signed=True),
    Metric("exposure", "Exposure", "% of bars", "fraction", "Share of bars with an open position.", 13,
           less_is_better=True),
    Metric("turnover", "Turnover", "× account", "ratio",
           "Value of everything bought and sold over the account's mean value.", 14, less_is_better=True),
    Metric("open_at_end", "Open at end", "", "flag",
           "Whether a position was still open when the window ended; it is valued at the last close.", 15,
           "boolean", less_is_better=True),
)  # fmt: skip

_BENCHMARK = (
    Metric("benchmark_return_pct", "Hold return", "%", "percent",
           "Return of the market held long with all of the cash, over the same window.", 17, signed=True),
    Metric("benchmark_sharpe", "Hold Sharpe", "a year", "ratio",
           "Sharpe of the market held long with all of the cash, over the same window.", 16, signed=True),
    Metric("benchmark_max_drawdown_pct", "Hold max drawdown", "%", "percent",
           "Deepest fall of the market held long with all of the cash.", 18, less_is_better=True),
)  # fmt: skip

METRICS = {one.key: one for one in sorted((*_OWN, *_BENCHMARK), key=lambda one: one.place)}
"""Metrics by key, in the order of display."""

METRIC_COLUMNS = {one.key: one.column for one in _OWN}
BENCHMARK_COLUMNS = {one.key: one.column for one in _BENCHMARK}
"""Columns of `results` with their types: a backtest's own metrics, and those of holding the market."""

METRIC_KEYS = tuple(METRIC_COLUMNS)
"""Names of all metrics, in table order."""

LOWER_IS_BETTER = frozenset(one.key for one in _OWN if one.less_is_better)
"""Metrics that a ranking minimises; all others it maximises. NaN ranks last either way."""
