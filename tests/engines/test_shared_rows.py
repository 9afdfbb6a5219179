"""Accounts of several symbols: what is known when, and what an order may be filled with."""

from __future__ import annotations

from dataclasses import replace

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import whatif
from whatif.domain.execution import Execution
from whatif.engines import BacktestTask, run_engine
from whatif.engines.timeline import bar_lengths, bar_rows, known_at, merge
from whatif.strategies import resolve, strategy, target

MINUTE = 60_000_000
HOUR, DAY = 60 * MINUTE, 1440 * MINUTE
START = 20_000 * DAY


def every(build_bars, count: int, step: int, symbol: str, at: int = 0, prices=None):
    rows = [(10.0, 11.0, 9.0, 10.0)] * count if prices is None else prices
    return build_bars(rows, symbol, START + at + step * np.arange(count, dtype=np.int64))


def test_bars_of_one_length_stand_where_they_start(build_bars) -> None:
    one, other = every(build_bars, 5, 2 * MINUTE, "A"), every(build_bars, 5, 2 * MINUTE, "B", MINUTE)

    assert bar_lengths([one, other]) == [2 * MINUTE] * 2
    assert merge([one, other], [(0, 5), (0, 5)]).ts.tolist() == sorted([*one.ts, *other.ts])


@pytest.mark.parametrize(
    ("at", "row"),
    [
        (0, 1439),  # a day from midnight is there with its last minute
        (570, 1439 + 570),  # one from 9:30 ends at 9:30 of the next day
    ],
)
def test_a_day_among_minutes_is_there_when_it_ends(build_bars, at: int, row: int) -> None:
    minutes = every(build_bars, 3 * 1440, MINUTE, "M")
    days = every(build_bars, 3, DAY, "D", at * MINUTE)

    timeline = merge([minutes, days], [(0, 3 * 1440), (0, 3)])

    first = np.flatnonzero(timeline.fresh[1])[0]
    assert (timeline.ts[first] - START) // MINUTE == row
    assert timeline.rows[1][first - 1] == -1


