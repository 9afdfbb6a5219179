"""Parts read on Spark: one task takes whole parts, any number of tasks at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from whatif.errors import SourceError
from whatif.sources.base import Source
from whatif.sources.chunk import NoRowsError
from whatif.sources.delivery import Part, read_part
from whatif.sources.kinds import SEAM
from whatif.sources.normalize import STAGED_DDL, whole_part

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

MOST_TASKS = 64

_ITEMS = "source string, reader int, checkpoint string, rows bigint"


def parse_parts(spark: SparkSession, parts: Sequence[Part], accept: bool) -> DataFrame:
    """Return one row for each row of `parts`, columns `STAGED`, and one for each refused part.

    Parameters
    ----------
    spark : SparkSession
        The session.
    parts : sequence of Part
        What every worker can read.
    accept : bool
        Whether to take parts that look misread.
    """
    readers: list[Source] = []
    items = []
    for part in parts:
        if not any(part.source is reader for reader in readers):
            readers.append(part.source)
            _send_along(type(part.source))
        number = next(k for k, reader in enumerate(readers) if reader is part.source)
        items.append((part.name, number, part.checkpoint, part.rows))

    def parse(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for item in batch.to_pylist():
                part = Part(item["source"], readers[item["reader"]], item["checkpoint"], item["rows"])
                try:
                    yield from read_part(part, accept)
                except NoRowsError:  # a quiet day's file has a header only
                    yield whole_part("empty", part.name)
                except SourceError as error:
                    yield whole_part("file", part.name, str(error))

    rows = spark.createDataFrame(items, _ITEMS)
    return rows.repartition(min(len(parts), MOST_TASKS)).mapInArrow(parse, STAGED_DDL)


def _send_along(kind: type[Source]) -> None:
    """Let a source's module travel by its content, if it is no part of what is installed on workers."""
    from pyspark import cloudpickle

    if not any(plugin.kind is kind for plugin in SEAM.every()) and kind.__module__ in sys.modules:
        cloudpickle.register_pickle_by_value(sys.modules[kind.__module__])
