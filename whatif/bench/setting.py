"""Setting that all benchmarks share: a throw-away lake, a session, bars, and child processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pyspark.sql import SparkSession

from whatif.bench.market import BARS, YEAR, BenchMarket, find_file, load_market, source_text
from whatif.errors import RunError
from whatif.pins import LakeLocation
from whatif.session import get_spark

MAIN = "import sys; from whatif.cli import main; sys.exit(main(sys.argv[1:]))"
"""Program of a child process that is a command of whatif, given its arguments."""

_QUICK_BARS = 3_000
_IN_THE_JVM = frozenset({"models", "timeseries"})
"""Benchmarks beside which stands what Spark computes by itself."""

_KEPT = ("WHATIF_CONF", "WHATIF_SPARK_CONF", "WHATIF_ICEBERG_JAR")
_NOT_FOR_CHILDREN = ("WHATIF_", "MLFLOW_", "PYSPARK_GATEWAY_", "SPARK_REMOTE", "SPARK_CONNECT_")


@dataclass(frozen=True)
class BenchOptions:
    """What to measure, and how thoroughly.

    Attributes
    ----------
    bars : Path or None
        CSV in ESTX50's format; None takes that of WHATIF_TEST_DATA, or else the sample market.
    only : tuple of str
        Names of benchmarks; empty for all.
    quick : bool
        Small sizes and one repetition: shows that everything runs, and nothing else.
    cores : int
        Cores that the benchmarks may use.
    full : bool
        A universe of 1,000 symbols, whose bars take some gigabytes of disk and minutes to make, not of 200.
    """

    bars: Path | None = None
    only: tuple[str, ...] = ()
    quick: bool = False
    cores: int = 2
    full: bool = False

    @property
    def repeats(self) -> int:
        """How often a cheap benchmark is repeated; its figures are medians."""
        return 1 if self.quick else 3

    @property
    def most_bars(self) -> int:
        """How many bars are taken of the source."""
        return _QUICK_BARS if self.quick else BARS


class Setting:
    """The temporary lake of one run of benchmarks, with session and bars made when first needed.

    Parameters
    ----------
    location : LakeLocation
        An empty folder that is removed afterwards.
    options : BenchOptions
        What to measure.
    say : callable
        Takes lines of progress.
    """

    def __init__(
        self, location: LakeLocation, options: BenchOptions, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.location = location
        self.options = options
        self.say = say
        self.file = find_file(options.bars)
        self._own_session: SparkSession | None = None

    @property
    def source(self) -> str:
        """Where the bars come from, for people."""
        return source_text(self.file, self.options.most_bars)

    @cached_property
    def spark(self) -> SparkSession:
        """A session on the lake: the running one, or else one on as many cores as the options say."""
        running = SparkSession.getActiveSession()
        # as `whatif run` starts one, unless the JVM is to compute
        only = self.options.only
        quick = bool(only) and not _IN_THE_JVM & set(only)
        session = get_spark(self.location, "whatif bench", f"local[{self.options.cores}]", quick)
        self._own_session = session if running is None else None
        return session

    @cached_property
    def market(self) -> BenchMarket:
        """The bars, ingested when first asked for."""
        self.say(f"ingesting bars: {self.source}")
        return load_market(self.spark, self.location, self.file, self.options.most_bars)

    @cached_property
    def year(self) -> BenchMarket:
        """A year of the sample market, ingested when first asked for."""
        minutes = _QUICK_BARS if self.options.quick else YEAR
        self.say(f"ingesting bars: {source_text(None, minutes)}")
        return load_market(self.spark, self.location, None, minutes)

    def start_child(
        self,
        arguments: Sequence[str | Path],
        home: Path,
        python: str = sys.executable,
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start Python on a lake in `home`, in a process of its own; what it says goes to a log."""
        home.mkdir(parents=True, exist_ok=True)
        with (home / "child.log").open("ab") as log:
            return subprocess.Popen(
                [python, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(home) | dict(variables or {}),
            )

    def run_child(
        self,
        arguments: Sequence[str | Path],
        home: Path | None = None,
        python: str = sys.executable,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Run Python with `arguments` to its end.

        Parameters
        ----------
        arguments : sequence of str or Path
            What follows the interpreter's name.
        home : Path, optional
            Its lake and its log; this setting's own if absent.
        python : str
            The interpreter.
        variables : mapping of str to str, optional
            Environment variables besides this process's own.

        Raises
        ------
        RunError
            With the end of what it said, if it fails.
        """
        where = home or self.location.home
        process = self.start_child(arguments, where, python, variables)
        wait_for(process, "a child process of the benchmark", where)

    def close(self) -> None:
        """Stop the session, if it was started here."""
        if self._own_session is not None:
            self._own_session.stop()


def wait_for(process: subprocess.Popen[bytes], what: str, home: Path) -> None:
    """Wait for the end of a child process on the lake in `home`.

    Raises
    ------
    RunError
        With the end of what it said, if it fails.
    """
    try:
        code = process.wait()
    finally:
        process.kill()
    if code != 0:
        raise RunError(f"{what} ended with code {code}: {said(home)}")


def said(home: Path) -> str:
    """Return the end of what child processes on the lake in `home` said."""
    return (home / "child.log").read_text(errors="replace").strip()[-2000:]


def _environment(home: Path) -> dict[str, str]:
    """Return this process's environment with another lake and no session to join."""
    kept = {k: v for k, v in os.environ.items() if k in _KEPT or not k.startswith(_NOT_FOR_CHILDREN)}
    return kept | {"WHATIF_HOME": str(home), "TZ": "UTC", "COLUMNS": "120"}
