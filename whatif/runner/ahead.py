"""A child that imports what backtests need while this process reads a study, and forks those that run them.

Half a second of imports, of numba and Backtrader, and of loading machine code is then done on another core.
Whatever the child cannot take, and all of it once the child is gone, is done as if there were none.
"""

from __future__ import annotations

import gc
import io
import os
import pickle
import signal
import socket
import struct
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from threading import Lock
from typing import Any

from whatif.runner.apart import Job, Process, can_run_apart, cores, fork_into, forked, use_forker
from whatif.startup import say_compiling, told_of_compiling, without_collecting

_SHARED = ("whatif.pins.read", "pyiceberg.io.pyarrow")
"""What this process needs first, too: it is imported before the child begins."""

_OWN = ("whatif.runner.worker", "whatif.runner.origin")
"""What the child needs besides the engines."""

_COMPILER = "whatif.engines.compiled.window"
"""What this process does not import as long as the child does its work."""

LIMIT_SECONDS = 120.0
"""How long this process waits for each answer of the child, which may have a strategy to compile first."""

_HEAD = struct.Struct("<BQ")
_DO, _FORK, _WAIT = range(3)
_REPLY = struct.Struct("<q")
_NO, _COMPILES = -1, -2

_forker: _Forker | None = None


@contextmanager
def forking_ahead(wanted: bool = True) -> Iterator[None]:
    """Begin the child, and let it fork what this process would, as long as the block goes on.

    None is begun where processes cannot be forked, there is no core for it, or this process has imported
    already what the child is for.
    """
    global _forker  # a process has one
    if not wanted or not can_run_apart() or cores() < 2 or _COMPILER in sys.modules or _forker is not None:
        yield
        return
    with without_collecting():
        for name in _SHARED:
            import_module(name)
    _forker = _Forker()
    try:
        yield
    finally:
        drop_forker()


def done_ahead(work: Callable[[], object]) -> bool:
    """Let the child do something that changes it alone, such as to load machine code; return whether it does.

    From then on it forks what this process would fork. Nothing is waited for.

    Parameters
    ----------
    work : callable
        Can be pickled, strategies in it too.
    """
    if _forker is not None and _COMPILER not in sys.modules and _forker.do(work):
        use_forker(_forker.forked)
        return True
    drop_forker()
    return False


def drop_forker() -> None:
    """End the child, if there is one: it forks nothing more."""
    global _forker
    use_forker(None)
    if _forker is not None:
        _forker.end()
    _forker = None


class _Pickler(pickle.Pickler):
    """Pickles strategies by what finds them elsewhere."""

    def persistent_id(self, value: Any) -> Any:
        from whatif.strategies import BacktraderSpec, StrategySpec, to_portable

        return to_portable(value) if isinstance(value, StrategySpec | BacktraderSpec) else None


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, portable: Any) -> Any:
        from whatif.strategies import from_portable

        return from_portable(portable)


def _pickled(work: Callable[..., object]) -> bytes | None:
    """Return work as it travels; None if it cannot."""
    sink = io.BytesIO()
    try:
        _Pickler(sink, pickle.HIGHEST_PROTOCOL).dump(work)
    except Exception:  # what stands in the way of pickling is many things
        return None
    return sink.getvalue()


