"""Benchmark of the time series: indicators beside TA-Lib, ticks to bars beside DuckDB, and a day's append."""

from __future__ import annotations

import json
import statistics
import time
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from whatif import timeseries
from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.setting import Setting
from whatif.calendars import EPOCH, known_schedule
from whatif.domain import MINUTE_US
from whatif.features import FeatureSpec, build_features
from whatif.indicators import INDICATORS, Indicator
from whatif.lake import BARS, TRADES_RAW, append_arrow, create_tables
from whatif.lake import pin as pinned
from whatif.pins import LakeLocation
from whatif.search import BarSlice

INDICATORS_TAKEN, BARS_EACH, SYMBOLS = 79, 250_000, 4
TRADES, TRADED = 50_000_000, 8
APPENDED, SESSIONS = 100, (20, 80)

_QUICK_BARS, _QUICK_TRADES, _QUICK_APPENDED, _QUICK_SESSIONS = 4_000, 200_000, 3, (10, 14)
_FIRST = date(2015, 1, 5)
_FEATURES = ("ema(20)", "sma(20)", "rsi(14)", "atr(14)", "bbands(20, 2).upper", "roc(5)", "volume", "close")
_NOTES = (
    f"indicators: {INDICATORS_TAKEN} of TA-Lib's by their own names, of bars in the lake through Spark into "
    "the features' table, with its commit; TA-Lib is called in one process that reads and writes the same in "
    "Parquet, packed the same way (zstd, no dictionaries of numbers). Neither the JVM's start nor imports "
    "are counted; Spark's workers have read the bars once",
    "trades: the lake's Parquet files to minute bars in Parquet, open, high, low, close, volume, value and "
    "count; ours makes averages, deviation and sides too, and is not told that rows are in order. The rival "
    "reads the same files: DuckDB where it is installed (the extra sql), else Arrow's "
    "group_by on one core as the order of trades asks for. One process holds a million trades at a time",
    "append: a session's minutes of all symbols into bars, and their features, without a JVM",
)
_RIVALS = {"duckdb": "DuckDB", "arrow": "Arrow"}
_PLAIN = frozenset(
    ("acos", "asin", "atan", "ceil", "cos", "cosh", "cumsum", "exp", "floor", "ln", "log10", "sin", "sinh")
)
"""Functions of a single number, which are no indicators."""

_RIVAL = """
import json, sys, time
import numpy as np, pyarrow as pa, pyarrow.parquet as pq, talib
source, target, plan, report = sys.argv[1:]
calls = json.load(open(plan))
talib.SMA(np.arange(99.0), 5)
started = time.perf_counter()
table = pq.read_table(source)
names = table["symbol"].combine_chunks().dictionary_encode()
codes = names.indices.to_numpy()
parts = []
for code, name in enumerate(names.dictionary.to_pylist()):
    rows = table.filter(pa.array(codes == code))
    series = {one: rows[one].to_numpy() for one in ("open", "high", "low", "close", "volume")}
    columns = {"symbol": rows["symbol"], "ts": rows["ts"]}
    for column, function, sources, numbers in calls:
        made = getattr(talib, function)(*(series[one] for one in sources), *numbers)
        columns[column] = (made[0] if isinstance(made, tuple) else made).astype(float)
    parts.append(pa.table(columns))
pq.write_table(pa.concat_tables(parts), target, compression="zstd", use_dictionary=["symbol"])
json.dump(time.perf_counter() - started, open(report, "w"))
"""


