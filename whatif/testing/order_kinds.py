"""Orders of every kind, written down or random, and the step functions that play them.

What is played are input series of the bars. What a step answers on a bar is then known before the run, but
for the prices of random orders, which lie around the bar's close.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from whatif.domain import Bars, Execution, Overlays, inlinable
from whatif.engines import BacktestTask
from whatif.strategies import (
    HOLD,
    NO_PRICE,
    SESSION,
    Answer,
    Order,
    StrategySpec,
    bracket,
    buy,
    cancel,
    close,
    flattened,
    hold,
    oco,
    orders,
    sell,
    sizes,
    strategy,
    target,
)
from whatif.testing.markets import PRICES, markets, random_bars, random_shape
from whatif.testing.orders import SharedCase, executions, random_execution, random_shared_case
from whatif.typing import FloatArray

SERIES = ("kind", "size", "near", "far", "life")

KINDS = (
    "hold", "market", "limit", "stop", "stop_limit", "trail", "trail_percent", "trail_limit", "at_close",
    "bracket", "bracket_at_limit", "oco", "oco_of_brackets", "cancel", "cancel_and_buy", "two", "target",
    "close",
)  # fmt: skip
"""What a script asks for, by the number in its series `kind`."""

(HELD, AT_MARKET, AT_LIMIT, AT_STOP, AT_STOP_LIMIT, BY_TRAIL, BY_TRAIL_PERCENT, BY_TRAIL_LIMIT, AT_CLOSE,
 BRACKETED, BRACKETED_AT_LIMIT, TIED, TIED_BRACKETS, CANCELLED, CANCELLED_FIRST, TWO, TARGETED,
 CLOSED) = range(len(KINDS))  # fmt: skip


@strategy(inputs={name: name for name in SERIES}, lookback=0, max_orders=1000)
def order_player(i: int, x: Any, p: Any, s: Any) -> Answer:
    """Answer with the orders that the script holds for this bar.

    `size` is signed, `near` and `far` are fractions of the close: `near` of either sign, by which a price
    lies above it, `far` positive, the distance between two prices; `life` is `valid` of what can have it.
    """
    kind, size, now = int(x.kind[i]), x.size[i], x.close[i]
    near, far, life = now * (1.0 + x.near[i]), now * x.far[i], int(x.life[i])
    side = 1.0 if size >= 0.0 else -1.0
    if kind == HELD or (size == 0.0 and kind == TIED_BRACKETS):
        return hold()
    if kind == BRACKETED:
        return bracket(size, stop=now - side * far, target=now + side * far * 1.5)
    if kind == BRACKETED_AT_LIMIT:
        return bracket(size, limit=near, stop=near - side * far, target=near + side * far, valid=life)
    if kind == TIED and size >= 0.0:
        return oco(buy(size, limit=near - far, valid=life), buy(size, stop=near + far)), sell(
            size, limit=now + far
        )
    if kind == TIED:
        return oco(sell(-size, limit=near + far, valid=life), sell(-size, stop=near - far))
    if kind == TIED_BRACKETS:
        up, down = bracket(size, limit=near, stop=near - side * far), bracket(-size, target=now - side * far)
        return oco(up, down, buy(abs(size), limit=near))
    if kind == CANCELLED:
        return cancel()
    if kind == CANCELLED_FIRST:
        return cancel(), buy(abs(size))
    if kind == TWO:
        return buy(abs(size), limit=near, valid=life), sell(abs(size), stop=near), target(size)
    if kind == TARGETED:
        return target(size + s.pending)
    if kind == CLOSED:
        return close()
    limit = stop = trail = percent = NO_PRICE
    if kind == AT_LIMIT:
        limit = near
    elif kind in (AT_STOP, AT_STOP_LIMIT):
        stop = near
        limit = near + side * far if kind == AT_STOP_LIMIT else NO_PRICE
    elif kind in (BY_TRAIL, BY_TRAIL_LIMIT):
        trail = far
        stop = near if life == 1 else NO_PRICE
        limit = max(near, now) + side * far if kind == BY_TRAIL_LIMIT and size >= 0.0 else NO_PRICE
        limit = min(near, now) + side * far if kind == BY_TRAIL_LIMIT and size < 0.0 else limit
    elif kind == BY_TRAIL_PERCENT:
        percent = x.far[i]
    valid = 0 if kind == AT_MARKET else life
    at_close = kind == AT_CLOSE
    if size >= 0.0:
        return buy(
            size, limit=limit, stop=stop, trail=trail, trail_percent=percent, valid=valid, at_close=at_close
        )
    return sell(
        -size, limit=limit, stop=stop, trail=trail, trail_percent=percent, valid=valid, at_close=at_close
    )


@strategy(inputs={name: name for name in SERIES}, lookback=0, max_orders=1000)
def note_player(i: int, x: Any, p: Any, s: Any) -> Answer:
    """Answer with orders of the size that fills, position and waiting orders say.

    What is not there counts as the script's own size.
    """
    kind, now, seen = int(x.kind[i]), x.close[i], x.size[i]
    near, far, life = now * (1.0 + x.near[i]), now * x.far[i], int(x.life[i])
    for k in range(s.pending):
        seen += s.order_kind[k] + s.order_size[k] * 0.25 + s.order_age[k] * 0.125
        if s.order_price[k] == s.order_price[k]:
            seen += s.order_price[k] / now
    if i % 4 == 1:
        seen = s.last_fill_size + s.last_fill_price / now + min(s.bars_since_fill, 30.0)
    elif i % 4 == 2:
        seen = s.best_price / now - 2.0 * s.worst_price / now
    elif i % 4 == 3:
        seen = s.realised / now
    size = seen if seen == seen else x.size[i]
    size = min(max(size, -60.0), 60.0)
    side = 1.0 if size >= 0.0 else -1.0
    if kind in (CANCELLED, CANCELLED_FIRST) and i % 3 == 0:
        return cancel()
    if kind == HELD or s.pending > 20:
        return hold()
    if kind == BRACKETED:
        return bracket(size, stop=now - side * far, target=now + side * far * 1.5)
    if kind == BRACKETED_AT_LIMIT:
        return bracket(size, limit=near, stop=near - side * far, target=near + side * far, valid=life)
    if kind in (TARGETED, CLOSED, AT_MARKET):
        return target(size)
    if kind in (AT_CLOSE, TWO):
        return buy(abs(size), at_close=True), sell(abs(size) * 0.5, limit=now + far)
    if kind in (BY_TRAIL, BY_TRAIL_PERCENT):
        return sell(abs(size), trail=far), buy(abs(size), trail_percent=x.far[i])
    if kind in (BY_TRAIL_LIMIT, TIED):
        return buy(abs(size), trail=far, limit=now + far)
    if kind in (AT_STOP_LIMIT, TIED_BRACKETS):
        up, down = now + far, now - far
        return buy(abs(size), stop=up, limit=up + far), sell(abs(size), stop=down, limit=down * 0.999)
    return oco(buy(abs(size), limit=now - far, valid=life), sell(abs(size), stop=now - far))


@strategy(inputs={name: name for name in SERIES}, cross_sectional=True, max_orders=1000, max_gross=1e9)
def across_order_player(i: int, x: Any, p: Any, s: Any) -> tuple[int, Any]:
    """Answer with one order of each symbol, of the kind that its script holds, or with sizes."""
    if i % 7 == 6:
        for k in range(len(x.close)):
            s.answer[k] = x.size[k] if x.kind[k] == float(TARGETED) else NO_PRICE
        return sizes(s.answer)
    asked: list[Any] = []
    for k in range(len(x.close)):
        kind = int(x.kind[k]) if x.kind[k] == x.kind[k] else HELD
        size, now = x.size[k], x.close[k]
        near, far, side = now * (1.0 + x.near[k]), now * x.far[k], 1.0 if size >= 0.0 else -1.0
        life = int(x.life[k]) if x.life[k] == x.life[k] else 0
        if kind == HELD:
            asked.append(hold())
        elif kind == BRACKETED:
            asked.append(bracket(size, stop=now - side * far, target=now + side * far * 1.5))
        elif kind in (BRACKETED_AT_LIMIT, TIED_BRACKETS):
            asked.append(bracket(size, limit=near, stop=near - side * far, target=near + side * far))
        elif kind in (CANCELLED, CANCELLED_FIRST):
            asked.append(cancel())
        elif kind == CLOSED:
            asked.append(close())
        elif kind in (AT_LIMIT, TIED):
            asked.append(buy(abs(size), limit=near, valid=life))
        elif kind in (AT_STOP, AT_STOP_LIMIT):
            asked.append(sell(abs(size), stop=near, valid=life))
        elif kind in (BY_TRAIL, BY_TRAIL_LIMIT):
            asked.append(sell(abs(size), trail=far, valid=life))
        elif kind == AT_CLOSE:
            asked.append(buy(abs(size), at_close=True))
        else:
            asked.append(target(size + s.pending[k]))
    return orders(asked)


WRITTEN = 4
"""Orders that `order_reader` can answer with on one bar."""

_FIELDS = [f"{name}_{k}" for k in range(WRITTEN) for name in Order._fields]


@inlinable
def given(price: float) -> float:
    """Return a price, which is written down as 0 where there is none."""
    return price if price != 0.0 else NO_PRICE


@strategy(inputs={name: name for name in _FIELDS}, lookback=0)
def order_reader(i: int, x: Any, p: Any, s: Any) -> Answer:
    """Answer with the orders that are written down for this bar, the marks of `oco` among them."""
    if x.code_0[i] == HOLD and x.code_1[i] == HOLD:
        return hold()
    return (
        Order(
            int(x.code_0[i]), x.amount_0[i], given(x.limit_0[i]), given(x.stop_0[i]),
            given(x.trail_0[i]), given(x.trail_percent_0[i]), given(x.target_0[i]),
            int(x.valid_0[i]), int(x.at_close_0[i]),
        ),
        Order(
            int(x.code_1[i]), x.amount_1[i], given(x.limit_1[i]), given(x.stop_1[i]),
            given(x.trail_1[i]), given(x.trail_percent_1[i]), given(x.target_1[i]),
            int(x.valid_1[i]), int(x.at_close_1[i]),
        ),
        Order(
            int(x.code_2[i]), x.amount_2[i], given(x.limit_2[i]), given(x.stop_2[i]),
            given(x.trail_2[i]), given(x.trail_percent_2[i]), given(x.target_2[i]),
            int(x.valid_2[i]), int(x.at_close_2[i]),
        ),
        Order(
            int(x.code_3[i]), x.amount_3[i], given(x.limit_3[i]), given(x.stop_3[i]),
            given(x.trail_3[i]), given(x.trail_percent_3[i]), given(x.target_3[i]),
            int(x.valid_3[i]), int(x.at_close_3[i]),
        ),
    )  # fmt: skip


def with_answers(bars: Bars, answers: Mapping[int, Answer]) -> Bars:
    """Return bars with the series by which `order_reader` gives these answers, up to `WRITTEN` orders a bar.

    Parameters
    ----------
    bars : Bars
        The market.
    answers : mapping of int to tuple
        What is answered, by row; nothing on every other row.
    """
    held = Order(*hold())
    rows = [flattened(answers.get(row, held)) for row in range(len(bars))]
    table = np.array([[*row, *[held] * (WRITTEN - len(row))] for row in rows], dtype=np.float64)
    series = np.nan_to_num(table).reshape(len(bars), -1).T.copy()
    return bars.with_inputs(dict(zip(_FIELDS, series, strict=True)))


@dataclass(frozen=True, eq=False)
class OrderScript:
    """Orders for each of n bars.

    Attributes
    ----------
    series : float64 array (5, n)
        Rows `SERIES`, as `order_player` reads them.
    """

    series: FloatArray

    def on(self, bars: Bars) -> Bars:
        """Return the bars with the script as inputs, cut or filled up with "hold" to their length."""
        fitted = np.zeros((len(SERIES), len(bars)))
        count = min(len(bars), self.series.shape[1])
        fitted[:, :count] = self.series[:, :count]
        fitted[3] = np.where(fitted[3] > 0.0, fitted[3], 0.01)
        return bars.with_inputs(dict(zip(SERIES, fitted, strict=True)))


def random_order_script(seed: int, n: int, unit: float = 10.0) -> OrderScript:
    """Return n random orders of sizes around `unit`, a third of them none; the same for the same seed."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, len(KINDS), n) * (rng.random(n) < 0.66)
    sizes = [
        np.round(rng.normal(0.0, unit, n)),
        rng.normal(0.0, unit, n),
        np.zeros(n),
        rng.normal(0.0, 100 * unit, n),
        rng.choice([0.1, 0.2, 0.3, -0.9, 0.7, -3.1], n),
    ]
    size = np.choose(rng.choice(5, n, p=[0.4, 0.35, 0.02, 0.08, 0.15]), sizes)
    scale = rng.choice([0.0005, 0.005, 0.03], n)
    near = rng.normal(0.0, 1.0, n) * scale * (rng.random(n) < 0.8)
    far = np.maximum(rng.exponential(1.0, n), 0.01) * scale
    life = rng.choice([0, 0, 1, 2, 5, 20, SESSION], n)
    # what tells on the next bar how many orders wait
    kind = np.where(rng.random(n) < 0.1, TARGETED, kind)
    return OrderScript(
        np.array([kind, size, np.maximum(near, -0.5), np.minimum(far, 0.4), life], dtype=np.float64)
    )


