"""One application for the command line and for the jobs that spark-submit runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

import whatif
from whatif.cli import data, studies, tools
from whatif.errors import WhatIfError

REFUSED = 2
INTERRUPTED = 130

GLUE_ARGUMENTS = frozenset(
    {
        "--JOB_NAME",
        "--JOB_ID",
        "--JOB_RUN_ID",
        "--SECURITY_CONFIGURATION",
        "--encryption-type",
        "--enable_lakeformation",
        "--TempDir",
        "--job-bookmark-option",
        "--job-language",
        "--class",
        "--redshift_tmp_dir",
    }
)
"""What Glue adds to the arguments of a job, each with a value."""

app = typer.Typer(
    name="whatif",
    help="Which configuration, how good on data never seen: backtests of a study on Spark.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)

app.command("demo")(tools.demo)
app.command("ingest")(data.ingest)
app.command("bars")(data.bars)
app.command("features")(studies.features)
app.command("train")(studies.train)
app.command("run")(studies.run)
app.command("leaderboard")(studies.leaderboard)
app.command("report")(studies.report)
app.command("bench")(tools.bench)
app.command("calibrate")(tools.calibrate)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"whatif {whatif.__version__}")
        raise typer.Exit


@app.callback()
def root(
    home: Annotated[
        Path | None, typer.Option("--home", help="Folder of the local lake; WHATIF_HOME, or .whatif.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Set what all commands share."""
    if home is not None:
        os.environ["WHATIF_HOME"] = str(home)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 (nothing worked), 2 (refused), 130 (interrupted).

    Parameters
    ----------
    arguments : sequence of str, optional
        As on the command line; those of the process if left out.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    errors = Console(stderr=True)
    try:
        code = typer.main.get_command(app).main(args=given, prog_name="whatif", standalone_mode=False)
    except WhatIfError as error:
        errors.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return REFUSED
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        # a usage error knows how to show itself; its class is typer's own matter
        if not (hasattr(error, "show") and hasattr(error, "exit_code")):
            raise
        error.show()
        return int(error.exit_code)
    if code == INTERRUPTED:  # also what typer makes of Ctrl-C
        errors.print("stopped: what was stored stays stored, the same command goes on from there")
    return code if isinstance(code, int) else 0


def job(command: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command as a job under spark-submit, EMR Serverless or Glue, and return its exit code.

    Glue's own arguments are taken out; everything else is as on the command line.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    return main([*_home(given), command, *_without_glue(given)])


def _without_glue(arguments: Sequence[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument.partition("=")[0] in GLUE_ARGUMENTS:
            skip = "=" not in argument
        else:
            kept.append(argument)
    return kept


def _home(arguments: list[str]) -> list[str]:
    """Take `--home` out of a job's arguments, where it stands behind the command."""
    for at, argument in enumerate(arguments):
        if argument.partition("=")[0] == "--home":
            stop = at + (1 if "=" in argument else 2)
            found = arguments[at:stop]
            del arguments[at:stop]
            return found
    return []
