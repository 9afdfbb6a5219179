"""Golden cases of a market order's price: open or earlier close, slippage, and prices outside the bar."""

from __future__ import annotations

from dataclasses import replace

from whatif.domain import Execution
from whatif.strategies import BUY, SELL, TARGET
from whatif.testing.golden.case import Fill, Golden, bar, flat

HUNDRED = flat(100.0)
WIDE = bar(100.0, 110.0, 90.0, 100.0)
NARROW = bar(100.0, 105.0, 95.0, 100.0)
SLIP = Execution(cash=1000.0, slippage=0.0625)
"""A sixteenth: 100 becomes 106.25 for a buy and 93.75 for a sale."""
WAIT = replace(SLIP, slip_match=False)

SWITCHES = (
    Golden(
        "slippage within the bar moves the price against the order",
        (HUNDRED, WIDE, WIDE),
        {0: (BUY, 1.0), 1: (SELL, 2.0)},
        SLIP,
        # 1000 - 106.25; + 93.75 to close, + 93.75 to open
        (Fill(1, 0.0, 1.0, 106.25), Fill(2, -1.0, -1.0, 93.75)),
        cash=(1000.0, 893.75, 1081.25),
        value=(1000.0, 993.75, 981.25),
        trades=((-12.5, -12.5),),
    ),
    Golden(
        "slippage in money",
        (HUNDRED, WIDE, WIDE),
        {0: (BUY, 1.0), 1: (SELL, 2.0)},
        Execution(cash=1000.0, slippage_fixed=3.5),
        (Fill(1, 0.0, 1.0, 103.5), Fill(2, -1.0, -1.0, 96.5)),
        cash=(1000.0, 896.5, 1089.5),
        value=(1000.0, 996.5, 989.5),
        trades=((-7.0, -7.0),),
    ),
    Golden(
        "slippage beyond the bar ends at its high and low",
        (HUNDRED, NARROW, NARROW),
        {0: (BUY, 1.0), 1: (SELL, 2.0)},
        SLIP,
        (Fill(1, 0.0, 1.0, 105.0), Fill(2, -1.0, -1.0, 95.0)),
        cash=(1000.0, 895.0, 1085.0),
        value=(1000.0, 995.0, 985.0),
        trades=((-10.0, -10.0),),
    ),
    Golden(
        "slip_out lets the price leave the bar",
        (HUNDRED, NARROW, NARROW),
        {0: (BUY, 1.0), 1: (SELL, 2.0)},
        replace(SLIP, slip_out=True),
        (Fill(1, 0.0, 1.0, 106.25), Fill(2, -1.0, -1.0, 93.75)),
        cash=(1000.0, 893.75, 1081.25),
        value=(1000.0, 993.75, 981.25),
        trades=((-12.5, -12.5),),
    ),
    Golden(
        "without slip_open a market order is not slipped",
        (HUNDRED, WIDE, NARROW),
        {0: (BUY, 1.0), 1: (SELL, 2.0)},
        replace(SLIP, slip_open=False),
        (Fill(1, 0.0, 1.0, 100.0), Fill(2, -1.0, -1.0, 100.0)),
        cash=(1000.0, 900.0, 1100.0),
        value=(1000.0, 1000.0, 1000.0),
        trades=((0.0, 0.0),),
    ),
    Golden(
        "on a bar without range nothing can slip",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 1.0)},
        SLIP,
        (Fill(1, 0.0, 1.0, 100.0),),
        cash=(1000.0, 900.0, 900.0),
        value=(1000.0, 1000.0, 1000.0),
    ),
    Golden(
        "a sale can slip to a price below zero",
        (flat(5.0), flat(5.0)),
        {0: (SELL, 1.0)},
        Execution(cash=100.0, slippage_fixed=10.0, slip_out=True),
        # 5 - 10; the seller pays: 100 - (-1 * -5); value 95 - 1 * 5; no commission of -5 is -0
        (Fill(1, 0.0, -1.0, -5.0, 0.0, -0.0),),
        cash=(100.0, 95.0),
        value=(100.0, 90.0),
    ),
)

