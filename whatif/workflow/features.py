"""A study's features as a DataFrame, for notebooks."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from whatif.errors import StudyError
from whatif.lake import create_tables, read_pinned, writer_lock
from whatif.pins import LakeLocation
from whatif.resolve import resolve_study
from whatif.session import get_spark
from whatif.study import Study
from whatif.workflow.train import prepare_features


def study_features(
    study: Study, spark: SparkSession | None = None, location: LakeLocation | None = None
) -> DataFrame:
    """Return the features and label of a study: symbol, ts (UTC), a column a feature, label columns.

    Built and stored if they are not yet.

    Raises
    ------
    StudyError
        If the study declares no models, for then nothing needs features.
    """
    where = location or LakeLocation.from_environment()
    session = spark or get_spark(where)
    with writer_lock(where, f"features of study {study.study}"):
        create_tables(session, where)
        pins = prepare_features(session, where, resolve_study(study, where, lambda: session))
    if study.data.timeframe not in pins:
        raise StudyError(f"study {study.study} has no models, so it has no features table: declare a model")
    return read_pinned(session, where, pins[study.data.timeframe])
