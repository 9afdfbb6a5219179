"""Runs a study: from the pinned bars to the ranked answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import SparkSession
from rich.console import Console

from whatif.domain.rows import KEY_COLUMNS
from whatif.engines import get_engine
from whatif.errors import RunError, StrategyError
from whatif.lake import append, create_tables, writer_lock
from whatif.lake.results import RESULTS
from whatif.lake.tables import EQUITY, TABLES, TEST_LOOKS, TRADES
from whatif.pins import LakeLocation
from whatif.report.files import write_files
from whatif.report.html import write as write_html
from whatif.report.progress import Progress
from whatif.runner.plan import Pending, Plan, WindowPlan
from whatif.runner.spark import Keep, WaveDone, run_waves
from whatif.runner.waves import total_cost
from whatif.search.grid import Configuration
from whatif.search.pooling import check_poolable
from whatif.session import get_spark, task_slots
from whatif.strategies import StrategySpec, to_portable
from whatif.study import Study, load_study
from whatif.tracking.configurations import log_configurations
from whatif.tracking.run import TrackedRun, finish, log, log_files, log_tables, start_study_run
from whatif.workflow.answer import choose, configuration_of, leaderboard, report_data, slot
from whatif.workflow.provenance import provenance, versions
from whatif.workflow.resolve import Resolved, resolve_study
from whatif.workflow.result import Chosen, StudyResult
from whatif.workflow.stored import read_rows, stored_keys
from whatif.workflow.train import Prepared, prepare


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
    """

    latest: bool = False
    track: bool = True
    output: Path | None = None
    console: Console | None = None
    only_stored: bool = False


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
    chosen_options = options or RunOptions()
    where = location or LakeLocation.from_environment()
    _check_alone(asked)
    with writer_lock(where, f"run study {asked.study}"):
        session = spark or get_spark(where)
        create_tables(session, where, TABLES)
        resolved = resolve_study(asked, session, where, chosen_options.latest)
        return _Run(session, where, resolved, chosen_options).answer()


def _check_alone(study: Study) -> None:
    """Refuse what needs no lake to be seen."""
    get_engine(study.engine)
    if study.rank == "pooled":
        check_poolable(study.objective)


