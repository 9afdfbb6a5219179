"""Studies that went wrong, or are of an odd shape: each has its page."""

from __future__ import annotations

import copy
import subprocess
import sys

import pandas as pd
import pytest

from whatif.errors import LakeDamagedError, MachineError
from whatif.explore import Change, Explorer, open_desk
from whatif.runner.load import forget

from .axe import faults_of
from .conftest import serving
from .odd import LONG, MARKED, NAMED, RAISES, odd_desk

WRITES = """
import sys
from pathlib import Path
from whatif.lake import writer_lock
from whatif.pins import LakeLocation
with writer_lock(LakeLocation(Path(sys.argv[1])), "a long ingest"):
    print("held", flush=True)
    sys.stdin.read()
"""
TOLD = (
    "const t = (id) => $(id).hidden ? '' : $(id).textContent;"
    "return {error: t('error'), empty: t('empty'), title: t('title'), map: t('map-said'),"
    " test: t('test-said'), hidden: ['changed', 'controls', 'traded'].filter((id) => $(id).hidden)}"
)


def asked(desk, **more):
    row = desk.board.iloc[0]
    study = desk.study.study
    return {"study": study, "config_id": row["config_id"], "symbol": row["symbol"], **more}


@pytest.fixture
def seen(browser):
    """Open a desk's page at two widths, and return what it tells; it must lack nothing."""

    def see(desk):
        with serving(desk) as address:
            for width, dark in ((390, True), (1440, False)):
                browser.console.clear()
                browser.resize(width, 900, dark)
                browser.open(address)
                browser.wait("!at.shown || $('trades-page').textContent")
                assert browser.console == []
                assert faults_of(browser) == []
                assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
            return browser.run(TOLD)

    return see


@pytest.mark.browser
def test_a_study_without_any_trade(seen, tmp_path, browser):
    told = seen(odd_desk(tmp_path, execution={"cash": 1.0}))
    assert told["empty"].startswith("No backtest of this study closed a trade")
    assert told["error"] == ""


@pytest.mark.browser
def test_every_backtest_failed(seen, tmp_path):
    told = seen(odd_desk(tmp_path, RAISES, axes={"fast": [3, 5]}))
    assert told["empty"].startswith("Every backtest of this study failed")
    assert "ZeroDivisionError" in told["empty"]
    assert told["hidden"] == ["changed", "controls", "traded"]


@pytest.mark.browser
def test_one_configuration_and_one_of_500_symbols_that_ran(seen, tmp_path, browser):
    strategy = {"name": "sma_crossover", "params": {"fast": 3, "slow": 9, "size": 50.0}}
    desk = odd_desk(tmp_path, axes=None, strategy=strategy)
    told = seen(desk)
    assert told["map"] == "A map needs two axes: the leaderboard tells all of this study."
    assert told["title"].startswith("A: ")
    many = copy.copy(desk)
    parts = [
        desk.board.assign(
            symbol=f"S{k:03}", status="ok" if k == 137 else "failed", error=f"no bars of S{k:03}"
        )
        for k in range(500)
    ]
    many.board, many.chosen = pd.concat(parts, ignore_index=True), None
    told = seen(many)
    assert told["title"].startswith("S137: ")
    assert told["empty"].startswith("499 of 500 backtests failed")
    assert told["error"] == ""


@pytest.mark.browser
def test_names_with_markup_are_shown_as_they_are(seen, tmp_path, browser):
    told = seen(odd_desk(tmp_path, symbols=(MARKED,)))
    assert told["title"].startswith(MARKED)
    assert browser.run("return [document.title, document.images.length]") == ["whatif explore", 0]


@pytest.mark.browser
def test_parameters_of_200_characters(seen, tmp_path, browser):
    axes = {LONG: [3, 7], "text": ["x" * 200, "y" * 200, "<b>z</b>"]}
    told = seen(odd_desk(tmp_path, NAMED, axes=axes))
    assert LONG in told["title"]
    assert browser.run("return document.querySelectorAll('#main b').length") == 0


@pytest.mark.browser
def test_a_study_without_a_test_window(seen, tmp_path, browser):
    told = seen(odd_desk(tmp_path, split={"train": 0, "validate": 0.9, "test": 0}))
    assert told["test"] == "This study has no test window."
    assert browser.run("return $('test').hidden")


@pytest.mark.browser
def test_a_lake_that_another_writes_keeps_what_was_changed(tmp_path, browser):
    desk = odd_desk(tmp_path)
    with serving(desk) as address:
        browser.resize(1440, 900)
        browser.open(address)
        browser.run("document.querySelector('input[name=slow]').focus()")
        browser.press("ArrowRight")
        browser.wait("moved() && !busy && !$('keep').disabled")
        with subprocess.Popen(
            [sys.executable, "-c", WRITES, str(desk.location.home)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as other:  # fmt: skip
            assert other.stdout.readline() == b"held\n"
            browser.click("#keep")
            browser.wait("!$('error').hidden")
            assert "a long ingest" in browser.run("return $('error').textContent")
            assert browser.run("return moved() && !$('keep').disabled")
            before = browser.run("return at.shown.config_id")
            browser.run("document.querySelector('input[name=slow]').focus()")
            browser.press("ArrowRight")  # looking goes on
            browser.wait(f"at.shown.config_id !== '{before}' && !busy && $('error').hidden")
            other.communicate()
        browser.click("#keep")
        browser.wait("$('kept').textContent.startsWith('Kept as')")


def test_bars_that_are_gone_are_named(tmp_path):
    desk = odd_desk(tmp_path, symbols=("A", "B"))
    explorer, row = Explorer(desk.location, [desk]), desk.board.iloc[0]
    before = explorer.answer("run", asked(desk))
    for path in desk.location.home.rglob("*/bars/data/**/*.parquet"):
        path.unlink()
    forget()
    # what is in memory is still told
    assert explorer.answer("run", asked(desk)) == before
    with pytest.raises(MachineError, match=f"bars of {row['symbol']} could not be read: .* is missing"):
        desk.run(Change(row["config_id"], {"fast": 9}), row["symbol"])
    with pytest.raises(LakeDamagedError, match="is missing"):
        open_desk(tmp_path / "odd.yaml", desk.location)