def test_a_day_ends_where_its_session_closes(build_bars) -> None:
    minutes = every(build_bars, 2 * 1440, MINUTE, "M")
    regular = minutes.take(np.isin((minutes.ts - START) % DAY // MINUTE, np.arange(570, 960)))
    days = every(build_bars, 2, DAY, "D", 570 * MINUTE)
    days = replace(days, session_open=days.ts, session_close=days.ts + 390 * MINUTE)

    def rows(others) -> list[int]:
        return ((bar_rows([others, days], bar_lengths([others, days]))[1] - START) // MINUTE).tolist()

    assert rows(regular) == [570 + 389, 1440 + 570 + 389]
    # where minutes go on after the close, the day may hold them: it ends after its length
    assert rows(minutes) == [1440 + 569, 2 * 1440 + 569]


def test_weeks_and_months_end_where_the_next_ones_start(build_bars) -> None:
    days = every(build_bars, 120, DAY, "D")
    weeks = every(build_bars, 10, 7 * DAY, "W")
    starts = START + DAY * np.array([0, 31, 59, 90, 120])
    months = build_bars([(10.0, 11.0, 9.0, 10.0)] * 5, "M", starts)

    lengths = bar_lengths([days, weeks, months])
    rows = bar_rows([days, weeks, months], lengths)

    assert (lengths[0], lengths[1]) == (DAY, 7 * DAY)
    assert ((rows[1] - START) // DAY).tolist() == [6, 13, 20, 27, 34, 41, 48, 55, 62, 69]
    assert ((rows[2] - START) // DAY).tolist() == [30, 58, 89, 119, 150]
    # months among themselves are of one length, whatever their days
    other = build_bars([(10.0, 11.0, 9.0, 10.0)] * 3, "N", starts[[0, 1, 2]] + 0)
    assert len(set(bar_lengths([months, other]))) == 1


def test_an_illiquid_symbol_has_the_bars_of_the_others(build_bars) -> None:
    full = every(build_bars, 400, MINUTE, "A")
    rng = np.random.default_rng(3)
    thin = every(build_bars, 400, MINUTE, "B").take(np.sort(rng.choice(400, 130, replace=False)))

    assert float(np.median(np.diff(thin.ts))) > MINUTE
    assert bar_lengths([full, thin]) == [MINUTE, MINUTE]


def test_what_is_decided_is_known_when_the_bars_have_ended(build_bars) -> None:
    # a day of 23 hours, where clocks are put forward; the other symbol's next day is missing
    one = build_bars([(10.0, 11.0, 9.0, 10.0)] * 5, "A", START + HOUR * np.array([0, 24, 47, 71, 95]))
    other = one.take(np.array([0, 1, 3, 4]))
    other = build_bars([(10.0, 11.0, 9.0, 10.0)] * 4, "B", other.ts)
    timeline = merge([one, other], [(0, 5), (0, 4)])

    ends = known_at([one, other], bar_lengths([one, other]), timeline)

    assert ((ends - START) // HOUR).tolist() == [24, 47, 71, 95, 119]


class Trader(bt.Strategy):
    """Follows what it is told, by bars of the first symbol that are done."""

    params = (("told", ()), ("kind", None))

    def next(self):
        for at, name, size, price in self.p.told:
            if len(self.data0) == at and self.seen != at:
                data = self.getdatabyname(name)
                self.buy(data, size=size, price=price, exectype=self.p.kind)
        self.seen = len(self.data0)

    def start(self):
        self.seen = 0


def run_told(bars, told, execution=None, kind=None):
    return run_engine(
        BacktestTask(bars, resolve(Trader), {"told": told, "kind": kind}, execution or Execution())
    )


def test_an_order_of_midday_does_not_fill_at_the_mornings_open(build_bars) -> None:
    minutes = every(build_bars, 3 * 1440, MINUTE, "M")
    days = every(
        build_bars, 3, DAY, "D", prices=[(float(k), k + 0.5, k - 0.5, float(k)) for k in (20, 30, 40)]
    )

    # the 2,000th minute is one of the second day, which opened at 30 before it
    run = run_told([minutes, days], [(2_000, "D", 1.0, None)])

    assert run.fills.price.tolist() == [40.0]
    assert (run.ts[run.fills.row[0]] - START) // MINUTE == 3 * 1440 - 1
    assert len(run.equity) == len(run.ts) == 3 * 1440


@pytest.mark.parametrize("kind", [None, bt.Order.Limit, bt.Order.Stop])
@pytest.mark.parametrize("coo", [False, True])
def test_an_order_waits_for_a_bar_that_begins_after_it(build_bars, kind, coo: bool) -> None:
    # A has bars at 0, 2, 4, ...; B at 1, 3, 5, ...: what is decided on A's bar of 2 is decided at 4
    prices = [(10.0 + k, 10.9 + k, 9.1 + k, 10.0 + k) for k in range(6)]
    one = every(build_bars, 6, 2 * MINUTE, "A", prices=prices)
    other = every(build_bars, 6, 2 * MINUTE, "B", MINUTE, prices)
    # a limit far above and a stop far below fill on any bar, at its open
    price = {bt.Order.Limit: 50.0, bt.Order.Stop: 1.0}.get(kind)

    run = run_told([one, other], [(2, "A", 1.0, price), (2, "B", 1.0, price)], Execution(coo=coo), kind)

    # A's next bar begins at 4 and opens at 12; B's at 3 had begun, the one after opens at 12 too, at 5
    assert [run.symbols[k] for k in run.fills.symbol] == ["A", "B"]
    assert run.fills.price.tolist() == [12.0, 12.0]
    assert ((run.ts[run.fills.row] - START) // MINUTE).tolist() == [4, 5]


def test_what_is_decided_on_a_bars_open_fills_there(build_bars) -> None:
    class AtOpen(bt.Strategy):
        def next_open(self):
            if len(self.data0) == 3 and len(self.data1) == 2:
                self.buy(self.data0, size=1)
                self.buy(self.data1, size=1)

    prices = [(10.0 + k, 10.9 + k, 9.1 + k, 10.0 + k) for k in range(6)]
    one = every(build_bars, 6, 2 * MINUTE, "A", prices=prices)
    other = every(build_bars, 6, 2 * MINUTE, "B", MINUTE, prices)

    run = run_engine(BacktestTask([one, other], resolve(AtOpen), {}, Execution(coo=True)))

    # at minute 4, A's third bar opens at 12; B's second, of 3, is half over, the next one opens at 12
    assert run.fills.price.tolist() == [12.0, 12.0]
    assert ((run.ts[run.fills.row] - START) // MINUTE).tolist() == [4, 5]


def test_a_trailing_stop_is_not_tried_twice_on_one_bar(build_bars) -> None:
    class Trails(bt.Strategy):
        def next(self):
            if len(self.data0) == 1 and not self.position:
                self.buy(self.data0, size=1)
            if len(self.data0) == 2 and self.getposition(self.data0).size and not self.placed:
                self.placed = True
                self.sell(self.data0, size=1, exectype=bt.Order.StopTrail, trailamount=2.0)

        def start(self):
            self.placed = False

    # the third bar of A closes at 30: the stop is then 28, and the same bar's low of 10 is before that
    prices = [
        (10.0, 11.0, 9.5, 10.0),
        (10.0, 11.0, 9.5, 10.0),
        (10.0, 31.0, 9.9, 30.0),
        (29.0, 32.0, 28.5, 31.0),
    ]
    one = every(build_bars, 4, 2 * MINUTE, "A", prices=prices)
    other = every(build_bars, 4, 2 * MINUTE, "B", MINUTE)

    assert len(run_engine(BacktestTask([one, other], resolve(Trails), {})).fills) == 1


class OfTheDay(bt.Strategy):
    """Backtrader's usual pair: minutes decide by the day."""

    def next(self):
        minute, day = self.datas
        self.order_target_size(minute, target=10 if day.close[0] > minute.close[0] else -10)


def minutes_and_days(begin: str) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    parts = [
        pd.date_range(f"{d:%Y-%m-%d} {begin}", periods=390, freq="1min")
        for d in pd.bdate_range("2024-04-01", periods=10)
    ]
    ts = pd.DatetimeIndex(np.concatenate(parts)).tz_localize("UTC")
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.001, len(ts))))
    opened = np.append(100.0, close[:-1])
    minutes = pd.DataFrame(
        {
            "symbol": "MIN",
            "ts": ts,
            "open": opened,
            "high": np.maximum(opened, close),
            "low": np.minimum(opened, close),
            "close": close,
            "volume": 1.0,
        }
    )
    days = minutes.groupby(minutes["ts"].dt.date).agg(
        ts=("ts", "first"),
        open=("open", "first"),
        high=("high", "max"),
        low=("low", "min"),
        close=("close", "last"),
        volume=("volume", "sum"),
    )
    return pd.concat([minutes, days.assign(symbol="DAY")], ignore_index=True)


@pytest.mark.parametrize("calendar", [pytest.param(None, marks=pytest.mark.slow), "XNYS"])
# New York's close of 20:00 UTC is that of the first, and an hour before the end of the second
@pytest.mark.parametrize("begin", ["13:30", "14:30"])
def test_a_days_close_is_unknown_to_its_minutes(calendar: str | None, begin: str) -> None:
    bars = minutes_and_days(begin)
    day = bars["ts"] >= pd.Timestamp("2024-04-10", tz="UTC")
    changed = bars.copy()
    # the close of every day from the tenth on is another one
    changed.loc[day & (bars["symbol"] == "DAY"), ["close", "high"]] *= 1.5

    before, after = (whatif.backtest(one, OfTheDay, calendar=calendar) for one in (bars, changed))

    first = pd.Timestamp("2024-04-11", tz="UTC")
    assert before.fills[before.fills["ts"] < first].equals(after.fills[after.fills["ts"] < first])
    assert len(before.fills) > 20
    assert not before.fills.equals(after.fills)


def test_a_step_of_minutes_does_not_see_the_days_account_early(build_bars) -> None:
    @strategy(lookback=0)
    def long(i, x, p, s):
        seen.append((x.close[i], s.value))
        return target(1.0)

    seen: list[tuple[float, float]] = []
    minutes = every(build_bars, 2 * 1440 + 10, MINUTE, "M")
    days = every(build_bars, 2, DAY, "D", prices=[(10.0, 11.0, 9.0, 10.0), (20.0, 90.0, 19.0, 90.0)])

    run = run_engine(BacktestTask([minutes, days], long, {}, Execution(cash=100.0)), "backtrader")

    # bought at the second day's open of 20, known at its end, and worth 90 then, not before
    at = (run.ts - START) // MINUTE
    assert run.fills.price.tolist() == [10.0, 20.0]
    assert run.equity[at < 2 * 1440 - 1].max() == 100.0
    assert run.equity[at == 2 * 1440 - 1].tolist() == [170.0]
