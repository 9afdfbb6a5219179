"""FinSpace's names: the list of all documented items, and what the presets stand for."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime, time
from inspect import signature
from typing import Any

import numpy as np
import pandas as pd
import pytest
import talib

from whatif import finspace
from whatif.errors import IndicatorError
from whatif.timeseries.finspace import ANALYTICS, compute_analytics_on_features

NAMES = """
abands acc_dist_indicator adx_indicator adrx_indicator apo_indicator aroon_up aroon_down
aroon_oscillator average_true_range natr_indicator tr_indicator bollinger_bands cmo_indicator
commodity_channel_index dmi_indicator pos_dm_indicator neg_dm_indicator moving_average
exponential_moving_average double_exponential_moving_average triple_exponential_moving_average
linear_weighted_moving_average trima_indicator t3_ema_indicator kama_indicator fast_stock_oscillator
slow_stock_oscillator stoch_rsi_indicator rsi max_indicator min_indicator minmax_indicator
midpoint_indicator midprice_indicator mf_indicator on_balance_volume momentum_indicator
roc_indicator ROCP_indicator ROCR_indicator ROC100_indicator moving_average_converge_diverge
moving_average_converge_diverge_hist percentage_price_oscillator sar_indicator stddev_indicator
time_series_forecast_indicator ts_linear_regression trix_indicator ult_osc_indicator
will_r_indicator typical_price_indicator weighted_close_indicator chaiken_money_flow
chaikens_volatility coppock_curve debug_udf_call donchian_channel dpo ease_of_movement
elder_ray_index fisher_transformation force_index hull_moving_average ichimoku keltner
klinger_oscillator linear_regression weighted_linear_regression weighted_ts_linear_regression
mass_index negative_volume price_channel pvt pairwise_realized_correlation
realized_correlation_matrix realized_volatility realized_volatility_spread wilder_smoothing

