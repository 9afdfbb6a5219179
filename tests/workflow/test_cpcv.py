"""Combinatorial studies: three folds of six sessions' first four fifths, two of them tested on."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from whatif.lake.results import RESULTS, RETURNS
from whatif.lake.tables import PREDICTIONS, TEST_LOOKS
from whatif.resolve.resolved import resolve_study
from whatif.workflow import RunOptions, run

from .conftest import rows_of, run_twice
from .test_walk_forward import FORESTS as WALKING
from .test_walk_forward import no_spark

SPLIT = {"kind": "cpcv", "folds": 3, "test_folds": 2, "test": 0.2, "embargo": "5min"}
FORESTS = {**WALKING, "axes": {"model": ["small"], "threshold": [0.00001, 0.0001]}, "split": SPLIT}


@pytest.mark.slow
@pytest.mark.spark
def test_forests(go_on_spark, market, monkeypatch, make_study) -> None:
    result = go_on_spark(report=True, **FORESTS)
    stored = rows_of(market, RESULTS)
    # three splits, each tested on two of three folds, two configurations, two symbols
    assert result.computed == 3 * 2 * 2 * 2
    windows = stored.groupby("window")["config_id"].nunique().to_dict()
    assert windows == {"fold-01": 4, "fold-02": 4, "fold-03": 4, "test": 1}
    assert rows_of(market, PREDICTIONS)["model_digest"].nunique() == 3 + 1
    assert len(rows_of(market, TEST_LOOKS)) == 2

    # the objective by hand: two paths, (split 1, 1, 2) and (2, 3, 3) of folds 1, 2 and 3
    best = result.best
    resolved = resolve_study(make_study(**FORESTS), market)
    point = resolved.configuration(best.config_id).point
    own = {
        fold.number: next(c.config_id for c in resolved.configurations(fold) if c.point == point)
        for fold in resolved.timeline.folds
    }
    returns = rows_of(market, RETURNS).set_index(["window", "config_id", "symbol"])["returns"]
    year = stored["periods_per_year"].iloc[0]
    sharpes = []
    for splits in ((1, 1, 2), (2, 3, 3)):
        parts = [returns[f"fold-0{k}", own[split], best.symbol] for k, split in enumerate(splits, 1)]
        joined = np.concatenate(parts)
        sharpes.append(joined.mean() / joined.std(ddof=1) * np.sqrt(year))
    assert best.validate["sharpe"] == pytest.approx(np.mean(sharpes))
    assert list(result.leaderboard()["sharpe"]) == sorted(result.leaderboard()["sharpe"], reverse=True)
    assert best.test["status"] == "ok"
    assert result.verdict.verdict.figures.compared == 4
    assert any("the first of 2 paths" in note for note in result.verdict.notes)

    never_traded_where_it_learnt(market, make_study)

    monkeypatch.setattr("whatif.workflow.train.get_spark", no_spark)
    again = run(make_study(**FORESTS), location=market, options=RunOptions(track=False))
    assert (again.computed, again.resumed) == (0, 24)
    pd.testing.assert_frame_equal(again.leaderboard(), result.leaderboard())


def never_traded_where_it_learnt(market, make_study) -> None:
    """Fail if a split predicts in its train windows, or has no prediction in a test window."""
    resolved = resolve_study(make_study(**FORESTS), market)
    predicted = rows_of(market, PREDICTIONS)
    for fold in resolved.timeline.folds:
        digest = resolved.models["small", "1min", fold.number].digest(resolved.bars.snapshot_id)
        ts = predicted[predicted["model_digest"] == digest]["ts"].astype("int64")
        ts = ts if ts.max() < 10**17 else ts // 1000
        for window in fold.train:
            assert not ((ts >= window.start_us) & (ts < window.end_us)).any()
        for window in fold.validate:
            assert ((ts >= window.start_us) & (ts < window.end_us)).any()
    pins = [json.loads(text)[1]["model_digest"] for text in rows_of(market, RESULTS)["pins"]]
    assert set(pins) == set(predicted["model_digest"])


def test_without_a_model_each_fold_is_run_once(go, market) -> None:
    result = go(split=SPLIT)
    assert result.computed == 3 * 4 * 2
    assert any("one path, since nothing is trained" in note for note in result.data.origin.notes)
    assert set(result.comparison["window"]) == {"validate", "test"}


@pytest.mark.slow
def test_pooled(go) -> None:
    result = go(report=True, split=SPLIT, rank="pooled")
    assert len(result.leaderboard()) == 4
    assert set(result.leaderboard()["symbol"]) == {"A+B"}


@pytest.mark.slow
@pytest.mark.spark
def test_bars_of_the_test_window_change_no_choice(lake_home, spark, make_study, tmp_path) -> None:
    study = make_study(**FORESTS)
    one, other = run_twice(
        study, tmp_path, lambda first: resolve_study(study, first).timeline.last.train[-1].end_us
    )
    names = ["rank", "config_id", "symbol", "sharpe", "return_pct", "trades"]
    pd.testing.assert_frame_equal(one.leaderboard()[names], other.leaderboard()[names])
    assert one.best.config_id == other.best.config_id
    assert one.best.test["pnl_net"] != other.best.test["pnl_net"]
