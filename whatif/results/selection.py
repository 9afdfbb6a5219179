"""Selection of a study: its ranking, what came first in it, and the results on test windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from whatif.results import Key, ResolvedStudy, paths_of
from whatif.results.board import Chosen, FoldAnswer
from whatif.splits import Fold, Window
from whatif.typing import FloatArray


@dataclass(frozen=True, eq=False)
class TestResult:
    """A test window, and what was chosen for it: data that had no part in the choice.

    Attributes
    ----------
    window : Window
        The window.
    key : (str, str) or None
        config_id and symbol; None if nothing could be chosen, which stays in cash.
    """

    window: Window
    key: Key | None


@dataclass(frozen=True, eq=False)
class RankedOn:
    """A window that configurations were ranked on.

    Attributes
    ----------
    window : Window
        The window.
    ids : mapping of str to str or None
        What a configuration of the ranking is called there, where its model learnt something else;
        None if it is called the same.
    """

    window: Window
    ids: Mapping[str, str] | None = None


@dataclass(frozen=True, eq=False)
class StudySelection:
    """What a study chose, the windows of its ranking, and its test windows.

    Attributes
    ----------
    board : DataFrame
        The ranking on validate, best first.
    chosen : Chosen or None
        What came first in it.
    ranked_on : tuple of RankedOn
        Where it was ranked, in time order, no two overlapping.
    tests : tuple of TestResult
        One of a holdout, one for each fold of a walk-forward, in time order; none without a test window.
    test_trades : float
        Closed trades on all of `tests`; NaN if not known.
    test_failed : str
        Why there are no returns on `tests`, if so.
    reason : str
        Why nothing was chosen; "" if something was.
    ranks : tuple of two float64 arrays or None
        Objective on validate and on test of the choices of several folds.
    """

    board: pd.DataFrame
    chosen: Chosen | None
    ranked_on: tuple[RankedOn, ...]
    tests: tuple[TestResult, ...] = ()
    test_trades: float = float("nan")
    test_failed: str = ""
    reason: str = ""
    ranks: tuple[FloatArray, FloatArray] | None = None


def select(resolved: ResolvedStudy, answers: Sequence[FoldAnswer]) -> StudySelection:
    """Return the selection of a study: of several folds, the last one's choice and the tests of all."""
    last = answers[-1]
    tests = [(one, one.fold.test) for one in answers if one.fold.test is not None]
    own = [one.chosen.test for one, _ in tests if one.chosen is not None]
    failed = next((row for row in own if row.get("status", "ok") != "ok"), None)
    several = len(answers) > 1
    return StudySelection(
        board=last.board,
        chosen=last.chosen,
        ranked_on=_ranked_on(resolved, answers),
        tests=tuple(TestResult(test, _key(one)) for one, test in tests),
        test_trades=float(sum(float(row.get("trades", np.nan)) for row in own)) if own else float("nan"),
        test_failed="" if failed is None else f"the chosen configuration failed: {failed['error']}",
        reason=last.reason,
        ranks=_ranks(resolved, answers) if several else None,
    )


def _key(answer: FoldAnswer) -> Key | None:
    return None if answer.chosen is None else (answer.chosen.config_id, answer.chosen.symbol)


def _ranked_on(resolved: ResolvedStudy, answers: Sequence[FoldAnswer]) -> tuple[RankedOn, ...]:
    """Return the windows of the ranking: of a walk-forward those of all folds that do not overlap.

    The last one's alone where each fold has a search of its own.
    """
    if resolved.timeline.ranks_paths:
        first, *_ = paths_of(resolved)
        return tuple(RankedOn(window, _names(resolved, fold)) for window, fold in first)
    if len(resolved.searched_folds) > 1:  # what other folds ran is not what this one chose from
        return tuple(RankedOn(window) for window in answers[-1].fold.validate)
    found: list[RankedOn] = []
    for answer in reversed(answers):
        (window,) = answer.fold.validate
        if not found or window.end_us <= found[-1].window.start_us:
            found.append(RankedOn(window, _names(resolved, answer.fold)))
    return tuple(reversed(found))


def _names(resolved: ResolvedStudy, fold: Fold) -> Mapping[str, str] | None:
    return None if fold is resolved.timeline.last else resolved.names_in(fold)


def _ranks(resolved: ResolvedStudy, answers: Sequence[FoldAnswer]) -> tuple[FloatArray, FloatArray]:
    objective = resolved.study.objective
    made = [answer.chosen for answer in answers if answer.chosen is not None]
    on_validate = np.array([float(chosen.validate[objective]) for chosen in made])
    return on_validate, np.array([float(chosen.test.get(objective, np.nan)) for chosen in made])
