"""How strong a planted edge must be for a given Sharpe ratio: measured by simulation, without Spark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from whatif.calendars import make_periods
from whatif.calibrate.markets import (
    EXCHANGE,
    HORIZON,
    KINDS,
    SHARE,
    STRATEGY,
    Kind,
    Market,
    Size,
    sample_market,
)
from whatif.domain import MINUTE_US, Execution, Overlays, sharpe
from whatif.engines import RunInputs, WindowInputs, get_engine
from whatif.engines.market import bars_of_frame
from whatif.errors import StrategyError
from whatif.sources import generate, sample_schedule
from whatif.strategies import StrategySpec, resolve
from whatif.typing import FloatArray

SEED = 555_000
"""Of the markets that edges are measured on, apart from those of calibration."""
YEAR = Size(sessions=252)
YEARS = 20


@dataclass(frozen=True)
class EdgeMeasured:
    """The Sharpe ratio that following a planted horizon earns.

    Attributes
    ----------
    kind : Kind
        The market, with the Sharpe ratio that it is named after.
    sharpes : float64 array (repeats,)
        Annual Sharpe ratio of session returns over `YEARS` years, one for each set of random numbers.
    without : float64 array (repeats,)
        The same with the same random numbers and no edge; its expectation is 0.
    """

    kind: Kind
    sharpes: FloatArray
    without: FloatArray

    @property
    def mean(self) -> float:
        """Mean over the repeats."""
        return float(np.mean(self.sharpes))

    @property
    def sharper(self) -> float:
        """Mean over the repeats, less what the same random numbers give without an edge."""
        return float(np.mean(self.sharpes - self.without))

    @property
    def error(self) -> float:
        """Standard error of `mean`: a Sharpe ratio of so many years has about that of one of 0."""
        return float(1.0 / np.sqrt(YEARS * len(self.sharpes)))


def measure_edges(
    repeats: int = 10, say: Callable[[str], None] = lambda _: None, kinds: tuple[Kind, ...] = KINDS
) -> list[EdgeMeasured]:
    """Measure the planted kinds anew, each over `repeats` times `YEARS` simulated years.

    The member of the planted family that is measured is fixed: direction 1, the planted horizon,
    threshold 0. A year is 252 sessions of a market of its own.
    """
    planted = [kind for kind in kinds if kind.edge]
    found: dict[str, list[float]] = {kind.name: [] for kind in planted}
    without: list[float] = []
    for repeat in range(repeats):
        say(f"{YEARS} simulated years, {repeat + 1} of {repeats}")
        without.append(_sharpe(replace(planted[0], edge=0.0), repeat))
        for kind in planted:
            found[kind.name].append(_sharpe(kind, repeat))
    return [EdgeMeasured(kind, np.array(found[kind.name]), np.array(without)) for kind in planted]


def edges_text(measured: list[EdgeMeasured]) -> str:
    """Return the measured Sharpe ratios as a table in Markdown."""
    lines = [
        "| planted edge | named | measured | standard error | less the same years without an edge |",
        "|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {one.kind.edge:g} | {one.kind.sharpe:g} | {one.mean:.2f} | {one.error:.2f} | {one.sharper:.2f} |"
        for one in measured
    ]
    return "\n".join(lines)


def _sharpe(kind: Kind, repeat: int) -> float:
    """Return the annual Sharpe ratio over `YEARS` years of following the planted horizon."""
    spec = resolve(STRATEGY)
    if not isinstance(spec, StrategySpec):
        raise StrategyError(f"strategy {STRATEGY} is no step function")
    params = spec.validate({"direction": 1, "horizon": HORIZON, "threshold": 0.0})
    years = [_year(replace(kind, prefix="Y"), repeat * YEARS + k, spec, params) for k in range(YEARS)]
    return sharpe(np.concatenate([returns for returns, _ in years]), years[0][1])


def _year(
    kind: Kind, number: int, spec: StrategySpec, params: Mapping[str, object]
) -> tuple[FloatArray, float]:
    """Return the session returns of one year, and how many a year there are."""
    market = Market(kind, number, SEED)
    made = sample_market([market], YEAR)
    (bars,) = bars_of_frame(generate(made, market.name), EXCHANGE)
    start, end = int(bars.ts[0]), int(bars.ts[-1]) + MINUTE_US
    periods = make_periods("session", sample_schedule(made), start, end, MINUTE_US)
    measure = get_engine("compiled").open(WindowInputs([bars], spec, periods))
    measured = measure(RunInputs(params, Execution(cash=100_000.0), Overlays(percent_of_equity=SHARE)))
    return measured.account.returns, periods.per_year
