"""Child processes for backtests, which can be ended while machine code runs in them.

An alarm is seen between two steps of Python, and a compiled loop takes none. So a run with a time limit
computes its rows in a child of the worker; what says nothing for too long is killed, gets a row that
says so, and the next child goes on with the configurations that are left.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import select
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from threading import Thread
from typing import Any, BinaryIO, Generic, TypeVar

from whatif.errors import RunError
from whatif.startup import begin_worker

T = TypeVar("T")

GRACE_SECONDS = 5.0
"""Beyond its limit, what a backtest has to notice it by itself, as whatever runs in Python does."""

COMPILING_SECONDS = 15.0
"""What a compilation may take from one sign of life to the next."""

MAX_GROWTH = 2 * 1024**3
"""Bytes that a process may grow by before another takes its place; what it keeps has bounds of its own."""

_PARENT_SECONDS = 0.5

_BEGAN, _BUSY, _ROW, _FAILED = b"BURF"
_HEAD = struct.Struct("<BQ")
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


@dataclass(frozen=True)
class Signals:
    """What a child says of its work while it goes on.

    Attributes
    ----------
    began : callable
        A backtest begins.
    busy : callable
        Its time is over, but it is being compiled, which nothing may cut.
    """

    began: Callable[[], None]
    busy: Callable[[], None]


ALONE = Signals(began=lambda: None, busy=lambda: None)
"""Of work that nobody watches."""


def cores() -> int:
    """Return how many processes compute at once: one for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def nothing() -> None:
    """Do nothing."""


def begin_in_pool(parent: int) -> None:
    """Prepare a process of a pool, before it imports what it is sent: it is found here, where little else is.

    It leaves Ctrl-C to the process that started it, and ends when that is gone.

    Parameters
    ----------
    parent : int
        Number of that process.
    """
    from joblib.externals.loky import process_executor

    begin_worker()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # loky takes 300 MB for a leak and begins another process, which has all to import and compile anew
    process_executor._MAX_MEMORY_LEAK_SIZE = MAX_GROWTH

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_SECONDS)
        os._exit(1)

    Thread(target=watch, name="watch", daemon=True).start()


def can_run_apart() -> bool:
    """Whether processes can be forked here."""
    return hasattr(os, "fork")


def rows_apart(
    count: int,
    make: Callable[[int, Signals], Iterable[dict[str, Any]]],
    stopped: Callable[[int, float], dict[str, Any]],
    seconds: float,
) -> Iterator[dict[str, Any]]:
    """Yield `count` rows, each made in a child process that is killed when one takes too long.

    Parameters
    ----------
    count : int
        How many.
    make : callable
        Makes the rows from a place on, and calls `Signals.began` before each.
    stopped : callable
        Makes the row at a place that was killed, given how long it took.
    seconds : float
        What each may take by its own account; killed `GRACE_SECONDS` later.

    Raises
    ------
    RunError
        If a child ends by itself before its rows are done, as one that is killed for want of memory.
    """
    done = 0
    while done < count:
        child = _Child(make, done)
        try:
            for row in child.rows(seconds):
                done += 1
                yield row
        finally:
            child.end()
        if child.killed_after is not None:
            yield stopped(done, child.killed_after)
            done += 1
        elif done < count:
            raise RunError(f"the process of a backtest ended by itself ({child.how})")


def answers_apart(
    shares: Sequence[Mapping[int, Callable[[], bytes]]], meanwhile: Callable[[], object], seconds: float
) -> Iterator[tuple[int, bytes | None]]:
    """Yield the answers of tasks, made by as many child processes as there are shares, as they come.

    A child has all that this process has imported and read, so that it begins at once. What its first task
    imports and reads, the others of its share have.

    Parameters
    ----------
    shares : sequence of mapping of int to callable
        What each child does, one task after the other, by number.
    meanwhile : callable
        What this process does when all have begun.
    seconds : float
        What a task may take before its child is killed: what it needs may be held by a thread that a fork
        leaves behind.

    Yields
    ------
    int, bytes or None
        Number of a task, and its answer; None where it raised, or its process ended before it was done.

    Raises
    ------
    RunError
        If `end_all` ended them.
    """
    working: dict[int, _Work] = {}
    try:
        for share in shares:
            one = _Work(share, seconds)
            working[one.pipe] = one
        meanwhile()
        while working:
            left = min(one.left() for one in working.values())
            for pipe in select.select(list(working), [], [], left)[0]:
                one = working[pipe]
                yield from one.answers()
                if one.has_ended:
                    del working[pipe]
                    yield from one.unanswered()
            for one in working.values():
                if one.left() <= 0.0:
                    one.kill()
    finally:
        for one in working.values():
            one.end()


