"""Verdicts on markets whose truth is known."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from whatif.errors import StatisticsError
from whatif.stats import (
    Evidence,
    Thresholds,
    VerdictKind,
    all_failed,
    chance_on_both,
    errors_on_both,
    judge,
    undecidable,
)

FAST = Thresholds(reps=300)


def swept(
    seed: int = 0, edge: float = 0.0, drift: float = 0.0, side: float = 1.0, periods: int = 250,
    test: int | None = 120, configurations: int = 40, **more,
) -> Evidence:  # fmt: skip
    """Return what a sweep finds that holds the market half of the time at random, chosen by Sharpe.

    `edge` is added to the fourth configuration in each period; `side` -1 sells short.
    """
    rng = np.random.default_rng(seed)
    length = periods + (test or 0)
    market = rng.normal(drift, 0.01, length)
    held = side * (rng.random((length, configurations)) < 0.5)
    returns = held * market[:, None]
    returns[:, 3] += edge + (rng.normal(0.0, 0.0005, length) if edge else 0.0)
    tried = returns[:periods]
    with np.errstate(divide="ignore", invalid="ignore"):
        chosen = int(np.argmax(tried.mean(axis=0) / tried.std(axis=0)))
    fields = {
        "tried": tried,
        "chosen": chosen,
        "objective": "sharpe",
        "periods_per_year": 252.0,
        "markets": market[:periods, None],
        "test": None if test is None else returns[periods:, chosen],
        "test_market": None if test is None else market[periods:],
        "trials": configurations,
        "trades": 50.0,
        "test_trades": 20.0,
    }
    return Evidence(**{**fields, **more})


def failed(verdict, part: str) -> bool:
    return any(part in c.what and c.held is False for c in (*verdict.enough, *verdict.edge))


def test_noise_is_luck() -> None:
    words = [judge(swept(seed), FAST).word for seed in range(8)]
    assert words == [VerdictKind.LUCK] * 8


@pytest.mark.parametrize(
    ("drift", "side"), [(0.003, 1.0), pytest.param(-0.003, -1.0, marks=pytest.mark.slow)]
)
def test_a_drift_is_no_edge_whichever_way_it_is_ridden(drift, side) -> None:
    verdicts = [judge(swept(seed, drift=drift, side=side, test=400), FAST) for seed in range(6)]
    assert [verdict.word for verdict in verdicts] == [VerdictKind.LUCK] * 6
    # though zero is beaten on both windows by most
    assert (
        sum(not failed(v, "over zero") and not failed(v, "Sharpe ratio on test, p-value") for v in verdicts)
        >= 4
    )


@pytest.mark.slow
def test_a_strong_edge_is_supported() -> None:
    for seed in range(4):
        verdict = judge(swept(seed, edge=0.004), FAST)
        assert verdict.word is VerdictKind.EDGE
        assert verdict.figures.dsr > 0.95
        assert verdict.figures.pbo < 0.05
        assert verdict.rests_on == "validate and test"
        assert all(c.held for c in (*verdict.enough, *verdict.edge))


def test_an_edge_on_validate_that_is_gone_on_test_is_luck() -> None:
    evidence = swept(1, edge=0.004)
    gone = dataclasses.replace(evidence, test=np.random.default_rng(5).normal(0.0, 0.01, 120))
    verdict = judge(gone, FAST)
    assert verdict.word is VerdictKind.LUCK
    assert failed(verdict, "Sharpe ratio on test, p-value")
    assert any("On validate alone" in reason for reason in verdict.reasons)


def test_too_few_periods_are_too_little() -> None:
    verdict = judge(swept(edge=0.004, periods=59), FAST)
    assert verdict.word is VerdictKind.UNKNOWN
    assert verdict.reasons == ("Periods on validate: 59, needed: at least 60.",)
    assert "at least 60 on validate and 20 on test" in verdict.changes[0]
    verdict = judge(swept(edge=0.004, test=19), FAST)
    assert verdict.word is VerdictKind.UNKNOWN
    assert verdict.reasons == ("Periods on test: 19, needed: at least 20.",)
    assert judge(swept(edge=0.004, periods=60, test=20), FAST).word is not VerdictKind.UNKNOWN


@pytest.mark.parametrize("periods", [2, 3, 5, 12])
def test_fewer_periods_than_blocks_leave_out_what_they_must(periods) -> None:
    verdict = judge(swept(periods=periods, test=periods), FAST)
    assert verdict.word is VerdictKind.UNKNOWN
    assert math.isnan(verdict.figures.pbo)
    assert f"{periods} periods are too few" in verdict.figures.missing["pbo"]


def test_one_period_is_too_little_for_any_ratio() -> None:
    verdict = judge(swept(periods=1, test=1), FAST)
    assert verdict.word is VerdictKind.UNKNOWN
    assert verdict.figures is None
    assert "1 period(s)" in verdict.reasons[0]


def test_few_trades_are_too_little() -> None:
    verdict = judge(swept(edge=0.004, trades=9.0), FAST)
    assert verdict.word is VerdictKind.UNKNOWN
    assert verdict.reasons == ("Closed trades on validate: 9, needed: at least 10.",)


def test_one_that_never_trades_is_too_little() -> None:
    tried = np.zeros((250, 3))
    still = judge(swept(tried=tried, chosen=0, trades=0.0, test=120), FAST)
    assert still.word is VerdictKind.UNKNOWN
    assert failed(still, "Superior predictive ability on validate")
    assert still.figures.idle == 3
    assert math.isnan(still.figures.dsr)
    # or not on the test window
    evidence = swept(edge=0.004)
    verdict = judge(dataclasses.replace(evidence, test=np.zeros(120)), FAST)
    assert verdict.word is VerdictKind.UNKNOWN
    assert verdict.reasons == ("Sharpe ratio on test: it never traded there, needed: a value.",)


def test_a_test_window_that_failed_is_too_little() -> None:
    verdict = judge(swept(edge=0.004, test=None, test_failed="ZeroDivisionError"), FAST)
    assert verdict.word is VerdictKind.UNKNOWN
    assert "ZeroDivisionError" in verdict.reasons[0]


def test_a_single_configuration_says_what_it_rests_on() -> None:
    rng = np.random.default_rng(0)
    market = rng.normal(0.0, 0.01, 370)
    own = 0.5 * market + rng.normal(0.002, 0.003, 370)
    verdict = judge(
        Evidence(
            tried=own[:250, None], chosen=0, objective="sharpe", periods_per_year=252.0,
            markets=market[:250, None], test=own[250:], test_market=market[250:], trades=30.0,
        ),
        FAST,
    )  # fmt: skip
    assert verdict.word is VerdictKind.EDGE
    assert verdict.rests_on == "validate and test, one configuration"
    assert "none was picked over others" in verdict.figures.missing["pbo"]
    assert verdict.figures.effective_trials == 1.0
    assert verdict.figures.expected_maximum_sharpe == 0.0
    # one try: the deflated ratio is the probabilistic one
    assert verdict.figures.dsr == verdict.figures.validate.psr
    assert verdict.figures.validate.beta == pytest.approx(0.5, abs=0.06)


def test_without_a_test_window_it_rests_on_validate_alone() -> None:
    verdict = judge(swept(edge=0.004, test=None), FAST)
    assert verdict.word is VerdictKind.EDGE
    assert verdict.rests_on == "the validate window alone"
    assert {"Deflated", "Probability"} <= {c.what.split()[0] for c in verdict.edge}
    assert "test window" in verdict.changes[-1]
    assert judge(swept(test=None), FAST).word is VerdictKind.LUCK


def test_without_a_market_it_compares_with_zero_and_says_so() -> None:
    verdict = judge(swept(edge=0.004, markets=None, test_market=None), FAST)
    assert verdict.word is VerdictKind.EDGE
    assert math.isnan(verdict.figures.spa_market)
    (none,) = [c for c in verdict.edge if c.held is None]
    assert "no market to hold" in none.found


@pytest.mark.slow
def test_trials_elsewhere_count_as_what_they_amount_to() -> None:
    evidence = swept(6, edge=0.0010)
    rng = np.random.default_rng(3)
    independent = rng.normal(0.0, 0.01, (250, 360))
    copies = np.repeat(evidence.tried, 9, axis=1)

    def figures(others):
        return judge(dataclasses.replace(evidence, trials=400, others=others), FAST).figures

    alone, copied, crowd = judge(evidence, FAST).figures, figures(copies), figures(independent)
    assert (copied.trials, copied.others, copied.unseen, copied.worst) == (400, 360, 0, {})
    for name in ("spa_zero", "spa_market"):
        assert getattr(copied, name) == getattr(alone, name)
        assert getattr(crowd, name) > getattr(alone, name)
    assert copied.effective_trials == pytest.approx(alone.effective_trials, rel=0.15)
    assert copied.dsr == pytest.approx(alone.dsr, abs=0.02)
    assert crowd.effective_trials == pytest.approx(360 + alone.effective_trials, rel=0.2)
    assert crowd.dsr < alone.dsr
    assert crowd.dsr_market < alone.dsr_market
    # fewer trials than columns is a slip
    assert judge(dataclasses.replace(evidence, trials=1), FAST).figures.trials == 40


def crossovers(closes: np.ndarray, spans: list[tuple[int, int]], costs: float = 0.0) -> np.ndarray:
    """Return the daily returns of following crossovers of two means, (days, spans)."""
    total = np.concatenate([[0.0], np.cumsum(closes)])
    change = np.diff(closes) / closes[:-1]
    columns = []
    for fast, slow in spans:
        means = [(total[n:] - total[:-n])[slow - n :] / n for n in (fast, slow)]
        held = np.where(means[0] > means[1], 1.0, -1.0)
        # decided on a close, held over the next day; the first days in cash
        moved = np.zeros(len(closes) - 1)
        moved[slow - 1 :] = held[:-1] * change[slow - 1 :]
        moved[slow:] -= costs * np.abs(np.diff(held[:-1]))
        columns.append(moved)
    return np.column_stack(columns)


SPANS = [(fast, slow) for fast in range(2, 62) for slow in range(70, 150)]
"""4,800 of another family."""


def edge_beside_crossovers(seed: int, edge: float, costs: float = 0.0, **more) -> Evidence:
    """Return a study of three configurations on 163 and 87 days, after a sweep of 4,800 crossovers."""
    rng = np.random.default_rng(seed)
    change = rng.standard_t(5, 400) * 0.01 / math.sqrt(5 / 3)
    closes = 100.0 * np.cumprod(1.0 + change)
    days = slice(len(closes) - 251, None)
    family = crossovers(closes, SPANS, costs)[-250:]
    market = np.diff(closes[days]) / closes[days][:-1]
    held = np.where(rng.random((250, 1)) < 0.5, 1.0, -1.0) * np.array([1.0, 0.9, 0.8])
    flips = np.where(rng.random((250, 3)) < 0.1, -1.0, 1.0)
    own = held * flips * market[:, None] + edge
    tried = own[:163]
    with np.errstate(divide="ignore", invalid="ignore"):
        chosen = int(np.argmax(tried.mean(axis=0) / tried.std(axis=0)))
    fields = {
        "tried": tried, "chosen": chosen, "objective": "sharpe", "periods_per_year": 252.0,
        "markets": market[:163, None], "test": own[163:, chosen], "test_market": market[163:],
        "trades": 60.0, "test_trades": 30.0, "trials": 4803, "others": family[:163], "looks": 2,
    }  # fmt: skip
    return Evidence(**{**fields, **more})


def test_an_edge_stays_one_after_a_sweep_of_another_family() -> None:
    evidence = edge_beside_crossovers(1, edge=0.006)
    alone = judge(dataclasses.replace(evidence, trials=3, others=None), FAST)
    verdict = judge(evidence, FAST)
    assert (alone.word, verdict.word) == (VerdictKind.EDGE, VerdictKind.EDGE)
    figures = verdict.figures
    assert figures.validate.objective.estimate > 6.0
    assert (figures.trials, figures.compared, figures.others) == (4803, 3, 4800)
    assert figures.effective_trials < 100
    assert figures.spa_zero < 0.01
    assert figures.dsr > 0.95
    # the best of a hundred that are worth nothing, over 163 days
    assert figures.expected_maximum_sharpe < 2.6 * math.sqrt(252 / 162)


@pytest.mark.slow
def test_noise_stays_luck_after_a_sweep_of_another_family() -> None:
    words = [judge(edge_beside_crossovers(10 + seed, edge=0.0), FAST).word for seed in range(3)]
    assert words == [VerdictKind.LUCK] * 3


def test_a_family_that_loses_by_its_costs_does_not_raise_what_luck_shows() -> None:
    evidence = edge_beside_crossovers(2, edge=0.006)
    ruinous = edge_beside_crossovers(2, edge=0.006).others - 0.02
    fair, worse = (
        judge(dataclasses.replace(evidence, others=others), FAST) for others in (evidence.others, ruinous)
    )
    assert worse.word is VerdictKind.EDGE
    ratios = ruinous.mean(axis=0) / ruinous.std(axis=0)
    assert ratios.max() < -1.0
    assert worse.figures.expected_maximum_sharpe == pytest.approx(fair.figures.expected_maximum_sharpe)
    assert worse.figures.dsr == pytest.approx(fair.figures.dsr)


def test_trials_without_returns_are_neither_luck_nor_edge_in_silence() -> None:
    weak = edge_beside_crossovers(1, edge=0.0016, looks=1, others=None, unseen_why="4,800 of sweep")
    weak = dataclasses.replace(weak, test=weak.test + 0.002)
    alone = judge(dataclasses.replace(weak, trials=3), FAST)
    assert alone.word is VerdictKind.EDGE
    verdict = judge(weak, FAST)
    assert verdict.word is VerdictKind.UNKNOWN
    figures = verdict.figures
    assert (figures.unseen, figures.trials) == (4800, 4803)
    assert figures.spa_zero == alone.figures.spa_zero
    assert figures.worst["spa_zero"] > 0.2
    assert figures.missing["trials"] == "4,800 of sweep"
    assert failed(verdict, "Trials without returns to compare")
    assert any("4,800 of 4,803 (4,800 of sweep)" in reason for reason in verdict.reasons)
    assert any("stores them" in change for change in verdict.changes)
    # what is strong enough for any of them stays an edge, and what fails elsewhere stays luck
    strong = dataclasses.replace(weak, tried=weak.tried + 0.006, test=weak.test + 0.006)
    assert judge(strong, FAST).word is VerdictKind.EDGE
    gone = dataclasses.replace(weak, test=-weak.test)
    assert judge(gone, FAST).word is VerdictKind.LUCK


def test_without_a_test_window_the_deflated_ratio_has_to_stand_unseen_trials() -> None:
    weak = edge_beside_crossovers(1, edge=0.0024, others=None, test=None, test_market=None)
    weak = dataclasses.replace(weak, tried=weak.tried[:, :1], chosen=0, trials=4801)
    assert judge(dataclasses.replace(weak, trials=1), FAST).word is VerdictKind.EDGE
    verdict = judge(weak, FAST)
    assert verdict.figures.worst["dsr"] < 0.95 <= verdict.figures.dsr
    assert verdict.word is VerdictKind.UNKNOWN


def test_two_windows_that_agree_are_more_than_each() -> None:
    """Either p-value may be within its limit, and the product of both still be what luck gives."""
    limits = Thresholds()
    for errors, held in [
        ((0.2, 0.2), False),
        ((0.1, 0.02), True),
        ((0.02, 0.1), True),
        ((0.001, 0.3), False),
    ]:
        inside = errors[0] <= limits.spa and errors[1] <= limits.test and errors[0] * errors[1] <= limits.both
        assert inside == held
        assert (chance_on_both([("", *errors)], limits) <= 0.01) == held


def test_looks_make_the_test_window_harder() -> None:
    evidence = swept(2, edge=0.004)
    weak = dataclasses.replace(evidence, test=evidence.test - 0.0025)
    alone, often = (
        errors_on_both(judge(dataclasses.replace(weak, looks=n), FAST).figures, n) for n in (1, 5)
    )
    for (over, validate, test), (same, again, five) in zip(alone, often, strict=True):
        assert (over, validate) == (same, again)
        assert 0.0 < test < five < 1.0
        assert five == pytest.approx(5 * test)
    edge = judge(dataclasses.replace(weak, looks=5), FAST).edge
    (told,) = (c for c in edge if c.what == "Sharpe ratio on test, 5 looks at which count, p-value")
    assert (told.found, told.needed) == (f"{often[0][2]:.3f}", "at most 0.20")
    one, five = (judge(dataclasses.replace(evidence, looks=n), FAST).figures.test.excess for n in (1, 5))
    assert (one.confidence, five.confidence) == pytest.approx((0.90, 0.98))
    assert five.low < one.low


def test_a_ruined_account_is_left_out_or_luck() -> None:
    evidence = swept(edge=0.004)
    tried = evidence.tried.copy()
    other = 0 if evidence.chosen else 1
    tried[100:, other] = np.nan
    verdict = judge(dataclasses.replace(evidence, tried=tried), FAST)
    assert verdict.word is VerdictKind.EDGE
    assert (verdict.figures.ruined, verdict.figures.compared, verdict.figures.trials) == (1, 39, 40)
    tried[100:, evidence.chosen] = np.nan
    verdict = judge(dataclasses.replace(evidence, tried=tried), FAST)
    assert verdict.word is VerdictKind.LUCK
    assert "lost everything" in verdict.reasons[0]


def test_an_objective_that_returns_do_not_tell_is_stood_in_for() -> None:
    assert judge(swept(objective="sqn"), FAST).figures.objective == "sharpe"
    assert judge(swept(objective="pnl_net"), FAST).figures.objective == "return_pct"


def test_equal_seeds_give_equal_verdicts() -> None:
    assert judge(swept(), FAST, seed=3) == judge(swept(), FAST, seed=3)
    assert judge(swept(), FAST, seed=3) != judge(swept(), FAST, seed=4)


def test_several_markets_each_for_its_own() -> None:
    rng = np.random.default_rng(1)
    markets = rng.normal([0.004, -0.004], 0.01, (250, 2))
    of = np.arange(20) % 2
    # each holds its market, with noise: nothing is earned over it
    noise = rng.normal(0.0, 0.004, (250, 20))
    tried = markets[:, of] + noise - noise.mean(axis=0)
    figures = judge(swept(tried=tried, chosen=0, markets=markets, market_of=of), FAST).figures
    assert figures.spa_zero < 0.01
    assert figures.spa_market > 0.5
    assert figures.validate.beta == pytest.approx(1.0, abs=0.1)


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(StatisticsError, match="chosen=40"):
        swept(chosen=40)
    with pytest.raises(StatisticsError, match="markets of shape"):
        swept(markets=np.zeros(250))
    with pytest.raises(StatisticsError, match="market_of of 3 for 40"):
        swept(market_of=np.zeros(3, dtype=np.int64))
    with pytest.raises(StatisticsError, match="others of shape"):
        swept(others=np.zeros((249, 3)))
    with pytest.raises(StatisticsError, match="other_market_of of 2 for 3"):
        swept(others=np.zeros((250, 3)), other_market_of=np.zeros(2, dtype=np.int64))


def test_nothing_chosen_is_undecidable() -> None:
    verdict = undecidable("sharpe has no value for any of 3 backtests.", remedy="Trade.")
    assert verdict.word is VerdictKind.UNKNOWN
    assert (verdict.reasons, verdict.changes) == (
        ("sharpe has no value for any of 3 backtests.",),
        ("Trade.",),
    )


def test_the_words_are_these() -> None:
    assert [str(word) for word in VerdictKind] == [
        "an edge the data supports",
        "not distinguishable from luck",
        "too little data to tell",
        "failed: every backtest ended in an error",
    ]


def test_what_failed_is_not_too_little_data() -> None:
    verdict = all_failed("All 3 backtests failed: ZeroDivisionError (mine.py, line 7).", remedy="Mend it.")
    assert verdict.word is VerdictKind.FAILED
    assert (verdict.reasons, verdict.changes, verdict.figures) == (
        ("All 3 backtests failed: ZeroDivisionError (mine.py, line 7).",),
        ("Mend it.",),
        None,
    )
