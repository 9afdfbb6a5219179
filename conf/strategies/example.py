"""A strategy of your own: buy a fall of `dip` over five bars, leave after `patience` bars."""

from whatif.strategies import Param, close, hold, strategy, target


@strategy(
    params={"dip": Param(0.002, low=0), "patience": Param(10, low=1), "size": Param(100.0, low=0)},
    inputs={"change": "roc(5)"},
)
def example(i, x, p, s):
    if s.size > 0 and s.bars_held >= p.patience:
        return close()
    return target(p.size) if x.change[i] < -p.dip else hold()