WAITING = (
    Golden(
        "without slip_match an order waits for a bar that is wide enough",
        (HUNDRED, NARROW, bar(104.0, 104.0, 90.0, 100.0), bar(96.0, 110.0, 96.0, 100.0), WIDE),
        {0: (BUY, 1.0)},
        WAIT,
        # 106.25 > 105; 110.5 > 104; 96 * 1.0625 = 102 <= 110
        (Fill(3, 0.0, 1.0, 102.0),),
        cash=(1000.0, 1000.0, 1000.0, 898.0, 898.0),
        value=(1000.0, 1000.0, 1000.0, 998.0, 998.0),
    ),
    Golden(
        "a price on the bar's edge is within it",
        (HUNDRED, bar(100.0, 106.25, 100.0, 100.0), bar(100.0, 100.0, 93.75, 100.0)),
        {0: (BUY, 1.0), 1: (SELL, 1.0)},
        WAIT,
        (Fill(1, 0.0, 1.0, 106.25), Fill(2, -1.0, 0.0, 93.75)),
        cash=(1000.0, 893.75, 987.5),
        value=(1000.0, 993.75, 987.5),
        trades=((-12.5, -12.5),),
    ),
    Golden(
        "slip_out does not help an order that waits",
        (HUNDRED, NARROW, WIDE),
        {0: (BUY, 1.0)},
        replace(WAIT, slip_out=True),
        (Fill(2, 0.0, 1.0, 106.25),),
        cash=(1000.0, 1000.0, 893.75),
        value=(1000.0, 1000.0, 993.75),
    ),
    Golden(
        "slip_limit concerns limit orders only",
        (HUNDRED, NARROW, WIDE),
        {0: (SELL, 1.0)},
        replace(WAIT, slip_limit=False),
        (Fill(2, 0.0, -1.0, 93.75),),
        cash=(1000.0, 1000.0, 1093.75),
        value=(1000.0, 1000.0, 993.75),
    ),
    Golden(
        "waiting orders fill in the order in which they came",
        (HUNDRED, HUNDRED, HUNDRED, WIDE),
        {0: (BUY, 1.0), 1: (SELL, 3.0)},
        WAIT,
        # 1000 - 106.25; + 93.75 (1 closed), + 187.5 (2 opened)
        (Fill(3, 0.0, 1.0, 106.25), Fill(3, -1.0, -2.0, 93.75)),
        cash=(1000.0, 1000.0, 1000.0, 1175.0),
        value=(1000.0, 1000.0, 1000.0, 975.0),
        trades=((-12.5, -12.5),),
    ),
    Golden(
        "a buy may wait while a later sale fills",
        (HUNDRED, HUNDRED, bar(100.0, 100.0, 90.0, 100.0), WIDE),
        {0: (BUY, 1.0), 1: (SELL, 3.0)},
        WAIT,
        # the sale at 93.75 needs only the low; then 1 of the 3 is bought back at 106.25
        (Fill(2, 0.0, -3.0, 93.75), Fill(3, 1.0, 0.0, 106.25)),
        # 1000 + 281.25; - 93.75 - 12.5
        cash=(1000.0, 1000.0, 1281.25, 1175.0),
        value=(1000.0, 1000.0, 981.25, 975.0),
    ),
    Golden(
        "orders that wait are not counted by a target",
        (HUNDRED, HUNDRED, WIDE, WIDE),
        {0: (TARGET, 2.0), 1: (TARGET, 2.0)},
        WAIT,
        # flat on both bars, so each asks for 2
        (Fill(2, 0.0, 2.0, 106.25), Fill(2, 0.0, 2.0, 106.25)),
        cash=(1000.0, 1000.0, 575.0, 575.0),
        value=(1000.0, 1000.0, 975.0, 975.0),
    ),
    Golden(
        "orders that wait are not counted by the check, but pay when they fill",
        (HUNDRED, HUNDRED, WIDE, WIDE),
        {0: (BUY, 8.0), 1: (BUY, 8.0)},
        WAIT,
        # each is checked against 1000; the first takes 850, the second finds 150
        (Fill(2, 0.0, 8.0, 106.25),),
        cash=(1000.0, 1000.0, 150.0, 150.0),
        value=(1000.0, 1000.0, 950.0, 950.0),
        rejected=1,
    ),
    Golden(
        "an order that waits is not checked again until it fills",
        (HUNDRED, HUNDRED, bar(200.0, 300.0, 190.0, 200.0), flat(200.0)),
        {0: (BUY, 10.0)},
        WAIT,
        # 1000 - 10 * 212.5 < 0
        (),
        cash=(1000.0, 1000.0, 1000.0, 1000.0),
        value=(1000.0, 1000.0, 1000.0, 1000.0),
        rejected=1,
    ),
    Golden(
        "an order that waits to the end is neither filled nor refused",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 1.0)},
        WAIT,
        (),
        cash=(1000.0, 1000.0, 1000.0),
        value=(1000.0, 1000.0, 1000.0),
    ),
)

