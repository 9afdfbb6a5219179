"""Every key of `execution` changes what it should, on both engines, or is refused."""

from __future__ import annotations

from dataclasses import fields, replace

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import whatif
from whatif.domain.costs import costs_from
from whatif.domain.execution import Execution
from whatif.domain.fillers import Filler
from whatif.engines import BacktestTask, run_engine
from whatif.errors import EngineError
from whatif.strategies import Param, close, hold, resolve, strategy, target

# five bars without noise: 10, 11, 12, 13, 14 at the open, one more at the close
ROWS = [(10.0 + k, 11.5 + k, 9.5 + k, 11.0 + k) for k in range(5)]
BUYS, SHORTS = 2.0, -2.0  # cash of 10 pays for neither


@strategy(params={"size": Param(BUYS)}, lookback=0)
def once(i, x, p, s):
    """Enter at the first bar's close, leave at the third one's."""
    if i == 0:
        return target(p.size)
    return close() if i == 2 else hold()


def filled(
    build_bars, engine: str, size: float = BUYS, **execution: object
) -> list[tuple[float, float, float]]:
    """Return size, price and commission of each fill."""
    bars = build_bars(ROWS)
    run = run_engine(BacktestTask([bars], once, {"size": size}, Execution(**execution)), engine)
    return list(zip(run.fills.size, run.fills.price, run.fills.commission, strict=True))