@dataclass(frozen=True, eq=False)
class OrderCase:
    """One market, the orders of each of its bars, and the broker's settings.

    Attributes
    ----------
    bars : Bars
        The market.
    script : OrderScript
        Orders by bar.
    execution : Execution
        The broker's settings.
    """

    bars: Bars
    script: OrderScript
    execution: Execution

    def task(self, step: StrategySpec = order_player) -> BacktestTask:
        """Return the task in which `step` plays the script."""
        return BacktestTask([self.script.on(self.bars)], step, {}, self.execution)


def random_order_case(seed: int, max_bars: int = 80) -> OrderCase:
    """Return a case drawn from all kinds, the same for the same seed."""
    rng = np.random.default_rng(seed)
    price = float(rng.choice(PRICES))
    n = int(rng.integers(2, max_bars + 1))
    bars = random_bars(seed, n, random_shape(rng, price))
    return OrderCase(bars, random_order_script(seed + 1, n), random_execution(rng, price))


def quiet_order_case(seed: int) -> OrderCase:
    """Return a case of hundreds of bars with few orders, most of which wait until their price comes."""
    rng = np.random.default_rng([seed, 32])
    case, n = random_order_case(seed, max_bars=2), int(rng.integers(130, 500))
    series = random_order_script(seed + 1, n).series
    waits = rng.choice([AT_LIMIT, AT_STOP, AT_STOP_LIMIT], n)
    series[0] = np.where(rng.random(n) < 0.7, waits, series[0]) * (rng.random(n) < 0.02)
    series[2], series[4] = rng.normal(0.0, 0.01, n), rng.choice([0, 0, 0, 60], n)
    return OrderCase(random_bars(seed, n), OrderScript(series), case.execution)


