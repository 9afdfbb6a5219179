"""Console of a run: the one that a command gives, or what a program or a notebook is told without one."""

from __future__ import annotations

import sys

from rich.console import Console

from whatif.errors import RunError
from whatif.report.data import ReportData
from whatif.report.terminal import print_answer, print_screen, print_told


class OwnConsole(Console):
    """Console of a run that nobody gave one: standard error, or the output of a notebook's cell.

    A notebook stores lines as plain text, and has no answer among them: its result shows itself.
    """

    def __init__(self) -> None:
        self.notebook = Console().is_jupyter
        file, width = (sys.stdout, 100) if self.notebook else (sys.stderr, None)
        # a kernel's output may call itself a terminal, and would be flooded by a bar that moves
        terminal = False if self.notebook else None
        super().__init__(file=file, width=width, force_jupyter=False, force_terminal=terminal)


def console_of(given: Console | None, quiet: bool) -> Console | None:
    """Return where a run says how it goes: what was given, or else its own; None if it is to be quiet.

    Raises
    ------
    RunError
        If it has a console and is to be quiet.
    """
    if quiet and given is not None:
        raise RunError("a run that is quiet has no console: leave out one of the two")
    return None if quiet else given or OwnConsole()


def print_result(data: ReportData, console: Console | None, verbose: bool) -> None:
    """Print the answer as soon as it stands: a screen, or all of it; its head alone on an own console."""
    if console is None or (isinstance(console, OwnConsole) and console.notebook and not verbose):
        return
    short = print_told if isinstance(console, OwnConsole) else print_screen
    (print_answer if verbose else short)(data, console)
