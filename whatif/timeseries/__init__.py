"""Series of bars on Spark, for notebooks and jobs."""

from whatif.timeseries.resample import resample_bars

__all__ = ["resample_bars"]
