"""The explorer's page in a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
    "--virtual-time-budget=20000", "--window-size=1440,900",
)  # fmt: skip


def test_the_page_shows_the_study_without_a_word_on_the_console(place, desk, tmp_path):
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser on PATH: install one of {', '.join(NAMES)}")
    address = f"http://{place[0]}{place[1]}"
    command = [program, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    page = done.stdout
    assert "As the study ran it" in page
    board = re.search(r'<table id="board">(.*?)</table>', page, re.DOTALL)
    assert board
    assert board[1].count("<tr") == 1 + len(desk.board)
    assert 'id="error" role="alert" hidden' in page
    assert page.count('class="slider"') == 10  # three numbers of the strategy, two costs, five rules
