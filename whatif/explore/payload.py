"""What a page is told of a study and of a run, as JSON has it: ranking, sliders, lines, metrics, trades."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from whatif.domain import LOWER_IS_BETTER, METRIC_KEYS, METRICS, Overlays
from whatif.report import below_peak, session_starts, thin_lines
from whatif.runner import versions
from whatif.search import Configuration
from whatif.strategies import Param, StrategySpec
from whatif.typing import IntArray

if TYPE_CHECKING:
    from whatif.explore.desk import Desk, Outcome

POINTS = 1000
"""Points of a line that are drawn, about: of more, the least and the greatest of each stretch."""

MAX_SESSIONS = 2_000
"""Sessions between which lines have gaps; a window of more, or of daily bars, is one stretch of time."""

TRADE_COLUMNS = ("symbol", "opened", "closed", "bars", "size", "entry", "exit", "net", "reason")
"""Columns of the table of trades, by which it can be sorted."""

TRADES_OF_A_VIEW = 2_000
"""Trades that a saved view has, at most: the first ones."""

_COSTS = (("commission", 0.0, 0.005, 0.00005), ("slippage", 0.0, 0.005, 0.00005))
_RULES = (
    ("latency", 0, 20, 1), ("stop_loss", 0.001, 0.2, 0.001), ("take_profit", 0.001, 0.2, 0.001),
    ("trailing_stop", 0.001, 0.2, 0.001), ("max_bars_held", 1, 500, 1),
    ("percent_of_equity", 0.05, 1.0, 0.05),
)  # fmt: skip


def ranking(desk: Desk) -> dict[str, Any]:
    """Return a study's ranking by columns, what can be changed, and what its metrics are called."""
    board, window = desk.board, desk.window
    objective = desk.study.objective
    return {
        "study": desk.study.study, "objective": objective, "lower": objective in LOWER_IS_BETTER,
        "ids": board["config_id"].astype(str).tolist(), "symbol": _codes(board["symbol"]),
        "status": _codes(board["status"]), "error": _codes(board["error"]),
        "axes": [
            {"name": name, **_codes(board[name], axis.shown_values)} for name, axis in desk.study.axes.items()
        ],
        "metrics": {key: _numbers(board[key]) for key in METRIC_KEYS if key in board},
        "chosen": None if desk.chosen is None else [desk.chosen.config_id, desk.chosen.symbol],
        "reason": desk.reason, "window": [window.start_us, window.end_us],
        "has_test": desk.test is not None,
        "trials": desk.trials, "controls": controls(desk), "about": about_metrics(),
    }  # fmt: skip


def about_metrics() -> dict[str, dict[str, Any]]:
    """Return of each metric its heading, its kind, what it means, and whether less of it is better."""
    return {
        key: {
            "heading": METRICS[key].heading, "kind": METRICS[key].kind, "meaning": METRICS[key].meaning,
            "less": METRICS[key].less_is_better,
        }
        for key in METRIC_KEYS
    }  # fmt: skip


def controls(desk: Desk) -> list[dict[str, Any]]:
    """Return what can be changed: section, name, range and step of its slider, whether it can be off."""
    strategy = desk.resolved.strategy
    params = strategy.params if isinstance(strategy, StrategySpec) else {}
    found = [_of_param(desk, name, param) for name, param in params.items() if param.kind in (int, float)]
    found += [_slider("execution", *one) for one in _COSTS]
    known = {one.name for one in fields(Overlays)}
    return found + [_slider("overlays", *one) for one in _RULES if one[0] in known]


def _of_param(desk: Desk, name: str, param: Param) -> dict[str, Any]:
    axis = desk.study.axes.get(name)
    given = axis.values if axis else (desk.study.strategy.params.get(name, param.default),)
    there = [v for v in given if isinstance(v, int | float)] or [float(param.default)]
    low, high = min(there), max(there)
    least, most = (low / 2, high * 2) if low > 0 else (low - abs(low) - 1, high + abs(high) + 1)
    least = least if param.low is None else max(least, param.low)
    most = most if param.high is None else min(most, param.high)
    if param.kind is int:
        return _slider("params", name, math.floor(least), math.ceil(most), 1)
    step = 10.0 ** math.floor(math.log10(max(most - least, 1e-12) / 100))
    return _slider("params", name, least, most, step)


def _slider(section: str, name: str, low: float, high: float, step: float) -> dict[str, Any]:
    can_be_off = section == "overlays" and name != "latency"
    return {"section": section, "name": name, "low": low, "high": high, "step": step, "off": can_be_off}


