"""What an executor's log says of its workers, and what becomes of those that die or want too much."""

from __future__ import annotations

from pathlib import Path

import pytest

from whatif.lake.results import RESULTS
from whatif.pins import LakeLocation

from ..markets import put_bars, walk
from ..workflow.conftest import rows_of, study_text
from .conftest import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ODD = """
import os
import signal
from pathlib import Path

import numpy as np

from whatif.strategies import Param, strategy, target


@strategy(params={{"n": Param(1)}})
def odd(i, x, p, s):
    if p.n == 1:
        np.ones(800_000_000)  # 6 GiB
    if p.n == 2 and not Path({marker!r}).exists():
        Path({marker!r}).touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    return target(float(p.n))
"""


def test_workers_that_die_or_want_too_much(lake_home: LakeLocation, cluster: Cluster, tmp_path: Path) -> None:
    put_bars(lake_home, [walk("A", 1, minutes=120)])
    (tmp_path / "odd.py").write_text(ODD.format(marker=str(tmp_path / "died")))
    data = {"symbols": ["A"], "timeframe": "1min", "start": "2013-10-04", "end": "2013-10-12"}
    study = tmp_path / "study.yaml"
    changes = {"strategy": {"name": "odd.py"}, "axes": {"n": [1, 2, 3, 4]}, "engine": "backtrader"}
    study.write_text(study_text(data=data, **changes))

    done = cluster.submit("run_whatif.py", str(study), "--no-track", home=lake_home.home)

    assert done.returncode == 0, done.stdout + done.stderr
    rows = rows_of(lake_home, RESULTS)
    validate = rows[rows["window"] == "validate"]
    (failed,) = validate[validate["status"] == "error"].itertuples()
    assert '"n": 1' in failed.parameters
    assert failed.error.startswith("stopped: it ran out of memory"), failed.error
    assert len(validate) == 4
    # the worker that died had said at what, where whoever looks for it looks first
    (dead,) = validate[validate["parameters"].str.contains('"n": 2')].itertuples()
    logs = "\n".join(path.read_text(errors="replace") for path in cluster.folder.glob("work/app-*/*/stderr"))
    assert f"study made: config_id {dead.config_id}, symbol A, window validate" in logs
    assert "attempt 1" in logs
    assert "Segmentation fault" in logs
