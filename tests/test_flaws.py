"""What the reference notebooks get wrong, and this project does not; numbers as in the list of flaws.

Numbers 6, 10 and 14 stand with the engines.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from whatif.domain.bars import PRICE_FIELDS, Bars
from whatif.domain.frames import bars_from_frame
from whatif.domain.timeframe import MINUTE_US
from whatif.features.spec import FeatureSpec, feature_frame
from whatif.labels import ForwardVwap
from whatif.labels.kinds.forward_vwap import forward_vwap
from whatif.models import RandomForest
from whatif.resolve.windows import resolve_timeline
from whatif.search.slices import BarSlice
from whatif.splits.fold import Window
from whatif.study import parse_study

from .markets import lake_rows, put_bars, us, walk

FIVE = 5 * MINUTE_US
DDL = (
    "symbol string, ts timestamp, close double, label_level double, label_return double, label_end timestamp"
)
OPENED = us("2013-10-04T13:30")


def minutes(n: int) -> Bars:
    """Return n minutes of one session, whose vwap is the minute's number."""
    bars = walk("SPY", 1).take(slice(0, 1)).take(np.zeros(n, dtype=np.int64))
    series = {"ts": OPENED + np.arange(n) * MINUTE_US, "vwap": np.arange(n, dtype=np.float64)}
    # a session that lasts as long as the bars do
    series["session_close"] = np.full(n, OPENED + n * MINUTE_US)
    for name, values in series.items():
        object.__setattr__(bars, name, values)
    return bars


def spec(bars: int, end_us: int | None = None) -> FeatureSpec:
    end = end_us or OPENED + bars * MINUTE_US
    return FeatureSpec(
        BarSlice(("SPY",), "1min", "1min", "XNYS", "regular", OPENED, end),
        ("close",),
        ForwardVwap(horizon="5min"),
    )


def test_flaw_01_label_is_the_future_not_the_past() -> None:
    bars = minutes(60)
    frame = pd.DataFrame({"start": bars.ts, "vwap": bars.vwap})
    shifted = frame.rename(columns={"vwap": "label"}).assign(futurestart=frame["start"] + FIVE)
    reference = frame.merge(shifted[["futurestart", "label"]], left_on="start", right_on="futurestart")
    # the row of the tenth minute gets the vwap of the fifth
    assert reference.set_index("start")["label"][OPENED + 10 * MINUTE_US] == 5.0

    level, _, end = forward_vwap(bars, FIVE, MINUTE_US)
    assert level[10] == 15.0
    assert end[10] == OPENED + 16 * MINUTE_US
    assert np.isnan(level[-5:]).all()


def test_flaw_02_chronology_is_never_that_of_arrival() -> None:
    bars = walk("SPY", 4, minutes=60)
    rows = lake_rows(bars).sample(frac=1.0, random_state=7)
    reference = rows["ts"].iloc[: int(len(rows) * 0.7)], rows["ts"].iloc[int(len(rows) * 0.7) :]
    assert reference[0].max() > reference[1].min()  # it trains on what comes after its test

    assert bars_from_frame(rows, "SPY").ts.tobytes() == bars.ts.tobytes()
    study = parse_study(
        "study: s\ndata: {symbols: [SPY], start: 2013-10-04, end: 2013-10-12}\ncalendar: {exchange: XNYS}\n"
        "strategy: {name: sma_crossover}\nsplit: {train: 0.5, validate: 0.25, test: 0.25, embargo: 5min}\n"
    )
    windows = resolve_timeline(study).windows
    parts = [bars.ts[slice(*window.rows(bars, MINUTE_US))] for window in windows]
    for window, ts, following in zip(windows, parts, [*parts[1:], None], strict=True):
        assert len(ts)
        assert ts[-1] + MINUTE_US <= window.end_us
        if following is not None:
            assert following[0] >= window.end_us + FIVE


