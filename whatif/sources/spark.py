"""Parse files on Spark: one task takes whole files, any number of tasks at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from whatif.errors import SourceError
from whatif.sources.chunk import NoRowsError
from whatif.sources.normalize import STAGED_DDL, empty_file, read_file, refused_file
from whatif.sources.spec import IngestSpec

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

MOST_TASKS = 64


def parse_files(spark: SparkSession, files: Sequence[str], spec: IngestSpec) -> DataFrame:
    """Return one row for each row of `files`, columns `STAGED`, and one for each refused file.

    Parameters
    ----------
    spark : SparkSession
        The session.
    files : sequence of str
        Paths or URIs that every worker can open.
    spec : IngestSpec
        What the user says about them; it goes along to the workers.
    """

    def parse(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for source in batch.column(0).to_pylist():
                try:
                    yield from read_file(source, spec)
                except NoRowsError:  # a quiet day's file has a header only
                    yield empty_file(source)
                except SourceError as error:
                    yield refused_file(source, error)

    items = spark.createDataFrame([(file,) for file in files], "source string")
    return items.repartition(min(len(files), MOST_TASKS)).mapInArrow(parse, STAGED_DDL)
