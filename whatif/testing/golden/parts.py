"""Golden cases of orders that a filler fills in parts."""

from __future__ import annotations

from whatif.domain import Execution, Filler
from whatif.strategies import BUY, CLOSE, SELL, bracket, buy, oco, sell
from whatif.testing.golden.case import Fill, Golden, bar, flat

HUNDRED = flat(100.0)
FOUR = Execution(cash=10_000.0, filler=Filler("fixed_size", 4.0))

SIZES = (
    Golden(
        "a bar fills so many units, and the rest of an order at the market waits for the next",
        (HUNDRED, HUNDRED, flat(101.0), flat(102.0), flat(102.0)),
        {0: (BUY, 10.0)},
        FOUR,
        (Fill(1, 0.0, 4.0, 100.0), Fill(2, 0.0, 4.0, 101.0), Fill(3, 0.0, 2.0, 102.0)),
        # 10,000 - 400; less 404; less 204
        cash=(10_000.0, 9600.0, 9196.0, 8992.0, 8992.0),
        # with 4 * 100; 8 * 101; 10 * 102
        value=(10_000.0, 10_000.0, 10_004.0, 10_012.0, 10_012.0),
    ),
    Golden(
        "no more than the bar's volume, and nothing where there is none",
        (HUNDRED,) * 5,
        {0: (SELL, 6.0)},
        FOUR,
        (Fill(1, 0.0, -3.0, 100.0), Fill(4, 0.0, -3.0, 100.0)),
        cash=(10_000.0, 10_300.0, 10_300.0, 10_300.0, 10_600.0),
        value=(10_000.0,) * 5,
        volumes=(9.0, 3.0, 0.0, 0.0, 9.0),
    ),
    Golden(
        "a share of the volume is rounded down to whole units",
        (HUNDRED,) * 3,
        {0: (BUY, 6.5)},
        Execution(cash=10_000.0, filler=Filler("fixed_bar_perc", 10.0)),
        # a tenth of 55 is 5
        (Fill(1, 0.0, 5.0, 100.0), Fill(2, 0.0, 1.5, 100.0)),
        cash=(10_000.0, 9500.0, 9350.0),
        value=(10_000.0,) * 3,
        volumes=(55.0, 55.0, 55.0),
    ),
    Golden(
        "the volume is shared by the prices of the bar",
        (HUNDRED, bar(100.0, 102.0, 99.0, 100.0), HUNDRED),
        {0: (BUY, 60.0)},
        Execution(cash=10_000.0, filler=Filler("bar_point_perc", 50.0, 1.0)),
        # four prices from 99 to 102 have 25 each, of which half is 12; one price has 100
        (Fill(1, 0.0, 12.0, 100.0), Fill(2, 0.0, 48.0, 100.0)),
        cash=(10_000.0, 8800.0, 4000.0),
        value=(10_000.0,) * 3,
    ),
    Golden(
        "or not, without a smallest move",
        (HUNDRED, bar(100.0, 102.0, 99.0, 100.0), HUNDRED),
        {0: (BUY, 60.0)},
        Execution(cash=10_000.0, filler=Filler("bar_point_perc", 50.0)),
        (Fill(1, 0.0, 50.0, 100.0), Fill(2, 0.0, 10.0, 100.0)),
        cash=(10_000.0, 5000.0, 4000.0),
        value=(10_000.0,) * 3,
    ),
    Golden(
        "a reversal in parts closes first; what is left is compared with a position that has moved",
        (HUNDRED,) * 6,
        {0: (BUY, 4.0), 2: (SELL, 6.0), 3: (CLOSE, 0.0)},
        FOUR,
        (Fill(1, 0.0, 4.0, 100.0), Fill(3, -4.0, 0.0, 100.0), Fill(4, 0.0, -2.0, 100.0)),
        # on bar 3 there is nothing to close, though an order waits
        cash=(10_000.0, 9600.0, 9600.0, 10_000.0, 10_200.0, 10_200.0),
        value=(10_000.0,) * 6,
        trades=((0.0, 0.0),),
    ),
    Golden(
        "each order has the bar for itself, first come first",
        (HUNDRED,) * 4,
        {0: (BUY, 6.0), 1: (BUY, 5.0)},
        FOUR,
        (
            Fill(1, 0.0, 4.0, 100.0),
            Fill(2, 0.0, 2.0, 100.0),
            Fill(2, 0.0, 4.0, 100.0),
            Fill(3, 0.0, 1.0, 100.0),
        ),
        cash=(10_000.0, 9600.0, 9000.0, 8900.0),
        value=(10_000.0,) * 4,
    ),
)

