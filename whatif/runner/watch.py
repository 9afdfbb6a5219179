"""Log of a worker's progress, and the limits of time and memory that it keeps."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from whatif.engines import get_engine
from whatif.runner.plan import Plan, WorkItem
from whatif.search import Configuration

LOG = logging.getLogger("whatif.worker")

STDERR = "stderr"
"""Where a worker on a cluster speaks: what it writes there is in the log of its executor."""

_INTERVAL_SECONDS = 1.0
_NEVER_CUT = ("<frozen importlib", "/numba/core/", "/llvmlite/")

_speaks_to = ""


class OverLimitError(BaseException):
    """A backtest took too long. Not an `Exception`, which a strategy may well catch."""


def where_workers_say(log: str) -> str:
    """Return where a user reads what workers were at, as the rest of a sentence."""
    if log == STDERR:
        return ", and what each worker was at in the standard error of its executor"
    return f", and what each worker was at in {log}" if log else ""


def speak_to(log: str) -> None:
    """Let this process log what it is at to `log`, and nowhere if that is empty.

    Each line is written at once, so that it is there if the process dies of the next thing it does.
    """
    global _speaks_to  # a process has one log
    if log == _speaks_to:
        return
    for old in list(LOG.handlers):
        LOG.removeHandler(old)
        old.close()
    if log:
        handler = logging.StreamHandler(sys.stderr) if log == STDERR else logging.FileHandler(log, "a")
        form = logging.Formatter("%(asctime)s.%(msecs)03dZ whatif worker %(process)d: %(message)s")
        form.converter = time.gmtime
        form.datefmt = "%Y-%m-%dT%H:%M:%S"
        handler.setFormatter(form)
        LOG.addHandler(handler)
    LOG.setLevel(logging.INFO if log else logging.WARNING)
    LOG.propagate = not log  # a library may have given all of the process's log to the terminal
    _speaks_to = log


def say_item(plan: Plan, item: WorkItem, attempt: int) -> None:
    """Log that a work item begins."""
    first = item.configurations[0].config_id if item.configurations else "none"
    LOG.info(
        "study %s: %d configurations from %s on, symbol %s, window %s, attempt %d, engine %s",
        plan.study, len(item.configurations), first, "+".join(item.symbols), item.window, attempt,
        plan.engine,
    )  # fmt: skip


def say_configuration(plan: Plan, item: WorkItem, configuration: Configuration, attempt: int) -> None:
    """Log that a configuration begins: fast ones only when they are tried again.

    A line costs some ten microseconds, nothing beside a backtest in Backtrader's broker, and a per
    cent of one of an engine that reuses its windows. A worker that one of those kills is tried again,
    and then says which.
    """
    if get_engine(plan.engine).reuses_windows and not attempt and not item.keep:
        return
    LOG.info(
        "study %s: config_id %s, symbol %s, window %s",
        plan.study, configuration.config_id, "+".join(item.symbols), item.window,
    )  # fmt: skip


@contextmanager
def time_limit(seconds: float, busy: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Stop what the block does after so many seconds of wall time; 0 is no limit.

    By an alarm, which only a process's main thread gets, as that of Spark's workers. Python sees it
    between two of its own steps, so a compiled kernel is stopped when it returns: one that does not
    has to be ended with its process, see `whatif.runner.apart`. It comes again each second, for a
    strategy that catches everything; and for whatever is being imported or compiled, which stays
    broken for the rest of the process if it is stopped halfway: `busy` is called then.

    Raises
    ------
    OverLimitError
        When the time is over.
    """
    if seconds <= 0 or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_: int, frame: FrameType | None) -> None:
        if _must_not_be_cut(frame):
            busy()
        else:
            raise OverLimitError

    handler = signal.signal(signal.SIGALRM, stop)
    began = time.monotonic()
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds, _INTERVAL_SECONDS)

    def disarm() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, handler)
        if left:  # an alarm of somebody else's
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 0.001))

    try:
        yield
    finally:
        try:
            disarm()
        except OverLimitError:  # it came just now, and the next one is a second away
            disarm()
            raise


def _must_not_be_cut(frame: FrameType | None) -> bool:
    """Whether an import or a compilation is going on."""
    while frame is not None:
        if any(text in frame.f_code.co_filename for text in _NEVER_CUT):
            return True
        frame = frame.f_back
    return False
