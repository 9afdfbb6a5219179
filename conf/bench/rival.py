"""What the rivals of `whatif bench` share: the request, the bars, peak memory, the answer.

Each rival is a program of its own, `python PROGRAM REQUEST ANSWER`, both JSON; it imports
nothing of whatif.
"""

import json
import resource
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd


def read_request(path):
    """Return the request: bars, periods, costs, cores."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def read_bars(request):
    """Return the request's bars as a frame indexed by time."""
    bars = np.load(request["bars"])
    columns = {name: bars[name] for name in ("open", "high", "low", "close", "volume")}
    return pd.DataFrame(columns, index=pd.DatetimeIndex(bars["ts"].astype("datetime64[us]")))


def write_answer(path, answer, packages):
    """Write the answer with the versions of `packages`."""
    answer["versions"] = {name: version(name) for name in packages}
    Path(path).write_text(json.dumps(answer), encoding="utf-8")


def peak_mb():
    """Return the most memory that this process has held, in 2**20 bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return _maxrss(resource.RUSAGE_SELF)


def largest_child_mb():
    """Return the most memory that one of the processes started from here has held."""
    return _maxrss(resource.RUSAGE_CHILDREN)


def _maxrss(who):
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return resource.getrusage(who).ru_maxrss / unit
