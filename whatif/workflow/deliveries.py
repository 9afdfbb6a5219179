"""Deliveries of bars: why one is refused, what a dry run finds in it, and how one is taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from whatif.errors import LakeError, SourceError
from whatif.lake import Forgotten, Taken, few_enough, find_delivery, sources_of, taken_back, writer_lock
from whatif.pins import LakeLocation
from whatif.sources import RefusedRow, StagedDelivery, broken_limits, with_units

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


_ROWS_SHOWN, _SYMBOLS_SHOWN, _CHARACTERS_SHOWN = 5, 20, 160


def delivery_faults(came: int, refused: Mapping[str, int], corrected: int, removed: int = 0) -> list[str]:
    """Return why a delivery is refused unless the user accepts it, a sentence each.

    Parameters
    ----------
    came : int
        Rows.
    refused : mapping of str to int
        Rule → rows that break it.
    corrected : int
        Rows that would overwrite bars with other values.
    removed : int
        Bars of the lake that would go.
    """
    faults = broken_limits(came, refused, corrected, removed)
    if not faults and came and sum(refused.values()) == came:
        rules = ", ".join(f"{count:,} {rule}" for rule, count in sorted(refused.items()))
        faults = [f"no row of {came:,} can be landed: {rules}"]
    return faults


def refused_delivery(faults: Sequence[str], staged: StagedDelivery) -> SourceError:
    """Return the error that refuses a delivery, with the first rows that are to blame."""
    shown = "".join(f"\n  {line}" for line in _refused_rows(staged, _ROWS_SHOWN))
    told = staged.refused_rows(_ROWS_SHOWN)
    units = any(with_units(_values(row)) for row in told if row.rule == _NO_NUMBER)
    remedy = "give --units, since numbers carry K, M, B or a currency's sign, or " if units else ""
    return SourceError(
        "the delivery is refused: "
        + "; ".join(faults)
        + shown
        + f"\nnothing was written: {remedy}mend the options or the files (--dry-run shows what would come), "
        "or take the rest as it is with --accept"
    )


_NO_NUMBER = "unparsable_number"


def _values(row: RefusedRow) -> list[str]:
    """Return the values that a refused row has."""
    found = json.loads(row.raw)
    return [str(value) for value in (found.values() if isinstance(found, dict) else [found])]


def told_rows(staged: StagedDelivery) -> Iterator[str]:
    """Yield what a dry run found: bars by symbol, then the first refused rows."""
    groups = staged.symbols(_SYMBOLS_SHOWN + 1)
    for bars in groups[:_SYMBOLS_SHOWN]:
        yield (
            f"{bars.symbol} {bars.timeframe} {bars.exchange}: {bars.count:,} bars from "
            f"{bars.first.replace(tzinfo=None)} to {bars.last.replace(tzinfo=None)} UTC, "
            f"{bars.regular:,} of them in regular hours"
        )
    if len(groups) > _SYMBOLS_SHOWN:
        yield "… and more symbols"
    yield from _refused_rows(staged, _SYMBOLS_SHOWN)


def _refused_rows(staged: StagedDelivery, most: int) -> Iterator[str]:
    for row in staged.refused_rows(most):
        place = f"row {row.row}" if row.line is None else f"line {row.line}"
        yield f"{row.source} {place}: {row.rule}: {row.raw[:_CHARACTERS_SHOWN]}"


def forget(
    location: LakeLocation | None = None,
    symbol: str | None = None,
    source: str | None = None,
    delivery: str | None = None,
    spark: SparkSession | None = None,
    dry_run: bool = False,
) -> Forgotten:
    """Take back what a symbol, a file or a delivery brought; what is given must hold together.

    A bar that was corrected by it returns to what it was before, read from the snapshot before that
    ingest. Derived tables (features, predictions) name the snapshot they were made of and are made anew
    by whoever needs them; results stay, since their bars' snapshot is part of their key.

    Parameters
    ----------
    location : LakeLocation, optional
        Where the lake is; from the environment if left out.
    symbol, source, delivery : str, optional
        At least one: a symbol; a file (its path, the end of it, or a folder); a delivery's id, or its
        beginning, as `whatif deliveries` lists it.
    spark : SparkSession, optional
        Given, it reads and writes. Left out, this process does on a local lake, unless that is more than
        `whatif.lake.MOST_TAKEN_BACK` bars, and else one is started.
    dry_run : bool
        Count, and write nothing.

    Raises
    ------
    LakeError
        If nothing is named, or what is named is not in the lake.
    LakeLockedError
        If another process is writing to the lake.
    """
    where = location or LakeLocation.from_environment()
    if symbol is None and source is None and delivery is None:
        raise LakeError("nothing is named: give --symbol, --source or --delivery")
    at = None if delivery is None else find_delivery(where, delivery)
    files = None if source is None else sources_of(where, source)
    named = ", ".join(text for text in (symbol, source, delivery) if text is not None)
    what = Taken(symbol, files, at, datetime.now(UTC))
    with writer_lock(where, f"forget {named}"):
        if spark is None and not (where.local and few_enough(where, what)):
            from whatif.session import get_spark

            spark = get_spark(where, "whatif forget")
        return taken_back(spark, where, what, dry_run)
