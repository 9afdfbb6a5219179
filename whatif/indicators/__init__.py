"""Indicators: one definition of each for Spark, workers and notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.indicators.definition import Indicator
    from whatif.indicators.elsewhere import (
        TIME_SERIES,
        Needs,
        OtherBars,
        Stored,
        check_place,
        session_minutes,
        with_needs,
    )
    from whatif.indicators.expression import ArrayCache, Call, Expression, Node, evaluate, needs_of, parse
    from whatif.indicators.library import library_version
    from whatif.indicators.momentum import crossings, mark_crossings
    from whatif.indicators.news import NEWS_SERIES, RELATED, Items, News, Relation
    from whatif.indicators.operators import ACROSS
    from whatif.indicators.registry import INDICATORS, get_indicator
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "definition": "Indicator",
            "elsewhere": "Needs OtherBars Stored TIME_SERIES check_place session_minutes with_needs",
            "expression": "ArrayCache Call Expression Node evaluate needs_of parse",
            "library": "library_version",
            "momentum": "crossings mark_crossings",
            "news": "Items NEWS_SERIES News RELATED Relation",
            "operators": "ACROSS",
            "registry": "INDICATORS get_indicator",
        },
    )
