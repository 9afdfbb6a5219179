"""The seam of staged deliveries: rows that were read and not yet written, whoever holds them.

Spark holds them as a frame (`whatif.sources.spark`), this process as Arrow tables (`whatif.sources.local`).
Both answer the same questions, and write the same rows.

Checkpoints say how far each part of a source has landed, and are kept on the table of bars. They are
written after the bars, so that they never say more than what is there: what a killed ingest has landed
without its checkpoint is read again, and adds nothing.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import PurePath
from typing import Any, Self, TypeAlias

from whatif.errors import LakeError, SourceError
from whatif.exchanges import known_dates
from whatif.lake import (
    BARS,
    CHECKPOINTS,
    DeliveryNote,
    begin_branch,
    drop_branches,
    keep_notes,
    last_forgotten,
    name_branch,
    new_errors,
    notes_of,
    publish_branch,
)
from whatif.pins import LakeLocation, PriceJump, open_table, table_exists
from whatif.sources.base import Source

COMPARED = (
    "session", "session_open", "session_close", "hours", "open", "high", "low", "close", "volume",
    "vwap", "trade_count", "vwap_estimated", "exchange",
)  # fmt: skip
"""Columns that make a bar with a known key a correction; where it came from does not."""

MAX_NOTES = 3
"""Jumps of a price that are told one by one."""

MAX_DIFFERENT = 0.5
"""Share of a file's bars above which another file that differs on them is taken for another symbol's."""

MAX_PAIRS = 100
"""Pairs of files that are looked at."""

MAX_SYMBOLS_IN_FILTER = 500
"""Symbols of a delivery that a filter of the lake's bars names; of more, all symbols are read."""

PRICES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class RowGroup:
    """Rows of a delivery of one kind that break the same rule, or none.

    Attributes
    ----------
    kind : str
        As in `STAGED`.
    rule : str or None
        The rule that they break.
    count : int
        How many they are.
    """

    kind: str
    rule: str | None
    count: int


@dataclass(frozen=True)
class RefusedRow:
    """A row that breaks a rule: where it stands, and what it holds as JSON.

    Attributes
    ----------
    source : str
        Name of its part.
    row : int
        Its number there, from 1 on.
    line : int or None
        Its line, in a text file.
    rule, raw : str
        The rule, and the row.
    """

    source: str
    row: int
    line: int | None
    rule: str
    raw: str


@dataclass(frozen=True)
class SymbolBars:
    """Bars of a delivery of one symbol, timeframe and exchange.

    Attributes
    ----------
    symbol, timeframe, exchange : str
        What they share.
    count, regular : int
        How many they are, and how many of them lie in regular hours.
    first, last : datetime
        First and last start; tz-aware UTC.
    """

    symbol: str
    timeframe: str
    exchange: str
    count: int
    regular: int
    first: datetime
    last: datetime


@dataclass(frozen=True)
class DifferingFiles:
    """Two files with other values for the same bars.

    Attributes
    ----------
    source, stands : str
        The one whose values do not stand, and the one whose do.
    count : int
        On how many bars they differ.
    """

    source: str
    stands: str
    count: int


class StagedDelivery(ABC):
    """Rows that were read from the parts of a delivery, to be judged and written as one.

    Used as a context manager: what is held is let go at its end.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @abstractmethod
    def release(self) -> None:
        """Let go what is held."""

    @abstractmethod
    def create_tables(self) -> None:
        """Create the tables of bars and their quarantine, if they do not exist."""

    @abstractmethod
    def groups(self) -> Sequence[RowGroup]:
        """Return how many rows of each kind and rule came."""

    @abstractmethod
    def part_errors(self, most: int) -> Sequence[str]:
        """Return why parts as a whole cannot be read, by their names, `most` at the most."""

    @abstractmethod
    def refused_rows(self, most: int) -> Sequence[RefusedRow]:
        """Return the first rows that break a rule, by part and number."""

    @abstractmethod
    def symbols(self, most: int) -> Sequence[SymbolBars]:
        """Return the bars by symbol, timeframe and exchange, in that order."""

    @abstractmethod
    def exchanges_breaking(self, rule: str) -> Sequence[str]:
        """Return the exchanges of the rows that break a rule, in order."""

    @abstractmethod
    def checkpoints(self) -> Mapping[str, tuple[str, int]]:
        """Return for each part where the next ingest goes on, and how many rows came until there."""

    @abstractmethod
    def counted(self, kind: str) -> int:
        """Return how many rows are of a kind that parts count: "mended" or "nonpositive", as of `STAGED`."""

    @abstractmethod
    def judge(self) -> Mapping[str, int]:
        """Return how many bars are new, same, changed or duplicate; those that are none are left out.

        Of one bar the last file's row stands, and in a file the first; the others are duplicates.
        """

    @abstractmethod
    def differing_files(self) -> Sequence[DifferingFiles]:
        """Return files that have other values for one bar, those that differ on most first."""

    @abstractmethod
    def bars_of_files(self) -> Mapping[str, int]:
        """Return how many bars came from each file."""

    @abstractmethod
    def jumps(self, most: int) -> Sequence[PriceJump]:
        """Return the first prices that change by `JUMP_FACTOR` between sessions, by symbol and date."""

    @abstractmethod
    def quarantine(self, at: datetime, duplicates: bool = True) -> None:
        """Put the refused rows, and the duplicates or not, into quarantine, those that are not there yet."""

    @abstractmethod
    def write(self, at: datetime, properties: Mapping[str, str], branch: str | None = "main") -> None:
        """Write the bars that are new or changed, in one commit; none if none are.

        Its snapshot's summary notes properties, unless it is of a MERGE of Spark's. `branch` is what
        `begin_branch` returned.
        """

    @abstractmethod
    def replace_range(self) -> int:
        """Let bars of the lake go, once this is written, which lie within its range and are not in it.

        The range of each symbol and timeframe is from its first to its last bar here.

        Returns
        -------
        int
            How many they are.
        """

    @property
    def session(self) -> Any:
        """The SparkSession that holds the rows; None if none does."""
        return None

    @abstractmethod
    def note(self, properties: Mapping[str, str]) -> None:
        """Set properties of the table of bars; others stay."""


def seen_of(staged: StagedDelivery, outside: bool) -> tuple[str, ...]:
    """Return notes on what was seen of a delivery's rows; of calendars, if some lie `outside` of them."""
    return (*(_unknown_dates(staged) if outside else ()), *_unadjusted(staged), *_counted(staged))


