"""The tables that a sweep writes: one row for each backtest."""

from __future__ import annotations

from whatif.lake.spec import TableSpec, columns

_KEY = "bars_snapshot bigint, config_id string, symbol string, window string"
_WINDOW = "window_start timestamp, window_end timestamp"

RESULTS = TableSpec(
    name="results",
    columns=columns(f"""{_KEY}, {_WINDOW}, study string, status string, error string, parameters string,
        metrics string, pins string, engine string, versions string, user string, host string,
        command string, wall_seconds double, created_at timestamp"""),
    key=("bars_snapshot", "config_id", "symbol", "window", "window_start", "window_end"),
    sort_order=("config_id", "symbol"),
)

RETURNS = TableSpec(
    name="returns",
    columns=columns(f"{_KEY}, {_WINDOW}, period string, returns array<double>"),
    key=("bars_snapshot", "config_id", "symbol", "window", "window_start", "window_end"),
    sort_order=("config_id", "symbol"),
)
