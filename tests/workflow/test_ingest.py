"""Files into the lake: counts, quarantine, idempotence, and what a failure leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from whatif.errors import LakeError, SourceError
from whatif.pins import LakeLocation, current_pin, open_table, read_arrow, read_bars, table_exists
from whatif.session import get_spark
from whatif.sources import IngestSpec
from whatif.workflow import ingest, ingestion

HEADER = "Date,Open,High,Low,Close,Volume"
SPEC = IngestSpec(symbol="SPY", exchange="XNYS", timezone="America/New_York")
ESTX50 = IngestSpec(
    symbol="ESTX50",
    exchange="XEUR",
    timezone="Europe/Berlin",
    stamps="end",
    header=("date", "time", "open", "high", "low", "close", "volume", "openinterest"),
)


def minute(n: int, close: float = 10.0, low: float = 9.0) -> str:
    """Row of the n-th minute after the open of 7 October 2013."""
    at = 570 + n
    return f"2013-10-07 {at // 60:02}:{at % 60:02},10,11,{low},{close},100"


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def snapshots(location: LakeLocation, table: str) -> int:
    return len(open_table(location, table).metadata.snapshots)


def quarantine(location: LakeLocation) -> list[dict[str, object]]:
    pin = current_pin(location, "bars_quarantine")
    rows = read_arrow(pin, ["source", "row", "symbol", "raw", "rule"]).to_pylist()
    return sorted(rows, key=lambda row: (row["source"], row["row"]))


def test_counts_add_up_and_nothing_vanishes(any_session, lake_home, tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.csv",
        minute(0),
        minute(1, low=12),  # the low is above the high
        minute(2),
        minute(2, close=10.5),  # the minute again
        minute(3).replace("10-07", "10-05"),  # a Saturday
        minute(4).rsplit(",", 1)[0],  # a field too few
        "soon,10,11,9,10,100",
    )
    report = ingest([file], SPEC, lake_home, any_session)
    assert (report.files, report.came, report.landed, report.already_there, report.corrected) == (
        1,
        7,
        2,
        0,
        0,
    )
    assert dict(report.refused) == {
        "high_below_low": 1, "duplicate": 1, "no_session": 1, "wrong_field_count": 1, "unparsable_time": 1,
    }  # fmt: skip
    bars = read_bars(current_pin(lake_home, "bars"), "SPY", "1min")
    assert bars.close.tolist() == [10.0, 10.0]
    kept = quarantine(lake_home)
    assert [(row["row"], row["rule"]) for row in kept] == [
        (2, "high_below_low"), (4, "duplicate"), (5, "no_session"), (6, "wrong_field_count"),
        (7, "unparsable_time"),
    ]  # fmt: skip
    assert json.loads(str(kept[0]["raw"]))["Low"] == "12"
    assert json.loads(str(kept[1]["raw"]))["close"] == 10.5
    assert {row["source"] for row in kept} == {str(file)}
    assert "2 landed" in report.summary()
    assert "1 high_below_low" in report.summary()


def test_the_same_file_twice_adds_nothing(any_session, lake_home, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", minute(0), minute(1, low=12), minute(2), minute(2))
    first = ingest([file], SPEC, lake_home, any_session)
    before = [open_table(lake_home, name).metadata_location for name in ("bars", "bars_quarantine")]
    second = ingest([file], SPEC, lake_home, any_session)
    assert (second.came, second.landed, second.already_there, second.corrected) == (4, 0, 2, 0)
    assert second.refused == first.refused == {"high_below_low": 1, "duplicate": 1}
    assert second.snapshot_id == first.snapshot_id
    assert [open_table(lake_home, name).metadata_location for name in ("bars", "bars_quarantine")] == before


def test_a_copy_under_another_name_adds_no_bar(any_session, lake_home, tmp_path: Path) -> None:
    ingest([write(tmp_path / "a.csv", minute(0))], SPEC, lake_home, any_session)
    report = ingest([write(tmp_path / "b.csv", minute(0), minute(1))], SPEC, lake_home, any_session)
    assert (report.landed, report.already_there, report.corrected) == (1, 1, 0)


def test_of_one_bar_the_later_file_stands(any_session, lake_home, tmp_path: Path) -> None:
    others = [minute(n) for n in range(1, 5)]
    files = [
        write(tmp_path / "b2.csv", minute(0, close=10.5), *others),
        write(tmp_path / "a1.csv", minute(0, close=9.5), *others),
    ]
    report = ingest(files, SPEC, lake_home, any_session)
    assert (report.landed, dict(report.refused)) == (5, {"duplicate": 5})
    assert read_bars(current_pin(lake_home, "bars"), "SPY", "1min").close.tolist() == [9.5, *[10.0] * 4]
    assert {row["source"] for row in quarantine(lake_home)} == {str(files[0])}


def test_bars_are_compared_with_their_own(any_session, lake_home, tmp_path: Path) -> None:
    prices = {"SPY": 10.25, "IWM": 9.25, "QQQ": 10.75}
    for symbol, close in prices.items():  # a file of the lake each, in no order
        file = write(tmp_path / f"{symbol}.csv", *(minute(n, close) for n in range(4)))
        assert ingest([file], replace(SPEC, symbol=symbol), lake_home, any_session).landed == 4
    rows = [f"{symbol},{minute(n, close)}" for n in range(3, -1, -1) for symbol, close in prices.items()]
    rows[0] = rows[0].replace("10.25", "10.5")
    again = tmp_path / "again.csv"
    again.write_text("\n".join([f"symbol,{HEADER}", *rows]) + "\n")
    report = ingest([again], replace(SPEC, symbol=None, accept=True), lake_home, any_session)
    assert (report.landed, report.already_there, report.corrected) == (0, 11, 1)


def test_more_rows_than_this_process_may_hold_are_for_spark(
    lake_home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "MAX_LOCAL_ROWS", 2)
    file = write(tmp_path / "a.csv", minute(0), minute(1), minute(2))
    with pytest.raises(SourceError, match=r"more than 2 rows: ingest some .* or all by --runner spark$"):
        ingest([file], SPEC, lake_home, runner="local")
    assert not table_exists(lake_home, "bars")
    monkeypatch.setattr(ingestion, "SparkDelivery", _asked_for_spark)
    monkeypatch.setattr("whatif.session.get_spark", lambda *_: None)
    for asked in ({}, {"audit": True}, {"replace_range": True}):
        with pytest.raises(RuntimeError, match="Spark is asked"):
            ingest([file], SPEC, lake_home, runner="auto", **asked)


def _asked_for_spark(*_: object) -> None:
    raise RuntimeError("Spark is asked")


def test_a_correction_updates_and_an_old_pin_keeps_the_old_value(session, lake_home, tmp_path: Path) -> None:
    ingest([write(tmp_path / "a.csv", minute(0), minute(1), minute(2))], SPEC, lake_home, session)
    old = current_pin(lake_home, "bars")
    report = ingest(
        [write(tmp_path / "a.csv", minute(0), minute(1, close=10.5), minute(3))], SPEC, lake_home, session
    )
    assert (report.landed, report.already_there, report.corrected) == (1, 1, 1)
    assert snapshots(lake_home, "bars") == 2
    assert read_bars(current_pin(lake_home, "bars"), "SPY", "1min").close.tolist() == [10.0, 10.5, 10.0, 10.0]
    assert read_bars(old, "SPY", "1min").close.tolist() == [10.0, 10.0, 10.0]


def test_one_bad_file_and_nothing_of_the_delivery_is_written(any_session, lake_home, tmp_path: Path) -> None:
    good = write(tmp_path / "a.csv", minute(0))
    (tmp_path / "b.csv").write_text(f"{HEADER}\n{minute(1)}\n2013-10-07 09:32,10,1")
    (tmp_path / "c.csv").write_text("Date,Open\n2013-10-07,1\n")
    with pytest.raises(
        SourceError, match=r"(?s)b\.csv: is half-written.*c\.csv: column.*nothing was written"
    ):
        ingest([tmp_path], replace(SPEC, format="csv"), lake_home, any_session)
    with pytest.raises(LakeError, match=r"no rows yet|does not exist"):
        current_pin(lake_home, "bars")
    assert ingest([good], SPEC, lake_home, any_session).landed == 1


def test_a_first_file_that_cannot_be_read_is_said_before_spark_is_asked(lake_home, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(SourceError, match="is empty"):
        ingest([tmp_path / "a.csv"], SPEC, lake_home, spark=None)
    assert not table_exists(lake_home, "bars")


@pytest.mark.spark
def test_spark_and_this_process_come_to_the_same(spark, tmp_path: Path, monkeypatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    rng = np.random.default_rng(3)
    head = "symbol,time,open,high,low,close,volume,vwap,trades"

    def rows(symbol: str, minutes: list[int], day: int) -> list[str]:
        return [
            f"{symbol},2013-10-{day:02} {(570 + n) // 60:02}:{(570 + n) % 60:02},10,{11 + x:.3f},9,10.5,100,"
            f"{'' if n % 3 else 10.25},{'' if n % 4 else n + 1}"
            for n, x in zip(minutes, rng.random(len(minutes)), strict=True)
        ]

    def put(file: Path, *lines: str) -> None:
        file.write_text("\n".join([head, *lines]) + "\n")

    mixed = [*rows("SPY", list(range(40)), 7), *rows("QQQ", [5, 3, 1, 3], 8), *rows("QQQ", [400], 8)]
    put(first / "2.csv", *mixed, "SPY,2013-10-05 10:00,1,1,1,1,1,,", "SPY,2013-10-07 12:00,1,0.5,1,1,1,,")
    put(first / "10.csv", *rows("SPY", [3, 4], 7), *rows("SPY", list(range(60, 90)), 7), "x,y")
    put(second / "a.csv", *rows("SPY", [0], 7), *mixed[1:30], *rows("SPY", list(range(380)), 9))
    put(second / "empty.csv")
    spec = IngestSpec(
        exchange="NYSE",
        timezone="America/New_York",
        columns={"ts": ("time",), "trade_count": ("trades",)},
        accept=True,
    )
    told = {}
    for kind in ("local", "spark"):
        home = LakeLocation(tmp_path / kind)
        monkeypatch.setenv("WHATIF_RUNNER", kind)
        reports = []
        for folder in (first, first, second):
            for dry in (True, False) if folder is second else (False,):
                report = ingest([folder], spec, home, dry_run=dry)
                reports.append(replace(report, seconds=0.0, snapshot_id=None, runner=""))
        tables = []
        for name in ("bars", "bars_quarantine"):
            table = open_table(home, name)
            names = [field.name for field in table.schema().fields if field.name != "ingested_at"]
            order = [(key, "ascending") for key in ("source", "row", "symbol", "ts") if key in names]
            found = read_arrow(current_pin(home, name), names)
            tables.append(found.sort_by(order).to_pylist())
            files = table.scan().plan_files()
            if name == "bars":  # October 2013
                assert {file.file.partition[0] for file in files} == {43 * 12 + 9}
        told[kind] = (reports, tables)
    assert told["local"] == told["spark"]
    assert len(told["local"][1][0]) > 400
    assert {row["rule"] for row in told["local"][1][1]} > {"duplicate", "no_session"}


def test_two_symbols_in_one_folder_do_not_mix(any_session, lake_home, tmp_path: Path) -> None:
    # reference-flaws 28: two symbols in one folder came out interleaved and unordered
    for name, close in (("jnj", 9.5), ("intc", 10.5)):
        rows = [f"{name.upper()},{minute(n, close)}" for n in (2, 0, 1)]
        (tmp_path / f"{name}.csv").write_text("\n".join([f"Symbol,{HEADER}", *rows]) + "\n")
    assert ingest([tmp_path], replace(SPEC, symbol=None, format="csv"), lake_home, any_session).landed == 6
    pin = current_pin(lake_home, "bars")
    for name, close in (("JNJ", 9.5), ("INTC", 10.5)):
        bars = read_bars(pin, name, "1min")
        assert bars.close.tolist() == [close] * 3
        assert np.diff(bars.ts).tolist() == [60_000_000] * 2


def test_weekends_are_no_bars(any_session, lake_home, tmp_path: Path) -> None:
    # reference-flaws 29: calendar days that copy Friday let a Friday signal fill at Friday's open
    days = [f"2013-10-{day:02},10,11,9,10,100" for day in range(4, 12)]
    report = ingest([write(tmp_path / "d.csv", *days)], replace(SPEC, timeframe="1d"), lake_home, any_session)
    assert (report.landed, dict(report.refused)) == (6, {"no_session": 2})
    bars = read_bars(current_pin(lake_home, "bars"), "SPY", "1d")
    # Friday the 4th is day 15,982; then Monday to Friday
    assert bars.session.tolist() == [15_982, 15_985, 15_986, 15_987, 15_988, 15_989]
    assert (bars.ts == bars.session_open).all()


def test_timeframes_of_one_symbol_live_side_by_side(any_session, lake_home, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", minute(0), minute(60))
    ingest([file], SPEC, lake_home, any_session)
    assert ingest([file], replace(SPEC, timeframe="1h"), lake_home, any_session).landed == 2
    pin = current_pin(lake_home, "bars")
    assert len(read_bars(pin, "SPY", "1min")) == len(read_bars(pin, "SPY", "1h")) == 2


def test_real_minutes_of_a_european_future(any_session, lake_home, data_dir: Path) -> None:
    file = data_dir / "estx50" / "2006-01-02-volume-min-001.csv"
    with pytest.raises(SourceError, match=r"names 7 columns.*rows have 8 fields"):
        ingest([file], replace(ESTX50, header=()), lake_home, any_session)
    report = ingest([file], ESTX50, lake_home, any_session)
    assert (report.came, report.landed, sum(report.refused.values())) == (30_889, 30_889, 0)
    bars = read_bars(current_pin(lake_home, "bars"), "ESTX50", "1min")
    assert len(bars) == 30_889
    # first stamp 2006-01-02 09:01 in Berlin, the end of the minute that starts at 08:00 UTC
    assert np.datetime64(int(bars.ts[0]), "us") == np.datetime64("2006-01-02T08:00")
    assert (bars.open[0], bars.close[0], bars.volume[0]) == (3602.0, 3599.0, 5699.0)


@pytest.mark.slow
def test_real_minutes_hours_and_days_of_lean(any_session, lake_home, data_dir: Path) -> None:
    usa = data_dir / "lean" / "equity" / "usa"
    paths = [usa / "minute" / "ibm", usa / "hour" / "ibm.zip", usa / "daily" / "ibm.zip"]
    report = ingest(paths, IngestSpec(), lake_home, any_session)
    # lines in the archives: 2,566 minutes of six days, 40,813 hours, 5,849 days
    assert (report.files, report.came, report.landed) == (8, 49_228, 49_228)
    pin = current_pin(lake_home, "bars")
    assert {tf: len(read_bars(pin, "IBM", tf, hours="extended")) for tf in ("1min", "1h", "1d")} == {
        "1min": 2_566, "1h": 40_813, "1d": 5_849,
    }  # fmt: skip


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MB, or a skip where none can be made."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount the small disk that this test fills")
    yield folder
    subprocess.run(["umount", str(folder)], check=False)


@pytest.mark.slow
def test_a_full_disk_leaves_the_table_at_its_last_snapshot(session, small_disk: Path, tmp_path: Path) -> None:
    location = LakeLocation(small_disk / "home")
    session = get_spark(location)
    ingest([write(tmp_path / "a.csv", minute(0))], SPEC, location, session)
    before = current_pin(location, "bars")
    big = _noise(tmp_path / "big.csv", 300_000)
    spec = replace(SPEC, symbol="NOISE", exchange="24/7", timezone="UTC")
    with pytest.raises(LakeError, match=r"disk is full.*stays at its last snapshot"):
        ingest([big], spec, location, session)
    assert current_pin(location, "bars") == before
    assert len(read_bars(before, "SPY", "1min")) == 1
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    report = ingest([big], spec, location, session)
    assert report.landed == 300_000


KILLED = """
import sys
from whatif.sources import IngestSpec
from whatif.workflow import ingest
ingest([sys.argv[1]], IngestSpec(symbol="NOISE", exchange="24/7", timezone="UTC"))
"""


@pytest.mark.slow
def test_killed_while_it_writes_and_run_again(session, lake_home, tmp_path: Path) -> None:
    file = _noise(tmp_path / "big.csv", 100_000)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with subprocess.Popen([sys.executable, "-c", KILLED, str(file)], env=env) as process:
        data = lake_home.table_folder("bars") / "data"
        while process.poll() is None and not any(data.rglob("*.parquet")):
            time.sleep(0.01)
        process.kill()
    report = ingest([file], IngestSpec(symbol="NOISE", exchange="24/7", timezone="UTC"), lake_home, session)
    assert report.came == report.landed + report.already_there == 100_000
    ts = read_bars(current_pin(lake_home, "bars"), "NOISE", "1min").ts
    assert len(ts) == 100_000
    assert (np.diff(ts) == 60_000_000).all()


def _noise(path: Path, n: int) -> Path:
    """Write minutes of prices that do not compress."""
    stamps = (np.datetime64("2020-01-01T00:00") + np.arange(n)).astype(str)
    prices = np.random.default_rng(7).uniform(100, 200, (n, 4))
    low, high = prices.min(axis=1), prices.max(axis=1)
    lines = (
        f"{t},{p[0]!r},{h!r},{lo!r},{p[3]!r},1"
        for t, p, h, lo in zip(stamps, prices.tolist(), high.tolist(), low.tolist(), strict=True)
    )
    path.write_text(HEADER + "\n" + "\n".join(lines) + "\n")
    return path


def test_units_that_begin_behind_the_first_rows_are_named(lake_home, tmp_path: Path) -> None:
    rows = [
        f"2024-01-{1 + k // 1440:02} {k // 60 % 24:02}:{k % 60:02},10,11,9,10,{100 + k}" for k in range(4_000)
    ]
    rows += [f"2024-01-05 {k // 60:02}:{k % 60:02},10,11,9,10,5.973K" for k in range(100)]
    spec = IngestSpec(symbol="BTC", exchange="24/7", timezone="UTC")
    path = write(tmp_path / "x.csv", *rows)
    with pytest.raises(
        SourceError, match=r"100 unparsable_number (?s:.)*nothing was written: give --units, since"
    ):
        ingest([path], spec, lake_home, runner="local")
    assert ingest([path], replace(spec, units=True), lake_home, runner="local").landed == 4_100