class _Forker:
    """The child, as its parent sees it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        mine = self._socket

        def serve(pipe: int) -> None:
            os.close(pipe)
            mine.close()
            _serve(theirs)

        self._process = forked(serve)
        os.close(self._process.pipe)
        theirs.close()
        self._turn, self._owed, self._gone = Lock(), 0, False

    def do(self, work: Callable[[], object]) -> bool:
        """Send what the child is to do itself; return whether it could be sent."""
        sent = _pickled(work)
        if sent is None:
            return False
        with self._turn:
            self._owed += 1
            return self._send(_DO, sent)

    def forked(self, do: Job) -> Process | None:
        """Return a process that the child forked for this work; None if it cannot."""
        sent = None if self._gone else _pickled(do)
        if sent is None:
            return None
        reading, writing = os.pipe()
        with self._turn:
            pid = self._asked(_FORK, sent, writing)
        os.close(writing)
        if pid <= 0:
            os.close(reading)
            return None
        return Process(pid, reading, self._waited)

    def end(self) -> None:
        """Let the child end, which it does when nobody can ask it any more."""
        self._gone = True
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _waited(self, pid: int) -> int:
        with self._turn:
            status = self._asked(_WAIT, _REPLY.pack(pid))
        return signal.SIGKILL if status < 0 else status

    def _asked(self, kind: int, sent: bytes, pipe: int | None = None) -> int:
        """Return the child's reply to a request, once it has done all before it; `_NO` if there is none."""
        if not self._send(kind, sent, pipe):
            return _NO
        try:
            for _ in range(self._owed):
                if self._reply() < 0:
                    raise EOFError
            self._owed = 0
            return self._reply()
        except (OSError, EOFError) as error:
            return self._lost(error)
        except BaseException:  # Ctrl-C: the next reply would be taken for that of another request
            self._gone = True
            raise

    def _send(self, kind: int, sent: bytes, pipe: int | None = None) -> bool:
        if self._gone:
            return False
        try:
            self._socket.settimeout(LIMIT_SECONDS)
            socket.send_fds(self._socket, [_HEAD.pack(kind, len(sent))], [] if pipe is None else [pipe])
            self._socket.sendall(sent)
        except OSError as error:
            self._lost(error)
        return not self._gone

    def _lost(self, error: Exception) -> int:
        """Ask the child for nothing more, and kill it if it hangs; what it forked dies with it."""
        self._gone = True
        if isinstance(error, TimeoutError):
            self._process.kill()
            warnings.warn(
                f"a process that was begun to fork those that run backtests did not answer for "
                f"{LIMIT_SECONDS:g} s, and was ended: its work is done without it, and nothing is lost",
                RuntimeWarning,
                stacklevel=2,
            )
        return _NO

    def _reply(self) -> int:
        while True:
            (found,) = _REPLY.unpack(_exactly(self._socket, _REPLY.size))
            if found != _COMPILES:
                return int(found)
            say_compiling()


def _serve(asking: socket.socket) -> None:
    """Do what is asked for, in the child, until nobody can ask any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that is the parent's
    from whatif.engines import load_all

    # where something is broken, whoever needs it says so
    with suppress(Exception), without_collecting():
        load_all()
        for name in _OWN:
            import_module(name)
    gc.freeze()  # shared with what is forked, as long as nobody writes to it
    with asking, suppress(EOFError, ConnectionError):
        while True:
            head, pipes, *_ = socket.recv_fds(asking, _HEAD.size, 1)
            kind, size = _HEAD.unpack(head + _exactly(asking, _HEAD.size - len(head)))
            asking.sendall(_REPLY.pack(_done(kind, _exactly(asking, size), pipes, asking)))
            for pipe in pipes:
                os.close(pipe)


def _done(kind: int, sent: bytes, pipes: Sequence[int], asking: socket.socket) -> int:
    """Do one thing in the child, and return what it replies."""
    if kind == _WAIT:
        (pid,) = _REPLY.unpack(sent)
        return os.waitpid(pid, 0)[1]
    try:
        work = _Unpickler(io.BytesIO(sent)).load()
        if kind == _FORK:
            return fork_into(work, pipes[0], asking.fileno())
        with told_of_compiling(lambda: asking.sendall(_REPLY.pack(_COMPILES))):
            work()
    except Exception:  # the parent does it, and says what is wrong
        return _NO
    return 0


def _exactly(asking: socket.socket, size: int) -> bytes:
    """Return so many bytes of what comes.

    Raises
    ------
    EOFError
        If nothing more comes.
    """
    found = bytearray()
    while len(found) < size:
        part = asking.recv(size - len(found))
        if not part:
            raise EOFError
        found += part
    return bytes(found)
