"""Who ran what, with which versions."""

from __future__ import annotations

import json
import platform
import shlex
import socket
import subprocess
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import whatif
from whatif.lake import user_name
from whatif.masking import masked

PACKAGES = ("pyspark", "pyiceberg", "backtrader", "numpy", "pandas", "pyarrow", "numba", "mlflow")


def provenance() -> dict[str, str]:
    """Return user, host, command and versions (JSON) of this process, as results record them, keys masked."""
    return {
        "user": user_name(),
        "host": socket.gethostname(),
        "command": masked(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])),
        "versions": json.dumps(versions(), sort_keys=True),
    }


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Return versions of whatif (in a checkout with its commit), Python and what results depend on."""
    found = {"whatif": whatif.__version__, "python": platform.python_version()}
    commit = _commit()
    if commit:
        found["commit"] = commit
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            # a platform's own Spark is on the path without having been installed
            own = getattr(sys.modules.get(package), "__version__", None)
            if own is not None:
                found[package] = own
    return found


def _commit() -> str:
    folder = Path(whatif.__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
