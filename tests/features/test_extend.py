"""New bars recompute what they change: the same bytes as all anew, at the cost of a day. No Spark."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from whatif.domain import Bars
from whatif.features import build
from whatif.features.build import CHECKED, LEAST_TAIL, TAIL, build_features, local_features
from whatif.features.news import pin_news
from whatif.features.spec import FeatureSpec
from whatif.indicators import INDICATORS, evaluate, parse
from whatif.labels import ForwardVwap
from whatif.lake import BARS, delete_rows, pin
from whatif.pins import LakeLocation, Pin, equal, open_table, read_arrow
from whatif.search.slices import BarSlice
from whatif.sources import ingest_news

from ..markets import put_bars, us, walk

SYMBOLS = ("SPY", "IBM")
FORGETFUL = ("ema(10)", "sma(20)", "rsi(14)", "adx(7)", "bbands(20, 2).upper", "close - lag(close, 5)",
             "volume", "macd_histogram(6, 13, 5)", "kama(10)", "minutes_to_close",
             "ema(close@15min, 3)")  # fmt: skip
FIRST, LAST = date(2013, 9, 3), date(2013, 10, 11)


def spec(features: tuple[str, ...] = FORGETFUL, label: bool = False, timeframe: str = "1min") -> FeatureSpec:
    part = BarSlice(
        SYMBOLS, "1min", timeframe, "XNYS", "regular", us("2013-06-03T13:30"), us("2014-01-01T00:00")
    )
    return FeatureSpec(part, features, ForwardVwap(horizon="10min") if label else None)


def sessions(bars: Bars, first: int, stop: int | None = None) -> Bars:
    """Return the bars of some sessions."""
    days = np.unique(bars.session)[first:stop]
    return bars.take(np.isin(bars.session, days))


def rows_of(made: Pin) -> pa.Table:
    names = [one.name for one in open_table(LOCATION[0], made.table).schema().fields]
    return read_arrow(made, names).sort_by([("symbol", "ascending"), ("ts", "ascending")])


LOCATION: list[LakeLocation] = []


@pytest.fixture(autouse=True)
def _lake(lake_home) -> None:
    LOCATION[:] = [lake_home]


def same(made: Pin, bars: Pin, one: FeatureSpec) -> None:
    """Compare a stored table with what is computed of all bars."""
    whole = pa.Table.from_pandas(local_features(bars, one), preserve_index=False)
    found = rows_of(made)
    whole = whole.select(found.column_names).cast(found.schema)
    whole = whole.sort_by([("symbol", "ascending"), ("ts", "ascending")])
    assert found.num_rows == whole.num_rows
    assert build._same_rows(found, whole, found.column_names[1:]).all()
    assert found["symbol"].to_pylist() == whole["symbol"].to_pylist()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count the rows that are read of bars and features, and those that are written."""
    counts = {"read": 0, "written": 0}
    read, bars, write = build.read_arrow, build.read_bars, build.replace_arrow

    def reading(*given: Any) -> pa.Table:
        table = read(*given)
        counts["read"] += table.num_rows
        return table

    def reading_bars(*given: Any) -> Bars:
        found = bars(*given)
        counts["read"] += len(found)
        return found

    def writing(location: Any, table: Any, rows: pa.Table, *rest: Any) -> None:
        counts["written"] += rows.num_rows
        write(location, table, rows, *rest)

    monkeypatch.setattr(build, "read_arrow", reading)
    monkeypatch.setattr(build, "read_bars", reading_bars)
    monkeypatch.setattr(build, "replace_arrow", writing)
    return counts


def market(first: date = FIRST) -> list[Bars]:
    return [walk(symbol, seed, first=first, last=LAST) for seed, symbol in enumerate(SYMBOLS)]


