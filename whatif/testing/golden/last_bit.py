"""Golden cases of rounding: the same sums in another order would give other bits.

Numbers are written as Python prints them, so that each step can be followed in an interpreter.
"""

from __future__ import annotations

from whatif.domain import Execution
from whatif.strategies import BUY, CLOSE, SELL, TARGET_PERCENT
from whatif.testing.golden.case import Fill, Golden, flat

ONE = flat(1.0)
TWENTY = Execution(cash=20.0)

ROUNDING = (
    Golden(
        "the price of a fill is exact, not the order's average of it",
        (flat(0.1), flat(0.1)),
        {0: (BUY, 3.0)},
        Execution(cash=1.0),
        # 3 * 0.1 = 0.30000000000000004, and a third of that were 0.10000000000000002
        (Fill(1, 0.0, 3.0, 0.1),),
        cash=(1.0, 0.7),
        value=(1.0, 1.0),
    ),
    Golden(
        "value takes the unrealized profit out and puts it back",
        (flat(2.3), flat(2.3), flat(0.3)),
        {0: (BUY, 3.0)},
        TWENTY,
        # 20 - 3 * 2.3 = 20 - 6.8999999999999995; worth 3 * 0.3 = 0.8999999999999999, profit
        # 3 * (0.3 - 2.3) = -5.999999999999999; taken out 6.899999999999999, back 0.8999999999999995;
        # cash + worth were 14.000000000000002
        (Fill(1, 0.0, 3.0, 2.3),),
        cash=(20.0, 13.100000000000001, 13.100000000000001),
        value=(20.0, 20.0, 14.0),
    ),
    Golden(
        "closing pays back the entry's value and the profit in one sum",
        (flat(0.4), flat(0.4), flat(0.7)),
        {0: (BUY, 3.0), 1: (CLOSE, 0.0)},
        TWENTY,
        # 3 * 0.4 = 1.2000000000000002; 3 * (0.7 - 0.4) = 0.8999999999999998; their sum is 2.1;
        # one after the other, or 3 * 0.7 at once, they would make 20.9
        (Fill(1, 0.0, 3.0, 0.4), Fill(2, -3.0, 0.0, 0.7)),
        cash=(20.0, 18.8, 20.900000000000002),
        value=(20.0, 20.0, 20.900000000000002),
        # a trade averages its first entry too: 1.2000000000000002 / 3 = 0.4000000000000001
        trades=((0.8999999999999997, 0.8999999999999997),),
    ),
    Golden(
        "a percent commission is units times fraction, then times price",
        (flat(0.7), flat(0.7)),
        {0: (BUY, 3.0)},
        Execution(cash=20.0, commission=0.1),
        # 3 * 0.1 = 0.30000000000000004, * 0.7 = 0.21000000000000002; 3 * 0.7 * 0.1 were ...0996
        # 20 - 2.0999999999999996 = 17.9, - 0.21000000000000002
        (Fill(1, 0.0, 3.0, 0.7, 0.0, 0.21000000000000002),),
        cash=(20.0, 17.689999999999998),
        value=(20.0, 19.79),
    ),
    Golden(
        "slippage is price times one and the fraction",
        (flat(0.9), (0.9, 2.0, 0.5, 0.9)),
        {0: (BUY, 1.0)},
        Execution(cash=20.0, slippage=0.1),
        # 0.9 * 1.1 = 0.9900000000000001; 0.9 + 0.9 * 0.1 were 0.99
        (Fill(1, 0.0, 1.0, 0.9900000000000001),),
        cash=(20.0, 19.01),
        value=(20.0, 19.91),
    ),
    Golden(
        "the average price is one sum divided once",
        (flat(0.1), flat(0.1), flat(0.6), flat(0.6)),
        {0: (BUY, 1.0), 1: (BUY, 2.0), 2: (CLOSE, 0.0)},
        TWENTY,
        # (0.1 + 1.2) / 3 = 0.43333333333333335, not ...3333; 3 * (0.6 - that) = 0.4999999999999999
        (Fill(1, 0.0, 1.0, 0.1), Fill(2, 0.0, 2.0, 0.6), Fill(3, -3.0, 0.0, 0.6)),
        # 20 - 0.1; - 1.2; + (3 * 0.43333333333333335 + 0.4999999999999999)
        cash=(20.0, 19.9, 18.7, 20.5),
        value=(20.0, 20.0, 20.5, 20.5),
        trades=((0.4999999999999999, 0.4999999999999999),),
    ),
    Golden(
        "whole units are counted by the floor of a division, which 0.1 fits into 1 only 9 times",
        (flat(0.1), flat(0.1)),
        {0: (TARGET_PERCENT, 1.0)},
        Execution(cash=1.0),
        # 0.1 is a little more than a tenth: 1.0 // 0.1 = 9.0, though 1.0 / 0.1 = 10.0
        (Fill(1, 0.0, 9.0, 0.1),),
        # 9 * 0.1 = 0.9; 1 - 0.9 = 0.09999999999999998
        cash=(1.0, 0.09999999999999998),
        value=(1.0, 1.0),
    ),
)

