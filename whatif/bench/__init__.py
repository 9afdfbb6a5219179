"""Speed and memory, as figures beside their goals.

Names are loaded when they are first used (PEP 562): the memory probe runs in a process that must stay
small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.bench.setting import BenchOptions
    from whatif.bench.suite import bench
else:
    __getattr__, __dir__, __all__ = door(__name__, {"setting": "BenchOptions", "suite": "bench"})
