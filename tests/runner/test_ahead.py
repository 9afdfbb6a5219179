"""The child that forks what this process would, seen from a process of its own that has imported little."""

from __future__ import annotations

import json
import subprocess
import sys

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


def _told(code: str) -> dict[str, object]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told


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
