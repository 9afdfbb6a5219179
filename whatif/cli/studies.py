"""Commands for studies: features, train, run, and what came of it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from whatif.cli import stop
from whatif.masking import masked
from whatif.pins import LakeLocation
from whatif.texts import command, visible

if TYPE_CHECKING:
    from whatif.workflow import RunOptions, StudyResult

Study = Annotated[str, typer.Argument(help="The study's YAML file, or its s3:// address.")]
Latest = Annotated[
    bool, typer.Option("--latest", help="Use the newest bars, not those the study first ran on.")
]
Output = Annotated[
    str | None,
    typer.Option(help="Folder of report and files, or an s3:// address; reports/<study> in the lake's home."),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print every statistic of the verdict, and all of the answer.")
]


def features(study: Study, latest: Latest = False) -> None:
    """Compute the study's features and label, and store them."""
    from whatif.submit import study_here
    from whatif.workflow import build_study_features

    console = Console()
    with study_here(study) as path:
        pins = build_study_features(path, LakeLocation.from_environment(), latest, console)
    if not pins:
        console.print("the study has no models, so it needs no features table")
    console.print(f"next: {command(f'train {study}')}", highlight=False)


def train(study: Study, latest: Latest = False) -> None:
    """Train the study's models and store their predictions."""
    from whatif.submit import study_here
    from whatif.workflow import train_study_models

    console = Console()
    with study_here(study) as path:
        prepared = train_study_models(path, LakeLocation.from_environment(), latest, console)
    if not prepared.models:
        console.print("the study has no models to train")
    console.print(f"next: {command(f'run {study}')}", highlight=False)


def register(
    study: Study,
    model: Annotated[str, typer.Argument(help="Which of its models.")],
    name: Annotated[str, typer.Option(help="What the registry calls it; as the study does.")] = "",
    alias: Annotated[str, typer.Option(help="An alias that is moved to it, such as champion.")] = "",
    fold: Annotated[int, typer.Option(min=0, help="Number of the fold that trained it; 0: the last.")] = 0,
    timeframe: Annotated[str, typer.Option(help="Of its bars, if there are several.")] = "",
    symbol: Annotated[str, typer.Option(help="Whose, of models of one symbol each.")] = "",
) -> None:
    """Give a trained model a name and a version in MLflow's registry."""
    from whatif.errors import StudyError, nearest
    from whatif.resolve import resolve_study
    from whatif.study import load_study
    from whatif.submit import study_here
    from whatif.tracking import register as put

    console, location = Console(), LakeLocation.from_environment()
    with study_here(study) as path:
        resolved = resolve_study(load_study(path), location)
    number = fold or resolved.timeline.last.number
    key = (model, timeframe or resolved.checked.timeframes[0], number, symbol)
    if key not in resolved.parts:
        known = [
            f"{one} --fold {k} --timeframe {tf}" + (f" --symbol {of}" if of else "")
            for one, tf, k, of in resolved.parts
        ]
        raise StudyError(f"study {study} trains no model {model!r}: {nearest(model, known)}")
    digest = resolved.parts[key].digest(resolved.bars.snapshot_id)
    made = put(location, digest, name or model, alias)
    _print_lines(console, f"registered: {made}", f"next: {command(f'serve {made}')}")


