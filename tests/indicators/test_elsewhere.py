"""Series of time, and bars from elsewhere on the rows of a symbol's bars: by hand, and by pandas."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whatif.domain import DAY_US, HOUR_US, MINUTE_US, PRICE_FIELDS, Bars, Place, timestamps
from whatif.engines import bars_of_frame
from whatif.errors import IndicatorError
from whatif.indicators import Needs, Stored, evaluate, needs_of, parse, with_needs

from ..markets import changed_after, lake_rows, us, walk


def ready(bars: Bars, *texts: str, exchange: str = "XNYS", timeframe_us: int = MINUTE_US) -> Bars:
    """Return minute bars, or longer ones made of them, with what expressions need."""
    own = Stored(bars, MINUTE_US, timeframe_us)
    made = bars if timeframe_us == MINUTE_US else own.at(f"{timeframe_us // MINUTE_US}min")[0]
    return with_needs(made, needs_of(map(parse, texts)), own, exchange)


def value(text: str, bars: Bars, **given: object) -> np.ndarray:
    return evaluate(parse(text), ready(bars, text, **given))


class TestTime:
    """Time is told from a bar's start and the sessions of its exchange."""

    def test_minutes_of_a_session_by_hand(self) -> None:
        bars = walk("A", 1, minutes=390).slice(0, 380)
        # Friday 4 October 2013: 13:30 to 20:00 UTC
        assert bars.ts[0] == us("2013-10-04T13:30")
        minute, left = value("minute_of_session", bars), value("minutes_to_close", bars)
        at = int(np.searchsorted(bars.ts, us("2013-10-04T15:00")))
        assert bars.ts[at] == us("2013-10-04T15:00")
        assert (minute[0], minute[at], left[0], left[at]) == (0.0, 90.0, 390.0, 300.0)
        assert minute.dtype == left.dtype == np.float64

    def test_out_of_regular_hours_there_is_no_minute(self) -> None:
        bars = walk("A", 1, minutes=3).slice(0, 3)
        early = replace(bars, ts=bars.ts - HOUR_US)
        late = replace(bars, ts=bars.session_close + np.arange(3) * MINUTE_US)
        for one in (early, late):
            assert np.isnan(value("minute_of_session", one)).all()
            assert np.isnan(value("minutes_to_close", one)).all()
            assert value("day_of_week", one).tolist() == [4.0] * 3

    def test_weekdays_are_those_of_pandas(self) -> None:
        bars = walk("A", 1, minutes=2, first=date(2013, 1, 2), last=date(2013, 12, 31))
        expected = pd.to_datetime(bars.session, unit="D").day_of_week
        assert value("day_of_week", bars).tolist() == expected.tolist()
        assert set(expected) == {0, 1, 2, 3, 4}

    def test_the_last_session_of_a_month_is_the_exchanges(self) -> None:
        bars = walk("A", 1, minutes=2, first=date(2013, 1, 2), last=date(2013, 7, 30))
        ends = bars.session[value("is_month_end", bars) == 1.0]
        found = sorted({str(day) for day in ends.astype("datetime64[D]")})
        # Good Friday was 29 March, a Sunday 31 March; a Friday 28 June and 31 May; 30 July is no end
        assert found == [
            "2013-01-31", "2013-02-28", "2013-03-28", "2013-04-30", "2013-05-31", "2013-06-28",
        ]  # fmt: skip
        assert set(value("is_month_end", bars).tolist()) == {0.0, 1.0}

    def test_the_month_does_not_end_with_the_data(self) -> None:
        """It is known ahead, by the calendar: what bars there are later changes nothing."""
        bars = walk("A", 1, minutes=2, first=date(2013, 5, 28), last=date(2013, 6, 4))
        whole = value("is_month_end", bars)
        for stop in range(1, len(bars)):
            assert value("is_month_end", bars.slice(0, stop)).tolist() == whole[:stop].tolist()

    def test_always_open_every_day_is_a_session(self) -> None:
        day = np.arange(20_000, 20_100)
        bars = walk("A", 1, minutes=17).slice(0, 100)
        bars = replace(bars, ts=day * DAY_US, session=day)
        expected = pd.to_datetime(day, unit="D").is_month_end
        assert value("is_month_end", bars, exchange="24/7").tolist() == expected.astype(float).tolist()

    def test_without_an_exchange_nobody_knows(self) -> None:
        bars = walk("A", 1, minutes=2)
        with pytest.raises(IndicatorError, match=r'is_month_end needs the sessions.*calendar="XNYS"'):
            value("is_month_end", bars, exchange="")
        assert len(value("day_of_week", bars, exchange="")) == len(bars)

    def test_a_column_of_that_name_is_taken(self) -> None:
        bars = walk("A", 1, minutes=2)
        own = bars.with_inputs({"day_of_week": np.full(len(bars), 9.0)})
        assert (value("day_of_week", own) == 9.0).all()

    def test_an_indicator_of_time(self) -> None:
        bars = walk("A", 1, minutes=10)
        expected = pd.Series(value("minute_of_session", bars)).rolling(3).max()
        np.testing.assert_array_equal(value("highest(minute_of_session, 3)", bars), expected)


