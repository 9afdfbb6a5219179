"""Studies whose orders are tried on finer bars, run for real. Start no JVM."""

from __future__ import annotations

import numpy as np
import pytest

from whatif.domain import DAY_US, MINUTE_US, Execution, resample, with_finer
from whatif.engines import BacktestTask, run_engine
from whatif.errors import RunError
from whatif.pins import current_pin, read_bars
from whatif.resolve.resolved import resolve_study
from whatif.strategies import resolve
from whatif.study import parse_study

from ..markets import put_bars, walk
from .conftest import at, study_text
from .test_which_bars import hours, put_hours, replace_session_out

STRATEGY = {"name": "bollinger_reversion", "params": {"size": 50.0, "width": 0.3}}
FINER = {"cash": 100_000.0, "commission": 0.0001, "fill_timeframe": "1min"}


def alone(location, symbol: str, timeframe_us: int, period: int, engine: str):
    """Return the run of window `validate`, made of the lake's minutes by hand."""
    minutes = read_bars(current_pin(location, "bars"), symbol, "1min")
    minutes = minutes.slice(0, int(np.searchsorted(minutes.ts, at("2013-10-10T00:00"))))
    bars = resample(minutes, timeframe_us, MINUTE_US)
    bars = with_finer(bars, minutes, MINUTE_US, timeframe_us == DAY_US)
    spec = resolve(STRATEGY["name"])
    params = spec.validate({**STRATEGY["params"], "period": period})
    start = at("2013-10-08T00:00")
    return run_engine(BacktestTask([bars], spec, params, Execution(**FINER), start=start), engine)


@pytest.mark.parametrize(
    ("engine", "kept"), [("compiled", "best"), ("compiled", "all"), ("backtrader", "best")]
)
def test_a_study_fills_on_the_minutes_inside_its_bars(go, market, engine, kept) -> None:
    """Many configurations in one call, which keep no series, and each for itself."""
    data = {"symbols": ["A", "B"], "timeframe": "5min", "start": "2013-10-04", "end": "2013-10-12"}
    plain = {"cash": 100_000.0, "commission": 0.0001}
    result = go(
        strategy=STRATEGY, data=data, execution=plain, keep={"trades": kept, "equity": "best"}, report=True,
        engine=engine,
        axes={"period": [5, 9], "execution": [{}, {"fill_timeframe": "1min"}]},
    )  # fmt: skip
    assert result.failed == 0
    board = result.leaderboard()
    finer = board[board["execution"].astype(str).str.contains("fill_timeframe")]
    assert (len(board), len(finer)) == (8, 4)
    closed, inside = 0, False
    for symbol in ("A", "B"):
        for period in (5, 9):
            run = alone(market, symbol, 5 * MINUTE_US, period, "backtrader")
            (row,) = finer[(finer["symbol"] == symbol) & (finer["period"] == period)].to_dict("records")
            closed += len(run.trades)
            assert row["trades"] == len(run.trades)
            assert row["pnl_net"] == pytest.approx(run.equity[-1] - 100_000.0, rel=1e-12)
            opened, _ = run.traded_at
            inside = inside or bool((opened % (5 * MINUTE_US) != 0).any())
    assert closed > 8
    assert inside
    assert set(finer["pnl_net"]).isdisjoint(board[~board.index.isin(finer.index)]["pnl_net"])


def asked(**execution: str):
    data = {"symbols": ["A"], "timeframe": "1h", "start": "2013-10-04", "end": "2013-10-12"}
    return parse_study(study_text(data=data, axes={"fast": [2], "slow": [3]}, execution=execution))


def test_a_studys_bars_are_made_of_those_that_its_orders_are_tried_on(lake_home) -> None:
    minutes = walk("A", 1)
    put_bars(lake_home, [replace_session_out(minutes)])
    put_hours(lake_home, hours(minutes, 6, 50.0), "1h", "2024-01-02")
    assert resolve_study(asked(), lake_home).slices["1h"].source_timeframe == "1h"
    resolved = resolve_study(asked(fill_timeframe="5min"), lake_home)
    assert resolved.slices["1h"].source_timeframe == "1min"
    assert resolved.notes[0] == (
        "1h bars: made of the lake's 1min bars; orders are tried on 5min bars: made of the lake's 1min bars"
    )


def test_finer_bars_that_the_lake_has_none_of_are_refused(lake_home) -> None:
    put_hours(lake_home, hours(walk("A", 1), 6, 50.0), "1h", "2024-01-02")
    with pytest.raises(RunError, match=r"timeframe '1min' cannot be made of the bars in the lake \(A 1h\)"):
        resolve_study(asked(fill_timeframe="1min"), lake_home)
