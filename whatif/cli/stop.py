"""Stops of a command: Ctrl-C, SIGTERM, a terminal that goes; each ends what the command has started, too.

What Python makes of a signal, an exception in the main thread, is not enough: it may come in a library that
takes it for an error of its own or drops it, in machine code that returns late, or while a thread waits for
a JVM. So the main thread gets the exception and some seconds to leave its work in order, and a thread beside
it sees to the end: it needs nothing of the main thread. Whatever is raised after a stop is part of the stop.

Imports next to nothing but the standard library, since it has to be there first.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from whatif.processes import end_descendants

STOPS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that stop a command, unless the process was started with them ignored, as by nohup."""

GRACE_SECONDS = 5.0
"""What a command may take to leave its work in order, by exceptions, before its process is ended."""

REAP_SECONDS = 2.0
"""What the memory of children that have ended may take to be given back."""

SAID = "stopped: what was stored stays stored, the same command goes on from there"

_SHOW_CURSOR = b"\x1b[?25h"


class _Stop:
    """Hears the signals of this process, and ends it."""

    def __init__(self) -> None:
        self.number = 0
        self.leaving = False
        self.said = SAID
        self._told = False
        self._stderr = 2
        self._ended: list[int] = []
        self._pid = os.getpid()
        self._ending = threading.RLock()
        self._reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=_deafen)
        for one in STOPS:
            if signal.getsignal(one) is not signal.SIG_IGN:
                signal.signal(one, self._interrupt)
        threading.Thread(target=self._watch, name="stop", daemon=True).start()

    def came(self) -> bool:
        """Whether a stop came; waits for a moment, in which the thread that hears of it runs."""
        if not self.number:
            time.sleep(0.05)
        return bool(self.number)

    def end(self) -> NoReturn:
        """End this process and all that it started, with a sentence."""
        self.leaving = True
        with self._ending:  # whoever comes second waits until it is over
            with suppress(Exception):
                self._ended += end_descendants(self._pid)
            self._reap()
            with suppress(OSError):
                if os.isatty(1):
                    os.write(1, _SHOW_CURSOR)
                os.write(self._stderr, f"{self.said}\n".encode())
            os._exit(128 + self.number)

    def _reap(self) -> None:
        """Wait for the last threads of children that have ended, for none to be left as a zombie."""
        until = time.monotonic() + REAP_SECONDS
        for one in self._ended:
            with suppress(ChildProcessError):
                while not os.waitpid(one, os.WNOHANG)[0] and time.monotonic() < until:
                    time.sleep(0.01)

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a child that runs Python of ours: its parent says what there is to say
            os._exit(128 + number)
        self._heard(number)
        if self._told:
            return
        self._told = True
        if self.leaving:
            self.end()
        raise KeyboardInterrupt

    def _heard(self, number: int) -> None:
        if not self.number:
            self.number = number
            # what breaks from now on is meant to, and libraries say so in many ways: sockets, threads, logs
            with suppress(OSError):
                self._stderr = os.dup(2)
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 2)
                os.close(nowhere)

    def _watch(self) -> None:
        self._heard(self._next(None) or signal.SIGINT)
        with suppress(Exception):
            self._ended += end_descendants(self._pid)
        self._next(GRACE_SECONDS)  # until somebody gets impatient
        self.end()

    def _next(self, seconds: float | None) -> int | None:
        """Return the next stop, or None if there is none in so many seconds."""
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            left = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([self._reading], [], [], left)[0]:
                return None
            for number in os.read(self._reading, 64):
                if number in STOPS and signal.getsignal(number) is not signal.SIG_IGN:
                    return number


def _deafen() -> None:
    """Let a forked child hear its signals itself, and not its parent."""
    with suppress(ValueError):
        signal.set_wakeup_fd(-1)


_stop: _Stop | None = None


def stopping() -> bool:
    """Whether this process is being stopped, so that an error is no news."""
    return _stop is not None and _stop.came()


def say_at_stop(text: str) -> None:
    """Set the sentence that a stop of this command ends with, if there is nothing to go on with."""
    if _stop is not None:
        _stop.said = text


def stoppable(command: Callable[[], int]) -> NoReturn:
    """Run a command as what this process is for, and end the process with its exit code.

    Parameters
    ----------
    command : callable
        Returns the exit code.
    """
    global _stop  # a process has one
    code = 1
    try:
        try:
            if os.name == "posix":
                _stop = _Stop()
            code = command()
            _leave()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:
            if not stopping():
                sys.excepthook(*sys.exc_info())
                _leave()
        if _stop is not None:
            _stop.leaving = True
            if _stop.number:
                _stop.end()
    except BaseException:
        if _stop is not None and _stop.number:
            _stop.end()
        raise
    os._exit(code)


def _leave() -> None:
    """Do what Python does when a process ends, while stops are still heard."""
    wait: Callable[[], None] | None = getattr(threading, "_shutdown", None)
    if wait is not None:
        wait()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
