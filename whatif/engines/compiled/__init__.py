"""The compiled broker: orders as Backtrader's broker fills them, to the last bit.

`broker` is its arithmetic, one function for each thing that Backtrader computes; `loop` calls it
and a strategy's step bar by bar; `kernel` makes machine code of the two for one strategy and
keeps it on disk; `window` makes a window ready for any number of configurations, and `engine` says
what is covered.
"""
