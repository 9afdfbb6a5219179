"""Arrow types of columns, by the words that tables and workers' rows are declared with."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

_TYPES = {
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "double": pa.float64(),
    "int": pa.int32(),
    "string": pa.string(),
    "timestamp": pa.timestamp("us", "UTC"),
}


def type_of(kind: str) -> pa.DataType:
    """Return the Arrow type of a column of this kind, such as "double" or "array<double>"."""
    inner = kind.removeprefix("array<").removesuffix(">")
    return pa.list_(_TYPES[inner]) if inner != kind else _TYPES[kind]


def schema_of(columns: Mapping[str, str]) -> pa.Schema:
    """Return the Arrow schema of columns, their kinds by name."""
    return pa.schema([(name, type_of(kind)) for name, kind in columns.items()])
