"""The explorer's page in a real browser: clicked, typed on, and read."""

from __future__ import annotations

import time

import pytest

from whatif.explore import Change

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
