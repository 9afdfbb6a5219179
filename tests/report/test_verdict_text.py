"""The verdict on paper: panel, page, neighbourhood."""

from __future__ import annotations

import dataclasses
import io
import re

import numpy as np
import pytest
from rich.console import Console

from whatif.report import html, neighbourhood, verdict_text, words
from whatif.report.judgement import Judgement
from whatif.report.terminal import print_answer
from whatif.stats import (
    Evidence,
    RankCorrelation,
    Thresholds,
    VerdictKind,
    all_failed,
    judge,
    stability_of_best,
    undecidable,
)

NOT_KNOWN = "not available: only the chosen configuration has seen the test window"


def judgement(edge: float = 0.0, seed: int = 0, periods: int = 250, **more) -> Judgement:
    """Return a judgement of twenty configurations that hold a market half of the time."""
    rng = np.random.default_rng(seed)
    market = rng.normal(0.0, 0.01, periods + 120)
    returns = (rng.random((periods + 120, 20)) < 0.5) * market[:, None]
    returns[:, 3] += edge + (rng.normal(0.0, 0.0005, periods + 120) if edge else 0.0)
    tried = returns[:periods]
    chosen = int(np.argmax(tried.mean(axis=0) / tried.std(axis=0)))
    evidence = Evidence(
        tried=tried, chosen=chosen, objective="sharpe", periods_per_year=252.0, trials=20, trades=50.0,
        markets=market[:periods, None], test=returns[periods:, chosen], test_market=market[periods:],
        test_trades=22.0,
    )  # fmt: skip
    fields = {
        "verdict": judge(evidence, Thresholds(reps=200)), "own_trials": 20, "looks": 1, "openings": 1,
        "correlation_note": NOT_KNOWN,
    }  # fmt: skip
    return Judgement(**{**fields, **more})


def around(data):
    """Return what surrounds the best row of a leaderboard."""
    board, names = data.ranking.leaderboard, list(data.ranking.axes)
    rows = board[board["symbol"] == data.series.chosen["symbol"]]
    rows = rows[rows["status"] == "ok"]
    axes = {name: sorted(set(rows[name])) for name in names}
    return stability_of_best(axes, rows[names].to_dict("records"), rows["sharpe"].to_numpy())


def judged_study(make, **more):
    data = make.study()
    return dataclasses.replace(data, verdict=judgement(stability=around(data), **more))


