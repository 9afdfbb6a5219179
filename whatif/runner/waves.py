"""Waves of pending backtests, their pace, and the work items that they are cut into."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from whatif.engines import get_engine
from whatif.results import Pending
from whatif.runner.plan import WorkItem

WAVE_SECONDS = 60.0
MIN_WAVE_SECONDS = 4.0
STORING_SHARE = 2.0
"""A wave computes at least this many times as long as the commits of the one before took beside it."""

FIRST_STORING = 4.0
"""Seconds that the commits of a wave are thought to take until the first ones are made."""

WAVES_OF_A_SHORT_RUN = 12
TASKS_PER_CORE = 4
"""Tasks, for each core, that items of many symbols share; a task has a price, and reads symbols together."""

MAX_BACKTESTS = 10_000
"""Backtests in a wave, however fast they are: their rows wait in memory until the wave is stored."""


@dataclass
class Pace:
    """How fast work goes, learned from the waves that are done.

    Kept for one core, since a cluster's executors come late and are lost: how many there are is
    asked anew for each wave.

    Attributes
    ----------
    rate : float
        Configuration-bars a second on one core while a wave is computed.
    storing : float
        Seconds that the commits of a wave take, beside the computing of the next one.
    """

    rate: float
    storing: float = FIRST_STORING

    def learn_rate(self, cost: float, core_seconds: float) -> None:
        """Take a wave that is computed into account.

        Parameters
        ----------
        cost : float
            Configuration-bars that it held.
        core_seconds : float
            What computing them took, seconds times cores.
        """
        if cost > 0 and core_seconds > 0:
            self.rate = cost / core_seconds

    def seconds(self, cost: float, cores: int) -> float:
        """Return how long `cost` configuration-bars should take on so many cores."""
        return cost / (self.rate * cores)

    def wave_cost(self, remaining: float, cores: int) -> float:
        """Return how many configuration-bars the next wave should hold.

        A minute's worth; of a short run a twelfth, so that a kill costs little; and never
        so little that its commits outweigh it. Times to compute and to store are kept apart:
        a rate with the commits in it would shrink waves, and shrunken waves the rate.
        """
        seconds = self.seconds(remaining, cores) / WAVES_OF_A_SHORT_RUN
        shortest = max(MIN_WAVE_SECONDS, STORING_SHARE * self.storing)
        return self.rate * cores * min(WAVE_SECONDS, max(shortest, seconds))


def total_cost(pending: Sequence[Pending]) -> float:
    """Return the configuration-bars of all pending backtests."""
    return float(sum(len(p.configurations) * max(p.bars, 1) for p in pending))


def take_wave(pending: Sequence[Pending], cost: float) -> tuple[list[Pending], list[Pending]]:
    """Split `pending` into the next wave, of about `cost` configuration-bars, and the rest.

    Symbols stay together, so that a worker reads few of them in one wave. The wave holds
    at least one backtest and at most `MAX_BACKTESTS`; a rest of less than half a wave joins it.
    """
    backtests = sum(len(p.configurations) for p in pending)
    cost = min(cost, total_cost(pending) * MAX_BACKTESTS / max(backtests, 1))
    if total_cost(pending) <= 1.5 * cost:
        return list(pending), []
    wave: list[Pending] = []
    rest = list(pending)
    left = cost
    while rest and (left > 0 or not wave):
        head = rest.pop(0)
        count = min(len(head.configurations), max(1, math.ceil(left / max(head.bars, 1))))
        taken, remaining = head.configurations[:count], head.configurations[count:]
        wave.append(Pending(head.symbols, head.window, taken, head.bars))
        left -= count * max(head.bars, 1)
        if remaining:
            rest.insert(0, Pending(head.symbols, head.window, remaining, head.bars))
    return wave, rest


def work_items(wave: Sequence[Pending], cores: int, engine: str, keep: bool = False) -> list[WorkItem]:
    """Return the work items of a wave, dearest first.

    About as many for each core as the engine says, none mixing symbols; each as dear as the others as
    far as whole configurations allow, so that no core waits long for the last one. Of many symbols, those
    that lie together share a task.
    """
    share = max(total_cost(wave) / (cores * get_engine(engine).items_per_core), 1.0)
    items = [
        WorkItem(pending.symbols, pending.window, chunk, keep, len(chunk) * float(max(pending.bars, 1)))
        for pending in wave
        for chunk in _chunks(pending, share)
    ]
    tasks = cores * max(TASKS_PER_CORE, get_engine(engine).items_per_core)
    if len(items) > tasks and not keep:
        items = _in_tasks(items, tasks)
    return sorted(items, key=lambda item: -item.cost)


def tasks_of(items: Sequence[WorkItem]) -> list[list[WorkItem]]:
    """Return items as tasks, dearest first; those of a task in order of their symbols."""
    shared: dict[tuple[bool, int], list[WorkItem]] = {}
    for place, item in enumerate(items):
        key = (False, place) if item.task is None else (True, item.task)
        shared.setdefault(key, []).append(item)
    tasks = [sorted(some, key=lambda item: item.symbols) for some in shared.values()]
    return sorted(tasks, key=lambda some: -sum(item.cost for item in some))


def _in_tasks(items: Sequence[WorkItem], count: int) -> list[WorkItem]:
    """Return items in order of their symbols, with tasks, `count` at most, each about as dear as others."""
    ordered = sorted(items, key=lambda item: item.symbols)
    total, before, found = sum(item.cost for item in items), 0.0, []
    for item in ordered:
        # that in which its middle lies
        found.append(replace(item, task=int(count * (before + item.cost / 2) / total)))
        before += item.cost
    return found


def _chunks(pending: Pending, share: float) -> Iterator[tuple]:  # type: ignore[type-arg]
    total = len(pending.configurations)
    parts = min(total, max(1, round(total * max(pending.bars, 1) / share)))
    for k in range(parts):
        yield pending.configurations[k * total // parts : (k + 1) * total // parts]
