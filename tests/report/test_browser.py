"""The page in a real browser: what its script does, against what Python says."""

from __future__ import annotations

import dataclasses
import io
import json
import math

import numpy as np
import pandas as pd
import pytest

from whatif.report import html
from whatif.report.columns import format_number
from whatif.report.heatmap import heat_grid
from whatif.report.judgement import Judgement
from whatif.stats import Evidence, Thresholds, judge

pytestmark = pytest.mark.browser


def judged(edge: float) -> Judgement:
    """Return the verdict on eight configurations, of which one has an edge."""
    rng = np.random.default_rng(0)
    returns = rng.normal(0.0, 0.01, (370, 8))
    returns[:, 3] += edge
    evidence = Evidence(
        tried=returns[:250], chosen=3, objective="sharpe", periods_per_year=252.0, trials=8, trades=50.0,
        test=returns[250:, 3], test_trades=22.0,
    )  # fmt: skip
    return Judgement(judge(evidence, Thresholds(reps=100)), own_trials=8, looks=1, openings=1)


def test_the_page_opens_without_a_complaint(ask, make):
    drawn, console = ask(
        html.render(make.study()),
        "await new Promise((r) => setTimeout(r, 500));"
        "const drawn = (p) => [p.id, p.querySelector('.main-svg') !== null];"
        "return [...document.querySelectorAll('.plot')].map(drawn)",
    )
    assert console == []
    assert dict(drawn) == dict.fromkeys(
        (
            "plot-answer",
            "spread",
            "plot-equity",
            "plot-drawdown",
            "plot-price",
            "plot-multiples",
            "plot-map",
            *TRIALS,
        ),
        True,
    ) | {"plot-history": False, "plot-front": False}


TRIALS = ("plot-parallel", "plot-importance", "plot-slices")


def test_a_search_shows_its_course_its_front_and_its_own_world_alone(ask, make):
    data = make.study(failed=0)
    board, objectives = data.ranking.leaderboard, ("sharpe", "max_drawdown_pct")
    half = np.arange(len(board)) % 2 == 0
    board = board.assign(trial=np.arange(len(board))[::-1], front=np.arange(len(board)) < 3)
    board = board.assign(world=np.where(half, "", "wild"))
    page = html.render(make.changed(data, ranking={"leaderboard": board, "objectives": objectives}))
    (points, fronted, lines, cells), console = ask(
        page,
        "await new Promise((r) => setTimeout(r, 500));"
        "const trace = (id, k) => document.getElementById(id)._fullData[k].x.length;"
        "const lines = document.getElementById('plot-parallel')._fullData;"
        "const ends = (t) => t.x.filter((v) => v === null || v === undefined).length;"
        "const map = whatifCells('fast', 'slow', 'sharpe', 'best');"
        "return [trace('plot-history', 0), trace('plot-front', 1), lines.map(ends), map.counts.flat()]",
    )
    assert console == []
    assert points == half.sum()
    assert fronted == 2  # the first and the third: the second is of another world
    assert sum(cells) == half.sum()
    assert sum(lines) == half.sum()


def test_a_complaint_would_be_seen(ask, make):
    _, console = ask(html.render(make.study()), "fetch('https://example.invalid/x').catch(() => 0); return 1")
    assert any("Content Security Policy" in line for line in console)


def test_numbers_are_written_as_python_writes_them(ask, make):
    rng = np.random.default_rng(0)
    numbers = [
        0.0,
        -0.0,
        0.125,
        1.005,
        -2.675,
        999.995,
        1e-9,
        123456789.5,
        0.0099999,
        0.00999,
        1e15,
        1.25e16,
        -2.5e28,
        9.96e200,
    ]
    numbers += (rng.normal(size=300) * 10.0 ** rng.integers(-8, 8, 300)).tolist()
    kinds = ["ratio", "percent", "fraction", "money", "count", "flag"]
    cases = [(number, kind) for number in numbers for kind in kinds]
    script = f"return {json.dumps(cases)}.map(([v, kind]) => whatifFormat(v, kind))"
    texts, _ = ask(html.render(make.study()), script)
    assert texts == [format_number(number, kind) for number, kind in cases]
    script = "return [NaN, Infinity, -Infinity].map((v) => whatifFormat(v, 'ratio'))"
    special, _ = ask(html.render(make.study()), script)
    assert special == [format_number(v, "ratio") for v in (math.nan, math.inf, -math.inf)]


