"""News into the lake: items of sentiment, and how symbols are related, from files."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from whatif.errors import SourceError
from whatif.lake import (
    BARS_QUARANTINE,
    NEWS_RELATIONS,
    NEWS_SENTIMENT,
    TableSpec,
    create_tables,
    rows_without,
    upsert,
    upsert_arrow,
    writer_lock,
)
from whatif.pins import LakeLocation, current_pin, has_rows, in_words, read_arrow, schema_of
from whatif.sources.base import Source
from whatif.sources.files import find_files
from whatif.sources.limits import ACCEPT, exceeds
from whatif.sources.news_layouts import (
    ENDINGS,
    NEWS_RULES,
    Item,
    are_relations,
    items_of,
    read_file,
    relations_of,
)
from whatif.sources.zones import check_timezone

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REFUSED_SHARE = 0.01
"""Share of the items that may be refused before all of them are."""


@dataclass(frozen=True)
class NewsReport:
    """What came of an ingest of news.

    Attributes
    ----------
    files : int
        Files that were read.
    came : int
        Items in them: the sum of `landed`, `already_there`, `corrected` and the refused.
    landed, already_there, corrected : int
        New ones, those that the lake holds with the same values, and with others.
    refused : mapping of str to int
        Rule → items in quarantine for breaking it.
    relations : int
        Peers and sectors that are new, or whose end is.
    symbols : int
        Symbols of the items.
    dry_run : bool
        Whether nothing was written.
    """

    files: int
    came: int = 0
    landed: int = 0
    already_there: int = 0
    corrected: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    relations: int = 0
    symbols: int = 0
    dry_run: bool = False

    def summary(self) -> str:
        """Return the figures as text for a terminal."""
        would = "would land" if self.dry_run else "landed"
        lines = [
            f"{self.files:,} file{'s' * (self.files != 1)}, {self.came:,} items of {self.symbols:,} symbols "
            f"came: {self.landed:,} {would}, {self.already_there:,} already there, {self.corrected:,} "
            f"corrected, {sum(self.refused.values()):,} refused; {self.relations:,} relations {would}"
        ]
        lines += [f"  {count:>10,} {rule} (rule: {NEWS_RULES[rule]})" for rule, count in self.refused.items()]
        return "\n".join([*lines, *(["dry run: nothing was written"] if self.dry_run else [])])


def ingest_news(
    paths: Sequence[str | Path] | Source,
    location: LakeLocation | None = None,
    spark: SparkSession | None = None,
    timezone: str = "UTC",
    accept: bool = False,
    dry_run: bool = False,
) -> NewsReport:
    """Read news, and how symbols are related, into the lake. The same files twice add nothing.

    Parameters
    ----------
    paths : sequence of str or Path, or Source
        A source that has news; or files, folders, globs or URIs of JSON, JSON lines and CSV: items in the
        layout of Alpha Vantage's NEWS_SENTIMENT or with the table's own columns; relations with symbol, from,
        to, and peer or sector.
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.
    spark : SparkSession, optional
        Writes, where tables are in a catalog service; a local lake needs none.
    timezone : str
        IANA zone of stamps that say none.
    accept : bool
        Take files of which more than 1 % is refused.
    dry_run : bool
        Say what would come of it and write nothing.

    Raises
    ------
    SourceError
        If a file cannot be read, or too much of it is refused; nothing has been written then.
    LakeLockedError
        If another process is writing to the lake.
    """
    location = location or LakeLocation.from_environment()
    check_timezone(timezone)
    now = datetime.now(UTC)
    if isinstance(paths, Source):
        if timezone != "UTC":
            raise SourceError(f"--timezone is for files: source {paths.label!r} tells its stamps in UTC")
        pages = list(paths.news())
        files: Sequence[str] = [name for name, _ in pages] or [paths.label]
        items = [item for name, page in pages for item in items_of(name, page, timezone, now)]
        relations: list[dict[str, Any]] = []
    else:
        files = find_files(paths, endings=ENDINGS, what="news")
        items, relations = _read(files, timezone, now)
    kept, refused = _judged(items)
    count = Counter(item.rule for item in refused)
    if not accept and (exceeds(len(refused), len(items), REFUSED_SHARE) or (items and not kept and refused)):
        raise SourceError(
            f"the news are refused: {len(refused):,} of {len(items):,} items break a rule (at most "
            f"{REFUSED_SHARE:.0%} may): "
            + "; ".join(f"{n:,} {rule} (rule: {NEWS_RULES[rule]})" for rule, n in count.items())
            + f"; the first is {refused[0].raw}\nnothing was written: mend the files, or {ACCEPT}"
        )
    lock = writer_lock(location, f"ingest of news, {len(files)} files, first {files[0]}")
    with nullcontext() if dry_run else lock, in_words(location.described):
        given = _stamped([dict(item.values) for item in kept], now)
        new, changed = changes_of(location, NEWS_SENTIMENT, table_of(NEWS_SENTIMENT, given))
        related = pa.concat_tables(
            changes_of(location, NEWS_RELATIONS, table_of(NEWS_RELATIONS, _stamped(relations, now)))
        )
        if not dry_run:
            merge_rows(location, spark, NEWS_SENTIMENT, pa.concat_tables([new, changed]))
            merge_rows(location, spark, NEWS_RELATIONS, related)
            broken = changes_of(
                location, BARS_QUARANTINE, table_of(BARS_QUARANTINE, _quarantined(refused, now))
            )
            merge_rows(location, spark, BARS_QUARANTINE, pa.concat_tables(broken))
    return NewsReport(
        files=len(files),
        came=len(items),
        landed=new.num_rows,
        already_there=len(items) - len(refused) - new.num_rows - changed.num_rows,
        corrected=changed.num_rows,
        refused=dict(count),
        relations=related.num_rows,
        symbols=len({item.values["symbol"] for item in kept}),
        dry_run=dry_run,
    )


def _read(files: Sequence[str], timezone: str, now: datetime) -> tuple[list[Item], list[dict[str, Any]]]:
    """Return the items and the relations of files, in their order."""
    items: list[Item] = []
    relations: dict[tuple[Any, ...], dict[str, Any]] = {}
    for path in files:
        entries = read_file(path)
        if are_relations(entries):
            relations |= {_key(NEWS_RELATIONS, row): row for row in relations_of(path, entries)}
        else:
            items += items_of(path, entries, timezone, now)
    return items, list(relations.values())


def _key(table: TableSpec, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in table.key)


def _judged(items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """Return the items that stay, each once, and those that are refused.

    Of several with other values the last file's stays, and in it the first; one that says the same is left
    out, as pages of a service that overlap do.
    """
    refused = [item for item in items if item.rule]
    kept: dict[tuple[Any, ...], Item] = {}
    for item in items:
        key = () if item.rule else _key(NEWS_SENTIMENT, item.values)
        before = kept.get(key)
        if item.rule or (before is not None and before.values == item.values):
            continue
        loser = None if before is None else item if before.file == item.file else before
        if loser is not item:
            kept[key] = item
        if loser is not None:
            refused.append(Item(loser.file, loser.row, loser.raw, loser.values, "duplicate"))
    return list(kept.values()), refused


def _stamped(rows: Sequence[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    return [{**row, "ingested_at": now} for row in rows]


def _quarantined(items: Sequence[Item], now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "source": item.file, "row": item.row, "symbol": item.values["symbol"],
            "ts": item.values["published_at"], "raw": item.raw, "rule": item.rule, "ingested_at": now,
        }
        for item in items
    ]  # fmt: skip


def table_of(spec: TableSpec, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows with a table's columns; null where one has none."""
    schema = schema_of(dict(spec.columns))
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema)


