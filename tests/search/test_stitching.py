"""Windows joined, by hand; and why an objective has no value."""

from __future__ import annotations

import numpy as np
import pytest

from whatif.domain import METRIC_KEYS
from whatif.errors import StudyError
from whatif.search.stitching import check_stitchable, stitch, stitch_equity

ROW = {
    "pnl_gross": 120.0, "pnl_net": 100.0, "costs": 20.0, "trades": 2, "win_rate": 0.5, "exposure": 0.5,
    "turnover": 1.5, "open_at_end": True, "benchmark_return_pct": 10.0, "bars": 100,
}  # fmt: skip
IDLE = {**ROW, "pnl_gross": 0.0, "pnl_net": 0.0, "costs": 0.0, "trades": 0, "win_rate": np.nan,
        "exposure": 0.0, "turnover": 0.0, "open_at_end": False, "bars": 300}  # fmt: skip


def test_equity_is_carried_over() -> None:
    np.testing.assert_allclose(stitch_equity(np.array([0.1, -0.5]), 1000.0), [1000.0, 1100.0, 550.0])


def test_two_windows() -> None:
    """Returns 10%, -50%, then 20%: equity 1.1, 0.55, 0.66; the fall from 1.1 to 0.55 is a half."""
    found = stitch([ROW, IDLE], [np.array([0.1, -0.5]), np.array([0.2])], 252.0)
    assert set(found) >= set(METRIC_KEYS)
    assert found["return_pct"] == pytest.approx(-34.0)
    assert found["max_drawdown_pct"] == pytest.approx(50.0)
    joined = np.array([0.1, -0.5, 0.2])
    assert found["sharpe"] == pytest.approx(joined.mean() / joined.std(ddof=1) * np.sqrt(252.0))
    assert (found["pnl_net"], found["costs"], found["trades"], found["turnover"]) == (100.0, 20.0, 2.0, 1.5)
    assert (found["win_rate"], found["exposure"], found["open_at_end"]) == (0.5, 0.125, False)
    assert found["benchmark_return_pct"] == pytest.approx(21.0)
    assert np.isnan(found["sqn"])


def test_nothing_was_traded() -> None:
    found = stitch([], [np.zeros(3)], 252.0)
    assert (found["return_pct"], found["trades"], found["open_at_end"]) == (0.0, 0.0, False)
    assert np.isnan(found["sharpe"])


def test_an_objective_that_needs_every_trade() -> None:
    check_stitchable("sharpe")
    with pytest.raises(StudyError, match="objective 'sqn' cannot rank paths"):
        check_stitchable("sqn")
