"""What a worker says of its work, and the limits that it keeps."""

from __future__ import annotations

import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from whatif.errors import EngineError, RunError
from whatif.results.stopped import is_tried_again, stopped_for_memory, stopped_for_time
from whatif.runner import apart, watch
from whatif.runner.plan import WorkItem
from whatif.runner.watch import OverLimitError, time_limit

from ..markets import walk
from .conftest import configuration, evaluate

ODD = """
import time
from whatif.strategies import Param, strategy, target

@strategy(params={"mode": Param(0)})
def odd(i, x, p, s):
    if p.mode == 1:
        while True:
            try:
                time.sleep(10.0)
            except Exception:
                pass
    if p.mode == 2:
        raise MemoryError("9 GiB")
    if p.mode == 3:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
    return target(10.0)
"""


ENDLESS = """
from whatif.strategies import Param, strategy, target

@strategy(params={"mode": Param(0.0)})
def endless(i, x, p, s):
    k = 0.0
    while p.mode == 1.0 or p.mode == 2.0:
        k += 1.0
    return target(10.0 + k)
"""


@pytest.fixture
def endless(tmp_path: Path) -> str:
    (tmp_path / "endless.py").write_text(ENDLESS)
    return str(tmp_path / "endless.py")


@pytest.fixture
def odd(tmp_path: Path) -> str:
    (tmp_path / "odd.py").write_text(ODD)
    return str(tmp_path / "odd.py")


@pytest.fixture(autouse=True)
def _silent_again() -> Iterator[None]:
    yield
    watch.speak_to("")


def modes(*numbers: int) -> tuple:
    return tuple(configuration(f"c{k}", mode=k) for k in numbers)


def test_what_a_worker_says_goes_to_its_log_and_nowhere_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though a library has given all of the process's log to the terminal."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(sys.stderr)])
    log = tmp_path / "workers.log"
    watch.speak_to(str(log))
    watch.LOG.info("one")
    assert log.read_text().endswith(": one\n")
    assert capsys.readouterr() == ("", "")


