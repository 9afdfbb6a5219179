"""Which backtests' trades and equity a study stores, and which of those are not stored yet."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from whatif.lake.results import RESULTS
from whatif.lake.tables import EQUITY, TRADES
from whatif.pins import LakeLocation
from whatif.runner.plan import Pending
from whatif.runner.spark import NOTHING, Keep
from whatif.splits import Window
from whatif.study import Study
from whatif.workflow.pending import slot, work_of
from whatif.workflow.resolve import Resolved
from whatif.workflow.stored import read_rows, stored_keys


def while_sweeping(study: Study) -> Keep:
    """Return whose series are stored by the sweep itself: all or nobody's, for nothing is ranked yet."""
    return Keep(
        None if study.keep.trades == "all" else NOTHING.trades,
        None if study.keep.equity == "all" else NOTHING.equity,
    )


def after_ranking(resolved: Resolved, board: pd.DataFrame, chosen: str) -> Keep:
    """Return whose series are stored once the ranking is known.

    Those of the chosen configuration on all symbols; and as `keep` says, of the N best rows
    of the ranking or of all.
    """
    groups = ["+".join(group) for group in resolved.portfolios]
    good = board[board["status"] == "ok"]
    rows = zip(good["config_id"].astype(str), good["symbol"].astype(str), strict=True)
    names = [[f"{c}/{g}" for g in groups] if resolved.pooled else [f"{c}/{s}"] for c, s in rows]
    own = frozenset(f"{chosen}/{group}" for group in groups)

    def of(rule: str | int) -> frozenset[str]:
        taken = names if rule == "all" else names[:rule] if isinstance(rule, int) else []
        return own | frozenset(name for row in taken for name in row)

    return Keep(of(resolved.study.keep.trades), of(resolved.study.keep.equity))


def both(keeps: Iterable[Keep]) -> Keep:
    """Return whose series are stored if any of `keeps` says so."""
    trades: frozenset[str] = frozenset()
    equity: frozenset[str] = frozenset()
    for keep in keeps:
        trades |= keep.trades or frozenset()
        equity |= keep.equity or frozenset()
    return Keep(trades, equity)


def not_stored(location: LakeLocation, resolved: Resolved, window: Window, keep: Keep) -> list[Pending]:
    """Return the backtests of a window whose series are wanted and not stored: they are run once more."""
    here = slot(resolved, window)
    trades, equity = (_keys(wanted or frozenset()) for wanted in (keep.trades, keep.equity))
    configurations = sorted({config_id for config_id, _ in trades | equity})
    rows = read_rows(location, RESULTS, here, ["config_id", "symbol", "status", "trades"], configurations)
    good = rows[rows["status"] == "ok"]
    ran = set(zip(good["config_id"], good["symbol"], strict=True))
    # without a closed trade there is no row to look for
    good = good[good["trades"] > 0]
    traded = set(zip(good["config_id"], good["symbol"], strict=True))
    lack = (equity & ran) - stored_keys(location, EQUITY, here, configurations)
    lack |= (trades & traded) - stored_keys(location, TRADES, here, configurations)
    wanted = {config_id for config_id, _ in lack}
    order = [c for c in resolved.every_configuration if c.config_id in wanted]
    return work_of(resolved, window.name, order, lack)


def _keys(names: frozenset[str]) -> set[tuple[str, str]]:
    return {(config_id, symbol) for config_id, _, symbol in (name.partition("/") for name in names)}
