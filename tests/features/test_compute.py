"""Features and label of one symbol."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import whatif
from whatif.domain.bars import Bars
from whatif.domain.timeframe import MINUTE_US
from whatif.errors import IndicatorError
from whatif.features.spec import FeatureSpec, feature_frame, features_of_symbol
from whatif.indicators import evaluate, parse
from whatif.indicators.registry import INDICATORS
from whatif.labels import ForwardVwap
from whatif.labels.kinds.forward_vwap import forward_vwap
from whatif.search.slices import BarSlice

from ..markets import changed_after, lake_rows, us, walk

FIVE = 5 * MINUTE_US


def bars_at(stamps: list[str], vwap: list[float], close: float = 10.0) -> Bars:
    """Return bars of 4 and 7 October 2013."""
    n = len(stamps)
    ts = np.array([us(text) for text in stamps], dtype=np.int64)
    monday = ts >= us("2013-10-07T00:00")
    flat = np.full(n, close)
    return Bars(
        "A", ts, flat, flat, flat, flat, np.ones(n), np.array(vwap),
        session=np.where(monday, 15_985, 15_982),
        session_open=np.where(monday, us("2013-10-07T13:30"), us("2013-10-04T13:30")),
        session_close=np.where(monday, us("2013-10-07T20:00"), us("2013-10-04T20:00")),
    )  # fmt: skip


def spec(
    features: tuple[str, ...] = (), timeframe: str = "1min", horizon: str | None = "5min"
) -> FeatureSpec:
    bars = BarSlice(
        ("A",), "1min", timeframe, "XNYS", "regular", us("2013-10-04T13:30"), us("2013-10-11T20:00")
    )
    return FeatureSpec(bars, features, None if horizon is None else ForwardVwap(horizon=horizon))


class TestLabel:
    """The VWAP of the bar that starts at ts + horizon in the same session, joined on time."""

    DATA = bars_at(
        [
            "2013-10-04T13:30", "2013-10-04T13:31", "2013-10-04T13:34", "2013-10-04T13:35",
            "2013-10-04T13:40", "2013-10-04T19:54", "2013-10-04T19:55", "2013-10-04T19:59",
            "2013-10-07T13:30", "2013-10-07T13:35",
        ],
        [11, 12, 13, 14, 15, 16, 17, 18, 19, 20],
    )  # fmt: skip

    def test_level_return_and_end_by_hand(self) -> None:
        level, forward, end = forward_vwap(self.DATA, FIVE, MINUTE_US)
        nan = np.nan
        # 13:36 and 13:39 do not exist; after 19:54 the session is over; Monday 13:35 has no follower
        expected = [14, nan, nan, 15, nan, 18, nan, nan, 20, nan]
        np.testing.assert_array_equal(level, expected)
        np.testing.assert_array_equal(forward, np.array(expected) / 10 - 1)
        minutes = ["13:36", "", "", "13:41", "", "20:00", "", "", "", ""]
        ends = [us(f"2013-10-04T{text}") if text else 0 for text in minutes]
        ends[8] = us("2013-10-07T13:36")
        assert end.tolist() == ends

    def test_a_row_number_is_no_time(self) -> None:
        """Five rows after the first one stands the bar of 19:54, which is not its label."""
        level, _, _ = forward_vwap(self.DATA, FIVE, MINUTE_US)
        assert level[0] == 14 != self.DATA.vwap[5]

    def test_never_another_session(self) -> None:
        """From 19:55 on Friday it is 65 hours and 35 minutes to Monday's 13:30."""
        level, _, end = forward_vwap(self.DATA, us("2013-10-07T13:30") - us("2013-10-04T19:55"), MINUTE_US)
        assert np.isnan(level).all()
        assert not end.any()

    def test_the_last_bar_of_a_session_ends_with_it(self) -> None:
        hours = bars_at(["2013-10-04T18:30", "2013-10-04T19:30"], [1, 2])
        _, _, end = forward_vwap(hours, 60 * MINUTE_US, 60 * MINUTE_US)
        assert end[0] == us("2013-10-04T20:00")

    def test_in_the_frame_nothing_is_null(self) -> None:
        frame = feature_frame(self.DATA, spec())
        assert frame["label_end"].isna().tolist() == np.isnan(frame["label_level"]).tolist()
        assert str(frame["label_end"].dtype) == "datetime64[us, UTC]"
        assert frame["label_end"].iloc[0] == pd.Timestamp("2013-10-04 13:36", tz="UTC")

    def test_no_bars(self) -> None:
        level, forward, end = forward_vwap(bars_at([], []), FIVE, MINUTE_US)
        assert (len(level), len(forward), len(end)) == (0, 0, 0)

    def test_it_depends_on_its_own_bar_and_on_the_close_before(self) -> None:
        """What a label knows: close(t), and the one bar that ends at `label_end`. Nothing after that."""
        data = walk("A", 5, minutes=40)
        level, forward, end = forward_vwap(data, FIVE, MINUTE_US)
        for row in (10, 57, 120):
            known = (end > 0) & (end <= data.ts[row] + MINUTE_US)
            after, returns, _ = forward_vwap(changed_after(data, row), FIVE, MINUTE_US)
            assert level[known].tobytes() == after[known].tobytes()
            assert forward[known].tobytes() == returns[known].tobytes()
            # and the rest do look ahead: that is what a label is
            open_ = (end > data.ts[row] + MINUTE_US) & (data.ts <= data.ts[row])
            assert open_.any()
            assert (level[open_] != after[open_]).all()


