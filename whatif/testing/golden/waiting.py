"""Golden cases of orders that wait: limits, stops, trails, brackets, groups, validity, session's close."""

from __future__ import annotations

from whatif.domain import Execution
from whatif.strategies import SESSION, bracket, buy, cancel, oco, sell
from whatif.testing.golden.case import Fill, Golden, bar, flat

HUNDRED = flat(100.0)
THOUSAND = Execution(cash=1000.0)

LIMITS = (
    Golden(
        "a limit that the bar just touches fills",
        (HUNDRED, bar(100.0, 102.0, 98.0, 100.0), HUNDRED),
        {0: (buy(1.0, limit=98.0), sell(1.0, limit=102.0))},
        THOUSAND,
        (Fill(1, 0.0, 1.0, 98.0), Fill(1, -1.0, 0.0, 102.0)),
        cash=(1000.0, 1004.0, 1004.0),
        value=(1000.0, 1004.0, 1004.0),
        trades=((4.0, 4.0),),
    ),
    Golden(
        "a sell limit that the second bar just touches fills there",
        (HUNDRED, HUNDRED, bar(100.0, 105.0, 100.0, 100.0)),
        {0: sell(1.0, limit=105.0)},
        THOUSAND,
        (Fill(2, 0.0, -1.0, 105.0),),
        cash=(1000.0, 1000.0, 1105.0),
        value=(1000.0, 1000.0, 1005.0),
    ),
    Golden(
        "a limit at the open fills there",
        (HUNDRED, bar(100.0, 102.0, 100.0, 102.0), HUNDRED),
        {0: (buy(1.0, limit=100.0), sell(1.0, limit=100.0))},
        # the open slips by a tenth, and is brought back to the limit
        Execution(cash=1000.0, slippage=0.1),
        (Fill(1, 0.0, 1.0, 100.0), Fill(1, -1.0, 0.0, 100.0)),
        cash=(1000.0, 1000.0, 1000.0),
        value=(1000.0, 1000.0, 1000.0),
        trades=((0.0, 0.0),),
    ),
    Golden(
        "a limit inside the bar fills at the limit, one that the bar opens beyond at the open",
        (HUNDRED, bar(100.0, 101.0, 98.0, 99.0), bar(96.0, 97.0, 95.0, 97.0)),
        {0: (buy(2.0, limit=99.0), buy(1.0, limit=97.5))},
        THOUSAND,
        (Fill(1, 0.0, 2.0, 99.0), Fill(2, 0.0, 1.0, 96.0)),
        # 1000 - 2 * 99; less 96
        cash=(1000.0, 802.0, 706.0),
        # 802 + 2 * 99; 706 + 3 * 97
        value=(1000.0, 1000.0, 997.0),
    ),
    Golden(
        "a sell limit that fills at the open slips down to its limit, below the bar's low",
        (HUNDRED, bar(100.0, 101.0, 99.5, 100.0)),
        {0: sell(1.0, limit=90.0)},
        # 100 less a fifth is 80, beyond the limit
        Execution(cash=1000.0, slippage=0.2),
        (Fill(1, 0.0, -1.0, 90.0),),
        cash=(1000.0, 1090.0),
        value=(1000.0, 990.0),
    ),
    Golden(
        "a limit that is valid for one bar is not tried on the second",
        (HUNDRED, bar(100.0, 100.0, 95.0, 100.0), bar(100.0, 100.0, 89.0, 100.0)),
        {0: buy(1.0, limit=90.0, valid=1)},
        THOUSAND,
        (),
        cash=(1000.0,) * 3,
        value=(1000.0,) * 3,
    ),
    Golden(
        "one that is valid for two is",
        (HUNDRED, bar(100.0, 100.0, 95.0, 100.0), bar(100.0, 100.0, 89.0, 100.0)),
        {0: buy(1.0, limit=90.0, valid=2)},
        THOUSAND,
        (Fill(2, 0.0, 1.0, 90.0),),
        cash=(1000.0, 1000.0, 910.0),
        value=(1000.0, 1000.0, 1010.0),
    ),
    Golden(
        "one that is valid for the session is not tried on the next",
        (HUNDRED, HUNDRED, bar(100.0, 100.0, 89.0, 100.0), bar(100.0, 100.0, 89.0, 100.0)),
        {0: buy(1.0, limit=90.0, valid=SESSION), 1: buy(1.0, limit=95.0)},
        THOUSAND,
        (Fill(2, 0.0, 1.0, 95.0),),
        cash=(1000.0, 1000.0, 905.0, 905.0),
        value=(1000.0, 1000.0, 1005.0, 1005.0),
        session_bars=2,
    ),
)

