"""Golden cases of futures, leverage and interest."""

from __future__ import annotations

from whatif.domain import Execution
from whatif.strategies import BUY, CLOSE, SELL, TARGET_PERCENT, sell
from whatif.testing.golden.case import Fill, Golden, bar, flat

HUNDRED = flat(100.0)
FUTURE = Execution(cash=1000.0, margin=200.0, mult=10.0)

FUTURES = (
    Golden(
        "a future ties up its margin and is settled at each close",
        (HUNDRED, bar(100.0, 105.0, 100.0, 104.0), bar(104.0, 104.0, 101.0, 101.0), flat(103.0)),
        {0: (BUY, 2.0), 2: (CLOSE, 0.0)},
        Execution(cash=1000.0, margin=200.0, mult=10.0, commission=1.5, commtype="fixed"),
        (Fill(1, 0.0, 2.0, 100.0, 0.0, 3.0), Fill(3, -2.0, 0.0, 103.0, 3.0, 0.0)),
        # 1000 - 2 * 200 - 3 + 2 * 4 * 10; less 2 * 3 * 10; with 2 * 200 - 3 + 2 * 2 * 10
        cash=(1000.0, 677.0, 617.0, 1054.0),
        # with 2 * 200 of margin
        value=(1000.0, 1077.0, 1017.0, 1054.0),
        # 2 * 3 * 10 less twice 3
        trades=((60.0, 54.0),),
    ),
    Golden(
        "adding to a future settles what was held at the price of the fill",
        (HUNDRED, flat(100.0), bar(102.0, 103.0, 102.0, 103.0)),
        {0: (BUY, 1.0), 1: (BUY, 2.0)},
        FUTURE,
        (Fill(1, 0.0, 1.0, 100.0), Fill(2, 0.0, 2.0, 102.0)),
        # 1000 - 200; less 400, with 1 * 2 * 10 and 3 * 1 * 10
        cash=(1000.0, 800.0, 450.0),
        value=(1000.0, 1000.0, 1050.0),
    ),
    Golden(
        "a short future ties up its margin too, and a reversal frees the one and ties up the other",
        (HUNDRED, flat(100.0), bar(98.0, 98.0, 97.0, 97.0)),
        {0: (SELL, 2.0), 1: (BUY, 3.0)},
        FUTURE,
        (Fill(1, 0.0, -2.0, 100.0), Fill(2, 2.0, 1.0, 98.0)),
        # 1000 - 400; with 400 and 2 * 2 * 10, less 200 and 1 * 1 * 10
        cash=(1000.0, 600.0, 830.0),
        value=(1000.0, 1000.0, 1030.0),
        trades=((40.0, 40.0),),
    ),
    Golden(
        "the check wants the margin, whatever the future is worth",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (SELL, 6.0), 1: (BUY, 5.0)},
        FUTURE,
        # 6 * 200 is more than 1000, and 5 * 200 is not
        (Fill(2, 0.0, 5.0, 100.0),),
        cash=(1000.0, 1000.0, 0.0),
        value=(1000.0, 1000.0, 1000.0),
        rejected=1,
    ),
    Golden(
        "a share of the account is one of margins",
        (HUNDRED, HUNDRED, HUNDRED),
        # half of 1000 pays for two margins of 200; a third of it for one, which is less than there is
        {0: (TARGET_PERCENT, 0.5), 1: (TARGET_PERCENT, 0.25)},
        FUTURE,
        (Fill(1, 0.0, 2.0, 100.0),),
        cash=(1000.0, 600.0, 600.0),
        value=(1000.0, 1000.0, 1000.0),
    ),
    Golden(
        "a short future is worth its margin, so that a negative share sells more of it",
        (HUNDRED, HUNDRED, HUNDRED),
        # 0 less -300 is one margin of 200; 200 less -300 is two
        {0: (TARGET_PERCENT, -0.3), 1: (TARGET_PERCENT, -0.3)},
        FUTURE,
        (Fill(1, 0.0, -1.0, 100.0), Fill(2, 0.0, -2.0, 100.0)),
        cash=(1000.0, 800.0, 400.0),
        value=(1000.0, 1000.0, 1000.0),
    ),
    Golden(
        "orders that wait are a future's as well",
        (HUNDRED, bar(100.0, 110.0, 100.0, 104.0), bar(104.0, 104.0, 90.0, 96.0)),
        {0: sell(1.0, limit=108.0), 1: sell(1.0, stop=98.0)},
        FUTURE,
        (Fill(1, 0.0, -1.0, 108.0), Fill(2, 0.0, -1.0, 98.0)),
        # 1000 - 200 and 4 * 10; less 200, with (104 - 98) * 10 for the first and 2 * 2 * 10
        cash=(1000.0, 840.0, 740.0),
        value=(1000.0, 1040.0, 1140.0),
    ),
)