ON_CLOSE = Execution(cash=1000.0, coc=True)

CHEAT_ON_CLOSE = (
    Golden(
        "cheating on the close fills at the close of the bar before, one bar later",
        (HUNDRED, flat(120.0), flat(120.0)),
        {0: (BUY, 5.0)},
        ON_CLOSE,
        # 100 lies outside bar 1; the account changes on bar 1: 1000 - 500, worth 5 * 120
        (Fill(1, 0.0, 5.0, 100.0),),
        cash=(1000.0, 500.0, 500.0),
        value=(1000.0, 1100.0, 1100.0),
    ),
    Golden(
        "cheating on the close, all-in is never surprised by a gap",
        (HUNDRED, flat(120.0), flat(120.0)),
        {0: (BUY, 10.0)},
        ON_CLOSE,
        (Fill(1, 0.0, 10.0, 100.0),),
        cash=(1000.0, 0.0, 0.0),
        value=(1000.0, 1200.0, 1200.0),
    ),
    Golden(
        "cheating on the close, slippage ends at the next bar's high",
        (HUNDRED, bar(90.0, 104.0, 90.0, 100.0), HUNDRED),
        {0: (BUY, 1.0)},
        replace(SLIP, coc=True),
        # 106.25 > 104
        (Fill(1, 0.0, 1.0, 104.0),),
        cash=(1000.0, 896.0, 896.0),
        value=(1000.0, 996.0, 996.0),
    ),
    Golden(
        "cheating on the close, the cap may even be better than the close",
        (HUNDRED, bar(90.0, 95.0, 85.0, 90.0), bar(120.0, 125.0, 110.0, 120.0)),
        {0: (BUY, 1.0), 1: (SELL, 1.0)},
        replace(SLIP, coc=True),
        # 106.25 > 95; then 90 * 0.9375 = 84.375 < 110
        (Fill(1, 0.0, 1.0, 95.0), Fill(2, -1.0, 0.0, 110.0)),
        cash=(1000.0, 905.0, 1015.0),
        value=(1000.0, 995.0, 1015.0),
        trades=((15.0, 15.0),),
    ),
    Golden(
        "cheating on the close, an order that waits keeps its price",
        (HUNDRED, NARROW, bar(50.0, 110.0, 50.0, 100.0)),
        {0: (BUY, 1.0)},
        replace(WAIT, coc=True),
        # 106.25 > 105; on bar 2 still from bar 0's close: 106.25 <= 110
        (Fill(2, 0.0, 1.0, 106.25),),
        cash=(1000.0, 1000.0, 893.75),
        value=(1000.0, 1000.0, 993.75),
    ),
    Golden(
        "an order that was checked may wait for more cash than there is",
        (HUNDRED, flat(40.0), bar(40.0, 45.0, 40.0, 40.0), flat(40.0), flat(40.0)),
        {0: (BUY, 9.0), 1: (BUY, 14.0)},
        replace(WAIT, coc=True),
        # 106.25 is out of reach; 42.5 is not: 1000 - 14 * 42.5; the 900 of the first are not asked again
        (Fill(2, 0.0, 14.0, 42.5),),
        cash=(1000.0, 1000.0, 405.0, 405.0, 405.0),
        value=(1000.0, 1000.0, 965.0, 965.0, 965.0),
    ),
    Golden(
        "cheating on the close, the order of the last bar is lost",
        (HUNDRED, HUNDRED),
        {1: (BUY, 1.0)},
        ON_CLOSE,
        (),
        cash=(1000.0, 1000.0),
        value=(1000.0, 1000.0),
    ),
)
