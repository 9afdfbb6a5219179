"""New metadata versions of a local table, written without a JVM: for repairs, where no row changes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from whatif.errors import LakeError
from whatif.pins import HINT, metadata_path, newest_metadata

Metadata = dict[str, Any]


def write_next(folder: Path, change: Callable[[Metadata], Metadata]) -> int:
    """Write a table's next metadata version, changed, and return its number.

    Parameters
    ----------
    folder : Path
        The table's folder.
    change : callable
        Takes the newest metadata as JSON and returns the next.

    Raises
    ------
    LakeError
        If another writer was faster.
    """
    newest = newest_metadata(folder)
    if newest is None:
        raise LakeError(f"{folder} holds no table")
    before: Metadata = json.loads(newest.read_text(encoding="utf-8"))
    after = change(json.loads(json.dumps(before)))
    written = min(before["last-updated-ms"], after["last-updated-ms"])
    log = [*after.get("metadata-log", []), {"timestamp-ms": written, "metadata-file": str(newest)}]
    version = int(newest.name[1:].split(".", 1)[0]) + 1
    target = metadata_path(folder, version)
    staged = target.with_name(f"{uuid4().hex}.staged")
    staged.write_text(json.dumps(after | {"metadata-log": log}), encoding="utf-8")
    try:
        os.link(staged, target)
    except FileExistsError as error:
        raise LakeError(f"{target} was written meanwhile: run the same command again") from error
    finally:
        staged.unlink()
    set_hint(folder, version)
    return version


def set_hint(folder: Path, version: int) -> None:
    """Let a table's version hint name a version."""
    hint = folder / "metadata" / HINT
    staged = hint.with_name(f"{uuid4().hex}.staged")
    staged.write_text(str(version), encoding="utf-8")
    # the checksum of the old hint would make Hadoop refuse the new one
    hint.with_name(f".{HINT}.crc").unlink(missing_ok=True)
    staged.replace(hint)


def at_snapshot(metadata: Metadata, snapshot_id: int) -> Metadata:
    """Return metadata whose current snapshot is an older one of its own."""
    now = max(int(time.time() * 1000), metadata["last-updated-ms"])
    metadata["current-snapshot-id"] = snapshot_id
    metadata.setdefault("refs", {})["main"] = {"snapshot-id": snapshot_id, "type": "branch"}
    metadata["snapshot-log"] = [
        *metadata.get("snapshot-log", []),
        {"timestamp-ms": now, "snapshot-id": snapshot_id},
    ]
    metadata["last-updated-ms"] = now
    return metadata


def by_this_clock(metadata: Metadata, now_ms: int) -> Metadata:
    """Return metadata in which no time is after `now_ms` (milliseconds since 1970-01-01 UTC)."""
    entries = [
        *metadata.get("snapshots", []),
        *metadata.get("snapshot-log", []),
        *metadata.get("metadata-log", []),
    ]
    for entry in entries:
        entry["timestamp-ms"] = min(entry["timestamp-ms"], now_ms)
    metadata["last-updated-ms"] = min(metadata["last-updated-ms"], now_ms)
    return metadata
