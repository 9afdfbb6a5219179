"""Deliveries that are checked on a branch of a table of the Glue catalog, and ranges that are replaced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from whatif.lake import list_deliveries
from whatif.pins import LakeLocation, current_pin, has_rows, open_table, read_bars

from ..workflow.test_audit import branches, days
from .conftest import Driver

pytestmark = pytest.mark.aws

OWN = {"WHATIF_NAMESPACE": "audited"}
OPTIONS = ("--symbol", "S", "--exchange", "XNYS", "--timeframe", "1d")
MEANWHILE = """
import json, sys
from whatif.cli import main
from whatif.sources import staged

first, second, *options = sys.argv[1:]
published = staged.publish_branch

def later(*where):
    staged.publish_branch = published
    assert main(["ingest", second, *options]) == 0  # of another process, while the first is checked
    published(*where)

staged.publish_branch = later
print(json.dumps(main(["ingest", first, *options, "--audit"])))
"""


def test_bars_are_checked_before_the_table_shows_them(service: Driver, tmp_path: Path) -> None:
    lake = LakeLocation(service.home, namespace="audited", local=False)
    said = service.run(
        "ingest", str(days(tmp_path / "a.csv", "2024-01-02", 60, 30)), *OPTIONS, "--audit", **OWN
    )
    assert (said.code, "the audit refuses the delivery: 1 error" in said.text) == (2, True), said.shown
    assert not has_rows(lake, "bars")
    assert branches(lake) == []
    service.good("ingest", str(days(tmp_path / "b.csv", "2024-01-02", 60)), *OPTIONS, "--audit", **OWN)
    before = current_pin(lake, "bars").snapshot_id
    bad = days(tmp_path / "c.csv", "2024-03-28", 30, 11)
    assert service.run("ingest", str(bad), *OPTIONS, "--audit", **OWN).code == 2
    assert current_pin(lake, "bars").snapshot_id == before
    held = {one.snapshot_id for one in open_table(lake, "bars").metadata.snapshots}
    assert len(held) == 2  # the empty one that the branch began with, and the delivery's
    assert branches(lake) == []
    service.good("ingest", str(days(tmp_path / "d.csv", "2024-03-28", 20)), *OPTIONS, "--audit", **OWN)
    assert len(read_bars(current_pin(lake, "bars"), "S", "1d")) == 80
    listed = list_deliveries(lake)
    assert listed[["kind", "landed", "bars"]].to_numpy().tolist() == [["append", 60, 60], ["append", 20, 20]]


def test_a_range_is_replaced_in_one_commit_and_comes_back(service: Driver, tmp_path: Path) -> None:
    lake = LakeLocation(service.home, namespace="audited", local=False)
    head, *rows = days(tmp_path / "b.csv", "2024-01-02", 60).read_text().splitlines()
    (tmp_path / "e.csv").write_text("\n".join([head, rows[40], rows[42]]) + "\n")
    before = len(open_table(lake, "bars").metadata.snapshots)
    said = service.good("ingest", str(tmp_path / "e.csv"), *OPTIONS, "--replace-range", "--audit", **OWN)
    assert "2 already there, 0 corrected, 0 refused, 1 removed" in said.text
    assert len(open_table(lake, "bars").metadata.snapshots) == before + 1
    assert len(read_bars(current_pin(lake, "bars"), "S", "1d")) == 79
    last = list_deliveries(lake).to_dict("records")[-1]
    assert (last["kind"], last["removed"]) == ("replace-range", 1)
    service.good("forget", "--delivery", last["delivery"], **OWN)
    assert len(read_bars(current_pin(lake, "bars"), "S", "1d")) == 80


def test_what_another_process_landed_meanwhile_stays(service: Driver, tmp_path: Path) -> None:
    lake = LakeLocation(service.home, namespace="audited", local=False)
    script = tmp_path / "meanwhile.py"
    script.write_text(MEANWHILE)
    first, second = days(tmp_path / "f.csv", "2024-05-01", 5), days(tmp_path / "g.csv", "2024-05-13", 7)
    service.begin(str(first), str(second), *OPTIONS, script=str(script), environment=OWN)
    said = service.end()
    assert json.loads(said.shown.strip().splitlines()[-1]) == 2, said.shown
    assert "another process wrote to it while this delivery was checked" in said.text
    assert "run the same command again" in said.text
    assert branches(lake) == []
    assert len(read_bars(current_pin(lake, "bars"), "S", "1d")) == 87
    service.good("ingest", str(first), *OPTIONS, "--audit", **OWN)
    assert len(read_bars(current_pin(lake, "bars"), "S", "1d")) == 92
