"""Golden cases of Backtrader's oddities, left out: `semantics: corrected`."""

from __future__ import annotations

from whatif.domain import Execution, Filler
from whatif.strategies import TARGET_PERCENT, bracket, buy, cancel, sell
from whatif.testing.golden.case import Fill, Golden, bar, flat

HUNDRED = flat(100.0)
CORRECTED = Execution(cash=1000.0, semantics="corrected")

LIMITS = (
    Golden(
        "corrected, a sell limit slips to the bar's low at most",
        (HUNDRED, bar(100.0, 101.0, 99.5, 100.0)),
        {0: sell(1.0, limit=90.0)},
        Execution(cash=1000.0, slippage=0.2, semantics="corrected"),
        (Fill(1, 0.0, -1.0, 99.5),),
        cash=(1000.0, 1099.5),
        value=(1000.0, 999.5),
    ),
    Golden(
        "corrected, and to its limit at most",
        (HUNDRED, bar(100.0, 101.0, 80.0, 100.0)),
        {0: sell(1.0, limit=90.0)},
        Execution(cash=1000.0, slippage=0.2, semantics="corrected"),
        (Fill(1, 0.0, -1.0, 90.0),),
        cash=(1000.0, 1090.0),
        value=(1000.0, 990.0),
    ),
    Golden(
        "corrected, a stop that was reached is an order at the market from then on",
        (HUNDRED, bar(100.0, 102.0, 99.0, 100.0), bar(103.0, 105.0, 102.0, 103.0)),
        {0: buy(1.0, stop=101.0)},
        # 101 and 1.5 are above 102; then 103 and 1.5
        Execution(cash=1000.0, slippage_fixed=1.5, slip_match=False, semantics="corrected"),
        (Fill(2, 0.0, 1.0, 104.5),),
        cash=(1000.0, 1000.0, 895.5),
        value=(1000.0, 1000.0, 998.5),
    ),
    Golden(
        "corrected, so is one to sell",
        (HUNDRED, bar(100.0, 101.0, 98.0, 100.0), bar(100.0, 101.0, 97.0, 100.0)),
        {0: sell(1.0, stop=99.0)},
        # 99 * 0.98 is below 98; then 100 * 0.98
        Execution(cash=1000.0, slippage=0.02, slip_match=False, semantics="corrected"),
        (Fill(2, 0.0, -1.0, 98.0),),
        cash=(1000.0, 1000.0, 1098.0),
        value=(1000.0, 1000.0, 998.0),
    ),
    Golden(
        "corrected, a stop-limit slips from its stop to its limit at most",
        (HUNDRED, bar(100.0, 103.0, 97.0, 102.0), HUNDRED),
        {0: (buy(1.0, stop=101.0, limit=101.25), sell(1.0, stop=99.0, limit=98.75))},
        # 101 * 1.01 is above 101.25, and 99 * 0.99 below 98.75
        Execution(cash=1000.0, slippage=0.01, semantics="corrected"),
        (Fill(1, 0.0, 1.0, 101.25), Fill(1, -1.0, 0.0, 98.75)),
        cash=(1000.0, 997.5, 997.5),
        value=(1000.0, 997.5, 997.5),
        trades=((-2.5, -2.5),),
    ),
)

BRACKETS = (
    Golden(
        "corrected, a bracket's exits are tried on the bar of its entry",
        (HUNDRED, bar(100.0, 110.0, 96.0, 100.0), HUNDRED),
        {0: bracket(1.0, stop=95.0, target=105.0)},
        CORRECTED,
        (Fill(1, 0.0, 1.0, 100.0), Fill(1, -1.0, 0.0, 105.0)),
        cash=(1000.0, 1005.0, 1005.0),
        value=(1000.0, 1005.0, 1005.0),
        trades=((5.0, 5.0),),
    ),
    Golden(
        "corrected, of an entry within the bar the stop alone, which came after it",
        (HUNDRED, bar(100.0, 110.0, 94.0, 100.0), HUNDRED),
        {0: bracket(1.0, limit=98.0, stop=95.0, target=105.0)},
        CORRECTED,
        (Fill(1, 0.0, 1.0, 98.0), Fill(1, -1.0, 0.0, 95.0)),
        cash=(1000.0, 997.0, 997.0),
        value=(1000.0, 997.0, 997.0),
        trades=((-3.0, -3.0),),
    ),
    Golden(
        "corrected, and the target from the next bar on",
        (HUNDRED, bar(100.0, 110.0, 97.0, 100.0), bar(100.0, 106.0, 100.0, 100.0)),
        {0: bracket(1.0, limit=98.0, stop=95.0, target=105.0)},
        CORRECTED,
        (Fill(1, 0.0, 1.0, 98.0), Fill(2, -1.0, 0.0, 105.0)),
        cash=(1000.0, 902.0, 1007.0),
        value=(1000.0, 1002.0, 1007.0),
        trades=((7.0, 7.0),),
    ),
    Golden(
        "corrected, of an entry to sell that the bar opens beyond both",
        (HUNDRED, bar(103.0, 104.0, 94.0, 100.0), HUNDRED),
        {0: bracket(-1.0, limit=102.0, stop=105.0, target=95.0)},
        CORRECTED,
        (Fill(1, 0.0, -1.0, 103.0), Fill(1, 1.0, 0.0, 95.0)),
        cash=(1000.0, 1008.0, 1008.0),
        value=(1000.0, 1008.0, 1008.0),
        trades=((8.0, 8.0),),
    ),
)

