"""One application for the command line and for the jobs that spark-submit runs."""

from __future__ import annotations

import errno
import inspect
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

import whatif
from whatif.cli import bars, ingest, lake, stop, studies, submit, tools
from whatif.errors import MachineError, SubmitError, WhatIfError, split_remedy
from whatif.masking import masked
from whatif.pins import LakeLocation
from whatif.runner import warm_up
from whatif.session import launched, start_ahead
from whatif.startup import collect_seldom
from whatif.texts import home_given, visible

FAILED = 1
REFUSED = 2
INTERRUPTED = 130

UNREAD = 141
"""Exit code where nobody reads on, as of a program that SIGPIPE ends."""

NEED_SPARK = ("ingest", "features", "train", "run")
"""Jobs that use the session on the lake as soon as they have checked what they were given."""

GLUE_ARGUMENTS = frozenset(
    {
        "--JOB_NAME",
        "--JOB_ID",
        "--JOB_RUN_ID",
        "--SECURITY_CONFIGURATION",
        "--encryption-type",
        "--enable_lakeformation",
        "--TempDir",
        "--class",
        "--conf",
        "--datalake-formats",
        "--extra-files",
        "--extra-jars",
        "--extra-py-files",
        "--python-virtual-env",
        "--redshift_tmp_dir",
        "--scriptLocation",
        "--spark-event-logs-path",
        "--whatif-identity",
    }
)
"""What Glue adds to the arguments of a job, or takes from them, each with a value."""

GLUE_PREFIXES = ("--continuous-log-", "--custom-log", "--customer-", "--enable-", "--job-")
"""How further arguments of Glue begin."""

_COMPLETION = "_WHATIF_COMPLETE"
"""Variable by which a shell asks what completes a command line."""

ENVIRONMENT_PREFIXES = ("WHATIF_", "MLFLOW_", "AWS_REGION", "TZ")
"""Variables that a job may be given as an argument."""

app = typer.Typer(
    name="whatif",
    help="[bold]whatif demo[/]\n\n"
    "[not dim]Which configuration, how good on data never seen, and whether that is luck.[/]",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode="rich",
)

GROUPS: dict[str, dict[str, Callable[..., None]]] = {
    "Start": {
        "demo": tools.demo,
        "new": tools.new,
    },
    "Bring bars in": {
        "ingest": ingest.ingest,
        "ingest-news": ingest.ingest_news,
        "ingest-ticks": ingest.ingest_ticks,
        "ingest-actions": ingest.ingest_actions,
        "bars": bars.bars,
        "describe": bars.describe,
        "sql": lake.sql,
        "deliveries": lake.deliveries,
        "quarantine": lake.quarantine,
        "forget": lake.forget,
        "publish": ingest.publish,
        "maintain": lake.maintain,
        "doctor": lake.doctor,
    },
    "Ask a study": {
        "run": studies.run,
        "studies": studies.studies,
        "leaderboard": studies.leaderboard,
        "report": studies.report,
        "export": studies.export,
        "explore": studies.explore,
        "features": studies.features,
        "train": studies.train,
    },
    "Doubt the answer": {
        "compare": studies.compare,
        "stress": studies.stress,
        "judge": studies.judge,
        "calibrate": tools.calibrate,
    },
    "Use models": {
        "register": studies.register,
        "serve": studies.serve,
    },
    "Run elsewhere": {
        "submit": submit.submit,
        "status": submit.status,
        "cancel": submit.cancel,
    },
    "Look up and measure": {
        "indicators": tools.indicators,
        "plugins": tools.plugins,
        "schema": tools.schema,
        "bench": tools.bench,
    },
}
"""Commands by what a user wants to do, in the order of `whatif --help`."""