STOPS = (
    Golden(
        "a stop that the bar just touches fills",
        (HUNDRED, bar(100.0, 102.0, 98.0, 100.0), HUNDRED),
        {0: (buy(1.0, stop=102.0), sell(1.0, stop=98.0))},
        THOUSAND,
        (Fill(1, 0.0, 1.0, 102.0), Fill(1, -1.0, 0.0, 98.0)),
        cash=(1000.0, 996.0, 996.0),
        value=(1000.0, 996.0, 996.0),
        trades=((-4.0, -4.0),),
    ),
    Golden(
        "a stop at the open is passed there, and does not slip where opens do not",
        (HUNDRED, bar(100.0, 102.0, 98.0, 100.0), HUNDRED),
        {0: (buy(1.0, stop=100.0), sell(1.0, stop=100.0))},
        Execution(cash=1000.0, slippage=0.01, slip_open=False),
        (Fill(1, 0.0, 1.0, 100.0), Fill(1, -1.0, 0.0, 100.0)),
        cash=(1000.0, 1000.0, 1000.0),
        value=(1000.0, 1000.0, 1000.0),
        trades=((0.0, 0.0),),
    ),
    Golden(
        "a stop inside the bar fills at the stop, one that the bar opens beyond at the open",
        (HUNDRED, bar(100.0, 102.0, 99.0, 101.5), bar(104.0, 105.0, 104.0, 105.0)),
        {0: (buy(1.0, stop=101.0), buy(1.0, stop=103.0))},
        THOUSAND,
        (Fill(1, 0.0, 1.0, 101.0), Fill(2, 0.0, 1.0, 104.0)),
        cash=(1000.0, 899.0, 795.0),
        # 899 + 101.5; 795 + 2 * 105
        value=(1000.0, 1000.5, 1005.0),
    ),
    Golden(
        "a stop forgets a touch whose slipped price lies outside of the bar",
        (HUNDRED, bar(100.0, 102.0, 99.0, 100.0), bar(100.0, 100.5, 99.0, 100.0)),
        {0: buy(1.0, stop=101.0)},
        # 101 * 1.02 is above 102
        Execution(cash=1000.0, slippage=0.02, slip_match=False),
        (),
        cash=(1000.0,) * 3,
        value=(1000.0,) * 3,
    ),
    Golden(
        "a stop-limit fills at its stop",
        (HUNDRED, bar(100.0, 101.5, 99.0, 101.0)),
        {0: buy(1.0, stop=101.0, limit=101.25)},
        THOUSAND,
        (Fill(1, 0.0, 1.0, 101.0),),
        cash=(1000.0, 899.0),
        value=(1000.0, 1000.0),
    ),
    Golden(
        "a stop-limit that opens beyond its limit waits as a limit order",
        (HUNDRED, bar(103.0, 104.0, 102.5, 103.0), bar(103.0, 103.0, 100.5, 101.0)),
        {0: buy(1.0, stop=101.0, limit=102.0)},
        THOUSAND,
        (Fill(2, 0.0, 1.0, 102.0),),
        cash=(1000.0, 1000.0, 898.0),
        # 898 + 101
        value=(1000.0, 1000.0, 999.0),
    ),
    Golden(
        "a stop-limit that slips out of the bar which triggers it is a limit order from then on",
        (HUNDRED, bar(100.0, 101.5, 99.0, 101.0), bar(100.5, 100.75, 100.25, 100.5)),
        {0: buy(1.0, stop=101.0, limit=101.25)},
        # 101 * 1.01 is above 101.5; opens do not slip
        Execution(cash=1000.0, slippage=0.01, slip_open=False, slip_match=False, slip_limit=False),
        (Fill(2, 0.0, 1.0, 100.5),),
        cash=(1000.0, 1000.0, 899.5),
        value=(1000.0, 1000.0, 1000.0),
    ),
    Golden(
        "a trail follows the close, after the bar was tried with the stop from before",
        (HUNDRED, bar(100.0, 104.0, 99.0, 104.0), bar(103.0, 103.0, 101.0, 101.0)),
        {0: sell(1.0, trail=2.0)},
        THOUSAND,
        # the stop is 98, then 104 - 2
        (Fill(2, 0.0, -1.0, 102.0),),
        cash=(1000.0, 1000.0, 1102.0),
        value=(1000.0, 1000.0, 1001.0),
    ),
    Golden(
        "a trail in percent is a share of the close that it follows",
        (HUNDRED, bar(100.0, 120.0, 100.0, 120.0), bar(110.0, 110.0, 100.0, 100.0)),
        {0: sell(1.0, trail_percent=0.25)},
        THOUSAND,
        # the stop is 75, then 120 - 30, which is not reached
        (),
        cash=(1000.0,) * 3,
        value=(1000.0,) * 3,
    ),
)

