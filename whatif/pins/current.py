"""Pins of a table's current snapshot, or of the one at a moment, without a JVM."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from whatif.errors import LakeError, nearest
from whatif.pins.adjust import ACTIONS
from whatif.pins.location import LakeLocation, catalog_properties
from whatif.pins.manifests import files_of
from whatif.pins.metadata import holds_anything, load_table, newest_metadata, time_of_ms
from whatif.pins.pin import ADJUSTMENTS, FOLLOWED, Adjustment, Pin
from whatif.pins.renames import RENAMES
from whatif.pins.service import in_words

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table


def current_pin(location: LakeLocation, table: str, as_of: datetime | None = None) -> Pin:
    """Return the pin of a table's latest snapshot, or of the latest not after `as_of`.

    Parameters
    ----------
    location : LakeLocation
        Where the lake is.
    table : str
        Name of the table, such as "bars".
    as_of : datetime, optional
        A moment with a time zone.

    Raises
    ------
    LakeError
        If the table does not exist, is empty, has nothing that old, or `as_of` has no time zone.
    """
    opened = open_table(location, table)
    if as_of is None:
        snapshot = opened.current_snapshot()
        if snapshot is None:
            raise LakeError(f"table {table} has no rows yet: write to it first ('whatif ingest' for bars)")
        return Pin(table, snapshot.snapshot_id, opened.metadata_location)
    return Pin(table, _snapshot_at(opened, table, as_of), opened.metadata_location)


def pin_at(location: LakeLocation, table: str, text: str) -> Pin:
    """Return the pin that a text names: a tag, the number of a snapshot, or a moment or date, UTC.

    Raises
    ------
    LakeError
        If it is none of these, or the table has no snapshot that old.
    """
    tagged = tagged_pin(location, table, text)
    if tagged is not None:
        return tagged
    opened = open_table(location, table)
    if text.isdecimal() and len(text) != len("20240301"):
        if opened.snapshot_by_id(int(text)) is not None:
            return Pin(table, int(text), opened.metadata_location)
        known = [str(one.snapshot_id) for one in opened.metadata.snapshots]
        raise LakeError(f"as_of {text}: table {table} has no such snapshot: {nearest(text, known)}")
    moment = moment_of(text)
    if moment is None:
        raise LakeError(
            f"as_of {text!r} is no tag of table {table}, no number of a snapshot and no moment: write one "
            f"such as 2024-03-01T00:00Z; {nearest(text, list(opened.metadata.refs))}"
        )
    return current_pin(location, table, moment)


def moment_of(text: str) -> datetime | None:
    """Return the moment that ISO 8601 text names, tz-aware; UTC where it names no zone; None if none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def adjusted_pin(
    location: LakeLocation, pin: Pin, mode: str, tag: str = "", as_of: datetime | None = None
) -> Pin:
    """Return a pin of bars that are adjusted where they are read.

    Parameters
    ----------
    location : LakeLocation
        Where the lake is.
    pin : Pin
        Of the bars.
    mode : str
        "none", "splits" or "all".
    tag : str
        Of the table of actions: the snapshot that it names is taken, if it is there; else the newest.
    as_of : datetime, optional
        Take the actions as they were known then; tz-aware.

    Raises
    ------
    LakeError
        If the mode is none of these, or the lake holds no actions.
    """
    if mode not in ADJUSTMENTS:
        raise LakeError(f"adjust {mode!r} is unknown: {nearest(mode, ADJUSTMENTS)}")
    if mode == "none":
        return pin
    if not has_rows(location, ACTIONS):
        raise LakeError(
            f"adjust {mode}: the lake holds no splits and dividends: 'whatif ingest-actions FILE' brings "
            "them, or adjust none takes prices as traded"
        )
    return replace(pin, adjustment=Adjustment(mode, _tagged_or_newest(location, ACTIONS, tag, as_of)))


def renamed_pin(
    location: LakeLocation, pin: Pin, mode: str, tag: str = "", as_of: datetime | None = None
) -> Pin:
    """Return a pin of bars that are joined under one symbol where it changed, as they are read.

    Parameters
    ----------
    location : LakeLocation
        Where the lake is.
    pin : Pin
        Of the bars.
    mode : str
        "none" or "follow".
    tag, as_of
        Which snapshot of the names is taken, as in `adjusted_pin`.

    Raises
    ------
    LakeError
        If the mode is neither, or the lake holds no names.
    """
    if mode not in FOLLOWED:
        raise LakeError(f"renames {mode!r} is unknown: {nearest(mode, FOLLOWED)}")
    if mode == "none":
        return pin
    if not has_rows(location, RENAMES):
        raise LakeError(
            "renames follow: the lake holds no names that securities had: 'whatif ingest-actions FOLDER' "
            "brings Lean's map files, or renames none takes bars by their names alone"
        )
    return replace(pin, renames=_tagged_or_newest(location, RENAMES, tag, as_of))


def _tagged_or_newest(location: LakeLocation, table: str, tag: str, as_of: datetime | None) -> Pin:
    """Return the snapshot that a tag names, if it is there; else the newest, or that of a moment."""
    kept = tagged_pin(location, table, tag) if tag else None
    return kept or current_pin(location, table, as_of)


