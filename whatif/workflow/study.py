"""Run of a study: from its pinned bars to the ranked answer."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from whatif.engines import keep_in
from whatif.errors import RunError
from whatif.lake import maintain, refused_in, writer_lock
from whatif.pins import LakeLocation
from whatif.report import (
    Judgement,
    KeptAnswer,
    Progress,
    ReportData,
    compiling_said,
    console_of,
    keep_answer,
    kept_answer,
    print_result,
    stays,
    waits_on,
    write_answer,
)
from whatif.resolve import (
    ModelKey,
    Resolved,
    Session,
    check_bars,
    check_study,
    explore,
    replayed,
    resolve_study,
    try_strategy,
    windows_said,
)
from whatif.results import (
    NOTHING,
    Again,
    FoldAnswer,
    Held,
    Keep,
    Pending,
    ResultStore,
    Stitched,
    after_ranking,
    by_series,
    choose_in_folds,
    drop_failed,
    drop_returns,
    not_stored,
    pending_on,
    record_looks,
    select,
    stitched,
    sweep_of,
    told,
    union,
    while_sweeping,
)
from whatif.runner import (
    LocalRunner,
    Plan,
    Runner,
    WaveDone,
    answer_key,
    can_run_apart,
    certify,
    done_ahead,
    provenance,
    run_waves,
    total_cost,
    versions,
)
from whatif.splits import Window
from whatif.study import Study, load_study
from whatif.tracking import Tracker, drop_ahead, log_beside, log_ranking, tracking_warning
from whatif.workflow.answer import StudyResult, own_folder, report_data
from whatif.workflow.judge import judge_study, ready_to_judge
from whatif.workflow.runners import RunnerQuestion, check_runner, choose_runner, runner_asked
from whatif.workflow.track import Answered, log_study, ranked_of, tracked_study
from whatif.workflow.train import (
    MAX_NAMED,
    NOTHING_PREPARED,
    Prepared,
    lazy_session,
    models_stored,
    plan_of,
    prepare,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    _Swept = tuple[list[Pending], int]


@dataclass(frozen=True)
class RunOptions:
    """How a study is run; none of it changes a result, but a time limit that is reached.

    Attributes
    ----------
    latest : bool
        Run on the newest bars instead of those the study first ran on.
    track : bool
        Log to MLflow.
    output : Path or None
        Folder of report and files; `reports/<study>` in the lake's home if None.
    console : Console or None
        Where progress goes, and the answer as soon as it stands: report and MLflow come after it. If None,
        standard error has progress, verdict and numbers, and a notebook's cell progress while it runs.
    verbose : bool
        Print the whole answer, with every statistic of the verdict, instead of one screen.
    only_stored : bool
        Refuse to run a sweep: answer from what is stored.
    report : bool
        Write the report and its files, and store the series of the chosen configuration that they show.
    certify : bool
        Run the chosen configuration again by Backtrader's broker, if the compiled one ran the sweep.
    time_limit : float
        Seconds after which a backtest is stopped and becomes a row with an error; 0 for none. A compiled
        loop that never ends is ended with its process a few seconds later. A later run with more
        time, or without limit, tries those rows again.
    retry_failed : bool
        Run the backtests again that are stored as failed, instead of counting them as done.
    runner : str
        "local": processes of this machine compute and PyIceberg stores, without a JVM; "spark"; "auto":
        local for a short run on a local lake without a session, see `whatif.workflow.runners`.
    """

    latest: bool = False
    track: bool = True
    output: Path | None = None
    console: Console | None = None
    verbose: bool = False
    only_stored: bool = False
    report: bool = True
    certify: bool = True
    time_limit: float = 0.0
    retry_failed: bool = False
    runner: str = field(default_factory=runner_asked)

    def __post_init__(self) -> None:
        check_runner(self.runner)
        if not self.time_limit >= 0:
            raise RunError(f"time limit {self.time_limit:g} s: give a number of seconds, or 0 for none")

    @property
    def again(self) -> Again | None:
        """Which failed backtests are tried again; None where nothing is run."""
        return None if self.only_stored else Again(self.time_limit, self.retry_failed)


def run(
    study: Study | str | Path,
    spark: SparkSession | None = None,
    location: LakeLocation | None = None,
    options: RunOptions | None = None,
    quiet: bool = False,
) -> StudyResult:
    """Backtest every configuration of a study and rank them.

    Backtests that `results` holds for the same market, slice, configuration and window are
    not run again, so a run that was interrupted goes on where it stopped. Ranked by the
    objective on the validate window; only the configuration that is chosen there is run on
    the test window.

    Parameters
    ----------
    study : Study, str or Path
        A study, or the path of its YAML file.
    spark : SparkSession, optional
        Started, if left out.
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.
    options : RunOptions, optional
        Newest bars, tracking, output folder, console.
    quiet : bool
        Print nothing.

    Returns
    -------
    StudyResult
        `.leaderboard()`, `.best`, `.comparison`, `.trades`, `.equity`, `.report(path)`.

    Raises
    ------
    WhatIfError
        If the study is refused, before any backtest runs. A configuration that fails is no
        error: it is a row with its message.
    """
    asked = study if isinstance(study, Study) else load_study(study)
    where = location or LakeLocation.from_environment()
    chosen_options = options or RunOptions()
    with (
        console_of(chosen_options.console, quiet) as console,
        compiling_said(console, asked.strategy.name),
    ):
        chosen_options = replace(chosen_options, console=console)
        # everything that can be refused is, before the lake is locked and Spark starts
        if where.local and where.home.is_dir():
            keep_in(where.home)
            done_ahead(partial(keep_in, where.home))
        checked = check_study(asked, location=where)
        check_bars(where)
        with writer_lock(where, f"run study {asked.study}"):
            session = lazy_session(where, spark, waits_on(console), quick=not asked.models)
            writing = None if chosen_options.only_stored else session
            found: list[_Swept] = []
            trial = None if writing is None else partial(_try_new, where, chosen_options, found)
            resolved = resolve_study(checked, where, writing, chosen_options.latest, trial)
            return _Run(session, where, resolved, chosen_options, spark is not None).answer(*found)


def _try_new(location: LakeLocation, options: RunOptions, found: list[_Swept], resolved: Resolved) -> None:
    """Try the step, unless all is stored and it was tried before that; put into `found` what is pending."""
    if not resolved.study.search.in_rounds:
        found.append(sweep_of(ResultStore(location, resolved), options.again))
    if not found or found[0][0]:
        try_strategy(resolved)


class _Run:
    """One run of one resolved study, step by step."""

    def __init__(
        self,
        session: Session,
        location: LakeLocation,
        resolved: Resolved,
        options: RunOptions,
        has_session: bool,
    ) -> None:
        self.session = session
        self.location = location
        self.resolved = resolved
        self.store = ResultStore(location, resolved)
        self.options = options
        self.origin = provenance()
        self.started = datetime.now(UTC)
        self.most_slots = 0
        self.has_session = has_session
        self._runner: Runner | None = None
        self._held: Held | None = None

    def answer(self, known: _Swept | None = None) -> StudyResult:
        """Run everything that is missing, where that is `known` already, and return the answer."""
        self._say(self._headline())
        for line in (*self.resolved.notes, *windows_said(self.resolved)):
            self._say(f"  {line}")
        timeline = self.resolved.checked.timeline
        symbols = self.resolved.checked.study.data.symbols
        if refused := refused_in(self.location, symbols, timeline.start_us, timeline.end_us):
            self._say(refused)
        if self.resolved.checked.not_compiled:
            self._say(f"engine backtrader, not compiled: {self.resolved.checked.not_compiled}")
        if self.options.track and tracking_warning(self.location):
            self._say(tracking_warning(self.location))
        in_rounds = self.resolved.study.search.in_rounds
        pending, resumed = known or (([], 0) if in_rounds else sweep_of(self.store, self.options.again))
        if self.options.only_stored:
            missing = replayed(self.resolved, self.location)[1] if in_rounds else _count(pending)
            if missing:
                raise self._unfinished(missing)
        # where nothing is run, MLflow may hold all there is to log; else it begins as backtests do
        local = bool(pending) and self._chosen_runner(pending).spark is None
        later = not in_rounds and (local or not pending)
        track = self.options.track
        with tracked_study(self.location, self.resolved, self._warn, self._say, track, later) as tracker:
            make = partial(self._answer, tracker, pending, resumed)
            # one that has MLflow already, and its data base open, logs by itself, as it does each model
            alone = local and not self.resolved.models and "mlflow" not in sys.modules
            if alone and tracker.waits and can_run_apart():
                made = log_beside(tracker, make, self.location)
                result = replace(made, run_id=tracker.run_id)
            else:
                drop_ahead()
                result = make()
        self._maintain()
        return result

    def _maintain(self) -> None:
        """Join the small files that many runs left, where something was run."""
        if not self.most_slots:
            return
        try:
            maintained = maintain(self.location)
        except Exception as error:
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            self._warn(
                f"files of results could not be joined: {said}. The answer stands; a later run tries it"
            )
            return
        if maintained:
            self._say(f"joined the small files of earlier runs: {', '.join(maintained)}")

    def _answer(self, tracker: Tracker, pending: Sequence[Pending], resumed: int) -> StudyResult:
        prepared = self._prepare(tracker)
        plan = plan_of(self.resolved, prepared, self.location, self.origin, self.options.time_limit)
        computed = _count(pending)
        if self.resolved.study.search.in_rounds:
            computed, resumed = self._explore(plan)
        else:
            self._sweep(plan, pending, resumed)
        resolved = self.resolved
        answers = choose_in_folds(self.store)
        for answer in answers:
            ranked = answer.board["config_id"].astype(str).tolist()
            kept = drop_returns(self.session, self.store, answer.fold, ranked)
            if kept is not None:
                self._say(f"returns: kept of {kept:,} configurations")
            if answer.reason:
                self._say(answer.reason)
        plan, final = self._final(plan, prepared, answers[-1], tracker)
        answers = self._open(plan, answers)
        board, chosen = answers[-1].board, answers[-1].chosen
        if tracker.send is not None:  # another process logs what is known already, while this one judges
            tracker.do(log_ranking, plan.pins, ranked_of(resolved, board), self.location)
        failed = sum(int((answer.board["status"] == "error").sum()) for answer in answers)
        counts = {"computed": computed, "resumed": resumed, "failed": failed}
        environment = self._environment(prepared, final, counts)
        whole = stitched(self.store, answers) if resolved.timeline.joins_tests else None
        asked = resolved.study.text, resolved.study.model_dump(by_alias=True)
        key = answer_key(self.location, plan, asked, board) if self.options.report else ""
        folder, written = self._kept(key)
        with waits_on(self.options.console)("the choice is certified and judged"):
            data, judgement = self._judged(plan, answers, environment, whole, written)
        data = replace(data, models=prepared.notes)
        print_result(data, self.options.console, self.options.verbose)
        with waits_on(self.options.console)("report and files are written"):
            files = written.files if written else self._write(data, folder, key)
        told_of = Answered(plan.pins, board, chosen, judgement, whole, files, data)
        log_study(tracker, self.location, resolved, told_of)
        return StudyResult(resolved.study, chosen, data, files, tracker.run_id, computed, resumed, failed)

    def _judged(
        self,
        plan: Plan,
        answers: Sequence[FoldAnswer],
        environment: Mapping[str, Any],
        whole: Stitched | None,
        kept: KeptAnswer | None,
    ) -> tuple[ReportData, Judgement]:
        """Return everything that the report shows, and the verdict, made while the choice is certified.

        What is `kept` was certified: the same software ran the same rows.
        """
        made: list[tuple[ReportData, Judgement]] = []

        def make() -> None:
            data = report_data(self.store, plan, answers, environment, whole, self.options.report)
            made.append((data, judge_study(self.store, plan, select(self.resolved, answers))))

        certificate = kept.certificate if kept else ""
        if self.options.certify and not certificate:
            certificate = certify(plan, self.resolved, answers, make)
        else:
            make()
        ((data, judgement),) = made
        origin = replace(data.origin, certificate=certificate)
        return replace(data, origin=origin, verdict=judgement), judgement

    def _headline(self) -> str:
        resolved, groups = self.resolved, len(self.resolved.portfolios)
        most = f"search {resolved.study.search.kind} of at most " if resolved.study.search.learns else ""
        many = f"{resolved.count:,} configuration{'s' * (resolved.count != 1)} on {groups:,} "
        text = f"study {resolved.study.study}: {most}{many}"
        text += "shared portfolio" if resolved.study.portfolio == "shared" else f"symbol{'s' * (groups != 1)}"
        if resolved.grid.left_out and not most:
            text += f"; {resolved.grid.left_out:,} points of the grid left out ({resolved.grid.reason})"
        return text

    def _engine(self) -> str:
        checked = self.resolved.checked
        return f"{checked.engine} ({checked.not_compiled})" if checked.not_compiled else checked.engine

    def _unfinished(self, missing: int) -> RunError:
        name = self.resolved.study.study
        return RunError(f"study {name} has {missing:,} backtests still to run: 'whatif run' it first")

    def _sweep(self, plan: Plan, pending: Sequence[Pending], resumed: int) -> None:
        if not pending:
            self._say(f"all {resumed:,} backtests are stored already")
            return
        count = _count(pending)
        console = self.options.console
        cost = total_cost(pending)
        bar = Progress(count + resumed, cost, done=resumed, console=console) if console else None
        runner = self._chosen_runner(pending)
        with bar or nullcontext():

            def report(done: WaveDone) -> None:
                self._note_slots(done)
                if bar is not None:
                    bar.advance(done.backtests, done.cost, done.failed)

            keep = while_sweeping(self.resolved.study)
            self._drop_failed(pending)
            with ready_to_judge() if runner.spark is not None else nullcontext():
                run_waves(runner, plan, pending, keep, report)

    def _explore(self, plan: Plan) -> tuple[int, int]:
        """Go through a search in rounds; return how many backtests were run, and how many were stored."""
        computed = resumed = rounds = 0

        def evaluate(part: ResultStore, windows: Sequence[Window] = ()) -> bool:
            nonlocal computed, resumed, rounds
            pending, there = sweep_of(part, self.options.again, windows)
            computed, resumed, rounds = computed + _count(pending), resumed + there, rounds + 1
            last = {shared[-1] for shared in part.resolved.searched_folds}
            folds = [fold for fold in part.resolved.timeline.every if fold.number in last]
            made = sum(len(part.resolved.configurations(fold)) for fold in folds)
            said = f"round {rounds}: {made:,} configurations"
            said += "".join(f" on {window.name}" for window in windows)
            self._say(said if pending else f"{said}, stored already")
            if pending:
                runner = self._chosen_runner(pending)
                if isinstance(runner, LocalRunner):
                    runner.held = self._held
                self._sweep(plan, pending, there)
            return True

        limit = self.resolved.study.search.seconds
        until = time.monotonic() + limit

        def begins(part: ResultStore, windows: Sequence[Window]) -> bool:
            # what is stored is told however long it takes
            ends = limit < inf and (self.options.only_stored or time.monotonic() >= until)
            return not (ends and sweep_of(part, self.options.again, windows)[0])

        self._held = Held()
        try:
            self.resolved = explore(self.resolved, self.location, evaluate, begins, self._held)
        finally:
            self._held = None
            if isinstance(self._runner, LocalRunner):
                self._runner.flush(plan, while_sweeping(self.resolved.study))
                self._runner.held = None
        self.store = ResultStore(self.location, self.resolved)
        return computed, resumed

    def _open(self, plan: Plan, answers: Sequence[FoldAnswer]) -> list[FoldAnswer]:
        """Store the series the study asks for, and run the chosen configurations on their test windows."""
        resolved = self.resolved
        work: list[Pending] = []
        looks: list[Pending] = []
        keeps: list[Keep] = []
        for answer in answers:
            if answer.chosen is None:
                continue
            keeps.append(after_ranking(resolved, answer) if self.options.report else NOTHING)
            for window in answer.fold.backtested:
                work += not_stored(self.store, window, keeps[-1])
            if answer.fold.test is not None:
                chosen = [resolved.configuration(answer.chosen.config_id)]
                looks += pending_on(self.store, answer.fold.test, chosen, self.options.again)[0]
        if (work or looks) and self.options.only_stored:
            raise self._unfinished(_count([*work, *looks]))
        if looks:
            record_looks(self.session, self.store, looks, self.origin)
        if work or looks:
            runner = self._chosen_runner([*work, *looks])
            self._drop_failed(looks)
            for some, keep in by_series([*work, *looks], union(keeps)):
                run_waves(runner, plan, some, keep, self._note_slots)
        return told(self.store, answers)

    def _drop_failed(self, pending: Sequence[Pending]) -> None:
        if self.options.again is not None:
            store = replace(self.store, held=self._held)
            drop_failed(self.session, store, pending, self.options.again)

    def _note_slots(self, done: WaveDone) -> None:
        self.most_slots = max(done.slots, self.most_slots)

    def _chosen_runner(self, pending: Sequence[Pending]) -> Runner:
        """Return what runs backtests: chosen once for a run, when it is known what is missing."""
        if self._runner is None:
            asked = RunnerQuestion(self.options.runner, self.location, self.resolved, self.has_session)
            self._runner, said = choose_runner(asked, pending, self.session, self._meanwhile)
            self._say(said)
        return self._runner

    def _meanwhile(self) -> None:
        """Import what a verdict needs, while other processes compute."""
        with ready_to_judge():
            pass

    def _final(
        self, plan: Plan, prepared: Prepared, answer: FoldAnswer, tracker: Tracker
    ) -> tuple[Plan, Prepared]:
        """Train the model of the choice on everything before the test window, if the split asks for that."""
        final, resolved = self.resolved.timeline.final, self.resolved
        if final is None or final.test is None or answer.chosen is None or not resolved.models:
            return plan, NOTHING_PREPARED
        own = resolved.configuration(answer.chosen.config_id)
        wanted = [key for key in resolved.models if key == (own.model, own.timeframe, final.number)]
        if self.options.only_stored and not models_stored(self.location, resolved, wanted):
            raise self._unfinished(1)
        trained = self._prepare(tracker, wanted)
        return replace(plan, models={**prepared.models, **trained.models}), trained

    def _prepare(self, tracker: Tracker, wanted: Sequence[ModelKey] | None = None) -> Prepared:
        on_spark = self.has_session or self.options.runner == "spark"
        return prepare(
            self.session, self.location, self.resolved, tracker, self._say, wanted, on_spark,
            waits_on(self.options.console),
        )  # fmt: skip

    def _environment(self, prepared: Prepared, final: Prepared, counts: Mapping[str, int]) -> dict[str, Any]:
        return {
            "command": self.origin["command"],
            "user": self.origin["user"],
            "host": self.origin["host"],
            "started": self.started.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "engine": self._engine(),
            "task slots": self.most_slots or "none used",
            "backtests": counts,
            "left out of the grid": self.resolved.grid.left_out,
            "models trained": _named((*prepared.trained, *final.trained)),
            **prepared.said(final),
            "versions": versions(),
        }

    def _kept(self, key: str) -> tuple[Path | None, KeptAnswer | None]:
        """Return the folder of report and files, and what is there already if nothing has changed since."""
        if not self.options.report:
            return None, None
        try:
            folder = self.options.output
            if folder is None:
                folder, moved = own_folder(self.location, self.resolved.study)
                if moved is not None:
                    self._say(f"the report of another study of this name is now in {moved}")
        except OSError as error:
            self._not_written(error)
            return None, None
        return folder, None if self.options.only_stored or not key else kept_answer(folder, key)

    def _write(self, data: ReportData, folder: Path | None, key: str) -> tuple[Path, ...]:
        """Write report and files; none, and a word on it, where the disk is full or the folder closed."""
        if folder is None:
            return ()
        try:
            files = write_answer(data, folder)
            keep_answer(folder, key, data.origin.certificate, files)
        except OSError as error:
            self._not_written(error)
            return ()
        return files

    def _not_written(self, error: OSError) -> None:
        self._warn(
            f"the report could not be written: {error}\n"
            "The answer stands, and is stored. Make room, or name another folder (--output), and run "
            "'whatif report' with the study: no backtest is run again."
        )

    def _say(self, text: str) -> None:
        if self.options.console is not None:
            self.options.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _warn(self, text: str) -> None:
        """Say what went wrong beside the answer; where nothing of it would stay, as a warning."""
        self._say(text)
        if not stays(self.options.console):
            warnings.warn(text, RuntimeWarning, stacklevel=2)


def _count(pending: Sequence[Pending]) -> int:
    return sum(len(part.configurations) for part in pending)


def _named(trained: Sequence[str]) -> str:
    if len(trained) > MAX_NAMED:
        return f"{len(trained)}, from {trained[0]} to {trained[-1]}"
    return ", ".join(trained) or "none"
