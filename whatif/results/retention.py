"""Retention: which returns, trades and equity a study keeps, which of them lack, and which go."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from whatif.lake import EQUITY, RESULTS, RETURNS, TRADES
from whatif.results.pending import ALL_UP_TO, keeps_all_returns, work_of
from whatif.results.store import ResolvedStudy, ResultStore
from whatif.results.work import NOTHING, Keep, Pending
from whatif.splits import Fold, Window
from whatif.study import Study

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from whatif.results.board import FoldAnswer

BEST = 2_000
SAMPLED = 8_000

MAX_SYMBOLS_DRAWN = 8
"""Symbols whose bars and equity the report draws, the chosen one first."""

MAX_BARS_DRAWN = 2_000_000
"""Bars of all of them above which fewer are drawn, so that the driver holds no market; the chosen one is. Of
more bars than these on all symbols, the choice's series are stored of those alone that are drawn."""


def while_sweeping(study: Study) -> Keep:
    """Return whose series are stored by the sweep itself: all or nobody's, for nothing is ranked yet."""
    return Keep(
        None if study.keep.trades == "all" else NOTHING.trades,
        None if study.keep.equity == "all" else NOTHING.equity,
    )


def after_ranking(resolved: ResolvedStudy, answer: FoldAnswer) -> Keep:
    """Return whose series are stored once the ranking of a fold is known; nobody's if nothing was chosen.

    Those of the chosen configuration, on all symbols, or of a universe of more bars than `MAX_BARS_DRAWN`
    on those that the report draws; and as `keep` says, of the N best rows of the ranking or of all.
    """
    if answer.chosen is None:
        return NOTHING
    groups = resolved.portfolios
    board, chosen = answer.board, answer.chosen
    good = board[board["status"] == "ok"]
    rows = zip(good["config_id"].astype(str), good["symbol"].astype(str), strict=True)
    names = [[f"{c}/{'+'.join(g)}" for g in groups] if resolved.pooled else [f"{c}/{s}"] for c, s in rows]
    windows = shown_windows(answer.fold).values()
    whole = len(groups) <= MAX_SYMBOLS_DRAWN or _bars(resolved, groups, windows) <= MAX_BARS_DRAWN
    mine = groups if whole else drawn(resolved, chosen.symbol, windows)
    own = frozenset(f"{chosen.config_id}/{'+'.join(group)}" for group in mine)

    def of(rule: str | int) -> frozenset[str]:
        taken = names if rule == "all" else names[:rule] if isinstance(rule, int) else []
        return own | frozenset(name for row in taken for name in row)

    return Keep(of(resolved.study.keep.trades), of(resolved.study.keep.equity))


def shown_windows(fold: Fold) -> dict[str, Window]:
    """Return the windows that a report shows of a fold, by the names that it has for them."""
    validate = {"validate": fold.validate[0]} if len(fold.validate) == 1 else {}
    return validate | ({} if fold.test is None else {"test": fold.test})


def drawn(resolved: ResolvedStudy, symbol: str, windows: Collection[Window]) -> list[tuple[str, ...]]:
    """Return the groups of symbols that a report draws, that of `symbol` first."""
    groups = sorted(resolved.portfolios, key=lambda group: "+".join(group) != symbol)
    return within_bound(groups[:MAX_SYMBOLS_DRAWN], resolved, windows)


def within_bound(
    groups: Sequence[tuple[str, ...]], resolved: ResolvedStudy, windows: Collection[Window]
) -> list[tuple[str, ...]]:
    """Return the first groups whose equity has no more rows than may be drawn; one at least."""
    found: list[tuple[str, ...]] = []
    for group in groups:
        if found and _bars(resolved, [*found, group], windows) > MAX_BARS_DRAWN:
            break
        found.append(group)
    return found


def _bars(resolved: ResolvedStudy, groups: Sequence[tuple[str, ...]], windows: Collection[Window]) -> int:
    return sum(resolved.window_bars[group[0], window.name] for group in groups for window in windows)


