"""Random intents, broker settings and cases of them, and step functions that play intents from a script.

A script is two input series of the bars: `code`, one of those of `whatif.strategies.intents`,
and `amount`. What a step returns for a bar is then known before the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

from whatif.domain import (
    EVER,
    FILLERS,
    Bars,
    Costs,
    Execution,
    Filler,
    Membership,
    Overlays,
    costs_from,
    with_finer,
)
from whatif.engines import BacktestTask
from whatif.strategies import (
    BUY,
    CLOSE,
    HOLD,
    SELL,
    TARGET,
    TARGET_PERCENT,
    Intent,
    StrategySpec,
    hold,
    sizes,
    strategy,
    weights,
)
from whatif.testing.markets import DAY_US, PRICES, markets, random_bars, random_shape
from whatif.typing import FloatArray, IntArray

CODES = (HOLD, TARGET, BUY, SELL, CLOSE, TARGET_PERCENT)


@strategy(inputs={"code": "code", "amount": "amount"}, lookback=0)
def scripted(i: int, x: Any, p: Any, s: Any) -> Intent:
    """Return the intent that the script holds for this bar."""
    return (int(x.code[i]), x.amount[i])


@strategy(inputs={"code": "code", "amount": "amount"}, lookback=0)
def seldom(i: int, x: Any, p: Any, s: Any) -> Intent:
    """Do what a script says that mostly holds, else ask for what is held, or close by what the state says.

    It keeps nothing, so that an engine may ask it ahead of its turn.
    """
    code, amount = int(x.code[i]), x.amount[i]
    if code == HOLD and s.size != 0.0:
        if i % 256 < 128:
            code, amount = TARGET, s.size
        if s.bars_held % 40 == 39 or int(abs(s.value) * 8.0) % 199 == 0:
            code = CLOSE
    return (code, amount)


@strategy(inputs={"code": "code", "amount": "amount", "field": "field"}, lookback=0, scratch=2)
def state_reader(i: int, x: Any, p: Any, s: Any) -> Intent:
    """Ask for a size taken from a field of the state, so that its bits show in the fills.

    `field` names it: 1 size, 2 entry price, 3 bars held, 4 cash, 5 value, 6 pending, 7 minute,
    8 minutes to close, 9 a scratch value that counts calls; any other number: the script's amount.
    """
    s.scratch[0] += 1.0
    s.scratch[1] = s.cash
    field = x.field[i]
    size = x.amount[i]
    if field == 1.0:
        size = s.size
    elif field == 2.0:
        size = s.entry_price
    elif field == 3.0:
        size = float(s.bars_held)
    elif field == 4.0:
        size = s.cash * 0.0009765625
    elif field == 5.0:
        size = s.value * 0.0009765625
    elif field == 6.0:
        size = float(s.pending)
    elif field == 7.0:
        size = float(s.minute)
    elif field == 8.0:
        size = float(s.minutes_to_close)
    elif field == 9.0:
        size = s.scratch[0] + s.scratch[1] * 0.0009765625
    code = int(x.code[i])
    if code in (BUY, SELL):
        return (code, abs(size))
    if code == TARGET_PERCENT:
        return (code, min(max(size, -3.0), 3.0))
    return (code, size)


@strategy(inputs={"code": "code", "amount": "amount", "field": "field"}, lookback=0)
def note_reader(i: int, x: Any, p: Any, s: Any) -> Intent:
    """Ask for a size that the state says of fills and position, so that its bits show in the fills.

    `field` names it: 1 and 2 price and units of the last fill, 3 bars since, 4 and 5 best and worst price,
    6 realised profit; any other number: the script's amount, which also stands for what is not there.
    """
    field, size = x.field[i], x.amount[i]
    if field == 1.0:
        size = s.last_fill_price * 0.125
    elif field == 2.0:
        size = s.last_fill_size + 1.0
    elif field == 3.0:
        size = min(s.bars_since_fill, 100.0)
    elif field == 4.0:
        size = s.best_price * 0.25
    elif field == 5.0:
        size = -s.worst_price * 0.25
    elif field == 6.0:
        size = s.realised * 0.015625
    if size != size:
        size = x.amount[i]
    code = int(x.code[i])
    if code == TARGET_PERCENT:
        return (code, min(max(size, -3.0), 3.0))
    return (code, abs(size) if code in (BUY, SELL) else size)


@strategy(inputs={"code": "code", "amount": "amount", "field": "field"}, lookback=0)
def queue_reader(i: int, x: Any, p: Any, s: Any) -> Intent:
    """Ask for the script's amount and what the orders say that wait, so that their bits show in the fills."""
    size, code = x.amount[i], int(x.code[i])
    for k in range(s.pending):
        size += s.order_size[k] * 0.5 + s.order_age[k] + s.order_kind[k]
        if s.order_price[k] == s.order_price[k]:
            size += 1000.0
    if code == TARGET_PERCENT:
        return (code, min(max(size, -3.0), 3.0))
    return (code, abs(size) if code in (BUY, SELL) else size)


