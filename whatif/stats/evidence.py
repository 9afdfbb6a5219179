"""Evidence of a verdict: the returns of everything tried, and the limits set beforehand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whatif.errors import StatisticsError
from whatif.typing import FloatArray, IntArray


@dataclass(frozen=True)
class Thresholds:
    """Limits that a verdict is given by.

    They belong before the data: fixed by calibration on markets made with seeds of their own, never
    by looking at a study.

    Attributes
    ----------
    validate_periods, test_periods : int
        Fewest periods in either window; with fewer, nothing can be told.
    trades : int
        Fewest closed trades of the chosen configuration on validate.
    spa, test : float
        Highest p-values of superior predictive ability on validate, and of the Sharpe ratio on the test
        window, each over zero and over the market. They are not strict, since both windows have to agree.
    both : float
        Highest product of the two, which decides: of what is worth nothing, one in a hundred has such a
        product within both limits (Fisher's combination of tests that are apart). The p-value on a test
        window that was opened for k configurations counts k times.
    psr : float
        Probability that the Sharpe ratio is above zero which a record is to tell with; what is left is the
        chance of error that a study without a test window is allowed.
    confidence : float
        Of intervals, two-sided; of the one over the market on test, the error is divided by k.
    dsr, pbo : float
        Lowest deflated Sharpe ratio and highest probability of backtest overfitting, which decide
        where there is no test window.
    reps : int
        Bootstrap replications.
    """

    validate_periods: int = 60
    test_periods: int = 20
    trades: int = 10
    spa: float = 0.20
    test: float = 0.20
    both: float = 0.0027
    psr: float = 0.95
    confidence: float = 0.90
    dsr: float = 0.95
    pbo: float = 0.20
    reps: int = 1000


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of a chosen configuration and of everything it was chosen from.

    Attributes
    ----------
    tried : float64 array (periods, configurations)
        Simple returns per period on the validate window of everything tried, in time order. One that
        never trades holds zeros; a return that is not finite is of an account that lost everything.
    chosen : int
        Column of the one that was chosen.
    objective : str
        The metric that chose it.
    periods_per_year : float
        Annualises ratios.
    markets : float64 array (periods, markets) or None
        Returns of holding each market with all of the account; None if there is nothing to hold.
    market_of : int64 array (configurations,) or None
        Which market each configuration trades; the first, if None.
    test : float64 array (test periods,) or None
        Returns of the chosen configuration on data that had no part in the choice: of a test window,
        or of several joined. None if there is no such window.
    test_market : float64 array (test periods,) or None
        Returns of holding its market there.
    test_failed : str
        Why there are no returns on a test window that there is; "" if they are there.
    trials : int
        Configurations tried on these data, in whatever study; at least those that returns are given of.
    others : float64 array (periods, others) or None
        Returns, over the same periods, of what other studies tried; NaN in periods that one has none of.
    other_market_of : int64 array (others,) or None
        Which market each of them trades; the first, if None.
    stand_for : int
        Trials that `tried` and `others` together are a random sample of; their number, if that is
        more. What is left up to `trials` is unseen: nothing is known of it.
    unseen_why : str
        Why nothing is known of the unseen trials.
    reach : int
        Points that a search which learns from results could have come to, those in `tried` among them; 0
        of one that does not learn.
    trades, test_trades : float
        Closed trades of the chosen configuration; NaN if not known.
    looks : int
        Configurations that the test window was opened for, this one included, and whose trials are not
        compared by their returns in `others`: those were allowed for on validate, all together.
    """

    tried: FloatArray
    chosen: int
    objective: str
    periods_per_year: float
    markets: FloatArray | None = None
    market_of: IntArray | None = None
    test: FloatArray | None = None
    test_market: FloatArray | None = None
    test_failed: str = ""
    trials: int = 1
    others: FloatArray | None = None
    other_market_of: IntArray | None = None
    stand_for: int = 0
    unseen_why: str = ""
    reach: int = 0
    trades: float = float("nan")
    test_trades: float = float("nan")
    looks: int = 1

    def __post_init__(self) -> None:
        """Refuse parts that do not fit together.

        Raises
        ------
        StatisticsError
            If shapes do not match or the chosen column does not exist.
        """
        if self.tried.ndim != 2 or not 0 <= self.chosen < self.tried.shape[1]:
            raise StatisticsError(
                f"tried of shape {self.tried.shape}, chosen={self.chosen}: a matrix "
                "(periods, configurations) and one of its columns"
            )
        if self.markets is not None and (
            self.markets.ndim != 2 or len(self.markets) != len(self.tried) or not self.markets.shape[1]
        ):
            raise StatisticsError(
                f"markets of shape {self.markets.shape} for returns of shape {self.tried.shape}: a column "
                "for each market, over the same periods"
            )
        if self.market_of is not None and len(self.market_of) != self.tried.shape[1]:
            raise StatisticsError(
                f"market_of of {len(self.market_of)} for {self.tried.shape[1]} configurations: one for each"
            )
        if self.others is not None and (self.others.ndim != 2 or len(self.others) != len(self.tried)):
            raise StatisticsError(
                f"others of shape {self.others.shape} for returns of shape {self.tried.shape}: a column for "
                "each, over the same periods, NaN where there is no return"
            )
        if self.other_market_of is not None and len(self.other_market_of) != self._others:
            raise StatisticsError(
                f"other_market_of of {len(self.other_market_of)} for {self._others} others: one for each"
            )

    @property
    def _others(self) -> int:
        return 0 if self.others is None else int(self.others.shape[1])

    @property
    def seen(self) -> int:
        """Trials that the returns given are those of, or a sample of."""
        return max(self.stand_for, int(self.tried.shape[1]) + self._others)

    @property
    def unseen(self) -> int:
        """Trials of which nothing is known but that they were made."""
        return max(self.trials - self.seen, 0)

    @property
    def untried(self) -> int:
        """Points that a search which learns could have come to, and did not."""
        return max(self.reach - int(self.tried.shape[1]), 0)

    @property
    def validate(self) -> FloatArray:
        """Returns of the chosen configuration on validate, (periods,)."""
        return np.ascontiguousarray(self.tried[:, self.chosen])

    @property
    def market(self) -> FloatArray | None:
        """Returns of the chosen configuration's market on validate, (periods,)."""
        if self.markets is None:
            return None
        which = 0 if self.market_of is None else int(self.market_of[self.chosen])
        return np.ascontiguousarray(self.markets[:, which])
