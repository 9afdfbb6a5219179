"""Benchmark of the explorer: from a slider's move to the repainted page, in a headless browser."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from whatif.bench.browser import Page, opened_browser
from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.market import BenchMarket, load_market
from whatif.bench.setting import Setting
from whatif.bench.studies import finished
from whatif.errors import RunError
from whatif.explore import POINTS, Desk, Explorer, open_desk, served
from whatif.pins import LakeLocation

MOVES = 100
QUICK_MOVES = 10
CONFIGURATIONS = 10_000

_NOTES = (
    "the first repaints and answers are left out; another value at each move, which the study never ran",
    "a move: from the key's input event to the frame that has the lines and the metrics, 1440 x 900",
    "the server's part: a question over loopback, with its run of the engine, lines, metrics and JSON",
    "opening: from the address to the frame that has leaderboard, map, lines and metrics",
    f"lines of at most {POINTS:,} points",
)


def measure(setting: Setting) -> Measurement:
    """Time moves of a slider on all bars, and the opening of a study of 10,000 configurations."""
    quick = setting.options.quick
    moves, many = (QUICK_MOVES, 100) if quick else (MOVES, CONFIGURATIONS)
    with tempfile.TemporaryDirectory(prefix="whatif-bench-explore-", dir=setting.location.home) as folder:
        location = LakeLocation(Path(folder) / "home")
        market = load_market(None, location, setting.file, setting.options.most_bars)
        setting.say(f"explore: a study of 16 and one of {many:,} configurations, {moves} moves of a slider")
        with opened_browser(Path(folder)) as page:
            page.resize(1440, 900)
            with _served(_desk(market, location, 16, 0.7 if quick else 0.98)) as (desk, address):
                page.open(address)
                painted = _moves(page, moves)
                answers = _answers(desk, address, moves)
            with _served(_desk(market, location, many, 0.5 if quick else 0.1)) as (_, address):
                opened = [_opening(page, address) for _ in range(setting.options.repeats)]
    return _measured(market, painted, answers, opened, many)


def _measured(
    market: BenchMarket,
    painted: Sequence[float],
    answers: Sequence[float],
    opened: Sequence[float],
    many: int,
) -> Measurement:
    p95, middle, opening = (
        float(np.percentile(painted, 95)),
        float(np.median(answers)),
        float(np.median(opened)),
    )
    return Measurement(
        name="explore",
        title=f"whatif explore of a crossover on {len(market.bars):,} bars of {market.bars.symbol}",
        figures=(
            Figure("repaint_p95", "slider to repaint, p95", p95, "ms", Goal("under", 150.0)),
            Figure("answer_median", "the server's part, median", middle, "ms", Goal("under", 20.0)),
            Figure("open_seconds", f"{many:,} configurations open", opening, "s", Goal("under", 2.0)),
            Figure("repaint_median", "slider to repaint, median", float(np.median(painted)), "ms"),
            Figure("answer_p95", "the server's part, p95", float(np.percentile(answers, 95)), "ms"),
        ),
        notes=_NOTES,
        detail={"repaint_ms": list(painted), "answer_ms": list(answers), "open_seconds": list(opened)},
    )  # fmt: skip


def _desk(market: BenchMarket, location: LakeLocation, count: int, share: float) -> Desk:
    return open_desk(finished(market, location, count, share).study, location)


@contextmanager
def _served(desk: Desk) -> Iterator[tuple[Desk, str]]:
    """Serve a desk while the block runs; yield it with the address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server, address = served(Explorer(desk.location, [desk]), listening)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield desk, address
        finally:
            server.should_exit = True
            thread.join()


def _moves(page: Page, moves: int) -> list[float]:
    """Move two sliders in turn by the keyboard; return the milliseconds of each move to its repaint."""
    page.run(
        "addEventListener('input', (event) => { window.moved = event.timeStamp; }, true);"
        "window.painted = () => performance.getEntriesByName('whatif-shown').at(-1).startTime;"
    )
    found = []
    for k in range(moves + 2):
        page.run(f"document.querySelector('input[name={('fast', 'slow')[k % 2]}]').focus()")
        page.press("ArrowRight")
        page.wait("window.moved && painted() > window.moved && !busy")
        found.append(float(page.run("return painted() - window.moved")))
        time.sleep(0.3)  # what is asked once nothing moves is another matter
    return found[2:]


def _answers(desk: Desk, address: str, questions: int) -> list[float]:
    """Ask for configurations that nobody ran; return the milliseconds of each answer."""
    place, first = urlsplit(address), desk.board.iloc[0]
    asked = {"study": desk.study.study, "config_id": first["config_id"], "symbol": first["symbol"]}
    connection, found = HTTPConnection(place.netloc, timeout=60), []
    for k in range(questions + 2):
        body = json.dumps({**asked, "params": {"fast": 20 + k % 50, "slow": 300 + k}})
        started = time.perf_counter()
        connection.request("POST", f"{place.path}run", body, {"Content-Type": "application/json"})
        told = connection.getresponse().read()
        found.append(1000.0 * (time.perf_counter() - started))
        if b'"error"' in told[:20]:
            raise RunError(f"the explorer refused a question: {told.decode()}")
    connection.close()
    return found[2:]


def _opening(page: Page, address: str) -> float:
    """Open the page anew; return the seconds until it is painted."""
    page.open("about:blank")
    page.open(address)
    return float(page.run("return performance.getEntriesByName('whatif-shown').at(-1).startTime")) / 1000.0
