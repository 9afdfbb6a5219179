"""Markets of a calibration: what is true about each, and the study that is asked about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import yaml

from whatif.calendars import EPOCH
from whatif.errors import RunError, nearest
from whatif.sources import SampleMarket, SampleSymbol, sample_schedule
from whatif.study import Study, parse_study

EXCHANGE = "XNYS"
FIRST = date(2023, 1, 3)
VOLATILITY = 0.24
HORIZON = 20
"""Bars that a planted momentum looks back on."""

SEEDS = {"report": 20_240, "thresholds": 71_011}
"""Seeds of the sample markets: thresholds are fixed on other markets than those that are reported."""

FAMILY_FACTOR = 4
"""A configuration is of the planted family if it follows the return of a horizon within this factor.

Those are the ones that earn about half of the planted Sharpe ratio or more: over 20 simulated years at
a ratio of 6, the horizon of 5 bars earns 3.0, 20 bars 5.7, 75 bars 2.6 (threshold 0).
"""

HORIZONS = (
    2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 75, 90, 110, 130, 160, 195, 235, 280, 330, 390,
)  # fmt: skip
THRESHOLDS = tuple(round(0.000025 * k, 6) for k in range(20))
"""Fractions for one bar, from 0 to 0.7 standard deviations of an ordinary minute."""

STRATEGY = "whatif.calibrate.momentum:momentum"
CROSSOVER = "sma_crossover"
SHARE = 0.9
"""Part of the account that a position is worth when it is opened; the rest spares refusals."""


@dataclass(frozen=True)
class Kind:
    """Markets that are alike but for their random numbers.

    Attributes
    ----------
    name : str
        What it is called in files.
    group : str
        What sets its number in `--markets`: noise, drift, planted or swept.
    prefix : str
        Of its symbols.
    title : str
        For people.
    drift : float
        Expected return a year, a fraction.
    edge : float
        Strength of the planted momentum, see `SampleSymbol`.
    sharpe : float
        Annual Sharpe ratio, net of all costs (there are none), of following the planted horizon
        with a threshold of 0; 0 without an edge.
    swept : bool
        Whether another family, of crossovers, is swept on the same market before.
    """

    name: str
    group: str
    prefix: str
    title: str
    drift: float = 0.0
    edge: float = 0.0
    sharpe: float = 0.0
    swept: bool = False


KINDS = (
    Kind("noise", "noise", "N", "noise without drift"),
    Kind("drift", "drift", "D", "noise drifting 10 % a year", drift=0.10),
    Kind("sharpe2", "planted", "P2-", "planted edge, Sharpe 2", edge=0.0145, sharpe=2.0),
    Kind("sharpe4", "planted", "P4-", "planted edge, Sharpe 4", edge=0.0290, sharpe=4.0),
    Kind("sharpe6", "planted", "P6-", "planted edge, Sharpe 6", edge=0.0436, sharpe=6.0),
    Kind("sharpe8", "planted", "P8-", "planted edge, Sharpe 8", edge=0.0586, sharpe=8.0),
)
"""Edges as `whatif calibrate --measure-edges` measures them over 200 simulated years.

