"""Studies whose strategies name time, longer bars and other symbols, run for real. Start no JVM."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import whatif
from whatif.domain import BacktestResult
from whatif.errors import IndicatorError
from whatif.workflow import StudyResult

from .conftest import at

LONGER = """
from whatif.strategies import Param, strategy, target

@strategy(
    params={"n": Param(3), "size": Param(50.0)},
    inputs={"slow": "ema(close@15min, n)", "left": "minutes_to_close", "day": "day_of_week",
            "last": "is_month_end", "before": "close@1d"},
)
def longer(i, x, p, s):
    if x.left[i] != s.minutes_to_close or x.left[i] < 275.0 or x.last[i] > 0.0:
        return target(0.0)
    return target(p.size if x.close[i] > x.slow[i] and x.slow[i] > 0.9 * x.before[i] else -x.day[i])
"""


def direct(location: object, strategy: Path, symbols: str, **given: object) -> BacktestResult:
    """Return a backtest of the window `validate` by one call, on bars that a notebook reads."""
    bars = whatif.read_bars(symbols, "2013-10-04", "2013-10-10", location=location)
    start = pd.Timestamp(at("2013-10-08T13:30"), unit="us", tz="UTC")
    costs = {"cash": 100_000.0, "commission": 0.0001}
    return whatif.backtest(bars, str(strategy), execution=costs, calendar="XNYS", start=start, **given)


@pytest.mark.parametrize("engine", ["compiled", "backtrader"])
def test_a_study_is_what_one_call_gives(go, market, tmp_path: Path, engine: str) -> None:
    path = tmp_path / "longer.py"
    path.write_text(LONGER)
    result: StudyResult = go(strategy={"name": str(path)}, axes={"n": [2, 3]}, engine=engine)
    board = result.leaderboard().set_index(["symbol", "n"])
    assert result.failed == 0
    for symbol in ("A", "B"):
        for n in (2, 3):
            expected = direct(market, path, symbol, params={"n": n}, engine="backtrader")
            assert expected.metrics["trades"] > 3
            assert board.loc[(symbol, n), "pnl_net"] == expected.metrics["pnl_net"]
    assert len(set(board["pnl_net"])) == 4
    assert go(strategy={"name": str(path)}, axes={"n": [2, 3]}, engine=engine).computed == 0


def test_another_timeframe_is_another_configuration(go, tmp_path: Path) -> None:
    path = tmp_path / "longer.py"
    path.write_text(LONGER)
    first: StudyResult = go(strategy={"name": str(path)}, axes={"n": [2]})
    path.write_text(LONGER.replace("@15min", "@30min"))
    second: StudyResult = go(strategy={"name": str(path)}, axes={"n": [2]})
    assert set(first.leaderboard()["config_id"]).isdisjoint(second.leaderboard()["config_id"])
    assert second.computed > 0
    assert set(first.leaderboard()["pnl_net"]) != set(second.leaderboard()["pnl_net"])


def test_an_axis_of_timeframes_has_to_stay_below(go, tmp_path: Path) -> None:
    path = tmp_path / "longer.py"
    path.write_text(LONGER)
    found: StudyResult = go(strategy={"name": str(path)}, axes={"timeframe": ["1min", "5min"]})
    assert (found.failed, set(found.leaderboard()["timeframe"])) == (0, {"1min", "5min"})
    with pytest.raises(IndicatorError, match=r"longer.py': @15min is not longer than 15min.*such as @1h"):
        go(strategy={"name": str(path)}, axes={"timeframe": ["1min", "15min"]})
    with pytest.raises(IndicatorError, match=r"features: @20min is no multiple of 15min"):
        go(features=["close@20min"], axes={"timeframe": ["1min", "15min"]})
