"""Examination and repair of a lake: what is damaged, what still works, and what is lost least.

Starts no JVM. A repair never deletes: what cannot be read is set aside in the folder `damaged` of the home.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from whatif.errors import LakeError
from whatif.lake.local_files import at_snapshot, by_this_clock, readdress, set_hint, write_next
from whatif.lake.lock import writer_lock
from whatif.pins import (
    HINT,
    Damage,
    LakeLocation,
    described,
    has_data,
    hinted_version,
    load_table,
    local_path,
    metadata_path,
    moved_from,
    newest_whole,
    open_table,
    snapshot_damage,
    table_exists,
    time_of_ms,
    versions_in,
)

if TYPE_CHECKING:
    from pyiceberg.table import StaticTable, Table
    from pyiceberg.table.snapshots import Snapshot

CLOCK_TOLERANCE_MS = 60_000
"""Iceberg takes a commit whose time is up to a minute before the one it follows."""

MIN_FREE_BYTES = 1024**3
SHOWN = 5
"""Damaged files of a table that are named; the rest are counted."""

REBUILT = {
    "predictions": "the next run trains the models again",
    "results": "the next run computes again what is missing",
    "returns": "the next run computes again what is missing",
    "trades": "the next run stores again what a study keeps",
    "equity": "the next run stores again what a study keeps",
    "bars": "ingest again what came later",
    "bars_quarantine": "refused rows of later files are not listed any more",
    "test_looks": "openings of test windows that came later are not counted any more",
    "news_sentiment": "ingest again what came later",
}
"""What is lost of a table when it goes back to an older snapshot, or begins anew."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a lake.

    Attributes
    ----------
    where : str
        The table or file.
    problem : str
        What is wrong, as a sentence without its full stop.
    remedy : str
        What `repair` does, or what the user can do.
    repair : callable or None
        Mends it and returns what was done; None if only the user can.
    """

    where: str
    problem: str
    remedy: str
    repair: Callable[[], str] | None = None


def examine(location: LakeLocation) -> list[Finding]:
    """Return what is wrong with a lake; every file of every table's current snapshot is read.

    Raises
    ------
    LakeError
        If there is no lake.
    """
    if not location.local:
        return list(_service_findings(location))
    if not location.home.is_dir():
        raise LakeError(f"there is no lake in {location.home}: set WHATIF_HOME to its folder, or ingest bars")
    found = list(_home_findings(location))
    root = location.warehouse / location.namespace
    try:
        folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    except PermissionError as error:
        raise LakeError(f"{root} may not be read: {error}; give this user the right to read it") from error
    for folder in folders:
        found += _table_findings(location, folder)
    return found


def repair(location: LakeLocation, findings: list[Finding]) -> list[str]:
    """Mend what can be mended, under the writer's lock, and return what was done.

    Raises
    ------
    LakeError
        If a repair cannot be written.
    """
    done = []
    with writer_lock(location, "whatif doctor --repair"):
        for finding in findings:
            if finding.repair is not None:
                try:
                    done.append(finding.repair())
                except OSError as error:
                    raise LakeError(f"{finding.where}: the repair could not be written: {error}") from error
    return done


def _home_findings(location: LakeLocation) -> Iterator[Finding]:
    home = location.home
    if not os.access(home, os.W_OK | os.X_OK):
        yield Finding(
            str(home), "this user may not write to the folder", f"let its owner run: chmod u+rwx {home}"
        )
    for path in (location.warehouse, location.warehouse / location.namespace):
        if path.exists() and not path.is_dir():
            yield Finding(
                str(path),
                "it should be the folder of the tables, and is a file",
                "it is set aside, and the lake begins anew",
                partial(_set_aside, location, path),
            )
            return
    free = shutil.disk_usage(home).free
    if free < MIN_FREE_BYTES:
        yield Finding(
            str(home), f"the disk has {free / 1024**2:,.0f} MB left", "make room before the next run"
        )
    database = home / "mlflow.db"
    fault = _database_fault(database) if database.exists() else ""
    if fault:
        yield Finding(
            str(database),
            fault,
            "it is set aside, and MLflow begins a new one; results are in the lake and stay",
            lambda: _set_aside(location, database),
        )


def _database_fault(path: Path) -> str:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2.0)) as connection:
            said = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        return "" if "locked" in str(error) else f"MLflow's database cannot be opened: {error}"
    except sqlite3.DatabaseError as error:
        return f"MLflow's database is damaged: {error}"
    return "" if said == ("ok",) else f"MLflow's database is damaged: {said[0]}"


def _table_findings(location: LakeLocation, folder: Path) -> Iterator[Finding]:
    name, versions = folder.name, versions_in(folder)
    if not versions:
        if has_data(folder):
            yield Finding(
                name,
                "no metadata file is left, though there are data",
                f"the table is set aside and begins anew; {_lost(name)}",
                lambda: _set_aside(location, folder),
            )
        return
    opened, unreadable = _newest_readable(folder, versions)
    if opened is None:
        yield Finding(
            name,
            f"none of its {len(versions)} metadata files can be read",
            f"the table is set aside and begins anew; {_lost(name)}",
            lambda: _set_aside(location, folder),
        )
        return
    version = max(set(versions) - set(unreadable))
    if unreadable:
        names = ", ".join(metadata_path(folder, v).name for v in unreadable)
        yield Finding(
            name,
            f"metadata {names} cannot be read",
            f"it is set aside, and the table goes on from v{version}; {_lost(name)}",
            lambda: _go_on_from(location, folder, version, unreadable),
        )
    hinted = hinted_version(folder)
    if not unreadable and (hinted is None or hinted not in versions):
        yield Finding(
            name,
            f"its version hint names {'nothing' if hinted is None else f'v{hinted}, which is not there'}",
            f"the hint is written anew: v{version}",
            lambda: _mend_hint(folder, version),
        )
    yield from _clock_findings(folder, opened)
    yield from _file_findings(location, folder, opened)


def _newest_readable(folder: Path, versions: list[int]) -> tuple[StaticTable | None, list[int]]:
    """Return the table by its newest metadata that can be read, and the newer versions that cannot."""
    unreadable: list[int] = []
    for version in reversed(versions):
        try:
            return load_table(folder.name, str(metadata_path(folder, version))), unreadable
        except LakeError:
            unreadable.append(version)
    return None, unreadable


def _clock_findings(folder: Path, opened: StaticTable) -> Iterator[Finding]:
    ahead = opened.metadata.last_updated_ms - int(time.time() * 1000)
    if ahead > CLOCK_TOLERANCE_MS:
        until = time_of_ms(opened.metadata.last_updated_ms)
        yield Finding(
            folder.name,
            f"it was last written by a clock that was ahead, and cannot be written before {until:%F %T} UTC",
            "times after now are set to now; no row changes",
            lambda: _set_clock(folder),
        )


def _file_findings(location: LakeLocation, folder: Path, opened: StaticTable) -> Iterator[Finding]:
    name, snapshot = folder.name, opened.current_snapshot()
    if snapshot is None:
        return
    if old := moved_from(opened.metadata):
        yield Finding(
            name,
            old,
            "paths in its metadata are written for this folder; no row changes",
            lambda: _readdress(folder),
        )
        return
    named = local_path(opened.metadata.location)
    if named is not None and named.resolve() != folder.resolve() and (named / "metadata" / HINT).is_file():
        yield Finding(
            name,
            f"it is a copy of {named}, whose files it reads, and where it would write",
            "paths in its metadata are written for this folder; no row changes",
            lambda: _readdress(folder),
        )
        return
    damage = list(snapshot_damage(opened.io, snapshot))
    if not damage:
        return
    whole = newest_whole(opened.metadata, opened.io, snapshot)
    if whole is None:
        yield Finding(
            name,
            _named(damage),
            f"no older snapshot does without it: the table is set aside and begins anew; {_lost(name)}",
            lambda: _set_aside(location, folder),
        )
        return
    yield Finding(
        name,
        _named(damage),
        f"the table goes back to {described(whole)}; {_lost(name)}",
        lambda: _restore(location, folder, whole),
    )


def _readdress(folder: Path) -> str:
    old = load_table(folder.name, str(metadata_path(folder, max(versions_in(folder))))).metadata.location
    count = readdress(folder, old)
    return f"{folder.name}: {count:,} files of its metadata name {folder} now"


def _service_findings(location: LakeLocation) -> Iterator[Finding]:
    """Yield damaged files of a catalog service's tables; going back is the catalog's matter."""
    for name in REBUILT:
        if not table_exists(location, name):
            continue
        opened: Table = open_table(location, name)
        snapshot = opened.current_snapshot()
        damage = [] if snapshot is None else list(snapshot_damage(opened.io, snapshot))
        if not damage or snapshot is None:
            continue
        whole = newest_whole(opened.metadata, opened.io, snapshot)
        if whole is None:
            remedy = f"no older snapshot does without it: drop the table; {_lost(name)}"
        else:
            remedy = (
                f"go back to {described(whole)} by Spark SQL: CALL {location.catalog}.system."
                f"rollback_to_snapshot('{location.namespace}.{name}', {whole.snapshot_id}); {_lost(name)}"
            )
        yield Finding(name, _named(damage), remedy)


def _named(damage: list[Damage]) -> str:
    shown = "; ".join(f"{one.file} {one.fault}" for one in damage[:SHOWN])
    return shown + (f"; and {len(damage) - SHOWN:,} more files" if len(damage) > SHOWN else "")


def _lost(table: str) -> str:
    if table.startswith("features_"):
        return "the next run computes the features again"
    return REBUILT.get(table, "what came later is lost")


def _aside(location: LakeLocation, path: Path) -> Path:
    """Return a name in the folder of damaged files that nothing has yet."""
    folder = location.home / "damaged"
    folder.mkdir(exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    target = folder / f"{stamp}-{path.name}"
    number = 1
    while target.exists():
        number += 1
        target = folder / f"{stamp}-{number}-{path.name}"
    return target


def _set_aside(location: LakeLocation, path: Path) -> str:
    target = _aside(location, path)
    path.rename(target)
    return f"{path.name}: set aside as {target}"


def _mend_hint(folder: Path, version: int) -> str:
    set_hint(folder, version)
    return f"{folder.name}: version hint set to v{version}"


def _go_on_from(location: LakeLocation, folder: Path, version: int, unreadable: list[int]) -> str:
    for bad in unreadable:
        path = metadata_path(folder, bad)
        path.rename(_aside(location, path))
        path.with_name(f".{path.name}.crc").unlink(missing_ok=True)
    set_hint(folder, version)
    return f"{folder.name}: goes on from v{version}"


def _set_clock(folder: Path) -> str:
    now = int(time.time() * 1000)
    version = write_next(folder, lambda metadata: by_this_clock(metadata, now))
    return f"{folder.name}: times after now set to now in v{version}"


def _restore(location: LakeLocation, folder: Path, whole: Snapshot) -> str:
    version = write_next(folder, lambda metadata: at_snapshot(metadata, whole.snapshot_id))
    done = f"{folder.name}: back at {described(whole)} as v{version}"
    if folder.name == "returns":
        done += _results_back_to(location, whole.timestamp_ms)
    return done


def _results_back_to(location: LakeLocation, moment_ms: int) -> str:
    """Let `results` go back to what it was when `returns` were whole, so that both are computed again."""
    folder = location.table_folder("results")
    opened = open_table(location, "results")
    snapshot = opened.current_snapshot()
    while snapshot is not None and snapshot.timestamp_ms > moment_ms:
        parent = snapshot.parent_snapshot_id
        snapshot = None if parent is None else opened.snapshot_by_id(parent)
    if snapshot is None:
        return "; " + _set_aside(location, folder)
    if snapshot == opened.current_snapshot():
        return ""
    back = snapshot.snapshot_id
    write_next(folder, lambda metadata: at_snapshot(metadata, back))
    return f"; results: back at {described(snapshot)}"
