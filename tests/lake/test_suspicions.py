"""Rules by which bars are suspicious, on minutes that are made so that each figure can be worked by hand.

Sessions of New York from 25 November to 6 December 2013, of which Friday 29 is a half day and Thursday 28
none: eight of 390 minutes, one of 210. Prices alternate between 100.0 and 100.1 within 99.9 and 100.2, so
that every true range is ln(100.2 / 99.9) = 0.0029985; volume is 100.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from whatif.calendars import schedule
from whatif.domain import DAY_US, Bars
from whatif.lake.suspicions import QUALITY_RULES, BarSeries, suspicions

MINUTE = 60_000_000
SESSIONS = schedule("XNYS", date(2013, 11, 25), date(2013, 12, 6))
HALF_DAY = 3
RANGE = float(np.log(100.2 / 99.9))


def minutes() -> Bars:
    """Return all minutes of the sessions."""
    counts = (SESSIONS.trading_us // MINUTE).astype(int)
    ts = np.concatenate([o + MINUTE * np.arange(n) for o, n in zip(SESSIONS.open_us, counts, strict=True)])
    n = len(ts)
    close = np.where(np.arange(n) % 2, 100.1, 100.0)
    each = {"session": SESSIONS.session, "session_open": SESSIONS.open_us, "session_close": SESSIONS.close_us}
    return Bars(
        symbol="S", ts=ts, open=close, high=np.full(n, 100.2), low=np.full(n, 99.9), close=close,
        volume=np.full(n, 100.0), vwap=close, **{name: np.repeat(one, counts) for name, one in each.items()},
    )  # fmt: skip


def without(rows: slice) -> Bars:
    bars = minutes()
    return bars.take(np.delete(np.arange(len(bars)), rows))


def changed(at: int | slice, **values: float | np.ndarray) -> Bars:
    """Return the minutes with other values at some rows."""
    bars = minutes()
    for name, value in values.items():
        series = getattr(bars, name).copy()
        series[at] = value
        bars = replace(bars, **{name: series})
    return bars


def found(bars: Bars, after: Bars | None = None) -> dict[str, list[tuple[int, float]]]:
    """Return bars and value of what breaks each rule, by rule."""
    series = BarSeries(bars, bars.take(slice(0, 0)) if after is None else after, SESSIONS, MINUTE)
    told: dict[str, list[tuple[int, float]]] = {}
    for one in suspicions(series):
        assert one.rule in QUALITY_RULES
        told[one.rule] = list(zip(one.bars.tolist(), one.value.tolist(), strict=True))
    return told


def test_the_bars_themselves_break_no_rule() -> None:
    assert len(minutes()) == 8 * 390 + 210
    assert found(minutes()) == {}


@pytest.mark.parametrize("low", [0.0, -5.0])
def test_a_price_at_or_below_zero_is_told_once_and_has_no_ratio_to_others(low: float) -> None:
    assert found(changed(700, low=low)) == {"nonpositive": [(1, low)]}
    whole = dict.fromkeys(("open", "high", "low", "close"), low)
    assert found(changed(700, **whole)) == {"nonpositive": [(1, low)]}


class TestMissing:
    def test_sessions_without_a_bar(self) -> None:
        # Tuesday 26 and Wednesday 27
        assert found(without(slice(390, 1170)))["no_bars"] == [(780, 2.0)]

    def test_a_run_that_chance_does_not_explain(self) -> None:
        # 3 of 3,330: ln(3,330 / 1e-4) / ln(3,330 / 3) = 17.3 / 7.0 = 2.5, so three and more are told of
        assert found(without(slice(100, 103))) == {"gap": [(3, 3.0)]}
        assert found(without(slice(100, 102))) == {}

    def test_where_much_is_missing_a_longer_run_is_usual(self) -> None:
        # every second of 3,330 minutes: 17.3 / ln 2 = 25
        thin = minutes().take(slice(0, None, 2))
        assert found(thin) == {}
        assert found(thin.take(np.delete(np.arange(len(thin)), slice(10, 21)))) == {}  # 23 in a row
        assert found(thin.take(np.delete(np.arange(len(thin)), slice(10, 23)))) == {"gap": [(27, 27.0)]}

    def test_a_half_day_that_the_calendar_does_not_know(self) -> None:
        assert found(without(slice(330, 390))) == {"early_end": [(60, 60.0)]}
        assert found(without(slice(331, 390))) == {"gap": [(59, 59.0)]}

    def test_hours_that_are_not_the_calendars_are_told_once(self) -> None:
        bars = minutes()
        late = bars.take(bars.ts >= bars.session_open + 10 * MINUTE)
        assert found(late) == {"hours": [(10, 10.0)]}
        early = bars.take(bars.ts < bars.session_close - 15 * MINUTE)
        assert found(early) == {"hours": [(15, 15.0)]}

    def test_bars_of_a_clocks_grid_are_whole(self) -> None:
        """Hours from 09:00, as the first reaches into the session: seven of 6.5 hours, four of 3.5."""
        hour = 60 * MINUTE
        counts = np.where(np.arange(len(SESSIONS)) == HALF_DAY, 4, 7)
        begin = SESSIONS.open_us - 30 * MINUTE
        ts = np.concatenate([b + hour * np.arange(n) for b, n in zip(begin, counts, strict=True)])
        bars = minutes()
        rows = np.searchsorted(bars.ts, np.maximum(ts, np.repeat(SESSIONS.open_us, counts)))
        series = BarSeries(replace(bars.take(rows), ts=ts), bars.take(slice(0, 0)), SESSIONS, hour)
        assert series.missing.sum() == 0
        assert not list(suspicions(series))


class TestHalfDays:
    def late(self, volume: float, count: int = 180) -> Bars:
        """Minutes from the early close at 13:00 until 16:00."""
        bars = minutes().take(slice(0, count))
        ts = SESSIONS.close_us[HALF_DAY] + MINUTE * np.arange(count)
        session = np.full(count, SESSIONS.session[HALF_DAY])
        return replace(bars, ts=ts, session=session, volume=np.full(count, volume))

    def test_one_that_is_none(self) -> None:
        assert found(minutes(), self.late(50.0)) == {"not_half_day": [(180, 180.0)]}

    def test_trading_after_hours_is_thin(self) -> None:
        assert found(minutes(), self.late(49.0)) == {}

    def test_funds_that_trade_a_little_longer(self) -> None:
        assert found(minutes(), self.late(100.0, 161)) == {}
        assert "not_half_day" in found(minutes(), self.late(100.0, 162))  # nine tenths of three hours


class TestStandingOut:
    def test_a_high_alone(self) -> None:
        # ln(103 / 100.2) / RANGE = 9.19; ln(102.6 / 100.2) / RANGE = 7.89 is below 8
        ((bars, value),) = found(changed(1000, high=103.0))["outlier"]
        assert (bars, value) == (1, pytest.approx(np.log(103.0 / 100.2) / RANGE))
        assert found(changed(1000, high=102.6)) == {}

    def test_a_low_alone(self) -> None:
        ((bars, value),) = found(changed(1000, low=97.0))["outlier"]
        assert (bars, value) == (1, pytest.approx(np.log(99.9 / 97.0) / RANGE))

    def test_ten_per_cent_of_the_price(self) -> None:
        assert list(found(changed(1000, high=1.10001 * 100.2))) == ["spike"]
        assert list(found(changed(1000, high=1.09999 * 100.2))) == ["outlier"]

    def test_up_to_three_in_a_row(self) -> None:
        for count in (2, 3):
            rows = slice(1000, 1000 + count)
            bars = changed(rows, high=103.0, low=102.9, close=102.95)
            assert [n for n, _ in found(bars)["outlier"]] == [count]
        rows = slice(1000, 1004)
        assert found(changed(rows, high=103.0, low=102.9, close=102.95)) == {}

    def test_a_price_that_moves_and_stays_is_none(self) -> None:
        rows = slice(1000, None)
        moved = {name: getattr(minutes(), name)[rows] * 2 for name in ("open", "high", "low", "close")}
        assert found(changed(rows, **moved)) == {}

    def test_few_bars_say_nothing(self) -> None:
        bars = changed(10, high=150.0).take(slice(0, 19))
        assert "spike" not in found(bars)
        assert "spike" in found(changed(10, high=150.0).take(slice(0, 20)))


class TestStandingStill:
    def still(self, begin: int, count: int) -> Bars:
        price = minutes().close[begin - 1]
        return changed(slice(begin, begin + count), high=price, low=price, close=price)

    def test_five_bars_and_more(self) -> None:
        # 5 of 3,330: ln(3,330 / 1e-4) / ln(666) = 2.7, so five, the least, are told of
        assert found(self.still(1000, 5)) == {"stale": [(5, 5.0)]}
        assert found(self.still(1000, 4)) == {}

    def test_a_whole_session(self) -> None:
        told = found(self.still(390, 391))
        assert told == {"frozen": [(391, 391.0)]}
        assert found(self.still(390, 389)) == {"stale": [(389, 389.0)]}

    def test_where_half_of_the_bars_are_flat_longer_runs_are_usual(self) -> None:
        bars = minutes()
        flat = np.arange(len(bars)) % 48 >= 24
        close = np.where(flat, 100.0, bars.close)
        close[(np.arange(len(bars)) % 48) == 23] = 100.0
        still = replace(
            bars, close=close, high=np.where(flat, close, bars.high), low=np.where(flat, close, bars.low)
        )
        # runs of 24, of which half of the bars are: ln(3,330 / 1e-4) / ln 2 = 25
        assert "stale" not in found(still)


class TestVolume:
    def test_more_than_twenty_times_the_usual(self) -> None:
        assert found(changed(1000, volume=2001.0)) == {"volume_high": [(1, pytest.approx(20.01))]}
        assert found(changed(1000, volume=2000.0)) == {}

    def test_what_is_usual_at_that_time_is_none(self) -> None:
        bars = minutes()
        volume = np.where(bars.ts + MINUTE == bars.session_close, 5000.0, bars.volume)
        told = found(replace(bars, volume=volume))
        # the last minute of the half day is at a time at which no other session has so much
        assert told == {"volume_high": [(1, pytest.approx(50.0))]}

    def test_a_session_below_a_tenth(self) -> None:
        assert found(changed(slice(390, 780), volume=9.0)) == {"volume_low": [(390, pytest.approx(0.09))]}
        assert found(changed(slice(390, 780), volume=11.0)) == {}

    def test_bars_that_move_without_volume(self) -> None:
        assert found(changed(slice(1000, 1003), volume=0.0)) == {"volume_none": [(3, 3.0)]}

    def test_an_index_has_no_volume_at_all(self) -> None:
        assert found(changed(slice(None), volume=0.0)) == {}


@pytest.mark.parametrize("length", [MINUTE, 30 * MINUTE, DAY_US])
@pytest.mark.parametrize("exchange", ["XTKS", "XHKG", "XNYS", "CMES", "FX", "24/7"])
def test_whole_sessions_of_any_exchange_break_no_rule(exchange: str, length: int) -> None:
    """Middays without trading, nights, weeks without an end: all bars that there is room for, and no more."""
    sessions = schedule(exchange, date(2024, 1, 4), date(2024, 2, 16))
    starts, places = [], []
    for k in range(len(sessions)):
        ts = np.arange(sessions.open_us[k], sessions.close_us[k], length)
        pause = sessions.break_start_us[k] + np.array([0, sessions.break_us[k]])
        ts = ts[:1] if length == DAY_US else ts[~((ts >= pause[0]) & (ts + length <= pause[1]))]
        starts.append(ts)
        places.append(np.full(len(ts), k))
    ts, place = np.concatenate(starts), np.concatenate(places)
    n = len(ts)
    close = np.where(np.arange(n) % 2, 100.1, 100.0)
    bars = Bars(
        symbol="S", ts=ts, open=close, high=np.full(n, 100.2), low=np.full(n, 99.9), close=close,
        volume=np.full(n, 100.0), vwap=close, session=sessions.session[place],
        session_open=sessions.open_us[place], session_close=sessions.close_us[place],
    )  # fmt: skip
    series = BarSeries(bars, bars.take(slice(0, 0)), sessions, length)
    assert series.missing.sum() == 0
    assert not list(suspicions(series))


def test_series_of_no_bar_of_one_and_of_half_a_session() -> None:
    bars = minutes()
    assert list(found(bars.take(slice(0, 0)), bars)) == ["no_bars"]
    assert list(found(bars.take(slice(0, 1)))) == ["no_bars"]  # where nearly all is missing, it is usual
    assert list(found(bars.take(slice(0, 200)))) == ["no_bars", "early_end"]


def test_a_session_that_opens_at_half_the_close_before() -> None:
    # from the second session on, row 390, at half the price: one jump, 50.0 over 100.1, told once
    bars = minutes()
    second = np.where(np.arange(len(bars)) >= 390, 0.5, 1.0)
    halved = replace(
        bars, **{name: getattr(bars, name) * second for name in ("open", "high", "low", "close")}
    )
    assert found(halved) == {"jump": [(1, pytest.approx(50.0 / 100.1))]}
    assert not QUALITY_RULES["jump"].error
