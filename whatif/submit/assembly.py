"""Assembly of a submission from what stands on the command line, executors and their sizes included."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from math import prod
from pathlib import Path
from typing import Any

from whatif.conf_files import conf_dir, jobs_dir, log_options, read_spark_conf
from whatif.errors import SubmitError
from whatif.splits import Holdout
from whatif.study import Study, digest
from whatif.submit.bundle import ENTRY, Bundle, make_bundle
from whatif.submit.clients import client as aws_client
from whatif.submit.emr_serverless import EmrServerless
from whatif.submit.glue import Glue
from whatif.submit.requests import Job, archive, placed
from whatif.submit.runner import Runner
from whatif.submit.settings import SubmitSettings
from whatif.submit.spark_submit import Launcher, SparkSubmit
from whatif.submit.store import Store
from whatif.submit.submission import Submission
from whatif.submit.target import CLUSTER, EMR_SERVERLESS, GLUE, LOCAL_FAILURES, Target


@dataclass(frozen=True)
class Place:
    """Where to, and what of this machine is needed for it.

    Attributes
    ----------
    target : Target
        Kind of place.
    settings : SubmitSettings
        The account.
    home : Path
        The lake's home: records, and what runs here, are kept in it.
    spark : Spark or None
        How Spark is launched on this machine; services need none.
    client : callable
        Service to its client.
    sleep : callable
        Waits some seconds.
    """

    target: Target
    settings: SubmitSettings
    home: Path
    spark: Spark | None = None
    client: Callable[[str], Any] | None = None
    sleep: Callable[[float], None] = time.sleep

    def client_of(self) -> Callable[[str], Any]:
        """Return what makes each client of AWS once."""
        return cache(self.client or partial(_client, self.settings.region))


@dataclass(frozen=True)
class Spark:
    """How Spark is launched on this machine.

    Attributes
    ----------
    program : str
        Path of spark-submit.
    java_home : str
        A Java 17.
    jar : str
        Iceberg's runtime.
    """

    program: str
    java_home: str
    jar: str


@dataclass(frozen=True)
class Size:
    """`--executors` and `--memory`."""

    executors: int | None = None
    memory: str | None = None


def assemble(
    study: Study, path: Path, place: Place, size: Size, flags: tuple[str, ...], output: Path
) -> Submission:
    """Return what would be sent for a study.

    Parameters
    ----------
    study, path : Study, Path
        The study and its file.
    place : Place
        Where to.
    size : Size
        How large.
    flags : tuple of str
        Further options of `whatif run`.
    output : Path
        Folder of the report on this machine.

    Raises
    ------
    SubmitError
        If something cannot be sent.
    """
    bundle = make_bundle(study)
    settings, target = place.settings, place.target
    conf = placed(_conf(target), settings)
    if study.models and target.kind == CLUSTER:
        # Spark ML trains in the executors' JVMs, where the slower, better compiler pays
        conf.pop("spark.executor.extraJavaOptions", None)
    job = _job(bundle, place, conf, flags)
    make_client = place.client_of()
    store = Store(lambda: make_client("s3"))
    if target.kind == CLUSTER and size.executors is None and "spark.cores.max" not in conf:
        conf |= _no_more_cores_than_backtests(study)
    if target.remote:
        runner: Runner = _service(place, conf, size, make_client)
        return Submission(job, bundle, target, runner, store, settings, archive(settings))
    local = _on_this_machine(job, bundle, place, path, output)
    return Submission(local, bundle, target, _spark_submit(place, conf, size), store, settings)


def _no_more_cores_than_backtests(study: Study) -> dict[str, str]:
    """Return a bound on the cores that a study takes of a cluster, where one is known: others would idle."""
    if study.models or not isinstance(study.split, Holdout):
        return {}
    symbols = 1 if study.portfolio == "shared" else len(study.data.symbols)
    return {"spark.cores.max": str(symbols * prod(len(axis.values) for axis in study.axes.values()))}


def runner_of(place: Place) -> Runner:
    """Return a runner that can look at runs, cancel them and read their logs."""
    conf = placed(_conf(place.target), place.settings)
    if place.target.remote:
        return _service(place, conf, Size(), place.client_of())
    return _spark_submit(place, conf, Size())


def _conf(target: Target) -> dict[str, str]:
    name = "cluster" if target.kind == CLUSTER else target.kind
    conf = read_spark_conf(conf_dir() / "spark" / f"{name}.conf")
    conf.pop("spark.master", None)
    return conf


def _job(bundle: Bundle, place: Place, conf: Mapping[str, str], flags: tuple[str, ...]) -> Job:
    settings = place.settings
    identity = digest(
        {
            "study": bundle.study_digest,
            "code": bundle.code_digest,
            "latest": "--latest" in flags,
            "place": _name(place),
            # what is read and with what; how large the job is does not change what comes of it
            "lake": {key: value for key, value in conf.items() if key.startswith("spark.sql.catalog.")},
            "archive": archive(settings) if place.target.remote else "",
        }
    )
    root = settings.root
    return Job(
        study=bundle.study,
        identity=identity,
        study_file=f"{root}/{bundle.study_path}",
        output=f"{root}/runs/{bundle.study}/{identity}/",
        entry=f"{root}/{bundle.entry_path}",
        code=f"{root}/{bundle.code_path}",
        flags=flags,
    )


def _name(place: Place) -> list[str]:
    settings = place.settings
    which = {
        EMR_SERVERLESS: settings.emr_serverless.application_id,
        GLUE: settings.glue.job,
        CLUSTER: place.target.master,
    }
    return [place.target.kind, which.get(place.target.kind) or str(place.home)]


def _service(place: Place, conf: Mapping[str, str], size: Size, client: Callable[[str], Any]) -> Runner:
    settings = place.settings
    if place.target.kind == EMR_SERVERLESS:
        sized = {**conf, **emr_sizes(conf, size.executors, size.memory)}
        return EmrServerless(settings, sized, client, place.sleep)
    glue = settings.glue
    workers = glue_sizes(glue.worker_type, glue.workers, size.executors, size.memory)
    return Glue(settings, conf, workers, client, place.sleep)


def _on_this_machine(job: Job, bundle: Bundle, place: Place, path: Path, output: Path) -> Job:
    folder = place.home / "submissions"
    return Job(
        study=job.study,
        identity=job.identity,
        study_file=str(path.absolute()),
        output=str(output.absolute()),
        entry=str(jobs_dir() / ENTRY),
        code=str(folder / bundle.code_path) if place.target.kind == CLUSTER else "",
        flags=job.flags,
    )


def _spark_submit(place: Place, conf: Mapping[str, str], size: Size) -> Runner:
    settings, spark = place.settings, place.spark or Spark("spark-submit", "", "")
    master, changed = spark_sizes(place.target.master, conf, size.executors, size.memory)
    environment = {
        "WHATIF_HOME": str(place.home),
        "WHATIF_CONF": str(conf_dir()),
        "JAVA_HOME": spark.java_home,
        "TZ": "UTC",
    }
    if settings.tracking_uri:
        environment["MLFLOW_TRACKING_URI"] = settings.tracking_uri
    found = {**conf, **changed, **({"spark.jars": spark.jar} if spark.jar else {})}
    java = "spark.driver.extraJavaOptions"
    found[java] = " ".join([*filter(None, [found.get(java)]), *log_options(place.home)])
    if place.target.kind == CLUSTER:
        found |= _environment(settings.cluster.archive)
    launcher = Launcher(spark.program, master, found, {k: v for k, v in environment.items() if v})
    return SparkSubmit(launcher, place.home / "submissions", place.sleep)


def _environment(packed: str | None) -> dict[str, str]:
    """Return what makes executors unpack the environment archive and use its Python."""
    if packed is None:
        return {}
    return {"spark.archives": f"{packed}#environment", "spark.pyspark.python": "./environment/bin/python"}


def _client(region: str | None, service: str) -> Any:
    return aws_client(service, region)


EMR_MEMORY_GB = {1: 8, 2: 16, 4: 30, 8: 60, 16: 120, 32: 244}
"""Cores of an EMR Serverless worker, and the most memory it can have with them."""

GLUE_MEMORY_GB = {"G": 16, "R": 32}
"""Memory of Glue's smallest worker of each family; a 2X has twice as much, and so on."""

