"""The answer at a glance: one screen, four numbers, and a chance of luck that agrees with the word."""

from __future__ import annotations

import dataclasses
import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from whatif.report.judgement import Judgement
from whatif.report.summary import chance_of_luck, percent, summarize
from whatif.report.terminal import print_screen, print_written, sparkline
from whatif.stats import Evidence, Thresholds, VerdictKind, all_failed, chance_on_both, judge


def judged(
    edge: float = 0.0, seed: int = 0, periods: int = 250, test: bool = True, reps: int = 200
) -> Judgement:
    rng = np.random.default_rng(seed)
    market = rng.normal(0.0, 0.01, periods + 120)
    returns = (rng.random((periods + 120, 8)) < 0.5) * market[:, None]
    returns[:, 3] += edge + (rng.normal(0.0, 0.0005, periods + 120) if edge else 0.0)
    tried, later = returns[:periods], returns[periods:]
    chosen = int(np.argmax(tried.mean(axis=0) / tried.std(axis=0)))
    on_test = {"test": later[:, chosen], "test_market": market[periods:], "test_trades": 22.0} if test else {}
    evidence = Evidence(
        tried=tried, chosen=chosen, objective="sharpe", periods_per_year=252.0, trials=8, trades=50.0,
        markets=market[:periods, None], **on_test,
    )  # fmt: skip
    return Judgement(
        judge(evidence, Thresholds(reps=reps)), own_trials=8, looks=int(test), openings=int(test)
    )


def screen(data, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    print_screen(data, console)
    print_written(
        console, ["/x/report.html", "/x"], ["open /x/report.html", "whatif leaderboard s.yaml", "mlflow"]
    )
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("edge", [0.0, 0.004])
def test_one_screen_of_80_by_40_with_every_number_once(make, edge) -> None:
    data = dataclasses.replace(make.study(), verdict=judged(edge))
    lines, told = screen(data), summarize(data)
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert told.word in text
    figures = data.verdict.verdict.figures
    expected = (figures.validate.objective.estimate, figures.test.objective.estimate, figures.test.market)
    assert [n.value for n in told.numbers[:3]] == [
        f"{v:.2f}".replace("-", "\N{MINUS SIGN}") for v in expected
    ]
    row = next(line for line in lines if line.startswith(told.objective))
    assert row.split()[-4:][:3] == [n.value for n in told.numbers[:3]] or told.numbers[3].value in row
    for number in told.numbers[:2]:
        assert sum(number.value in line.split() for line in lines) == 1
    assert (
        sum(line[:1].isspace() and line.split()[:1] == [str(k)] for k in range(1, 11) for line in lines) == 10
    )
    assert "│" in next(line for line in lines if line.startswith("equity"))


def test_a_position_that_is_still_open_is_no_absence_of_trades(make) -> None:
    data = make.study()
    row = data.series.comparison["who"] == "strategy"
    for trades, open_at_end, said in (
        (0, True, "1 open trade"),
        (0, False, "0 trades"),
        (3, True, "3 trades"),
    ):
        compared = data.series.comparison.copy()
        compared.loc[row, ["trades", "open_at_end"]] = [float(trades), float(open_at_end)]
        told = summarize(make.changed(data, series={"comparison": compared}))
        assert [number.note for number in told.numbers[:2]] == [said, said]


def test_what_cannot_be_told_has_no_chance_and_a_failed_study_says_why(make) -> None:
    few = dataclasses.replace(make.study(), verdict=judged(periods=40))
    assert summarize(few).numbers[3].value == "–"
    board = make.study(failed=168).ranking.leaderboard
    lost = make.changed(make.study(), ranking={"leaderboard": board}, series={"chosen": {}})
    lost = dataclasses.replace(lost, verdict=Judgement(all_failed("every backtest failed")))
    text = "\n".join(screen(lost))
    assert "all 168 backtests failed" in text
    assert "chance of luck" not in text


def test_a_study_that_nobody_judged_shows_its_figures(make) -> None:
    data = make.study()
    told, key = summarize(data), ("SYN_EDGE", "test", "strategy")
    assert told.kind == "unjudged"
    assert told.numbers[1].value == f"{data.series.figures[key]['sharpe']:.2f}".replace("-", "\N{MINUS SIGN}")
    assert told.configuration == "fast = 15, slow = 60, commission = 0 on SYN_EDGE"


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 40), edge=st.sampled_from([0.0, 0.0005, 0.001, 0.002, 0.004]), test=st.booleans())
def test_the_chance_agrees_with_the_word(seed, edge, test) -> None:
    found = judged(edge, seed, test=test, reps=60)
    chance, word = chance_of_luck(found), found.verdict.word
    # of two uniform numbers, each at most 0.2, the chance of a product of at most 0.0027: 1 % in two digits
    limit = 0.0027 * (1.0 + math.log(0.04 / 0.0027)) if test else 0.05
    if word is VerdictKind.EDGE:
        assert chance <= limit + 1e-9
    elif word is VerdictKind.LUCK:
        # overfitting decides without a test window, and is no chance of error
        assert chance >= limit - 1e-9 or not test


def test_the_chance_by_hand() -> None:
    found = judged()
    figures = found.verdict.figures
    side = dataclasses.replace(figures.test, psr=0.9, over=None)
    changed = dataclasses.replace(figures, spa_zero=0.1, spa_market=math.nan, test=side)
    verdict = dataclasses.replace(found.verdict, figures=changed)
    # each is half of what is allowed, the product 0.01 / 0.0027 of it, whose root is the most: 1.925 times
    times = (0.01 / 0.0027) ** 0.5
    limit, area = 0.01, (0.2 * times) ** 2
    by_hand = limit * (1.0 + math.log(area / limit))
    assert chance_of_luck(dataclasses.replace(found, verdict=verdict)) == pytest.approx(by_hand)
    # opened twice, the p-value on test is 0.2
    times, limit = (0.02 / 0.0027) ** 0.5, 0.02
    by_hand = limit * (1.0 + math.log((0.2 * times) ** 2 / limit))
    assert chance_of_luck(dataclasses.replace(found, verdict=verdict, looks=2)) == pytest.approx(by_hand)
    # where one window says nothing, the other alone bounds it: each limit five times, which is all there is
    none = dataclasses.replace(changed, spa_zero=1.0, test=dataclasses.replace(side, psr=1.0 - 1e-9))
    one = dataclasses.replace(found, verdict=dataclasses.replace(found.verdict, figures=none))
    assert chance_of_luck(one) == pytest.approx(25 * 0.0027 * (1.0 - math.log(25 * 0.0027)))


def test_the_chance_is_that_of_two_uniform_numbers() -> None:
    """What is worth nothing has two p-values that are uniform and apart: the chance is uniform itself."""
    pairs = np.random.default_rng(0).random((20_000, 2))
    chances = np.array([chance_on_both([("", *pair)], Thresholds()) for pair in pairs])
    for share in (0.01, 0.05, 0.25, 0.6):
        assert np.mean(chances <= share) == pytest.approx(share, abs=4 * (share / len(pairs)) ** 0.5)


def test_shares_and_sparks() -> None:
    assert [percent(v) for v in (0.00001, 0.00034, 0.012, 0.345, 1.0)] == [
        "under 0.01 %", "0.034 %", "1.2 %", "34 %", "100 %",
    ]  # fmt: skip
    assert sparkline([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]) == "▁▂▃▄▅▆▇█"
    assert sparkline([1.0, float("nan"), 1.0]) == "▁ ▁"
    assert sparkline([]) == ""
