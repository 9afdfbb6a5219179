"""Golden cases of costs that are objects of their own, and of orders tried on finer bars."""

from __future__ import annotations

from typing import Any

from whatif.domain import Execution, costs_from
from whatif.strategies import BUY, SELL, bracket, buy
from whatif.testing.golden.case import Fill, Golden, bar, flat

HUNDRED = flat(100.0)
WIDE = bar(100.0, 110.0, 90.0, 100.0)


def _charged(cash: float = 10_000.0, **costs: Any) -> Execution:
    return Execution(cash=cash, costs=costs_from(costs))


COMMISSION = (
    Golden(
        "commission may have a part for each order, unit and value",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 8.0), 1: (SELL, 4.0)},
        _charged(per_order=1.0, per_unit=0.5, fraction=0.125),
        # 1 + 8 * 0.5 + 800 / 8; 1 + 4 * 0.5 + 400 / 8
        (Fill(1, 0.0, 8.0, 100.0, 0.0, 105.0), Fill(2, -4.0, 0.0, 100.0, 53.0, 0.0)),
        cash=(10_000.0, 9095.0, 9442.0),
        value=(10_000.0, 9895.0, 9842.0),
    ),
    Golden(
        "a reversal is one order, which pays a minimum once",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 10.0), 1: (SELL, 14.0)},
        _charged(per_order=0.5, per_unit=0.25, minimum=3.0),
        # 0.5 + 14 * 0.25 are 4: the 10 that close pay 0.5 + 2.5, the others what is left of it
        (Fill(1, 0.0, 10.0, 100.0, 0.0, 3.0), Fill(2, -10.0, -4.0, 100.0, 3.0, 1.0)),
        cash=(10_000.0, 8997.0, 10_393.0),
        value=(10_000.0, 9997.0, 9993.0),
        trades=((0.0, -6.0),),
    ),
    Golden(
        "a minimum is not enough for a large order, and a maximum is",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 100.0), 1: (SELL, 1.0)},
        _charged(20_000.0, per_unit=0.5, minimum=2.0, maximum=7.0),
        (Fill(1, 0.0, 100.0, 100.0, 0.0, 7.0), Fill(2, -1.0, 0.0, 100.0, 2.0, 0.0)),
        cash=(20_000.0, 9993.0, 10_091.0),
        value=(20_000.0, 19_993.0, 19_991.0),
    ),
    Golden(
        "fees of the exchange and of one side come beside the bounds",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 8.0), 1: (SELL, 8.0)},
        _charged(minimum=1.0, exchange_per_unit=0.5, sell_fraction=0.03125),
        # 1 + 4; 1 + 4 + 800 / 32
        (Fill(1, 0.0, 8.0, 100.0, 0.0, 5.0), Fill(2, -8.0, 0.0, 100.0, 30.0, 0.0)),
        cash=(10_000.0, 9195.0, 9965.0),
        value=(10_000.0, 9995.0, 9965.0),
        trades=((0.0, -35.0),),
    ),
    Golden(
        "tiers are of what was traded in the month",
        # a bar a day from 2013-10-22 on: the last is of November
        (HUNDRED,) * 12,
        {0: (BUY, 8.0), 2: (BUY, 8.0), 10: (BUY, 8.0)},
        _charged(tiers=[{"from_units": 0, "per_unit": 1.0}, {"from_units": 10, "per_unit": 0.5}]),
        # 8; 2 in the first tier and 6 in the second; a new month
        (
            Fill(1, 0.0, 8.0, 100.0, 0.0, 8.0),
            Fill(3, 0.0, 8.0, 100.0, 0.0, 5.0),
            Fill(11, 0.0, 8.0, 100.0, 0.0, 8.0),
        ),
        cash=(10_000.0, 9192.0, 9192.0, *(8387.0,) * 8, 7579.0),
        value=(10_000.0, 9992.0, 9992.0, *(9987.0,) * 8, 9979.0),
        session_bars=1,
    ),
    Golden(
        "the check counts a minimum",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 1.0)},
        _charged(149.0, minimum=50.0),
        # 149 - 100 - 50 < 0
        (),
        cash=(149.0, 149.0, 149.0),
        value=(149.0, 149.0, 149.0),
        rejected=1,
    ),
)