EXAMPLES = {
    "demo": "whatif demo",
    "new": "whatif new my-study",
    "ingest": "whatif ingest my-bars.csv --symbol MINE --exchange XNYS --timezone UTC",
    "ingest-news": "whatif ingest-news news.json",
    "ingest-ticks": "whatif ingest-ticks trades.csv --symbol MINE --exchange XNYS",
    "ingest-actions": "whatif ingest-actions splits.csv --symbol MINE",
    "bars": "whatif bars SPY --check --html bars.html",
    "describe": 'whatif describe SPY --asset-class equity --tag index --licence "Apache-2.0"',
    "sql": "whatif sql 'select study, max(sharpe) from backtests group by study'",
    "deliveries": "whatif deliveries",
    "quarantine": "whatif quarantine --source my-bars.csv",
    "forget": "whatif forget --source my-bars.csv --dry-run",
    "publish": "whatif publish kinesis --symbols MINE --stream bars",
    "maintain": "whatif maintain",
    "doctor": "whatif doctor",
    "run": "whatif run my-study.yaml",
    "studies": "whatif studies",
    "leaderboard": "whatif leaderboard my-study.yaml --top 10",
    "report": "whatif report my-study.yaml",
    "export": "whatif export my-study.yaml",
    "explore": "whatif explore my-study.yaml",
    "features": "whatif features my-study.yaml",
    "train": "whatif train my-study.yaml",
    "compare": "whatif compare my-study.yaml other-study.yaml",
    "stress": "whatif stress my-study.yaml --histories 50",
    "judge": "whatif judge returns.csv --trials 200",
    "calibrate": "whatif calibrate --markets noise=20,planted=20 --offline",
    "register": "whatif register my-study.yaml forest --alias champion",
    "serve": "whatif serve forest@champion",
    "submit": "whatif submit my-study.yaml --target local",
    "status": "whatif status my-study",
    "cancel": "whatif cancel my-study",
    "indicators": "whatif indicators rsi",
    "plugins": "whatif plugins",
    "schema": "whatif schema --output study.schema.json",
    "bench": "whatif bench --only single",
}
"""What the help of each command begins with: a line that does something sensible as it stands."""


def _help_of(name: str, command: Callable[..., None]) -> tuple[str, str]:
    """Return the text of a command's help, and that of its line in `whatif --help`."""
    said = inspect.getdoc(command) or ""
    first, _, rest = said.partition("\n\n")
    parts = (
        f"[bold]{escape(EXAMPLES[name])}[/]" if name in EXAMPLES else "",
        f"[not dim]{escape(first)}[/]",
        escape(rest),
    )
    return "\n\n".join(part for part in parts if part), first.replace("\n", " ")


_OF_SOURCES = (ingest.ingest, ingest.ingest_actions, ingest.ingest_news, ingest.publish)
"""Commands that take a source in the place of files."""

for _group, _commands in GROUPS.items():
    for _name, _command in _commands.items():
        _kind = ingest.OfSources if _command in _OF_SOURCES else None
        _help, _short = _help_of(_name, _command)
        app.command(_name, cls=_kind, help=_help, short_help=_short, rich_help_panel=_group)(_command)


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
    home_given.set(home)
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
    collect_seldom()
    try:
        with _session_heard():
            asked = typer.main.get_command(_asked(given))
            code = asked.main(args=given, prog_name="whatif", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) and _COMPLETION in os.environ:  # a shell was told what completes
            return int(error.code or 0)
        if isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError):
            return UNREAD  # rich ends what prints for a reader that has gone, as `head` does
        if stop.stopping():  # what a library makes of it
            return INTERRUPTED
        if isinstance(error, MachineError):
            _say_error(str(error))
            return FAILED
        if isinstance(error, WhatIfError):
            return _refused(error)
        if hasattr(error, "format_message") and hasattr(
            error, "exit_code"
        ):  # its class is typer's own matter
            _say_misuse(error)
            return int(error.exit_code)
        said = _in_words(error)
        if said is None or os.environ.get("WHATIF_TRACEBACK"):
            raise
        _say_error(said, "WHATIF_TRACEBACK=1 shows where it came from")
        return FAILED
    if code == INTERRUPTED and not stop.stopping():  # also what typer makes of Ctrl-C
        errors.print(stop.SAID)
    return code if isinstance(code, int) else 0


