"""The explorer's page in a real browser: clicked, typed on, and read."""

from __future__ import annotations

import copy
import time

import numpy as np
import pandas as pd
import pytest

from whatif.explore import Change
from whatif.lake import RESULTS, TEST_LOOKS
from whatif.pins import current_pin, read_arrow

from .axe import faults_of
from .conftest import serving

pytestmark = pytest.mark.browser

ROWS = (
    "return [...document.querySelectorAll('#%s tbody tr')].map((r) => [...r.cells].map((c) => c.textContent))"
)
QUIET = "document.querySelector('#trades-page').textContent && !document.querySelector('#worth').hidden"


@pytest.fixture
def page(browser, place):
    """Return the page as it opens, 1440 by 900, light."""
    browser.resize(1440, 900)
    browser.console.clear()
    browser.requests.clear()
    browser.open(f"http://{place[0]}{place[1]}")
    return browser


def text(page, name):
    return page.run(f"return document.getElementById('{name}').textContent")


def told(page, expression):
    """Return something of the run that is shown."""
    return page.run(f"return at.shown.{expression}")


def slide(page, name, keys):
    """Press keys on a slider, and wait until what it asks for is shown and all has settled."""
    page.run(f"document.querySelector('input[name={name}]').focus()")
    for key in keys:
        page.press(key)
    page.wait(f"!busy && !waiting && {QUIET}")


def test_the_page_shows_the_study_without_a_word_on_the_console(page, place, desk):
    assert text(page, "badge") == "As the study ran it, on its validate window."
    assert page.run("return document.querySelectorAll('#board tbody tr').length") == 20
    assert page.run("return at.board.ids.length") == len(desk.board)
    assert page.run("return document.getElementById('error').hidden")
    assert page.run("return document.querySelectorAll('.slider').length") == 11
    page.wait("document.querySelectorAll('#trades tbody tr').length")
    own = f"http://{place[0]}{place[1]}"
    assert page.requests
    assert [one for one in page.requests if not one.startswith((own, "data:"))] == []
    assert page.console == []


def test_two_are_pinned_and_the_difference_is_what_the_change_was_worth(page, desk):
    page.click("#pin")
    slide(page, "fast", ["ArrowRight"] * 3)
    page.wait("pins.length === 1 && document.querySelector('#unlike tbody')")
    page.click("#pin")
    row = desk.board.iloc[0]
    a = desk.run(Change(row["config_id"]), row["symbol"])
    b = desk.run(Change(row["config_id"], {"fast": row["fast"] + 3}), row["symbol"])
    sides = {name: cells for name, *cells in page.run(ROWS % "sides")}
    net = [float(cell.replace("−", "-").replace(",", "")) for cell in sides["Net profit, money"]]
    by = b.metrics["pnl_net"] - a.metrics["pnl_net"]
    assert net == pytest.approx([a.metrics["pnl_net"], b.metrics["pnl_net"], by], abs=0.0051)
    assert page.run(ROWS % "unlike") == [["fast", str(row["fast"]), str(row["fast"] + 3)]]
    drawn = page.run(
        "return document.getElementById('both').data.filter((t) => t.yaxis !== 'y2').map((t) => t.y)"
    )
    assert len(drawn) == 2
    assert [max(v for v in y if v is not None) for y in drawn] == pytest.approx(
        [a.run.equity.max(), b.run.equity.max()], abs=0.01
    )
    page.click("#pins button")  # unpins A: B stands against what is shown, which is the same
    assert page.run(ROWS % "unlike") == [["nothing", "–", "–"]]
    assert page.console == []


def test_no_line_crosses_a_night(page, desk):
    row = desk.board.iloc[0]
    days = {
        one // 86_400_000_000 for one in desk.run(Change(row["config_id"]), row["symbol"]).run.ts.tolist()
    }
    trace = "document.getElementById('lines').data[0]"
    gaps, longest = page.run(
        f"const t = {trace}; const gaps = t.x.filter((v) => v === null).length;"
        "let worst = 0, last = null;"
        "t.customdata.forEach((ms) => {"
        "  if (last !== null && ms !== null) worst = Math.max(worst, ms - last); last = ms; });"
        "return [gaps, worst]"
    )
    assert gaps == len(days) - 1
    assert longest < 3 * 3_600_000
    # shown alone, a session is labelled by its hours
    page.run(
        "const x = document.getElementById('lines').data[0].x, end = x.indexOf(null);"
        "await Plotly.relayout('lines', {'xaxis.range[0]': 0, 'xaxis.range[1]': x[end - 1]})"
    )
    page.wait("document.getElementById('lines').layout.xaxis.ticktext[0].includes(':')")
    assert page.console == []


