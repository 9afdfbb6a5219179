"""cfn-lint finds nothing, and whoever deploys is told what each parameter means."""

from __future__ import annotations

import re

import pytest
from cfnlint.api import lint_file
from cfnlint.config import ManualArgs

from .templates import FOLDER, STACKS, Stack

MOST_BYTES = 51_200
"""Larger templates cannot be deployed from a file."""


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.slow
def test_cfn_lint_finds_nothing(name: str) -> None:
    found = lint_file(FOLDER / f"{name}.yaml", config=ManualArgs(regions=["eu-west-1"]))
    assert [f"{match.rule.id} line {match.linenumber}: {match.message}" for match in found] == []


def test_every_template_is_a_stack() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.yaml")) == sorted(STACKS)
    assert all(path.stat().st_size < MOST_BYTES for path in FOLDER.glob("*.yaml"))


def test_every_parameter_is_described_and_checked(stacks: dict[str, Stack]) -> None:
    for name, stack in stacks.items():
        for parameter, rules in stack.template["Parameters"].items():
            where = f"{name}: {parameter}"
            assert len(rules.get("Description", "")) > 20, where
            assert "Default" in rules, where
            checked = {"AllowedPattern", "AllowedValues", "MinValue"} & set(rules)
            assert checked, where
            if "AllowedPattern" in rules:
                assert re.fullmatch(rules["AllowedPattern"], rules["Default"]), where
                assert "ConstraintDescription" in rules, where


def test_every_output_is_described(stacks: dict[str, Stack]) -> None:
    for stack in stacks.values():
        assert stack.template["Description"].startswith("whatif, ")
        assert all(output["Description"] for output in stack.template["Outputs"].values())


def test_a_parameter_is_the_same_wherever_it_stands(stacks: dict[str, Stack]) -> None:
    seen: dict[str, dict[str, object]] = {}
    for name, stack in stacks.items():
        for parameter, rules in stack.template["Parameters"].items():
            plain = {key: value for key, value in rules.items() if key != "Description"}
            assert seen.setdefault(parameter, plain) == plain, f"{name}: {parameter}"
