"""How many executors, and of what size: `--executors` and `--memory`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from whatif.errors import SubmitError
from whatif.submit.target import LOCAL_FAILURES

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
