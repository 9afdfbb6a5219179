"""Check of an engine against Backtrader's answers, and against what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np

from whatif.domain import Bars, Overlays, Periods, account_of
from whatif.engines import REFERENCE, BacktestTask, Engine, RunInputs, WindowInputs, get_engine, run_engine
from whatif.errors import EngineError
from whatif.strategies import StrategySpec
from whatif.testing.compare import is_too_large, task_differences
from whatif.testing.golden import GOLDEN, golden_differences
from whatif.testing.order_kinds import (
    across_order_player,
    note_player,
    order_player,
    quiet_order_case,
    random_order_case,
    random_shared_order_case,
)
from whatif.testing.orders import (
    across_player,
    note_reader,
    of_account,
    queue_reader,
    quiet_case,
    random_case,
    random_shared_case,
    scripted,
    seldom,
    state_reader,
    with_costs,
    with_finer_fills,
    with_settings,
)


def check_engine(engine: str, cases: int = 50) -> None:
    """Raise unless an engine is Backtrader's broker in all that it covers, to the last bit.

    Parameters
    ----------
    engine : str
        Its name, or `module:Name`.
    cases : int
        Random cases after the golden ones.

    Raises
    ------
    AssertionError
        With the first thing that is wrong: a golden number, a run that is not Backtrader's, an answer of an
        opened window that is not that of the run, or what the engine says it does not cover and runs.
    """
    wrong = first_difference(engine, cases)
    if wrong:
        raise AssertionError(f"engine {engine}: {wrong}")


_QUIET = (
    Overlays(),
    Overlays(max_bars_held=20),
    Overlays(stop_loss=0.002),
    Overlays(flat_before_close=3),
)
"""Overlays that are due on some bar, with or without an intent."""

EXITS = (
    Overlays(stop_loss_intrabar=0.003, take_profit_intrabar=0.005),
    Overlays(trailing_stop=0.004, max_bars_held=6),
    Overlays(stop_loss_intrabar=0.01, take_profit_intrabar=0.01, trailing_stop=0.005),
    Overlays(stop_loss_intrabar=0.02, risk_per_trade=0.005),
    Overlays(trailing_stop=0.01, percent_of_cash=0.6),
    Overlays(take_profit_intrabar=0.01, kelly_fraction=0.7, kelly_trades=2),
    Overlays(trailing_stop=0.02, volatility_target=0.003, volatility="stddev(roc(1), 3)"),
)
"""Overlays whose orders wait at the broker, for random cases."""


def all_differences(engine: str, cases: int = 200) -> Iterator[str]:
    """Yield for each case in which an engine errs, or differs from Backtrader, what is wrong.

    Parameters
    ----------
    engine : str
        The engine to examine.
    cases : int
        Random cases after the golden ones.
    """
    found = get_engine(engine)
    for golden in GOLDEN:
        if found.order_fields is None and golden.task.strategy.answers_orders:
            continue
        if found.unsupported_settings(RunInputs(execution=golden.execution), golden.shares_account):
            continue
        if found.unsupported(golden.task.strategy, golden.shares_account):
            yield from _runs_all_the_same(found, golden.task)
            continue
        wrong = golden_differences(golden, run_engine(golden.task, engine))
        if wrong:
            yield f"{golden.name}: {'; '.join(wrong)}"
    for seed in range(cases // 5):
        task = replace(quiet_case(seed).task(seldom), overlays=_QUIET[seed % len(_QUIET)])
        different = task_differences(task, REFERENCE.name, engine)
        if different:
            yield f"quiet_case({seed}) with {task.overlays.active}: {'; '.join(different)}"
        waits = quiet_order_case(seed).task(order_player)
        different = task_differences(waits, REFERENCE.name, engine) if found.order_fields else []
        if different:
            yield f"quiet_order_case({seed}): {'; '.join(different)}"
    draw: Any
    readers = [scripted, state_reader, *([note_reader, queue_reader] if found.tells_notes else [])]
    for seed in range(cases):
        task = random_case(seed).task(readers[seed % len(readers)])
        different = task_differences(task, REFERENCE.name, engine)
        if different:
            yield f"random_case({seed}): {'; '.join(different)}"
    for seed in range(cases if found.order_fields else 0):
        step = note_player if seed % 3 == 2 and found.tells_notes else order_player
        different = task_differences(random_order_case(seed).task(step), REFERENCE.name, engine)
        if different:
            yield f"random_order_case({seed}): {'; '.join(different)}"
    for seed in range(cases if found.order_fields else 0):
        draw = random_order_case if seed % 2 else random_case
        own = draw(seed).task(note_player) if seed % 4 == 1 and found.tells_notes else draw(seed).task()
        task = replace(own, overlays=EXITS[seed % len(EXITS)])
        different = task_differences(task, REFERENCE.name, engine)
        if different:
            yield f"{draw.__name__}({seed}) with {task.overlays.active}: {'; '.join(different)}"
    changes: list[tuple[object, Any]] = [
        (found.takes_costs, with_costs),
        (found.takes_settings, with_settings),
        ("fill_timeframe" in found.takes_settings, with_finer_fills),
    ]
    for change, seed in ((change, seed) for on, change in changes if on for seed in range(cases)):
        draw = random_order_case if seed % 2 and found.order_fields else random_case
        different = task_differences(change(draw(seed), seed).task(), REFERENCE.name, engine)
        if different:
            yield f"{change.__name__}({draw.__name__}({seed}), {seed}): {'; '.join(different)}"
    yield from _account_differences(found, engine, readers, cases)
    for seed in range(cases // 10):
        yield from _opened_differently(found, seed)


def _account_differences(engine: Engine, name: str, readers: list[StrategySpec], cases: int) -> Iterator[str]:
    """Yield for each account of several symbols in which an engine differs from Backtrader what is wrong."""
    for seed in range(cases):
        shared = random_shared_case(seed).task(readers[seed % len(readers)])
        if not engine.takes_members and any(bars.member is not None for bars in shared.bars):
            continue
        if not engine.unsupported(shared.strategy, shared=True):
            different = task_differences(shared, REFERENCE.name, name)
            if different:
                yield f"random_shared_case({seed}): {'; '.join(different)}"
        own = random_shared_case(seed).task(across_player)
        bounds = {name: getattr(own.overlays, name) for name in own.overlays.bounds}
        across = replace(own, overlays=Overlays(**bounds))
        if not engine.reasons_against(across.strategy, shared=True):
            different = task_differences(across, REFERENCE.name, name)
            if different:
                yield f"random_shared_case({seed}) of a cross-sectional step: {'; '.join(different)}"
        different = []
        task = random_account(seed)
        if not engine.reasons_against_task(task):
            different = task_differences(task, REFERENCE.name, name)
        if different:
            yield f"random_account({seed}): {'; '.join(different)}"


def random_account(seed: int) -> BacktestTask:
    """Return an account of several symbols with costs, contracts, exits or orders of all kinds."""
    case, orders = random_shared_case(seed), random_shared_order_case(seed)
    if seed % 8 == 7:
        return (of_account(with_settings, orders, seed) if seed % 3 == 0 else orders).task(
            across_order_player
        )
    if seed % 7 == 0:
        return of_account(with_costs, case, seed).task(note_reader if seed % 2 else state_reader)
    if seed % 7 == 1:
        return of_account(with_settings, case, seed).task(state_reader)
    if seed % 7 == 2:
        return replace(case, overlays=EXITS[seed % len(EXITS)]).task()
    if seed % 7 == 3:
        return orders.task(order_player)
    if seed % 7 == 4:
        return of_account(with_settings, orders, seed).task(note_player)
    if seed % 7 == 5:
        return of_account(with_costs, orders, seed).task(order_player)
    across = of_account(with_settings if seed % 2 else with_costs, case, seed)
    return replace(across, overlays=Overlays()).task(across_player)


def first_difference(engine: str = "compiled", cases: int = 200) -> str:
    """Return the first thing that is wrong with an engine, or ""."""
    return next(all_differences(engine, cases), "")


def _runs_all_the_same(engine: Engine, task: BacktestTask) -> Iterator[str]:
    """Yield what an engine runs, or does not name, of that which it says it does not cover."""
    reasons = engine.unsupported(task.strategy, len(task.bars) > 1)
    try:
        engine.run(task)
    except EngineError as error:
        missing = [reason for reason in reasons if reason not in str(error)]
        if missing:
            yield f"it refuses what it does not cover, and does not say {missing[0]!r}: {error}"
    else:
        yield f"it does not cover {'; '.join(reasons)}, and runs it: it has to refuse it by name"


def _opened_differently(engine: Engine, seed: int) -> Iterator[str]:
    """Yield where a window that was opened once gives another account than a run for itself."""
    case = random_case(seed)
    task = case.task(scripted)
    periods = _periods(task.bars[0])
    measure = engine.open(WindowInputs(task.bars, task.strategy, periods))
    dear = replace(case.execution, cash=case.execution.cash / 3.0)
    # the first one again at the end: what came between must not reach it
    for execution in (case.execution, dear, case.execution):
        try:
            run = engine.checked_run(replace(task, execution=execution))
            found = measure(RunInputs(execution=execution))
        except EngineError as error:
            if is_too_large(error):
                return
            raise
        expected = account_of(run, execution, periods)
        pairs: list[tuple[str, Any, Any]] = [("orders refused", run.margin_rejected, found.rejected)]
        pairs += [
            (f.name, getattr(expected, f.name), getattr(found.account, f.name)) for f in fields(expected)
        ]
        for name, one, other in pairs:
            if _bytes(one) != _bytes(other):
                yield (
                    f"random_case({seed}), {execution}: {name} is {one} of a run, and {other} in a "
                    "window that was opened for several"
                )


def _periods(bars: Bars) -> Periods:
    """Return three periods that end at bars, the last one behind them all."""
    at = [len(bars) // 3, 2 * len(bars) // 3]
    return Periods("bar", np.array([*bars.ts[at], bars.ts[-1] + 1], dtype=np.int64), 252.0)


def _bytes(value: Any) -> bytes:
    return np.asarray(value, dtype=np.float64).tobytes()
