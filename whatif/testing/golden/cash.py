"""Golden cases of cash: the check at submission, the check at execution, shorts, commission."""

from __future__ import annotations

from whatif.domain import Execution
from whatif.strategies import BUY, CLOSE, SELL, TARGET, buy
from whatif.testing.golden.case import Fill, Golden, bar, flat

HUNDRED = flat(100.0)
THOUSAND = Execution(cash=1000.0)

AT_SUBMISSION = (
    Golden(
        "an order that costs more than there is, is rejected",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 11.0)},
        THOUSAND,
        # 1000 - 11 * 100 = -100 < 0
        (),
        cash=(1000.0, 1000.0, 1000.0),
        value=(1000.0, 1000.0, 1000.0),
        rejected=1,
    ),
    Golden(
        "an order that leaves exactly nothing passes",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 10.0)},
        THOUSAND,
        # 1000 - 10 * 100 = 0 is not below 0
        (Fill(1, 0.0, 10.0, 100.0),),
        cash=(1000.0, 0.0, 0.0),
        value=(1000.0, 1000.0, 1000.0),
    ),
    Golden(
        "commission counts in the check",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 10.0)},
        Execution(cash=1000.0, commission=0.125, commtype="fixed"),
        # 1000 - 1000 - 10 * 0.125 = -1.25 < 0
        (),
        cash=(1000.0, 1000.0, 1000.0),
        value=(1000.0, 1000.0, 1000.0),
        rejected=1,
    ),
    Golden(
        "cash that covers the commission to the cent passes",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 10.0)},
        Execution(cash=1001.25, commission=0.125, commtype="fixed"),
        (Fill(1, 0.0, 10.0, 100.0, 0.0, 1.25),),
        cash=(1001.25, 0.0, 0.0),
        value=(1001.25, 1000.0, 1000.0),
    ),
    Golden(
        "the check takes the close before, so a bar that opens lower does not help",
        (HUNDRED, flat(90.0), flat(90.0)),
        {0: (BUY, 11.0)},
        THOUSAND,
        # checked at 100: 1000 - 1100 < 0, though 11 * 90 = 990 could be paid
        (),
        cash=(1000.0, 1000.0, 1000.0),
        value=(1000.0, 1000.0, 1000.0),
        rejected=1,
    ),
    Golden(
        "without a check at submission the same order fills",
        (HUNDRED, flat(90.0), flat(90.0)),
        {0: (BUY, 11.0)},
        Execution(cash=1000.0, checksubmit=False),
        (Fill(1, 0.0, 11.0, 90.0),),
        # 1000 - 990
        cash=(1000.0, 10.0, 10.0),
        value=(1000.0, 1000.0, 1000.0),
    ),
    Golden(
        "a short that ran away cannot be bought back",
        (HUNDRED, HUNDRED, flat(300.0), flat(300.0)),
        {0: (SELL, 10.0), 2: (CLOSE, 0.0)},
        THOUSAND,
        # sold at 100: 1000 + 1000; buying back is checked at 300: 2000 - 3000 < 0
        (Fill(1, 0.0, -10.0, 100.0),),
        cash=(1000.0, 2000.0, 2000.0, 2000.0),
        # 2000 - 10 * 300; nothing is liquidated
        value=(1000.0, 1000.0, -1000.0, -1000.0),
        rejected=1,
    ),
    Golden(
        "after a rejection the next order is judged afresh",
        (HUNDRED, HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 20.0), 1: (BUY, 1.0)},
        THOUSAND,
        (Fill(2, 0.0, 1.0, 100.0),),
        cash=(1000.0, 1000.0, 900.0, 900.0),
        value=(1000.0, 1000.0, 1000.0, 1000.0),
        rejected=1,
    ),
)

AT_THE_OPEN = (
    Golden(
        "cheating on the open checks an order at the market by the open that it fills at",
        (HUNDRED, flat(90.0), flat(90.0)),
        {0: (BUY, 11.0)},
        Execution(cash=1000.0, coo=True),
        # 11 * 90 = 990
        (Fill(1, 0.0, 11.0, 90.0),),
        cash=(1000.0, 10.0, 10.0),
        value=(1000.0, 1000.0, 1000.0),
    ),
    Golden(
        "and refuses what that open has made too dear",
        (HUNDRED, flat(110.0), flat(110.0)),
        {0: (BUY, 10.0)},
        Execution(cash=1000.0, coo=True),
        (),
        cash=(1000.0,) * 3,
        value=(1000.0,) * 3,
        rejected=1,
    ),
    Golden(
        "but checks one that waits for a price by its price",
        (HUNDRED, bar(90.0, 100.0, 90.0, 90.0)),
        {0: (buy(11.0, limit=95.0), buy(10.0, limit=80.0))},
        Execution(cash=1000.0, coo=True),
        # 11 * 95 is more than there is
        (),
        cash=(1000.0,) * 2,
        value=(1000.0,) * 2,
        rejected=2,
    ),
)

