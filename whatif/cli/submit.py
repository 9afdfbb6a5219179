"""Commands that hand a study to a Spark elsewhere: submit, status, cancel."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from whatif.errors import SubmitError, WhatIfError
from whatif.masking import masked, masked_values
from whatif.pins import LakeLocation
from whatif.texts import command

if TYPE_CHECKING:
    from whatif.submit import Place, Record, Records, Runner, Size, Spark, State, Submission, Target, Watch

Settings = Annotated[
    Path | None, typer.Option("--settings", help="YAML file of the account; conf/submit.yaml if left out.")
]


def submit(
    study: Annotated[Path, typer.Argument(help="The study's YAML file.")],
    target: Annotated[str, typer.Option(help="emr-serverless, glue, spark://host:port, or local.")],
    settings: Settings = None,
    executors: Annotated[int | None, typer.Option(min=1, help="At most so many; cores if local.")] = None,
    memory: Annotated[
        str | None, typer.Option(help="Of each executor, such as 8g; if local the driver's.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the report; reports/<study> in the lake's home.")
    ] = None,
    latest: Annotated[bool, typer.Option("--latest", help="Use the newest bars.")] = False,
    track: Annotated[bool, typer.Option(help="Log to MLflow; a service does if tracking_uri is set.")] = True,
    again: Annotated[bool, typer.Option("--again", help="Run once more what has succeeded already.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start it and return.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be sent; needs no account.")
    ] = False,
) -> None:
    """Run a study on EMR Serverless, Glue or a cluster, follow it, and fetch leaderboard and report."""
    from whatif.submit import Records, Size, Wishes, settings_path, start

    where = _place(target, settings, dry_run)
    folder = output or where.home / "reports" / _name_of(study)
    flags = ("--latest",) * latest + ("--no-track",) * (not track)
    submission = _submission(study, where, Size(executors, memory), flags, folder)
    if dry_run:
        typer.echo(json.dumps(masked_values(submission.plan()), indent=2))
        return
    records, console = Records(where.home), Console()
    for note in submission.bundle.notes:
        _say(console, note)
    # bars may have come since: then a run that is over is no answer
    wishes = Wishes(folder, again or latest, str(settings_path(settings).absolute()))
    started = start(submission, records, wishes, datetime.now(UTC))
    _tell(started.record, started.found, len(started.uploaded), console)
    if detach:
        _say(console, f"next: {command(f'status {started.record.identity}')}")
        return
    _end(started.record, where, console)


def status(
    name: Annotated[
        str | None, typer.Argument(help="Id, or study; all that was submitted from here if left out.")
    ] = None,
) -> None:
    """Show how submitted studies are doing; one that has succeeded is fetched."""
    from whatif.submit import Records, describe

    console = Console()
    records = Records(LakeLocation.from_environment().home)
    found = records.all() if name is None else records.matching(name)[:1]
    if not found:
        _say(console, "nothing was submitted from here: whatif submit STUDY --target …")
    if name is None:
        _list(found, records, console)
        return
    for record in found:
        where = _place_of(record)
        state = _runner(where).state(record.run)
        records.seen(record, state.name)
        _say(console, f"{record.study} on {record.target}, run {record.run}")
        _say(console, describe(state, where.settings.prices, datetime.now(UTC)))
        if state.phase.over:
            _result(record, state, where, console)


def cancel(name: Annotated[str, typer.Argument(help="Id, or study.")]) -> None:
    """Stop a submitted study; what is stored stays stored."""
    from whatif.submit import Records

    console = Console()
    records = Records(LakeLocation.from_environment().home)
    record = records.matching(name)[0]
    runner = _runner(_place_of(record))
    state = runner.state(record.run)
    if state.phase.over:
        _say(console, f"{record.study}, run {record.run}, is over already: {state.name}")
        return
    runner.cancel(record.run)
    _say(console, f"asked {record.target} to stop {record.study}, run {record.run}")
    _say(console, f"next: {command(f'status {record.identity}')}")


def _submission(study: Path, where: Place, size: Size, flags: tuple[str, ...], output: Path) -> Submission:
    from whatif.resolve import check_study
    from whatif.study import load_study
    from whatif.submit import assemble, strategy_file

    loaded = load_study(study)
    strategy_file(loaded)
    # refused here rather than after a cluster has started
    checked = check_study(loaded, runs=False)
    return assemble(checked.study, study, where, size, flags, output)


def _name_of(study: Path) -> str:
    from whatif.study import load_study

    return load_study(study).study


def _place(target: str, settings: Path | None, dry_run: bool) -> Place:
    from whatif.submit import Place, check_set, load_settings, parse_target, settings_path, with_placeholders

    parsed = parse_target(target)
    path = settings_path(settings)
    given = load_settings(path)
    if dry_run:
        given = with_placeholders(given, parsed.kind)
    else:
        check_set(given, parsed.kind, path)
    return Place(parsed, given, LakeLocation.from_environment().home, _spark(parsed))


def _place_of(record: Record) -> Place:
    """Return where a record was submitted to; to look at it, Spark is not needed here."""
    from whatif.submit import Place, check_set, load_settings, parse_target

    target, path = parse_target(record.target), Path(record.settings)
    settings = load_settings(path)
    check_set(settings, target.kind, path)
    return Place(target, settings, LakeLocation.from_environment().home)


def _runner(where: Place) -> Runner:
    from whatif.submit import runner_of

    return runner_of(where)


def _spark(target: Target) -> Spark | None:
    """Return how Spark is launched here, for the targets that need it."""
    if target.remote:
        return None
    from whatif.session import find_iceberg_jar, find_java, find_spark_submit
    from whatif.submit import Spark

    return Spark(str(find_spark_submit()), str(find_java()), str(find_iceberg_jar()))


def _end(record: Record, where: Place, console: Console) -> None:
    from whatif.submit import Records, finish

    runner = _runner(where)
    with console.status("", spinner="dots") as live:
        watch = _watch(console, live.update, bool(record.remote))
        try:
            state = finish(record, runner, where.settings.prices, watch, Records(where.home))
        except KeyboardInterrupt:
            _say(console, f"the run itself goes on; 'whatif cancel {record.identity[:8]}' stops it")
            raise
        except SubmitError as error:
            raise SubmitError(
                f"{error}; the run itself goes on, see 'whatif status {record.identity[:8]}'"
            ) from error
    # what a driver on this machine has printed ends with its answer
    _result(record, state, where, console, shown=not record.remote)


def _watch(console: Console, tick: Callable[[str], None], remote: bool) -> Watch:
    from whatif.submit import LAST_POLL_SECONDS, NEAR_POLL_SECONDS, Watch

    longest = LAST_POLL_SECONDS if remote else NEAR_POLL_SECONDS
    return Watch(lambda text: _say(console, text), tick, longest=longest)


def _result(record: Record, state: State, where: Place, console: Console, shown: bool = False) -> None:
    """Fetch what a run left and show it, if it is not `shown` yet; a run that failed is exit code 1."""
    from whatif.submit import Phase, Store, fetch

    if state.phase is not Phase.SUCCEEDED:
        _say(console, "next: the same whatif submit starts it again; what is stored is not computed twice")
        raise typer.Exit(1)
    make_client = where.client_of()
    files = fetch(record, Store(lambda: make_client("s3")))
    if shown:
        return
    _leaderboard(record, console)
    report = [path for path in files if path.name == "report.html"]
    _say(console, f"report: {report[0] if report else record.output}")


def _leaderboard(record: Record, console: Console) -> None:
    import pandas as pd

    from whatif.report import Origin, Ranking, ReportData, print_leaderboard
    from whatif.study import parse_study

    path = Path(record.output) / "leaderboard.parquet"
    if not path.is_file():
        return
    study = parse_study(record.study_text)
    ranking = Ranking(study.objective, study.rank, pd.read_parquet(path), tuple(study.axes))
    print_leaderboard(ReportData(Origin(study.study, study.text), ranking), console)


def _tell(record: Record, found: bool, uploaded: int, console: Console) -> None:
    if found:
        _say(console, f"the same study was submitted before: run {record.run} on {record.target}")
    else:
        files = f"{uploaded} files uploaded, " if record.remote else ""
        _say(console, f"{files}run {record.run} started on {record.target}")
    _say(console, f"id {record.identity}; 'whatif cancel {record.identity[:8]}' stops it")


def _list(records: list[Record], store: Records, console: Console) -> None:
    """List records with the states last seen; those that may go on are asked for."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("id", "study", "target", "state", "since"):
        table.add_column(name, overflow="fold")
    for record in records:
        try:
            state = _runner(_place_of(record)).state(record.run)
            shown = store.seen(record, state.name).state
        except WhatIfError:
            shown = f"{record.state or '?'} (not reached)"
        table.add_row(record.identity, record.study, record.target, shown, record.created[:16])
    if records:
        console.print(table)


def _say(console: Console, text: str) -> None:
    console.print(masked(text), highlight=False, markup=False, soft_wrap=True)
