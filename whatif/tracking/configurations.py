"""Child runs: one for each configuration, up to a number that a tracking server can bear."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from whatif.domain import METRIC_KEYS
from whatif.tracking.run import TrackedRun, finish, is_over, log, runs_below, start_child

ALL_UP_TO = 500
BEST_ABOVE = 100


def log_configurations(parent: TrackedRun, leaderboard: pd.DataFrame) -> int:
    """Log a child run for each row of the leaderboard that has none yet; return how many.

    All rows up to 500; above that the best 100. A child holds the parameters and the
    metrics of the validate window.
    """
    rows = leaderboard if len(leaderboard) <= ALL_UP_TO else leaderboard.head(BEST_ABOVE)
    known = runs_below(parent, "configuration")
    logged = 0
    for record in rows.to_dict("records"):
        row = {str(name): value for name, value in record.items()}
        identity = f"{row['config_id']}/{row['symbol']}"
        if identity in known and is_over(known[identity]):
            continue
        name = f"{row['config_id'][:8]} {row['symbol']}"
        child = start_child(parent, name, identity, "configuration", known)
        log(child, params=_params(row), metrics=_metrics(row), tags=_tags(row))
        finish(child, "FINISHED" if row["status"] == "ok" else "FAILED")
        logged += 1
    return logged


def _params(row: dict[str, Any]) -> dict[str, Any]:
    names = ("config_id", "symbol", "strategy", "timeframe", "model")
    fixed = {name: row[name] for name in names if row.get(name)}
    execution = {f"execution.{key}": value for key, value in json.loads(row["settings"]).items()}
    return {**fixed, **json.loads(row["parameters"]), **execution}


def _metrics(row: dict[str, Any]) -> dict[str, float]:
    return {f"validate.{name}": float(row[name]) for name in METRIC_KEYS if pd.notna(row.get(name))}


def _tags(row: dict[str, Any]) -> dict[str, str]:
    tags = {"whatif.status": str(row["status"]), "whatif.rank": str(row.get("rank", ""))}
    return {**tags, "whatif.error": str(row["error"])} if row["status"] != "ok" else tags
