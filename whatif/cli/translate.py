"""Words for errors that are not whatif's own: of the system, and of the libraries that it stands on."""

from __future__ import annotations

import errno

from whatif.paths import visible

MAX_CHARACTERS = 600

_SYSTEM = {
    errno.ENOSPC: "the disk is full: make room, then run the same command again",
    errno.EDQUOT: "the disk quota is used up: make room, then run the same command again",
    errno.EACCES: "there is no right to do that: change the owner or the mode, or use another folder",
    errno.EPERM: "there is no right to do that: change the owner or the mode, or use another folder",
    errno.EROFS: "the file system is read-only: use another folder",
    errno.ENOENT: "there is no such file or folder",
    errno.EIO: "the disk or the network returned an error: try again, and look at the disk if it stays",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n)",
    errno.ENFILE: "too many files are open on this machine",
    errno.ENAMETOOLONG: "a name is too long for the file system: choose a shorter one",
    errno.ECONNREFUSED: "nobody answers at that address: start the service, or correct the address",
    errno.ETIMEDOUT: "the service did not answer in time: try again",
}

_LIBRARIES = {
    "pyarrow": "Arrow could not read or write data: 'whatif doctor' says what of the lake is damaged",
    "pyiceberg": "the lake's tables could not be read or written: 'whatif doctor' says what is damaged",
    "sqlalchemy": "a database, MLflow's or a catalog's, did not answer as it should",
    "sqlite3": "a database, MLflow's or a catalog's, did not answer as it should",
    "mlflow": "MLflow did not do what it was asked for: the answer in the lake stands, or use --no-track",
    "py4j": "Spark's JVM failed: its log is logs/spark.log in the lake's folder",
    "pyspark": "Spark failed: its log is logs/spark.log in the lake's folder",
    "botocore": "AWS refused or did not answer",
    "boto3": "AWS refused or did not answer",
    "zipfile": "an archive is damaged: fetch it again",
    "zlib": "packed data is damaged: fetch it again",
}


def in_words(error: BaseException) -> str | None:
    """Return what a user can do about an error that is not whatif's own; None for a fault of whatif's."""
    if isinstance(error, SystemExit):
        return f"a program that was called ended the process (exit code {error.code}): nothing more was done"
    if isinstance(error, MemoryError):
        return "the memory is used up: take fewer symbols or configurations, or a machine with more of it"
    kind = next((kind for kind in type(error).__mro__ if kind.__module__.split(".")[0] in _LIBRARIES), None)
    if kind is not None:
        return f"{_LIBRARIES[kind.__module__.split('.')[0]]}. {_first_words(error)}"
    if isinstance(error, OSError):
        where = f"{visible(str(error.filename))}: " if error.filename is not None else ""
        rule = _SYSTEM.get(error.errno or 0)
        return f"{where}{rule}" if rule else f"{where}{error.strerror or _first_words(error)}"
    return None


def _first_words(error: BaseException) -> str:
    """Return the kind of an error and the first line that it says, which for a JVM is all of use."""
    lines = [line.strip() for line in visible(str(error), keep="\n").splitlines() if line.strip()]
    said = next((line for line in lines if not line.endswith(":") and not line.startswith("at ")), "")
    return f"({type(error).__name__}: {said[:MAX_CHARACTERS]})"
