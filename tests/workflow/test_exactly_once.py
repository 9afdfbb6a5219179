"""Kill it anywhere, run it again: no row is lost, none is there twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from whatif.domain.rows import KEY
from whatif.errors import LakeLockedError, RunError
from whatif.lake import TableSpec, writer_lock
from whatif.lake.results import RESULTS, RETURNS
from whatif.lake.tables import EQUITY, TEST_LOOKS, TRADES
from whatif.pins import LakeLocation
from whatif.session import get_spark
from whatif.workflow import RunOptions, run

from ..markets import put_bars, walk
from .conftest import plain_rows, rows_of

REPOSITORY = Path(__file__).resolve().parents[2]

DRIVER = """
import os, signal, sys, threading
from collections import Counter
from pathlib import Path

from whatif.pins import LakeLocation
from whatif.runner import spark as runner, waves
from whatif.workflow import RunOptions, run

home, study, moment, rows_of_a_task = sys.argv[1:]
runner.ROWS_OF_A_TASK = int(rows_of_a_task)
waves.Pace.wave_cost = lambda self, remaining, cores: 900.0  # four backtests
seen = Counter()
insert, compute = runner.insert_missing, runner.backtests
append, write = runner.append_files, runner.write_backtests


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def stored(table):
    seen[table.name] += 1
    if moment == f"after {table.name} {seen[table.name]}":
        die()


def insert_missing(spark, location, table, *rest, **named):
    insert(spark, location, table, *rest, **named)
    stored(table)


def append_files(location, table, files):
    append(location, table, files)
    stored(table)


def begun():
    seen["waves"] += 1
    if moment == f"during wave {seen['waves']}":
        threading.Timer(0.2, die).start()


def backtests(*given):
    begun()
    return compute(*given)


def write_backtests(*given):
    begun()
    return write(*given)


runner.insert_missing, runner.backtests = insert_missing, backtests
runner.append_files, runner.write_backtests = append_files, write_backtests
run(Path(study), location=LakeLocation(Path(home)), options=RunOptions(track=False, runner="spark"))
"""

AXES = {"fast": [3, 4, 5, 6], "slow": [15, 20, 25]}
TOTAL = 24


def run_until(moment: str, home: Path, study: Path, rows_of_a_task: int = 250) -> int:
    """Run the study in a process of its own that kills itself; return its exit code."""
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", DRIVER, str(home), str(study), moment, str(rows_of_a_task)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr[-3_000:]
    return done.returncode


def keys_of(location: LakeLocation, spec: TableSpec) -> set[tuple[object, ...]]:
    frame = rows_of(location, spec)
    assert not frame.duplicated(list(spec.key)).any(), spec.name
    return set(frame[list(KEY)].itertuples(index=False, name=None))


# each in a process of its own that dies there, the next one going on from what it left
DEATHS = ("after returns 2", "during wave 3", "after equity 2")


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("moment", ["after returns 2", "during wave 3"])
def test_a_driver_that_is_killed_while_tasks_write_files(
    spark, lake_home, tmp_path, write_study, moment: str
) -> None:
    study = write_study(axes=AXES)
    lake = LakeLocation(tmp_path / "killed")
    put_bars(lake, [walk("A", 1, minutes=120), walk("B", 2, minutes=120)])
    run_until(moment, lake.home, study, rows_of_a_task=1)
    stored, series = keys_of(lake, RESULTS), keys_of(lake, RETURNS)
    if moment == "after returns 2":
        assert (len(stored), len(series)) == (4, 8)
    else:
        assert 4 <= len(stored) < TOTAL
    assert stored <= series

    last = run(study, get_spark(lake), lake, RunOptions(track=False))
    assert (last.computed, last.resumed, last.failed) == (TOTAL - len(stored), len(stored), 0)
    assert len(keys_of(lake, RESULTS)) == TOTAL + 2
    assert keys_of(lake, RETURNS) == keys_of(lake, RESULTS)


@pytest.mark.spark
@pytest.mark.slow
def test_a_driver_that_is_killed_again_and_again(spark, lake_home, tmp_path, write_study) -> None:
    study = write_study(axes=AXES, keep={"trades": 5, "equity": "best"})
    homes = [LakeLocation(tmp_path / name) for name in ("killed", "undisturbed")]
    for home in homes:
        put_bars(home, [walk("A", 1, minutes=120), walk("B", 2, minutes=120)])
    killed, undisturbed = homes

    for death in DEATHS:
        run_until(death, killed.home, study)
        stored = keys_of(killed, RESULTS)
        match death:
            case "after returns 2":  # the second wave's returns are stored, its results are not
                assert len(stored) == 4
                assert len(keys_of(killed, RETURNS)) == 8
            case "during wave 3":  # wherever that happens to be; the one before is perhaps still being stored
                assert 8 <= len(stored) < TOTAL
            case "after equity 2":  # ranked, and the series are stored; the test window's results are not
                assert len(stored) == TOTAL
                assert {key[4] for key in keys_of(killed, EQUITY)} == {"validate", "test"}

    options = RunOptions(track=False)
    last = run(study, get_spark(killed), killed, options)
    assert (last.computed, last.resumed, last.failed) == (TOTAL - len(stored), len(stored), 0)
    whole = run(study, get_spark(undisturbed), undisturbed, options)
    assert (whole.computed, whole.resumed) == (TOTAL, 0)

    # row for row and to the last bit the same, in another home and in other waves
    for spec in (RESULTS, RETURNS, TRADES, EQUITY):
        assert plain_rows(killed, spec) == plain_rows(undisturbed, spec), spec.name
    assert len(keys_of(killed, RESULTS)) == TOTAL + 2
    assert keys_of(killed, RETURNS) == keys_of(killed, RESULTS)
    assert keys_of(killed, EQUITY) <= keys_of(killed, RESULTS)
    assert keys_of(killed, TRADES) <= keys_of(killed, RESULTS)
    # each time that the window was opened is on record
    opened = 1 + DEATHS.count("after equity 2")
    assert len(rows_of(killed, TEST_LOOKS)) == 2 * opened
    assert len(rows_of(undisturbed, TEST_LOOKS)) == 2


DEADLY = """
import os, signal
from pathlib import Path
from whatif.strategies import Param, strategy, target

