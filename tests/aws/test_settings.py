"""What conf/spark says of the catalog, and that the emulated account differs from it only in its address."""

from __future__ import annotations

from pathlib import Path

import pytest

from whatif.session import read_spark_conf

from .settings import BUCKET, CONF, PROPERTIES, RELOCATION, TARGETS, catalog_settings, emulated, write_conf

CATALOG = "spark.sql.catalog.lake"
ENDPOINT = "http://127.0.0.1:5000"


@pytest.mark.parametrize("target", TARGETS)
def test_the_classes_are_iceberg_s_own(target: str) -> None:
    """As AWS documents them for EMR Serverless and for Glue."""
    # EMR's own catalog is Glue's unless it is told otherwise; a Glue job's is only where it is asked for
    own = {"spark.sql.catalogImplementation": "in-memory"} if target == "emr-serverless" else {}
    assert catalog_settings(target) == own | {
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        CATALOG: "org.apache.iceberg.spark.SparkCatalog",
        f"{CATALOG}.catalog-impl": "org.apache.iceberg.aws.glue.GlueCatalog",
        f"{CATALOG}.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        f"{CATALOG}.warehouse": "s3://BUCKET/warehouse/",
        f"{CATALOG}.cache-enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
    }


@pytest.mark.parametrize("target", TARGETS)
def test_executors_are_told_of_the_catalog_and_of_utc(target: str) -> None:
    given = read_spark_conf(CONF / f"{target}.conf")
    assert given[PROPERTIES] == "type=glue"
    assert given["spark.executorEnv.TZ"] == "UTC"
    if target == "emr-serverless":
        assert given["spark.emr-serverless.driverEnv.WHATIF_CATALOG_PROPERTIES"] == "type=glue"
        assert given["spark.jars"] == "/usr/share/aws/iceberg/lib/iceberg-spark3-runtime.jar"


@pytest.mark.parametrize("target", TARGETS)
def test_the_emulated_account_differs_in_relocation_bucket_and_endpoints_alone(target: str) -> None:
    theirs, ours = catalog_settings(target), emulated(ENDPOINT, target)
    added = {f"{CATALOG}.{key}" for key in ("glue.endpoint", "s3.endpoint", "s3.path-style-access")}
    assert ours.keys() - theirs.keys() == added
    assert {ours[f"{CATALOG}.glue.endpoint"], ours[f"{CATALOG}.s3.endpoint"]} == {ENDPOINT}
    for key, value in theirs.items():
        assert ours[key].removeprefix(RELOCATION).replace(BUCKET, "BUCKET") == value
        assert ours[key].startswith(RELOCATION) == value.startswith("org.apache.iceberg.")


def test_of_the_machine_s_settings_none_is_of_iceberg(tmp_path: Path) -> None:
    written = read_spark_conf(write_conf(tmp_path / "conf", ENDPOINT) / "spark" / "emulated.conf")
    ours = emulated(ENDPOINT)
    assert {key: written[key] for key in ours} == ours
    machine = read_spark_conf(CONF / "local.conf")
    rest = {key: value for key, value in written.items() if key not in ours and key in machine}
    assert rest == {**{k: v for k, v in machine.items() if k not in ours}, "spark.master": "local[2,4]"}
    assert not any("org.apache.iceberg" in v and not v.startswith(RELOCATION) for v in written.values())
