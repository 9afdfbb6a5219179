"""A study's models: trained once, predicted in one commit each, from the validate window on."""

from __future__ import annotations

import pandas as pd
import pytest

from whatif.domain.frames import timestamps
from whatif.lake import create_tables
from whatif.lake.tables import PREDICTIONS
from whatif.pins import open_table, read_arrow
from whatif.resolve.resolved import resolve_study
from whatif.study import parse_study
from whatif.workflow.train import prepare

from ..markets import put_bars, walk

pytestmark = pytest.mark.spark

STUDY = """
study: forests
data: {symbols: [SPY, IBM], start: 2013-10-04, end: 2013-10-12}
calendar: {exchange: XNYS}
features: [roc(1), sma(3)]
label: {horizon: 5min}
models:
  one: {trees: 1, depth: 1, seed: 1}
  two: {trees: 1, depth: 1, seed: 2, target: level, features: ['sma(3)']}
  unused: {trees: 1, depth: 1, seed: 3}
strategy: {name: forecast_threshold}
axes: {model: [one, two]}
split: {train: 0.5, validate: 0.25, test: 0.25, embargo: 5min}
"""


def test_one_commit_for_each_model_and_none_the_second_time(spark, lake_home) -> None:
    markets = [walk(symbol, seed, minutes=60) for seed, symbol in enumerate(("SPY", "IBM"))]
    put_bars(lake_home, markets)
    create_tables(spark, lake_home, (PREDICTIONS,))
    resolved = resolve_study(parse_study(STUDY), lake_home)
    prepared = prepare(lambda: spark, lake_home, resolved)
    assert prepared.trained == ("one", "two")
    assert len(open_table(lake_home, "predictions").metadata.snapshots) == 2

    pin = prepared.models["one", "1min", 1].pin
    rows = read_arrow(pin, ["model_digest", "symbol", "ts", "prediction"]).to_pandas()
    assert set(rows["model_digest"]) == {model.model_digest for model in prepared.models.values()}
    # train ends with 8 October; all that follows is predicted, so that no embargo needs another training
    begin = pd.Timestamp("2013-10-09 13:30", tz="UTC")
    for _, own in rows.groupby("model_digest"):
        expected = [(b.symbol, ts) for b in markets for ts in timestamps(b.ts) if ts >= begin]
        assert sorted(zip(own["symbol"], own["ts"], strict=True)) == sorted(expected)
    level = rows[rows["model_digest"] == prepared.models["two", "1min", 1].model_digest]
    assert level["prediction"].between(50, 200).all()
    assert prepared.models["two", "1min", 1].target == "level"

    again = prepare(lambda: spark, lake_home, resolved)
    assert again.trained == ()
    assert again.models == prepared.models
    assert len(open_table(lake_home, "predictions").metadata.snapshots) == 2
