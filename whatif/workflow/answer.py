"""Makes the answer out of stored rows: ranking, comparison, series, report data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from whatif.domain.frames import timestamps
from whatif.domain.metrics import METRIC_KEYS
from whatif.domain.rows import BENCHMARK_COLUMNS
from whatif.lake.results import RESULTS, RETURNS
from whatif.lake.tables import EQUITY, TRADES
from whatif.pins import LakeLocation
from whatif.report import ReportData
from whatif.runner.load import load_bars
from whatif.runner.plan import Plan
from whatif.search.configuration import Configuration
from whatif.search.pooling import pool
from whatif.search.ranking import rank_rows
from whatif.search.window import Window
from whatif.workflow.pending import slot
from whatif.workflow.resolve import Resolved
from whatif.workflow.result import Chosen
from whatif.workflow.stored import read_rows

MOST_SYMBOLS_DRAWN = 8
"""Symbols whose bars and equity the report draws, the chosen one first."""

_LEADING = ("rank", "config_id", "symbol")


def leaderboard(location: LakeLocation, resolved: Resolved) -> pd.DataFrame:
    """Return the study's backtests on the validate window, best first.

    One row for each configuration and symbol, or for each configuration if symbols are
    pooled: rank, config_id, symbol, a column for each axis, status, error, metrics,
    benchmark, and what else `results` holds.
    """
    grid = {c.config_id: c for c in resolved.grid.configurations}
    rows = stored_rows(location, resolved, resolved.timeline.validate, list(grid))
    # an axis may be called execution; what the row ran with stays beside it as JSON
    ranked = rank_rows(rows.rename(columns={"execution": "settings"}), resolved.study.objective)
    axes = {name: [grid[c].axes[name] for c in ranked["config_id"]] for name in resolved.study.axes}
    clash = [name for name in axes if name in ranked.columns]
    ranked = ranked.drop(columns=clash).assign(**axes)
    first = [*_LEADING, *axes, "status", "error", *METRIC_KEYS, *BENCHMARK_COLUMNS]
    return ranked[[*first, *(name for name in ranked.columns if name not in first)]]


def stored_rows(
    location: LakeLocation, resolved: Resolved, window: Window, configurations: Sequence[str]
) -> pd.DataFrame:
    """Return what `results` holds of some configurations on a window, symbols joined if they are pooled.

    Of a configuration that has not run on all of the symbols yet, there is no pooled row.
    """
    here = slot(resolved, window)
    groups = ["+".join(group) for group in resolved.portfolios]
    rows = read_rows(location, RESULTS, here, configurations=configurations)
    rows = rows[rows["symbol"].isin(groups)].reset_index(drop=True)
    if not resolved.pooled or not len(rows):
        return rows
    whole = rows.groupby("config_id")["symbol"].transform("size") == len(groups)
    rows = rows[whole].sort_values("symbol", key=lambda names: names.map(groups.index), kind="stable")
    returns = read_rows(location, RETURNS, here, ["config_id", "symbol", "returns"], configurations)
    return pool(rows, returns, resolved.periods[window.name]) if len(rows) else rows


def figures_on_test(location: LakeLocation, resolved: Resolved, chosen: Chosen) -> dict[str, Any]:
    """Return status, error and metrics of the chosen configuration on the test window; {} without a row."""
    test = resolved.timeline.test
    if test is None:
        return {}
    rows = stored_rows(location, resolved, test, [chosen.config_id])
    mine = rows[rows["symbol"] == chosen.symbol]
    names = ("status", "error", *METRIC_KEYS, *BENCHMARK_COLUMNS)
    return {name: mine.iloc[0][name] for name in names} if len(mine) else {}


def choose(resolved: Resolved, board: pd.DataFrame) -> Chosen | None:
    """Return the first of the ranking, or None if no backtest has a value of the objective."""
    good = board[(board["status"] == "ok") & board[resolved.study.objective].notna()]
    if not len(good):
        return None
    row = good.iloc[0]
    configuration = configuration_of(resolved, row["config_id"])
    return Chosen(
        config_id=configuration.config_id,
        symbol=str(row["symbol"]),
        params=dict(configuration.params),
        axes=dict(configuration.axes),
        validate={name: row[name] for name in (*METRIC_KEYS, *BENCHMARK_COLUMNS)},
    )


def configuration_of(resolved: Resolved, config_id: str) -> Configuration:
    """Return the study's configuration of this id."""
    return next(c for c in resolved.grid.configurations if c.config_id == config_id)


def comparison(location: LakeLocation, resolved: Resolved, chosen: Chosen) -> pd.DataFrame:
    """Return the chosen configuration and buy-and-hold at its exposure, by symbol and window."""
    rows: list[dict[str, Any]] = []
    for name in resolved.periods:
        window = next(w for w in resolved.timeline.windows if w.name == name)
        found = read_rows(location, RESULTS, slot(resolved, window), configurations=[chosen.config_id])
        for group in resolved.portfolios:
            own = found[found["symbol"] == "+".join(group)]
            if len(own) and own["status"].iloc[0] == "ok":
                rows += _pair(own.iloc[0], name)
    return pd.DataFrame(rows, columns=["symbol", "window", "who", *METRIC_KEYS])


