"""A phase of a run that may take long and cannot say how far it is: what it is, and that it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Event, Thread

from rich.console import Console
from rich.errors import LiveError
from rich.text import Text

from whatif.report.progress import duration
from whatif.startup import told_of_compiling

FIRST_SECONDS = 5.0
"""After so long a phase says that it goes on, where there is no terminal; then as its time doubles."""

MOST_SECONDS = 60.0

Wait = Callable[[str], AbstractContextManager[None]]
"""What is told which phase begins, for as long as it goes on."""


def quiet(_what: str) -> AbstractContextManager[None]:
    """Say nothing of a phase."""
    return nullcontext()


def waits_on(console: Console | None) -> Wait:
    """Return what says on a console which phase goes on; nothing without one."""
    return quiet if console is None else lambda what: waiting(console, what)


@contextmanager
def waiting(console: Console, what: str, first_seconds: float = FIRST_SECONDS) -> Iterator[None]:
    """Say which phase goes on, and for how long, until the block ends.

    On a terminal a line that counts seconds, and goes away. Elsewhere nothing of what is over within
    `first_seconds`; then a line, and another each time the phase has taken twice as long, at least one a
    minute, and a last one when it is over, with how long it took.

    Parameters
    ----------
    console : rich.console.Console
        Where to.
    what : str
        Such as "model forest: training, 2 of 5".
    first_seconds : float
        How long nothing is said without a terminal.
    """
    started = time.monotonic()
    if console.is_terminal:
        status = console.status(_Elapsed(what, started))
        try:
            status.start()
        except LiveError:  # a bar is there, and says that something goes on
            yield
            return
        try:
            yield
        finally:
            status.stop()
        return
    over, ending = Event(), "stopped"
    beat = Thread(target=_beat, args=(console, what, started, first_seconds, over), daemon=True)
    beat.start()
    try:
        yield
        ending = "done"
    finally:
        over.set()
        beat.join()
        since = time.monotonic() - started
        if since >= first_seconds:
            console.print(Text(f"{what}: {ending} after {duration(since)}"), highlight=False, soft_wrap=True)


def compiling_said(console: Console | None, strategy: str) -> AbstractContextManager[None]:
    """Say once that a strategy is compiled, if it is while the block goes on; nothing without a console.

    Machine code that is on disk, of an earlier run or of the environment, is not compiled.

    Parameters
    ----------
    console : rich.console.Console, optional
        Where to.
    strategy : str
        Its name.
    """
    if console is None:
        return nullcontext()
    said = f"compiling {strategy} for the first time, which takes some seconds; kept for the next run"
    return told_of_compiling(lambda: console.print(Text(said), highlight=False, soft_wrap=True))


class _Elapsed:
    """What goes on and since when, as of the moment it is shown."""

    def __init__(self, what: str, started: float) -> None:
        self._what, self._started = what, started

    def __rich__(self) -> Text:
        since = duration(time.monotonic() - self._started)
        return Text(f"{self._what}, {since}", no_wrap=True, overflow="ellipsis")


def _beat(console: Console, what: str, started: float, pause: float, over: Event) -> None:
    while not over.wait(pause):
        since = time.monotonic() - started
        console.print(Text(f"{what}, {duration(since)} so far"), highlight=False, soft_wrap=True)
        pause = min(since, MOST_SECONDS)
