"""Lets Python workers start and import what backtests need while the driver still resolves a study."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

from whatif.startup import import_distutils

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import SparkSession

    Frames = Iterator[pd.DataFrame]

_warmed: set[str] = set()
"""Applications whose workers have been warmed up."""


def warm_up(spark: SparkSession) -> Thread:
    """Begin to warm up a worker for each core that there is now, once; return the thread that does it.

    Nothing depends on it: what does not work will be said where it is needed.
    """
    import_distutils()
    thread = Thread(target=_warm_up, args=(spark,), name="warm-up", daemon=True)
    thread.start()
    return thread


def _warm_up(spark: SparkSession) -> None:
    with suppress(Exception):
        application = spark.sparkContext.applicationId
        if application in _warmed:
            return
        _warmed.add(application)
        _load_everywhere(spark)


def _load_everywhere(spark: SparkSession) -> None:
    # not more than there are: tasks that wait would make a service ask for executors
    cores = max(1, int(spark.sparkContext.defaultParallelism))
    frame = spark.range(0, cores, 1, cores).mapInPandas(_loader(), "id long")
    frame.write.format("noop").mode("overwrite").save()


def _loader() -> Callable[[Frames], Frames]:
    def load(frames: Frames) -> Frames:
        # imported here, so that the function travels by value and the worker by name
        import pyiceberg.io.pyarrow
        import pyiceberg.table  # noqa: F401

        import whatif.runner.worker  # noqa: F401
        from whatif.engines import load_all
        from whatif.startup import forget_archives

        load_all()
        try:
            yield from frames
        finally:
            forget_archives()

    return load
