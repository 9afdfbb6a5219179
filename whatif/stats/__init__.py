"""Statistics over all configurations that were tried: how likely a result is luck.

Names are loaded when they are first used (PEP 562), and what a function needs (arch, scipy) when
it is called: workers import this room for its benchmark only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatif.doors import door

if TYPE_CHECKING:
    from whatif.stats.benchmark import BuyAndHold, FirstBar, Holding, buy_and_hold, hold_shares
    from whatif.stats.bootstrap import (
        Interval,
        block_length,
        difference_interval,
        objective_interval,
        resampled_rows,
    )
    from whatif.stats.evidence import Evidence, Thresholds
    from whatif.stats.measures import RETURN_OBJECTIVES, measure, net_exposure, over_market, usable_objective
    from whatif.stats.overfitting import Overfitting, probability_of_backtest_overfitting
    from whatif.stats.sharpe import (
        deflated_sharpe_ratio,
        expected_maximum_sharpe,
        minimum_track_record_length,
        probabilistic_sharpe_ratio,
    )
    from whatif.stats.stability import (
        Edge,
        Neighbourhood,
        Plane,
        RankCorrelation,
        Slice,
        Stability,
        influence,
        rank_correlation,
        stability_of_best,
    )
    from whatif.stats.superiority import (
        ConfidenceSet,
        SuperiorAbility,
        SuperiorSet,
        model_confidence_set,
        step_m,
        superior_predictive_ability,
    )
    from whatif.stats.trials import effective_trials, trial_variance
    from whatif.stats.verdict import (
        Condition,
        Verdict,
        VerdictKind,
        all_failed,
        chance_on_both,
        errors_on_both,
        judge,
        undecidable,
    )
    from whatif.stats.verdict_statistics import VerdictStatistics, WindowStatistics
else:
    __getattr__, __dir__, __all__ = door(
        __name__,
        {
            "benchmark": "BuyAndHold FirstBar Holding buy_and_hold hold_shares",
            "bootstrap": "Interval block_length difference_interval objective_interval resampled_rows",
            "evidence": "Evidence Thresholds",
            "measures": "RETURN_OBJECTIVES measure net_exposure over_market usable_objective",
            "overfitting": "Overfitting probability_of_backtest_overfitting",
            "sharpe": (
                "deflated_sharpe_ratio expected_maximum_sharpe minimum_track_record_length "
                "probabilistic_sharpe_ratio"
            ),
            "stability": (
                "Edge Neighbourhood Plane RankCorrelation Slice Stability influence "
                "rank_correlation stability_of_best"
            ),
            "superiority": (
                "ConfidenceSet SuperiorAbility SuperiorSet model_confidence_set step_m "
                "superior_predictive_ability"
            ),
            "trials": "effective_trials trial_variance",
            "verdict": "Condition Verdict VerdictKind all_failed chance_on_both errors_on_both judge "
            "undecidable",
            "verdict_statistics": "VerdictStatistics WindowStatistics",
        },
        by_name=("benchmark",),
    )
