"""Studies whose strategies name time, longer bars and other symbols, run for real. Start no JVM."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import whatif
from whatif.domain import BacktestResult
from whatif.errors import IndicatorError, RunError
from whatif.workflow import StudyResult

from ..markets import changed_after, put_bars, walk
from .conftest import at

LATER = pd.Timestamp("2024-02-01", tz="UTC")

LONGER = """
from whatif.strategies import Param, strategy, target

@strategy(
    params={"n": Param(3), "size": Param(50.0)},
    inputs={"slow": "ema(close@15min, n)", "left": "minutes_to_close", "day": "day_of_week",
            "last": "is_month_end", "before": "close@1d",
            "cross": "crossover(sma(close@5min, n), sma(close@5min, 9))"},
)
def longer(i, x, p, s):
    if x.left[i] != s.minutes_to_close or x.left[i] < 275.0 or x.last[i] > 0.0:
        return target(0.0)
    if x.cross[i] < 0.0 and not i % 5:
        return target(2.0)
    return target(p.size if x.close[i] > x.slow[i] and x.slow[i] > 0.9 * x.before[i] else -x.day[i])
"""


def direct(location: object, strategy: Path, names: str | tuple[str, ...], **given: object) -> BacktestResult:
    """Return a backtest of the window `validate` by one call, on bars that a notebook reads."""
    bars = whatif.read_bars(names, "2013-10-04", "2013-10-10", location=location)
    start = pd.Timestamp(at("2013-10-08T13:30"), unit="us", tz="UTC")
    costs = {"cash": 100_000.0, "commission": 0.0001}
    return whatif.backtest(bars, str(strategy), execution=costs, calendar="XNYS", start=start, **given)


@pytest.mark.parametrize("engine", ["compiled", pytest.param("backtrader", marks=pytest.mark.slow)])
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


@pytest.mark.slow
def test_another_timeframe_is_another_configuration(go, tmp_path: Path) -> None:
    path = tmp_path / "longer.py"
    path.write_text(LONGER)
    first: StudyResult = go(strategy={"name": str(path)}, axes={"n": [2]})
    path.write_text(LONGER.replace("@15min", "@30min"))
    second: StudyResult = go(strategy={"name": str(path)}, axes={"n": [2]})
    assert set(first.leaderboard()["config_id"]).isdisjoint(second.leaderboard()["config_id"])
    assert second.computed > 0
    assert set(first.leaderboard()["pnl_net"]) != set(second.leaderboard()["pnl_net"])


@pytest.mark.slow
def test_an_axis_of_timeframes_has_to_stay_below(go, tmp_path: Path) -> None:
    path = tmp_path / "longer.py"
    path.write_text(LONGER.replace("@5min", "@15min"))
    found: StudyResult = go(strategy={"name": str(path)}, axes={"timeframe": ["1min", "5min"]})
    assert (found.failed, set(found.leaderboard()["timeframe"])) == (0, {"1min", "5min"})
    with pytest.raises(IndicatorError, match=r"longer.py': @15min is not longer than 15min.*such as @1h"):
        go(strategy={"name": str(path)}, axes={"timeframe": ["1min", "15min"]})
    with pytest.raises(IndicatorError, match=r"features: @20min is no multiple of 15min"):
        go(features=["close@20min"], axes={"timeframe": ["1min", "15min"]})


FOLLOWS = """
from whatif.strategies import Param, strategy, target

@strategy(params={"n": Param(5), "size": Param(50.0)},
          inputs={"far": "C.close", "slow": "sma(C.close, n)", "day": "C.close@15min"})
def follows(i, x, p, s):
    return target(p.size if x.far[i] > x.slow[i] and x.far[i] > 0.99 * x.day[i] else 0.0)
"""


@pytest.mark.slow
def test_another_symbol_is_read_from_the_pin_and_not_traded(go, market, tmp_path: Path) -> None:
    put_bars(market, [walk("C", 3, minutes=110)])
    path = tmp_path / "follows.py"
    path.write_text(FOLLOWS)
    study = {"strategy": {"name": str(path)}, "axes": {"n": [4, 9]}}
    result: StudyResult = go(**study)
    board = result.leaderboard().set_index(["symbol", "n"])
    assert (result.failed, set(board.index)) == (0, {(s, n) for s in ("A", "B") for n in (4, 9)})
    for symbol, n in board.index:
        expected = direct(market, path, (symbol, "C"), params={"n": n}, engine="backtrader", symbols=[symbol])
        assert expected.metrics["trades"] > 3
        assert board.loc[(symbol, n), "pnl_net"] == expected.metrics["pnl_net"]
    assert go(**study).computed == 0
    # other bars of the symbol that is only named are other results
    put_bars(market, [changed_after(walk("C", 3, minutes=110), 100)], ingested_at=LATER)
    assert go(**study).computed == 0
    newer: StudyResult = go(latest=True, **study)
    assert newer.computed == result.computed > 0


def test_a_symbol_that_the_lake_does_not_have(go, tmp_path: Path) -> None:
    path = tmp_path / "follows.py"
    path.write_text(FOLLOWS.replace("C.close", "AA.close"))
    with pytest.raises(RunError, match=r"inputs of the strategy, or features: AA is not in the lake"):
        go(strategy={"name": str(path)}, axes={"n": [4]})
