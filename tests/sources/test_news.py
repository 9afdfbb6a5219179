"""News and relations into the lake: layouts, rules, and that the same files add nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from whatif.cli import main
from whatif.errors import SourceError
from whatif.lake import NEWS_RELATIONS, NEWS_SENTIMENT
from whatif.pins import LakeLocation, current_pin, open_table, read_arrow, table_exists
from whatif.sources import SampleNews, ingest_news, write_sample_news

ARTICLE = {
    "title": "Apple and Microsoft",
    "url": "https://a.example/1",
    "time_published": "20240610T133000",
    "source": "A Paper",
    "overall_sentiment_score": 0.9,
    "ticker_sentiment": [
        {
            "ticker": "AAPL", "relevance_score": "0.8", "ticker_sentiment_score": "0.25",
            "ticker_sentiment_label": "Somewhat-Bullish",
        },
        {
            "ticker": "MSFT", "relevance_score": "0.1", "ticker_sentiment_score": "-0.4",
            "ticker_sentiment_label": "Bearish",
        },
    ],
}  # fmt: skip


def put(path: Path, *articles: Any) -> Path:
    path.write_text(json.dumps({"items": str(len(articles)), "feed": list(articles)}))
    return path


def changed(**values: Any) -> dict[str, Any]:
    """Return the article about AAPL alone, with other values of it."""
    own = {**ARTICLE["ticker_sentiment"][0], **{k: v for k, v in values.items() if k in _OWN}}  # type: ignore[index]
    return {**ARTICLE, **{k: v for k, v in values.items() if k not in _OWN}, "ticker_sentiment": [own]}


_OWN = ("ticker", "relevance_score", "ticker_sentiment_score")


def stored(location: LakeLocation) -> list[tuple[Any, ...]]:
    names = ["symbol", "published_at", "relevance", "score", "label", "source"]
    rows = read_arrow(current_pin(location, NEWS_SENTIMENT.name), names).to_pylist()
    return sorted(
        (*row.values(),) for row in ({**r, "published_at": f"{r['published_at']:%H:%M}"} for r in rows)
    )


EXPECTED = [
    ("AAPL", "13:30", 0.8, 0.25, "Somewhat-Bullish", "A Paper"),
    ("MSFT", "13:30", 0.1, -0.4, "Bearish", "A Paper"),
]
FLAT = (
    "title,url,time_published,source,ticker,relevance_score,ticker_sentiment_score,ticker_sentiment_label\n"
    "Apple,https://a.example/1,20240610T133000,A Paper,AAPL,0.8,0.25,Somewhat-Bullish\n"
    "Apple,https://a.example/1,20240610T133000,A Paper,MSFT,0.1,-0.4,Bearish\n"
)
PLAIN = (
    "symbol,published_at,url,relevance,score,label,source\n"
    "AAPL,2024-06-10T09:30:00-04:00,https://a.example/1,0.8,0.25,Somewhat-Bullish,A Paper\n"
    "MSFT,2024-06-10T13:30:00Z,https://a.example/1,0.1,-0.4,Bearish,A Paper\n"
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.json", json.dumps({"feed": [ARTICLE]})),
        ("pages.json", json.dumps([{"feed": []}, {"feed": [ARTICLE]}])),
        ("lines.jsonl", json.dumps(ARTICLE) + "\n\n"),
        ("flat.csv", FLAT),
        ("plain.csv", PLAIN),
    ],
)
def test_each_layout_says_the_same(lake_home, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    report = ingest_news([tmp_path / name], lake_home)
    assert (report.came, report.landed, report.symbols) == (2, 2, 2)
    assert stored(lake_home) == EXPECTED


def test_a_column_of_json_holds_what_each_symbol_got(lake_home, tmp_path: Path) -> None:
    both = json.dumps(ARTICLE["ticker_sentiment"]).replace('"', '""')
    file = tmp_path / "a.csv"
    file.write_text(
        f'url,time_published,source,ticker_sentiment\nhttps://a.example/1,20240610T133000,A Paper,"{both}"\n'
    )
    ingest_news([file], lake_home)
    assert stored(lake_home) == EXPECTED


def test_the_same_again_adds_nothing_and_another_score_corrects(lake_home, tmp_path: Path) -> None:
    page = put(tmp_path / "a.json", ARTICLE)
    ingest_news([page], lake_home)
    before = open_table(lake_home, NEWS_SENTIMENT.name).metadata_location
    again = ingest_news([page], lake_home)
    assert (again.came, again.landed, again.already_there, again.corrected) == (2, 0, 2, 0)
    assert open_table(lake_home, NEWS_SENTIMENT.name).metadata_location == before
    other = put(tmp_path / "b.json", changed(ticker_sentiment_score="0.5"))
    third = ingest_news([page, other], lake_home)
    # of two files the later one stands; what gave way is in quarantine
    assert (third.came, third.already_there, third.corrected, dict(third.refused)) == (
        3,
        1,
        1,
        {"duplicate": 1},
    )
    assert [row[3] for row in stored(lake_home)] == [0.5, -0.4]


def test_stamps_without_a_zone_are_of_the_one_that_is_named(lake_home, tmp_path: Path) -> None:
    report = ingest_news([put(tmp_path / "a.json", ARTICLE)], lake_home, timezone="America/New_York")
    assert report.landed == 2
    assert {row[1] for row in stored(lake_home)} == {"17:30"}


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"ticker": ""}, "missing_symbol"),
        ({"time_published": "soon"}, "unparsable_time"),
        ({"time_published": "2024-06-10"}, "unparsable_time"),  # its midnight would be too early
        ({"time_published": "20241103T013000"}, "ambiguous_time"),
        ({"time_published": "20240310T023000"}, "nonexistent_time"),
        ({"time_published": "20990610T133000"}, "published_ahead"),
        ({"url": ""}, "missing_url"),
        ({"ticker_sentiment_score": "good"}, "unparsable_number"),
        ({"ticker_sentiment_score": "nan"}, "unparsable_number"),
        ({"relevance_score": "1.5"}, "relevance_out_of_range"),
        ({"ticker_sentiment_score": "-2"}, "score_out_of_range"),
    ],
)
def test_an_item_that_breaks_a_rule_is_in_quarantine_with_it(
    lake_home, tmp_path: Path, values: dict[str, str], rule: str
) -> None:
    page = put(tmp_path / "a.json", ARTICLE, changed(**values))
    report = ingest_news([page], lake_home, timezone="America/New_York")
    assert (report.came, report.landed, dict(report.refused)) == (3, 2, {rule: 1})
    (kept,) = read_arrow(
        current_pin(lake_home, "bars_quarantine"), ["source", "row", "rule", "raw"]
    ).to_pylist()
    assert (kept["source"], kept["row"], kept["rule"]) == (str(page), 3, rule)
    assert "a.example" in kept["raw"] or rule == "missing_url"


def test_more_than_a_few_bad_items_refuse_all_unless_accepted(lake_home, tmp_path: Path) -> None:
    bad = [changed(url=f"https://a.example/{k}", relevance_score="7") for k in range(3)]
    page = put(tmp_path / "a.json", ARTICLE, *bad)
    with pytest.raises(
        SourceError, match=r"(?s)3 of 5 items break a rule .*3 relevance_out_of_range .*--accept"
    ):
        ingest_news([page], lake_home)
    assert not table_exists(lake_home, NEWS_SENTIMENT.name)
    assert ingest_news([page], lake_home, accept=True).landed == 2


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", '{"Information": "Your limit is 25 requests"}', "but 'Your limit is 25 requests'"),
        ("a.json", "{", "is no JSON that can be read"),
        ("a.json", '{"feed": []}', "has no rows"),
        ("a.json", "[3]", "where an article or an item has to stand"),
        ("a.csv", "symbol,score\nA,1\n", r"has no column published_at or time_published; url"),
        ("a.csv", "symbol,peer,from\nA,A,2024-01-02\n", "A is said to be its own peer"),
        ("a.csv", "symbol,peer,sector,from\nA,B,cars,2024-01-02\n", "both a peer and a sector"),
        ("a.csv", "symbol,peer,from\nA,,2024-01-02\n", "neither a peer nor a sector"),
        ("a.csv", "symbol,peer,from\nA,B,\n", "has no from"),
        ("a.csv", "symbol,peer,from,to\nA,B,2024-01-02,2024-01-02\n", "ends before it begins"),
        ("a.csv", "symbol,peer,from\nA,B,2nd of May\n", "is no date"),
        ("a.csv", "symbol,peer\nA,B\n", "has no column from"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(
    lake_home, tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=said):
        ingest_news([tmp_path / name], lake_home)
    assert not table_exists(lake_home, NEWS_SENTIMENT.name)


def test_relations_are_data_too_and_a_period_may_end(lake_home, tmp_path: Path) -> None:
    file = tmp_path / "relations.csv"
    file.write_text("symbol,peer,sector,from,to\nA,B,,2024-01-02,\nA,,cars,2024-01-02,2024-06-03\n")
    assert ingest_news([file], lake_home).relations == 2
    assert ingest_news([file], lake_home).relations == 0
    file.write_text("symbol,peer,sector,from,to\nA,B,,2024-01-02,2024-03-04\n")
    assert ingest_news([file], lake_home).relations == 1
    names = ["peer", "sector", "from", "to"]
    rows = read_arrow(current_pin(lake_home, NEWS_RELATIONS.name), names).to_pylist()
    assert sorted(tuple(map(str, row.values())) for row in rows) == [
        ("", "cars", "2024-01-02", "2024-06-03"), ("B", "", "2024-01-02", "2024-03-04"),
    ]  # fmt: skip


def test_the_command_says_what_came_and_a_dry_run_writes_nothing(lake_home, tmp_path: Path, capsys) -> None:
    page = put(tmp_path / "a.json", ARTICLE, changed(url=""))
    assert main(["ingest-news", str(page), "--dry-run"]) == 0
    assert "2 would land" in capsys.readouterr().out
    assert not table_exists(lake_home, NEWS_SENTIMENT.name)
    assert main(["ingest-news", str(page)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "3 items of 2 symbols came: 2 landed, 0 already there, 0 corrected, 1 refused" in said
    assert "1 missing_url (rule: the item has an address" in said
    assert main(["quarantine"]) == 0
    assert "1 missing_url (rule: the item has an address" in " ".join(capsys.readouterr().out.split())
    assert main(["ingest-news", str(tmp_path / "none.json")]) == 2
    assert "no such file, or no file of news in it" in " ".join(capsys.readouterr().err.split())
    assert main(["ingest-news", str(page), "--timezone", "Berlin"]) == 2


def test_a_sample_is_made_of_its_values_and_says_whose_news_move_whom(lake_home, tmp_path: Path) -> None:
    market = SampleNews(seed=3, sessions=6)
    first, second = (write_sample_news(market, tmp_path / name) for name in ("a", "b"))
    assert [one.read_bytes() for one in first] == [one.read_bytes() for one in second]
    assert (market.moved_by("HEARD2"), market.moved_by("PEER2"), market.moved_by("DEAF1")) == (
        "HEARD2", "HEARD2", "",
    )  # fmt: skip
    report = ingest_news(first[1:], lake_home)
    assert report.landed == report.came > 20
    assert report.relations == 3 + 8
    with pytest.raises(SourceError, match=r"strength is 2\.0; it must be from 0 to 1"):
        SampleNews(strength=2.0)