def _asked(given: Sequence[str]) -> typer.Typer:
    """Return the application with the command that is asked for alone: to make all of them takes 0.1 s."""
    commands = {command.name: command for command in app.registered_commands}
    rest = iter(given)
    for argument in rest:
        if argument == "--home":
            next(rest, None)
        elif not argument.startswith("--home="):
            break
    else:
        return app
    if argument not in commands or _COMPLETION in os.environ:
        return app
    own = copy(app)
    own.registered_commands = [commands[argument]]
    return own


@contextmanager
def _session_heard() -> Iterator[None]:
    """Show what the session has to say of the Java that it found."""
    log, handler = logging.getLogger("whatif.session"), logging.StreamHandler()
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


def _refused(error: WhatIfError) -> int:
    _say_error(str(error))
    return REFUSED


def _say_error(text: str, hint: str = "") -> None:
    """Print what is wrong, and below each line what helps, where its message or `hint` says it."""
    lines = []
    for line in visible(masked(text), keep="\n\t").split("\n"):
        wrong, remedy = split_remedy(line)
        indent = " " * (len(line) - len(line.lstrip(" -")))  # below the text of a point of a list
        lines.append(escape(wrong))
        if remedy:
            lines.append(f"{indent}[bold cyan]hint:[/] {escape(remedy[0].lower() + remedy[1:])}")
    if hint:
        lines.append(f"[bold cyan]hint:[/] {escape(visible(hint))}")
    Console(stderr=True).print("[bold red]error:[/] " + "\n".join(lines), highlight=False, soft_wrap=True)


def _say_misuse(error: Any) -> None:
    """Say what of a command line is wrong: an option that there is not, an argument that is missing."""
    context = getattr(error, "ctx", None)
    said = str(error.format_message()).strip()
    if not said or type(error).__name__ == "NoArgsIsHelpError":
        error.show()  # it is the help
        return
    close = getattr(error, "possibilities", None)
    wrong = str(error.message) if close else said.rstrip(".")
    example = EXAMPLES.get(getattr(context, "info_name", None) or "", "")
    way = f"{context.command_path if context else 'whatif'} --help"
    such = f"such as '{example}'; " if example else ""
    hint = f"did you mean {' or '.join(sorted(close))}?" if close else f"{such}'{way}' says more"
    _say_error(wrong[:1].lower() + wrong[1:], "" if split_remedy(wrong)[1] else hint)


