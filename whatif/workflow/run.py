"""Runs a study: from the pinned bars to the ranked answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import SparkSession
from rich.console import Console

from whatif.domain.bars import PRICE_FIELDS
from whatif.engines.compiled.kernel import keep_kernels_in
from whatif.errors import RunError
from whatif.lake import writer_lock
from whatif.lake.results import RETURNS
from whatif.pins import LakeLocation
from whatif.report import ReportData
from whatif.report.files import write_files
from whatif.report.html import write as write_html
from whatif.report.progress import Progress
from whatif.runner.plan import MEBIBYTE, Pending, Plan, WindowPlan
from whatif.runner.spark import NOTHING, WaveDone, drop_returns, run_waves
from whatif.runner.thinning import returns_to_keep
from whatif.runner.waves import total_cost
from whatif.session import task_slots
from whatif.study import Study, load_study
from whatif.tracking.run import TrackedRun
from whatif.workflow.answer import choose, configuration_of, figures_on_test, leaderboard, report_data
from whatif.workflow.certify import certify
from whatif.workflow.check import check_study
from whatif.workflow.kept import after_ranking, not_stored, while_sweeping
from whatif.workflow.lazy import lazy_session
from whatif.workflow.looks import record_looks
from whatif.workflow.pending import keeps_all_returns, pending_on, slot
from whatif.workflow.provenance import provenance, versions
from whatif.workflow.resolve import Resolved, Session, check_bars, resolve_study
from whatif.workflow.result import Chosen, StudyResult
from whatif.workflow.stored import stored_keys
from whatif.workflow.track import log_answer, tracked_study
from whatif.workflow.train import Prepared, prepare

LEAST_ARRAY_BYTES = 40 * MEBIBYTE
MOST_ARRAY_BYTES = 256 * MEBIBYTE


@dataclass(frozen=True)
class RunOptions:
    """How a study is run; none of it changes a result.

    Attributes
    ----------
    latest : bool
        Run on the newest bars instead of those the study first ran on.
    track : bool
        Log to MLflow.
    output : Path or None
        Folder of report and files; `reports/<study>` in the lake's home if None.
    console : Console or None
        Where progress goes; nothing is printed if None.
    only_stored : bool
        Refuse to run a sweep: answer from what is stored.
    report : bool
        Write the report and its files, and store the series of the chosen configuration that they show.
    certify : bool
        Run the chosen configuration again by Backtrader's broker, if the compiled one ran the sweep.
    """

    latest: bool = False
    track: bool = True
    output: Path | None = None
    console: Console | None = None
    only_stored: bool = False
    report: bool = True
    certify: bool = True


def run(
    study: Study | str | Path,
    spark: SparkSession | None = None,
    location: LakeLocation | None = None,
    options: RunOptions | None = None,
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
    # everything that can be refused is, before the lake is locked and Spark starts
    if where.local and where.home.is_dir():
        keep_kernels_in(where.home)
    checked = check_study(asked)
    check_bars(where)
    with writer_lock(where, f"run study {asked.study}"):
        session = lazy_session(where, spark)
        writing = None if chosen_options.only_stored else session
        resolved = resolve_study(checked, where, writing, chosen_options.latest)
        return _Run(session, where, resolved, chosen_options).answer()


class _Run:
    """One run of one resolved study, step by step."""

    def __init__(
        self, session: Session, location: LakeLocation, resolved: Resolved, options: RunOptions
    ) -> None:
        self.session = session
        self.location = location
        self.resolved = resolved
        self.options = options
        self.origin = provenance()
        self.started = datetime.now(UTC)

    def answer(self) -> StudyResult:
        """Run everything that is missing and return the answer."""
        self._say(self._headline())
        if self.resolved.checked.not_compiled:
            self._say(f"engine backtrader, not compiled: {self.resolved.checked.not_compiled}")
        resolved = self.resolved
        validate, configurations = resolved.timeline.validate, resolved.grid.configurations
        pending, resumed = pending_on(self.location, resolved, validate, configurations)
        if pending and self.options.only_stored:
            raise self._unfinished(sum(len(p.configurations) for p in pending))
        with tracked_study(self.location, self.resolved) if self.options.track else nullcontext() as tracked:
            return self._answer(tracked, pending, resumed)

    def _answer(self, tracked: TrackedRun | None, pending: Sequence[Pending], resumed: int) -> StudyResult:
        resolved = self.resolved
        prepared = prepare(self.session, self.location, resolved, tracked, self._say)
        plan = self._plan(prepared)
        self._sweep(plan, pending, resumed)
        board = leaderboard(self.location, resolved)
        self._thin_returns(plan, board)
        chosen = choose(resolved, board)
        if chosen is not None:
            chosen = self._open(plan, board, chosen)
        failed = int((board["status"] != "ok").sum())
        computed = sum(len(p.configurations) for p in pending)
        counts = {"computed": computed, "resumed": resumed, "failed": failed}
        environment = self._environment(prepared, counts)
        certificate = certify(plan, resolved, chosen) if chosen and self.options.certify else ""
        shown = self.options.report
        data = report_data(self.location, resolved, plan, board, chosen, environment, certificate, shown)
        files = self._write(data) if shown else ()
        if tracked is not None:
            self._log(tracked, plan, board, chosen, files)
        run_id = tracked.run_id if tracked else ""
        return StudyResult(resolved.study, chosen, data, files, run_id, computed, resumed, failed)

    def _headline(self) -> str:
        resolved = self.resolved
        count, groups = len(resolved.grid.configurations), len(resolved.portfolios)
        text = f"study {resolved.study.study}: {count:,} configurations on {groups:,} "
        text += "shared portfolio" if resolved.study.portfolio == "shared" else f"symbol{'s' * (groups != 1)}"
        if resolved.grid.left_out:
            text += f"; {resolved.grid.left_out:,} points of the grid left out ({resolved.grid.reason})"
        return text

    def _engine(self) -> str:
        checked = self.resolved.checked
        return f"{checked.engine} ({checked.not_compiled})" if checked.not_compiled else checked.engine

    def _unfinished(self, missing: int) -> RunError:
        name = self.resolved.study.study
        return RunError(f"study {name} has {missing:,} backtests still to run: 'whatif run' it first")

    def _plan(self, prepared: Prepared) -> Plan:
        resolved = self.resolved
        windows = {
            window.name: WindowPlan(window, resolved.periods[window.name])
            for window in resolved.timeline.windows
            if window.name in resolved.periods
        }
        return Plan(
            study=resolved.study.study,
            data_digest=resolved.data_digest,
            bars=resolved.bars,
            slices=resolved.slices,
            models=prepared.models,
            strategy=resolved.portable,
            strategy_name=resolved.study.strategy.name,
            windows=windows,
            warmup=resolved.checked.warmup,
            engine=resolved.checked.engine,
            home=str(self.location.home) if self.location.local else "",
            provenance=self.origin,
            array_bytes=_array_bytes(resolved),
        )

    def _sweep(self, plan: Plan, pending: Sequence[Pending], resumed: int) -> None:
        if not pending:
            self._say(f"all {resumed:,} backtests are stored already")
            return
        count = sum(len(p.configurations) for p in pending)
        console = self.options.console
        cost = total_cost(pending)
        bar = Progress(count + resumed, cost, done=resumed, console=console) if console else None
        with bar or nullcontext():

            def report(done: WaveDone) -> None:
                if bar is not None:
                    bar.advance(done.backtests, done.cost, done.failed)

            keep = while_sweeping(self.resolved.study)
            run_waves(self.session(), self.location, plan, pending, self._slots, keep, report)

    def _thin_returns(self, plan: Plan, board: pd.DataFrame) -> None:
        """Delete the returns that a study of this size does not keep."""
        if keeps_all_returns(self.resolved):
            return
        validate = self.resolved.timeline.validate
        keys = stored_keys(self.location, RETURNS, slot(self.resolved, validate))
        stored = {config_id for config_id, _ in keys}
        mine = set(board["config_id"].astype(str))
        surplus = (stored & mine) - returns_to_keep(board["config_id"].astype(str))
        if surplus:
            drop_returns(self.session(), self.location, plan, validate.name, surplus)
            self._say(f"returns: kept of {len(mine) - len(surplus):,} configurations")

    def _open(self, plan: Plan, board: pd.DataFrame, chosen: Chosen) -> Chosen:
        """Store the series the study asks for, and run the chosen configuration on the test window."""
        resolved, where = self.resolved, self.location
        keep = after_ranking(resolved, board, chosen.config_id) if self.options.report else NOTHING
        work = not_stored(where, resolved, resolved.timeline.validate, keep)
        looks: list[Pending] = []
        test = resolved.timeline.test
        if test is not None:
            looks, _ = pending_on(where, resolved, test, [configuration_of(resolved, chosen.config_id)])
            work += not_stored(where, resolved, test, keep)
        if (work or looks) and self.options.only_stored:
            raise self._unfinished(sum(len(p.configurations) for p in [*work, *looks]))
        if looks:
            record_looks(self.session(), where, resolved, looks, self.origin)
        if work or looks:
            run_waves(self.session(), where, plan, [*work, *looks], self._slots, keep)
        return replace(chosen, test=figures_on_test(where, resolved, chosen))

    @cached_property
    def _slots(self) -> int:
        return task_slots(self.session())

    def _environment(self, prepared: Prepared, counts: Mapping[str, int]) -> dict[str, Any]:
        return {
            "command": self.origin["command"],
            "user": self.origin["user"],
            "host": self.origin["host"],
            "started": self.started.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "engine": self._engine(),
            "task slots": self.__dict__.get("_slots", "none used"),
            "backtests": counts,
            "left out of the grid": self.resolved.grid.left_out,
            "models trained": ", ".join(prepared.trained) or "none",
            "versions": versions(),
        }

    def _write(self, data: ReportData) -> tuple[Path, ...]:
        folder = self.options.output or self.location.home / "reports" / self.resolved.study.study
        folder.mkdir(parents=True, exist_ok=True)
        page = write_html(data, folder / "report.html")
        return (page, *write_files(data, folder).values())

    def _log(
        self,
        tracked: TrackedRun,
        plan: Plan,
        board: pd.DataFrame,
        chosen: Chosen | None,
        files: Sequence[Path],
    ) -> None:
        started = time.perf_counter()
        logged = log_answer(tracked, self.location, plan, board, chosen, files)
        took = time.perf_counter() - started
        self._say(f"MLflow: run {tracked.run_id}, {logged} children, {took:.1f} s")

    def _say(self, text: str) -> None:
        if self.options.console is not None:
            self.options.console.print(text, highlight=False, markup=False, soft_wrap=True)


def _array_bytes(resolved: Resolved) -> int:
    """Room for the bars and some 128 arrays of their length, within bounds."""
    windows = {window for _, window in resolved.window_bars}
    groups = resolved.portfolios
    most = max(sum(resolved.window_bars[s, w] for s in group for w in windows) for group in groups)
    return min(max(most * 8 * (len(PRICE_FIELDS) + 4 + 128), LEAST_ARRAY_BYTES), MOST_ARRAY_BYTES)
