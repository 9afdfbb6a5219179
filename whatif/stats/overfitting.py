"""Probability of backtest overfitting by combinatorially symmetric cross-validation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from whatif.domain import NOISE, noise_of_returns
from whatif.errors import StatisticsError
from whatif.stats.measures import (
    constant_columns,
    log_growth,
    measure,
    panel,
    refuse_missing,
    usable_objective,
)
from whatif.typing import BoolArray, FloatArray, IntArray

MAX_BLOCKS = 20
"""184,756 splits; two more blocks would make four times as many."""

_RELATIVE, _ABSOLUTE = 1e-9, 1e-12

_T = TypeVar("_T", np.float64, np.uint8)

_AT_ONCE = 32_768
"""Figures of halves that are measured at once: what a processor keeps near, on all configurations."""

_CANCELS = 1e-5
"""A variance that is a smaller share of the sum of squares is computed again in two passes."""


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
        Even, 2 to `MAX_BLOCKS`; 16 make 12,870 splits.
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
    2**(blocks / 2) * 32 bytes a configuration, and some megabytes.

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

    logits, inside, outside = _chosen(halves, blocks)
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
    if blocks % 2 or not 2 <= blocks <= MAX_BLOCKS:
        raise StatisticsError(f"blocks={blocks}: an even number from 2 to {MAX_BLOCKS}; 16 is usual")
    if periods < max(blocks, 4):
        raise StatisticsError(
            f"{periods} periods in {blocks} blocks: at least one period a block and two a half are needed; "
            "take fewer blocks or shorter periods"
        )


def _chosen(halves: Halves, blocks: int) -> FloatArray:
    """Return the logit of each split's winner, its objective in-sample and out-of-sample, (3, splits)."""
    chosen = np.full((3, math.comb(blocks, blocks // 2)), np.nan)
    places = [1 << block for block in range(blocks)]
    # in this order, a split's mirror image is as far from the end as the split from the beginning
    firsts = islice(map(sum, combinations(places, blocks // 2)), chosen.shape[1] // 2)
    begin, at_once = 0, max(1, _AT_ONCE // halves.configurations)
    while some := list(islice(firsts, at_once)):
        bits = np.array(some, dtype=np.int64)
        one, two = halves.measure(bits), halves.measure((1 << blocks) - 1 - bits)
        end = begin + len(some)
        chosen[:, begin:end] = _choose(one.ranked, two.limits)
        chosen[:, ::-1][:, begin:end] = _choose(two.ranked, one.limits)
        begin = end
    return chosen


def _choose(inside: FloatArray, outside: FloatArray) -> FloatArray:
    """Return of each split the winner's logit, and its objective in-sample and out-of-sample, (3, splits).

    Arrays are (splits, configurations); NaN where nothing could be chosen.
    """
    best = np.fmax.reduce(inside, axis=1)
    splits, count = np.arange(len(inside)), inside.shape[1]
    winner = np.argmax(inside >= (best - _slack(best))[:, None], axis=1)
    result = outside[splits, winner]
    slack = _slack(result)
    below = np.count_nonzero(outside < (result - slack)[:, None], axis=1)
    above = np.count_nonzero(outside > (result + slack)[:, None], axis=1)
    rank = below + (count - below - above + 1) / 2.0
    # by the standard library, whose logarithm is the same on every processor
    logits = [math.log(odds) for odds in (rank / (count + 1 - rank)).tolist()]
    return np.where(np.isnan(best), np.nan, np.array([logits, inside[splits, winner], result]))


def _slack(values: FloatArray) -> FloatArray:
    return np.where(np.isfinite(values), np.maximum(_RELATIVE * np.abs(values), _ABSOLUTE), 0.0)


def _share(flags: npt.NDArray[np.bool_]) -> float:
    return float(flags.mean()) if len(flags) else math.nan


def _slope(inside: FloatArray, outside: FloatArray) -> float:
    finite = np.isfinite(inside) & np.isfinite(outside)
    if finite.sum() < 2:
        return math.nan
    x, y = inside[finite] - inside[finite].mean(), outside[finite]
    spread = float(x @ x)
    return float(x @ (y - y.mean())) / spread if spread > 0.0 else math.nan


@dataclass(frozen=True, eq=False)
class Half:
    """Objective of all configurations on some choices of half of the blocks.

    Attributes
    ----------
    ranked : float64 array (choices, configurations)
        NaN where undefined.
    limits : float64 array (choices, configurations)
        Where undefined, 0 if the mean return is 0, else infinity with its sign.
    """

    ranked: FloatArray
    limits: FloatArray


class Halves(Protocol):
    """An objective that can be measured on any half of the blocks."""

    configurations: int

    def measure(self, bits: IntArray) -> Half:
        """Measure on each choice of blocks, (choices,): those whose bits are set, half of all."""


def halves_of(matrix: FloatArray, blocks: int, objective: str) -> Halves:
    """Prepare an objective; configurations for which it is undefined over all periods are left out.

    Parameters
    ----------
    matrix : float64 array (periods, configurations)
        Finite returns; periods are a multiple of blocks.
    blocks : int
        Even.
    objective : str
        One of `RETURN_OBJECTIVES`.
    """
    kinds: dict[str, type[_Sharpe | _Sortino | _Growth]] = {
        "sharpe": _Sharpe,
        "sortino": _Sortino,
        "return_pct": _Growth,
    }
    return kinds[objective](matrix, blocks)


class _Subsets(Generic[_T]):
    """Sums of a figure over any subset of the blocks.

    Parameters
    ----------
    figures : float64 or uint8 array (blocks, configurations)
        What is added up.
    """

    def __init__(self, figures: npt.NDArray[_T]) -> None:
        self._half = len(figures) // 2
        self._low: npt.NDArray[_T] = _subset_sums(figures[: self._half])
        self._high: npt.NDArray[_T] = _subset_sums(figures[self._half :])

    def sum(self, bits: IntArray) -> npt.NDArray[_T]:
        """Return the sums over the blocks whose bits are set, (choices, configurations)."""
        return np.asarray(self._low[bits & ((1 << self._half) - 1)] + self._high[bits >> self._half])


def _subset_sums(figures: npt.NDArray[_T]) -> npt.NDArray[_T]:
    """Return the sums of all subsets, (2**blocks, configurations); bit b of the row is block b."""
    sums = np.zeros((1 << len(figures), figures.shape[1]), dtype=figures.dtype)
    for b, row in enumerate(figures):
        sums[1 << b : 2 << b] = sums[: 1 << b] + row
    return sums


class _Sharpe:
    """Mean / std(ddof=1) per period; undefined where returns do not vary but for rounding."""

    def __init__(self, matrix: FloatArray, blocks: int) -> None:
        varies = ~constant_columns(matrix)
        matrix = matrix if varies.all() else np.ascontiguousarray(matrix[:, varies])
        self.configurations = matrix.shape[1]
        self._length = len(matrix) // blocks
        self._center = matrix.mean(axis=0)
        shape = (blocks, self.configurations)
        sums, squares = np.empty(shape), np.empty(shape)
        self._means, self._within, self._only = np.empty(shape), np.empty(shape), np.empty(shape)
        for b in range(blocks):
            block = matrix[b * self._length : (b + 1) * self._length]
            # what a block without variance holds, else NaN: variance may be rounding of its mean
            self._only[b] = np.where(constant_columns(block), block[0], np.nan)
            block = block - self._center
            sums[b] = block.sum(axis=0)
            self._means[b] = sums[b] / self._length
            squares[b] = np.square(block).sum(axis=0)
            self._within[b] = np.square(block - self._means[b]).sum(axis=0)
        self._sums, self._squares = _Subsets(sums), _Subsets(squares)
        # most of what stands still does so at one value: 0, where nothing is traded
        self._rest = _first_known(self._only)
        self._busy = _Subsets((self._only != self._rest).astype(np.uint8))
        self._n = blocks // 2 * self._length

    def measure(self, bits: IntArray) -> Half:
        total, squares = self._sums.sum(bits), self._squares.sum(bits)
        scatter = squares - total * total / self._n
        mean = total / self._n + self._center
        resting = self._busy.sum(bits) == 0
        scatter[resting] = np.nan
        rounding = (self._n - 1) * noise_of_returns(mean) ** 2
        doubtful = scatter <= np.maximum(_CANCELS * squares, rounding)
        scatter[doubtful] = np.nan
        ratio = mean / np.sqrt(scatter / (self._n - 1))
        limits = _with_limits(ratio, resting, self._rest)
        for k in np.flatnonzero(doubtful.any(axis=1)):
            self._again(int(bits[k]), np.flatnonzero(doubtful[k]), ratio[k], limits[k])
        return Half(ratio, limits)

    def _again(self, bits: int, columns: IntArray, ratio: FloatArray, limits: FloatArray) -> None:
        """Measure some columns of a choice from the blocks' means and the scatter within them."""
        blocks = np.array([b for b in range(len(self._means)) if bits >> b & 1])
        rows = np.ix_(blocks, columns)
        means, only = self._means[rows], self._only[rows]
        center = means.mean(axis=0)
        scatter = self._within[rows].sum(axis=0) + self._length * np.square(means - center).sum(axis=0)
        constant = (only == only[0]).all(axis=0)
        mean = np.where(constant, only[0], center + self._center[columns])
        still = constant | (scatter <= (self._n - 1) * noise_of_returns(mean) ** 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio[columns] = np.where(still, np.nan, mean / np.sqrt(scatter / (self._n - 1)))
        limits[columns] = np.where(still, _limit(mean), ratio[columns])


class _Sortino:
    """Mean / sqrt(mean(min(r, 0)^2)) per period; undefined without a loss but for rounding."""

    def __init__(self, matrix: FloatArray, blocks: int) -> None:
        loses = ~np.isnan(measure(matrix.T, "sortino"))
        matrix = matrix if loses.all() else np.ascontiguousarray(matrix[:, loses])
        self.configurations = matrix.shape[1]
        length = len(matrix) // blocks
        parts = [matrix[b * length : (b + 1) * length] for b in range(blocks)]
        self._sums = _Subsets(np.array([part.sum(axis=0) for part in parts]))
        self._losses = _Subsets(np.array([np.square(np.minimum(part, 0.0)).sum(axis=0) for part in parts]))
        self._n = blocks // 2 * length

    def measure(self, bits: IntArray) -> Half:
        mean, losses = self._sums.sum(bits) / self._n, self._losses.sum(bits)
        undefined = losses <= self._n * noise_of_returns(mean) ** 2
        losses[undefined] = np.nan
        ratio = mean / np.sqrt(losses / self._n)
        return Half(ratio, _with_limits(ratio, undefined, mean))


class _Growth:
    """Sum of ln(1 + r), which ranks as the compounded return does; always defined."""

    def __init__(self, matrix: FloatArray, blocks: int) -> None:
        self.configurations = matrix.shape[1]
        length = len(matrix) // blocks
        parts = [log_growth(matrix[b * length : (b + 1) * length]).sum(axis=0) for b in range(blocks)]
        self._sums = _Subsets(np.array(parts))

    def measure(self, bits: IntArray) -> Half:
        growth = self._sums.sum(bits)
        return Half(growth, growth)


def _first_known(figures: FloatArray) -> FloatArray:
    """Return the first figure of each column that is not NaN, (configurations,); NaN if there is none."""
    first = np.argmax(~np.isnan(figures), axis=0)
    return np.asarray(figures[first, np.arange(figures.shape[1])], dtype=np.float64)


def _with_limits(ratio: FloatArray, undefined: BoolArray, mean: FloatArray) -> FloatArray:
    """Return the ratios (choices, configurations), the undefined ones by their mean returns."""
    return np.where(undefined, _limit(mean), ratio)


def _limit(mean: FloatArray) -> FloatArray:
    return np.where(np.abs(mean) <= NOISE, 0.0, np.copysign(np.inf, mean))
