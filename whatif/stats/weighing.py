"""Every statistic of a verdict, each with why it is undefined where it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from whatif.errors import StatisticsError
from whatif.stats.evidence import Evidence, Thresholds
from whatif.stats.exposure import net_exposure, over_market
from whatif.stats.intervals import Interval, objective_interval
from whatif.stats.objectives import constant_columns, measure, usable_objective
from whatif.stats.overfitting import probability_of_backtest_overfitting
from whatif.stats.sharpe import (
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    minimum_track_record_length,
    probabilistic_sharpe_ratio,
)
from whatif.stats.superiority import superior_predictive_ability
from whatif.stats.trials import effective_trials, trial_variance
from whatif.typing import FloatArray

NAN = float("nan")

MANY = 2_000
"""Configurations above which overfitting is measured on 12 blocks (924 splits), not 16 (12,870)."""

MOST_PERIODS = 5_000
"""Periods above which superior ability joins them, see `joined`."""


@dataclass(frozen=True)
class Moments:
    """Sharpe ratio per period of some returns, and what its error depends on."""

    sharpe: float
    n: int
    skew: float
    kurtosis: float


@dataclass(frozen=True)
class Side:
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


@dataclass(frozen=True)
class Figures:
    """The statistics behind a verdict; NaN where undefined, with the reason in `missing`.

    Attributes
    ----------
    objective : str
        Which objective they use: that of the study, or "sharpe" where returns do not tell it.
    validate : Side
        Where the configuration was chosen.
    test : Side or None
        Where it was not.
    dsr, dsr_market : float
        Deflated Sharpe ratio of its returns, and of those over the market.
    expected_maximum_sharpe : float
        Annualised ratio to expect of the best of as many that are worth nothing, if all of the
        differences between them were luck. Where some are not, it is too high, and it decides nothing
        on a study with a test window.
    pbo : float
        Probability of backtest overfitting.
    pbo_blocks : int
        Blocks it was measured on; 0 if it was not.
    spa_zero, spa_market : float
        P-values of superior predictive ability over zero, and over the market; those of other
        studies' trials are allowed for (Šidák).
    trials : int
        Configurations tried on these data.
    effective_trials : float
        Independent ones they amount to.
    compared, idle, ruined : int
        Columns that were compared, that never traded, and that lost everything and were left out.
    record_periods, record_years : float
        Length of record at which the weaker Sharpe ratio of the chosen configuration (its own or over
        the market, on test if there is one) would be above zero with the probability asked for;
        infinite if it is not positive.
    missing : mapping of str to str
        Why a statistic has no value, by its name here.
    """

    objective: str
    validate: Side
    test: Side | None
    dsr: float
    dsr_market: float
    expected_maximum_sharpe: float
    pbo: float
    pbo_blocks: int
    spa_zero: float
    spa_market: float
    trials: int
    effective_trials: float
    compared: int
    idle: int
    ruined: int
    record_periods: float
    record_years: float
    missing: Mapping[str, str] = field(default_factory=dict)


def weigh(evidence: Evidence, thresholds: Thresholds, seed: int = 0) -> Figures:
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
    *Trials elsewhere.* Of the returns given, the effective number is estimated, and scaled by
    trials / configurations: what was tried in other studies is taken to be as varied as what was
    tried here, which counts too many where they overlap. A p-value p of superior predictive ability
    becomes 1 - (1 - p)**(trials / configurations); 0 of `reps` counts as 1 / (reps + 1) there. The
    variance across trials is then at least 1 / (periods - 1), that of a ratio of noise.

    *Over the market.* Returns less those of the market at each one's net exposure (`over_market`).
    """
    missing: dict[str, str] = {}
    finite = np.isfinite(evidence.tried.sum(axis=0))
    tried = evidence.tried if finite.all() else np.ascontiguousarray(evidence.tried[:, finite])
    over = _over_markets(evidence, tried, finite)
    columns = tried.shape[1]
    trials = max(evidence.trials, evidence.tried.shape[1])
    effective = max(1.0, effective_trials(tried) * trials / columns)
    validate = _side(evidence.validate, evidence.market, evidence.trades, evidence, thresholds, seed)
    test = None
    if evidence.test is not None and len(evidence.test) > 1:
        shown = evidence.test, evidence.test_market, evidence.test_trades
        test = _side(*shown, evidence, thresholds, seed, evidence.looks)
    elsewhere = trials / columns
    luck, dsr = _deflated(validate.own, tried, effective, elsewhere > 1.0)
    if math.isnan(dsr):
        missing["dsr"] = "the chosen configuration's returns do not vary"
    pbo, blocks = _overfitting(tried, evidence.objective, missing)
    record = _record(test or validate, thresholds)
    return Figures(
        objective=usable_objective(evidence.objective),
        validate=validate,
        test=test,
        dsr=dsr,
        dsr_market=NAN
        if over is None or validate.over is None
        else _deflated(validate.over, over, effective, elsewhere > 1.0)[1],
        expected_maximum_sharpe=luck * math.sqrt(evidence.periods_per_year),
        pbo=pbo,
        pbo_blocks=blocks,
        spa_zero=_spa(tried, elsewhere, "spa_zero", thresholds, seed, missing),
        spa_market=NAN if over is None else _spa(over, elsewhere, "spa_market", thresholds, seed, missing),
        trials=trials,
        effective_trials=effective,
        compared=columns,
        idle=int(constant_columns(tried).sum()),
        ruined=evidence.tried.shape[1] - columns,
        record_periods=record,
        record_years=record / evidence.periods_per_year,
        missing=missing,
    )


