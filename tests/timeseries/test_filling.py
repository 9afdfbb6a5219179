"""Missing bars by each policy, and weeks and months: by hand, over half days and changes of clocks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from whatif.calendars import known_schedule
from whatif.domain import timeframe_us, timestamps
from whatif.errors import StudyError
from whatif.study import parse_study
from whatif.timeseries import fill_bars, resample_bars


def bars(exchange: str, first: str, last: str, timeframe: str = "30min", symbol: str = "X") -> pd.DataFrame:
    """Return all bars of some sessions, as `whatif.read_bars` gives them; the n-th one's prices are n."""
    sessions = known_schedule(exchange, pd.Timestamp(first).date(), pd.Timestamp(last).date())
    length = timeframe_us(timeframe)
    parts = []
    for k in range(len(sessions)):
        opened, closed = sessions.open_us[k], sessions.close_us[k]
        ts = np.array([opened]) if timeframe == "1d" else np.arange(opened, closed, length)
        resumes = sessions.break_start_us[k] + sessions.break_us[k]
        ts = ts[(ts < sessions.break_start_us[k]) | (ts >= resumes)]
        parts.append(
            pd.DataFrame(
                {
                    "ts": timestamps(ts),
                    "session": pd.Timestamp(sessions.session[k], unit="D").as_unit("s"),
                    "session_open": timestamps(np.full(len(ts), opened)),
                    "session_close": timestamps(np.full(len(ts), closed)),
                }
            )
        )
    made = pd.concat(parts, ignore_index=True)
    price = 1.0 + np.arange(len(made))
    more = dict.fromkeys(("open", "high", "low", "close", "vwap"), price)
    told = {"symbol": symbol, "timeframe": timeframe, "hours": "regular", "exchange": exchange}
    made = made.assign(**more, **told, volume=2.0, trade_count=pd.array([1] * len(made), "Int64"))
    return made.assign(vwap_estimated=False)


@pytest.mark.parametrize(
    ("exchange", "first", "last", "count"),
    [
        # Thanksgiving's half day has 7 half hours; clocks are set back on 2023-11-05
        ("XNYS", "2023-11-22", "2023-11-24", 13 + 7),
        ("XNYS", "2023-11-03", "2023-11-06", 13 + 13),
        ("XNYS", "2023-12-29", "2024-01-02", 13 + 13),
        # Tokyo's break is from 11:30 to 12:30
        ("XTKS", "2023-11-22", "2023-11-22", 10),
        # Chicago's futures trade from 17:00 of the day before, overnight
        ("CMES", "2023-11-21", "2023-11-21", 48),
        ("24/7", "2023-11-04", "2023-11-05", 96),
    ],
)
def test_what_is_taken_out_comes_back_marked(exchange: str, first: str, last: str, count: int) -> None:
    whole = bars(exchange, first, last)
    assert len(whole) == count
    assert not fill_bars(whole, "null")["filled"].any()
    gone = [3, 4, count - 2]
    given = whole.drop(index=gone).sample(frac=1.0, random_state=1)
    left = fill_bars(given, "leave")
    assert len(left) == count - 3
    assert not left["filled"].any()
    null, forward = (fill_bars(given, policy) for policy in ("null", "forward"))
    for made in (null, forward):
        assert made["ts"].tolist() == whole["ts"].tolist()
        assert np.flatnonzero(made["filled"]).tolist() == gone
        pd.testing.assert_frame_equal(
            made.loc[~made["filled"], list(given)].reset_index(drop=True),
            given.sort_values("ts", ignore_index=True),
            check_dtype=False,
        )
        told = ["session", "session_open", "session_close", "hours", "exchange"]
        pd.testing.assert_frame_equal(made[told], whole[told])
    assert null.loc[gone, ["open", "close", "volume", "vwap"]].isna().all(axis=None)
    assert null.loc[gone, "trade_count"].isna().all()
    assert forward.loc[gone, ["open", "high", "low", "close", "vwap"]].to_numpy().tolist() == [
        [3.0] * 5, [3.0] * 5, [count - 2.0] * 5,
    ]  # fmt: skip
    assert forward.loc[gone, "volume"].tolist() == [0.0] * 3
    assert forward.loc[gone, "trade_count"].tolist() == [0] * 3


def test_bars_outside_of_sessions_go_by_name_and_a_day_without_bars_is_filled() -> None:
    whole = bars("XNYS", "2023-11-20", "2023-11-22", "1d")
    days = fill_bars(whole.drop(index=1), "forward")
    assert days["ts"].tolist() == whole["ts"].tolist()
    assert days["close"].tolist() == [1.0, 1.0, 3.0]
    minutes = bars("XNYS", "2023-11-20", "2023-11-20")
    late = minutes.tail(1).assign(ts=minutes["session_close"].iloc[-1], hours="extended", close=99.0)
    both = pd.concat([minutes.drop(index=12), late], ignore_index=True)
    assert len(fill_bars(both, "leave")) == 12
    kept = fill_bars(both, "forward", "extended")
    assert len(kept) == 14
    assert kept["close"].tolist()[-2:] == [12.0, 99.0]


def test_nothing_is_known_before_the_first_bar_and_symbols_are_apart() -> None:
    two = pd.concat([bars("XNYS", "2023-11-20", "2023-11-20", symbol=s).drop(index=[0]) for s in ("A", "B")])
    made = fill_bars(two, "forward")
    assert made.groupby("symbol").size().tolist() == [13, 13]
    assert made.groupby("symbol")["close"].first().tolist() == [2.0, 2.0]
    assert made["close"].isna().tolist() == ([True] + [False] * 12) * 2


