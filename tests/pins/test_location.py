from __future__ import annotations

from pathlib import Path

import pytest

from whatif.errors import LakeError
from whatif.pins import LakeLocation, catalog_properties


def test_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    location = LakeLocation.from_environment({})
    assert location == LakeLocation(tmp_path / ".whatif", "lake", "whatif", local=True)
    assert location.identifier("bars") == "lake.whatif.bars"
    assert location.table_folder("bars") == tmp_path / ".whatif" / "lake" / "whatif" / "bars"


def test_variables() -> None:
    given = {"WHATIF_HOME": "/srv/w", "WHATIF_CATALOG": "prod", "WHATIF_NAMESPACE": "quant"}
    assert LakeLocation.from_environment(given) == LakeLocation(Path("/srv/w"), "prod", "quant")
    service = {"WHATIF_CATALOG_PROPERTIES": "type=glue, glue.region=eu-west-1"}
    assert LakeLocation.from_environment(service).local is False
    assert catalog_properties(service) == {"type": "glue", "glue.region": "eu-west-1"}


@pytest.mark.parametrize("name", ["", "Lake", "a b", "a;drop", "a`b", "1a"])
def test_names_that_sql_would_misread(name: str) -> None:
    with pytest.raises(LakeError, match="not a valid name"):
        LakeLocation(Path("/srv"), catalog=name)
    with pytest.raises(LakeError, match="not a valid name"):
        LakeLocation(Path("/srv"), namespace=name)


def test_the_region_of_the_environment_spares_asking_for_the_bucket_s() -> None:
    service = {"WHATIF_CATALOG_PROPERTIES": "type=glue"}
    assert catalog_properties({**service, "AWS_DEFAULT_REGION": "us-west-2"})["client.region"] == "us-west-2"
    both = {**service, "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-west-2"}
    assert catalog_properties(both) == {"type": "glue", "client.region": "eu-west-1"}
    said = {**both, "WHATIF_CATALOG_PROPERTIES": "type=glue,client.region=ap-south-1"}
    assert catalog_properties(said)["client.region"] == "ap-south-1"
    assert catalog_properties({"AWS_REGION": "eu-west-1"}) == {}


def test_properties_that_are_not_pairs() -> None:
    with pytest.raises(LakeError, match="not key=value"):
        catalog_properties({"WHATIF_CATALOG_PROPERTIES": "glue"})
