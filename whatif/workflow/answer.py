"""Answer to a study: the report's data out of stored rows, and the result that a caller gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whatif.domain import BENCHMARK_COLUMNS, METRIC_KEYS, NOTE_COLUMNS, microseconds, timestamps
from whatif.doors import shower
from whatif.lake import EQUITY, RESULTS, TRADES
from whatif.pins import LakeLocation
from whatif.report import (
    ChosenSeries,
    JoinedFolds,
    Judgement,
    Origin,
    RankedAccounts,
    Ranking,
    ReportData,
    make_own_folder,
    study_html,
    study_line,
)
from whatif.report import write as write_html
from whatif.resolve import windows_said
from whatif.results import (
    MAX_SYMBOLS_DRAWN,
    Chosen,
    FoldAnswer,
    ResolvedStudy,
    ResultStore,
    Stitched,
    drawn,
    fold_table,
    paths_of,
    returns_panel,
    shown_windows,
    within_bound,
)
from whatif.runner import Plan, expecting, load_bars, unadjusted
from whatif.splits import Fold, Window
from whatif.study import Study, digest

ACCOUNTS = 100
"""First rows of the ranking whose accounts the report holds; the chosen one's comes with them."""

MAX_POINTS = 200
"""Points of each of them: of more periods evenly picked ones are told, and the last."""


def comparison(store: ResultStore, chosen: Chosen, windows: Mapping[str, Window]) -> pd.DataFrame:
    """Return the chosen configuration and the market held long, by symbol and window."""
    rows: list[dict[str, Any]] = []
    for name, window in windows.items():
        found = store.rows(RESULTS, window, _COMPARED, configurations=[chosen.config_id])
        by_symbol = {row["symbol"]: row for row in found.iloc[::-1].to_dict("records")}
        for group in store.resolved.portfolios:
            own = by_symbol.get("+".join(group))
            if own is not None and own["status"] == "ok":
                rows += _pair(own, name)
    return pd.DataFrame(rows, columns=["symbol", "window", "who", *METRIC_KEYS])


_COMPARED = ("symbol", "status", *METRIC_KEYS, *BENCHMARK_COLUMNS)


def _pair(row: Mapping[Any, Any] | pd.Series, window: str) -> list[dict[str, Any]]:
    lead = {"symbol": row["symbol"], "window": window}
    held = {name.removeprefix("benchmark_"): row[name] for name in BENCHMARK_COLUMNS}
    return [
        {**lead, "who": "strategy", **{name: row[name] for name in METRIC_KEYS}},
        {**lead, "who": "buy_and_hold", **held},
    ]


def _compared(store: ResultStore, last: FoldAnswer, windows: Mapping[str, Window]) -> pd.DataFrame:
    assert last.chosen is not None
    found = comparison(store, last.chosen, windows)
    if "validate" in windows:
        return found
    # ranked on paths, which the ranking holds
    own = last.board[last.board["config_id"] == last.chosen.config_id]
    rows = [pair for _, row in own[own["status"] == "ok"].iterrows() for pair in _pair(row, "validate")]
    return pd.concat([pd.DataFrame(rows, columns=found.columns), found], ignore_index=True)


def report_data(
    store: ResultStore,
    plan: Plan,
    answers: Sequence[FoldAnswer],
    environment: Mapping[str, Any],
    whole: Stitched | None = None,
    series: bool = True,
) -> ReportData:
    """Return all that the report shows but verdict and certificate: of several folds, the last one in full.

    Without `series`, only what the answer needs of it.
    """
    study, last = store.resolved.study, answers[-1]
    shown = _chosen_series(store, plan, last, series)
    return ReportData(
        origin=_origin(store.resolved, plan, answers, environment, whole),
        ranking=Ranking(
            study.objective,
            study.rank,
            last.board,
            tuple(study.axes),
            study.metrics,
            study.choose,
            {name: axis.shown_values for name, axis in study.axes.items()},
        ),
        series=shown,
        joined=_joined_folds(store.resolved, answers, whole),
        accounts=_accounts(store, last, shown.equity) if series else RankedAccounts(),
    )