def test_a_day_costs_a_day_whatever_came_before(lake_home, tmp_path, counted: dict[str, int]) -> None:
    costs = []
    for k, first in enumerate((FIRST, date(2013, 7, 1))):
        LOCATION[:] = [location] = [LakeLocation(tmp_path / f"lake{k}")]
        markets, one = market(first), spec()
        build_features(None, location, put_bars(location, [sessions(bars, 0, -1) for bars in markets]), one)
        bars = put_bars(location, [sessions(bars, -1) for bars in markets])
        counted.update(read=0, written=0)
        made = build_features(None, location, bars, one)
        costs.append(dict(counted))
        same(made, bars, one)
    day = sum(len(sessions(bars, -1)) for bars in market())
    assert costs[0] == costs[1]
    assert costs[0]["written"] == day
    # a tail of each symbol, of bars and of features
    assert costs[0]["read"] < 2 * len(SYMBOLS) * (1.3 * (TAIL * 45 + LEAST_TAIL) + 2 * day)
    assert costs[0]["read"] < sum(map(len, market(date(2013, 7, 1))))


@pytest.mark.parametrize(
    ("features", "label", "timeframe"),
    [
        (FORGETFUL, True, "1min"),
        # sums over all bars, and a maximum over many
        (("obv()", "cumulative_vwap()", "ema(200)", "roc(3)"), False, "1min"),
        (("ema(5)", "IBM.close", "sma(IBM.close@30min, 4)"), True, "5min"),
        (("rank(roc(5))", "ema(rank(close / close@30min), 3)"), True, "5min"),
        (("sma(3)", "is_month_end"), False, "1d"),
    ],
)
def test_day_after_day_is_as_all_at_once(lake_home, features, label: bool, timeframe: str) -> None:
    one = spec(features, label, timeframe)
    markets = market()
    bars = put_bars(lake_home, [sessions(each, 0, -3) for each in markets])
    build_features(None, lake_home, bars, one)
    for k in (-3, -2):
        bars = put_bars(lake_home, [sessions(each, k, k + 1) for each in markets])
        same(build_features(None, lake_home, bars, one), bars, one)
    # half a session, then the rest of it; of the second symbol it comes later
    last = [sessions(each, -1) for each in markets]
    parts = [last[0].take(slice(0, 101)), last[0].take(slice(101, None)), last[1]]
    for part in parts:
        bars = put_bars(lake_home, [part])
        same(build_features(None, lake_home, bars, one), bars, one)


def test_what_was_not_only_added_behind_is_computed_anew(lake_home, counted: dict[str, int]) -> None:
    one, markets = spec(), market()
    whole = put_bars(lake_home, [sessions(bars, 1, -1) for bars in markets])
    build_features(None, lake_home, whole, one)
    # earlier bars, then bars that are gone
    bars = put_bars(lake_home, [sessions(bars, 0, 1) for bars in markets])
    counted["written"] = 0
    same(build_features(None, lake_home, bars, one), bars, one)
    assert counted["written"] == len(local_features(bars, one))
    delete_rows(lake_home, BARS, equal("symbol", "IBM"))
    bars = pin(None, lake_home, "bars")
    same(build_features(None, lake_home, bars, one), bars, one)


def test_bars_of_others_are_noted_and_nothing_is_computed(lake_home, counted: dict[str, int]) -> None:
    one, markets = spec(), market()
    first = build_features(None, lake_home, put_bars(lake_home, markets), one)
    bars = put_bars(lake_home, [walk("QQQ", 9)])
    counted["written"] = 0
    made = build_features(None, lake_home, bars, one)
    assert counted["written"] == 0
    assert rows_of(made).equals(rows_of(first))
    # the next time it is known
    assert build_features(None, lake_home, bars, one) == made


NEWS = ("sentiment(3)", "news_count(2)", "peer_sentiment(3)", "ema(5)")


