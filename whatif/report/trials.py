"""Trials of a search: what each axis is worth, and what a page draws of the order in which they were run."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

from whatif.report.data import ReportData
from whatif.report.heatmap import levels
from whatif.search import at_home
from whatif.typing import FloatArray, IntArray

FEWEST = 8
"""Trials under which nothing is said of axes."""

MOST = 500
"""Trials of which the forest of fANOVA is grown."""

TREES = 8
"""Trees of it."""

TRIAL = "trial"
"""Column of the leaderboard with the number of each trial, of a study that searches."""


@dataclass(frozen=True)
class Importance:
    """How much of what the objective varies by comes of each axis.

    Attributes
    ----------
    how : str
        In words, how it was estimated.
    shares : tuple of (str, float)
        Share of the variance, from 0 to 1, by axis; the largest first.
    """

    how: str
    shares: tuple[tuple[str, float], ...]


def importance(data: ReportData) -> Importance | None:
    """Return how much each axis matters for the objective; None of too few trials, or where none varies.

    Notes
    -----
    Of a search, by a functional analysis of variance of a random forest (Hutter, Hoos and Leyton-Brown, 2014,
    "An Efficient Approach for Assessing Hyperparameter Importance", ICML), as Optuna has it; where it is not
    installed, and of a grid, the variance of the mean over all other axes.
    """
    rows, values = _trials(data)
    coded = {name: levels(rows[name]) for name in data.ranking.axes}
    varying = {name: one.codes for name, one in coded.items() if len(set(one.codes.tolist())) > 1}
    if len(values) < FEWEST or not varying or not np.ptp(values) > 0:
        return None
    if TRIAL in rows and find_spec("optuna") is not None:
        how, shares = "by a functional analysis of variance (fANOVA, Optuna)", _by_forest(varying, values)
    else:
        how, shares = "by the variance of its means over all others", _by_means(varying, values)
    return Importance(how, tuple(sorted(shares.items(), key=lambda one: -one[1])))


def trials_payload(data: ReportData, found: Importance | None) -> dict[str, Any] | None:
    """Return what the page's script draws of trials, beside the leaderboard; None for too few."""
    _, values = _trials(data)
    if len(values) < FEWEST or not data.ranking.axes:
        return None
    return {"importance": None if found is None else {"how": found.how, "shares": found.shares}}


def _trials(data: ReportData) -> tuple[pd.DataFrame, FloatArray]:
    """Return the rows that have the objective, in the world of the choice, and its values."""
    ranked = data.ranking.ranked
    if data.ranking.objective not in ranked:
        return ranked.iloc[:0], np.empty(0)
    rows = ranked[at_home(ranked)]
    numbers = pd.to_numeric(rows[data.ranking.objective], errors="coerce")
    values = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    kept = np.isfinite(values)
    return rows[kept], values[kept]


def _by_means(codes: dict[str, IntArray], values: FloatArray) -> dict[str, float]:
    whole = float(values.var())
    means = {name: pd.Series(values).groupby(one).transform("mean") for name, one in codes.items()}
    return {name: float(one.to_numpy().var()) / whole for name, one in means.items()}


def _by_forest(codes: dict[str, IntArray], values: FloatArray) -> dict[str, float]:
    import optuna

    optuna.logging.set_verbosity(logging.ERROR)
    kept = np.unique(np.linspace(0, len(values) - 1, min(MOST, len(values))).astype(np.int64))
    spans = {name: optuna.distributions.IntDistribution(0, int(one.max())) for name, one in codes.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study()
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params={name: int(one[k]) for name, one in codes.items()},
                    distributions=spans,
                    value=float(values[k]),
                )
                for k in kept
            ]
        )
        evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=TREES, seed=0)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in found.items()}
