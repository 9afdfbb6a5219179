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
from html import escape
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
    Share,
    append_outcome,
    goals,
    key_of,
    markdown,
    outcome_of,
    read_outcomes,
    tally,
)
from whatif.lake import writer_lock
from whatif.pins import LakeLocation
from whatif.report import LOSS, STRATEGY
from whatif.runner import versions
from whatif.session import get_spark
from whatif.sources import IngestSpec, write_sample
from whatif.study import digest
from whatif.workflow import RunOptions, ingest, run

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
    search : str
        How the studies look for their best, see `whatif.calibrate.markets.SEARCHES`.
    trials : int
        Configurations that a search other than the grid evaluates.
    """

    counts: Mapping[str, int] = field(default_factory=lambda: dict(made.DEFAULT_COUNTS))
    seed_set: str = "report"
    quick: bool = False
    output: Path | None = None
    processes: int = 0
    offline: bool = False
    search: str = "grid"
    trials: int = 400

    @property
    def size(self) -> Size:
        """Sizes of markets and studies."""
        size = made.QUICK if self.quick else made.FULL
        return replace(size, search=made.check_search(self.search), trials=self.trials)

    @property
    def folder(self) -> str:
        """Name of the folder that is kept for it."""
        searched = "" if self.search == "grid" else f"-{self.search}"
        return f"{self.seed_set}{'-quick' if self.quick else ''}{searched}"


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
    home, size = location.home / "calibrate" / options.folder, options.size
    with writer_lock(replace(location, home=home), "calibrate"):
        kind = _Offline if options.offline else _Campaign
        campaign = kind(replace(location, home=home), size, console)
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
            run(made.sweep_of(market, self.size), spark, where, options, quiet=True)
        result = run(made.study_of(market, self.size), spark, where, options, quiet=True)
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


_WIDTH, _HEIGHT = 640, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 46, 52
_MAX_SHARPE = 9.0
"""Sharpe ratio at the right end of the axis."""
_GREY = "#8b919b"
_FONT = 'font-family="system-ui, -apple-system, \'Segoe UI\', Roboto, sans-serif" font-size="12"'


def power_svg(rows: Sequence[Row]) -> str:
    """Return the share of markets called an edge against the Sharpe ratio planted, with 95 % intervals.

    Planted ones are counted as found only with a configuration of the planted family. The drifting
    noise stands a little right of the driftless, at 0. Markets that another family was swept on are not
    drawn.
    """
    rows = [row for row in rows if not row.kind.swept]
    noise = [(0.2 if row.kind.drift else 0.0, row.edge) for row in rows if not row.kind.edge]
    planted = [(row.kind.sharpe, row.found) for row in rows if row.kind.edge]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" {_FONT} role="img">',
        "<title>How often an edge is called one, against how strong it is</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        *_axes(),
        *_legend(),
    ]
    line = " ".join(f"{_x(at):.1f},{_y(share.value):.1f}" for at, share in planted)
    if len(planted) > 1:
        parts.append(f'<polyline points="{line}" fill="none" stroke="{STRATEGY}" stroke-width="2"/>')
    parts += [_point(at, share, LOSS) for at, share in noise]
    parts += [_point(at, share, STRATEGY) for at, share in planted]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _axes() -> list[str]:
    parts = []
    for percent in range(0, 101, 20):
        y = _y(percent / 100)
        parts.append(
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#e5e7eb"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{_GREY}">{percent} %</text>'
        )
    for sharpe in range(0, 9, 2):
        x, y = _x(float(sharpe)), _HEIGHT - _BOTTOM + 18
        parts.append(f'<text x="{x:.1f}" y="{y}" text-anchor="middle" fill="{_GREY}">{sharpe}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    text, y = "annual Sharpe ratio of the planted edge, net of all costs", _HEIGHT - 12
    parts.append(f'<text x="{middle:.1f}" y="{y}" text-anchor="middle" fill="#4b5563">{text}</text>')
    return parts


def _legend() -> list[str]:
    found = [
        (_LEFT, STRATEGY, "planted edges found, by a configuration of their family"),
        (_LEFT + 375, LOSS, "noise called an edge"),
    ]
    return [
        f'<circle cx="{x + 5}" cy="20" r="4" fill="{colour}"/>'
        f'<text x="{x + 15}" y="24" fill="#4b5563">{escape(text)}</text>'
        for x, colour, text in found
    ]


def _point(at: float, share: Share, colour: str) -> str:
    x, (low, high) = _x(at), share.interval
    return (
        f'<line x1="{x:.1f}" y1="{_y(low):.1f}" x2="{x:.1f}" y2="{_y(high):.1f}" stroke="{colour}" '
        f'stroke-width="1.5"/><circle cx="{x:.1f}" cy="{_y(share.value):.1f}" r="4" fill="{colour}">'
        f"<title>{share.count} of {share.of}</title></circle>"
    )


def _x(sharpe: float) -> float:
    return _LEFT + 12 + (_WIDTH - _LEFT - _RIGHT - 12) * sharpe / _MAX_SHARPE


def _y(share: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share)