def _counted(staged: StagedDelivery) -> Iterator[str]:
    """Yield notes on rows that were mended, and on bars that studies refuse."""
    if count := staged.counted("mended"):
        rows = f"{count:,} row{'s' * (count != 1)}"
        yield f"{rows} had open or close outside low and high by noise; the range was widened"
    if count := staged.counted("nonpositive"):
        bars = f"{count:,} bar{'s have' if count != 1 else ' has'}"
        yield (
            f"{bars} a price at or below zero, as --allow-nonpositive lets them: 'whatif bars --check' flags "
            "them, and studies of them are refused"
        )


def _unknown_dates(staged: StagedDelivery) -> tuple[str, ...]:
    """Return what the calendars know that some rows lie outside of."""
    ranges = {exchange: known_dates(exchange) for exchange in staged.exchanges_breaking("outside_calendar")}
    return tuple(
        f"the calendar {exchange} knows {first} to {last}; bars of other dates are outside_calendar"
        for exchange, (first, last) in ranges.items()
    )


def _unadjusted(staged: StagedDelivery) -> tuple[str, ...]:
    """Return notes on symbols whose price changes by a factor between two sessions."""
    found = staged.jumps(MAX_NOTES + 1)
    notes = [
        f"{jump.symbol}: the close {jump.close:g} of {jump.last} is followed by the open "
        f"{jump.open:g} of {jump.session}, a factor of {jump.factor:.3g} overnight"
        + (f", as after a split of {jump.ratio}" if jump.ratio else "")
        + "; prices are not adjusted for splits, it seems"
        for jump in found[:MAX_NOTES]
    ]
    return (*notes, "… and further jumps of that kind") if len(found) > MAX_NOTES else tuple(notes)


def check_symbol(staged: StagedDelivery, symbol: str) -> None:
    """Refuse one `--symbol` for files that are of several.

    Parameters
    ----------
    staged : StagedDelivery
        The delivery, judged.
    symbol : str
        The symbol that was given.

    Raises
    ------
    SourceError
        If two files differ on bars, and their names are plain words (AAPL and MSFT), or they do on more
        than half of the larger one.
    """
    pairs = staged.differing_files()
    if not pairs:
        return
    bars = staged.bars_of_files()
    for pair in pairs:
        first, second = sorted((pair.source, pair.stands))
        if pair.count > MAX_DIFFERENT * max(bars[first], bars[second]) or _are_words(first, second, symbol):
            raise SourceError(
                f"--symbol {symbol}: two files have other values for the same bars of {symbol}, "
                f"{pair.count:,} of them: {first} and {second}; give each its own symbol "
                "(--symbol-from file), or, if one corrects the other, ingest one after the other\n"
                "nothing was written"
            )


def _are_words(first: str, second: str, symbol: str) -> bool:
    """Tell whether two files are named after different things, and not as parts of one."""
    names = [PurePath(path).name.partition(".")[0].lower() for path in (first, second)]
    words = all(re.fullmatch(r"[a-z]+", name) for name in names)
    return words and not any(a.startswith(b) for a, b in (names, names[::-1])) and symbol.lower() not in names


Checkpoints: TypeAlias = Mapping[str, tuple[str, int]]
"""Part → checkpoint, and rows that came before it."""


def checkpoints_of(location: LakeLocation, source: Source) -> Checkpoints:
    """Return where a source with these options goes on; nothing if it begins anew.

    It does after bars were taken back, and where the table was put back to an older snapshot.
    """
    if not table_exists(location, BARS.name):
        return {}
    table = open_table(location, BARS.name)
    text = table.properties.get(_property(source))
    if text is None:
        return {}
    stored = json.loads(text)
    if last_forgotten(table) > stored["at"] or stored["snapshot"] not in _history(location):
        return {}
    return {part: (checkpoint, rows) for part, (checkpoint, rows) in stored["parts"].items()}


