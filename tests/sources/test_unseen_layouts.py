"""Layouts that no line of the sources names land right, or are refused with the option that settles them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from whatif.errors import SourceError
from whatif.sources import IngestSpec
from whatif.sources.delivery import file_parts, read_part

NYSE = {"exchange": "XNYS"}
NY = {"exchange": "XNYS", "timezone": "America/New_York"}
CRYPTO = {"exchange": "24/7"}
HEADER = "Date,Open,High,Low,Close,Volume"
P1, P2 = "187.15,187.9,187.1,187.5", "187.5,187.6,186.9,187.0"
FIRST, SECOND = (187.15, 187.9, 187.1, 187.5, 1000.0), (187.5, 187.6, 186.9, 187.0, 900.0)


def rows_of(path: Path, **spec: object) -> tuple[list[dict], tuple[str, ...]]:  # type: ignore[type-arg]
    parts, notes = file_parts([path], IngestSpec(**spec))  # type: ignore[arg-type]
    rows = [row for part in parts for batch in read_part(part) for row in batch.to_pylist()]
    assert {row["kind"] for row in rows} == {"bar"}
    return sorted(rows, key=lambda row: (row["symbol"], row["ts"])), notes


def told(rows: list[dict]) -> list[tuple[object, ...]]:  # type: ignore[type-arg]
    prices = ("open", "high", "low", "close", "volume")
    return [(f"{row['ts']:%Y-%m-%d %H:%M}", *(row[name] for name in prices)) for row in rows]


def two(first: str, second: str) -> list[tuple[object, ...]]:
    return [(first, *FIRST), (second, *SECOND)]


MINUTES, DAYS = two("2024-01-02 14:30", "2024-01-02 14:31"), two("2024-01-02 14:30", "2024-01-03 14:30")
LAND = {
    # eSignal's export: AM and PM, quoted thousands
    "halves of the day": (
        f'Date,Time,Open,High,Low,Close,Volume\n1/17/2024,9:30 AM,{P1},"1,000"\n1/17/2024,1:05 PM,{P2},900\n',
        NY,
        two("2024-01-17 14:30", "2024-01-17 18:05"),
    ),
    # AmiBroker's export: the date and the clock in one column
    "halves of the day behind seconds": (
        f"Ticker,Date/Time,Open,High,Low,Close,Volume\nX,1/17/2024 9:30:00 AM,{P1},1000\n"
        f"X,1/17/2024 9:31:00 AM,{P2},900\n",
        NY,
        two("2024-01-17 14:30", "2024-01-17 14:31"),
    ),
    # Java's ZonedDateTime.toString
    "zone in brackets": (
        f"time,open,high,low,close,volume\n2024-01-02T09:30:00-05:00[America/New_York],{P1},1000\n"
        f"2024-01-02T09:31:00-05:00[America/New_York],{P2},900\n",
        NYSE,
        MINUTES,
    ),
    "zone in short": (
        f"time,open,high,low,close,volume\n2024-01-02 09:30:00 EST,{P1},1000\n"
        f"2024-01-02 09:31:00 EST,{P2},900\n",
        NYSE,
        MINUTES,
    ),
    # ISO 8601, 4.1.4.2: the Tuesday of the first week of 2024 is 2 January
    "days of weeks": (f"{HEADER}\n2024-W01-2,{P1},1000\n2024-W01-3,{P2},900\n", NYSE, DAYS),
    "digits and decimal commas": (
        "datetime;o;h;l;c;v\n20240102 0930;187,15;187,9;187,1;187,5;1000\n"
        "20240102 0931;187,5;187,6;186,9;187,0;900\n",
        NY,
        MINUTES,
    ),
    "seconds as floats": (
        f"time,open,high,low,close,volume\n1704205800.0,{P1},1000\n1704205860.0,{P2},900\n", NYSE, MINUTES,
    ),
    "seconds as powers": (
        f"time,open,high,low,close,volume\n1.7042058e+09,{P1},1000\n1.70420586e+09,{P2},900\n", NYSE, MINUTES,
    ),
    # Bybit's kline archive names its stamps start_at
    "stamps by another name": (
        f"start_at,symbol,period,open,high,low,close,volume\n1704205800,S,1,{P1},1000\n"
        f"1704205860,S,1,{P2},900\n",
        CRYPTO,
        MINUTES,
    ),
    # thousands as Swiss banks write them
    "apostrophes": (
        "Datum;Eröffnung;Hoch;Tief;Schluss;Volumen\n02.01.2024;187.15;187.90;187.10;187.50;1'000\n"
        "03.01.2024;187.50;187.60;186.90;187.00;900\n",
        {**NYSE, "time_format": "%d.%m.%Y"},
        DAYS,
    ),
    # CRSP's daily stock file, as WRDS hands it out: bid or low, ask or high
    "CRSP": (
        "PERMNO,date,TICKER,BIDLO,ASKHI,PRC,VOL,RET,OPENPRC\n84398,2024-01-02,SPY,187.1,187.9,187.5,1000,.,187.15\n"
        "84398,2024-01-03,SPY,186.9,187.6,187.0,900,-0.002,187.5\n",
        NYSE,
        DAYS,
    ),
    "CRSP anew": (
        "PERMNO,Ticker,DlyCalDt,DlyPrc,DlyOpen,DlyHigh,DlyLow,DlyVol\n84398,SPY,2024-01-02,187.5,187.15,187.9,187.1,1000\n"
        "84398,SPY,2024-01-03,187.0,187.5,187.6,186.9,900\n",
        NYSE,
        DAYS,
    ),
    # okx.com, historical market data, candlesticks
    "instrument_name": (
        "instrument_name,open,high,low,close,vol,vol_ccy,vol_quote,open_time,confirm\n"
        f"BTC-USDT,{P1},1000,1,2,1704205800000,1\nBTC-USDT,{P2},900,1,2,1704205860000,1\n",
        CRYPTO,
        MINUTES,
    ),
    # bitmex.com, trade/bucketed: a stamp is when its bucket ends (github.com/ccxt/ccxt/issues/5641)
    "ends of buckets": (
        "timestamp,symbol,open,high,low,close,trades,volume,vwap,lastSize,turnover,homeNotional,foreignNotional\n"
        f"2024-01-02T14:31:00.000Z,XBTUSD,{P1},9,1000,187.5,1,2,3,4\n"
        f"2024-01-02T14:32:00.000Z,XBTUSD,{P2},9,900,187.1,1,2,3,4\n",
        {},
        MINUTES,
    ),
    # bseindia.com, stock prices: the month in full, an empty last column
    "months in full": (
        "Date,Open Price,High Price,Low Price,Close Price,WAP,No.of Shares,No. of Trades,Total Turnover,\n"
        f"3-January-2024,{P2},187.2,900,9,168500,\n2-January-2024,{P1},187.4,1000,9,187500,\n",
        NYSE,
        DAYS,
    ),
    # Euronext's "Historical Data": lines above the header, the last trade beside the close
    "number of shares": (
        "Date;Open;High;Low;Last;Close;Number of Shares;Number of Trades;Turnover\n"
        "02/01/2024;187.15;187.9;187.1;187.4;187.5;1000;9;187500\n"
        "31/01/2024;187.5;187.6;186.9;187.1;187.0;900;9;168500\n",
        {**NYSE, "timeframe": "1d"},
        two("2024-01-02 14:30", "2024-01-31 14:30"),
    ),
    # Excel in Switzerland, German
    "Swiss thousands": (
        "Datum;Eröffnung;Hoch;Tief;Schluss;Volumen\n03.01.2024;1’187.50;1’187.60;1’186.90;1’187.00;1’000’900\n"
        "31.01.2024;1'187.50;1'187.60;1'186.90;1'187.00;1'000'900\n",
        {**NYSE, "timeframe": "1d"},
        [(f"2024-01-{day} 14:30", 1187.5, 1187.6, 1186.9, 1187.0, 1000900.0) for day in ("03", "31")],
    ),
    # nseindia.com's security-wise archive: lakhs, quoted, blanks behind names
    "Indian thousands": (
        '"Date ","series ","OPEN ","HIGH ","LOW ","PREV. CLOSE ","ltp ","close ","vwap ","VOLUME "\n'
        + "".join(
            f'"{day}-Jan-2024","EQ","1,23,456.50","1,24,000.00","1,23,000.00","1,22,000.00","1","1,23,500.05",'
            '"1,23,600.00","12,34,567"\n'
            for day in ("02", "03")
        ),
        NYSE,
        [(f"2024-01-0{k} 14:30", 123456.5, 124000.0, 123000.0, 123500.05, 1234567.0) for k in (2, 3)],
    ),
    # akshare, stock_zh_a_hist: other order
    "Chinese names": (
        "日期,股票代码,开盘,收盘,最高,最低,成交量,成交额,振幅,涨跌幅,涨跌额,换手率\n"
        "2024-01-02,000001,187.15,187.5,187.9,187.1,1000,187500,1,1,1,1\n"
        "2024-01-03,000001,187.5,187.0,187.6,186.9,900,168500,1,1,1,1\n",
        NYSE,
        DAYS,
    ),
    # Boursorama's and abcbourse's
    "French names": (
        "Date;Ouv.;+Haut;+Bas;Clôt.;Volume\n03/01/2024;187,5;187,6;186,9;187,0;900\n"
        "31/01/2024;187,5;187,6;186,9;187,0;900\n",
        {**NYSE, "timeframe": "1d"},
        [(f"2024-01-{day} 14:30", *SECOND) for day in ("03", "31")],
    ),
    "Japanese names": (
        f"日付,始値,高値,安値,終値,出来高\n2024/01/02,{P1},1000\n2024/01/03,{P2},900\n",
        NYSE,
        DAYS,
    ),
    # two lines of names, of which each lacks some
    "two headers": (
        f",Price,Price,Price,Price,Volume\nDate,Open,High,Low,Close,\n2024-01-02,{P1},1000\n2024-01-03,{P2},900\n",
        NYSE,
        DAYS,
    ),
    # Tiingo's: other order, adjusted columns behind, a dividend
    "other order": (
        "date,close,high,low,open,volume,adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash,splitFactor\n"
        "2024-01-02,187.5,187.9,187.1,187.15,1000,87.5,87.9,87.1,87.15,2000,0.0,1.0\n"
        "2024-01-03,187.0,187.6,186.9,187.5,900,87.0,87.6,86.9,87.5,1800,0.0,1.0\n",
        NYSE,
        DAYS,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "spec", "expected"), LAND.values(), ids=LAND)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_what_was_never_seen_lands(
    tmp_path: Path, text: str, spec: dict[str, object], expected: object, encoding: str
) -> None:
    path = tmp_path / "SPY.csv"
    path.write_text(text, encoding=encoding)
    assert told(rows_of(path, **spec)[0]) == expected


def test_columns_of_an_answer_with_stamps_by_another_name(tmp_path: Path) -> None:
    # docs.deribit.com, public/get_tradingview_chart_data
    path = tmp_path / "BTC-PERPETUAL.json"
    path.write_text(
        '{"jsonrpc":"2.0","result":{"volume":[1000,900],"ticks":[1704205800000,1704205860000],"status":"ok",'
        '"open":[187.15,187.5],"low":[187.1,186.9],"high":[187.9,187.6],"cost":[1,2],"close":[187.5,187.0]}}'
    )
    assert told(rows_of(path, **CRYPTO)[0]) == MINUTES


OANDA = (
    '{{"instrument":"EUR_USD","granularity":"M1","candles":[{{"complete":true,"volume":1000,"time":'
    '"2024-01-02T14:30:00.000000000Z",{}}},{{"complete":true,"volume":900,"time":'
    '"2024-01-02T14:31:00.000000000Z",{}}}]}}'
)
SIDES = [
    '{"o":"187.15","h":"187.9","l":"187.1","c":"187.5"}',
    '{"o":"187.5","h":"187.6","l":"186.9","c":"187.0"}',
]


def test_prices_in_an_object_of_each_row(tmp_path: Path) -> None:
    # developer.oanda.com, v20: instruments/{instrument}/candles
    path = tmp_path / "candles.json"
    path.write_text(OANDA.format(*(f'"mid":{side}' for side in SIDES)))
    rows, _ = rows_of(path, **CRYPTO)
    assert told(rows) == MINUTES
    assert {row["symbol"] for row in rows} == {"EUR_USD"}


def test_prices_in_two_objects_of_each_row_are_two_prices(tmp_path: Path) -> None:
    path = tmp_path / "candles.json"
    path.write_text(OANDA.format(*(f'"bid":{side},"ask":{side}' for side in SIDES)))
    with pytest.raises(SourceError, match=r"column 'open' is missing .*bid o"):
        rows_of(path, **CRYPTO)
    mapping = {name: (f"bid {name[0]}",) for name in ("open", "high", "low", "close")}
    assert told(rows_of(path, **CRYPTO, columns=mapping)[0]) == MINUTES


FRAME = pd.DataFrame(
    [[187.15, 187.9, 187.1, 187.5, 1000], [187.5, 187.6, 186.9, 187.0, 900]],
    columns=["Open", "High", "Low", "Close", "Volume"],
    index=pd.to_datetime(["2024-01-02 14:30", "2024-01-02 14:31"], utc=True).rename("ts"),
)


@pytest.mark.parametrize("orient", ["columns", "index", "split", "table", "records"])
def test_json_of_pandas(tmp_path: Path, orient: str) -> None:
    path = tmp_path / "SPY.json"
    frame = FRAME.reset_index() if orient == "records" else FRAME
    frame.to_json(path, orient=orient, date_format="iso")  # type: ignore[call-overload]
    rows, _ = rows_of(path, **CRYPTO)
    assert told(rows) == MINUTES
    assert {row["symbol"] for row in rows} == {"SPY"}


def test_what_is_missing_in_further_columns_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "SPY.parquet"
    FRAME.assign(vwap=[None, 187.0], remark=["", None], turnover=[float("nan"), 1.0]).to_parquet(path)
    assert told(rows_of(path, **CRYPTO)[0]) == MINUTES
    as_json = tmp_path / "SPY.json"
    as_json.write_text(FRAME.assign(note=None).reset_index().to_json(orient="records", date_format="iso"))
    assert told(rows_of(as_json, **CRYPTO)[0]) == MINUTES


@pytest.mark.parametrize("name", ["X.csv", "SPY_60.csv"])
def test_as_many_columns_as_an_exchange_has_are_not_its_file(tmp_path: Path, name: str) -> None:
    # 12 columns as Binance's klines, 7 as Kraken's: stamps of both count from 1970
    path = tmp_path / name
    rest = ",9,1,1,1,1,1" if name == "X.csv" else ",9"
    path.write_text(
        "".join(f"2024-01-02 09:3{k}:00,{p},{v}{rest}\n" for k, (p, v) in enumerate([(P1, 1000), (P2, 900)]))
    )
    with pytest.raises(SourceError, match="no exchange is given"):
        rows_of(path, symbol="SPY", timezone="America/New_York")
    assert told(rows_of(path, **NY, symbol="SPY", timeframe="1min")[0]) == MINUTES


def test_the_folder_within_a_zip_is_the_symbol(tmp_path: Path) -> None:
    path = tmp_path / "days.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for symbol in ("AAPL", "MSFT"):
            lines = f"{HEADER}\n2024-01-02 09:30:00,{P1},1000\n2024-01-02 09:31:00,{P2},900\n"
            archive.writestr(f"{symbol}/20240102.csv", lines)
    rows, _ = rows_of(path, **NY)
    assert [row["symbol"] for row in rows] == ["AAPL", "AAPL", "MSFT", "MSFT"]


NOT_READ = {
    "SPY.xlsx": "read_excel",
    "SPY.pkl": "only if you trust it",
    "SPY.h5": "read_hdf",
    "SPY.tar.gz": "unpack it",
    "SPY.7z": "unpack it",
}


@pytest.mark.parametrize(("name", "remedy"), NOT_READ.items())
def test_what_is_not_read_is_named_with_what_to_do(tmp_path: Path, name: str, remedy: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"something")
    with pytest.raises(SourceError, match=remedy):
        rows_of(path, **NYSE)


def test_the_pair_beside_rows_is_their_symbol(tmp_path: Path) -> None:
    # bitstamp.net/api: /api/v2/ohlc/{market_symbol}/
    path = tmp_path / "answer.json"
    row = '{{"close":"{}","high":"{}","low":"{}","open":"{}","timestamp":"{}","volume":"{}"}}'
    one = row.format(187.5, 187.9, 187.1, 187.15, 1704205800, 1000)
    other = row.format(187.0, 187.6, 186.9, 187.5, 1704205860, 900)
    path.write_text(f'{{"data":{{"ohlc":[{one},{other}],"pair":"BTC/USD"}}}}')
    rows, _ = rows_of(path, **CRYPTO)
    assert told(rows) == MINUTES
    assert {row["symbol"] for row in rows} == {"BTC/USD"}


def test_a_turnover_is_not_taken_for_the_volume(tmp_path: Path) -> None:
    # Huobi's market/history/kline: amount is of the first currency of the pair, vol of the second
    path = tmp_path / "btcusdt.json"
    rows = [
        {"id": 1704205800 + 60 * k, "open": 10, "close": 11, "low": 9, "high": 12, "amount": 5 + k,
         "vol": (5 + k) * 10.5, "count": 3}
        for k in range(30)
    ]  # fmt: skip
    path.write_text(json.dumps({"ch": "market.btcusdt.kline.1min", "data": rows}))
    with pytest.raises(SourceError, match="--map 'volume=amount', or --map 'volume=vol'"):
        rows_of(path, **CRYPTO)
    found, _ = rows_of(path, **CRYPTO, columns={"volume": ("amount",)}, symbol="BTCUSDT")
    assert [row["volume"] for row in found[:2]] == [5.0, 6.0]


def test_at_par_nothing_is_asked(tmp_path: Path) -> None:
    # a pair of two dollars: each of its volumes is the other times a price
    path = tmp_path / "USDC_USDT.csv"
    rows = [f"2024-03-{k:02d},1.0001,1.0003,0.9998,1,{100000 * k},{100001 * k}\n" for k in range(1, 29)]
    path.write_text("Date,Open,High,Low,Close,Volume,Quote Volume\n" + "".join(rows))
    found, _ = rows_of(path, **CRYPTO, symbol="USDC/USDT")
    assert [row["volume"] for row in found[:2]] == [100000.0, 200000.0]


def test_a_volume_before_prices_is_no_high(tmp_path: Path) -> None:
    # Gate.io's candlesticks: stamp, volume, close, high, low, open
    path = tmp_path / "BTC_USDT-202401.csv"
    path.write_text("1704205800,1000,187.5,187.9,187.1,187.15\n1704205860,900,187.0,187.6,186.9,187.5\n")
    with pytest.raises(SourceError, match="do not show which columns are"):
        rows_of(path, **CRYPTO)


def test_high_and_low_elsewhere_leave_two_orders(tmp_path: Path) -> None:
    # docs.cdp.coinbase.com, products/{id}/candles: [time, low, high, open, close, volume]
    path = tmp_path / "BTC-USD.json"
    path.write_text("[[1704205860,186.9,187.6,187.5,187.0,900],[1704205800,187.1,187.9,187.15,187.5,1000]]")
    order = "ts,low,high,open,close,volume"
    with pytest.raises(
        SourceError, match=rf"--columns '{order}' or --columns 'ts,low,high,close,open,volume'"
    ):
        rows_of(path, **CRYPTO)
    assert told(rows_of(path, **CRYPTO, header=tuple(order.split(",")))[0]) == MINUTES


def test_what_tells_of_the_files_beside_it_is_left_out_and_named(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for symbol in ("AAPL", "MSFT"):
            lines = f"2024-01-02 09:30:00,{P1},1000\n2024-01-02 09:31:00,{P2},900\n"
            archive.writestr(f"{symbol}.txt", lines)
        archive.writestr("README.txt", "prices of two stocks\n")
    rows, notes = rows_of(path, **NY)
    assert [row["symbol"] for row in rows] == ["AAPL", "AAPL", "MSFT", "MSFT"]
    assert told(rows) == MINUTES * 2
    assert any("left out" in note and "README.txt" in note for note in notes)


REFUSED = {
    "volumes in thousands": (
        f"Date,Open,High,Low,Close,Volume ('000)\n2024-01-02,{P1},1000\n2024-01-03,{P2},900\n",
        r"--map \"volume=Volume \('000\)\"",
    ),
    "volumes in millions": (
        f"Date,Open,High,Low,Close,Volume [m]\n2024-01-02,{P1},1.5\n2024-01-03,{P2},0.9\n",
        "counts thousands or millions",
    ),
    "fixed width": (
        "Date        Open    High    Low     Close   Volume\n"
        "2024-01-02  187.15  187.9   187.1   187.5   1000\n",
        "read_fwf",
    ),
    "times without dates": (
        f"Time,Open,High,Low,Close,Volume\n09:30:00,{P1},1000\n09:31:00,{P2},900\n",
        "no column holds its date",
    ),
    # TradeStation's volumes stand in two columns: neither is the volume, and 0 is wrong
    "parts of a volume": (
        f'"Date","Time","Open","High","Low","Close","Up","Down"\n01/17/2024,0931,{P1},600,400\n',
        r"--map 'volume=Up' or --map 'volume=Down', or --map volume= for none",
    ),
    "days of a spreadsheet": (
        f"{HEADER}\n45293,{P1},1000\n", "--time-format days_1900, as Excel counts days, or days_1904",
    ),
    "symbols side by side": (
        "Date,A_Open,A_High,A_Low,A_Close,A_Volume,B_Open,B_High,B_Low,B_Close,B_Volume\n"
        f"2024-01-02,{P1},1000,{P2},900\n",
        r"of A, B stand side by side: .*--map 'open=A_Open' .*--map 'volume=A_Volume', with --symbol A",
    ),
    # DTN IQFeed's answers: high and low before the open, and no header
    "high before open": (
        "2024-01-02 09:31:00,187.9,187.1,187.15,187.5,5000,1000\n", "--columns ts,open,high,low,close,volume",
    ),
    # docs.bitfinex.com, candles: [MTS, OPEN, CLOSE, HIGH, LOW, VOLUME]
    "high and low behind": (
        "1704205800000,187.15,187.5,187.9,187.1,1000\n1704205860000,187.5,187.0,187.6,186.9,900\n",
        "--columns 'ts,open,close,high,low,volume' or --columns 'ts,close,open,high,low,volume'",
    ),
    # MetaStock's text files: as day, month and year these go to and fro
    "dates of six digits": (
        f"<TICKER>,<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>\nX,240105,{P1},1000\nX,240108,{P2},900\n"
        f"X,240201,{P2},900\n",
        r"--time-format '%y%m%d' or",
    ),
    # an option's expiry is the same for all of its bars
    "a date that is no stamp": (
        f"expires,open,high,low,close,volume\n2024-01-19,{P1},1000\n2024-01-19,{P2},900\n",
        "column 'ts' is missing",
    ),
    # either column may be the one that is meant
    "two columns of stamps": (
        f"first_at,last_at,open,high,low,close,volume\n1704205800,1704205859,{P1},1000\n"
        f"1704205860,1704205919,{P2},900\n",
        "--map ts=",
    ),
    # a turnover goes up and down; it is no count of seconds though its size is one
    "amounts of the size of seconds": (
        f"nr,turned,open,high,low,close,volume\n1,1704205800,{P1},1000\n2,1704205860,{P2},900\n"
        f"3,1704205830,{P2},900\n",
        "column 'ts' is missing",
    ),
    # 12:59 is followed by 1:00 where a clock of 12 hours says no half of the day
    "hours of 12 without their half": (
        f"{HEADER}\n2024-01-02 12:59,{P1},1000\n2024-01-02 01:00,{P2},900\n",
        r"neither AM nor PM: write the file anew",
    ),
    "months": (
        f"{HEADER}\n2024-01-02,{P1},1000\n2024-02-01,{P2},900\n2024-03-01,{P2},900\n",
        "bars begin 29 days apart: weeks and months are no sessions",
    ),
    "a size that may be a volume": (
        f"date,sym,minute,open,high,low,close,size\n2024.01.02,A,09:30,{P1},1000\n", "--map volume=size",
    ),
    # minutes must not become days because their times of day cannot be read
    "times of day that no format reads": (
        f"date,time,open,high,low,close,volume\n20240102,0930,{P1},1000\n20240102,93100,{P2},900\n",
        r"no format reads: give one, as in --map 'ts=date\+time' --time-format",
    ),
    # Polygon's day_aggs of a day: nothing in the file says that its bars are days
    "one bar a symbol at midnight": (
        "ticker,volume,open,close,high,low,window_start,transactions\n"
        "A,1000,187.15,187.5,187.9,187.1,1704171600000000000,50\n"
        "B,900,187.5,187.0,187.6,186.9,1704171600000000000,40\n",
        "give --timeframe 1d or --timeframe 1min",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED)
def test_what_can_be_two_things_names_the_option(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "SPY.csv"
    path.write_text(text)
    with pytest.raises(SourceError, match=words):
        rows_of(path, **NY)


@pytest.mark.parametrize(
    ("time_format", "days", "expected"),
    [
        # Excel: =DATE(2024,1,2) is 45293, and 43831 in a book of 1904
        ("days_1900", ("45293", "45294"), DAYS),
        ("days_1904", ("43831", "43832"), DAYS),
        # 09:30 is 9.5 / 24 of a day, 09:31 is 571 / 1440; a sheet writes ten digits
        ("days_1900", ("45293.3958333333", "45293.3965277778"), MINUTES),
    ],
)
def test_days_of_a_spreadsheet(
    tmp_path: Path, time_format: str, days: tuple[str, str], expected: object
) -> None:
    path = tmp_path / "SPY.csv"
    path.write_text(f"{HEADER}\n{days[0]},{P1},1000\n{days[1]},{P2},900\n")
    assert told(rows_of(path, **NY, time_format=time_format)[0]) == expected


def test_days_of_a_spreadsheet_before_1970(tmp_path: Path) -> None:
    # =DATE(1962,1,2) is 22648
    path = tmp_path / "GOLD.csv"
    path.write_text(f"{HEADER}\n22648,{P1},1000\n22649,{P2},900\n")
    rows, _ = rows_of(path, **CRYPTO, timezone="UTC", time_format="days_1900")
    assert told(rows) == two("1962-01-02 00:00", "1962-01-03 00:00")


def test_days_of_a_spreadsheet_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "SPY.csv"
    path.write_text(f"{HEADER}\n1704205800,{P1},1000\n")
    with pytest.raises(SourceError, match=r"days_1900.*leave it out"):
        rows_of(path, **NY, time_format="days_1900")


def test_one_symbol_of_several_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "panel.csv"
    names = ",".join(f"{symbol}_{role}" for symbol in "AB" for role in ("Open", "High", "Low", "Close"))
    path.write_text(f"Date,{names}\n2024-01-02,{P1},{P2}\n2024-01-03,{P2},{P1}\n")
    columns = {role: (f"B_{role.title()}",) for role in ("open", "high", "low", "close")}
    rows, _ = rows_of(path, **NYSE, symbol="B", columns={**columns, "volume": ()})
    assert [row["open"] for row in rows] == [187.5, 187.15]


DAY_AGGS = (
    "ticker,volume,open,close,high,low,window_start,transactions\nA,1000,187.15,187.5,187.9,187.1,{},5\n"
)


def test_a_day_of_polygon_by_its_folder(tmp_path: Path) -> None:
    # polygon.io/flat-files: us_stocks_sip/day_aggs_v1/2024/01/2024-01-02.csv.gz; midnight in New York
    path = tmp_path / "us_stocks_sip/day_aggs_v1/2024/01/2024-01-02.csv"
    path.parent.mkdir(parents=True)
    path.write_text(DAY_AGGS.format(1704171600000000000))
    rows, _ = rows_of(path)
    assert told(rows) == DAYS[:1]
    assert rows[0]["timeframe"] == "1d"


def test_days_of_one_bar_beside_a_longer_file(tmp_path: Path) -> None:
    for name, stamps in (("a", (1704171600, 1704258000, 1704344400)), ("b", (1704430800,))):
        first, *more = [DAY_AGGS.format(stamp * 10**9) for stamp in stamps]
        (tmp_path / f"{name}.csv").write_text(first + "".join(text.split("\n", 1)[1] for text in more))
    parts, _ = file_parts([tmp_path], IngestSpec())
    rows = [row for part in parts for batch in read_part(part) for row in batch.to_pylist()]
    assert {row["timeframe"] for row in rows} == {"1d"}
    assert len(rows) == 4


def test_the_report_in_a_zip_of_histdata_is_left_out_and_named(tmp_path: Path) -> None:
    path = tmp_path / "HISTDATA_COM_ASCII_EURUSD_M1202407.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("DAT_ASCII_EURUSD_M1_202407.txt", "Gaps found, 12 of them.\nLongest: 61 s\n")
        archive.writestr(
            "DAT_ASCII_EURUSD_M1_202407.csv",
            "20240701 093000;1.1;1.2;1.0;1.1;0\n20240701 093100;1.1;1.2;1.0;1.1;0\n",
        )
    rows, notes = rows_of(path)
    assert [f"{row['symbol']} {row['ts']:%H:%M}" for row in rows] == ["EURUSD 14:30", "EURUSD 14:31"]
    assert any("it is no table" in note and "M1_202407.txt" in note for note in notes)


def test_marks_and_rates_of_freqtrade_are_no_bars_of_trades(tmp_path: Path) -> None:
    for kind in ("futures", "mark", "funding_rate"):
        (tmp_path / f"BTC_USDT_USDT-1h-{kind}.json").write_text(
            "[[1704067200000,42283.5,42298.6,42261.0,42298.6,35.9],[1704070800000,42298.6,42320,42298,42320,21]]"
        )
    rows, notes = rows_of(tmp_path / "*.json")
    assert {row["symbol"] for row in rows} == {"BTC/USDT:USDT"}
    assert len(rows) == 2
    assert any("left out" in note and "mark" in note and "funding_rate" in note for note in notes)


def test_a_volume_that_is_missing_in_some_rows_only_is_not_none(tmp_path: Path) -> None:
    path = tmp_path / "SPY.csv"
    path.write_text(f"{HEADER}\n2024-01-02,{P1},\n2024-01-03,{P2},900\n")
    parts, _ = file_parts([path], IngestSpec(**NYSE))
    rows = [row for part in parts for batch in read_part(part) for row in batch.to_pylist()]
    assert [(row["kind"], row["rule"]) for row in rows] == [("refused", "missing_volume"), ("bar", None)]


def test_volumes_that_begin_behind_the_first_rows_are_not_none(tmp_path: Path) -> None:
    lines = [f"2024-01-{1 + k // 1440:02} {k // 60 % 24:02}:{k % 60:02},1,2,1,2," for k in range(3_500)]
    path = tmp_path / "BTC.csv"
    path.write_text("\n".join([HEADER, *lines, "2024-01-09 00:00,1,2,1,2,7"]) + "\n")
    with pytest.raises(SourceError, match="missing_volume"):
        rows_of(path, exchange="24/7", timezone="UTC")
