"""Alpha Vantage by a server on this machine that answers as the service's documentation says, and fails."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from whatif.cli import main
from whatif.errors import SourceError
from whatif.lake import list_bars
from whatif.pins import LakeLocation, current_pin, has_rows, read_arrow
from whatif.sources import ingest_actions, ingest_news
from whatif.sources.kinds.alphavantage import AlphaVantageBars
from whatif.workflow import ingest

KEY = "K3Y+OF/NOBODY"
INVALID = "the parameter apikey is invalid or missing. Please claim your free API key on (https://…)."
NO_CALL = "Invalid API call. Please retry or visit the documentation (https://…) for TIME_SERIES_INTRADAY."
SLOWLY = "Please consider spreading out your free API requests more sparingly (1 request per second)."
QUOTA = f"We have detected your API key as {KEY} and our standard API rate limit is 25 requests per day."
PREMIUM = "Thank you for using Alpha Vantage! This is a premium endpoint."
CALLS = "Thank you! Our standard API call frequency is 5 calls per minute and 500 calls per day."

Answer = Any
"""An object of JSON, a status, bytes, or bytes of which a half is sent."""


class Half(bytes):
    """An answer that ends half-way."""


class Service:
    """The server, what it was asked, and what it answers first, before what it should."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.first: list[Answer] = []
        self.answers: dict[str, Callable[[dict[str, str]], Answer]] = {
            "TIME_SERIES_DAILY_ADJUSTED": days,
            "TIME_SERIES_INTRADAY": minutes,
            "SPLITS": splits,
            "DIVIDENDS": dividends,
            "NEWS_SENTIMENT": news,
            "OVERVIEW": overview,
        }
        self.address = ""

    def answer(self, asked: dict[str, str]) -> Answer:
        self.asked.append(asked)
        if self.first:
            return self.first.pop(0)
        if asked.get("apikey") != KEY:
            return {"Error Message": INVALID}
        return self.answers[asked["function"]](asked)


def days(asked: dict[str, str]) -> Answer:
    if asked["symbol"] != "IBM":
        return {"Error Message": NO_CALL.replace("INTRADAY", "DAILY_ADJUSTED")}
    row = {"1. open": "160.1", "2. high": "163.5", "3. low": "159.2", "4. close": "161.5",
           "5. adjusted close": "150.2", "6. volume": "3812600", "7. dividend amount": "0.0000",
           "8. split coefficient": "1.0"}  # fmt: skip
    about = {"1. Information": "Daily", "2. Symbol": "IBM", "3. Last Refreshed": "2024-01-04",
             "4. Output Size": "Full size", "5. Time Zone": "US/Eastern"}  # fmt: skip
    rows = dict.fromkeys(("2024-01-04", "2024-01-03", "2024-01-02"), row)
    return {"Meta Data": about, "Time Series (Daily)": rows}


def minutes(asked: dict[str, str]) -> Answer:
    assert asked["adjusted"] == "false"
    if asked["symbol"] != "IBM" or asked["month"] < "2024-01":
        return {"Error Message": NO_CALL}
    interval, month = asked["interval"], asked["month"]
    row = {"1. open": "10.1", "2. high": "11.0", "3. low": "9.9", "4. close": "10.5", "5. volume": "100"}
    about = {"2. Symbol": "IBM", "4. Interval": interval, "6. Time Zone": "US/Eastern"}
    stamps = (f"{month}-05 09:35:00", f"{month}-05 09:30:00")
    return {"Meta Data": about, f"Time Series ({interval})": dict.fromkeys(stamps, row)}


def splits(asked: dict[str, str]) -> Answer:
    data = [{"effective_date": "1999-05-27", "split_factor": "2.0000"}] if asked["symbol"] == "IBM" else []
    return {"symbol": asked["symbol"], "data": data}


def dividends(asked: dict[str, str]) -> Answer:
    days = ("2999-11-10", "2024-08-09", "2024-05-09") if asked["symbol"] == "IBM" else ()
    more = {"declaration_date": "None", "record_date": "None", "payment_date": "None", "amount": "1.67"}
    return {"symbol": asked["symbol"], "data": [{"ex_dividend_date": day, **more} for day in days]}


