"""Leaderboard and figures as compact JSON for the page's own script."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from whatif.report.columns import axis_label, metric
from whatif.report.data import ReportData, texts
from whatif.report.figures import (
    MAX_POINTS,
    draw_distribution,
    draw_drawdown,
    draw_equity,
    draw_heatmap,
    draw_luck,
    draw_trades,
    stitched_figure,
)
from whatif.report.heatmap import levels, mapped_rows
from whatif.report.models_page import draw_reliability
from whatif.report.packing import pack_numbers, packed, shown_numbers
from whatif.report.theme import Drawing
from whatif.report.timeline import Timeline
from whatif.report.trials import TRIAL
from whatif.search import at_home
from whatif.typing import FloatArray

if TYPE_CHECKING:
    import plotly.graph_objects as go

MAX_ROWS = 20_000
MAX_SYMBOLS = 24
MAX_ERRORS = 200
_BEST_ROWS = 2_000
_POINTS = 40_000
"""Points of all lines of all symbols together, about."""


def board_payload(data: ReportData) -> dict[str, Any]:
    """Return the leaderboard by columns: numbers with the digits that are shown, text as levels and codes.

    Above `MAX_ROWS` rows the best 2,000 and every k-th of all are kept; `sample` marks the latter, from
    which medians are taken.
    """
    board = data.ranking.leaderboard.reset_index(drop=True)
    kept, sample = _kept(len(board))
    rows = board.iloc[kept]
    texts = {name: _codes(rows[name]) for name in ("symbol", "status") if name in rows}
    texts["error"] = _codes(_few_errors(rows))
    orders = data.ranking.orders
    flags: dict[str, Any] = {"home": at_home(rows)} if "world" in rows else {}
    flags |= {"front": rows["front"]} if "front" in rows else {}
    return {
        "total": len(board),
        "rows": len(rows),
        "objective": data.ranking.objective,
        "sample": _pack(sample.astype(np.int32)),
        "rank": _numbers(rows["rank"]) if "rank" in rows else None,
        "ids": rows["config_id"].astype(str).tolist(),
        "texts": texts,
        "axes": [
            {"name": a, **_codes(rows[a], orders.get(a, ())), "bins": _bins(rows[a])}
            for a in data.ranking.axes
        ],
        "metrics": [_metric(rows, key) for key in data.ranking.metrics],
        "objectives": [key for key in data.ranking.objectives if key in data.ranking.metrics],
        "trial": _numbers(rows[TRIAL]) if TRIAL in rows else None,
        **{name: _pack(np.asarray(one, dtype=np.int32)) for name, one in flags.items()},
    }


def figures_payload(data: ReportData) -> dict[str, Any]:
    """Return equity, drawdown and price figures of each symbol with the times of their points."""
    drawn = {
        symbol for frame in (data.series.equity, data.series.bars) for symbol in frame["symbol"].unique()
    }
    shown = [symbol for symbol in data.series.symbols if symbol in drawn][:MAX_SYMBOLS]
    points = int(np.clip(_POINTS / max(1, 2 * len(shown)), 300, 4000))
    return {symbol: _symbol(data, symbol, points) for symbol in shown}


def luck_payload(data: ReportData) -> dict[str, Any] | None:
    """Return the bands of luck for the first symbol's account; None where nobody judged, or it has none."""
    figures = data.verdict.verdict.figures if data.verdict is not None else None
    first = next(iter(data.series.symbols), "")
    equity, bars = (frame[frame["symbol"] == first] for frame in (data.series.equity, data.series.bars))
    if figures is None or not len(equity):
        return None
    axis = Timeline.of(*(frame for frame in (equity, bars) if len(frame)))
    trials = max(1.0, figures.effective_trials)
    return {"data": _plain(draw_luck(equity, axis, trials)), "trials": trials}


def side_payload(data: ReportData) -> dict[str, Any]:
    """Return the first symbol's account with what luck would give, and the map of the first two axes.

    "equity" or "map" is missing where there is nothing to draw. The map frames the chosen configuration.
    """
    first, axes = next(iter(data.series.symbols), ""), data.ranking.axes
    equity = data.series.equity[data.series.equity["symbol"] == first]
    found: dict[str, Any] = {}
    if len(equity):
        found["equity"] = _drawing(lucky_account(data, equity, 600))
    if len(axes) > 1 and len(data.ranking.ranked):
        found["map"] = _drawing(framed_map(data, axes[0], axes[1], data.ranking.objective))
    return found


