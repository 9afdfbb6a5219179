"""Demo: a study of a sample market whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from whatif.calendars import EPOCH
from whatif.pins import LakeLocation
from whatif.runner import warm_up
from whatif.session import start_ahead
from whatif.sources import IngestSpec, SampleMarket, default_symbols, sample_schedule, write_sample
from whatif.study import parse_study
from whatif.workflow.answer import StudyResult
from whatif.workflow.ingestion import ingest
from whatif.workflow.study import RunOptions, run

STUDY = """\
# The sample market: is the edge that was planted in one symbol found, and none where there is none?
study: demo
description: >-
{description}
data:      {{symbols: [{symbols}], timeframe: 1min, start: {start}, end: {end}}}
calendar:  {{exchange: {exchange}, session: regular}}
features:  [roc(1), roc(5), roc(20)]
label:     {{kind: forward_vwap, horizon: 5min, target: return}}
models:
  rf_small:  {{kind: random_forest, trees: 10, depth: 4, min_leaf: 50, seed: 7}}
  rf_medium: {{kind: random_forest, trees: 20, depth: 5, min_leaf: 50, seed: 7}}
  rf_large:  {{kind: random_forest, trees: 40, depth: 6, min_leaf: 50, seed: 7}}
strategy:  {{name: forecast_threshold, params: {{size: 500}}}}
axes:
  model:     [rf_small, rf_medium, rf_large]
  threshold: {{from: 0.00005, to: 0.0006, step: 0.00005}}
  execution:
    - {{commission: 0.0001, slippage: 0.00005}}
    - {{commission: 0.0002, slippage: 0.0001}}
execution: {{cash: 100000}}
split:     {{kind: holdout, train: 0.5, validate: 0.25, test: 0.25, embargo: 5min}}
objective: sharpe
rank:      per_symbol
portfolio: separate
engine:    auto
keep:      {{trades: best, equity: best}}
"""


@dataclass(frozen=True)
class DemoOptions:
    """The sample market's seed, length and strength of the planted edge."""

    seed: int = 1
    sessions: int = 60
    edge: float = 0.16


def demo(location: LakeLocation, options: DemoOptions, console: Console) -> tuple[StudyResult, Path]:
    """Make the sample market, ingest it, run the demo study; return the answer and the study's path.

    Everything goes into `location`'s home, which holds nothing else.
    """
    market = SampleMarket(seed=options.seed, sessions=options.sessions, symbols=default_symbols(options.edge))
    folder = location.home / f"sample-seed{options.seed}-edge{options.edge:g}-sessions{options.sessions}"
    files = write_sample(market, folder)
    names = ", ".join(symbol.name for symbol in market.symbols)
    _say(console, f"sample market: {options.sessions} sessions of 1-minute bars of {names} in {folder}")
    start_ahead(location, warm_up)  # which the models learn by; it takes as long as what comes before
    spec = IngestSpec(exchange=market.exchange, timezone="UTC")
    report = ingest(files, spec, location, runner="local")
    _say(console, report.summary())
    path = folder / "demo.yaml"
    path.write_text(study_text(market), encoding="utf-8")
    study = parse_study(path.read_text(encoding="utf-8"), str(path))
    # the sample of another seed corrects the bars, so the demo always asks about the newest
    return run(study, location=location, options=RunOptions(latest=True, console=console)), path


def study_text(market: SampleMarket) -> str:
    """Return the demo's study of `market`, with the truth about each symbol as its description."""
    sessions = sample_schedule(market).session
    first, last = (EPOCH + timedelta(days=int(day)) for day in sessions[[0, -1]])
    truths = [market.truth(symbol.name).sentence for symbol in market.symbols]
    lines = ["The data is synthetic, made by whatif from a seed, so the truth is known.", *truths]
    return STUDY.format(
        description="\n".join(f"  {line}" for line in lines),
        symbols=", ".join(symbol.name for symbol in market.symbols),
        start=first,
        end=last + timedelta(days=1),
        exchange=market.exchange,
    )


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