@pytest.mark.spark
def test_flaw_03_no_fold_is_random_and_no_neighbour_leaks(spark) -> None:
    from whatif.training.fit import training_rows
    from whatif.training.spec import model_spec

    bars = minutes(200)
    frame = feature_frame(bars, spec(200)).dropna()
    row = np.arange(len(frame))
    fold = np.random.default_rng(0).integers(0, 3, len(frame))
    held, taught = row[fold == 0], row[fold != 0]
    # a random fold: nearly every held-out label overlaps in time with one that was taught
    overlaps = np.mean([np.abs(taught - k).min() <= 5 for k in held])
    assert overlaps > 0.99

    train = Window("train", OPENED, OPENED + 100 * MINUTE_US)
    model = model_spec("rf", RandomForest(), spec(200), "return", train)
    kept = training_rows(spark.createDataFrame(frame, DDL), model).toPandas()
    assert kept["label_end"].max() <= pd.Timestamp(train.end_us, unit="us")
    # and a forest without a seed of its own has one all the same: 0
    assert model.identity["forest"]["seed"] == 0  # type: ignore[index]


@pytest.mark.spark
def test_flaw_07_a_prediction_is_one_batch_not_a_job_for_each_bar(spark) -> None:
    from whatif.training.fit import predict, train
    from whatif.training.spec import model_spec

    frame = feature_frame(minutes(390), spec(390))
    features = spark.createDataFrame(frame, DDL)
    window = Window("train", OPENED, OPENED + 100 * MINUTE_US)
    forest = model_spec("rf", RandomForest(trees=1, depth=1), spec(390), "return", window)
    trained = train(features, forest)
    tracker = spark.sparkContext.statusTracker()
    jobs = {}
    for bars in (5, 290):
        spark.sparkContext.setJobGroup(f"predict-{bars}", "")
        start = OPENED + (390 - bars) * MINUTE_US
        assert len(predict(features, trained, start, 1).collect()) == bars
        jobs[bars] = len(tracker.getJobIdsForGroup(f"predict-{bars}"))
    spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)
    assert jobs[290] == jobs[5]
    assert jobs[290] <= 2


STUDY = """
study: untouched
data: {symbols: [SPY], start: 2013-10-04, end: 2013-10-12}
calendar: {exchange: XNYS}
strategy: {name: sma_crossover, params: {size: 10, slow: 20}}
axes: {fast: [2, 5, 9]}
period: bar
keep: {trades: 0, equity: 0}
"""


def test_flaw_08_the_test_window_tells_and_never_chooses(lake_home) -> None:
    """Change every bar of the test window: the same ranking and the same choice, another test figure."""
    from whatif.workflow import RunOptions, run

    bars = walk("SPY", 11, minutes=90)
    put_bars(lake_home, [bars])
    study = parse_study(STUDY)
    before = run(study, None, lake_home, RunOptions(track=False, report=False))

    test = resolve_timeline(study).last.test
    assert test is not None
    first, stop = test.rows(bars, MINUTE_US)
    assert stop - first > 50
    swapped = bars.take(slice(first, stop))
    for name in PRICE_FIELDS:
        object.__setattr__(swapped, name, getattr(swapped, name)[::-1] * 1.5)
    put_bars(lake_home, [swapped], ingested_at=pd.Timestamp("2024-02-01", tz="UTC"))
    after = run(study, None, lake_home, RunOptions(track=False, report=False, latest=True))

    assert after.computed == before.computed == 3
    boards = [result.leaderboard() for result in (before, after)]
    assert boards[0]["config_id"].tolist() == boards[1]["config_id"].tolist()
    for name in ("sharpe", "pnl_net", "trades", "max_drawdown_pct"):
        assert boards[0][name].to_numpy().tobytes() == boards[1][name].to_numpy().tobytes()
    assert before.best is not None
    assert after.best is not None
    assert before.best.config_id == after.best.config_id
    assert str(before.best.validate) == str(after.best.validate)
    assert before.best.test["pnl_net"] != after.best.test["pnl_net"]


@pytest.mark.spark
def test_flaw_25_no_label_reaches_over_the_boundary(spark) -> None:
    """Forty percent of 1,000 bars train, and a label reads five bars ahead."""
    from whatif.training.fit import training_rows
    from whatif.training.spec import model_spec

    bars = minutes(1_000)
    frame = feature_frame(bars, spec(1_000))
    reference = 399
    assert frame["label_level"][reference] == 404.0  # its last training row knows the test's fifth bar

    train = Window("train", OPENED, OPENED + 400 * MINUTE_US)
    model = model_spec("rf", RandomForest(), spec(1_000), "return", train)
    kept = training_rows(spark.createDataFrame(frame, DDL), model).toPandas()
    # the bar five minutes after row 394 is row 399, the last one of the train window
    assert kept["label_level"].max() == 399.0
    assert len(kept) == 395
