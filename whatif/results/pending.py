"""Pending backtests: those that a study lacks, and those that failed and are run again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whatif.lake import RESULTS, RETURNS
from whatif.pins import all_of, equal, starts_with
from whatif.results.stopped import STOPPED, is_tried_again
from whatif.results.store import ResolvedStudy, ResultStore, ranked_on
from whatif.results.work import Pending
from whatif.search import Configuration
from whatif.splits import Window

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ALL_UP_TO = 10_000
"""Configurations up to which a study keeps all returns."""


@dataclass(frozen=True)
class Again:
    """Which backtests that failed a run tries again.

    Attributes
    ----------
    time_limit : float
        Seconds of the run's limit, 0 for none: it tries those that had less, or too little memory.
    failed : bool
        All others that failed, too.
    """

    time_limit: float = 0.0
    failed: bool = False


def keeps_all_returns(resolved: ResolvedStudy) -> bool:
    """Whether the study needs the returns of each of its backtests: what joins them does, of any number."""
    if resolved.timeline.ranks_paths:  # ranked by returns that are joined
        return True
    return resolved.pooled or resolved.count <= ALL_UP_TO


def pending_on(
    store: ResultStore,
    window: Window,
    configurations: Sequence[Configuration],
    again: Again | None = None,
) -> tuple[list[Pending], int]:
    """Return what the lake lacks of some configurations on a window, and how many backtests it holds.

    With `again`, those are lacking too that failed and that a run tries again; see `failed_on`.
    """
    done = _done(store, window, again)
    every = {(c.config_id, "+".join(group)) for group in store.resolved.portfolios for c in configurations}
    return work_of(store.resolved, window.name, configurations, every - done), len(every & done)


def _done(store: ResultStore, window: Window, again: Again | None) -> set[tuple[str, str]]:
    """Return the backtests (config_id, symbol) on a window that the lake holds and that are not run again."""
    if store.held is not None and window.name in store.held.done:
        return store.held.done[window.name]
    rows = store.rows(RESULTS, window, ["config_id", "symbol", "status"])
    keys = list(zip(rows["config_id"].astype(str), rows["symbol"].astype(str), strict=True))
    done = set(keys) - (set() if again is None else failed_on(store, window, again))
    if keeps_all_returns(store.resolved):
        # a larger study that shares some of the configurations may have dropped their returns
        good = {key for key, status in zip(keys, rows["status"], strict=True) if status == "ok"}
        done -= good - store.keys(RETURNS, window)
    if store.held is not None:
        store.held.done[window.name] = done
    return done


def failed_on(store: ResultStore, window: Window, again: Again) -> set[tuple[str, str]]:
    """Return the backtests (config_id, symbol) that are stored as failed and that a run tries again."""
    if store.held is not None and window.name in store.held.failed:
        return store.held.failed[window.name]
    columns = ["config_id", "symbol", "error"]
    of_those = equal("status", "error") if again.failed else starts_with("error", STOPPED)
    terms = all_of(store.slot(window).matches(), of_those)
    found = {
        (row["config_id"], row["symbol"])
        for batch in store.stream(RESULTS, columns, terms)
        for row in batch.to_pylist()
        if again.failed or is_tried_again(row["error"], again.time_limit)
    }
    if store.held is not None:
        store.held.failed[window.name] = found
    return found


def drop_failed(
    session: Callable[[], SparkSession], store: ResultStore, pending: Iterable[Pending], again: Again
) -> None:
    """Delete the rows of those pending backtests that failed before: no row is ever changed."""
    windows = {window.name: window for window in store.resolved.timeline.backtested}
    work = [(windows[part.window], part) for part in pending]
    failed = {window: failed_on(store, window, again) for window in {window for window, _ in work}}
    for window, part in work:
        symbol = "+".join(part.symbols)
        mine = {c.config_id for c in part.configurations if (c.config_id, symbol) in failed[window]}
        if mine:
            store.delete(session, RESULTS, window, mine, {"symbol": [symbol], "status": ["error"]})


def sweep_of(
    store: ResultStore, again: Again | None = None, windows: Collection[Window] = ()
) -> tuple[list[Pending], int]:
    """Return what the lake lacks of the backtests that are ranked, and how many of them it holds.

    On some windows, or on all where none is named.
    """
    pending: list[Pending] = []
    held = 0
    for window, configurations in ranked_on(store.resolved).items():
        if windows and window not in windows:
            continue
        missing, there = pending_on(store, window, configurations, again)
        pending += missing
        held += there
    return pending, held


def work_of(
    resolved: ResolvedStudy,
    window: str,
    configurations: Iterable[Configuration],
    backtests: Collection[tuple[str, str]],
) -> list[Pending]:
    """Return backtests, as (config_id, symbol), as work on a window: by symbol, in the given order."""
    order = tuple(configurations)
    work = []
    for group in resolved.portfolios:
        symbol = "+".join(group)
        mine = tuple(c for c in order if (c.config_id, symbol) in backtests)
        if mine:
            bars = sum(resolved.window_bars[s, window] for s in group)
            work.append(Pending(group, window, mine, bars))
    return work