def _pair(row: pd.Series, window: str) -> list[dict[str, Any]]:
    lead = {"symbol": row["symbol"], "window": window}
    held = {name.removeprefix("benchmark_"): row[name] for name in BENCHMARK_COLUMNS}
    return [
        {**lead, "who": "strategy", **{name: row[name] for name in METRIC_KEYS}},
        {**lead, "who": "buy_and_hold", **held},
    ]


def report_data(
    location: LakeLocation,
    resolved: Resolved,
    plan: Plan,
    board: pd.DataFrame,
    chosen: Chosen | None,
    environment: Mapping[str, Any],
    certificate: str = "",
    series: bool = True,
) -> ReportData:
    """Return everything that the report shows; without `series`, what the answer needs of it."""
    windows = {w.name: tuple(timestamps(np.array([w.start_us, w.end_us]))) for w in resolved.timeline.windows}
    common = {
        "study": resolved.study.study,
        "study_text": resolved.study.text,
        "objective": resolved.study.objective,
        "rank": resolved.study.rank,
        "leaderboard": board,
        "axes": tuple(resolved.study.axes),
        "notes": tuple(filter(None, [resolved.study.description.strip(), _failed_on_test(chosen)])),
        "pins": _pins(plan),
        "windows": windows,
        "environment": environment,
        "certificate": certificate,
    }
    if chosen is None:
        return ReportData(**common)  # type: ignore[arg-type]
    common["chosen"] = _named(resolved, chosen)
    common["comparison"] = comparison(location, resolved, chosen)
    if not series:
        return ReportData(**common)  # type: ignore[arg-type]
    groups = _drawn(resolved, chosen)
    return ReportData(
        **common,  # type: ignore[arg-type]
        equity=_series(location, resolved, chosen, groups, "equity"),
        trades=_series(location, resolved, chosen, groups, "trades"),
        bars=_bars(resolved, plan, chosen, groups),
    )


def _failed_on_test(chosen: Chosen | None) -> str:
    if chosen is None or chosen.test.get("status", "ok") == "ok":
        return ""
    return f"The chosen configuration failed on the test window: {chosen.test['error']}"


def _named(resolved: Resolved, chosen: Chosen) -> dict[str, Any]:
    """Return what names the chosen configuration; a pooled ranking chooses it for all symbols, so none is."""
    symbol = {} if resolved.pooled else {"symbol": chosen.symbol}
    return {"config_id": chosen.config_id, **symbol, **chosen.params, **chosen.axes}


def _drawn(resolved: Resolved, chosen: Chosen) -> list[tuple[str, ...]]:
    groups = sorted(resolved.portfolios, key=lambda group: "+".join(group) != chosen.symbol)
    return groups[:MOST_SYMBOLS_DRAWN]


def _series(
    location: LakeLocation, resolved: Resolved, chosen: Chosen, groups: Sequence[tuple[str, ...]], kind: str
) -> pd.DataFrame:
    lead = ["symbol", "window"]
    prices = ["entry_price", "exit_price", "pnl", "pnl_net"]
    table, columns, order = {
        "equity": (EQUITY, [*lead, "ts", "equity", "benchmark", "position"], "ts"),
        "trades": (TRADES, [*lead, "trade_no", "opened_at", "closed_at", "size", *prices], "trade_no"),
    }[kind]
    names = {"+".join(group) for group in groups}
    frames = []
    for name in resolved.periods:
        window = next(w for w in resolved.timeline.windows if w.name == name)
        frame = read_rows(location, table, slot(resolved, window), columns, [chosen.config_id])
        frames.append(frame[frame["symbol"].isin(names)].sort_values(["symbol", order]))
    joined = pd.concat(frames, ignore_index=True)
    return joined.drop(columns="trade_no") if kind == "trades" else joined


def _bars(resolved: Resolved, plan: Plan, chosen: Chosen, groups: Sequence[tuple[str, ...]]) -> pd.DataFrame:
    configuration = configuration_of(resolved, chosen.config_id)
    frames = []
    for name in resolved.periods:
        window = plan.windows[name].window
        for symbol in [symbol for group in groups for symbol in group]:
            bars = load_bars(plan, symbol, name, configuration)
            first, _ = window.rows(bars, resolved.slices[configuration.timeframe].bar_us)
            bars = bars.slice(first, len(bars))
            prices = {field: getattr(bars, field) for field in ("open", "high", "low", "close")}
            lead = {"symbol": symbol, "window": name, "ts": timestamps(bars.ts)}
            frames.append(pd.DataFrame({**lead, **prices}))
    return pd.concat(frames, ignore_index=True)


def _pins(plan: Plan) -> list[dict[str, Any]]:
    pins = [asdict(plan.bars)]
    for model in plan.models.values():
        if asdict(model.pin) not in pins:
            pins.append(asdict(model.pin))
    return pins