@pytest.mark.parametrize("aggregate", ["best", "median"])
@pytest.mark.parametrize("metric", ["sharpe", "max_drawdown_pct"])
def test_the_map_shows_what_python_computes(ask, make, aggregate, metric):
    data = make.study(failed=30)
    got, _ = ask(html.render(data), f"return whatifCells('fast', 'slow', '{metric}', '{aggregate}')")
    grid = heat_grid(data.ranking.leaderboard, "fast", "slow", metric, aggregate)
    np.testing.assert_allclose(np.array(got["values"], dtype=float), grid.values, rtol=0, atol=0.0051)
    np.testing.assert_array_equal(got["counts"], grid.counts)


def test_the_map_shows_one_symbol_where_symbols_rank_by_themselves(ask, make):
    data = make.study(failed=30)
    script = """
        const symbol = document.getElementById('map-symbol');
        const drawn = () => document.getElementById('plot-map');
        const seen = () => ({ z: drawn().data[0].z, frames: (drawn().layout.shapes || []).length });
        const first = [symbol.selectedOptions[0].text, seen()];
        const note = document.getElementById('map-note').textContent;
        symbol.value = [...symbol.options].find((o) => o.text === 'SYN_NOISE').value;
        symbol.dispatchEvent(new Event('change'));
        const second = seen();
        symbol.value = ''; symbol.dispatchEvent(new Event('change'));
        return { first, note, second, all: seen() };
        """
    got, console = ask(html.render(data), script)
    assert console == []
    board, axes = data.ranking.leaderboard, [axis for axis in data.ranking.axes if axis in ("fast", "slow")]
    chosen = data.series.chosen["symbol"]
    for seen, symbol in ((got["first"][1], chosen), (got["second"], "SYN_NOISE"), (got["all"], "")):
        rows = board[board["symbol"] == symbol] if symbol else board
        grid = heat_grid(rows, *axes, data.ranking.objective)
        np.testing.assert_allclose(np.array(seen["z"], dtype=float), grid.values, rtol=0, atol=0.0051)
        assert seen["frames"] == (symbol in ("", chosen))
    assert got["first"][0] == chosen
    assert "symbol" not in got["note"]


def test_sorting_and_filtering(ask, make):
    data = make.study(failed=5)
    rows, _ = ask(
        html.render(data),
        """
        const lines = () => [...document.querySelectorAll('#board tbody tr')];
        const column = (n) => lines().map((tr) => tr.cells[n].textContent);
        const head = [...document.querySelectorAll('#board thead th')];
        const at = head.findIndex((th) => th.dataset.sort === 'metric:max_drawdown_pct');
        head[at].querySelector('button').click();
        const drawdowns = column(at), direction = head[at].getAttribute('aria-sort');
        const type = async (text) => {
          const filter = document.getElementById('filter');
          filter.value = text; filter.dispatchEvent(new Event('input'));
          await new Promise((r) => setTimeout(r, 300));
        };
        await type('fast=5 slow=100 syn_edge');
        const found = [column(1), column(2), column(3)];
        await type('');
        const status = document.getElementById('status');
        status.value = 'failed'; status.dispatchEvent(new Event('change'));
        const shown = document.getElementById('shown').textContent;
        return { drawdowns, direction, found, failed: column(head.length - 1), shown };
        """,
    )
    expected = data.ranking.leaderboard["max_drawdown_pct"].dropna().sort_values().head(100)
    assert rows["direction"] == "ascending"
    assert rows["drawdowns"] == [format_number(v, "percent") for v in expected]
    assert rows["found"] == [["SYN_EDGE"] * 2, ["5"] * 2, ["100"] * 2]
    assert len(rows["failed"]) == 5
    assert all(text.startswith("failed: StrategyError") for text in rows["failed"])
    assert rows["shown"] == "Shown: 5 that match, of 168 backtests."


def test_a_sorted_row_keeps_its_digits(ask, make):
    script = """
        const text = (cell) => cell.textContent.trim().replace(/\\s+/g, ' ');
        const lines = () => [...document.querySelectorAll('#board tbody tr')];
        const rows = () => lines().map((tr) => [...tr.cells].map(text));
        const before = rows();
        document.querySelector('#board thead th button').click();
        return { before, after: rows() };
    """
    rows, _ = ask(html.render(make.study(failed=80)), script)
    assert rows["after"] == rows["before"]


