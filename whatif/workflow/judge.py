"""Judgement of a study's answer: gathers what is stored of everything tried, and asks for a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from whatif.domain import LOWER_IS_BETTER
from whatif.lake import RESULTS
from whatif.report import Judgement
from whatif.results import (
    Chosen,
    Grid,
    Key,
    RankedOn,
    ResolvedStudy,
    ResultStore,
    StudySelection,
    TestResult,
    Trials,
    count_looks,
    count_trials,
    other_returns,
    paths_of,
    returns_panel,
    returns_to_keep,
    stored_rows,
)
from whatif.runner import Plan, expecting, market_returns
from whatif.search import at_home, rankable
from whatif.splits import Window
from whatif.startup import defer_package, imported_meanwhile, special_functions
from whatif.stats import (
    Evidence,
    RankCorrelation,
    Stability,
    Thresholds,
    Verdict,
    all_failed,
    judge,
    rank_correlation,
    stability_of_best,
    undecidable,
    usable_objective,
)
from whatif.typing import FloatArray, IntArray

# arch has a sampler in C, and imports this one with numba, which a run that judges needs for nothing else
defer_package("arch.bootstrap._samplers_python")

MAX_TRIED = 10_000
MIN_TRIED = 100
MAX_RETURNS = 10_000_000
"""Columns compared, and periods times columns; of more, the best fifth and a seeded sample of the others."""

MAX_MARKETS = 64
"""Symbols whose bars are read to hold them."""

MAX_COMPARISONS = 100_000_000
"""Points of a grid times values of its axes, above which the surroundings are not looked at."""

SEED = 0
"""Of all bootstraps of a verdict: the same data give the same verdict on every machine."""

NOT_STORED = (
    "The returns of the chosen configuration are not stored: a larger study that tried it too kept those "
    "of others."
)
ONLY_CHOSEN = "not available: only the chosen configuration has seen the test window"


@dataclass(frozen=True, eq=False)
class Panel:
    """Returns of what was tried on validate, and of what it traded.

    Attributes
    ----------
    tried : float64 array (periods, columns)
        Returns.
    keys : list of (str, str)
        config_id and symbol of each column.
    markets : float64 array (periods, markets)
        Returns of holding.
    market_of : int64 array (columns,)
        Market of each column.
    notes : tuple of str
        What was left out.
    """

    tried: FloatArray
    keys: list[Key]
    markets: FloatArray
    market_of: IntArray
    notes: tuple[str, ...]


def ready_to_judge() -> AbstractContextManager[None]:
    """Return a block in which what a verdict needs is imported, while this process waits for others."""
    return imported_meanwhile("whatif.stats.resampling")


def judge_study(
    store: ResultStore,
    plan: Plan,
    selection: StudySelection,
    thresholds: Thresholds | None = None,
) -> Judgement:
    """Judge what a study chose, from what is stored.

    Parameters
    ----------
    store : ResultStore
        The study, and where its tables are.
    plan : Plan
        Where its bars are.
    selection : StudySelection
        Ranking, choice and test windows.
    thresholds : Thresholds, optional
        Limits; the defaults if left out.
    """
    board, chosen = selection.board[at_home(selection.board)], selection.chosen
    good = board[board["status"] == "ok"]
    own = list(zip(good["config_id"].astype(str), good["symbol"].astype(str), strict=True))
    trials = count_trials(store, [one.window for one in selection.ranked_on], own)
    looks = count_looks(store, [one.window for one in selection.tests])
    counts = (store.resolved.study.trials, trials.own, trials.studies, looks.configurations, looks.openings)
    if chosen is None:
        note = "not available: nothing was chosen"
        return Judgement(_nothing_chosen(board, selection, thresholds), *counts, correlation_note=note)
    panel = _panel(store, plan, selection.ranked_on, own, chosen)
    if (chosen.config_id, chosen.symbol) in panel.keys:
        evidence = _evidence(store, plan, panel, selection, chosen)
        evidence = replace(evidence, trials=max(trials.count, 1), reach=store.resolved.reach)
        evidence = _beside_others(store, evidence, panel, selection, trials)
        # what other studies tried is compared on validate already, unless its returns are not known
        counted = looks.configurations if evidence.unseen else looks.own
        evidence = replace(evidence, looks=max(counted, 1))
        verdict = judge(evidence, thresholds, SEED)
    else:
        verdict = undecidable(NOT_STORED, thresholds, "Running it with an axis of fewer values.")
    correlation, note = _correlation(store, good, selection)
    return Judgement(
        verdict,
        *counts,
        stability=_stability(store.resolved, board, chosen),
        correlation=correlation,
        correlation_note=note,
        notes=(*panel.notes, *_one_path(store.resolved), *_stand_in(store.resolved.study.objective)),
    )


def _nothing_chosen(board: pd.DataFrame, selection: StudySelection, thresholds: Thresholds | None) -> Verdict:
    """Return the verdict where nothing was chosen: that everything failed, or that nothing can be told."""
    if len(board) and (board["status"] != "ok").all():
        errors = board["error"].fillna("no message").astype(str).value_counts()
        often = f" ({int(errors.iloc[0]):,} of {len(board):,} times)" if len(errors) > 1 else ""
        every = f"All {len(board):,} backtests" if len(board) > 1 else "The only backtest"
        why = f"{every} failed, so nothing is known of any configuration. The error{often}: {errors.index[0]}"
        return all_failed(why, thresholds, "Mending what it names, and running the study again.")
    why = f"{selection.reason[:1].upper()}{selection.reason[1:]}."
    remedy = "A configuration that trades on the validate window and does not fail."
    return undecidable(why, thresholds, remedy)


def _panel(
    store: ResultStore,
    plan: Plan,
    ranked_on: Sequence[RankedOn],
    own: Sequence[Key],
    chosen: Chosen,
) -> Panel:
    notes = []
    symbols = list(dict.fromkeys(symbol for _, symbol in own))
    if len(symbols) > MAX_MARKETS:
        near = set(symbols[:MAX_MARKETS])
        own = [key for key in own if key[1] in near]
        notes.append(
            f"Compared were the configurations on {MAX_MARKETS} of {len(symbols):,} symbols, those ranked "
            "best; the p-values allow for all."
        )
    names = ["/".join(key) for key in own]
    most = _most_tried(sum(len(store.resolved.periods[one.window.name]) for one in ranked_on))
    kept = returns_to_keep(names, SEED, most, best=max(1, most // 5), sampled=most - max(1, most // 5))
    wanted = [key for key, name in zip(own, names, strict=True) if name in kept]
    tried, keys = _tried(store, ranked_on, wanted)
    if len(keys) < len(own):
        notes.append(
            f"Compared were the returns of {len(keys):,} of {len(own):,} backtests, the best and a sample; "
            "the p-values allow for all."
        )
    held = list(dict.fromkeys(symbol for _, symbol in keys))
    with expecting(held):
        markets = [
            np.concatenate([_market(store.resolved, plan, one.window, chosen, symbol) for one in ranked_on])
            for symbol in held
        ]
    at = {symbol: k for k, symbol in enumerate(held)}
    return Panel(
        tried=tried,
        keys=keys,
        markets=np.column_stack(markets) if markets else np.zeros((len(tried), 1)),
        market_of=np.array([at[symbol] for _, symbol in keys], dtype=np.int64),
        notes=tuple(notes),
    )


def _most_tried(periods: int) -> int:
    """Return how many configurations are compared: each bootstrap copies the returns of all of them."""
    return min(MAX_TRIED, max(MIN_TRIED, MAX_RETURNS // max(periods, 1)))


def _tried(
    store: ResultStore, ranked_on: Sequence[RankedOn], wanted: Sequence[Key]
) -> tuple[FloatArray, list[Key]]:
    """Return the returns of what ran on all windows, one window after the other."""
    if len(ranked_on) == 1 and ranked_on[0].ids is None:
        return returns_panel(store, ranked_on[0].window, wanted)
    parts: list[dict[Key, FloatArray]] = []
    for one in ranked_on:
        there = {key if one.ids is None else (one.ids[key[0]], key[1]): key for key in wanted}
        returns, keys = returns_panel(store, one.window, list(there))
        parts.append({there[key]: returns[:, k] for k, key in enumerate(keys)})
    whole = [key for key in dict.fromkeys(wanted) if all(key in part for part in parts)]
    periods = sum(len(store.resolved.periods[one.window.name]) for one in ranked_on)
    tried = np.empty((periods, len(whole)))
    for k, key in enumerate(whole):
        np.concatenate([part[key] for part in parts], out=tried[:, k])
    return tried, whole


def _market(resolved: ResolvedStudy, plan: Plan, window: Window, chosen: Chosen, joined: str) -> FloatArray:
    """Return the returns of holding what a row of the ranking trades, in equal shares."""
    groups = [group for group in resolved.portfolios if resolved.pooled or "+".join(group) == joined]
    symbols = [symbol for group in groups for symbol in group]
    # of very many, evenly spaced ones stand for all
    symbols = symbols[:: -(-len(symbols) // MAX_MARKETS)]
    return market_returns(plan, resolved, window, resolved.configuration(chosen.config_id), symbols)


def _evidence(
    store: ResultStore, plan: Plan, panel: Panel, selection: StudySelection, chosen: Chosen
) -> Evidence:
    test, market, failed = None, None, selection.test_failed
    if selection.tests and not failed:
        test, market, failed = _on_test(store, plan, chosen, selection.tests)
    return Evidence(
        tried=panel.tried,
        chosen=panel.keys.index((chosen.config_id, chosen.symbol)),
        objective=store.resolved.study.objective,
        periods_per_year=store.resolved.periods[selection.ranked_on[-1].window.name].per_year,
        markets=panel.markets,
        market_of=panel.market_of,
        test=test,
        test_market=market,
        test_failed=failed,
        trades=_trades(store, selection.ranked_on, chosen),
        test_trades=selection.test_trades,
    )


def _beside_others(
    store: ResultStore,
    evidence: Evidence,
    panel: Panel,
    selection: StudySelection,
    trials: Trials,
) -> Evidence:
    """Return evidence with the returns of what other studies tried."""
    if not trials.others:
        return replace(evidence, stand_for=trials.own - trials.dropped)
    windows = [one.window for one in selection.ranked_on]
    grid = Grid(
        starts=tuple(window.start_us for window in windows),
        ends=tuple(store.resolved.periods[window.name].ends for window in windows),
    )
    others = other_returns(store, grid, trials.others, SEED)
    at = {symbol: int(panel.market_of[k]) for k, (_, symbol) in enumerate(panel.keys)}
    return replace(
        evidence,
        others=others.returns,
        # what trades a market that is not held here is compared with the chosen one's
        other_market_of=np.array(
            [at.get(symbol, int(panel.market_of[evidence.chosen])) for symbol in others.symbols], np.int64
        ),
        stand_for=trials.own - trials.dropped + others.stand_for,
        unseen_why=others.unseen_why,
    )


def _trades(store: ResultStore, ranked_on: Sequence[RankedOn], chosen: Chosen) -> float:
    """Return the closed trades of the chosen configuration on all windows that it is judged on."""
    if not store.resolved.timeline.joins_tests:
        return float(chosen.validate["trades"])
    total = 0.0
    for one in ranked_on:
        config_id = chosen.config_id if one.ids is None else one.ids[chosen.config_id]
        rows = stored_rows(store, one.window, [config_id])
        total += float(rows.loc[rows["symbol"] == chosen.symbol, "trades"].sum())
    return total


def _on_test(
    store: ResultStore, plan: Plan, chosen: Chosen, tests: Sequence[TestResult]
) -> tuple[FloatArray | None, FloatArray | None, str]:
    """Return returns and market of the test windows, one after the other, or why there are none."""
    returns, markets = [], []
    for one in tests:
        if one.key is None:
            returns.append(np.zeros(len(store.resolved.periods[one.window.name])))
            symbol = chosen.symbol
        else:
            found, keys = returns_panel(store, one.window, [one.key])
            if not keys:
                return None, None, f"none are stored for {one.window}"
            returns.append(found[:, 0])
            symbol = one.key[1]
        markets.append(_market(store.resolved, plan, one.window, chosen, symbol))
    return np.concatenate(returns), np.concatenate(markets), ""


def _stability(resolved: ResolvedStudy, board: pd.DataFrame, chosen: Chosen) -> Stability | None:
    """Return what surrounds the chosen configuration on its symbol; None without an axis."""
    rows = board[board["symbol"] == chosen.symbol]
    # a frame makes NaN of an overlay that is off
    axes_of = {c.config_id: c.axes for c in resolved.every_configuration if not c.world}
    points = [axes_of[config_id] for config_id in rows["config_id"]]
    values: dict[str, list[Any]] = {name: [] for name in resolved.study.axes}
    for name, found in values.items():
        found.extend({repr(axes[name]): axes[name] for axes in axes_of.values()}.values())
    if not values or len(points) * sum(map(len, values.values())) > MAX_COMPARISONS:
        return None
    objective = resolved.study.objective
    ran = np.where(rows["status"] == "ok", rankable(rows, objective), np.nan)
    lower = objective in LOWER_IS_BETTER
    best = int(np.flatnonzero(rows["config_id"] == chosen.config_id)[0])
    return stability_of_best(values, points, ran, lower_is_better=lower, best=best)


def _correlation(
    store: ResultStore, good: pd.DataFrame, selection: StudySelection
) -> tuple[RankCorrelation | None, str]:
    """Return the correlation of ranks on validate and test, of what the test windows were opened for."""
    if selection.ranks is not None:
        there, what = rank_correlation(*selection.ranks), "choices, one for each fold"
    elif not selection.tests:
        return None, "not available: the split has no test window"
    elif store.resolved.pooled or len(selection.tests) > 1:
        return None, ONLY_CHOSEN
    else:
        found = _seen_on_test(store, good, selection.tests[0].window)
        if found is None:
            return None, ONLY_CHOSEN
        there, what = found, "backtests, those that the test window was opened for in whatever run"
    if np.isnan(there.rho):
        return None, f"not available: {there.n} have a value on both windows, three that differ are needed"
    return there, f"of {there.n} {what}"


def _seen_on_test(store: ResultStore, good: pd.DataFrame, test: Window) -> RankCorrelation | None:
    """Return the correlation over the study's rows that are stored for a test window; None of one alone."""
    objective, keys = store.resolved.study.objective, ["config_id", "symbol"]
    rows = store.rows(RESULTS, test, [*keys, "status", objective])
    both = good[[*keys, objective]].merge(rows[rows["status"] == "ok"], on=keys, suffixes=("", "_test"))
    if both["config_id"].nunique() < 2:
        return None
    sides = (both[name].astype("float64").to_numpy() for name in (objective, f"{objective}_test"))
    special_functions()  # whose package takes longer to be imported than the rest
    return rank_correlation(*sides)


def _one_path(resolved: ResolvedStudy) -> list[str]:
    """Say which of several paths the statistics are of, since they are no independent data."""
    paths = len(paths_of(resolved)) if resolved.timeline.ranks_paths else 1
    if paths < 2:
        return []
    return [
        f"Statistics on validate are of the first of {paths} paths: all hold the same periods, traded by "
        "models that learnt from other folds. The ranking is the mean over all of them."
    ]


def _stand_in(objective: str) -> list[str]:
    used = usable_objective(objective)
    if used == objective:
        return []
    return [f"Returns do not tell {objective}: {used} stands in for it in intervals and in overfitting."]
