"""Requests that start a job, exactly as they are sent: settings and a job in, plain values out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from whatif.errors import SubmitError
from whatif.submit.settings import SubmitSettings

HOME = "/tmp/whatif"
"""Folder of logs, kernels and locks on a driver that is gone after the job."""

GLUE_VERSION = "5.1"
"""An unpinned Glue job would get another Spark."""


@dataclass(frozen=True)
class Job:
    """What is to be run, wherever.

    Attributes
    ----------
    study : str
        Name of the study.
    identity : str
        Digest of everything that determines its results.
    study_file, output, entry, code : str
        Addresses of the study, the folder for reports, the program, the zipped package; "" for
        `code` where the package is installed.
    flags : tuple of str
        Further options of `whatif run`, such as "--latest".
    attempt : int
        Counts from 1; the next one follows a run that failed or was cancelled.
    """

    study: str
    identity: str
    study_file: str
    output: str
    entry: str
    code: str = ""
    flags: tuple[str, ...] = field(default=())
    attempt: int = 1

    @property
    def name(self) -> str:
        """What the job is called, the same for every attempt."""
        return f"whatif {self.study} {self.identity}"


def placed(conf: Mapping[str, str], settings: SubmitSettings) -> dict[str, str]:
    """Return Spark settings with the account's bucket, warehouse and archive."""
    found = {key: value.replace("s3://BUCKET/", f"s3://{settings.bucket}/") for key, value in conf.items()}
    for key in found:
        if key.startswith("spark.sql.catalog.") and key.endswith(".warehouse"):
            found[key] = settings.warehouse or found[key]
    if "spark.archives" in found:
        found["spark.archives"] = f"{archive(settings)}#environment"
    return found


def archive(settings: SubmitSettings) -> str:
    """Return the address of the environment archive."""
    return settings.archive or f"{settings.root}/environment.tar.gz"


def emr_request(settings: SubmitSettings, conf: Mapping[str, str], job: Job) -> dict[str, Any]:
    """Return the arguments of EMR Serverless' `StartJobRun`.

    Parameters
    ----------
    settings : SubmitSettings
        The account.
    conf : mapping of str to str
        Spark settings, placed and sized.
    job : Job
        What to run.

    Returns
    -------
    dict
        As boto3 takes it. The token makes a repeated request the same job.
    """
    emr = settings.emr_serverless
    conf = dict(conf)
    if settings.tracking_uri:
        conf["spark.emr-serverless.driverEnv.MLFLOW_TRACKING_URI"] = settings.tracking_uri
    parameters = [*_chained(_without_spaces(conf)), "--py-files", job.code]
    return {
        "applicationId": emr.application_id,
        "clientToken": f"{job.identity}-{job.attempt}",
        "executionRoleArn": emr.execution_role,
        "name": job.name,
        "mode": "BATCH",
        "executionTimeoutMinutes": emr.timeout_minutes,
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": job.entry,
                "entryPointArguments": [
                    *(job.study_file, "--output", job.output, "--home", HOME),
                    *_flags(settings, job),
                ],
                "sparkSubmitParameters": " ".join(parameters),
            }
        },
        "configurationOverrides": {"monitoringConfiguration": _emr_logs(settings)},
        "tags": {"whatif:study": job.study, "whatif:identity": job.identity},
    }


def log_uri(settings: SubmitSettings) -> str:
    """Return the folder in which EMR Serverless leaves its logs."""
    return f"{settings.root}/logs/"


def _emr_logs(settings: SubmitSettings) -> dict[str, Any]:
    logs: dict[str, Any] = {
        "s3MonitoringConfiguration": {"logUri": log_uri(settings)},
        # logs stay where the account's own keys and retention hold
        "managedPersistenceMonitoringConfiguration": {"enabled": False},
    }
    if settings.emr_serverless.log_group:
        logs["cloudWatchLoggingConfiguration"] = {
            "enabled": True,
            "logGroupName": settings.emr_serverless.log_group,
            "logStreamNamePrefix": "whatif",
            "logTypes": {"SPARK_DRIVER": ["STDOUT", "STDERR"]},
        }
    return logs


