"""Commands that need no data of the user's: demo, bench, calibrate, indicators and plugins."""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from whatif.errors import IndicatorError, StudyError, nearest
from whatif.pins import LakeLocation
from whatif.plugins import BrokenPlugin, Seam
from whatif.texts import command, visible


def demo(
    seed: Annotated[int, typer.Option(help="Seed of the sample market.")] = 1,
    sessions: Annotated[int, typer.Option(min=400, help="Bars of a day of each symbol.")] = 5000,
    edge: Annotated[float, typer.Option(min=0.0, help="Strength of the planted edge; 0 plants none.")] = 0.26,
) -> None:
    """Run the same rule on a market with a planted edge and on one without: what is found, what is luck."""
    from whatif.demo import DemoOptions, run_demo
    from whatif.report import print_written

    console = Console()
    outer = LakeLocation.from_environment()
    # a lake of its own, so that made-up bars never stand beside real ones
    location = replace(outer, home=outer.home / "demo")
    found = run_demo(location, DemoOptions(seed, sessions, edge), console)
    commands = [
        f"open {found.page}",
        f"whatif --home {location.home} leaderboard {found.studies[0]}",
        "whatif ingest --help     (your own bars)",
    ]
    print_written(console, [found.page, *(result.files[0] for result in found.results)], commands)


def new(
    name: Annotated[
        str, typer.Argument(help="What the study is called; NAME.yaml and NAME_strategy.py are written.")
    ],
    symbol: Annotated[
        str, typer.Option(help="Which bars of the lake; those with the most bars, if left out.")
    ] = "",
    timeframe: Annotated[str, typer.Option(help="Of them, such as 1d, if there are several.")] = "",
    folder: Annotated[Path, typer.Option(help="Where to write.")] = Path("."),
) -> None:
    """Write a study to begin with, and a strategy of your own beside it; both say what may be changed."""
    from whatif.conf_files import conf_dir
    from whatif.lake import list_bars
    from whatif.study import parse_study

    bars = list_bars(LakeLocation.from_environment())
    chosen = bars[
        ((bars["symbol"] == symbol) | (symbol == "")) & ((bars["timeframe"] == timeframe) | (timeframe == ""))
    ]
    if chosen.empty:
        known = [f"--symbol {row.symbol} --timeframe {row.timeframe}" for row in bars.itertuples()]
        raise StudyError(
            f"the lake holds no bars of --symbol {symbol or 'any'} --timeframe {timeframe or 'any'}: "
            f"{nearest(symbol, known)}"
        )
    of = chosen.sort_values("bars", ascending=False, kind="stable").iloc[0]
    study, rule = folder / f"{name}.yaml", folder / f"{name}_strategy.py"
    text = (conf_dir() / "new" / "study.yaml").read_text(encoding="utf-8")
    quoted = json.dumps(str(of["symbol"]), ensure_ascii=False)  # a symbol such as NO is no truth value
    text = text.format(
        file=study, name=name, symbol=quoted, timeframe=of["timeframe"], exchange=of["exchange"],
        strategy=json.dumps(rule.name), start=of["first"].date(), end=of["last"].date() + timedelta(days=1),
    )  # fmt: skip
    parse_study(text, str(study))  # refuses a name that no study can have, before anything is written
    if name.endswith((".yaml", ".yml", ".py")):
        raise StudyError(
            f"{name} names a file, and a study's name is wanted, of which its files are named: 'whatif new "
            f"{Path(name).stem}' writes {Path(name).stem}.yaml"
        )
    _write_new({rule: (conf_dir() / "new" / "strategy.py").read_text(encoding="utf-8"), study: text})
    console = Console()
    for line in (
        f"{study}: {of['bars']:,} bars of {of['symbol']}",
        f"{rule}: a rule to change",
        f"next: {command(f'run {study}')}",
    ):
        console.print(visible(line), highlight=False, markup=False, soft_wrap=True)


def _write_new(texts: Mapping[Path, str]) -> None:
    """Write files where there is nothing of their names, not even a link to nowhere."""
    for path in texts:
        if os.path.lexists(path):
            raise StudyError(
                f"{path} is there already, and nothing was written: take another name or --folder"
            )
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)


