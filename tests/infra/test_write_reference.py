"""docs/keys.md is what the models say today."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from whatif.study import study_schema

FOLDER = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("write_reference", FOLDER / "infra" / "write_reference.py")
assert _spec is not None
assert _spec.loader is not None
write = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(write)


def test_the_page_is_current() -> None:
    made = write.page(study_schema(installed=False))
    assert write.TARGET.read_text(encoding="utf-8") == made, "run python infra/write_reference.py"


def test_a_row_says_default_type_and_meaning() -> None:
    """Of a schema written by hand."""
    least = {"type": "integer", "minimum": 2, "default": 5, "description": "So many, or None | ``x``."}
    (*_, row) = write.table("t", {"properties": {"least": least}})
    assert row == "| `least` | `5` | a whole number from 2 | So many, or `null` \\| `x`. |"
    word = {"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]}
    (*_, row) = write.table("t", {"properties": {"word": word}, "required": ["word"]})
    assert row == "| `word` | required | `a`, `b` or `null` |  |"
