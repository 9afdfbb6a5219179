"""What is refused before a lake or Spark is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from whatif.errors import StrategyError, StudyError
from whatif.study import load_study
from whatif.workflow.check import check_study

STUDY = """
study: s
data: {symbols: [SPY], start: 2013-10-04, end: 2013-10-12}
calendar: {exchange: XNYS}
strategy: {name: NAME}
"""

ORDINARY = """
import backtrader as bt

class Ordinary(bt.Strategy):
    params = (("stop_loss", 0.5),)
"""


def checked(folder: Path, name: str, more: str = ""):
    (folder / "ordinary.py").write_text(ORDINARY)
    (folder / "study.yaml").write_text(STUDY.replace("NAME", name) + more)
    return check_study(load_study(folder / "study.yaml"))


def test_probabilities_come_from_no_model_of_this_version(tmp_path: Path) -> None:
    with pytest.raises(StrategyError) as refused:
        checked(tmp_path, "probability_threshold")

    for part in ("'prob_long'", "no model kind of this version gives probabilities yet", "whatif.backtest"):
        assert part in str(refused.value)


def test_overlays_need_a_step_function(tmp_path: Path) -> None:
    for more in ("overlays: {latency: 1}", "axes: {latency: [0, 1]}"):
        with pytest.raises(StudyError, match="overlays latency cannot be laid over Ordinary"):
            checked(tmp_path, "ordinary.py", more)
    # its own parameter is no overlay, and what is off is none either
    grid = checked(tmp_path, "ordinary.py", "overlays: {latency: 0}\naxes: {stop_loss: [0.1, 0.2]}").grid
    assert grid is not None
    assert [c.params["stop_loss"] for c in grid.configurations] == [0.1, 0.2]
    assert not any(c.overlays.is_on for c in grid.configurations)


def test_overlays_of_a_step_function(tmp_path: Path) -> None:
    grid = checked(tmp_path, "breakout", "overlays: {stop_loss: 0.1}\naxes: {latency: [0, 1]}").grid
    assert grid is not None
    assert [c.overlays.active for c in grid.configurations] == [
        {"stop_loss": 0.1},
        {"stop_loss": 0.1, "latency": 1},
    ]