def schema(
    output: Annotated[
        Path | None, typer.Option(help="File to write to, such as study.schema.json; printed, if left out.")
    ] = None,
) -> None:
    """Write the JSON schema of a study, by which an editor completes and checks its keys."""
    from whatif.paths import written_whole
    from whatif.study import study_schema

    text = json.dumps(study_schema(), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        sys.stdout.write(text)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(output) as part:
        part.write_text(text, encoding="utf-8")
    for line in (
        f"written: {output}",
        f"next: begin a study with '# yaml-language-server: $schema={output}'",
    ):
        Console().print(visible(line), highlight=False, markup=False, soft_wrap=True)


def bench(
    bars: Annotated[
        Path | None,
        typer.Option(help="CSV of bars in ESTX50's format; that of WHATIF_TEST_DATA, or the sample market."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="JSON file of the figures; bench.json in the lake's home.")
    ] = None,
    only: Annotated[
        str,
        typer.Option(help="Which, as in sweep,single: docs/speed.md lists them."),
    ] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Smoke test with tiny sizes.")] = False,
    cores: Annotated[int, typer.Option(min=1, help="Cores to run on; the goals are for 2.")] = 2,
    full: Annotated[bool, typer.Option("--full", help="A universe of 1,000 symbols, not of 200.")] = False,
) -> None:
    """Measure speed and memory and print each figure beside its goal; a missed goal is no error."""
    from whatif.bench import BenchOptions
    from whatif.bench import bench as run_bench

    names = tuple(name.strip() for name in only.split(",") if name.strip())
    path = output or LakeLocation.from_environment().home / "bench.json"
    report = run_bench(BenchOptions(bars, names, quick, cores, full), path, Console())
    if report.failed:
        raise typer.Exit(1)


def calibrate(
    markets: Annotated[
        str,
        typer.Option(
            help="How many: noise, drift, planted of each Sharpe ratio 2 4 6 8, and swept of noise and of 6 "
            "after a sweep of another family."
        ),
    ] = "noise=100,drift=100,planted=50",
    seed_set: Annotated[
        str, typer.Option(help="report, or thresholds: other markets, to fix thresholds on.")
    ] = "report",
    quick: Annotated[bool, typer.Option("--quick", help="Smoke test with small markets.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="Folder of table, picture and JSON; calibrate/… in the lake's home.")
    ] = None,
    processes: Annotated[
        int, typer.Option(min=0, help="Processes that share the markets; 0: one on each core, at most 4.")
    ] = 0,
    offline: Annotated[
        bool, typer.Option("--offline", help="The same figures without lake and Spark, engine alone.")
    ] = False,
    search: Annotated[
        str,
        typer.Option(help="How each study searches: grid, random, sobol, tpe, gp, cmaes, nsga2 or nsga3."),
    ] = "grid",
    trials: Annotated[
        int, typer.Option(min=2, help="Configurations that a search other than the grid evaluates.")
    ] = 400,
    edges: Annotated[
        bool, typer.Option("--measure-edges", help="Measure what the planted edges earn, and run no study.")
    ] = False,
) -> None:
    """Run studies of markets whose truth is known, and say how often each verdict is given."""
    from whatif.calibrate import edges_text, measure_edges, parse_counts

    console = Console()
    counts = parse_counts(markets)

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    if edges:
        say(edges_text(measure_edges(say=say)))
        return
    from whatif.calibrate import CalibrateOptions
    from whatif.calibrate import calibrate as run_calibration

    options = CalibrateOptions(counts, seed_set, quick, output, processes, offline, search, trials)
    found = run_calibration(LakeLocation.from_environment(), options, console)
    say("written: " + ", ".join(str(path) for path in found.files))


SEAMS = (
    "whatif.axes.kinds:SEAM",
    "whatif.engines.select:SEAM",
    "whatif.exports.kinds:SEAM",
    "whatif.labels.kinds:SEAM",
    "whatif.models.kinds:SEAM",
    "whatif.searches.kinds:SEAM",
    "whatif.sources.kinds:SEAM",
    "whatif.splits.kinds:SEAM",
)
"""Where each seam is, as module:name."""


def plugins() -> None:
    """List models, splits and whatever else can be plugged in: what is there, and where it comes from."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in ("seam", "name", "origin", "what it is"):
        table.add_column(heading, no_wrap=heading != "what it is")
    broken = False
    for seam in map(_seam, SEAMS):
        for plugin in seam.listed():
            if isinstance(plugin, BrokenPlugin):
                broken, said = True, f"[bold red]error:[/] {escape(visible(str(plugin.error)))}"
            else:
                said = escape((inspect.getdoc(plugin.kind) or "").partition("\n")[0])
            table.add_row(seam.noun, *(escape(visible(text)) for text in (plugin.name, plugin.origin)), said)
    Console().print(table)
    if broken:
        raise typer.Exit(1)


def indicators(
    name: Annotated[
        str,
        typer.Argument(
            help="One of them, to be told whole; to be drawn, an expression too, as rsi(21).",
            show_default=False,
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    symbol: Annotated[str, typer.Option(help="Symbol of the lake to draw it on.", show_default=False)] = "",
    plot: Annotated[
        Path | None, typer.Option(help="HTML page that it is drawn into.", show_default=False)
    ] = None,
    timeframe: Annotated[str, typer.Option(help="Length of the bars that it is drawn on.")] = "1min",
) -> None:
    """List indicators, series of time and of news, with warm-up and source; tell or draw one."""
    if plot is not None or symbol:
        _draw(name, symbol, timeframe, plot)
        return
    known = _indicators()
    chosen = known if not name else [one for one in known if one["name"] == name]
    if not chosen:
        names = [one["name"] for one in known]
        raise IndicatorError(f"indicator {name!r} is unknown: {nearest(name, names)}")
    if as_json:
        sys.stdout.write(json.dumps(chosen[0] if name else chosen, indent=2) + "\n")
        return
    console = Console()
    if name:
        (one,) = chosen
        warmup = f"\nFirst value of {one['shown']} after {one['warmup']} bars." if one["shown"] else ""
        console.print(
            f"{one['usage']}, {one['source']}\n{warmup}\n{one['documentation']}",
            highlight=False,
            markup=False,
        )
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in ("written", "is", "warm-up", "by"):
        table.add_column(heading, overflow="fold")
    for one in chosen:
        table.add_row(*(escape(str(one[key])) for key in ("usage", "summary", "warmup", "origin")))
    console.print(table)


def _indicators() -> list[dict[str, Any]]:
    """Return what is known of each indicator, and of each series of time and news."""
    from whatif.indicators import ACROSS, INDICATORS, NEWS_SERIES, TIME_SERIES, library_version, parse

    sources = {"TA-Lib": f"TA-Lib {library_version()}"}
    found = [
        {
            "name": one.name,
            "usage": one.usage,
            "summary": one.summary,
            "origin": one.origin,
            "source": sources.get(one.origin, one.origin),
            "inputs": [source or "any series" for source in one.sources],
            "parameters": [
                {"name": name, "rule": one.rule(name), "default": one.default(name)}
                for name in one.parameters
            ],
            "outputs": list(one.parts),
            "shown": one.shown,
            "warmup": max(parse(text).warmup() for text in one.shown.split("; ")),
            "documentation": one.documentation,
        }
        for one in (*INDICATORS.values(), *ACROSS.values())
    ]
    for series, kernel in (*TIME_SERIES.items(), *NEWS_SERIES.items()):
        text = inspect.getdoc(kernel) or ""
        summary, usage = text.partition("\n")[0], f"{series}(days)" if series in NEWS_SERIES else series
        days = [{"name": "days", "rule": "a whole number from 1 to 3,650", "default": None}]
        found.append(
            {
                "name": series,
                "usage": usage,
                "summary": summary,
                "origin": "own",
                "source": "own",
                "inputs": [],
                "outputs": [],
            }
            | {
                "parameters": days if series in NEWS_SERIES else [],
                "shown": "",
                "warmup": "",
                "documentation": text,
            }
        )
    return found


def _draw(name: str, symbol: str, timeframe: str, plot: Path | None) -> None:
    """Draw an indicator, or any expression, on the newest bars of a symbol of the lake."""
    from whatif import read_bars
    from whatif.features import features_of_frame
    from whatif.indicators import ACROSS, INDICATORS, needs_of, parse
    from whatif.report import write_indicators

    if not (name and symbol and plot is not None):
        raise IndicatorError(
            "to draw an indicator, name it, a symbol of the lake and a page: whatif indicators rsi --symbol "
            "SPY --plot out.html"
        )
    known = {**INDICATORS, **ACROSS}
    texts = known[name].shown.split("; ") if name in known else [name]
    needs = needs_of(parse(text) for text in texts)
    if needs.everyone:
        raise IndicatorError(
            f"{name} is among all symbols of a study: to draw it, name those that it is to be among, as in "
            "rank(roc(20), SPY, IBM)"
        )
    others = sorted(needs.symbols - {symbol})
    read = read_bars([symbol, *others] if others else symbol, timeframe=timeframe)
    bars = read[read["symbol"] == symbol]
    values = features_of_frame(read, texts, calendar=str(bars["exchange"].iloc[0]))
    values = values[values["symbol"] == symbol]
    write_indicators(bars, values, texts, f"{symbol}, bars of {timeframe}", plot)
    Console().print(f"{', '.join(texts)} on {len(bars):,} bars of {symbol}: {plot}", highlight=False)


def _seam(place: str) -> Seam:
    module, _, name = place.partition(":")
    found: Seam = getattr(import_module(module), name)
    return found