def hours_by_pandas(bars: Bars, rule: str) -> pd.DataFrame:
    """Return longer bars from each session's open, and when each has ended: pandas alone, by session."""
    frame = pd.DataFrame({name: getattr(bars, name) for name in PRICE_FIELDS}, index=timestamps(bars.ts))
    close = pd.Series(timestamps(bars.session_close), index=frame.index)
    parts = []
    for _, part in frame.groupby(bars.session):
        joined = part.resample(rule, origin=timestamps(bars.session_open)[frame.index.get_loc(part.index[0])])
        made = joined.agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"})
        made = made[joined.size() > 0]
        made["ended"] = np.minimum(made.index + pd.Timedelta(rule), close[part.index[0]])
        parts.append(made)
    return pd.concat(parts)


def as_of(values: pd.Series, ended: pd.Series, rows: pd.DatetimeIndex) -> np.ndarray:
    """Return the last value that was there when each row's minute had ended."""
    right = pd.DataFrame({"at": pd.DatetimeIndex(ended), "value": values.to_numpy()})
    left = pd.DataFrame({"at": rows + pd.Timedelta("1min")})
    return pd.merge_asof(left, right, on="at")["value"].to_numpy()


class TestLongerBars:
    """A row knows the longer bars that have ended when its own has."""

    @pytest.mark.parametrize("rule", ["5min", "30min", "1h", "2h"])
    @pytest.mark.parametrize("name", ["open", "high", "low", "close", "volume"])
    def test_a_series_is_resampled_and_joined_as_of(self, rule: str, name: str) -> None:
        bars = walk("A", 2)
        made = hours_by_pandas(bars, rule)
        expected = as_of(made[name], made["ended"], timestamps(bars.ts))
        found = value(f"{name}@{rule}", bars)
        np.testing.assert_array_equal(found, expected)
        assert np.isnan(found[0])
        assert not np.isnan(found[-1])

    @pytest.mark.parametrize("rule", ["30min", "1h"])
    def test_an_indicator_is_computed_on_the_longer_bars(self, rule: str) -> None:
        bars = walk("A", 2)
        made = hours_by_pandas(bars, rule)
        expected = as_of(made["close"].rolling(4).mean(), made["ended"], timestamps(bars.ts))
        np.testing.assert_allclose(value(f"sma(close@{rule}, 4)", bars), expected, rtol=1e-12)

    def test_an_hour_is_known_on_the_minute_that_ends_with_it(self) -> None:
        bars = walk("A", 3)
        found = value("close@1h", bars)
        ends = bars.ts + MINUTE_US
        first = int(np.searchsorted(ends, us("2013-10-04T14:30")))
        assert ends[first] == us("2013-10-04T14:30")
        assert np.isnan(found[:first]).all()
        assert found[first] == bars.close[first]
        # 19:30 to 20:00 is an hour that the close ends
        last = int(np.searchsorted(bars.ts, us("2013-10-04T20:00"))) - 1
        assert found[last] == bars.close[last] != found[last - 1]

    def test_a_day_is_a_session(self) -> None:
        bars = walk("A", 3)
        found = value("high@1d", bars)
        days = pd.Series(bars.high).groupby(bars.session).max()
        begins = np.flatnonzero(np.diff(bars.session)) + 1
        assert np.isnan(found[: begins[0] - 1]).all()
        for k, row in enumerate(begins):
            assert found[row] == found[row + 100] == days.iloc[k]

    def test_they_are_those_of_a_study_of_that_timeframe(self) -> None:
        bars = walk("A", 4)
        hourly, _ = Stored(bars, MINUTE_US, HOUR_US).at("1h")
        expected = evaluate(parse("ema(3)"), hourly)
        complete = hourly.ts + HOUR_US
        known = np.searchsorted(np.minimum(complete, hourly.session_close), bars.ts + MINUTE_US, "right") - 1
        found = value("ema(close@1h, 3)", bars)
        assert found.tobytes() == np.where(known < 0, np.nan, expected[known]).tobytes()

    def test_rows_that_are_longer_themselves(self) -> None:
        """On bars of 30 minutes, made of minutes, an hour is made of the minutes too."""
        bars = walk("A", 5)
        half = 30 * MINUTE_US
        found = value("vwap@1h", bars, timeframe_us=half)
        rows, _ = Stored(bars, MINUTE_US, half).at("30min")
        hourly, _ = Stored(bars, MINUTE_US, HOUR_US).at("1h")
        assert len(found) == len(rows)
        # the session's 2nd, 4th, ... half hour ends an hour; so does its last, the 13th
        minute = (rows.ts - rows.session_open) // MINUTE_US
        ends = (minute % 60 == 30) | (minute == 360)
        assert found[ends].tobytes() == hourly.vwap.tobytes()
        assert found[~ends][1:].tolist() == found[np.flatnonzero(~ends)[1:] - 1].tolist()

    def test_what_is_of_two_places_is_made_on_the_rows(self) -> None:
        bars = walk("A", 6)
        hour, near = value("sma(close@1h, 2)", bars), bars.close
        found = value("crossover(close, sma(close@1h, 2))", bars)
        up = (near[1:] > hour[1:]) & (near[:-1] <= hour[:-1])
        down = (near[1:] < hour[1:]) & (near[:-1] >= hour[:-1])
        plain = np.flatnonzero(near[:-1] != hour[:-1]) + 1
        expected = up.astype(float) - down.astype(float)
        warm = plain[~np.isnan(hour[plain - 1])]
        np.testing.assert_array_equal(found[warm], expected[warm - 1])
        assert {-1.0, 0.0, 1.0} <= set(found[warm])

    def test_of_one_place_a_crossing_is_one_of_longer_bars(self) -> None:
        bars = walk("A", 6)
        both = value("crossover(sma(close@5min, 2), sma(close@5min, 5))", bars)
        five, _ = Stored(bars, MINUTE_US, 5 * MINUTE_US).at("5min")
        there = evaluate(parse("crossover(sma(2), sma(5))"), five)
        known = np.searchsorted(five.ts + 5 * MINUTE_US, bars.ts + MINUTE_US, "right") - 1
        np.testing.assert_array_equal(both, np.where(known < 0, np.nan, there[known]))

    def test_parts_are_shared_by_a_cache(self) -> None:
        bars, cache = ready(walk("A", 6), "sma(close@1h, 2)"), {}
        first = evaluate(parse("sma(close@1h, 2)"), bars, cache)
        assert evaluate(parse("sma(close@60min, 2)"), bars, cache) is first
        assert not first.flags.writeable

    def test_a_slice_of_bars_keeps_what_is_joined(self) -> None:
        bars = ready(walk("A", 6), "sma(close@1h, 2)", "day_of_week")
        whole = evaluate(parse("sma(close@1h, 2)"), bars)
        part = evaluate(parse("sma(close@1h, 2)"), bars.slice(100, 900))
        assert part.tobytes() == whole[100:900].tobytes()
        assert bars.nbytes > walk("A", 6).nbytes + 8 * len(bars)

    def test_no_bars(self) -> None:
        assert len(value("sma(close@1h, 2)", walk("A", 6).slice(0, 0))) == 0

    @pytest.mark.parametrize(
        ("text", "length", "said"),
        [
            ("close@1min", MINUTE_US, "@1min is not longer than 1min.*write such as @5min"),
            ("close@5min", 15 * MINUTE_US, "@5min is not longer than 15min.*write such as @1h"),
            ("close@40min", 15 * MINUTE_US, "@40min is no multiple of 15min.*write such as @1h"),
            ("close@1d", DAY_US, "@1d is not longer than 1d.*leave it out"),
        ],
    )
    def test_not_longer_or_no_multiple_is_refused(self, text: str, length: int, said: str) -> None:
        bars = walk("A", 1, minutes=2)
        with pytest.raises(IndicatorError, match=said):
            with_needs(bars, parse(text).needs, Stored(bars, length, length), "XNYS")

    def test_bars_that_come_alone_have_no_others(self) -> None:
        with pytest.raises(IndicatorError, match="A: close@1h needs other bars, which are not joined"):
            evaluate(parse("close@1h"), walk("A", 1, minutes=2))


