"""Steps that are called once a timestamp for all symbols of an account, on both brokers."""

from __future__ import annotations

import inspect
import math
import re
from dataclasses import replace
from pathlib import Path

import backtrader as bt
import numpy as np
import pytest

from whatif.domain import Execution, Overlays, Periods, account_metrics, account_of
from whatif.engines import (
    BacktestTask,
    RunInputs,
    WindowInputs,
    choose_engine,
    explained,
    get_engine,
    run_engine,
)
from whatif.engines.timeline import merge, rows_of, session_rows
from whatif.errors import EngineError, StrategyError
from whatif.strategies import (
    CROSS_SECTIONAL,
    Param,
    bracket,
    buy,
    cancel,
    hold,
    orders,
    resolve,
    sell,
    sizes,
    strategy,
    target,
    weights,
)
from whatif.testing import (
    across_player,
    assert_same,
    bars_of_prices,
    random_bars,
    random_shared_case,
    task_differences,
)
from whatif.testing.conformance import draw_params

ENGINES = ("backtrader", "compiled")
DOCUMENT = Path(__file__).parents[2] / "docs" / "portfolios.md"


@pytest.mark.parametrize("cases", [60, pytest.param(2000, marks=pytest.mark.slow)])
def test_two_brokers_one_answer_over_ragged_bars(cases: int) -> None:
    traded = 0
    for seed in range(cases):
        task = replace(random_shared_case(seed).task(across_player), overlays=Overlays())
        assert task_differences(task, *ENGINES) == [], f"random_shared_case({seed})"
        try:
            traded += len(run_engine(task, "compiled").fills) > 0
        except EngineError:  # a size beyond what a float counts
            continue
    assert traded > cases // 2


def markets(count: int = 3, n: int = 120):
    return [random_bars(k, n, symbol=f"S{k}") for k in range(count)]


def of(step, bars=None, params=None, execution=None, **declared) -> BacktestTask:
    spec = strategy(cross_sectional=True, **declared)(step)
    return BacktestTask(bars or markets(), spec, params or {}, execution or Execution())


class EqualWeights(bt.Strategy):
    """What a Backtrader user writes to hold equal weights, made equal again every 20 bars."""

    def next(self):
        if len(self) % 20 == 1:
            for data in self.datas:
                self.order_target_percent(data, target=0.3)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_ordinary_strategy_meets_it_too(plain, engine: str) -> None:
    def equal(i, x, p, s):
        if i % 20 != 0:
            return hold()
        for k in range(len(x.close)):
            s.answer[k] = 0.3
        return weights(s.answer)

    bars, execution = markets(), Execution(cash=1e5, commission=0.001, slippage=0.0001)

    run = run_engine(of(equal, bars, execution=execution), engine)
    reference = plain(EqualWeights, bars, execution)

    assert len(run.fills) > 10
    assert run.equity.tobytes() == np.array(reference.equity).tobytes()
    assert run.fills.size.tobytes() == np.array([fill[2] for fill in reference.fills], dtype=float).tobytes()
    assert run.fills.price.tobytes() == np.array([fill[3] for fill in reference.fills], dtype=float).tobytes()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_symbol_that_begins_late_is_unknown_and_one_that_stops_keeps_its_last_close(engine: str) -> None:
    def closes(i, x, p, s):
        # what was seen of them stands in the sizes asked for of the first
        seen = 0.0 if x.close[1] != x.close[1] else 1.0
        s.answer[0] = 1.0 + seen + 10.0 * x.has_bar[1] + 100.0 * x.has_bar[2]
        s.answer[1], s.answer[2] = 0.0, x.close[2]
        return sizes(s.answer)

    first, late, ends = markets()
    task = of(closes, [first, late.slice(50, 120), ends.slice(0, 80)], execution=Execution(cash=1e9))

    run = run_engine(task, engine)

    held = run.position[0][1:]
    assert held[:49].tolist() == [101.0] * 49
    assert held[50:79].tolist() == [112.0] * 29
    assert held[80:].tolist() == [12.0] * 39
    # asked for on the last bar of its own, and waits for one that never comes
    assert run.position[2][-1] == run.position[2][79] == ends.close[78]


