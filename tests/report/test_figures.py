from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from whatif.errors import WhatIfError
from whatif.report.figures import (
    distribution_figure,
    drawdown_figure,
    equity_figure,
    heatmap_figure,
    trades_figure,
)

TS = pd.to_datetime(
    ["2024-03-04 14:30", "2024-03-04 14:31", "2024-03-05 14:30", "2024-03-05 14:31"], utc=True
)


def _equity(symbol="A", window="validate", money=(100.0, 120.0, 90.0, 108.0)):
    return pd.DataFrame(
        {"symbol": symbol, "window": window, "ts": TS, "equity": money, "benchmark": [100.0, 101, 102, 99],
         "position": [0.0, 10, 10, 0]}
    )  # fmt: skip


def _bars():
    return pd.DataFrame(
        {"symbol": "A", "window": "validate", "ts": TS, "open": [1.0, 2, 3, 4], "high": [2.0, 3, 4, 5],
         "low": [0.5, 1.5, 2.5, 3.5], "close": [1.5, 2.5, 3.5, 4.5]}
    )  # fmt: skip


def _trades(pnl=3.0):
    return pd.DataFrame(
        {"symbol": ["A"], "window": ["validate"], "opened_at": [TS[1]], "closed_at": [TS[3]], "size": [-10],
         "entry_price": [2.0], "exit_price": [4.0], "pnl": [pnl], "pnl_net": [pnl - 1]}
    )  # fmt: skip


def _board():
    return pd.DataFrame(
        {
            "config_id": list("abcdef"),
            "status": ["ok", "ok", "ok", "ok", "ok", "failed"],
            "fast": [5, 5, 10, 10, 10, 5],
            "slow": [20, 20, 20, 40, 40, 40],
            "sharpe": [1.0, 3.0, -2.0, np.nan, np.inf, np.nan],
            "costs": [7.0, 9.0, 4.0, 1.0, 2.0, np.nan],
        }
    )


def test_equity_shows_the_account_and_the_benchmark_without_the_night():
    own, hold = equity_figure(_equity()).data
    assert own.y.tolist() == [100, 120, 90, 108]
    assert hold.y.tolist() == [100, 101, 102, 99]
    assert own.x.tolist() == [0, 1, 2, 3]


def test_drawdown_is_measured_from_the_earlier_peak():
    own, _ = drawdown_figure(_equity()).data
    assert own.y == pytest.approx([0, 0, -25, -10])


def test_an_account_wiped_out_has_a_drawdown_and_no_warning():
    own, _ = drawdown_figure(_equity(money=(100.0, 0.0, -50.0, 10.0))).data
    assert own.y == pytest.approx([0, -100, -150, -90])


def test_windows_have_their_own_lines():
    frame = pd.concat([_equity(), _equity(window="test").assign(ts=TS + pd.Timedelta(days=7))])
    figure = equity_figure(frame)
    assert len(figure.data) == 4
    assert figure.data[2].x.min() > figure.data[0].x.max()
    assert [a.text for a in figure.layout.annotations] == ["<b>validate</b>", "<b>test</b>"]


def test_trades_stand_at_their_bars_and_prices():
    figure = trades_figure(_bars(), _trades(), equity=_equity())
    by_name = {trace.name: trace for trace in figure.data}
    assert by_name["price"].close.tolist() == [1.5, 2.5, 3.5, 4.5]
    assert (list(by_name["sell to open"].x), list(by_name["sell to open"].y)) == ([1], [2.0])
    assert (list(by_name["exit"].x), list(by_name["exit"].y)) == ([3], [4.0])
    assert "winners" in by_name
    assert "losers" not in by_name
    assert by_name["position"].y.tolist() == [0, 10, 0]


def test_a_trade_that_costs_eat_is_a_loser():
    assert "losers" in {trace.name for trace in trades_figure(_bars(), _trades(pnl=0.5)).data}