In the order of the planted kinds: 1.84, 3.85, 5.85, 7.85, each with a standard error of 0.07. Less
what the same random numbers give without an edge, whose expectation is 0: 2.00, 4.00, 6.00, 8.00.
"""

SWEPT = (
    Kind("noise_swept", "swept", "SN", "noise, after 4,800 crossovers", swept=True),
    Kind(
        "sharpe6_swept", "swept", "SP6-", "planted edge, Sharpe 6, after 4,800 crossovers",
        edge=0.0436, sharpe=6.0, swept=True,
    ),
)  # fmt: skip
"""Markets on which a study of another family has been run before."""

SEARCHES: Mapping[str, Mapping[str, str]] = {
    "grid": {"kind": "grid"},
    "random": {"kind": "random"},
    "sobol": {"kind": "sobol"},
    **{name: {"kind": "optuna", "sampler": name} for name in ("tpe", "gp", "cmaes", "nsga2", "nsga3")},
}
"""Sections of the studies, by the name that `--search` takes."""

DEFAULT_COUNTS = {"noise": 100, "drift": 100, "planted": 50, "swept": 0}


@dataclass(frozen=True)
class Size:
    """How large each market and each study is.

    Attributes
    ----------
    sessions : int
        Sessions of a market.
    horizons, thresholds : tuple
        Values of the two axes beside the direction.
    fast, slow : tuple
        Lengths of the means whose crossovers are the other family, in bars.
    search : str
        How a study looks for its best: one of `SEARCHES`.
    trials : int
        Configurations that a search other than the grid evaluates.
    """

    sessions: int = 250
    horizons: tuple[int, ...] = HORIZONS
    thresholds: tuple[float, ...] = THRESHOLDS
    fast: tuple[int, ...] = tuple(range(2, 62))
    slow: tuple[int, ...] = tuple(range(70, 390, 4))
    search: str = "grid"
    trials: int = 400

    @property
    def configurations(self) -> int:
        """Configurations of a study."""
        every = 2 * len(self.horizons) * len(self.thresholds)
        return every if self.search == "grid" else min(self.trials, every)


FULL = Size()
QUICK = Size(60, (5, 10, 20, 40), (0.0, 0.0002, 0.0004), (3, 5, 8), (20, 40))


@dataclass(frozen=True)
class Market:
    """One symbol with its study.

    Attributes
    ----------
    kind : Kind
        What is true about it.
    number : int
        Which of its kind, from 0.
    seed : int
        Of the sample market it belongs to.
    """

    kind: Kind
    number: int
    seed: int

    @property
    def name(self) -> str:
        """The symbol; also the study."""
        return f"{self.kind.prefix}{self.number:03d}"

    @property
    def symbol(self) -> SampleSymbol:
        """The symbol as the sample market takes it."""
        return SampleSymbol(
            name=self.name,
            start_price=100.0,
            annual_volatility=VOLATILITY,
            annual_drift=self.kind.drift,
            edge=self.kind.edge,
            edge_horizon=HORIZON,
        )


def parse_counts(text: str) -> dict[str, int]:
    """Return how many markets there are of each group: ``noise=100,drift=100,planted=50``.

    `planted` is the number for each of the four Sharpe ratios, `swept` that of noise and of Sharpe 6
    after a sweep of another family; what is left out is 0.

    Raises
    ------
    RunError
        If a group is unknown, a number is none, or there is no market at all.
    """
    counts = dict.fromkeys(DEFAULT_COUNTS, 0)
    for part in filter(None, (entry.strip() for entry in text.split(","))):
        name, _, number = part.partition("=")
        if name not in counts:
            raise RunError(
                f"--markets {part!r}: {nearest(name, counts)}, as in noise=100,drift=100,planted=50"
            )
        if not (number.isascii() and number.isdigit() and int(number) < 1000):
            raise RunError(f"--markets {part!r}: the number must be whole, from 0 to 999, as in {name}=50")
        counts[name] = int(number)
    if not any(counts.values()):
        raise RunError(f"--markets {text!r} asks for no market: write for instance noise=100,planted=50")
    return counts


def markets_of(counts: Mapping[str, int], seed_set: str) -> list[Market]:
    """Return the markets of a seed set, kind by kind.

    Raises
    ------
    RunError
        If there is no such seed set.
    """
    if seed_set not in SEEDS:
        raise RunError(f"--seed-set {seed_set!r} is unknown: {nearest(seed_set, SEEDS)}")
    seed = SEEDS[seed_set]
    return [
        Market(kind, number, seed) for kind in (*KINDS, *SWEPT) for number in range(counts.get(kind.group, 0))
    ]


def check_search(name: str) -> str:
    """Return the name of a search.

    Raises
    ------
    RunError
        If there is none of this name.
    """
    if name not in SEARCHES:
        raise RunError(f"--search {name!r} is unknown: {nearest(name, SEARCHES)}")
    return name


def sample_market(markets: Sequence[Market], size: Size) -> SampleMarket:
    """Return the sample market of some markets that share a seed."""
    (seed,) = {market.seed for market in markets}
    symbols = tuple(market.symbol for market in markets)
    return SampleMarket(seed=seed, exchange=EXCHANGE, first=FIRST, sessions=size.sessions, symbols=symbols)


def study_of(market: Market, size: Size) -> Study:
    """Return the study of a market: follow it or go against it, by horizon and threshold; no costs."""
    axes = {
        "direction": [1, -1],
        "horizon": list(size.horizons),
        "threshold": list(size.thresholds),
    }
    study = _study(market, size, market.name, STRATEGY, axes, "1min")
    if size.search == "grid":
        return study
    section = {**SEARCHES[size.search], "trials": size.trials, "seed": market.number}
    return _read({**yaml.safe_load(study.text), "search": section})


def sweep_of(market: Market, size: Size) -> Study:
    """Return the study of another family on the same market: crossovers of two means of 15-minute bars."""
    axes = {"fast": list(size.fast), "slow": list(size.slow)}
    return _study(market, size, f"{market.name}-crossovers", CROSSOVER, axes, "15min")


def _study(
    market: Market, size: Size, name: str, strategy: str, axes: Mapping[str, object], timeframe: str
) -> Study:
    sessions = sample_schedule(sample_market([market], size)).session
    first, last = (EPOCH + timedelta(days=int(day)) for day in sessions[[0, -1]])
    given = {
        "study": name,
        "description": f"Synthetic: {market.kind.title}, number {market.number}, seed {market.seed}.",
        "data": {
            "symbols": [market.name],
            "timeframe": timeframe,
            "start": first,
            "end": last + timedelta(1),
        },
        "calendar": {"exchange": EXCHANGE, "session": "regular"},
        "strategy": {"name": strategy},
        "axes": dict(axes),
        "overlays": {"percent_of_equity": SHARE},
        "execution": {"cash": 100_000.0, "commission": 0.0, "slippage": 0.0},
        "split": {"kind": "holdout", "train": 0, "validate": 0.65, "test": 0.35},
        "objective": "sharpe",
        "keep": {"trades": 0, "equity": 0},
    }
    return _read(given)


def _read(given: Mapping[str, object]) -> Study:
    return parse_study(yaml.safe_dump(dict(given), sort_keys=False), f"the study {given['study']}")


def is_planted(params: Mapping[str, object]) -> bool:
    """Tell whether a configuration is of the planted family.

    It is if it follows the return (direction 1) of a horizon within a factor of `FAMILY_FACTOR`
    of the planted one, with any threshold: 260 of the 1,000.
    """
    horizon = float(str(params["horizon"]))
    return params["direction"] == 1 and HORIZON / FAMILY_FACTOR <= horizon <= HORIZON * FAMILY_FACTOR
