"""Tasks drawn of every kind, whose steps are those of the conformance suite as files of their own."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from whatif.domain import Overlays
from whatif.engines import BacktestTask
from whatif.strategies import StrategySpec
from whatif.testing import order_kinds, orders
from whatif.testing.engines import EXITS, random_account

HEAD = """\
import math
from typing import Any
from whatif.strategies import (
    BUY, NO_PRICE, SELL, TARGET_PERCENT, {words} bracket, buy, close, hold, sell, strategy, target
)
"""
SCRIPT = (
    "HELD", "AT_MARKET", "AT_LIMIT", "AT_STOP", "AT_STOP_LIMIT", "BY_TRAIL", "BY_TRAIL_PERCENT",
    "BY_TRAIL_LIMIT", "AT_CLOSE", "BRACKETED", "BRACKETED_AT_LIMIT", "TIED", "TIED_BRACKETS", "CANCELLED",
    "CANCELLED_FIRST", "TWO", "TARGETED", "CLOSED",
)  # fmt: skip
"""What a script of orders asks for, by number."""

STOPS = (
    Overlays(stop_loss=0.004, take_profit=0.006, percent_of_equity=0.6),
    Overlays(flat_before_close=40, max_bars_held=5, percent_of_cash=0.4),
    Overlays(stop_loss=0.01, risk_per_trade=0.004, latency=1),
    Overlays(volatility_target=0.003, volatility="stddev(roc(1), 3)", latency=2),
    Overlays(kelly_fraction=0.6, kelly_trades=1, kelly_start=0.2, take_profit=0.004),
)
"""Overlays that act on closes."""


def as_file(step: StrategySpec) -> StrategySpec:
    """Return a step of the conformance suite with a text that holds it alone."""
    text = inspect.getsource(step.step)
    head, kinds = HEAD, "\n".join(f"{name} = {k}" for k, name in enumerate(SCRIPT))
    if not step.answers_orders:
        head, kinds = HEAD.replace("NO_PRICE, ", "").replace("bracket, ", ""), ""
    words = {"weights": "weights, sizes,", "orders": "orders, sizes,"}
    extra = (
        next((words[name] for name in words if f"return {name}(" in text), "") if step.cross_sectional else ""
    )
    if step.answers_orders:
        extra += " Order, cancel, oco,"
    source = (
        f"{head.format(words=extra)}import numpy as np\n{kinds}\n\n\n{text}"
        if "np." in text
        else (f"{head.format(words=extra)}{kinds}\n\n\n{text}")
    )
    return replace(step, source=source)


def single(seed: int) -> BacktestTask:
    """Return a task on one symbol, with orders, overlays, costs and settings of all kinds."""
    rng = np.random.default_rng([seed, 23])
    plain = (orders.scripted, orders.state_reader, orders.note_reader, orders.queue_reader)
    ordered = (order_kinds.order_player, order_kinds.note_player)
    with_orders = bool(rng.random() < 0.6)
    case = order_kinds.random_order_case(seed) if with_orders else orders.random_case(seed)
    change = (None, None, orders.with_costs, orders.with_settings, orders.with_finer_fills)[seed % 5]
    case = case if change is None else change(case, seed)
    step = (ordered if with_orders else plain)[int(rng.integers(len(ordered if with_orders else plain)))]
    overlays = Overlays()
    if rng.random() < 0.6:
        pool = EXITS + STOPS
        overlays = pool[int(rng.integers(len(pool)))]
    if with_orders and overlays.latency:
        overlays = replace(overlays, latency=0)
    return replace(case.task(as_file(step)), overlays=overlays)


def account(seed: int) -> BacktestTask:
    """Return a task on several symbols that share an account."""
    task = random_account(seed)
    return replace(task, strategy=as_file(task.strategy), bar_us=60_000_000)


def tasks(draw, count: int, first: int = 0) -> Iterator[tuple[int, BacktestTask]]:
    """Yield so many tasks by their seeds."""
    yield from ((seed, draw(seed)) for seed in range(first, first + count))
