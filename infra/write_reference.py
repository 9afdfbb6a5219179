"""Write docs/keys.md, all keys of a study in tables, of the JSON schema that `whatif schema` prints.

python infra/write_reference.py
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from whatif.study import study_schema

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "keys.md"

HEAD = """# All keys of a study

Written by `infra/write_reference.py` of what the study's models say, which is also what `whatif schema` gives
to editors; edit their docstrings, not this page. What is refused, what belongs together, and examples:
[study.md](study.md).
"""

SECTIONS = {
    "DataSlice": "data",
    "Universe": "data.universe",
    "CalendarSection": "calendar",
    "StrategySection": "strategy",
    "Axis": "axes",
    "LabelKind": "label",
    "ModelKind": "models",
    "Search": "search",
    "Split": "split",
    "Halving": "search.halving",
    "Tune": "models: tune",
    "Calibrate": "models: calibrate",
    "Keep": "keep",
}
"""What sections are called that are of one kind alone."""

PLACES = {"label": "label", "model": "models", "search": "search", "split": "split"}
"""Where sections stand that are of one kind among several."""


def main() -> int:
    """Write the page."""
    TARGET.write_text(page(study_schema(installed=False)), encoding="utf-8")
    sys.stdout.write(f"written: {TARGET}\n")
    return 0


def page(schema: dict[str, Any]) -> str:
    """Return the page for a schema."""
    defs = schema["$defs"]
    parts = [HEAD, *table("Whole study", schema)]
    for key in ("execution", "overlays"):
        parts += table(key, schema["properties"][key])
    for name, title in SECTIONS.items():
        one = defs[name]["anyOf"][-1] if name == "Axis" else defs[name]
        parts += table(title, one) if "properties" in one else ()
    for name in defs:
        noun, dot, kind = name.partition(".")
        if dot:
            parts += table(f"{PLACES[noun]}: {kind}", defs[name])
    return "\n".join(parts) + "\n"


def table(title: str, section: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a section: heading, what it is, and a row for each key."""
    yield f"\n## {title}\n"
    if section.get("description"):
        yield _prose(section["description"]) + "\n"
    yield "| key | default | may be | means |\n|---|---|---|---|"
    required = section.get("required", ())
    for key, said in section["properties"].items():
        default = "required" if key in required else _literal(said["default"]) if "default" in said else ""
        means = _prose(said.get("description", ""))
        yield f"| `{key}` | {default} | {_cell(kinds(said))} | {_cell(means)} |"


def kinds(said: dict[str, Any]) -> str:
    """Return in words what a value may be."""
    if "anyOf" in said:
        several = dict.fromkeys(kinds(one) for one in said["anyOf"])
        return " or ".join(one for one in several if one)
    if "$ref" in said:
        name = said["$ref"].rpartition("/")[2]
        return f"a section `{SECTIONS[name]}`"
    if "const" in said or "enum" in said:
        return ", ".join(_literal(one) for one in said.get("enum", [said.get("const")]))
    if said.get("type") == "array":
        items = said.get("items") or {}
        return "a list" + (f" of: {kinds(items)}" if items and "enum" not in items else "")
    if said.get("type") == "object":
        return "a mapping"
    if said.get("format") == "date":
        return "a date"
    words = {"integer": "a whole number", "number": "a number", "string": "a text", "boolean": "true, false"}
    return " ".join(filter(None, (words.get(said.get("type", ""), _none(said)), *bounds(said))))


def _none(said: dict[str, Any]) -> str:
    return "`null`" if said.get("type") == "null" else ""


def bounds(said: dict[str, Any]) -> Iterator[str]:
    """Yield the bounds of a number, those of 64 bits apart."""
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    for key, word in words.items():
        if key in said and abs(said[key]) < 2**62:
            yield f"{word} {said[key]:,}"
    if "pattern" in said:
        yield f"`{said['pattern']}`"


def _literal(value: Any) -> str:
    return f"`{value if isinstance(value, str) and value else json.dumps(value)}`"


def _prose(text: str) -> str:
    """Return the text of a docstring as Markdown, what Python has as None in YAML's word."""
    return re.sub(r"\bNone\b", "`null`", re.sub(r"``([^`]+)``", r"`\1`", text))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
