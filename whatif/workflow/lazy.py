"""The Spark session, started only when something has to be computed or written."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from whatif.lake import create_tables
from whatif.pins import LakeLocation
from whatif.resolve import Session
from whatif.runner import warm_up
from whatif.session import get_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def lazy_session(location: LakeLocation, spark: SparkSession | None = None) -> Session:
    """Return a function that gives the session on a lake whose tables exist.

    What is stored is read without Spark, so a study that is complete never starts a JVM. Workers
    of a session that is started here begin to start too.
    """

    @cache
    def session() -> SparkSession:
        started = spark or get_spark(location)
        if spark is None:
            warm_up(started)
        create_tables(started, location)
        return started

    return session