def test_what_cannot_be_filled_is_refused() -> None:
    whole = bars("XNYS", "2023-11-20", "2023-11-20")
    with pytest.raises(StudyError, match="policy 'forwards' is unknown: did you mean 'forward'"):
        fill_bars(whole, "forwards")
    with pytest.raises(StudyError, match="no column 'hours'"):
        fill_bars(whole.drop(columns="hours"), "null")
    with pytest.raises(StudyError, match="has bars of 1h, 30min: filter one timeframe"):
        fill_bars(pd.concat([whole, bars("XNYS", "2023-11-20", "2023-11-20", "1h")]), "null")
    with pytest.raises(StudyError, match=r"counted from the session's open: resample"):
        fill_bars(whole.assign(ts=whole["ts"] + pd.Timedelta(1, "min")), "null")


def test_a_study_trades_on_no_filled_bar() -> None:
    text = (
        "study: s\ndata: {symbols: [SPY], start: 2024-01-02, end: 2024-02-01, fill: POLICY}\n"
        "calendar: {exchange: XNYS}\nstrategy: {name: sma_crossover}\n"
    )
    assert "fill" not in parse_study(text.replace("POLICY", "leave")).data.model_dump()
    with pytest.raises(StudyError, match="fill on bars in which nothing was traded: write leave"):
        parse_study(text.replace("POLICY", "forward"))
    with pytest.raises(StudyError, match="'zero' is no policy for missing bars"):
        parse_study(text.replace("POLICY", "zero"))


def by_hand(days: pd.DataFrame, key: pd.Series) -> pd.DataFrame:
    groups = days.groupby(key.to_numpy())
    return groups.agg(
        ts=("ts", "first"), open=("open", "first"), high=("high", "max"), low=("low", "min"),
        close=("close", "last"), volume=("volume", "sum"), trade_count=("trade_count", "sum"),
        session_close=("session_close", "last"), session=("session", "first"),
    ).reset_index(drop=True)  # fmt: skip


@pytest.mark.parametrize("exchange", ["XNYS", "CMES", "XTKS"])
@pytest.mark.parametrize("timeframe", ["1w", "1mo"])
def test_weeks_and_months_are_those_of_trading_dates(exchange: str, timeframe: str) -> None:
    # over Thanksgiving, the end of the year, and a change of clocks
    days = bars(exchange, "2023-10-30", "2024-03-15", "1d")
    rng = np.random.default_rng(1)
    close = 100.0 + rng.normal(0.0, 1.0, len(days)).cumsum()
    days = days.assign(close=close, open=close - 0.1, high=close + 1.0, low=close - 1.0)
    dates = days["session"].dt
    iso = dates.isocalendar()
    key = iso["year"] * 100 + iso["week"] if timeframe == "1w" else dates.year * 100 + dates.month
    wanted, made = by_hand(days, key), resample_bars(days, timeframe)
    assert set(made["timeframe"]) == {timeframe}
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_allclose(made[name], wanted[name], rtol=1e-13, err_msg=name)
    for name in ("ts", "session_close"):
        assert made[name].dt.as_unit("us").tolist() == wanted[name].dt.as_unit("us").tolist()
    assert pd.to_datetime(made["session"]).tolist() == wanted["session"].tolist()
    assert made["trade_count"].tolist() == wanted["trade_count"].tolist()
    # of its minutes it is the same, but for those out of hours
    if exchange == "XNYS":
        part = bars(exchange, "2023-10-30", "2023-12-05")
        late = part.tail(1).assign(ts=part["session_close"].iloc[-1], hours="extended", high=1e9)
        assert resample_bars(pd.concat([part, late]), timeframe)["high"].max() == len(part)


def test_longer_bars_of_a_frame_need_no_spark() -> None:
    whole = bars("XNYS", "2023-11-20", "2023-11-21")
    hours = resample_bars(pd.concat([whole, whole.assign(symbol="A")]), "1h")
    assert hours.groupby("symbol").size().to_dict() == {"A": 14, "X": 14}
    assert hours["volume"].tolist()[:7] == [4.0] * 6 + [2.0]
    with pytest.raises(StudyError, match="no column 'hours'"):
        resample_bars(whole.drop(columns="hours"), "1h")


@pytest.mark.spark
def test_spark_fills_and_joins_the_same_rows(spark) -> None:
    whole = pd.concat([bars("XNYS", "2023-11-20", "2023-11-28", symbol=symbol) for symbol in ("A", "B")])
    given = whole.drop(columns="session").assign(session=whole["session"].dt.date).iloc[1::3]
    there = spark.createDataFrame(given)
    for found, wanted in (
        (fill_bars(there, "forward"), fill_bars(given, "forward")),
        (resample_bars(there, "1w"), resample_bars(given, "1w")),
    ):
        rows = found.toPandas().sort_values(["symbol", "ts"], ignore_index=True)
        assert len(rows) == len(wanted)
        for name in ("open", "high", "low", "close", "volume", "vwap"):
            assert rows[name].to_numpy().tobytes() == wanted[name].to_numpy().tobytes(), name
        assert rows["session"].tolist() == wanted["session"].tolist()