def test_zoom_moves_all_charts_and_relabels_time(ask, make):
    got, console = ask(
        html.render(make.study()),
        """
        const wait = () => new Promise((r) => setTimeout(r, 800));
        await wait();
        const axis = (id) => document.getElementById(id).layout.xaxis;
        const before = [...axis('plot-price').ticktext];
        await Plotly.relayout('plot-equity', { 'xaxis.range[0]': 400, 'xaxis.range[1]': 500 });
        await wait();
        const range = axis('plot-price').range, ticks = [...axis('plot-drawdown').ticktext];
        const height = document.getElementById('plot-price').layout.yaxis.range;
        document.getElementById('symbol').value = 'SYN_NOISE';
        document.getElementById('symbol').dispatchEvent(new Event('change'));
        await wait();
        return { before, range, ticks, height, after: axis('plot-price').range };
        """,
    )
    assert console == []
    assert got["range"] == [400, 500]
    assert got["before"][0] == "4 Mar<br>2024"
    # position 400 is the eleventh minute of the second session, 14:40 UTC
    assert got["ticks"][0] == "14:40<br>5 Mar"
    bars = make.study().series.bars.query("symbol == 'SYN_EDGE' and window == 'validate'").iloc[400:501]
    assert got["height"][0] < bars["low"].min() < bars["high"].max() < got["height"][1]
    assert got["height"][1] - got["height"][0] < 3 * (bars["high"].max() - bars["low"].min())
    assert got["after"][0] < 0


def test_hostile_names_do_nothing(ask, make):
    name = "</script><img src=x onerror=\"document.title='gone'\"><b>"
    data = make.study(symbols=("A",), failed=3)
    frames = {
        n: getattr(data.series, n).assign(symbol=name) for n in ("comparison", "equity", "trades", "bars")
    }
    board = data.ranking.leaderboard.assign(symbol=name).rename(columns={"fast": name})
    hostile = make.changed(
        data,
        origin={"study": name},
        ranking={"leaderboard": board, "axes": (name, "slow")},
        series={**frames, "chosen": {**data.series.chosen, "symbol": name}},
    )
    got, console = ask(
        html.render(hostile),
        "document.querySelector('#board thead th button').click();"
        "await new Promise((r) => setTimeout(r, 500));"
        "return [document.title, document.images.length, document.querySelectorAll('svg a').length]",
    )
    assert got == [f"{name} – whatif", 0, 0]
    assert console == []


@pytest.mark.parametrize("axes", [{}, {"threshold": [0.1, 0.2, 0.3]}])
def test_few_axes_draw_without_a_complaint(ask, make, axes):
    data = make.study(axes=axes, symbols=("A",), failed=0)
    shown, console = ask(
        html.render(data), "const m = document.getElementById('map'); return Boolean(m) && !m.hidden"
    )
    assert console == []
    assert shown is bool(axes)


def test_hovering_tells_time_and_value(ask, make):
    data = make.study()
    texts, _ = ask(
        html.render(data),
        "await new Promise((r) => setTimeout(r, 800));"
        "Plotly.Fx.hover('plot-equity', { xval: 400 });"
        "await new Promise((r) => setTimeout(r, 800));"
        "return document.querySelector('#plot-equity .hoverlayer').textContent",
    )
    shown = data.series.equity.query("symbol == 'SYN_EDGE' and window == 'validate'").iloc[400]
    assert f"{shown['ts']:%a %d %b %Y %H:%M} UTC" in texts
    assert f"strategy {shown['equity']:,.2f}" in texts
    assert f"buy-and-hold {shown['benchmark']:,.2f}" in texts


def test_a_stranger_sees_the_answer_without_scrolling(ask, make):
    data = dataclasses.replace(make.study(), verdict=judged(0.004))
    got, console = ask(
        html.render(data),
        """
        await new Promise((r) => setTimeout(r, 500));
        const end = (one) => one.getBoundingClientRect().bottom;
        const ends = (selector) => [...document.querySelectorAll(selector)].map(end);
        const bottom = (selector) => Math.max(...ends(selector));
        const shown = ['h1', '.word', '.sentence', '.which', '.four div', '#plot-answer'].map(bottom);
        const traces = document.getElementById('plot-answer')._fullData.map((t) => t.name);
        const wide = document.documentElement.scrollWidth <= innerWidth;
        return { shown, traces, wide, word: document.querySelector('.word').textContent };
        """,
    )
    assert console == []
    assert got["word"] == "An edge the data supports"
    assert all(0 < bottom <= 900 for bottom in got["shown"])
    assert {"what luck would give", "strategy", "buy-and-hold"} <= set(got["traces"])
    assert got["wide"]


