from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from whatif.report import words


def test_the_answer_names_the_configuration_and_both_windows_beside_hold(make):
    data = make.study()
    figures = data.series.comparison.set_index(["symbol", "window", "who"])["sharpe"]
    symbol = data.series.chosen["symbol"]
    first, validate, test = words.answer(data)
    assert data.series.chosen["config_id"] in first
    assert "fast = 15" in first
    assert f"{len(data.ranking.ranked)} backtests" in first
    for text, window in ((validate, "validate"), (test, "test")):
        own, hold = figures[symbol, window, "strategy"], figures[symbol, window, "buy_and_hold"]
        own_text, hold_text = (f"{value:.2f}".replace("-", "−") for value in (own, hold))
        assert f"Sharpe {own_text}, beside {hold_text} for the market held long" in text
    assert "had no part in the choice" in test
    assert "2024-03-12 13:30 UTC" in test


def test_the_best_of_many_is_said_to_be_that(make):
    text = words.caution(make.study())
    assert "best of 165 tried" in text
    assert "by construction" in text
    assert "No correction for luck has been made yet" in text


@pytest.mark.parametrize("failed", [0, 3, 168])
def test_nothing_claims_an_edge(make, failed):
    data = make.study(failed=failed, origin={"notes": ()})
    text = " ".join([words.question(data), *words.answer(data), words.caution(data)]).lower()
    assert not re.search(
        r"\b(edge|skill|alpha|outperform\w*|beats?|profitable|significant\w*|proves?)\b", text
    )


def test_all_failed_gives_no_answer_but_the_reason(make):
    data = make.study(failed=168)
    (text,) = words.answer(data)
    assert text.startswith("There is no answer: all 168 backtests failed.")
    assert "(56 times): StrategyError: slow=" in text


def test_a_single_configuration_is_not_the_best_of_many(make):
    data = make.study(axes={}, symbols=("SYN_EDGE",), failed=0)
    assert "the only one that ran" in words.answer(data)[0]
    assert "best of" not in words.caution(data)


def test_an_undefined_figure_is_called_so(make):
    data = make.study()
    data = make.changed(data, series={"comparison": data.series.comparison.assign(sharpe=np.nan)})
    assert "Sharpe undefined, beside undefined for the market held long" in words.answer(data)[1]


def test_instants_are_utc_to_the_minute():
    assert words.instant(pd.Timestamp("2024-03-04 09:30", tz="America/New_York")) == "2024-03-04 14:30 UTC"
    assert words.instant(1_709_562_600_000_000) == "2024-03-04 14:30 UTC"
    assert words.instant("2024-03-04T14:30Z") == "2024-03-04 14:30 UTC"


def test_an_axis_is_listed_or_spanned(make):
    data = make.study()
    assert words.axis_summary(data, "fast") == "fast: 5; 8; 10; 12; 15; 20"
    assert words.axis_summary(data, "slow") == "slow: 7 values, 30 to 120"


@pytest.mark.parametrize(
    ("objectives", "choose", "sought"),
    [
        ((), "first", "has the best Sharpe"),
        (("sharpe", "max_drawdown_pct"), "first", "has the best Sharpe, shown beside Max drawdown"),
        (
            ("sharpe", "max_drawdown_pct"),
            "ideal",
            "comes nearest to the best Sharpe and Max drawdown at once",
        ),
        (
            ("sharpe", "max_drawdown_pct", "trades"),
            "ideal",
            "comes nearest to the best Sharpe, Max drawdown and Trades at once",
        ),
    ],
)
def test_the_question_says_how_one_of_several_objectives_chooses(make, objectives, choose, sought):
    data = make.changed(make.study(), ranking={"objectives": objectives, "choose": choose})
    assert words.short_question(data).endswith(f" {sought}?")
    assert f", {sought} on " in words.question(data)


def test_orders_that_the_account_could_not_pay_for_are_told(make):
    data = make.study()
    assert words.rejected(data) == ""  # of rows that do not know it
    board = data.ranking.leaderboard

    def told(first: float) -> str:
        numbers = [first, *[7.0] * (len(board) - 1)]
        return words.rejected(
            make.changed(data, ranking={"leaderboard": board.assign(orders_rejected=numbers)})
        )

    assert told(0.0) == told(np.nan) == ""
    assert "the account could not pay for 1 order of fast = 15" in told(1.0)
    assert "1,274 orders" in told(1274.0)
    assert "More execution.cash, or a smaller size" in told(1274.0)
