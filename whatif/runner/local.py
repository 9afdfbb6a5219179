"""Local runner: work items computed by processes of this machine, without a JVM, and stored as rows."""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from threading import Event
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whatif.domain import KEY
from whatif.errors import MachineError, RunError
from whatif.lake import RESULTS, RETURNS, insert_missing_rows
from whatif.pins import LakeLocation, all_of, equal, one_of
from whatif.results import Held, Keep
from whatif.runner.apart import answers_apart, begin_in_pool, can_run_apart, cores, end_all, nothing
from whatif.runner.batches import whole_rows
from whatif.runner.plan import Plan, WorkItem
from whatif.runner.run import (
    Computed,
    fresh_tables,
    ids_to_look_for,
    kept_series,
    log_file,
    symbols_said,
)
from whatif.runner.watch import where_workers_say
from whatif.runner.worker import row_stream, rows_of_dead, stream_in_pool

ATTEMPTS = 3
"""Times that an item is tried whose data could not be read."""

IDLE_SECONDS = 300
"""How long processes wait for more work before they end."""

MAX_ELEMENTS = 1_000_000
"""Rows of trades or equity that are written at once, unless one backtest alone has more."""

HOLD_SECONDS = 20.0
"""How long rows of a search may wait to be stored: what a process that is killed has to compute again."""

CHILD_SECONDS = 60.0
"""What a child may take for an item of short work, before what is left of its share goes to the pool."""

MANY_SYMBOLS = 4
"""Symbols for each process from which on a process gets all items of a symbol."""

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")

_LOKY = "joblib.externals.loky"


@dataclass
class LocalRunner:
    """Waves computed by processes, one for each core, and stored by PyIceberg.

    The processes of a pool start with the first wave, and stay for the next run of this program. Short
    work is done by children of this process, which have imported what it has, and so begin at once.

    Attributes
    ----------
    location : LakeLocation
        The local lake; its tables exist.
    processes : int
        How many compute at once; one for each core that this process may use, if left out.
    short : bool
        Whether all of the work takes a few seconds.
    meanwhile : callable
        What this process does while the first wave is computed.
    held : Held or None
        Where rows of waves are put that follow each other fast; they are stored together, each
        `HOLD_SECONDS`, and when `flush` is called. None to store each wave.
    """

    location: LakeLocation
    processes: int = field(default_factory=cores)
    short: bool = False
    meanwhile: Callable[[], None] = nothing
    held: Held | None = None
    spark: None = None
    at_once: int = 1
    _waiting: list[tuple[Sequence[WorkItem], pa.Table]] = field(default_factory=list)
    _stored_at: float = field(default_factory=time.monotonic)
    _left: Event = field(default_factory=Event)

    def slots(self) -> int:
        """Return how many work items are computed at once."""
        return self.processes

    def log_place(self, home: str) -> str:
        """Return the file where processes say what they are at."""
        return log_file(home)

    def compute(self, plan: Plan, items: Sequence[WorkItem]) -> Computed:
        """Compute the rows of a wave, which stay in this process until they are stored."""
        started = time.perf_counter()
        try:
            forks = self.short and can_run_apart()
            made = compute(plan, items, self.processes, forks, self.meanwhile, self._left.is_set)
            rows = pa.concat_tables(made)
        except BaseException:
            end()  # nobody waits for the other items
            raise
        working = pc.sum(rows["wall_seconds"]).as_py() or 0.0
        counts = Counter(rows["status"].to_pylist())
        return Computed(rows, counts, working, time.perf_counter() - started)

    def fresh(self, plan: Plan) -> frozenset[str]:
        """Return the tables that lack all rows of a plan; none where rows are held: `flush` looks at them."""
        return fresh_tables(self.location, plan) if self.held is None else frozenset()

    def store(
        self, plan: Plan, items: Sequence[WorkItem], rows: pa.Table, keep: Keep, fresh: Collection[str]
    ) -> None:
        """Store the rows of a wave, or hold them; appended to the tables named in `fresh`."""
        if self.held is None:
            store(self.location, plan, items, rows, keep, fresh)
            return
        self.held.tables.append(rows)
        self._waiting.append((items, rows))
        if time.monotonic() - self._stored_at >= HOLD_SECONDS:
            self.flush(plan, keep)

    def flush(self, plan: Plan, keep: Keep) -> None:
        """Store what is held and not stored yet."""
        if self._waiting:
            items = [item for part, _ in self._waiting for item in part]
            rows = pa.concat_tables([rows for _, rows in self._waiting])
            store(self.location, plan, items, rows, keep, fresh_tables(self.location, plan))
        self._waiting, self._stored_at = [], time.monotonic()

    def release(self, rows: pa.Table) -> None:
        """Give the system back what storing the rows took; they go with the last name that they have."""
        pa.default_memory_pool().release_unused()

    def failure(self, error: Exception, items: Sequence[WorkItem], log: str) -> RunError:
        """Return what is said of a wave that could not be computed or stored."""
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        shown = symbols_said(items)
        return RunError(
            f"a wave of backtests of {shown} could not be computed or stored: {said[:500]}. What earlier "
            f"waves stored stays{where_workers_say(log)}; the same command goes on from there"
        )

    def cancel(self) -> None:
        """End the processes at once; what is about to begin some, or to try again, begins none."""
        self._left.set()
        end()


