"""The verdict of a study, from bars to report."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from rich.console import Console

from whatif.lake.results import RETURNS
from whatif.stats import VerdictKind
from whatif.tracking.run import tracking_uri
from whatif.workflow import RunOptions, run
from whatif.workflow.judge import ONLY_CHOSEN

from .conftest import rows_of


def test_a_study_is_judged(market, write_study) -> None:
    path = write_study(period="bar")
    console = Console(file=io.StringIO(), width=100)
    result = run(path, None, market, RunOptions(console=console))
    judgement = result.verdict
    assert judgement is result.data.verdict
    figures, verdict = judgement.verdict.figures, judgement.verdict
    assert verdict.word in tuple(VerdictKind)
    # four configurations on two symbols, each ranked for itself
    assert (figures.trials, judgement.own_trials, judgement.studies, figures.compared) == (8, 8, 1, 8)
    assert 1.0 <= figures.effective_trials <= 8.0
    assert (judgement.looks, judgement.openings) == (1, 1)
    best = result.best
    # what the returns say is what the row says
    assert figures.validate.objective.estimate == pytest.approx(best.validate["sharpe"], rel=1e-12)
    assert figures.test.objective.estimate == pytest.approx(best.test["sharpe"], rel=1e-12)
    assert (figures.validate.trades, figures.test.trades) == (best.validate["trades"], best.test["trades"])
    assert figures.validate.periods == 2 * 390
    assert np.isfinite([figures.pbo, figures.dsr, figures.spa_zero, figures.spa_market]).all()
    # market: hand arithmetic from the bars that the report draws; minutes without one bring nothing
    bars = result.data.series.bars.query("symbol == @best.symbol and window == 'test'").set_index("ts")
    days = [pd.date_range(f"2013-10-{day} 13:30", periods=390, freq="min", tz="UTC") for day in (10, 11)]
    closes = bars["close"].reindex(days[0].append(days[1])).ffill()
    # bought once with all of the cash, for a commission of a ten thousandth
    levels = np.array([1.0, *(closes / bars["open"].iloc[0] - 0.0001)])
    moved = levels[1:] / levels[:-1] - 1.0
    stored = rows_of(market, RETURNS).query("symbol == @best.symbol and window == 'test'")
    returns = np.asarray(stored["returns"].iloc[0])
    slope = np.polyfit(moved, returns, 1)[0]
    assert figures.test.beta == pytest.approx(slope, rel=1e-9)
    # surroundings
    assert set(judgement.stability.slices) == {"fast", "slow"}
    assert judgement.stability.objective == best.validate["sharpe"]
    assert judgement.correlation is None
    assert judgement.correlation_note == ONLY_CHOSEN
    # page, terminal, MLflow
    page = result.files[0].read_text()
    assert verdict.word.value[1:] in page
    for part in ('id="verdict"', 'id="stability"', 'id="judged"'):
        assert part in page
    printed = console.file.getvalue()
    # the answer does not wait for what is logged
    marks = [printed.index(part) for part in (verdict.word.value[1:], "Leaderboard", "MLflow: run")]
    assert marks == sorted(marks)
    logged = MlflowClient(tracking_uri(market)).get_run(result.run_id).data
    assert logged.tags["whatif.verdict"] == verdict.word.value
    assert logged.metrics["verdict.dsr"] == figures.dsr
    # of a choice at the end of an axis; no count of what is called an edge
    assert logged.metrics["verdict.axes_at_bound"] == len(result.data.verdict.stability.edges)
    assert "verdict.edges" not in logged.metrics
    assert logged.metrics["verdict.pbo"] == figures.pbo
    assert logged.metrics["verdict.spa_p"] == figures.spa_zero
    # again, from what is stored: the same verdict, and no further look
    again = run(path, None, market, RunOptions(track=False)).verdict
    assert again.verdict == verdict
    assert (again.looks, again.openings) == (1, 1)


@pytest.mark.slow
def test_trials_of_other_studies_on_the_same_data_count(go) -> None:
    first = go()
    # one configuration is shared, three are not; symbol B is left out
    part = {"symbols": ["A"], "timeframe": "1min", "start": "2013-10-04", "end": "2013-10-12"}
    other = go(study="other", data=part, axes={"fast": [3, 4], "slow": [15, 45]})
    assert other.verdict.own_trials == 4
    # A: 3/15 3/25 5/15 5/25 and 3/45 4/15 4/45
    figures = other.verdict.verdict.figures
    assert figures.trials == 7
    # their returns join the bootstrap: none is unseen
    assert (figures.compared, figures.others, figures.unseen) == (4, 3, 0)
    assert figures.worst == {}
    assert other.verdict.studies == 2
    assert other.verdict.looks == len({first.best.config_id, other.best.config_id})
    # what the other study opened the test window for was compared on validate: it counts once
    told = [one.what for one in other.verdict.verdict.edge if one.what.startswith("Sharpe ratio on test")]
    assert told == ["Sharpe ratio on test, p-value", "Sharpe ratio on test over the market, p-value"]
    # on other days, nothing of it is seen
    dates = {name: [day, day] for name, day in (("train", "2013-10-04"), ("validate", "2013-10-07"))}
    apart = go(study="apart", data=part, axes={"fast": [3]}, split={**dates, "test": ["2013-10-08"] * 2})
    assert apart.verdict.verdict.figures.trials == 1
    alone = go(study="other", data=part, axes={"fast": [3, 4], "slow": [15, 45]}, trials="study")
    assert alone.verdict.verdict.figures.trials == 4
    assert alone.verdict.scope == "study"
    assert alone.verdict.studies == 1


@pytest.mark.slow
def test_a_cross_sectional_strategy_is_run_and_judged(go) -> None:
    found = go(
        portfolio="shared",
        study="across",
        strategy={"name": "cross_sectional_momentum", "params": {"every": 5}},
        axes={"period": [3, 9]},
        trials="study",
        period="bar",
    )

    board = found.leaderboard()
    assert list(board["symbol"]) == ["A+B", "A+B"]
    assert set(board["engine"]) == {"compiled"}
    # the chosen one ran again on Backtrader's broker, or the run would have failed
    assert found.best.test["status"] == "ok"
    assert found.best.test["trades"] > 5


@pytest.mark.slow
def test_pooled_symbols_and_a_shared_portfolio_are_judged(go) -> None:
    pooled = go(rank="pooled")
    figures = pooled.verdict.verdict.figures
    assert figures.trials == 4
    assert figures.validate.objective.estimate == pytest.approx(pooled.best.validate["sharpe"], rel=1e-12)
    assert figures.test.objective.estimate == pytest.approx(pooled.best.test["sharpe"], rel=1e-12)
    shared = go(portfolio="shared", study="shared", trials="study", period="bar")
    figures = shared.verdict.verdict.figures
    assert figures.trials == 4
    assert -1.0 < figures.validate.beta < 1.0
    assert figures.validate.objective.estimate == pytest.approx(shared.best.validate["sharpe"], rel=1e-12)


def test_nothing_chosen_is_too_little_and_says_why(go) -> None:
    # a crossover that never happens: no trade, no ratio
    result = go(axes={"fast": [100], "slow": [110, 115]}, data={
        "symbols": ["A"], "timeframe": "1min", "start": "2013-10-04", "end": "2013-10-12",
    }, strategy={"name": "sma_crossover", "params": {"size": 0.0}})  # fmt: skip
    verdict = result.verdict.verdict
    assert result.best is None
    assert verdict.word is VerdictKind.UNKNOWN
    assert "2 made no trade (" in verdict.reasons[0]


def test_a_study_without_a_test_window_rests_on_validate(go) -> None:
    result = go(split={"train": 0.3, "validate": 0.7, "test": 0.0})
    judgement = result.verdict
    assert judgement.verdict.figures.test is None
    assert judgement.verdict.rests_on == "the validate window alone"
    assert judgement.correlation_note.endswith("the split has no test window")
    assert judgement.looks == 0


@pytest.mark.slow
def test_of_very_many_returns_the_best_and_a_sample_are_compared(go, monkeypatch) -> None:
    monkeypatch.setattr("whatif.workflow.judge.MIN_TRIED", 3)
    monkeypatch.setattr("whatif.workflow.judge.MAX_RETURNS", 1)
    result = go()
    judged = result.verdict
    assert judged.verdict.figures.compared == 3
    assert judged.verdict.figures.trials == 8
    assert any("the returns of 3 of 8 backtests" in note for note in judged.notes)
    board = result.leaderboard()
    best = board.iloc[0]
    assert judged.verdict.figures.validate.own.sharpe == pytest.approx(
        best["sharpe"] / np.sqrt(best["periods_per_year"])
    )