REST = (
    Golden(
        "a reversal whose parts fall short of its size leaves a rest, which sells on the next bar",
        (ONE, ONE, ONE, ONE, ONE),
        {0: (BUY, 0.2), 1: (SELL, 0.9)},
        Execution(cash=1.0),
        # opened 0.2 - 0.9 = -0.7, closed -0.2: together -0.8999999999999999; the order lives on
        # with -1.1102230246251565e-16
        (
            Fill(1, 0.0, 0.2, 1.0),
            Fill(2, -0.2, -0.7, 1.0),
            Fill(3, 0.0, -1.1102230246251565e-16, 1.0),
        ),
        # 1 - 0.2; + 0.2 + 0.7; 1.7 + 1.1102230246251565e-16 is a tie, rounded to 1.7000000000000002
        cash=(1.0, 0.8, 1.7, 1.7000000000000002, 1.7000000000000002),
        value=(1.0, 1.0, 1.0, 1.0, 1.0),
        trades=((0.0, 0.0),),
    ),
    Golden(
        "a reversal whose parts exceed its size leaves a rest that buys, by an order to sell",
        (ONE, ONE, ONE, ONE, ONE),
        {0: (BUY, 0.3), 1: (SELL, 0.9)},
        Execution(cash=1.0),
        # opened 0.3 - 0.9 = -0.6000000000000001, closed -0.3: together -0.9000000000000001;
        # 1.1102230246251565e-16 of the short is bought back
        (
            Fill(1, 0.0, 0.3, 1.0),
            Fill(2, -0.3, -0.6000000000000001, 1.0),
            Fill(3, 1.1102230246251565e-16, 0.0, 1.0),
        ),
        cash=(1.0, 0.7, 1.6, 1.6, 1.6),
        value=(1.0, 1.0, 1.0, 1.0, 1.0),
        trades=((0.0, 0.0),),
    ),
    Golden(
        "such a rest is slipped as its order is, downward",
        (ONE, ONE, ONE, (1.0, 2.0, 0.25, 1.0), (1.0, 2.0, 0.25, 1.0)),
        {0: (BUY, 0.3), 2: (SELL, 0.9)},
        Execution(cash=1.0, slippage=0.5),
        # a bar without range, then 1 * (1 - 0.5) = 0.5 for both parts, and for the rest that buys
        (
            Fill(1, 0.0, 0.3, 1.0),
            Fill(3, -0.3, -0.6000000000000001, 0.5),
            Fill(4, 1.1102230246251565e-16, 0.0, 0.5),
        ),
        # 0.7 + (0.3 - 0.15) = 0.85; + 0.30000000000000004 = 1.15; the rest is below its last bit
        cash=(1.0, 0.7, 0.7, 1.15, 1.15),
        # 1.15 - 0.6000000000000001; then 1.15 - 0.6
        value=(1.0, 1.0, 1.0, 0.5499999999999998, 0.5499999999999999),
        trades=((-0.15, -0.15),),
    ),
)