@strategy(
    inputs={"code": "code", "amount": "amount", "field": "field"},
    cross_sectional=True,
    scratch=1,
    max_gross=1e9,
)
def across_player(i: int, x: Any, p: Any, s: Any) -> tuple[int, Any]:
    """Ask of each symbol what its script and the account say; of units by an array of its own."""
    n = len(x.close)
    own = np.zeros(n)
    kind = 0
    for k in range(n):
        code, amount = x.code[k], x.amount[k]
        s.scratch[k] += 1.0
        kind += int(x.field[k]) if x.field[k] == x.field[k] else 0
        if code != code or code == 0.0:
            own[k] = math.nan
        elif x.field[k] == 1.0:
            own[k] = amount + s.size[k] * 0.5
        elif x.field[k] == 2.0:
            own[k] = s.entry_price[k] * 0.125
        elif x.field[k] == 3.0:
            own[k] = float(s.bars_held[k] - s.pending[k])
        elif x.field[k] == 4.0:
            own[k] = s.cash * 0.0009765625 / x.close[k]
        elif x.field[k] == 5.0:
            own[k] = s.value * 0.0009765625 / x.open[k]
        elif x.field[k] == 6.0:
            own[k] = float(s.session - s.bar_of_session)
        elif x.field[k] == 7.0:
            own[k] = s.scratch[k] if x.has_bar[(k + 1) % n] else -s.scratch[k]
        else:
            own[k] = amount
        # what is not written is left alone
        if own[k] == own[k]:
            s.answer[k] = max(-0.9, min(0.9, own[k] * 0.01))
    if kind % 3 == 0:
        return hold()
    return weights(s.answer) if kind % 3 == 1 else sizes(own)


@dataclass(frozen=True, eq=False)
class Script:
    """One intent for each of n bars.

    Attributes
    ----------
    code, amount, field : float64 arrays (n,)
        Code and amount of the intent; and which field of the state `state_reader` takes.
    """

    code: FloatArray
    amount: FloatArray
    field: FloatArray

    def on(self, bars: Bars) -> Bars:
        """Return the bars with the script as inputs, cut or filled up with "hold" to their length."""
        series = {"code": self.code, "amount": self.amount, "field": self.field}
        return bars.with_inputs({name: _fitted(values, len(bars)) for name, values in series.items()})


def _fitted(values: FloatArray, n: int) -> FloatArray:
    result = np.zeros(n)
    result[: len(values)] = values[:n]
    return result


def script_of(intents: list[tuple[int, float]], fields: list[int] | None = None) -> Script:
    """Return the script of these intents; amounts of buy and sell lose their sign."""
    code = np.array([code for code, _ in intents], dtype=np.float64)
    amount = np.array([amount for _, amount in intents], dtype=np.float64)
    unsigned = (code == BUY) | (code == SELL)
    field = np.zeros(len(code)) if fields is None else np.array(fields, dtype=np.float64)
    return Script(code, np.where(unsigned, np.abs(amount), amount), field)