FIRST = (
    *("sma", "ema", "wma", "smma", "roc", "roc100", "highest", "lowest", "macd", "macd_signal"),
    *("macd_histogram", "rsi", "atr", "stddev", "bollinger_top", "bollinger_mid", "bollinger_bottom"),
    *("crossover", "lag", "scaled", "zscore", "log", "abs", "clip", "where"),
)
"""Indicators that are looked at one by one; all others are, at once."""

EXPRESSIONS = sorted(
    [
        f"{name}({', '.join(('5', '9', '4')[: len(one.parameters)])})"
        if one.parameters
        else f"{name}({', '.join(('close', 'sma(5)', 'open')[: len(one.sources)])})"
        for name, one in INDICATORS.items()
        if name in FIRST
    ]
    + ["open", "high", "low", "close", "volume", "vwap", "sma(vwap, 20)", "ema(roc(3), 4)"]
)


def written(name: str) -> str:
    """Return the first output of an indicator, on short windows."""
    one = INDICATORS[name]
    numbers = ("5", "9", "4", "3", "6")[: len(one.parameters) - len(one.defaults)]
    series = () if all(one.sources) else ("close", "open", "volume")[: len(one.sources)]
    return f"{name}({', '.join((*series, *numbers))})" + (f".{one.parts[0]}" if one.parts else "")


def test_no_feature_of_any_indicator_looks_ahead() -> None:
    """All others at once: changes after t move nothing up to t, and a feature is the indicator."""
    data = walk("A", 3, minutes=90)
    one = spec(tuple(written(name) for name in sorted(set(INDICATORS) - set(FIRST))))
    assert len(one.features) + len(FIRST) == len(INDICATORS)
    before = features_of_symbol(lake_rows(data), one)
    after = features_of_symbol(lake_rows(changed_after(data, 150)), one)
    known = (before["ts"] <= pd.Timestamp(data.ts[150], unit="us", tz="UTC")).to_numpy()
    for text, column in one.column_of().items():
        assert before[column].to_numpy()[known].tobytes() == after[column].to_numpy()[known].tobytes(), text
        assert before[column].to_numpy().tobytes() == evaluate(parse(text), data).tobytes(), text


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_no_feature_looks_ahead(text: str) -> None:
    """Change every bar after t: nothing up to t moves, at any timeframe."""
    data = walk("A", 3, minutes=60)
    for timeframe in ("1min", "5min"):
        one = spec((text,), timeframe)
        column = one.columns[0]
        before = features_of_symbol(lake_rows(data), one)
        for row in (0, 111):
            after = features_of_symbol(lake_rows(changed_after(data, row)), one)
            # rows whose bar was complete when the last unchanged one was
            known = pd.Timestamp(data.ts[row], unit="us", tz="UTC") + pd.Timedelta("1min")
            complete = (before["ts"] + pd.Timedelta(timeframe) <= known).to_numpy()
            old, new = before[column].to_numpy(), after[column].to_numpy()
            assert complete.any() or timeframe == "5min"
            assert old[complete].tobytes() == new[complete].tobytes()
            assert (old[~complete] != new[~complete]).any() or text.startswith("crossover")


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_a_feature_is_the_indicator(text: str) -> None:
    """One definition: the column and what a strategy reads are the same bytes."""
    data = walk("A", 4, minutes=60)
    one = spec((text,))
    found = features_of_symbol(lake_rows(data).sample(frac=1.0, random_state=2), one)
    assert found[one.columns[0]].to_numpy().tobytes() == evaluate(parse(text), data).tobytes()