def measure(setting: Setting) -> Measurement:
    """Time indicators, bars of ticks, and the append of a day."""
    quick, folder = setting.options.quick, setting.location.home / "timeseries"
    folder.mkdir(parents=True, exist_ok=True)
    indicators = _indicators(setting, folder, _QUICK_BARS if quick else BARS_EACH)
    trades = _trades(setting, folder, _QUICK_TRADES if quick else TRADES)
    symbols, lengths = (_QUICK_APPENDED, _QUICK_SESSIONS) if quick else (APPENDED, SESSIONS)
    short, long = (_append(setting, folder / f"{length}", symbols, length) for length in lengths)
    return Measurement(
        name="timeseries",
        title=f"{INDICATORS_TAKEN} indicators, trades to bars, and a day's append of {symbols} symbols",
        figures=(
            Figure(
                "indicators",
                f"{SYMBOLS} symbols x {indicators['bars']:,} bars, time over TA-Lib's",
                indicators["spark"] / indicators["talib"],
                "x",
                Goal("at most", 1.5),
            ),
            Figure(
                "trades",
                f"{trades['trades']:,} trades through Spark, rate over {_RIVALS[trades['rival_is']]}'s",
                trades["rival"] / trades["spark"],
                "x",
                Goal("at least", 0.5),
            ),
            Figure(
                "append",
                f"a day behind {lengths[1]} sessions, time over that behind {lengths[0]}",
                long / short,
                "x",
                Goal("at most", 1.5),
            ),
            Figure("indicators_seconds", "indicators through Spark", indicators["spark"], "s"),
            Figure("trades_rate", "trades through Spark", trades["trades"] / trades["spark"], "trades/s"),
            Figure("trades_here", "trades in one process", trades["trades"] / trades["here"], "trades/s"),
            Figure("trades_memory", "trades in one process, peak memory", trades["peak_mb"], "MB"),
            Figure("append_seconds", f"a day behind {lengths[1]} sessions", long, "s"),
        ),
        notes=_NOTES,
        detail={"indicators": indicators, "trades": trades, "append": {"short": short, "long": long}},
    )


def _taken() -> list[Indicator]:
    """Return indicators that TA-Lib computes, on series of the bars."""
    import talib

    fit = [
        one
        for name, one in sorted(INDICATORS.items())
        if one.origin == "TA-Lib" and one.may_omit_sources and one.name == name and not name.startswith("cdl")
        and name not in _PLAIN
        and hasattr(talib, name.upper())
        # of more than one kind of average TA-Lib takes the numbers in another order
        and sum("matype" in each for each in one.parameters) < 2
    ]  # fmt: skip
    return fit[:INDICATORS_TAKEN]


def _indicators(setting: Setting, folder: Path, bars: int) -> dict[str, Any]:
    """Return seconds of Spark and of TA-Lib."""
    spark = setting.spark
    setting.say(f"timeseries: {INDICATORS_TAKEN} indicators of {SYMBOLS} x {bars:,} bars")
    rows = _minutes([f"S{k}" for k in range(SYMBOLS)], -(-bars // 390)).sort_by("symbol")
    create_tables(None, setting.location, (BARS,))
    append_arrow(setting.location, BARS, rows)
    taken = _taken()
    texts = tuple(one.shown.split("; ")[0] for one in taken)
    bars_pin = pinned(None, setting.location, BARS.name)
    spec = _spec(tuple(sorted(set(rows["symbol"].to_pylist()))), texts, rows)
    few = _spec(spec.bars.symbols, ("close",), rows)
    build_features(spark, setting.location, bars_pin, few)
    started = time.perf_counter()
    build_features(spark, setting.location, bars_pin, spec)
    ours = time.perf_counter() - started
    source, plan, report = folder / "bars.parquet", folder / "plan.json", folder / "talib.json"
    pq.write_table(
        rows.select(["symbol", "ts", "open", "high", "low", "close", "volume"]), source, compression="zstd"
    )
    calls = [
        (column, one.name.upper(), one.sources, one.usual)
        for column, one in zip(spec.columns, taken, strict=True)
    ]
    plan.write_text(json.dumps(calls))
    seconds = []
    for _ in range(setting.options.repeats):
        setting.run_child(["-c", _RIVAL, source, folder / "talib.parquet", plan, report])
        seconds.append(json.loads(report.read_text()))
    return {
        "spark": ours,
        "talib": statistics.median(seconds),
        "bars": rows.num_rows // SYMBOLS,
        "texts": texts,
    }


def _spec(symbols: tuple[str, ...], features: tuple[str, ...], rows: pa.Table) -> FeatureSpec:
    bounds = pc.min_max(rows["ts"].cast(pa.int64())).as_py()
    part = BarSlice(
        symbols, "1min", "1min", "XNYS", "regular", bounds["min"], bounds["max"] + 400 * 86_400_000_000
    )
    return FeatureSpec(part, features, None)


def _minutes(symbols: list[str], sessions: int, first: int = 0) -> pa.Table:
    """Return rows of table `bars`: random walks over whole sessions, from the one numbered `first` on."""
    last = _FIRST + timedelta(days=(first + sessions) * 8 // 5 + 30)
    whole = known_schedule("XNYS", _FIRST, last)
    days = np.flatnonzero(whole.trading_us == 390 * MINUTE_US)[first : first + sessions]
    of = np.repeat(days, 390)
    ts = whole.open_us[of] + np.tile(np.arange(390), len(days)) * MINUTE_US
    stamp = pa.timestamp("us", "UTC")
    parts = []
    for k, symbol in enumerate(symbols):
        rng = np.random.default_rng([k, first, sessions])
        close = np.round(100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-4, len(ts)))), 2)
        open_ = np.append(close[:1], close[:-1])
        high, low = np.maximum(open_, close) + 0.01, np.minimum(open_, close) - 0.01
        columns = {
            "symbol": pa.repeat(symbol, len(ts)), "ts": pa.array(ts).cast(stamp),
            "timeframe": pa.repeat("1min", len(ts)),
            "session": pa.array(whole.session[of].astype("datetime64[D]")),
            "session_open": pa.array(whole.open_us[of]).cast(stamp),
            "session_close": pa.array(whole.close_us[of]).cast(stamp), "hours": pa.repeat("regular", len(ts)),
            "open": open_, "high": high, "low": low, "close": close,
            "volume": rng.integers(1, 900, len(ts)).astype(float), "vwap": (high + low + close) / 3.0,
            "trade_count": pa.nulls(len(ts), pa.int64()), "vwap_estimated": pa.repeat(True, len(ts)),
            "exchange": pa.repeat("XNYS", len(ts)), "source": pa.repeat("made", len(ts)),
            "ingested_at": pa.repeat(pa.scalar(datetime.now(UTC), stamp), len(ts)),
        }  # fmt: skip
        parts.append(pa.table([columns[name] for name in BARS.column_names], names=list(BARS.column_names)))
    return pa.concat_tables(parts).sort_by([("symbol", "ascending"), ("ts", "ascending")])


