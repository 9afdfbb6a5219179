"""Trades and quotes into the lake, and bars of them: layouts, rules, and that the same files add nothing."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whatif
from whatif.cli import main
from whatif.errors import LakeError, SourceError
from whatif.lake import QUOTES, TRADES_RAW, create, list_refused
from whatif.pins import LakeLocation, current_pin, open_table, read_arrow, table_exists
from whatif.sources import IngestSpec, TicksReport, forget_ticks, ingest_ticks, make_source
from whatif.sources.kinds import trades as kinds_trades
from whatif.sources.kinds.trades import LakeTrades
from whatif.workflow import ingest

HEADER = "ts,symbol,price,size,conditions\n"
ROWS = (
    "2024-01-02T14:30:00.5Z,SPY,470.1,100,@\n"
    "2024-01-02T14:30:00.25Z,SPY,470.0,50,\n"
    "2024-01-02T14:30:00.5Z,SPY,470.2,10,T\n"
    "2024-01-02T14:31:07Z,IBM,160,5,@;T\n"
)
AROUND = IngestSpec(rows="trades", exchange="XNYS")


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def zipped(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ticks.csv", text)
    return path


def stored(location: LakeLocation, table: Any, *names: str) -> list[tuple[Any, ...]]:
    keys = ("symbol", "ts", "seq")
    rows = read_arrow(current_pin(location, table.name), (*keys, *names)).to_pylist()
    rows.sort(key=lambda row: tuple(row[key] for key in keys))
    return [
        (row["symbol"], f"{row['ts']:%H:%M:%S.%f}", *(row[name] for name in ("seq", *names))) for row in rows
    ]


EXPECTED = [
    ("IBM", "14:31:07.000000", 0, 160.0, 5.0, "@;T"),
    ("SPY", "14:30:00.250000", 0, 470.0, 50.0, None),
    ("SPY", "14:30:00.500000", 0, 470.1, 100.0, "@"),
    ("SPY", "14:30:00.500000", 1, 470.2, 10.0, "T"),
]


def figures(report: TicksReport) -> list[int]:
    return [figure["trades"] for figure in (report.landed, report.already_there, report.corrected)]


def write(folder: Path, kind: str) -> Path:
    if kind == "csv":
        return put(folder / "a.csv", HEADER + ROWS)
    if kind == "csv.gz":
        with gzip.open(folder / "a.csv.gz", "wt") as file:
            file.write(HEADER + ROWS)
        return folder / "a.csv.gz"
    frame = pd.read_csv(put(folder / "b.csv", HEADER + ROWS))
    frame["ts"] = pd.to_datetime(frame["ts"], format="ISO8601")
    table = pa.Table.from_pandas(frame.rename(columns={"size": "Quantity"}), preserve_index=False)
    pq.write_table(table, folder / "a.parquet")
    return folder / "a.parquet"


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
def test_each_layout_says_the_same(lake_home, tmp_path: Path, kind: str) -> None:
    report = ingest_ticks([write(tmp_path, kind)], AROUND, lake_home)
    assert (report.came, report.landed, report.symbols, report.disordered) == (4, {"trades": 4}, 2, 1)
    assert stored(lake_home, TRADES_RAW, "price", "size", "conditions") == EXPECTED


def test_the_same_again_adds_nothing_and_other_values_correct(lake_home, tmp_path: Path) -> None:
    file = put(tmp_path / "a.csv", HEADER + ROWS)
    ingest_ticks([file], AROUND, lake_home)
    before = open_table(lake_home, TRADES_RAW.name).metadata_location
    again = ingest_ticks([put(tmp_path / "copy.csv", HEADER + ROWS)], AROUND, lake_home)
    assert (again.landed, again.already_there, again.corrected) == (
        {"trades": 0},
        {"trades": 4},
        {"trades": 0},
    )
    assert open_table(lake_home, TRADES_RAW.name).metadata_location == before
    other = put(tmp_path / "b.csv", HEADER + ROWS.replace("470.2,10", "470.3,10"))
    third = ingest_ticks([other], AROUND, lake_home)
    assert (third.landed, third.already_there, third.corrected) == (
        {"trades": 0},
        {"trades": 3},
        {"trades": 1},
    )
    assert [row[3] for row in stored(lake_home, TRADES_RAW, "price")] == [160.0, 470.0, 470.1, 470.3]


def test_files_of_one_instant_follow_each_other_and_a_day_is_appended(lake_home, tmp_path: Path) -> None:
    one = put(tmp_path / "1.csv", HEADER + ROWS)
    two = put(tmp_path / "2.csv", HEADER + "2024-01-02T14:30:00.5Z,SPY,471,1,\n")
    ingest_ticks([one, two], AROUND, lake_home)
    assert [row[2:] for row in stored(lake_home, TRADES_RAW, "price") if row[1].endswith(".500000")] == [
        (0, 470.1), (1, 470.2), (2, 471.0),
    ]  # fmt: skip
    next_day = put(tmp_path / "3.csv", HEADER + ROWS.replace("01-02", "02-01"))
    assert ingest_ticks([next_day], AROUND, lake_home).landed == {"trades": 4}
    assert len(stored(lake_home, TRADES_RAW)) == 9


def test_what_breaks_a_rule_is_in_quarantine(lake_home, tmp_path: Path) -> None:
    bad = (
        "2024-01-02T14:30:01Z,SPY,470,0,@\n"
        "2024-01-02T14:30:02Z,SPY,-1,5,@\n"
        "2024-01-02T14:30:03Z,SPY,,5,@\n"
        "yesterday,SPY,470,5,@\n"
        "2024-01-02T14:30:04Z,SPY,470,,@\n"
        "2024-01-02T14:30:05Z,,470,5,@\n"
        "2024-01-02T14:30:06Z,SPY,4x0,5,@\n"
        "2024-01-02T14:30:06Z,SPY,inf,5,@\n"
        "2024-01-02T14:30:06Z,SPY,470\n"
    )
    file = put(tmp_path / "a.csv", HEADER + ROWS + bad)
    with pytest.raises(SourceError, match=r"4 of 13 rows cannot be read as ticks \(at most 1% may\)"):
        ingest_ticks([file], AROUND, lake_home)
    assert not table_exists(lake_home, TRADES_RAW.name)
    spec = IngestSpec(rows="trades", exchange="XNYS", accept=True)
    report = ingest_ticks([file], spec, lake_home)
    rules = {
        "wrong_field_count", "missing_symbol", "unparsable_time", "unparsable_number", "missing_price",
        "not_finite", "non_positive_price", "missing_size", "non_positive_size",
    }  # fmt: skip
    assert dict(report.refused) == dict.fromkeys(rules, 1)
    assert report.came == 13 == sum(report.landed.values()) + sum(report.refused.values())
    refused = list_refused(lake_home)
    assert set(refused["rule"]) == rules
    assert refused.loc[refused["rule"] == "non_positive_size", "line"].tolist() == [6]
    ingest_ticks([file], spec, lake_home)
    assert len(list_refused(lake_home)) == 9
    assert "non_positive_size (rule: the size of a trade is above zero" in report.summary()


def test_few_trades_without_size_refuse_no_file(lake_home, tmp_path: Path) -> None:
    file = put(tmp_path / "a.csv", HEADER + ROWS + "2024-01-02T14:30:01Z,SPY,470,0,@\n")
    assert dict(ingest_ticks([file], AROUND, lake_home).refused) == {"non_positive_size": 1}


def test_quotes_are_marked_where_they_cross_and_may_tell_one_side(lake_home, tmp_path: Path) -> None:
    file = put(
        tmp_path / "q.csv",
        "ts,symbol,bid,bid_size,ask,ask_size\n"
        "2024-01-02T14:30:00Z,SPY,470,1,470.1,2\n"
        "2024-01-02T14:30:01Z,SPY,471,1,470.1,2\n"
        "2024-01-02T14:30:02Z,SPY,0,0,470.2,3\n"
        "2024-01-02T14:30:03Z,SPY,,,,\n",
    )
    report = ingest_ticks([file], IngestSpec(rows="quotes", exchange="XNYS"), lake_home)
    assert (report.landed, report.crossed, dict(report.refused)) == ({"quotes": 3}, 1, {"missing_price": 1})
    names = ("bid", "bid_size", "ask", "ask_size", "crossed")
    assert [row[3:] for row in stored(lake_home, QUOTES, *names)] == [
        (470.0, 1.0, 470.1, 2.0, False), (471.0, 1.0, 470.1, 2.0, True), (None, None, 470.2, 3.0, False),
    ]  # fmt: skip
    assert "1 quotes are crossed, and marked so" in report.summary()


def test_lean_s_ticks_are_read_by_their_paths(lake_home, tmp_path: Path) -> None:
    # the first is its readme's: 9.367 ms after four o'clock in New York, prices in 1/10,000 dollar
    equity = zipped(
        tmp_path / "equity/usa/tick/bac/20131008_trade.zip",
        "14400009.367,137450,100,D,1,0\n34200000.5,137460,7,P,20,1\n",
    )
    quotes = zipped(
        tmp_path / "equity/usa/tick/bac/20131008_quote.zip", "14400009.367,137450,100,0,0,D,1,0\n"
    )
    crypto = zipped(tmp_path / "crypto/coinbase/tick/btcusd/20180101_trade.zip", "86400,232.40,93.1\n")
    coin = zipped(
        tmp_path / "crypto/coinbase/tick/btcusd/20180101_quote.zip", "86400,232.40,20392.0,232.42,8059.5\n"
    )
    report = ingest_ticks([equity, quotes, crypto, coin], location=lake_home)
    assert report.landed == {"trades": 3, "quotes": 2}
    assert stored(lake_home, TRADES_RAW, "price", "size", "conditions", "venue", "exchange") == [
        ("BAC", "08:00:00.009367", 0, 13.745, 100.0, "1", "D", "XNYS"),
        ("BAC", "13:30:00.000500", 0, 13.746, 7.0, "20,suspicious", "P", "XNYS"),
        ("BTCUSD", "00:01:26.400000", 0, 232.4, 93.1, None, None, "24/7"),
    ]
    assert [row[3:] for row in stored(lake_home, QUOTES, "bid", "ask", "ask_size")] == [
        (13.745, None, None), (232.4, 232.42, 8059.5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("equity/usa/minute/spy/20131008_trade.zip", "1,2,3,4,5,6\n", "bars, and no ticks: 'whatif ingest'"),
        ("equity/usa/tick/spy/20131008_trade.zip", "1,2\n", "rows have 2 fields"),
        ("equity/usa/tick/spy/20131008_openinterest.zip", "1,2\n", "neither trades nor quotes"),
        ("x.csv", "ts,symbol,bid,ask\n2024-01-02T14:30:00Z,SPY,1,2\n", "column 'price' is missing"),
        ("x.csv", "ts,price,size\n2024-01-02T14:30:00Z,1,2\n", "no column names the symbol"),
        ("x.csv", "ts,symbol,price,size\n2024-01-02T14:30:00,SPY,1,2\n", "carry no time zone"),
    ],
)
def test_what_is_no_file_of_ticks_is_refused(
    lake_home, tmp_path: Path, name: str, text: str, said: str
) -> None:
    path = zipped(tmp_path / name, text) if name.endswith(".zip") else put(tmp_path / name, text)
    with pytest.raises(SourceError) as refused:
        ingest_ticks([path], AROUND, lake_home)
    assert said in str(refused.value)
    assert not table_exists(lake_home, TRADES_RAW.name)


def test_other_values_for_much_of_the_lake_are_refused(lake_home, tmp_path: Path) -> None:
    ingest_ticks([put(tmp_path / "a.csv", HEADER + ROWS)], AROUND, lake_home)
    venue = put(tmp_path / "b.csv", HEADER + ROWS.replace("470.", "471.").replace(",160,", ",161,"))
    with pytest.raises(SourceError, match="4 of 4 ticks would overwrite others of the lake"):
        ingest_ticks([venue], AROUND, lake_home)
    assert stored(lake_home, TRADES_RAW, "price", "size", "conditions") == EXPECTED


def test_ticks_are_forgotten_by_file_and_a_dry_run_writes_nothing(lake_home, tmp_path: Path) -> None:
    one, two = (
        put(tmp_path / "1.csv", HEADER + ROWS),
        put(tmp_path / "2.csv", HEADER + ROWS.replace("01-02", "01-03")),
    )
    assert ingest_ticks([one], AROUND, lake_home, dry_run=True).landed == {"trades": 4}
    assert not table_exists(lake_home, TRADES_RAW.name)
    ingest_ticks([one], AROUND, lake_home)
    ingest_ticks([two], AROUND, lake_home)
    assert forget_ticks(lake_home, source="2.csv", dry_run=True) == {"trades": 4}
    assert len(stored(lake_home, TRADES_RAW)) == 8
    assert forget_ticks(lake_home, symbol="SPY", source="2.csv") == {"trades": 3}
    assert len(stored(lake_home, TRADES_RAW)) == 5
    third = ingest_ticks(
        [put(tmp_path / "3.csv", HEADER + ROWS.replace("01-02", "01-04"))], AROUND, lake_home
    )
    assert third.delivery in third.summary()
    assert forget_ticks(lake_home, delivery=third.delivery) == {"trades": 4}
    came = read_arrow(current_pin(lake_home, TRADES_RAW.name), ["ingested_at"])["ingested_at"][0].as_py()
    with pytest.raises(LakeError, match="is the beginning of"):
        forget_ticks(lake_home, delivery=f"{came:%Y%m%d}")
    with pytest.raises(LakeError, match="nothing is named"):
        forget_ticks(lake_home)
    with pytest.raises(LakeError, match="no tick of the lake is of all that was named"):
        forget_ticks(lake_home, symbol="QQQ")


def test_the_command_reads_ticks_and_makes_bars_of_them(lake_home, tmp_path: Path, capsys) -> None:
    file = put(tmp_path / "a.csv", HEADER + ROWS)
    assert main(["ingest-ticks", str(file), "--exchange", "XNYS"]) == 0
    assert "4 trades landed" in capsys.readouterr().out
    assert main(["ingest", "trades", "--option", "leave_out=T"]) == 0
    bars = whatif.read_bars(["SPY"])
    assert bars[["open", "high", "low", "close", "volume", "trade_count"]].to_numpy().tolist() == [
        [470.0, 470.1, 470.0, 470.1, 150.0, 2.0]
    ]
    assert bars["vwap"].tolist() == [pytest.approx((470.0 * 50 + 470.1 * 100) / 150, rel=1e-15)]
    assert main(["ingest", "trades", "--option", "leave_out=T"]) == 0
    assert "0 landed, 1 already there" in capsys.readouterr().out
    assert main(["forget", "--ticks", "--symbol", "IBM"]) == 0
    assert "1 trades removed" in capsys.readouterr().out
    assert main(["ingest", "trades", "--option", "symbols=SPX"]) == 2
    assert "did you mean 'SPY'" in capsys.readouterr().err
    for dates in (["start=2030-01-01"], ["start=2024-01-02", "end=2024-01-02"]):
        options = [part for one in dates for part in ("--option", one)]
        assert main(["ingest", "trades", "--option", "symbols=SPY", *options]) == 2
        assert "the lake holds no trades of SPY of [" in capsys.readouterr().err
    assert main(["ingest", "trades", "--option", "only=TT"]) == 2
    assert "no trade has the condition 'TT'\nhint: did you mean 'T'?" in capsys.readouterr().err


def test_ticks_made_of_real_minutes_become_these_minutes_again(
    lake_home, tmp_path: Path, data_dir: Path
) -> None:
    """Each minute's open, high, low and close, a quarter of its volume each, are its trades."""
    source = data_dir / "lean/equity/usa/minute/spy/20131007_trade.zip"
    ingest([source], IngestSpec(), lake_home)
    bars = whatif.read_bars(["SPY"], session="extended")
    ticks = pd.concat(
        [
            pd.DataFrame(
                {
                    "ts": bars["ts"] + pd.Timedelta(second, "s"),
                    "price": bars[name],
                    "size": bars["volume"] / 4,
                }
            )
            for second, name in ((1, "open"), (10, "high"), (20, "low"), (59, "close"))
        ]
    )
    ticks = ticks[ticks["size"] > 0].assign(symbol="SPY", ts=lambda one: one["ts"].dt.as_unit("us"))
    pq.write_table(pa.Table.from_pandas(ticks, preserve_index=False), tmp_path / "ticks.parquet")
    other = LakeLocation(tmp_path / "other")
    with pytest.MonkeyPatch.context() as patch:
        # read in parts of some rows
        patch.setitem(create._BY_SYMBOL, "write.parquet.row-group-limit", "64")
        ingest_ticks([tmp_path / "ticks.parquet"], AROUND, other)
        patch.setenv("WHATIF_HOME", str(tmp_path / "other"))
        ingest(make_source(LakeTrades, {"symbols": "SPY"}), location=other)
        ingest(make_source(LakeTrades, {"symbols": "SPY", "timeframe": "1h"}), location=other)
        made = whatif.read_bars(["SPY"], session="extended")
        patch.setattr(kinds_trades, "PART_ROWS", 100)
        again = ingest(make_source(LakeTrades, {"symbols": "SPY"}), location=other)
        assert (again.landed, again.corrected, again.already_there) == (0, 0, len(made))
        hours = whatif.read_bars(["SPY"], timeframe="1h")
    names = ["ts", "session", "hours", "open", "high", "low", "close", "volume"]
    pd.testing.assert_frame_equal(made[names], bars.loc[bars["volume"] > 0, names].reset_index(drop=True))
    # counted from the session's open, and none reaches beyond its close
    assert hours["ts"].dt.strftime("%H:%M").tolist() == [
        "13:30",
        "14:30",
        "15:30",
        "16:30",
        "17:30",
        "18:30",
        "19:30",
    ]
    regular = bars[bars["hours"] == "regular"]
    assert hours["volume"].sum() == pytest.approx(regular["volume"].sum(), rel=1e-12)


def test_what_the_source_needs_is_said(lake_home) -> None:
    with pytest.raises(SourceError, match="the lake holds no trades"):
        make_source(LakeTrades, {}).parts()
