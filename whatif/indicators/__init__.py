"""Indicators: one definition of each for Spark, workers and notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.indicators.expression import ArrayCache, Call, Expression, Node, evaluate, parse
    from whatif.indicators.registry import INDICATORS, Indicator, get_indicator
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "expression": "ArrayCache Call Expression Node evaluate parse",
            "registry": "INDICATORS Indicator get_indicator",
        },
    )