def done_apart(
    tasks: Sequence[Callable[[], T]], meanwhile: Callable[[], object], seconds: float, processes: int
) -> list[T]:
    """Return what tasks give, done by child processes while this one does something else.

    What a child does not answer is done here, so that what it raises is raised.

    Parameters
    ----------
    tasks : sequence of callable
        Each gives what can be pickled.
    meanwhile : callable
        What this process does when all have begun.
    seconds : float
        What a task may take in a child.
    processes : int
        Children, at most.

    Raises
    ------
    RunError
        If `end_all` ended the children.
    """
    found: dict[int, T] = {}
    if can_run_apart():
        numbers = range(len(tasks))
        shares = [numbers[k::processes] for k in range(min(processes, len(tasks)))]
        said = [{k: partial(_pickled_answer, tasks[k]) for k in share} for share in shares]
        answers = answers_apart(said, meanwhile, seconds)
        found = {number: pickle.loads(answer) for number, answer in answers if answer is not None}
    else:
        meanwhile()
    return [found[k] if k in found else task() for k, task in enumerate(tasks)]


def _pickled_answer(task: Callable[[], Any]) -> bytes:
    return pickle.dumps(task(), pickle.HIGHEST_PROTOCOL)


class Begun(Generic[T]):
    """A task that a child process is at while this one does something else.

    Parameters
    ----------
    task : callable
        Gives what can be pickled.

    Attributes
    ----------
    pid : int
        The child's number.
    """

    def __init__(self, task: Callable[[], T]) -> None:
        self._work = _Work({0: partial(_pickled_answer, task)}, inf)
        self.pid = self._work.pid

    def answer(self) -> tuple[T, ...]:
        """Wait for what the child gives, and return it; nothing where it raised or its process ended.

        Raises
        ------
        RunError
            If `end_all` ended it.
        """
        found: list[T] = []
        while not self._work.has_ended:
            found += [pickle.loads(said) for _, said in self._work.answers() if said is not None]
        for _ in self._work.unanswered():
            return ()
        return tuple(found)

    def end(self) -> None:
        """Kill the child, whose answer nobody wants; nothing where it was waited for."""
        if self._work in _WORKING:
            self._work.end()


def end_all() -> None:
    """Kill the children of `answers_apart`, whatever they are at; nobody waits for them any more."""
    for one in list(_WORKING):
        one.cancel()


_WORKING: set[_Work] = set()


class _Work:
    """A child process at its share of tasks."""

    def __init__(self, share: Mapping[int, Callable[[], bytes]], seconds: float) -> None:
        self._left, self._said = list(share), bytearray()
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._process = _begun(partial(_say_answers, list(share.values())))
        self.pid, self.pipe = self._process.pid, self._process.pipe
        self._cancelled = False
        self.has_ended = False
        _WORKING.add(self)

    def left(self) -> float:
        """Return the seconds that are left to its task, 0 at least."""
        return max(0.0, self._until - time.monotonic())

    def answers(self) -> Iterator[tuple[int, bytes | None]]:
        """Take what the child has said by now, and yield the tasks that it is done with."""
        some = os.read(self.pipe, _CHUNK)
        self._said += some
        self.has_ended = not some
        while len(self._said) >= _HEAD.size:
            kind, size = _HEAD.unpack_from(self._said)
            end = _HEAD.size + size
            if len(self._said) < end:
                return
            answer = bytes(self._said[_HEAD.size : end])
            del self._said[:end]
            self._until = time.monotonic() + self._seconds
            yield self._left.pop(0), answer if kind == _ROW else None

    def unanswered(self) -> Iterator[tuple[int, None]]:
        """Yield the tasks that the child left when it ended."""
        self._waited()
        if self._cancelled:
            raise RunError("the processes of a wave were ended")
        for number in self._left:
            yield number, None

    def cancel(self) -> None:
        """Kill the child, whose answer nobody wants."""
        self._cancelled = True
        self.kill()

    def kill(self) -> None:
        """Kill the child, which then has no answer."""
        self._process.kill()

    def end(self) -> None:
        """Kill the child, and take it from the system's table."""
        self.cancel()
        self._waited()

    def _waited(self) -> int:
        os.close(self.pipe)
        status = self._process.wait()
        _WORKING.discard(self)
        return status


_CHUNK = 1 << 20