DELIVERY_ID = "%Y%m%d-%H%M%S-%f"
"""How a delivery's id tells when it came, UTC."""


EXTENDS = "whatif.extends"
"""Snapshot property: the snapshot whose rows stay beside those that this one has written."""


def find_pin(location: LakeLocation, table: str, properties: dict[str, str]) -> Pin | None:
    """Return the newest snapshot whose summary holds all `properties`, or None.

    Derived tables note there what they were built from, such as `whatif.bars-snapshot`. One that extends
    another snapshot than it follows does not count: on a catalog service another writer came between.
    """
    opened = open_table(location, table)
    for snapshot in sorted(opened.metadata.snapshots, key=lambda s: s.sequence_number or 0, reverse=True):
        summary = snapshot.summary.additional_properties if snapshot.summary else {}
        follows = summary.get(EXTENDS, str(snapshot.parent_snapshot_id)) == str(snapshot.parent_snapshot_id)
        if follows and all(summary.get(key) == value for key, value in properties.items()):
            return Pin(table, snapshot.snapshot_id, opened.metadata_location)
    return None


def table_exists(location: LakeLocation, table: str) -> bool:
    """Tell whether a table exists, without a JVM."""
    if location.local:
        return newest_metadata(location.table_folder(table)) is not None
    with in_words(location.described):
        return bool(_catalog(location).table_exists((location.namespace, table)))


def has_rows(location: LakeLocation, table: str) -> bool:
    """Return whether a table exists and something was ever written to it."""
    return table_exists(location, table) and open_table(location, table).current_snapshot() is not None


def may_hold(location: LakeLocation, table: str, rows: BooleanExpression) -> bool:
    """Return whether some file of a table may hold rows that pass a filter, by what its metadata says."""
    opened = open_table(location, table)
    return opened.current_snapshot() is not None and any(files_of(opened.scan(row_filter=rows)))


def open_table(location: LakeLocation, table: str) -> Table:
    """Return PyIceberg's view of a table as it stands now.

    Raises
    ------
    LakeError
        If there is no such table; its message names the nearest one there is.
    LakeDamagedError
        If there is one, and its metadata cannot be read.
    """
    from pyiceberg.exceptions import NoSuchTableError

    if not location.local:
        try:
            with in_words(location.described):
                return _catalog(location).load_table((location.namespace, table))
        except NoSuchTableError as error:
            raise _missing(location, table) from error
    metadata = newest_metadata(location.table_folder(table))
    if metadata is None:
        raise _missing(location, table)
    return load_table(table, str(metadata))


def _catalog(location: LakeLocation) -> Catalog:
    from pyiceberg.catalog import load_catalog

    return load_catalog(location.catalog, **catalog_properties())


def _snapshot_at(opened: Table, table: str, as_of: datetime) -> int:
    if as_of.tzinfo is None:
        raise LakeError(f"as_of {as_of} has no time zone: give a time such as {as_of.isoformat()}+00:00")
    moment = as_of.timestamp() * 1000
    written = written_at(opened)
    past = [at for at in written if at[0] <= moment]
    if not past:
        first = time_of_ms(min(written)[0]).isoformat() if written else "never"
        raise LakeError(
            f"table {table} had no snapshot at {as_of.isoformat()}: its first was written {first}, "
            "and as_of is when rows were written, not what they are dated; ask for a later time"
        )
    return max(past, key=lambda at: at[0])[1]


def written_at(opened: Table) -> list[tuple[int, int]]:
    """Return when each snapshot that is left became the table, milliseconds UTC, and its number.

    Iceberg's own expire_snapshots clears the log before whatever it drops: snapshots that stay and are older
    than the log stood there too. They did if what the log begins with had one before it.
    """
    logged = [(entry.timestamp_ms, entry.snapshot_id) for entry in opened.history()]
    first = opened.snapshot_by_id(logged[0][1]) if logged else None
    if first is None or first.parent_snapshot_id is None:
        return logged
    began = logged[0][0]
    older = [(one.timestamp_ms, one.snapshot_id) for one in opened.metadata.snapshots]
    return [one for one in older if one[0] < began] + logged


def _missing(location: LakeLocation, table: str) -> LakeError:
    where = str(location.warehouse) if location.local else location.described
    names = table_names(location)
    hint = "ingest bars first (whatif ingest)" if table == "bars" or not names else nearest(table, names)
    return LakeError(f"table {location.namespace}.{table} does not exist in {where}: {hint}")


def table_names(location: LakeLocation) -> list[str]:
    """Return the names of the tables that there are, in order, without a JVM."""
    if location.local:
        folder = location.warehouse / location.namespace
        return sorted(p.name for p in folder.glob("*") if holds_anything(p))
    from pyiceberg.exceptions import NoSuchNamespaceError

    try:
        with in_words(location.described):
            return sorted(name[-1] for name in _catalog(location).list_tables(location.namespace))
    except NoSuchNamespaceError:
        return []


def tagged_pin(location: LakeLocation, table: str, tag: str) -> Pin | None:
    """Return the snapshot that a tag of the table names, or None if there is no such tag."""
    opened = open_table(location, table)
    reference = opened.metadata.refs.get(tag)
    if reference is None:
        return None
    return Pin(table, reference.snapshot_id, opened.metadata_location)
