"""Results in a notebook: what is shown is what stands in them, escaped, whole in itself and short."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from whatif.domain import BacktestResult, EngineRun, Fills
from whatif.errors import RunError, WhatIfError
from whatif.report import BacktestPlots, StudyPlots, chart
from whatif.report.judgement import Judgement
from whatif.report.summary import summarize
from whatif.scenarios import Comparison
from whatif.scenarios.comparison import Difference
from whatif.stats import Interval, Verdict
from whatif.workflow import StudyResult

from .test_summary import judged

NASTY = '<script>alert(1)</script>\n& "fast"'


class Pieces(HTMLParser):
    """Tags, attributes and text of a piece of HTML, and whether each tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(text: str) -> str:
    """Return the text of a piece of HTML that is well formed, loads nothing and acts on nothing."""
    found = Pieces(text)
    assert found.open == []
    assert found.tags <= {"div", "span", "table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert found.attributes <= {"style", "scope"}
    assert "url(" not in text
    assert len(text) < 30_000
    return " ".join(" ".join(found.text).split())


def result_of(data) -> StudyResult:
    return StudyResult(None, None, data)  # type: ignore[arg-type]  # a display asks for neither


def backtest(symbols=("SPY",), bars: int = 4) -> BacktestResult:
    """Return a backtest of which every number is put in by hand."""
    ts = np.arange(bars, dtype=np.int64) * 86_400_000_000 + 1_380_893_400_000_000
    fills = 2 if bars else 0
    run = EngineRun(
        symbols=symbols,
        ts=ts,
        fills=Fills(
            row=np.array([1, 3])[:fills],
            symbol=np.zeros(fills, dtype=np.int64),
            closed=np.array([0.0, -10.0])[:fills],
            opened=np.array([10.0, 0.0])[:fills],
            price=np.array([100.0, 110.0])[:fills],
            closed_commission=np.array([0.0, 1.0])[:fills],
            opened_commission=np.array([1.0, 0.0])[:fills],
            multiplier=np.ones(fills),
        ),
        equity=np.array([1000.0, 999.0, 1049.0, 1098.0][:bars]),
        position=np.array([[0.0, 10.0, 10.0, 0.0][:bars]] * len(symbols)),
        close=np.array([[100.0, 100.0, 105.0, 110.0][:bars]] * len(symbols)),
        margin_rejected=0,
        engine="compiled",
        notes=("costs are the strategy's own",),
    )
    figures = {
        "pnl_net": 98.0,
        "return_pct": 9.8,
        "sharpe": 2.5,
        "max_drawdown_pct": 0.1,
        "trades": 1,
        "costs": 2.0,
    }
    return BacktestResult(figures, run)


@pytest.mark.parametrize("edge", [0.0, 0.004])
def test_a_study_shows_its_verdict_four_numbers_and_best_rows(make, edge) -> None:
    data = dataclasses.replace(make.study(), verdict=judged(edge))
    shown, told = result_of(data), summarize(data)
    text = read(shown._repr_html_())
    for part in (
        told.word,
        told.sentence,
        told.configuration,
        told.config_id,
        *(n.value for n in told.numbers),
    ):
        assert part in text
    best = data.ranking.ranked.iloc[0]
    assert f"1 {best['symbol']} {best['fast']} {best['slow']}" in text
    assert f"The first 5 of {len(data.ranking.leaderboard)} backtests" in text
    assert "3 failed" in text
    line = repr(shown)
    assert line.startswith("<StudyResult crossover-sample: ")
    assert told.word in line
    assert told.numbers[1].value in line
    assert len(line) < 400
    assert "\n" not in line


def test_names_with_markup_are_text(make) -> None:
    data = make.study(
        {"a<b>": [NASTY, "x"]}, symbols=("<img src=x>",), failed=0, origin={"study": NASTY, "notes": (NASTY,)}
    )
    text = read(result_of(data)._repr_html_())
    assert "<img src=x>" in text
    assert "<script>alert(1)</script>" in text
    assert "\n" not in repr(result_of(data))


def test_a_study_without_anything_to_show_still_says_so(make) -> None:
    board = make.study(failed=0).ranking.leaderboard.assign(status="error", error=NASTY, rank=np.nan)
    empty = {"chosen": {}, **{name: frame[:0] for name, frame in (
        ("comparison", make.study().series.comparison), ("equity", make.study().series.equity),
        ("trades", make.study().series.trades), ("bars", make.study().series.bars),
    )}}  # fmt: skip
    data = make.study(ranking={"leaderboard": board}, series=empty)
    shown = result_of(data)
    assert "Nothing ran" in read(shown._repr_html_())
    assert "168 backtests" in repr(shown)
    with pytest.raises(WhatIfError, match="no configuration was chosen"):
        shown.plot.equity()
    with pytest.raises(WhatIfError, match="one fold"):
        shown.plot.stitched()


def test_a_verdict_shows_why(make) -> None:
    judgement = judged(0.0)
    assert isinstance(judgement.verdict, Verdict)
    for shown in (judgement, judgement.verdict):
        text = read(shown._repr_html_())
        assert "Not distinguishable from luck" in text
        assert judgement.verdict.reasons[0] in text
        assert f"{judgement.verdict.figures.validate.objective.estimate:.2f}" in text.replace(
            "\N{MINUS SIGN}", "-"
        )
    assert repr(judgement.verdict).startswith("<Verdict: not distinguishable from luck; ")
    assert len(repr(judgement)) < 500
    assert isinstance(judgement, Judgement)


def test_a_backtest_shows_its_figures_account_and_trades() -> None:
    result = backtest()
    text = read(result._repr_html_())
    for part in (
        "Backtest of SPY: 4 bars",
        "98.00",
        "9.80",
        "2.50",
        "▁",
        "closed trade",
        "costs are the strategy's own",
    ):
        assert part in text
    # one trade: 10 bought at 100 and sold at 110, two commissions of 1
    assert "2013-10-07 13:30 UTC SPY 10 100 110 98.00" in text
    assert repr(result) == (
        "<BacktestResult SPY: 4 bars, 2013-10-04 13:30 to 2013-10-07 13:30 UTC, compiled; "
        "return 9.80 %, Sharpe 2.50, max drawdown 0.10 %, 1 closed trade>"
    )
    held = dataclasses.replace(result, metrics={**result.metrics, "trades": 0, "open_at_end": True})
    assert repr(held).endswith(", 0 closed trades, a position open at the end>")
    assert "position is open at the end" in read(held._repr_html_())


def test_a_backtest_of_no_bar_and_one_of_many_symbols() -> None:
    assert "0 bars" in read(backtest(bars=0)._repr_html_())
    assert "0 bars" in repr(backtest(bars=0))
    with pytest.raises(WhatIfError, match="no bar"):
        backtest(bars=0).plot.equity()
    many = backtest(tuple(f"S{k}" for k in range(600)))
    assert "S0, S1, S2 and 597 more" in repr(many)
    assert len(read(many._repr_html_())) < 3000


def test_a_comparison_shows_figures_and_what_the_difference_is_worth() -> None:
    figures = pd.DataFrame({"sharpe": [1.0, 1.5, 0.5], "trades": [10, 12, 2]}, index=["a", "b", "difference"])
    found = Comparison(
        a="one 1f", b=NASTY, window="validate, 2013", objective="sharpe", figures=figures,
        differences=(Difference("params.fast", "3", NASTY, 0.4, float("nan"), 0.5, -120.0),),
        fills=pd.DataFrame(), same_fills=3,
        interval=Interval("sharpe", 0.5, -0.2, 1.1, 0.95, 5, 100, 0),
        equity=pd.DataFrame({"a": [1.0, 1.1], "b": [1.0, 1.2]}), notes=("not all could be told",),
    )  # fmt: skip
    text = read(found._repr_html_())
    for part in (
        "0.50",
        "params.fast",
        "+0.4000",
        "–",
        "\N{MINUS SIGN}120",
        "not all could be told",
        "A: one 1f",
    ):
        assert part in text
    assert "they differ by params.fast" in repr(found)


def test_charts_are_the_report_s(make) -> None:
    data = dataclasses.replace(make.study(), verdict=judged(0.0))
    plots = StudyPlots(data)
    drawn = plots.equity()
    own = data.series.equity.query("symbol == @plots._data.series.symbols[0] and window == 'validate'")
    lines = [trace for trace in drawn.data if trace.name == "strategy"]
    assert lines[0].y[0] == own["equity"].iloc[0]
    assert lines[0].y[-1] == own["equity"].iloc[-1]
    assert any(trace.name == "what luck would give" for trace in drawn.data)
    grid = plots.heatmap("fast", "slow", "return_pct", symbol="")
    ranked = data.ranking.ranked
    cell = ranked[(ranked["fast"] == 5) & (ranked["slow"] == 30)]["return_pct"].max()
    assert grid.data[0].z[0][0] == cell
    shape = grid.layout.shapes[0]
    fast, slow = sorted(set(ranked["fast"])), sorted(set(ranked["slow"]))
    assert (shape.x0 + 0.5, shape.y0 + 0.5) == (
        fast.index(data.series.chosen["fast"]), slow.index(data.series.chosen["slow"]),
    )  # fmt: skip
    assert len(plots.trades().data) > 2
    assert plots.distribution().data[0].type == "bar"
    for call, said in (
        (lambda: plots.heatmap("fats"), "fast"),
        (lambda: plots.heatmap("fast", "fast"), "named twice"),
        (lambda: plots.heatmap(metric="sharp"), "sharpe"),
        (lambda: plots.equity("SYN_EGDE"), "SYN_EDGE"),
    ):
        with pytest.raises(WhatIfError, match=said):
            call()


def test_a_map_is_of_one_symbol_where_symbols_rank_by_themselves(make) -> None:
    data = make.study()
    plots, ranked, chosen = StudyPlots(data), data.ranking.ranked, data.series.chosen["symbol"]
    other = next(symbol for symbol in ranked["symbol"] if symbol != chosen)
    for symbol, framed in ((None, True), (other, False), ("", True)):
        grid = plots.heatmap("fast", "slow", "return_pct", symbol=symbol)
        of = ranked[ranked["symbol"] == (symbol or chosen)] if symbol != "" else ranked
        cell = of[(of["fast"] == 5) & (of["slow"] == 30)]["return_pct"].max()
        assert grid.data[0].z[0][0] == cell
        assert bool(grid.layout.shapes) is framed
    with pytest.raises(WhatIfError, match="did you mean 'SYN_EDGE'"):
        plots.heatmap(symbol="SYN_EGDE")


def test_the_frame_is_right_where_a_value_failed_throughout(make) -> None:
    data = make.study(symbols=("A",), failed=0)
    board = data.ranking.leaderboard.copy()
    least = board["fast"].min()
    chosen = data.series.chosen["fast"]
    assert chosen != least
    board.loc[board["fast"] == least, "status"] = "error"
    grid = StudyPlots(make.changed(data, ranking={"leaderboard": board})).heatmap(
        "fast", "slow", "return_pct"
    )
    assert grid.data[0].x[int(grid.layout.shapes[0].x0 + 0.5)] == str(chosen)


def test_a_backtest_is_drawn_beside_the_market_from_its_first_close() -> None:
    plots = BacktestPlots(backtest())
    own, market = plots.equity().data
    assert own.y.tolist() == [1000.0, 999.0, 1049.0, 1098.0]
    assert market.y.tolist() == [1000.0, 1000.0, 1050.0, 1100.0]
    ts = pd.to_datetime(backtest().run.ts, unit="us", utc=True)
    bars = pd.DataFrame(
        {"symbol": "SPY", "ts": ts, "open": 100.0, "high": 111.0, "low": 99.0, "close": 105.0}
    )
    marked = [trace for trace in plots.trades(bars).data if trace.name == "buy to open"]
    assert marked[0].y.tolist() == [100.0]
    for wrong in (bars.assign(symbol="IBM"), bars.assign(ts=ts + pd.Timedelta(days=99))):
        with pytest.raises(WhatIfError, match="bars"):
            plots.trades(wrong)


def test_a_picture_needs_a_browser_and_says_so(make, tmp_path, monkeypatch) -> None:
    drawn, target = BacktestPlots(backtest()).equity(), tmp_path / "equity.png"
    target.write_text("old")
    with pytest.raises(RunError, match="at least 50 by 50"):
        drawn.to_png(target, width=0)
    monkeypatch.setenv(chart.BROWSER_VARIABLE, "no-such-program")
    with pytest.raises(RunError, match=r"no-such-program.*write_html"):
        drawn.to_png(target)
    monkeypatch.setenv(chart.BROWSER_VARIABLE, "false")
    with pytest.raises(RunError, match="drew no picture"):
        drawn.to_png(target)
    assert target.read_text() == "old"


@pytest.mark.browser
def test_a_picture_has_the_size_that_was_asked(make, tmp_path) -> None:
    try:
        chart.browser()
    except RunError as error:
        pytest.skip(str(error))
    png = BacktestPlots(backtest()).equity().to_png(tmp_path / "deep" / "equity.png", 400, 300, scale=2)
    content = png.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert [int.from_bytes(content[k : k + 4], "big") for k in (16, 20)] == [800, 600]
    assert len(set(content)) > 100
    assert len(re.findall(rb"IDAT", content)) >= 1