def compute(
    plan: Plan,
    items: Sequence[WorkItem],
    processes: int,
    forks: bool = False,
    meanwhile: Callable[[], None] = nothing,
    left: Callable[[], bool] = lambda: False,
) -> Iterator[pa.Table]:
    """Yield the rows of work items, as they end; columns as in `row_columns`.

    With `forks`, each is tried once by one of the children of this process; what they do not answer goes to
    the pool, as all else does. A process of the pool that dies takes the others with it. What was under way
    is then tried item by item, so that the one that kills its process is found, and halved until one
    configuration is left, whose row says it.

    Raises
    ------
    MachineError
        If what a backtest needs could not be read, `ATTEMPTS` times.
    RunError
        If nobody waits for the rows any more, as `left` tells: processes that are ended are not those that
        died.
    """
    sent = pickle.dumps(plan, pickle.HIGHEST_PROTOCOL)
    suspects: list[WorkItem] = []
    tried = dict.fromkeys(range(len(items)), 0)
    waiting = dict(enumerate(items))
    if forks and _wanted(waiting, left):
        for number, answer in answers_apart(_tasks(plan, items, processes), meanwhile, CHILD_SECONDS):
            tried[number] += 1
            if answer is not None:
                del waiting[number]
                yield whole_rows(plan.columns, _table(answer))
        meanwhile = nothing
    while _wanted(waiting, left):
        futures = {
            _pool(processes).submit(stream_in_pool, sent, item.to_json(), item.keep, tried[number]): number
            for number, item in waiting.items()
        }
        meanwhile()
        meanwhile = nothing
        try:
            for future in as_completed(futures):
                number = futures[future]
                tried[number] += 1
                table = _result(future, tried[number])
                if table is not None:
                    del waiting[number]
                    yield whole_rows(plan.columns, table)
        except BrokenProcessPool:
            suspects = list(waiting.values())
            waiting.clear()
    while _wanted(suspects, left):
        item = suspects.pop()
        try:
            for attempt in range(1, ATTEMPTS + 1):
                table = _result(
                    _pool(1).submit(stream_in_pool, sent, item.to_json(), item.keep, attempt), attempt
                )
                if table is not None:
                    yield whole_rows(plan.columns, table)
                    break
        except BrokenProcessPool as error:
            if len(item.configurations) > 1:
                suspects += item.halves()
            else:
                yield whole_rows(plan.columns, pa.Table.from_batches([rows_of_dead(plan, item, str(error))]))


def spread(
    work: Callable[[_Given], _Made], given: Sequence[_Given], processes: int
) -> Iterator[tuple[int, _Made]]:
    """Yield what a function makes of each of some things, with their places, as processes of the pool end it.

    Raises
    ------
    RunError
        If a process dies; whatever the function raises too.
    """
    futures = {_pool(processes).submit(work, one): place for place, one in enumerate(given)}
    try:
        for future in as_completed(futures):
            yield futures.pop(future), future.result()
    except BrokenProcessPool as error:
        raise RunError(
            f"a process that worked died: {error}; it may have lacked memory. What was stored stays; the "
            "same command goes on from there"
        ) from error
    finally:
        for future in futures:  # nobody waits for what is left
            future.cancel()


def _wanted(things: Collection[object], left: Callable[[], bool]) -> bool:
    """Return whether there are any.

    Raises
    ------
    RunError
        If there are, and nobody waits for them any more.
    """
    if things and left():
        raise RunError("the processes of a wave were ended")
    return bool(things)