def changes_of(
    location: LakeLocation, spec: TableSpec, rows: pa.Table, held: pa.Table | None = None
) -> tuple[pa.Table, pa.Table]:
    """Return the rows that a table does not hold, and those that it holds with other values.

    Parameters
    ----------
    location, spec
        The lake and its table.
    rows : pa.Table
        Columns of the table, its key among them; no key comes twice.
    held : pa.Table, optional
        Columns to compare, of the table's rows that may have these keys, as `rows` has them; if left out, all
        rows, and all columns but when they came.
    """
    nothing = rows.slice(0, 0)
    if not rows.num_rows or not has_rows(location, spec.name):
        return rows, nothing
    if held is None:
        names = [name for name in spec.column_names if name != "ingested_at"]
        held = read_arrow(current_pin(location, spec.name), names).cast(rows.select(names).schema)
    held, names = _comparable(held), held.column_names
    given = _comparable(rows.select(names)).append_column("at", pa.array(np.arange(rows.num_rows)))
    other = rows_without(given, held)
    new = rows_without(other, held.select(list(spec.key))) if other.num_rows else other
    changed = rows_without(other, new.select(["at"])) if new.num_rows else other
    return rows.take(new["at"]), rows.take(changed["at"])


def _comparable(rows: pa.Table) -> pa.Table:
    """Return rows with a value in the place of each null, which a join takes for no other null."""
    blanks = {pa.string(): "\0", pa.float64(): math.nan, pa.int64(): -1, pa.date32(): date.max}
    for k, one in enumerate(rows.schema):
        if rows[k].null_count:
            blank = blanks.get(one.type, datetime.min.replace(tzinfo=UTC))
            rows = rows.set_column(k, one.name, rows[k].fill_null(pa.scalar(blank, one.type)))
    return rows


def merge_rows(location: LakeLocation, spark: SparkSession | None, spec: TableSpec, rows: pa.Table) -> None:
    """Put rows in the place of those of the same keys, and insert the others, in one commit."""
    if not rows.num_rows:
        return
    create_tables(spark, location, (spec,))
    if spark is None or location.local:
        upsert_arrow(location, spec, rows)
        return
    compared = [name for name in spec.column_names if name not in (*spec.key, "ingested_at")]
    frame = spark.createDataFrame(rows.to_pylist(), spec.ddl)
    upsert(spark, location, spec, frame, compared)
