"""What the reference notebooks get wrong, and this project does not; numbers as in the list of flaws.

Numbers 6, 10 and 14 stand with the engines, in `tests/engines/test_reference_flaws.py`.
"""

from __future__ import annotations

from pathlib import Path

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


def test_flaw_05_a_return_is_learnt_and_not_a_price_that_no_tree_can_follow() -> None:
    """Prices rise past all of the train window: a tree of levels stays below, one of returns does not."""
    from sklearn.tree import DecisionTreeRegressor

    close = 100.0 * 1.001 ** np.arange(500)
    at, taught, later = np.arange(495), np.arange(300), np.arange(400, 495)
    reference = DecisionTreeRegressor().fit(close[taught, None], close[taught + 5])
    assert reference.predict(close[later, None]).max() < close[later + 5].min()

    bars = minutes(500)
    for name in ("open", "high", "low", "close", "vwap"):
        object.__setattr__(bars, name, close)
    label = ForwardVwap(horizon="5min")
    assert label.learns == "return"
    made = label.make(bars, MINUTE_US, {})
    assert made.values["return"][at] == pytest.approx(1.001**5 - 1)
    ours = DecisionTreeRegressor().fit(close[taught, None], made.values["return"][taught])
    assert close[later] * (1 + ours.predict(close[later, None])) == pytest.approx(close[later + 5])


def test_flaw_18_a_made_market_has_a_seed_and_a_calendar_and_bars_with_a_range() -> None:
    from whatif.sources import SampleMarket, generate, sample_schedule

    market = SampleMarket(sessions=2)
    frame = generate(market, "EDGE")
    pd.testing.assert_frame_equal(frame, generate(market, "EDGE"))
    other = generate(SampleMarket(sessions=2, seed=market.seed + 1), "EDGE")
    assert not np.array_equal(frame["close"], other["close"])
    # its stamps are those of an exchange, whatever day it is made on
    sessions = sample_schedule(market)
    inside = [((frame["ts"] >= a) & (frame["ts"] < b)).sum() for a, b in _bounds(sessions)]
    assert sum(inside) == len(frame)
    assert all(inside)
    assert (frame["high"] > frame["low"]).mean() > 0.9
    assert (frame["volume"] > 0).any()


def _bounds(sessions):
    opened, closed = (pd.to_datetime(at, unit="us", utc=True) for at in (sessions.open_us, sessions.close_us))
    return zip(opened, closed, strict=True)