def glue_default_arguments(settings: SubmitSettings, conf: Mapping[str, str]) -> dict[str, str]:
    """Return the arguments of a Glue job that no study changes: `DefaultArguments` of its template.

    Parameters
    ----------
    settings : SubmitSettings
        The account.
    conf : mapping of str to str
        Spark settings of `conf/spark/glue.conf`, placed.
    """
    first, *rest = (f"{key}={value}" for key, value in _without_spaces(conf).items())
    environment = {"WHATIF_CATALOG_PROPERTIES": "type=glue"}
    if settings.tracking_uri:
        environment["MLFLOW_TRACKING_URI"] = settings.tracking_uri
    group = settings.glue.log_group
    logs = {"--custom-logGroup-prefix": group} if group else {}
    return {
        "--datalake-formats": "iceberg",
        # Glue takes one --conf: its value chains the others
        "--conf": " --conf ".join([first, *rest]),
        "--python-virtual-env": archive(settings),
        "--enable-continuous-cloudwatch-log": "true",
        "--job-language": "python",
        # Glue's own variables for the driver must begin with CUSTOMER_, which nothing would read
        "--environment": json.dumps(environment, separators=(",", ":")),
        "--home": HOME,
        **logs,
    }


def glue_request(
    settings: SubmitSettings, conf: Mapping[str, str], job: Job, worker_type: str, workers: int
) -> dict[str, Any]:
    """Return the arguments of Glue's `StartJobRun`; the job's definition pins GlueVersion 5.1.

    Parameters
    ----------
    settings : SubmitSettings
        The account.
    conf : mapping of str to str
        Spark settings, placed.
    job : Job
        What to run.
    worker_type, workers : str, int
        Size and number of workers, the driver included.
    """
    arguments = glue_default_arguments(settings, conf) | {
        "--scriptLocation": job.entry,
        "--extra-py-files": job.code,
        "--study": job.study_file,
        "--output": job.output,
        "--whatif-identity": job.identity,
    }
    flags = [flag.removeprefix("--") for flag in _flags(settings, job)]
    if flags:
        # every argument of Glue has a value
        arguments["--flags"] = ",".join(flags)
    return {
        "JobName": settings.glue.job,
        "Arguments": arguments,
        "WorkerType": worker_type,
        "NumberOfWorkers": workers,
        "Timeout": settings.glue.timeout_minutes,
        "ExecutionClass": "FLEX" if settings.glue.flex else "STANDARD",
    }


def spark_submit_command(spark_submit: str, master: str, conf: Mapping[str, str], job: Job) -> list[str]:
    """Return the command line that runs a job by spark-submit, on a cluster or on this machine."""
    code = ["--py-files", job.code] if job.code else []
    return [
        *(spark_submit, "--master", master, "--name", job.name),
        *_chained(conf),
        *code,
        *(job.entry, job.study_file, "--output", job.output),
        *job.flags,
    ]


def _flags(settings: SubmitSettings, job: Job) -> tuple[str, ...]:
    """Return the job's flags; without a server to track to, it does not track."""
    return job.flags if settings.tracking_uri or "--no-track" in job.flags else (*job.flags, "--no-track")


def _without_spaces(conf: Mapping[str, str]) -> Mapping[str, str]:
    """Return `conf` if no value has to be quoted: how the services read quotes is not documented."""
    for key, value in conf.items():
        if any(map(str.isspace, value)):
            raise SubmitError(
                f"Spark setting {key} = {value!r} holds a space, which a job's parameters cannot carry: "
                "give several such settings to the application or the Glue job itself"
            )
    return conf


def _chained(conf: Mapping[str, str]) -> list[str]:
    return [part for key, value in conf.items() for part in ("--conf", f"{key}={value}")]
