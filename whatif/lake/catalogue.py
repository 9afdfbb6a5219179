"""What people say of symbols and of sources: description, owner, asset class, tags, licence.

An entry is of a symbol, or of a source: a file, or a folder of files, that bars came from. A symbol has what
its own entry says, and of what that leaves open what those of its sources say. Reading starts no JVM.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from whatif.errors import LakeError, nearest
from whatif.lake.deliveries import is_file, sources_of
from whatif.lake.processes import user_name
from whatif.lake.tables import CATALOGUE
from whatif.pins import LakeLocation, Pin, batches, current_pin, everything, has_rows, read_arrow
from whatif.texts import hidden_character, shown

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MOST_SIGNS, MOST_SIGNS_OF_TAG, MOST_TAGS = 2_000, 60, 50
"""Characters of a text and of a tag, and tags of an entry."""

TEXTS = ("description", "owner", "asset_class", "licence")


@dataclass(frozen=True)
class About:
    """What is said of a symbol or a source; "" and no tags where nothing is.

    Attributes
    ----------
    description, owner, licence : str
        For people.
    asset_class : str
        Such as "equity".
    tags : tuple of str
        In order of text; what `whatif bars --tag` finds, as it does an asset class.
    """

    description: str = ""
    owner: str = ""
    asset_class: str = ""
    licence: str = ""
    tags: tuple[str, ...] = ()

    def over(self, other: About) -> About:
        """Return what is said here, and of what is not, what the other says; tags of both."""
        said = {name: getattr(self, name) or getattr(other, name) for name in TEXTS}
        return About(**said, tags=tuple(sorted({*self.tags, *other.tags})))

    def has(self, tag: str) -> bool:
        """Tell whether a tag, or the asset class, is this; small and capital letters are one."""
        return tag.casefold() in {one.casefold() for one in (*self.tags, self.asset_class) if one}

    def line(self) -> str:
        """Return it as a line for a terminal; "" where nothing is said."""
        parts = [self.description, self.asset_class, *(f"#{tag}" for tag in self.tags)]
        parts += [f"owner {self.owner}"] if self.owner else []
        parts += [f"licence {self.licence}"] if self.licence else []
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Catalogue:
    """All entries.

    Attributes
    ----------
    symbols, sources : mapping of str to About
        By symbol, and by file or folder.
    """

    symbols: Mapping[str, About]
    sources: Mapping[str, About]

    def of(self, symbol: str, files: Iterable[str] = ()) -> About:
        """Return what is said of a symbol whose bars came from some files, the longest path's entry first."""
        about = self.symbols.get(symbol, About())
        named = {name for name in self.sources for file in files if is_file(file, name)}
        for name in sorted(named, key=lambda name: (-len(name), name)):
            about = about.over(self.sources[name])
        return about


def catalogue(location: LakeLocation) -> Catalogue:
    """Return all that is said; nothing, if nobody said anything."""
    found: dict[str, dict[str, About]] = {"symbol": {}, "source": {}}
    if has_rows(location, CATALOGUE.name):
        names = ["kind", "name", *TEXTS, "tags"]
        for row in read_arrow(current_pin(location, CATALOGUE.name), names).to_pylist():
            texts = {name: row[name] or "" for name in TEXTS}
            found[row["kind"]][row["name"]] = About(**texts, tags=tuple(row["tags"] or ()))
    return Catalogue(found["symbol"], found["source"])


def files_by_symbol(pin: Pin) -> dict[str, set[str]]:
    """Return the files that each symbol's bars came from."""
    found: dict[str, set[str]] = {}
    for batch in batches(pin, ("symbol", "source"), everything()):
        rows = pa.Table.from_batches([batch]).group_by(["symbol", "source"], use_threads=False).aggregate([])
        for row in rows.to_pylist():
            found.setdefault(row["symbol"], set()).add(row["source"])
    return found


