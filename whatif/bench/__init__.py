"""Speed and memory, as figures beside their goals; `whatif.bench.suite` runs them.

Imports nothing, since the memory probe runs in a process that must stay small.
"""
