"""Server of the explorer: on loopback alone, behind a token, of nothing but the page and its questions."""

from __future__ import annotations

import json
import math
import secrets
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from whatif.domain import LOWER_IS_BETTER, METRIC_KEYS, Overlays
from whatif.errors import MachineError, StudyError, WhatIfError
from whatif.explore.desk import Change, Desk, Outcome
from whatif.pins import LakeLocation, current_pin, read_arrow, table_exists
from whatif.report import below_peak, plotly_js, thin_lines
from whatif.search import Configuration
from whatif.strategies import Param, StrategySpec
from whatif.texts import visible

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

POINTS = 1500
"""Points of a line that are drawn, about: of more, the least and the greatest of each stretch."""

MAX_TRADES = 500
MAX_BODY = 1_000_000

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILES = {
    "": ("explore.html", "text/html; charset=utf-8"),
    "explore.js": ("explore.js", "text/javascript; charset=utf-8"),
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
            "studies": self._list, "open": self._board, "run": self._run, "keep": self._keep,
            "lines": self._lines, "test": self._test,
        }  # fmt: skip
        with self._lock:
            return asks[question](asked)

    def desk(self, name: str) -> Desk:
        """Return the desk of a study."""
        if name not in self._desks:
            raise StudyError(f"the file of study {name!r} is not known here: whatif explore FILE.yaml")
        return self._desks[name]

    def _list(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return the studies of the lake as it is now, with each run: rows of one snapshot of the bars."""
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
        return {"studies": [one | {"known": one["name"] in self._desks} for one in found.values()]}

    def _board(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        desk = self.desk(str(asked.get("study")))
        board, window = desk.board, desk.window
        axes = [{"name": name, **_codes(board[name])} for name in desk.study.axes]
        return {
            "study": desk.study.study, "objective": desk.study.objective,
            "lower": desk.study.objective in LOWER_IS_BETTER,
            "ids": board["config_id"].astype(str).tolist(), "symbol": _codes(board["symbol"]),
            "status": _codes(board["status"]), "error": _codes(board["error"]), "axes": axes,
            "metrics": {key: _numbers(board[key]) for key in METRIC_KEYS if key in board},
            "chosen": None if desk.chosen is None else [desk.chosen.config_id, desk.chosen.symbol],
            "reason": desk.reason, "window": [window.start_us, window.end_us],
            "has_test": desk.test is not None,
            "trials": desk.trials, "controls": controls(desk),
        }  # fmt: skip

    def _run(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        desk, change, symbol = self._asked(asked)
        span = asked.get("from"), asked.get("to")
        found = desk.run(change, symbol, *span)
        told = outcome(desk, found)
        if asked.get("worth"):
            base = desk.run(Change(change.config_id), symbol, *span)
            told["base"] = _plain(base.metrics)
            told["worth"] = {}
            for name, one in change.alone().items():
                try:
                    told["worth"][name] = _plain(desk.run(one, symbol, *span).metrics)
                except WhatIfError as error:
                    told["worth"][name] = {"error": str(error)}
        return told

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
        for name in ("from", "to"):
            if asked.get(name) is not None and type(asked[name]) is not int:
                raise StudyError(f"{name} = {asked[name]!r} is no whole number of microseconds")
        if not all(isinstance(one, dict) for one in sections.values()):
            raise StudyError("params, execution and overlays are mappings of names to values")
        change = Change(str(asked.get("config_id")), **sections)
        return self.desk(str(asked.get("study"))), change, str(asked.get("symbol"))


_COSTS = (("commission", 0.0, 0.005, 0.00005), ("slippage", 0.0, 0.005, 0.00005))
_RULES = (
    ("latency", 0, 20, 1), ("stop_loss", 0.001, 0.2, 0.001), ("take_profit", 0.001, 0.2, 0.001),
    ("max_bars_held", 1, 500, 1), ("percent_of_equity", 0.05, 1.0, 0.05),
)  # fmt: skip


def controls(desk: Desk) -> list[dict[str, Any]]:
    """Return what can be changed: section, name, range and step of its slider, whether it can be off."""
    strategy = desk.resolved.strategy
    params = strategy.params if isinstance(strategy, StrategySpec) else {}
    found = [_of_param(desk, name, param) for name, param in params.items() if param.kind in (int, float)]
    found += [_slider("execution", *one) for one in _COSTS]
    known = {one.name for one in fields(Overlays)}
    return found + [_slider("overlays", *one) for one in _RULES if one[0] in known]


def _of_param(desk: Desk, name: str, param: Param) -> dict[str, Any]:
    axis = desk.study.axes.get(name)
    given = axis.values if axis else (desk.study.strategy.params.get(name, param.default),)
    there = [v for v in given if isinstance(v, int | float)] or [float(param.default)]
    low, high = min(there), max(there)
    least, most = (low / 2, high * 2) if low > 0 else (low - abs(low) - 1, high + abs(high) + 1)
    least = least if param.low is None else max(least, param.low)
    most = most if param.high is None else min(most, param.high)
    if param.kind is int:
        return _slider("params", name, math.floor(least), math.ceil(most), 1)
    step = 10.0 ** math.floor(math.log10(max(most - least, 1e-12) / 100))
    return _slider("params", name, least, most, step)


def _slider(section: str, name: str, low: float, high: float, step: float) -> dict[str, Any]:
    can_be_off = section == "overlays" and name != "latency"
    return {"section": section, "name": name, "low": low, "high": high, "step": step, "off": can_be_off}


def _values(configuration: Configuration) -> dict[str, Any]:
    """Return what a configuration has, where the page has a control for it."""
    execution, overlays = configuration.execution, configuration.overlays
    return {
        "params": {k: v for k, v in configuration.params.items() if isinstance(v, int | float)},
        "execution": {one[0]: getattr(execution, one[0]) for one in _COSTS},
        "overlays": {one[0]: getattr(overlays, one[0], None) for one in _RULES},
    }


def outcome(desk: Desk, found: Outcome) -> dict[str, Any]:
    """Return what a page shows of a run: lines of few points, metrics, and the newest closed trades."""
    run = found.run
    fall = below_peak(np.append(found.configuration.execution.cash, run.equity))[1:]
    rows = thin_lines([run.equity, fall], POINTS)
    trades, (opened, closed) = run.trades, run.traded_at
    last = slice(max(0, len(closed) - MAX_TRADES), None)
    return {
        "config_id": found.configuration.config_id, "values": _values(found.configuration),
        "ranked": desk.is_ranked(found.configuration.config_id),
        "metrics": _plain(found.metrics), "bars": len(run.equity), "ts": (run.ts[rows] // 1000).tolist(),
        "equity": np.round(run.equity[rows], 2).tolist(), "drawdown": np.round(fall[rows], 4).tolist(),
        "trades": {
            "count": len(closed), "opened": (opened[last] // 1000).tolist(),
            "closed": (closed[last] // 1000).tolist(), "size": trades.size[last].tolist(),
            "entry": trades.entry_price[last].tolist(), "exit": trades.exit_price[last].tolist(),
            "net": np.round(trades.pnl_net[last], 2).tolist(),
        },
    }  # fmt: skip


def _codes(column: pd.Series) -> dict[str, Any]:
    """Return a column as its distinct values, in order, and the place of each row's."""
    texts = [None if _is_missing(v) else v.item() if isinstance(v, np.generic) else v for v in column]
    levels = {repr(v): v for v in texts}
    try:
        ordered = sorted(levels, key=lambda key: (levels[key] is not None, levels[key]))
    except TypeError:
        ordered = sorted(levels)
    at = {key: k for k, key in enumerate(ordered)}
    shown = [
        v if isinstance(v := levels[key], (int, float, str, bool, type(None))) else str(v) for key in ordered
    ]
    return {"levels": shown, "codes": [at[repr(v)] for v in texts]}


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _numbers(column: pd.Series) -> list[float | None]:
    values = column.astype("float64").to_numpy()
    return [float(f"{v:.6g}") if math.isfinite(v) else None for v in values]


def _plain(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: float(v) if math.isfinite(float(v)) else None for name, v in metrics.items()}


@cache
def _file(name: str) -> bytes:
    if name == "plotly.js":
        return plotly_js().encode()
    return (files("whatif.explore") / "templates" / name).read_bytes()


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
        if refused(request) or name not in ("studies", "open", "run", "keep", "lines", "test"):
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

    host, port = listening.getsockname()[:2]
    place = f"{host}:{port}"
    config = uvicorn.Config(
        application(explorer, frozenset({place})), log_level="warning", access_log=False, server_header=False,
        proxy_headers=False, ws="none", lifespan="off", loop="asyncio", http="h11",
    )  # fmt: skip
    return uvicorn.Server(config), f"http://{place}/{explorer.token}/"
