"""Statistics of a verdict, each with the reason where it is undefined."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from whatif.errors import StatisticsError
from whatif.stats.bootstrap import Interval, objective_interval
from whatif.stats.evidence import Evidence, Thresholds
from whatif.stats.measures import (
    constant_columns,
    measure,
    net_exposure,
    over_market,
    partly_over_market,
    usable_objective,
)
from whatif.stats.overfitting import probability_of_backtest_overfitting
from whatif.stats.sharpe import (
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    minimum_track_record_length,
    probabilistic_sharpe_ratio,
)
from whatif.stats.snooping import Snooping, snooping
from whatif.typing import FloatArray

NAN = float("nan")

MANY = 2_000
"""Configurations above which overfitting is measured on 12 blocks (924 splits), not 16 (12,870)."""

MAX_PERIODS = 5_000
"""Periods above which what is compared joins them, see `joined`."""

_SLAB = 1024
"""Columns that intermediate results are held of."""


@dataclass(frozen=True)
class Moments:
    """Sharpe ratio per period of some returns, and what its error depends on."""

    sharpe: float
    n: int
    skew: float
    kurtosis: float


@dataclass(frozen=True)
class WindowStatistics:
    """The chosen configuration on one window.

    Attributes
    ----------
    periods : int
        Returns.
    trades : float
        Closed trades; NaN if not known.
    objective : Interval
        What ranks it, or what stands in for that.
    market : float
        The same of the market, held long with all of the account; NaN if there is none.
    beta : float
        The slope of its returns on the market's: the share of the market that it held, long less
        short; see `net_exposure`.
    alpha : float
        What it earned over the market times beta, a year, as a fraction; see `over_market`.
    psr : float
        Probability that its Sharpe ratio is above zero.
    excess : Interval or None
        Sharpe ratio, annualised, of what it earned over the market times `beta` (the appraisal ratio).
    own, over : Moments or None
        Of the returns, and of those over the market.
    """

    periods: int
    trades: float
    objective: Interval
    market: float
    beta: float
    alpha: float
    psr: float
    excess: Interval | None
    own: Moments
    over: Moments | None

    @property
    def psr_market(self) -> float:
        """Probability that the Sharpe ratio of what it earned over the market is above zero, or NaN."""
        return NAN if self.over is None else _probabilistic(self.over)


@dataclass(frozen=True)
class VerdictStatistics:
    """The statistics behind a verdict; NaN where undefined, with the reason in `missing`.

    Attributes
    ----------
    objective : str
        Which objective they use: that of the study, or "sharpe" where returns do not tell it.
    validate : WindowStatistics
        Where the configuration was chosen.
    test : WindowStatistics or None
        Where it was not.
    dsr, dsr_market : float
        Deflated Sharpe ratio of its returns, and of those over the market.
    expected_maximum_sharpe : float
        Annualised ratio to expect of the best of as many independent ones that are worth nothing.
    pbo : float
        Probability of backtest overfitting.
    spa_zero, spa_market : float
        P-values of superior predictive ability over zero, and over the market: of the study's best
        against the maximum over all trials that returns are known of, other studies' among them.
    trials : int
        Configurations tried on these data.
    effective_trials : float
        Independent ones that those with known returns amount to.
    unseen : int
        Those of `trials` that no returns are known of.
    compared, idle, ruined : int
        The study's own that were compared, that never traded, and that lost everything and were left out.
    others : int
        Those of other studies that they were compared with.
    untried : int
        Points that a search which learns could have come to, and did not; allowed for, see
        `compute_statistics`.
    record_periods, record_years : float
        Length of record at which the weaker Sharpe ratio of the chosen configuration (its own or over
        the market, on test if there is one) would be above zero with the probability asked for;
        infinite if it is not positive.
    missing : mapping of str to str
        Why a statistic has no value, by its name here; under `trials`, why some are unseen.
    worst : mapping of str to float
        What p-values and deflated ratios would be if each unseen trial were independent of all
        others, by their names here; empty if there is none.
    """

    objective: str
    validate: WindowStatistics
    test: WindowStatistics | None
    dsr: float
    dsr_market: float
    expected_maximum_sharpe: float
    pbo: float
    spa_zero: float
    spa_market: float
    trials: int
    effective_trials: float
    unseen: int
    compared: int
    idle: int
    ruined: int
    others: int
    untried: int
    record_periods: float
    record_years: float
    missing: Mapping[str, str] = field(default_factory=dict)
    worst: Mapping[str, float] = field(default_factory=dict)


def compute_statistics(evidence: Evidence, thresholds: Thresholds, seed: int = 0) -> VerdictStatistics:
    """Compute every statistic that a verdict looks at.

    Parameters
    ----------
    evidence : Evidence
        Returns of everything tried; those of the chosen configuration are finite.
    thresholds : Thresholds
        Confidence, replications, and how many looks count.
    seed : int
        Of all bootstraps.

    Notes
    -----
    *Trials of other studies* are compared by their returns, together with the study's own (`snooping`):
    a sweep of another family adds what it amounts to, not its number. Unseen trials, whose returns
    are not known, change no figure; `worst` says what they could change at the most.

    *A search that learns* draws its later trials near its best ones, so that they move together, and their
    maximum under the null says too little of what the search would have found on other data: there it
    would have gone elsewhere. Its best is at most the best of its whole space, however it searches.
    The trials are therefore taken for a sample of the space (`snooping`, `stand_for`), which bounds
    White's (2000) reality check of the search procedure itself without running the search again.

    *The highest ratio by luck*, which deflates (Bailey and López de Prado, 2014, equation 1), is that of
    trials that are worth nothing. Its variance is therefore the sampling variance of such a ratio (about
    1 / periods), not the variance across the trials at hand, which holds how much they truly differ: in
    a family that loses by its costs, or beside an edge, that would be far too high.

    *Over the market.* Returns less those of the market at each one's net exposure (`over_market`).
    """
    missing: dict[str, str] = {}
    finite = np.isfinite(evidence.tried.sum(axis=0))
    tried = evidence.tried if finite.all() else np.ascontiguousarray(evidence.tried[:, finite])
    over = _over_markets(evidence, tried, finite)
    validate = _side(evidence.validate, evidence.market, evidence.trades, evidence, thresholds, seed)
    test = None
    if evidence.test is not None and len(evidence.test) > 1:
        shown = evidence.test, evidence.test_market, evidence.test_trades
        test = _side(*shown, evidence, thresholds, seed, evidence.looks)
    zero = _snooped(tried, evidence.others, "spa_zero", evidence, thresholds, seed, missing)
    market = None
    if over is not None:
        market = _snooped(
            over, _others_over_markets(evidence), "spa_market", evidence, thresholds, seed, missing
        )
    dsr, dsr_market = _deflated(validate.own, zero), _deflated(validate.over, market)
    if math.isnan(dsr):
        missing["dsr"] = "the chosen configuration's returns do not vary"
    pbo = _overfitting(tried, evidence.objective, missing)
    record = _record(test or validate, thresholds)
    worst = _worst(evidence.unseen, validate, zero, market)
    if evidence.unseen:
        missing["trials"] = evidence.unseen_why or "their returns are not known"
    return VerdictStatistics(
        objective=usable_objective(evidence.objective),
        validate=validate,
        test=test,
        dsr=dsr,
        dsr_market=dsr_market,
        expected_maximum_sharpe=_luck(zero) * math.sqrt(evidence.periods_per_year),
        pbo=pbo,
        spa_zero=NAN if zero is None else zero.p_value,
        spa_market=NAN if market is None else market.p_value,
        trials=evidence.seen + evidence.unseen,
        effective_trials=1.0 if zero is None else zero.effective,
        unseen=evidence.unseen,
        compared=tried.shape[1],
        idle=int(constant_columns(tried).sum()),
        ruined=evidence.tried.shape[1] - tried.shape[1],
        others=0 if evidence.others is None else evidence.others.shape[1],
        untried=evidence.untried,
        record_periods=record,
        record_years=record / evidence.periods_per_year,
        missing=missing,
        worst=worst,
    )


def moments(returns: FloatArray) -> Moments:
    """Return the Sharpe ratio per period (ddof=1), skewness and kurtosis (3 for a normal) of returns.

    Parameters
    ----------
    returns : float64 array (periods,)
        Simple returns per period. All three are NaN where `measure` gives no Sharpe ratio.
    """
    ratio = float(measure(returns, "sharpe"))
    if not math.isfinite(ratio):
        return Moments(NAN, len(returns), NAN, NAN)
    centred = returns - returns.mean()
    spread = float(np.square(centred).mean())
    return Moments(
        sharpe=ratio,
        n=len(returns),
        skew=float((centred**3).mean()) / spread**1.5,
        kurtosis=float((centred**4).mean()) / spread**2,
    )


def _side(
    returns: FloatArray,
    market: FloatArray | None,
    trades: float,
    evidence: Evidence,
    thresholds: Thresholds,
    seed: int,
    looks: int = 1,
) -> WindowStatistics:
    own, per_year, used = moments(returns), evidence.periods_per_year, usable_objective(evidence.objective)
    beta, held, alpha, excess, over = NAN, NAN, NAN, None, None
    if market is not None:
        beta = float(net_exposure(returns, market))
        held = float(measure(market, used, per_year))
        left = over_market(returns, market)
        alpha = float(left.mean()) * per_year
        over = moments(left)
        confidence = 1.0 - (1.0 - thresholds.confidence) / looks
        excess = objective_interval(left, "sharpe", per_year, confidence, thresholds.reps, seed)
    return WindowStatistics(
        periods=len(returns),
        trades=trades,
        objective=objective_interval(
            returns, evidence.objective, per_year, thresholds.confidence, thresholds.reps, seed
        ),
        market=held,
        beta=beta,
        alpha=alpha,
        psr=_probabilistic(own),
        excess=excess,
        own=own,
        over=over,
    )


def _probabilistic(of: Moments) -> float:
    if math.isnan(of.sharpe):
        return NAN
    return probabilistic_sharpe_ratio(of.sharpe, of.n, 0.0, of.skew, of.kurtosis)


def _over_markets(evidence: Evidence, tried: FloatArray, finite: np.ndarray) -> FloatArray | None:
    if evidence.markets is None:
        return None
    which = np.zeros(len(finite), np.int64) if evidence.market_of is None else evidence.market_of
    which = which[finite]
    over = np.empty_like(tried)
    for k in np.unique(which):
        mine = np.flatnonzero(which == k)
        over[:, mine] = over_market(tried[:, mine], evidence.markets[:, k])
    return over


def _others_over_markets(evidence: Evidence) -> FloatArray | None:
    if evidence.others is None or evidence.markets is None:
        return None
    which = evidence.other_market_of
    over = np.empty_like(evidence.others)
    for start in range(0, over.shape[1], _SLAB):
        part = slice(start, start + _SLAB)
        of = np.zeros(len(over[0, part]), np.int64) if which is None else which[part]
        for k in np.unique(of):
            mine = start + np.flatnonzero(of == k)
            over[:, mine] = partly_over_market(evidence.others[:, mine], evidence.markets[:, k])
    return over


def _snooped(
    own: FloatArray,
    others: FloatArray | None,
    name: str,
    evidence: Evidence,
    thresholds: Thresholds,
    seed: int,
    missing: dict[str, str],
) -> Snooping | None:
    """Return the test over everything tried; None, and why, where it is not defined."""
    ruined = evidence.tried.shape[1] - own.shape[1]
    try:
        return snooping(
            joined(own),
            None if others is None else joined(others),
            # where a search learns, what it did not try may be what it would have found by luck
            stand_for=evidence.seen - ruined + evidence.untried,
            unseen=evidence.unseen,
            reps=thresholds.reps,
            seed=seed,
            limit=thresholds.spa,
        )
    except StatisticsError as error:
        missing[name] = str(error)
        return None


def _luck(tested: Snooping | None, unseen: int = 0) -> float:
    """Return the highest ratio per period to expect by luck."""
    return NAN if tested is None else expected_maximum_sharpe(tested.effective + unseen, tested.variance)


def _deflated(of: Moments | None, tested: Snooping | None, unseen: int = 0) -> float:
    if of is None or tested is None or math.isnan(of.sharpe):
        return NAN
    trials = tested.effective + unseen
    return deflated_sharpe_ratio(of.sharpe, of.n, trials, tested.variance, of.skew, of.kurtosis)


def _worst(
    unseen: int, validate: WindowStatistics, zero: Snooping | None, market: Snooping | None
) -> dict[str, float]:
    """Return what unseen trials, each independent of all others, would make of what they bear on."""
    found: dict[str, float] = {}
    if unseen:
        for name, tested, of in (("zero", zero, validate.own), ("market", market, validate.over)):
            if tested is not None:
                found[f"spa_{name}"] = tested.p_worst
                found["dsr" if name == "zero" else "dsr_market"] = _deflated(of, tested, unseen)
    return found


def _overfitting(tried: FloatArray, objective: str, missing: dict[str, str]) -> float:
    if tried.shape[1] < 2:
        missing["pbo"] = "one configuration was tried, so none was picked over others"
        return NAN
    # at least four periods a block, or a block says nothing
    blocks = min(16 if tried.shape[1] <= MANY else 12, len(tried) // 4 // 2 * 2)
    if blocks < 4:
        missing["pbo"] = f"{len(tried)} periods are too few: four blocks of four are the least"
        return NAN
    try:
        return float(probability_of_backtest_overfitting(tried, blocks, objective))
    except StatisticsError as error:
        missing["pbo"] = str(error)
        return NAN


def joined(gains: FloatArray, most: int = MAX_PERIODS) -> FloatArray:
    """Return gains over periods joined by twos, threes and so on, so that there are `most` at the most.

    Bootstraps over all columns take time and memory with the periods. Joining leaves the mean of all as
    it is, and with it what is tested; the first periods that do not fill a group are left out.

    Parameters
    ----------
    gains : float64 array (periods, configurations)
        NaN makes the whole group NaN.
    most : int
        Periods to keep, at most.

    Returns
    -------
    float64 array (groups, configurations)
        Sums of the groups; `gains` itself if there are no more periods than `most`.
    """
    together = -(-len(gains) // most)
    if together < 2:
        return gains
    groups = len(gains) // together
    return np.asarray(gains[-groups * together :].reshape(groups, together, -1).sum(axis=1))


def _record(side: WindowStatistics, thresholds: Thresholds) -> float:
    lengths = [
        minimum_track_record_length(of.sharpe, 0.0, of.skew, of.kurtosis, thresholds.psr)
        for of in (side.own, side.over)
        if of is not None
    ]
    return float(np.max(lengths))
