from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from plotly.subplots import make_subplots

from whatif.errors import WhatIfError
from whatif.report import embed, words
from whatif.report.embed import board_payload, framed_map
from whatif.report.figures import (
    distribution_figure,
    draw_distribution,
    draw_drawdown,
    draw_equity,
    draw_trades,
    drawdown_figure,
    equity_figure,
    heatmap_figure,
    trades_figure,
)
from whatif.report.heatmap import levels
from whatif.report.theme import as_figure, two_drawings
from whatif.report.timeline import Timeline

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


def test_trades_of_an_account_of_several_stand_on_their_own_symbols_bars():
    both = pd.concat([_trades().assign(trade_symbol=name) for name in ("A", "other")]).assign(
        symbol="A+other"
    )
    bars = _bars().assign(symbol="A")
    assert trades_figure(bars, both).layout.meta["trades"] == 1
    assert trades_figure(bars, both.iloc[1:]).layout.meta["trades"] == 0


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


def test_the_page_holds_what_plotly_would_write(make):
    """Drawn without plotly's classes, byte for byte of every array, and nothing that they would refuse."""
    data = make.study()
    equity, bars, trades = (
        frame[frame["symbol"] == data.series.symbols[0]]
        for frame in (data.series.equity, data.series.bars, data.series.trades)
    )
    axis = Timeline.of(equity, bars)
    drawings = [
        draw_equity(equity, axis, 300),
        draw_drawdown(equity, axis),
        draw_trades(bars, trades, equity, axis, 300),
        draw_trades(bars, trades.iloc[:0], None, axis),
        draw_distribution(data.ranking.ranked, "sharpe", 0.5),
        draw_distribution(data.ranking.ranked.iloc[:0], "sharpe", 0.5),
    ]
    assert len({trace["type"] for drawn in drawings for trace in drawn["data"]}) == 3
    for drawn in drawings:
        assert embed._drawing(drawn) == embed._figure(as_figure(drawn))
    kinds = (np.int64([1, -128]), np.int64([128]), np.int64([2**15]), np.int64([2**31]), np.int64([]))
    for array in (*kinds, np.float64([1.0, np.nan]), np.ones((3, 2))):
        drawn = {"data": [{"type": "scatter", "x": array, "customdata": array}], "layout": {}}
        assert embed._drawing(drawn) == embed._figure(as_figure(drawn))


def test_panels_stand_where_plotly_puts_them(make):
    with_plotly = make_subplots(rows=2, shared_xaxes=True, row_heights=[0.82, 0.18], vertical_spacing=0.04)
    drawn = two_drawings("above", "below")["layout"]
    for name in ("xaxis", "yaxis", "xaxis2", "yaxis2"):
        made = with_plotly.layout[name].to_plotly_json()
        assert {key: drawn[name][key] for key in made} == {key: _listed(made[key]) for key in made}


def _listed(value):
    return list(value) if isinstance(value, tuple) else value


def test_the_first_in_rank_is_marked_where_plotly_marks_it():
    board = pd.DataFrame({"sharpe": [1.0, 2.0, 3.0, 4.0]})
    for marked, place in ((3.5, "top left"), (1.5, "top right")):
        with_plotly = go.Figure().add_vline(
            x=marked, line={"color": "#3b7dd8", "width": 2},
            annotation_text="first in rank ", annotation_position=place,
        ).to_dict()["layout"]  # fmt: skip
        drawn = draw_distribution(board, "sharpe", marked)["layout"]
        assert (drawn["shapes"], drawn["annotations"]) == (
            list(with_plotly["shapes"]),
            list(with_plotly["annotations"]),
        )


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


def test_exits_are_marked_by_their_reason_and_orders_drawn_as_long_as_the_trade_was_open():
    told = _trades().assign(exit_reason="stop", entry_order=2.5, stop_price=4.25, target_price=np.nan)
    drawn = {trace.name: trace for trace in trades_figure(_bars(), told).data}
    assert drawn["exit: stop"].y.tolist() == [4.0]
    # from the bar of the entry to that of the exit; nothing was to leave it at a profit
    assert drawn["stop"].x.tolist()[:2] == drawn["entry order"].x.tolist()[:2] == [1, 3]
    assert drawn["stop"].y.tolist()[:2] == [4.25, 4.25]
    assert drawn["entry order"].y.tolist()[:2] == [2.5, 2.5]
    assert "target" not in drawn


def test_trades_that_were_stored_without_a_reason_have_plain_exits():
    for told in (_trades(), _trades().assign(exit_reason=None, entry_order=np.nan, stop_price=np.nan)):
        names = [trace.name for trace in trades_figure(_bars(), told).data]
        assert "exit" in names
        assert not {"stop", "target", "entry order"} & set(names)


def test_texts_of_an_axis_stand_as_the_study_has_them_whatever_ranks_first(make) -> None:
    models = ("trees", "linear", "none")
    board = make.leaderboard({"model": list(models), "fast": [20, 5]}, ["A"])
    assert tuple(board["model"].unique()) != models  # or the ranking's order would do
    data = make.changed(
        make.study(axes={"fast": [5, 20], "slow": [60]}, symbols=("A",), failed=0),
        ranking={
            "leaderboard": board,
            "axes": ("model", "fast"),
            "orders": {"model": models, "fast": (20, 5)},
        },
        series={"chosen": dict(board.iloc[0][["config_id", "symbol", "model", "fast"]])},
    )
    model, fast = board_payload(data)["axes"]
    assert (model["levels"], fast["levels"]) == (list(models), ["5", "20"])
    drawn = framed_map(data, "fast", "model", "sharpe")
    assert drawn["data"][0]["y"] == list(models)
    best = board.iloc[0]
    at = drawn["layout"]["shapes"][0]
    assert (at["x0"] + 0.5, at["y0"] + 0.5) == ([5, 20].index(best["fast"]), models.index(best["model"]))
    assert words.axis_summary(data, "model") == "model: trees; linear; none"
    # what the study does not name comes after what it does
    assert levels(board["model"], order=("none",)).labels[0] == "none"
