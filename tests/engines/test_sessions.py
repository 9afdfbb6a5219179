"""Periods a year of bars that come without a calendar, or do not reach all of it; expected by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import whatif
from whatif.domain.periods import Periods
from whatif.engines.api import _periods
from whatif.engines.market import bars_of_frame
from whatif.engines.sessions import bar_length, spacing

NEW_YORK = "America/New_York"
WEEKS, DAYS, ALL, MONTHS = 365.25 / 7, 252, 365, 12


def frame(ts: pd.DatetimeIndex) -> pd.DataFrame:
    """Bars of a price that goes nowhere."""
    prices = dict.fromkeys(("open", "high", "low", "close"), 100.0)
    return pd.DataFrame({"symbol": "X", "ts": ts, **prices, "volume": 1.0})


def periods_of(ts: pd.DatetimeIndex, calendar: str | None = None) -> Periods:
    return _periods(bars_of_frame(frame(ts), calendar), calendar)


def range_of(start: str, count: int, freq: str, tz: str = "UTC") -> pd.DatetimeIndex:
    return pd.date_range(start, periods=count, freq=freq, tz=tz)


def working(start: str, count: int, tz: str = "UTC") -> pd.DatetimeIndex:
    return pd.bdate_range(start, periods=count, tz=tz)


def with_a_saturday(days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    friday = int(np.flatnonzero(days.day_of_week == 4)[40])
    return days[:friday].append(days[friday : friday + 1] + pd.Timedelta(days=1)).append(days[friday + 1 :])


def in_hours(days: pd.DatetimeIndex, start: str, hours: float, step: str) -> pd.DatetimeIndex:
    """Bars of some hours of each day."""
    count = int(-(-pd.Timedelta(hours=hours) // pd.Timedelta(step)))
    return pd.DatetimeIndex(
        [day + pd.Timedelta(start) + k * pd.Timedelta(step) for day in days for k in range(count)]
    )


LONG = {
    "weeks from Mondays": (range_of("2018-01-01", 300, "W-MON"), WEEKS),
    "weeks from Sundays": (range_of("2018-01-01", 300, "W-SUN"), WEEKS),
    "weeks to Fridays": (range_of("2018-01-01", 100, "W-FRI"), WEEKS),
    "two weeks": (range_of("2024-01-08", 2, "W-MON"), WEEKS),
    "months from their first": (range_of("2005-01-01", 200, "MS"), MONTHS),
    "months from their last": (range_of("2005-01-01", 50, "ME"), MONTHS),
    "months by working days": (range_of("2005-01-01", 50, "BME"), MONTHS),
    "three months": (range_of("2024-01-01", 3, "MS"), MONTHS),
    "quarters": (range_of("2000-01-01", 40, "QS"), 4),
    "years": (range_of("1980-01-01", 40, "YS"), 1),
    "two days of a market that never closes": (range_of("2022-01-01", 200, "2D"), 365.25 / 2),
    "weeks with half a year missing": (
        range_of("2018-01-01", 60, "W-MON").append(range_of("2019-09-02", 60, "W-MON")),
        WEEKS,
    ),
}
DAILY = {
    f"working days at midnight, {tz}": (working("2022-01-03", 400, tz), DAYS)
    for tz in ("UTC", "America/New_York", "America/Los_Angeles", "Pacific/Honolulu", "Europe/London",
               "Europe/Berlin", "Asia/Kolkata", "Asia/Tokyo", "Australia/Sydney", "Pacific/Auckland")
} | {
    f"all days at midnight, {tz}": (range_of("2022-01-03", 400, "D", tz), ALL)
    for tz in ("UTC", "America/New_York", "Europe/London", "Asia/Tokyo", "Australia/Sydney")
} | {
    f"one working week at midnight, {tz}": (working("2022-01-03", 5, tz), DAYS)
    for tz in ("UTC", "America/New_York", "Asia/Tokyo", "Australia/Sydney")
} | {
    "stamped at the opening": (working("2022-01-03", 400) + pd.Timedelta("14:30:00"), DAYS),
    "stamped at the close": (working("2022-01-03", 400) + pd.Timedelta("21:00:00"), DAYS),
    "one Saturday in 400": (with_a_saturday(working("2022-01-03", 400)), DAYS),
    "two working days": (working("2024-01-02", 2), DAYS),
    "a Friday and a Monday": (working("2024-01-05", 2), DAYS),
    "a Thursday, a Friday and a Monday": (working("2024-01-04", 3), DAYS),
    "a Saturday and a Sunday": (range_of("2024-01-06", 2, "D"), ALL),
    "a Friday, a Saturday and a Sunday": (range_of("2024-01-05", 3, "D"), ALL),
    "Christmas": (working("2023-12-18", 15).drop(pd.Timestamp("2023-12-25", tz="UTC")), DAYS),
    "half a year missing": (working("2022-01-03", 100).append(working("2022-12-01", 100)), DAYS),
    "all days with half a year missing": (
        range_of("2022-01-03", 100, "D").append(range_of("2022-12-01", 100, "D")),
        ALL,
    ),
    "Sundays to Thursdays": (pd.bdate_range("2022-01-02", periods=300, freq="C", tz="UTC",
                                            weekmask="Sun Mon Tue Wed Thu"), DAYS),
    "six days a week": (pd.bdate_range("2022-01-02", periods=600, freq="C", tz="UTC",
                                       weekmask="Sun Mon Tue Wed Thu Fri"), 6 * WEEKS),
}  # fmt: skip
INTRADAY = {
    "12 hours": (range_of("2024-01-01", 100, "12h"), ALL * 2),
    "12 hours, a weekend's": (range_of("2024-01-06", 3, "12h"), ALL * 2),
    "12 hours, longer than 160 days": (range_of("2024-01-01", 400, "12h"), ALL),
    "4 hours": (range_of("2024-01-01", 100, "4h"), ALL * 6),
    "4 hours from a Tuesday's evening": (range_of("2024-01-02 20:00", 8, "4h"), ALL * 6),
    "12 hours of 5 minutes over midnight": (range_of("2024-01-06 18:00", 144, "5min"), ALL * 288),
    "the same on a Tuesday": (range_of("2024-01-02 18:00", 144, "5min"), ALL * 288),
    "12 hours of 5 minutes of a Saturday": (range_of("2024-01-06 06:00", 144, "5min"), ALL * 288),
    "20 days of hours from noon": (range_of("2024-01-01 12:00", 480, "1h"), ALL * 24),
    "a session of minutes": (range_of("2024-01-02 14:30", 390, "1min"), DAYS * 390),
    "two of half an hour": (in_hours(working("2024-01-02", 2), "14:30:00", 6.5, "30min"), DAYS * 13),
    "one and a half of them": (
        in_hours(working("2024-01-02", 2), "14:30:00", 6.5, "30min")[6:],
        DAYS * 13,
    ),
    "4 hours of a stock, two a day": (in_hours(working("2024-01-02", 30), "14:30:00", 6.5, "4h"), DAYS * 2),
    "a week of currencies, by the hour": (range_of("2024-01-07 22:00", 120, "1h"), DAYS * 24),
}


@pytest.mark.parametrize("name", [*LONG, *DAILY, *INTRADAY])
def test_periods_a_year_follow_from_spacing_and_share_of_days(name: str) -> None:
    ts, expected = (LONG | DAILY | INTRADAY)[name]

    assert periods_of(ts).per_year == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize(
    ("ts", "calendar", "per_year", "count"),
    [
        # 2024 is a leap year; the bars reach 12 hours into two days
        (range_of("2024-01-06 18:00", 144, "5min"), "24/7", 366 * 288, 144),
        (range_of("2024-01-01 12:00", 480, "1h"), "24/7", 366 * 24, 480),
        # a morning of a session
        (range_of("2024-01-02 14:30", 60, "1min"), "XNYS", 249 * 390 + 3 * 210, 60),
        # 2023 had 250 sessions; the half year without bars is no hundred of them
        (working("2023-01-04", 8, NEW_YORK).append(working("2023-08-01", 8, NEW_YORK)), "XNYS", 250, 16),
        (range_of("2023-01-04", 30, "W-WED", NEW_YORK), "XNYS", WEEKS, 30),
        (working("2023-03-01", 20, NEW_YORK), "XNYS", 250, 20),
    ],
)
def test_a_calendar_adds_no_periods_that_the_bars_do_not_reach(ts, calendar, per_year, count) -> None:
    found = periods_of(ts, calendar)

    assert found.per_year == pytest.approx(per_year)
    assert len(found) == count


def test_a_stock_that_trades_every_other_session_has_half_the_periods() -> None:
    every = working("2023-02-21", 33, NEW_YORK)  # up to the Thursday before Good Friday
    assert every[-1] == pd.Timestamp("2023-04-06", tz=NEW_YORK)

    assert periods_of(every[::2], "XNYS").per_year == pytest.approx(125, rel=0.02)


def test_the_sharpe_ratio_of_weeks_is_that_of_weeks() -> None:
    """Mean over deviation of the returns that the bars show, times the root of 52.18."""
    r = np.random.default_rng(1)
    bars = frame(range_of("2018-01-01", 120, "W-MON"))
    closes = 100.0 * np.exp(np.cumsum(r.normal(0.0, 0.02, len(bars))))
    for name in ("open", "high", "low", "close"):
        bars[name] = closes

    result = whatif.backtest(bars, "sma_crossover", {"fast": 3, "slow": 9, "size": 20}, {"cash": 1e4})

    returns = pd.Series(np.append(1e4, result.equity.to_numpy())).pct_change().dropna()
    assert result.metrics["sharpe"] == pytest.approx(returns.mean() / returns.std() * WEEKS**0.5, rel=1e-9)


@pytest.mark.parametrize("seed", range(40))
def test_the_usual_distance_is_the_middle_one_in_order(seed: int) -> None:
    """Also where that in the middle of the record is another, and where two halves differ."""
    rng = np.random.default_rng(seed)
    minutes = rng.choice([1, 2, 5], rng.integers(1, 60), p=rng.dirichlet([1.0, 1.0, 1.0]))
    ts = np.cumsum(np.append(0, minutes)) * 60_000_000
    ordered = sorted(np.diff(ts).tolist())
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]

    assert spacing(ts) == low
    assert bar_length(ts) == (low + high) // 2
