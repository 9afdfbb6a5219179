"""What is said of a delivery of bars as a whole: why it is refused, and what a dry run found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from whatif.calendars import exchange_aliases
from whatif.errors import SourceError
from whatif.sources import broken_limits

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_ROWS_SHOWN, _SYMBOLS_SHOWN, _CHARACTERS_SHOWN = 5, 20, 160


def delivery_faults(came: int, refused: Mapping[str, int], corrected: int) -> list[str]:
    """Return why a delivery is refused unless the user accepts it, a sentence each.

    Parameters
    ----------
    came : int
        Rows.
    refused : mapping of str to int
        Rule → rows that break it.
    corrected : int
        Rows that would overwrite bars with other values.
    """
    faults = broken_limits(came, refused, corrected)
    if not faults and came and sum(refused.values()) == came:
        rules = ", ".join(f"{count:,} {rule}" for rule, count in sorted(refused.items()))
        faults = [f"no row of {came:,} can be landed: {rules}"]
    return faults


def refused_delivery(faults: Sequence[str], staged: DataFrame) -> SourceError:
    """Return the error that refuses a delivery, with the first rows that are to blame."""
    shown = "".join(f"\n  {line}" for line in _refused_rows(staged, _ROWS_SHOWN))
    return SourceError(
        "the delivery is refused: "
        + "; ".join(faults)
        + shown
        + "\nnothing was written: mend the options or the files (--dry-run shows what would come), or take "
        "the rest as it is with --accept"
    )


def told_rows(staged: DataFrame) -> Iterator[str]:
    """Yield what a dry run found: bars by symbol, then the first refused rows."""
    from pyspark.sql import functions as F  # noqa: N812

    groups = (
        staged.where("kind = 'bar'")
        .groupBy("symbol", "timeframe", "exchange")
        .agg(
            F.count(F.lit(1)).alias("count"),
            F.sum(F.expr("IF(hours = 'regular', 1, 0)")).alias("regular"),
            F.min("ts").cast("string").alias("first"),
            F.max("ts").cast("string").alias("last"),
        )
        .orderBy("symbol", "timeframe", "exchange")
        .limit(_SYMBOLS_SHOWN + 1)
        .collect()
    )
    for row in groups[:_SYMBOLS_SHOWN]:
        yield (
            f"{row['symbol']} {row['timeframe']} {row['exchange']}: {row['count']:,} bars from "
            f"{row['first']} to "
            f"{row['last']} UTC, {row['regular']:,} of them in regular hours"
        )
    if len(groups) > _SYMBOLS_SHOWN:
        yield "… and more symbols"
    yield from _refused_rows(staged, _SYMBOLS_SHOWN)


def canonical(exchange: Column) -> Column:
    """Return exchanges by their one name, whatever alias a row was ingested with."""
    from pyspark.sql import functions as F  # noqa: N812

    names = F.create_map(*(F.lit(word) for word in chain.from_iterable(exchange_aliases().items())))
    return F.coalesce(names[exchange], exchange)


def _refused_rows(staged: DataFrame, most: int) -> Iterator[str]:
    rows = staged.where("kind = 'refused'").orderBy("source", "row").limit(most).collect()
    for row in rows:
        place = f"row {row['row']}" if row["line"] is None else f"line {row['line']}"
        yield f"{row['source']} {place}: {row['rule']}: {str(row['raw'])[:_CHARACTERS_SHOWN]}"
