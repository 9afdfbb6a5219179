"""The child that forks what this process would, seen from a process of its own that has imported little."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

CODE = """
import json, os, signal, sys
from whatif.runner import ahead, apart

REAL = os.getpid()
told = {}


def where():
    return [os.getpid(), os.getppid()]


def numbers(first, signals):
    for k in range(first, 4):
        signals.began()
        if k == 2:
            os.kill(os.getpid(), signal.SIGSTOP)
        yield {"k": k}


def stopped(place, seconds):
    return {"stopped": place}


def dies():
    if os.getpid() != REAL:
        os._exit(3)
    return "here"


def noted():
    os.environ["NOTED"] = "by the child"


def reads():
    return os.environ.get("NOTED", "")


def done(*tasks):
    return apart.done_apart(list(tasks), apart.nothing, 60.0, len(tasks))


ahead.cores = lambda: {cores}
with ahead.forking_ahead({wanted}):
    child = 0 if ahead._forker is None else ahead._forker._process.pid
    told["begun"] = bool(child)
    told["not yet asked"] = done(where)[0][1] == REAL
    told["taken"] = ahead.done_ahead(noted)
    told["forked by it"] = [parent == child for _, parent in done(where, where)]
    told["changed it alone"] = [done(reads)[0], reads()]
    told["not pickled"] = done(lambda: os.getppid() == REAL)
    told["dies"] = done(dies)
    apart.GRACE_SECONDS = 0.5
    told["rows"] = list(apart.rows_apart(4, numbers, stopped, 0.5))
    told["numba here"] = "numba" in sys.modules
    if child:
        os.kill(child, signal.SIGKILL)
    told["without it"] = done(where)[0][1] == REAL
    told["nor later"] = ahead.done_ahead(noted)
try:
    os.waitpid(-1, 0)
except ChildProcessError:
    told["none left"] = True
print(json.dumps(told))
"""


def _told(code: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert not done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("cores", "wanted", "begun"), [(2, True, True), (1, True, False), (2, False, False)])
def test_it_forks_once_it_has_done_something_and_all_goes_on_without_it(cores, wanted, begun) -> None:
    assert _told(CODE.replace("{cores}", str(cores)).replace("{wanted}", str(wanted))) == {
        "begun": begun,
        "not yet asked": True,
        "taken": begun,
        "forked by it": [begun, begun],
        "changed it alone": ["by the child" if begun else "", ""],
        "not pickled": [True],
        "dies": ["here"],
        "rows": [{"k": 0}, {"k": 1}, {"stopped": 2}, {"k": 3}],
        "numba here": False,
        "without it": True,
        "nor later": False,
        "none left": True,
    }


INTERRUPTED = """
import json, os, signal, time
from whatif.runner import ahead, apart


def sleeps(pipe):
    time.sleep(60.0)


def ends(pipe):
    os._exit(3)


def fails():
    raise ValueError


def parent():
    return os.getppid()


def slow():
    time.sleep(0.6)


def interrupt(*_):
    raise KeyboardInterrupt


ahead.cores = lambda: 2
told = {}
with ahead.forking_ahead():
    ahead.done_ahead(time.time)
    child = ahead._forker._process.pid
    os.kill(child, signal.SIGINT)
    told["ended"] = os.waitstatus_to_exitcode(apart._begun(ends).wait())
    first = apart._begun(sleeps)
    told["deaf"] = apart.done_apart([parent], apart.nothing, 60.0, 1) == [child]
    ahead.done_ahead(slow)
    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        apart.done_apart([time.time], apart.nothing, 60.0, 1)
    except KeyboardInterrupt:
        told["interrupted"] = True
    time.sleep(0.8)
    first.kill()
    told["killed"] = first.wait() == signal.SIGKILL
with ahead.forking_ahead():
    told["sent"] = ahead.done_ahead(fails)
    told["failed"] = apart.done_apart([parent], apart.nothing, 60.0, 1) == [os.getpid()]
print(json.dumps(told))
"""


def test_what_fails_or_is_interrupted_is_not_taken_for_an_answer() -> None:
    assert _told(INTERRUPTED) == {
        "ended": 3,
        "deaf": True,
        "interrupted": True,
        "killed": True,
        "sent": True,
        "failed": True,
    }


HANGS = """
import json, os, signal, sys, time, warnings
from whatif.runner import ahead, apart


def parent():
    return os.getppid()


def stops():
    os.kill(os.getpid(), signal.SIGSTOP)


def asked(work, sent):
    ahead.LIMIT_SECONDS = 60.0
    with ahead.forking_ahead(), warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        ahead.done_ahead(time.time)
        child = ahead._forker._process
        first = apart.done_apart([parent], apart.nothing, 60.0, 1) == [child.pid]
        ahead.LIMIT_SECONDS = 0.5
        ahead.done_ahead(work)
        began = time.monotonic()
        found = apart.done_apart([parent, sent], apart.nothing, 60.0, 1)
        waited = time.monotonic() - began
        again = apart.done_apart([parent], apart.nothing, 60.0, 1)
        killed = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT).si_status == signal.SIGKILL
        return [first, found[0] == os.getpid(), again == [os.getpid()], killed, 0.4 < waited < 20.0,
            [str(one.message) for one in heard]]


class Large:
    def __init__(self):
        self.bytes = bytes(4 << 20)  # more than a socket holds for who does not read

    def __call__(self):
        return len(self.bytes)


ahead.cores = lambda: 2
print(json.dumps([asked(stops, parent), asked(stops, Large())]))
"""


def test_a_child_that_hangs_is_ended_and_its_work_done_without_it() -> None:
    said = (
        "a process that was begun to fork those that run backtests did not answer for 0.5 s, and was ended: "
        "its work is done without it, and nothing is lost"
    )
    assert _told(HANGS) == [[True, True, True, True, True, [said]]] * 2


COMPILES = """
import json, os
from whatif.domain.compile import _set_up
from whatif.runner import ahead, apart
from whatif.startup import told_of_compiling

told = []


def twice(x):
    return 2 * x


def compiles():
    for _ in range(2):
        _set_up().njit(twice)(1)


def parent():
    return os.getppid()


ahead.cores = lambda: 2
with ahead.forking_ahead(), told_of_compiling(lambda: told.append(os.getpid())):
    ahead.done_ahead(compiles)
    child = ahead._forker._process.pid
    found = apart.done_apart([parent], apart.nothing, 60.0, 1)
print(json.dumps([told == [os.getpid()], found == [child]]))
"""


def test_this_process_is_told_that_the_child_compiles() -> None:
    assert _told(COMPILES) == [True, True]
