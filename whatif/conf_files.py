"""Configuration files: where they are, and how Spark's are read."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from whatif.errors import SessionError


def conf_dir() -> Path:
    """Return the folder of configuration files.

    `WHATIF_CONF`, else `conf` beside the package (a checkout), else where pip installs it.
    """
    given = os.environ.get("WHATIF_CONF")
    if given:
        return Path(given).expanduser().absolute()
    beside = Path(__file__).resolve().parent.parent / "conf"
    return beside if (beside / "spark").is_dir() else Path(sys.prefix) / "share" / "whatif" / "conf"


def read_spark_conf(path: Path) -> dict[str, str]:
    """Return the settings of a Spark properties file (`key value` or `key=value` lines).

    Raises
    ------
    SessionError
        If the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SessionError(
            f"Spark settings {path} cannot be read ({error.strerror}): set WHATIF_CONF to the folder conf "
            "of whatif, or WHATIF_SPARK_CONF to a file in its spark folder"
        ) from error
    settings = {}
    for line in map(str.strip, lines):
        if line and not line.startswith("#"):
            key, *value = re.split(r"\s*[=\s]\s*", line, maxsplit=1)
            settings[key] = value[0] if value else ""
    return settings


def log_file(home: Path) -> Path:
    """Return where the JVM of a driver on this machine says what it has to say."""
    return home / "logs" / "spark.log"


def log_options(home: Path) -> list[str]:
    """Return the JVM's options that send its log there: the terminal belongs to whatif."""
    options = [f'"-Dwhatif.log={log_file(home)}"']
    log4j = conf_dir() / "spark" / "log4j2.properties"
    if log4j.is_file():
        options.append(f'"-Dlog4j2.configurationFile={log4j}"')
    return options


def jobs_dir() -> Path:
    """Return the folder of the programs that spark-submit runs: beside the package, or where pip puts it."""
    beside = Path(__file__).resolve().parent.parent / "jobs"
    return beside if beside.is_dir() else Path(sys.prefix) / "share" / "whatif" / "jobs"
