"""What is decoded once is what PyIceberg plans each time, as long as the files are the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from whatif.errors import LakeDamagedError
from whatif.pins import LakeLocation, current_pin, equal, everything, read_arrow
from whatif.pins.manifests import files_of, manifests_of
from whatif.pins.read import scan

from .conftest import bar

FILTERS = {"all": everything, "some": lambda: equal("symbol", "SPY"), "none": lambda: equal("symbol", "NO")}


@pytest.fixture
def three_snapshots(hadoop_bars, lake_home: LakeLocation):
    for k, symbol in enumerate(("SPY", "IBM", "SPY")):
        table = hadoop_bars([bar(symbol, f"2013-10-07 13:{30 + k}", 100.0 + k)])
    table.delete("symbol = 'IBM'")
    hadoop_bars([])
    return current_pin(lake_home, "bars")


@pytest.mark.parametrize("rows", FILTERS.values(), ids=FILTERS.keys())
def test_files_are_those_that_pyiceberg_plans(three_snapshots, rows, monkeypatch: pytest.MonkeyPatch) -> None:
    for snapshot in (None, 0, 1, 2):
        pin = three_snapshots
        scanned = scan(pin, ["symbol", "close"], rows())
        if snapshot is not None:
            ids = [one.snapshot_id for one in scanned.table_metadata.snapshots]
            scanned = scanned.update(snapshot_id=ids[snapshot])
        wanted = list(scanned.plan_files())
        assert files_of(scanned) == wanted
        with monkeypatch.context() as context:
            context.setattr("pyiceberg.avro.file.AvroFile.__enter__", None)  # nothing is decoded again
            assert files_of(scanned) == wanted


def test_a_file_that_takes_the_place_of_another_is_read(three_snapshots) -> None:
    scanned = scan(three_snapshots, ["symbol"], everything())
    (one, *_) = manifests_of(scanned.snapshot(), scanned.io)
    assert len(read_arrow(three_snapshots, ["symbol"])) == 2
    path = Path(one.manifest_path.removeprefix("file://"))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LakeDamagedError, match="cannot be decoded"):
        read_arrow(three_snapshots, ["symbol"])


def test_a_file_of_the_same_size_that_takes_the_place_of_another_is_read(three_snapshots) -> None:
    scanned = scan(three_snapshots, ["symbol"], everything())
    (one, *_) = manifests_of(scanned.snapshot(), scanned.io)
    assert len(read_arrow(three_snapshots, ["symbol"])) == 2
    path = Path(one.manifest_path.removeprefix("file://"))
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(LakeDamagedError, match="cannot be decoded"):
        read_arrow(three_snapshots, ["symbol"])


def test_entries_of_files_that_are_gone_are_given_to_who_asks_for_them(three_snapshots) -> None:
    scanned = scan(three_snapshots, ["symbol"], everything())
    for snapshot in scanned.table_metadata.snapshots:
        for kept, plain in zip(
            manifests_of(snapshot, scanned.io), snapshot.manifests(scanned.io), strict=True
        ):
            for discard in (True, False, True):
                found = kept.fetch_manifest_entry(scanned.io, discard)
                assert found == plain.fetch_manifest_entry(scanned.io, discard)
