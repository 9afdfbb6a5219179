"""Tolerance under which a spread, a loss or an account is rounding and not a value.

Plain arithmetic on numbers or arrays; `whatif.domain.statistics` lets compiled kernels call it.
"""

from __future__ import annotations

from typing import TypeVar

from whatif.typing import FloatArray

_T = TypeVar("_T", float, FloatArray)

NOISE = 1e-12
"""Share of an amount below which what is left of it is rounding: some 4,500 times the spacing of doubles.

Of returns, the amount is the account (1, and what it earned); of profits, the largest execution.
"""


def noise_of(amount: _T) -> _T:
    """Return up to what size a difference between amounts of this size is rounding.

    Every metric that divides by a spread or a loss has no value unless that is larger, see `NOISE`.
    """
    return NOISE * abs(amount)


def noise_of_returns(mean: _T) -> _T:
    """Return up to what size a deviation of simple returns with this mean is rounding of equity."""
    return NOISE * (1.0 + abs(mean))