def _origin(
    resolved: ResolvedStudy,
    plan: Plan,
    answers: Sequence[FoldAnswer],
    environment: Mapping[str, Any],
    whole: Stitched | None,
) -> Origin:
    return Origin(
        study=resolved.study.study,
        study_text=resolved.study.text,
        notes=tuple(filter(None, (*_notes(resolved, answers, whole), *_unadjusted(resolved, plan, answers)))),
        pins=[pin.written for pin in plan.pins],
        windows={name: _bounds(window) for name, window in _windows(answers[-1].fold).items()},
        windows_said=windows_said(resolved),
        environment=environment,
    )


def _chosen_series(store: ResultStore, plan: Plan, last: FoldAnswer, series: bool) -> ChosenSeries:
    chosen = last.chosen
    if chosen is None:
        return ChosenSeries()
    shown = shown_windows(last.fold)
    named, compared = _named(store.resolved, chosen), _compared(store, last, shown)
    if not series:
        return ChosenSeries(named, compared)
    groups = drawn(store.resolved, chosen.symbol, shown.values())
    trades = _series(store, chosen, groups, shown, "trades")
    with expecting([symbol for group in groups for symbol in group]):
        bars, finer = _bars(store.resolved, plan, chosen, groups, shown, trades["closed_at"])
    return ChosenSeries(
        chosen=named,
        comparison=compared,
        equity=_series(store, chosen, groups, shown, "equity"),
        trades=trades,
        bars=bars,
        finer=finer,
    )


def _accounts(store: ResultStore, last: FoldAnswer, chosen: pd.DataFrame) -> RankedAccounts:
    """Return accounts on validate of the first rows of a ranking whose returns are stored."""
    resolved, window = store.resolved, shown_windows(last.fold).get("validate")
    good = last.board[last.board["status"] == "ok"]
    keys = list(zip(good["config_id"].astype(str), good["symbol"].astype(str), strict=True))
    if window is None or not keys:
        return RankedAccounts(joined=window is None)
    own = [key for key in keys if last.chosen and key == (last.chosen.config_id, last.chosen.symbol)]
    returns, found = returns_panel(store, window, list(dict.fromkeys([*keys[:ACCOUNTS], *own])))
    whole = np.vstack([np.ones((1, len(found))), np.cumprod(1.0 + returns, axis=0)])
    ends = np.concatenate([[window.start_us], resolved.periods[window.name].ends])
    picked = np.unique(np.linspace(0, len(ends) - 1, min(len(ends), MAX_POINTS)).round().astype(np.int64))
    cash = [resolved.configuration(config_id).execution.cash for config_id, _ in found]
    return RankedAccounts(
        keys=tuple(found),
        cash=np.array(cash, dtype=np.float64),
        ends=ends[picked],
        growth=whole[picked],
        hold={symbol: held[picked] for symbol, held in _held(resolved, last, chosen, ends).items()},
        pooled=resolved.pooled,
    )


