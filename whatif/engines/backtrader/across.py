"""Cross-sectional steps on Backtrader's broker: one call a timestamp for all symbols of an account."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from whatif.domain import EngineRun
from whatif.engines.arrays import leaving_rows, read_only, record_type, step_arrays, step_params
from whatif.engines.backtrader.broker import make_broker
from whatif.engines.backtrader.ledger import Ledger
from whatif.engines.backtrader.stepping import FLAT, OrderPlacer, Traded, place_orders, settle, step_line
from whatif.engines.language.across import Across, write_answer
from whatif.engines.language.plain import Floats, in_python, numpys_warnings_off
from whatif.engines.orders import BAD_COUNT, LARGEST_SIZE, answer_fault, refused_answer, refused_size
from whatif.engines.timeline import Timeline, instant, merge, rows_of, session_rows
from whatif.errors import EngineError
from whatif.indicators import ArrayCache
from whatif.strategies import (
    CLOSE,
    EACH,
    HOLD,
    TARGET,
    TARGET_PERCENT,
    WEIGHTS,
    AcrossState,
    StrategySpec,
    flattened,
)
from whatif.typing import FloatArray

if TYPE_CHECKING:
    from whatif.engines.task import BacktestTask


class _Symbol(Traded):
    """One symbol of the account: as orders are placed in it, and where it is not to be held."""

    notes = None

    def __init__(self, task: BacktestTask, spec: StrategySpec, index: int) -> None:
        super().__init__(task, spec, index)
        self._leaving = leaving_rows(self.bars, self.stop)

    def leaves(self) -> bool:
        """Return whether it is not to be held any more on its present row."""
        return self._leaving is not None and bool(self._leaving[self.own.cursor.row])


class _Account:
    """The account as the step sees it; written anew before each call.

    Parameters
    ----------
    symbols : list of _Symbol
        Its k symbols.
    scratch : int
        Values that the step keeps for each.
    """

    def __init__(self, symbols: list[_Symbol], scratch: int) -> None:
        k = len(symbols)
        self._symbols, self.rows = symbols, [-1] * k
        self.has_bar = np.zeros(k, dtype=np.int64)
        self._floats = {name: np.zeros(k) for name in ("size", "entry_price")}
        self._whole = {name: np.zeros(k, dtype=np.int64) for name in ("bars_held", "pending")}
        self.state = state = AcrossState()
        for name, values in (*self._floats.items(), *self._whole.items()):
            seen = values.view(Floats)
            seen.flags.writeable = False
            setattr(state, name, seen)
        self.answer: FloatArray = np.full(k, math.nan)
        state.answer = self.answer.view(Floats)
        state.scratch = np.zeros(k * scratch).view(Floats)

    def look(self, placer: OrderPlacer, session: int, bar_of_session: int) -> AcrossState:
        """Write positions and account as the broker has them now."""
        broker, state = placer.broker, self.state
        for k, symbol in enumerate(self._symbols):
            # looking must not enter a position in the broker's book: its order decides how value is summed
            position = broker.positions.get(symbol.feed, FLAT)
            self._floats["size"][k] = position.size
            self._floats["entry_price"][k] = position.price
            self._whole["bars_held"][k] = self.rows[k] - symbol.opened_row if position.size else 0
            self._whole["pending"][k] = placer.waiting(symbol.feed)
        state.cash, state.value = float(broker.cash), float(broker._value)
        state.session, state.bar_of_session = session, bar_of_session
        self.answer[:] = math.nan
        return state


def run_across(task: BacktestTask, spec: StrategySpec, cache: ArrayCache | None) -> EngineRun:
    """Run a cross-sectional step on Backtrader's broker.

    Parameters
    ----------
    task, spec, cache
        As `whatif.engines.backtrader.steps.run_steps` takes them.

    Raises
    ------
    EngineError
        If an input is missing, or the step raises (its exception is the cause), or answers with what breaks
        a rule.
    """
    bars = list(task.bars)
    ranges = [task.rows(one) for one in bars]
    timeline = merge(bars, ranges, task.bar_us)
    ts, stamps = rows_of(bars, ranges, task.bar_us)
    broker = make_broker(task.execution)
    placer = OrderPlacer(broker)
    symbols = [_Symbol(task, spec, k) for k in range(len(bars))]
    account = _Account(symbols, spec.scratch)
    arrays = [
        step_arrays(spec, task.params, one, stop, cache) for one, (_, stop) in zip(bars, ranges, strict=True)
    ]
    names = arrays[0]._fields
    columns = [[memoryview(getattr(own, name)) for own in arrays] for name in names]
    seen = [Across(column, account.rows) for column in columns]
    x = record_type("Arrays", (*names, "has_bar"))(*seen, read_only(account.has_bar).view(Floats))
    placer.bound([symbol.feed for symbol in symbols], task.overlays)
    ledger = Ledger()
    loop = _Loop(spec, task, placer, symbols, account, ledger)
    try:
        with numpys_warnings_off():
            loop.run(x, timeline, *(rows.tolist() for rows in session_rows(bars, ranges, stamps, ts)))
        return ledger.to_run(bars, timeline)
    finally:
        # orders know the placer, the placer the broker, the broker its orders
        del placer.broker


class _Loop:
    """The loop over the timestamps."""

    def __init__(
        self,
        spec: StrategySpec,
        task: BacktestTask,
        placer: OrderPlacer,
        symbols: list[_Symbol],
        account: _Account,
        ledger: Ledger,
    ) -> None:
        self._spec, self._params = spec, step_params(task.params)
        self._placer, self._symbols, self._account, self._ledger = placer, symbols, account, ledger
        self._answers: list[Any] = []

    def run(self, x: Any, timeline: Timeline, session: list[int], bar_of_session: list[int]) -> None:
        broker, account, ledger = self._placer.broker, self._account, self._ledger
        step, lookback = in_python(self._spec.step), self._spec.lookback
        symbol_of = {symbol.feed: symbol for symbol in self._symbols}
        in_market, several = False, len(self._symbols) > 1
        for at, arrivals in enumerate(timeline.arrivals()):
            account.has_bar[:] = 0
            for k, row in arrivals:
                self._symbols[k].feed.cursor.row = account.rows[k] = row
                account.has_bar[k] = not self._symbols[k].leaves()
            if several:
                broker.arrived = [self._symbols[k].feed for k, _ in arrivals]
            # a flat account without orders is worth its cash: the broker would change nothing
            if in_market or broker.submitted or broker.pending:
                broker.next()
                if broker.notifs:
                    settle(broker, symbol_of, ledger, at)
                    in_market = any(position.size for position in broker.positions.values())
            ledger.equity.append(broker._value)
            ledger.cash.append(broker.cash)
            if at < lookback:
                continue
            state = account.look(self._placer, session[at], bar_of_session[at])
            where = f"bar {at} at {instant(timeline.ts[at])}"
            code = self._asked(step, at, x, state, where)
            fresh = [k for k, _ in arrivals]
            if code != HOLD or any(self._is_left(k) for k in fresh):
                self._place(code, fresh, where)

    def _asked(self, step: Any, at: int, x: Any, state: AcrossState, where: str) -> int:
        """Return the code of the step's answer, which is written to the account's room."""
        spec = self._spec
        try:
            answer = step(at, x, self._params, state)
        except (Exception, SystemExit) as error:
            said = f"the step raised {type(error).__name__}: {error}{step_line(spec, error)}"
            raise EngineError(f"strategy {spec.name}: {where}: {said}") from error
        try:
            code, values = answer
            if code == EACH:
                self._answers = list(values)
                return EACH
            return write_answer(self._account.answer, answer)
        except (TypeError, ValueError) as error:
            raise EngineError(
                f"strategy {spec.name}: {where}: the step must return an intent such as hold(), "
                f"weights(values), sizes(values) or orders(answers) ({error})"
            ) from error

    def _is_left(self, k: int) -> bool:
        """Return whether a symbol is held, or has orders that wait, that is not to be held any more."""
        if not self._symbols[k].leaves():
            return False
        feed = self._symbols[k].feed
        return self._placer.broker.positions.get(feed, FLAT).size != 0 or self._placer.waiting(feed) > 0

    def _leave(self, k: int) -> None:
        """Cancel what waits for a price in a symbol, and leave its position."""
        feed = self._symbols[k].feed
        self._placer.cancel(feed, lambda order: bool(order.exectype != order.Market))
        if self._placer.broker.positions.get(feed, FLAT).size:
            self._placer.place(feed, CLOSE, 0.0)

    def _place(self, code: int, fresh: list[int], where: str) -> None:
        """Place what an answer asks for of the symbols that have a bar, in declared order.

        One that is not to be held any more is left, whatever is asked.
        """
        spec, values = self._spec, self._account.answer
        fault, symbol, amount = answer_fault(code, values, spec.max_gross)
        if code == EACH:
            fault = BAD_COUNT if len(self._answers) != len(self._symbols) else 0
        if fault and code != HOLD:
            name = self._symbols[symbol].feed._name
            raise refused_answer(
                f"strategy {spec.name}: {where}", fault, code, name, float(amount), spec.max_gross
            )
        kind = TARGET_PERCENT if code == WEIGHTS else TARGET
        if self._placer.bounds is not None:
            self._placer.bounds.look()
        for k in fresh:
            wanted, feed = float(values[k]), self._symbols[k].feed
            if self._is_left(k):
                self._leave(k)
                continue
            if self._symbols[k].leaves() or code == HOLD:
                continue
            if code == EACH:
                orders = flattened(self._answers[k])
                place_orders(spec, self._symbols[k], feed.cursor.row, orders, self._placer)
                continue
            if math.isnan(wanted):
                continue
            size = self._placer.place(feed, kind, wanted)
            if not abs(size) <= LARGEST_SIZE:
                raise refused_size(f"strategy {spec.name}: {feed._name}, {where}", size)
