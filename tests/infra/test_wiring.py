"""What one stack takes from another is there, and is deployed before it."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from .templates import FOLDER, GIVEN, STACKS, Stack, deployed

NEEDED = {
    "storage": ("ArtifactBucket", "Warehouse", "KeyArn"),
    "access": ("RunRoleArn", "IngestRoleArn"),
    "compute": ("ApplicationId", "EmrLogGroup", "RunJobName", "IngestJobName"),
    "submitter": ("SubmitterRoleArn", "IngesterRoleArn"),
}
"""What conf/submit.yaml asks for, and what its user needs beside it."""


def imported(value: Any) -> list[Any]:
    if isinstance(value, dict):
        own = [value["Fn::ImportValue"]] if "Fn::ImportValue" in value else []
        return own + [name for item in value.values() for name in imported(item)]
    return [name for item in value for name in imported(item)] if isinstance(value, list) else []


def test_every_import_is_exported_by_a_stack_before(every: dict[str, Stack]) -> None:
    # working out a template looks each import up among the exports of the stacks before: a KeyError names it
    for stack in every.values():
        for name in imported(stack.template):
            assert stack.work_out(name) in stack.imports


def test_an_import_that_nobody_exports_is_found() -> None:
    with pytest.raises(KeyError, match="acme-KeyArn"):
        Stack("compute", GIVEN, {})


def test_exports_carry_the_prefix_and_are_unique(every: dict[str, Stack]) -> None:
    names = [name for stack in every.values() for name in stack.exports]
    assert all(name.startswith("acme-") for name in names)
    assert len(names) == len(set(names))


def test_outputs_hold_what_the_settings_ask_for(stacks: dict[str, Stack]) -> None:
    for name, outputs in NEEDED.items():
        assert set(outputs) <= set(stacks[name].outputs), name
    assert "TrackingUri" in deployed(Mlflow="yes")["mlflow"].outputs


def test_no_name_is_written_out(stacks: dict[str, Stack]) -> None:
    named = {
        "BucketName", "RoleName", "ManagedPolicyName", "Name", "AlarmName", "TopicName", "AliasName",
        "BudgetName", "TrackingServerName",
    }  # fmt: skip
    for stack in stacks.values():
        for logical, resource in stack.resources.items():
            if resource["Type"] in ("AWS::Athena::NamedQuery", "AWS::Glue::Database"):
                continue
            for key in named & set(resource.get("Properties", {})):
                assert "acme" in resource["Properties"][key], f"{stack.name}: {logical}.{key}"


def test_the_scripts_deploy_in_this_order() -> None:
    listed = 'cd "$1" && . ./stacks.sh && echo $STACKS'
    done = subprocess.run(
        ["bash", "-c", listed, "-", str(FOLDER)], capture_output=True, text=True, check=True
    )
    assert (*done.stdout.split(), "mlflow", "tables") == STACKS
