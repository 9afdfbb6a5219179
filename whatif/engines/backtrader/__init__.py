"""Backtrader's own broker, which is the oracle: the only package that imports Backtrader.

`engine` says what it covers; `steps` calls a step function around `broker`, `ordinary` runs a subclass of
`backtrader.Strategy` in Backtrader's Cerebro, and `ledger` writes down what either did. It imports
nothing of what it checks.
"""

from whatif.startup import defer_package

# before whatever of this package imports it
defer_package("backtrader.talib")
