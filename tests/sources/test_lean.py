"""Lean's folders by their own rules. Expected prices and times by the readmes of Lean's data."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from whatif.errors import SourceError
from whatif.sources.delivery import read_file
from whatif.sources.kinds.lean import contract_of, lean_layout, sort_out
from whatif.sources.spec import IngestSpec

ROW = "33300000,950000,950000,939000,948500,1730100"


def put(folder: Path, name: str, members: Mapping[str, str] | None = None) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in (members or {"a.csv": ROW}).items():
            archive.writestr(member, text + "\n")
    return str(path)


def bars(source: str, spec: IngestSpec | None = None) -> list[dict[str, object]]:
    return [row for batch in read_file(source, spec or IngestSpec()) for row in batch.to_pylist()]


@pytest.mark.parametrize(
    ("name", "row", "symbol", "exchange", "stamp", "opened"),
    [
        # 09:15 in Kolkata is 03:45 UTC; prices in 1/10,000 rupee
        ("equity/india/minute/yesbank/20190709_trade.zip", ROW, "YESBANK", "XBOM", "2019-07-09T03:45", 95.0),
        # 09:30 in New York
        (
            "equity/usa/minute/spy/20131007_trade.zip", "34200000,1674500,1674500,1674500,1674500,3",
            "SPY", "XNYS", "2013-10-07T13:30", 167.45,
        ),
        ("crypto/coinbase/minute/btcusd/20161007_trade.zip", "60000,611.87,611.88,611.87,611.88,0.56799",
         "BTCUSD", "24/7", "2016-10-07T00:01", 611.87),
        ("cryptofuture/binance/hour/btcusdt_trade.zip", "20221213 08:00,17000.5,17001,17000,17000.5,2",
         "BTCUSDT", "24/7", "2022-12-13T08:00", 17000.5),
        ("future/cme/minute/es/20131007_trade.zip", "60000,1676.5,1676.75,1676.5,1676.75,19",
         "ES", "CMES", "2013-10-07T00:01", 1676.5),
        ("index/usa/minute/spx/20210104_trade.zip", "34200000,3764.61,3764.61,3764.61,3764.61,0",
         "SPX", "XNYS", "2021-01-04T14:30", 3764.61),
    ],
)  # fmt: skip
def test_the_path_says_price_clock_and_calendar(
    tmp_path: Path, name: str, row: str, symbol: str, exchange: str, stamp: str, opened: float
) -> None:
    (bar,) = bars(put(tmp_path, name, {"a.csv": row}))
    assert (bar["kind"], bar["symbol"], bar["exchange"], bar["open"]) == ("bar", symbol, exchange, opened)
    assert bar["ts"].isoformat()[:16] == stamp  # type: ignore[attr-defined]


def test_a_zip_of_several_expiries_is_one_symbol_a_contract(tmp_path: Path) -> None:
    members = {f"20131007_es_minute_trade_2013{m:02}.csv": f"0,{m},{m},{m},{m},9" for m in (9, 12)}
    zipped = put(tmp_path, "future/cme/minute/es/20131007_trade.zip", members)
    sources, notes = sort_out([zipped], [zipped], IngestSpec())
    assert notes == ()
    found = {str(bar["symbol"]): bar["close"] for source in sources for bar in bars(source)}
    assert found == {"ES 201309": 9.0, "ES 201312": 12.0}
    with pytest.raises(SourceError, match="holds 2 files"):
        bars(zipped)


def test_a_root_stands_for_its_one_contract_and_says_so(tmp_path: Path) -> None:
    one = put(
        tmp_path, "future/cme/minute/es/20131007_trade.zip", {"20131007_es_minute_trade_201312.csv": ROW}
    )
    assert sort_out([one], [one], IngestSpec()) == (
        (one,),
        ("ES is the contract ES 201312, the only one that came",),
    )
    other = put(
        tmp_path, "future/cme/minute/es/20131216_trade.zip", {"20131216_es_minute_trade_201403.csv": ROW}
    )
    sources, _ = sort_out([one, other], [one, other], IngestSpec())
    assert [contract_of(source) for source in sources] == ["ES 201312", "ES 201403"]


def test_options_are_contracts_in_ten_thousandths(tmp_path: Path) -> None:
    member = "20140606_aapl_minute_trade_american_call_6450000_20140621.csv"
    zipped = put(
        tmp_path, "option/usa/minute/aapl/20140606_trade_american.zip",
        {member: "34200000,120800,125600,120800,125000,404"},
    )  # fmt: skip
    (source,), _ = sort_out([zipped], [zipped], IngestSpec())
    (bar,) = bars(source)
    assert (bar["symbol"], bar["high"], bar["exchange"]) == ("AAPL 20140621 C 645", 12.56, "XNYS")


def test_what_is_not_read_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    good = put(tmp_path, "equity/usa/minute/aapl/20140609_trade.zip")
    files = [
        good,
        put(tmp_path, "equity/usa/minute/aapl/20140609_quote.zip"),
        put(tmp_path, "equity/usa/second/aapl/20140609_trade.zip"),
        put(tmp_path, "equity/usa/tick/aapl/20140609_trade.zip"),
        put(tmp_path, "forex/oanda/daily/eurusd.zip"),
        put(tmp_path, "future/cme/minute/es/20131007_openinterest.zip"),
        put(tmp_path, "futureoption/cme/minute/es/20131007_trade_american.zip"),
        put(tmp_path, "equity/mars/daily/rock.zip"),
        str(tmp_path / "equity/usa/factor_files/aapl.csv"),
    ]
    sources, notes = sort_out(files, files[:-1], IngestSpec())
    assert sources == (good,)
    text = "\n".join(notes)
    for reason in (
        "2 files skipped (quotes", "2 files skipped (shorter than a minute)", "open interest", "futureoption",
        "equity/mars has no known hours: give --exchange and --timezone", "not bars",
    ):  # fmt: skip
        assert reason in text


def test_nothing_but_quotes_is_refused(tmp_path: Path) -> None:
    quotes = put(tmp_path, "forex/oanda/daily/eurusd.zip")
    with pytest.raises(SourceError, match=r"(?s)no file of the delivery holds bars.*quotes.*eurusd"):
        sort_out([quotes], [quotes], IngestSpec(exchange="24/7", timezone="UTC"))


def test_options_that_cannot_hold_for_all(tmp_path: Path) -> None:
    spy = put(tmp_path, "equity/usa/daily/spy.zip")
    coin = put(tmp_path, "crypto/coinbase/daily/btcusd_trade.zip")
    with pytest.raises(SourceError, match="would hold for all"):
        sort_out([spy, coin], [spy, coin], IngestSpec(exchange="XNYS"))
    both = [coin, put(tmp_path, "crypto/bitfinex/daily/btcusd_trade.zip")]
    with pytest.raises(SourceError, match="BTCUSD is in crypto/bitfinex and in crypto/coinbase"):
        sort_out(both, both, IngestSpec())
    with pytest.raises(SourceError, match="--symbol QQQ: Lean's files name their symbols"):
        sort_out([spy], [spy], IngestSpec(symbol="QQQ"))
    assert sort_out([spy], [spy], IngestSpec(symbol="SPY"))[0] == (spy,)


def test_a_market_without_known_hours_takes_the_users(tmp_path: Path) -> None:
    path = put(
        tmp_path, "equity/mars/daily/rock.zip", {"rock.csv": "20240102 00:00,10000,10000,10000,10000,5"}
    )
    with pytest.raises(SourceError, match="equity/mars has no known hours"):
        lean_layout(path, IngestSpec())
    (bar,) = bars(path, IngestSpec(exchange="XLON", timezone="Europe/London"))
    assert (bar["symbol"], bar["exchange"], bar["open"]) == ("ROCK", "XLON", 1.0)


def test_files_that_are_not_leans_are_left_alone(tmp_path: Path) -> None:
    files = [str(tmp_path / "alternative" / "a.csv"), str(tmp_path / "b.parquet")]
    assert sort_out(files, [], IngestSpec()) == (tuple(files), ())
