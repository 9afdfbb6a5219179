"""The same pins and stored predictions give the same bytes on one machine and on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from whatif.lake import TableSpec
from whatif.lake.results import RESULTS, RETURNS
from whatif.lake.tables import EQUITY, PREDICTIONS, TRADES
from whatif.pins import LakeLocation
from whatif.workflow import RunOptions, run

from ..markets import put_bars, walk
from ..workflow.conftest import plain_rows, rows_of, study_text
from .conftest import Cluster

pytestmark = pytest.mark.cluster

MODELS = {
    "features": ["roc(1)", "roc(5)"],
    "label": {"kind": "forward_vwap", "horizon": "5min", "target": "return"},
    "models": {"small": {"kind": "random_forest", "trees": 3, "depth": 3, "seed": 7}},
    "strategy": {"name": "forecast_threshold", "params": {"size": 50.0}},
    "axes": {"threshold": [0.0, 0.0001, 0.0002]},
    "keep": {"trades": "all", "equity": "all"},
}
TABLES = (RESULTS, RETURNS, TRADES, EQUITY)


def emptied(spark: Any, location: LakeLocation, tables: tuple[TableSpec, ...]) -> None:
    for table in tables:
        spark.sql(f"DELETE FROM {location.identifier(table.name)}")


def test_a_cluster_gives_the_same_bytes_on_the_same_predictions(
    spark: Any, lake_home: LakeLocation, cluster: Cluster, tmp_path: Path
) -> None:
    put_bars(lake_home, [walk("A", 1, minutes=120), walk("B", 2, minutes=120)])
    study = tmp_path / "study.yaml"
    study.write_text(study_text(**MODELS))
    local = run(study, spark, lake_home, RunOptions(track=False))
    expected = {table.name: plain_rows(lake_home, table) for table in TABLES}
    predictions = plain_rows(lake_home, PREDICTIONS)
    emptied(spark, lake_home, TABLES)

    done = cluster.submit("run_whatif.py", str(study), "--no-track", home=lake_home.home)

    assert done.returncode == 0, done.stdout + done.stderr
    assert plain_rows(lake_home, PREDICTIONS) == predictions, "no model may be trained again"
    for table in TABLES:
        assert plain_rows(lake_home, table) == expected[table.name], table.name
    assert len(expected["results"]) == 3 * 2 + 2
    assert len(local.leaderboard()) == 6
    workers = set(rows_of(lake_home, RESULTS)["worker"])
    assert len(workers) > 1, "one executor did all the work"
