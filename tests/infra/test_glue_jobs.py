"""A Glue job's own arguments are those that `whatif submit` sends, and its size that of conf/submit.yaml."""

from __future__ import annotations

import os
from importlib import import_module

import pytest

from whatif.conf_files import read_spark_conf
from whatif.submit.requests import GLUE_VERSION, glue_default_arguments, placed
from whatif.submit.settings import SubmitSettings, load_settings

from .templates import FOLDER, Stack

CONF = FOLDER.parent / "conf"


def settings(stacks: dict[str, Stack]) -> SubmitSettings:
    """Return the settings as the outputs of the stacks say."""
    storage, compute = stacks["storage"].outputs, stacks["compute"].outputs
    found = load_settings(CONF / "submit.yaml")
    glue = found.glue.model_copy(update={"job": compute["RunJobName"], "log_group": compute["GlueLogGroup"]})
    filled = {"bucket": storage["ArtifactBucket"], "warehouse": storage["Warehouse"], "prefix": "acme"}
    return SubmitSettings.model_validate(found.model_copy(update={**filled, "glue": glue}).model_dump())


@pytest.mark.parametrize("name", ["RunJob", "IngestJob"])
def test_default_arguments_are_those_of_submit(stacks: dict[str, Stack], name: str) -> None:
    filled = settings(stacks)
    conf = placed(read_spark_conf(CONF / "spark" / "glue.conf"), filled)
    job = stacks["compute"].of("AWS::Glue::Job")[name]
    assert job["DefaultArguments"] == glue_default_arguments(filled, conf)


@pytest.mark.parametrize("name", ["RunJob", "IngestJob"])
def test_version_size_and_limits(stacks: dict[str, Stack], name: str) -> None:
    job = stacks["compute"].of("AWS::Glue::Job")[name]
    glue = load_settings(CONF / "submit.yaml").glue
    assert job["GlueVersion"] == GLUE_VERSION == "5.1"
    assert (job["WorkerType"], job["NumberOfWorkers"]) == (glue.worker_type, glue.workers)
    assert (job["Timeout"], job["MaxRetries"]) == (glue.timeout_minutes, 0)
    assert job["ExecutionClass"] == "STANDARD"
    assert job["SecurityConfiguration"] == "acme"
    assert job["Command"]["Name"] == "glueetl"


def test_bars_have_one_writer(stacks: dict[str, Stack]) -> None:
    jobs = stacks["compute"].of("AWS::Glue::Job")
    assert jobs["IngestJob"]["ExecutionProperty"] == {"MaxConcurrentRuns": 1}
    assert jobs["RunJob"]["ExecutionProperty"]["MaxConcurrentRuns"] > 1
    assert jobs["IngestJob"]["Role"].endswith("role/acme-ingest")
    assert jobs["RunJob"]["Role"].endswith("role/acme-run")


def test_the_security_configuration_encrypts_what_glue_writes(stacks: dict[str, Stack]) -> None:
    (found,) = stacks["compute"].of("AWS::Glue::SecurityConfiguration").values()
    (s3,) = found["EncryptionConfiguration"]["S3Encryptions"]
    assert s3 == {"S3EncryptionMode": "SSE-KMS", "KmsKeyArn": stacks["storage"].outputs["KeyArn"]}


@pytest.mark.parametrize(("name", "command"), [("RunJob", "run"), ("IngestJob", "ingest")])
def test_the_program_takes_these_arguments(
    stacks: dict[str, Stack], monkeypatch: pytest.MonkeyPatch, name: str, command: str
) -> None:
    cli = import_module("whatif.cli.app")
    taken: list[list[str]] = []
    monkeypatch.setattr(cli, "main", lambda arguments: taken.append(arguments) or 0)
    monkeypatch.delenv("WHATIF_CATALOG_PROPERTIES", raising=False)
    own = stacks["compute"].of("AWS::Glue::Job")[name]["DefaultArguments"]
    assert cli.job(command, [word for pair in own.items() for word in pair]) == 0
    assert taken == [["--home", own["--home"], command]]
    assert os.environ.pop("WHATIF_CATALOG_PROPERTIES") == "type=glue"
