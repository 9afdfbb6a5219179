"""Golden cases of orders: what intents become, how positions add up, the last bar."""

from __future__ import annotations

from whatif.domain import Execution
from whatif.strategies import BUY, CLOSE, SELL, TARGET, TARGET_PERCENT
from whatif.testing.golden.case import Fill, Golden, flat

HUNDRED = flat(100.0)
THIRTY = flat(30.0)
THOUSAND = Execution(cash=1000.0)

SIZES = (
    Golden(
        "what changes nothing places no order",
        (HUNDRED, HUNDRED, HUNDRED, HUNDRED, HUNDRED, HUNDRED, HUNDRED),
        {
            0: (CLOSE, 0.0),
            1: (BUY, 0.0),
            2: (SELL, 0.0),
            3: (TARGET, 0.0),
            4: (TARGET_PERCENT, 0.0),
            5: (TARGET_PERCENT, 0.09),
        },
        THOUSAND,
        # flat already; and 0.09 * 1000 buys no whole unit at 100
        (),
        cash=(1000.0,) * 7,
        value=(1000.0,) * 7,
    ),
    Golden(
        "a target is the difference, and a target of nothing closes",
        (HUNDRED, HUNDRED, HUNDRED, HUNDRED, HUNDRED, HUNDRED),
        {0: (TARGET, 2.0), 1: (TARGET, 5.5), 2: (TARGET, 5.5), 3: (TARGET, 1.0), 4: (TARGET, 0.0)},
        THOUSAND,
        (
            Fill(1, 0.0, 2.0, 100.0),
            Fill(2, 0.0, 3.5, 100.0),
            Fill(4, -4.5, 0.0, 100.0),
            Fill(5, -1.0, 0.0, 100.0),
        ),
        cash=(1000.0, 800.0, 450.0, 450.0, 900.0, 1000.0),
        value=(1000.0,) * 6,
        trades=((0.0, 0.0),),
    ),
    Golden(
        "a target while another order is on its way counts the position alone",
        (HUNDRED, HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 2.0), 1: (TARGET, 2.0), 2: (CLOSE, 0.0)},
        THOUSAND,
        # on bar 1 the buy has filled, so the target is reached
        (Fill(1, 0.0, 2.0, 100.0), Fill(3, -2.0, 0.0, 100.0)),
        cash=(1000.0, 800.0, 800.0, 1000.0),
        value=(1000.0,) * 4,
        trades=((0.0, 0.0),),
    ),
    Golden(
        "a share of the account is rounded down to whole units, both ways, and zero closes",
        (THIRTY, THIRTY, THIRTY, THIRTY, THIRTY),
        {0: (TARGET_PERCENT, 0.5), 1: (TARGET_PERCENT, 0.25), 3: (TARGET_PERCENT, 0.0)},
        THOUSAND,
        # 500 / 30 = 16.67; then 250 - 480 = -230, / 30 = 7.67; then all 9
        (Fill(1, 0.0, 16.0, 30.0), Fill(2, -7.0, 0.0, 30.0), Fill(4, -9.0, 0.0, 30.0)),
        cash=(1000.0, 520.0, 730.0, 730.0, 1000.0),
        value=(1000.0,) * 5,
        trades=((0.0, 0.0),),
    ),
    Golden(
        "a negative share goes short, and more of it shorter",
        (THIRTY, THIRTY, THIRTY),
        {0: (TARGET_PERCENT, -0.5), 1: (TARGET_PERCENT, -1.0)},
        THOUSAND,
        # -500 / 30 = -16.67; -1000 - (-480) = -520, / 30 = -17.33
        (Fill(1, 0.0, -16.0, 30.0), Fill(2, 0.0, -17.0, 30.0)),
        cash=(1000.0, 1480.0, 1990.0),
        value=(1000.0,) * 3,
    ),
    Golden(
        "a share is one of the account's value at the close",
        (HUNDRED, HUNDRED, flat(200.0), flat(200.0)),
        {0: (BUY, 5.0), 2: (TARGET_PERCENT, 1.0)},
        THOUSAND,
        # worth 500 + 1000 at 200; 1500 - 1000 = 500 buys 2
        (Fill(1, 0.0, 5.0, 100.0), Fill(3, 0.0, 2.0, 200.0)),
        cash=(1000.0, 500.0, 500.0, 100.0),
        value=(1000.0, 1000.0, 1500.0, 1500.0),
    ),
)