def random_script(seed: int, n: int, unit: float = 10.0) -> Script:
    """Return n random intents with amounts around `unit`; the same for the same seed.

    Half the bars hold. Amounts are whole, fractional with all their digits, zero, or far more
    than an account of 100 units can pay; fractions of `target_percent` lie within -1.5 and 1.5.
    """
    rng = np.random.default_rng(seed)
    code = rng.choice([HOLD, HOLD, HOLD, HOLD, *CODES], n)
    kinds = [
        np.round(rng.normal(0.0, unit, n)),
        rng.normal(0.0, unit, n),
        np.zeros(n),
        rng.normal(0.0, 100 * unit, n),
        rng.choice([0.1, 0.2, 0.3, -0.9, 0.7, -3.1], n),
    ]
    amount = np.choose(rng.choice(5, n, p=[0.3, 0.4, 0.05, 0.1, 0.15]), kinds)
    percent = rng.choice([0.0, 0.5, 1.0, -1.0, 0.95], n) + rng.normal(0.0, 0.1, n) * (rng.random(n) < 0.5)
    amount = np.where(code == TARGET_PERCENT, percent, amount)
    amount = np.where((code == BUY) | (code == SELL), np.abs(amount), amount)
    field = rng.integers(0, 10, n) * (rng.random(n) < 0.6)
    return Script(code.astype(np.float64), amount, field.astype(np.float64))


def random_execution(rng: np.random.Generator, price: float = 100.0, large: bool = True) -> Execution:
    """Return random broker settings for a market around `price`.

    Parameters
    ----------
    rng : Generator
        Where the numbers come from.
    price : float
        Cash and money per unit are multiples of it.
    large : bool
        Whether cash may also be far more than any order needs.
    """
    slip = rng.choice(["none", "perc", "fixed"])
    fixed = bool(rng.random() < 0.3)
    units = rng.choice([10.0, 100.0, 1234.567, 1e5] if large else [10.0, 100.0])
    switches: dict[str, Any] = {name: bool(rng.random() < 0.5) for name in SWITCHES}
    return Execution(
        cash=float(price * units),
        commission=float(rng.choice([0.0, 0.0005, 0.00173, 0.05])) * (price if fixed else 1.0),
        commtype="fixed" if fixed else "perc",
        slippage=float(rng.choice([0.0001, 0.004, 0.1])) if slip == "perc" else 0.0,
        slippage_fixed=float(price * rng.choice([0.0001, 0.01, 0.3])) if slip == "fixed" else 0.0,
        checksubmit=bool(rng.random() < 0.7),
        shortcash=bool(rng.random() < 0.6),
        coc=bool(rng.random() < 0.3),
        **switches,
    )


def random_costs(rng: np.random.Generator, price: float = 100.0) -> Costs:
    """Return random costs for a market around `price`: each kind in about half of them, often together."""
    given: dict[str, Any] = {"per_order": float(price * rng.choice([0.0, 0.01]))}
    rates = rng.choice(["fraction", "maker", "unit", "tiers"])
    maker = {"maker": float(rng.choice([0.0, 0.0002, -0.0001, 0.00317])), "taker": 0.00173}
    if rates == "fraction":
        given["fraction"] = float(rng.choice([0.0005, 0.05]))
    elif rates == "maker":
        given |= maker
    elif rates == "unit":
        given["per_unit"] = float(price * rng.choice([0.0003, 0.01]))
    else:
        key, unit = ("from_value", price) if rng.random() < 0.5 else ("from_units", 1.0)
        first = {"per_unit": float(price * 0.003)} if rng.random() < 0.5 else maker
        starts = [0.0, *np.sort(rng.choice([3.0, 10.0, 33.3, 150.0], 2, replace=False)).tolist()]
        given["tiers"] = [
            {key: start * unit} | {name: value / (k + 1.0) for name, value in first.items()}
            for k, start in enumerate(starts)
        ]
        given["marginal"] = bool(rng.random() < 0.6)
    for name, values in _DRAWN_COSTS.items():
        if rng.random() < 0.4:
            given[name] = float(rng.choice(values)) * (price if name in _IN_MONEY else 1.0)
    given = {name: value for name, value in given.items() if name != "maximum" or "minimum" not in given}
    if rng.random() < 0.4:
        given |= {"spread_ticks": float(rng.choice([1.0, 3.0])), "tick": float(price * 0.003)}
    return costs_from(given)


