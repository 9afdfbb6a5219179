"""Golden cases of overlays that size orders, and that bound what an account of several symbols holds."""

from __future__ import annotations

from whatif.domain import Execution, Overlays
from whatif.strategies import BUY, SELL, TARGET, bracket, buy
from whatif.testing.golden.case import Fill, Golden, bar, flat

HUNDRED = flat(100.0)
THOUSAND = Execution(cash=1000.0)

SIZED = (
    Golden(
        "a bracket is sized from its limit to the nearest of its stops",
        (HUNDRED, bar(100.0, 102.0, 98.0, 100.0)),
        {0: bracket(1.0, limit=98.0, stop=94.0)},
        THOUSAND,
        # 2 % of 1,000 by 98 - 94; half of 98 is farther off
        (Fill(1, 0.0, 5.0, 98.0),),
        cash=(1000.0, 510.0),
        value=(1000.0, 1010.0),
        overlays=Overlays(risk_per_trade=0.02, stop_loss=0.5),
    ),
    Golden(
        "a stop order is sized from its stop, by the account's value",
        (HUNDRED, bar(100.0, 106.0, 100.0, 105.0), flat(105.0), flat(105.0)),
        {0: buy(1.0, stop=105.0), 2: buy(1.0)},
        THOUSAND,
        # 20 by 4 % of 105, 4.2; then again, whatever the cash is
        (Fill(1, 0.0, 4.0, 105.0), Fill(3, 0.0, 4.0, 105.0)),
        cash=(1000.0, 580.0, 580.0, 160.0),
        value=(1000.0,) * 4,
        overlays=Overlays(risk_per_trade=0.02, stop_loss=0.04),
    ),
    Golden(
        "a half of the cash is less each time, and a target on the position's side adds nothing",
        (HUNDRED,) * 6,
        {0: (TARGET, 1.0), 2: (TARGET, 2.0), 4: (BUY, 1.0)},
        THOUSAND,
        (Fill(1, 0.0, 5.0, 100.0), Fill(5, 0.0, 2.0, 100.0)),
        cash=(1000.0, 500.0, 500.0, 500.0, 500.0, 300.0),
        value=(1000.0,) * 6,
        overlays=Overlays(percent_of_cash=0.5),
    ),
    Golden(
        "half the volatility is twice the position, and no more than is paid for by a part of the account",
        (
            bar(100.0, 110.0, 90.0, 100.0),
            bar(100.0, 105.0, 95.0, 100.0),
            bar(100.0, 101.0, 99.0, 100.0),
            HUNDRED,
        ),
        {0: (BUY, 1.0), 1: (BUY, 1.0), 2: (SELL, 1.0)},
        THOUSAND,
        # 20 by ranges of 20, 10 and 2: 1, 2 and 10 units, of which a half of the account are 5
        (Fill(1, 0.0, 1.0, 100.0), Fill(2, 0.0, 2.0, 100.0), Fill(3, -3.0, -2.0, 100.0)),
        cash=(1000.0, 900.0, 700.0, 1200.0),
        value=(1000.0,) * 4,
        trades=((0.0, 0.0),),
        overlays=Overlays(volatility_target=0.02, volatility="(high - low) / close", volatility_max=0.5),
    ),
    Golden(
        "two trades with their commission make Kelly's fraction of the third",
        (HUNDRED, flat(100.0), flat(129.0), flat(100.0), flat(100.0), flat(80.0), flat(100.0), flat(100.0)),
        {0: (TARGET, 1.0), 1: (TARGET, 0.0), 3: (TARGET, -1.0), 4: (TARGET, 0.0), 6: (TARGET, 1.0)},
        Execution(cash=1000.0, commission=2.0, commtype="fixed"),
        # a tenth of the account is a unit: it wins 29 - 4 of 100, and short 20 - 4
        (
            Fill(1, 0.0, 1.0, 100.0, 0.0, 2.0),
            Fill(2, -1.0, 0.0, 129.0, 2.0, 0.0),
            Fill(4, 0.0, -1.0, 100.0, 0.0, 2.0),
            Fill(5, 1.0, 0.0, 80.0, 2.0, 0.0),
            # nothing was lost, so it is W, 1, of which a half, and no more than 0.3 of 1,041
            Fill(7, 0.0, 3.0, 100.0, 0.0, 6.0),
        ),
        cash=(1000.0, 898.0, 1025.0, 1025.0, 1123.0, 1041.0, 1041.0, 735.0),
        value=(1000.0, 998.0, 1025.0, 1025.0, 1023.0, 1041.0, 1041.0, 1035.0),
        trades=((29.0, 25.0), (20.0, 16.0)),
        overlays=Overlays(kelly_fraction=0.5, kelly_max=0.3, kelly_trades=2),
    ),
    Golden(
        "a trade ends with its reversal, not with a part of it, and nothing is opened against Kelly's edge",
        (HUNDRED, flat(100.0), flat(100.0), flat(112.0), flat(104.0), flat(106.0), flat(106.0)),
        {
            0: (BUY, 1.0),
            1: (BUY, 1.0),
            2: (SELL, 1.0),
            3: (TARGET, -1.0),
            4: (TARGET, 0.0),
            5: (TARGET, 1.0),
        },
        Execution(cash=1190.0, commission=2.0, commtype="fixed"),
        # a tenth of the account is a unit each time until there are two trades
        (
            Fill(1, 0.0, 1.0, 100.0, 0.0, 2.0),
            Fill(2, 0.0, 1.0, 100.0, 0.0, 2.0),
            Fill(3, -1.0, 0.0, 112.0, 2.0, 0.0),
            Fill(4, -1.0, -1.0, 104.0, 2.0, 2.0),
            Fill(5, 1.0, 0.0, 106.0, 2.0, 0.0),
            # 8 of 200 are won and 6 of 104 lost: R is 0.693 and W 0.5, which makes -0.221
        ),
        cash=(1190.0, 1088.0, 986.0, 1096.0, 1300.0, 1192.0, 1192.0),
        value=(1190.0, 1188.0, 1186.0, 1208.0, 1196.0, 1192.0, 1192.0),
        trades=((16.0, 8.0), (-2.0, -6.0)),
        overlays=Overlays(kelly_fraction=1.0, kelly_max=0.5, kelly_trades=2),
    ),
    Golden(
        "a trade that neither wins nor loses counts as won for Kelly's fraction",
        (HUNDRED, HUNDRED, flat(110.0), HUNDRED, HUNDRED, HUNDRED, HUNDRED),
        {0: (TARGET, 1.0), 1: (TARGET, 0.0), 3: (TARGET, 1.0), 4: (TARGET, 0.0), 5: (TARGET, 1.0)},
        THOUSAND,
        (
            Fill(1, 0.0, 1.0, 100.0),
            Fill(2, -1.0, 0.0, 110.0),
            Fill(4, 0.0, 1.0, 100.0),
            Fill(5, -1.0, 0.0, 100.0),
            # none of two is lost, so it is W, 1, of which a half of 1,010
            Fill(6, 0.0, 5.0, 100.0),
        ),
        cash=(1000.0, 900.0, 1010.0, 1010.0, 910.0, 1010.0, 510.0),
        value=(1000.0, 1000.0, 1010.0, 1010.0, 1010.0, 1010.0, 1010.0),
        trades=((10.0, 10.0), (0.0, 0.0)),
        overlays=Overlays(kelly_fraction=0.5, kelly_max=0.9, kelly_trades=2),
    ),
    Golden(
        "half of the cash pays for the margins of contracts",
        (HUNDRED, HUNDRED),
        {0: (BUY, 1.0)},
        Execution(cash=1000.0, margin=50.0, mult=2.0),
        (Fill(1, 0.0, 10.0, 100.0),),
        cash=(1000.0, 500.0),
        value=(1000.0, 1000.0),
        overlays=Overlays(percent_of_cash=0.5),
    ),
)

