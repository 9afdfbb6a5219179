"""A window exactly: history for indicators only, a flat start, an end that marks and kills."""

from __future__ import annotations

from dataclasses import replace

import backtrader as bt
import numpy as np
import pytest

from whatif.domain.execution import Execution
from whatif.engines import BacktestTask, run_engine
from whatif.errors import EngineError
from whatif.strategies import buy, hold, resolve, strategy, target

ENGINES = ["backtrader"]


@pytest.fixture(params=ENGINES)
def engine(request) -> str:
    return request.param


@strategy(params={}, inputs={"average": "sma(5)"}, scratch=2)
def recorder(i, x, p, s):
    """Count calls and remember the first bar."""
    if s.scratch[0] == 0.0:
        s.scratch[1] = i
    s.scratch[0] += 1.0
    return target(1.0) if x.close[i] > x.average[i] else target(-1.0)


def test_the_step_runs_on_the_windows_bars_only(walk, engine) -> None:
    bars = walk(1, 60)
    calls: list[int] = []

    @strategy(lookback=0)
    def spy(i, x, p, s):
        calls.append(i)
        assert x.close[i] == bars.close[i]
        return hold()

    run = run_engine(BacktestTask([bars], spy, {}, start=int(bars.ts[25]), end=int(bars.ts[40])), engine)

    assert calls == list(range(25, 40))
    assert run.ts.tolist() == bars.ts[25:40].tolist()
    assert len(run.equity) == run.position.shape[1] == 15


def test_indicators_know_the_history_before_the_window(walk, engine) -> None:
    bars = walk(2, 400)
    spec = resolve("sma_crossover")
    params = spec.validate({"fast": 3, "slow": 12, "size": 1})
    whole = run_engine(BacktestTask([bars], spec, params), engine)

    part = run_engine(BacktestTask([bars], spec, params, start=int(bars.ts[200])), engine)

    # the same crosses from bar 201 on; only the first trade differs, for the window starts flat
    later = whole.fills.row > 200
    assert part.fills.row.tolist() == (whole.fills.row[later] - 200).tolist()
    assert part.fills.price.tobytes() == whole.fills.price[later].tobytes()
    assert abs(part.fills.size[0]) == 1.0
    assert part.equity[0] == 10_000.0


def test_history_costs_nothing_and_holds_nothing(walk, engine) -> None:
    bars = walk(3, 50)

    run = run_engine(BacktestTask([bars], recorder, {}, start=int(bars.ts[30])), engine)

    assert run.equity[0] == 10_000.0
    assert run.position[0, 0] == 0.0


def test_lookback_is_always_real(walk, engine) -> None:
    bars = walk(4, 12)
    seen: list[int] = []

    @strategy(lookback=7)
    def patient(i, x, p, s):
        seen.append(i)
        return hold()

    run_engine(BacktestTask([bars], patient, {}), engine)
    assert seen == list(range(7, 12))

    seen.clear()
    run_engine(BacktestTask([bars], patient, {}, start=int(bars.ts[9])), engine)
    assert seen == [9, 10, 11]


def test_orders_pending_at_the_end_die_and_a_position_is_marked(build_bars, engine) -> None:
    bars = build_bars([(10.0, 11.0, 9.0, 10.0)] * 3 + [(10.0, 13.0, 9.0, 12.5)])

    @strategy()
    def late(i, x, p, s):
        return buy(2.0) if i in (1, 3) else hold()

    run = run_engine(BacktestTask([bars], late, {}), engine)

    assert run.fills.row.tolist() == [2]
    assert run.open_at_end
    assert run.equity[-1] == 10_000.0 + 2.0 * 2.5
    assert len(run.trades) == 0


def test_each_run_starts_with_fresh_scratch(walk, engine) -> None:
    bars = walk(5, 30)
    firsts: list[float] = []

    @strategy(scratch=1)
    def counting(i, x, p, s):
        if i == 1:
            firsts.append(float(s.scratch[0]))
        s.scratch[0] += 1.0
        return hold()

    for _ in range(2):
        run_engine(BacktestTask([bars], counting, {}), engine)

    assert firsts == [0.0, 0.0]