_HERE = """
import json, sys, time
from whatif import timeseries
from whatif.bench.probe import peak_mb
symbols, target, report = json.loads(sys.argv[1]), *sys.argv[2:]
import pyiceberg.io.pyarrow
started = time.perf_counter()
timeseries.collect(symbols, "1min").to_parquet(target)
seconds = time.perf_counter() - started
json.dump({"seconds": seconds, "peak_mb": peak_mb()}, open(report, "w"))
"""

_DUCKDB = """
COPY (SELECT symbol, time_bucket(INTERVAL 1 minute, ts) AS minute, arg_min(price, (ts, seq)) AS price_first,
             max(price) AS price_max, min(price) AS price_min, arg_max(price, (ts, seq)) AS price_last,
             sum(size) AS size_sum, sum(price * size) AS value_sum, count(*) AS size_count
      FROM read_parquet({files}) GROUP BY ALL) TO '{target}' (FORMAT parquet, COMPRESSION zstd)
"""


def _trades(setting: Setting, folder: Path, count: int) -> dict[str, Any]:
    """Return seconds of Spark, of one process and of a rival, for the same files: those of the lake."""
    setting.say(f"timeseries: {count:,} trades to minutes")
    spark, location, each = setting.spark, setting.location, count // TRADED
    create_tables(None, location, (TRADES_RAW,))
    for k in range(TRADED):
        append_arrow(location, TRADES_RAW, _as_lake(_made_trades(k, each)))
    symbols = [f"T{k}" for k in range(TRADED)]
    files = sorted(map(str, (location.table_folder(TRADES_RAW.name) / "data").rglob("*.parquet")))
    rival = _duckdb if find_spec("duckdb") else _arrow_files
    few = timeseries.collect(
        symbols, "1h", end=f"{_FIRST + timedelta(days=1)}", location=location, spark=spark
    )
    few.write.mode("overwrite").parquet(str(folder / "spark"))
    found: dict[str, list[float]] = {"spark": [], "here": [], "rival": []}
    report = folder / "here.json"
    for _ in range(setting.options.repeats):
        started = time.perf_counter()
        rows = timeseries.collect(symbols, "1min", location=location, spark=spark)
        rows.write.mode("overwrite").parquet(str(folder / "spark"))
        found["spark"].append(time.perf_counter() - started)
        setting.run_child(["-c", _HERE, json.dumps(symbols), folder / "here.parquet", report])
        here = json.loads(report.read_text())
        found["here"].append(here["seconds"])
        started = time.perf_counter()
        rival(files, folder / "rival.parquet")
        found["rival"].append(time.perf_counter() - started)
    order = [("symbol", "ascending"), ("minute", "ascending")]
    mine, theirs = (
        pq.read_table(folder / "here.parquet"),
        pq.read_table(folder / "rival.parquet").sort_by(order),
    )
    medians = {name: statistics.median(seconds) for name, seconds in found.items()}
    return {
        **medians,
        "trades": each * TRADED,
        "rival_is": rival.__name__.strip("_").removesuffix("_files"),
        "peak_mb": here["peak_mb"],
        "bars_are_the_same": _same_bars(mine, theirs),
    }


