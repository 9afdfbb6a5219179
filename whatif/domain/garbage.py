"""Pause of Python's cyclic garbage collector around work that makes many objects and little garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_depth = 0
_was_on = False


def pause_collecting() -> None:
    """Stop Python's cyclic garbage collector until `resume_collecting` was called as many times."""
    global _depth, _was_on
    with _lock:
        if _depth == 0:
            _was_on = gc.isenabled()
            gc.disable()
        _depth += 1


def resume_collecting() -> None:
    """Let the collector go on where nobody else has it stopped."""
    global _depth
    with _lock:
        _depth -= 1
        if _depth == 0 and _was_on:
            gc.enable()


@contextmanager
def without_collecting() -> Iterator[None]:
    """Hold the collector for a short while, such as the import of large modules.

    It looks at all objects again and again while their number grows: a fifth of the time of an
    import, a tenth of that of compiling. What is freed by counting references is freed all the same.
    """
    pause_collecting()
    try:
        yield
    finally:
        resume_collecting()