def _values(configuration: Configuration) -> dict[str, Any]:
    """Return what a configuration has, where the page has a control for it."""
    execution, overlays = configuration.execution, configuration.overlays
    return {
        "params": {k: v for k, v in configuration.params.items() if isinstance(v, int | float)},
        "execution": {one[0]: getattr(execution, one[0]) for one in _COSTS},
        "overlays": {one[0]: getattr(overlays, one[0], None) for one in _RULES},
    }


def _settings(configuration: Configuration) -> dict[str, Any]:
    """Return all that a configuration has, by name, but what is off: what two of them may differ in."""
    found = {"model": configuration.model, "timeframe": configuration.timeframe, **configuration.params}
    for part in (configuration.execution, configuration.overlays):
        found |= {one.name: getattr(part, one.name) for one in fields(part)}
    return {
        name: value if isinstance(value, int | float | str) else str(value)
        for name, value in found.items()
        if value is not None
    }


def outcome(desk: Desk, found: Outcome, known: str = "") -> dict[str, Any]:
    """Return what a page shows of a run: two lines of few points, settings and metrics.

    Parameters
    ----------
    desk : Desk
        Of the study.
    found : Outcome
        The run.
    known : str
        Name of a clock that the page has, which is left out then.

    Returns
    -------
    dict
        `ts` are bars' starts, milliseconds UTC. `clock` are first and last bar of each session, by which
        lines have gaps between sessions, and a name that all runs on the same bars share.
    """
    run = found.run
    fall = below_peak(np.append(found.configuration.execution.cash, run.equity))[1:]
    rows = thin_lines([run.equity, fall], POINTS)
    return {
        "config_id": found.configuration.config_id, "values": _values(found.configuration),
        "settings": _settings(found.configuration), "ranked": desk.is_ranked(found.configuration.config_id),
        "metrics": plain(found.metrics), "bars": len(run.equity), "ts": (run.ts[rows] // 1000).tolist(),
        "equity": np.round(run.equity[rows], 2).tolist(), "drawdown": np.round(fall[rows], 4).tolist(),
        "clock": {"name": known} if clock_name(run.ts) == known else clock_of(run.ts),
    }  # fmt: skip


def saved_view(
    desk: Desk, name: tuple[str, str], found: Outcome, base: Outcome, span: tuple[int | None, int | None]
) -> dict[str, Any]:
    """Return what a saved view says of a run: what was changed and where it comes from; nothing of the test.

    Parameters
    ----------
    desk : Desk
        Of the study.
    name : tuple of str
        Configuration that the run was changed from, and symbol of the account.
    found, base : Outcome
        The run, and the one that it was changed from.
    span : tuple of int or None
        Part of the validate window, microseconds UTC, as it was asked for.
    """
    config_id, symbol = name
    configuration, window = found.configuration, desk.window
    values = ", ".join(f"{axis} {value}" for axis, value in base.configuration.axes.items())
    ranked, kept = desk.is_ranked(configuration.config_id), desk.is_stored(configuration.config_id, symbol)
    standing = (
        "A configuration of the study's grid: each verdict on these data counts it."
        if ranked
        else "Never in the study's grid, and kept: a trial that verdicts count."
        if kept
        else "Never in the study's grid, and not kept: chosen by eye, and counted by no verdict."
    )
    shown = [_instant(max(window.start_us, span[0] or window.start_us))]
    shown.append(_instant(min(window.end_us, span[1] or window.end_us)))
    return {
        "study": desk.study.study, "title": f"{symbol}: {values or config_id}", "standing": standing,
        "objective": desk.study.objective, "about": about_metrics(), "kept": kept,
        "made": f"saved by whatif {versions()['whatif']}, {_instant(time.time_ns() // 1000)}",
        "shown": outcome(desk, found), "base": outcome(desk, base),
        "trades": trades_page(found, 0, TRADES_OF_A_VIEW, "closed", down=False),
        "test": "This page holds nothing of the study's test window, opened or not."
        if desk.test is not None
        else "This study has no test window.",
        "origin": {
            "window": f"validate, {shown[0]} to {shown[1]}",
            "bars": f"snapshot {desk.resolved.bars.snapshot_id}",
            "configuration": configuration.config_id, "changed from": config_id,
            "engine": found.run.engine, "trials counted": f"{desk.trials:,}",
        },
    }  # fmt: skip


def _instant(us: int) -> str:
    return f"{datetime.fromtimestamp(us / 1e6, UTC):%Y-%m-%d %H:%M} UTC"


def clock_name(ts: IntArray) -> str:
    """Return what two runs on the same bars call their clock; of starts of bars, (n,), microseconds UTC."""
    return f"{ts[0]}-{ts[-1]}-{len(ts)}" if len(ts) else "none"


def clock_of(ts: IntArray) -> dict[str, Any]:
    """Return name, first and last bars of the sessions, milliseconds UTC, and the bars' spacing.

    Parameters
    ----------
    ts : int64 array (n,)
        Start of each bar, microseconds UTC, increasing.
    """
    if not len(ts):
        return {"name": "none", "first": [], "last": [], "step": 0}
    starts = session_starts(ts)
    if len(starts) > min(MAX_SESSIONS, len(ts) // 4):  # daily bars: each would stand alone
        starts = np.zeros(1, np.int64)
    last = np.append(starts[1:], len(ts)) - 1
    step = int(np.median(np.diff(ts))) // 1000 if len(ts) > 1 else 60_000
    return {
        "name": clock_name(ts), "first": (ts[starts] // 1000).tolist(),
        "last": (ts[last] // 1000).tolist(), "step": step,
    }  # fmt: skip


def trades_page(found: Outcome, page: int, size: int, column: str, down: bool) -> dict[str, Any]:
    """Return a page of a run's closed trades by columns, sorted by one of them.

    Parameters
    ----------
    found : Outcome
        The run.
    page, size : int
        Which page, from 0, the last one if there are fewer; rows of a page.
    column : str
        One of `TRADE_COLUMNS`; trades that are equal in it stay in the order of their closing.
    down : bool
        Whether the greatest comes first.

    Returns
    -------
    dict
        `count` of all, `page`, and the columns: times in milliseconds UTC, `size` below zero for a short
        trade, `net` after commission, `bars` between its first and its last execution.
    """
    run, trades = found.run, found.run.trades
    opened, closed = run.traded_at
    names = np.array(run.symbols, dtype=object)[trades.symbol]
    reasons = np.array([one or "" for one in run.trade_notes.exit_reason], dtype=object)
    columns = {
        "symbol": names, "opened": opened // 1000, "closed": closed // 1000,
        "bars": trades.closed - trades.opened, "size": trades.size, "entry": trades.entry_price,
        "exit": trades.exit_price, "net": np.round(trades.pnl_net, 2), "reason": reasons,
    }  # fmt: skip
    count = len(trades)
    page = max(0, min(page, (count - 1) // size))
    order = np.argsort(columns[column], kind="stable")
    order = (order[::-1] if down else order)[page * size : (page + 1) * size]
    shown = {name: _cells(values[order]) for name, values in columns.items()}
    return {"count": count, "page": page, "column": column, "down": down, **shown}


def _cells(values: np.ndarray[Any, Any]) -> list[Any]:
    listed: list[Any] = values.tolist()
    return [None if isinstance(one, float) and not math.isfinite(one) else one for one in listed]


def _codes(column: pd.Series, order: Sequence[Any] = ()) -> dict[str, Any]:
    """Return a column as its distinct values and the place of each row's.

    Numbers by size, after a missing one; else as in `order`, the values of a study, and then by text.
    """
    texts = [None if _is_missing(v) else v.item() if isinstance(v, np.generic) else v for v in column]
    levels = {repr(v): v for v in texts}
    try:
        ordered = sorted(levels, key=lambda key: (levels[key] is not None, levels[key]))
    except TypeError:
        ordered = sorted(levels)
    if any(isinstance(v, bool) or not isinstance(v, int | float | None) for v in levels.values()):
        given = dict.fromkeys(key for key in map(repr, order) if key in levels)
        ordered = list(dict.fromkeys([*given, *ordered]))
    at = {key: k for k, key in enumerate(ordered)}
    shown = [
        v if isinstance(v := levels[key], (int, float, str, bool, type(None))) else str(v) for key in ordered
    ]
    return {"levels": shown, "codes": [at[repr(v)] for v in texts]}


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _numbers(column: pd.Series) -> list[float | None]:
    values = column.astype("float64").to_numpy()
    return [float(f"{v:.6g}") if math.isfinite(v) else None for v in values]


def plain(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """Return metrics as JSON has them: None where one is NaN or infinite."""
    return {name: float(v) if math.isfinite(float(v)) else None for name, v in metrics.items()}