def _say_answers(tasks: Sequence[Callable[[], bytes]], pipe: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that is the parent's
    for task in tasks:
        try:
            answer = task()
        except Exception:
            _write(pipe, _FAILED)
        else:
            _write(pipe, _ROW, answer)


class _Child:
    """A process that makes rows from one place on."""

    def __init__(self, make: Callable[[int, Signals], Iterable[dict[str, Any]]], first: int) -> None:
        self.killed_after: float | None = None
        self.how = ""
        self._process = _begun(partial(_say_rows, make, first))
        self._pipe = os.fdopen(self._process.pipe, "rb", buffering=0)

    def rows(self, seconds: float) -> Iterator[dict[str, Any]]:
        """Yield rows until there are no more, or one takes longer than it may."""
        began, until = 0.0, None
        while True:
            left = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([self._pipe], [], [], left)[0]:
                self.killed_after = time.monotonic() - began
                return
            kind, said = _read(self._pipe)
            if kind == _BEGAN:
                began = time.monotonic()
                until = began + seconds + GRACE_SECONDS
            elif kind == _BUSY:
                until = time.monotonic() + COMPILING_SECONDS
            elif kind == _ROW:
                until = None
                yield pickle.loads(said)
            elif kind == _FAILED:
                raise pickle.loads(said)
            else:
                return

    def end(self) -> None:
        """Kill the process, if it still runs, and note how it ended."""
        self._pipe.close()
        self._process.kill()
        code = os.waitstatus_to_exitcode(self._process.wait())
        self.how = f"signal {-code}" if code < 0 else f"exit code {code}"


def _say_rows(make: Callable[[int, Signals], Iterable[dict[str, Any]]], first: int, pipe: int) -> None:
    signals = Signals(partial(_write, pipe, _BEGAN), partial(_write, pipe, _BUSY))
    try:
        for row in make(first, signals):
            _write(pipe, _ROW, pickle.dumps(row, pickle.HIGHEST_PROTOCOL))
    except BaseException as error:
        _write(pipe, _FAILED, _pickled(error))


@dataclass(frozen=True)
class Process:
    """A process that does one thing and says of it into a pipe.

    Attributes
    ----------
    pid : int
        Its number, which no other process has before it was waited for.
    pipe : int
        Where what it says is read; whoever has the process closes it.
    waited : callable
        Waits until the process of a number has ended, and returns its wait status.
    """

    pid: int
    pipe: int
    waited: Callable[[int], int] = lambda pid: os.waitpid(pid, 0)[1]

    def kill(self) -> None:
        """Kill it, if it still runs."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait until it has ended, and return its wait status; it cannot be killed any more."""
        return self.waited(self.pid)


Job = Callable[[int], None]
"""What a process does, given the pipe that it says something of it into."""

_forker: Callable[[Job], Process | None] | None = None


def use_forker(forker: Callable[[Job], Process | None] | None) -> None:
    """Let something else fork what this process would, where it can; None for nothing else."""
    global _forker
    _forker = forker


def forked(do: Job) -> Process:
    """Start a child that does something, and return it."""
    reading, writing = os.pipe()
    try:
        return Process(fork_into(do, writing, reading), reading)
    finally:
        os.close(writing)


def fork_into(do: Job, pipe: int, other: int) -> int:
    """Start a child that does something and says of it into a pipe; return its number.

    In the child this never returns, so that nothing of the parent's is done twice. It has no use for the
    `other` file.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            use_forker(None)
            os.close(other)
            _die_with(parent)
            do(pipe)
            code = 0
        finally:
            os._exit(code)
    return pid


def _begun(do: Job) -> Process:
    return (None if _forker is None else _forker(do)) or forked(do)


def _die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent dies: a loop that never ends would outlive it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _pickled(error: BaseException) -> bytes:
    try:
        return pickle.dumps(error)
    except Exception:
        return pickle.dumps(RunError(f"{type(error).__name__}: {error}"))


def _write(pipe: int, kind: int, what: bytes = b"") -> None:
    left = memoryview(_HEAD.pack(kind, len(what)) + what)
    while left:
        left = left[os.write(pipe, left) :]


def _read(pipe: BinaryIO) -> tuple[int, bytes]:
    """Return what is said next; (0, b"") at the end."""
    head = _exactly(pipe, _HEAD.size)
    if len(head) < _HEAD.size:
        return 0, b""
    kind, size = _HEAD.unpack(head)
    said = _exactly(pipe, size)
    return (kind, said) if len(said) == size else (0, b"")


def _exactly(pipe: BinaryIO, size: int) -> bytes:
    parts = []
    while size:
        part = pipe.read(size)
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
