"""Series of news by hand: what is known when, windows of days, relevance, peers and sectors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import whatif
from whatif.errors import IndicatorError
from whatif.indicators import NEWS_SERIES, parse

NAN = float("nan")

SESSIONS = ["2013-10-03", "2013-10-04", "2013-10-07", "2013-10-08"]
"""Thursday, Friday, Monday, Tuesday in New York; each closes at 20:00 UTC."""


def bars(symbols: str = "A") -> pd.DataFrame:
    rows = [
        {"symbol": symbol, "ts": pd.Timestamp(f"{day}T13:30Z"), "open": 10.0, "high": 11.0, "low": 9.0,
         "close": 10.0, "volume": 1.0}
        for symbol in symbols for day in SESSIONS
    ]  # fmt: skip
    return pd.DataFrame(rows)


def published(*items: tuple[str, str, float, float]) -> pd.DataFrame:
    """Return items of symbol, time (UTC), relevance and score."""
    frame = pd.DataFrame(items, columns=["symbol", "published_at", "relevance", "score"])
    return frame.assign(published_at=pd.to_datetime(frame["published_at"], utc=True, format="ISO8601"))


def series(text: str, news: pd.DataFrame, symbols: str = "A", **more: object) -> list[float]:
    found = whatif.features(bars(symbols), [text], calendar="XNYS", news=news, **more)
    return [float(value) for value in found.loc[found["symbol"] == symbols[0], text]]


def test_the_mean_is_weighed_by_relevance_over_days_of_24_hours() -> None:
    news = published(
        ("A", "2013-10-03T15:00", 0.9, 0.5),
        ("A", "2013-10-03T16:00", 0.1, -0.5),
        ("A", "2013-10-05T12:00", 0.5, 0.2),  # Saturday
        ("B", "2013-10-03T15:00", 1.0, -1.0),  # of another symbol
    )
    # Thursday's two: (0.9 * 0.5 - 0.1 * 0.5) / 1.0; Friday and Monday have none in their last 24 hours
    np.testing.assert_allclose(series("sentiment(1)", news), [0.4, NAN, NAN, NAN], rtol=1e-15)
    # Friday's two days still hold Thursday's; Monday's three days begin on Friday at 20:00
    np.testing.assert_allclose(series("sentiment(2)", news), [0.4, 0.4, NAN, NAN], rtol=1e-15)
    np.testing.assert_allclose(series("sentiment(3)", news), [0.4, 0.4, 0.2, NAN], rtol=1e-15)
    assert series("news_count(3)", news) == [2.0, 2.0, 1.0, 0.0]


def test_no_news_is_nan_and_a_count_is_none_before_there_was_any() -> None:
    news = published(("A", "2013-10-04T15:00", 0.0, 0.5), ("B", "2013-10-03T15:00", 1.0, 1.0))
    np.testing.assert_array_equal(series("news_count(1)", news), [NAN, 1.0, 0.0, 0.0])
    # without relevance an article says nothing of the symbol
    np.testing.assert_array_equal(series("sentiment(1)", news), [NAN] * 4)
    np.testing.assert_array_equal(
        series("news_count(1)", published(("B", "2013-10-03T15:00", 1.0, 1.0))), [NAN] * 4
    )


@pytest.mark.parametrize(
    ("delay", "at", "knows"),
    [
        ("0min", "2013-10-04T20:00:01", False),  # a second after the bar's end
        ("0min", "2013-10-04T20:00:00", True),
        ("0min", "2013-10-04T19:59:59", True),
        ("15min", "2013-10-04T19:45:01", False),
        ("15min", "2013-10-04T19:44:59", True),
    ],
)
@pytest.mark.parametrize("name", NEWS_SERIES)
def test_an_item_touches_the_bars_that_end_once_it_is_known_and_no_other(
    name: str, delay: str, at: str, knows: bool
) -> None:
    relations = pd.DataFrame(
        {
            "symbol": ["A", "A", "B"],
            "peer": ["B", "", ""],
            "sector": ["", "cars", "cars"],
            "from": "2013-01-02",
            "to": None,
        }
    )
    about = "A" if name in ("sentiment", "news_count") else "B"
    earlier = (about, "2013-10-03T15:00", 0.5, 0.1)
    more = {"relations": relations, "news_delay": delay}
    without = series(f"{name}(4)", published(earlier), "AB", **more)
    with_it = series(f"{name}(4)", published(earlier, (about, at, 1.0, 0.9)), "AB", **more)
    assert with_it[0] == without[0]
    assert (with_it[1] != without[1]) == knows
    assert with_it[2] != without[2]  # Monday knows it in any case


def test_peers_count_on_the_dates_on_which_they_are_peers() -> None:
    news = published(
        *((who, f"{day}T15:00", 0.5, score) for day in SESSIONS for who, score in (("B", 0.2), ("C", 0.8)))
    )
    relations = pd.DataFrame(
        {"symbol": ["A", "A", "A"], "peer": ["B", "C", "C"],
         "from": ["2013-10-03", "2013-10-04", "2013-10-08"], "to": ["2013-10-07", "2013-10-08", None]}
    )  # fmt: skip
    # B until Friday, C from Friday on
    np.testing.assert_allclose(
        series("peer_sentiment(1)", news, "ABC", relations=relations), [0.2, 0.5, 0.8, 0.8], rtol=1e-15
    )
    np.testing.assert_array_equal(series("peer_sentiment(1)", news, "BA", relations=relations), [NAN] * 4)


def test_a_sector_is_its_other_symbols() -> None:
    news = published(
        *(
            (who, "2013-10-04T15:00", w, score)
            for who, w, score in (("A", 1.0, -1.0), ("B", 0.25, 0.2), ("C", 0.75, 0.8))
        )
    )
    relations = pd.DataFrame(
        {"symbol": list("ABCC"), "sector": ["cars", "cars", "cars", "banks"],
         "from": ["2013-10-03"] * 3 + ["2013-10-07"], "to": [None, None, "2013-10-07", None]}
    )  # fmt: skip
    found = series("sector_sentiment(5)", news, "ABC", relations=relations)
    np.testing.assert_allclose(found, [NAN, 0.25 * 0.2 + 0.75 * 0.8, 0.2, 0.2], rtol=1e-15)


def test_news_may_stand_in_arithmetic_and_inside_of_indicators() -> None:
    news = published(
        *(
            ("A", f"{day}T15:00", 1.0, score)
            for day, score in zip(SESSIONS, (0.1, 0.2, 0.3, 0.4), strict=True)
        )
    )
    np.testing.assert_allclose(series("sma(sentiment(1), 2) * 2", news), [NAN, 0.3, 0.5, 0.7], rtol=1e-15)
    assert parse("sentiment(5)").column == "sentiment_5"
    assert parse("sma(sentiment(5), 2)").needs.news == {"sentiment(5)"}
    assert parse("sma(sentiment(5), 2)").inputs == frozenset()


@pytest.mark.parametrize(
    "text", ["sentiment(0)", "sentiment(n)", "sentiment(close, 5)", "sentiment()", "sentiment(4000)"]
)
def test_days_are_a_whole_number(text: str) -> None:
    with pytest.raises(IndicatorError, match=r"write sentiment\(days\), a whole number from 1 to 3,650"):
        parse(text)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(IndicatorError, match="did you mean 'sentiment'"):
        parse("sentimant(5)")
    with pytest.raises(IndicatorError, match=r"A: sentiment\(5\) needs news, and none is given"):
        whatif.features(bars(), ["sentiment(5)"])
    with pytest.raises(IndicatorError, match="news: column 'score' is missing"):
        whatif.features(bars(), ["sentiment(5)"], news=pd.DataFrame({"symbol": [], "published_at": []}))
    naive = pd.DataFrame({"symbol": ["A"], "published_at": [pd.Timestamp("2013-10-03")], "score": [0.1]})
    with pytest.raises(IndicatorError, match="'published_at' has no time zone"):
        whatif.features(bars(), ["sentiment(5)"], news=naive)