def random_shared_order_case(seed: int) -> SharedCase:
    """Return an account of several ragged markets with orders of all kinds, the same for the same seed."""
    case, rng = random_shared_case(seed), np.random.default_rng([seed, 7])
    scripts = [random_order_script(int(rng.integers(2**32)), len(bars)) for bars in case.bars]
    bars = tuple(script.on(own) for script, own in zip(scripts, case.bars, strict=True))
    return replace(case, bars=bars, overlays=Overlays())


def order_scripts(max_bars: int = 80) -> st.SearchStrategy[OrderScript]:
    """Return a strategy of scripts: order by order, which shrinks well, or by a seed."""
    sizes = st.one_of(
        st.integers(-100, 100).map(float),
        st.floats(-100.0, 100.0),
        st.sampled_from([0.0, 0.1, 0.3, -0.9, 1e6, -1e6, 1e-9]),
    )
    one = st.tuples(
        st.integers(0, len(KINDS) - 1).map(float),
        sizes,
        st.one_of(st.just(0.0), st.floats(-0.1, 0.1)),
        st.one_of(st.just(0.01), st.floats(0.001, 0.2)),
        st.sampled_from([0.0, 1.0, 2.0, 5.0, float(SESSION)]),
    )
    listed = st.lists(one, min_size=1, max_size=25).map(lambda rows: OrderScript(np.array(rows).T))
    return st.one_of(listed, st.builds(random_order_script, st.integers(0, 2**32 - 1), st.just(max_bars)))


def order_cases(max_bars: int = 80) -> st.SearchStrategy[OrderCase]:
    """Return a strategy of cases; prices and money are of one magnitude, the sizes of any."""
    return st.sampled_from(PRICES).flatmap(
        lambda price: st.builds(
            OrderCase, markets(price, max_bars), order_scripts(max_bars), executions(price)
        )
    )
