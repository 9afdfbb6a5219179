"""Two processes that write at once to a catalog service, where no lock keeps one of them out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from whatif.domain.rows import KEY
from whatif.lake.results import RESULTS, RETURNS
from whatif.lake.tables import BARS, EQUITY, PREDICTIONS, TRADES
from whatif.pins import LakeLocation, open_table

from ..workflow.conftest import rows_of, study_text
from .conftest import Account, Driver

pytestmark = pytest.mark.aws

RIVAL = Path(__file__).with_name("rival.py")


@pytest.fixture(scope="session")
def second(account: Account, start: Callable[..., Driver]) -> Driver:
    """Return another process on the same account."""
    return start(account.environment)


def test_a_row_that_came_meanwhile_counts_as_held(service: Driver) -> None:
    """Each commit of the rival falls between Spark's reading of the table and its writing."""
    service.begin(script=str(RIVAL), environment={"WHATIF_NAMESPACE": "rivals"})
    said = service.end()
    assert said.code == 0, said.shown
    seen = json.loads(said.shown.strip().splitlines()[-1])
    # the rival was first with a: its value stays; b is ours; z was there
    assert seen["same row"] == [["a", "m", 7.0], ["b", "m", 1.0], ["z", "m", 0.0]]
    assert seen["other market"] == sorted([*seen["same row"], ["c", "m", 2.0], ["x", "other", 1.0]])
    # of an update the later writer's value stands, and once
    assert seen["upsert"] == sorted([*seen["other market"], ["d", "m", 3.0]])


def test_two_ingests_and_two_runs_of_one_study_at_once(
    service: Driver, second: Driver, bars_files: dict[str, Path], tmp_path: Path
) -> None:
    own = {"WHATIF_NAMESPACE": "twice"}
    ingest = ["ingest", str(bars_files["A"]), str(bars_files["B"]), "--exchange", "XNYS", "--timezone", "UTC"]
    study = tmp_path / "study.yaml"
    study.write_text(
        study_text(
            features=["roc(1)", "roc(5)"],
            label={"kind": "forward_vwap", "horizon": "5min", "target": "return"},
            models={"small": {"kind": "random_forest", "trees": 3, "depth": 3, "seed": 7}},
            strategy={"name": "forecast_threshold", "params": {"size": 50.0}},
            axes={"threshold": {"from": 0.0, "to": 0.0005, "step": 0.0001}},
            keep={"trades": "all", "equity": "all"},
        )
    )
    for command in (ingest, ["run", str(study), "--no-track"]):
        for driver in (service, second):
            driver.begin(*command, environment=own)
        for driver in (service, second):
            said = driver.end()
            assert said.code == 0, said.shown
    lake = LakeLocation(service.home, namespace="twice", local=False)
    bars = rows_of(lake, BARS)
    assert len(bars) == 2 * 678
    assert not bars.duplicated(list(BARS.key)).any()
    # both ran, and each row is there once
    results = rows_of(lake, RESULTS)
    assert len(results) == 6 * 2 + 2
    for spec in (RESULTS, RETURNS, TRADES, EQUITY, PREDICTIONS):
        rows = rows_of(lake, spec)
        assert len(rows), spec.name
        assert not rows.duplicated(list(spec.key)).any(), spec.name
    assert set(map(tuple, rows_of(lake, RETURNS)[list(KEY)].to_numpy())) == set(
        map(tuple, results[list(KEY)].to_numpy())
    )
    looks = open_table(lake, "test_looks").current_snapshot()
    assert looks is not None
