"""A strategy to begin with: hold what has risen over `look` bars, leave what has not.

It is called once a bar, at its close; what it asks for fills on the next bar. `whatif indicators` lists what
may stand in `inputs`; orders with prices, sizes and what else a step sees: docs/strategies.md.
"""

from whatif.strategies import Param, close, hold, strategy, target


@strategy(
    # name: Param(default, and what it may be); an axis of the study varies a parameter by its name
    params={"look": Param(20, low=1), "rise": Param(0.0, low=0), "size": Param(100.0, low=0)},
    # series by name: `look` is the parameter's value; roc(20) of 0.01 is a rise of 1 % over 20 bars
    inputs={"change": "roc(look)"},
)
def rule(i, x, p, s):
    # i: the bar; x: its series, also open, high, low, close, volume; p: parameters; s: position and account
    # before there are `look` bars the change is NaN, and nothing is above NaN
    if s.size == 0 and x.change[i] > p.rise:
        return target(p.size)  # units; the study's overlay makes 95 % of the account's value of it
    if s.size > 0 and x.change[i] < 0:
        return close()
    return hold()
