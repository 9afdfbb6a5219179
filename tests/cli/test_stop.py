"""A command that is stopped: its exit code, what it says, what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from whatif.cli.stop import SAID
from whatif.lake.processes import born
from whatif.lake.results import RESULTS, RETURNS
from whatif.lake.tables import EQUITY, TRADES
from whatif.pins import LakeLocation
from whatif.sources.sample import SampleMarket, default_symbols, write_sample

from ..workflow.conftest import plain_rows

REPOSITORY = Path(__file__).resolve().parents[2]

MARK = "WHATIF_STOPPED_BY_A_TEST"
"""A variable of the environment that all processes of a command inherit."""

DRIVER = """
import importlib.abc, os, signal, sys, threading

# a job in the background, as of some test runners, ignores Ctrl-C
for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(one, signal.default_int_handler if one == signal.SIGINT else signal.SIG_DFL)
where, seconds, numbers = sys.argv[1], float(sys.argv[2]), [int(n) for n in sys.argv[3].split("+")]
del sys.argv[1:4]
module, _, name = where.partition(":")
command = os.getpid()  # a module may be imported by a child first


def stop():
    open(os.environ["WHATIF_CAME_THERE"], "w").close()
    def send():
        for k, number in enumerate(numbers):
            threading.Timer(seconds + 0.3 * k, os.kill, (command, number)).start()
    if seconds or len(numbers) > 1:
        threading.Thread(target=send, daemon=True).start()
    else:
        os.kill(command, numbers[0])


def watched(real):
    def call(*given, **named):
        stop()
        return real(*given, **named)
    return call


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path, target=None):
        if fullname not in (module, "whatif.runner.waves"):
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            sys.meta_path.insert(0, self)
        real = spec.loader.exec_module
        def exec_module(made):
            if fullname == module and not name:
                stop()
            real(made)
            if fullname == "whatif.runner.waves":
                made.Pace.wave_cost = lambda self, remaining, cores: 36 * 390.0
            if fullname == module and name:
                setattr(made, name, watched(getattr(made, name)))
        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())
import importlib.util
from whatif.cli import main
sys.exit(main())
"""


@dataclass
class Stopped:
    """What a command that was stopped came to."""

    code: int
    out: str
    err: str
    left: list[str]
    seconds: float
    came_there: bool


def processes_of(mark: str) -> Iterator[str]:
    """Yield what runs with a mark in its environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                yield (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
        except OSError:
            continue


@pytest.fixture
def stop_at(tmp_path: Path) -> Callable[..., Stopped]:
    """Return a function that runs a command and stops it `seconds` after a module or function begins."""
    (tmp_path / "driver.py").write_text(DRIVER)

    def go(where: str, seconds: float, numbers: str, *arguments: str) -> Stopped:
        mark = uuid.uuid4().hex
        there = tmp_path / mark
        env = {**os.environ, "PYTHONPATH": str(REPOSITORY), MARK: mark, "GIT_PYTHON_REFRESH": "quiet"}
        env["WHATIF_CAME_THERE"] = str(there)
        command = [sys.executable, str(tmp_path / "driver.py"), where, str(seconds), numbers, *arguments]
        began = time.monotonic()
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=900, check=False)
        left = list(processes_of(mark))
        while left and done.returncode == -signal.SIGKILL and time.monotonic() - began < 300:
            time.sleep(0.2)  # nobody is there to end them: each one has to see it for itself
            left = list(processes_of(mark))
        return Stopped(
            done.returncode, done.stdout, done.stderr, left, time.monotonic() - began, there.exists()
        )

    return go


def faults_of(stopped: Stopped, code: int = 130) -> list[str]:
    """Return what is wrong with a stop; nothing if it is clean."""
    if not stopped.came_there:
        return ["never came there"]
    if code == -signal.SIGKILL:
        wrong = {
            f"exit code {stopped.code}": stopped.code != code,
            f"left: {stopped.left}": bool(stopped.left),
        }
        return [what for what, is_so in wrong.items() if is_so]
    lines = [line for line in stopped.err.splitlines() if line.strip()]
    loud = [line for line in lines if "error" in line.lower() or "exception" in line.lower()]
    wrong = {
        f"exit code {stopped.code}": stopped.code != code,
        "a traceback": "Traceback" in stopped.err + stopped.out,
        "not said": lines[-1:] != [SAID],
        "said more than once": stopped.err.count("stopped:") > 1,
        f"more is said: {loud}": bool(loud),
        f"left: {stopped.left}": bool(stopped.left),
    }
    return [what for what, is_so in wrong.items() if is_so]


