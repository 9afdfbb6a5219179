"""Texts in CSV files that a spreadsheet would run as formulas, made texts again."""

from __future__ import annotations

import re

import pandas as pd

_FORMULA = re.compile(r"^\s*[=+\-@\t\r]")
_NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` with an apostrophe before each text, also a column's name, that would be a formula.

    Numbers stay as they are, also those that stand as text.
    """
    columns = {
        _as_text(name): column.map(_as_text) if pd.api.types.is_string_dtype(column.dtype) else column
        for name, column in frame.items()
    }
    return pd.DataFrame(columns, index=frame.index)


def _as_text(value: object) -> object:
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.match(value):
        return f"'{value}"
    return value