INITIAL_EXECUTORS = 3
_UNITS = {"m": 1 / 1024, "g": 1.0, "t": 1024.0}


def memory_gb(text: str, what: str = "--memory") -> float:
    """Return the size that Spark's notation `text` means, in GB.

    Raises
    ------
    SubmitError
        If it is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([mgt])b?", text.strip().lower())
    if match is None or not float(match[1]):
        raise SubmitError(f"{what} {text!r} is no size: write a number and m, g or t, such as 8g")
    return float(match[1]) * _UNITS[match[2]]


def emr_sizes(conf: Mapping[str, str], executors: int | None, memory: str | None) -> dict[str, str]:
    """Return the settings of an EMR Serverless job that executors and memory change.

    Raises
    ------
    SubmitError
        If no worker of that many cores has so much memory.
    """
    changed: dict[str, str] = {}
    if executors is not None:
        changed["spark.dynamicAllocation.maxExecutors"] = str(executors)
        changed["spark.executor.instances"] = str(min(executors, INITIAL_EXECUTORS))
    if memory is not None:
        cores = int(conf.get("spark.executor.cores", "4"))
        factor = float(conf.get("spark.executor.memoryOverheadFactor", "0.1"))
        most, asked = EMR_MEMORY_GB.get(cores), memory_gb(memory) * (1 + factor)
        if most is not None and asked > most:
            raise SubmitError(
                f"--memory {memory} and a share of {factor:g} for Python make {asked:g} GB, and a worker of "
                f"{cores} cores has at most {most}: ask for {int(most / (1 + factor))}g or less, or raise "
                "spark.executor.cores in conf/spark/emr-serverless.conf"
            )
        changed["spark.executor.memory"] = memory
    return changed


def glue_sizes(worker_type: str, workers: int, executors: int | None, memory: str | None) -> tuple[str, int]:
    """Return worker type and number of workers; one of them is the driver.

    Raises
    ------
    SubmitError
        If no worker with as many cores has so much memory.
    """
    number = workers if executors is None else executors + 1
    if memory is None:
        return worker_type, number
    _, size = worker_type.split(".")
    times = int(size.removesuffix("X"))
    for family, smallest in GLUE_MEMORY_GB.items():
        if memory_gb(memory) <= smallest * times:
            return f"{family}.{size}", number
    raise SubmitError(
        f"--memory {memory}: a worker of {4 * times} cores has at most {GLUE_MEMORY_GB['R'] * times} GB; "
        "set a larger glue.worker_type (up to R.8X, 256 GB)"
    )


def spark_sizes(
    master: str, conf: Mapping[str, str], executors: int | None, memory: str | None
) -> tuple[str, dict[str, str]]:
    """Return the master and the settings of a job on a standalone cluster or on this machine.

    One machine has no executors: there `executors` is the number of cores, and the memory the driver's.
    """
    if not master.startswith("spark://"):
        cores = master if executors is None else f"local[{executors},{LOCAL_FAILURES}]"
        return cores, {} if memory is None else {"spark.driver.memory": _checked(memory)}
    changed: dict[str, str] = {}
    if executors is not None:
        cores = conf.get("spark.executor.cores", "1")
        # a standalone master counts cores, not executors
        changed = {"spark.executor.cores": cores, "spark.cores.max": str(executors * int(cores))}
    if memory is not None:
        changed["spark.executor.memory"] = _checked(memory)
    return master, changed


def _checked(memory: str) -> str:
    memory_gb(memory)
    return memory