def beside(row: Bars, other: Bars, text: str) -> np.ndarray:
    """Return an expression on rows of minutes, with another symbol's bars at hand."""
    own, there = Stored(row, MINUTE_US, MINUTE_US), Stored(other, MINUTE_US, MINUTE_US)
    needs = parse(text).needs
    assert needs.symbols == {other.symbol}
    return evaluate(parse(text), with_needs(row, needs, own, "XNYS", lambda _: there))


class TestOtherSymbols:
    """A row knows the other symbol's bars that have ended when its own has: the last of them."""

    def thinned(self) -> tuple[Bars, Bars]:
        row, other = walk("A", 1, minutes=60), walk("SPY", 2, minutes=60)
        rng = np.random.default_rng(5)
        kept = rng.random(len(other)) < 0.7
        kept[:4] = False
        return row.take(rng.random(len(row)) < 0.9), other.take(kept)

    @pytest.mark.parametrize("name", ["close", "volume"])
    def test_a_series_is_joined_as_of(self, name: str) -> None:
        row, other = self.thinned()
        left = pd.DataFrame({"ts": timestamps(row.ts)})
        right = pd.DataFrame({"ts": timestamps(other.ts), "value": getattr(other, name)})
        expected = pd.merge_asof(left, right, on="ts")["value"].to_numpy()
        found = beside(row, other, f"SPY.{name}")
        np.testing.assert_array_equal(found, expected)
        # before its first bar there is none; where it has none, its last one holds
        first = int(np.searchsorted(row.ts, other.ts[0]))
        assert first > 0
        assert np.isnan(found[:first]).all()
        assert not np.isin(row.ts[first:], other.ts).all()
        assert not np.isnan(found[first:]).any()

    def test_an_indicator_is_computed_on_its_own_bars(self) -> None:
        row, other = self.thinned()
        right = pd.DataFrame({"ts": timestamps(other.ts), "value": pd.Series(other.close).rolling(9).mean()})
        expected = pd.merge_asof(pd.DataFrame({"ts": timestamps(row.ts)}), right, on="ts")["value"]
        np.testing.assert_allclose(beside(row, other, "sma(SPY.close, 9)"), expected, rtol=1e-12)

    def test_its_longer_bars(self) -> None:
        row, other = self.thinned()
        made = hours_by_pandas(other, "30min")
        expected = as_of(made["close"].rolling(3).mean(), made["ended"], timestamps(row.ts))
        np.testing.assert_allclose(beside(row, other, "sma(SPY.close@30min, 3)"), expected, rtol=1e-12)

    def test_beside_its_own_bars(self) -> None:
        """Where symbols meet, the rows are where they do."""
        row, other = self.thinned()
        found = beside(row, other, "crossover(close, SPY.close)")
        far = beside(row, other, "SPY.close")
        own = replace(row, inputs={"far": far})
        assert found.tobytes() == evaluate(parse("crossover(close, far)"), own).tobytes()
        assert {-1.0, 0.0, 1.0} <= set(found)

    def test_itself(self) -> None:
        row = walk("SPY", 1, minutes=30)
        assert beside(row, row, "SPY.close").tobytes() == row.close.tobytes()
        assert beside(row, row, "ema(SPY.close, 4)").tobytes() == evaluate(parse("ema(4)"), row).tobytes()

    def test_none_of_its_bars(self) -> None:
        row, other = self.thinned()
        assert np.isnan(beside(row, other.slice(0, 0), "sma(SPY.close@1h, 2)")).all()

    def test_nobody_gives_its_bars(self) -> None:
        row = walk("A", 1, minutes=3)
        with pytest.raises(IndicatorError, match="A: the bars of SPY are not there: give them too"):
            ready(row, "SPY.close")

    def test_days_that_end_later_are_not_known(self) -> None:
        """A day of a market that never closes has not ended when New York's has."""
        daily, _ = Stored(walk("A", 1), MINUTE_US, DAY_US).at("1d")
        day = daily.session * DAY_US
        coin = replace(daily, symbol="BTC", ts=day, session_open=day, session_close=day + DAY_US)
        own, there = (Stored(one, DAY_US, DAY_US) for one in (daily, coin))
        found, back = (
            evaluate(parse(text), with_needs(rows, parse(text).needs, mine, "", lambda _, o=others: o))
            for rows, mine, others, text in (
                (daily, own, there, "BTC.close"),
                (coin, there, own, "A.close"),
            )
        )
        # the coin's day ends at midnight, New York's at 20:00 UTC of the same day
        assert np.isnan(found[0])
        assert found[1] == coin.close[0]
        assert found[2:].tolist() == coin.close[1:-1].tolist()
        assert back.tolist() == daily.close.tolist()

    @given(seed=st.integers(0, 2**16), row=st.integers(0, 300), text=st.sampled_from(
        ["SPY.close", "sma(SPY.vwap, 3)", "ema(SPY.close@5min, 2)", "crossover(SPY.close, close)"]
    ))  # fmt: skip
    @settings(max_examples=40, deadline=None)
    def test_nothing_looks_ahead(self, seed: int, row: int, text: str) -> None:
        """Change every bar of both after an instant: what was known then does not move."""
        rng = np.random.default_rng(seed)
        one, other = (walk(symbol, k, minutes=60) for symbol, k in (("A", 1), ("SPY", 2)))
        one, other = one.take(rng.random(len(one)) < 0.6), other.take(rng.random(len(other)) < 0.6)
        at = int(one.ts[min(row, len(one) - 1)])
        changed = [
            changed_after(bars, int(np.searchsorted(bars.ts, at, "right")) - 1) for bars in (one, other)
        ]
        before, after = (
            evaluate(
                parse(text),
                with_needs(
                    mine,
                    parse(text).needs,
                    Stored(mine, MINUTE_US, MINUTE_US),
                    "XNYS",
                    lambda _, far=far: Stored(far, MINUTE_US, MINUTE_US),
                ),
            )
            for mine, far in ((one, other), changed)
        )
        known = one.ts <= at
        assert before[known].tobytes() == after[known].tobytes()