def test_trades_are_turned_and_sorted(page, desk):
    page.wait("document.querySelectorAll('#trades tbody tr').length === 20")
    page.click("#trades thead th:nth-child(6) button")
    page.wait("document.querySelector('#trades th[aria-sort=descending]')")
    row = desk.board.iloc[0]
    net = desk.run(Change(row["config_id"]), row["symbol"]).run.trades.pnl_net
    shown = [float(cells[5].replace("−", "-").replace(",", "")) for cells in page.run(ROWS % "trades")]
    assert shown == pytest.approx(sorted(net.tolist(), reverse=True)[:20], abs=0.0051)
    page.click("#trades-after")
    page.wait("document.getElementById('trades-page').textContent.startsWith('page 2')")
    assert page.run("return !document.getElementById('trades-before').disabled")


def test_a_saved_view_opens_offline_and_draws(page, desk, tmp_path):
    page.click("#pin")
    slide(page, "slow", ["ArrowRight"])
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    page.click("#save")
    page.wait("document.getElementById('kept').textContent.startsWith('Saved as')")
    end = time.monotonic() + 20
    while not list(tmp_path.glob("*.html")) and time.monotonic() < end:
        time.sleep(0.05)
    (saved,) = tmp_path.glob("*.html")
    page.open("about:blank")  # what the page with the sliders still asks is none of the view's
    page.requests.clear()
    page.open(saved.as_uri())
    row = desk.board.iloc[0]
    assert page.run(ROWS % "changes") == [["slow", str(row["slow"]), str(row["slow"] + 1)]]
    assert page.run(ROWS % "unlike") == [["slow", str(row["slow"]), str(row["slow"] + 1)]]
    assert page.run("return [lines.data.length, both.data.length]") == [4, 4]
    net = desk.run(Change(row["config_id"], {"slow": row["slow"] + 1}), row["symbol"]).run.trades.pnl_net
    shown = [float(cells[5].replace("−", "-").replace(",", "")) for cells in page.run(ROWS % "trades")]
    assert shown == pytest.approx(net.tolist(), abs=0.0051)
    assert [one for one in page.requests if not one.startswith(("file:", "data:"))] == []
    assert page.console == []


def looks(desk):
    return len(read_arrow(current_pin(desk.location, TEST_LOOKS.name), ["config_id"]))


def test_a_slider_is_dragged_and_the_title_says_what_is_never_in_the_grid(page):
    start = page.run("return Number(document.querySelector('input[name=slow]').value)")
    box = page.run(
        "const one = document.querySelector('input[name=slow]'); one.scrollIntoView({block: 'center'});"
        "const b = one.getBoundingClientRect(); const share = (one.value - one.min) / (one.max - one.min);"
        "return [b.x + 8 + share * (b.width - 16), b.y + b.height / 2, b.width]"
    )
    page.mouse("mousePressed", box[0], box[1])
    for step in range(1, 6):
        page.call(
            "Input.dispatchMouseEvent",
            type="mouseMoved", x=box[0] + step * 7, y=box[1], button="left", buttons=1,
        )  # fmt: skip
    page.mouse("mouseReleased", box[0] + 35, box[1])
    page.wait("!busy && !waiting && at.shown.values.params.slow !== at.base.values.params.slow")
    slow = told(page, "values.params.slow")
    assert slow > start
    assert page.run("return Number(document.querySelector('input[name=slow]').value)") == slow
    assert text(page, "badge").startswith("Never in the grid")
    page.click("#reset")
    page.wait("at.shown.values.params.slow === at.base.values.params.slow && !moved()")
    assert text(page, "badge").startswith("As the study ran it")


def test_a_number_is_typed_and_a_wrong_one_is_refused_and_nothing_lost(page):
    page.run("document.querySelector('input[aria-label=\"fast, number\"]').select()")
    page.run("document.querySelector('input[aria-label=\"fast, number\"]').focus()")
    for key in "0":
        page.press(key)
    page.wait("!document.getElementById('error').hidden")
    assert "fast" in text(page, "error")
    assert told(page, "values.params.fast") != 0
    page.press("6")  # 06
    page.wait("at.shown.values.params.fast === 6 && document.getElementById('error').hidden")


def test_a_rule_is_turned_on_and_off_by_the_keyboard(page):
    page.run("document.querySelector('input[aria-label=\"max bars held, on\"]').focus()")
    page.press(" ")
    page.wait("at.shown.values.overlays.max_bars_held === 1 && !busy")
    page.press(" ")
    page.wait("at.shown.values.overlays.max_bars_held === null && !busy")
    assert page.run("return moved()") is False


