"""Forests: what trains them, that they come out the same, and how they are judged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from whatif.domain.timeframe import MINUTE_US
from whatif.errors import ModelError
from whatif.features.spec import FeatureSpec, feature_frame
from whatif.labels import ForwardVwap
from whatif.models import RandomForest
from whatif.search.slices import BarSlice
from whatif.splits.fold import Window
from whatif.training.fit import Trained, predict, train, training_rows
from whatif.training.spec import ModelSpec, model_spec
from whatif.training.validation import validation_metrics

from ..markets import us, walk

pytestmark = pytest.mark.spark

TRAIN = Window("train", us("2013-10-04T13:30"), us("2013-10-09T13:30"))
VALIDATE = Window("validate", us("2013-10-09T13:30"), us("2013-10-10T16:45"))
FEATURES = FeatureSpec(
    BarSlice(
        ("SPY", "IBM"), "1min", "1min", "XNYS", "regular", us("2013-10-04T13:30"), us("2013-10-11T20:00")
    ),
    ("sma(5)", "roc(3)", "close"),
    ForwardVwap(horizon="5min"),
)
DDL = (
    "symbol string, ts timestamp, sma_5 double, roc_3 double, close double, "
    "label_level double, label_return double, label_end timestamp"
)


def spec(train_window: Window = TRAIN, target: str = "return", **forest: object) -> ModelSpec:
    forest = {"trees": 3, "depth": 3, "seed": 7, **forest}
    return model_spec("rf", RandomForest.model_validate(forest), FEATURES, target, train_window)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    frames = [
        feature_frame(walk(symbol, seed, minutes=120), FEATURES) for seed, symbol in enumerate(("SPY", "IBM"))
    ]
    return pd.concat(frames, ignore_index=True)


@pytest.fixture
def forest(spark, rows: pd.DataFrame) -> Trained:
    """Return one forest for all tests that only look at it."""
    if not _FOREST:
        _FOREST.append(train(on_spark(spark, rows), spec()))
    return _FOREST[0]


_FOREST: list[Trained] = []


def on_spark(spark, rows: pd.DataFrame, partitions: int = 2):
    return spark.createDataFrame(rows.sample(frac=1.0, random_state=partitions), DDL).repartition(partitions)


def complete(rows: pd.DataFrame) -> pd.Series:
    return rows[["sma_5", "roc_3", "close"]].notna().all(axis=1)


def at(us_: int) -> pd.Timestamp:
    return pd.Timestamp(us_, unit="us", tz="UTC")


def test_rows_are_purged_by_the_end_of_their_label(spark) -> None:
    """Bars of 13:30 to 13:59, the window to 13:50: the label of 13:44 ends at 13:50, that of 13:45 later."""
    minutes = [f"2013-10-04T{13 + (30 + n) // 60:02}:{(30 + n) % 60:02}" for n in range(30)]
    frame = pd.DataFrame(
        {
            "symbol": "A",
            "ts": [at(us(text)) for text in minutes],
            **dict.fromkeys(("sma_5", "roc_3", "close"), 1.0),
            "label_level": 2.0,
            "label_return": 1.0,
            "label_end": [at(us(text) + 6 * MINUTE_US) for text in minutes],
        }
    )
    frame.loc[3, "roc_3"] = np.nan
    frame.loc[5, ["label_level", "label_return"]] = np.nan
    window = Window("train", us("2013-10-04T13:31"), us("2013-10-04T13:50"))
    kept = training_rows(spark.createDataFrame(frame, DDL), spec(window)).toPandas()
    # 13:31 to 13:44, without 13:33 (a feature is missing) and 13:35 (the label is)
    expected = [text for text in minutes[1:15] if text[-2:] not in ("33", "35")]
    assert sorted(kept["ts"].dt.tz_localize("UTC")) == [at(us(text)) for text in expected]


def test_the_number_of_rows_by_hand(rows: pd.DataFrame, forest: Trained) -> None:
    own = rows[complete(rows) & rows["label_return"].notna()]
    assert forest.fitted.rows == int((own["label_end"] <= at(TRAIN.end_us)).sum())
    assert sum(forest.fitted.importances) == pytest.approx(1.0)
    assert len(forest.fitted.importances) == 3


def test_the_same_rows_give_the_same_forest(spark, rows: pd.DataFrame, forest: Trained) -> None:
    """Again, and from rows in another order in other partitions."""
    forests = [train(on_spark(spark, rows, n), spec()).fitted.model.toDebugString for n in (2, 5)]
    body = [
        "\n".join(text.splitlines()[1:]) for text in (forest.fitted.model.toDebugString, *forests)
    ]  # the first line has a name of its own
    assert body[0] == body[1] == body[2]
    assert "If (feature" in body[0]
    other = train(on_spark(spark, rows), spec(seed=8)).fitted.model.toDebugString
    assert "\n".join(other.splitlines()[1:]) != body[0]


def test_parameters_reach_the_forest(spark, rows: pd.DataFrame) -> None:
    forest = {"bins": 8, "min_leaf": 9, "feature_subset": "all", "seed": 3}
    model = train(on_spark(spark, rows), spec(**forest)).fitted.model
    assert model.getNumTrees == 3
    found = {p.name: model.getOrDefault(p) for p in model.params if model.hasDefault(p) or model.isSet(p)}
    wanted = {
        "maxDepth": 3,
        "maxBins": 8,
        "minInstancesPerNode": 9,
        "featureSubsetStrategy": "all",
        "seed": 3,
    }
    assert {name: found[name] for name in wanted} == wanted


def test_a_model_of_some_features(spark, rows: pd.DataFrame) -> None:
    one = spec(features=["close", "roc(3)"])
    assert one.columns == ("close", "roc_3")
    # sma(5) is missing everywhere, and this model does not mind
    trained = train(on_spark(spark, rows.assign(sma_5=np.nan)), one)
    assert trained.fitted.model.numFeatures == 2
    with pytest.raises(
        ModelError, match=r"model 'rf' has no row to train on in train \[2013-10-04T13:30Z, .*lengthen"
    ):
        train(on_spark(spark, rows.assign(sma_5=np.nan)), spec())


def test_predictions_begin_with_validate_and_need_every_feature(
    spark, rows: pd.DataFrame, forest: Trained
) -> None:
    holed = rows.copy()
    after = holed["ts"] >= at(VALIDATE.start_us)
    holed.loc[holed[after].index[:4], "roc_3"] = np.nan
    found = predict(on_spark(spark, holed), forest, VALIDATE.start_us, 42).toPandas()
    expected = holed[after & complete(holed)]
    assert len(found) == len(expected) == int(after.sum()) - 4
    keys = set(zip(expected["symbol"], expected["ts"], strict=True))
    assert set(zip(found["symbol"], found["ts"].dt.tz_localize("UTC"), strict=True)) == keys
    assert set(found["model_digest"]) == {forest.spec.digest(42)}
    assert found[["prob_long", "prob_short"]].isna().all(axis=None)
    # rows without a label are predicted too: the future is not needed to forecast it
    assert rows[after]["label_return"].isna().any()


@pytest.mark.parametrize("target", ["return", "level"])
def test_validation_metrics_by_numpy(spark, rows: pd.DataFrame, forest: Trained, target: str) -> None:
    trained = forest if target == "return" else train(on_spark(spark, rows), spec(target=target))
    scored = predict(on_spark(spark, rows), trained, VALIDATE.start_us, 1).persist()
    found = validation_metrics(on_spark(spark, rows), scored, trained.spec, VALIDATE)

    guesses = scored.toPandas()
    guesses["ts"] = guesses["ts"].dt.tz_localize("UTC")
    joined = rows.merge(guesses, on=["symbol", "ts"])
    joined = joined[joined["label_return"].notna() & (joined["label_end"] <= at(VALIDATE.end_us))]
    label, guess, close = joined[f"label_{target}"], joined["prediction"], joined["close"]
    naive = close if target == "level" else 0.0
    expected = guess / close - 1 if target == "level" else guess
    realised = joined["label_return"]
    moved = realised != 0
    assert found["rows"] == len(joined)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((guess - label) ** 2)))
    assert found["mae"] == pytest.approx(np.mean(np.abs(guess - label)))
    assert found["naive_rmse"] == pytest.approx(np.sqrt(np.mean((naive - label) ** 2)))
    assert found["naive_mae"] == pytest.approx(np.mean(np.abs(naive - label)))
    assert found["skill"] == pytest.approx(1 - np.mean((guess - label) ** 2) / np.mean((naive - label) ** 2))
    assert found["correlation"] == pytest.approx(np.corrcoef(expected, realised)[0, 1])
    assert found["hit_rate"] == pytest.approx(np.mean(np.sign(expected)[moved] == np.sign(realised)[moved]))
    scored.unpersist()


def test_metrics_of_nothing_are_nan(spark, rows: pd.DataFrame, forest: Trained) -> None:
    scored = predict(on_spark(spark, rows), forest, VALIDATE.start_us, 1)
    nowhere = Window("validate", us("2013-10-12T13:30"), us("2013-10-12T20:00"))
    found = validation_metrics(on_spark(spark, rows), scored, forest.spec, nowhere)
    assert found["rows"] == 0
    assert all(np.isnan(value) for name, value in found.items() if name != "rows")


def test_a_forest_that_sees_the_answer_is_right(spark) -> None:
    """The label follows from `close` alone: two levels, learnt without error (what scikit-learn does too)."""
    from sklearn.ensemble import RandomForestRegressor

    n = 200
    close = np.where(np.arange(n) % 2 == 0, 10.0, 20.0)
    ts = [at(TRAIN.start_us + k * MINUTE_US) for k in range(n)]
    frame = pd.DataFrame(
        {
            "symbol": "A", "ts": ts, "sma_5": 1.0, "roc_3": 0.0, "close": close,
            "label_level": close * 1.1, "label_return": np.where(close == 10.0, 0.01, -0.02),
            "label_end": [stamp + pd.Timedelta("1min") for stamp in ts],
        }
    )  # fmt: skip
    trained: Trained = train(spark.createDataFrame(frame, DDL), spec(feature_subset="all"))
    got = predict(spark.createDataFrame(frame, DDL), trained, TRAIN.start_us, 1).orderBy("ts").toPandas()
    theirs = RandomForestRegressor(3, max_depth=3, random_state=0).fit(
        frame[["close"]], frame["label_return"]
    )
    np.testing.assert_allclose(got["prediction"], theirs.predict(frame[["close"]]), atol=1e-12)
    assert trained.fitted.importances == (0.0, 0.0, 1.0)
