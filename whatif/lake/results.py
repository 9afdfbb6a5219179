"""Tables of results: one row for each backtest."""

from __future__ import annotations

from whatif.domain import KEY, RESULT_COLUMNS, RETURN_COLUMNS
from whatif.lake.spec import TableSpec

RESULTS = TableSpec(
    name="results",
    columns=tuple(RESULT_COLUMNS.items()),
    key=KEY,
    sort_order=("config_id", "symbol"),
    sorted_apart=True,
)
"""One row for each backtest, also for one that failed."""

RETURNS = TableSpec(
    name="returns",
    columns=tuple(RETURN_COLUMNS.items()),
    key=KEY,
    sort_order=("config_id", "symbol"),
    sorted_apart=True,
    distinct=True,
)
"""Returns of each period, fractions, in time order; the periods are the window's, the same for all."""