def job(command: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command as a job under spark-submit, EMR Serverless or Glue, and return its exit code.

    Glue's own arguments are taken out. Since all arguments of a Glue job are names with values, the
    study may be given as `--study FILE`, what to ingest as `--paths A,B`, options without a value as
    `--flags latest,no-track`, and variables that cannot be set on its driver as `--environment` with
    a JSON object. Everything else is as on the command line.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    names = ("home", "study", "paths", "flags", "environment")
    home, study, paths, flags, variables = (_take(given, f"--{name}") for name in names)
    named = ["--home", home] if home is not None else []
    subjects = [study] if study else paths.split(",") if paths else []
    options = [f"--{flag}" for flag in flags.split(",")] if flags else []
    try:
        if variables is not None:
            os.environ.update(_variables(variables))
        if command in NEED_SPARK and launched():
            if home is not None:
                os.environ["WHATIF_HOME"] = home
            start_ahead(LakeLocation.from_environment(), warm_up)
    except WhatIfError as error:
        return _refused(error)
    return main([*named, command, *subjects, *_without_glue(given), *options])


def _without_glue(arguments: Sequence[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif _is_of_glue(argument.partition("=")[0]):
            skip = "=" not in argument
        else:
            kept.append(argument)
    return kept


def _is_of_glue(name: str) -> bool:
    return name in GLUE_ARGUMENTS or name.startswith(GLUE_PREFIXES)


def _take(arguments: list[str], name: str) -> str | None:
    """Take an option and its value out of a job's arguments, and return the value."""
    for at, argument in enumerate(arguments):
        if argument == name and at + 1 < len(arguments):
            value = arguments[at + 1]
            del arguments[at : at + 2]
            return value
        if argument.startswith(f"{name}="):
            del arguments[at]
            return argument.partition("=")[2]
    return None


def _variables(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise SubmitError(f"--environment {text!r} is no JSON: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise SubmitError(f"--environment {text!r} is no JSON object of names and texts")
    for name in found:
        if not name.startswith(ENVIRONMENT_PREFIXES):
            raise SubmitError(
                f"--environment sets {name}: only names beginning with {', '.join(ENVIRONMENT_PREFIXES)} may "
                "be set for a job"
            )
    return found


_MAX_CHARACTERS = 600

_SYSTEM = {
    errno.ENOSPC: "the disk is full: make room, then run the same command again",
    errno.EDQUOT: "the disk quota is used up: make room, then run the same command again",
    errno.EACCES: "there is no right to do that: change the owner or the mode, or use another folder",
    errno.EPERM: "there is no right to do that: change the owner or the mode, or use another folder",
    errno.EROFS: "the file system is read-only: use another folder",
    errno.ENOENT: "there is no such file or folder",
    errno.EIO: "the disk or the network returned an error: try again, and look at the disk if it stays",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n)",
    errno.ENFILE: "too many files are open on this machine",
    errno.ENAMETOOLONG: "a name is too long for the file system: choose a shorter one",
    errno.ECONNREFUSED: "nobody answers at that address: start the service, or correct the address",
    errno.ETIMEDOUT: "the service did not answer in time: try again",
}

_LIBRARIES = {
    "pyarrow": "Arrow could not read or write data: 'whatif doctor' says what of the lake is damaged",
    "pyiceberg": "the lake's tables could not be read or written: 'whatif doctor' says what is damaged",
    "sqlalchemy": "a database, MLflow's or a catalog's, did not answer as it should",
    "sqlite3": "a database, MLflow's or a catalog's, did not answer as it should",
    "mlflow": "MLflow did not do what it was asked for: the answer in the lake stands, or use --no-track",
    "py4j": "Spark's JVM failed: its log is logs/spark.log in the lake's folder",
    "pyspark": "Spark failed: its log is logs/spark.log in the lake's folder",
    "botocore": "AWS refused or did not answer",
    "boto3": "AWS refused or did not answer",
    "zipfile": "an archive is damaged: fetch it again",
    "zlib": "packed data is damaged: fetch it again",
}


def _in_words(error: BaseException) -> str | None:
    """Return what a user can do about an error that is not whatif's own; None for a fault of whatif's."""
    if isinstance(error, SystemExit):
        return f"a program that was called ended the process (exit code {error.code}): nothing more was done"
    if isinstance(error, MemoryError):
        return "the memory is used up: take fewer symbols or configurations, or a machine with more of it"
    kind = next((kind for kind in type(error).__mro__ if kind.__module__.split(".")[0] in _LIBRARIES), None)
    if kind is not None:
        return f"{_LIBRARIES[kind.__module__.split('.')[0]]}. {_first_words(error)}"
    if isinstance(error, OSError):
        where = f"{visible(str(error.filename))}: " if error.filename is not None else ""
        rule = _SYSTEM.get(error.errno or 0)
        return f"{where}{rule}" if rule else f"{where}{error.strerror or _first_words(error)}"
    return None


def _first_words(error: BaseException) -> str:
    """Return the kind of an error and the first line that it says, which for a JVM is all of use."""
    lines = [line.strip() for line in visible(str(error), keep="\n").splitlines() if line.strip()]
    said = next((line for line in lines if not line.endswith(":") and not line.startswith("at ")), "")
    return f"({type(error).__name__}: {said[:_MAX_CHARACTERS]})"
