"""What infra/README.md names is there."""

from __future__ import annotations

import re

from .templates import FOLDER, STACKS, Stack
from .test_policies import KEY_STATEMENTS

README = (FOLDER / "README.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading."""
    below = README.split(f"\n{heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", below, re.M)
    assert table, heading
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[0].splitlines()[2:]]
    return [[cell.strip("| ") for cell in line] for line in cells]


def test_every_stack_is_told_of_in_order() -> None:
    assert [row[0].strip("`") for row in rows("## What is there")] == list(STACKS)


def test_parameters_are_those_of_the_templates(stacks: dict[str, Stack]) -> None:
    for names, where, defaults, _ in rows("## Parameters"):
        told = [name.strip(" `") for name in names.split(",")]
        those = list(STACKS) if where == "all" else [part.strip() for part in where.split(",")]
        given = [stack for stack in those if stack in stacks] or list(STACKS)
        known = {name: rules for one in given for name, rules in stacks[one].template["Parameters"].items()}
        assert set(told) <= set(known), names
        numbers = re.findall(r"\d+", defaults) if "GiB" not in defaults else []
        if len(numbers) == len(told):
            assert [int(number) for number in numbers] == [known[name]["Default"] for name in told], names


def test_every_role_and_policy_is_told_of(stacks: dict[str, Stack]) -> None:
    told = {row[0].split()[0].strip("`") for row in rows("## Who may do what")}
    every = set()
    for stack in stacks.values():
        for resource in stack.template["Resources"].values():
            if resource["Type"] in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
                properties = resource["Properties"]
                name = properties.get("RoleName") or properties["ManagedPolicyName"]
                every.add(stack.work_out(name))
    assert {f"acme-{name}" for name in told} == every


def test_what_is_counted_is_right(stacks: dict[str, Stack]) -> None:
    assert len(KEY_STATEMENTS) == 6
    assert "(six statements" in README
    assert len(stacks["operations"].of("AWS::CloudWatch::Alarm")) == 4
    assert "four alarms" in README


def test_views_are_told_of(stacks: dict[str, Stack]) -> None:
    for query in stacks["analytics"].of("AWS::Athena::NamedQuery").values():
        assert f"`{query['Name']}`" in README