def lucky_account(data: ReportData, rows: pd.DataFrame, points: int = MAX_POINTS) -> Drawing:
    """Return one symbol's account with the band that luck alone would give, where somebody judged."""
    axis = Timeline.of(rows)
    drawn = draw_equity(rows, axis, points)
    figures = data.verdict.verdict.figures if data.verdict is not None else None
    luck = [] if figures is None else draw_luck(rows, axis, max(1.0, figures.effective_trials))
    return drawn | {"data": [*luck, *drawn["data"]]}


def framed_map(
    data: ReportData, x: str, y: str | None, key: str, aggregate: str = "best", symbol: str = ""
) -> Drawing:
    """Return the map of a metric over one axis or two, with the chosen configuration framed.

    Of one symbol's backtests, or of all with "". The frame is there where the cell is that of the choice.
    """
    board = mapped_rows(data.ranking.leaderboard)
    board = board[board["symbol"] == symbol] if symbol else board
    orders = data.ranking.orders
    drawn = draw_heatmap(board, x, y, key, aggregate, orders)
    choice = data.series.chosen
    chosen = board.index[board["config_id"] == choice.get("config_id")]
    if len(chosen) and symbol in ("", choice.get("symbol", symbol)):
        row = board.index.get_loc(chosen[0])
        across, up = (
            0 if axis is None else int(levels(board[axis], order=orders.get(axis, ())).codes[row])
            for axis in (x, y)
        )
        corners = {"x0": across - 0.5, "x1": across + 0.5, "y0": up - 0.5, "y1": up + 0.5}
        drawn["layout"]["shapes"] = [{"type": "rect", **corners, "line": {"width": 3}}]
    return drawn


def accounts_payload(data: ReportData) -> dict[str, Any] | None:
    """Return accounts of rows of the leaderboard's payload, all in one column; None where none is stored.

    `rows` are places in the leaderboard, `cash` what each begins with, `growth` the points of one account
    after those of another, `chosen` those of the choice, `hold` those of the market by symbol.
    """
    told = data.accounts
    place = {key: k for k, key in enumerate(_keys(data.ranking.leaderboard.head(_BEST_ROWS)))}
    here = [k for k, key in enumerate(told.keys) if key in place]
    chosen = data.series.chosen
    own = [
        k
        for k, (config_id, symbol) in enumerate(told.keys)
        if config_id == chosen.get("config_id") and symbol == chosen.get("symbol", symbol)
    ]
    if not here:
        return None
    return {
        "rows": [place[told.keys[k]] for k in here],
        "cash": told.cash[here].tolist(),
        "ms": pack_numbers(np.floor(told.ends / 1000.0)),
        "growth": _growth(told.growth[:, here].T.reshape(-1)),
        "chosen": _growth(told.growth[:, own[0]]) if own else None,
        "hold": {symbol: _growth(values) for symbol, values in told.hold.items()},
        "pooled": told.pooled,
    }


def spread_payload(data: ReportData) -> dict[str, Any] | None:
    """Return the figure of how the objective spreads over all backtests; None for fewer than five."""
    objective, ranked = data.ranking.objective, data.ranking.ranked
    if objective not in ranked or len(ranked) < 5:
        return None
    best = pd.to_numeric(ranked[objective], errors="coerce").iloc[0]
    return _drawing(draw_distribution(ranked, objective, float(best)))


def reliability_payload(data: ReportData) -> dict[str, Any] | None:
    """Return the figure of what models said and what came; None where none gives probabilities."""
    drawn = draw_reliability(data)
    return None if drawn is None else _drawing(drawn)


def stitched_payload(data: ReportData) -> dict[str, Any] | None:
    """Return the figure of the test windows of all folds joined; None if there are none."""
    return _figure(stitched_figure(data.joined.equity)) if len(data.joined.equity) else None


def to_script(value: Any) -> str:
    """Write JSON packed, which is safe inside a script element, whatever names and errors it holds."""
    return packed(json.dumps(value, separators=(",", ":"), allow_nan=False, default=str))


