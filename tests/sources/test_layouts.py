"""Files as providers document them land right without a mapping; each layout's source stands beside it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from whatif.sources import IngestSpec
from whatif.sources.delivery import file_parts, read_part


class Case(NamedTuple):
    """A file, what the user types beside its name, and its first and last bar."""

    source: str
    name: str
    text: str
    spec: dict[str, object]
    timeframe: str
    symbol: str
    first: tuple[str, float, float, float, float, float]
    last: tuple[str, float, float, float, float, float]


NYSE = {"exchange": "XNYS"}
NY = {"exchange": "XNYS", "timezone": "America/New_York"}
O1, O2 = (187.15, 187.9, 187.1, 187.5), (187.5, 187.6, 186.9, 187.0)
B1, B2 = (42283.58, 42298.62, 42261.02, 42298.61), (42298.62, 42320.0, 42298.61, 42320.0)
E1, E2 = (1.1043, 1.1044, 1.1042, 1.1043), (1.1043, 1.1045, 1.1043, 1.1044)

CASES = {
    "binance milliseconds": Case(
        "github.com/binance/binance-public-data README, klines",
        "BTCUSDT-1m-2024-01.csv",
        "1704067200000,42283.58,42298.62,42261.02,42298.61,35.92,1704067259999,1519032.1,1327,20.1,850000.1,0\n"
        "1704067260000,42298.62,42320.00,42298.61,42320.00,21.16,1704067319999,895540.5,1348,13.9,590000.2,0\n",
        {}, "1min", "BTCUSDT", ("2024-01-01T00:00", *B1, 35.92), ("2024-01-01T00:01", *B2, 21.16),
    ),
    "binance microseconds": Case(
        "the same: SPOT data from 2025-01-01 on is in microseconds",
        "BTCUSDT-5m-2025-01.csv",
        "1735689600000000,93576.00,93610.93,93537.50,93610.93,8.21,1735689899999999,768978.4,2631,3.3,312000,0\n"
        "1735689900000000,93610.93,93652.00,93606.20,93652.00,10.9,1735690199999999,1021711.1,2187,5.5,520000,0\n",
        {}, "5min", "BTCUSDT", ("2025-01-01T00:00", 93576.0, 93610.93, 93537.5, 93610.93, 8.21),
        ("2025-01-01T00:05", 93610.93, 93652.0, 93606.2, 93652.0, 10.9),
    ),
    "binance futures with a header": Case(
        "the same, futures/um klines",
        "ETHUSDT-1h-2024-01-01.csv",
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
        "taker_buy_quote_volume,ignore\n"
        "1704067200000,2281.1,2297.4,2261.9,2295.6,1000,1704070799999,2281100,99,500,1140550,0\n"
        "1704070800000,2295.6,2301.0,2290.0,2297.4,900,1704074399999,2066000,88,450,1033000,0\n",
        {}, "1h", "ETHUSDT", ("2024-01-01T00:00", 2281.1, 2297.4, 2261.9, 2295.6, 1000),
        ("2024-01-01T01:00", 2295.6, 2301.0, 2290.0, 2297.4, 900),
    ),
    "yahoo daily": Case(
        "finance.yahoo.com, Historical Data, Download",
        "AAPL.csv",
        "Date,Open,High,Low,Close,Adj Close,Volume\n"
        "2024-01-02,187.149994,188.440002,183.889999,185.639999,184.938217,82488700\n"
        "2024-01-03,184.220001,185.880005,183.429993,184.250000,183.553467,58414500\n",
        NYSE, "1d", "AAPL", ("2024-01-02T14:30", 187.149994, 188.440002, 183.889999, 185.639999, 82488700),
        ("2024-01-03T14:30", 184.220001, 185.880005, 183.429993, 184.25, 58414500),
    ),
    "yfinance several headers": Case(
        "yfinance: yf.download('AAPL').to_csv(...), columns of two levels",
        "prices.csv",
        "Price,Close,High,Low,Open,Volume\nTicker,AAPL,AAPL,AAPL,AAPL,AAPL\nDate,,,,,\n"
        "2024-01-02,187.5,187.9,187.1,187.15,82488700\n2024-01-03,187.0,187.6,186.9,187.5,58414500\n",
        NYSE, "1d", "AAPL", ("2024-01-02T14:30", *O1, 82488700), ("2024-01-03T14:30", *O2, 58414500),
    ),
    "yfinance minutes": Case(
        "yfinance: Ticker.history(interval='1m').to_csv(...)",
        "MSFT.csv",
        "Datetime,Open,High,Low,Close,Volume,Dividends,Stock Splits\n"
        "2024-01-02 09:30:00-05:00,187.15,187.9,187.1,187.5,1000,0.0,0.0\n"
        "2024-01-02 09:31:00-05:00,187.5,187.6,186.9,187.0,900,0.0,0.0\n",
        NYSE, "1min", "MSFT", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:31", *O2, 900),
    ),
    "pandas index": Case(
        "pandas.DataFrame.to_csv with an index without a name",
        "GOOG.csv",
        ",Open,High,Low,Close,Volume\n2004-08-19,100,104.06,95.96,100.34,22351900\n"
        "2004-08-20,101.01,109.08,100.5,108.31,11428600\n",
        NYSE, "1d", "GOOG", ("2004-08-19T13:30", 100, 104.06, 95.96, 100.34, 22351900),
        ("2004-08-20T13:30", 101.01, 109.08, 100.5, 108.31, 11428600),
    ),
    "stooq daily": Case(
        "stooq.com, d_us_txt bulk files",
        "aapl.us.txt",
        "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
        "AAPL.US,D,20240102,000000,187.15,187.9,187.1,187.5,82488700,0\n"
        "AAPL.US,D,20240103,000000,187.5,187.6,186.9,187.0,58414500,0\n",
        NYSE, "1d", "AAPL.US", ("2024-01-02T14:30", *O1, 82488700), ("2024-01-03T14:30", *O2, 58414500),
    ),
    "stooq minutes": Case(
        "stooq.com, 5_us_txt bulk files; its times are of Warsaw",
        "ibm.us.txt",
        "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
        "IBM.US,5,20240102,153000,187.15,187.9,187.1,187.5,1000,0\n"
        "IBM.US,5,20240102,153500,187.5,187.6,186.9,187.0,900,0\n",
        {"exchange": "XNYS", "timezone": "Europe/Warsaw"}, "5min", "IBM.US",
        ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:35", *O2, 900),
    ),
    "stooq in Polish": Case(
        "stooq.pl, dane historyczne",
        "CDR.csv",
        "Data,Otwarcie,Najwyzszy,Najnizszy,Zamkniecie,Wolumen\n"
        "2024-01-02,187.15,187.9,187.1,187.5,1000\n2024-01-03,187.5,187.6,186.9,187.0,900\n",
        {"exchange": "XWAR"}, "1d", "CDR", ("2024-01-02T08:00", *O1, 1000), ("2024-01-03T08:00", *O2, 900),
    ),
    "histdata ascii": Case(
        "histdata.com/f-a-q/data-files-detailed-specification: EST without daylight saving",
        "DAT_ASCII_EURUSD_M1_202407.csv",
        "20240701 093000;1.104300;1.104400;1.104200;1.104300;0\n"
        "20240701 093100;1.104300;1.104500;1.104300;1.104400;0\n",
        {}, "1min", "EURUSD", ("2024-07-01T14:30", *E1, 0), ("2024-07-01T14:31", *E2, 0),
    ),
    "histdata metatrader, on a Sunday": Case(
        "the same; FX trades from Sunday 17:00 in New York on",
        "DAT_MT_EURUSD_M1_2024.csv",
        "2024.01.07,17:05,1.104300,1.104400,1.104200,1.104300,0\n"
        "2024.01.07,17:06,1.104300,1.104500,1.104300,1.104400,0\n",
        {}, "1min", "EURUSD", ("2024-01-07T22:05", *E1, 0), ("2024-01-07T22:06", *E2, 0),
    ),
    "dukascopy": Case(
        "dukascopy.com, Historical Data Feed widget, CSV",
        "EURUSD_Candlestick_1_M_BID_02.01.2024-02.01.2024.csv",
        "Gmt time,Open,High,Low,Close,Volume\n"
        "02.01.2024 00:00:00.000,1.10430,1.10440,1.10420,1.10430,32.4\n"
        "02.01.2024 00:01:00.000,1.10430,1.10450,1.10430,1.10440,15.1\n",
        {}, "1min", "EURUSD", ("2024-01-02T00:00", *E1, 32.4), ("2024-01-02T00:01", *E2, 15.1),
    ),
    "dukascopy local time": Case(
        "the same, local time with its offset",
        "EURUSD_Candlestick_1_Hour_BID_02.01.2024-02.01.2024.csv",
        "Local time,Open,High,Low,Close,Volume\n"
        "02.01.2024 01:00:00.000 GMT+0100,1.10430,1.10440,1.10420,1.10430,32.4\n"
        "02.01.2024 02:00:00.000 GMT+0100,1.10430,1.10450,1.10430,1.10440,15.1\n",
        {}, "1h", "EURUSD", ("2024-01-02T00:00", *E1, 32.4), ("2024-01-02T01:00", *E2, 15.1),
    ),
    "dukascopy-node": Case(
        "dukascopy-node.app: csv, timestamps of milliseconds",
        "eurusd-m1-bid-2024-01-02-2024-01-03.csv",
        "timestamp,open,high,low,close,volume\n"
        "1704153600000,1.1043,1.1044,1.1042,1.1043,32.4\n1704153660000,1.1043,1.1045,1.1043,1.1044,15.1\n",
        {}, "1min", "EURUSD", ("2024-01-02T00:00", *E1, 32.4), ("2024-01-02T00:01", *E2, 15.1),
    ),
    "metatrader 5": Case(
        "metatrader5.com, Symbols > Bars > Export Bars; the server's clock is New York's plus 7 hours",
        "EURUSD_M1_202403180000_202403182359.csv",
        "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
        "2024.03.18\t00:01:00\t1.10430\t1.10440\t1.10420\t1.10430\t31\t0\t2\n"
        "2024.03.18\t00:02:00\t1.10430\t1.10450\t1.10430\t1.10440\t20\t0\t5\n",
        {"timezone": "America/New_York", "shift": "7h"}, "1min", "EURUSD",
        ("2024-03-17T21:01", *E1, 31), ("2024-03-17T21:02", *E2, 20),
    ),
    "metatrader 4": Case(
        "MetaTrader 4, History Center, Export",
        "EURUSD60.csv",
        "2024.03.18,01:00,1.10430,1.10440,1.10420,1.10430,310\n"
        "2024.03.18,02:00,1.10430,1.10450,1.10430,1.10440,200\n",
        {"timezone": "UTC"}, "1h", "EURUSD", ("2024-03-18T01:00", *E1, 310), ("2024-03-18T02:00", *E2, 200),
    ),
    "tradingview unix seconds": Case(
        "tradingview.com, Export chart data",
        "BATS_SPY, 5.csv",
        "time,open,high,low,close,Volume\n1704205800,187.15,187.9,187.1,187.5,1000\n"
        "1704206100,187.5,187.6,186.9,187.0,900\n",
        NYSE, "5min", "SPY", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:35", *O2, 900),
    ),
    "tradingview iso, without volume": Case(
        "the same, ISO time",
        "FX_EURUSD, 60.csv",
        "time,open,high,low,close\n2024-01-02T01:00:00+01:00,1.1043,1.1044,1.1042,1.1043\n"
        "2024-01-02T02:00:00+01:00,1.1043,1.1045,1.1043,1.1044\n",
        {"exchange": "FX"}, "1h", "EURUSD", ("2024-01-02T00:00", *E1, 0), ("2024-01-02T01:00", *E2, 0),
    ),
    "interactive brokers": Case(
        "interactivebrokers.github.io/tws-api/historical_bars: yyyyMMdd{space}{space}HH:mm:ss",
        "AAPL.csv",
        "date,open,high,low,close,volume,average,barCount\n"
        "20240102  09:30:00,187.15,187.9,187.1,187.5,1000,187.4,50\n"
        "20240102  09:31:00,187.5,187.6,186.9,187.0,900,187.2,40\n",
        NY, "1min", "AAPL", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:31", *O2, 900),
    ),
    "interactive brokers with a zone": Case(
        "the same, TWS 10.17 and later",
        "AAPL.csv",
        "date,open,high,low,close,volume,average,barCount\n"
        "20240102 09:30:00 US/Eastern,187.15,187.9,187.1,187.5,1000,187.4,50\n"
        "20240102 09:31:00 US/Eastern,187.5,187.6,186.9,187.0,900,187.2,40\n",
        NYSE, "1min", "AAPL", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:31", *O2, 900),
    ),
    "ninjatrader": Case(
        "ninjatrader.com/support/helpGuides/nt8 'Importing': exports are UTC, stamps the end of bars",
        "SPY.Last.txt",
        "20240102 143100;187.15;187.9;187.1;187.5;1000\n20240102 143200;187.5;187.6;186.9;187.0;900\n",
        NYSE, "1min", "SPY", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:31", *O2, 900),
    ),
    "polygon flat files": Case(
        "polygon.io/flat-files/stocks-minute-aggs",
        "2024-01-02.csv",
        "ticker,volume,open,close,high,low,window_start,transactions\n"
        "AAPL,1000,187.15,187.5,187.9,187.1,1704205800000000000,50\n"
        "AAPL,900,187.5,187.0,187.6,186.9,1704205860000000000,40\n",
        {}, "1min", "AAPL", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:31", *O2, 900),
    ),
    "alpaca": Case(
        "docs.alpaca.markets, StockHistoricalDataClient.get_stock_bars(...).df.to_csv(...)",
        "bars.csv",
        "symbol,timestamp,open,high,low,close,volume,trade_count,vwap\n"
        "AAPL,2024-01-02 14:30:00+00:00,187.15,187.9,187.1,187.5,1000.0,50.0,187.4\n"
        "AAPL,2024-01-02 14:31:00+00:00,187.5,187.6,186.9,187.0,900.0,40.0,187.2\n",
        NYSE, "1min", "AAPL", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:31", *O2, 900),
    ),
    "firstrate": Case(
        "firstratedata.com/about/FAQ: no header, US Eastern, start of the bar",
        "AAPL_full_5min_adjsplit.txt",
        "2024-01-02 09:30:00,187.15,187.9,187.1,187.5,1000\n2024-01-02 09:35:00,187.5,187.6,186.9,187.0,900\n",  # noqa: E501
        NYSE, "5min", "AAPL", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:35", *O2, 900),
    ),
    "kibot": Case(
        "kibot.com/support.aspx: mm/dd/yyyy, Eastern time, no header",
        "IBM.txt",
        "03/04/2024,09:30,187.15,187.9,187.1,187.5,1000\n03/04/2024,09:31,187.5,187.6,186.9,187.0,900\n",
        {**NYSE, "layout": "kibot"}, "1min", "IBM",
        ("2024-03-04T14:30", *O1, 1000), ("2024-03-04T14:31", *O2, 900),
    ),
    "eodhd": Case(
        "eodhd.com, Intraday Historical Data API, fmt=csv",
        "AAPL.csv",
        "Timestamp,Gmtoffset,Datetime,Open,High,Low,Close,Volume\n"
        "1704205800,0,2024-01-02 14:30:00,187.15,187.9,187.1,187.5,1000\n"
        "1704206100,0,2024-01-02 14:35:00,187.5,187.6,186.9,187.0,900\n",
        NYSE, "5min", "AAPL", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:35", *O2, 900),
    ),
    "alpha vantage, newest first": Case(
        "alphavantage.co/documentation TIME_SERIES_INTRADAY, datatype=csv: US Eastern",
        "intraday_5min_IBM.csv",
        "timestamp,open,high,low,close,volume\r\n2024-01-02 09:35:00,187.5,187.6,186.9,187.0,900\r\n"
        "2024-01-02 09:30:00,187.15,187.9,187.1,187.5,1000\r\n",
        {}, "5min", "IBM", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:35", *O2, 900),
    ),
    "cryptodatadownload": Case(
        "cryptodatadownload.com/data: a line with the address, unix, UTC, newest first",
        "Binance_BTCUSDT_1h.csv",
        "https://www.CryptoDataDownload.com\n"
        "unix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount\n"
        "1704070800000,2024-01-01 01:00:00,BTCUSDT,42298.62,42320.00,42298.61,42320.00,21.16,895540.5,1348\n"
        "1704067200000,2024-01-01 00:00:00,BTCUSDT,42283.58,42298.62,42261.02,42298.61,35.92,1519032.1,1327\n",  # noqa: E501
        {}, "1h", "BTCUSDT", ("2024-01-01T00:00", *B1, 35.92), ("2024-01-01T01:00", *B2, 21.16),
    ),
    "investing.com": Case(
        "investing.com, Historical Data, Download",
        "AAPL Historical Data.csv",
        '\ufeff"Date","Price","Open","High","Low","Vol.","Change %"\n'
        '"01/31/2024","1,187.00","1,187.50","1,187.60","1,186.90","58.41M","-0.27%"\n'
        '"01/30/2024","1,187.50","1,187.15","1,187.90","1,187.10","1.2K","-1.92%"\n',
        NYSE, "1d", "AAPL", ("2024-01-30T14:30", 1187.15, 1187.9, 1187.1, 1187.5, 1200),
        ("2024-01-31T14:30", 1187.5, 1187.6, 1186.9, 1187.0, 58410000),
    ),
    "nasdaq": Case(
        "nasdaq.com, Historical Quotes, Download: MM/DD/YYYY, dollars",
        "HistoricalData_1709500000000.csv",
        "Date,Close/Last,Volume,Open,High,Low\n"
        "03/05/2024,$187.00,900,$187.50,$187.60,$186.90\n03/04/2024,$187.50,1000,$187.15,$187.90,$187.10\n",
        {"symbol": "AAPL"}, "1d", "AAPL", ("2024-03-04T14:30", *O1, 1000), ("2024-03-05T14:30", *O2, 900),
    ),
    "kdb timespans": Case(
        "code.kx.com: `:f.csv 0: csv 0: t, dates with dots, times as timespans",
        "trade.csv",
        "date,sym,time,open,high,low,close,volume\n"
        "2024.01.02,AAPL,0D14:30:00.000000000,187.15,187.9,187.1,187.5,1000\n"
        "2024.01.02,AAPL,0D14:31:00.000000000,187.5,187.6,186.9,187,900\n",
        {**NYSE, "timezone": "UTC"}, "1min", "AAPL",
        ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:31", *O2, 900),
    ),
    "kdb timestamps": Case(
        "the same, a column of timestamps",
        "bars.csv",
        "sym,ts,open,high,low,close,volume\n"
        "AAPL,2024.01.02D14:30:00.000000000,187.15,187.9,187.1,187.5,1000\n"
        "AAPL,2024.01.02D14:31:00.000000000,187.5,187.6,186.9,187,900\n",
        {**NYSE, "timezone": "UTC"}, "1min", "AAPL",
        ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:31", *O2, 900),
    ),
    "databento raw": Case(
        "databento.com/docs/schemas-and-data-formats/ohlcv: ns, prices in 1e-9, rtype 33 is a minute",
        "xnas-itch-20240102.ohlcv-1m.csv",
        "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol\n"
        "1704205800000000000,33,2,38,187150000000,187900000000,187100000000,187500000000,1000,AAPL\n"
        "1704205860000000000,33,2,38,187500000000,187600000000,186900000000,187000000000,900,AAPL\n",
        NYSE, "1min", "AAPL", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:31", *O2, 900),
    ),
    "databento pretty": Case(
        "the same, pretty_px and pretty_ts",
        "xnas-itch-20240102.ohlcv-1h.csv",
        "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol\n"
        "2024-01-02T15:00:00.000000000Z,34,2,38,187.150000000,187.900000000,187.100000000,187.500000000,10,AAPL\n"
        "2024-01-02T16:00:00.000000000Z,34,2,38,187.500000000,187.600000000,186.900000000,187.000000000,9,AAPL\n",
        NYSE, "1h", "AAPL", ("2024-01-02T15:00", *O1, 10), ("2024-01-02T16:00", *O2, 9),
    ),
    "ccxt json": Case(
        "docs.ccxt.com, fetchOHLCV: [timestamp, open, high, low, close, volume]",
        "BTCUSDT.json",
        "[[1704067200000,42283.58,42298.62,42261.02,42298.61,35.92],"
        "[1704067260000,42298.62,42320.00,42298.61,42320.00,21.16]]",
        {"exchange": "24/7"}, "1min", "BTCUSDT", ("2024-01-01T00:00", *B1, 35.92),
        ("2024-01-01T00:01", *B2, 21.16),
    ),
    "ccxt csv": Case(
        "the same, rows written by csv.writer",
        "BTCUSDT_1m.csv",
        "1704067200000,42283.58,42298.62,42261.02,42298.61,35.92\n"
        "1704067260000,42298.62,42320.0,42298.61,42320.0,21.16\n",
        {"exchange": "24/7"}, "1min", "BTCUSDT", ("2024-01-01T00:00", *B1, 35.92),
        ("2024-01-01T00:01", *B2, 21.16),
    ),
    "alpha vantage json": Case(
        "alphavantage.co/documentation TIME_SERIES_INTRADAY, JSON",
        "answer.json",
        '{"Meta Data": {"1. Information": "Intraday", "2. Symbol": "IBM", "6. Time Zone": "US/Eastern"},'
        '"Time Series (5min)": {"2024-01-02 09:35:00": {"1. open": "187.5", "2. high": "187.6", '
        '"3. low": "186.9", "4. close": "187.0", "5. volume": "900"}, "2024-01-02 09:30:00": '
        '{"1. open": "187.15", "2. high": "187.9", "3. low": "187.1", "4. close": "187.5", "5. volume": "1000"}}}',  # noqa: E501
        NY, "5min", "IBM", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:35", *O2, 900),
    ),
    "polygon aggregates json": Case(
        "polygon.io/docs/stocks aggregates: v, vw, o, c, h, l, t of milliseconds, n",
        "answer.json",
        '{"ticker":"AAPL","queryCount":2,"results":[{"v":1000,"vw":187.4,"o":187.15,"c":187.5,"h":187.9,'
        '"l":187.1,"t":1704205800000,"n":50},{"v":900,"vw":187.2,"o":187.5,"c":187.0,"h":187.6,"l":186.9,'
        '"t":1704205860000,"n":40}]}',
        NYSE, "1min", "AAPL", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:31", *O2, 900),
    ),
    "finnhub json": Case(
        "finnhub.io/docs/api/stock-candles: columns as lists, t of seconds",
        "AAPL.json",
        '{"c":[187.5,187.0],"h":[187.9,187.6],"l":[187.1,186.9],"o":[187.15,187.5],"s":"ok",'
        '"t":[1704205800,1704205860],"v":[1000,900]}',
        NYSE, "1min", "AAPL", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:31", *O2, 900),
    ),
    "kraken": Case(
        "support.kraken.com, downloadable OHLCVT data: unix, OHLC, volume, trades; interval in the name",
        "XBTUSD_60.csv",
        "1704067200,42283.58,42298.62,42261.02,42298.61,35.92,1327\n"
        "1704070800,42298.62,42320.0,42298.61,42320.0,21.16,1348\n",
        {}, "1h", "XBTUSD", ("2024-01-01T00:00", *B1, 35.92), ("2024-01-01T01:00", *B2, 21.16),
    ),
    "coinapi": Case(
        "docs.coinapi.io, flat files OHLCV: semicolons",
        "BTCUSD.csv",
        "time_period_start;time_period_end;time_open;time_close;price_open;price_high;price_low;price_close;"
        "volume_traded;trades_count\n"
        "2024-01-01T00:00:00.0000000Z;2024-01-01T00:01:00.0000000Z;2024-01-01T00:00:01.0000000Z;"
        "2024-01-01T00:00:59.0000000Z;42283.58;42298.62;42261.02;42298.61;35.92;10\n"
        "2024-01-01T00:01:00.0000000Z;2024-01-01T00:02:00.0000000Z;2024-01-01T00:01:01.0000000Z;"
        "2024-01-01T00:01:59.0000000Z;42298.62;42320.00;42298.61;42320.00;21.16;11\n",
        {}, "1min", "BTCUSD", ("2024-01-01T00:00", *B1, 35.92), ("2024-01-01T00:01", *B2, 21.16),
    ),
    "twelve data": Case(
        "twelvedata.com/docs time_series, format=CSV, delimiter ;",
        "AAPL.csv",
        "datetime;open;high;low;close;volume\n2024-01-02 09:31:00;187.5;187.6;186.9;187.0;900\n"
        "2024-01-02 09:30:00;187.15;187.9;187.1;187.5;1000\n",
        NY, "1min", "AAPL", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:31", *O2, 900),
    ),
    "barchart": Case(
        "barchart.com, Historical Data, Download: Latest for the close, a line of text at the end",
        "aapl_daily.csv",
        "Time,Open,High,Low,Latest,Change,%Change,Volume\n"
        "01/31/2024,187.5,187.6,186.9,187.0,-0.5,-0.27%,900\n01/30/2024,187.15,187.9,187.1,187.5,1,0.5%,1000\n"
        '"Downloaded from Barchart.com as of 02-01-2024 05:00am CST"\n',
        {**NYSE, "symbol": "AAPL"}, "1d", "AAPL", ("2024-01-30T14:30", *O1, 1000),
        ("2024-01-31T14:30", *O2, 900),
    ),
    "sierra chart": Case(
        "sierrachart.com, Export Bar Data to Text File",
        "ESH24.txt",
        "Date, Time, Open, High, Low, Last, Volume, NumberOfTrades, BidVolume, AskVolume\n"
        "2024/1/2, 14:30:00, 187.15, 187.90, 187.10, 187.50, 1000, 50, 400, 600\n"
        "2024/1/2, 14:31:00, 187.50, 187.60, 186.90, 187.00, 900, 40, 500, 400\n",
        {"exchange": "CMES", "timezone": "UTC"}, "1min", "ESH24",
        ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:31", *O2, 900),
    ),
    "german bank": Case(
        "ariva.de and onvista.de: semicolons, comma for decimals, dots between thousands",
        "DAX.csv",
        "Datum;Eröffnung;Hoch;Tief;Schlusskurs;Stücke;Volumen\n"
        "30.01.2024;16.751,64;16.963,50;16.751,10;16.960,00;1.234;20.000.000\n"
        "31.01.2024;16.960,00;16.970,00;16.900,00;16.903,76;1.500;25.000.000\n",
        {"exchange": "XETR", "columns": {"volume": ("Stücke",)}}, "1d", "DAX",
        ("2024-01-30T08:00", 16751.64, 16963.5, 16751.1, 16960.0, 1234),
        ("2024-01-31T08:00", 16960.0, 16970.0, 16900.0, 16903.76, 1500),
    ),
    "tushare": Case(
        "tushare.pro/document daily: ts_code, trade_date of eight digits",
        "daily.csv",
        "ts_code,trade_date,open,high,low,close,pre_close,change,pct_chg,vol,amount\n"
        "600519.SH,20240103,187.5,187.6,186.9,187.0,187.5,-0.5,-0.27,900,168300\n"
        "600519.SH,20240102,187.15,187.9,187.1,187.5,187.0,0.5,0.27,1000,187500\n",
        {"exchange": "XSHG"}, "1d", "600519.SH", ("2024-01-02T01:30", *O1, 1000), ("2024-01-03T01:30", *O2, 900),  # noqa: E501
    ),
    "kaggle bitstamp": Case(
        "kaggle.com/mczielinski/bitcoin-historical-data: unix seconds, two volumes with their units",
        "BTCUSD_bitstamp.csv",
        "Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency),Weighted_Price\n"
        "1704067200,42283.58,42298.62,42261.02,42298.61,35.92,1519032.1,42290.0\n"
        "1704067260,42298.62,42320.00,42298.61,42320.00,21.16,895540.5,42310.0\n",
        {"exchange": "24/7", "symbol": "BTCUSD"}, "1min", "BTCUSD", ("2024-01-01T00:00", *B1, 35.92),
        ("2024-01-01T00:01", *B2, 21.16),
    ),
    "coinbase": Case(
        "docs.cdp.coinbase.com, product candles: time, low, high, open, close, volume",
        "BTC-USD.csv",
        "time,low,high,open,close,volume\n1704067260,42298.61,42320.00,42298.62,42320.00,21.16\n"
        "1704067200,42261.02,42298.62,42283.58,42298.61,35.92\n",
        {"exchange": "24/7"}, "1min", "BTC-USD", ("2024-01-01T00:00", *B1, 35.92),
        ("2024-01-01T00:01", *B2, 21.16),
    ),
    "binance coin futures": Case(
        "github.com/binance/binance-public-data README, futures/cm klines: volumes are contracts",
        "BTCUSD_PERP-1m-2024-01.csv",
        "open_time,open,high,low,close,volume,close_time,base_asset_volume,count,taker_buy_volume,"
        "taker_buy_base_asset_volume,ignore\n"
        "1704067200000,42283.58,42298.62,42261.02,42298.61,359,1704067259999,0.85,13,201,0.42,0\n"
        "1704067260000,42298.62,42320.00,42298.61,42320.00,211,1704067319999,0.5,13,139,0.3,0\n",
        {}, "1min", "BTCUSD_PERP", ("2024-01-01T00:00", *B1, 359), ("2024-01-01T00:01", *B2, 211),
    ),
    "yahoo's page, copied": Case(
        "finance.yahoo.com, the table of Historical Data: notes behind names, newest first",
        "AAPL.csv",
        "Date,Open,High,Low,Close*,Adj Close**,Volume\n"
        '"Jan 17, 2024",187.50,187.60,186.90,187.00,186.10,"58,414,500"\n'
        '"Jan 16, 2024",187.15,187.90,187.10,187.50,186.60,"82,488,700"\n',
        NYSE, "1d", "AAPL", ("2024-01-16T14:30", *O1, 82488700), ("2024-01-17T14:30", *O2, 58414500),
    ),
    "yahoo chart json": Case(
        "query1.finance.yahoo.com/v8/finance/chart: stamps beside the quotes, the symbol in meta",
        "answer.json",
        '{"chart":{"result":[{"meta":{"symbol":"AAPL","validRanges":["1d","5d"]},'
        '"timestamp":[1704205800,1704205860],"indicators":{"quote":[{"open":[187.15,187.5],'
        '"high":[187.9,187.6],"low":[187.1,186.9],"close":[187.5,187.0],"volume":[1000,900]}]}}],'
        '"error":null}}',
        NYSE, "1min", "AAPL", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:31", *O2, 900),
    ),
    "cryptodatadownload, hours of the half day": Case(
        "cryptodatadownload.com/data, files of before 2020: 2019-12-31 11-PM",
        "Coinbase_BTCUSD_1h.csv",
        "https://www.CryptoDataDownload.com\nDate,Symbol,Open,High,Low,Close,Volume BTC,Volume USD\n"
        "2024-01-01 12-PM,BTCUSD,42298.62,42320.00,42298.61,42320.00,21.16,895540.5\n"
        "2024-01-01 11-AM,BTCUSD,42283.58,42298.62,42261.02,42298.61,35.92,1519032.1\n",
        {}, "1h", "BTCUSD", ("2024-01-01T11:00", *B1, 35.92), ("2024-01-01T12:00", *B2, 21.16),
    ),
    "investing.com in German": Case(
        "de.investing.com, Historische Daten: points between thousands, commas in K and M too",
        "Apple Aktie Historische Daten.csv",
        '\ufeff"Datum","Zuletzt","Eröffn.","Hoch","Tief","Vol.","+/- %"\n'
        '"31.01.2024","1.187,00","1.187,50","1.187,60","1.186,90","58,41M","-0,27%"\n'
        '"30.01.2024","1.187,50","1.187,15","1.187,90","1.187,10","1,20K","-1,92%"\n',
        {**NYSE, "symbol": "AAPL"}, "1d", "AAPL", ("2024-01-30T14:30", 1187.15, 1187.9, 1187.1, 1187.5, 1200),
        ("2024-01-31T14:30", 1187.5, 1187.6, 1186.9, 1187.0, 58410000),
    ),
    "investing.com, an index": Case(
        "investing.com, S&P 500 Historical Data: the column of volumes is empty",
        "S&P 500 Historical Data.csv",
        '\ufeff"Date","Price","Open","High","Low","Vol.","Change %"\n'
        '"01/31/2024","1,187.00","1,187.50","1,187.60","1,186.90","","-0.27%"\n'
        '"01/30/2024","1,187.50","1,187.15","1,187.90","1,187.10","","-1.92%"\n',
        {**NYSE, "symbol": "SPX"}, "1d", "SPX", ("2024-01-30T14:30", 1187.15, 1187.9, 1187.1, 1187.5, 0),
        ("2024-01-31T14:30", 1187.5, 1187.6, 1186.9, 1187.0, 0),
    ),
    "nasdaq, an index": Case(
        "nasdaq.com, Historical Quotes of COMP: two dashes for no volume",
        "HistoricalData_1709500000000.csv",
        "Date,Close/Last,Volume,Open,High,Low\n"
        "03/05/2024,187.00,--,187.50,187.60,186.90\n03/04/2024,187.50,--,187.15,187.90,187.10\n",
        {"symbol": "COMP"}, "1d", "COMP", ("2024-03-04T14:30", *O1, 0), ("2024-03-05T14:30", *O2, 0),
    ),
    "interactive brokers, midpoints": Case(
        "interactivebrokers.github.io/tws-api/historical_bars, whatToShow=MIDPOINT: volumes are -1",
        "EURUSD.csv",
        "date,open,high,low,close,volume,average,barCount\n"
        "2024-01-02 00:00:00+00:00,1.1043,1.1044,1.1042,1.1043,-1.0,-1.0,-1\n"
        "2024-01-02 00:01:00+00:00,1.1043,1.1045,1.1043,1.1044,-1.0,-1.0,-1\n",
        {"exchange": "FX"}, "1min", "EURUSD", ("2024-01-02T00:00", *E1, 0), ("2024-01-02T00:01", *E2, 0),
    ),
    "freqtrade json": Case(
        "freqtrade.io, data-download, --data-format-ohlcv json: lists without names",
        "BTC_USDT-1m.json",
        "[[1704067200000,42283.58,42298.62,42261.02,42298.61,35.92],"
        "[1704067260000,42298.62,42320.0,42298.61,42320.0,21.16]]",
        {}, "1min", "BTC/USDT", ("2024-01-01T00:00", *B1, 35.92), ("2024-01-01T00:01", *B2, 21.16),
    ),
    "freqtrade futures": Case(
        "the same, trading-mode futures: BTC/USDT:USDT is BTC_USDT_USDT",
        "BTC_USDT_USDT-1m-futures.json",
        "[[1704067200000,42283.58,42298.62,42261.02,42298.61,35.92],"
        "[1704067260000,42298.62,42320.0,42298.61,42320.0,21.16]]",
        {}, "1min", "BTC/USDT:USDT", ("2024-01-01T00:00", *B1, 35.92), ("2024-01-01T00:01", *B2, 21.16),
    ),
    "bloomberg": Case(
        "Bloomberg's BDH in a sheet: the security above, fields as it names them",
        "AAPL US Equity.csv",
        "AAPL US Equity,,,,,\nDate,PX_OPEN,PX_HIGH,PX_LOW,PX_LAST,PX_VOLUME\n"
        "1/30/2024,187.15,187.9,187.1,187.5,1000\n1/31/2024,187.5,187.6,186.9,187.0,900\n",
        {**NYSE, "symbol": "AAPL"}, "1d", "AAPL", ("2024-01-30T14:30", *O1, 1000), ("2024-01-31T14:30", *O2, 900),  # noqa: E501
    ),
    "refinitiv tick history": Case(
        "LSEG Tick History, Intraday Summaries: #RIC, Date-Time in UTC",
        "report.csv",
        "#RIC,Domain,Date-Time,GMT Offset,Type,Open,High,Low,Last,Volume,No. Trades\n"
        "AAPL.O,Market Price,2024-01-02T14:30:00.000000000Z,-5,Intraday 1Min,187.15,187.9,187.1,187.5,1000,50\n"  # noqa: E501
        "AAPL.O,Market Price,2024-01-02T14:31:00.000000000Z,-5,Intraday 1Min,187.5,187.6,186.9,187,900,40\n",
        NYSE, "1min", "AAPL.O", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:31", *O2, 900),
    ),
    "refinitiv data library": Case(
        "developers.lseg.com, rd.get_history(...).to_csv(...): TRDPRC_1 is the last trade",
        "AAPL.O.csv",
        "Date,TRDPRC_1,HIGH_1,LOW_1,OPEN_PRC,ACVOL_UNS\n"
        "2024-01-02,187.5,187.9,187.1,187.15,1000\n2024-01-03,187.0,187.6,186.9,187.5,900\n",
        NYSE, "1d", "AAPL.O", ("2024-01-02T14:30", *O1, 1000), ("2024-01-03T14:30", *O2, 900),
    ),
    "quantmod": Case(
        "quantmod: write.zoo(AAPL, sep = ','), columns named after their symbol",
        "prices.csv",
        '"Index","AAPL.Open","AAPL.High","AAPL.Low","AAPL.Close","AAPL.Volume","AAPL.Adjusted"\n'
        "2024-01-02,187.15,187.9,187.1,187.5,1000,186.1\n2024-01-03,187.5,187.6,186.9,187.0,900,185.6\n",
        NYSE, "1d", "AAPL", ("2024-01-02T14:30", *O1, 1000), ("2024-01-03T14:30", *O2, 900),
    ),
    "sas dates": Case(
        "documentation.sas.com, DATE9.: as WRDS writes them if asked to",
        "AAPL.csv",
        "date,open,high,low,close,volume\n02JAN2024,187.15,187.9,187.1,187.5,1000\n"
        "03JAN2024,187.5,187.6,186.9,187.0,900\n",
        NYSE, "1d", "AAPL", ("2024-01-02T14:30", *O1, 1000), ("2024-01-03T14:30", *O2, 900),
    ),
    "sas times": Case(
        "the same, DATETIME18.",
        "AAPL.csv",
        "datetime,open,high,low,close,volume\n02JAN2024:09:30:00,187.15,187.9,187.1,187.5,1000\n"
        "02JAN2024:09:31:00,187.5,187.6,186.9,187.0,900\n",
        NY, "1min", "AAPL", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:31", *O2, 900),
    ),
    "kdb minutes": Case(
        "code.kx.com: select … by date, sym, 1 xbar time.minute",
        "bars.csv",
        "date,sym,minute,open,high,low,close,volume\n"
        "2024.01.02,AAPL,14:30,187.15,187.9,187.1,187.5,1000\n2024.01.02,AAPL,14:31,187.5,187.6,186.9,187,900\n",
        {**NYSE, "timezone": "UTC"}, "1min", "AAPL",
        ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:31", *O2, 900),
    ),
    "databento json": Case(
        "databento.com/docs, encoding json: the record's header in an object of its own",
        "xnas-itch-20240102.ohlcv-1m.json",
        '{"hd":{"ts_event":"1704205800000000000","rtype":33,"publisher_id":2,"instrument_id":38},'
        '"open":"187150000000","high":"187900000000","low":"187100000000","close":"187500000000",'
        '"volume":"1000","symbol":"AAPL"}\n'
        '{"hd":{"ts_event":"1704205860000000000","rtype":33,"publisher_id":2,"instrument_id":38},'
        '"open":"187500000000","high":"187600000000","low":"186900000000","close":"187000000000",'
        '"volume":"900","symbol":"AAPL"}\n',
        NYSE, "1min", "AAPL", ("2024-01-02T14:30", *O1, 1000), ("2024-01-02T14:31", *O2, 900),
    ),
    "tradestation": Case(
        "help.tradestation.com, ASCII data: Time is the closing time of the bar",
        "SPY.txt",
        '"Date","Time","Open","High","Low","Close","Vol","OI"\n'
        "01/16/2024,16:00,187.15,187.90,187.10,187.50,1000,0\n01/17/2024,16:00,187.50,187.60,186.90,187.00,900,0\n",
        NY, "1d", "SPY", ("2024-01-16T14:30", *O1, 1000), ("2024-01-17T14:30", *O2, 900),
    ),
    "a sheet with rows of which nothing is left": Case(
        "Excel writes deleted rows as commas",
        "AAPL.csv",
        "Date,Open,High,Low,Close,Volume\n2024-01-02,187.15,187.9,187.1,187.5,1000\n,,,,,\n"
        "2024-01-03,187.5,187.6,186.9,187.0,900\n,,,,,\n,,,,,\n",
        NYSE, "1d", "AAPL", ("2024-01-02T14:30", *O1, 1000), ("2024-01-03T14:30", *O2, 900),
    ),
}  # fmt: skip


def landed(path: Path, spec: IngestSpec) -> list[dict]:  # type: ignore[type-arg]
    parts, _ = file_parts([path], spec)
    rows = [row for part in parts for batch in read_part(part) for row in batch.to_pylist()]
    return sorted((row for row in rows if row["kind"] == "bar"), key=lambda row: (row["symbol"], row["ts"]))


def values(row: dict) -> tuple[object, ...]:  # type: ignore[type-arg]
    ts: datetime = row["ts"]
    return (
        ts.strftime("%Y-%m-%dT%H:%M"),
        *(row[name] for name in ("open", "high", "low", "close", "volume")),
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_documented_layout_lands_right(tmp_path: Path, case: Case) -> None:
    path = tmp_path / case.name
    path.write_text(case.text, encoding="utf-8", newline="")
    rows = landed(path, IngestSpec(**case.spec))  # type: ignore[arg-type]
    assert [values(row) for row in rows] == [case.first, case.last]
    assert {(row["symbol"], row["timeframe"]) for row in rows} == {(case.symbol, case.timeframe)}