def test_a_filter_compares_numbers_and_the_csv_is_what_it_leaves(ask, make):
    data = make.study(failed=5)
    got, _ = ask(
        html.render(data),
        """
        const type = async (text) => {
          const filter = document.getElementById('filter');
          filter.value = text; filter.dispatchEvent(new Event('input'));
          await new Promise((r) => setTimeout(r, 300));
          const lines = document.querySelectorAll('#board tbody tr').length;
          return [lines, document.getElementById('shown').textContent, whatifCsv()];
        };
        const good = await type('sharpe>1'), both = await type('sharpe>1 fast<=8 syn_edge');
        return { good, both, none: await type('shrpe>1') };
        """,
    )
    ran = data.ranking.ranked
    good = ran[ran["sharpe"].round(2) > 1]
    assert got["good"][0] == len(good)
    assert got["both"][0] == len(good[(good["fast"] <= 8) & (good["symbol"] == "SYN_EDGE")])
    assert "No column is called “shrpe”" in got["none"][1]
    table = pd.read_csv(io.StringIO(got["both"][2]))
    assert len(table) == got["both"][0]
    assert set(table["symbol"]) == {"SYN_EDGE"}
    left = good[(good["fast"] <= 8) & (good["symbol"] == "SYN_EDGE")]
    np.testing.assert_allclose(table["sharpe"], left["sharpe"], rtol=0, atol=0.0051)


def test_the_chosen_cell_is_marked_and_colours_are_clipped(ask, make):
    data = make.study(failed=0)
    board = data.ranking.leaderboard
    far = make.changed(
        data, ranking={"leaderboard": board.assign(sharpe=board["sharpe"].where(board.index != 30, -500.0))}
    )
    got, _ = ask(
        html.render(far),
        "await new Promise((r) => setTimeout(r, 500));"
        "const gd = document.getElementById('plot-map'), [s] = gd.layout.shapes, t = gd._fullData[0];"
        "return [t.x[s.x0 + 0.5], t.y[s.y0 + 0.5], t.zmax]",
    )
    assert got[:2] == [str(data.series.chosen["fast"]), str(data.series.chosen["slow"])]
    assert got[2] < 10


def test_many_marks_are_thinned_until_a_zoom(ask, make):
    data = make.study(symbols=("A",))
    trades, _ = make.traded(data.series.bars, 3, hold=14)
    many = make.changed(data, series={"trades": trades})
    got, _ = ask(
        html.render(many),
        """
        await new Promise((r) => setTimeout(r, 500));
        const gd = document.getElementById('plot-price');
        const sizes = gd._fullData.filter((t) => t.mode === 'markers').flatMap((t) => [...t.marker.size]);
        return [sizes.filter((size) => size > 0).length, sizes.length];
        """,
    )
    assert 80 <= got[0] <= 170 < got[1]


def test_names_of_200_characters_stay_inside_the_window(ask, make):
    long = "p" * 200
    data = make.study(symbols=("A",), failed=0)
    board = data.ranking.leaderboard.rename(columns={"fast": long})
    chosen = {**data.series.chosen, long: 5, "text": "x" * 200}
    data = make.changed(
        data, ranking={"leaderboard": board, "axes": (long, "slow")}, series={"chosen": chosen}
    )
    script = """
        await new Promise((r) => setTimeout(r, 500));
        const ends = [...document.querySelectorAll('label, p, h1, h2, h3, b, li')]
          .filter((one) => !one.closest('nav, .scroll')).map((one) => one.getBoundingClientRect().right);
        return [document.documentElement.scrollWidth, Math.ceil(Math.max(...ends)), innerWidth];
        """
    (width, end, window), console = ask(html.render(data), script, "--window-size=500,844")
    assert console == []
    assert width <= window
    assert end <= window


@pytest.mark.parametrize("flag", ["--window-size=768,1024", "--window-size=1440,900"])
def test_returns_of_months_are_whole(ask, make, flag) -> None:
    script = """
        document.querySelectorAll('details').forEach((one) => { one.open = true; });
        const table = document.querySelector('table.months');
        table.querySelectorAll('tbody td').forEach((cell) => { cell.textContent = '\u2212100.00'; });
        const cells = [...table.querySelectorAll('th, td')];
        return [cells.length > 13, cells.filter((one) => one.scrollWidth > one.clientWidth).length];
    """
    found, _ = ask(html.render(make.study()), script, flag)
    assert found == [True, 0]


