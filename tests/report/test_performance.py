"""Tear sheets, against two kept libraries of performance figures and against arithmetic by hand.

The figures of `REFERENCE` are what empyrical-reloaded 0.7.1 and, where it is named, quantstats 0.0.86 say of
the same returns, on numpy 2.4.6 and pandas 3.1.1. Neither is a dependency: quantstats brings yfinance and
seaborn, empyrical an object mapper of data bases, for formulas of a line each.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import whatif
from whatif.domain import timestamps
from whatif.domain.metrics import max_drawdown
from whatif.errors import WhatIfError
from whatif.report import html
from whatif.report.performance import Account, days_a_year, growth, last_bars, sheet_of, study_sheets

from .test_displays import backtest, read, result_of

REFERENCE = {
    "cagr_pct": 15.59968609169584,
    "max_drawdown_pct": 17.454456380599573,
    "calmar": 0.8937365765819388,
    "var_pct": -1.27687499999999,
    "cvar_pct": -1.9824631578947365,
    "tail_ratio": 1.161331375428292,
    "up_capture": 0.5405548002897751,
    "down_capture": 0.7723647499236689,
    "skew": -0.2599181209739878,  # quantstats
    "kurtosis": 3.3704146898478418,  # quantstats
}
DAY = 86_400_000_000


def series() -> tuple[pd.Series, pd.Series]:
    """Return levels of an account and of a market on 756 days, from 1 on the day before the first."""
    rng = np.random.default_rng(23)
    index = pd.bdate_range("2019-01-01", periods=756, tz="UTC")
    market = np.round(rng.standard_t(4, 756) * 0.006 + 0.0003, 6)
    own = np.round(0.6 * market + rng.standard_t(4, 756) * 0.005 + 0.0004, 6)
    before = pd.Series([1.0], index[:1] - pd.Timedelta(days=1))
    return pd.Series(np.cumprod(1 + own), index), pd.concat(
        [before, pd.Series(np.cumprod(1 + market), index)]
    )


def test_figures_are_those_of_kept_libraries() -> None:
    own, market = series()
    sheet = whatif.tear_sheet(own, market, cash=1.0)
    assert sheet.days_per_year == 252
    for key, expected in REFERENCE.items():
        assert sheet.figures.loc[key, "strategy"] == pytest.approx(expected, rel=1e-12), key
    # empyrical.aggregate_returns, by month and by year
    for (year, month), expected in {
        (2019, 1): -0.021563,
        (2019, 6): -0.033271,
        (2021, 11): -0.009591,
    }.items():
        assert sheet.months.loc[year, month] == pytest.approx(100 * expected, abs=5e-5)
    assert sheet.months["year"].tolist() == pytest.approx([16.6759, 13.9576, 16.1837], abs=5e-5)
    # quantstats.stats.drawdown_details, which names the first day below the peak and the last day of it
    falls = sheet.drawdowns
    assert falls["depth_pct"].tolist()[:3] == pytest.approx([17.454456, 10.724313, 9.534084], abs=5e-7)
    assert falls["trough"].dt.strftime("%Y-%m-%d").tolist()[:3] == ["2020-04-30", "2021-08-26", "2019-07-16"]
    assert falls["peak"].dt.strftime("%Y-%m-%d").tolist()[:3] == ["2020-02-10", "2021-05-25", "2019-03-26"]
    assert str(falls["recovered"][0]) == "2020-09-30 00:00:00+00:00"
    assert pd.isna(falls["recovered"][1])
    assert sheet.figures.loc["up_capture", "market"] == pytest.approx(1.0)


def test_a_sheet_by_hand() -> None:
    # four days: +10 %, -50 %, +100 %, 0 %
    index = pd.DatetimeIndex(["2024-01-30", "2024-01-31", "2024-02-01", "2024-02-02"]).tz_localize("UTC")
    sheet = whatif.tear_sheet(pd.Series([110.0, 55.0, 110.0, 110.0], index), cash=100.0)
    assert sheet.returns["strategy"].tolist() == pytest.approx([0.1, -0.5, 1.0, 0.0])
    figures = sheet.figures["strategy"]
    assert figures["max_drawdown_pct"] == pytest.approx(50.0)
    assert figures["days_up"] == 0.5
    assert figures["best_day_pct"] == pytest.approx(100.0)
    assert np.isnan(figures["cagr_pct"])  # of four days no year can be told
    assert np.isnan(figures["up_capture"])
    beside = whatif.tear_sheet(
        pd.Series([110.0, 55.0, 110.0, 110.0], index), pd.Series([1.0, 2.0, 1.0, 3.0], index)
    )
    assert beside.figures.loc[["cagr_pct", "up_capture", "down_capture"], "strategy"].isna().all()
    assert sheet.months.loc[2024, 1] == pytest.approx(-45.0)
    assert sheet.months.loc[2024, 2] == pytest.approx(100.0)
    assert sheet.months.loc[2024, "year"] == pytest.approx(10.0)
    fall = sheet.drawdowns.iloc[0]
    assert (fall["depth_pct"], fall["days"]) == (pytest.approx(50.0), 2.0)


def test_days_are_sessions_or_dates_and_a_year_has_as_many() -> None:
    # two sessions of New York, the second of which ends after midnight UTC
    ts = np.concatenate(
        [np.arange(3) * 3_600_000_000 + 15 * 3_600_000_000, np.arange(4) * 3_600_000_000 + 46 * 3_600_000_000]
    )
    assert last_bars(ts).tolist() == [2, 6]
    # round the clock: dates
    assert last_bars(np.arange(50) * 3_600_000_000).tolist() == [23, 47, 49]
    assert days_a_year(np.arange(10) * DAY) == 365.0
    monday = np.array([4, 5, 6, 7, 8, 11]) * DAY  # 1970-01-05 on
    assert days_a_year(monday) == 252.0
    assert days_a_year(np.arange(9) * 7 * DAY) == pytest.approx(52.18, abs=0.01)
    assert days_a_year(monday[:1]) == 252.0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.5, 2.0), min_size=2, max_size=60),
    st.floats(50.0, 200.0),
    st.integers(1, 400),
)
def test_parts_agree_with_the_whole_and_with_the_metric(moves, cash, minutes) -> None:
    equity = cash * np.cumprod(moves)
    ts = np.arange(len(moves), dtype=np.int64) * minutes * 60_000_000 + 1_700_000_000_000_000
    sheet = sheet_of(Account(ts, equity, cash))
    assert np.prod(1 + sheet.returns["strategy"]) == pytest.approx(equity[-1] / cash)
    assert np.prod(1 + sheet.months["year"] / 100) == pytest.approx(equity[-1] / cash)
    assert np.nanprod(1 + sheet.months[list(range(1, 13))] / 100) == pytest.approx(equity[-1] / cash)
    deepest = max_drawdown(equity, cash)[0]
    if len(sheet.returns) > 1:
        assert sheet.figures.loc["max_drawdown_pct", "strategy"] == pytest.approx(deepest, abs=1e-9)
    assert sheet.drawdowns["depth_pct"].max() == pytest.approx(deepest, abs=1e-9) or len(sheet.drawdowns) == 0
    assert sheet.drawdowns["depth_pct"].is_monotonic_decreasing
    assert (sheet.drawdowns["trough"] >= sheet.drawdowns["peak"]).all()


def test_growth_of_what_is_lost() -> None:
    assert growth(np.array([0.1, -1.0]), 252) == -1.0
    assert np.isnan(growth(np.array([]), 252))
    own = pd.Series([1.0, 0.0, 0.0], timestamps(np.arange(3) * DAY))
    sheet = whatif.tear_sheet(own, cash=1.0)
    assert np.isnan(sheet.figures.loc["cagr_pct", "strategy"])
    assert read(sheet._repr_html_())


def test_a_backtest_has_a_sheet_beside_what_it_traded() -> None:
    sheet = whatif.tear_sheet(backtest())
    # 1000 before the first bar: 98 were won of it
    assert sheet.returns["strategy"].tolist() == pytest.approx([0.0, -0.001, 1049 / 999 - 1, 1098 / 1049 - 1])
    assert sheet.returns["market"].tolist() == pytest.approx([0.0, 0.0, 0.05, 110 / 105 - 1])
    text = read(sheet._repr_html_())
    assert "Value at risk" in text
    assert "365 days a year" in text
    drawn = backtest().plot.tearsheet()
    assert {trace.type for trace in drawn.data} == {"scatter", "heatmap", "table"}


def test_the_page_and_the_plot_have_the_sheet_of_the_choice(make) -> None:
    data = make.study()
    sheets = study_sheets(data)
    assert list(sheets) == ["validate", "test"]
    for window, sheet in sheets.items():
        made = data.series.figures[data.series.chosen["symbol"], window, "strategy"]["return_pct"]
        assert 100 * (np.prod(1 + sheet.returns["strategy"]) - 1) == pytest.approx(made)
        assert len(sheet.returns) == 6  # sessions
    page = html.render(data)
    assert 'id="tearsheet"' in page
    assert "Conditional VaR" in page
    assert 'id="tearsheet"' not in html.render(make.changed(data, series={"equity": data.series.equity[:0]}))
    plots = result_of(data).plot
    assert plots.tearsheet().layout.title.text.startswith("crossover-sample: tear sheet, ")
    with pytest.raises(WhatIfError, match="validate"):
        plots.tearsheet(window="validat")


@pytest.mark.parametrize(
    ("equity", "said"),
    [
        (pd.Series([1.0, 2.0]), "tz-aware"),
        (pd.Series([1.0, np.nan], timestamps(np.arange(2) * DAY)), "none missing"),
        (pd.Series([1.0, 2.0], timestamps(np.array([DAY, 0]))), "increase"),
        (pd.Series([], timestamps(np.array([], dtype=np.int64)), dtype=float), "one value at least"),
        (backtest(bars=0), "no bar"),
        ([1.0, 2.0], "not a list"),
        (None, "not a NoneType"),
    ],
)
def test_what_is_no_account_is_refused(equity, said) -> None:
    with pytest.raises(WhatIfError, match=said):
        whatif.tear_sheet(equity)


def test_options_that_say_nothing_are_refused() -> None:
    with pytest.raises(WhatIfError, match="days_per_year -1"):
        whatif.tear_sheet(series()[0], days_per_year=-1)
    with pytest.raises(WhatIfError, match="knows its own"):
        whatif.tear_sheet(backtest(), cash=1.0)
    assert whatif.tear_sheet(series()[0], days_per_year=100).days_per_year == 100
    assert dataclasses.is_dataclass(whatif.tear_sheet(series()[0]))


def test_a_market_of_another_time_is_refused_and_stands_for_nothing() -> None:
    own, market = series()
    whole = whatif.tear_sheet(own, market).figures
    for part in (market[:5], market[-5:], market[:1], market.shift(freq="1000D")):
        with pytest.raises(WhatIfError, match=r"market: its levels are of .*, and the account is of"):
            whatif.tear_sheet(own, part)
    with pytest.raises(WhatIfError, match="market: give a Series by tz-aware time, not a DataFrame"):
        whatif.tear_sheet(own, market.to_frame())
    # a week at the ends is a holiday, or one that was cut; levels of months hold for a month
    assert whatif.tear_sheet(own, market[3:-3]).figures.loc["days", "market"] == whole.loc["days", "market"]
    assert np.isfinite(whatif.tear_sheet(own, market[::21]).figures.loc["cagr_pct", "market"])


def test_an_account_that_never_falls_has_no_drawdown_and_no_negative_one() -> None:
    flat = pd.Series([1.0, 1.0, 2.0], timestamps(np.arange(3) * DAY))
    assert str(whatif.tear_sheet(flat).figures.loc["max_drawdown_pct", "strategy"]) == "0.0"


@pytest.mark.parametrize("bars", [None, [1.0], pd.DataFrame({"ts": timestamps(np.arange(2) * DAY)})])
def test_what_is_no_frame_of_bars_is_not_drawn(bars) -> None:
    with pytest.raises(WhatIfError, match=r"bars: a .* without .*open, high, low, close"):
        backtest().plot.trades(bars)
