"""Console of a run: the one that a command gives, or what a program or a notebook is told without one."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from whatif.errors import RunError
from whatif.report.data import ReportData
from whatif.report.terminal import print_answer, print_screen, print_told

_WIDTH = 100
"""Characters of a line in a notebook's cell."""


class OwnConsole(Console):
    """Console of a run that nobody gave one: standard error, or a line in a notebook's cell.

    A notebook is stored with what its cells show: the line is written over, and is empty when the run ends.
    There is no answer in it, as the result shows itself.
    """

    def __init__(self) -> None:
        self.cell = _Cell() if Console().is_jupyter else None
        if self.cell is None:
            super().__init__(stderr=True)
        else:
            # a kernel's output may call itself a terminal, and would be flooded by a bar that moves
            super().__init__(file=self.cell, width=_WIDTH, force_jupyter=False, force_terminal=False)


class _Cell(io.StringIO):
    """The last line written, in one display of a notebook's cell."""

    def __init__(self) -> None:
        super().__init__()
        self._handle: Any = None  # IPython has no types for it

    def write(self, text: str, /) -> int:
        """Show the last line of a text, in place of the one before."""
        lines = [line for line in text.split("\n") if line.strip()]
        if lines:
            self._show(lines[-1])
        return len(text)

    def clear(self) -> None:
        """Leave nothing to be seen."""
        if self._handle is not None:
            self._show("")

    def _show(self, line: str) -> None:
        from IPython import display

        data = {"text/plain": line}
        if self._handle is None:
            show: Any = display.display
            self._handle = show(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


@contextmanager
def console_of(given: Console | None, quiet: bool) -> Iterator[Console | None]:
    """Give where a run says how it goes: what was given, or else its own; None if it is to be quiet.

    Raises
    ------
    RunError
        If it has a console and is to be quiet.
    """
    if quiet and given is not None:
        raise RunError("a run that is quiet has no console: leave out one of the two")
    console = None if quiet else given or OwnConsole()
    try:
        yield console
    finally:
        if isinstance(console, OwnConsole) and console.cell is not None:
            console.cell.clear()


def stays(console: Console | None) -> bool:
    """Return whether what is said there can still be read when the run is over."""
    return console is not None and not (isinstance(console, OwnConsole) and console.cell is not None)


def print_result(data: ReportData, console: Console | None, verbose: bool) -> None:
    """Print the answer as soon as it stands: a screen, or all of it; its head alone on an own console."""
    if stays(console):
        assert console is not None
        short = print_told if isinstance(console, OwnConsole) else print_screen
        (print_answer if verbose else short)(data, console)
    elif console is not None and verbose:
        plain = Console(file=sys.stdout, width=_WIDTH, force_jupyter=False, force_terminal=False)
        print_answer(data, plain)
