"""Columns of one backtest's row, shared by the worker that writes and the tables that keep them."""

from __future__ import annotations

from whatif.domain.metric_table import BENCHMARK_COLUMNS, METRIC_COLUMNS

KEY = ("bars_snapshot", "data_digest", "config_id", "symbol", "window", "window_start", "window_end")
"""What identifies a backtest: the market, the slice, the configuration, the window."""

KEY_COLUMNS = {
    "bars_snapshot": "bigint",
    "data_digest": "string",
    "config_id": "string",
    "symbol": "string",
    "window": "string",
    "window_start": "timestamp",
    "window_end": "timestamp",
}

RESULT_COLUMNS = {
    **KEY_COLUMNS,
    "study": "string",
    "status": "string",
    "error": "string",
    "notes": "string",
    "strategy": "string",
    "timeframe": "string",
    "model": "string",
    "parameters": "string",
    "execution": "string",
    **METRIC_COLUMNS,
    **BENCHMARK_COLUMNS,
    "orders_rejected": "bigint",
    "bars": "bigint",
    "period": "string",
    "periods_per_year": "double",
    "pins": "string",
    "engine": "string",
    "versions": "string",
    "user": "string",
    "host": "string",
    "command": "string",
    "worker": "string",
    "wall_seconds": "double",
    "finished_at": "timestamp",
    "semantics": "string",
}
"""Columns of `results`. Symbols of a shared portfolio are joined by "+"; `semantics` says whose fills these
are, whatever engine made them."""

RETURN_COLUMNS = {**KEY_COLUMNS, "period": "string", "returns": "array<double>"}

TRADE_ARRAYS = {
    "opened_at": "array<timestamp>",
    "closed_at": "array<timestamp>",
    "trade_symbol": "array<string>",
    "size": "array<double>",
    "entry_price": "array<double>",
    "exit_price": "array<double>",
    "pnl": "array<double>",
    "pnl_net": "array<double>",
    "exit_reason": "array<string>",
    "entry_order": "array<double>",
    "stop_price": "array<double>",
    "target_price": "array<double>",
}

EQUITY_ARRAYS = {
    "ts": "array<timestamp>",
    "equity": "array<double>",
    "benchmark": "array<double>",
    "position": "array<double>",
}

PLAN_COLUMNS = ("bars_snapshot", "data_digest", "study", "strategy", "versions", "user", "host", "command")
"""Columns that are the same in all rows of a plan: no worker sends them, the driver adds them."""

SWEPT_COLUMNS = {**RESULT_COLUMNS, "returns": "array<double>"}
"""The row of a backtest before it is stored: its result and its returns."""

KEPT_COLUMNS = {
    **SWEPT_COLUMNS,
    **{f"trades_{name}": kind for name, kind in TRADE_ARRAYS.items()},
    **{f"equity_{name}": kind for name, kind in EQUITY_ARRAYS.items()},
}
"""The row of one whose series are kept: those too."""


def row_columns(keep: bool) -> dict[str, str]:
    """Return the columns of a backtest's row, with series or without."""
    return KEPT_COLUMNS if keep else SWEPT_COLUMNS


def worker_columns(keep: bool) -> dict[str, str]:
    """Return those of them that a worker sends."""
    return {name: kind for name, kind in row_columns(keep).items() if name not in PLAN_COLUMNS}


def ddl(columns: dict[str, str]) -> str:
    """Return `columns` as the DDL that Spark takes for a schema."""
    return ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
