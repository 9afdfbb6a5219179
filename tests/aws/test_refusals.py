"""What can be wrong with an account: said in words, by exit code 2, without a stack trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..workflow.conftest import study_text
from .conftest import Driver

pytestmark = pytest.mark.aws


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"WHATIF_CATALOG": "nobucket"}, "catalog nobucket: the bucket does not exist"),
        ({"WHATIF_CATALOG": "nowarehouse"}, "catalog nowarehouse: the catalog has no warehouse"),
        ({"WHATIF_CATALOG": "unheard"}, "the session has no catalog 'unheard'"),
    ],
)
def test_a_catalog_that_cannot_hold_tables(
    service: Driver, bars_files: dict[str, Path], environment: dict[str, str], says: str
) -> None:
    own = {**environment, "WHATIF_NAMESPACE": environment["WHATIF_CATALOG"]}
    files = [str(bars_files["A"]), "--exchange", "XNYS", "--timezone", "UTC"]
    said = service.run("ingest", *files, **own)
    assert said.code == 2, said.shown
    assert f"error: {says}" in said.text
    assert "Traceback" not in said.shown
    assert "\tat " not in said.shown


def test_a_file_in_a_bucket_that_is_not_there(service: Driver) -> None:
    said = service.run("ingest", "s3://no-such-bucket/a.csv", "--exchange", "XNYS", WHATIF_NAMESPACE="none")
    assert said.code == 2, said.shown
    assert "s3://no-such-bucket/a.csv" in said.text
    assert "Traceback" not in said.shown


def test_tables_that_are_not_there(service: Driver, tmp_path: Path) -> None:
    own = {"WHATIF_NAMESPACE": "empty"}
    study = tmp_path / "study.yaml"
    study.write_text(study_text())
    said = service.run("bars", **own)
    assert said.code == 2, said.shown
    assert "table empty.bars does not exist in catalog lake hint: ingest bars first" in said.text
    for command in ("run", "leaderboard", "features"):
        said = service.run(command, str(study), **own)
        assert said.code == 2, said.shown
        assert "catalog lake has no bars hint: run 'whatif ingest' first" in said.text
        assert "Traceback" not in said.shown
