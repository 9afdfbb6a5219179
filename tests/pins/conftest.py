"""A lake made by PyIceberg alone, laid out as Spark's Hadoop catalog lays it out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

from whatif.pins import LakeLocation

SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("ts", pa.timestamp("us", tz="UTC")),
        ("timeframe", pa.string()),
        ("session", pa.date32()),
        ("session_open", pa.timestamp("us", tz="UTC")),
        ("session_close", pa.timestamp("us", tz="UTC")),
        ("hours", pa.string()),
        *((name, pa.float64()) for name in ("open", "high", "low", "close", "volume", "vwap")),
        ("trade_count", pa.int64()),
        ("vwap_estimated", pa.bool_()),
        ("exchange", pa.string()),
    ]
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def bar(
    symbol: str, ts: str, close: float, hours: str = "regular", timeframe: str = "1min"
) -> dict[str, object]:
    """Return a bar of 7 October 2013 whose prices all derive from `close`."""
    return {
        "symbol": symbol,
        "ts": utc(ts),
        "timeframe": timeframe,
        "session": pd.Timestamp("2013-10-07").date(),
        "session_open": utc("2013-10-07 13:30"),
        "session_close": utc("2013-10-07 20:00"),
        "hours": hours,
        "open": close - 1,
        "high": close + 2,
        "low": close - 2,
        "close": close,
        "volume": close * 10,
        "vwap": close + 0.5,
        "trade_count": None,
        "vwap_estimated": True,
        "exchange": "XNYS",
    }


@pytest.fixture
def hadoop_bars(tmp_path: Path, lake_home: LakeLocation) -> Callable[[list[dict[str, object]]], Table]:
    """Return a function that appends bars to the table `bars` of `lake_home` in one snapshot."""
    catalog = SqlCatalog("made", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/made")
    catalog.create_namespace("whatif")
    table = catalog.create_table("whatif.bars", SCHEMA)
    folder = lake_home.table_folder("bars") / "metadata"
    folder.mkdir(parents=True)
    versions = iter(range(1, 1000))

    def publish() -> None:
        version = next(versions)
        shutil.copy(table.metadata_location.removeprefix("file://"), folder / f"v{version}.metadata.json")
        (folder / "version-hint.text").write_text(str(version))

    def append(rows: list[dict[str, object]]) -> Table:
        if rows:
            table.append(pa.Table.from_pylist(rows, schema=SCHEMA))
        publish()
        return table

    return append
