"""Files of S3 by moto's server: by prefix and glob, over pages of a listing, and changed while read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from whatif.errors import SourceError
from whatif.lake import list_bars
from whatif.pins import LakeLocation, has_rows
from whatif.sources import IngestSpec, find_files
from whatif.sources.kinds.csv import Csv
from whatif.workflow import ingest

ROWS = "ts,open,high,low,close,volume\n2024-01-0{day}T14:30:00Z,10,11,9,10,100\n"


def put(s3: Any, *keys: str, text: str = ROWS.format(day=2)) -> None:
    for key in keys:
        s3.put_object(Bucket="market", Key=key, Body=text.encode())


def keys(*paths: str) -> list[str]:
    return [path.removeprefix("s3://market/") for path in find_files([f"s3://market/{p}" for p in paths])]


def test_prefixes_and_globs_name_what_they_would_of_folders(s3: Any) -> None:
    put(s3, "x/2.csv", "x/10.csv", "x/a/1.csv", "x/a/.hidden.csv", "x/readme.txt", "xy/3.csv", "z.csv")
    assert keys("x/*.csv") == ["x/2.csv", "x/10.csv"]
    assert keys("x/**/*.csv") == ["x/2.csv", "x/10.csv", "x/a/1.csv"]
    assert keys("x*/[0-9].csv") == ["x/2.csv", "xy/3.csv"]
    assert keys("x?") == ["xy/3.csv"]
    assert keys("*.csv") == ["z.csv"]
    assert keys("xy") == ["xy/3.csv"]
    assert keys("z.csv", "xy/*") == ["z.csv", "xy/3.csv"]
    with pytest.raises(SourceError, match=r"x/\*\.parquet: no such file"):
        keys("x/*.parquet")
    with pytest.raises(SourceError, match="name the bucket without wildcards"):
        find_files(["s3://mark*/x.csv"])


def test_a_listing_of_several_pages_is_read_to_its_end(s3: Any) -> None:
    put(s3, *[f"many/{k}.csv" for k in range(1_005)], text="")
    assert len(keys("many/*.csv")) == 1_005


def test_objects_land(s3: Any, lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHATIF_RUNNER", "local")
    put(s3, "day/AAPL.csv")
    put(s3, "day/MSFT.csv", text=ROWS.format(day=3))
    spec = IngestSpec(exchange="XNYS", symbol_from="file")
    assert ingest(["s3://market/day/*.csv"], spec, lake_home).landed == 2
    assert list_bars(lake_home)["symbol"].tolist() == ["AAPL", "MSFT"]
    with pytest.raises(SourceError, match="s3://nowhere"):
        ingest(["s3://nowhere/*.csv"], spec, lake_home)


def test_an_object_that_changes_while_it_is_read_lands_nothing(
    s3: Any, lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHATIF_RUNNER", "local")
    put(s3, "SPY.csv")
    read, spec = Csv.read_file, IngestSpec(exchange="XNYS", symbol="SPY")

    def changing(self: Csv, path: str) -> Iterator[Any]:
        yield from read(self, path)
        put(s3, "SPY.csv", text=ROWS.format(day=3))

    def going(self: Csv, path: str) -> Iterator[Any]:
        yield from read(self, path)
        s3.delete_object(Bucket="market", Key="SPY.csv")

    for change, said in ((changing, "was changed while it was read"), (going, "not there any more")):
        monkeypatch.setattr(Csv, "read_file", change)
        with pytest.raises(SourceError, match=said):
            ingest(["s3://market/SPY.csv"], spec, lake_home)
    assert not has_rows(lake_home, "bars")