_IN_MONEY = ("minimum", "maximum", "exchange_per_unit", "buy_per_unit", "sell_per_unit")
_DRAWN_COSTS: Mapping[str, tuple[float, ...]] = {
    "minimum": (0.01, 0.3),
    "maximum": (0.02, 0.5),
    "maximum_fraction": (0.01, 0.0007),
    "exchange_per_unit": (0.0001,),
    "exchange_fraction": (0.0003,),
    "buy_per_unit": (0.0007,),
    "buy_fraction": (0.005,),
    "sell_per_unit": (0.0002,),
    "sell_fraction": (0.0013,),
    "range_slippage": (0.1, 1.0),
    "impact": (0.001, 0.1),
}


_C = TypeVar("_C")


def with_costs(case: _C, seed: int, by_price: bool = True) -> _C:
    """Return a `Case` or `OrderCase` with random costs, and random volumes, which some bars are without.

    Where they are not to go `by_price`, those that do are left out.
    """
    rng = np.random.default_rng(seed)
    bars, execution = case.bars, case.execution  # type: ignore[attr-defined]
    volume = np.round(rng.exponential(100.0, len(bars)), 2) * (rng.random(len(bars)) < 0.9)
    volume[rng.random(len(bars)) < 0.05] = np.nan
    volume[0] = 1.0
    costs = random_costs(rng, float(bars.open[0]))
    if not by_price:
        left_out = {"maker", "taker", *costs.by_price}
        written = {name: value for name, value in costs.written.items() if name not in left_out}
        costs = costs_from({"per_order": 0.0, **written})
    changed: dict[str, Any] = {"costs": costs, "commission": 0.0, "commtype": "perc"}
    if costs.moves_prices:
        changed |= {"slippage": 0.0, "slippage_fixed": 0.0}
    changed = {"bars": replace(bars, volume=volume), "execution": replace(execution, **changed)}
    return replace(case, **changed)  # type: ignore[type-var]


SWITCHES = ("slip_open", "slip_match", "slip_limit", "slip_out")


def intents() -> st.SearchStrategy[tuple[int, float]]:
    """Return a strategy of intents as (code, amount)."""
    sizes = st.one_of(
        st.integers(-100, 100).map(float),
        st.floats(-100.0, 100.0),
        st.sampled_from([0.0, 0.1, 0.2, 0.3, -0.9, 0.7, -3.1, 1e6, -1e6, 1e-9]),
    )
    shares = st.one_of(st.sampled_from([0.0, 1.0, -1.0, 0.5]), st.floats(-1.5, 1.5))
    return st.one_of(
        st.just((HOLD, 0.0)),
        st.tuples(st.sampled_from([TARGET, BUY, SELL]), sizes),
        st.just((CLOSE, 0.0)),
        st.tuples(st.just(TARGET_PERCENT), shares),
    )


def scripts(max_bars: int = 80) -> st.SearchStrategy[Script]:
    """Return a strategy of scripts: intent by intent, which shrinks well, or by a seed."""
    listed = st.builds(script_of, st.lists(intents(), max_size=25), st.none())
    return st.one_of(listed, st.builds(random_script, st.integers(0, 2**32 - 1), st.just(max_bars)))