def test_a_cell_of_the_map_and_a_row_of_the_table_are_shown(page, desk):
    box = page.run(
        "const one = document.getElementById('map');"
        "one.scrollIntoView({block: 'center', behavior: 'instant'});"
        "await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));"
        "const b = one.querySelector('.nsewdrag').getBoundingClientRect();"
        "return [b.x, b.y, b.width, b.height]"
    )
    # two values on each axis: the lower left cell has the first of both
    x, y = box[0] + box[2] / 4, box[1] + 3 * box[3] / 4
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        page.mouse(kind, x, y)
    first = {axis: desk.board[axis].min() for axis in ("fast", "slow")}
    page.wait(
        f"at.shown.values.params.fast === {first['fast']} && at.shown.values.params.slow === {first['slow']}"
    )
    part = desk.board[(desk.board["fast"] == first["fast"]) & (desk.board["slow"] == first["slow"])]
    assert told(page, "config_id") == part["config_id"].iloc[0]  # the board is in order of rank
    page.run("document.querySelector('#board tbody tr:nth-child(4)').focus()")
    page.press("Enter")
    row = desk.board.iloc[3]
    page.wait(f"at.shown.config_id === '{row['config_id']}'")
    assert page.run("return document.querySelector('#board tr[aria-current]').rowIndex") == 4
    assert page.run("return document.activeElement.rowIndex") == 4
    assert page.console == []


def test_the_map_is_walked_by_arrow_keys_and_enter_shows_a_cell(page, desk):
    x, y = (sorted(desk.board[axis].unique()) for axis in ("fast", "slow"))
    i, j = (x.index(desk.board[axis].iloc[0]) for axis, x in (("fast", x), ("slow", y)))
    page.run("document.getElementById('map').focus()")
    for key in ("ArrowLeft", "ArrowLeft", "ArrowDown", "ArrowDown", "ArrowRight"):  # no farther than the edge
        page.press(key)
    part = desk.board[(desk.board["fast"] == x[1]) & (desk.board["slow"] == y[0])]
    best = part["sharpe"].max()
    shown = f"{best:.2f}".replace("-", "−")
    assert text(page, "map-cell") == f"fast {x[1]}, slow {y[0]}: Sharpe, a year {shown}; Enter shows it."
    frame = page.run(
        "const [f] = document.getElementById('map').layout.shapes; return [f.x0, f.y0, f.x1, f.y1]"
    )
    assert frame == [0.5, -0.5, 1.5, 0.5]
    assert told(page, "config_id") == desk.board["config_id"].iloc[0]
    page.press("Enter")
    page.wait(f"at.shown.values.params.fast === {x[1]} && at.shown.values.params.slow === {y[0]}")
    assert page.run("return document.activeElement.id") == "map"
    page.press("Tab")  # it lets go
    assert page.run("return document.getElementById('map').layout.shapes.length") == 0
    assert (i, j) != (1, 0)
    assert page.console == []


def test_the_table_is_sorted_by_its_headings(page, desk):
    page.run(
        "[...document.querySelectorAll('#board th button')].find((b) => b.textContent === 'Trades').focus()"
    )
    page.press("Enter")
    page.wait("document.querySelector('#board th[aria-sort=descending] button').textContent === 'Trades'")
    column = page.run("return document.querySelector('#board th[aria-sort]').cellIndex")
    shown = [int(cells[column]) for cells in page.run(ROWS % "board")]
    assert shown == sorted(desk.board["trades"], reverse=True)[:20]
    page.run("document.querySelector('#board th[aria-sort] button').click()")
    shown = [int(cells[column]) for cells in page.run(ROWS % "board")]
    assert shown == sorted(desk.board["trades"])[:20]


def test_what_is_kept_is_a_row_and_a_trial(page, desk):
    slide(page, "slow", ["ArrowRight"] * 5)
    before = desk.trials
    config_id = told(page, "config_id")
    page.click("#keep")
    page.wait("document.getElementById('kept').textContent.startsWith('Kept as')")
    assert f"a verdict now counts {before + 1} trials" in text(page, "kept")
    assert len(desk.store.rows(RESULTS, desk.window, ["config_id"], [config_id])) == 1
    page.click("#yaml")
    page.wait("!document.getElementById('added').hidden")
    assert text(page, "added").startswith("axes:")


