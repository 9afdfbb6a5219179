"""Ranking and pooling, by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from whatif.domain import METRIC_KEYS
from whatif.domain.periods import Periods
from whatif.errors import StudyError
from whatif.search.pooling import check_poolable, pool
from whatif.search.ranking import choosable, never_traded, rank_rows, why_undefined


def rows(values: list[float], metric: str = "sharpe", status: list[str] | None = None) -> pd.DataFrame:
    n = len(values)
    return pd.DataFrame(
        {
            "config_id": [f"c{k}" for k in range(n)],
            "symbol": "A",
            "status": status or ["ok"] * n,
            metric: values,
        }
    )


def test_the_greatest_first_nan_after_numbers_failures_last() -> None:
    found = rank_rows(
        rows([1.0, float("nan"), 3.0, -math.inf, 9.0], status=["ok", "ok", "ok", "ok", "error"]), "sharpe"
    )
    assert found["config_id"].tolist() == ["c2", "c0", "c1", "c3", "c4"]
    assert found["rank"].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("metric", "values", "order"),
    [
        ("profit_factor", [math.inf, 2.0, 3.0], ["c2", "c1", "c0"]),
        ("sortino", [9.8e13, 2.0, -5.0], ["c1", "c2", "c0"]),
        ("sharpe", [-9.8e13, 2.0, 1e6], ["c2", "c1", "c0"]),
        ("sqn", [1.000001e6, 2.0, float("nan")], ["c1", "c0", "c2"]),
        # money is no ratio, and may be as much as it is
        ("pnl_net", [1e13, 2.0, math.inf], ["c0", "c1", "c2"]),
        ("costs", [-math.inf, 2.0, 1.0], ["c2", "c1", "c0"]),
    ],
)
def test_infinities_and_absurd_ratios_do_not_rank(metric: str, values: list[float], order: list[str]) -> None:
    assert rank_rows(rows(values, metric), metric)["config_id"].tolist() == order


@pytest.mark.parametrize("metric", ["return_pct", "max_drawdown_pct", "costs"])
def test_what_never_traded_ranks_after_all_that_did(metric: str) -> None:
    """Doing nothing loses nothing; a position that is still open has traded, though no trade is closed."""
    sign = 1.0 if metric == "return_pct" else -1.0
    board = rows(
        [0.0, sign * -4.0, sign * -9.0, float("nan"), 0.0], metric, ["ok", "ok", "ok", "ok", "error"]
    )
    board = board.assign(trades=[0.0, 3.0, 0.0, 2.0, np.nan], open_at_end=[False, False, True, False, None])

    ranked = rank_rows(board, metric)

    assert ranked["config_id"].tolist() == ["c1", "c2", "c0", "c3", "c4"]
    assert never_traded(ranked).tolist() == [False, False, True, False, False]
    assert choosable(ranked, metric).tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("metric", ["costs", "max_drawdown_pct", "max_drawdown_bars", "exposure", "turnover"])
def test_the_least_first_where_less_is_better(metric: str) -> None:
    assert rank_rows(rows([2.0, 1.0, float("nan")], metric), metric)["config_id"].tolist() == [
        "c1",
        "c0",
        "c2",
    ]


def test_ties_are_ordered_by_configuration_and_symbol_whatever_the_order_of_rows() -> None:
    tied = pd.DataFrame(
        {"config_id": ["b", "a", "a"], "symbol": ["X", "Y", "X"], "status": "ok", "sharpe": [1.0, 1.0, 1.0]}
    )
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        found = rank_rows(tied.iloc[order], "sharpe")
        assert list(zip(found["config_id"], found["symbol"], strict=True)) == [
            ("a", "X"),
            ("a", "Y"),
            ("b", "X"),
        ]


def test_metrics_of_the_other_types_rank_too() -> None:
    flags = rows([0.0, 0.0], "open_at_end").assign(open_at_end=pd.array([True, False], dtype="boolean"))
    assert rank_rows(flags, "open_at_end")["config_id"].tolist() == ["c1", "c0"]
    counts = rows([0.0, 0.0], "trades").assign(trades=pd.array([3, 7], dtype="Int64"))
    assert rank_rows(counts, "trades")["config_id"].tolist() == ["c1", "c0"]


class TestPooling:
    PERIODS = Periods("session", np.array([1, 2, 3], dtype=np.int64), 252.0)

    def pooled(self, status: str = "ok") -> pd.Series:
        base = dict.fromkeys(METRIC_KEYS, 0.0)
        frame = pd.DataFrame(
            [
                {
                    "config_id": "c", "symbol": "A", "status": "ok", "error": None, **base,
                    "pnl_net": 10.0, "trades": 3, "win_rate": 1 / 3, "exposure": 0.5, "open_at_end": True,
                    "benchmark_return_pct": 1.0,
                },
                {
                    "config_id": "c", "symbol": "B", "status": status, "error": "boom", **base,
                    "pnl_net": -4.0, "trades": 1, "win_rate": 1.0, "exposure": 0.1, "open_at_end": False,
                    "benchmark_return_pct": 3.0,
                },
            ]
        )  # fmt: skip
        returns = pd.DataFrame(
            {"config_id": "c", "symbol": ["B", "A"], "returns": [[0.03, 0.0, -0.02], [0.01, 0.02, 0.0]]}
        )
        (row,) = (row for _, row in pool(frame, returns, self.PERIODS).iterrows())
        return row

    def test_returns_are_averaged_and_money_is_summed(self) -> None:
        row = self.pooled()
        # means 0.02, 0.01, -0.01; their mean 0.02 / 3; deviations 4, 1, -5 thirds of 0.01
        mean, deviation = 0.02 / 3, math.sqrt((16 + 1 + 25) / 9 * 1e-4 / 2)
        assert row["sharpe"] == pytest.approx(mean / deviation * math.sqrt(252))
        assert row["sortino"] == pytest.approx(mean / math.sqrt(1e-4 / 3) * math.sqrt(252))
        assert row["return_pct"] == pytest.approx(100 * (1.02 * 1.01 * 0.99 - 1))
        assert (row["max_drawdown_pct"], row["max_drawdown_bars"]) == (pytest.approx(1.0), 1)
        assert (row["pnl_net"], row["trades"]) == (6.0, 4)
        assert row["win_rate"] == pytest.approx(2 / 4)
        assert row["exposure"] == pytest.approx(0.3)
        assert (row["symbol"], row["open_at_end"], row["benchmark_return_pct"]) == ("A+B", True, 2.0)
        assert math.isnan(row["profit_factor"])
        assert math.isnan(row["sqn"])

    def test_one_failure_fails_the_configuration(self) -> None:
        row = self.pooled("error")
        assert (row["status"], row["error"]) == ("error", "B: boom")
        assert math.isnan(row["sharpe"])

    @pytest.mark.parametrize("metric", ["profit_factor", "sqn"])
    def test_objectives_that_need_every_trade_are_refused(self, metric: str) -> None:
        with pytest.raises(StudyError, match=f"{metric}.*cannot rank pooled"):
            check_poolable(metric)
        check_poolable("sharpe")


def test_why_nothing_can_be_chosen() -> None:
    rows = pd.DataFrame(
        {
            "config_id": ["a", "b", "c", "d"],
            "symbol": "SPY",
            "status": ["ok", "ok", "error", "ok"],
            "error": [None, None, "ValueError: no", None],
            "trades": [0, 0, np.nan, 3],
            "open_at_end": [False, False, None, False],
            "sharpe": np.nan,
        }
    )
    said = why_undefined(rows, "sharpe", "validate-02")
    assert "sharpe has no value for any of 4 backtests" in said
    assert "2 made no trade (a on SPY, b on SPY)" in said
    assert "1 failed (c on SPY; the first with: ValueError: no)" in said
    assert "1 traded, but have too few periods" in said
    assert "(d on SPY)" in said


def test_why_values_that_do_not_rank_are_not_chosen() -> None:
    rows = pd.DataFrame(
        {
            "config_id": ["a", "b"],
            "symbol": "SPY",
            "status": "ok",
            "error": None,
            "trades": [0, 3],
            "open_at_end": False,
            "profit_factor": [np.nan, np.inf],
        }
    )
    said = why_undefined(rows, "profit_factor", "validate")
    assert "profit_factor ranks none of 2 backtests: 1 made no trade (a on SPY)" in said
    assert "1 lost next to nothing or did not vary: profit_factor is infinite or beyond 1,000,000" in said


def test_what_ran_in_another_world_ranks_after_all_that_did_not_and_is_never_chosen() -> None:
    board = rows([1.0, 9.0, 3.0, 2.0], status=["ok", "ok", "ok", "error"])
    board = board.assign(world=["", "past 1", "", ""])
    assert rank_rows(board, "sharpe")["config_id"].tolist() == ["c2", "c0", "c3", "c1"]
    assert choosable(board, "sharpe").tolist() == [True, False, True, False]
    said = why_undefined(board.assign(sharpe=math.nan, error=["", "", "", "boom"]), "sharpe", "validate")
    assert "has no value for any of 3 backtests" in said
