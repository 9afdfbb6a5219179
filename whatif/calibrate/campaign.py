"""Campaign of a calibration: runs the studies of all markets and writes how often each verdict was given."""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from whatif.calibrate import markets as made
from whatif.calibrate.markets import Market, Size
from whatif.calibrate.offline import judge_offline, offline_key
from whatif.calibrate.outcomes import (
    Outcome,
    Row,
    append_outcome,
    goals,
    key_of,
    markdown,
    outcome_of,
    read_outcomes,
    tally,
)
from whatif.calibrate.picture import power_svg
from whatif.lake import writer_lock
from whatif.pins import LakeLocation
from whatif.session import get_spark
from whatif.sources import IngestSpec, write_sample
from whatif.study import digest
from whatif.workflow import RunOptions, ingest, run, versions

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SHELF = 25
"""Markets of a kind that share a lake: few enough that its tables stay small, many for one ingest."""

MAX_PROCESSES = 4
"""Most that are started unasked: each holds a JVM."""


@dataclass(frozen=True)
class CalibrateOptions:
    """What `whatif calibrate` is asked for.

    Attributes
    ----------
    counts : mapping of str to int
        Markets of each group: noise, drift, planted, swept.
    seed_set : str
        "report", or "thresholds": other markets, on which thresholds are to be fixed.
    quick : bool
        A smoke test of small markets and few configurations.
    output : Path or None
        Folder of table, picture and JSON; that of the seed set in the lake's home if None.
    processes : int
        Processes that share the markets, each with a Spark session of its own; 0 for one on each core,
        `MAX_PROCESSES` at most. What each market gives does not depend on it.
    offline : bool
        Judge the returns of the compiled engine at once, without lake and Spark: the same figures.
    """

    counts: Mapping[str, int] = field(default_factory=lambda: dict(made.DEFAULT_COUNTS))
    seed_set: str = "report"
    quick: bool = False
    output: Path | None = None
    processes: int = 0
    offline: bool = False

    @property
    def size(self) -> Size:
        """Sizes of markets and studies."""
        return made.QUICK if self.quick else made.FULL


@dataclass(frozen=True)
class Calibration:
    """What a calibration found.

    Attributes
    ----------
    rows : tuple of Row
        The table.
    outcomes : tuple of Outcome
        One for each market, in their order.
    files : tuple of Path
        What was written: table, picture, JSON.
    """

    rows: tuple[Row, ...]
    outcomes: tuple[Outcome, ...]
    files: tuple[Path, ...]


def calibrate(location: LakeLocation, options: CalibrateOptions, console: Console) -> Calibration:
    """Run every market's study that has no outcome yet; print and write the table.

    Bars, backtests and outcomes are kept in `calibrate/<seed set>` of `location`'s home, so that a
    run that was interrupted goes on where it stopped. Another version of whatif judges all markets
    anew, on the backtests that are there.

    Raises
    ------
    RunError
        If the seed set is unknown.
    """
    asked = made.markets_of(options.counts, options.seed_set)
    home = location.home / "calibrate" / (options.seed_set + ("-quick" if options.quick else ""))
    with writer_lock(replace(location, home=home), "calibrate"):
        kind = _Offline if options.offline else _Campaign
        campaign = kind(replace(location, home=home), options.size, console)
        outcomes = campaign.outcomes(asked, options.processes)
    rows = tuple(tally(outcomes))
    files = _write(options.output or home, options, rows, outcomes, campaign.seconds)
    _show(rows, console)
    return Calibration(rows, tuple(outcomes), files)