BOUNDED = (
    Golden(
        "a short position counts in the gross",
        (HUNDRED, HUNDRED),
        {0: (SELL, 6.0)},
        THOUSAND,
        (Fill(1, 0.0, -6.0, 100.0), Fill(1, 0.0, 4.0, 100.0, symbol=1)),
        cash=(1000.0, 1200.0),
        value=(1000.0, 1000.0),
        other_prices=(HUNDRED, HUNDRED),
        other_intents={0: (BUY, 6.0)},
        overlays=Overlays(max_gross=1.0),
    ),
    Golden(
        "what is long leaves room to be short",
        (HUNDRED, HUNDRED),
        {0: (BUY, 6.0)},
        THOUSAND,
        (Fill(1, 0.0, 5.0, 100.0), Fill(1, 0.0, -10.0, 100.0, symbol=1)),
        cash=(1000.0, 1500.0),
        value=(1000.0, 1000.0),
        other_prices=(HUNDRED, HUNDRED),
        other_intents={0: (SELL, 12.0)},
        overlays=Overlays(max_net=0.5),
    ),
    Golden(
        "there is one position, and more of it",
        (HUNDRED,) * 4,
        {0: (BUY, 1.0), 2: (BUY, 2.0)},
        THOUSAND,
        (Fill(1, 0.0, 1.0, 100.0), Fill(3, 0.0, 2.0, 100.0)),
        cash=(1000.0, 900.0, 900.0, 700.0),
        value=(1000.0,) * 4,
        other_prices=(HUNDRED,) * 4,
        other_intents={0: (BUY, 1.0), 2: (BUY, 1.0)},
        overlays=Overlays(max_positions=1),
    ),
    Golden(
        "a bound cuts to whole units, and takes nothing away",
        (HUNDRED, HUNDRED, flat(150.0), flat(150.0), flat(150.0)),
        {0: (BUY, 9.0), 2: (BUY, 2.0), 3: (SELL, 0.125)},
        THOUSAND,
        # 7.5 units; worth 1,050 of 1,350, of which 75 % are 6.75 units: no more, and as few as are asked
        (Fill(1, 0.0, 7.0, 100.0), Fill(4, -0.125, 0.0, 150.0)),
        cash=(1000.0, 300.0, 300.0, 300.0, 318.75),
        value=(1000.0, 1000.0, 1350.0, 1350.0, 1350.0),
        other_prices=(HUNDRED,) * 5,
        overlays=Overlays(max_gross=0.75),
    ),
)