def serve(
    model: Annotated[str, typer.Argument(help="name@version or name@alias in MLflow's registry.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5001,
) -> None:
    """Answer predictions of a registered model by MLflow's scoring server, on this machine alone."""
    from whatif.session import find_java
    from whatif.tracking import fetched, find_registered

    console, location = Console(), LakeLocation.from_environment()
    held = find_registered(location, model)
    with fetched(location, held) as folder:
        _print_lines(
            console,
            f"{held.name} learnt {held.target} from {', '.join(held.features)}",
            f"answers at http://127.0.0.1:{port}/invocations; Ctrl-C ends it",
        )
        # the environment's own programs come first, for MLflow starts one of them by its name
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(folder)]
        server = subprocess.Popen(
            [*command, "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, "JAVA_HOME": str(find_java()), "PATH": path},
        )
        try:
            code = server.wait()
        finally:
            server.terminate()
            server.wait()
    if code:
        raise typer.Exit(1)


def run(
    study: Study,
    latest: Latest = False,
    output: Output = None,
    track: Annotated[bool, typer.Option(help="Log to MLflow.")] = True,
    time_limit: Annotated[
        float,
        typer.Option(min=0.0, help="Seconds after which a backtest is stopped, its row an error; 0: none."),
    ] = 0.0,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run again the backtests that are stored as failed.")
    ] = False,
    runner: Annotated[
        str,
        typer.Option(
            envvar="WHATIF_RUNNER",
            help="What runs backtests: local (processes of this machine, no JVM), spark, or auto.",
        ),
    ] = "auto",
    verbose: Verbose = False,
) -> None:
    """Backtest every configuration, rank them, and open the test window for the best one."""
    from whatif.tracking import beginning_ahead, logs_without_mlflow

    asked, location = runner.strip() or "auto", LakeLocation.from_environment()
    local = asked != "spark" and location.local
    # as soon as what both need is imported: the process beside this one imports MLflow while bars are read
    beside = track and asked != "spark" and not logs_without_mlflow(location)
    with beginning_ahead(beside, local):
        from whatif.workflow import RunOptions

        options = RunOptions(
            latest=latest, track=track, verbose=verbose, time_limit=time_limit, retry_failed=retry_failed,
            runner=asked,
        )  # fmt: skip
        _run(study, output, options)


def leaderboard(
    study: Study,
    top: Annotated[int, typer.Option(min=1, help="How many rows to print.")] = 20,
    csv: Annotated[Path | None, typer.Option(help="Write all rows to this file as well.")] = None,
) -> None:
    """Print the ranking of the backtests that are stored; runs none."""
    from whatif.report import print_leaderboard
    from whatif.submit import study_here
    from whatif.workflow import stored_leaderboard

    with study_here(study) as path:
        data, missing = stored_leaderboard(path, LakeLocation.from_environment())
    console = Console()
    print_leaderboard(data, console, top)
    if missing:
        console.print(f"{missing:,} backtests are not run yet: whatif run {study}", highlight=False)
    if csv is not None:
        data.ranking.leaderboard.to_csv(csv, index=False)


def studies(
    csv: Annotated[Path | None, typer.Option(help="Write the list to this file as well.")] = None,
) -> None:
    """List the studies that ran: verdict, Sharpe ratio on test, trials, and when; the newest first."""
    from rich.table import Table
    from rich.text import Text

    from whatif.report import NOT_STORED, Answer, stored_answers, without_formulas

    console, reports = Console(), LakeLocation.from_environment().home / "reports"
    found = stored_answers(reports)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("study", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for name in ("test Sharpe", "trials", "finished (UTC)"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        known = one.verdict != NOT_STORED
        sharpe = "-" if one.test_sharpe != one.test_sharpe else f"{one.test_sharpe:.2f}"
        trials, when = f"{one.trials:,}" if known else "-", one.finished[:16].replace("T", " ")
        table.add_row(*(Text(visible(cell)) for cell in (one.study, one.verdict, sharpe, trials, when)))
    if found:
        console.print(table)
    else:
        _print_lines(console, f"{reports} holds no report: 'whatif run STUDY' writes one")
    if any(one.verdict == NOT_STORED for one in found):
        _print_lines(console, f"{NOT_STORED}: 'whatif report STUDY' stores it; no backtest is run again")
    if csv is not None:
        import pandas as pd

        columns = [field.name for field in fields(Answer)]
        without_formulas(pd.DataFrame([asdict(one) for one in found], columns=columns)).to_csv(
            csv, index=False
        )


def report(study: Study, output: Output = None, verbose: Verbose = False) -> None:
    """Write the report of a finished study again; runs no sweep."""
    from whatif.workflow import RunOptions

    _run(study, output, RunOptions(track=False, only_stored=True, verbose=verbose))


def export(
    study: Annotated[
        str, typer.Argument(help="A study's YAML file that ran; file#config_id for another choice.")
    ],
    symbol: Annotated[str, typer.Option(help="Which, where one was chosen for several.")] = "",
    output: Annotated[
        Path | None, typer.Option(help="Folder to write to; reports/<study>/<format> in the lake's home.")
    ] = None,
    form: Annotated[
        str, typer.Option("--as", help="backtrader, whose fills are the same; or lean, whose are not.")
    ] = "backtrader",
) -> None:
    """Write what a study chose as a program of another engine, which needs no whatif."""
    from whatif.exports import export_choice
    from whatif.scenarios import side_of

    location = LakeLocation.from_environment()
    side = side_of(study, location)
    folder = output or location.home / "reports" / side.resolved.study.study / form.replace(":", "-")
    # another choice than the study's is told on validate alone: the test window stays closed to it
    files, said = export_choice(side, form, folder, symbol, with_test="#" not in study)
    _print_lines(Console(), *(f"written: {path}" for path in files), said)


def explore(
    studies: Annotated[list[Path], typer.Argument(help="YAML files of studies that have run.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 0,
) -> None:
    """Show finished studies on a local page that runs a configuration again as it is changed."""
    from whatif.explore import explore_lake, open_desk

    console, location = Console(), LakeLocation.from_environment()
    desks = [open_desk(path, location) for path in studies]

    stop.say_at_stop("the explorer is closed: what was kept is in the lake")

    def say(address: str) -> None:
        console.print(
            f"open {address}\n(this machine alone; Ctrl-C ends it)", highlight=False, soft_wrap=True
        )

    explore_lake(location, desks, say, port)


def judge(
    returns: Annotated[
        list[str],
        typer.Argument(
            help="CSV or Parquet with a column for each configuration that was tried; files, or a folder, of "
            "a backtest each, also of vectorbt, backtesting.py and Lean; or mlflow:EXPERIMENT."
        ),
    ],
    trials: Annotated[
        int | None, typer.Option(min=1, help="How many were tried in all, if there were more.")
    ] = None,
    chosen: Annotated[str, typer.Option(help="Column that was chosen; the best, if left out.")] = "",
    market: Annotated[str, typer.Option(help="Column of what holding the market returned.")] = "",
    test: Annotated[
        str, typer.Option(help="Where a window begins that nothing was chosen on: a date, or a share as 0.3.")
    ] = "",
    objective: Annotated[str, typer.Option(help="What chose: sharpe, sortino or return_pct.")] = "sharpe",
    periods_per_year: Annotated[
        float | None, typer.Option(help="Annualises; told by a column of times, 252 without any.")
    ] = None,
    equity: Annotated[bool, typer.Option("--equity", help="Columns are levels of equity.")] = False,
    metric: Annotated[
        str, typer.Option(help="Of an experiment in MLflow: what its runs call the return of a period.")
    ] = "return",
) -> None:
    """Judge returns that others made: an edge, luck, or too little data to tell."""
    from whatif.appraisal import Given, appraise, read_returns
    from whatif.report import print_given

    given = Given(trials, chosen, market, test, objective, periods_per_year, equity)
    name, judgement = appraise(read_returns(returns[0] if len(returns) == 1 else returns, metric), given)
    print_given(name, judgement, Console())


def compare(
    a: Annotated[
        str,
        typer.Argument(
            help="A study's YAML file that ran; file#config_id for another choice, file@latest (or a "
            "snapshot's number, or a date) for other bars, file@whatif-VERSION for stored rows of a version."
        ),
    ],
    b: Annotated[str, typer.Argument(help="The other one, likewise.")],
    page: Annotated[Path | None, typer.Option("--html", help="Write a page to this file as well.")] = None,
) -> None:
    """Say what two configurations differ by, what each difference is worth, and whether it is told apart."""
    from whatif.report import print_frame
    from whatif.scenarios import better, versions_named
    from whatif.scenarios import compare as compare_sides

    console = Console()
    named = versions_named(a, b)
    if named is not None:
        _compare_versions(console, *named)
        return
    found = compare_sides(a, b, LakeLocation.from_environment())
    _print_lines(console, f"A: {found.a}", f"B: {found.b}", found.window)
    print_frame(console, "Figures", found.figures.reset_index(names="side"))
    worth = found.table()
    worth = worth.round({"from_a": 3, "from_b": 3, "shapley": 3, "pnl": 2}) if len(worth) else worth
    print_frame(console, f"Differences, worth in {found.objective}", worth)
    print_frame(
        console, f"First fills that differ, after {found.same_fills:,} that are the same", found.fills
    )
    _print_lines(console, better(found), *found.notes)
    _write_page(console, page, found.html())


def _compare_versions(console: Console, study: str, a: str, b: str) -> None:
    from whatif.report import print_frame
    from whatif.scenarios import compare_versions

    found = compare_versions(study, a, b, LakeLocation.from_environment())
    _print_lines(console, f"A: whatif {found.a}", f"B: whatif {found.b}", *found.sentences)
    print_frame(console, "Metrics that differ", found.metrics)
    print_frame(console, f"Rows whose {found.objective} differs most", found.rows)


def stress(
    study: Annotated[
        str, typer.Argument(help="A study's YAML file that ran; file#config_id for another choice.")
    ],
    histories: Annotated[int, typer.Option(min=0, help="Pasts that are drawn.")] = 100,
    mean_block: Annotated[float, typer.Option(min=1.0, help="Mean length of their blocks, in bars.")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    page: Annotated[Path | None, typer.Option("--html", help="Write a page to this file as well.")] = None,
    track: Annotated[bool, typer.Option(help="Log it to the study's run in MLflow.")] = True,
) -> None:
    """Put what a study chose to a stated set of stresses: later, dearer, its neighbours, resampled pasts."""
    from whatif.report import print_frame
    from whatif.scenarios import stress as stress_choice

    console = Console()
    where = LakeLocation.from_environment()
    found = stress_choice(study, where, histories, mean_block, seed, console, track)
    _print_lines(console, found.name, found.window)
    print_frame(console, "Scenarios", found.scenarios)
    _print_lines(console, *found.sentences)
    _write_page(console, page, found.html())


def _print_lines(console: Console, *lines: str) -> None:
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _write_page(console: Console, path: Path | None, text: str) -> None:
    if path is not None:
        path.write_text(text, encoding="utf-8")
        _print_lines(console, f"written: {path}")


def _run(study: str, output: str | None, options: RunOptions) -> None:
    from whatif.submit import output_here, study_here
    from whatif.workflow import run as run_study

    console, location = Console(), LakeLocation.from_environment()
    with study_here(study) as path, output_here(output) as folder:
        result = run_study(path, location=location, options=replace(options, output=folder, console=console))
    _say_where(result, study, output, console)


def _say_where(result: StudyResult, study: str, output: str | None, console: Console) -> None:
    from whatif.report import print_written
    from whatif.submit import is_s3

    if not result.files:
        raise typer.Exit(1)
    page, *_ = result.files
    files: list[Path | str] = [page, page.parent]
    commands = [f"open {page}", command(f"leaderboard {study}")]
    if output is not None and is_s3(output):
        files, commands = [f"{output.rstrip('/')}/{page.name}", output], commands[1:]
    if result.run_id:
        commands.append("mlflow ui --backend-store-uri " + masked(_tracking()))
    print_written(console, files, commands)
    if result.best is None:
        raise typer.Exit(1)


def _tracking() -> str:
    from whatif.tracking import tracking_uri

    return tracking_uri(LakeLocation.from_environment())
