"""Ingestion of bars into the lake, from files or from any other source.

Options, as `whatif ingest` and `jobs/ingest_bars.py` take them: paths (files, folders, globs),
`--format`, `--symbol`, `--exchange`, `--timezone`, `--timeframe`, `--stamps start|end`,
`--map ts=Date+Time` (any number), `--columns a,b,c`, `--delimiter`, `--time-format`, `--decimal`,
`--thousands`, `--symbol-from file`, `--layout`, `--skip`, `--shift`, `--ambiguous order`, `--price-unit`,
`--units`, `--allow-nonpositive`, `--accept`, `--dry-run`, `--audit`, `--explain`; see `IngestSpec` for what
each means.
In place of paths a source may be named (`my_sources:Service`), with `--option NAME=VALUE` for each of its
own settings.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from whatif.errors import SourceError
from whatif.lake import BARS, DeliveryNote, delivery_id, maintain_bars, writer_lock
from whatif.pins import LakeLocation, in_words, open_table, table_exists
from whatif.report import Wait, quiet
from whatif.sources import (
    RULES,
    Concluded,
    FetchedFiles,
    IngestSpec,
    LocalDelivery,
    Part,
    RowGroup,
    Source,
    SparkDelivery,
    StagedDelivery,
    TooManyRowsError,
    check_symbol,
    checkpoints_of,
    digest_of_parts,
    file_parts,
    land,
    looked_at,
    read_file,
    seen_of,
    size_of_part,
    source_parts,
    store_checkpoints,
    try_first,
)
from whatif.workflow.deliveries import delivery_faults, refused_delivery, told_rows
from whatif.workflow.where import check_runner, reason_for_spark, runner_asked

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


MAX_LOCAL_ROWS = 12_000_000
"""Rows of a delivery that this process holds, some 150 bytes each; more are left to Spark."""

MAX_LOCAL_BYTES = 40 * MAX_LOCAL_ROWS
"""Files, unpacked, that may have so many rows: a minute of a symbol takes 40 to 80 bytes as text."""


@dataclass(frozen=True)
class IngestReport:
    """What came of an ingest.

    Attributes
    ----------
    files : int
        Files, or other parts of a source, that were read.
    came : int
        Rows in them: the sum of `landed`, `already_there`, `corrected` and the refused.
    landed : int
        New bars.
    already_there : int
        Bars that the lake holds with the same values.
    corrected : int
        Bars that the lake held with other values.
    refused : mapping of str to int
        Rule → rows in quarantine for breaking it.
    removed : int
        Bars of the lake that went, since they lay in the delivery's range and not in it.
    notes : tuple of str
        What a reader should know of it beyond the counts.
    snapshot_id : int or None
        Snapshot of `bars` after the ingest; None if the table has none yet.
    seconds : float
        Wall time.
    dry_run : bool
        Whether nothing was written: counts are what would be.
    faults : tuple of str
        What an ingest would be refused for; empty unless `dry_run`.
    details : tuple of str
        Of a dry run: what would land, by symbol, and rows that are refused.
    runner : str
        What read and wrote the rows, and why.
    """

    files: int
    came: int
    landed: int
    already_there: int
    corrected: int
    refused: Mapping[str, int] = field(default_factory=dict)
    removed: int = 0
    notes: tuple[str, ...] = ()
    snapshot_id: int | None = None
    seconds: float = 0.0
    dry_run: bool = False
    faults: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    runner: str = ""

    def summary(self) -> str:
        """Return the figures as text for a terminal."""
        total = sum(self.refused.values())
        landed, gone = ("would land", "would be removed") if self.dry_run else ("landed", "removed")
        removed = f", {self.removed:,} {gone}" if self.removed else ""
        lines = [
            f"{self.files:,} file{'s' * (self.files != 1)}, {self.came:,} rows came: {self.landed:,} "
            f"{landed}, "
            f"{self.already_there:,} already there, {self.corrected:,} corrected, {total:,} refused{removed}"
        ]
        lines += [
            f"  {count:>10,} {rule} (rule: {RULES[rule]})" for rule, count in sorted(self.refused.items())
        ]
        if total and not self.dry_run:
            lines.append("  the refused rows are in bars_quarantine: 'whatif quarantine' shows them")
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  runner {self.runner}, {self.seconds:.1f} s"] if self.runner else []
        lines += [f"  {detail}" for detail in self.details]
        if self.dry_run:
            lines += [f"  would be refused: {fault}" for fault in self.faults]
            lines.append("  dry run: nothing was written")
        return "\n".join(lines)


def ingest(
    paths: Sequence[str | Path] | Source,
    spec: IngestSpec | None = None,
    location: LakeLocation | None = None,
    spark: SparkSession | None = None,
    dry_run: bool = False,
    runner: str | None = None,
    audit: bool = False,
    replace_range: bool = False,
    wait: Wait = quiet,
) -> IngestReport:
    """Read bars into the lake, from files or another source. The same bars twice add nothing.

    A delivery is refused, and nothing written, if more than 1 % of its rows cannot be read as bars,
    more than 5 % lie outside the exchange's sessions, more than 1 % would overwrite bars with other
    values, or all are refused, unless `spec.accept`; fewer than three such rows never refuse it.

    Parameters
    ----------
    paths : sequence of str or Path, or Source
        Files, folders (searched to any depth), globs or URIs; or a source that is none of files, or fetches
        some. One that gives checkpoints is read from where the last ingest with the same options ended.
    spec : IngestSpec, optional
        How to read files; of a source that brings none `accept` alone.
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.
    spark : SparkSession, optional
        Given, it reads and writes, unless `runner` is local.
    dry_run : bool
        Say what would come of it and write nothing.
    runner : str, optional
        "local": this process reads and writes; "spark": Spark does, started once the first file has shown
        that it can be read; "auto": this process where the lake is local, no session is there and the
        delivery has no more than `MAX_LOCAL_ROWS`. What WHATIF_RUNNER says, or auto, if left out.
    replace_range : bool
        Remove bars of the lake that lie between a symbol's first and last bar of this delivery and are not in
        it; more than 1 % of what came refuse it, unless `spec.accept`.
    audit : bool
        Write to a branch of the table first, and check the bars there before the table shows them: a delivery
        with a new error (`whatif.lake.check_quality`) is refused, unless `spec.accept`.
    wait : callable
        Is told which phase begins, as long as it goes on.

    Raises
    ------
    SourceError
        If a file or a source as a whole cannot be read, a source breaks its contract, or too much of the
        delivery is refused or would overwrite bars; nothing has been written then.
    PluginError
        If a format cannot be imported.
    LakeError
        If the disk is full, or with `audit` another process wrote to the table of a catalog service
        meanwhile; the tables stay at their last snapshots.
    LakeLockedError
        If another process is writing to the lake.
    RunError
        If the runner is none of those, or is local and the lake in a catalog service.
    """
    began = time.monotonic()
    spec = spec or IngestSpec()
    location = location or LakeLocation.from_environment()
    parts, notes = _parts(paths, spec, location)
    asked = runner_asked() if runner is None else runner
    why = _reason_for_spark(asked, location, parts, spark)
    if audit and dry_run:
        raise SourceError("--audit writes to a branch, which --dry-run does not: leave one of them out")
    if why:
        try_first(parts, spec.accept)
    # the lock comes first: a second writer is refused at once, not after Spark has started
    lock = writer_lock(location, f"ingest of {len(parts)} files, first {parts[0].name}")
    with nullcontext() if dry_run else lock, in_words(location.described):
        try:
            with wait(f"1 of 3: {_told(parts)}{' by Spark' if why else ''}"):
                staged = _staged(location, parts, spec, spark, bool(why))
        except TooManyRowsError as error:
            if asked == "local":
                raise
            why = str(error).partition(":")[0]
            with wait(f"1 of 3: {_told(parts)} by Spark: {why}"):
                staged = _staged(location, parts, spec, spark, True)
        with staged, wait("2 of 3: rows are compared with the lake and written"):
            at = None if dry_run else datetime.now(UTC)
            came = _land(location, staged, parts, spec, at, audit, replace_range)
        if not dry_run:
            with wait("3 of 3: small files are joined"):
                maintain_bars(location)
    return replace(
        came,
        notes=(*notes, *came.notes),
        snapshot_id=_snapshot_id(location),
        seconds=time.monotonic() - began,
        runner=f"spark ({why})" if why else "local (no JVM)",
    )


def _told(parts: Sequence[Part]) -> str:
    """Say how much is to be read."""
    size = sum(size_of_part(part) for part in parts)
    much = f" of {size / 1e6:,.0f} MB" if size >= 1e6 else ""
    return f"1 file{much} is read" if len(parts) == 1 else f"{len(parts):,} files{much} are read"


_ROWS_TOLD, _FILES_TOLD = 5, 3


def explain(paths: Sequence[str | Path], spec: IngestSpec) -> Iterator[str]:
    """Yield what files are taken for: options and what they were concluded from, questions, first rows.

    Nothing is written. Of files that are read alike the first is told.

    Parameters
    ----------
    paths : sequence of str or Path
        As of `ingest`.
    spec : IngestSpec
        What the user says about them.

    Raises
    ------
    SourceError
        If a path names no file, or one of no format.
    """
    found, notes = looked_at(paths, spec)
    alike: dict[str, Concluded] = {}
    for one in found:
        options = [f.option for f in one.findings if not f.option.startswith("--symbol")]
        alike.setdefault(f"{options} {one.questions}", one)
    yield from notes
    for one in list(alike.values())[:_FILES_TOLD]:
        yield one.path
        for finding in one.findings:
            yield f"  {finding.option:<36} {finding.because}"
        if not one.findings:
            yield "  nothing was concluded: it is read as its header and the options say"
        if not one.timeframe_shown:
            yield "  --timeframe 1min                     taken for granted: nothing shows how long bars are"
        for question in one.questions:
            yield f"  ambiguous: {question}"
        if not one.questions:
            yield from (f"  {line}" for line in _first_bars(one))
    if len(alike) > _FILES_TOLD or len(found) > len(alike):
        yield f"{len(found):,} files in all, of {len(alike):,} kinds"


def _first_bars(one: Concluded) -> Iterator[str]:
    """Yield the first rows of a file as they would stand in the lake, or why they would not."""
    told = 0
    try:
        for batch in read_file(one.path, one.spec):
            for row in batch.slice(0, _ROWS_TOLD - told).to_pylist():
                told += 1
                if row["kind"] == "bar":
                    prices = " ".join(f"{row[name]:g}" for name in ("open", "high", "low", "close", "volume"))
                    yield (
                        f"{row['symbol']} {row['timeframe']} {row['ts'].replace(tzinfo=None)} UTC, session "
                        f"{row['session']}, {row['hours']}: {prices}"
                    )
                elif row["kind"] == "refused":
                    yield f"refused, {row['rule']} (rule: {RULES[row['rule']]}): {row['raw']}"
            if told >= _ROWS_TOLD:
                return
    except SourceError as error:
        yield f"would be refused: {error}"


def _reason_for_spark(
    asked: str, location: LakeLocation, parts: Sequence[Part], spark: SparkSession | None
) -> str:
    """Return why Spark reads a delivery; "" if this process does."""
    check_runner(asked)
    reason = reason_for_spark(asked, location, spark is not None)
    if reason or asked == "local":
        return reason
    size = sum(size_of_part(part) for part in parts)
    return f"files of {size / 1e6:,.0f} MB" if size > MAX_LOCAL_BYTES else ""


def _staged(
    location: LakeLocation,
    parts: Sequence[Part],
    spec: IngestSpec,
    spark: SparkSession | None,
    by_spark: bool,
) -> StagedDelivery:
    """Return the rows of a delivery, held by Spark or by this process."""
    if not by_spark:
        return LocalDelivery(location, parts, spec.accept, MAX_LOCAL_ROWS)
    if spark is None:
        from whatif.session import get_spark

        spark = get_spark(location, "whatif ingest")
    return SparkDelivery(spark, location, parts, spec.accept)


def _parts(
    paths: Sequence[str | Path] | Source, spec: IngestSpec, location: LakeLocation
) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """Return what is to be read, and notes on what is not."""
    if isinstance(paths, FetchedFiles):
        fetched, told = paths.fetch()
        parts, notes = file_parts(fetched, spec)
        return parts, (*told, *notes)
    if not isinstance(paths, Source):
        return file_parts(paths, spec)
    if spec != IngestSpec(accept=spec.accept):
        raise SourceError(
            f"a spec says how files are read, and {paths.label} is no file: give it options of its own"
        )
    return source_parts(paths, checkpoints_of(location, paths)), ()


def _land(
    location: LakeLocation,
    staged: StagedDelivery,
    parts: Sequence[Part],
    spec: IngestSpec,
    at: datetime | None,
    audit: bool = False,
    replace_range: bool = False,
) -> IngestReport:
    """Judge the rows and write them, `at` an instant; without one, say what would be."""
    groups = _groups(staged, resumed=any(part.checkpoint is not None for part in parts))
    if at is not None:
        staged.create_tables()
    status = staged.judge()
    refused = {group.rule: group.count for group in groups if group.kind == "refused" and group.rule}
    came = sum(group.count for group in groups if group.kind in ("bar", "refused"))
    repeated = status.get("duplicate", 0) if parts[0].source.repeats else 0
    if repeated:
        came -= repeated
    elif status.get("duplicate"):
        if spec.symbol is not None and len(parts) > 1:
            check_symbol(staged, spec.symbol)
        refused["duplicate"] = status["duplicate"]
    removed = staged.replace_range() if replace_range else 0
    faults = [] if spec.accept else delivery_faults(came, refused, status.get("changed", 0), removed)
    told: tuple[str, ...] = ()
    if at is not None:
        if faults:
            raise refused_delivery(faults, staged)
        new, changed = (status.get(name, 0) for name in ("new", "changed"))
        note = DeliveryNote(
            delivery_id(at), _kind(changed, replace_range), parts[0].name, len(parts),
            digest_of_parts(parts), came, new, changed, sum(refused.values()), removed,
        )  # fmt: skip
        checked = audit and bool(new or changed or removed)
        told = land(location, staged, note, at, checked, spec.accept, bool(repeated))
        if any(group.kind == "checkpoint" for group in groups):
            store_checkpoints(staged, location, parts[0].source, at)
    return IngestReport(
        files=len(parts),
        came=came,
        landed=status.get("new", 0),
        already_there=status.get("same", 0),
        corrected=status.get("changed", 0),
        refused=refused,
        removed=removed,
        notes=(
            *seen_of(staged, "outside_calendar" in refused),
            *told,
            *(
                [f"{repeated:,} rows were of bars that a later part has too, and were left out"]
                if repeated
                else []
            ),
        ),
        dry_run=at is None,
        faults=tuple(faults) if at is None else (),
        details=tuple(told_rows(staged)) if at is None else (),
    )


def _kind(changed: int, replace_range: bool) -> str:
    return "replace-range" if replace_range else "correct" if changed else "append"


def _groups(staged: StagedDelivery, resumed: bool) -> Sequence[RowGroup]:
    """Return what came by kind and rule; raise for a refused part.

    Of a delivery that is `resumed` it is no fault that nothing new came.
    """
    groups = staged.groups()
    broken = sum(group.count for group in groups if group.kind == "file")
    if broken:
        more = f"\n… and {broken - 3} more files" if broken > 3 else ""
        raise SourceError("\n".join(staged.part_errors(3)) + more + "\nnothing was written")
    if not resumed and not any(group.kind in ("bar", "refused") for group in groups):
        raise SourceError("no file has rows: name files with rows; nothing was written")
    return groups


def _snapshot_id(location: LakeLocation) -> int | None:
    if not table_exists(location, BARS.name):
        return None
    snapshot = open_table(location, BARS.name).current_snapshot()
    return None if snapshot is None else snapshot.snapshot_id