def store_checkpoints(staged: StagedDelivery, location: LakeLocation, source: Source, at: datetime) -> None:
    """Note how far a source has landed, if that is further than what is noted.

    Parameters
    ----------
    staged : StagedDelivery
        The delivery, which has been written.
    location : LakeLocation
        Where the lake is.
    source : Source
        What was read.
    at : datetime
        When the delivery began to be written; tz-aware.
    """
    before, landed = checkpoints_of(location, source), staged.checkpoints()
    if not landed or all(before.get(part) == place for part, place in landed.items()):
        return
    history = _history(location)
    stored = {
        "at": at.strftime("%Y%m%d%H%M%S%f"),
        "snapshot": history[0],
        "parts": {**before, **landed},
    }
    staged.note({_property(source): json.dumps(stored)})


def _property(source: Source) -> str:
    """Return the property of a source with its options, which may hold a key: a digest of them."""
    options = json.dumps(source.model_dump(mode="json"), sort_keys=True)
    return f"{CHECKPOINTS}{source.label}.{sha256(options.encode()).hexdigest()[:16]}"


def _history(location: LakeLocation) -> list[int | None]:
    """Return the snapshots that the table's newest one is made of, itself first; [None] before the first."""
    metadata = open_table(location, BARS.name).metadata
    parents = {snapshot.snapshot_id: snapshot.parent_snapshot_id for snapshot in metadata.snapshots}
    found: list[int | None] = []
    at = metadata.current_snapshot_id
    while at is not None and at in parents:
        found.append(at)
        at = parents[at]
    return found or [None]


def land(
    location: LakeLocation,
    staged: StagedDelivery,
    note: DeliveryNote,
    at: datetime,
    audit: bool,
    accept: bool,
    repeated: bool,
) -> tuple[str, ...]:
    """Write the rows of a judged delivery, and return what an audit says of them.

    Parameters
    ----------
    location : LakeLocation
        Where the lake is.
    staged : StagedDelivery
        The rows.
    note : DeliveryNote
        What snapshot or table note of it.
    at : datetime
        When.
    audit : bool
        Whether bars go to a branch first; the delivery has bars to write then.
    accept : bool
        Whether errors that the audit finds are told, and refuse nothing.
    repeated : bool
        Whether bars came again that may, see `Source.repeats`: those go to no quarantine.

    Raises
    ------
    SourceError
        If the audit finds errors; the table is as it was, and nothing is in quarantine.
    """
    told: tuple[str, ...] = ()
    branch = f"{AUDIT}{note.delivery}"
    if audit:
        told = _audited(location, staged, note, at, branch, accept)
    if note.refused:
        staged.quarantine(at, duplicates=not repeated)
    if audit:
        try:
            publish_branch(staged.session, location, BARS.name, branch)
        except LakeError:
            drop_branches(location, BARS.name, branch, staged.session)
            raise
    else:
        staged.write(at, note.properties)
    if note.landed or note.corrected or note.refused or note.removed:
        now = open_table(location, BARS.name).current_snapshot()
        said = notes_of([] if now is None else [now])
        if note not in said.values():
            keep_notes(location, {0 if now is None else now.snapshot_id: note}, staged.session)
    return told


def _audited(
    location: LakeLocation,
    staged: StagedDelivery,
    note: DeliveryNote,
    at: datetime,
    branch: str,
    accept: bool,
) -> tuple[str, ...]:
    """Write bars to a branch and check them there; return what is to be told, or raise without the branch."""
    spark = staged.session
    old = timedelta(0) if location.local else ABANDONED
    drop_branches(location, BARS.name, AUDIT, spark, old)  # of ingests that were killed
    kept = False
    try:
        staged.write(at, note.properties, begin_branch(spark, location, BARS.name, branch))
        name_branch(spark, location, BARS.name, branch)
        ranges = [(one.symbol, one.timeframe, one.first, one.last) for one in staged.symbols(_MOST_SERIES)]
        errors = new_errors(location, branch, ranges)
        kept = accept or not errors
    finally:
        if not kept:
            drop_branches(location, BARS.name, branch, spark)
    if kept:
        return tuple(f"audit: {line}" for line in errors[:MAX_ERRORS])
    shown = "".join(f"\n  {line}" for line in errors[:MAX_ERRORS])
    count = f"{len(errors):,} error{'s' * (len(errors) != 1)}"
    raise SourceError(
        f"the audit refuses the delivery: {count} that the lake did not have{shown}\n"
        "nothing was written: mend the files, or take them as they are with --accept ('whatif bars --check' "
        "lists what is suspicious then)"
    )


AUDIT = "audit-"
"""How branches begin that hold a delivery until it was checked."""

ABANDONED = timedelta(days=1)
"""How long nothing was written to such a branch of a catalog service that is taken for a killed ingest's."""

_MOST_SERIES = 1_000_000

MAX_ERRORS = 5
"""Errors of an audit that are told one by one."""