def _kept(n: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    if n <= MAX_ROWS:
        return np.arange(n), np.ones(n, dtype=bool)
    step = -(-n // (MAX_ROWS - _BEST_ROWS))
    kept = np.union1d(np.arange(_BEST_ROWS), np.arange(0, n, step))
    return kept, kept % step == 0


def _few_errors(rows: pd.DataFrame) -> pd.Series:
    if "error" not in rows:
        return pd.Series([""] * len(rows))
    errors = texts(rows["error"], "").str.slice(0, 500)
    frequent = errors.value_counts().index[:MAX_ERRORS]
    return errors.where(errors.isin(frequent), "another error: see leaderboard.csv")


def _codes(column: pd.Series, order: Sequence[Any] = ()) -> dict[str, Any]:
    coded = levels(column, most=None, order=order)
    return {"levels": coded.labels, "codes": _pack(coded.codes.astype(np.int32))}


def _bins(column: pd.Series) -> dict[str, Any] | None:
    coded = levels(column)
    if len(coded.labels) == column.map(axis_label).nunique():
        return None
    return {"levels": coded.labels, "codes": _pack(coded.codes.astype(np.int32))}


def _metric(rows: pd.DataFrame, key: str) -> dict[str, Any]:
    shown = metric(key)
    values = pack_numbers(shown_numbers(_floats(rows[key]), shown.kind))
    return {
        "key": key, "label": shown.label, "heading": shown.heading, "kind": shown.kind,
        "less": shown.less_is_better, "signed": shown.signed, "values": values,
    }  # fmt: skip


def _numbers(column: pd.Series) -> dict[str, Any]:
    return pack_numbers(_floats(column))


def _floats(column: pd.Series) -> FloatArray:
    numbers: FloatArray = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers


def _pack(array: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode("ascii")


def _keys(rows: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(rows["config_id"].astype(str), rows["symbol"].astype(str), strict=True))


def _growth(values: FloatArray) -> dict[str, Any]:
    """Pack multiples of cash to a millionth, or to what fits four bytes; NaN where one is not a number."""
    known: FloatArray = np.where(np.isfinite(values), values, np.nan)
    most = max(1.0, float(np.nanmax(np.abs(known), initial=1.0)))
    places = int(np.clip(np.floor(9 - np.log10(most)), 0, 6))
    return pack_numbers(known.round(places))


def _symbol(data: ReportData, symbol: str, points: int) -> dict[str, Any]:
    equity, bars = (frame[frame["symbol"] == symbol] for frame in (data.series.equity, data.series.bars))
    axis = Timeline.of(*(frame for frame in (equity, bars) if len(frame)))
    drawn: dict[str, Any] = {"timeline": _timeline(axis, points)}
    if len(equity):
        drawn["equity"] = _drawing(draw_equity(equity, axis, points))
        drawn["drawdown"] = _drawing(draw_drawdown(equity, axis, points))
    if len(bars):
        held = equity if len(equity) else None
        drawn["price"] = _drawing(draw_trades(bars, data.series.trades, held, axis, min(2000, points)))
    return drawn


def _timeline(axis: Timeline, points: int) -> dict[str, Any]:
    """Keep the times of session starts and of evenly spaced bars: enough to label any zoom."""
    sessions, session_times = axis.sessions()
    positions, times = [sessions], [session_times]
    for stamps, offset in zip(axis.stamps, axis.offsets, strict=True):
        step = max(1, -(-len(stamps) // points))
        positions.append(np.arange(0, len(stamps), step) + offset)
        times.append(stamps[::step])
    at, first = np.unique(np.concatenate(positions), return_index=True)
    return {
        "extent": axis.extent(),
        "at": _pack(at.astype(np.int32)),
        "ms": _pack(np.concatenate(times)[first] / 1000.0),
        "sessions": _pack(sessions.astype(np.int32)),
    }


def _figure(figure: go.Figure) -> dict[str, Any]:
    drawn: dict[str, Any] = json.loads(figure.to_json())
    drawn["layout"].pop("template", None)
    return drawn


def _drawing(drawn: Drawing) -> dict[str, Any]:
    """Return a drawing as JSON has it, as plotly writes it: arrays of numbers as base64 of few bytes."""
    layout = {key: value for key, value in drawn["layout"].items() if key != "template"}
    plain: dict[str, Any] = _plain({"data": drawn["data"], "layout": layout})
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return _typed(value)
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _typed(array: np.ndarray[Any, Any]) -> Any:
    """Return an array as plotly.js reads it: its type, its bytes and, if not flat, its shape."""
    if not array.size:
        return []
    if array.dtype == np.int64:
        low, high = int(array.min()), int(array.max())
        bounds = [(kind, np.iinfo(kind)) for kind in (np.int8, np.int16, np.int32, np.int64)]
        array = array.astype(next(kind for kind, info in bounds if info.min <= low and high <= info.max))
    if array.dtype.str[1:] == "i8":
        return array.tolist()
    shape = {"shape": str(array.shape)[1:-1]} if array.ndim > 1 else {}
    return {"dtype": array.dtype.str[1:], "bdata": _pack(array), **shape}