@strategy(params={{"n": Param(1)}})
def deadly(i, x, p, s):
    marker = Path({marker!r})
    # not where it is tried before the run
    works = b"pyspark.daemon" in Path("/proc/self/cmdline").read_bytes()
    if p.n == 2 and works and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return target(float(p.n))
"""


@pytest.mark.spark
@pytest.mark.slow
def test_a_worker_that_dies_is_tried_again(go_on_spark, market, tmp_path) -> None:
    marker = tmp_path / "died"
    (tmp_path / "deadly.py").write_text(DEADLY.format(marker=str(marker)))
    result = go_on_spark(strategy={"name": "deadly.py"}, axes={"n": [1, 2, 3, 4, 5, 6]})
    assert marker.exists()
    assert (result.computed, result.failed) == (12, 0)
    assert len(keys_of(market, RESULTS)) == 12 + 2


@pytest.mark.slow
@pytest.mark.spark
def test_a_worker_that_always_dies_ends_the_run_and_says_how_to_go_on(go_on_spark, market, tmp_path) -> None:
    source = DEADLY.format(marker=str(tmp_path / "never")).replace("marker.touch()", "pass")
    (tmp_path / "deadly.py").write_text(source)
    with pytest.raises(RunError, match="the same command goes on from there") as caught:
        go_on_spark(strategy={"name": "deadly.py"}, axes={"n": [1, 2]})
    assert "Spark gave up on a wave of backtests of A, B" in str(caught.value)
    assert len(rows_of(market, RESULTS)) == 0
    # and the session lives
    assert go_on_spark(axes={"fast": [3], "slow": [15]}).failed == 0


def test_somebody_elses_run_keeps_everyone_else_out(market, write_study) -> None:
    study = write_study()
    script = (
        "import sys, time; from pathlib import Path; from whatif.lake import writer_lock; "
        "from whatif.pins import LakeLocation\n"
        "with writer_lock(LakeLocation(Path(sys.argv[1])), 'run study theirs'):\n"
        "    print('held', flush=True); time.sleep(120)"
    )
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", script, str(market.home)]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LakeLockedError, match=f"process {holder.pid} .*run study theirs"):
            run(study, location=market, options=RunOptions(track=False))
        holder.kill()
    with writer_lock(market, "mine"):
        pass