def heard(folder: Path, name: str, *items: tuple[str, str, float]) -> None:
    """Ingest news: symbol, instant, and score of each."""
    lines = [
        f"{symbol},{at},https://{name}{k}.example,{score}" for k, (symbol, at, score) in enumerate(items)
    ]
    (folder / f"{name}.csv").write_text("\n".join(["symbol,published_at,url,score", *lines]) + "\n")
    ingest_news([folder / f"{name}.csv"], LOCATION[0])


def related(folder: Path, name: str, *lines: str) -> None:
    (folder / f"{name}.csv").write_text("\n".join(["symbol,peer,from,to", *lines]) + "\n")
    ingest_news([folder / f"{name}.csv"], LOCATION[0])


def with_news(label: bool = True) -> FeatureSpec:
    one = spec(NEWS, label)
    return replace(one, news=pin_news(LOCATION[0], one.needs, "5min"))


def test_news_go_on_with_the_bars(lake_home, tmp_path: Path, counted: dict[str, int]) -> None:
    markets = market()
    heard(tmp_path, "first", ("SPY", "2013-09-04T15:00Z", 0.5), ("IBM", "2013-10-03T14:00Z", -0.25))
    related(tmp_path, "peers", "SPY,IBM,2013-01-01,", "IBM,SPY,2013-01-01,")
    bars = put_bars(lake_home, [sessions(each, 0, -2) for each in markets])
    first = with_news()
    build_features(None, lake_home, bars, first)
    day = sum(len(sessions(each, -1)) for each in markets)

    def go_on(bars: Pin) -> int:
        one = with_news()
        assert one.table == first.table
        counted["written"] = 0
        same(build_features(None, lake_home, bars, one), bars, one)
        return counted["written"]

    # bars and their news; bars alone; news alone, of one symbol, which is the other's peer
    heard(tmp_path, "second", ("SPY", "2013-10-10T15:00:30Z", 0.75), ("QQQ", "2013-09-10T15:00Z", 1.0))
    bars = put_bars(lake_home, [sessions(each, -2, -1) for each in markets])
    assert go_on(bars) == day
    bars = put_bars(lake_home, [sessions(each, -1) for each in markets])
    assert go_on(bars) == day
    heard(tmp_path, "late", ("IBM", "2013-10-11T18:00Z", -0.9))
    assert 200 < go_on(bars) <= 2 * 116  # rows from 18:04 on, some minutes missing
    # an item of long ago changes what is long behind, and a correction whatever it likes
    whole = len(local_features(bars, first))
    heard(tmp_path, "old", ("SPY", "2013-09-20T15:00Z", 0.1))
    assert day < go_on(bars) <= whole
    heard(tmp_path, "first", ("SPY", "2013-09-04T15:00Z", 0.6))
    assert go_on(bars) == whole
    related(tmp_path, "more", "SPY,QQQ,2013-01-01,")
    assert go_on(bars) == whole
    # what no row knows is noted
    heard(tmp_path, "far", ("SPY", "2014-03-01T15:00Z", 0.1), ("DIA", "2013-10-10T15:00Z", 1.0))
    assert go_on(bars) == 0


def test_models_of_other_news_are_others(lake_home, tmp_path: Path) -> None:
    """The table goes on; what learns from it is digested with the snapshot of the news."""
    heard(tmp_path, "first", ("SPY", "2013-09-04T15:00Z", 0.5))
    related(tmp_path, "peers", "SPY,IBM,2013-01-01,")
    first = with_news()
    heard(tmp_path, "second", ("SPY", "2013-10-10T15:00Z", 0.75))
    second = with_news()
    assert first.table == second.table != spec(NEWS, label=True).table
    assert first.identity != second.identity