def test_the_test_window_opens_when_asked_twice_alone(page, desk):
    desk.run_on_test(Change(desk.board.iloc[3]["config_id"]), desk.board.iloc[3]["symbol"])
    before = looks(desk)
    page.click("#test")
    assert page.run("return document.activeElement.id") == "test-sure"
    assert looks(desk) == before
    page.press("Enter")
    page.wait("document.getElementById('test-said').textContent.startsWith('Opened and recorded')")
    assert looks(desk) == before + 1
    row = desk.board.iloc[0]
    trades = len(desk.run_on_test(Change(row["config_id"]), row["symbol"]).run.trades)
    shown = dict(page.run(ROWS % "test-metrics"))
    assert shown["Trades"] == str(trades)
    slide(page, "fast", ["ArrowRight"])  # another configuration: closed again
    assert text(page, "test-said").startswith("Closed.")


def test_dates_shorten_what_is_run(page, desk):
    whole = told(page, "bars")
    page.run(
        "document.getElementById('from').value = '2013-10-07';"
        "document.getElementById('from').dispatchEvent(new Event('change'))"
    )
    page.wait(f"at.shown.bars < {whole} && !busy")
    assert page.console == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1440, 900, 390])
def test_everybody_can_use_the_page(page, width, dark):
    page.resize(width, 900, dark)
    page.click("#pin")
    slide(page, "fast", ["ArrowRight"])
    page.click("#yaml")
    page.click("#test")
    page.wait("!document.getElementById('added').hidden")
    assert faults_of(page) == []
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [768, 390])
def test_what_counts_is_seen_without_scrolling_sideways(page, width):
    page.resize(width, 900)
    for name in ("board", "trades"):
        page.wait(f"document.querySelectorAll('#{name} tbody tr').length")
        seen = page.run(
            f"const home = $('{name}').parentElement;"
            f"return [home.scrollWidth <= home.clientWidth, [...$('{name}').tHead.rows[0].cells]"
            ".filter((one) => one.offsetParent).map((one) => one.textContent)]"
        )
        assert seen[0], f"{name} is wider than its room of a page of {width} pixels"
        assert {"board": "Sharpe, a year", "trades": "net profit"}[name] in seen[1]
    row = page.run(
        "return [...$('board').tBodies[0].rows[0].cells].find((one) => one.offsetParent).textContent"
    )
    assert row in ("A", "B")  # of several symbols
    assert page.run(
        "return [...$('board').tBodies[0].rows[0].cells].filter((one) => one.offsetParent)[1].textContent"
    ).startswith("fast ")


def test_costs_are_in_percent_and_asked_for_as_fractions(page):
    page.run(
        "const range = document.querySelector('input[name=commission]'); range.value = 0.015;"
        "range.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    page.wait(f"!busy && !waiting && {QUIET}")
    assert page.run("return change.execution.commission") == 0.00015
    assert text(page, "title").endswith("; changed: commission 0.015 %")


def test_10_000_configurations_are_a_table_and_a_map(browser, desk):
    many, row = copy.copy(desk), desk.board.iloc[[0]]
    board = pd.concat([row] * 10_000, ignore_index=True)
    board["config_id"] = [f"{k:016x}" for k in range(9_999)] + [row["config_id"].iloc[0]]
    board["fast"], board["slow"] = np.arange(10_000) % 100, np.arange(10_000) // 100
    board["sharpe"] = np.arange(10_000) / 1_000
    many.board = board
    with serving(many) as address:
        browser.console.clear()
        browser.resize(1440, 900)
        browser.open(address)
        assert text(browser, "page") == "page 1 of 500"
        assert browser.run("return document.querySelectorAll('#board tbody tr').length") == 20
        drawn = browser.run(
            "const [t] = document.getElementById('map').data; return [t.z.length, t.z[0].length]"
        )
        assert drawn == [100, 100]
        assert browser.run("return document.getElementById('map').data[0].z[99][99]") == 9.999
        assert browser.run("return at.shown.config_id") == row["config_id"].iloc[0]
        browser.click("#after")
        assert text(browser, "page") == "page 2 of 500"
        assert browser.console == []


def test_a_fault_would_be_seen(page):
    page.run(
        "$('keep').textContent = ''; $('title').style.color = '#ccc';"
        "$('badge').insertAdjacentHTML('beforeend', '<input>')"
    )
    assert {"button-name: #keep", "color-contrast: #title", "label: #badge > input"} <= set(faults_of(page))


def test_focus_is_seen_wherever_it_goes(page):
    page.run("document.activeElement.blur(); scrollTo(0, 0)")
    seen = []
    for _ in range(40):
        page.press("Tab")
        seen.append(
            page.run(
                "const one = document.activeElement, style = getComputedStyle(one);"
                "const drawn = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;"
                "return [one.tagName + ' ' + one.id, drawn]"
            )
        )
    assert [name for name, visible in seen if not visible] == []
    assert {"A ", "SELECT study", "BUTTON pin", "BUTTON save"} <= {name for name, _ in seen}