class _Run:
    """One run of one resolved study, step by step."""

    def __init__(
        self, spark: SparkSession, location: LakeLocation, resolved: Resolved, options: RunOptions
    ) -> None:
        self.spark = spark
        self.location = location
        self.resolved = resolved
        self.options = options
        self.origin = provenance()
        self.started = datetime.now(UTC)
        self.cores = task_slots(spark)
        self.tracked: TrackedRun | None = None

    def answer(self) -> StudyResult:
        """Run everything that is missing and return the answer."""
        self._say(self._headline())
        if self.options.track:
            self.tracked = track_study(self.location, self.resolved)
        try:
            result = self._answer()
        except BaseException as error:
            if self.tracked is not None:
                status = "FAILED" if isinstance(error, Exception) else "KILLED"
                finish(self.tracked, status)
            raise
        if self.tracked is not None:
            finish(self.tracked)
        return result

    def _answer(self) -> StudyResult:
        resolved = self.resolved
        prepared = prepare(self.spark, self.location, resolved, self.tracked, self._say)
        plan = self._plan(prepared)
        validate = resolved.timeline.validate.name
        pending, resumed = self._pending(validate, resolved.grid.configurations)
        if pending and self.options.only_stored:
            missing = sum(len(p.configurations) for p in pending)
            raise RunError(f"study {resolved.study.study} has {missing:,} backtests still to run: 'whatif run' it first")
        self._sweep(plan, pending, resumed)
        board = leaderboard(self.location, resolved)
        chosen = choose(resolved, board)
        if chosen is not None:
            chosen = self._open(plan, board, chosen)
        failed = int((board["status"] != "ok").sum())
        computed = sum(len(p.configurations) for p in pending)
        environment = self._environment(prepared, computed, resumed, failed)
        data = report_data(self.location, resolved, plan, board, chosen, environment)
        files = self._write(data)
        self._log(board, chosen, plan, files)
        run_id = self.tracked.run_id if self.tracked else ""
        return StudyResult(resolved.study, chosen, data, files, run_id, computed, resumed, failed)

    def _headline(self) -> str:
        resolved = self.resolved
        count, groups = len(resolved.grid.configurations), len(resolved.portfolios)
        text = f"study {resolved.study.study}: {count:,} configurations on {groups:,} "
        text += "shared portfolio" if resolved.study.portfolio == "shared" else f"symbol{'s' * (groups != 1)}"
        if resolved.grid.left_out:
            text += f"; {resolved.grid.left_out:,} points of the grid left out ({resolved.grid.reason})"
        return text

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
            strategy=to_portable(resolved.strategy),
            strategy_name=resolved.study.strategy.name,
            windows=windows,
            warmup=_warmup(resolved),
            engine=resolved.study.engine,
            provenance=self.origin,
        )

    def _pending(
        self, window: str, configurations: Sequence[Configuration]
    ) -> tuple[list[Pending], int]:
        """Return what `results` lacks on a window, by symbol, and how many it holds."""
        resolved = self.resolved
        interval = next(w for w in resolved.timeline.windows if w.name == window)
        done = stored_keys(self.location, RESULTS, slot(resolved, interval))
        pending, stored = [], 0
        for group in resolved.portfolios:
            symbol = "+".join(group)
            missing = tuple(c for c in configurations if (c.config_id, symbol) not in done)
            stored += len(configurations) - len(missing)
            if missing:
                bars = sum(resolved.window_bars[s, window] for s in group)
                pending.append(Pending(group, window, missing, bars))
        return pending, stored

    def _sweep(self, plan: Plan, pending: Sequence[Pending], resumed: int) -> None:
        keep = self.resolved.study.keep
        everything = Keep(
            None if keep.trades == "all" else frozenset(), None if keep.equity == "all" else frozenset()
        )
        if not pending:
            self._say(f"all {resumed:,} backtests are stored already")
            return
        count = sum(len(p.configurations) for p in pending)
        console = self.options.console
        bar = Progress(count + resumed, total_cost(pending), done=resumed, console=console) if console else None
        with bar or nullcontext():

            def report(done: WaveDone) -> None:
                if bar is not None:
                    bar.advance(done.backtests, done.cost, done.failed)

            run_waves(self.spark, self.location, plan, pending, self.cores, everything, report)

    def _open(self, plan: Plan, board: pd.DataFrame, chosen: Chosen) -> Chosen:
        """Keep the series the study asks for, and run the chosen configuration on the test window."""
        resolved = self.resolved
        configuration = configuration_of(resolved, chosen.config_id)
        own = frozenset(f"{chosen.config_id}/{'+'.join(group)}" for group in resolved.portfolios)
        keep = _kept(resolved.study, board, own)
        self._keep(plan, resolved.timeline.validate.name, keep)
        test = resolved.timeline.test
        if test is None:
            return chosen
        pending, _ = self._pending(test.name, [configuration])
        if pending:
            self._look(pending, chosen)
            run_waves(self.spark, self.location, plan, pending, self.cores, Keep(own, own))
        else:
            self._keep(plan, test.name, Keep(own, own))
        found = read_rows(self.location, RESULTS, slot(resolved, test), configurations=[chosen.config_id])
        row = found[found["symbol"] == chosen.symbol]
        return replace(chosen, test=row.iloc[0].to_dict() if len(row) else {})

    def _keep(self, plan: Plan, window: str, keep: Keep) -> None:
        """Run once more, for their series, the backtests whose trades or equity are not stored yet."""
        resolved = self.resolved
        interval = next(w for w in resolved.timeline.windows if w.name == window)
        here = slot(resolved, interval)
        stored = {f"{c}/{s}" for c, s in stored_keys(self.location, EQUITY, here)}
        stored_trades = {f"{c}/{s}" for c, s in stored_keys(self.location, TRADES, here)}
        wanted = ((keep.equity or frozenset()) - stored) | ((keep.trades or frozenset()) - stored_trades - stored)
        pending = []
        for group in resolved.portfolios:
            symbol = "+".join(group)
            chosen = tuple(c for c in resolved.grid.configurations if f"{c.config_id}/{symbol}" in wanted)
            if chosen:
                bars = sum(resolved.window_bars[s, window] for s in group)
                pending.append(Pending(group, window, chosen, bars))
        if pending:
            run_waves(self.spark, self.location, plan, pending, self.cores, keep)

    def _look(self, pending: Sequence[Pending], chosen: Chosen) -> None:
        """Record that the test window is opened, before it is."""
        test = self.resolved.timeline.test
        assert test is not None
        rows = [
            {
                "study": self.resolved.study.study,
                "data_digest": self.resolved.data_digest,
                "looked_at": datetime.now(UTC),
                "user": self.origin["user"],
                "host": self.origin["host"],
                "config_id": chosen.config_id,
                "symbol": "+".join(p.symbols),
                "window_start": pd.Timestamp(test.start_us, unit="us", tz="UTC"),
                "window_end": pd.Timestamp(test.end_us, unit="us", tz="UTC"),
                "command": self.origin["command"],
            }
            for p in pending
        ]
        frame = self.spark.createDataFrame(pd.DataFrame(rows), TEST_LOOKS.ddl)
        append(self.spark, self.location, TEST_LOOKS, frame)

    def _environment(
        self, prepared: Prepared, computed: int, resumed: int, failed: int
    ) -> dict[str, Any]:
        return {
            "command": self.origin["command"],
            "user": self.origin["user"],
            "host": self.origin["host"],
            "started": self.started.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "engine": self.resolved.study.engine,
            "task slots": self.cores,
            "backtests": {"computed": computed, "resumed": resumed, "failed": failed},
            "left out of the grid": self.resolved.grid.left_out,
            "models trained": ", ".join(prepared.trained) or "none",
            "versions": versions(),
        }

    def _write(self, data: Any) -> tuple[Path, ...]:
        folder = self.options.output or self.location.home / "reports" / self.resolved.study.study
        folder.mkdir(parents=True, exist_ok=True)
        page = write_html(data, folder / "report.html")
        return (page, *write_files(data, folder).values())

    def _log(self, board: pd.DataFrame, chosen: Chosen | None, plan: Plan, files: Sequence[Path]) -> None:
        if self.tracked is None:
            return
        started = time.perf_counter()
        logged = log_configurations(self.tracked, board)
        pins = dict.fromkeys([plan.bars, *(model.pin for model in plan.models.values())])
        log_tables(self.tracked, list(pins), self.location)
        log_files(self.tracked, files)
        if chosen is not None:
            figures = {f"validate.{name}": value for name, value in _numbers(chosen.validate).items()}
            figures |= {f"test.{name}": value for name, value in _numbers(chosen.test).items()}
            best = {"whatif.best": f"{chosen.config_id}/{chosen.symbol}"}
            log(self.tracked, metrics=figures, tags=best)
        self._say(f"MLflow: run {self.tracked.run_id}, {logged} children, {time.perf_counter() - started:.1f} s")

    def _say(self, text: str) -> None:
        if self.options.console is not None:
            self.options.console.print(text, highlight=False, markup=False, soft_wrap=True)


