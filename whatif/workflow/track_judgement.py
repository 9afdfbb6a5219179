"""What a verdict leaves in MLflow."""

from __future__ import annotations

from whatif.report import Judgement
from whatif.stats import Figures, Side
from whatif.tracking import TrackedRun, log


def log_judgement(tracked: TrackedRun, judgement: Judgement) -> None:
    """Log the statistics of a verdict as metrics, and its word and reasons as tags."""
    verdict, stability = judgement.verdict, judgement.stability
    metrics = {
        "verdict.looks": float(judgement.looks),
        "verdict.openings": float(judgement.openings),
        **({} if verdict.figures is None else _statistics(verdict.figures)),
    }
    if stability is not None:
        metrics["verdict.neighbours_share"] = stability.neighbours.share
        metrics["verdict.edges"] = float(len(stability.edges))
    if judgement.correlation is not None:
        metrics["verdict.rank_correlation"] = judgement.correlation.rho
    tags = {
        "whatif.verdict": verdict.word.value,
        "whatif.verdict_rests_on": verdict.rests_on,
        "whatif.verdict_reasons": " ".join(verdict.reasons),
        "whatif.trials_of": judgement.scope,
    }
    log(tracked, metrics=metrics, tags=tags)


def _statistics(figures: Figures) -> dict[str, float]:
    return {
        "verdict.dsr": figures.dsr,
        "verdict.dsr_market": figures.dsr_market,
        "verdict.expected_maximum_sharpe": figures.expected_maximum_sharpe,
        "verdict.pbo": figures.pbo,
        "verdict.spa_p": figures.spa_zero,
        "verdict.spa_market_p": figures.spa_market,
        "verdict.trials": float(figures.trials),
        "verdict.effective_trials": figures.effective_trials,
        "verdict.record_periods": figures.record_periods,
        **_side("validate", figures.validate),
        **(_side("test", figures.test) if figures.test is not None else {}),
    }


def _side(name: str, side: Side) -> dict[str, float]:
    figures = {
        "psr": side.psr,
        "objective": side.objective.estimate,
        "objective_low": side.objective.low,
        "objective_high": side.objective.high,
        "market": side.market,
        "beta": side.beta,
        "alpha": side.alpha,
    }
    if side.excess is not None:
        figures |= {"excess_sharpe": side.excess.estimate, "excess_low": side.excess.low}
    return {f"verdict.{name}_{key}": value for key, value in figures.items()}