def by_series(pending: Sequence[Pending], keep: Keep) -> list[tuple[list[Pending], Keep]]:
    """Return pending backtests in two parts: some of whose series are stored, and the others, if any."""
    if keep.trades is None or keep.equity is None:
        return [(list(pending), keep)]
    named = keep.trades | keep.equity
    parts: tuple[list[Pending], list[Pending]] = [], []
    for part in pending:
        group = "+".join(part.symbols)
        parts[not any(f"{one.config_id}/{group}" in named for one in part.configurations)].append(part)
    return [(some, how) for some, how in zip(parts, (keep, NOTHING), strict=True) if some]


def union(keeps: Iterable[Keep]) -> Keep:
    """Return whose series are stored if any of `keeps` says so."""
    trades: frozenset[str] = frozenset()
    equity: frozenset[str] = frozenset()
    for keep in keeps:
        trades |= keep.trades or frozenset()
        equity |= keep.equity or frozenset()
    return Keep(trades, equity)


def not_stored(store: ResultStore, window: Window, keep: Keep) -> list[Pending]:
    """Return the backtests of a window whose series are wanted and not stored: they are run once more."""
    trades, equity = (_keys(wanted or frozenset()) for wanted in (keep.trades, keep.equity))
    configurations = sorted({config_id for config_id, _ in trades | equity})
    rows = store.rows(RESULTS, window, ["config_id", "symbol", "status", "trades"], configurations)
    good = rows[rows["status"] == "ok"]
    ran = set(zip(good["config_id"], good["symbol"], strict=True))
    # without a closed trade there is no row to look for
    good = good[good["trades"] > 0]
    traded = set(zip(good["config_id"], good["symbol"], strict=True))
    lack = (equity & ran) - store.keys(EQUITY, window, configurations)
    lack |= (trades & traded) - store.keys(TRADES, window, configurations)
    wanted = {config_id for config_id, _ in lack}
    order = [c for c in store.resolved.every_configuration if c.config_id in wanted]
    return work_of(store.resolved, window.name, order, lack)


def _keys(names: frozenset[str]) -> set[tuple[str, str]]:
    return {(config_id, symbol) for config_id, _, symbol in (name.partition("/") for name in names)}


def drop_returns(
    session: Callable[[], SparkSession], store: ResultStore, fold: Fold, ranked: Sequence[str]
) -> int | None:
    """Delete the returns on a fold's validate window that a study of this size does not keep.

    Parameters
    ----------
    session : callable
        Gives Spark, which is asked for only if something is deleted in a catalog service.
    store : ResultStore
        The study.
    fold : Fold
        The fold. Of one without a validate window, such as joined paths, all returns are kept.
    ranked : sequence of str
        config_id of every configuration, best first.

    Returns
    -------
    int or None
        Configurations whose returns stay; None if nothing was deleted.
    """
    if keeps_all_returns(store.resolved):
        return None
    mine, window = set(ranked), fold.validate[0]
    surplus = ({config_id for config_id, _ in store.keys(RETURNS, window)} & mine) - returns_to_keep(ranked)
    if not surplus:
        return None
    symbols = ["+".join(group) for group in store.resolved.portfolios]
    store.delete(session, RETURNS, window, surplus, {"symbol": symbols})
    return len(mine) - len(surplus)


def returns_to_keep(
    ranked: Iterable[str], seed: int = 0, all_up_to: int = ALL_UP_TO, best: int = BEST, sampled: int = SAMPLED
) -> frozenset[str]:
    """Return the configurations whose returns are kept.

    Parameters
    ----------
    ranked : iterable of str
        config_id of every configuration, best first; only its first occurrence counts where
        one stands for several symbols.
    seed : int
        Of the sample.
    all_up_to, best, sampled : int
        All are kept up to `all_up_to`; above that the `best` first ones and `sampled` others.

    Notes
    -----
    The sample is drawn from those that are not among the best, without replacement and each
    equally likely: by the order of a hash of seed and config_id. So it is the same wherever
    it is drawn, and whatever the ranking among those that it is drawn from.
    """
    distinct = list(dict.fromkeys(ranked))
    if len(distinct) <= all_up_to:
        return frozenset(distinct)
    others = sorted(distinct[best:], key=lambda config_id: _draw(seed, config_id))
    return frozenset(distinct[:best]) | frozenset(others[:sampled])


def _draw(seed: int, config_id: str) -> bytes:
    return hashlib.sha256(f"{seed}/{config_id}".encode()).digest()
