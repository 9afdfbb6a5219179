"""Sentences of the question and the answer; nothing here claims an edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from whatif.domain import METRICS
from whatif.report.columns import MISSING, axis_label, format_metric, format_number, metric
from whatif.report.data import WINDOWS, ReportData, texts
from whatif.report.heatmap import levels

MAX_NAMED = 6


def count(number: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun: "1 symbol", "2,400 symbols"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def instant(moment: Any) -> str:
    """Write a time to the minute, UTC; integers are microseconds since 1970."""
    if pd.isna(moment):
        return MISSING
    stamp = pd.Timestamp(moment, unit="us") if isinstance(moment, int | np.integer) else pd.Timestamp(moment)
    utc = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    return f"{utc:%Y-%m-%d %H:%M} UTC"


def day(moment: Any) -> str:
    """Write the date of a time, UTC."""
    return MISSING if moment is None or pd.isna(moment) else f"{pd.Timestamp(moment):%Y-%m-%d}"


def stitched(data: ReportData) -> str:
    """Say what the test windows of all folds gave together."""
    if not data.joined.figures:
        return "What the test windows gave together is not known."
    figures = [
        f"{_in_text(key)} {quantity(key, data.joined.figures[key])}"
        for key in dict.fromkeys((data.ranking.objective, "return_pct", "max_drawdown_pct"))
    ]
    trades = data.joined.figures["trades"]
    return (
        f"The test windows of {count(len(data.joined.folds), 'fold')} joined, equity carried over and "
        f"positions not: {'; '.join(figures)}; {count(int(trades), 'closed trade')}."
    )


def window(data: ReportData, name: str) -> str:
    """Write a window's name with its dates, where they are known."""
    if name not in data.origin.windows:
        return f"the {name} window"
    start, end = data.origin.windows[name]
    return f"the {name} window ({instant(start)} to {instant(end)})"


def parameters(values: Mapping[str, Any]) -> str:
    """Write parameters as "fast = 5, slow = 20"."""
    return ", ".join(f"{name} = {axis_label(value)}" for name, value in values.items())


def name_of(data: ReportData) -> str:
    """Name the chosen configuration by what it does: "fast = 5, slow = 20 on SPY"; "" if there is none."""
    if not data.series.chosen:
        return ""
    where, values = data.series.chosen.get("symbol"), data.series.parameters
    # what varies says which one it is; what is the same for all stands in the study
    varied = {axis: values[axis] for axis in data.ranking.axes if axis in values}
    held = parameters(varied or values) or "the only configuration"
    return f"{held} on {where}" if where else held


def axis_summary(data: ReportData, axis: str) -> str:
    """Write how many values an axis has, and which or from where to where."""
    order = data.ranking.orders.get(axis, ())
    labels = levels(data.ranking.leaderboard[axis], most=None, order=order).labels
    if len(labels) <= MAX_NAMED:
        return f"{axis}: {'; '.join(labels)}"
    return f"{axis}: {len(labels)} values, {labels[0]} to {labels[-1]}"


def question(data: ReportData) -> str:
    """Say what was asked."""
    board = data.ranking.leaderboard
    configurations = board["config_id"].nunique()
    symbols = board["symbol"].nunique() if "symbol" in board else 0
    rule = (
        "Each symbol is ranked for itself, so configurations on every symbol count as tried"
        if data.ranking.rank == "per_symbol"
        else "Symbols are pooled: one figure for each configuration"
    )
    return (
        f"Which of {count(configurations, 'configuration')}, on {count(symbols, 'symbol')}, {_sought(data)} "
        f"on {window(data, 'validate')}? {rule}."
    )


def short_question(data: ReportData) -> str:
    """Say what was asked in one line."""
    board = data.ranking.leaderboard
    symbols = board["symbol"].unique().tolist() if "symbol" in board else []
    where = str(symbols[0]) if len(symbols) == 1 else count(len(symbols), "symbol")
    return f"Which of {count(board['config_id'].nunique(), 'configuration')} on {where} {_sought(data)}?"


def _sought(data: ReportData) -> str:
    """Say what a configuration had to be to come first."""
    first, *others = (metric(key).label for key in data.ranking.objectives or (data.ranking.objective,))
    if not others:
        return f"has the best {first}"
    if data.ranking.choose == "ideal":
        return f"comes nearest to the best {_listed([first, *others])} at once"
    return f"has the best {first}, shown beside {_listed(others)}"


def _listed(names: Sequence[str]) -> str:
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last


def span(data: ReportData) -> str:
    """Say over which days, from the first window's start to the last one's end; "" where not known."""
    bounds = [pd.Timestamp(one, unit="us") if isinstance(one, int | np.integer) else pd.Timestamp(one)
              for name in WINDOWS for one in data.origin.windows.get(name, ())]  # fmt: skip
    return f"{day(bounds[0])} to {day(bounds[-1])}" if bounds else ""


def idle(data: ReportData) -> str:
    """Say how many backtests never traded, and where they rank."""
    number = data.ranking.idle
    return f"{number:,} never traded, and {'ranks' if number == 1 else 'rank'} after those that did"


