"""Bars of a task, and fills, as CSV; digits read back as the same floats."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from whatif.domain import Bars, EngineRun, timestamps
from whatif.engines import BacktestTask
from whatif.indicators import evaluate, parse, session_minutes
from whatif.strategies import StrategySpec

PRICES = ("open", "high", "low", "close", "volume", "vwap")


def bars_csv(task: BacktestTask, own: Iterable[str] = ()) -> str:
    """Return the bars of all symbols of a task up to its window's end.

    Parameters
    ----------
    task : BacktestTask
        A step function on its bars.
    own : iterable of str
        Further columns, which the rule does not read: `_session`, the open of the session; `_minute` and
        `_minutes_to_close`, of the clock; `_leaves`, 1 where the symbol is not to be held; `_volatility`,
        by which what is opened is sized.

    Returns
    -------
    str
        Columns `symbol`, if there are several; `ts`, the start of the bar, UTC, without a zone; prices,
        volume and vwap; the rule's series; `own`.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    for k, bars in enumerate(task.bars):
        _, stop = task.rows(bars)
        columns = _columns(task, bars, stop, list(own))
        if len(task.bars) > 1:
            columns = {"symbol": [bars.symbol] * stop} | columns
        if k == 0:
            writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return file.getvalue()


def fed_csv(task: BacktestTask) -> str:
    """Return the bars that a Backtrader strategy is fed: the warm-up and the window, with further series."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    for k, bars in enumerate(task.bars):
        first, stop = task.rows(bars)
        part = bars.slice(max(0, first - task.warmup), stop)
        columns = _prices(part, len(part)) | {name: _digits(one) for name, one in part.inputs.items()}
        if len(task.bars) > 1:
            columns = {"symbol": [bars.symbol] * len(part)} | columns
        if k == 0:
            writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return file.getvalue()


def fills_csv(task: BacktestTask) -> str:
    """Return the finer bars inside the bars of a task, with `_bar`, the row of the bar that each is in."""
    (bars,) = task.bars
    assert bars.finer is not None
    _, stop = task.rows(bars)
    begins = bars.finer.begins[: stop + 1]
    rows = np.repeat(np.arange(stop), np.diff(begins))
    finer, end = bars.finer.bars, int(begins[-1])
    columns = _prices(finer, end) | {"_bar": [-1] * int(begins[0]) + rows.tolist()}
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return file.getvalue()


def lines_of(run: EngineRun) -> list[str]:
    """Return the fills of a run as lines: time, symbol if there are several, signed units, price, fees."""
    fills = run.fills
    names = [f"{run.symbols[k]}," if len(run.symbols) > 1 else "" for k in fills.symbol.tolist()]
    numbers = zip(fills.size.tolist(), fills.price.tolist(), fills.commission.tolist(), strict=True)
    return [
        f"{at},{name}{','.join(map(repr, three))}"
        for at, name, three in zip(_stamps(run.filled_at), names, numbers, strict=True)
    ]


def _columns(task: BacktestTask, bars: Bars, stop: int, own: list[str]) -> dict[str, list[Any]]:
    spec = task.strategy
    assert isinstance(spec, StrategySpec)
    columns = _prices(bars, stop)
    for name, expression in spec.bound_inputs(task.params).items():
        columns[name] = _digits(evaluate(expression, bars, {})[:stop])
    minute, to_close = session_minutes(bars)
    made: dict[str, Callable[[], list[Any]]] = {
        "_session": lambda: _stamps(bars.session_open[:stop]),
        "_minute": lambda: minute[:stop].tolist(),
        "_minutes_to_close": lambda: to_close[:stop].tolist(),
        "_leaves": lambda: _leaves(bars, stop, task.overlays.latency),
        "_volatility": lambda: _volatility(task, bars, stop),
    }
    return columns | {name: made[name]() for name in own}


def _prices(bars: Bars, stop: int) -> dict[str, list[Any]]:
    return {"ts": _stamps(bars.ts[:stop])} | {name: _digits(getattr(bars, name)[:stop]) for name in PRICES}


def _digits(values: np.ndarray) -> list[str]:
    return list(map(repr, values.tolist()))


def _stamps(us: np.ndarray) -> list[str]:
    return [one.isoformat() for one in timestamps(us).tz_localize(None)]


def _leaves(bars: Bars, stop: int, latency: int) -> list[int]:
    """Return 1 where an order, and leaving what it opens, would come after the symbol is no member."""
    if bars.member is None:
        return [0] * stop
    before = np.concatenate(([0], np.cumsum(~bars.member[:stop])))
    until = np.minimum(np.arange(stop) + 2 + 2 * latency, stop)
    return [int(one) for one in before[until] > before[:stop]]


def _volatility(task: BacktestTask, bars: Bars, stop: int) -> list[str]:
    return _digits(evaluate(parse(str(task.overlays.volatility)), bars, {})[:stop])
