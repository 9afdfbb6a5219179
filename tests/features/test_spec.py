"""What a features table is made of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from whatif.domain import duration_us
from whatif.errors import IndicatorError, StudyError
from whatif.features.spec import FeatureSpec, feature_spec
from whatif.labels.kinds.meta import Meta
from whatif.resolve.windows import resolve_timeline
from whatif.search.slices import BarSlice
from whatif.study import parse_study


def made(
    features: str = "[sma(5), close]",
    horizon: str = "5min",
    timeframe: str = "1min",
    session: str = "regular",
    end: str = "2013-11-30",
) -> FeatureSpec:
    study = parse_study(
        f"study: s\ndata: {{symbols: [A], timeframe: {timeframe}, "
        f"start: 2013-11-27, end: {end}}}\n"
        f"calendar: {{exchange: XNYS, session: {session}}}\n"
        f"features: {features}\nlabel: {{horizon: {horizon}}}\nstrategy: {{name: forecast_threshold}}\n"
    )
    timeline = resolve_timeline(study)
    bars = BarSlice(
        ("A",), "1min", timeframe, "XNYS", study.calendar.hours, timeline.start_us, timeline.end_us
    )
    return feature_spec(study, bars, timeline)


def test_columns_in_the_study_s_order() -> None:
    spec = made("[ema(10), 'sma(vwap, 20)', vwap]")
    assert spec.columns == ("ema_10", "sma_vwap_20", "vwap")
    assert spec.column_of() == {"ema(10)": "ema_10", "sma(vwap, 20)": "sma_vwap_20", "vwap": "vwap"}


def test_the_name_is_made_of_everything_that_determines_the_rows() -> None:
    name = made().table
    assert name.startswith("features_")
    assert made().table == name
    others = [
        made("[sma(6), close]"),
        made("[close, sma(5)]"),
        made(horizon="10min"),
        made(timeframe="5min"),
        made(session="extended"),
        made(end="2013-12-03"),
    ]
    assert len({name, *(other.table for other in others)}) == 1 + len(others)


def test_two_ways_to_write_a_series_are_one_column_and_one_table() -> None:
    plain = made("['(close - sma(5)) / atr(14)', 'macd(12, 26)', 'rank(close, IBM, SPY)']")
    other = made(
        "['(close-sma(close,5))/atr(high, low, close, 14)', 'macd(close,12,26)', 'rank(close,SPY,IBM,SPY)']"
    )
    assert (other.columns, other.table) == (plain.columns, plain.table)
    assert plain.identity["features"] == [one.text for one in plain.expressions]


def test_two_ways_to_write_what_a_label_is_made_with_are_one_table() -> None:
    barriers = {"target": 2.0, "stop": 1.5, "horizon": 5}
    one = Meta(side="sma(5) - sma(20)", scale="atr(14) / close", **barriers)
    two = Meta(side="sma(close,5)-sma( close, 20 )", scale="atr(high, low, close, 14)/close", **barriers)
    three = Meta(side="sma(5) - sma(21)", scale="atr(14) / close", **barriers)
    names = [replace(made(), label=label).table for label in (one, two, three)]
    assert names[0] == names[1] != names[2]


def test_a_horizon_longer_than_a_session_is_refused() -> None:
    """The longest session of New York has 390 minutes, and the label's bar starts inside it."""
    assert duration_us(made(horizon="389min").label.horizon) == 389 * 60_000_000
    with pytest.raises(StudyError, match=r"label\.horizon '390min' .*lasts 390 minutes"):
        made(horizon="390min")
    with pytest.raises(StudyError, match=r"label\.horizon '7h'"):
        made(horizon="7h")


def test_a_half_day_alone_has_210_minutes() -> None:
    study = parse_study(
        "study: s\ndata: {symbols: [A], start: 2013-11-29, end: 2013-11-30}\ncalendar: {exchange: XNYS}\n"
        "label: {horizon: 210min}\nstrategy: {name: forecast_threshold}\n"
    )
    timeline = resolve_timeline(study)
    bars = BarSlice(("A",), "1min", "1min", "XNYS", "regular", timeline.start_us, timeline.end_us)
    with pytest.raises(StudyError, match="lasts 210 minutes"):
        feature_spec(study, bars, timeline)


def test_extended_hours_last_a_day_at_most() -> None:
    assert duration_us(made(horizon="8h", session="extended").label.horizon) == 8 * 3_600_000_000
    with pytest.raises(StudyError, match=r"label\.horizon '1d'"):
        made(horizon="1d", session="extended")


def test_a_horizon_that_is_no_multiple_of_the_timeframe() -> None:
    with pytest.raises(StudyError, match=r"label\.horizon '7min' is no multiple of the timeframe '5min'"):
        made(horizon="7min", timeframe="5min")


def test_features_that_are_none() -> None:
    with pytest.raises(IndicatorError, match=r"'smaa' is unknown: did you mean 'sma'"):
        made("[smaa(5)]")
    with pytest.raises(IndicatorError, match="0"):
        made("[sma(0)]")
    with pytest.raises(StudyError, match="two of them are the same series, sma_5"):
        made("['sma(5)', 'sma(close, 5)']")