POSITIONS = (
    Golden(
        "adding averages the price, taking away keeps it",
        (HUNDRED, HUNDRED, flat(104.0), flat(110.0), flat(99.0), flat(99.0)),
        {0: (BUY, 1.0), 1: (BUY, 3.0), 2: (SELL, 2.0), 3: (CLOSE, 0.0)},
        THOUSAND,
        # (100 + 3 * 104) / 4 = 103; 2 * (110 - 103) = 14; 2 * (99 - 103) = -8
        (
            Fill(1, 0.0, 1.0, 100.0),
            Fill(2, 0.0, 3.0, 104.0),
            Fill(3, -2.0, 0.0, 110.0),
            Fill(4, -2.0, 0.0, 99.0),
        ),
        cash=(1000.0, 900.0, 588.0, 808.0, 1006.0, 1006.0),
        value=(1000.0, 1000.0, 1004.0, 1028.0, 1006.0, 1006.0),
        trades=((6.0, 6.0),),
    ),
    Golden(
        "the same with a short",
        (HUNDRED, HUNDRED, flat(104.0), flat(110.0), flat(99.0)),
        {0: (SELL, 1.0), 1: (SELL, 3.0), 2: (BUY, 2.0), 3: (CLOSE, 0.0)},
        THOUSAND,
        (
            Fill(1, 0.0, -1.0, 100.0),
            Fill(2, 0.0, -3.0, 104.0),
            Fill(3, 2.0, 0.0, 110.0),
            Fill(4, 2.0, 0.0, 99.0),
        ),
        # + 100; + 312; - 206 - 14; - 206 + 8
        cash=(1000.0, 1100.0, 1412.0, 1192.0, 994.0),
        value=(1000.0, 1000.0, 996.0, 972.0, 994.0),
        trades=((-6.0, -6.0),),
    ),
    Golden(
        "a reversal closes one trade and opens the next at its own price",
        (HUNDRED, HUNDRED, flat(110.0), flat(104.0)),
        {0: (BUY, 4.0), 1: (SELL, 6.0), 2: (BUY, 3.0)},
        THOUSAND,
        # 4 * 10 = 40; the short of 2 at 110 is bought back at 104: 12
        (Fill(1, 0.0, 4.0, 100.0), Fill(2, -4.0, -2.0, 110.0), Fill(3, 2.0, 1.0, 104.0)),
        # - 400; + 440 + 220; - 208 - 104
        cash=(1000.0, 600.0, 1260.0, 948.0),
        value=(1000.0, 1000.0, 1040.0, 1052.0),
        trades=((40.0, 40.0), (12.0, 12.0)),
    ),
)

THE_END = (
    Golden(
        "the order of the last bar is never filled",
        (HUNDRED, HUNDRED),
        {1: (BUY, 1.0)},
        THOUSAND,
        (),
        cash=(1000.0, 1000.0),
        value=(1000.0, 1000.0),
    ),
    Golden(
        "nor is it ever checked",
        (HUNDRED, HUNDRED),
        {1: (BUY, 1000.0)},
        THOUSAND,
        (),
        cash=(1000.0, 1000.0),
        value=(1000.0, 1000.0),
    ),
    Golden(
        "a position that is open at the end is marked, not closed",
        (HUNDRED, HUNDRED, flat(130.0)),
        {0: (BUY, 2.0), 2: (CLOSE, 0.0)},
        THOUSAND,
        (Fill(1, 0.0, 2.0, 100.0),),
        cash=(1000.0, 800.0, 800.0),
        value=(1000.0, 1000.0, 1060.0),
    ),
)
