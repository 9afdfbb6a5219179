"""Series of bars on Spark and off it, for notebooks and jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.timeseries.resample import resample_bars
else:
    __getattr__, __dir__, __all__ = door(__name__, {"resample": "resample_bars"})