def moments(returns: FloatArray) -> Moments:
    """Return the Sharpe ratio per period (ddof=1), skewness and kurtosis (3 for a normal) of returns."""
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
) -> Side:
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
    return Side(
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


def _deflated(of: Moments, tried: FloatArray, effective: float, elsewhere: bool) -> tuple[float, float]:
    """Return the highest ratio per period to expect by luck, and the deflated ratio."""
    variance = trial_variance(tried)
    if elsewhere:
        variance = float(np.fmax(variance, 1.0 / max(len(tried) - 1, 1)))
    if math.isnan(of.sharpe) or math.isnan(variance):
        return NAN, NAN
    luck = expected_maximum_sharpe(effective, variance)
    return luck, deflated_sharpe_ratio(of.sharpe, of.n, effective, variance, of.skew, of.kurtosis)


def _overfitting(tried: FloatArray, objective: str, missing: dict[str, str]) -> tuple[float, int]:
    if tried.shape[1] < 2:
        missing["pbo"] = "one configuration was tried, so none was picked over others"
        return NAN, 0
    # at least four periods a block, or a block says nothing
    blocks = min(16 if tried.shape[1] <= MANY else 12, len(tried) // 4 // 2 * 2)
    if blocks < 4:
        missing["pbo"] = f"{len(tried)} periods are too few: four blocks of four are the least"
        return NAN, 0
    try:
        return float(probability_of_backtest_overfitting(tried, blocks, objective)), blocks
    except StatisticsError as error:
        missing["pbo"] = str(error)
        return NAN, 0


def _spa(
    gains: FloatArray, elsewhere: float, name: str, thresholds: Thresholds, seed: int, missing: dict[str, str]
) -> float:
    try:
        p = float(superior_predictive_ability(joined(gains), 0.0, thresholds.reps, seed))
    except StatisticsError as error:
        missing[name] = str(error)
        return NAN
    if elsewhere <= 1.0:
        return p
    return float(1.0 - (1.0 - max(p, 1.0 / (thresholds.reps + 1))) ** elsewhere)


def joined(gains: FloatArray, most: int = MOST_PERIODS) -> FloatArray:
    """Return gains over periods joined by twos, threes and so on, so that there are `most` at the most.

    The variance of superior predictive ability sums over all lags, which takes time with the square of the
    periods. Joining leaves the mean of all as it is, and with it what is tested; the first periods that do
    not fill a group are left out.
    """
    together = -(-len(gains) // most)
    if together < 2:
        return gains
    groups = len(gains) // together
    return np.asarray(gains[-groups * together :].reshape(groups, together, -1).sum(axis=1))


def _record(side: Side, thresholds: Thresholds) -> float:
    lengths = [
        minimum_track_record_length(of.sharpe, 0.0, of.skew, of.kurtosis, thresholds.psr)
        for of in (side.own, side.over)
        if of is not None
    ]
    return float(np.max(lengths))