def executions(price: float = 100.0) -> st.SearchStrategy[Execution]:
    """Return a strategy of broker settings for a market around `price`; it shrinks to no costs."""
    fees = st.sampled_from([0.0, 0.0005, 0.00173, 0.05])
    commissions = st.one_of(
        fees.map(lambda fee: {"commission": fee}),
        fees.map(lambda fee: {"commission": fee * price, "commtype": "fixed"}),
    )
    slippages: st.SearchStrategy[dict[str, float]] = st.one_of(
        st.just({}),
        st.sampled_from([0.0001, 0.004, 0.1]).map(lambda part: {"slippage": part}),
        st.sampled_from([0.0001, 0.01, 0.3]).map(lambda part: {"slippage_fixed": part * price}),
    )
    switches = st.fixed_dictionaries(
        {name: st.booleans() for name in (*SWITCHES, "checksubmit", "shortcash", "coc")}
    )
    cash = st.one_of(st.sampled_from([10.0, 100.0, 1e3, 1e5]), st.floats(1.0, 1e4)).map(
        lambda units: units * price
    )
    return st.builds(_execution, cash, commissions, slippages, switches)


def _execution(cash: float, commission: dict[str, Any], slip: dict[str, Any], switches: Any) -> Execution:
    return Execution(cash=cash, **commission, **slip, **switches)


@dataclass(frozen=True, eq=False)
class Case:
    """One market, what is asked of the broker on each of its bars, and the broker's settings.

    Attributes
    ----------
    bars : Bars
        The market.
    script : Script
        Intents by bar.
    execution : Execution
        The broker's settings.
    """

    bars: Bars
    script: Script
    execution: Execution

    def task(self, step: StrategySpec = scripted) -> BacktestTask:
        """Return the task in which `step` plays the script."""
        return BacktestTask([self.script.on(self.bars)], step, {}, self.execution)


def random_case(seed: int, max_bars: int = 80) -> Case:
    """Return a case drawn from all kinds, the same for the same seed."""
    rng = np.random.default_rng(seed)
    price = float(rng.choice(PRICES))
    n = int(rng.integers(2, max_bars + 1))
    return Case(
        random_bars(seed, n, random_shape(rng, price)),
        random_script(seed + 1, n),
        random_execution(rng, price),
    )


def quiet_case(seed: int) -> Case:
    """Return a case of hundreds of bars, on few of which the script asks for something."""
    rng = np.random.default_rng([seed, 64])
    case = random_case(seed, max_bars=2)
    n = int(rng.integers(130, 500))
    script = random_script(seed + 1, n)
    asked = np.where(rng.random(n) < 0.01, script.code, float(HOLD))
    return Case(random_bars(seed, n), replace(script, code=asked), case.execution)


@dataclass(frozen=True, eq=False)
class SharedCase:
    """An account of several markets, with what is asked of the broker on each bar of each.

    Attributes
    ----------
    bars : tuple of Bars
        The markets, with the script of each as its inputs.
    execution : Execution
        The broker's settings.
    overlays : Overlays
        What lies over the step.
    start : int
        First instant of the window.
    """

    bars: tuple[Bars, ...]
    execution: Execution
    overlays: Overlays
    start: int

    def task(self, step: StrategySpec = scripted) -> BacktestTask:
        """Return the task in which `step` plays the scripts."""
        return BacktestTask(self.bars, step, {}, self.execution, self.start, overlays=self.overlays)


def random_shared_case(seed: int, max_bars: int = 60, max_symbols: int = 5) -> SharedCase:
    """Return an account of several markets, the same for the same seed.

    Bars begin late, stop, have gaps, are longer than others', or stand between them.
    """
    rng = np.random.default_rng([seed, 4])
    price = float(rng.choice(PRICES))
    n = int(rng.integers(2, max_bars + 1))
    markets_ = []
    for k in range(int(rng.integers(2, max_symbols + 1))):
        whole = random_bars(int(rng.integers(2**32)), n, random_shape(rng, price), "ABCDE"[k])
        bars = _ragged(whole, rng)
        markets_.append(random_script(int(rng.integers(2**32)), len(bars)).on(bars))
    if seed % 4 == 3:
        drawn = np.random.default_rng([seed, 5])
        markets_ = [random_members(one, drawn) for one in markets_]
    overlays = Overlays()
    if rng.random() < 0.3:
        overlays = Overlays(
            stop_loss=float(rng.choice([0.001, 0.02])),
            percent_of_equity=0.4 if rng.random() < 0.5 else None,
            latency=int(rng.integers(0, 3)),
        )
        if overlays.percent_of_equity is None:
            overlays = replace(overlays, **_SIZED[n % len(_SIZED)])
    if seed % 3 == 1:
        overlays = replace(overlays, **random_bounds(rng))
    every = np.unique(np.concatenate([one.ts for one in markets_]))
    # all of them have a bar from there on
    latest = min(int(one.ts[-1]) for one in markets_)
    start = int(rng.choice(every[every <= latest])) if rng.random() < 0.3 else int(every[0])
    return SharedCase(tuple(markets_), random_execution(rng, price), overlays, start)