def _held(
    resolved: ResolvedStudy, last: FoldAnswer, chosen: pd.DataFrame, ends: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the market held long over its cash by the symbol of a row, of those that are drawn."""
    if last.chosen is None:
        return {}
    cash, held = resolved.configuration(last.chosen.config_id).execution.cash, {}
    rows = chosen[chosen["window"] == "validate"]
    for symbol, own in rows.groupby("symbol", sort=False, observed=True):
        # that of the last bar that starts before a period's end
        at = np.searchsorted(microseconds(own["ts"]), ends, side="left") - 1
        values = own["benchmark"].to_numpy(dtype=np.float64)[np.maximum(at, 0)] / cash
        held[str(symbol)] = np.where(at < 0, 1.0, values)
    if not resolved.pooled:
        return held
    if len(held) < len(resolved.portfolios):
        return {}
    steps = np.mean([one[1:] / one[:-1] for one in held.values()], axis=0)
    return {last.chosen.symbol: np.cumprod(np.append(1.0, steps))}


def _joined_folds(
    resolved: ResolvedStudy, answers: Sequence[FoldAnswer], whole: Stitched | None
) -> JoinedFolds:
    if whole is None:
        return JoinedFolds()
    return JoinedFolds(fold_table(resolved, answers), whole.figures, whole.series)


def _windows(fold: Fold) -> dict[str, Window]:
    train = {"train": fold.train[0]} if len(fold.train) == 1 else {}
    return train | shown_windows(fold)


def _bounds(window: Window) -> tuple[pd.Timestamp, pd.Timestamp]:
    start, end = timestamps(np.array([window.start_us, window.end_us]))
    return start, end


def _notes(resolved: ResolvedStudy, answers: Sequence[FoldAnswer], whole: Stitched | None) -> list[str]:
    last = answers[-1]
    notes = [resolved.study.description.strip(), last.reason]
    if last.chosen is not None and last.chosen.test_error:
        notes.append(f"The chosen configuration failed on the test window: {last.chosen.test_error}")
    if resolved.timeline.ranks_paths:
        notes.append(_paths_note(resolved))
    if whole is not None:
        notes.append(
            f"Walk-forward over {len(answers)} folds. The result is the test windows joined; the ranking, "
            "and what stands below of validate and test, are of the last fold, whose choice comes next."
        )
        notes.append(whole.note)
    return notes


def _unadjusted(resolved: ResolvedStudy, plan: Plan, answers: Sequence[FoldAnswer]) -> list[str]:
    """Say of which symbols prices jump as at splits: of those the answer is of, or of the first ones."""
    chosen, folds = answers[-1].chosen, [one.fold for one in answers]
    windows = dict.fromkeys(window for fold in folds for window in (*fold.validate, fold.test) if window)
    own = chosen.symbol if chosen is not None and not resolved.pooled else None
    groups = [group for group in resolved.portfolios if own in (None, "+".join(group))]
    symbols = [symbol for group in groups[:MAX_SYMBOLS_DRAWN] for symbol in group]
    first = resolved.grid.configurations[0] if chosen is None else resolved.configuration(chosen.config_id)
    return unadjusted(plan, windows, first, symbols)


def _paths_note(resolved: ResolvedStudy) -> str:
    folds, count = resolved.timeline.folds, len(paths_of(resolved))
    paths = f"{count} paths" if count > 1 else "one path, since nothing is trained"
    return (
        f"Combinatorial purged cross-validation: {len(folds)} splits, {paths}. The figures on validate are "
        "means over paths, each joined of its folds."
    )


def _named(resolved: ResolvedStudy, chosen: Chosen) -> dict[str, Any]:
    """Return what names the chosen configuration; a pooled ranking chooses it for all symbols, so none is."""
    symbol = {} if resolved.pooled else {"symbol": chosen.symbol}
    return {"config_id": chosen.config_id, **symbol, **chosen.params, **chosen.axes}


def _series(
    store: ResultStore,
    chosen: Chosen,
    groups: Sequence[tuple[str, ...]],
    windows: Mapping[str, Window],
    kind: str,
) -> pd.DataFrame:
    lead = ["symbol", "window"]
    of_each = ["trade_symbol"] if any(len(group) > 1 for group in groups) else []
    prices = [*of_each, "entry_price", "exit_price", "pnl", "pnl_net", *NOTE_COLUMNS]
    table, columns, order = {
        "equity": (EQUITY, [*lead, "ts", "equity", "benchmark", "position"], "ts"),
        "trades": (TRADES, [*lead, "trade_no", "opened_at", "closed_at", "size", *prices], "trade_no"),
    }[kind]
    names = ["+".join(group) for group in groups]
    frames = []
    for name, window in windows.items():
        frame = store.rows(table, window, columns, [chosen.config_id], names)
        frame = frame.sort_values(["symbol", order])
        frames.append(frame.assign(window=name))
    joined = pd.concat(frames, ignore_index=True)
    return joined.drop(columns="trade_no") if kind == "trades" else joined


def _bars(
    resolved: ResolvedStudy,
    plan: Plan,
    chosen: Chosen,
    groups: Sequence[tuple[str, ...]],
    windows: Mapping[str, Window],
    closed_at: pd.Series,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the bars that are drawn, and of the finer ones inside them those on which trades were closed."""
    configuration = resolved.configuration(chosen.config_id)
    alone = within_bound([(symbol,) for group in groups for symbol in group], resolved, windows.values())
    closed, frames, finer = microseconds(closed_at), [], [ChosenSeries().finer]
    for name, window in windows.items():
        for (symbol,) in alone:
            bars = load_bars(plan, symbol, window.name, configuration, may_lack=True)
            first, _ = window.rows(bars, plan.slices[configuration.timeframe].bar_us)
            bars = bars.slice(first, len(bars))
            prices = {field: getattr(bars, field) for field in ("open", "high", "low", "close")}
            lead = {"symbol": symbol, "window": name, "ts": timestamps(bars.ts)}
            frames.append(pd.DataFrame({**lead, **prices}))
            if bars.finer is not None:
                inside = bars.finer.bars.take(np.isin(bars.finer.bars.ts, closed))
                own = {"ts": timestamps(inside.ts), "high": inside.high, "low": inside.low}
                finer.append(pd.DataFrame({"symbol": symbol, "window": name, **own}))
    return pd.concat(frames, ignore_index=True), pd.concat(finer[1:] or finer, ignore_index=True)


def own_folder(location: LakeLocation, study: Study) -> tuple[Path, Path | None]:
    """Return the folder of a study's report, and where that of another study of its name has gone, if so."""
    asked = digest(repr(study.model_dump(by_alias=True, exclude={"description"})))
    return make_own_folder(location.home / "reports", study.study, asked)


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a finished study says.

    Attributes
    ----------
    study : Study
        What was asked.
    best : Chosen or None
        The first of the ranking, of the last of several folds; None if no backtest has a value of the
        objective.
    data : ReportData
        Everything that the report shows.
    files : tuple of Path
        What was written, the report first.
    run_id : str
        The study's run in MLflow; "" if it was not tracked.
    computed, resumed, failed : int
        Backtests of the sweep that ran now, that were stored already, and that failed.
    """

    study: Study
    best: Chosen | None
    data: ReportData
    files: tuple[Path, ...] = ()
    run_id: str = ""
    computed: int = 0
    resumed: int = 0
    failed: int = 0

    def __repr__(self) -> str:
        """Say in a line what the study came to."""
        return f"<StudyResult {study_line(self.data)}>"

    def _repr_html_(self) -> str:
        return study_html(self.data)

    @property
    def plot(self) -> Any:
        """Charts, each by one call: see `whatif.report.StudyPlots`."""
        return shower("whatif.report", "StudyPlots")(self.data)

    def leaderboard(self) -> pd.DataFrame:
        """Return one row for each backtest on the validate window, best first."""
        return self.data.ranking.leaderboard.copy()

    @property
    def comparison(self) -> pd.DataFrame:
        """The chosen configuration and the market held long, by symbol and window."""
        return self.data.series.comparison

    @property
    def folds(self) -> pd.DataFrame:
        """What each fold of a walk-forward study chose, and how that did; empty for one fold."""
        return self.data.joined.folds

    @property
    def stitched(self) -> Mapping[str, Any]:
        """Metrics of the test windows of all folds joined; empty for one fold."""
        return self.data.joined.figures

    @property
    def stitched_equity(self) -> pd.DataFrame:
        """Returns and equity of the test windows of all folds joined, by period."""
        return self.data.joined.equity

    @property
    def trades(self) -> pd.DataFrame:
        """Closed trades of the chosen configuration, by symbol and window."""
        return self.data.series.trades

    @property
    def equity(self) -> pd.DataFrame:
        """Equity of the chosen configuration and of buy-and-hold, by symbol and window."""
        return self.data.series.equity

    @property
    def verdict(self) -> Judgement | None:
        """Whether the data support an edge: `.verdict.word`, `.verdict.figures`, and what surrounds it."""
        return self.data.verdict

    def report(self, path: str | Path) -> Path:
        """Write the report as one self-contained HTML file and return its path."""
        return write_html(self.data, path)
