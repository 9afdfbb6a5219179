"""Parser of studies in YAML, which refuses what cannot be run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from whatif.errors import StudyError, nearest
from whatif.paths import bounded_text
from whatif.study.model import NAMES, Study
from whatif.study.schema import valid_keys
from whatif.texts import shortened
from whatif.yaml_text import MAX_BYTES, YamlTextError, load_yaml

MAX_LINES, MAX_LINE = 30, 1_000
"""Broken rules that a message lists, and the characters of one."""


def load_study(path: str | Path) -> Study:
    """Return the study in the YAML file at `path`.

    Raises
    ------
    StudyError
        If the file is missing or no YAML, or a key or value breaks a rule; the message
        names each key, the value given, the rule and the nearest valid spelling.
    """
    file = Path(path)
    try:
        text = bounded_text(file, "study", MAX_BYTES, StudyError)
    except FileNotFoundError:
        raise StudyError(f"study {file} does not exist: give the path of a YAML file") from None
    study = parse_study(text, str(file))
    study._folder = file.absolute().parent
    return study


def parse_study(text: str, source: str = "study") -> Study:
    """Return the study that the YAML `text` describes; `source` names it in messages."""
    try:
        given = load_yaml(text)
    except YamlTextError as error:
        raise StudyError(f"{source} is {error}") from error
    if not isinstance(given, Mapping):
        raise StudyError(f"{source} must be a mapping of study keys, not {type(given).__name__}")
    try:
        study = Study.model_validate(given)
    except ValidationError as error:
        lines = _explain_all(error.errors(include_url=False), given)
        more = [f"and {len(lines) - MAX_LINES:,} more"] if len(lines) > MAX_LINES else []
        text = "\n".join(f"  - {line}" for line in (*lines[:MAX_LINES], *more))
        raise StudyError(f"{source} cannot be run:\n{text}") from None
    study._text = text
    return study


def _explain_all(items: list[Any], given: Mapping[Any, Any]) -> list[str]:
    """One line a key: what the alternatives of a union each object to is joined."""
    lines: dict[str, list[str]] = {}
    for item in items[: 10 * MAX_LINES]:
        path = _path(item["loc"])
        head, message = _explain(item, path, given)
        if message not in lines.setdefault(head, []):
            lines[head].append(message)
    return [
        shortened(f"{shortened(head, MAX_LINE)}{', or '.join(messages)}", MAX_LINE)
        for head, messages in lines.items()
    ]


def _path(loc: tuple[int | str, ...]) -> list[str]:
    """Return the keys of an error's place, without the alternatives of unions that pydantic names."""
    return [str(part) for part in loc if not _is_branch(part)]


def _explain(item: Any, path: list[str], given: Mapping[Any, Any]) -> tuple[str, str]:
    key = ".".join(path)
    if item["type"] == "extra_forbidden":
        return f"unknown key {key!r}: ", nearest(path[-1], valid_keys(path[:-1], given))
    if item["type"] == "missing":
        return f"key {key!r} is missing: ", "it is required"
    if item["type"] == "string_pattern_mismatch" and item["ctx"]["pattern"] == NAMES:
        rule = (
            "a name is made of letters from A to Z, digits, dots, _ and -, and begins with a letter or digit"
        )
        return f"{key} = {_shown(item['input'])}: ", rule
    message = item["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list")
    if item["type"] == "string_type" and isinstance(item["input"], (bool, date)):
        message += " (YAML reads this word as something else: put it in quotes)"
    if item["type"] == "value_error":
        return f"{key}: " if key else "", message
    return f"{key} = {_shown(item['input'])}: ", message.replace("Input should be", "should be")


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python does not write out integers of thousands of digits
        text = f"a {type(value).__name__} too long to show"
    return text if len(text) <= 120 else text[:117] + "..."


def _is_branch(part: int | str) -> bool:
    """Whether pydantic names an alternative of a union here, not a key of the study."""
    return isinstance(part, str) and (
        part.startswith(("tuple[", "constrained-", "literal[", "function-", "union["))
        or part in ("float", "int", "bool", "str")
    )