def overview(asked: dict[str, str]) -> Answer:
    if asked["symbol"] != "IBM":
        return {}
    return {"Symbol": "IBM", "AssetType": "Common Stock", "Name": "International Business Machines",
            "Description": "A company  of\nArmonk.", "Exchange": "NYSE", "Country": "USA",
            "Sector": "TECHNOLOGY", "Industry": "None", "MarketCapitalization": "200000000000"}  # fmt: skip


def article(at: str, score: str = "0.25", **more: Any) -> dict[str, Any]:
    """An article that tells of IBM and of another, as the service's documentation has it."""
    own = {"ticker": "IBM", "relevance_score": "0.8", "ticker_sentiment_score": score,
           "ticker_sentiment_label": "Somewhat-Bullish"}  # fmt: skip
    told = [own, {**own, "ticker": "CRYPTO:BTC"}]
    return {"title": "t", "url": f"https://a.example/{at}", "time_published": at, "source": "A Paper",
            "overall_sentiment_score": 0.9, "ticker_sentiment": told, **more}  # fmt: skip


NEWS = [article(f"202401{day:02}T{hour:02}0030") for day in (2, 3, 31) for hour in (9, 15)]


def news(asked: dict[str, str]) -> Answer:
    if asked["tickers"] != "IBM":
        return {
            "Information": "Invalid inputs. Please refer to the API documentation (https://…) and try again."
        }
    assert (asked["sort"], asked["limit"]) == ("EARLIEST", "1000")
    end = f"{asked['time_to']}59"
    found = [one for one in NEWS if f"{asked['time_from']}00" <= one["time_published"] <= end]
    if not found:
        return {
            "Information": "No articles found. Please adjust the time range or refer to the documentation."
        }
    return {"items": str(len(found)), "feed": found}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    made = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            answer = made.answer(asked)
            status = answer if isinstance(answer, int) else 200
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", made.address)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if isinstance(answer, Half) else content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made.address = f"http://127.0.0.1:{server.server_port}/query"
    monkeypatch.setenv("WHATIF_RUNNER", "local")
    monkeypatch.setenv("ALPHAVANTAGE_API_KEY", KEY)
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What is waited before other attempts, none of it in truth."""
    waited: list[float] = []
    # of these modules alone: threads that other tests left may sleep too
    clock = SimpleNamespace(sleep=waited.append, monotonic=time.monotonic, time=time.time)
    for module in ("whatif.sources.kinds.alphavantage", "whatif.sources.services"):
        monkeypatch.setattr(f"{module}.time", clock)
    return waited


def source(service: Service, **given: Any) -> AlphaVantageBars:
    return AlphaVantageBars(
        **{"symbols": ("IBM",), "per_minute": 1_000_000, "address": service.address, **given}
    )


def held(location: LakeLocation) -> list[dict[str, Any]]:
    names = ["symbol", "ts", "session", "timeframe", "open", "high", "low", "close", "volume"]
    return read_arrow(current_pin(location, "bars"), names).sort_by("ts").to_pylist()


def test_days_land_as_traded_and_what_is_there_is_not_asked_for(
    service: Service, lake_home: LakeLocation
) -> None:
    report = ingest(source(service, end="2024-01-03"), location=lake_home)
    assert (report.came, report.landed, report.refused) == (2, 2, {})
    first = held(lake_home)[0]
    assert (first["symbol"], str(first["session"]), first["timeframe"]) == ("IBM", "2024-01-02", "1d")
    assert [first[n] for n in ("open", "high", "low", "close", "volume")] == [
        160.1,
        163.5,
        159.2,
        161.5,
        3812600,
    ]
    assert ingest(source(service, end="2024-01-03"), location=lake_home).came == 0
    assert [one["outputsize"] for one in service.asked] == ["full"]  # all that is wanted is there


@pytest.mark.parametrize(("ago", "size"), [(5, "compact"), (200, "full")])
def test_the_latest_days_are_a_short_answer(service: Service, ago: int, size: str) -> None:
    from datetime import UTC, datetime, timedelta

    checkpoint = (datetime.now(UTC) - timedelta(days=ago)).date().isoformat()
    (chunk,) = source(service).read("alphavantage:IBM:1d", checkpoint)
    assert (len(chunk), chunk.checkpoint) == (0, checkpoint)
    assert [one["outputsize"] for one in service.asked] == [size]


def test_minutes_are_asked_by_month_and_no_month_twice(
    service: Service, lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import date

    last = [date(2024, 2, 5)]
    monkeypatch.setattr(AlphaVantageBars, "_last", lambda _: last[0])
    wanted = source(service, timeframe="5min", start="2024-01")
    assert ingest(wanted, location=lake_home).landed == 4
    assert [one["month"] for one in service.asked] == ["2024-01", "2024-02"]
    assert held(lake_home)[0]["ts"].isoformat() == "2024-01-05T14:30:00+00:00"  # 09:30 in New York
    last[0] = date(2024, 3, 20)
    again = ingest(wanted, location=lake_home)
    assert [one["month"] for one in service.asked[2:]] == ["2024-02", "2024-03"]
    assert (again.came, again.landed) == (2, 2)


def test_a_month_that_began_with_a_weekend_is_not_asked_for(
    service: Service, lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import date

    def in_sessions(asked: dict[str, str]) -> Answer:
        return minutes(asked) if asked["month"] < "2024-09" else {"Error Message": NO_CALL}

    service.answers["TIME_SERIES_INTRADAY"] = in_sessions
    # 1 September 2024 is a Sunday
    monkeypatch.setattr(AlphaVantageBars, "_last", lambda _: date(2024, 9, 1))
    wanted = source(service, timeframe="5min", start="2024-08")
    assert ingest(wanted, location=lake_home).landed == 2
    assert [one["month"] for one in service.asked] == ["2024-08"]


def test_a_month_that_is_answered_without_bars_is_asked_for_again(
    service: Service, lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import date

    def empty(asked: dict[str, str]) -> Answer:
        return {**minutes(asked), "Time Series (5min)": {}}

    monkeypatch.setattr(AlphaVantageBars, "_last", lambda _: date(2024, 2, 20))
    wanted = source(service, timeframe="5min", start="2024-01")
    service.first = [minutes({"adjusted": "false", "symbol": "IBM", "interval": "5min", "month": "2024-01"})]
    service.answers["TIME_SERIES_INTRADAY"] = empty
    assert ingest(wanted, location=lake_home).landed == 2
    service.answers["TIME_SERIES_INTRADAY"] = minutes
    assert ingest(wanted, location=lake_home).landed == 2
    assert [one["month"] for one in service.asked] == ["2024-01", "2024-02", "2024-02"]


def test_the_command_says_what_landed(
    service: Service, lake_home: LakeLocation, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--home", str(lake_home.home), "ingest", "alphavantage", "--symbols", "IBM"]
    given += ["--address", service.address, "--per-minute=100000"]
    assert main([*given, "--timeframe", "1d", "--end", "2024-01"]) == 0
    assert "3 rows came: 3 landed" in capsys.readouterr().out
    assert main([*given, "--start", "soon"]) == 2
    assert "start=soon is no month and no day" in capsys.readouterr().err
    assert main([*given, "--timeframe", "2min"]) == 2
    assert "timeframe=2min is none of Alpha Vantage" in capsys.readouterr().err


FAILING = [
    {"Note": CALLS}, {"Information": SLOWLY}, 500, 503, 429, Half(b'{"Meta Data": {"2. Symbol": "IBM"}}'),
    b'{"Meta Data": {"2. Sym', [],
]  # fmt: skip


@pytest.mark.parametrize("failing", FAILING, ids=str)
def test_what_fails_for_a_while_is_asked_again(
    service: Service, waits: list[float], lake_home: LakeLocation, failing: Answer
) -> None:
    service.first = [failing, failing]
    assert ingest(source(service, end="2024-01"), location=lake_home).landed == 3
    assert len(service.asked) == 3


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        ({"Note": CALLS}, "failed 6 times in a row, last: it throttles"),
        (500, "failed 6 times in a row, last: it answered 500"),
        (FAILING[5], "half an answer came|IncompleteRead"),
        ({"Information": QUOTA}, "requests of today are used up"),
        ({"Information": PREMIUM}, r"may not ask for this, which is paid for.*Give the key of a plan that"),
        ({"Error Message": INVALID}, "the key is refused"),
        ({"Information": f"no more for {KEY}"}, "says 'no more for \\*\\*\\*' instead of an answer"),
        ({}, "knows nothing of it"),
        ({"Meta Data": {"2. Symbol": "IBM"}}, "answered 'Meta Data' where 'Time Series \\(Daily\\)'"),
        (302, "a redirect is not followed"),
        (403, "answered 403"),
    ],
    ids=str,
)
def test_what_fails_for_good_is_said_without_the_key_and_the_table_stays(
    service: Service, waits: list[float], lake_home: LakeLocation, caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str], failing: Answer, said: str,
) -> None:  # fmt: skip
    ingest(source(service, end="2024-01-02"), location=lake_home)
    before = current_pin(lake_home, "bars")
    service.first = [failing] * 6
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceError, match=said) as told:
        ingest(source(service, end="2024-01-03"), location=lake_home)
    assert current_pin(lake_home, "bars") == before
    out = capsys.readouterr()
    for text in (str(told.value), caplog.text, out.out, out.err):
        assert KEY not in text
        assert "K3Y%2BOF" not in text


def test_an_address_where_nobody_answers(service: Service, waits: list[float]) -> None:
    with pytest.raises(
        SourceError, match=r"nobody answers .*check the network and the address, http://127"
    ) as told:
        list(source(service, address="http://127.0.0.1:9/query").read("alphavantage:IBM:1d", None))
    assert "per-minute" not in str(told.value)


def test_waits_grow_and_are_the_same_of_a_seed(service: Service, waits: list[float]) -> None:
    of = {}
    for seed in (1, 1, 2):
        waits.clear()
        service.first = [500] * 6
        with pytest.raises(SourceError):
            list(source(service, seed=seed, end="2024-01").read("alphavantage:IBM:1d", None))
        assert len([wait for wait in waits if wait > 0.1]) == 5
        assert all(2**k / 2 <= wait <= 2**k for k, wait in enumerate(w for w in waits if w > 0.1))
        assert of.setdefault(seed, [w for w in waits if w > 0.1]) == [w for w in waits if w > 0.1]
    assert of[1] != of[2]


def test_requests_are_spread_over_the_minute(service: Service, waits: list[float]) -> None:
    slow = source(service, per_minute=6, end="2024-01")
    for _ in range(3):
        list(slow.read("alphavantage:IBM:1d", None))
    assert [round(wait) for wait in waits] == [10, 20]


def test_a_symbol_that_is_unknown_leaves_no_bar(service: Service, lake_home: LakeLocation) -> None:
    with pytest.raises(SourceError, match="of NONE: it knows no such symbol"):
        ingest(source(service, symbols=("IBM", "NONE"), end="2024-01"), location=lake_home)
    assert not has_rows(lake_home, "bars")


def test_settings_that_cannot_be_are_refused(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for given, said in (
        ({"symbols": ()}, "no symbol is named"),
        ({"address": "http://example.org/query"}, "is not https"),
        ({"start": "2024-02", "end": "2024-01"}, "nothing lies between"),
        ({"per_minute": 0}, "per_minute=0"),
    ):
        with pytest.raises(SourceError, match=said):
            source(service, **given).parts()
    monkeypatch.delenv("ALPHAVANTAGE_API_KEY")
    with pytest.raises(SourceError, match="ALPHAVANTAGE_API_KEY is not set"):
        source(service).parts()
    assert service.asked == []


def test_an_answer_about_something_else_is_refused(service: Service) -> None:
    service.answers["TIME_SERIES_DAILY_ADJUSTED"] = lambda _: json.loads(
        json.dumps(days({"symbol": "IBM"})).replace('"IBM"', '"IBMX"')
    )
    with pytest.raises(SourceError, match="asked for IBM and answered IBMX"):
        list(source(service, end="2024-01").read("alphavantage:IBM:1d", None))
    service.answers["TIME_SERIES_INTRADAY"] = lambda asked: minutes({**asked, "month": "2024-05"})
    with pytest.raises(SourceError, match="of 2024-01 and answered a bar of 2024-05-05"):
        list(
            source(service, timeframe="5min", start="2024-01", end="2024-01").read(
                "alphavantage:IBM:5min", None
            )
        )


@pytest.mark.parametrize("text", [KEY, json.dumps({"ALPHAVANTAGE_API_KEY": KEY})], ids=["text", "JSON"])
def test_the_key_is_of_a_secret_and_in_no_log(
    service: Service, aws: str, lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, text: str,
) -> None:  # fmt: skip
    monkeypatch.delenv("ALPHAVANTAGE_API_KEY")
    boto3.client("secretsmanager").create_secret(Name="acme/vendor", SecretString=text)
    with caplog.at_level(logging.DEBUG):
        report = ingest(source(service, secret="acme/vendor", end="2024-01"), location=lake_home)
    assert report.landed == 3
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "there is no such secret"), ("{}", "without ALPHAVANTAGE_API_KEY"), (" ", "is empty")],
)
def test_a_secret_without_a_key_is_said(service: Service, aws: str, text: str | None, said: str) -> None:
    if text is not None:
        boto3.client("secretsmanager").create_secret(Name="acme/vendor", SecretString=text)
    with pytest.raises(SourceError, match=said):
        source(service, secret="acme/vendor").parts()


def actions_of(location: LakeLocation) -> list[tuple[Any, ...]]:
    names = ["symbol", "ex_date", "kind", "value", "source"]
    rows = read_arrow(current_pin(location, "actions"), names).sort_by("ex_date").to_pylist()
    return [
        (str(row["ex_date"]), *(row[name] for name in ("symbol", "kind", "value", "source"))) for row in rows
    ]


def test_splits_and_dividends_stand_with_those_of_files(
    service: Service, lake_home: LakeLocation, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--home", str(lake_home.home), "ingest-actions", "alphavantage", "--symbols", "IBM"]
    given += ["--address", service.address, "--per-minute=100000"]
    assert main(given) == 0
    assert "1 splits and 2 dividends of 1 symbols; 3 landed, 0 corrected" in capsys.readouterr().out
    # one that is yet to come is left out
    assert actions_of(lake_home) == [
        ("1999-05-27", "IBM", "split", 2.0, "alphavantage"),
        ("2024-05-09", "IBM", "dividend", 1.67, "alphavantage"),
        ("2024-08-09", "IBM", "dividend", 1.67, "alphavantage"),
    ]
    assert main(given) == 0
    assert "0 landed, 0 corrected" in capsys.readouterr().out
    assert main(["ingest-actions", "nothing.csv", "--option", "symbols=IBM"]) == 2
    assert "is for other sources than files" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"symbol": "IBM"}, "where 'data' is a list"),
        ({"data": [{"ex_dividend_date": "None", "amount": "1"}]}, "tells of a dividend of IBM on 'None'"),
        (
            {"data": [{"ex_dividend_date": "2024-01-02", "amount": "nan"}]},
            "of 'nan', which is no date or no value",
        ),
        ({"Error Message": INVALID}, "the key is refused"),
    ],
    ids=str,
)
def test_actions_that_cannot_be_read_leave_none(
    service: Service, lake_home: LakeLocation, answer: Answer, said: str
) -> None:
    service.answers["DIVIDENDS"] = lambda _: answer
    with pytest.raises(SourceError, match=said):
        ingest_actions(source(service), lake_home)
    assert not has_rows(lake_home, "actions")


def test_actions_of_a_range_and_of_none(service: Service, lake_home: LakeLocation) -> None:
    report = ingest_actions(source(service, start="2024-05", end="2024-05"), lake_home)
    assert (report.splits, report.dividends) == (0, 1)
    with pytest.raises(SourceError, match="holds no split and no dividend: name a file, or symbols"):
        ingest_actions(source(service, symbols=("NONE",)), lake_home)
    with pytest.raises(SourceError, match="a symbol of all rows is for files"):
        ingest_actions(source(service), lake_home, symbol="IBM")


def items(location: LakeLocation) -> list[str]:
    names = ["symbol", "published_at", "score"]
    rows = read_arrow(current_pin(location, "news_sentiment"), names).sort_by("published_at").to_pylist()
    return [f"{row['symbol']} {row['published_at']:%m-%dT%H:%M:%S} {row['score']}" for row in rows]


def test_news_land_by_symbol_once(service: Service, lake_home: LakeLocation) -> None:
    wanted = source(service, start="2024-01", end="2024-01-03")
    report = ingest_news(wanted, lake_home)
    assert (report.came, report.landed, report.symbols) == (4, 4, 1)
    assert items(lake_home)[0] == "IBM 01-02T09:00:30 0.25"
    assert (service.asked[0]["time_from"], service.asked[0]["time_to"]) == ("20240101T0000", "20240103T2359")
    again = ingest_news(source(service, start="2024-01-03", end="2024-01"), lake_home)
    assert (again.came, again.landed, again.already_there) == (4, 2, 2)
    nothing = ingest_news(source(service, start="2024-02", end="2024-02"), lake_home)
    assert (nothing.came, nothing.landed) == (0, 0)


def test_news_come_page_by_page(
    service: Service, lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whatif.sources.kinds.alphavantage._ARTICLES", 2)
    pages = []

    def two(asked: dict[str, str]) -> Answer:
        pages.append(asked["time_from"])
        answer = news({**asked, "limit": "1000"})
        return {**answer, "feed": answer["feed"][:2]}

    service.answers["NEWS_SENTIMENT"] = two
    report = ingest_news(source(service, start="2024-01", end="2024-01"), lake_home)
    # each page begins with the minute of the last article, which comes twice and counts once
    assert pages == ["20240101T0000", "20240102T1500", "20240103T0900", "20240103T1500", "20240131T0900",
                     "20240131T1500"]  # fmt: skip
    assert (report.landed, len(items(lake_home))) == (6, 6)
    service.answers["NEWS_SENTIMENT"] = lambda _: {
        "feed": [article("20240102T090010"), article("20240102T090020")]
    }
    with pytest.raises(SourceError, match="2 articles about IBM of the minute 2024-01-02 09:00"):
        ingest_news(source(service, start="2024-01-02"), lake_home)


@pytest.mark.parametrize(("fewest", "requests"), [(50, 4), (7, 25)])
def test_all_news_come_to_a_key_that_is_answered_fewer_than_were_asked_for(
    service: Service, lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch, fewest: int, requests: int
) -> None:
    # 3 articles a minute in 48 minutes, 144 in all; of a page all but those of its last minute are behind it
    many = [article(f"20240102T09{k // 3:02}{k % 3:02}") for k in range(144)]
    monkeypatch.setattr(f"{__name__}.NEWS", many)

    def some(asked: dict[str, str]) -> Answer:
        answer = news(asked)
        return {**answer, "feed": answer["feed"][:fewest]} if "feed" in answer else answer

    service.answers["NEWS_SENTIMENT"] = some
    report = ingest_news(source(service, start="2024-01", end="2024-01"), lake_home)
    assert (report.came, report.landed, len(items(lake_home))) == (144, 144, 144)
    assert len(service.asked) == requests


def test_a_minute_with_more_news_than_a_key_is_answered_is_said(
    service: Service, lake_home: LakeLocation
) -> None:
    page = [article(f"20240102T0900{k:02}") for k in range(50)]
    service.answers["NEWS_SENTIMENT"] = lambda _: {"items": "50", "feed": page}
    with pytest.raises(SourceError, match="50 articles about IBM of the minute 2024-01-02 09:00"):
        ingest_news(source(service, start="2024-01-02"), lake_home)
    assert not has_rows(lake_home, "news_sentiment")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"Error Message": INVALID}, "the key is refused"),
        ({"Information": QUOTA}, "requests of today are used up"),
        ({"Information": PREMIUM}, "paid for"),
        ({"items": "1"}, "'feed' is a list"),
        ({"feed": [{"url": "u"}]}, "without ticker_sentiment"),
    ],
)
def test_news_that_cannot_be_read_land_nothing(
    service: Service, lake_home: LakeLocation, answer: Answer, said: str
) -> None:
    service.first = [news({"tickers": "IBM", "sort": "EARLIEST", "limit": "1000", "time_from": "2024",
                           "time_to": "2025"}), answer]  # fmt: skip
    with pytest.raises(SourceError, match=said) as refused:
        ingest_news(source(service, symbols=("IBM", "MSFT"), start="2024-01"), lake_home)
    assert KEY not in str(refused.value)
    assert not has_rows(lake_home, "news_sentiment")


def test_news_by_the_command(
    service: Service, lake_home: LakeLocation, capsys: pytest.CaptureFixture[str], waits: list[float]
) -> None:
    given = ["--home", str(lake_home.home), "ingest-news", "alphavantage", "--start", "2024-01"]
    given += ["--address", service.address, "--per-minute=100000"]
    service.first = [{"Note": CALLS}, Half(json.dumps({"feed": NEWS}).encode()), 429]
    assert main([*given, "--symbols", "IBM"]) == 0
    assert "6 items of 1 symbols came: 6 landed" in capsys.readouterr().out
    assert len([wait for wait in waits if wait > 0.1]) == 3
    assert main([*given, "--symbols", "NOBODY"]) == 2
    assert "knows no such symbol" in " ".join(capsys.readouterr().err.split())


def test_an_overview_stands_in_the_catalogue(
    service: Service, lake_home: LakeLocation, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest(source(service, end="2024-01-03"), location=lake_home)
    options = ["--option", f"address={service.address}", "--option", "per_minute=100000"]
    given = ["--home", str(lake_home.home), "describe", "IBM", "--from", "alphavantage", *options]
    assert main([*given, "--owner", "Desk 3"]) == 0
    capsys.readouterr()
    (row,) = list_bars(lake_home).to_dict("records")
    assert row["description"] == "International Business Machines: A company of Armonk."
    assert (row["asset_class"], row["owner"]) == ("equity", "Desk 3")
    assert row["tags"] == "nyse, technology, usa"
    # an industry with a comma, and one that is longer than a tag
    for industry, tag in (
        ("SERVICES-COMPUTER PROGRAMMING, DATA PROCESSING, ETC.",
         "services-computer programming data processing etc."),
        ("RADIO & TV BROADCASTING, COMMUNICATIONS EQUIPMENT AND APPARATUS, NOT ELSEWHERE",
         "radio & tv broadcasting communications equipment and apparat"),
    ):  # fmt: skip
        service.first = [overview({"symbol": "IBM"}) | {"Industry": industry}]
        assert main(given) == 0
        assert tag in list_bars(lake_home)["tags"][0].split(", ")
    capsys.readouterr()
    service.first = [{}]
    assert main([*given, "--owner", "Desk 4"]) == 2
    assert "knows nothing of it" in " ".join(capsys.readouterr().err.split())
    assert list_bars(lake_home)["owner"].tolist() == ["Desk 3"]
    # none of two is described if the lake has no bars of one, and the service is not asked then
    asked = len(service.asked)
    service.first = [overview({"symbol": "IBM"}), overview({"symbol": "IBM"}) | {"Symbol": "MSFT"}]
    assert main([*given[:3], "IBM", "MSFT", *given[4:], "--owner", "Desk 5"]) == 2
    assert "no bars of 'MSFT'" in " ".join(capsys.readouterr().err.split())
    assert list_bars(lake_home)["owner"].tolist() == ["Desk 3"]
    assert len(service.asked) == asked
    service.first = [{"Information": QUOTA}]
    assert main(given) == 2
    assert "used up" in capsys.readouterr().err
    assert main([*given[:3], "IBM", *options]) == 2
    assert "name it with --from" in " ".join(capsys.readouterr().err.split())