PRICES = (
    Golden(
        "a limit that lay in the book pays the maker's fee at its price, one at the open the taker's",
        (WIDE, WIDE),
        {0: (buy(1.0, limit=95.0), buy(1.0, limit=101.0))},
        _charged(maker=0.0625, taker=0.125, spread_ticks=2, tick=0.5),
        # 95 / 16; half of a spread of one above the open, 100.5 / 8
        (Fill(1, 0.0, 1.0, 95.0, 0.0, 5.9375), Fill(1, 0.0, 1.0, 100.5, 0.0, 12.5625)),
        cash=(10_000.0, 9786.0),
        value=(10_000.0, 9986.0),
    ),
    Golden(
        "half of the spread and a share of the range make a price worse",
        (WIDE, WIDE, WIDE),
        {0: (BUY, 1.0), 1: (SELL, 1.0)},
        _charged(1000.0, spread_ticks=3, tick=0.5, range_slippage=0.125),
        # 0.75 and an eighth of 20
        (Fill(1, 0.0, 1.0, 103.25), Fill(2, -1.0, 0.0, 96.75)),
        cash=(1000.0, 896.75, 993.5),
        value=(1000.0, 996.75, 993.5),
        trades=((-6.5, -6.5),),
    ),
    Golden(
        "impact goes by the root of the share of the bar's volume, and without one nothing fills",
        (WIDE, WIDE, WIDE, WIDE),
        {0: (BUY, 4.0), 1: (SELL, 1.0)},
        _charged(1000.0, impact=0.0625),
        # half of 1/16 of 100, by 4 of 16 and by 1 of 4
        (Fill(1, 0.0, 4.0, 103.125), Fill(3, -1.0, 0.0, 96.875)),
        cash=(1000.0, 587.5, 587.5, 684.375),
        value=(1000.0, 987.5, 987.5, 984.375),
        volumes=(9.0, 16.0, 0.0, 4.0),
    ),
)

_FINER = Execution(cash=1000.0, fill_timeframe="1min")
_ENTERED = (*(HUNDRED,) * 4, bar(100.0, 101.0, 99.5, 100.5), bar(100.5, 103.5, 100.0, 103.0))

FINER = (
    Golden(
        "on finer bars a target that came before the stop fills",
        # three bars of two minutes, and one of which the second falls to the stop
        (*_ENTERED, bar(103.0, 103.0, 97.5, 98.0), bar(98.0, 98.5, 98.0, 98.5)),
        {0: bracket(1.0, stop=98.0, target=103.0)},
        _FINER,
        (Fill(1, 0.0, 1.0, 100.0), Fill(2, -1.0, 0.0, 103.0)),
        cash=(1000.0, 900.0, 1003.0, 1003.0),
        value=(1000.0, 1000.0, 1003.0, 1003.0),
        trades=((3.0, 3.0),),
        finer=2,
    ),
    Golden(
        "on bars alone the stop of the same bar fills",
        (HUNDRED, HUNDRED, bar(100.0, 103.5, 97.5, 98.5)),
        {0: bracket(1.0, stop=98.0, target=103.0)},
        Execution(cash=1000.0),
        (Fill(1, 0.0, 1.0, 100.0), Fill(2, -1.0, 0.0, 98.0)),
        cash=(1000.0, 900.0, 998.0),
        value=(1000.0, 1000.0, 998.0),
        trades=((-2.0, -2.0),),
    ),
    Golden(
        "on finer bars an exit is tried from the one after the entry's, within the same bar",
        (HUNDRED, HUNDRED, bar(100.0, 102.0, 98.0, 100.0), bar(100.0, 101.5, 100.0, 101.0)),
        {0: bracket(1.0, limit=99.0, stop=90.0, target=101.0)},
        _FINER,
        # the minute that reaches 99 reaches 101 too, and the next one does
        (Fill(1, 0.0, 1.0, 99.0), Fill(1, -1.0, 0.0, 101.0)),
        cash=(1000.0, 1002.0),
        value=(1000.0, 1002.0),
        trades=((2.0, 2.0),),
        finer=2,
    ),
)
