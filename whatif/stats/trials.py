"""Number of independent trials that a sweep amounts to, and the variance of their Sharpe ratios."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from whatif.stats.measures import constant_columns, measure, panel
from whatif.typing import FloatArray


def effective_trials(returns: npt.ArrayLike) -> float:
    """Estimate the number of independent trials from the correlation of their returns.

    Parameters
    ----------
    returns : float64 array (periods, configurations)
        Returns per period.

    Returns
    -------
    float
        (sum of sqrt(l))**2 / sum of l, l the eigenvalues of the correlation matrix, between 1 and
        the number of configurations. Configurations whose returns are all equal or not all finite
        have no correlation and are left out; 1 where none is left.

    Notes
    -----
    Equal (or opposite) configurations count once; N configurations with a common correlation of r
    count as about (1 - r) N. Sampling noise lowers the number: N independent ones give 0.97 N with
    8 N periods, 0.72 N with N periods, and never more than the periods but one. What is under the
    true number makes `deflated_sharpe_ratio` too kind; compare with the plain count of trials.

    With fewer periods than configurations the eigenvalues are those of the (periods, periods) Gram
    matrix: the same apart from zeros.

    References
    ----------
    Galwey (2009), "A new measure of the effective number of tests", Genetic Epidemiology 33(7).
    """
    scores = _standard_scores(panel(returns))
    periods, n = scores.shape
    if n < 2:
        return 1.0
    gram = scores @ scores.T if n > periods else scores.T @ scores
    eigenvalues = np.linalg.eigvalsh(gram)
    # rounding leaves something where there is nothing, and a root makes much of it
    floor = eigenvalues[-1] * max(periods, n) * np.finfo(np.float64).eps
    eigenvalues = eigenvalues[eigenvalues > floor]
    number = float(np.sqrt(eigenvalues).sum() ** 2 / eigenvalues.sum())
    return min(max(number, 1.0), float(n))


def trial_variance(returns: npt.ArrayLike) -> float:
    """Return the variance across configurations of their Sharpe ratio per period.

    Parameters
    ----------
    returns : float64 array (periods, configurations)
        Returns per period.

    Returns
    -------
    float
        With ddof=1, over the configurations whose ratio is defined: those with a NaN among their
        returns, and those whose returns are all equal (that never traded), are left out. 0 if one
        is left (nothing varied), NaN if none.
    """
    matrix = panel(returns)
    parts = [measure(np.ascontiguousarray(part.T), "sharpe") for part in _slabs(matrix)]
    ratios = np.concatenate(parts) if parts else np.empty(0)
    ratios = ratios[np.isfinite(ratios)]
    if not len(ratios):
        return math.nan
    return float(ratios.var(ddof=1)) if len(ratios) > 1 else 0.0


def _slabs(matrix: FloatArray) -> list[FloatArray]:
    """Return views of at most 1,024 columns."""
    return [matrix[:, start : start + 1024] for start in range(0, matrix.shape[1], 1024)]


def _standard_scores(matrix: FloatArray) -> FloatArray:
    """Return the columns that have a correlation, with mean 0 and length 1."""
    if len(matrix) < 2:
        return matrix[:, :0]
    usable = ~constant_columns(matrix) & np.isfinite(matrix.sum(axis=0))
    scores = matrix[:, usable]
    scores -= scores.mean(axis=0)
    length = np.sqrt(np.einsum("tn,tn->n", scores, scores))
    scores /= np.where(length > 0.0, length, 1.0)
    return scores[:, length > 0.0] if (length <= 0.0).any() else scores
