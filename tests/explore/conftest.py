"""A finished study of two made-up symbols, on its desk."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from whatif.bench.browser import find_browser, opened_browser
from whatif.explore import Explorer, open_desk, served
from whatif.pins import LakeLocation
from whatif.workflow import RunOptions, run

from ..markets import put_bars, walk
from ..workflow.conftest import study_text

SPLIT = {"train": 0, "validate": 0.5, "test": 0.5}


@pytest.fixture(scope="session")
def explored(tmp_path_factory):
    """Return the file of a study that has run, and its lake."""
    folder = tmp_path_factory.mktemp("explored")
    location = LakeLocation(folder / "home")
    put_bars(location, [walk("A", 1, minutes=120), walk("B", 2, minutes=120)])
    path = folder / "one.yaml"
    costs = [{"commission": 0.0}, {"commission": 0.0005}]
    axes = {"fast": [3, 4], "slow": [15, 30], "execution": costs, "stop_loss": [0.01, 0.02]}
    keep = {"trades": "all", "equity": "all"}
    path.write_text(study_text(study="one", split=SPLIT, axes=axes, keep=keep, execution={"cash": 1e5}))
    run(path, None, location, RunOptions(track=False, report=False, certify=False, runner="local"))
    return path, location


@pytest.fixture(scope="session")
def desk(explored):
    return open_desk(*explored)


@contextmanager
def serving(*desks):
    """Serve some desks of one lake; yield the address."""
    explorer = Explorer(desks[0].location, desks)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server, address = served(explorer, listening)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        end = time.monotonic() + 30
        while not server.started and time.monotonic() < end:
            time.sleep(0.01)
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join(30)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def place(desk):
    """Return where the explorer is served: host with port, and path with token."""
    with serving(desk) as address:
        yield urlsplit(address).netloc, urlsplit(address).path


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Return a page of a headless browser; what it complained of is empty at each test's start."""
    if find_browser() is None:
        pytest.skip("no browser on PATH: install chromium")
    with opened_browser(tmp_path_factory.mktemp("browser")) as page:
        yield page