class TestTime:
    def test_what_takes_too_long_is_a_row_that_says_so(self, lake, make_plan, odd) -> None:
        plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], odd, time_limit=3.0)
        rows = evaluate(plan, WorkItem(("A",), "validate", modes(0, 1, 4)))
        assert rows["wall_seconds"][1] < 9.0
        assert list(rows["status"]) == ["ok", "error", "ok"]
        assert "it took longer than 3 s, the time limit of the run" in rows["error"][1]
        assert rows["error"][1].startswith("stopped: ")

    @pytest.mark.slow
    def test_a_compiled_loop_that_never_ends_is_ended(self, lake, make_plan, endless, monkeypatch) -> None:
        """No signal is seen in machine code: its process is killed, and the others are done all the same."""
        monkeypatch.setattr(apart, "GRACE_SECONDS", 2.0)
        monkeypatch.setattr(apart, "COMPILING_SECONDS", 10.0)
        plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], endless, time_limit=1.0, engine="compiled")
        rows = evaluate(plan, WorkItem(("A",), "validate", modes(0, 1, 2, 4)))
        assert list(rows["config_id"]) == ["c0", "c1", "c2", "c4"]
        assert list(rows["status"]) == ["ok", "error", "error", "ok"]
        for error, seconds in zip(rows["error"][1:3], rows["wall_seconds"][1:3], strict=True):
            assert error == stopped_for_time(1.0)
            assert is_tried_again(error, 2.0)
            assert 2.9 < seconds < 60.0
        assert rows["trades"].notna().tolist() == [True, False, False, True]
        assert set(rows["worker"]) == {rows["worker"][0]}

    def test_a_limit_that_is_not_reached_changes_nothing(self, lake, make_plan, odd) -> None:
        pin = lake.put_bars([walk("A", 1)])
        item = WorkItem(("A",), "validate", modes(0, 4))
        with_limit = evaluate(make_plan(pin, ["A"], odd, time_limit=60.0), item)
        without = evaluate(make_plan(pin, ["A"], odd), item)
        differ = ["wall_seconds", "finished_at"]
        assert with_limit.drop(columns=differ).equals(without.drop(columns=differ))

    def test_the_alarm_is_as_it_was(self) -> None:
        """Also that of somebody else, such as a test runner's."""
        before = signal.signal(signal.SIGALRM, signal.SIG_IGN)
        left, interval = signal.setitimer(signal.ITIMER_REAL, 500.0)
        try:
            with pytest.raises(OverLimitError), time_limit(0.01):
                time.sleep(5.0)
            assert signal.getsignal(signal.SIGALRM) is signal.SIG_IGN
            with time_limit(60.0):
                pass
            assert 490.0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 500.0
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            with time_limit(60.0):
                pass
            assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        finally:
            signal.signal(signal.SIGALRM, before)
            signal.setitimer(signal.ITIMER_REAL, left, interval)

    def test_it_comes_again_for_whoever_catches_everything(self, monkeypatch) -> None:
        monkeypatch.setattr(watch, "_INTERVAL_SECONDS", 0.05)

        def deaf() -> None:
            try:
                time.sleep(5.0)
            except BaseException:
                time.sleep(5.0)

        with pytest.raises(OverLimitError), time_limit(0.05):
            deaf()

    def test_an_import_is_not_cut_in_two(self, tmp_path, monkeypatch) -> None:
        """A module that is half imported would stay so for the rest of the process."""
        (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(0.3)\nwhole = True\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(watch, "_INTERVAL_SECONDS", 0.2)

        def work() -> None:
            import slow_to_import

            assert slow_to_import.whole
            time.sleep(5.0)

        with pytest.raises(OverLimitError), time_limit(0.1):
            work()
        assert sys.modules["slow_to_import"].whole

    def test_other_threads_have_no_alarm(self) -> None:
        ended = []

        def work() -> None:
            with time_limit(0.01):
                time.sleep(0.1)
            ended.append(True)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert ended == [True]

    @pytest.mark.parametrize(
        ("error", "limit", "again"),
        [
            (stopped_for_time(10.0), 0.0, True),
            (stopped_for_time(10.0), 10.0, False),
            (stopped_for_time(10.0), 20.0, True),
            (stopped_for_time(10.0), 5.0, False),
            (stopped_for_memory("MemoryError: "), 5.0, True),
            ("ZeroDivisionError: on purpose", 0.0, False),
            (None, 0.0, False),
        ],
    )
    def test_who_had_too_little_is_tried_again(self, error, limit, again) -> None:
        assert is_tried_again(error, limit) is again


def test_what_needs_too_much_memory_is_a_row_that_says_what_to_do(lake, make_plan, odd) -> None:
    plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], odd)
    rows = evaluate(plan, WorkItem(("A",), "validate", modes(0, 2, 4)))
    assert list(rows["status"]) == ["ok", "error", "ok"]
    assert rows["error"][1].startswith("stopped: it ran out of memory (strategy odd: A, bar ")
    assert "the step raised MemoryError: 9 GiB" in rows["error"][1]
    assert "spark.executor.pyspark.memory" in rows["error"][1]