def _same_bars(mine: pa.Table, theirs: pa.Table) -> bool:
    names = {"open": "price_first", "close": "price_last", "volume": "size_sum", "trade_count": "size_count"}
    return all(mine[own].equals(theirs[other].cast(mine[own].type)) for own, other in names.items())


def _duckdb(files: list[str], target: Path) -> None:
    """Make minute bars by DuckDB."""
    import_module("duckdb").sql(_DUCKDB.format(files=files, target=target))


def _arrow_files(files: list[str], target: Path) -> None:
    """Make minute bars by Arrow, file by file as no symbol's minute is in two."""
    names = ["symbol", "ts", "price", "size"]
    pq.write_table(pa.concat_tables(_arrow(pq.read_table(file, columns=names)) for file in files), target)


def _arrow(rows: pa.Table) -> pa.Table:
    """Return minute bars by Arrow's own aggregation."""
    columns = {
        "symbol": rows["symbol"],
        "minute": pc.floor_temporal(rows["ts"], unit="minute"),
        "price": rows["price"],
        "size": rows["size"],
        "value": pc.multiply(rows["price"], rows["size"]),
    }
    wanted = [("price", "first"), ("price", "max"), ("price", "min"), ("price", "last"), ("size", "sum"),
              ("value", "sum"), ("size", "count")]  # fmt: skip
    return pa.table(columns).group_by(["symbol", "minute"], use_threads=False).aggregate(wanted)


def _made_trades(number: int, count: int) -> pa.Table:
    """Return trades of one symbol, in order, some 100 a minute."""
    rng = np.random.default_rng(number)
    begin = (_FIRST - EPOCH) // timedelta(days=1) * 86_400_000_000
    ts = begin + np.cumsum(rng.integers(0, 1_200_000, count))
    price = np.round(100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-5, count))), 2)
    size = rng.integers(1, 500, count).astype(np.float64)
    rows = np.arange(count)
    first = np.maximum.accumulate(np.where(np.diff(ts, prepend=ts[0] - 1) > 0, rows, 0))
    stamps = pa.array(ts).cast(pa.timestamp("us", "UTC"))
    symbol = pa.repeat(f"T{number}", count)
    return pa.table({"symbol": symbol, "ts": stamps, "seq": rows - first, "price": price, "size": size})


def _as_lake(trades: pa.Table) -> pa.Table:
    """Return trades as rows of table `trades_raw`."""
    n = trades.num_rows
    further = {
        "conditions": pa.nulls(n, pa.string()),
        "venue": pa.nulls(n, pa.string()),
        "exchange": pa.repeat("XNYS", n),
        "source": pa.repeat("made", n),
        "row": pa.array(np.arange(1, n + 1)),
        "ingested_at": pa.repeat(pa.scalar(datetime.now(UTC), pa.timestamp("us", "UTC")), n),
    }
    for name, column in further.items():
        trades = trades.append_column(name, column)
    return trades.select(list(TRADES_RAW.column_names))


def _append(setting: Setting, home: Path, symbols: int, sessions: int) -> float:
    """Return the seconds that a day takes behind some sessions: bars and their features."""
    setting.say(f"timeseries: a day of {symbols} symbols behind {sessions} sessions")
    location, names = LakeLocation(home), [f"A{k:03}" for k in range(symbols)]
    create_tables(None, location, (BARS,))
    history = _minutes(names, sessions)
    append_arrow(location, BARS, history)
    spec = _spec(tuple(names), _FEATURES, history)
    build_features(None, location, pinned(None, location, BARS.name), spec)
    seconds = []
    for k in range(setting.options.repeats):
        day = _minutes(names, 1, sessions + k)
        started = time.perf_counter()
        append_arrow(location, BARS, day)
        build_features(None, location, pinned(None, location, BARS.name), spec)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
