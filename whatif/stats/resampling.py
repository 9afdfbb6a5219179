"""The bootstraps of arch, without the volatility models that its package imports on the way to them."""

from __future__ import annotations

from whatif.startup import defer_package

# arch's bootstraps take a normal distribution of scipy's statistics, for intervals that nobody asks for here
defer_package("arch")
defer_package("scipy.stats")

from arch.bootstrap import MCS, SPA, StationaryBootstrap, optimal_block_length  # noqa: E402

__all__ = ["MCS", "SPA", "StationaryBootstrap", "optimal_block_length"]
