"""What each metric is called, measured in, and how its numbers are written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from whatif.domain import LOWER_IS_BETTER

MISSING = "–"
_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Metric:
    """How one metric is shown.

    Attributes
    ----------
    key : str
        Column of the leaderboard.
    label : str
        Heading of a column.
    unit : str
        Unit in the heading; empty for a ratio.
    kind : str
        "ratio", "percent" (points), "fraction" (shown as percent), "money", "count" or "flag".
    meaning : str
        One sentence for a reader who meets the metric for the first time.
    signed : bool
        Whether zero is the middle of its scale.
    """

    key: str
    label: str
    unit: str
    kind: str
    meaning: str
    signed: bool = False

    @property
    def less_is_better(self) -> bool:
        """Whether a ranking by this metric puts the lowest first."""
        return self.key.removeprefix("benchmark_") in LOWER_IS_BETTER

    @property
    def heading(self) -> str:
        """Label with the unit, for places without room for two lines."""
        return f"{self.label}, {self.unit}" if self.unit else self.label


_ALL = (
    Metric("sharpe", "Sharpe", "a year", "ratio",
           "Mean over standard deviation of the returns per period, scaled to a year; risk-free rate 0.",
           signed=True),
    Metric("sortino", "Sortino", "a year", "ratio",
           "As Sharpe, but only returns below zero count as risk.", signed=True),
    Metric("return_pct", "Return", "%", "percent",
           "Change of the account over the window, after all costs; not scaled to a year.", signed=True),
    Metric("max_drawdown_pct", "Max drawdown", "%", "percent",
           "Deepest fall of the account from an earlier peak, as a share of that peak."),
    Metric("max_drawdown_bars", "Longest drawdown", "bars", "count",
           "Most bars that the account stayed below an earlier peak."),
    Metric("pnl_net", "Net profit", "money", "money",
           "Profit after commission and slippage, in the currency of the prices.", signed=True),
    Metric("pnl_gross", "Gross profit", "money", "money",
           "Profit before costs, in the currency of the prices.", signed=True),
    Metric("costs", "Costs", "money", "money", "What trading cost, in the currency of the prices."),
    Metric("trades", "Trades", "", "count", "Closed round trips."),
    Metric("win_rate", "Winners", "%", "fraction", "Share of closed trades that lost nothing, after costs."),
    Metric("profit_factor", "Profit factor", "", "ratio",
           "Sum of the winners over the sum of the losers; ∞ without a loser."),
    Metric("sqn", "SQN", "", "ratio",
           "System quality number: mean over standard deviation of net trade profits,"
           " times the root of their number.", signed=True),
    Metric("exposure", "Exposure", "% of bars", "fraction", "Share of bars with an open position."),
    Metric("turnover", "Turnover", "× account", "ratio",
           "Value of everything bought and sold over the account's mean value."),
    Metric("open_at_end", "Open at end", "", "flag",
           "Whether a position was still open when the window ended; it is valued at the last close."),
    Metric("benchmark_sharpe", "Hold Sharpe", "a year", "ratio",
           "Sharpe of the market held long with all of the cash, over the same window.", signed=True),
    Metric("benchmark_return_pct", "Hold return", "%", "percent",
           "Return of the market held long with all of the cash, over the same window.", signed=True),
    Metric("benchmark_max_drawdown_pct", "Hold max drawdown", "%", "percent",
           "Deepest fall of the market held long with all of the cash."),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.key: metric for metric in _ALL}
"""Metrics by key, in the order of display."""


def metric(key: str) -> Metric:
    """Return how `key` is shown; an unknown key is shown as a plain ratio under its own name."""
    return METRICS.get(key) or Metric(key, key.replace("_", " "), "", "ratio", "", signed=True)


def format_metric(key: str, value: Any) -> str:
    """Write a metric's value without its unit, as every table of the report does.

    Returns
    -------
    str
        Thousands separated by commas, a true minus sign, "–" for what is missing or NaN, "∞" for infinity.
    """
    return format_number(value, metric(key).kind)


def format_number(value: Any, kind: str) -> str:
    """Write a number of the given kind; `report.js` holds the same rule for the browser."""
    number = _as_float(value)
    if math.isnan(number):
        return MISSING
    if kind == "flag":
        return "yes" if number else "no"
    if math.isinf(number):
        return "∞" if number > 0 else f"{_MINUS}∞"
    scaled = number * 100 if kind == "fraction" else number
    return _digits(scaled, _decimals(abs(scaled), kind))


def _as_float(value: Any) -> float:
    if value is None:
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):  # pandas.NA, or text where a number should be
        return math.nan


def _decimals(size: float, kind: str) -> int:
    if kind == "count" or size >= 1000:
        return 0
    if kind == "fraction":
        return 1
    if size == 0 or size >= 0.01 or kind == "money":
        return 2
    return min(4, 1 - math.floor(math.log10(size)))  # two significant digits of what is small


def _digits(number: float, decimals: int) -> str:
    # Halves go away from zero, as JavaScript's toFixed does: the browser must write the same digits.
    exact = Decimal(number).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    text = f"{abs(exact):,f}"
    return f"{_MINUS}{text}" if exact < 0 else text


def axis_label(value: Any) -> str:
    """Write one value of an axis: short, and different for different values.

    A mapping (cost assumptions, say) becomes "commission=0.0005, slippage=0.0001".
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={axis_label(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(axis_label(item) for item in value)
    if isinstance(value, float):
        return MISSING if math.isnan(value) else f"{value:.12g}"
    return MISSING if value is None else str(value)


def axis_key(value: Any) -> Any:
    """Return what an axis value sorts and stores as: numbers stay numbers, the rest becomes text.

    A missing one, such as an overlay that is off, is None, and so equal to the next missing one.
    """
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, sort_keys=False, default=str)
    if isinstance(value, float) and math.isnan(value):
        return None
    return value
