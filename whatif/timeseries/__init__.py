"""Series of bars on Spark and off it, for notebooks and jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.timeseries.filling import fill_bars
    from whatif.timeseries.of_ticks import collect, collect_bars, read_ticks
    from whatif.timeseries.resample import resample_bars
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "filling": "fill_bars",
            "of_ticks": "collect collect_bars read_ticks",
            "resample": "resample_bars",
        },
    )