WAITING = (
    Golden(
        "the rest of a limit waits for its price",
        (HUNDRED, bar(100.0, 100.0, 95.0, 100.0), HUNDRED, bar(100.0, 100.0, 90.0, 90.0)),
        {0: buy(6.0, limit=95.0)},
        FOUR,
        (Fill(1, 0.0, 4.0, 95.0), Fill(3, 0.0, 2.0, 95.0)),
        cash=(10_000.0, 9620.0, 9620.0, 9430.0),
        # with 4 * 100; 6 * 90
        value=(10_000.0, 10_020.0, 10_020.0, 9970.0),
    ),
    Golden(
        "the rest of a stop waits for the price to reach it once more",
        (HUNDRED, bar(100.0, 105.0, 100.0, 104.0), bar(104.0, 104.5, 104.0, 104.0), flat(106.0)),
        {0: buy(6.0, stop=105.0)},
        FOUR,
        (Fill(1, 0.0, 4.0, 105.0), Fill(3, 0.0, 2.0, 106.0)),
        cash=(10_000.0, 9580.0, 9580.0, 9368.0),
        value=(10_000.0, 9996.0, 9996.0, 10_004.0),
    ),
    Golden(
        "the first part cancels the other of two that are tied",
        (HUNDRED, bar(100.0, 100.0, 95.0, 100.0), bar(100.0, 105.0, 95.0, 100.0)),
        {0: oco(buy(6.0, limit=95.0), buy(6.0, stop=105.0))},
        FOUR,
        (Fill(1, 0.0, 4.0, 95.0), Fill(2, 0.0, 2.0, 95.0)),
        cash=(10_000.0, 9620.0, 9430.0),
        value=(10_000.0, 10_020.0, 10_030.0),
    ),
    Golden(
        "a bracket's exits wait until its entry is whole",
        (HUNDRED, HUNDRED, bar(100.0, 100.0, 90.0, 100.0), bar(100.0, 100.0, 90.0, 100.0), HUNDRED),
        {0: bracket(6.0, stop=95.0, target=120.0)},
        FOUR,
        (
            Fill(1, 0.0, 4.0, 100.0),
            Fill(2, 0.0, 2.0, 100.0),
            Fill(3, -4.0, 0.0, 95.0),
        ),
        cash=(10_000.0, 9600.0, 9400.0, 9780.0, 9780.0),
        value=(10_000.0, 10_000.0, 10_000.0, 9980.0, 9980.0),
    ),
    Golden(
        "what fills at a close that was noted has the volume of the bar before",
        (HUNDRED, flat(101.0), flat(103.0), flat(104.0), flat(105.0)),
        # a session of two bars: the close of 101 is known on bar 2, and fills its rest on bar 3 as well
        {0: sell(6.0, at_close=True)},
        FOUR,
        (Fill(2, 0.0, -3.0, 101.0), Fill(4, 0.0, -3.0, 101.0)),
        cash=(10_000.0, 10_000.0, 10_303.0, 10_303.0, 10_606.0),
        # less 3 * 103; 3 * 104; 6 * 105
        value=(10_000.0, 10_000.0, 9994.0, 9991.0, 9976.0),
        volumes=(9.0, 3.0, 0.0, 9.0, 1.0),
        session_bars=2,
    ),
)
