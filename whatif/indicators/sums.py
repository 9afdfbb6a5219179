"""Sums that equal `math.fsum` to the last bit."""

from __future__ import annotations

from whatif.domain import exact_sum, exact_sum_in, exact_sum_python

__all__ = ["exact_sum", "exact_sum_in", "exact_sum_python"]