TIED = (
    Golden(
        "a bracket's exits are not tried on the bar of its entry; of two that a bar reaches, the stop fills",
        (
            HUNDRED,
            bar(100.0, 110.0, 90.0, 100.0),
            bar(100.0, 106.0, 94.0, 100.0),
            bar(100.0, 106.0, 94.0, 100.0),
        ),
        {0: bracket(1.0, stop=95.0, target=105.0)},
        THOUSAND,
        (Fill(1, 0.0, 1.0, 100.0), Fill(2, -1.0, 0.0, 95.0)),
        cash=(1000.0, 900.0, 995.0, 995.0),
        value=(1000.0, 1000.0, 995.0, 995.0),
        trades=((-5.0, -5.0),),
    ),
    Golden(
        "a short bracket at a limit takes its profit, and its stop is cancelled",
        (
            HUNDRED,
            bar(101.0, 102.0, 100.0, 101.0),
            bar(100.0, 100.0, 97.0, 98.0),
            bar(98.0, 110.0, 98.0, 110.0),
        ),
        {0: bracket(-1.0, stop=105.0, target=98.5, limit=101.5)},
        THOUSAND,
        (Fill(1, 0.0, -1.0, 101.5), Fill(2, 1.0, 0.0, 98.5)),
        # 1000 + 101.5; less 98.5
        cash=(1000.0, 1101.5, 1003.0, 1003.0),
        value=(1000.0, 1000.5, 1003.0, 1003.0),
        trades=((3.0, 3.0),),
    ),
    Golden(
        "a bracket whose entry has expired leaves nothing behind",
        (HUNDRED, HUNDRED, bar(100.0, 120.0, 80.0, 100.0), bar(100.0, 120.0, 80.0, 100.0)),
        {0: bracket(1.0, stop=85.0, target=115.0, limit=90.0, valid=1)},
        THOUSAND,
        (),
        cash=(1000.0,) * 4,
        value=(1000.0,) * 4,
    ),
    Golden(
        "a stop-limit that was passed waits for its limit, wherever the price is then",
        (HUNDRED, bar(110.0, 111.0, 109.0, 110.0), bar(101.0, 101.5, 100.0, 101.0)),
        # triggered on bar 1, above its limit; bar 2 opens below both
        {0: buy(1.0, stop=102.0, limit=103.0)},
        THOUSAND,
        (Fill(2, 0.0, 1.0, 101.0),),
        cash=(1000.0, 1000.0, 899.0),
        value=(1000.0, 1000.0, 1000.0),
    ),
    Golden(
        "an order after a group on the same bar is not of it",
        (HUNDRED, bar(100.0, 100.0, 99.0, 100.0), bar(100.0, 100.0, 95.0, 100.0)),
        {0: (oco(buy(1.0, limit=99.0), buy(1.0, stop=102.0)), buy(1.0, limit=95.0))},
        THOUSAND,
        (Fill(1, 0.0, 1.0, 99.0), Fill(2, 0.0, 1.0, 95.0)),
        # 1000 - 99; less 95
        cash=(1000.0, 901.0, 806.0),
        value=(1000.0, 1001.0, 1006.0),
    ),
    Golden(
        "of two orders that are tied, the one that fills cancels the other",
        (HUNDRED, bar(100.0, 101.0, 98.0, 100.0), bar(100.0, 103.0, 100.0, 103.0)),
        {0: oco(buy(1.0, limit=99.0), buy(1.0, stop=102.0))},
        THOUSAND,
        (Fill(1, 0.0, 1.0, 99.0),),
        cash=(1000.0, 901.0, 901.0),
        # 901 + 100; 901 + 103
        value=(1000.0, 1001.0, 1004.0),
    ),
)

