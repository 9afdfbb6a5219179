"""Conformance suites of every kind of plug-in: random markets and orders, golden cases, comparison by bytes.

`check_strategy` runs a strategy of one's own on every engine. Needs hypothesis, which only tests
install.
"""

from __future__ import annotations

try:
    import hypothesis
except ImportError as error:
    raise ImportError(
        "whatif.testing draws its cases with hypothesis, which is not installed: pip install hypothesis"
    ) from error

from whatif.engines import differences
from whatif.testing.axes import check_axis
from whatif.testing.compare import assert_same, task_differences, within_whole_units
from whatif.testing.conformance import check_strategy
from whatif.testing.engines import check_engine
from whatif.testing.labels import check_label
from whatif.testing.markets import Shape, bars_of_prices, markets, random_bars, random_series
from whatif.testing.models import check_model
from whatif.testing.order_kinds import OrderCase, order_cases, order_player, random_order_case
from whatif.testing.orders import (
    Case,
    Script,
    SharedCase,
    across_player,
    cases,
    executions,
    random_case,
    random_costs,
    random_script,
    random_shared_case,
    script_of,
    scripted,
    scripts,
    state_reader,
    with_costs,
    with_finer_fills,
    with_settings,
)
from whatif.testing.searches import check_search
from whatif.testing.sources import check_source
from whatif.testing.splits import check_split

__all__ = [
    "Case",
    "Script",
    "Shape",
    "SharedCase",
    "across_player",
    "assert_same",
    "bars_of_prices",
    "cases",
    "check_axis",
    "check_engine",
    "check_label",
    "check_model",
    "check_search",
    "check_source",
    "check_split",
    "check_strategy",
    "differences",
    "executions",
    "markets",
    "random_bars",
    "random_case",
    "random_costs",
    "random_script",
    "random_series",
    "random_shared_case",
    "script_of",
    "scripted",
    "scripts",
    "state_reader",
    "task_differences",
    "with_costs",
    "with_finer_fills",
    "with_settings",
    "within_whole_units",
]
