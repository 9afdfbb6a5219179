"""Results of a study: stored rows, what is still to be run, the ranking, what else was tried on its data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.results.board import (
        Chosen,
        FoldAnswer,
        choose_in_folds,
        leaderboard,
        path_board,
        path_rows,
        paths_of,
        stored,
        stored_rows,
        told,
    )
    from whatif.results.others import Grid, other_returns
    from whatif.results.panels import Key, returns_panel
    from whatif.results.pending import Again, drop_failed, keeps_all_returns, pending_on, sweep_of
    from whatif.results.retention import (
        MAX_SYMBOLS_DRAWN,
        after_ranking,
        by_series,
        drawn,
        drop_returns,
        not_stored,
        returns_to_keep,
        shown_windows,
        union,
        while_sweeping,
        within_bound,
    )
    from whatif.results.selection import RankedOn, StudySelection, TestResult, select
    from whatif.results.stitch import Stitched, fold_table, stitched
    from whatif.results.stopped import stopped_for_memory, stopped_for_time, stopped_with_process
    from whatif.results.store import MAX_IN_FILTER, Held, ResolvedStudy, ResultStore, Slot, read_rows
    from whatif.results.trials import Trials, count_looks, count_trials, record_looks
    from whatif.results.work import NOTHING, Keep, Pending
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "board": "Chosen FoldAnswer choose_in_folds leaderboard path_board path_rows paths_of stored "
            "stored_rows told",
            "others": "Grid other_returns",
            "panels": "Key returns_panel",
            "pending": "Again drop_failed keeps_all_returns pending_on sweep_of",
            "retention": "MAX_SYMBOLS_DRAWN after_ranking by_series drawn drop_returns not_stored "
            "returns_to_keep shown_windows union while_sweeping within_bound",
            "selection": "RankedOn StudySelection TestResult select",
            "stitch": "Stitched fold_table stitched",
            "stopped": "stopped_for_memory stopped_for_time stopped_with_process",
            "store": "MAX_IN_FILTER Held ResolvedStudy ResultStore Slot read_rows",
            "trials": "Trials count_looks count_trials record_looks",
            "work": "Keep NOTHING Pending",
        },
    )
