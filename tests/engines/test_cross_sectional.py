"""Steps that are called once a timestamp for all symbols of an account, on both brokers."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import backtrader as bt
import numpy as np
import pytest

from whatif.domain import Execution, Overlays, Periods, account_metrics, account_of
from whatif.engines import BacktestTask, RunInputs, WindowInputs, get_engine, run_engine
from whatif.engines.timeline import merge, rows_of, session_rows
from whatif.errors import EngineError, StrategyError
from whatif.strategies import Param, hold, resolve, sizes, strategy, target, weights
from whatif.testing import assert_same, random_bars, random_shared_case, task_differences

ENGINES = ("backtrader", "compiled")
DOCUMENT = Path(__file__).parents[2] / "docs" / "portfolios.md"


@strategy(
    inputs={"code": "code", "amount": "amount", "field": "field"},
    cross_sectional=True,
    scratch=1,
    max_gross=1e9,
)
def scripted_across(i, x, p, s):
    """Asks, of each symbol, what its script and the account say; some answers are the step's own arrays."""
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
            own[k] = s.scratch[k] if x.has_bar[k] else -s.scratch[k]
        else:
            own[k] = amount
        s.answer[k] = max(-0.9, min(0.9, own[k] * 0.01))
    if kind % 3 == 0:
        return hold()
    return weights(s.answer) if kind % 3 == 1 else sizes(own)


@pytest.mark.parametrize("cases", [60, pytest.param(2000, marks=pytest.mark.slow)])
def test_two_brokers_one_answer_over_ragged_bars(cases: int) -> None:
    traded = 0
    for seed in range(cases):
        task = replace(random_shared_case(seed).task(scripted_across), overlays=Overlays())
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


def test_the_example_of_the_document_runs_on_both(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
    file = tmp_path / "example.py"
    file.write_text(blocks[0])
    spec = resolve(file)
    task = BacktestTask(markets(4, 200), spec, spec.defaults, Execution(cash=1e6))

    run = run_engine(task, "compiled")

    assert_same(run_engine(task, "backtrader"), run)
    assert len(run.fills) > 8