QUEUE = (
    Golden(
        "an order that is too large for the cash counts for those after it on its bar",
        (HUNDRED, HUNDRED, HUNDRED),
        # 1000 - 2000 is below zero, and so is what the second is judged from
        {0: (buy(20.0), buy(1.0))},
        THOUSAND,
        (),
        cash=(1000.0,) * 3,
        value=(1000.0,) * 3,
        rejected=2,
    ),
    Golden(
        "an order that closes is judged before one that opens, in the order that they were asked for in",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (buy(10.0),), 1: (sell(5.0), buy(5.0))},
        THOUSAND,
        (Fill(1, 0.0, 10.0, 100.0), Fill(2, -5.0, 0.0, 100.0), Fill(2, 0.0, 5.0, 100.0)),
        cash=(1000.0, 0.0, 0.0),
        value=(1000.0,) * 3,
    ),
    Golden(
        "an order is not cancelled before its cash is checked",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (buy(1.0), cancel())},
        THOUSAND,
        (Fill(1, 0.0, 1.0, 100.0),),
        cash=(1000.0, 900.0, 900.0),
        value=(1000.0,) * 3,
    ),
    Golden(
        "where cash is not checked, it is",
        (HUNDRED, HUNDRED, HUNDRED),
        {0: (buy(1.0), cancel())},
        Execution(cash=1000.0, checksubmit=False),
        (),
        cash=(1000.0,) * 3,
        value=(1000.0,) * 3,
    ),
    Golden(
        "an order that waits is cancelled",
        (HUNDRED, HUNDRED, bar(100.0, 100.0, 90.0, 100.0)),
        {0: buy(1.0, limit=95.0), 1: cancel()},
        THOUSAND,
        (),
        cash=(1000.0,) * 3,
        value=(1000.0,) * 3,
    ),
)

AT_CLOSE = (
    Golden(
        "an order at the close fills at the session's last one, which is known on the bar after",
        (HUNDRED, flat(101.0), flat(102.0), flat(103.0), flat(104.0)),
        {0: buy(1.0, at_close=True)},
        THOUSAND,
        (Fill(3, 0.0, 1.0, 102.0),),
        cash=(1000.0, 1000.0, 1000.0, 898.0, 898.0),
        value=(1000.0, 1000.0, 1000.0, 1001.0, 1002.0),
        session_bars=3,
    ),
    Golden(
        "one of the session's last bar fills at the close of the next session's first",
        (HUNDRED, flat(101.0), flat(102.0), flat(103.0), flat(104.0)),
        {2: buy(1.0, at_close=True)},
        THOUSAND,
        (Fill(3, 0.0, 1.0, 103.0),),
        cash=(1000.0, 1000.0, 1000.0, 897.0, 897.0),
        value=(1000.0, 1000.0, 1000.0, 1000.0, 1001.0),
        session_bars=3,
    ),
)
