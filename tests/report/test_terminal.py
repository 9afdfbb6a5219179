from __future__ import annotations

import io

import pandas as pd
import pytest
from rich.console import Console

from whatif.report.data import Origin, Ranking, ReportData
from whatif.report.terminal import print_answer, print_frame, print_written


def _printed(data, width=130) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_answer(data, console)
    return console.file.getvalue()


def test_it_prints_the_answer(make):
    text = _printed(make.study(failed=7))
    for part in (
        "The data is synthetic", "ranks first of 161 backtests", "the first 10 of 161; 7 failed",
        "No correction for luck", "the same command with --retry-failed runs what failed again",
    ):  # fmt: skip
        assert part in text
    assert "--retry-failed" not in _printed(make.study(failed=0))


def test_it_prints_files_and_next_steps():
    console = Console(file=io.StringIO(), width=130)
    print_written(console, ["out/report.html"], ["whatif report study.yaml"])
    text = console.file.getvalue()
    assert text == "\nWritten\n  out/report.html\n\nNext\n  whatif report study.yaml\n"


def test_its_tables_show_the_numbers_of_the_data(make):
    data = make.study()
    lines = _printed(data).splitlines()
    best = data.ranking.leaderboard.iloc[0]
    row = next(line for line in lines if best["config_id"] in line and not line.startswith("Config"))
    assert row.split()[:6] == ["1", "SYN_EDGE", "15", "60", "0", f"{best['sharpe']:.2f}"]
    test = data.series.comparison.query(
        "symbol == 'SYN_NOISE' and window == 'test' and who == 'strategy'"
    ).iloc[0]
    expected = ["test", "strategy", *(f"{test[k]:.2f}".replace("-", "−") for k in ("sharpe", "return_pct"))]
    assert any(line.split()[:4] == expected for line in lines)


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_a_narrow_terminal_keeps_rank_symbol_axes_and_objective(make, width):
    lines = _printed(make.study(), width=width).splitlines()
    head = next(line for line in lines if line.startswith("rank"))
    assert head.split()[:6] == ["rank", "symbol", "fast", "slow", "commission", "sharpe"]
    assert max(map(len, lines)) <= width


def test_long_paths_are_not_broken(make):
    path, console = "/a" * 100, Console(file=io.StringIO(), width=60)
    print_written(console, [path])
    assert path in console.file.getvalue()


def test_names_are_not_read_as_markup(make):
    data = make.study(symbols=("A",), failed=0)
    name = "[bold]A[/bold]"
    data = make.changed(
        data,
        origin={"study": "[red]x", "notes": ("[link]",)},
        ranking={"leaderboard": data.ranking.leaderboard.assign(symbol=name)},
        series={
            "chosen": {**data.series.chosen, "symbol": name},
            "comparison": data.series.comparison.assign(symbol=name),
        },
    )
    text = _printed(data)
    assert "[bold]A[/bold]" in text
    assert "[red]x" in text
    assert "[link]" in text


def test_what_rows_say_beside_their_figures(make):
    data = make.study(symbols=("A",), failed=0)
    assert "note" not in _printed(data)
    notes = [None] * len(data.ranking.leaderboard)
    notes[3:5], notes[7] = ["the strategy ended the run"] * 2, "the strategy sets the commission"
    board = data.ranking.leaderboard.assign(notes=notes)
    said = _printed(make.changed(data, ranking={"leaderboard": board}))

    assert "most frequent note (2 times): the strategy ended the run" in said


def test_all_failed_and_nothing_at_all(make):
    board = make.study(failed=168).ranking.leaderboard
    bare = ReportData(Origin("all-failed", ""), Ranking("sharpe", "per_symbol", board, ("fast", "slow")))
    assert "There is no answer: all 168 backtests failed" in _printed(bare)
    assert "with --retry-failed" in _printed(bare)
    assert "no backtest was made" in _printed(make.changed(bare, ranking={"leaderboard": board.iloc[:0]}))


def test_a_frame_is_whole_on_80_columns():
    console = Console(file=io.StringIO(), width=80)
    row = {"scenario": "[b]volatility raised by half[/b]", "pnl_net": -4536.14, "return_pct": -4.53614}
    row |= {"sharpe": float("nan"), "max_drawdown_pct": 9.3103, "trades": 0.0, "costs": 36.14, "error": ""}
    print_frame(console, "Scenarios", pd.DataFrame([row]))
    first = pd.Timestamp("2013-10-04T13:31", tz="UTC")
    fills = pd.DataFrame(
        {"side": ["a"], "ts": [first], "price": [1.23456], "pnl": [-10544.074], "low": [5e-05]}
    )
    print_frame(console, "Fills", fills)
    print_frame(console, "None", fills.head(0))
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    assert lines == [
        "Scenarios",
        "scenario net profit return % sharpe max dd % trades costs",
        "[b]volatility raised by −4,536 −4.54 – 9.31 0 36.14",
        "half[/b]",
        "Fills",
        "side ts price pnl low",
        "a 2013-10-04 13:31:00 1.23456 −10,544.07 0.00005",
        "None: none",
    ]