LEVERAGE = (
    Golden(
        "with leverage a long position takes a part of its price, and all of its profit",
        (HUNDRED, HUNDRED, bar(100.0, 110.0, 100.0, 110.0), flat(105.0)),
        {0: (BUY, 30.0), 2: (CLOSE, 0.0)},
        Execution(cash=1000.0, leverage=4.0),
        (Fill(1, 0.0, 30.0, 100.0), Fill(3, -30.0, 0.0, 105.0)),
        # 1000 - 3000 / 4; with 3000 / 4 and 30 * 5
        cash=(1000.0, 250.0, 250.0, 1150.0),
        # 250 + (3300 - 300) / 4 + 300
        value=(1000.0, 1000.0, 1300.0, 1150.0),
        trades=((150.0, 150.0),),
    ),
    Golden(
        "a share of the account buys as many times as much",
        (HUNDRED, HUNDRED),
        # 550 pays for 5 at 100, and those are 20
        {0: (TARGET_PERCENT, 0.55)},
        Execution(cash=1000.0, leverage=4.0),
        (Fill(1, 0.0, 20.0, 100.0),),
        cash=(1000.0, 500.0),
        value=(1000.0, 1000.0),
    ),
    Golden(
        "a short raises all of its worth, leverage or not",
        (HUNDRED, HUNDRED, flat(90.0)),
        {0: (SELL, 10.0), 1: (CLOSE, 0.0)},
        Execution(cash=1000.0, leverage=4.0),
        (Fill(1, 0.0, -10.0, 100.0), Fill(2, 10.0, 0.0, 90.0)),
        # 1000 + 1000; less 1000, and with 10 * 10
        cash=(1000.0, 2000.0, 1100.0),
        value=(1000.0, 1000.0, 1100.0),
        trades=((100.0, 100.0),),
    ),
)

INTEREST = (
    Golden(
        "a short pays interest on its entry's value for each new day, and closing it tells how much",
        (HUNDRED, HUNDRED, flat(90.0), flat(90.0), flat(90.0), flat(90.0)),
        # two bars a day
        {0: (SELL, 1.0), 3: (CLOSE, 0.0)},
        Execution(cash=1000.0, interest=7.3),
        # 7.3 / 365 is 0.02: 2 on bar 2, and 2 on bar 4 before it is closed
        (Fill(1, 0.0, -1.0, 100.0), Fill(4, 1.0, 0.0, 90.0, 4.0, 0.0)),
        # 1000 + 100; less 2; less 2 and 100, with 10
        cash=(1000.0, 1100.0, 1098.0, 1098.0, 1006.0, 1006.0),
        value=(1000.0, 1000.0, 1008.0, 1008.0, 1006.0, 1006.0),
        trades=((10.0, 6.0),),
        session_bars=2,
    ),
    Golden(
        "a long position pays none",
        (HUNDRED, HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 1.0)},
        Execution(cash=1000.0, interest=7.3),
        (Fill(1, 0.0, 1.0, 100.0),),
        cash=(1000.0, 900.0, 900.0, 900.0),
        value=(1000.0, 1000.0, 1000.0, 1000.0),
        session_bars=1,
    ),
    Golden(
        "unless it is to, and what is closed in part is charged all that there was",
        (HUNDRED, HUNDRED, HUNDRED, HUNDRED),
        {0: (BUY, 2.0), 1: (SELL, 1.0), 2: (SELL, 1.0)},
        Execution(cash=1000.0, interest=7.3, interest_long=True),
        # 4 on the bar after the purchase, and 2 on the next for what is left
        (Fill(1, 0.0, 2.0, 100.0), Fill(2, -1.0, 0.0, 100.0, 4.0, 0.0), Fill(3, -1.0, 0.0, 100.0, 2.0, 0.0)),
        cash=(1000.0, 800.0, 896.0, 994.0),
        value=(1000.0, 1000.0, 996.0, 994.0),
        trades=((0.0, -6.0),),
        session_bars=1,
    ),
    Golden(
        "interest is paid after the check at submission and before the fills",
        (HUNDRED, HUNDRED, HUNDRED, HUNDRED),
        # 200 less 100 pays for one more by the check; the 2 of interest are missing when it is filled
        {0: (BUY, 1.0), 1: (BUY, 1.0)},
        Execution(cash=200.0, interest=7.3, interest_long=True),
        (Fill(1, 0.0, 1.0, 100.0),),
        cash=(200.0, 100.0, 98.0, 96.0),
        value=(200.0, 200.0, 198.0, 196.0),
        rejected=1,
        session_bars=1,
    ),
)
