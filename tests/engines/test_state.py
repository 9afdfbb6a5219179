"""What a step sees of its fills, its position and its orders: numbers worked by hand, on both engines."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from whatif.domain.execution import Execution
from whatif.engines import BacktestTask, Engine, run_engine
from whatif.errors import EngineError
from whatif.strategies import (
    AT_CLOSE,
    LIMIT,
    MARKET,
    NOTES,
    STOP,
    STOP_LIMIT,
    TRAIL,
    TRAIL_LIMIT,
    Param,
    bracket,
    buy,
    hold,
    resolve,
    sell,
    strategy,
    target,
    weights,
)
from whatif.strategies.intents import State
from whatif.testing import bars_of_prices, check_strategy
from whatif.testing.engines import all_differences

BARS = bars_of_prices(
    [
        (100.0, 100.0, 100.0, 100.0),
        (100.0, 104.0, 99.0, 102.0),
        (103.0, 107.0, 101.0, 106.0),
        (105.0, 106.0, 98.0, 99.0),
        (99.0, 101.0, 95.0, 97.0),
        (97.0, 98.0, 94.0, 95.0),
        (95.0, 96.0, 94.0, 95.0),
        (95.0, 95.0, 95.0, 95.0),
    ]
)
# a quarter for each unit
CENTS = Execution(cash=1e6, commission=0.25, commtype="fixed")
ABSENT = 777.0


@strategy(params={"note": Param(0), "at": Param(0)}, lookback=0)
def trades_and_tells(i, x, p, s):
    """Buys 2 on bar 0, sells 3 on bar 3, leaves on bar 5; on bar `at` buys 1,000 and what a note says."""
    if i == p.at:
        told = s.last_fill_price
        if p.note == 1:
            told = s.last_fill_size
        elif p.note == 2:
            told = s.bars_since_fill
        elif p.note == 3:
            told = s.best_price
        elif p.note == 4:
            told = s.worst_price
        elif p.note == 5:
            told = s.realised
        return buy(1000.0 + told if math.isfinite(told) else ABSENT)
    if i == 0:
        return buy(2.0)
    if i == 3:
        return sell(3.0)
    return target(0.0) if i == 5 else hold()


def told(engine, step, at, bars=BARS, execution=CENTS, **params) -> float:
    """Return what the step told on bar `at` by the size of the order that is filled on the next."""
    run = run_engine(BacktestTask([bars], step, step.validate({"at": at, **params}), execution), engine)
    size = float(run.fills.size[run.fills.row == at + 1][-1])
    return math.nan if size == ABSENT else size - 1000.0


EXPECTED = {
    # before the first fill there is no price, no bar and no profit
    0: (math.nan, 0.0, math.nan, math.nan, math.nan, 0.0),
    # bought 2 at 100 on bar 1, for 2 quarters; that bar's high is 104, its low 99
    1: (100.0, 2.0, 0.0, 104.0, 99.0, -0.5),
    2: (100.0, 2.0, 1.0, 107.0, 99.0, -0.5),
    # sold 3 at 99 on bar 4: the 2 lost 1 each and 2 quarters, the short one costs another quarter
    4: (99.0, -3.0, 0.0, 95.0, 101.0, -0.5 - 2.0 - 0.5 - 0.25),
    # of a short position the lowest low, 94, is the best
    6: (95.0, 1.0, 0.0, math.nan, math.nan, -3.25 + 4.0 - 0.25),
}


@pytest.mark.parametrize("note", range(6), ids=NOTES[:6])
@pytest.mark.parametrize("at", EXPECTED)
def test_notes_worked_by_hand(engine, at, note) -> None:
    expected = EXPECTED[at][note]
    found = told(engine, trades_and_tells, at, note=note)
    assert found == expected or (math.isnan(found) and math.isnan(expected))


def test_the_best_price_of_a_short_position_is_its_lowest_low(engine) -> None:
    @strategy(params={"at": Param(0)}, lookback=0)
    def short(i, x, p, s):
        return buy(1000.0 + s.best_price * 4.0 + s.worst_price) if i == p.at else sell(float(i == 3))

    # sold on bar 4: highs of 101 and 98, lows of 95 and 94
    assert told(engine, short, 5) == 94.0 * 4.0 + 101.0


@strategy(params={"note": Param(0), "k": Param(0), "at": Param(0)}, lookback=0, max_orders=20)
def waits_and_tells(i, x, p, s):
    """Leaves an order of each kind waiting; on bar `at` buys 1,000 and what order `k` says."""
    if i == p.at:
        found = s.order_kind[p.k]
        if p.note == 1:
            found = s.order_size[p.k]
        elif p.note == 2:
            found = s.order_price[p.k]
        elif p.note == 3:
            found = s.order_age[p.k]
        return buy(1000.0 + found if math.isfinite(found) else ABSENT)
    if i == 0:
        return (
            buy(2.0, limit=90.0),
            sell(3.0, stop=80.0),
            buy(4.0, stop=103.5, limit=105.0),
            sell(5.0, trail=20.0),
            buy(6.0, trail=30.0, limit=101.0),
            sell(7.0, at_close=True),
            bracket(8.0, limit=85.0, stop=70.0, target=300.0),
        )
    return hold()


WAITING = [
    # bars 1 and 2 close at 102 and 106: 20 below; a limit a unit above the start stays that far off the stop
    (LIMIT, 2.0, 90.0),
    (STOP, -3.0, 80.0),
    (STOP_LIMIT, 4.0, 103.5),
    (TRAIL, -5.0, 82.0),
    (TRAIL_LIMIT, 6.0, 130.0),
    (AT_CLOSE, -7.0, math.nan),
    (LIMIT, 8.0, 85.0),
    (STOP, -8.0, 70.0),
    (LIMIT, -8.0, 300.0),
]


@pytest.mark.parametrize("k", range(len(WAITING)))
def test_waiting_orders_worked_by_hand(engine, k) -> None:
    bars = bars_of_prices([(100.0, 100.0, 100.0, 100.0), (100.0, 102.0, 99.0, 102.0), *[(102.0,) * 4] * 3])
    for note, expected in enumerate((*WAITING[k], 1.0)):
        found = told(engine, waits_and_tells, 1, bars, Execution(cash=1e9), note=note, k=k)
        assert found == expected or (math.isnan(found) and math.isnan(expected)), NOTES[6 + note]


def test_a_triggered_stop_limit_order_shows_its_limit(engine) -> None:
    # bar 1 opens beyond the stop, and its low does not come down to the limit
    bars = bars_of_prices([(100.0,) * 4, (107.0, 110.0, 106.5, 108.0), *[(108.0,) * 4] * 2])

    @strategy(params={"at": Param(0)}, lookback=0)
    def triggered(i, x, p, s):
        if i == p.at:
            return buy(1000.0 + s.order_price[0])
        return buy(1.0, stop=105.0, limit=106.0) if i == 0 else hold()

    assert told(engine, triggered, 1, bars) == 106.0


@pytest.mark.parametrize("note", range(4))
def test_a_market_order_that_waits_is_shown_with_its_age(engine, note) -> None:
    # the open slips by a tenth, out of all bars but the last
    bars = bars_of_prices([*[(100.0,) * 4] * 4, (100.0, 200.0, 50.0, 100.0)])
    slipping = Execution(cash=1e9, slippage=0.1, slip_open=True, slip_match=False)

    @strategy(params={"note": Param(0), "at": Param(0)}, lookback=0)
    def waiting(i, x, p, s):
        if i != p.at:
            return buy(3.0) if i == 0 else hold()
        found = s.order_kind[0]
        if p.note == 1:
            found = s.order_size[0]
        elif p.note == 2:
            found = s.order_price[0]
        elif p.note == 3:
            found = s.order_age[0]
        return buy(1000.0 + found if math.isfinite(found) else ABSENT)

    expected = (MARKET, 3.0, math.nan, 3.0)[note]
    found = told(engine, waiting, 3, bars, slipping, note=note)
    assert found == expected or (math.isnan(found) and math.isnan(expected))


@pytest.mark.parametrize(
    "name",
    [
        "order_kind",
        *(pytest.param(f"order_{one}", marks=pytest.mark.slow) for one in ("age", "price", "size")),
    ],
)
def test_there_is_nothing_behind_the_last_order(engine, name) -> None:
    steps = {
        "order_kind": strategy(lookback=0)(lambda i, x, p, s: buy(s.order_kind[s.pending])),
        "order_age": strategy(lookback=0)(lambda i, x, p, s: buy(s.order_age[s.pending])),
        "order_price": strategy(lookback=0)(lambda i, x, p, s: buy(s.order_price[s.pending])),
        "order_size": strategy(lookback=0)(lambda i, x, p, s: buy(s.order_size[s.pending])),
    }
    with pytest.raises(EngineError, match="IndexError"):
        run_engine(BacktestTask([BARS], steps[name], {}, CENTS), engine)


def test_what_is_read_is_found_through_helpers_and_nothing_else_is() -> None:
    assert resolve("sma_crossover").notes == frozenset()
    assert chandelier.notes == {"best_price", "bars_since_fill"}


def _stop(s, loss):
    return s.best_price - loss


@strategy(params={"loss": Param(1.0, low=0.0), "rest": Param(5, low=1)}, inputs={"mean": "sma(10)"})
def chandelier(i, x, p, s):
    """Leaves a long position so much below its best price, and does not come back at once."""
    if s.size > 0.0:
        return target(0.0) if x.close[i] < _stop(s, p.loss) else hold()
    return buy(10.0) if x.close[i] > x.mean[i] and s.bars_since_fill >= p.rest else hold()


def test_a_strategy_by_best_price_and_rest_is_the_same_on_both_engines() -> None:
    assert check_strategy(chandelier, cases=12) >= 8


def test_the_example_of_the_documents_is_the_same_on_both_engines(tmp_path) -> None:
    text = Path(__file__, "../../../docs/orders.md").resolve().read_text(encoding="utf-8")
    examples = [part.split("```")[0] for part in text.split("```python\n")[1:]]
    (tmp_path / "own.py").write_text(next(one for one in examples if "s.best_price" in one))
    assert check_strategy(resolve(str(tmp_path / "own.py")), executions=[Execution(cash=1e9)], cases=6) >= 4


class PairsAlone(Engine):
    """An engine that says nothing of what its state tells."""

    name = f"{__name__}:PairsAlone"

    def run(self, task, cache=None):
        """Return Backtrader's run."""
        return replace(run_engine(task, "backtrader"), engine=self.name)


def test_an_engine_that_tells_nothing_is_not_tried_with_what_reads_it() -> None:
    assert list(all_differences(PairsAlone.name, 4)) == []


def test_an_engine_that_does_not_say_that_it_tells_them_is_not_asked() -> None:
    assert PairsAlone().reasons_against(resolve("sma_crossover")) == []
    assert PairsAlone().reasons_against(chandelier) == [
        "what chandelier reads of its state: bars_since_fill, best_price"
    ]


def test_a_state_says_what_it_does_not_have() -> None:
    state = State(100.0, 0, {"realised": 3.0}.__getitem__)
    assert state.realised == 3.0
    with pytest.raises(AttributeError, match="did you mean 'best_price'"):
        state.best_prise  # noqa: B018


def test_a_cross_sectional_step_is_told_to_keep_it(engine) -> None:
    @strategy(cross_sectional=True)
    def across(i, x, p, s):
        return weights([0.5]) if s.realised > 0.0 else hold()

    task = BacktestTask([BARS], across, {}, CENTS)
    with pytest.raises(EngineError, match=r"realised"):
        run_engine(task, engine)
