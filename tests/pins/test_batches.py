"""Rows that are looked at and dropped: memory holds a few files of a table, however many it has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog

from whatif.pins import Pin
from whatif.pins.filters import equal, everything
from whatif.pins.read import batches

FILES, ROWS = 24, 200_000


@pytest.fixture(scope="module")
def pin(tmp_path_factory: pytest.TempPathFactory) -> Pin:
    """Return a table of many files of 1.6 MB in memory each, a number and a letter in each row."""
    folder: Path = tmp_path_factory.mktemp("batches")
    catalog = SqlCatalog("made", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/made")
    catalog.create_namespace("whatif")
    rows = pa.table({"n": np.arange(ROWS), "letter": ["a", "b"] * (ROWS // 2)})
    table = catalog.create_table("whatif.made", rows.schema)
    for _ in range(FILES):
        table.append(rows)
    snapshot = table.current_snapshot()
    assert snapshot is not None
    return Pin("made", snapshot.snapshot_id, table.metadata_location)


@pytest.mark.slow
def test_a_few_files_are_held_at_most(pin: Pin) -> None:
    before, most, rows = pa.total_allocated_bytes(), 0, 0
    for batch in batches(pin, ["n"], everything()):
        most = max(most, pa.total_allocated_bytes() - before)
        rows += batch.num_rows
    assert rows == FILES * ROWS
    # those being read, and what is left of those before
    assert most < 0.6 * FILES * ROWS * 8


def test_columns_and_filter_are_kept(pin: Pin) -> None:
    table = pa.Table.from_batches(list(batches(pin, ["letter", "n"], equal("letter", "b"))))
    assert set(table.column_names) == {"letter", "n"}
    assert table.num_rows == FILES * ROWS // 2
    assert set(table["letter"].to_pylist()) == {"b"}


def test_nothing_passes_a_filter_that_nothing_passes(pin: Pin) -> None:
    assert sum(batch.num_rows for batch in batches(pin, ["n"], equal("letter", "z"))) == 0