def test_features_of_a_frame_are_those_of_the_table() -> None:
    """One definition: what a notebook asks for, and what Spark stores, are the same bytes."""
    market = [walk("A", 4, minutes=60), walk("B", 5, minutes=60)]
    texts = ("sma(20)", "minute_of_session", "is_month_end", "ema(close@5min, 3)", "high@1d")
    found = whatif.features(pd.concat([lake_rows(one) for one in market]), texts, calendar="XNYS")
    assert list(found) == ["symbol", "ts", *texts]
    assert found["symbol"].drop_duplicates().tolist() == ["A", "B"]
    for one in market:
        expected = features_of_symbol(lake_rows(one), spec(texts, horizon=None))
        mine = found[found["symbol"] == one.symbol]
        assert mine["ts"].tolist() == expected["ts"].tolist()
        for text, column in spec(texts).column_of().items():
            assert mine[text].to_numpy().tobytes() == expected[column].to_numpy().tobytes(), text


def test_nothing_infinite_stands_in_a_table() -> None:
    """Neither from an infinite price or column of a frame, nor from a sum that overflows, nor in a label."""
    frame = lake_rows(walk("A", 1, minutes=30)).assign(extra=1.0)
    frame.loc[frame.index[5], ["close", "extra"]] = np.inf
    frame.loc[frame.index[9:12], ["high", "low"]] = 1.7e308
    own = ("close", "extra", "lag(extra, 1)", "roc(3)", "where(extra > 0, extra, 0)",
           "where(low > 0, extra, 0)", "close / 0", "log(close - close)", "close * 1e308",
           "ichimoku(2, 3, 4).tenkan", "price_channel(high + 0, 2).middle")  # fmt: skip
    with np.errstate(all="ignore"):
        found = whatif.features(frame, own, calendar="XNYS")
        bars = walk("A", 1, minutes=30)
        made = feature_frame(replace(bars, close=np.where(np.arange(len(bars)) % 7, bars.close, 0.0)), spec())
    for text in own:
        assert not np.isinf(found[text]).any(), text
    assert found.loc[5, ["close", "extra"]].isna().all()
    assert np.isnan(found.loc[6, "lag(extra, 1)"])
    assert not np.isinf(made["label_return"]).any()
    assert made["label_return"].notna().sum() > 50


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sma", r"sma is an indicator: give its parameters, as in sma\(14\)"),
        ("bbands", r"as in bbands\(14, 2\)\.upper"),
        ("CLOSE", "did you mean 'close'"),
        ("vwapp", "did you mean 'vwap'"),
    ],
)
def test_what_is_no_series_of_a_frame_says_what_is_meant(text: str, said: str) -> None:
    with pytest.raises(IndicatorError, match=said):
        whatif.features(lake_rows(walk("A", 1, minutes=30)), [text])


def test_features_of_a_frame_are_refused_with_the_rule() -> None:
    frame = lake_rows(walk("A", 4, minutes=60))
    with pytest.raises(IndicatorError, match="'n' is no number: write one, as in sma"):
        whatif.features(frame, ["sma(n)"])
    with pytest.raises(IndicatorError, match="@1min is not longer than 1min"):
        whatif.features(frame, ["close@1min"])
    with pytest.raises(IndicatorError, match="A: there is no series 'clos'; did you mean 'close'"):
        whatif.features(frame, ["clos"])
    with pytest.raises(IndicatorError, match="is_month_end needs the sessions of an exchange"):
        whatif.features(frame, ["is_month_end"])


def test_a_text_is_one_feature_and_what_is_no_text_is_refused() -> None:
    frame = lake_rows(walk("A", 1, minutes=30))
    found = whatif.features(frame, "sma(20)")
    np.testing.assert_allclose(found["sma(20)"], frame["close"].rolling(20).mean(), rtol=1e-12)
    with pytest.raises(IndicatorError, match="5 is no expression: write text"):
        whatif.features(frame, [5])  # type: ignore[list-item]
