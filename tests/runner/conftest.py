"""A lake made by PyIceberg alone, and a plan over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog

from whatif.calendars import make_periods, schedule
from whatif.domain.bars import Bars
from whatif.domain.execution import Execution
from whatif.domain.rows import worker_columns
from whatif.domain.timeframe import MINUTE_US
from whatif.lake.spec import TableSpec
from whatif.lake.tables import BARS, PREDICTIONS
from whatif.pins import Pin
from whatif.runner import load, worker
from whatif.runner.plan import ModelPin, Plan, WindowPlan, WorkItem
from whatif.search.configuration import Configuration
from whatif.search.slices import BarSlice
from whatif.splits.fold import Window
from whatif.strategies import resolve, to_portable

from ..markets import FIRST, LAST, lake_rows, us

TYPES = {
    "string": pa.string(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
    "double": pa.float64(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
}

VALIDATE = Window("validate", us("2013-10-08T13:30"), us("2013-10-09T20:00"))
"""Two whole sessions of six, with two before it and two behind."""


@dataclass
class Lake:
    """Tables of one catalog in a folder."""

    catalog: SqlCatalog

    def put(self, spec: TableSpec, rows: pd.DataFrame) -> Pin:
        schema = pa.schema([(name, TYPES[kind]) for name, kind in spec.columns])
        table = self.catalog.create_table_if_not_exists(f"whatif.{spec.name}", schema)
        table.append(pa.Table.from_pandas(rows[[*spec.column_names]], schema, preserve_index=False))
        snapshot = table.current_snapshot()
        assert snapshot is not None
        return Pin(spec.name, snapshot.snapshot_id, table.metadata_location)

    def put_bars(self, markets: Sequence[Bars]) -> Pin:
        return self.put(BARS, pd.concat([lake_rows(bars) for bars in markets]).sample(frac=1, random_state=3))

    def put_predictions(self, symbol: str, ts: Any, values: Any, digest: str = "forest") -> Pin:
        stamps = pd.DatetimeIndex(pd.to_datetime(ts, unit="us")).tz_localize("UTC")
        rows = {"model_digest": digest, "symbol": symbol, "ts": stamps, "prediction": values}
        return self.put(PREDICTIONS, pd.DataFrame({**rows, "prob_long": None, "prob_short": None}))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    catalog = SqlCatalog("made", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/made")
    catalog.create_namespace("whatif")
    return Lake(catalog)


@pytest.fixture
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the worker start without anything in its caches."""
    monkeypatch.setattr(load, "_rows", None)
    monkeypatch.setattr(load, "_arrays", None)


@pytest.fixture
def make_plan(fresh_process: None) -> Callable[..., Plan]:
    def make(
        pin: Pin,
        symbols: Sequence[str],
        strategy: object = "sma_crossover",
        timeframes: Sequence[str] = ("1min",),
        models: Mapping[tuple[str, str, int], ModelPin] | None = None,
        **changes: Any,
    ) -> Plan:
        sessions = schedule("XNYS", FIRST, LAST)
        bounds = int(sessions.open_us[0]), int(sessions.close_us[-1])
        windows = {}
        for window in (VALIDATE, Window("empty", us("2013-10-09T23:00"), us("2013-10-10T01:00"))):
            inside = sessions.between(window.start_us, window.end_us)
            periods = make_periods("hour", inside, window.start_us, window.end_us, MINUTE_US)
            windows[window.name] = WindowPlan(window, periods)
        plan = Plan(
            study="made",
            data_digest="digest",
            bars=pin,
            slices={
                tf: BarSlice(tuple(symbols), "1min", tf, "XNYS", "regular", *bounds) for tf in timeframes
            },
            models=models or {},
            strategy=to_portable(resolve(strategy)),
            strategy_name=str(strategy),
            windows=windows,
            engine="backtrader",
            provenance={"user": "u", "host": "h", "command": "c", "versions": "{}"},
        )
        return replace(plan, **changes)

    return make


def configuration(
    name: str, timeframe: str = "1min", model: str | None = None, **params: Any
) -> Configuration:
    return Configuration(name, params, model, timeframe, Execution(cash=100_000.0, commission=0.0001))


def evaluate(plan: Plan, *items: WorkItem, attempt: int = 0) -> pd.DataFrame:
    """Return the rows of all items as Python's own values, sent through text as both runners do."""
    return pd.DataFrame(
        evaluate_table(plan, *items, attempt=attempt).to_pylist(),
        columns=list(worker_columns(any(item.keep for item in items))),
    )


def evaluate_table(plan: Plan, *items: WorkItem, attempt: int = 0) -> pa.Table:
    """Return the rows of all items as they leave a worker."""
    return pa.Table.from_batches(worker.evaluate(plan, [item.to_json() for item in items], attempt))
