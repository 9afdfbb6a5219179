"""A study submitted to a cluster: followed, fetched, and not started twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from whatif.cli import main
from whatif.lake.results import RESULTS
from whatif.pins import LakeLocation

from ..markets import put_bars, walk
from ..workflow.conftest import rows_of, study_text
from .conftest import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_submit_follows_a_run_on_a_cluster_and_starts_it_once(
    lake_home: LakeLocation, cluster: Cluster, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    put_bars(lake_home, [walk("A", 1, minutes=120), walk("B", 2, minutes=120)])
    study = tmp_path / "study.yaml"
    study.write_text(study_text())
    for name, value in {**cluster.environment, "WHATIF_HOME": str(lake_home.home)}.items():
        monkeypatch.setenv(name, value)
    command = ["submit", str(study), "--target", cluster.master, "--executors", "2", "--memory", "512m"]

    assert main([*command, "--no-track"]) == 0, capsys.readouterr()

    said = capsys.readouterr().out
    assert "RUNNING" in said
    assert "Leaderboard of" in said
    pages = list((lake_home.home / "reports").rglob("report.html"))
    assert len(pages) == 1
    rows = rows_of(lake_home, RESULTS)
    assert len(rows) > 1

    assert main([*command, "--no-track"]) == 0
    assert "was submitted before" in capsys.readouterr().out
    assert len(list((lake_home.home / "submissions").glob("*.process.json"))) == 1
    assert len(rows_of(lake_home, RESULTS)) == len(rows)
