"""What the benchmark of time series compares is the same work: TA-Lib's values, and Arrow's bars."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whatif.bench import timeseries
from whatif.features import build_features, local_features
from whatif.lake import BARS, TRADES_RAW, append_arrow, create_tables, pin
from whatif.pins import read_arrow
from whatif.timeseries import collect, collect_bars, of_ticks


def test_bars_of_trades_are_arrow_s() -> None:
    trades = timeseries._made_trades(3, 20_000)
    mine, theirs = collect_bars(trades, "1min"), timeseries._arrow(trades).sort_by("minute")
    names = {"ts": "minute", "open": "price_first", "high": "price_max", "low": "price_min",
             "close": "price_last", "volume": "size_sum", "trade_count": "size_count"}  # fmt: skip
    for own, other in names.items():
        assert mine[own].cast(theirs[other].type).equals(theirs[other]), own
    np.testing.assert_allclose(mine["value"], theirs["value_sum"], rtol=1e-13)


def test_one_process_and_the_rival_make_the_same_bars_of_the_lake(
    lake_home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_ticks, "PART_ROWS", 700)
    create_tables(None, lake_home, (TRADES_RAW,))
    for k in range(2):
        append_arrow(lake_home, TRADES_RAW, timeseries._as_lake(timeseries._made_trades(k, 3_000)))
    files = sorted(map(str, (lake_home.table_folder("trades_raw") / "data").rglob("*.parquet")))
    timeseries._arrow_files(files, tmp_path / "rival.parquet")
    mine = collect(["T1", "T0"], "1min", location=lake_home)
    theirs = pq.read_table(tmp_path / "rival.parquet")
    theirs = theirs.sort_by([("symbol", "ascending"), ("minute", "ascending")])
    assert len(mine) > 50
    assert timeseries._same_bars(pa.Table.from_pandas(mine, preserve_index=False), theirs)


def test_the_rival_computes_what_the_features_hold(lake_home, tmp_path: Path) -> None:
    rows = timeseries._minutes(["A", "B"], 3)
    create_tables(None, lake_home, (BARS,))
    append_arrow(lake_home, BARS, rows)
    taken = timeseries._taken()
    assert len(taken) == timeseries.INDICATORS_TAKEN == 79
    spec = timeseries._spec(("A", "B"), tuple(one.shown.split("; ")[0] for one in taken), rows)
    made = build_features(None, lake_home, pin(None, lake_home, "bars"), spec)
    ours = read_arrow(made, ["symbol", "ts", *spec.columns]).sort_by(
        [("symbol", "ascending"), ("ts", "ascending")]
    )
    pq.write_table(rows, tmp_path / "bars.parquet")
    calls = [
        (name, one.name.upper(), one.sources, one.usual)
        for name, one in zip(spec.columns, taken, strict=True)
    ]
    (tmp_path / "plan.json").write_text(json.dumps(calls))
    files = ("bars.parquet", "talib.parquet", "plan.json", "report.json")
    given = [str(tmp_path / name) for name in files]
    subprocess.run([sys.executable, "-c", timeseries._RIVAL, *given], check=True)
    theirs = pq.read_table(tmp_path / "talib.parquet")
    assert theirs["ts"].to_pylist() == ours["ts"].to_pylist()
    same = 0
    for name in spec.columns:
        one, other = (table[name].to_numpy(zero_copy_only=False).astype(float) for table in (ours, theirs))
        same += np.allclose(one, other, rtol=1e-9, atol=1e-9, equal_nan=True)
    # some have Backtrader's seed, or NaN until they are warm where TA-Lib has 0
    assert same > 60
    assert len(local_features(pin(None, lake_home, "bars"), spec)) == rows.num_rows