class _Campaign:
    """The studies of one seed set."""

    def __init__(
        self, location: LakeLocation, size: Size, console: Console, master: str | None = None
    ) -> None:
        self.location, self.size, self.console, self.master = location, size, console, master
        self.seconds = 0.0

    def outcomes(self, asked: Sequence[Market], processes: int = 1) -> list[Outcome]:
        """Return the outcome of every market, in their order."""
        lines = self.location.home / "markets.jsonl"
        keys = {market.name: self.key(market) for market in asked}
        stored = read_outcomes(lines)
        missing = [market for market in asked if keys[market.name] not in stored]
        self._say(
            f"{len(asked):,} markets, {len(asked) - len(missing):,} judged already; "
            f"{self.size.configurations:,} configurations on {self.size.sessions} sessions each"
        )
        started, done = time.perf_counter(), 0
        for found in self._judged(_shelves(missing), lines, processes):
            stored |= {outcome.key: outcome for outcome in found}
            done += len(found)
            self.seconds = time.perf_counter() - started
            left = self.seconds / done * (len(missing) - done) / 60
            self._say(f"{done} of {len(missing)} judged, about {left:.0f} min left")
        return [stored[keys[market.name]] for market in asked]

    def key(self, market: Market) -> str:
        """Return what an outcome has to be stored under to be taken up again."""
        return key_of(market, self.size)

    def _judged(
        self, shelves: Sequence[Sequence[Market]], lines: Path, processes: int
    ) -> Iterator[list[Outcome]]:
        """Yield the outcomes of each shelf."""
        count = min(_processes(processes), len(shelves))
        if count < 2:
            yield from (self.judge_shelf(shelf, lines) for shelf in shelves)
            return
        cores = max(1, (os.cpu_count() or 1) // count)
        # a process started anew: what this one holds of locks and threads is not to be copied
        with ProcessPoolExecutor(count, get_context("spawn")) as pool:
            given = (self.location, self.size, f"local[{cores},4]")
            work = [pool.submit(_judge_apart, type(self), *given, shelf, lines) for shelf in shelves]
            try:
                yield from (done.result() for done in as_completed(work))
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def judge_shelf(self, shelf: Sequence[Market], lines: Path) -> list[Outcome]:
        """Return the outcomes of markets that share a lake, each written down at once."""
        spark, where = self._lake(shelf)
        found = []
        for market in shelf:
            outcome = self._judge(market, spark, where)
            append_outcome(lines, outcome)
            found.append(outcome)
            self._tell(outcome)
        return found

    def _lake(self, shelf: Sequence[Market]) -> tuple[SparkSession, LakeLocation]:
        """Return the lake of a shelf, with the bars of these markets in it."""
        name = f"{shelf[0].kind.name}-{shelf[0].number // SHELF}"
        where = replace(self.location, home=self.location.home / name)
        spark = get_spark(where, "whatif calibrate", self.master)
        market = made.sample_market(shelf, self.size)
        noted, mark = where.home / "bars.json", digest(repr(market))
        if not noted.is_file() or mark not in json.loads(noted.read_text(encoding="utf-8")):
            folder = where.home / "bars"
            files = write_sample(market, folder)
            report = ingest(files, IngestSpec(exchange=market.exchange, timezone="UTC"), where, spark)
            shutil.rmtree(folder)
            known = json.loads(noted.read_text(encoding="utf-8")) if noted.is_file() else []
            noted.write_text(json.dumps([*known, mark]), encoding="utf-8")
            self._say(f"{name}: {report.landed:,} bars of {len(shelf)} markets in {report.seconds:.0f} s")
        return spark, where

    def _judge(self, market: Market, spark: SparkSession, where: LakeLocation) -> Outcome:
        started = time.perf_counter()
        # markets of another size or edge correct the bars, so the question is always about the newest
        options = RunOptions(latest=True, track=False, report=False, certify=False)
        if market.kind.swept:
            run(made.sweep_of(market, self.size), spark, where, options)
        result = run(made.study_of(market, self.size), spark, where, options)
        return outcome_of(market, self.size, result, time.perf_counter() - started)

    def _tell(self, outcome: Outcome) -> None:
        word = outcome.word or "no verdict"
        family = ", planted family" if outcome.planted else ""
        self._say(f"{outcome.market}: {word}{family}; {outcome.seconds:.1f} s")

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def _processes(asked: int) -> int:
    """Return how many processes judge markets; under spark-submit it is this one, whose JVM is there."""
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        return 1
    return asked or min(os.cpu_count() or 1, MAX_PROCESSES)


class _Offline(_Campaign):
    """The same without lake and Spark."""

    def key(self, market: Market) -> str:
        return offline_key(market, self.size)

    def judge_shelf(self, shelf: Sequence[Market], lines: Path) -> list[Outcome]:
        found = []
        for market in shelf:
            outcome = judge_offline(market, self.size)
            append_outcome(lines, outcome)
            found.append(outcome)
            self._tell(outcome)
        return found


def _judge_apart(
    kind: type[_Campaign],
    location: LakeLocation,
    size: Size,
    master: str,
    shelf: Sequence[Market],
    lines: Path,
) -> list[Outcome]:
    """Judge a shelf in a process of its own, which may judge others after it."""
    return kind(location, size, Console(), master).judge_shelf(shelf, lines)


def _shelves(missing: Sequence[Market]) -> list[list[Market]]:
    """Return the markets by kind and by number, those together that share a lake."""
    shelves: dict[tuple[str, int], list[Market]] = {}
    for market in missing:
        shelves.setdefault((market.kind.name, market.number // SHELF), []).append(market)
    return list(shelves.values())


def _write(
    folder: Path,
    options: CalibrateOptions,
    rows: Sequence[Row],
    outcomes: Sequence[Outcome],
    seconds: float,
) -> tuple[Path, ...]:
    """Write table, picture and JSON; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    table, picture, figures = (folder / name for name in ("calibration.md", "power.svg", "calibration.json"))
    table.write_text(markdown(rows) + "\n", encoding="utf-8")
    picture.write_text(power_svg(rows), encoding="utf-8")
    content: dict[str, Any] = {
        "conditions": {
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "seed_set": options.seed_set,
            "seed": made.SEEDS[options.seed_set],
            "quick": options.quick,
            "offline": options.offline,
            "size": asdict(options.size),
            "kinds": [asdict(row.kind) for row in rows],
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "versions": versions(),
            "seconds_of_this_run": round(seconds, 1),
        },
        "goals": [{"text": goal.text, **asdict(goal.share), "reached": goal.reached} for goal in goals(rows)],
        "table": [asdict(row) for row in rows],
        "markets": [asdict(outcome) for outcome in outcomes],
    }
    figures.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return table, picture, figures


def _show(rows: Sequence[Row], console: Console) -> None:
    lines = ["", markdown(rows), ""]
    for goal in goals(rows):
        word = "reached" if goal.reached else "missed"
        lines.append(f"{word}: {goal.text}; {goal.share.text} of {goal.share.of}")
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