def printed(data, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_answer(data, console)
    return console.file.getvalue()


@pytest.mark.parametrize(("edge", "periods"), [(0.004, 250), (0.0, 250), (0.004, 40)])
def test_the_panel_comes_first_and_shows_the_figures(make, edge, periods) -> None:
    data = judged_study(make, edge=edge, periods=periods)
    verdict, text = data.verdict.verdict, printed(data)
    word = verdict.word.value
    assert (
        word
        == {(0.004, 250): VerdictKind.EDGE, (0.0, 250): VerdictKind.LUCK, (0.004, 40): VerdictKind.UNKNOWN}[
            edge, periods
        ]
    )
    assert text.index(word[0].upper() + word[1:]) < text.index("Leaderboard of")
    lines = [line.strip("│ \n") for line in text.splitlines()]
    test = next(line for line in lines if line.startswith("test "))
    side = verdict.figures.test
    shown = f"{side.objective.estimate:.2f}".replace("-", "−")
    assert test.split()[1] == shown
    assert test.split()[-2:] == ["120", "22"]
    assert any(line.startswith("Trials") and "20, effectively" in line for line in lines)
    assert any(
        line.startswith("Test window") and "opened once, for 1 configuration" in line for line in lines
    )
    # no correction had been made when nobody judged; now there is one
    assert "No correction for luck" not in text


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_the_panel_fits_the_terminal_and_100_columns(make, width) -> None:
    lines = printed(judged_study(make), width).splitlines()
    box = [line for line in lines if line.startswith(("╭", "│", "╰"))]
    assert max(map(len, lines)) <= width
    assert max(map(len, box)) <= width
    own = next(k for k, line in enumerate(box) if "luck" in line and line.startswith("╭"))
    assert len(box[own]) <= min(width, 100)


def test_reasons_stand_in_the_paragraph(make) -> None:
    data = judged_study(make)
    text = verdict_text.paragraph(data, data.verdict)
    for reason in data.verdict.verdict.reasons:
        assert reason in text
    assert data.series.chosen["config_id"] in text
    side = data.verdict.verdict.figures.validate
    assert f"for the market held long (beta {side.beta:.2f}".replace("-", "−") in text
    assert "validate and test" in text


def test_what_luck_would_show_does_not_contradict_an_edge(make) -> None:
    """The ratio to expect of the best by luck may be above the winner's, where differences are no luck."""
    data = judged_study(make, edge=0.004)
    assert data.verdict.verdict.word is VerdictKind.EDGE
    figures = data.verdict.verdict.figures
    for luck, explained in ((figures.validate.objective.estimate + 0.1, True), (0.1, False)):
        verdict = dataclasses.replace(
            data.verdict.verdict, figures=dataclasses.replace(figures, expected_maximum_sharpe=luck)
        )
        said = verdict_text.paragraph(data, dataclasses.replace(data.verdict, verdict=verdict))
        assert "the best of as many independent ones that are worth nothing would show about" in said
        assert ("speaks against it but does not decide" in said) is explained


def test_nothing_measured_leaves_word_reason_and_remedy(make) -> None:
    nothing = undecidable("sharpe has no value for any of 4 backtests.", remedy="One that trades.")
    data = dataclasses.replace(make.study(failed=168), verdict=Judgement(nothing))
    text = printed(data)
    assert "Too little data to tell" in text
    assert "sharpe has no value for any of 4 backtests." in text
    assert "What would change it: one that trades." in text
    page = html.render(data)
    assert 'id="verdict" class="unknown"' in page


def test_a_study_whose_backtests_all_failed_says_so_first(make) -> None:
    said = "All 168 backtests failed. The error: ValueError (x.py, line 3)"
    data = dataclasses.replace(make.study(failed=168), verdict=Judgement(all_failed(said)))
    text = printed(data)
    assert "Failed: every backtest ended in an error" in text
    assert "x.py, line 3" in text
    assert "oo little data" not in text
    assert 'id="verdict" class="failed"' in html.render(data)


def test_where_trials_come_from_is_said() -> None:
    made = judgement()
    figures = made.verdict.figures
    trials = {
        name: dict(verdict_text.statistics(dataclasses.replace(made, **fields), figures))["Trials"]
        for name, fields in (
            ("one", {}), ("many", {"studies": 3}), ("own", {"scope": "study"}),
        )
    }  # fmt: skip
    assert "no other study" in trials["one"]
    assert "of 3 studies on these data, 20 of them in this one" in trials["many"]
    assert "trials: study" in trials["own"]


def test_openings_are_counted_in_words() -> None:
    made = judgement()
    assert verdict_text.opened(made) == "opened once, for 1 configuration"
    more = dataclasses.replace(made, looks=2, openings=3)
    assert verdict_text.opened(more) == "opened 3 times, for 2 configurations"


def test_the_page_has_verdict_stability_and_how(make) -> None:
    data = judged_study(make)
    page = html.render(data)
    assert page.index('id="answer"') < page.index('id="verdict"') < page.index('id="stability"')
    assert 'id="verdict" class="luck"' in page
    assert NOT_KNOWN in page
    for part in ("Hansen (2005)", "Probability of backtest overfitting", "at least 60", "Jensen (1968)"):
        assert part in page
    # the chosen cell is marked once in each strip and sheet
    strips = neighbourhood.strips(data.verdict, "sharpe")
    sheets = neighbourhood.sheets(data.verdict, "sharpe")
    assert [s.axis for s in strips] == ["fast", "slow", "commission"]
    assert len(sheets) == 1
    assert page.count(' here">') == len(strips) + len(sheets)


def test_a_page_without_verdict_is_as_it_was(make) -> None:
    page = html.render(make.study())
    for part in ("verdict", "stability", "judged"):
        assert f'id="{part}"' not in page


def test_surroundings_in_words(make) -> None:
    axes = {"fast": [5, 10, 15]}
    points = [{"fast": value} for value in (5, 10, 15)]
    flat = stability_of_best(axes, points, [1.0, 1.9, 2.0])
    made = judgement(
        stability=flat, correlation=RankCorrelation(0.5, 4, 0.5), correlation_note="of 4 backtests"
    )
    neighbours, influence, ranks = neighbourhood.sentences(made, "sharpe")
    assert "The 1 neighbour one step away has a median Sharpe of 1.90, 95.0 % of the 2.00 here." in neighbours
    assert "fast 100.0 %" in influence
    assert "0.50 (Spearman), of 4 backtests" in ranks
    assert neighbourhood.edges(made) == [
        "fast = 15 is the highest value that was tried: better ones may lie beyond."
    ]
    (strip,) = neighbourhood.strips(made, "sharpe")
    assert [(c.text, c.height, c.chosen) for c in strip.cells] == [
        ("1.00", 0.0, False), ("1.90", 0.9, False), ("2.00", 1.0, True),
    ]  # fmt: skip
    assert neighbourhood.sheets(made, "sharpe") == []
    assert "fast = 15" in printed(dataclasses.replace(make.study(), verdict=made))


def test_a_long_axis_shows_what_is_near() -> None:
    values = list(range(100))
    heights = [-abs(value - 40.0) for value in values]
    one = stability_of_best({"n": values}, [{"n": value} for value in values], heights)
    (strip,) = neighbourhood.strips(judgement(stability=one), "sharpe")
    assert (strip.labels[0], strip.labels[-1], strip.left_out) == ("28", "52", 75)
    assert [cell.chosen for cell in strip.cells].index(True) == 12


def test_lower_is_better_turns_the_colours() -> None:
    one = stability_of_best({"n": [1, 2]}, [{"n": 1}, {"n": 2}], [5.0, 3.0], lower_is_better=True)
    (strip,) = neighbourhood.strips(judgement(stability=one), "max_drawdown_pct")
    assert [(cell.height, cell.chosen) for cell in strip.cells] == [(0.0, False), (1.0, True)]


def test_the_caution_points_to_the_verdict(make) -> None:
    text = words.caution(judged_study(make))
    assert "best of 165 tried" in text
    assert "verdict above" in text
    assert not re.search(r"No correction", text)
