"""Verdict over returns that others made: beside a study's, of a luckless crowd, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import whatif
from whatif.appraisal import Given, appraise
from whatif.errors import StatisticsError
from whatif.stats import Evidence, VerdictKind
from whatif.stats import judge as judge_evidence

RNG = np.random.default_rng(11)
DAYS = pd.bdate_range("2020-01-02", periods=500, tz="UTC")
NOISE = pd.DataFrame(RNG.normal(0.0, 0.01, (500, 40)), index=DAYS, columns=[f"c{k}" for k in range(40)])
EDGE = NOISE.assign(good=RNG.normal(0.004, 0.01, 500))


def test_it_is_the_verdict_of_the_same_evidence() -> None:
    name, found = appraise(EDGE, Given(market="c0", test="0.3", periods_per_year=252.0))
    tried = EDGE.drop(columns="c0").to_numpy()
    asked = Evidence(
        tried=tried[:350],
        chosen=tried.shape[1] - 1,
        objective="sharpe",
        periods_per_year=252.0,
        markets=EDGE[["c0"]].to_numpy()[:350],
        test=tried[350:, -1],
        test_market=EDGE["c0"].to_numpy()[350:],
        trials=40,
    )
    theirs = judge_evidence(asked)
    assert name == "good"
    assert found.verdict.word is theirs.word is VerdictKind.EDGE
    assert found.verdict.reasons == theirs.reasons
    assert found.verdict.figures is not None
    assert theirs.figures is not None
    assert found.verdict.figures.spa_zero == theirs.figures.spa_zero


def test_the_best_of_many_that_are_worth_nothing_is_luck() -> None:
    assert whatif.judge(NOISE).word is VerdictKind.LUCK
    # one that shows an edge alone does not if 100,000 were tried and the others are not known
    alone = EDGE["good"].iloc[:150] * 0.8
    one, many = whatif.judge(alone), whatif.judge(alone, trials=100_000)
    assert one.word is VerdictKind.EDGE
    assert many.word is VerdictKind.UNKNOWN


def test_files_and_arrays_give_the_same(tmp_path: Path) -> None:
    csv, parquet = tmp_path / "r.csv", tmp_path / "r.parquet"
    frame = EDGE.iloc[:, -5:]
    frame.rename_axis("date").to_csv(csv)
    frame.rename_axis("date").reset_index().to_parquet(parquet)
    year = {"periods_per_year": 250.0, "test": "0.4"}
    found = [whatif.judge(one, **year) for one in (frame, csv, str(parquet), frame.to_numpy())]
    assert len({(one.word, one.reasons) for one in found}) == 1
    # by the times: 499 periods of weekdays, in years of 365.25 days
    _, timed = appraise(csv, Given())
    years = (DAYS[-1] - DAYS[0]).days / 365.25
    side = timed.verdict.figures.validate.objective  # type: ignore[union-attr]
    good = EDGE["good"]
    assert side.estimate == pytest.approx(good.mean() / good.std() * np.sqrt(499 / years))
    # of equity the same as of its returns
    equity = pd.concat([pd.Series([1.0]), (1.0 + good.reset_index(drop=True)).cumprod()], ignore_index=True)
    levels = whatif.judge(equity.to_frame("good"), equity=True)
    assert levels.word is whatif.judge(good.to_numpy()).word


def test_a_date_begins_the_test_window() -> None:
    _, found = appraise(EDGE, Given(test="2021-06-01"))
    figures = found.verdict.figures
    assert figures is not None
    assert figures.test is not None
    assert figures.test.periods == int((pd.Timestamp("2021-06-01", tz="UTC") <= DAYS).sum())


@pytest.mark.parametrize(
    ("returns", "said", "message"),
    [
        (NOISE.mask(NOISE > 0.03), {}, r"column 'c\d+' has no number in row \d+ .*returns 0"),
        (NOISE * 100, {}, r"loses everything: give simple returns as fractions"),
        (NOISE.abs() * 100 + 0.3, {}, r"moves by \d+ % in half of its periods"),
        (NOISE, {"trials": 3}, r"trials = 3 and there are 40 columns"),
        (NOISE, {"market": "c99"}, r"market 'c99' is no column"),
        (NOISE, {"chosen": "d1"}, r"chosen 'd1' is no column: valid: c0, c1"),
        (NOISE, {"objective": "trades"}, r"objective 'trades' cannot be told of returns"),
        (NOISE, {"test": "1.5"}, r"must be a share of the rows between 0 and 1"),
        (NOISE, {"test": "2030-01-01"}, r"is not inside of 2020-01-02"),
        (NOISE, {"test": "soon"}, r"is neither a share nor a date"),
        (NOISE.to_numpy(), {"test": "2020-06-01"}, r"is a date, and the rows have no times"),
        (NOISE.iloc[::-1], {}, r"times are not in order"),
        (NOISE.assign(note="x"), {}, r"column 'note' holds 'x', which is no number"),
        (NOISE.iloc[:1], {}, r"there are 1 rows: give two periods"),
        (NOISE[["c0"]], {"market": "c0"}, r"a column of the market alone"),
        (pd.DataFrame(index=DAYS), {}, r"there is no column of returns"),
        ("gone.csv", {}, r"gone\.csv: there is no such file"),
        ("gone.xlsx", {}, r"returns are read of CSV and Parquet"),
        ([[["x"]]], {}, r"returns are a list: give a frame"),
        (NOISE, {"equity": True}, r"column 'c0' is no equity"),
        (NOISE, {"periods_per_year": 0.0}, r"periods_per_year = 0.0 must be a number above 0"),
    ],
)
def test_what_is_no_return_is_refused(returns: Any, said: dict[str, Any], message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        whatif.judge(returns, **said)