SYMBOLS = (
    Golden(
        "corrected, a limit is not tried again on the bar that it was made on, where another symbol has one",
        (bar(100.0, 100.0, 94.0, 100.0),),
        {0: buy(1.0, limit=95.0)},
        CORRECTED,
        (),
        cash=(1000.0, 1000.0),
        value=(1000.0, 1000.0),
        other_prices=(HUNDRED, HUNDRED),
    ),
    Golden(
        "corrected, nor is what a filler leaves, on a bar that has filled a part of it",
        (HUNDRED, bar(100.0, 100.0, 90.0, 95.0)),
        {0: (buy(4.0), sell(4.0, stop=98.0))},
        # two of four each are filled; the other two wait for a third bar, which there is not
        Execution(cash=1000.0, filler=Filler("fixed_size", 2.0), semantics="corrected"),
        (Fill(1, 0.0, 2.0, 100.0), Fill(1, -2.0, 0.0, 98.0)),
        cash=(1000.0, 996.0, 996.0, 996.0),
        value=(1000.0, 996.0, 996.0, 996.0),
        trades=((-4.0, -4.0),),
        other_prices=(HUNDRED, HUNDRED, HUNDRED, HUNDRED),
    ),
    Golden(
        "corrected, nor is the target of an entry within a bar on that bar",
        (HUNDRED, bar(100.0, 110.0, 97.0, 100.0)),
        {0: bracket(1.0, limit=98.0, stop=95.0, target=105.0)},
        CORRECTED,
        (Fill(1, 0.0, 1.0, 98.0),),
        cash=(1000.0, 902.0, 902.0),
        value=(1000.0, 1002.0, 1002.0),
        other_prices=(HUNDRED, HUNDRED, HUNDRED),
    ),
)

CHECKS = (
    Golden(
        "corrected, an order that is refused takes nothing from those after it",
        (HUNDRED, HUNDRED),
        {0: (buy(20.0), buy(10.0))},
        CORRECTED,
        (Fill(1, 0.0, 10.0, 100.0),),
        cash=(1000.0, 0.0),
        value=(1000.0, 1000.0),
        rejected=1,
    ),
    Golden(
        "corrected, one that is taken does",
        (HUNDRED, HUNDRED),
        {0: (buy(10.0), buy(1.0))},
        CORRECTED,
        (Fill(1, 0.0, 10.0, 100.0),),
        cash=(1000.0, 0.0),
        value=(1000.0, 1000.0),
        rejected=1,
    ),
    Golden(
        "corrected, cancel reaches what was ordered before it on the same bar",
        (HUNDRED, bar(100.0, 100.0, 90.0, 90.0)),
        {0: (buy(1.0, limit=95.0), cancel(), buy(2.0, limit=92.0))},
        CORRECTED,
        (Fill(1, 0.0, 2.0, 92.0),),
        cash=(1000.0, 816.0),
        value=(1000.0, 996.0),
    ),
    Golden(
        "corrected, a short future counts as less than nothing where a share is wanted",
        (HUNDRED, HUNDRED, HUNDRED, HUNDRED),
        # -200 is within a margin of -300; -700 is two margins further
        {0: (TARGET_PERCENT, -0.3), 1: (TARGET_PERCENT, -0.3), 2: (TARGET_PERCENT, -0.7)},
        Execution(cash=1000.0, margin=200.0, mult=10.0, semantics="corrected"),
        (Fill(1, 0.0, -1.0, 100.0), Fill(3, 0.0, -2.0, 100.0)),
        cash=(1000.0, 800.0, 800.0, 400.0),
        value=(1000.0, 1000.0, 1000.0, 1000.0),
    ),
)
