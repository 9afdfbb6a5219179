"""The compiled broker: market orders as Backtrader's broker fills them, to the last bit.

`broker` is its arithmetic, one function for each thing that Backtrader computes; `loop` calls it
and a strategy's step bar by bar; `kernel` makes machine code of the two for one strategy and
keeps it on disk; `run` is the engine, and `cover` says what it does not do.
"""
