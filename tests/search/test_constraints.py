"""Constraints of metrics and parameters, the Pareto front, and the choice on it; values by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from whatif.errors import StudyError
from whatif.search import Constraints, choosable, constraints_of, on_the_front, rank_rows, why_undefined

NAMES = "abcdef"


def board(**columns: list[float]) -> pd.DataFrame:
    """Return results that ran and traded, named a, b, ..."""
    count = len(next(iter(columns.values())))
    base = {
        "config_id": list(NAMES[:count]),
        "symbol": "X",
        "status": "ok",
        "error": None,
        "open_at_end": 0.0,
    }
    return pd.DataFrame({**base, "trades": 50.0, **columns})


def test_constraints_are_told_apart_by_what_they_name() -> None:
    found = constraints_of(["fast < slow", "trades >= 30", "max_drawdown_pct <= 20"], ["fast", "slow"])
    assert found == Constraints(("fast < slow",), ("trades >= 30", "max_drawdown_pct <= 20"))
    # a parameter of a metric's name goes before
    assert constraints_of(["trades < 3"], ["trades"]) == Constraints(("trades < 3",), ())


def test_how_far_a_result_breaks_a_constraint() -> None:
    found = Constraints((), ("trades >= 30", "sharpe > 0 or trades > 5", "costs < pnl_net", "sharpe < 0"))
    row = {"trades": 10.0, "sharpe": -1.0, "costs": 7.0, "pnl_net": 7.0}
    assert found.violations(row) == (20.0, 0.0, 1.0, 0.0)
    assert found.violations({**row, "trades": float("nan")})[0] == 1e12


def test_what_breaks_a_constraint_ranks_behind_and_is_not_chosen() -> None:
    rows = board(sharpe=[3.0, 2.0, 1.0, 4.0], trades=[10.0, 40.0, 50.0, np.nan])
    kept = constraints_of(["trades >= 30"])
    ranked = rank_rows(rows, "sharpe", kept)
    assert ranked["config_id"].tolist() == ["b", "c", "d", "a"]
    assert choosable(ranked, "sharpe", kept).tolist() == [True, True, False, False]
    assert rank_rows(rows, "sharpe")["config_id"].tolist() == ["d", "a", "b", "c"]
    none = why_undefined(rows[:1], "sharpe", "validate", kept)
    assert "1 break a constraint of trades >= 30 (a on X)" in none


def test_the_front_is_what_nothing_beats() -> None:
    # b is beaten by a, e equals a; d has the least drawdown, f no value
    rows = board(sharpe=[3.0, 3.0, 2.0, 1.0, 3.0, np.nan], max_drawdown_pct=[5.0, 6.0, 2.0, 1.0, 5.0, 0.5])
    front = on_the_front(rows, ["sharpe", "max_drawdown_pct"])
    assert front.tolist() == [True, False, True, True, True, False]
    kept = constraints_of(["sharpe < 3"])
    front = on_the_front(rows, ["sharpe", "max_drawdown_pct"], kept)
    assert front.tolist() == [False, False, True, True, False, False]


def test_the_front_against_each_pair() -> None:
    rng = np.random.default_rng(5)
    values = rng.integers(0, 6, (80, 3)).astype(float)
    rows = pd.DataFrame(values, columns=["sharpe", "sortino", "costs"]).assign(
        config_id=[f"c{k}" for k in range(80)], symbol="X", status="ok", trades=9.0, open_at_end=0.0
    )
    gain = values * [1, 1, -1]
    beaten = [any((other >= one).all() and (other > one).any() for other in gain) for one in gain]
    assert on_the_front(rows, ["sharpe", "sortino", "costs"]).tolist() == [not one for one in beaten]


def test_the_point_nearest_to_the_ideal_comes_first() -> None:
    # scaled to [0, 1] on the front: a (0, 1), b (0.2, 0.2), c (1, 0), the ideal being (0, 0); d is off it
    rows = board(sharpe=[5.0, 4.0, 0.0, 3.9], max_drawdown_pct=[10.0, 2.0, 0.0, 9.0])
    ranked = rank_rows(rows, "sharpe", nearest_of=["sharpe", "max_drawdown_pct"])
    assert ranked["config_id"].tolist() == ["b", "a", "c", "d"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fast <", "is not an expression"),
        ("fast < slwo", "names 'slwo', which is neither a parameter nor a metric: did you mean 'slow'"),
        ("fast + slow", "compares nothing"),
        ("1 < 2", "compares nothing"),
        ("fast < trades", "speaks of 'fast', a parameter, and of 'trades', a metric: write two"),
        ("fast.real < 3", "is not allowed"),
        ("max(fast, slow) < 3", "names 'max'"),
    ],
)
def test_what_is_no_constraint_is_refused(text: str, said: str) -> None:
    with pytest.raises(StudyError, match="constraints: ") as refused:
        constraints_of([text], ["fast", "slow"])
    assert said in str(refused.value)


def test_values_that_cannot_be_compared_are_named() -> None:
    with pytest.raises(StudyError, match=r"cannot be told of fast = 1, slow = 'x': .*compare numbers"):
        Constraints(("fast < slow",)).broken({"fast": 1, "slow": "x"})


@pytest.mark.parametrize(
    "texts",
    [
        ["trades >= 30", "trades <= 10"],
        ["trades > 10", "10 >= trades"],
        ["trades == 4", "sharpe > 0", "5 <= trades"],
        ["max_drawdown_pct < -1", "max_drawdown_pct > -1"],
    ],
)
def test_constraints_that_exclude_each_other_are_refused(texts: list[str]) -> None:
    with pytest.raises(StudyError, match="exclude each other, so no result could keep to them"):
        constraints_of(texts, ["fast"])


@pytest.mark.parametrize(
    "texts",
    [["trades >= 10", "trades <= 10"], ["trades >= 10", "trades != 10"], ["trades > 3", "not trades < 5"]],
)
def test_constraints_that_leave_something_are_taken(texts: list[str]) -> None:
    assert constraints_of(texts, ["fast"]).on_results == tuple(texts)


def test_why_nothing_keeps_to_constraints_or_lost_all_of_its_cash() -> None:
    rows = board(sharpe=[1.0, 2.0], trades=[3.0, 4.0], open_at_end=[0.0, 0.0], max_drawdown_pct=[5.0, 6.0])
    said = why_undefined(rows, "sharpe", "validate", constraints_of(["trades >= 30"], []))
    assert "2 break a constraint of trades >= 30" in said
    assert said.endswith("Take looser constraints")
    lost = board(
        sharpe=[np.nan, np.nan], trades=[3.0, 4.0], open_at_end=[0.0, 0.0], max_drawdown_pct=[940.0, 100.0]
    )
    said = why_undefined(lost, "sharpe", "validate")
    assert "2 lost all of their cash, after which no return is one (a on X, b on X)" in said
    assert said.endswith("Take more cash or a smaller size")
