"""Counts what was tried on the same data, in any study, and how often its test window was opened.

Starts no JVM.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from whatif.lake.results import RESULTS
from whatif.lake.spec import TableSpec
from whatif.lake.tables import TEST_LOOKS
from whatif.pins import LakeLocation
from whatif.pins.filters import all_of, equal, within
from whatif.search.window import Window
from whatif.workflow.resolve import Resolved
from whatif.workflow.stored import stream_rows

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression

Row = tuple[str, ...]


@dataclass(frozen=True)
class Trials:
    """What was tried on a study's symbols and validate windows.

    Attributes
    ----------
    count : int
        Distinct configurations; on each symbol one, if symbols are ranked apart.
    own : int
        Those of the study itself.
    studies : int
        Studies that they come from, the study itself included.
    """

    count: int
    own: int
    studies: int


@dataclass(frozen=True)
class Looks:
    """How often a test window was opened.

    Attributes
    ----------
    configurations : int
        Distinct ones that it was opened for.
    openings : int
        Times; a configuration that is run again on newer bars opens it again.
    """

    configurations: int
    openings: int


def count_trials(
    location: LakeLocation, resolved: Resolved, windows: Sequence[Window], own: Sequence[tuple[str, str]]
) -> Trials:
    """Count what was tried on data that overlap with the study's in symbols and validate dates.

    Parameters
    ----------
    location : LakeLocation
        Where `results` is.
    resolved : Resolved
        The study; its key `trials` says whether other studies count.
    windows : sequence of Window
        Its validate windows.
    own : sequence of (str, str)
        config_id and symbol of what it tried itself.

    Notes
    -----
    A configuration counts once, whatever snapshot of the bars, slice or study it ran in: the same
    configuration on the same days is the same trial. One that failed told nothing and does not
    count; one that never traded did run, and does.
    """
    studies = {resolved.study.study}
    tried = {_trial(resolved, *key) for key in own}
    for window in windows:
        columns = ["study", "config_id", "symbol", "window", "status"]
        for study, config_id, symbol, name, status in _overlapping(
            location, RESULTS, resolved, window, columns
        ):
            if status == "ok" and name.startswith("validate") and _shares(resolved, symbol):
                studies.add(study)
                tried.add(_trial(resolved, config_id, symbol))
    return Trials(len(tried), len({_trial(resolved, *key) for key in own}), len(studies))


def count_looks(location: LakeLocation, resolved: Resolved, windows: Sequence[Window]) -> Looks:
    """Count how often test windows that overlap with the study's in symbols and dates were opened.

    Of several windows, those of the folds of a study, the one that was opened most counts.
    """
    found = [_looks_at(location, resolved, window) for window in windows]
    return max(found, key=lambda looks: (looks.configurations, looks.openings), default=Looks(0, 0))


def _looks_at(location: LakeLocation, resolved: Resolved, window: Window) -> Looks:
    rows: Counter[Row] = Counter()
    for config_id, symbol, start in _overlapping(
        location, TEST_LOOKS, resolved, window, ["config_id", "symbol", "window_start"], distinct=False
    ):
        if _shares(resolved, symbol):
            rows[config_id, symbol, start] += 1
    times: dict[str, int] = {}
    for (config_id, *_), count in rows.items():
        times[config_id] = max(times.get(config_id, 0), count)
    return Looks(len(times), sum(times.values()))


def _trial(resolved: Resolved, config_id: str, symbol: str) -> Row:
    together = resolved.pooled or resolved.study.portfolio == "shared"
    return (config_id,) if together else (config_id, symbol)


def _shares(resolved: Resolved, symbol: str) -> bool:
    return not set(symbol.split("+")).isdisjoint(resolved.study.data.symbols)


def _overlapping(
    location: LakeLocation,
    table: TableSpec,
    resolved: Resolved,
    window: Window,
    columns: Sequence[str],
    distinct: bool = True,
) -> Iterator[Row]:
    """Yield rows of windows that overlap with one in time, as texts; of the study alone if it says so."""
    terms: list[BooleanExpression] = [
        within("window_start", None, window.end_us),
        within("window_end", window.start_us + 1, None),
    ]
    if resolved.study.trials == "study":
        terms.append(equal("study", resolved.study.study))
    for batch in stream_rows(location, table, columns, all_of(*terms)):
        part = pa.Table.from_batches([batch]).select(list(columns))
        if distinct:
            part = part.group_by(list(columns)).aggregate([])
        yield from zip(*([str(v) for v in part[name].to_pylist()] for name in columns), strict=True)
