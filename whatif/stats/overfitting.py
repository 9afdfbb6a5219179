"""Probability of backtest overfitting by combinatorially symmetric cross-validation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from whatif.errors import StatisticsError
from whatif.stats.halves import halves_of
from whatif.stats.objectives import panel, refuse_missing, usable_objective
from whatif.typing import FloatArray

MOST_BLOCKS = 20
"""184,756 splits; two more blocks would make four times as many."""

_RELATIVE, _ABSOLUTE = 1e-9, 1e-12


@dataclass(frozen=True, eq=False)
class Overfitting:
    """What cross-validation says about choosing the best configuration.

    Attributes
    ----------
    pbo : float
        Share of splits whose in-sample winner is at or below the median out of sample.
    logits : float64 array (splits,)
        ln(w / (1 - w)) of the winner's relative rank w = rank / (configurations + 1) out of sample;
        NaN where no configuration could be chosen.
    in_sample, out_of_sample : float64 array (splits,)
        The winner's objective: ratios per period, `return_pct` as log growth. NaN as above.
    loss_share : float
        Share of splits in which the winner's objective out of sample is negative.
    slope : float
        Of out-of-sample on in-sample objective of the winner (least squares over the finite ones):
        negative where a better look backward goes with a worse result forward.
    objective : str
        What winners were chosen and ranked by.
    blocks, splits, splits_without_winner : int
        Blocks, ways to choose half of them, and those of them in which nothing could be chosen.
    rows_dropped : int
        Leading periods left out so that blocks are equally long.
    configurations, configurations_dropped : int
        Ranked, and left out because their objective is undefined over all periods.
    """

    pbo: float
    logits: FloatArray
    in_sample: FloatArray
    out_of_sample: FloatArray
    loss_share: float
    slope: float
    objective: str
    blocks: int
    splits: int
    splits_without_winner: int
    rows_dropped: int
    configurations: int
    configurations_dropped: int

    def __float__(self) -> float:
        return self.pbo


def probability_of_backtest_overfitting(
    returns: npt.ArrayLike, blocks: int = 16, objective: str = "sharpe"
) -> Overfitting:
    """Estimate how likely the best configuration of a backtest is below the median of all on other data.

    Periods are cut into blocks; each half of the blocks in turn is in-sample, where the best
    configuration is chosen, and the others are out-of-sample, where it is ranked among all.

    Parameters
    ----------
    returns : float64 array (periods, configurations)
        Simple returns per period of every configuration tried, periods in time order.
    blocks : int
        Even, 2 to `MOST_BLOCKS`; 16 make 12,870 splits.
    objective : str
        A metric's key; see `usable_objective` for what stands in for those that returns do not tell.

    Returns
    -------
    Overfitting
        `float()` of it is the probability.

    Raises
    ------
    StatisticsError
        If a return is not finite, blocks are odd or too many, periods fewer than blocks (or than
        two a half), or fewer than two configurations have a defined objective.

    Notes
    -----
    *Undefined ratios.* A Sharpe ratio of returns that are all equal and a Sortino ratio without a
    loss are undefined. A configuration for which this holds over all periods can never be chosen
    and so is no rival: it is left out and counted, or else configurations that never trade would
    flatter any winner. In-sample, undefined ranks last, as on the leaderboard. Out-of-sample, it
    counts as its limit: 0 where the mean return is 0 (a winner that stopped trading does as well
    as doing nothing), else infinite with the sign of the mean.

    *Ties.* Values within 1e-9 of one another (relative; 1e-12 absolute) are equal, so that rounding
    decides nothing between configurations that differ in size only. The winner is the first of
    the equal ones; its rank out-of-sample is the mean rank of those equal to it.

    *Cost.* Proportional to splits times configurations; memory beyond the returns is about
    2**(blocks / 2) * 32 bytes a configuration.

    References
    ----------
    Bailey, Borwein, López de Prado and Zhu (2017), "The Probability of Backtest Overfitting",
    Journal of Computational Finance 20(4).
    """
    matrix = panel(returns, fewest=2)
    _check_blocks(blocks, len(matrix))
    dropped = len(matrix) % blocks
    matrix = matrix[dropped:]
    refuse_missing(matrix)
    used = usable_objective(objective)
    halves = halves_of(matrix, blocks, used)
    if halves.configurations < 2:
        raise StatisticsError(
            f"returns of {matrix.shape[1]} configurations: {used} is defined for {halves.configurations}; "
            "a choice needs at least 2 (a configuration that never trades has none)"
        )

    chosen = np.full((3, math.comb(blocks, blocks // 2)), np.nan)
    for k, half in enumerate(combinations(range(blocks), blocks // 2)):
        other = chosen.shape[1] - 1 - k
        if k > other:  # in this order, the split's mirror image is as far from the end
            break
        bits = sum(1 << block for block in half)
        one = halves.measure(bits)
        two = halves.measure((1 << blocks) - 1 - bits)
        chosen[:, k] = _choose(one.ranked, two.limits)
        chosen[:, other] = _choose(two.ranked, one.limits)
    logits, inside, outside = chosen
    known = ~np.isnan(logits)
    return Overfitting(
        pbo=_share(logits[known] <= 0.0),
        logits=logits,
        in_sample=inside,
        out_of_sample=outside,
        loss_share=_share(outside[known] < 0.0),
        slope=_slope(inside[known], outside[known]),
        objective=used,
        blocks=blocks,
        splits=len(logits),
        splits_without_winner=int((~known).sum()),
        rows_dropped=dropped,
        configurations=halves.configurations,
        configurations_dropped=matrix.shape[1] - halves.configurations,
    )


def _check_blocks(blocks: int, periods: int) -> None:
    if blocks % 2 or not 2 <= blocks <= MOST_BLOCKS:
        raise StatisticsError(f"blocks={blocks}: an even number from 2 to {MOST_BLOCKS}; 16 is usual")
    if periods < max(blocks, 4):
        raise StatisticsError(
            f"{periods} periods in {blocks} blocks: at least one period a block and two a half are needed; "
            "take fewer blocks or shorter periods"
        )


def _choose(inside: FloatArray, outside: FloatArray) -> tuple[float, float, float]:
    """Return the winner's logit, and its objective in-sample and out-of-sample; arrays (configurations,)."""
    best = float(np.fmax.reduce(inside))
    if math.isnan(best):
        return math.nan, math.nan, math.nan
    winner = int(np.argmax(inside >= best - _slack(best)))
    result = float(outside[winner])
    slack = _slack(result)
    below = int(np.count_nonzero(outside < result - slack))
    above = int(np.count_nonzero(outside > result + slack))
    equal = len(outside) - below - above
    rank = below + (equal + 1) / 2.0
    return math.log(rank / (len(outside) + 1 - rank)), float(inside[winner]), result


def _slack(value: float) -> float:
    return max(_RELATIVE * abs(value), _ABSOLUTE) if math.isfinite(value) else 0.0


def _share(flags: npt.NDArray[np.bool_]) -> float:
    return float(flags.mean()) if len(flags) else math.nan


def _slope(inside: FloatArray, outside: FloatArray) -> float:
    finite = np.isfinite(inside) & np.isfinite(outside)
    if finite.sum() < 2:
        return math.nan
    x, y = inside[finite] - inside[finite].mean(), outside[finite]
    spread = float(x @ x)
    return float(x @ (y - y.mean())) / spread if spread > 0.0 else math.nan
