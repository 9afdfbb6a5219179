"""The settings of the emulated account: those of conf/spark, relocated and pointed at loopback."""

from __future__ import annotations

from pathlib import Path

from whatif.session import read_spark_conf

REPOSITORY = Path(__file__).resolve().parents[2]
CONF = REPOSITORY / "conf" / "spark"
TARGETS = ("emr-serverless", "glue")

RELOCATION = "smfs.shaded."
"""What stands before Iceberg's packages in the jar that holds Iceberg and the AWS SDK in one."""

BUCKET = "whatif-lake"
REGION = "eu-west-1"
PROPERTIES = "spark.executorEnv.WHATIF_CATALOG_PROPERTIES"


def catalog_settings(target: str) -> dict[str, str]:
    """Return what `conf/spark/<target>.conf` says of Iceberg and of SQL."""
    given = read_spark_conf(CONF / f"{target}.conf")
    return {key: value for key, value in given.items() if key.startswith("spark.sql.")}


def emulated(endpoint: str, target: str = "emr-serverless") -> dict[str, str]:
    """Return those settings as the emulator needs them: other classes, a bucket, and where to find it."""
    theirs = {
        key: RELOCATION + value
        if value.startswith("org.apache.iceberg.")
        else value.replace("BUCKET", BUCKET)
        for key, value in catalog_settings(target).items()
    }
    return theirs | {
        "spark.sql.catalog.lake.glue.endpoint": endpoint,
        "spark.sql.catalog.lake.s3.endpoint": endpoint,
        "spark.sql.catalog.lake.s3.path-style-access": "true",
    }


def properties(endpoint: str, target: str = "emr-serverless") -> str:
    """Return how PyIceberg opens the catalog, by the same file, at the emulator."""
    given = read_spark_conf(CONF / f"{target}.conf")[PROPERTIES]
    return f"{given},glue.endpoint={endpoint},s3.endpoint={endpoint}"


def write_conf(folder: Path, endpoint: str) -> Path:
    """Write a folder for WHATIF_CONF whose `spark/emulated.conf` has these settings; return it.

    Two more catalogs have a flaw each: a bucket that is not there, and no warehouse.
    """
    ours = emulated(endpoint)
    machine = read_spark_conf(CONF / "local.conf") | {"spark.master": "local[2,4]"}
    prefix = "spark.sql.catalog.lake"
    flawed = {}
    for name in ("nobucket", "nowarehouse"):
        of_name = {
            key.replace(prefix, f"spark.sql.catalog.{name}"): ours[key] for key in ours if prefix in key
        }
        flawed |= of_name
    flawed["spark.sql.catalog.nobucket.warehouse"] = "s3://no-such-bucket/warehouse/"
    del flawed["spark.sql.catalog.nowarehouse.warehouse"]
    (folder / "spark").mkdir(parents=True)
    lines = [f"{key} {value}\n" for key, value in (machine | ours | flawed).items()]
    (folder / "spark" / "emulated.conf").write_text("".join(lines))
    log = CONF / "log4j2.properties"
    (folder / "spark" / log.name).write_text(log.read_text())
    return folder
