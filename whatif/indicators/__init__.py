"""Indicators: one definition of each for Spark, workers and notebooks."""

from __future__ import annotations

from whatif.indicators.evaluation import ArrayCache, evaluate
from whatif.indicators.expression import Expression
from whatif.indicators.parser import parse
from whatif.indicators.registry import INDICATORS, Indicator, get_indicator

__all__ = ["INDICATORS", "ArrayCache", "Expression", "Indicator", "evaluate", "get_indicator", "parse"]