def test_an_indicator_that_has_forgotten_stays_so() -> None:
    """Of every indicator: where the checked rows of a tail are those of the whole, later rows are too."""
    bars = walk("SPY", 3, first=date(2013, 8, 1), last=LAST)
    forgot = []
    for indicator in INDICATORS.values():
        for text in indicator.shown.split("; "):
            one = parse(text)
            tail = TAIL * one.warmup() + LEAST_TAIL
            if tail + 390 > len(bars):
                continue
            whole = evaluate(one, bars)
            part = evaluate(one, bars.take(slice(len(bars) - 390 - tail, None)))
            mine, theirs = part[-390 - CHECKED :], whole[-390 - CHECKED :]
            equal_rows = (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
            if equal_rows[:CHECKED].all():
                forgot.append(text)
                assert equal_rows.all(), text
        if indicator.origin != "TA-Lib":
            # what may stand in another one, of which no row is compared
            assert indicator.shown.split("; ")[0] in forgot
    assert len(forgot) > 200
    assert "obv()" not in forgot


@pytest.mark.parametrize("timeframe", ["30min", "1d"])
def test_a_bar_of_another_symbol_that_was_not_whole_yet_counts(lake_home, timeframe: str) -> None:
    one, markets = spec(("IBM.close", "rank(volume)"), timeframe=timeframe), market(date(2013, 9, 23))
    last = sessions(markets[1], -1)
    bars = put_bars(lake_home, [markets[0], sessions(markets[1], 0, -1), last.take(slice(0, -17))])
    build_features(None, lake_home, bars, one)
    # the rest of the last bar of one symbol alone: the other one's row of the same start knows it
    bars = put_bars(lake_home, [last.take(slice(-17, None))])
    same(build_features(None, lake_home, bars, one), bars, one)


@pytest.mark.parametrize(
    "feature",
    [
        "rank(obv())",
        "obv() * (day_of_week == 4)",
        # sums over windows, of which rounding stays
        "where(day_of_week == 4, trima(14), 0)",
    ],
)
def test_a_sum_that_no_checked_row_shows_is_of_all_bars(lake_home, feature: str) -> None:
    one, markets = spec((feature, "volume")), market()
    bars = put_bars(lake_home, [sessions(each, 0, -1) for each in markets])
    build_features(None, lake_home, bars, one)
    bars = put_bars(lake_home, [sessions(each, -1) for each in markets])
    same(build_features(None, lake_home, bars, one), bars, one)


@pytest.mark.parametrize("feature", ["rank(sma(3))", "where(day_of_week == 4, sma(IBM.close, 3), 0)"])
def test_a_symbol_that_trades_now_and_then_is_known_by_all_its_bars(lake_home, feature: str) -> None:
    one, (often, seldom) = spec((feature,)), market(date(2013, 9, 23))
    # its third minute of each fifth session, the last one among them
    days = np.unique(seldom.session)[::-1][::5]
    nth = seldom.ts - seldom.session_open == 2 * 60_000_000
    seldom = seldom.take(nth & np.isin(seldom.session, days))
    before = int(np.unique(often.session)[-1])
    first = [bars.take(bars.session < before) for bars in (often, seldom)]
    build_features(None, lake_home, put_bars(lake_home, first), one)
    bars = put_bars(lake_home, [bars.take(bars.session == before) for bars in (often, seldom)])
    same(build_features(None, lake_home, bars, one), bars, one)


def test_a_crossing_of_events_remembers_the_last_one(lake_home) -> None:
    one = spec(("crossover(close > lag(close, 1) * 1.05, close < lag(close, 1) * 0.95)",))
    markets = []
    for bars in market(date(2013, 9, 23)):
        close = bars.close.copy()
        fall, rise = 1_000, len(bars) - 100  # far apart, and nothing between
        close[fall:], close[rise:] = close[fall:] * 0.9, close[rise:] * 1.1
        markets.append(replace(bars, close=close, high=bars.high * 1.2, low=bars.low * 0.8))
    build_features(None, lake_home, put_bars(lake_home, [sessions(each, 0, -1) for each in markets]), one)
    bars = put_bars(lake_home, [sessions(each, -1) for each in markets])
    made = build_features(None, lake_home, bars, one)
    assert rows_of(made)[2].to_numpy().tolist().count(1.0) == len(SYMBOLS)
    same(made, bars, one)
