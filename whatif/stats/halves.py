"""Objectives on every choice of half of the blocks, from sums that are made once.

The sums of every subset of the first half of the blocks are kept, and of every subset of the second:
one addition joins two of them to any choice of blocks. All arithmetic is elementwise, so that equal
columns give equal numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from whatif.domain import NOISE, noise_of_returns
from whatif.stats.objectives import constant_columns, log_growth, measure
from whatif.typing import FloatArray, IntArray

_T = TypeVar("_T", np.float64, np.uint8)

_CANCELS = 1e-5
"""A variance that is a smaller share of the sum of squares is computed again in two passes."""


@dataclass(frozen=True, eq=False)
class Half:
    """Objective of all configurations on half of the blocks.

    Attributes
    ----------
    ranked : float64 array (configurations,)
        NaN where undefined.
    limits : float64 array (configurations,)
        Where undefined, 0 if the mean return is 0, else infinity with its sign.
    """

    ranked: FloatArray
    limits: FloatArray


class Halves(Protocol):
    """An objective that can be measured on any half of the blocks."""

    configurations: int

    def measure(self, bits: int) -> Half:
        """Measure on the blocks whose bits are set, half of all."""


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

    def sum(self, bits: int) -> npt.NDArray[_T]:
        """Return the sum over the blocks whose bits are set, (configurations,)."""
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

    def measure(self, bits: int) -> Half:
        total, squares = self._sums.sum(bits), self._squares.sum(bits)
        scatter = squares - total * total / self._n
        mean = total / self._n + self._center
        resting = np.flatnonzero(self._busy.sum(bits) == 0)
        scatter[resting] = np.nan
        rounding = (self._n - 1) * noise_of_returns(mean) ** 2
        doubtful = np.flatnonzero(scatter <= np.maximum(_CANCELS * squares, rounding))
        scatter[doubtful] = np.nan
        ratio = mean / np.sqrt(scatter / (self._n - 1))
        limits = _with_limits(ratio, resting, self._rest[resting])
        if len(doubtful):
            self._again(bits, doubtful, ratio, limits)
        return Half(ratio, limits)

    def _again(self, bits: int, columns: IntArray, ratio: FloatArray, limits: FloatArray) -> None:
        """Measure some columns from the blocks' means and the scatter within them."""
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

    def measure(self, bits: int) -> Half:
        mean, losses = self._sums.sum(bits) / self._n, self._losses.sum(bits)
        undefined = np.flatnonzero(losses <= self._n * noise_of_returns(mean) ** 2)
        losses[undefined] = np.nan
        ratio = mean / np.sqrt(losses / self._n)
        return Half(ratio, _with_limits(ratio, undefined, mean[undefined]))


class _Growth:
    """Sum of ln(1 + r), which ranks as the compounded return does; always defined."""

    def __init__(self, matrix: FloatArray, blocks: int) -> None:
        self.configurations = matrix.shape[1]
        length = len(matrix) // blocks
        parts = [log_growth(matrix[b * length : (b + 1) * length]).sum(axis=0) for b in range(blocks)]
        self._sums = _Subsets(np.array(parts))

    def measure(self, bits: int) -> Half:
        growth = self._sums.sum(bits)
        return Half(growth, growth)


def _first_known(figures: FloatArray) -> FloatArray:
    """Return the first figure of each column that is not NaN, (configurations,); NaN if there is none."""
    first = np.argmax(~np.isnan(figures), axis=0)
    return np.asarray(figures[first, np.arange(figures.shape[1])], dtype=np.float64)


def _with_limits(ratio: FloatArray, undefined: IntArray, mean: FloatArray) -> FloatArray:
    """Return a copy of the ratios in which undefined ones count by their mean returns, (undefined,)."""
    limits = ratio.copy()
    limits[undefined] = _limit(mean)
    return limits


def _limit(mean: FloatArray) -> FloatArray:
    return np.where(np.abs(mean) <= NOISE, 0.0, np.copysign(np.inf, mean))
