"""Server of the explorer: on loopback alone, behind a token, of nothing but the page and its questions."""

from __future__ import annotations

import json
import re
import secrets
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from whatif.errors import MachineError, StudyError, WhatIfError
from whatif.explore.desk import Change, Desk
from whatif.explore.payload import TRADE_COLUMNS, outcome, plain, ranking, saved_view, trades_page
from whatif.pins import LakeLocation, current_pin, read_arrow, table_exists
from whatif.report import plotly_js, stored_answers, whole_page
from whatif.texts import visible

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

TRADES_OF_A_PAGE = 20
MAX_BODY = 1_000_000
_QUESTIONS = ("studies", "open", "run", "worth", "trades", "keep", "lines", "test", "save")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILES = {
    "": ("explore.html", "text/html; charset=utf-8"),
    "explore.js": ("explore.js", "text/javascript; charset=utf-8"),
    "figures.js": ("figures.js", "text/javascript; charset=utf-8"),
    "explore.css": ("explore.css", "text/css; charset=utf-8"),
}


class Explorer:
    """The questions that a page asks, answered one after the other.

    Parameters
    ----------
    location : LakeLocation
        The lake.
    desks : sequence of Desk
        The studies that can be looked at.

    Raises
    ------
    StudyError
        If two of them have one name.
    """

    def __init__(self, location: LakeLocation, desks: Sequence[Desk]) -> None:
        self.location = location
        self.token = secrets.token_urlsafe(24)
        self._desks = {desk.study.study: desk for desk in desks}
        if len(self._desks) < len(desks):
            raise StudyError("two of these files name their study alike: give one of them, or rename one")
        self._lock = threading.Lock()

    def answer(self, question: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a question, as JSON has it.

        Raises
        ------
        WhatIfError
            If it cannot be answered: what was asked, the rule, the remedy.
        """
        asks = {
            "studies": self._list, "open": self._board, "run": self._run, "worth": self._worth,
            "trades": self._trades, "keep": self._keep, "lines": self._lines, "test": self._test,
            "save": self._save,
        }  # fmt: skip
        with self._lock:
            return asks[question](asked)

    def desk(self, name: str) -> Desk:
        """Return the desk of a study."""
        if name not in self._desks:
            raise StudyError(f"the file of study {name!r} is not known here: whatif explore FILE.yaml")
        return self._desks[name]

    def _list(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return the studies of the lake as it is now, with each run: rows of one snapshot of the bars.

        The verdict of each is that of its report, "" where there is none.
        """
        found: dict[str, dict[str, Any]] = {name: {"name": name, "runs": []} for name in self._desks}
        if table_exists(self.location, "results"):
            names = ["study", "bars_snapshot", "status", "config_id", "finished_at"]
            rows = read_arrow(current_pin(self.location, "results"), names).to_pandas()
            for (study, snapshot), part in rows.groupby(["study", "bars_snapshot"]):
                run = {
                    "bars": str(snapshot), "rows": len(part), "configurations": part["config_id"].nunique(),
                    "failed": int((part["status"] != "ok").sum()),
                    "finished": str(part["finished_at"].max())[:16],
                }  # fmt: skip
                found.setdefault(str(study), {"name": str(study), "runs": []})["runs"].append(run)
        said = {one.study: one.verdict for one in stored_answers(self.location.home / "reports")}
        return {
            "studies": [
                one | {"known": one["name"] in self._desks, "verdict": said.get(one["name"], "")}
                for one in found.values()
            ]
        }

    def _board(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return ranking(self.desk(str(asked.get("study"))))

    def _run(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        desk, change, symbol = self._asked(asked)
        told = outcome(desk, desk.run(change, symbol, *_span(asked)), str(asked.get("clock", "")))
        if change.alone():
            told["base"] = plain(desk.run(Change(change.config_id), symbol, *_span(asked)).metrics)
        return told

    def _worth(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return what each change does alone, beside what there is without any."""
        desk, change, symbol = self._asked(asked)
        told: dict[str, Any] = {
            "base": plain(desk.run(Change(change.config_id), symbol, *_span(asked)).metrics), "worth": {}
        }  # fmt: skip
        for name, one in change.alone().items():
            try:
                told["worth"][name] = plain(desk.run(one, symbol, *_span(asked)).metrics)
            except WhatIfError as error:
                told["worth"][name] = {"error": str(error)}
        return told

    def _trades(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        desk, change, symbol = self._asked(asked)
        page, column = asked.get("page", 0), asked.get("column", "closed")
        if type(page) is not int or column not in TRADE_COLUMNS:
            raise StudyError(f"trades have pages from 0, sorted by one of {', '.join(TRADE_COLUMNS)}")
        found = desk.run(change, symbol, *_span(asked))
        return trades_page(found, page, TRADES_OF_A_PAGE, column, bool(asked.get("down")))

    def _save(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return a view as a page that is whole in itself, computed anew from what was asked."""
        desk, change, symbol = self._asked(asked)
        span, pins = _span(asked), asked.get("pins") or []
        if not isinstance(pins, list) or len(pins) > 2 or not all(isinstance(one, dict) for one in pins):
            raise StudyError("pins are at most two questions as they were asked")
        found, base = desk.run(change, symbol, *span), desk.run(Change(change.config_id), symbol, *span)
        told = saved_view(desk, (change.config_id, symbol), found, base, span)
        told["worth"], told["pins"] = self._worth(asked), []
        for pin in pins:
            other, its_change, its_symbol = self._asked(pin)
            run = outcome(other, other.run(its_change, its_symbol, *_span(pin)))
            told["pins"].append({"name": str(pin.get("name", ""))[:1000], "run": run})
        script, style = (_file(name).decode() for name in ("figures.js", "explore.css"))
        script += _file("view.js").decode()
        name = re.sub(r"[^\w-]+", "-", desk.study.study)[:60].strip("-")
        page = whole_page(told["title"], _file("view.html").decode(), script, style, told)
        return {"name": f"{name}-{found.configuration.config_id[:12]}.html", "page": page}

    def _keep(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        desk, change, symbol = self._asked(asked)
        kept, trials = desk.keep(change, symbol)
        return {"config_id": kept.config_id, "trials": trials}

    def _lines(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        desk, change, _ = self._asked(asked)
        return {"lines": desk.added(change)}

    def _test(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        desk, change, symbol = self._asked(asked)
        return outcome(desk, desk.run_on_test(change, symbol))

    def _asked(self, asked: Mapping[str, Any]) -> tuple[Desk, Change, str]:
        sections = {name: asked.get(name) or {} for name in ("params", "execution", "overlays")}
        if not all(isinstance(one, dict) for one in sections.values()):
            raise StudyError("params, execution and overlays are mappings of names to values")
        change = Change(str(asked.get("config_id")), **sections)
        return self.desk(str(asked.get("study"))), change, str(asked.get("symbol"))


def _span(asked: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return from when to when a question is about, microseconds UTC; None for the window's own ends."""
    for name in ("from", "to"):
        if asked.get(name) is not None and type(asked[name]) is not int:
            raise StudyError(f"{name} = {asked[name]!r} is no whole number of microseconds")
    return asked.get("from"), asked.get("to")


@cache
def _file(name: str) -> bytes:
    if name == "plotly.js":
        return plotly_js().encode()
    found = (files("whatif.explore") / "templates" / name).read_bytes()
    shared = b"  <!-- compared.html -->\n"
    return found.replace(shared, _file("compared.html")) if shared in found else found


def application(explorer: Explorer, hosts: frozenset[str]) -> Any:
    """Return the application: nothing is served but below the token, to a browser that named this host."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    headers = {
        "Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
    }  # fmt: skip

    def refused(request: Request) -> bool:
        origin = request.headers.get("origin")
        own = {f"http://{host}" for host in hosts}
        known = secrets.compare_digest(request.path_params["token"].encode(), explorer.token.encode())
        return (
            request.headers.get("host") not in hosts
            or not known
            or (origin is not None and origin not in own)
        )

    async def show(request: Request) -> Response:
        name = request.path_params.get("name", "")
        if refused(request) or name not in (*_FILES, "plotly.js"):
            return Response("", 404, headers)
        file, kind = _FILES.get(name, ("plotly.js", "text/javascript; charset=utf-8"))
        return Response(_file(file), 200, headers, kind)

    async def ask(request: Request) -> Response:
        name = request.path_params["name"]
        if refused(request) or name not in _QUESTIONS:
            return Response("", 404, headers)
        if request.headers.get("content-type") != "application/json":
            return JSONResponse({"error": "questions are JSON"}, 415, headers)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                return JSONResponse({"error": "the question is too long"}, 413, headers)
        try:
            asked = json.loads(body or b"{}")
            if not isinstance(asked, dict):
                raise ValueError("no JSON object")
            return JSONResponse(await run_in_threadpool(explorer.answer, name, asked), 200, headers)
        except WhatIfError as error:
            return JSONResponse({"error": visible(str(error))}, 409, headers)
        except ValueError as error:
            return JSONResponse({"error": f"the question cannot be read: {error}"}, 400, headers)

    app = Starlette(
        routes=[
            Route("/{token}/", show, methods=["GET"]),
            Route("/{token}/{name}", show, methods=["GET"]),
            Route("/{token}/{name}", ask, methods=["POST"]),
        ]
    )
    app.router.redirect_slashes = False  # it would answer who has no token
    return app


def explore_lake(
    location: LakeLocation, desks: Sequence[Desk], say: Callable[[str], None], port: int = 0
) -> None:
    """Serve the explorer on 127.0.0.1 until it is interrupted.

    Parameters
    ----------
    location : LakeLocation
        The lake.
    desks : sequence of Desk
        The studies that can be looked at.
    say : callable
        Takes the address, which holds the token.
    port : int
        0 for any that is free.

    Raises
    ------
    StudyError
        If two studies have one name.
    MachineError
        If the port is taken.
    """
    explorer = Explorer(location, desks)
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
        except OSError as error:
            raise MachineError(
                f"port {port} of 127.0.0.1 cannot be used: {error.strerror}; leave it out"
            ) from error
        server, address = served(explorer, listening)
        say(address)
        server.run(sockets=[listening])


def served(explorer: Explorer, listening: socket.socket) -> tuple[Any, str]:
    """Return uvicorn's server of the explorer on a bound socket, and the address with the token."""
    import uvicorn

    # connections have it of the socket that listens: the end of an answer would wait 40 ms
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    host, port = listening.getsockname()[:2]
    place = f"{host}:{port}"
    config = uvicorn.Config(
        application(explorer, frozenset({place})), log_level="warning", access_log=False, server_header=False,
        proxy_headers=False, ws="none", lifespan="off", loop="asyncio", http="h11",
    )  # fmt: skip
    return uvicorn.Server(config), f"http://{place}/{explorer.token}/"