def test_what_the_step_sees_of_its_account(build_bars, engine) -> None:
    bars = build_bars(
        [(10.0, 20.0, 5.0, 10.0), (10.0, 20.0, 5.0, 11.0), (12.0, 20.0, 5.0, 13.0), (14.0, 20.0, 5.0, 15.0)]
        * 2
    )
    seen: list[tuple] = []

    @strategy(lookback=0)
    def watching(i, x, p, s):
        seen.append(
            (s.size, s.entry_price, s.bars_held, s.cash, s.value, s.pending, s.minute, s.minutes_to_close)
        )
        return target([0.0, 3.0, 3.0, 3.0, -1.0, -1.0, 0.0, 0.0][i])

    run_engine(BacktestTask([bars], watching, {}, Execution(cash=100.0)), engine)

    # 3 bought at bar 2's open, 12; at bar 5's open, 10, sold 4: short 1 since bar 5; bought back at 14
    assert seen == [
        (0, 0.0, 0, 100.0, 100.0, 0, 0, 1440),
        (0, 0.0, 0, 100.0, 100.0, 0, 1, 1439),
        (3, 12.0, 0, 64.0, 103.0, 0, 2, 1438),
        (3, 12.0, 1, 64.0, 109.0, 0, 3, 1437),
        (3, 12.0, 2, 64.0, 94.0, 0, 4, 1436),
        (-1, 10.0, 0, 104.0, 93.0, 0, 5, 1435),
        (-1, 10.0, 1, 104.0, 91.0, 0, 6, 1434),
        (0, 0.0, 0, 90.0, 90.0, 0, 7, 1433),
    ]


def test_an_order_that_waits_is_seen_as_pending(build_bars, engine) -> None:
    first = build_bars([(10.0, 11.0, 9.0, 10.0)] * 6, "A")
    second = build_bars([(10.0, 12.0, 9.0, 10.0)] * 6, "B").take(np.array([0, 1, 4, 5]))
    seen: list[tuple[int, int]] = []

    @strategy(inputs={}, lookback=0)
    def once(i, x, p, s):
        if x.high[i] == 12.0:
            seen.append((i, s.pending))
            return buy(1.0) if i == 1 else hold()
        return hold()

    run = run_engine(BacktestTask([first, second], once, {}), engine)

    # B has no bar on rows 2 and 3: its order of row 1 fills on row 4
    assert run.fills.row.tolist() == [4]
    assert seen == [(0, 0), (1, 0), (2, 0), (3, 0)]


def test_symbols_are_called_in_declared_order_and_share_cash(build_bars, engine) -> None:
    first, second = (build_bars([(10.0, 11.0, 9.0, 10.0)] * 4, name) for name in ("A", "B"))

    @strategy()
    def greedy(i, x, p, s):
        return target(6.0)

    run = run_engine(BacktestTask([second, first], greedy, {}, Execution(cash=100.0)), engine)

    # 60 of 100 go to the first declared symbol, B; A's order finds 40 and is refused each time
    assert run.symbols == ("B", "A")
    assert run.fills.symbol.tolist() == [0]
    assert run.margin_rejected == 2
    assert run.position[:, -1].tolist() == [6.0, 0.0]


def test_an_ordinary_strategy_needs_bars_of_each_symbol(walk) -> None:
    bars = [walk(6, 20), replace(walk(6, 20).slice(0, 5), symbol="GONE")]

    class Waits(bt.Strategy):
        pass

    task = BacktestTask(bars, resolve(Waits), {}, start=int(bars[0].ts[10]))
    with pytest.raises(EngineError, match=r"GONE: no bar lies in the window, and .* leave the symbol out"):
        run_engine(task, "backtrader")


def test_a_window_without_bars_is_refused(walk, engine) -> None:
    bars = walk(6, 20)

    with pytest.raises(EngineError, match="no bar lies in the window"):
        run_engine(BacktestTask([bars], recorder, {}, start=int(bars.ts[-1]) + 1), engine)
