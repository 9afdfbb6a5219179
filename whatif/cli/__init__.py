"""The commands, from `whatif demo` to `whatif calibrate`; see `whatif.cli.app`.

The application, and all that it imports, is loaded by the functions here: what the user stops is heard from
the first moment on.
"""

from __future__ import annotations

from collections.abc import Sequence

from whatif.cli.stop import stoppable

__all__ = ["job", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: see `whatif.cli.app.main`.

    Parameters
    ----------
    arguments : sequence of str, optional
        As on the command line. If left out, the command is that of this process, which ends with it:
        with 128 and the signal's number if it is stopped, and no process is left that it started.
    """
    if arguments is None:
        return stoppable(_command)
    return _command(arguments)


def _command(arguments: Sequence[str] | None = None) -> int:
    from whatif.cli import app

    return app.main(arguments)


def job(command: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command as a job under spark-submit, and return its exit code: see `whatif.cli.app.job`."""
    from whatif.cli import app

    return app.job(command, arguments)