IN_AND_OUT = [(2.0, 11.0, 0.0), (-2.0, 13.0, 0.0)]
CASES = {
    "cash": ({"cash": 21.9}, []),  # two units at 11 cost 22
    "commission": ({"commission": 0.5}, [(2.0, 11.0, 11.0), (-2.0, 13.0, 13.0)]),
    "commtype": ({"commission": 0.5, "commtype": "fixed"}, [(2.0, 11.0, 1.0), (-2.0, 13.0, 1.0)]),
    "slippage": ({"slippage": 0.125}, [(2.0, 12.375, 0.0), (-2.0, 12.5, 0.0)]),  # 11.375 is below the low
    "slippage_fixed": ({"slippage_fixed": 0.25}, [(2.0, 11.25, 0.0), (-2.0, 12.75, 0.0)]),
    "slip_open": ({"slippage_fixed": 0.25, "slip_open": False}, IN_AND_OUT),
    "slip_match": (
        # without a match beyond the low of 12.5, the sale waits in vain
        {"slippage_fixed": 1.4, "slip_match": False}, [(2.0, 12.4, 0.0)],
    ),
    "slip_out": ({"slippage_fixed": 2.0, "slip_out": True}, [(2.0, 13.0, 0.0), (-2.0, 11.0, 0.0)]),
    "coc": ({"coc": True}, IN_AND_OUT),
    # two margins of 4; of the 2 that the price rises, 6 are gained; a unit of a stock takes a part of it
    "margin": ({"cash": 8.0, "margin": 4.0}, IN_AND_OUT),
    "mult": ({"cash": 8.0, "margin": 4.0, "mult": 3.0}, IN_AND_OUT),
    "leverage": ({"cash": 11.0, "leverage": 2.0}, IN_AND_OUT),
    "filler": (
        {"filler": Filler("fixed_size", 1.5)},
        [(1.5, 11.0, 0.0), (0.5, 12.0, 0.0), (-1.5, 13.0, 0.0), (-0.5, 14.0, 0.0)],
    ),
    "costs": (
        {"costs": costs_from({"minimum": 3.0, "fraction": 0.25, "maximum": 6.0})},
        [(2.0, 11.0, 5.5), (-2.0, 13.0, 6.0)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("key", CASES)
def test_a_key_changes_what_it_should(build_bars, engine: str, key: str) -> None:
    given, expected = CASES[key]

    assert filled(build_bars, engine) == IN_AND_OUT
    assert filled(build_bars, engine, **given) == expected


def test_coc_fills_at_the_close_that_decided(build_bars, engine: str) -> None:
    rows = [(10.0, 12.0, 9.0, 10.5)] * 5
    task = BacktestTask([build_bars(rows)], once, {"size": BUYS}, Execution(coc=True))

    assert run_engine(task, engine).fills.price.tolist() == [10.5, 10.5]


def test_checksubmit_decides_before_the_fill(build_bars, engine: str) -> None:
    # 2 * 11 at the close that it was decided on is too much for 21; at the open of 10 it is not
    bars = build_bars([(10.0, 11.5, 9.5, 11.0)] * 5)
    fills = [
        len(
            run_engine(
                BacktestTask([bars], once, {"size": 2.0}, Execution(cash=21.0, checksubmit=on)), engine
            ).fills
        )
        for on in (True, False)
    ]

    assert fills == [0, 2]


def test_shortcash_decides_whether_a_short_costs_cash(build_bars, engine: str) -> None:
    assert filled(build_bars, engine, SHORTS, cash=10.0) == [(-2.0, 11.0, 0.0), (2.0, 13.0, 0.0)]
    assert filled(build_bars, engine, SHORTS, cash=10.0, shortcash=False) == []


@pytest.mark.parametrize(
    ("size", "longs", "charged"), [(-2.0, False, True), (2.0, False, False), (2.0, True, True)]
)
def test_interest_is_charged_to_what_closes(build_bars, engine, size, longs, charged) -> None:
    bars = build_bars(ROWS)
    bars = replace(bars, ts=bars.ts[0] + np.arange(len(bars)) * 86_400_000_000)
    execution = Execution(cash=1000.0, interest=7.3, interest_long=longs)
    run = run_engine(BacktestTask([bars], once, {"size": size}, execution), engine)
    # a fiftieth of 2 * 11 on each of two days
    assert run.fills.commission.tolist() == [0.0, 0.88 if charged else 0.0]


def test_a_key_of_a_future_moves_its_cash(build_bars, engine: str) -> None:
    bars = build_bars(ROWS)
    for mult in (1.0, 3.0):
        execution = Execution(cash=100.0, margin=4.0, mult=mult)
        run = run_engine(BacktestTask([bars], once, {"size": BUYS}, execution), engine)
        assert run.cash[1] == 100.0 - 2 * 4.0 + 2 * 1.0 * mult
        assert run.cash[-1] == 100.0 + 2 * 2.0 * mult


def test_all_keys_are_tried() -> None:
    refused_or_own = {
        "checksubmit",
        "shortcash",
        "coo",
        "fill_timeframe",
        "slip_limit",
        "interest",
        "interest_long",
        "semantics",
    }

    assert {f.name for f in fields(Execution)} == CASES.keys() | refused_or_own


def test_coo_checks_an_order_by_the_open_that_it_fills_at(build_bars, engine: str) -> None:
    # 2 * 11 at the close that it was decided on is too much for 21; at the open of 10 it is not
    bars = build_bars([(10.0, 11.5, 9.5, 11.0)] * 5)
    found = [
        run_engine(BacktestTask([bars], once, {"size": 2.0}, Execution(cash=21.0, coo=coo)), engine)
        for coo in (True, False)
    ]

    assert [len(run.fills) for run in found] == [2, 0]
    assert whatif.backtest(frame_of([bars]), once, execution={"coo": True}, engine=engine).fills.shape[0] == 2


def test_what_can_do_nothing_for_a_step_is_refused(build_bars, walk, engine: str) -> None:
    bars = walk(1, 9)
    frame = frame_of([bars])
    with pytest.raises(EngineError, match="market orders only"):
        whatif.backtest(frame, once, execution={"slip_limit": False}, engine=engine)


def frame_of(bars):
    return pd.concat(
        pd.DataFrame(
            {
                "symbol": one.symbol,
                "ts": pd.DatetimeIndex(one.ts.astype("datetime64[us]"), tz="UTC"),
                **{name: getattr(one, name) for name in ("open", "high", "low", "close", "volume")},
            }
        )
        for one in bars
    )


class Opener(bt.Strategy):
    """Backtrader's documentation of cheat-on-open: orders are placed in `next_open`."""

    def __init__(self):
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=3), bt.ind.SMA(period=8))

    def next_open(self):
        if self.cross[0]:
            self.order_target_size(target=5 * self.cross[0])


class Both(Opener):
    """Orders at the open and at the close; limits and stops too."""

    def next(self):
        if len(self) % 7 == 0:
            price = self.data.close[0]
            self.buy_bracket(size=1, price=price, stopprice=price * 0.99, limitprice=price * 1.01)


@pytest.mark.parametrize("cls", [Opener, Both])
@pytest.mark.parametrize("cheat", [True, False])
def test_next_open_is_called_as_cerebro_does(walk, plain, cls: type, cheat: bool) -> None:
    bars, execution = walk(5, 400), Execution(commission=0.001, slippage=0.0005, coo=cheat)
    reference = plain(cls, bars, execution)

    run = run_engine(BacktestTask([bars], resolve(cls), {}, execution))

    assert run.equity.tobytes() == np.array(reference.equity).tobytes()
    assert run.fills.price.tobytes() == np.array([fill[3] for fill in reference.fills]).tobytes()
    assert len(run.fills) > 20 if cheat or cls is Both else len(run.fills) == 0


def test_next_open_fills_at_the_open_it_stands_on_and_no_other(build_bars) -> None:
    class First(bt.Strategy):
        def next_open(self):
            if len(self) == 2:  # two bars are done
                self.buy(size=1)

        def next(self):
            if len(self) == 4:
                self.close()

    run = run_engine(BacktestTask([build_bars(ROWS)], resolve(First), {}, Execution(coo=True)))

    assert list(zip(run.fills.row, run.fills.price, strict=True)) == [(2, 12.0), (4, 14.0)]


def test_cheating_on_open_begins_with_the_window(walk) -> None:
    class Eager(bt.Strategy):
        params = (("on", 0),)

        def next_open(self):
            if len(self) == self.p.on:
                self.buy(size=1)

    task = BacktestTask([walk(1, 30)], resolve(Eager), {"on": 10}, Execution(coo=True), warmup=10)
    task = replace(task, start=int(task.bars[0].ts[10]))

    # ten bars of warm-up are done when the window's first open comes
    assert run_engine(task).fills.row.tolist() == [0]
    with pytest.raises(EngineError, match=r"order was placed on bar 9 .* before the window"):
        run_engine(replace(task, params={"on": 9}))