def of_account(change: Callable[[Case, int], Case], case: SharedCase, seed: int) -> SharedCase:
    """Return an account with what `with_costs` or `with_settings` make of its first symbol's case.

    Of the other symbols it is their volumes and days alone. Bounds are left out where there are contracts.
    """
    changed = [
        change(Case(bars, script_of([]), case.execution), seed + 1000 * k) for k, bars in enumerate(case.bars)
    ]
    execution, overlays = changed[0].execution, case.overlays
    if overlays.bounds and not execution.is_outright:
        overlays = Overlays()
    return replace(case, bars=tuple(one.bars for one in changed), execution=execution, overlays=overlays)


def random_members(bars: Bars, rng: np.random.Generator) -> Bars:
    """Return bars of a symbol that is a member of a universe in no, one or two random stretches of them."""
    edges = np.sort(rng.choice(len(bars) + 1, size=2 * int(rng.integers(0, 3))))
    ends = [int(bars.ts[k]) if k < len(bars) else EVER for k in edges.tolist()]
    pairs = zip(ends[::2], ends[1::2], strict=True)
    return bars.with_members(Membership(begin, end, False, False) for begin, end in pairs)


_SIZED: tuple[dict[str, Any], ...] = (
    {"percent_of_cash": 0.5},
    {"risk_per_trade": 0.001},
    {"volatility_target": 0.002, "volatility": "stddev(roc(1), 3)"},
    {"kelly_fraction": 0.5, "kelly_trades": 1, "kelly_start": 0.2},
)


def random_bounds(rng: np.random.Generator) -> dict[str, Any]:
    """Return random bounds of an account of several symbols, one or more."""
    drawn: dict[str, Any] = {
        "max_gross": float(rng.choice([0.3, 1.0, 1.7])),
        "max_net": float(rng.choice([0.1, 0.5])),
        "max_positions": int(rng.integers(1, 4)),
    }
    some = {name: value for name, value in drawn.items() if rng.random() < 0.5}
    return some or {"max_gross": drawn["max_gross"]}


def _ragged(bars: Bars, rng: np.random.Generator) -> Bars:
    """Return bars of which some are left out: at an end, in between, or all but each third."""
    n, kind = len(bars), rng.choice(["whole", "late", "ends", "gaps", "odd", "third"])
    rows = np.arange(n)
    if kind == "late":
        rows = rows[int(rng.integers(0, n)) :]
    elif kind == "ends":
        rows = rows[: int(rng.integers(1, n + 1))]
    elif kind == "gaps":
        rows = rows[rng.random(n) < 0.6]
    elif kind == "third":
        rows = rows[::3]
    found = bars.take(rows if len(rows) else np.arange(1))
    return replace(found, ts=found.ts + 30_000_000) if kind == "odd" else found


def cases(max_bars: int = 80) -> st.SearchStrategy[Case]:
    """Return a strategy of cases; prices and money are of one magnitude, the sizes of any."""
    return st.sampled_from(PRICES).flatmap(
        lambda price: st.builds(Case, markets(price, max_bars), scripts(max_bars), executions(price))
    )