def test_sessions_are_counted_from_the_window(build_bars) -> None:
    bars = [random_bars(0, 60, symbol="A"), random_bars(1, 60, symbol="B").slice(15, 60)]
    ranges = [(10, 60), (0, 45)]
    ts, stamps = rows_of(bars, ranges)

    session, bar = session_rows(bars, ranges, stamps, ts)

    assert ts.tolist() == merge(bars, ranges).ts.tolist()
    # thirty bars a session, of which the window leaves twenty of the first
    assert session.tolist() == [0] * 20 + [1] * 30
    assert bar.tolist() == [*range(20), *range(30)]


WRONG = {
    "over max_gross": (
        lambda i, x, p, s: weights([0.5, 0.4, -0.2]),
        r"weights sum to 1.1 .*over max_gross = 1: ",
    ),
    "another count": (lambda i, x, p, s: weights([0.5, 0.4]), "one value for each symbol of the study"),
    "an infinity": (
        lambda i, x, p, s: sizes([1.0, math.inf, 0.0]),
        "asks for inf of S1; a value must be finite",
    ),
    "an intent of one": (
        lambda i, x, p, s: target(1.0),
        r"returned the intent \(1, ...\); a cross-sectional",
    ),
    "too large": (lambda i, x, p, s: sizes([0.0, 0.0, 1e300]), r"S2, bar 0 at .* an order of 1e\+300 units"),
    "no symbol": (lambda i, x, p, s: sizes([x.close[3], 0.0, 0.0]), "a symbol that is not in the study"),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("wrong", WRONG)
def test_what_breaks_a_rule_is_refused_with_its_bar(engine: str, wrong: str) -> None:
    step, said = WRONG[wrong]

    with pytest.raises(EngineError, match=rf"bar 0 at 2013-10-22T13:30:00\+00:00.*{said}|{said}") as refused:
        run_engine(of(step), engine)
    assert "bar 0 at 2013-10-22T13:30:00+00:00" in str(refused.value)


def test_a_greater_exposure_may_be_declared() -> None:
    def levered(i, x, p, s):
        return weights([1.0, 0.5, -0.5])

    assert len(run_engine(of(levered, max_gross=2.0), "compiled").fills) > 0


@pytest.mark.parametrize("engine", ENGINES)
def test_overlays_are_not_laid_over_it(engine: str) -> None:
    task = replace(of(lambda i, x, p, s: hold()), overlays=Overlays(stop_loss=0.1))
    with pytest.raises(
        EngineError, match="overlays stop_loss cannot be laid over <lambda>, a cross-sectional"
    ):
        run_engine(task, engine)


def test_an_engine_that_asks_by_symbol_alone_does_not_cover_it() -> None:
    class BySymbol(type(get_engine("compiled"))):
        asks_across = False

    reasons = BySymbol().reasons_against(resolve("pairs_spread"), shared=True)
    assert reasons == ["pairs_spread, a cross-sectional step"]


def test_a_declaration_that_contradicts_itself() -> None:
    for declared, said in (
        ({"max_gross": 0.0}, "max_gross 0.0 must be a finite number above 0"),
        ({"inputs": {"has_bar": "sma(3)"}}, "rename the input"),
    ):
        with pytest.raises(StrategyError, match=said):
            strategy(cross_sectional=True, **declared)(lambda i, x, p, s: hold())


def test_it_is_another_strategy_than_the_same_step_by_symbol() -> None:
    def step(i, x, p, s):
        return hold()

    made = [strategy(lookback=0)(step), strategy(cross_sectional=True)(step)]
    made.append(strategy(cross_sectional=True, max_gross=2.0)(step))
    assert len({one.digest for one in made}) == 3


def test_a_sweep_measures_what_runs_for_themselves_would() -> None:
    @strategy(
        params={"every": Param(5, low=1), "n": Param(5, low=1)}, inputs={"m": "roc(n)"}, cross_sectional=True
    )
    def best(i, x, p, s):
        if i % p.every != 0:
            return hold()
        at = 0
        for k in range(len(x.m)):
            at = k if x.m[k] > x.m[at] else at
            s.answer[k] = 0.0
        s.answer[at] = 0.9
        return weights(s.answer)

    bars = markets(4)
    periods = Periods("bar", np.array([*bars[0].ts[[50, 90]], bars[0].ts[-1] + 1]), 252.0)
    opened = WindowInputs(bars, best, periods)
    many = [
        RunInputs({"every": every, "n": n}, Execution(commission=0.001)) for every in (3, 7) for n in (2, 9)
    ]

    found = get_engine("compiled").open_for_many(opened)(many)

    assert found.good.all()
    for k, given in enumerate(many):
        run = run_engine(opened.task(given), "backtrader")
        account = account_of(run, given.execution, periods)
        metrics = account_metrics(account, given.execution, periods)
        assert len(run.fills) > 5
        assert {name: repr(v[k].item()) for name, v in found.metrics.items()} == {
            name: repr(value) for name, value in metrics.items()
        }
        assert found.returns[k].tobytes() == account.returns.tobytes()


def drawn(name: str, seed: int) -> BacktestTask:
    """Return a built-in strategy on random markets with random parameters and settings."""
    rng = np.random.default_rng([seed, len(name)])
    spec, case = resolve(name), random_shared_case(seed, max_bars=150)
    few = {key: int(rng.integers(2, 8)) for key in ("period", "every") if key in spec.params}
    few |= {"enter": 1.0} if "enter" in spec.params else {}
    return BacktestTask(case.bars, spec, draw_params(spec, rng, few), case.execution, case.start)


@pytest.mark.parametrize("name", CROSS_SECTIONAL)
def test_a_built_in_strategy_is_the_same_on_both(name: str) -> None:
    fills = 0
    for seed in range(40):
        task = drawn(name, seed)
        assert task_differences(task, *ENGINES) == [], f"{name}, {seed}"
        fills += len(run_engine(task, "compiled").fills)
    assert fills > 100


@pytest.mark.parametrize("name", CROSS_SECTIONAL)
def test_nothing_up_to_t_moves(name: str) -> None:
    bars = markets(4, 150)
    spec = resolve(name)
    few = {"period": 5, **({"enter": 1.0} if "enter" in spec.params else {"every": 3})}
    execution = Execution(cash=1e6)
    whole = run_engine(BacktestTask(bars, spec, spec.validate(few), execution), "compiled")

    assert len(whole.fills) > 20
    for t in range(20, 149, 10):
        later = np.where(np.arange(150) > t, 1.7, 1.0)
        changed = [
            replace(
                one, **{key: getattr(one, key) * later for key in ("open", "high", "low", "close", "vwap")}
            )
            for one in bars
        ]
        other = run_engine(BacktestTask(changed, spec, spec.validate(few), execution), "compiled")
        assert whole.equity[: t + 1].tobytes() == other.equity[: t + 1].tobytes()
        ours, theirs = (run.fills.size[run.fills.row <= t] for run in (whole, other))
        assert ours.tobytes() == theirs.tobytes()


def flat_bars(closes, symbol: str):
    """Return bars whose four prices are these."""
    return bars_of_prices([(close,) * 4 for close in closes], symbol)


def test_momentum_by_hand() -> None:
    # over two bars: A +20 %, B 0 %, C -20 %, D +50 %
    closes = {"A": (10, 10, 12, 12, 12), "B": (10,) * 5, "C": (10, 10, 8, 8, 8), "D": (10, 10, 15, 15, 15)}
    bars = [flat_bars(map(float, values), symbol) for symbol, values in closes.items()]
    spec = resolve("cross_sectional_momentum")
    given = spec.validate({"period": 2, "every": 2, "count": 1, "share": 0.5})

    run = run_engine(BacktestTask(bars, spec, given, Execution(cash=1200.0)), "compiled")

    # at the third close a quarter of 1,200 in D at 15, and as much of C sold at 8; then on the last bar only
    assert list(
        zip(run.fills.row.tolist(), run.fills.symbol.tolist(), run.fills.size.tolist(), strict=True)
    ) == [
        (3, 2, -37.0),
        (3, 3, 20.0),
    ]


def test_a_pair_by_hand() -> None:
    # the first is worth as much as the second, a little more or less, then twice that, and as much again
    first = [10.0, 10.1, 10.0, 9.9, 10.0, 20.0, 20.0, 10.0, 10.0, 10.0]
    bars = [flat_bars(first, "A"), flat_bars([10.0] * 10, "B"), flat_bars([5.0] * 10, "C")]
    spec = resolve("pairs_spread")
    given = spec.validate({"period": 4, "enter": 2.5, "leave": 2.0, "share": 0.5})

    run = run_engine(BacktestTask(bars, spec, given, Execution(cash=1000.0)), "compiled")

    # dear at the sixth close: a quarter of 1,000 on each side; by the seventh the deviation has grown so much
    # that it is within two of them
    assert list(zip(run.fills.row.tolist(), run.fills.symbol.tolist(), run.fills.size.tolist(), strict=True))[
        :4
    ] == [
        (6, 0, -12.0),
        (6, 1, 25.0),
        (7, 0, 12.0),
        (7, 1, -25.0),
    ]


def test_the_example_of_the_document_runs_on_both(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
    file = tmp_path / "example.py"
    file.write_text(blocks[0])
    spec = resolve(file)
    task = BacktestTask(markets(4, 200), spec, spec.defaults, Execution(cash=1e6))

    run = run_engine(task, "compiled")

    assert_same(run_engine(task, "backtrader"), run)
    assert len(run.fills) > 8


def test_a_pairs_strategy_takes_25_lines():
    assert len(inspect.getsource(resolve("pairs_spread").step).splitlines()) <= 25


def by_symbol(i, x, p, s):
    """Bid below the close and leave by a stop or a target; cancel a bid that is not filled in three bars."""
    if s.size != 0.0:
        return hold()
    if s.pending > 0:
        return cancel() if i % 4 == 3 else hold()
    entry = x.close[i] * 0.999
    return bracket(5.0, limit=entry, stop=entry * 0.995, target=entry * 1.004, valid=6)


def across_them(i, x, p, s):
    """Ask for the same of all symbols at once."""
    answers = []
    for k in range(len(x.close)):
        if s.size[k] != 0.0 or (s.pending[k] > 0 and i % 4 != 3):
            answers.append(hold())
        elif s.pending[k] > 0:
            answers.append(cancel())
        else:
            entry = x.close[k] * 0.999
            answers.append(bracket(5.0, limit=entry, stop=entry * 0.995, target=entry * 1.004, valid=6))
    return orders(answers)


@pytest.mark.parametrize("engine", ENGINES)
def test_orders_of_each_symbol_are_those_that_a_step_by_symbol_makes(engine: str) -> None:
    bars = markets(3, 200)
    execution = Execution(cash=1e5, commission=0.0002)
    one = run_engine(BacktestTask(bars, strategy(lookback=0)(by_symbol), {}, execution), engine)
    all_at_once = run_engine(of(across_them, bars, execution=execution), engine)

    assert len(one.fills) > 30
    assert all_at_once.equity.tobytes() == one.equity.tobytes()
    assert all_at_once.fills.price.tobytes() == one.fills.price.tobytes()
    assert all_at_once.fills.symbol.tolist() == one.fills.symbol.tolist()
    reasons = set(explained(of(across_them, bars), all_at_once).trade_notes.exit_reason)
    assert {"stop", "target"} <= reasons


@pytest.mark.parametrize("engine", ENGINES)
def test_orders_of_a_pair_worked_out_by_hand(engine: str, build_bars) -> None:
    def pair(i, x, p, s):
        # a limit in one and a stop in the other; on bar 2 one is doubled at the market, the other cancelled
        if i == 0:
            return orders([buy(2.0, limit=95.0), sell(1.0, stop=90.0)])
        if i == 2:
            return orders((target(4.0), cancel()))
        return hold()

    flat = (100.0, 100.0, 100.0, 100.0)
    first = build_bars([flat, (100.0, 100.0, 94.0, 96.0), flat, flat, flat], "A")
    second = build_bars([flat, flat, flat, (100.0, 100.0, 85.0, 100.0), flat], "B")
    run = run_engine(of(pair, [first, second], execution=Execution(cash=1e4)), engine)

    fills = run.fills
    assert list(zip(fills.row, fills.symbol, fills.size, fills.price, strict=True)) == [
        (1, 0, 2.0, 95.0), (3, 0, 2.0, 100.0),
    ]  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
def test_orders_of_a_symbol_without_a_bar_are_not_made(engine: str, build_bars) -> None:
    def always(i, x, p, s):
        return orders([hold(), buy(1.0)])

    flat = (100.0, 100.0, 100.0, 100.0)
    first, second = build_bars([flat] * 6, "A"), build_bars([flat] * 6, "B")
    gap = second.take(np.array([0, 1, 4, 5]))
    run = run_engine(of(always, [first, gap], execution=Execution(cash=1e4)), engine)
    assert run.position[1].tolist() == [0.0, 1.0, 1.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_waits_in_a_symbol_that_leaves_its_universe_is_cancelled(engine: str, build_bars) -> None:
    def bids(i, x, p, s):
        if i == 0:
            return orders([hold(), bracket(1.0, limit=99.0, stop=80.0, target=120.0)])
        return hold()

    flat, deep = (100.0, 100.0, 100.0, 100.0), (100.0, 100.0, 70.0, 100.0)
    first = build_bars([flat] * 5, "A")
    for rows, expected in (
        ([flat, flat, flat, deep, flat], []),
        ([flat, deep, flat, flat, flat], [1.0, -1.0]),
    ):
        second = replace(build_bars(rows, "B"), member=np.array([True, True, True, False, False]))
        run = run_engine(of(bids, [first, second], execution=Execution(cash=1e4)), engine)
        assert run.fills.size.tolist() == expected


ORDERS_REFUSED = {
    "a rule of orders": (
        lambda i, x, p, s: orders([hold(), buy(1.0, limit=-2.0), hold()]),
        r"S1, bar 0 at .*buy\(1, limit=-2\); a price must be a positive finite number",
    ),
    "another count": (lambda i, x, p, s: orders([hold()]), "one value for each symbol of the study"),
    "no list": (lambda i, x, p, s: orders(3.0), r"orders\(answers\) \('float' object is not iterable"),
    "no intent": (
        lambda i, x, p, s: orders([hold(), None, hold()]),
        r"S1, bar 0 at .*returned the intent \(None, nan\)",
    ),
    "too many": (
        lambda i, x, p, s: orders([buy(1.0, limit=1.0), hold(), hold()]),
        "S0, bar 2 at .*more than max_orders 2 orders wait; cancel",
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("wrong", ORDERS_REFUSED)
def test_orders_that_break_a_rule_are_refused_with_symbol_and_bar(engine: str, wrong: str) -> None:
    step, said = ORDERS_REFUSED[wrong]
    if engine == "compiled" and wrong in NOT_COMPILED:
        said = f"{said}|{NOT_COMPILED[wrong]}"
    with pytest.raises(EngineError, match=said):
        run_engine(of(step, max_orders=2), engine)


NOT_COMPILED = {"no list": "must return one value for each symbol", "no intent": "cannot be compiled"}
"""What machine code says in other words, or is not made of, which `auto` leaves to Backtrader's broker."""


def test_the_compiled_engine_takes_orders_of_each_symbol() -> None:
    assert run_engine(of(across_them)).engine == "compiled"
    assert choose_engine("auto", of(across_them).strategy, shared=True)[0].name == "compiled"
