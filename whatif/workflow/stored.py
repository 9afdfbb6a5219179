"""Reads a study's stored rows, without a JVM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from pyiceberg.expressions import And, BooleanExpression, EqualTo, In

from whatif.domain.frames import timestamps
from whatif.lake.spec import TableSpec
from whatif.pins import LakeLocation, current_pin, open_table, read_arrow, table_exists
from whatif.search.windows import Window

MOST_IN_FILTER = 200


@dataclass(frozen=True)
class Slot:
    """Where a study's rows are: market, slice and window."""

    bars_snapshot: int
    data_digest: str
    window: Window

    def matches(self, configurations: Sequence[str] | None = None) -> BooleanExpression:
        """Return the filter of its rows, of some configurations or of all."""
        start, end = (t.isoformat() for t in timestamps([self.window.start_us, self.window.end_us]))
        terms: list[BooleanExpression] = [
            EqualTo("bars_snapshot", self.bars_snapshot),
            EqualTo("data_digest", self.data_digest),
            EqualTo("window", self.window.name),
            EqualTo("window_start", start),
            EqualTo("window_end", end),
        ]
        if configurations is not None and len(configurations) <= MOST_IN_FILTER:
            terms.append(In("config_id", list(configurations)))
        return And(*terms)


def read_rows(
    location: LakeLocation,
    table: TableSpec,
    slot: Slot,
    columns: Sequence[str] | None = None,
    configurations: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the rows of `table` in `slot`, of some configurations or of all; none is an empty frame.

    Timestamps are tz-aware UTC; null numbers are NaN.
    """
    names = list(columns or table.column_names)
    if not table_exists(location, table.name) or open_table(location, table.name).current_snapshot() is None:
        return pd.DataFrame(columns=names)
    pinned = current_pin(location, table.name)
    wanted = list(dict.fromkeys([*names, "config_id"]))
    frame = read_arrow(pinned, wanted, slot.matches(configurations)).to_pandas()
    if configurations is not None:
        frame = frame[frame["config_id"].isin(set(configurations))]
    return frame[names].reset_index(drop=True)


def stored_keys(location: LakeLocation, table: TableSpec, slot: Slot) -> set[tuple[str, str]]:
    """Return (config_id, symbol) of all rows of `table` in `slot`."""
    frame = read_rows(location, table, slot, ["config_id", "symbol"])
    return set(zip(frame["config_id"].astype(str), frame["symbol"].astype(str), strict=True))


