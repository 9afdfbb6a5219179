"""Demo: the same rule on a market with a planted edge and on one without, and the verdict on each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console

from whatif.calendars import EPOCH
from whatif.pins import LakeLocation
from whatif.report import Side, print_sides, write_sides
from whatif.sources import IngestSpec, SampleMarket, SampleSymbol, sample_schedule, write_days
from whatif.study import parse_study
from whatif.workflow import RunOptions, StudyResult, ingest, run

DEFAULT_EDGE = 0.26
HORIZON = 10
"""Sessions that the planted momentum looks back on."""
FIRST = date(2005, 1, 3)
TRUE_SHARPE = 2.2
"""Annual Sharpe ratio, after the demo's costs, of the crossover of 3 and 15 sessions on the planted symbol.

The mean over many seeds, rounded; `tests/test_demo.py` measures it again.
"""

TITLE = "The same rule, with an edge to find and without"

STUDY = """\
# {title}
study: {study}
description: >-
  {truth}
data:      {{symbols: [{symbol}], timeframe: 1d, start: {start}, end: {end}}}
calendar:  {{exchange: {exchange}, session: regular}}
strategy:  {{name: sma_crossover, params: {{enter_at_once: true}}}}
axes:
  fast: [2, 3, 4, 5, 6, 7, 8, 9]
  slow: [10, 15, 20, 25, 30, 40, 50, 60, 75, 90]
overlays:  {{percent_of_equity: 0.95}}
execution: {{cash: 100000, commission: 0.0005, slippage: 0.0001}}
split:     {{kind: holdout, train: 0, validate: 0.5, test: 0.5}}
objective: sharpe
"""


@dataclass(frozen=True)
class DemoOptions:
    """The sample market's seed, length and strength of the planted edge.

    Attributes
    ----------
    seed : int
        Of both symbols.
    sessions : int
        Bars of a day from 2005 on; half of them validate, half test.
    edge : float
        Strength of the momentum that is planted in TREND, see `SampleSymbol`; 0 plants none.
    """

    seed: int = 1
    sessions: int = 5000
    edge: float = DEFAULT_EDGE

    @property
    def market(self) -> SampleMarket:
        """The market of both symbols."""
        planted = SampleSymbol("TREND", 400.0, 0.16, edge=self.edge, edge_horizon=HORIZON)
        noise = SampleSymbol("NOISE", 400.0, 0.16)
        return SampleMarket(self.seed, "XNYS", FIRST, self.sessions, (planted, noise))


@dataclass(frozen=True, eq=False)
class Demonstration:
    """What the demo found.

    Attributes
    ----------
    results : sequence of StudyResult
        Answers about the symbol with the planted edge and about the one without.
    page : Path
        Where both stand side by side.
    studies : sequence of Path
        The two study files, in that order.
    """

    results: Sequence[StudyResult]
    page: Path
    studies: Sequence[Path]


def run_demo(location: LakeLocation, options: DemoOptions, console: Console) -> Demonstration:
    """Make the sample market, ingest it, ask the same of both symbols; print and write the comparison.

    Everything goes into `location`'s home, which holds nothing else.
    """
    market = options.market
    folder = location.home / f"sample-seed{options.seed}-edge{options.edge:g}-sessions{options.sessions}"
    files = write_days(market, folder)
    _say(
        console, f"Two synthetic symbols, {market.sessions:,} daily bars each; the truth about both is known."
    )
    report = ingest(files, IngestSpec(exchange=market.exchange, timezone="UTC"), location, runner="local")
    _say(console, report.summary())
    results, paths = [], []
    for name, text in study_texts(options).items():
        path = folder / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        study = parse_study(text, str(path))
        # the sample of another seed corrects the bars, so the demo always asks about the newest
        results.append(run(study, location=location, options=RunOptions(latest=True), quiet=True))
        paths.append(path)
    sides = [
        Side(truth, result.data, result.files[0])
        for truth, result in zip(truths(options), results, strict=True)
    ]
    page = write_sides(sides, location.home / "reports" / "demo.html", TITLE)
    print_sides(sides, console)
    return Demonstration(results, page, paths)


def truths(options: DemoOptions) -> tuple[str, str]:
    """Return the truth about TREND and about NOISE, in a sentence each."""
    noise = "NOISE is a martingale: its past says nothing about its future, and no rule has an edge on it."
    if not options.edge:
        return noise.replace("NOISE", "TREND"), noise
    known = f", worth a Sharpe ratio of about {TRUE_SHARPE:g} a year after costs" * (
        options.edge == DEFAULT_EDGE
    )
    return f"TREND carries a planted momentum over {HORIZON} days{known}.", noise


def study_texts(options: DemoOptions) -> dict[str, str]:
    """Return the two studies by name: the same but for the symbol."""
    market = options.market
    sessions = sample_schedule(market).session
    first, last = (EPOCH + timedelta(days=int(day)) for day in sessions[[0, -1]])
    titles = (
        "Is the edge that was planted in this symbol found?",
        "The same rule where there is nothing to find: is it called luck?",
    )
    return {
        name: STUDY.format(
            title=title, study=name, truth=f"Synthetic data. {truth}", symbol=symbol.name, start=first,
            end=last + timedelta(days=1), exchange=market.exchange,
        )
        for name, title, truth, symbol in zip(
            ("demo", "demo-noise"), titles, truths(options), market.symbols, strict=True
        )
    }  # fmt: skip


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