class TestLog:
    def lines(self, path: Path) -> list[str]:
        return path.read_text().splitlines()

    def test_it_names_study_configuration_symbol_and_window(self, lake, make_plan, odd, tmp_path) -> None:
        log = tmp_path / "workers.log"
        plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], odd, log=str(log))
        evaluate(plan, WorkItem(("A",), "validate", modes(0, 4)))
        item, first, second = self.lines(log)
        assert "study made: 2 configurations from c0 on, symbol A, window validate, attempt 0" in item
        assert first.endswith("study made: config_id c0, symbol A, window validate")
        assert second.endswith("study made: config_id c4, symbol A, window validate")

    def test_compiled_ones_are_named_when_they_are_tried_again(self, lake, make_plan, tmp_path) -> None:
        log = tmp_path / "workers.log"
        plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], engine="compiled", log=str(log))
        params = {"fast": 3, "slow": 9, "size": 1.0, "enter_at_once": False}
        item = WorkItem(("A",), "validate", (configuration("c0", **params),))
        evaluate(plan, item)
        assert len(self.lines(log)) == 1
        evaluate(plan, item, attempt=1)
        assert self.lines(log)[-1].endswith("study made: config_id c0, symbol A, window validate")

    def test_failures_beyond_a_few_have_no_traceback(
        self, lake, make_plan, odd, tmp_path, monkeypatch
    ) -> None:
        monkeypatch.setattr("whatif.runner.worker.MAX_TRACEBACKS", 1)
        log = tmp_path / "workers.log"
        plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], odd, log=str(log))
        many = tuple(configuration(f"c{k}", mode=2) for k in range(4))
        evaluate(plan, WorkItem(("A",), "validate", many))
        text = log.read_text()
        assert text.count("on A failed") == 4
        assert text.count("the step raised MemoryError") == 1

    def test_a_worker_that_dies_has_said_at_what(self, lake, make_plan, odd, tmp_path) -> None:
        """By a real process that is killed in the middle, on standard error as on a cluster."""
        import pickle

        plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], odd, log="stderr")
        item = WorkItem(("A",), "validate", modes(0, 3, 4))
        (tmp_path / "given").write_bytes(pickle.dumps((plan, item.to_json())))
        code = (
            "import pickle, sys; from whatif.runner.worker import evaluate\n"
            "plan, item = pickle.loads(open(sys.argv[1], 'rb').read())\n"
            "list(evaluate(plan, [item]))"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "given")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert done.stderr.splitlines()[-1].endswith("study made: config_id c3, symbol A, window validate")

    def test_nothing_is_said_where_nobody_listens(self, lake, make_plan, odd, capfd) -> None:
        plan = make_plan(lake.put_bars([walk("A", 1)]), ["A"], odd)
        evaluate(plan, WorkItem(("A",), "validate", modes(0, 2)))
        said = capfd.readouterr()
        assert (said.out, said.err) == ("", "")


def test_a_bound_on_the_address_space_gives_memory_errors() -> None:
    """What `spark.executor.pyspark.memory` sets in a worker: numpy and Python refuse, nothing hangs."""
    code = (
        "import resource, numpy as np\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\n"
        "try: np.zeros(2**30)\n"
        "except MemoryError as e: print(type(e).__mro__[-4].__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "MemoryError"
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 2**31


class TestApart:
    def test_rows_come_in_order_and_what_hangs_is_replaced(self, monkeypatch) -> None:
        monkeypatch.setattr(apart, "GRACE_SECONDS", 0.3)

        def make(first: int, signals: apart.Signals) -> Iterator[dict]:
            for place in range(first, 5):
                signals.began()
                while place in (1, 4):
                    pass
                yield {"place": place, "pid": os.getpid()}

        rows = list(apart.rows_apart(5, make, lambda place, seconds: {"place": -place}, 0.1))

        assert [row["place"] for row in rows] == [0, -1, 2, 3, -4]
        assert rows[0]["pid"] != rows[2]["pid"] == rows[3]["pid"] != os.getpid()
        for row in rows:
            if "pid" in row:
                with pytest.raises(ProcessLookupError):
                    os.kill(row["pid"], 0)

    def test_what_is_compiled_may_take_longer(self, monkeypatch) -> None:
        monkeypatch.setattr(apart, "GRACE_SECONDS", 0.2)

        def make(_: int, signals: apart.Signals) -> Iterator[dict]:
            signals.began()
            signals.busy()
            time.sleep(1.0)
            yield {"done": True}

        assert list(apart.rows_apart(1, make, lambda *_: {"done": False}, 0.1)) == [{"done": True}]

    def test_an_error_and_a_death_of_the_process_are_raised(self) -> None:
        def raises(_: int, signals: apart.Signals) -> Iterator[dict]:
            signals.began()
            yield {}
            raise EngineError("no bars")

        def dies(_: int, signals: apart.Signals) -> Iterator[dict]:
            signals.began()
            os.kill(os.getpid(), signal.SIGKILL)
            yield {}

        with pytest.raises(EngineError, match="no bars"):
            list(apart.rows_apart(2, raises, lambda *_: {}, 60.0))
        with pytest.raises(RunError, match="ended by itself"):
            list(apart.rows_apart(2, dies, lambda *_: {}, 60.0))