def describe(
    location: LakeLocation,
    symbols: Sequence[str] = (),
    source: str | None = None,
    said: Mapping[str, str] | None = None,
    tags: Collection[str] = (),
    untag: Collection[str] = (),
    spark: SparkSession | None = None,
) -> Mapping[str, About]:
    """Say something of symbols, or of a source, in one commit; what is not given stays as it is.

    Parameters
    ----------
    location : LakeLocation
        Where the lake is.
    symbols : sequence of str
        Symbols of which the lake holds bars.
    source : str, optional
        A file that bars came from, or a folder of such, in place of symbols.
    said : mapping of str to str
        Any of `description owner asset_class licence`; an empty text takes away what was said.
    tags, untag : collection of str
        Tags to add, and to take away.
    spark : SparkSession, optional
        The session, which only a catalog service needs.

    Returns
    -------
    mapping of str to About
        What each entry says now.

    Raises
    ------
    LakeError
        If the lake holds no bars of a symbol, or from the source; a text or tag is too long, or not seen
        whole; a tag to take away is not there; nothing is said.
    LakeLockedError
        If another process is writing.
    """
    # who lists bars writes nothing, and need not wait for what can
    from whatif.lake.create import create_tables
    from whatif.lake.lock import writer_lock
    from whatif.lake.write import upsert, upsert_arrow

    given = {name: text.strip() for name, text in (said or {}).items()}
    _check_said(given, tags, untag, bool(symbols), source)
    kind = "symbol" if source is None else "source"
    names = tuple(dict.fromkeys(symbols)) if source is None else (source.rstrip("/"),)
    _check_names(location, names, source)
    # what is said is read and written as one, so that nobody's words are lost who speaks meanwhile
    with writer_lock(location, f"describe {names[0]}"):
        create_tables(spark, location, [CATALOGUE])
        known = catalogue(location)
        before = known.symbols if source is None else known.sources
        now = {}
        for name in names:
            about = before.get(name, About())
            if absent := sorted(set(untag) - set(about.tags)):
                has = f"its tags are {', '.join(about.tags)}" if about.tags else "it has none"
                raise LakeError(f"{shown(name)} has no tag {', '.join(map(shown, absent))}: {has}")
            own = ({*about.tags, *tags}) - set(untag)
            if len(own) > MOST_TAGS:
                raise LakeError(f"{name} would have {len(own)} tags, more than {MOST_TAGS}: --untag some")
            now[name] = replace(about, **given, tags=tuple(sorted(own)))
        stamp = {"updated_at": datetime.now(UTC), "updated_by": user_name()}
        rows = [
            {"kind": kind, "name": name, **asdict(about), "tags": list(about.tags), **stamp}
            for name, about in now.items()
        ]
        if spark is None or location.local:
            upsert_arrow(location, CATALOGUE, pa.Table.from_pylist(rows, schema=_SCHEMA))
        else:
            frame = spark.createDataFrame(rows, CATALOGUE.ddl)
            upsert(spark, location, CATALOGUE, frame, (*TEXTS, "tags"))
    return now


_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("kind", "name", *TEXTS)),
        ("tags", pa.list_(pa.string())),
        ("updated_at", pa.timestamp("us", "UTC")),
        ("updated_by", pa.string()),
    ]
)


def _check_said(
    given: Mapping[str, str], tags: Collection[str], untag: Collection[str], symbols: bool, source: str | None
) -> None:
    if symbols == (source is not None):
        raise LakeError("name symbols, or --source FILE or folder, and not both")
    for name in given:
        if name not in TEXTS:
            raise LakeError(f"{name!r} is nothing that can be said of bars: {nearest(name, TEXTS)}")
    if not given and not tags and not untag:
        raise LakeError("nothing is said: give --description, --owner, --asset-class, --licence, --tag")
    for text, most in (*((t, MOST_SIGNS) for t in given.values()), *((t, MOST_SIGNS_OF_TAG) for t in tags)):
        if len(text) > most or hidden_character(text):
            raise LakeError(f"{shown(text)}: write at most {most:,} characters, in one line, that are seen")
    for tag in tags:
        if not tag.strip() or "," in tag or tag != tag.strip():
            raise LakeError(f"tag {shown(tag)}: write one word, or some, without commas; --tag for each")


def _check_names(location: LakeLocation, names: Sequence[str], source: str | None) -> None:
    if not has_rows(location, "bars"):
        raise LakeError(f"{location.described} has no bars to describe: run 'whatif ingest' first")
    if source is not None:
        sources_of(location, source)
        return
    held: set[str] = set()
    for batch in batches(current_pin(location, "bars"), ("symbol",), everything()):
        held |= set(batch.column("symbol").unique().to_pylist())
    for name in names:
        if name not in held:
            raise LakeError(f"the lake holds no bars of {shown(name)}: {nearest(name, sorted(held))}")