def track_study(location: LakeLocation, resolved: Resolved) -> TrackedRun:
    """Return the study's run in MLflow, with what identifies it; the same one when it is resumed."""
    origin, study = provenance(), resolved.study
    tags = {
        "whatif.version": versions()["whatif"],
        "whatif.commit": versions().get("commit", ""),
        "whatif.bars_pin": resolved.bars.to_json(),
        **{f"whatif.{name}": text for name, text in origin.items()},
    }
    tracked = start_study_run(location, study.study, resolved.identity, tags)
    tracked.client.log_text(tracked.run_id, study.text, "study.yaml")
    params = {
        "strategy": study.strategy.name,
        "symbols": ", ".join(study.data.symbols),
        "timeframe": study.data.timeframe,
        "start": study.data.start,
        "end": study.data.end,
        "objective": study.objective,
        "rank": study.rank,
        "configurations": len(resolved.grid.configurations),
    }
    log(tracked, params=params)
    return tracked


def _warmup(resolved: Resolved) -> int:
    """Bars before the window for an ordinary Backtrader strategy: what it declares as `warmup`."""
    if isinstance(resolved.strategy, StrategySpec):
        return 0
    declared = getattr(resolved.strategy.cls, "warmup", 0)
    if not isinstance(declared, int) or isinstance(declared, bool) or declared < 0:
        raise StrategyError(
            f"strategy {resolved.strategy.name}: warmup = {declared!r} must be a whole number of bars, 0 or more"
        )
    return declared


def _kept(study: Study, board: pd.DataFrame, own: frozenset[str]) -> Keep:
    """Whose series are stored: the chosen configuration's on all symbols, and the N best rows'."""
    good = board[board["status"] == "ok"]
    names = [f"{c}/{s}" for c, s in zip(good["config_id"], good["symbol"], strict=True)]

    def of(rule: str | int) -> frozenset[str]:
        return own | (frozenset(names[:rule]) if isinstance(rule, int) else frozenset())

    return Keep(of(study.keep.trades), of(study.keep.equity))


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, (bool, int, float)) and name not in KEY_COLUMNS and pd.notna(value)
    }