def answer(data: ReportData) -> list[str]:
    """Say which configuration came first and how it did, beside buy-and-hold; empty promises none."""
    tried, chosen = len(data.ranking.ranked), data.series.chosen
    if not tried:
        return [_no_answer(data)]
    if not chosen:
        return [f"There is no answer: of {count(tried, 'backtest')} that ran, none can be chosen."]
    first = f"{name_of(data)} (configuration {chosen.get('config_id', MISSING)})"
    said = [
        f"{first} ranks first of {count(tried, 'backtest')}."
        if tried > 1
        else f"{first} is the only one that ran."
    ]
    said += [text for text in (_figures(data, "validate"), _figures(data, "test")) if text]
    return [*said, data.origin.certificate] if data.origin.certificate else said


def caution(data: ReportData) -> str:
    """Say why the first place means little by itself."""
    tried = len(data.ranking.ranked)
    if tried == 0:
        return "Nothing ran, so nothing can be said about any configuration."
    if tried == 1 and data.verdict is not None:
        return "One backtest was made, so none was picked over others; one stretch of time is one sample."
    if tried == 1:
        return (
            "One backtest was made, so none was picked over others; but one stretch of time is one sample, "
            "and no test for luck has been made. These figures do not show that the strategy works."
        )
    if data.verdict is not None:
        return (
            f"It is the best of {tried:,} tried. The best of that many looks good by construction on the "
            "window that ranked it: the verdict above says whether more than that is to be seen."
        )
    return (
        f"It is the best of {tried:,} tried. The best of that many looks good by construction on the window "
        "that ranked it, even where nothing can be predicted. No correction for luck has been made yet: "
        "these figures do not show that the strategy works."
    )


def rejected(data: ReportData) -> str:
    """Say how many orders of the first one the account could not pay for; "" if none, or not known."""
    first = data.ranking.ranked.head(1).to_dict("records")
    told = first[0].get("orders_rejected") if first else None
    if told is None or pd.isna(told) or not int(told):
        return ""
    return (
        f"On validate the account could not pay for {count(int(told), 'order')} of {name_of(data)}, which "
        "the broker rejected. More execution.cash, or a smaller size, lets such orders through."
    )


EXITS = {
    "target": "Target: a limit order, or take_profit",
    "stop": "Stop: a stop order, or stop_loss",
    "trailing_stop": "Trailing stop",
    "time": "Time: max_bars_held",
    "session": "Session's end: flat_before_close",
    "universe": "No member of the universe any more",
    "reversal": "Reversal: the other side was opened",
    "step": "The strategy's own order",
    "window_end": "Still open at the window's end, marked at the last close",
    "": "Not recorded",
}
"""Why positions were left, in words."""


def reached(data: ReportData) -> str:
    """Return how often one bar reached stop and target both; "" where no trade had the two."""
    trades, bars, finer = data.series.reached()
    if not trades:
        return ""
    said = f"Of {trades:,} trades with a stop and a target, {bars:,} ended on a bar that reached both"
    if finer is not None:
        return f"{said}; the finer bars inside know which came first in all but {finer:,}."
    return f"{said}, where the stop is taken to have come first." if bars else f"{said}."


def figure_of(data: ReportData, symbol: Any, name: str, who: str, key: str) -> float:
    """Return one figure of the comparison; NaN where it is not there."""
    return data.series.figures.get((symbol, name, who), {}).get(key, float("nan"))


def only_open(data: ReportData, symbol: Any, name: str) -> bool:
    """Return whether the choice closed no trade in a window, and holds a position at its end."""
    trades, held = (figure_of(data, symbol, name, "strategy", key) for key in ("trades", "open_at_end"))
    return trades == 0.0 and held == 1.0


def _figures(data: ReportData, name: str) -> str:
    symbol, compared = data.series.chosen.get("symbol"), data.series.comparison
    if not ((compared["symbol"] == symbol) & (compared["window"] == name)).any():
        return ""
    lead = f"On {window(data, name)}"
    if name == "test":
        lead += ", which had no part in the choice"
    parts: list[str] = []
    for key in dict.fromkeys((data.ranking.objective, "return_pct")):
        own, hold = (
            quantity(key, figure_of(data, symbol, name, who, key)) for who in ("strategy", "buy_and_hold")
        )
        beside = f"{hold} for " + ("it" if parts else "the market held long")
        parts.append(f"{_in_text(key)} {own}, beside {beside}")
    trades = figure_of(data, symbol, name, "strategy", "trades")
    if np.isfinite(trades):
        held = ", but a position open at the end" if only_open(data, symbol, name) else ""
        parts.append(f"{count(int(trades), 'closed trade')}{held}")
    return f"{lead}: {'; '.join(parts)}."


def _in_text(key: str) -> str:
    label = metric(key).label
    return label if key in ("sharpe", "sortino", "sqn") else label[:1].lower() + label[1:]


def quantity(key: str, value: Any) -> str:
    """Write a metric's value with its percent sign, for running text."""
    text = format_metric(key, value)
    percent = key in METRICS and METRICS[key].kind in ("percent", "fraction") and text != MISSING
    return f"{text} %" if percent else "undefined" if text == MISSING else text


def _no_answer(data: ReportData) -> str:
    total = len(data.ranking.leaderboard)
    if not total:
        return "There is no answer: no backtest was made."
    errors = texts(data.ranking.failed["error"], "no message").value_counts()
    often = format_number(float(errors.iloc[0]), "count")
    failed = f"all {count(total, 'backtest')} failed" if total > 1 else "the only backtest failed"
    return f"There is no answer: {failed}. Most frequent error ({often} times): {errors.index[0]}"
