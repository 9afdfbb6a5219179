"""What takes seconds the first time, begun before it is needed: nothing depends on it.

Python workers start and import what backtests need while the driver still resolves a study; the
driver's JVM loads what a commit needs while the first backtests run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

from whatif.lake import TableSpec, plan_insert
from whatif.pins import LakeLocation

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import SparkSession

    Frames = Iterator[pd.DataFrame]

_begun: set[tuple[str, str]] = set()
"""Application and what was begun in it: each thing once."""


def warm_up(spark: SparkSession) -> Thread:
    """Begin to warm up a worker for each core that there is now; return the thread that does it."""
    return _begin(spark, "workers", lambda: _load_everywhere(spark))


def plan_ahead(spark: SparkSession, location: LakeLocation, table: TableSpec) -> Thread:
    """Begin to plan a commit; return the thread that does it."""
    return _begin(spark, "commits", lambda: plan_insert(spark, location, table))


def _begin(spark: SparkSession, what: str, work: Callable[[], object]) -> Thread:
    def once() -> None:
        # what does not work will be said where it is needed
        with suppress(Exception):
            key = (spark.sparkContext.applicationId, what)
            if key not in _begun:
                _begun.add(key)
                work()

    thread = Thread(target=once, name=f"warm {what}", daemon=True)
    thread.start()
    return thread


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

        import whatif.engines.backtrader
        import whatif.runner.worker  # noqa: F401
        from whatif.runner.imports import forget_archives

        try:
            yield from frames
        finally:
            forget_archives()

    return load
