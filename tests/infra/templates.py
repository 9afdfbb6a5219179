"""The templates of `infra/`, parsed by cfn-lint and worked out as CloudFormation would for one account."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from cfnlint.decode.cfn_yaml import load

FOLDER = Path(__file__).resolve().parents[2] / "infra"
STACKS = ("storage", "access", "compute", "submitter", "operations", "analytics", "mlflow", "tables")
"""In the order in which they are deployed."""

REGION, ACCOUNT = "eu-west-1", "123456789012"
PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::URLSuffix": "amazonaws.com",
}
GIVEN = {"Prefix": "acme", "DatabaseName": "quant_lake"}
"""Names that stand nowhere in the templates, so that a name written out would show."""

NO_VALUE = object()


@lru_cache
def read_template(path: Path) -> dict[str, Any]:
    """Return a template as cfn-lint reads it; nobody changes it."""
    return dict(load(str(path)))


@dataclass
class Stack:
    """A template with its values, once those of the stacks before it are known."""

    name: str
    given: Mapping[str, Any]
    imports: Mapping[str, Any]
    template: dict[str, Any] = field(init=False)
    values: dict[str, Any] = field(init=False)
    resources: dict[str, Any] = field(init=False)
    outputs: dict[str, Any] = field(init=False)
    exports: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.template = read_template(FOLDER / f"{self.name}.yaml")
        defaults = {name: rules.get("Default") for name, rules in self.template["Parameters"].items()}
        self.values = defaults | {name: value for name, value in self.given.items() if name in defaults}
        raw = self.template["Resources"]
        there = {name for name, resource in raw.items() if self._holds(resource.get("Condition"))}
        self.resources = {name: self.work_out(raw[name]) for name in raw if name in there}
        outputs = self.template.get("Outputs", {})
        kept = {name: out for name, out in outputs.items() if self._holds(out.get("Condition"))}
        self.outputs = {name: self.work_out(output["Value"]) for name, output in kept.items()}
        self.exports = {
            self.work_out(output["Export"]["Name"]): self.outputs[name]
            for name, output in kept.items()
            if "Export" in output
        }

    def of(self, kind: str) -> dict[str, Any]:
        """Return the properties of all resources of a type."""
        found = {name: resource for name, resource in self.resources.items() if resource["Type"] == kind}
        return {name: resource["Properties"] for name, resource in found.items()}

    def work_out(self, value: Any) -> Any:
        """Return `value` with its functions replaced by what they give."""
        if isinstance(value, list):
            return [found for item in value if (found := self.work_out(item)) is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((key, argument),) = value.items()
            function = getattr(self, "_" + key.removeprefix("Fn::").lower(), None)
            if function is not None and (key == "Ref" or key.startswith("Fn::")):
                return function(argument)
        found = {key: self.work_out(item) for key, item in value.items()}
        return {key: item for key, item in found.items() if item is not NO_VALUE}

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        return self._known(name)

    def _known(self, name: str) -> Any:
        known = {**PSEUDO, **self.values}
        if name in known:
            return known[name]
        properties = self.template["Resources"][name].get("Properties", {})
        for key in ("BucketName", "Name", "LogGroupName", "TopicName", "RoleName"):
            if key in properties:
                return self.work_out(properties[key])
        return f"<{name}>"

    def _sub(self, argument: Any) -> str:
        text, own = argument if isinstance(argument, list) else (argument, {})
        own = self.work_out(own)

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name in own:
                return str(own[name])
            return str(self._getatt(name.split(".", 1)) if "." in name else self._known(name))

        return re.sub(r"\$\{([^}!]+)\}", value, text)

    def _getatt(self, argument: Any) -> str:
        name, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        resource = self.template["Resources"][name]
        if attribute == "Arn" and resource["Type"] == "AWS::S3::Bucket":
            return f"arn:aws:s3:::{self._known(name)}"
        if attribute == "Arn" and resource["Type"] == "AWS::IAM::Role":
            return f"arn:aws:iam::{ACCOUNT}:role/{self._known(name)}"
        if attribute == "Arn" and resource["Type"] == "AWS::EMRServerless::Application":
            return f"arn:aws:emr-serverless:{REGION}:{ACCOUNT}:/applications/00acme"
        return f"<{name}.{attribute}>"

    def _importvalue(self, argument: Any) -> Any:
        return self.imports[self.work_out(argument)]

    def _join(self, argument: Any) -> str:
        separator, parts = argument
        return str(separator).join(map(str, self.work_out(parts)))

    def _if(self, argument: Any) -> Any:
        condition, yes, no = argument
        return self.work_out(yes if self._holds(condition) else no)

    def _holds(self, condition: Any) -> bool:
        if condition is None:
            return True
        if isinstance(condition, str):
            return self._holds(self.template["Conditions"][condition])
        ((key, argument),) = condition.items()
        if key == "Condition":
            return self._holds(argument)
        if key == "Fn::Equals":
            left, right = self.work_out(argument)
            return str(left) == str(right)
        parts = [self._holds(part) for part in argument]
        return {"Fn::Not": not parts[0], "Fn::And": all(parts), "Fn::Or": any(parts)}[key]


def deployed(**given: str) -> dict[str, Stack]:
    """Return all stacks by name, each with what those before it export."""
    stacks: dict[str, Stack] = {}
    exports: dict[str, Any] = {}
    for name in STACKS:
        stacks[name] = Stack(name, GIVEN | given, dict(exports))
        exports |= stacks[name].exports
    return stacks


def listed(value: Any) -> list[Any]:
    """Return a value of IAM, one or many, as a list."""
    return value if isinstance(value, list) else [value]


def identity_statements(stack: Stack) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the statements that say what someone may do, each with whose it is."""
    for name, role in stack.of("AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement
    for kind in ("AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy", "AWS::IAM::Policy"):
        for name, policy in stack.of(kind).items():
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement


def resource_statements(stack: Stack) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the statements that say who may use something: kind, logical name, statement."""
    kinds = (
        ("AWS::S3::BucketPolicy", "PolicyDocument"),
        ("AWS::SNS::TopicPolicy", "PolicyDocument"),
        ("AWS::KMS::Key", "KeyPolicy"),
    )
    for kind, key in kinds:
        for name, properties in stack.of(kind).items():
            for statement in properties[key]["Statement"]:
                yield kind, name, statement


def may(statements: list[dict[str, Any]], action: str, resource: str, **context: str) -> bool:
    """Tell whether a statement allows an action on a resource, given what its conditions ask for."""
    return any(
        action in listed(statement["Action"])
        and any(fnmatchcase(resource, pattern) for pattern in listed(statement["Resource"]))
        and _meets(statement.get("Condition", {}), context)
        for statement in statements
        if statement["Effect"] == "Allow"
    )


def _meets(condition: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    for operator, wanted in condition.items():
        for key, patterns in wanted.items():
            value = context.get(key.replace(":", "_"))
            if value is None and operator.endswith("IfExists"):
                continue
            if value is None or not any(fnmatchcase(value, str(p)) for p in listed(patterns)):
                return False
    return True
