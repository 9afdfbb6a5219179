"""Rows of a symbol in parts that follow each other, of files that are in order or not."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from whatif.errors import LakeDamagedError
from whatif.lake import TRADES_RAW, append_arrow, create_tables, delete_rows
from whatif.lake import pin as pinned
from whatif.pins import (
    LakeLocation,
    all_of,
    equal,
    held_symbols,
    in_order,
    parts_in_order,
    read_arrow,
    within,
)

COLUMNS = ("ts", "seq", "price", "size", "conditions")
BEGIN = int(datetime(2024, 1, 31, 12, tzinfo=UTC).timestamp()) * 1_000_000
HOUR = 3_600_000_000


def rows(symbols: list[str], n: int, begin: int, end: int, seed: int) -> pa.Table:
    """Return trades at whole seconds, in no order."""
    rng = np.random.default_rng(seed)
    ts = begin + rng.integers(0, (end - begin) // 1_000_000, n) * 1_000_000
    stamp = pa.timestamp("us", "UTC")
    columns = {
        "symbol": pa.array(rng.choice(symbols, n)), "ts": pa.array(ts).cast(stamp),
        "seq": pa.array(np.arange(n)),
        "price": rng.random(n) + 1.0, "size": np.full(n, float(seed)), "conditions": pa.repeat("@", n),
        "venue": pa.nulls(n, pa.string()), "exchange": pa.repeat("XNYS", n),
        "source": pa.repeat(f"s{seed}", n),
        "row": pa.array(np.arange(n)),
        "ingested_at": pa.repeat(pa.scalar(datetime.now(UTC), stamp), n),
    }  # fmt: skip
    return pa.table([columns[name] for name in TRADES_RAW.column_names], names=list(TRADES_RAW.column_names))


@pytest.fixture
def lake(lake_home: LakeLocation) -> LakeLocation:
    """Return a lake of three files of one symbol whose times overlap, around the turn of a month."""
    create_tables(None, lake_home, (TRADES_RAW,))
    in_turn = rows(["A", "B"], 50_000, BEGIN, BEGIN + 20 * HOUR, 1)
    append_arrow(lake_home, TRADES_RAW, in_turn.sort_by([("symbol", "ascending"), ("ts", "ascending")]))
    append_arrow(lake_home, TRADES_RAW, rows(["A"], 3_000, BEGIN - HOUR, BEGIN + 2 * HOUR, 2))
    append_arrow(lake_home, TRADES_RAW, rows(["C", "B"], 100, BEGIN, BEGIN + HOUR, 3))
    return lake_home


def told(table: pa.Table) -> list[tuple[object, ...]]:
    return sorted(tuple(row.values()) for row in table.to_pylist())


@pytest.mark.parametrize(
    ("symbol", "start", "end"),
    [
        ("A", None, None),
        ("A", BEGIN + HOUR + 30_000_000, BEGIN + 15 * HOUR),
        ("B", None, BEGIN + 1),
        ("C", BEGIN, None),
        ("D", None, None),
        ("A", BEGIN + 90 * HOUR, None),
    ],
)
@pytest.mark.parametrize("count", [500, 20_000, 10_000_000])
def test_parts_hold_what_was_asked_for_and_follow_each_other(
    lake: LakeLocation, symbol: str, start: int | None, end: int | None, count: int
) -> None:
    pin = pinned(None, lake, TRADES_RAW.name)
    parts = list(parts_in_order(pin, COLUMNS, symbol, start, end, count))
    asked = all_of(equal("symbol", symbol), within("ts", start, end))
    wanted = read_arrow(pin, COLUMNS, asked)
    assert sum(part.num_rows for part in parts) == wanted.num_rows
    if parts:
        assert told(pa.concat_tables(parts)) == told(wanted)
    bounds = [pc.min_max(part["ts"].cast(pa.int64())).as_py() for part in parts]
    assert all(a["max"] < b["min"] for a, b in pairwise(bounds))
    assert all(part.num_rows for part in parts)
    if symbol == "A" and start is None:
        # two months; the first has three groups and the other file beside them
        assert len(parts) == 2 if count > 20_000 else len(parts) >= 2
        assert count > 500 or len(parts) >= 3


def test_rows_of_an_instant_that_two_files_share_are_in_one_part(lake_home: LakeLocation) -> None:
    create_tables(None, lake_home, (TRADES_RAW,))
    for seed, seconds in enumerate(([0, 1, 2, 2], [2, 3, 4])):
        ts = pa.array([BEGIN + second * 1_000_000 for second in seconds]).cast(pa.timestamp("us", "UTC"))
        file = rows(["A"], len(seconds), BEGIN, BEGIN + HOUR, seed)
        append_arrow(lake_home, TRADES_RAW, file.set_column(file.column_names.index("ts"), "ts", ts))
    parts = parts_in_order(pinned(None, lake_home, TRADES_RAW.name), COLUMNS, "A", None, None, 1)
    found = [[(at - BEGIN) // 1_000_000 for at in part["ts"].cast(pa.int64()).to_pylist()] for part in parts]
    assert found == [[0, 1], [2, 2, 2, 3, 4]]


def test_files_of_which_rows_were_deleted_or_that_say_little_are_read_too(
    lake: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete_rows(lake, TRADES_RAW, all_of(equal("symbol", "A"), within("ts", BEGIN, BEGIN + HOUR)))
    pin = pinned(None, lake, TRADES_RAW.name)
    wanted = told(read_arrow(pin, COLUMNS, equal("symbol", "A")))
    quick = list(parts_in_order(pin, COLUMNS, "A", None, None, 500))
    monkeypatch.setattr(in_order, "is_as_asked", lambda *_: False)
    plain = list(parts_in_order(pin, COLUMNS, "A", None, None, 500))
    assert told(pa.concat_tables(quick)) == told(pa.concat_tables(plain)) == wanted
    assert (len(plain), len(quick) > 2) == (2, True)
    assert held_symbols(pin) == {"A", "B", "C"}
    delete_rows(lake, TRADES_RAW, equal("symbol", "B"))
    assert held_symbols(pinned(None, lake, TRADES_RAW.name)) == {"A", "C"}


def test_the_quick_way_is_taken_of_files_of_the_lake(
    lake: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_order, "reader_of", None)
    pin = pinned(None, lake, TRADES_RAW.name)
    assert sum(part.num_rows for part in parts_in_order(pin, COLUMNS, "C", None, None, 10)) > 0


def test_an_altered_file_is_named(lake: LakeLocation) -> None:
    pin = pinned(None, lake, TRADES_RAW.name)
    for file in (lake.table_folder(TRADES_RAW.name) / "data").rglob("*.parquet"):
        whole = bytearray(file.read_bytes())
        whole[len(whole) // 2] ^= 255
        file.write_bytes(whole)
    with pytest.raises(LakeDamagedError, match=r"\.parquet"):
        list(parts_in_order(pin, COLUMNS, "A", None, None, 10))