def test_flaw_19_a_bar_has_the_time_of_its_event_and_none_of_several_is_lost(lake_home, tmp_path) -> None:
    """Of three bars that arrive together each is kept at its own time; one without a price is told of."""
    from whatif.pins import current_pin, read_arrow, read_bars
    from whatif.sources import IngestSpec
    from whatif.workflow import ingest

    head = "Date,Open,High,Low,Close,Volume"
    rows = [f"2013-10-07 09:{30 + k},10,11,9,{10 + k / 10},100" for k in range(3)]
    (tmp_path / "a.csv").write_text("\n".join([head, *rows, "2013-10-07 09:33,10,11,9,,100"]) + "\n")
    spec = IngestSpec(symbol="SPY", exchange="XNYS", timezone="America/New_York")
    ingest([tmp_path / "a.csv"], spec, lake_home, runner="local")
    found = read_bars(current_pin(lake_home, "bars"), "SPY", "1min")
    assert found.ts.tolist() == [us(f"2013-10-07T13:{30 + k}") for k in range(3)]
    assert found.close.tolist() == [10.0, 10.1, 10.2]
    (refused,) = read_arrow(current_pin(lake_home, "bars_quarantine"), ["raw", "rule"]).to_pylist()
    assert "09:33" in refused["raw"]
    assert refused["rule"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return the folder of a saved model, the rows that it is asked, and what it says of them."""
    from whatif.models import SEAM

    rng = np.random.default_rng(4)
    rows = pd.DataFrame(rng.normal(size=(40, 2)), columns=["a", "b"])
    taught = rows.assign(symbol="S", ts=pd.date_range("2020-01-01", periods=40, tz="UTC"), label=rows["a"])
    kind = SEAM.section({"kind": "sklearn.linear_model.Ridge"}).model_copy(update={"target": "return"})
    folder = tmp_path_factory.mktemp("saved")
    fitted = kind.fit(taught, ("a", "b"))
    return folder, kind.save(fitted, folder), rows, kind.predict(fitted, taught)["prediction"].to_numpy()


def test_flaw_20_what_serving_reads_is_what_training_wrote(saved) -> None:
    """Nothing but the folder is needed: columns, kind and parameters stand in it."""
    from importlib import import_module

    folder, flavours, rows, said = saved
    loader = flavours["python_function"]
    served = import_module(loader["loader_module"])._load_pyfunc(str(folder / loader["data"]))
    shuffled = rows[["b", "a"]].assign(c=1.0)  # columns are found by name
    assert served.predict(shuffled).tobytes() == said.tobytes()


def test_flaw_21_the_first_row_is_answered_too_and_every_request_alike(saved) -> None:
    from whatif.models.arrays import SAVED, _load_pyfunc

    folder, _, rows, said = saved
    served = _load_pyfunc(str(folder / SAVED))
    for _ in range(2):
        assert served.predict(rows.head(1)).tolist() == [said[0]]
        assert len(served.predict(rows)) == len(rows)


def test_flaw_22_what_a_cluster_starts_is_a_file_that_runs() -> None:
    """Each job of the folder begins a command of the application, by its own name and arguments."""
    import ast

    from whatif.cli.app import app

    commands = {one.name or one.callback.__name__ for one in app.registered_commands}
    jobs = sorted((Path(__file__).parents[1] / "jobs").glob("*.py"))
    assert len(jobs) >= 5
    for job in jobs:
        calls = [node for node in ast.walk(ast.parse(job.read_text())) if isinstance(node, ast.Call)]
        started = [c.args[0].value for c in calls if isinstance(c.func, ast.Name) and c.func.id == "job"]
        assert len(started) == 1, job.name
        assert started[0] in commands, job.name


def test_flaw_23_a_breakout_leaves_the_range_of_highs_and_stays_until_the_range_below() -> None:
    """Highs are 1 above closes. Day 6 closes above all closes and below a high: no break of the range."""
    from whatif import backtest

    closes = [10, 11, 12, 11, 10, 11, 12.5, 14, 13.5, 12.5, 12, 11.5, 9, 9]
    days = pd.bdate_range("2024-03-04", periods=len(closes), tz="UTC")
    close = pd.Series(closes, dtype=float)
    bars = pd.DataFrame(
        {"symbol": "A", "ts": days, "open": close, "high": close + 1, "low": close - 1, "close": close}
    ).assign(volume=1e6)
    by_high, by_close = (
        [list(days).index(ts) for ts in backtest(bars, "breakout", {**keys, "on_close": on}).fills["ts"]]
        for keys in ({"period": 5, "size": 1.0, "go_short": False},)
        for on in (False, True)
    )
    # day 6 closes at 12.5: above the highest close, 12, and below the highest high, 13. 14 is above both
    assert by_close[0] == 7
    # day 8 is the first close below the maximum; 9, of day 12, the first below the lowest of five lows
    assert by_high == [8, 13]


def test_flaw_24_the_path_counts_and_the_strategy_trades_what_the_label_asks() -> None:
    """The stop is touched on the first day and the target on the third: a loss, which closes call a gain."""
    import yaml

    from whatif.domain import DAY_US
    from whatif.labels import SEAM

    days = minutes(4)
    prices = {"open": [100, 100, 100, 102], "high": [100, 100.5, 100.5, 103]}
    prices |= {"low": [100, 98, 99.5, 101], "close": [100, 100, 100, 102.5]}
    for name, values in prices.items():
        object.__setattr__(days, name, np.array(values, dtype=np.float64))
    object.__setattr__(days, "session", np.arange(4))
    keys = {"target": 0.02, "stop": 0.015, "horizon": 3}
    reference = SEAM.section({"kind": "reference_barrier", **keys}).make(days, DAY_US, {})
    assert reference.values["class"][0] == 1.0
    long = {"kind": "triple_barrier", "side": "long", **keys}
    assert SEAM.section(long).make(days, DAY_US, {}).values["class"][0] == 0.0
    # measured from the next open, where the order fills
    object.__setattr__(days, "open", np.array([100.0, 101.5, 101.5, 102.0]))
    by_entry = [SEAM.section({**long, "stop": 0.1, "entry": entry}) for entry in ("close", "open")]
    # 103 is 2 % above the close, 100, and not above 101.5
    assert [one.make(days, DAY_US, {}).values["class"][0] for one in by_entry] == [1.0, 0.0]
    study = yaml.safe_load((Path(__file__).parents[1] / "conf/studies/ml-long-short.yaml").read_text())
    label, params = study["label"], study["strategy"]["params"]
    assert (label["target"], label["stop"]) == (params["target"], params["stop"])
    assert study["overlays"]["max_bars_held"] == label["horizon"]


def test_flaw_26_rows_that_are_not_warm_teach_nothing_and_accuracy_has_a_base_rate() -> None:
    from whatif.labels import SEAM
    from whatif.models import SEAM as MODELS
    from whatif.training import judged, labelled_rows, model_spec, predict, train, validation_metrics

    bars = walk("SPY", 3)
    cut, end = us("2013-10-08T13:30"), us("2013-10-12T00:00")
    part = BarSlice(("SPY",), "1min", "1min", "XNYS", "regular", OPENED, end)
    barriers = SEAM.section({"kind": "triple_barrier", "target": 0.002, "stop": 0.0015, "horizon": 10})
    own = FeatureSpec(part, ("sma(30) / close",), barriers)
    frame = feature_frame(bars, own)
    window = Window("train", OPENED, cut)
    section = MODELS.section({"kind": "sklearn.tree.DecisionTreeClassifier", "params": {"max_depth": 2}})
    tree = model_spec("tree", section, own, "class", window)
    rows = labelled_rows(frame, tree, (window,))
    assert rows["ts"].min() == pd.Timestamp(bars.ts[29], unit="us", tz="UTC")  # the 30th bar is the first
    assert np.isfinite(rows[list(tree.columns)].to_numpy()).all()
    trained = train(frame, tree)
    assert trained.fitted.rows == len(rows)
    figures = validation_metrics(frame, predict(frame, trained, cut, 1), tree, Window("validate", cut, end))
    assert figures["base_long"] == pytest.approx((rows["label"] == 1).mean())
    assert "the base rate of the train window" in judged(figures)


def test_flaw_27_without_models_no_bar_is_thrown_away() -> None:
    """The reference discards the first 40 %: here validate begins with the data, and test is one window."""
    study = parse_study(STUDY)
    line = resolve_timeline(study)
    assert [window.name for window in line.windows] == ["validate", "test"]
    validate, test = line.windows
    assert validate.start_us == line.start_us
    assert validate.end_us == test.start_us
    assert test.end_us == line.end_us


def test_flaw_28_symbols_do_not_interleave_and_bars_are_in_order(lake_home) -> None:
    """Rows of two symbols arrive shuffled: each is read alone and in order, and features know no other's."""
    from whatif.features import local_features
    from whatif.pins import read_bars

    both = [walk(symbol, seed, minutes=30) for seed, symbol in enumerate(("JNJ", "INTC"))]
    mixed = pd.concat([lake_rows(bars) for bars in both]).sample(frac=1.0, random_state=5)
    reference = mixed["close"].rolling(5).mean()  # of whatever lies side by side
    pin = put_bars(lake_home, both)
    for bars in both:
        assert (
            bars_from_frame(mixed[mixed["symbol"] == bars.symbol], bars.symbol).ts.tobytes()
            == bars.ts.tobytes()
        )
        assert read_bars(pin, bars.symbol, "1min").close.tobytes() == bars.close.tobytes()
    part = BarSlice(("JNJ", "INTC"), "1min", "1min", "XNYS", "regular", OPENED, us("2013-10-12T00:00"))
    frame = local_features(pin, FeatureSpec(part, ("sma(5)",), None))
    for bars in both:
        own = frame.loc[frame["symbol"] == bars.symbol, "sma_5"].to_numpy()
        wanted = np.convolve(bars.close, np.ones(5) / 5, "valid")
        np.testing.assert_allclose(own[4:], wanted, rtol=1e-12)
        assert not np.isin(own[4:], reference).any()


def test_flaw_12_a_window_holds_one_symbol_in_order_and_a_session_if_asked() -> None:
    """Rows of two symbols come mixed. One window of all of them is not what `partition_col_list` makes."""
    import talib

    from whatif import finspace

    both = [walk(symbol, seed, minutes=40) for seed, symbol in enumerate(("JNJ", "INTC"))]
    mixed = pd.concat([lake_rows(bars) for bars in both]).sample(frac=1.0, random_state=3)
    ema = finspace.exponential_moving_average(tenor=10, timestamp_column="ts", price_column="close")
    alone, nightly = (
        finspace.compute_analytics_on_features(mixed, "ema", ema, by).sort_values("ts")
        for by in (["symbol"], ["symbol", "session"])
    )
    for bars in both:
        mine = alone.loc[alone["symbol"] == bars.symbol, "ema"].to_numpy()
        np.testing.assert_allclose(mine, talib.EMA(bars.close, 10), rtol=1e-12)
        by_session = nightly.loc[nightly["symbol"] == bars.symbol, "ema"].to_numpy()
        for session in np.unique(bars.session):
            day = bars.session == session
            # no night is in it: each session warms up anew
            np.testing.assert_allclose(by_session[day], talib.EMA(bars.close[day], 10), rtol=1e-12)


def daily(days: pd.DatetimeIndex, close: list[float], path: Path) -> Path:
    """Write daily bars of dates, whose opens are a tenth above the closes."""
    rows = [f"{day:%Y-%m-%d},{c + 0.1},{c + 0.2},{c},{c},500" for day, c in zip(days, close, strict=True)]
    path.write_text("\n".join(["date,open,high,low,close,volume", *rows]) + "\n")
    return path


def test_flaw_29_no_weekend_is_a_bar_and_friday_s_signal_fills_on_monday(lake_home, tmp_path: Path) -> None:
    """Calendar days that copy Friday are refused, filling adds none, and a signal waits for a session."""
    from whatif import backtest, read_bars
    from whatif.sources import IngestSpec
    from whatif.timeseries import fill_bars
    from whatif.workflow import ingest

    days = pd.date_range("2013-10-02", "2013-10-09")  # Wednesday to Wednesday
    close = [10.0, 11.0, 12.0, 12.0, 12.0, 20.0, 21.0, 22.0]
    path = daily(days, close, tmp_path / "SPY.csv")
    report = ingest([path], IngestSpec(exchange="XNYS", accept=True), lake_home, runner="local")
    assert dict(report.refused) == {"no_session": 2}
    bars = read_bars("SPY", timeframe="1d", location=lake_home)
    assert [day.weekday() for day in bars["session"]] == [2, 3, 4, 0, 1, 2]
    assert not fill_bars(bars, "forward")["filled"].any()
    forecast = np.where(bars["close"] == 12.0, 0.01, 0.0)
    fills = backtest(
        bars.assign(forecast=forecast), "forecast_threshold", {"threshold": 0.001, "size": 1}
    ).fills
    # Monday's open, 20.1: Saturday's, a copy of Friday's, is 12.1
    assert fills["price"].tolist()[0] == pytest.approx(20.1)
    assert pd.Timestamp(fills["ts"].iloc[0]).day == 7


def test_flaw_30_a_split_is_no_fall(lake_home, tmp_path: Path) -> None:
    """A spin-off that takes 57 % of the price is known as an action, and no return of the adjusted bars."""
    from whatif import read_bars
    from whatif.sources import IngestSpec, ingest_actions
    from whatif.workflow import ingest

    days = pd.bdate_range("2015-07-13", periods=8)
    path = daily(days, [65.0, 65.5, 66.0, 66.3, 66.3, 28.5, 28.6, 28.2], tmp_path / "EBAY.csv")
    ingest([path], IngestSpec(exchange="XNYS"), lake_home, runner="local")
    (tmp_path / "actions.csv").write_text("symbol,date,kind,value\nEBAY,2015-07-20,split,2.3263\n")
    ingest_actions([tmp_path / "actions.csv"], lake_home)
    fallen = {
        mode: np.diff(np.log(read_bars("EBAY", timeframe="1d", location=lake_home, adjust=mode)["close"]))
        for mode in ("none", "splits")
    }
    assert fallen["none"].min() == pytest.approx(np.log(28.5 / 66.3))
    assert fallen["none"].min() < -0.84
    assert np.abs(fallen["splits"]).max() < 0.02


def test_flaw_31_dates_are_the_source_s_and_forged_ones_are_no_sessions(lake_home, tmp_path: Path) -> None:
    """Bars keep their dates; moved by four years less a day or so, they lie on weekends, and are refused."""
    from whatif import read_bars
    from whatif.errors import SourceError
    from whatif.sources import IngestSpec
    from whatif.workflow import ingest

    days = pd.bdate_range("2013-01-07", "2013-03-28").difference(pd.to_datetime(["2013-01-21", "2013-02-18"]))
    close = [100.0 + k / 10 for k in range(len(days))]
    spec = IngestSpec(exchange="XNYS")
    forged = daily(days + pd.Timedelta(1456, "D") + pd.Timedelta(3, "D"), close, tmp_path / "SPY.csv")
    with pytest.raises(SourceError, match="no_session"):
        ingest([forged], spec, lake_home, runner="local")
    ingest([daily(days, close, tmp_path / "SPY.csv")], spec, lake_home, runner="local")
    found = read_bars("SPY", timeframe="1d", location=lake_home)
    assert pd.to_datetime(found["session"]).tolist() == list(days)
    assert found["close"].tolist() == close


def test_flaw_32_a_price_has_no_most(lake_home, tmp_path: Path) -> None:
    """1,004.28 does not fit NUMERIC(5, 2); bars, trades and quotes hold it, and 812,345.67, to the bit."""
    from whatif import read_bars
    from whatif.sources import IngestSpec, ingest_ticks
    from whatif.timeseries import collect
    from whatif.workflow import ingest

    days = pd.bdate_range("2017-07-24", periods=3)
    prices = [999.99, 1004.28, 812_345.67]
    path = daily(days, prices, tmp_path / "GOOGL.csv")
    ingest([path], IngestSpec(exchange="XNYS", accept=True), lake_home, runner="local")
    assert read_bars("GOOGL", timeframe="1d", location=lake_home)["close"].tolist() == prices
    for rows, head in (("trades", "ts,price,size"), ("quotes", "ts,bid,ask")):
        told = [f"2017-07-24 14:3{k}:00,{price},{price}" for k, price in enumerate(prices)]
        (tmp_path / f"{rows}.csv").write_text("\n".join([head, *told]) + "\n")
        asked = IngestSpec(rows=rows, exchange="XNYS", symbol="GOOGL", timezone="UTC")
        ingest_ticks([tmp_path / f"{rows}.csv"], asked, lake_home)
    bars = collect("GOOGL", "1min", with_quotes=True, location=lake_home)
    assert bars["high"].tolist() == bars["mid"].tolist() == bars["volume"].tolist() == prices