AT_EXECUTION = (
    Golden(
        "an all-in buy that gaps up is rejected whole",
        (HUNDRED, flat(101.0), flat(101.0)),
        {0: (BUY, 10.0)},
        THOUSAND,
        # checked at 100: 0 left; executed at 101: 1000 - 1010 < 0, and no smaller size is tried
        (),
        cash=(1000.0, 1000.0, 1000.0),
        value=(1000.0, 1000.0, 1000.0),
        rejected=1,
    ),
    Golden(
        "without a check at submission an order too large is refused at execution",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 11.0)},
        Execution(cash=1000.0, checksubmit=False),
        (),
        cash=(1000.0, 1000.0, 1000.0),
        value=(1000.0, 1000.0, 1000.0),
        rejected=1,
    ),
    Golden(
        "a reversal that can close but not open",
        (HUNDRED, HUNDRED, flat(110.0), flat(110.0)),
        {0: (TARGET, -10.0), 1: (TARGET, 10.0)},
        THOUSAND,
        # checked at 100: 2000 - 1000 - 1000 = 0; executed at 110: closing costs 10 * 110, 900 are left,
        # and opening would cost 1100: the order is filled in part, then refused
        (Fill(1, 0.0, -10.0, 100.0), Fill(2, 10.0, 0.0, 110.0)),
        cash=(1000.0, 2000.0, 900.0, 900.0),
        value=(1000.0, 1000.0, 900.0, 900.0),
        rejected=1,
        trades=((-100.0, -100.0),),
    ),
    Golden(
        "closing always happens, whatever it costs",
        (HUNDRED, bar(100.0, 200.0, 100.0, 200.0), flat(250.0), flat(250.0), flat(250.0)),
        {0: (SELL, 10.0), 1: (CLOSE, 0.0), 2: (BUY, 1.0), 3: (SELL, 1.0)},
        THOUSAND,
        # checked at 200: 2000 - 2000 = 0; bought back at 250: 2000 - 1000 - 1500 = -500;
        # then a buy is refused, -500 - 250 < 0, and so is the short: -500 + 250 < 0
        (Fill(1, 0.0, -10.0, 100.0), Fill(2, 10.0, 0.0, 250.0)),
        cash=(1000.0, 2000.0, -500.0, -500.0, -500.0),
        value=(1000.0, 0.0, -500.0, -500.0, -500.0),
        rejected=2,
        trades=((-1500.0, -1500.0),),
    ),
    Golden(
        "a gap down leaves more cash",
        (HUNDRED, bar(99.0, 100.0, 99.0, 100.0), HUNDRED),
        {0: (BUY, 10.0)},
        THOUSAND,
        (Fill(1, 0.0, 10.0, 99.0),),
        cash=(1000.0, 10.0, 10.0),
        value=(1000.0, 1010.0, 1010.0),
    ),
)

NO_SHORT_CASH = Execution(cash=1500.0, shortcash=False)

SHORTS = (
    Golden(
        "a short raises cash and needs none, of any size",
        (HUNDRED, HUNDRED, flat(200.0)),
        {0: (SELL, 1000.0)},
        THOUSAND,
        (Fill(1, 0.0, -1000.0, 100.0),),
        cash=(1000.0, 101_000.0, 101_000.0),
        # 101000 - 1000 * 100, and - 1000 * 200
        value=(1000.0, 1000.0, -99_000.0),
    ),
    Golden(
        "without shortcash a short costs its value and gives it back",
        (HUNDRED, HUNDRED, flat(90.0), flat(90.0)),
        {0: (SELL, 10.0), 2: (CLOSE, 0.0)},
        NO_SHORT_CASH,
        # 1500 - 10 * 100; at 90 the short is worth 1000 + 100; closed: 500 + 1000 + 100
        (Fill(1, 0.0, -10.0, 100.0), Fill(3, 10.0, 0.0, 90.0)),
        cash=(1500.0, 500.0, 500.0, 1600.0),
        value=(1500.0, 1500.0, 1600.0, 1600.0),
        trades=((100.0, 100.0),),
    ),
    Golden(
        "without shortcash a short can be too large",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (SELL, 16.0)},
        NO_SHORT_CASH,
        # 1500 - 1600 < 0
        (),
        cash=(1500.0, 1500.0, 1500.0),
        value=(1500.0, 1500.0, 1500.0),
        rejected=1,
    ),
    Golden(
        "without shortcash the value of a lost short is counted without its sign",
        (HUNDRED, HUNDRED, flat(250.0)),
        {0: (SELL, 10.0)},
        NO_SHORT_CASH,
        # worth -10 * 100 - 10 * (100 - 250) = 500, taken as it is: 500 + 500
        (Fill(1, 0.0, -10.0, 100.0),),
        cash=(1500.0, 500.0, 500.0),
        value=(1500.0, 1500.0, 1000.0),
    ),
    Golden(
        "without shortcash a reversal pays for both its parts",
        (HUNDRED, HUNDRED, HUNDRED, HUNDRED),
        {0: (TARGET, 10.0), 1: (TARGET, -10.0)},
        NO_SHORT_CASH,
        # 1500 - 1000; back 1000, and 1000 again for the short
        (Fill(1, 0.0, 10.0, 100.0), Fill(2, -10.0, -10.0, 100.0)),
        cash=(1500.0, 500.0, 500.0, 500.0),
        value=(1500.0, 1500.0, 1500.0, 1500.0),
        trades=((0.0, 0.0),),
    ),
)

