"""Specifications of tables, and text as a literal of Spark's SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass

from whatif.errors import LakeError

_NAME = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True)
class TableSpec:
    """One Iceberg table.

    Attributes
    ----------
    name : str
        Name within the namespace.
    columns : tuple of (str, str)
        Name and Spark SQL type of each column.
    key : tuple of str
        Columns that identify a row.
    partitioning : tuple of str
        Iceberg transforms, such as "months(ts)".
    sort_order : tuple of str
        Columns by which rows are ordered within files.
    sorted_apart : bool
        Each task orders the rows it has and writes them, without an exchange between tasks:
        for tables that get few rows at a time, where the exchange would cost most.
    by_partition : bool
        Rows go to files by their partition alone, and are ordered within each: for rows that are dear to
        make. To range them over all files, Spark would make them twice, the first time to sample them.
    by_symbol : bool
        Rows of one symbol are read apart from the others': files hold them in small groups, whose
        statistics say which symbols they hold.
    distinct : bool
        Values of its columns hardly repeat: no file keeps a dictionary of them, which takes longer to make
        than all the rest and is thrown away.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...] = ()
    partitioning: tuple[str, ...] = ()
    sort_order: tuple[str, ...] = ()
    sorted_apart: bool = False
    by_partition: bool = False
    by_symbol: bool = False
    distinct: bool = False

    def __post_init__(self) -> None:
        names = self.column_names
        for name in (self.name, *names):
            if not _NAME.fullmatch(name):
                raise LakeError(f"{name!r} cannot name a table or column: use small letters, digits and _")
        for name in (*self.key, *self.sort_order):
            if name not in names:
                raise LakeError(f"table {self.name}: {name!r} is not one of its columns {', '.join(names)}")

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(name for name, _ in self.columns)

    @property
    def ddl(self) -> str:
        """The columns as Spark takes a schema."""
        return ", ".join(f"`{name}` {kind}" for name, kind in self.columns)


def columns(ddl: str) -> tuple[tuple[str, str], ...]:
    """Return the columns of "name type, name type"; a type must not hold a comma."""
    pairs = (part.strip().split(None, 1) for part in ddl.split(",") if part.strip())
    return tuple((name, kind.strip()) for name, kind in pairs)


def sql_text(text: str) -> str:
    """Return a text as a literal of Spark's SQL, in quotes."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