@pytest.mark.parametrize(
    ("where", "numbers", "code"),
    [
        ("typer", "2", 130),
        ("numpy", "2", 130),
        ("pandas", "15", 143),
        ("whatif.cli.app:_session_heard", "1", 129),
        ("whatif.cli.app:_session_heard", "2+2", 130),
        ("whatif.cli.stop:_leave", "2", 130),
    ],
)
def test_a_command_is_stopped(stop_at, where: str, numbers: str, code: int) -> None:
    stopped = stop_at(where, 0.0, numbers, "--version" if "_leave" in where else "bars")
    assert not faults_of(stopped, code), (stopped.out, stopped.err)


def in_a_process(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    begin = (
        "import os, signal, subprocess, sys, threading, time\n"
        "signal.signal(2, signal.default_int_handler)\n"
        "from whatif.cli.stop import stoppable\n"
    )
    command = [sys.executable, "-c", begin + textwrap.dedent(text), *arguments]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_nothing_is_left_but_what_was_given_a_session_of_its_own() -> None:
    """A child that does not listen, its own child, and one that was meant to go on."""
    done = in_a_process(
        """
        def command():
            deaf = "import signal, subprocess, time; signal.signal(15, signal.SIG_IGN); "
            deaf += "p = subprocess.Popen(['sleep', '100']); print(p.pid, flush=True); time.sleep(100)"
            child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, text=True)
            nowhere = subprocess.DEVNULL
            own = subprocess.Popen(["sleep", "100"], start_new_session=True, stdout=nowhere, stderr=nowhere)
            print(child.pid, child.stdout.readline().strip(), own.pid, flush=True)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(100)
        stoppable(command)
        """
    )
    child, grandchild, own = (int(pid) for pid in done.stdout.split())
    try:
        assert (done.returncode, done.stderr) == (130, f"{SAID}\n")
        assert born(child) is None
        assert born(grandchild) is None
        assert born(own) is not None
    finally:
        os.kill(own, signal.SIGKILL)


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(
            "try:\n        os.kill(os.getpid(), 2); time.sleep(9)\n"
            "    except BaseException: raise OSError('x')",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "try:\n        os.kill(os.getpid(), 2); time.sleep(9)\n    except BaseException: return 0",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "try:\n        os.kill(os.getpid(), 2); time.sleep(9)\n    except BaseException: time.sleep(60)",
            marks=pytest.mark.slow,
        ),
        "try:\n        os.kill(os.getpid(), 2); time.sleep(9)\n    finally: os.kill(os.getpid(), 2)",
        "threading.Timer(0.5, os.kill, (os.getpid(), 2)).start(); "
        "import hashlib; hashlib.pbkdf2_hmac('sha256', b'x', b'y', 10**9)",
        pytest.param(
            "signal.signal(2, lambda *_: None); os.kill(os.getpid(), 2); time.sleep(60)",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "try:\n        os.kill(os.getpid(), 2); time.sleep(9)\n"
            "    finally: os.write(2, b'noise'); print('noise', file=sys.stderr); "
            "threading.Thread(target=1/0)",
            marks=pytest.mark.slow,
        ),
    ],
    ids=["another error", "dropped", "no end", "twice", "machine code", "another handler", "noise"],
)
def test_whatever_becomes_of_the_exception_it_is_a_stop(stop: str) -> None:
    began = time.monotonic()
    done = in_a_process(f"def command():\n    {stop}\nstoppable(command)\n")
    assert (done.returncode, done.stderr) == (130, f"{SAID}\n")
    assert time.monotonic() - began < 20


def test_a_process_that_ignores_them_goes_on_ignoring() -> None:
    """As nohup, or the background of a shell, started it."""
    done = in_a_process(
        """
        signal.signal(2, signal.SIG_IGN)
        def command():
            os.kill(os.getpid(), 2)
            time.sleep(0.3)
            return 7
        stoppable(command)
        """
    )
    assert (done.returncode, done.stderr) == (7, "")


def test_a_forked_child_says_nothing_and_stops_nobody_else() -> None:
    done = in_a_process(
        """
        def command():
            pid = os.fork()
            if not pid:
                time.sleep(60)
            time.sleep(0.2)
            os.kill(pid, signal.SIGINT)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        stoppable(command)
        """
    )
    assert (done.returncode, done.stderr) == (130, "")