create_time_bars compute_features_on_time_bars compute_analytics_on_features bar_cnt open high low
close lowhigh first_last_high_low first_last_high_low_presorted ohlc_func ohlc_func_pre_sorted
ohlc_scala std time_delta total_volume volume_and_close vwap time_bar_fill_and_filter BarInputSpec
TimeBarSpec CalcInputSpec AbstractCalendar NYSECalendar20192020 USEndOfDayCalendarActAct_NoWeekends
"""

DOCUMENTED = NAMES.split()
"""The documented items: analytics, windows, summarizers, preparation, specifications, calendars."""

MISSING: list[str] = []
"""Those that are not there; what is there may not stand here."""

ROWS = 240


def frame() -> pd.DataFrame:
    """Return two symbols, row by row in turn, the latest first."""
    rng = np.random.default_rng(4)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, ROWS)))
    made = pd.DataFrame(
        {
            "ticker": np.where(np.arange(ROWS) % 2, "A", "B"),
            "end": pd.date_range("2024-01-02 14:30", periods=ROWS, freq="1min", tz="UTC"),
            "close": close, "high": close + rng.random(ROWS), "low": close - rng.random(ROWS),
            "volume": 1.0 + 100.0 * rng.random(ROWS), "axis": np.arange(ROWS) * 30.0,
            "x": close * 2.0 + rng.random(ROWS), "y": close, "weight": rng.random(ROWS), "Last Price": close,
        }
    )  # fmt: skip
    return made.iloc[::-1]


def test_documented_items_that_are_there_are_counted(capsys) -> None:
    assert len(DOCUMENTED) == len(set(DOCUMENTED)) == 105
    there = [name for name in DOCUMENTED if hasattr(finspace, name)]
    with capsys.disabled():
        sys.stdout.write(f"\n{len(there)} of {len(DOCUMENTED)} documented items are there\n")
    assert sorted(set(DOCUMENTED) - set(there)) == sorted(MISSING)
    assert set(ANALYTICS) == set(DOCUMENTED[:79])


def made(name: str):
    """Return an analytic with some arguments."""
    function = ANALYTICS[name]
    if name == "realized_correlation_matrix":
        return function(5, "end", "close", "x", "Last Price")
    needed = (
        "tenor",
        "no_std",
        "adx_period",
        "rsi_tenor",
        *(("period",) if name == "adrx_indicator" else ()),
    )
    given = {key: 2.0 if key == "no_std" else 5 for key in needed if key in signature(function).parameters}
    return function(**given, timestamp_column="end")


def test_each_analytic_has_a_value_by_symbol_in_order_of_time_and_never_looks_ahead() -> None:
    data = frame()
    later = data["end"] > data["end"].iloc[40]
    numbers = [name for name in data if name not in ("ticker", "end")]
    changed = data.copy()
    changed.loc[later, numbers] = changed.loc[later, numbers] * 2.0 + 1.0
    alone = data[data["ticker"] == "A"].sort_values("end")
    for name in ANALYTICS:
        whole, other, one = (
            compute_analytics_on_features(rows, "new", made(name), by)
            for rows, by in ((data, ["ticker"]), (changed, "ticker"), (alone, None))
        )
        columns = [column for column in whole if column not in data]
        assert all(column.partition(".")[0] == "new" for column in columns)
        assert whole.loc[data["end"] >= data["end"].iloc[20], columns].notna().all(axis=None), name
        pd.testing.assert_frame_equal(whole.loc[~later, columns], other.loc[~later, columns])
        mine = whole[whole["ticker"] == "A"].sort_values("end")
        pd.testing.assert_frame_equal(mine[columns], one[columns])


def test_values_are_those_of_ta_lib() -> None:
    data = frame()
    rows = data[data["ticker"] == "B"].sort_values("end")
    high, low, close, volume = (rows[name].to_numpy() for name in ("high", "low", "close", "volume"))
    upper, middle, lower = talib.BBANDS((high + low + close) / 3.0, 15, 2.0, 2.0)
    expected = {
        finspace.exponential_moving_average(tenor=10): {"": talib.EMA(close, 10)},
        finspace.average_true_range(14, "end", "close", "high", "low"): {"": talib.ATR(high, low, close, 14)},
        finspace.mf_indicator(9): {"": talib.MFI(high, low, close, volume, 9)},
        finspace.bollinger_bands(15, 2): {"upper": upper, "middle": middle, "lower": lower},
        finspace.rsi(14, "end", "Last Price"): {"": talib.RSI(close, 14)},
        finspace.coppock_curve(): {"": talib.COPPOCK(close, 10, 14, 11)},
        finspace.roc_indicator(5): {"": talib.ROC(close, 5)},
    }
    for analytic, outputs in expected.items():
        found = analytic.of(rows.assign(ts=rows["end"]))
        for part, values in outputs.items():
            np.testing.assert_allclose(found[part], values, rtol=1e-9, err_msg=f"{analytic.name} {part}")


def test_a_forecast_is_that_of_the_axis_and_regressions_too() -> None:
    rows = frame().sort_values("end").assign(ts=lambda one: one["end"])
    axis, close = rows["axis"].to_numpy(), rows["close"].to_numpy()
    slope, intercept = np.polyfit(axis[-9:] / 60.0, close[-9:], 1)
    found = finspace.ts_linear_regression(9, 60).of(rows)
    np.testing.assert_allclose([found["slope"][-1], found["intercept"][-1]], [slope, intercept], rtol=1e-9)
    forecast = finspace.time_series_forecast_indicator(9, 60).of(rows)[""][-1]
    assert forecast == pytest.approx(slope * (axis[-1] + 30.0) / 60.0 + intercept, rel=1e-9)
    np.testing.assert_allclose(forecast, talib.TSF(close, 9)[-1], rtol=1e-9)  # the axis is even


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: finspace.moving_average(), "moving_average(tenor, timestamp_column='ts'"),
        (lambda: finspace.moving_average(0), "moving_average: sma(close, 0): 0 is not a period"),
        (lambda: finspace.max_indicator(1), "1 does not fit; use a whole number from 2"),
        (lambda: finspace.negative_volume(3), "negative_volume: period is 3; 1 alone is supported"),
        (lambda: finspace.sar_indicator(sar_rising=False), "sar_rising is False; 1 alone is supported"),
        (lambda: finspace.realized_correlation_matrix(5, "end", "a"), "takes two columns at least"),
        (
            lambda: compute_analytics_on_features(frame(), "x", finspace.moving_average(5, "end", "clos")),
            "moving_average: there is no column 'clos'; did you mean 'close'?",
        ),
        (
            lambda: compute_analytics_on_features(frame(), "x", finspace.rsi(5), add_intermediate=True),
            "there are no intermediate columns",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, said: str) -> None:
    with pytest.raises(IndicatorError) as refused:
        make()
    assert said in str(refused.value)


T, P, H, L, V = "time_col_name price_col_name high_col_name low_col_name volume_col_name".split()  # noqa: SIM905
AS_DOCUMENTED = {
    f"tenor {T} {P} {H} {L}": "abands adx_indicator average_true_range commodity_channel_index dmi_indicator "
    "fast_stock_oscillator natr_indicator slow_stock_oscillator typical_price_indicator "
    "weighted_close_indicator will_r_indicator",
    f"tenor {T} {P}": "aroon_down_indicator aroon_oscillator aroon_up_indicator cmo_indicator "
    "double_exponential_moving_average dpo_indicator elder_ray_index_indicator hull_moving_average_indicator "
    "linear_weighted_moving_average max_indicator midpoint_indicator min_indicator minmax_indicator "
    "price_channel_indicator stddev_indicator t3_ema_indicator trima_indicator "
    "triple_exponential_moving_average trix_indicator wilder_smoothing_indicator ROC100_indicator "
    "ROCP_indicator ROCR_indicator debug_udf_call",
    f"tenor {T} input_array_col_name": "exponential_moving_average momentum_indicator moving_average "
    "roc_indicator rsi",
    f"tenor {T} {H} {L}": "chaikens_volatility_indicator donchian_channel_indicator "
    "fisher_transformation_indicator midprice_indicator",
    f"tenor {T} {P} {H} {L} {V}": "chaiken_money_flow_indicator mf_indicator",
    f"{T} {P} {H} {L}": "tr_indicator ult_osc_indicator",
    f"{T} {P} {H} {L} {V}": "acc_dist_indicator",
    f"adx_period period {T} {P} {H} {L}": "adrx_indicator",
    f"short_tenor long_tenor {T} input_array_col_name": "apo_indicator moving_average_converge_diverge",
    f"tenor no_std {T} {P} {H} {L}": "bollinger_bands",
    f"roc1_period roc2_period wma_period {T} {P}": "coppock_curve_indicator",
    f"tenor {T} {H} {L} {V} scale": "ease_of_movement_indicator",
    f"tenor {T} {P} {V}": "force_index_indicator",
    f"{T} {P} short_period medium_period long_period": "ichimoku_indicator",
    f"{T} {P} er_period fast_ema_period slow_ema_period": "kama_indicator",
    f"{T} {P} {H} {L} atr_factor ewm_tenor atr_tenor": "keltner_indicator",
    f"short_period long_period {T} {P} {H} {L} {V}": "klinger_oscillator_indicator",
    f"tenor {T} input1_col_name input2_col_name": "linear_regression",
    f"ema_period sum_period {T} {H} {L}": "mass_index_indicator",
    f"short_tenor long_tenor signal_line_tenor {T} input_array_col_name":
        "moving_average_converge_diverge_hist",
    f"{T} {H} {L}": "neg_dm_indicator pos_dm_indicator",
    f"period {T} {P} {V}": "negative_volume_indicator",
    f"{T} {P} {V}": "on_balance_volume pvt_indicator",
    f"tenor {T} asset1_col_name asset2_col_name": "pairwise_realized_correlation realized_volatility_spread",
    f"short_period long_period signal_line_period {T} {P}": "percentage_price_oscillator",
    f"tenor {T} asset_price_col_name": "realized_volatility",
    f"{T} {P} {H} {L} period af sar_rising": "sar_indicator",
    f"rsi_tenor tenor {T} {P}": "stoch_rsi_indicator",
    f"tenor scale {T} time_axis_col_name {P}": "time_series_forecast_indicator",
    f"tenor scale {T} time_axis_col_name value_axis_col_name": "ts_linear_regression",
    f"tenor {T} input_arr1_col_name_ input_arr2_col_name_ weights_col_name": "weighted_linear_regression",
    f"tenor scale {T} time_axis_col_name value_axis_col_name weights_axis_col_name":
        "weighted_ts_linear_regression",
}  # fmt: skip
"""Analytics by the arguments that the user guide of FinSpace documents, in its order."""

GIVEN = {
    "tenor": 5, "no_std": 2, "period": 5, "adx_period": 5, "rsi_tenor": 5, "scale": "minutes", "af": 0.02,
    "sar_rising": True, "atr_factor": 2, "ewm_tenor": 5, "atr_tenor": 5, "short_tenor": 3, "long_tenor": 6,
    "signal_line_tenor": 4, "short_period": 3, "medium_period": 5, "long_period": 6, "signal_line_period": 4,
    "roc1_period": 6, "roc2_period": 4, "wma_period": 3, "er_period": 5, "fast_ema_period": 30,
    "slow_ema_period": 2, "ema_period": 4, "sum_period": 5,
    T: "end", P: "close", H: "high", L: "low", V: "volume", "input_array_col_name": "close",
    "asset_price_col_name": "close", "value_axis_col_name": "close", "time_axis_col_name": "end",
    "input1_col_name": "x", "input2_col_name": "y", "asset1_col_name": "x", "asset2_col_name": "y",
    "input_arr1_col_name_": "x", "input_arr2_col_name_": "y", "weights_col_name": "weight",
    "weights_axis_col_name": "weight",
}  # fmt: skip
ONE_AND_TWO = {("sar_indicator", "period"): 2, ("negative_volume_indicator", "period"): 1,
               ("ease_of_movement_indicator", "scale"): 1_000_000}  # fmt: skip


@pytest.mark.parametrize("arguments", AS_DOCUMENTED, ids=lambda one: one.replace(" ", ","))
def test_analytics_take_the_arguments_that_the_guide_documents(arguments: str) -> None:
    from whatif.timeseries import finspace as module

    for name in AS_DOCUMENTED[arguments].split():
        given = {one: ONE_AND_TWO.get((name, one), GIVEN[one]) for one in arguments.split()}
        assert name in module.__all__
        function = getattr(finspace, name)
        by_name, in_order = function(**given), function(*given.values())
        assert by_name.outputs == in_order.outputs
        assert (by_name.columns, by_name.timestamp) == (in_order.columns, in_order.timestamp)
        found = compute_analytics_on_features(frame(), "new", by_name, partition_col_list=["ticker"])
        new = [column for column in found if str(column).startswith("new")]
        assert found[new].notna().any().all(), name


def test_the_scale_of_a_time_axis_may_be_a_word() -> None:
    rows = frame()
    rows = rows[rows["ticker"] == rows["ticker"].iloc[0]].sort_values("end")
    made = finspace.ts_linear_regression(9, "minutes", "end", "end", "close").of(rows)
    minutes = (rows["end"] - rows["end"].iloc[0]).dt.total_seconds().to_numpy()[-9:] / 60.0
    slope, _ = np.polyfit(minutes, rows["close"].to_numpy()[-9:], 1)
    assert made["slope"][-1] == pytest.approx(slope, rel=1e-6)
    with pytest.raises(IndicatorError, match="scale 'minute' is unknown: did you mean 'minutes'"):
        finspace.ts_linear_regression(9, "minute", "end", "end", "close")
    with pytest.raises(IndicatorError, match="is given twice"):
        finspace.rsi(5, time_col_name="end", timestamp_column="end")


def test_all_of_the_module_is_taken_without_anything_else() -> None:
    names: dict[str, object] = {}
    exec("from whatif.timeseries.finspace import *", names)
    assert set(DOCUMENTED) | {"ichimoku_indicator", "string_to_timestamp_micros"} <= set(names)
    assert not {"np", "pd", "re", "Any", "parse", "Bars"} & set(names)
    text = pd.Series(["2019-10-01T09:30:00.123456Z", "2019-10-01 09:30:00.5"])
    made = finspace.string_to_timestamp_micros(text)
    assert [one.isoformat() for one in made] == [
        "2019-10-01T09:30:00.123456+00:00", "2019-10-01T09:30:00.500000+00:00"
    ]  # fmt: skip


def test_presets_need_no_spark() -> None:
    code = "from whatif import finspace; import sys; print('pyspark' in sys.modules)"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "False"


@pytest.mark.spark
def test_spark_gives_the_same_and_a_struct_of_several(spark) -> None:
    data = frame().drop(columns="Last Price")
    there = spark.createDataFrame(data)
    for analytic in (finspace.moving_average(5, "end"), finspace.donchian_channel(5, "end")):
        made = compute_analytics_on_features(there, "new", analytic, ["ticker"])
        flat = made.select("ticker", "end", "new.*" if len(analytic.outputs) > 1 else "new").toPandas()
        wanted = compute_analytics_on_features(data, "new", analytic, ["ticker"])
        columns = [column for column in wanted if column.startswith("new")]
        mine, theirs = (
            flat.sort_values("end").iloc[:, 2:].to_numpy(),
            wanted.sort_values("end")[columns].to_numpy(),
        )
        assert mine.tobytes() == theirs.tobytes()


def trades() -> pd.DataFrame:
    """Return trades of two symbols over ten minutes, in no order."""
    rng = np.random.default_rng(8)
    at = pd.Timestamp("2024-01-02 14:30", tz="UTC") + pd.to_timedelta(rng.choice(600_000, 300, False), "ms")
    prices = np.round(100.0 + rng.normal(0.0, 1.0, 300), 2)
    tickers = np.where(rng.random(300) < 0.5, "A", "B")
    return pd.DataFrame({"ticker": tickers, "at": at, "price": prices, "size": rng.integers(0, 9, 300) * 1.0})


def of_bar(events: pd.DataFrame) -> dict[str, float]:
    """Return each summary of a bar, by pandas."""
    price, size = events["price"], events["size"]
    return {
        "bar_cnt": len(events), "open": price.iloc[0], "high": price.max(), "low": price.min(),
        "close": price.iloc[-1], "std": price.std(), "total_volume": size.sum(),
        "time_delta": (events["at"].iloc[-1] - events["at"].iloc[0]).total_seconds(),
        "vwap": (price * size).sum() / size.sum() if size.sum() > 0 else np.nan,
    }  # fmt: skip


@pytest.mark.spark
def test_bars_of_events_hold_what_pandas_finds_in_them(spark) -> None:
    events = trades()
    spec = finspace.TimeBarSpec("at", "1 minute")
    bars = finspace.create_time_bars(
        spark.createDataFrame(events),
        "bar",
        ["ticker"],
        finspace.BarInputSpec("events", "price", "size"),
        spec,
    )
    two = ("price", "size")
    of_price = ("open", "high", "low", "close", "std", "lowhigh", "first_last_high_low", "ohlc_func")
    aliases = ("first_last_high_low_presorted", "ohlc_func_pre_sorted", "ohlc_scala")
    given: dict[str, tuple[str, ...]] = {
        **dict.fromkeys((*of_price, *aliases), ("price",)),
        "bar_cnt": (),
        "time_delta": (),
        "total_volume": ("size",),
        "volume_and_close": two,
        "vwap": two,
    }
    for name, columns in given.items():
        summary = getattr(finspace, name)("events", *columns)
        bars = finspace.compute_features_on_time_bars(bars, name, summary, True, "ticker", "bar")
    found = [row.asDict() for row in bars.drop("events").collect()]
    minute = events.sort_values("at").groupby(["ticker", events["at"].dt.floor("1min")])
    assert len(found) == len(minute) == 20
    for row, (_, part) in zip(found, minute, strict=True):
        wanted = of_bar(part)
        mine = [np.nan if row[name] is None else row[name] for name in wanted]
        np.testing.assert_allclose(mine, list(wanted.values()), rtol=1e-12)
        ends = wanted["open"], wanted["high"], wanted["low"], wanted["close"]
        assert all(tuple(row[name]) == ends for name in ("ohlc_func", "ohlc_func_pre_sorted", "ohlc_scala"))
        assert tuple(row["lowhigh"]) == (wanted["low"], wanted["high"])
        assert tuple(row["volume_and_close"]) == (wanted["total_volume"], wanted["close"])
        first = (wanted["open"], wanted["close"], wanted["high"], wanted["low"])
        assert tuple(row["first_last_high_low"]) == tuple(row["first_last_high_low_presorted"]) == first
    # bars that slide by half their length hold each event twice
    slid = finspace.TimeBarSpec("at", "1 minute", "30 seconds")
    twice = finspace.create_time_bars(
        spark.createDataFrame(events), "bar", "ticker", finspace.BarInputSpec("events", "price"), slid
    )
    assert sum(len(row["events"]) for row in twice.collect()) == 2 * len(events)
    summed = bars.select("ticker", "bar", "close", "bar_cnt")
    day = date(2024, 1, 2)
    full = finspace.time_bar_fill_and_filter(
        summed, "bar", finspace.NYSECalendar20192020(), spec, day, day, 0.0, "09:35", "09:45", "ticker"
    )
    there = full.toPandas().assign(at=lambda one: [bar["start"] for bar in one["bar"]])
    assert there.groupby("ticker").size().tolist() == [10, 10]
    assert there["at"].min() == pd.Timestamp("2024-01-02 14:35")
    assert there["filled"].sum() == 10  # nothing was traded after 14:40, in five bars of each
    assert (there.loc[there["filled"], ["close", "bar_cnt"]] == 0).all(axis=None)
    assert (there.loc[~there["filled"], "bar_cnt"] > 0).all()
    ranked = rankings()
    mine = finspace.rank_across(spark.createDataFrame(ranked), "value", "rank").toPandas()
    wanted_ranks = finspace.rank_across(ranked, "value", "rank")
    order = ["ts", "symbol"]
    pd.testing.assert_frame_equal(
        mine.sort_values(order, ignore_index=True), wanted_ranks.sort_values(order, ignore_index=True)
    )


def rankings() -> pd.DataFrame:
    values = {0: [3.0, 1.0, 2.0, 2.0], 1: [np.nan, 5.0, np.inf, 4.0], 2: [7.0, np.nan, np.nan, np.nan]}
    return pd.DataFrame(
        [
            {"ts": ts, "symbol": "ABCD"[k], "value": one}
            for ts, row in values.items()
            for k, one in enumerate(row)
        ]
    )


def test_ranks_are_among_the_symbols_of_an_instant() -> None:
    ranks = finspace.rank_across(rankings(), "value", "rank")["rank"]
    # 2 and 2 share the places 1 and 2 of 0 to 3; what is missing does not count, and one alone has no rank
    nothing = [np.nan] * 4
    np.testing.assert_array_equal(ranks, [1.0, 0.0, 0.5, 0.5, np.nan, 1.0, np.nan, 0.0, *nothing])


def bars_of(
    calendar: finspace.AbstractCalendar, first: str, last: str, *spec: str, **more: str
) -> pd.DataFrame:
    days = date.fromisoformat(first), date.fromisoformat(last)
    return finspace.expected_bars(calendar, finspace.TimeBarSpec("at", *spec), *days, **more)


@pytest.mark.parametrize(
    ("begin", "end"),
    [("9:30", "10:30"), ("09:30", "10:30"), ("09:30:00", "10:30:00"), (time(9, 30), time(10, 30))],
)
def test_a_time_of_the_day_may_be_written_in_several_ways(begin: Any, end: Any) -> None:
    nyse, spec = finspace.NYSECalendar20192020(), finspace.TimeBarSpec("at", "1 minute")
    days = datetime(2024, 7, 1, 15), "2024-07-02"
    found = finspace.expected_bars(nyse, spec, *days, start_time=begin, end_time=end)
    assert len(found) == 2 * 60
    assert found["start"].iloc[0] == pd.Timestamp("2024-07-01 13:30", tz="UTC")


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"start_time": "half past nine"}, "no time of a day"),
        ({"start_time": "16:00", "end_time": "10:00"}, "swap them"),
        ({"start_date": "July"}, "no date"),
        ({"spec": finspace.TimeBarSpec("at", "1 month")}, "no length of bars"),
    ],
)
def test_what_leaves_no_bars_is_refused(given: dict[str, Any], match: str) -> None:
    usual = {"spec": finspace.TimeBarSpec("at", "1 minute"), "start_date": "2024-07-01"}
    with pytest.raises(IndicatorError, match=match):
        finspace.expected_bars(
            finspace.NYSECalendar20192020(), end_date=date(2024, 7, 2), **{**usual, **given}
        )


def test_columns_that_are_not_there_are_named() -> None:
    rows = pd.DataFrame({"ts": [1, 2], "close": [1.0, 2.0]})
    with pytest.raises(IndicatorError, match="no column 'clsoe'; did you mean 'close'"):
        finspace.rank_across(rows, "clsoe", "rank")
    with pytest.raises(IndicatorError, match="no column 'ticker'"):
        finspace.compute_analytics_on_features(rows, "x", finspace.on_balance_volume(), ["ticker"])


class Chicago(finspace.AbstractCalendar):
    """Sessions that begin on the evening before."""

    exchange = "CMES"
    zone = "America/Chicago"


class Always(finspace.AbstractCalendar):
    """All of the time."""

    exchange = "24/7"


def test_bars_that_there_have_to_be_are_those_of_sessions() -> None:
    nyse = finspace.NYSECalendar20192020()
    # a half day after Thanksgiving, which is none; clocks change on 2024-03-10 and 2024-11-03
    found = bars_of(nyse, "2024-11-28", "2024-11-29", "1 minute")
    assert len(found) == 210
    assert found["start"].iloc[0] == pd.Timestamp("2024-11-29 14:30", tz="UTC")
    assert found["end"].iloc[-1] == pd.Timestamp("2024-11-29 18:00", tz="UTC")
    for days, opens in (
        (("2024-03-08", "2024-03-11"), ("14:30", "13:30")),
        (("2024-11-01", "2024-11-04"), ("13:30", "14:30")),
    ):
        found = bars_of(nyse, *days, "5 minutes")
        assert len(found) == 2 * 78
        assert tuple(found["start"].iloc[[0, 78]].dt.strftime("%H:%M")) == opens
    # the bar that the open falls into counts; so do all that slide into it
    assert len(bars_of(nyse, "2024-07-01", "2024-07-01", "1 hour")) == 7
    assert len(bars_of(nyse, "2024-07-01", "2024-07-01", "1 hour", "30 minutes")) == 14
    assert len(bars_of(nyse, "2024-07-01", "2024-07-01", "1 hour", "1 hour", "30 minutes")) == 7
    found = bars_of(nyse, "2024-07-01", "2024-07-01", "1 minute", start_time="10:00", end_time="10:30")
    assert len(found) == 30
    # a year's end, around the clock; a night session; weekdays, holidays too
    assert len(bars_of(Always(), "2023-12-31", "2024-01-01", "1 hour")) == 48
    night = bars_of(Chicago(), "2024-06-04", "2024-06-04", "1 hour")
    assert night["start"].iloc[0] == pd.Timestamp("2024-06-03 22:00", tz="UTC")
    weekdays = finspace.CalcInputSpec("at").holiday_calendar
    assert len(bars_of(weekdays, "2024-12-23", "2024-12-29", "1 day")) == 6  # days of UTC, from Monday
    assert len(bars_of(weekdays, "2024-12-28", "2024-12-29", "1 hour")) == 0