def with_settings(case: _C, seed: int) -> _C:
    """Return a `Case` or `OrderCase` with random settings of those kinds, most of them together.

    Every fifth day's bars are followed by two days without, in half of the cases.
    """
    rng = np.random.default_rng([seed, 9])
    bars, execution = case.bars, case.execution  # type: ignore[attr-defined]
    price = float(bars.open[0])
    if rng.random() < 0.5:
        bars = _with_weekends(bars)
    drawn = _contract(rng, price, execution) if rng.random() < 0.7 else {}
    execution = replace(execution, **drawn)
    if rng.random() < 0.5:
        execution = replace(execution, filler=_filler(rng, price))
        volume = np.round(rng.exponential(30.0, len(bars)), 2) * (rng.random(len(bars)) < 0.8)
        volume[0] = 1.0
        bars = replace(bars, volume=volume)
    execution = replace(execution, coo=bool(rng.random() < 0.25))
    if rng.random() < 0.4:
        execution = replace(execution, semantics="corrected")
    return replace(case, bars=bars, execution=execution)  # type: ignore[type-var]


def with_finer_fills(case: _C, seed: int) -> _C:
    """Return a `Case` or `OrderCase` whose bars lie inside longer ones, of one bar or more of one session.

    Orders are decided on the longer ones, and tried on its own.
    """
    rng = np.random.default_rng([seed, 17])
    finer, execution = case.bars, case.execution  # type: ignore[attr-defined]
    share = float(rng.choice([0.2, 0.5, 0.8]))
    begins = np.append(True, (np.diff(finer.session) != 0) | (rng.random(len(finer) - 1) < share))
    bars = joined_bars(finer, np.flatnonzero(begins))
    execution = replace(execution, fill_timeframe="1min")
    return replace(case, bars=bars, execution=execution)  # type: ignore[type-var]


def joined_bars(finer: Bars, first: IntArray) -> Bars:
    """Return longer bars with the finer ones inside them, of which each begins at one of the rows `first`."""
    joined = {
        "high": np.maximum.reduceat(finer.high, first),
        "low": np.minimum.reduceat(finer.low, first),
        "close": finer.close[np.append(first[1:], len(finer)) - 1],
        "volume": np.add.reduceat(finer.volume, first),
    }
    return with_finer(replace(finer.take(first), **joined), finer, 1, whole_days=False)


def _contract(rng: np.random.Generator, price: float, execution: Execution) -> dict[str, Any]:
    """Return a future, a stock with leverage, or one that is paid in full; interest on two in three."""
    drawn: dict[str, Any] = {}
    if rng.random() < 0.7:
        drawn["interest"] = float(rng.choice([0.05, 0.31, 9.7]))
        drawn["interest_long"] = bool(rng.random() < 0.5)
    kind = rng.choice(["future", "leverage", "outright"], p=[0.5, 0.35, 0.15])
    if kind == "leverage":
        drawn["leverage"] = float(rng.choice([2.0, 3.7, 50.0]))
    if kind == "future":
        mult = float(rng.choice([1.0, 1.0, 0.1, 5.0, 50.0]))
        drawn |= {"margin": float(price * rng.choice([0.05, 0.333, 1.5])), "mult": mult, "shortcash": True}
        if execution.commtype == "perc" and mult != 1.0 and execution.commission:
            drawn |= {"commission": execution.commission * price, "commtype": "fixed"}
    return drawn


def _filler(rng: np.random.Generator, price: float) -> Filler:
    kind = str(rng.choice(FILLERS))
    if kind == "fixed_size":
        return Filler(kind, float(rng.choice([1.0, 7.5, 100.0])))
    perc = float(rng.choice([100.0, 33.3, 5.0]))
    minmov = float(price * rng.choice([0.0, 0.01, 0.0007])) if kind == "bar_point_perc" else 0.0
    return Filler(kind, perc, minmov)


def _with_weekends(bars: Bars) -> Bars:
    """Return bars whose sessions have two days after each fifth."""
    day = bars.session - bars.session[0]
    later = 2 * (day // 5)
    us = later * DAY_US
    return replace(
        bars,
        ts=bars.ts + us,
        session=bars.session + later,
        session_open=bars.session_open + us,
        session_close=bars.session_close + us,
    )
