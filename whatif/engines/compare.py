"""Two runs, compared to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from whatif.domain import EngineRun

_SERIES = ("ts", "cash", "equity", "position", "close")


def differences(first: EngineRun, second: EngineRun) -> list[str]:
    """Return in words where two runs differ; empty if they are equal as bytes.

    Compared are fills (all columns, and finer bars that they happened on), orders refused for want of cash,
    cash, equity, position and trades. 0.0 and -0.0 differ, and so do NaNs of different bits. Of each array
    the first row that differs is named, with both values.
    """
    names = _names(first, second)
    found = []
    if first.symbols != second.symbols:
        found.append(f"symbols: {first.symbols} ({names[0]}), {second.symbols} ({names[1]})")
    found += _columns("fills", first.fills, second.fills, names)
    if first.margin_rejected != second.margin_rejected:
        found.append(
            f"margin_rejected: {first.margin_rejected} ({names[0]}), {second.margin_rejected} ({names[1]})"
        )
    if first.fill_ts is not None or second.fill_ts is not None:
        found += _array("filled_at", first.filled_at, second.filled_at, names)
    for name in _SERIES:
        found += _array(name, getattr(first, name), getattr(second, name), names)
    # trades follow from fills, and would only repeat what differs there
    return found or list(_columns("trades", first.trades, second.trades, names))


def _names(first: EngineRun, second: EngineRun) -> tuple[str, str]:
    if first.engine == second.engine:
        return "first", "second"
    return first.engine, second.engine


def _columns(kind: str, first: Any, second: Any, names: tuple[str, str]) -> Iterator[str]:
    for column in fields(first):
        one, other = getattr(first, column.name), getattr(second, column.name)
        yield from _array(f"{kind}.{column.name}", one, other, names)


def _array(name: str, one: np.ndarray, other: np.ndarray, names: tuple[str, str]) -> Iterator[str]:
    if one.dtype != other.dtype:
        yield f"{name}: {one.dtype} ({names[0]}), {other.dtype} ({names[1]})"
        return
    row = _first_row(one, other)
    if row is not None:
        yield f"{name}: row {row}: {_at(one, row)} ({names[0]}), {_at(other, row)} ({names[1]})"
    elif one.shape != other.shape:
        yield f"{name}: {one.shape[-1]} rows ({names[0]}), {other.shape[-1]} rows ({names[1]})"


def _first_row(one: np.ndarray, other: np.ndarray) -> int | None:
    """Return the first row (last axis) whose bytes differ among those that both have."""
    shared = min(one.shape[-1], other.shape[-1])
    if one.shape[:-1] != other.shape[:-1]:
        return None
    a, b = (np.ascontiguousarray(x[..., :shared]) for x in (one, other))
    if a.tobytes() == b.tobytes():
        return None
    unlike = a.view(np.uint64) != b.view(np.uint64)
    return int(np.flatnonzero(unlike.reshape(-1, shared).any(axis=0))[0])


def _at(array: np.ndarray, row: int) -> str:
    return repr(array[..., row].tolist())
