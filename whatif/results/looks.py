"""Writes down each time that a test window is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from whatif.domain import timestamps
from whatif.lake import TEST_LOOKS, append_rows
from whatif.results.store import ResultStore
from whatif.results.work import Pending

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def record_looks(
    session: Callable[[], SparkSession],
    store: ResultStore,
    pending: Sequence[Pending],
    origin: Mapping[str, str],
) -> None:
    """Add a row to `test_looks` for each backtest that is about to be run on a test window."""
    bounds = {
        fold.test.name: timestamps(np.array([fold.test.start_us, fold.test.end_us]))
        for fold in store.resolved.timeline.every
        if fold.test is not None
    }
    rows = [
        {
            "study": store.resolved.study.study,
            "data_digest": store.resolved.data_digest,
            "looked_at": datetime.now(UTC),
            "user": origin["user"],
            "host": origin["host"],
            "config_id": configuration.config_id,
            "symbol": "+".join(part.symbols),
            "window_start": bounds[part.window][0],
            "window_end": bounds[part.window][1],
            "command": origin["command"],
        }
        for part in pending
        for configuration in part.configurations
    ]
    append_rows(None if store.location.local else session(), store.location, TEST_LOOKS, rows)