COMMISSION = (
    Golden(
        "a fixed commission is paid for each unit",
        (flat(50.0), flat(50.0), flat(60.0)),
        {0: (BUY, 10.0), 1: (CLOSE, 0.0)},
        Execution(cash=1000.0, commission=0.5, commtype="fixed"),
        # 1000 - 500 - 5; + 500 + 100 - 5
        (Fill(1, 0.0, 10.0, 50.0, 0.0, 5.0), Fill(2, -10.0, 0.0, 60.0, 5.0, 0.0)),
        cash=(1000.0, 495.0, 1090.0),
        value=(1000.0, 995.0, 1090.0),
        trades=((100.0, 90.0),),
    ),
    Golden(
        "a percent commission is paid on the value, of each part of a reversal",
        (flat(64.0), flat(64.0), flat(128.0)),
        {0: (BUY, 10.0), 1: (TARGET, -4.0)},
        Execution(cash=1000.0, commission=2.0**-7),
        # 640 / 128 = 5; then 1280 / 128 = 10 to close and 512 / 128 = 4 to open
        # 1000 - 640 - 5; + 640 + 640 - 10; + 512 - 4
        (Fill(1, 0.0, 10.0, 64.0, 0.0, 5.0), Fill(2, -10.0, -4.0, 128.0, 10.0, 4.0)),
        cash=(1000.0, 355.0, 2133.0),
        value=(1000.0, 995.0, 1621.0),
        trades=((640.0, 625.0),),
    ),
)

TWO_SYMBOLS = (
    Golden(
        "an oversized order takes the small one after it down",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 20.0)},
        THOUSAND,
        # 1000 - 2000 = -1000 is refused and stays: -1000 - 100 < 0
        (),
        cash=(1000.0, 1000.0, 1000.0),
        value=(1000.0, 1000.0, 1000.0),
        rejected=2,
        other_prices=(HUNDRED, HUNDRED, HUNDRED),
        other_intents={0: (BUY, 1.0)},
    ),
    Golden(
        "a small order before an oversized one passes",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 1.0)},
        THOUSAND,
        (Fill(1, 0.0, 1.0, 100.0),),
        cash=(1000.0, 900.0, 900.0),
        value=(1000.0, 1000.0, 1000.0),
        rejected=1,
        other_prices=(HUNDRED, HUNDRED, HUNDRED),
        other_intents={0: (BUY, 20.0)},
    ),
    Golden(
        "without a check at submission both are judged at execution, each alone",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 20.0)},
        Execution(cash=1000.0, checksubmit=False),
        (Fill(1, 0.0, 1.0, 100.0, symbol=1),),
        cash=(1000.0, 900.0, 900.0),
        value=(1000.0, 1000.0, 1000.0),
        rejected=1,
        other_prices=(HUNDRED, HUNDRED, HUNDRED),
        other_intents={0: (BUY, 1.0)},
    ),
    Golden(
        "what a sale will bring counts for the orders after it",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 10.0), 1: (CLOSE, 0.0)},
        THOUSAND,
        # 0 + 1000 - 1000 = 0
        (Fill(1, 0.0, 10.0, 100.0), Fill(2, -10.0, 0.0, 100.0), Fill(2, 0.0, 10.0, 100.0, symbol=1)),
        cash=(1000.0, 0.0, 0.0),
        value=(1000.0, 1000.0, 1000.0),
        trades=((0.0, 0.0),),
        other_prices=(HUNDRED, HUNDRED, HUNDRED),
        other_intents={1: (BUY, 10.0)},
    ),
    Golden(
        "what a sale will bring does not count for the orders before it",
        (HUNDRED, HUNDRED, HUNDRED),
        {1: (BUY, 10.0)},
        THOUSAND,
        # 0 - 1000 < 0 is refused; then -1000 + 1000 = 0 passes
        (Fill(1, 0.0, 10.0, 100.0, symbol=1), Fill(2, -10.0, 0.0, 100.0, symbol=1)),
        cash=(1000.0, 0.0, 1000.0),
        value=(1000.0, 1000.0, 1000.0),
        rejected=1,
        trades=((0.0, 0.0),),
        other_prices=(HUNDRED, HUNDRED, HUNDRED),
        other_intents={0: (BUY, 10.0), 1: (CLOSE, 0.0)},
    ),
)