TEXTS = ("close@5min", "sma(close@30min, 3)", "ema(close@1h, 2)", "atr(high@5min, low@5min, close@5min, 4)",
         "high@1d", "crossover(close, sma(close@5min, 3))")  # fmt: skip


@given(
    seed=st.integers(0, 2**16),
    row=st.integers(0, 1_100),
    text=st.sampled_from(TEXTS),
    length=st.sampled_from([1, 5]),
    kept=st.floats(0.2, 1.0),
)
@settings(max_examples=60, deadline=None)
def test_nothing_looks_ahead(seed: int, row: int, text: str, length: int, kept: float) -> None:
    """Change every bar after t: what was known by t's end does not move, whatever bars are missing."""
    if length == 5 and "@5min" in text:
        text = text.replace("@5min", "@15min")
    bars = walk("A", seed % 7, minutes=200)
    there = np.random.default_rng(seed).random(len(bars)) < kept
    there[0] = True
    bars = bars.take(there)
    row = min(row, len(bars) - 1)
    before, after = (
        ready(one, text, timeframe_us=length * MINUTE_US) for one in (bars, changed_after(bars, row))
    )
    known = before.ts + length * MINUTE_US <= bars.ts[row] + MINUTE_US
    old, new = (evaluate(parse(text), one) for one in (before, after))
    assert old[known].tobytes() == new[known].tobytes()
    cut = ready(bars.slice(0, row + 1), text, timeframe_us=length * MINUTE_US)
    assert evaluate(parse(text), cut)[known[: len(cut)]].tobytes() == old[known].tobytes()


def test_a_frame_tells_the_length_of_its_bars() -> None:
    bars = walk("A", 7)
    (found,) = bars_of_frame(lake_rows(bars), "XNYS", Needs(places=frozenset([Place("", "1h")])))
    assert evaluate(parse("close@1h"), found).tobytes() == value("close@1h", bars).tobytes()
    with pytest.raises(IndicatorError, match="@1min is not longer than 1min"):
        bars_of_frame(lake_rows(bars), "XNYS", Needs(places=frozenset([Place("", "1min")])))


def test_no_day_is_longer_than_a_month() -> None:
    ts = pd.to_datetime(["2013-01-01", "2013-02-01", "2013-03-01", "2013-04-01"], utc=True)
    frame = pd.DataFrame({"symbol": "A", "ts": ts, "volume": 1.0})
    frame = frame.assign(**{name: np.arange(1.0, 5.0) for name in ("open", "high", "low", "close")})
    with pytest.raises(IndicatorError, match="@1d is not longer than"):
        bars_of_frame(frame, None, Needs(places=frozenset([Place("", "1d")])))