@pytest.mark.parametrize("flag", ["--window-size=500,844", "--window-size=768,1024"])
def test_what_counts_is_seen_without_scrolling_sideways(ask, make, flag) -> None:
    data = dataclasses.replace(make.study(), verdict=judged(0.004))
    script = """
        const scroll = (name) => document.querySelector(name).closest('.scroll');
        const whole = (name) => scroll(name).scrollWidth <= scroll(name).clientWidth;
        const inside = whole('#verdict table') && whole('#board');
        const head = document.querySelector('#board thead th[data-name] button');
        head.click(); // lines that the script makes are as those of the page
        const line = document.querySelector('#board tbody tr');
        const label = getComputedStyle(line.querySelector('.objective'), '::before').content;
        const shown = [...line.cells].filter((one) => one.offsetParent);
        return [inside, shown.every((one) => one.getBoundingClientRect().right <= innerWidth), label];
    """
    found, console = ask(html.render(data), script, flag)
    assert console == []
    assert found == [True, True, '"Sharpe\u00a0"']


def test_a_line_of_the_leaderboard_opens_by_a_click_and_by_a_key(ask, make) -> None:
    script = """
        const lines = () => [...document.querySelectorAll('#board tbody tr[data-open]')];
        const told = () => document.querySelector('#board tr.all')?.textContent;
        const key = (tr) => tr.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
        lines()[1].cells[2].click();
        const first = told(), id = lines()[1].querySelector('.id').textContent;
        lines()[1].cells[2].click();
        const closed = told() === undefined;
        document.querySelector('#board thead th[data-sort^="metric"] button').click();
        key(lines()[0]);
        const best = lines()[0].querySelector('.objective').textContent;
        return [first.includes(`whatif export FILE#${id.slice(0, 8)}`), closed, told().includes(best)];
    """
    found, console = ask(html.render(make.study(failed=0)), script)
    assert console == []
    assert found == [True, True, True]


def test_an_opened_line_draws_its_account_and_says_where_it_has_none(ask, make) -> None:
    data = make.study(failed=0)
    script = """
        const lines = () => [...document.querySelectorAll('#board tbody tr[data-open]')];
        const key = (tr) => tr.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
        const told = (k) => {
          key(lines()[k]);
          const open = document.querySelector('#board tr.all');
          const drawn = open.querySelector('.account')?._fullData ?? [];
          const ends = drawn.map((one) => [one.name, [one.y[0], one.y[one.y.length - 1]]]);
          const found = [Object.fromEntries(ends), open.textContent];
          key(lines()[k]);
          return found;
        };
        const cells = document.getElementById('plot-multiples');
        const shown = [told(2), told(0), told(40)], left = document.querySelectorAll('.account').length;
        return [...shown, cells._fullLayout.annotations.length, left];
    """
    (third, first, beyond, cells, left), console = ask(html.render(data), script)
    assert console == []
    board, symbol = data.ranking.leaderboard, next(iter(data.accounts.hold))
    ends = 100_000 * (1 + board["return_pct"] / 100)
    assert third[0]["this one"] == pytest.approx([100_000.0, ends[2]], abs=0.1)
    assert third[0]["chosen"] == pytest.approx([100_000.0, ends[0]], abs=0.1)
    assert ("hold" in third[0]) == (board["symbol"][2] == symbol)
    # the chosen one is not drawn beside itself
    assert set(first[0]) == {"this one", "hold"}
    assert first[0]["hold"] == pytest.approx([100_000.0, 101_000.0], abs=0.1)
    assert beyond[0] == {}
    assert "holds the accounts of the first 30" in beyond[1]
    assert f"whatif compare FILE FILE#{board['config_id'][40][:8]}" in beyond[1]
    assert (cells, left) == (12, 0)


def test_small_accounts_follow_filter_and_order_and_open_their_line(ask, make) -> None:
    data = make.study(failed=0)
    script = """
        const cells = document.getElementById('plot-multiples');
        const own = () => cells._fullData.filter((one) => one.hoverinfo !== 'skip').map((one) => one.meta);
        const all = own();
        cells.emit('plotly_click', { points: [{ data: cells._fullData.find((one) => one.meta === 3) }] });
        const opened = document.querySelector('#board tr[data-row="3"]').dataset.open;
        const focused = document.activeElement.dataset.row;
        document.getElementById('filter').value = 'commission=0';
        document.getElementById('filter').dispatchEvent(new Event('input'));
        await new Promise((r) => setTimeout(r, 400));
        const filtered = own();
        document.getElementById('filter').value = 'nothing-of-this-name';
        document.getElementById('filter').dispatchEvent(new Event('input'));
        await new Promise((r) => setTimeout(r, 400));
        return [all, opened, focused, filtered, document.getElementById('multiples').hidden];
    """
    (every, opened, focused, filtered, hidden), console = ask(html.render(data), script)
    assert console == []
    board = data.ranking.leaderboard
    free = [k for k in range(30) if board["commission"][k] == 0]
    assert every == list(range(12))
    assert (opened, focused) == ("true", "3")
    assert filtered == free[:12]
    assert hidden
