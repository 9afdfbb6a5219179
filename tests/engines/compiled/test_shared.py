"""One account of several symbols in machine code, against Backtrader's broker."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from whatif.domain import Execution, Periods, account_metrics, account_of
from whatif.engines import BacktestTask, RunInputs, WindowInputs, get_engine, run_engine
from whatif.engines.compiled import shared_window
from whatif.errors import EngineError
from whatif.strategies import Param, resolve, strategy, target
from whatif.testing import (
    assert_same,
    random_bars,
    random_shared_case,
    scripted,
    state_reader,
    task_differences,
)


@pytest.mark.parametrize("step", [scripted, state_reader], ids=["scripted", "by-state"])
@pytest.mark.parametrize("cases", [30, pytest.param(3000, marks=pytest.mark.slow)])
def test_two_brokers_one_answer(step, cases: int) -> None:
    traded = 0
    for seed in range(cases):
        task = random_shared_case(seed).task(step)
        assert task_differences(task, "backtrader", "compiled") == [], f"random_shared_case({seed})"
        traded += _trades(task)
    assert traded > cases // 2


def _trades(task: BacktestTask) -> bool:
    try:
        return len(run_engine(task, "compiled").fills) > 0
    except EngineError:  # a size beyond what a float counts
        return False


def markets(count: int, n: int = 200):
    return [random_bars(k, n - 7 * k, symbol=f"S{k}") for k in range(count)]


def window(bars, spec) -> WindowInputs:
    ends = np.array([*bars[0].ts[[50, 120]], bars[0].ts[-1] + 1])
    return WindowInputs(bars, spec, Periods("bar", ends, 252.0))


@pytest.mark.parametrize("room", [None, 8])
def test_a_sweep_measures_what_runs_for_themselves_would(monkeypatch, room: int | None) -> None:
    if room:
        monkeypatch.setattr(shared_window, "ROOM", room)
    spec, bars = resolve("sma_crossover"), markets(4)
    many = [
        RunInputs(
            spec.validate({"fast": fast, "slow": slow, "size": 20}), Execution(cash=cash, commission=0.001)
        )
        for slow in (7, 11)
        for fast in (2, 3, 5)
        for cash in (1e3, 1e5)
    ]
    opened = window(bars, spec)

    found = get_engine("compiled").open_for_many(opened)(many)
    measure = get_engine("compiled").open(opened)

    assert found.good.all()
    for k, given in enumerate(many):
        run = run_engine(opened.task(given), "backtrader")
        account = account_of(run, given.execution, opened.periods)
        metrics = account_metrics(account, given.execution, opened.periods)
        assert {name: repr(v[k].item()) for name, v in found.metrics.items()} == {
            name: repr(value) for name, value in metrics.items()
        }
        assert found.returns[k].tobytes() == account.returns.tobytes()
        assert found.rejected[k] == run.margin_rejected
        own = measure(given)
        for field in fields(account):
            one, other = getattr(account, field.name), getattr(own.account, field.name)
            assert np.asarray(one, float).tobytes() == np.asarray(other, float).tobytes(), field.name


def test_an_order_of_no_size_names_the_symbol_and_its_bar() -> None:
    @strategy(params={"size": Param(1.0)})
    def growing(i, x, p, s):
        return target(p.size * (2.0**60 if x.close[i] > 1e6 else 1.0))

    bars = markets(3, 60)
    dear = replace(bars[1], close=np.where(np.arange(len(bars[1])) == 9, 2e6, bars[1].close))
    task = BacktestTask(
        [bars[0], replace(dear, high=np.maximum(dear.high, dear.close)), bars[2]], growing, {"size": 1.0}
    )

    said = []
    for engine in ("backtrader", "compiled"):
        with pytest.raises(EngineError, match=r"growing: S1, bar 9 at .* an order of") as refused:
            run_engine(task, engine)
        said.append(str(refused.value))
    assert said[0] == said[1]


def test_a_step_that_raises_fails_alone_and_names_its_bar() -> None:
    @strategy(params={"at": Param(5)})
    def dividing(i, x, p, s):
        return target(1.0 / (i - p.at))

    many = [RunInputs({"at": at}) for at in (1000, 7, 2000)]
    opened = window(markets(2), dividing)

    assert get_engine("compiled").open_for_many(opened)(many).good.tolist() == [True, False, True]
    with pytest.raises(EngineError, match=r"dividing: S0, bar 7 at .*ZeroDivisionError"):
        get_engine("compiled").open(opened)(many[1])


def test_values_kept_by_a_step_are_each_symbols_own() -> None:
    @strategy(scratch=1, lookback=0)
    def counting(i, x, p, s):
        s.scratch[0] += 1.0
        return target(s.scratch[0])

    bars = [one.slice(k, len(one)) for k, one in enumerate(markets(3, 40))]
    task = BacktestTask(bars, counting, {}, Execution(cash=1e9))
    run = run_engine(task, "compiled")

    assert_same(run_engine(task, "backtrader"), run)
    # what the last bar but one asked for is held on the last
    assert [max(own) for own in run.position.tolist()] == [len(one) - 1.0 for one in bars]
