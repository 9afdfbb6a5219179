"""Returns of what other studies tried on a study's data, on the study's own periods.

Starts no JVM.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whatif.calendars import EPOCH, make_periods, schedule
from whatif.domain import DAY_US, timeframe_us
from whatif.errors import WhatIfError
from whatif.lake import RETURNS
from whatif.pins import all_of, one_of, within
from whatif.results.store import MAX_IN_FILTER, ResolvedStudy, ResultStore
from whatif.results.trials import OtherTrial, Place, Row, microsecond_column
from whatif.typing import FloatArray, IntArray

MAX_OTHERS = 10_000
MAX_VALUES = 10_000_000
"""Trials compared, and their periods; of more, a seeded sample."""

MIN_OF_A_STUDY = 100
"""Trials with returns that may stand for the others of their study, which kept those of a sample."""

_MAX_NAMED = 3
_Key = tuple[str, str, Place]
_Version = tuple[int, str]


@dataclass(frozen=True, eq=False)
class Others:
    """What other studies tried.

    Attributes
    ----------
    returns : float64 array (periods, trials)
        Per period of the study, NaN where a trial has none.
    symbols : tuple of str
        What each trades, joined by "+" if several; of several backtests, the first.
    stand_for : int
        Trials that these are a sample of, themselves included.
    unseen_why : str
        Why nothing is known of the rest; "" if there is none.
    """

    returns: FloatArray
    symbols: tuple[str, ...]
    stand_for: int
    unseen_why: str = ""


@dataclass(frozen=True, eq=False)
class Grid:
    """The periods of a study's windows, one window after the other.

    Attributes
    ----------
    starts : tuple of int
        Start of each window, microseconds UTC, rising.
    ends : tuple of int64 arrays
        Ends of its periods.
    """

    starts: tuple[int, ...]
    ends: tuple[IntArray, ...]

    def __len__(self) -> int:
        """Return the number of periods."""
        return sum(map(len, self.ends))

    def place(self, start_us: int, ends: IntArray, returns: FloatArray) -> FloatArray | None:
        """Return returns over other periods as returns over these; None if no period is shared.

        Parameters
        ----------
        start_us : int
            Start of the first of the other periods.
        ends : int64 array (k,)
            Their ends.
        returns : float64 array (k,)
            Simple returns.

        Returns
        -------
        float64 array (periods,) or None
            Each return belongs to the period that it ends in, compounded where several do; NaN in
            a period that none ends in. One that begins before a window is left out.
        """
        placed, first = np.full(len(self), np.nan), 0
        begins = np.concatenate([[start_us], ends[:-1]])
        for start, own in zip(self.starts, self.ends, strict=True):
            inside = (begins >= start) & (ends <= own[-1])
            at = np.searchsorted(own, ends[inside], side="left") + first
            if len(at):
                where, rows = np.unique(at, return_index=True)
                joined = np.multiply.reduceat(1.0 + returns[inside], rows) - 1.0
                alone = np.diff(np.append(rows, len(at))) == 1
                placed[where] = np.where(alone, returns[inside][rows], joined)
            first += len(own)
        return placed if np.isfinite(placed).any() else None


def other_returns(store: ResultStore, grid: Grid, trials: Sequence[OtherTrial], seed: int = 0) -> Others:
    """Read what is stored of other studies' trials.

    Parameters
    ----------
    store : ResultStore
        The study, and where its tables are.
    grid : Grid
        Its periods.
    trials : sequence of OtherTrial
        What others tried, see `count_trials`.
    seed : int
        Of the sample where there are very many.

    Notes
    -----
    A trial counts by whatever snapshot of the bars, slice or windows it ran on, in the periods that it
    shares with the study's windows. One of several accounts whose trials count once (symbols that are
    pooled) has the mean of their returns.
    """
    stored = _stored(store, grid, trials)
    known = [trial for trial in trials if any(key in stored for key in trial.backtests)]
    several = max((len(trial.backtests) for trial in known), default=1)
    most = min(MAX_OTHERS, max(1, MAX_VALUES // max(len(grid), 1) // several))
    drawn = sorted(known, key=lambda trial: _draw(seed, trial.key))[:most]
    wanted = {key: stored[key] for trial in drawn for key in trial.backtests if key in stored}
    series = _series(store, grid, wanted)
    columns, symbols, read = [], [], []
    for trial in drawn:
        there = sorted(key for key in trial.backtests if key in series)
        if there:
            columns.append(_mean([series[key] for key in there]))
            symbols.append(there[0][1])
            read.append(trial)
    stand_for, why = _stand_for(trials, known, drawn, read)
    returns = np.column_stack(columns) if columns else np.empty((len(grid), 0))
    return Others(returns, tuple(symbols), stand_for, why)


def _stored(store: ResultStore, grid: Grid, trials: Sequence[OtherTrial]) -> dict[_Key, _Version]:
    """Return which backtests have returns, and of several snapshots or slices the one that is taken."""
    places: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for trial in trials:
        for config_id, symbol, place in trial.backtests:
            places[config_id, symbol].append(place)
    found: dict[_Key, _Version] = {}
    for table in _rows(store, grid, {symbol for _, symbol in places}, ()):
        for config_id, symbol, *where, snapshot, digest in zip(
            *(table[name].to_pylist() for name in _COLUMNS), strict=True
        ):
            for place in places.get((config_id, symbol), ()):
                if [place.start_us, place.end_us, place.period] == where:
                    key = (config_id, symbol, place)
                    found[key] = max(found.get(key, (snapshot, digest)), (snapshot, digest))
    return found


def _series(store: ResultStore, grid: Grid, wanted: Mapping[_Key, _Version]) -> dict[_Key, FloatArray]:
    """Return the returns of some backtests on the grid, of those that can be placed on it."""
    if not wanted:
        return {}
    keys: dict[tuple[object, ...], list[_Key]] = defaultdict(list)
    for key, version in wanted.items():
        config_id, symbol, place = key
        keys[config_id, symbol, place.start_us, place.end_us, place.period, *version].append(key)
    ids = pa.array(sorted({config_id for config_id, _, _ in wanted}))
    ends: dict[Place, IntArray] = {}
    found: dict[_Key, FloatArray] = {}
    for table in _rows(store, grid, {symbol for _, symbol, _ in wanted}, ("returns",)):
        some = table.filter(pc.is_in(table["config_id"], ids)).combine_chunks()
        returns = some["returns"]
        for row, given in enumerate(zip(*(some[name].to_pylist() for name in _COLUMNS), strict=True)):
            values = returns[row].values if given in keys else None
            if values is None:
                continue
            own = values.to_numpy(zero_copy_only=False).astype(np.float64)
            for key in keys[given]:
                placed = _place(store.resolved, grid, key[2], own, ends)
                if placed is not None:
                    found[key] = placed
    return found


_COLUMNS = (
    "config_id", "symbol", "window_start", "window_end", "period", "bars_snapshot", "data_digest",
)  # fmt: skip


def _rows(
    store: ResultStore, grid: Grid, symbols: Collection[str], more: Sequence[str]
) -> Iterator[pa.Table]:
    """Yield stored rows whose windows overlap with the grid; instants as microseconds."""
    terms = [
        within("window_start", None, int(grid.ends[-1][-1])),
        within("window_end", grid.starts[0] + 1, None),
    ]
    if not symbols:
        return
    if len(symbols) <= MAX_IN_FILTER:
        terms.append(one_of("symbol", sorted(symbols)))
    for batch in store.stream(RETURNS, [*_COLUMNS, *more], all_of(*terms)):
        table = pa.Table.from_batches([batch])
        for name in ("window_start", "window_end"):
            at = table.schema.get_field_index(name)
            table = table.set_column(at, name, microsecond_column(table[name]))
        yield table


def _place(
    resolved: ResolvedStudy, grid: Grid, place: Place, returns: FloatArray, ends: dict[Place, IntArray]
) -> FloatArray | None:
    """Return returns on the grid; None if their periods are not known or none is shared."""
    if place not in ends:
        ends[place] = _ends(resolved.study.calendar.exchange, place)
    own = ends[place]
    if len(own) != len(returns):
        return None
    return grid.place(place.start_us, own, returns)


def _ends(exchange: str, place: Place) -> IntArray:
    """Return the ends of the periods of a window, by the exchange of the study; none if it does not know."""
    first, last = (EPOCH + timedelta(days=us // DAY_US) for us in (place.start_us, place.end_us))
    try:
        sessions = schedule(exchange, first - timedelta(days=1), last + timedelta(days=1))
        inside = sessions.between(place.start_us, place.end_us)
        bar_us = timeframe_us(place.timeframe)
        return make_periods(place.period, inside, place.start_us, place.end_us, bar_us, 1.0).ends
    except WhatIfError:
        return np.empty(0, np.int64)


def _mean(parts: Sequence[FloatArray]) -> FloatArray:
    """Return the mean of several over each period, of those that have it."""
    if len(parts) == 1:
        return parts[0]
    there = np.isfinite(parts)
    count = there.sum(axis=0)
    total = np.where(there, parts, 0.0).sum(axis=0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _stand_for(
    trials: Sequence[OtherTrial],
    known: Sequence[OtherTrial],
    drawn: Sequence[OtherTrial],
    read: Sequence[OtherTrial],
) -> tuple[int, str]:
    """Return how many trials those that were read are a sample of, and why others are not known."""
    of, kept = Counter(t.study for t in trials), Counter(t.study for t in known)
    tried, came = Counter(t.study for t in drawn), Counter(t.study for t in read)
    total, unseen = 0, []
    for study, count in sorted(of.items()):
        # what was drawn and could not be read tells how many of those that were not drawn can
        there = round(kept[study] * came[study] / tried[study]) if tried[study] else 0
        whole = there == kept[study] and there >= MIN_OF_A_STUDY
        represented = count if whole else there
        total += represented
        if represented < count:
            how = "on other periods" if kept[study] > there else "no returns are stored"
            unseen.append(f"{count - represented:,} of study {study}: {how}")
    shown = "; ".join(unseen[:_MAX_NAMED])
    return total, shown + (f"; and {len(unseen) - _MAX_NAMED} more studies" * (len(unseen) > _MAX_NAMED))


def _draw(seed: int, key: Row) -> bytes:
    return hashlib.sha256("/".join((str(seed), *key)).encode()).digest()
