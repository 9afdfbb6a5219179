"""The lake: its tables, who may write, and how."""

from __future__ import annotations

from whatif.lake.create import create_tables
from whatif.lake.lock import writer_lock
from whatif.lake.snapshots import pin, read_pinned
from whatif.lake.spec import TableSpec
from whatif.lake.tables import TABLES, features_table
from whatif.lake.write import append, delete_matching, insert_missing, replace, take_back, upsert

__all__ = [
    "TABLES",
    "TableSpec",
    "append",
    "create_tables",
    "delete_matching",
    "features_table",
    "insert_missing",
    "pin",
    "read_pinned",
    "replace",
    "take_back",
    "upsert",
    "writer_lock",
]