def test_an_exit_is_as_it_would_be() -> None:
    """What is registered runs, threads are waited for, output is written, an error is shown."""
    done = in_a_process(
        """
        import atexit
        atexit.register(print, "last")
        def command():
            threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
            print("first")
            return 3
        stoppable(command)
        """
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (3, ["first", "thread", "last"], "")
    done = in_a_process("def command():\n    raise ValueError('of its own')\nstoppable(command)\n")
    assert done.returncode == 1
    assert "ValueError: of its own" in done.stderr


STUDY = """
study: stopped
data: {symbols: [NOISE, DRIFT], timeframe: 1min, start: 2024-10-01, end: 2024-10-19}
calendar: {exchange: XNYS}
strategy: {name: sma_crossover, params: {size: 50.0}}
axes: {fast: [3, 4, 5, 6, 8, 10], slow: [15, 20, 25, 30, 40]}
execution: {cash: 100000.0, commission: 0.0001}
split: {kind: holdout, train: 0.4, validate: 0.4, test: 0.2}
"""

INGEST = (
    ("pyspark.java_gateway:launch_gateway", 0.3, "2"),
    ("whatif.workflow.ingestion:_land", 0.0, "2"),
    ("whatif.sources.spark:append", 0.2, "15"),
    ("pyspark.java_gateway:launch_gateway", 1.0, "9"),
    ("whatif.workflow.ingestion:_land", 0.0, "9"),
    ("whatif.workflow.ingestion:_land", 2.0, "9"),
    ("whatif.sources.spark:append", 0.0, "9"),
    ("whatif.sources.spark:append", 0.6, "9"),
)
LOCAL_INGEST = (
    ("pyarrow", 0.0, "2"),
    ("whatif.workflow.ingestion:_land", 0.0, "2"),
    ("whatif.workflow.ingestion:_land", 0.0, "9"),
    ("whatif.workflow.ingestion:_land", 0.02, "9"),
    ("whatif.sources.local:append_arrow", 0.0, "15"),
    ("whatif.sources.local:append_arrow", 0.0, "9"),
    ("whatif.sources.local:append_arrow", 0.02, "9"),
)
RUN = (
    ("whatif.cli.app", 0.0, "2"),
    ("numba", 0.0, "2"),
    ("pyspark", 0.0, "2"),
    ("backtrader", 0.0, "2"),
    ("whatif.workflow.study:check_study", 0.0, "2"),
    ("whatif.resolve.resolved:resolve_study", 0.0, "2"),
    ("whatif.workflow.study:try_strategy", 0.0, "2"),
    ("whatif.resolve.trial:rows_apart", 0.3, "2"),
    ("pyspark.java_gateway:launch_gateway", 0.0, "2"),
    ("pyspark.java_gateway:launch_gateway", 0.5, "2+2"),
    ("pyspark.java_gateway:launch_gateway", 1.5, "2"),
    ("pyspark.java_gateway:launch_gateway", 4.0, "2"),
    ("whatif.session:_with_catalog", 0.0, "2"),
    ("whatif.runner.spark:backtests", 0.0, "2"),
    ("whatif.runner.spark:backtests", 1.0, "2+2"),
    ("whatif.runner.spark:insert_missing", 0.0, "2"),
    ("whatif.runner.spark:insert_missing", 0.7, "15"),
    ("whatif.workflow.study:choose_in_folds", 0.0, "2"),
    ("whatif.workflow.study:certify", 0.0, "2"),
    ("whatif.workflow.study:judge_study", 0.1, "2"),
    ("whatif.workflow.study:write_answer", 0.0, "2"),
    ("whatif.workflow.study:write_answer", 0.1, "2"),
    ("whatif.workflow.study:keep_answer", 0.0, "2"),
    ("whatif.workflow.study:log_study", 0.0, "2"),
    ("whatif.workflow.study:log_study", 0.02, "2+15"),
    ("whatif.cli.stop:_leave", 0.0, "2"),
)
KILLED = (
    ("pyspark.java_gateway:launch_gateway", 0.3, "9"),
    ("pyspark.java_gateway:launch_gateway", 2.5, "9"),
    ("whatif.workflow.study:try_strategy", 0.0, "9"),
    ("whatif.resolve.trial:rows_apart", 0.3, "9"),
    ("whatif.session:_with_catalog", 0.0, "9"),
    ("whatif.workflow.train:create_tables", 0.0, "9"),
    ("whatif.workflow.train:create_tables", 0.5, "9"),
    ("whatif.resolve.resolved:resolve_study", 0.5, "9"),
    ("whatif.runner.spark:backtests", 0.0, "9"),
    ("whatif.runner.spark:backtests", 0.7, "9"),
    ("whatif.runner.spark:backtests", 2.0, "9"),
    ("whatif.runner.spark:insert_missing", 0.0, "9"),
    ("whatif.runner.spark:insert_missing", 0.2, "9"),
    ("whatif.runner.spark:insert_missing", 0.5, "9"),
    ("whatif.runner.spark:insert_missing", 1.0, "9"),
    ("whatif.runner.spark:insert_missing", 2.0, "9"),
    ("whatif.workflow.study:choose_in_folds", 0.0, "9"),
    ("whatif.workflow.study:record_looks", 0.0, "9"),
    ("whatif.workflow.study:record_looks", 0.4, "9"),
    ("whatif.workflow.study:certify", 0.0, "9"),
    ("whatif.workflow.study:judge_study", 0.1, "9"),
    ("whatif.workflow.study:write_answer", 0.0, "9"),
    ("whatif.workflow.study:write_answer", 0.05, "9"),
    ("whatif.workflow.study:write_answer", 0.1, "9"),
    ("whatif.workflow.study:keep_answer", 0.0, "9"),
    ("whatif.workflow.study:log_study", 0.0, "9"),
    ("whatif.workflow.study:log_study", 0.05, "9"),
)
"""Where a run is killed; as for those that are stopped, in the order in which it comes there, after how many
seconds, and by what."""

SPARK_ONLY = (
    "pyspark",
    "whatif.session",
    "whatif.runner.spark",
    "whatif.workflow.train",
)
LOCAL_RUN = (
    ("whatif.runner.local:answers_apart", 0.0, "2"),
    ("whatif.runner.local:answers_apart", 0.5, "2"),
    ("whatif.runner.local:compute", 1.5, "2+2"),
    ("whatif.runner.local:insert_missing_rows", 0.0, "2"),
    ("whatif.runner.local:insert_missing_rows", 0.05, "15"),
    *(moment for moment in RUN if not moment[0].startswith(SPARK_ONLY)),
)
TRIAL = ("whatif.workflow.study:try_strategy", "whatif.resolve.trial:rows_apart")
LOCAL_KILLED = (
    ("whatif.workflow.runners:create_tables", 0.02, "9"),
    # once the backtests are stored, nothing is tried
    *(moment for moment in KILLED if moment[0] in TRIAL),
    ("whatif.runner.local:answers_apart", 0.3, "9"),
    ("whatif.runner.local:compute", 1.0, "9"),
    ("whatif.runner.local:compute", 2.0, "9"),
    *(("whatif.runner.local:insert_missing_rows", delay, "9") for delay in (0.0, 0.03, 0.06, 0.1, 0.2)),
    *(moment for moment in KILLED if not moment[0].startswith((*SPARK_ONLY, *TRIAL))),
)
"""The same by the local runner."""


def tables(home: Path) -> dict[str, list[str]]:
    location = LakeLocation(home)
    return {spec.name: plain_rows(location, spec) for spec in (RESULTS, RETURNS, TRADES, EQUITY)}


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize(
    ("runner", "stopped_ingest", "stopped_run", "killed_run"),
    [("spark", INGEST, RUN, KILLED), ("local", LOCAL_INGEST, LOCAL_RUN, LOCAL_KILLED)],
    ids=["spark", "local"],
)
def test_a_run_that_is_stopped_everywhere_comes_to_the_same_results(
    stop_at, tmp_path: Path, monkeypatch, runner: str, stopped_ingest, stopped_run, killed_run
) -> None:
    """Of either runner, to what Spark's gives undisturbed."""
    market = SampleMarket(sessions=14, symbols=default_symbols()[1:3])
    files = [str(path) for path in write_sample(market, tmp_path / "sample")]
    study = tmp_path / "study.yaml"
    study.write_text(STUDY)
    ingest = ["ingest", *files, "--exchange", "XNYS", "--timezone", "UTC"]

    def whole(home: Path, *arguments: str) -> None:
        monkeypatch.setenv("WHATIF_HOME", str(home))
        done = stop_at("nowhere", 0.0, "2", *arguments)
        assert done.code == 0, (done.out, done.err)

    undisturbed, home = tmp_path / "undisturbed", tmp_path / "home"
    whole(undisturbed, *ingest)
    whole(undisturbed, "run", str(study), "--runner", "spark")
    monkeypatch.setenv("WHATIF_RUNNER", runner)
    expected = tables(undisturbed)

    faults: list[tuple[object, ...]] = []
    stopped_home, killed_home = tmp_path / "stopped", tmp_path / "killed"
    for home, arguments, moments in (
        (stopped_home, ingest, stopped_ingest),
        (stopped_home, ["run", str(study)], stopped_run),
        (killed_home, ingest, ()),
        (killed_home, ["run", str(study)], killed_run),
    ):
        monkeypatch.setenv("WHATIF_HOME", str(home))
        for where, seconds, numbers in moments:
            stopped = stop_at(where, seconds, numbers, *arguments)
            number = int(numbers.split("+")[0])
            found = faults_of(stopped, -number if number == signal.SIGKILL else 128 + number)
            sys.stdout.write(f"{where} {seconds} {numbers}: {stopped.seconds:.1f} s, {found or 'clean'}\n")
            if found:
                faults.append((where, seconds, numbers, found, stopped.out[-1_500:], stopped.err[-3_000:]))
        whole(home, *arguments)

    assert not faults
    assert len(expected["results"]) == 62
    assert tables(stopped_home) == expected
    assert tables(killed_home) == expected