def test_no_trades_leave_the_price():
    figure = trades_figure(_bars(), _trades().iloc[:0], equity=_equity())
    assert [trace.name for trace in figure.data] == ["price", "position"]


def test_merged_candles_are_said(make):
    bars = make.bars_of("A", {"test": ("2024-03-04", 10)}, 1)
    figure = trades_figure(bars, _trades().iloc[:0], most_candles=500)
    assert figure.layout.title.text == "each candle covers up to 8 bars"
    assert figure.layout.meta["merged"] == 8


def test_several_symbols_need_a_name():
    with pytest.raises(WhatIfError, match="one of: A, B"):
        equity_figure(pd.concat([_equity("A"), _equity("B")]))
    with pytest.raises(WhatIfError, match="'C'"):
        equity_figure(_equity("A"), symbol="C")


def test_a_heat_map_takes_the_best_of_each_cell():
    (heat,) = heatmap_figure(_board(), "fast", "slow", "sharpe").data
    assert list(heat.x) == ["5", "10"]
    assert list(heat.y) == ["20", "40"]
    # fast 10, slow 40 has only NaN and infinity; fast 5, slow 40 only failed
    np.testing.assert_array_equal(heat.z, [[3.0, -2.0], [np.nan, np.nan]])
    np.testing.assert_array_equal(heat.customdata, [[2, 1], [0, 0]])


def test_a_heat_map_of_costs_takes_the_lowest():
    (heat,) = heatmap_figure(_board(), "fast", "slow", "costs").data
    np.testing.assert_array_equal(heat.z, [[7.0, 4.0], [np.nan, 1.0]])


def test_a_heat_map_takes_the_median():
    (heat,) = heatmap_figure(_board(), "fast", "slow", "costs", "median").data
    np.testing.assert_array_equal(heat.z, [[8.0, 4.0], [np.nan, 1.5]])


def test_a_heat_map_over_one_axis_has_one_row():
    (heat,) = heatmap_figure(_board(), "fast", None, "costs").data
    np.testing.assert_array_equal(heat.z, [[7.0, 1.0]])


def test_an_axis_of_many_numbers_is_cut_into_bins():
    rng = np.random.default_rng(0)
    board = pd.DataFrame({"status": "ok", "x": rng.uniform(size=500), "y": 1, "sharpe": rng.normal(size=500)})
    (heat,) = heatmap_figure(board, "x", "y", "sharpe").data
    assert len(heat.x) == 20
    assert heat.customdata.sum() == 500
    assert np.nanmax(heat.z) == board["sharpe"].max()


def test_bins_are_named_by_what_they_hold():
    board = pd.DataFrame({"status": "ok", "x": np.arange(200), "sharpe": np.arange(200.0)})
    (heat,) = heatmap_figure(board, "x", None, "sharpe").data
    assert heat.x[0] == "0 to 9"
    assert heat.x[-1] == "190 to 199"
    assert heat.z[0].tolist() == list(range(9, 200, 10))


def test_an_axis_of_mappings_is_labelled():
    board = _board().assign(execution=[{"commission": c} for c in (0.0, 0.1, 0.0, 0.1, 0.0, 0.1)])
    (heat,) = heatmap_figure(board, "execution", None, "costs").data
    assert list(heat.x) == ["commission=0", "commission=0.1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fsat", "slow", "sharpe"), "did you mean 'fast'"),
        (("fast", "slow", "sharp"), "did you mean 'sharpe'"),
        (("fast", "slow", "sharpe", "mean"), "best or the median"),
    ],
)
def test_a_wrong_name_is_refused_with_the_nearest(arguments, message):
    with pytest.raises(WhatIfError, match=message):
        heatmap_figure(_board(), *arguments)


def test_the_distribution_counts_every_finite_value():
    figure = distribution_figure(_board(), "sharpe", 3.0)
    assert sum(figure.data[0].y) == 3
    assert figure.layout.shapes[0].x0 == 3.0