def _tasks(plan: Plan, items: Sequence[WorkItem], processes: int) -> list[dict[int, Callable[[], bytes]]]:
    """Return what each child does: makes the rows of its share of the items, by their places."""
    tasks: list[dict[int, Callable[[], bytes]]] = []
    for share in _shares(items, processes):
        ahead = tuple(dict.fromkeys(symbol for number in share for symbol in items[number].symbols))
        own = {number: items[number] for number in share}
        tasks.append(
            {k: partial(row_stream, plan, one.to_json(), one.keep, 0, ahead) for k, one in own.items()}
        )
    return tasks


def _shares(items: Sequence[WorkItem], count: int) -> list[list[int]]:
    """Return the places of items, dealt to at most `count` processes.

    Of many symbols, all items of one go to the same process, which reads its bars once.
    """
    numbers: dict[tuple[str, ...], int] = {}
    for item in items:
        numbers.setdefault(item.symbols, len(numbers))
    many = len(numbers) >= MANY_SYMBOLS * count
    shares: list[list[int]] = [[] for _ in range(count)]
    for place, item in enumerate(items):
        # symbols that lie together are read together
        shares[numbers[item.symbols] * count // len(numbers) if many else place % count].append(place)
    return [share for share in shares if share]


def store(
    location: LakeLocation,
    plan: Plan,
    items: Sequence[WorkItem],
    rows: pa.Table,
    keep: Keep,
    fresh: Collection[str] = (),
) -> None:
    """Store rows: what each table lacks, all where `fresh` names it; series first, `results` last."""
    near = [equal("bars_snapshot", plan.bars.snapshot_id), equal("data_digest", plan.data_digest)]
    ids = ids_to_look_for(items)
    if ids is not None:
        near.append(one_of("config_id", ids))
    good = rows.filter(pc.equal(rows["status"], "ok"))
    insert_missing_rows(location, RETURNS, good, all_of(*near), RETURNS.name in fresh)
    for table, prefix, arrays, number, wanted in kept_series(keep):
        kept = rows if wanted is None else good.filter(pc.is_in(_names(good), pa.array(sorted(wanted))))
        for part in _pieces(kept, f"{prefix}_{arrays[0]}"):
            some = _exploded(part, prefix, arrays, number)
            insert_missing_rows(location, table, some, all_of(*near), table.name in fresh)
    insert_missing_rows(location, RESULTS, rows, all_of(*near), RESULTS.name in fresh)


def _pieces(rows: pa.Table, lists: str) -> Iterator[pa.Table]:
    """Yield rows, of which as many at once as have `MAX_ELEMENTS` in a column of lists; one at least."""
    lengths = pc.list_value_length(rows[lists]).fill_null(0).to_numpy()
    number = np.cumsum(lengths) // MAX_ELEMENTS
    bounds = [*np.flatnonzero(np.diff(number, prepend=-1)), len(rows)]
    for begin, end in pairwise(bounds):
        yield rows.slice(begin, end - begin)


def end() -> None:
    """End the processes at once, whatever they are at; who waits for them gets a `ShutdownExecutorError`."""
    end_all()
    if _LOKY not in sys.modules:  # then there is no pool
        return
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor(reuse=True, timeout=IDLE_SECONDS).shutdown(wait=True, kill_workers=True)


def _pool(processes: int) -> Any:
    # imported here: short work, and a run of which nothing is new, need no pool
    from joblib.externals.loky import get_reusable_executor

    return get_reusable_executor(
        max_workers=processes, timeout=IDLE_SECONDS, initializer=begin_in_pool, initargs=(os.getpid(),)
    )


def _result(future: Future[bytes], attempt: int) -> pa.Table | None:
    """Return the rows of an item; None if its data could not be read and it is to be tried again."""
    try:
        return _table(future.result())
    except MachineError:
        if attempt >= ATTEMPTS:
            raise
        return None


def _table(answer: bytes) -> pa.Table:
    return pa.ipc.open_stream(answer).read_all()


def _names(rows: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(rows["config_id"], rows["symbol"], "/")


def _exploded(rows: pa.Table, prefix: str, names: list[str], number: str | None) -> pa.Table:
    """Return a row for each element of arrays `prefix_name`, numbered from 0 if `number` names a column."""
    lists = rows[f"{prefix}_{names[0]}"].combine_chunks()
    parents = pc.list_parent_indices(lists)
    columns: dict[str, Any] = {name: rows[name].take(parents) for name in KEY}
    if number is not None:
        lengths = pc.list_value_length(lists).fill_null(0).to_pylist()
        columns[number] = pa.array([k for length in lengths for k in range(length)], pa.int32())
    return pa.table(columns | {name: pc.list_flatten(rows[f"{prefix}_{name}"]) for name in names})
