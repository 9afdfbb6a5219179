"""Follower of a run until it is over, with its cost by the user's own prices."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from whatif.submit.runner import Runner, State
from whatif.submit.settings import Prices

FIRST_POLL_SECONDS = 2.0
LAST_POLL_SECONDS = 15.0
"""Between two questions to a service, which counts them."""

NEAR_POLL_SECONDS = 0.25
"""Between two looks at a process of this machine."""

REMIND_SECONDS = 300.0


def _nothing(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Watch:
    """How to follow, and whom to tell.

    Attributes
    ----------
    say : callable of str
        Takes a line that stays: a change of state, a line of the driver's log.
    tick : callable of str
        Takes what holds at this moment.
    sleep, now : callable
        Wait some seconds; the time with its zone.
    longest : float
        Seconds between two looks at most.
    """

    say: Callable[[str], None]
    tick: Callable[[str], None] = _nothing
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    longest: float = LAST_POLL_SECONDS


def follow(runner: Runner, run: str, prices: Prices, watch: Watch) -> State:
    """Return the last state of a run, after telling of all before it.

    Raises
    ------
    SubmitError
        If the service does not answer any more; the run goes on.
    """
    wait, said, told = min(FIRST_POLL_SECONDS, watch.longest), "", watch.now()
    while True:
        state = runner.state(run)
        for line in runner.logs(run):
            watch.say(f"  {line}")
        text = describe(state, prices, watch.now())
        watch.tick(text)
        late = (watch.now() - told).total_seconds() >= REMIND_SECONDS
        if state.name != said or late:
            watch.say(text)
            said, told = state.name, watch.now()
        if state.phase.over:
            return state
        watch.sleep(wait)
        wait = min(wait * 1.5, watch.longest)


def describe(state: State, prices: Prices, now: datetime) -> str:
    """Return one line: state, time since it was taken on, cost so far, what the service says."""
    parts = [state.name]
    if state.started is not None:
        parts.append(elapsed_text(((state.ended or now) - state.started).total_seconds()))
    used = cost_text(state.hours, prices)
    if used:
        parts.append(used)
    if state.detail:
        parts.append(state.detail)
    return ", ".join(parts)


def elapsed_text(seconds: float) -> str:
    """Return a duration such as "1 h 02 min", "3 min 07 s" or "12 s"."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {left:02d} s" if minutes else f"{left} s"


_WORDS = {
    "vcpu_hour": "vCPU-hours",
    "memory_gb_hour": "GB-hours of memory",
    "storage_gb_hour": "GB-hours of storage",
    "dpu_hour": "DPU-hours",
}


def cost(hours: Mapping[str, float], prices: Prices) -> float | None:
    """Return the sum of hours times price; None if there are no hours, or one of them has no price.

    Parameters
    ----------
    hours : mapping of str to float
        By key of the price table.
    prices : Prices
        For one hour each, in the table's currency.
    """
    found = {key: getattr(prices, key) for key, amount in hours.items() if amount}
    if not found or None in found.values():
        return None
    return float(sum(hours[key] * price for key, price in found.items()))


def cost_text(hours: Mapping[str, float], prices: Prices) -> str:
    """Return hours, and what they cost where the user has said so; "" without hours."""
    used = ", ".join(f"{amount:.3f} {_WORDS[key]}" for key, amount in hours.items() if amount)
    total = cost(hours, prices)
    if total is None:
        return used
    return f"{used} = {total:.2f} {prices.currency or '(currency not set)'}"
