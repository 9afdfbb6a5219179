"""Market changes: made of an axis' value on the driver, and applied to bars on a worker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

import numpy as np

from whatif.axes import SEAM, MarketAxis, MarketChange, check_changed
from whatif.domain import Bars
from whatif.errors import MachineError, PluginError, StrategyError, StudyError, WhatIfError
from whatif.strategies import identity_of


def change_of(axis: MarketAxis, value: Any) -> MarketChange:
    """Return an axis' value as it travels.

    Raises
    ------
    StudyError
        If what arrives would be another axis.
    PluginError
        If the class' code has no digest.
    """
    own = axis.model_copy(update={"values": (value,)})
    change = MarketChange(axis.kind, own.model_dump_json(by_alias=True), _code(type(axis)))
    there = _read(change)
    if there.model_dump() != own.model_dump():
        raise StudyError(
            f"axis {axis.name!r}: {value!r} cannot travel to a worker as JSON: give numbers, texts, or "
            "mappings of these, or declare their type in the class"
        )
    return change


def change_bars(changes: Sequence[MarketChange], bars: Bars) -> Bars:
    """Return bars after some changes, one after the other.

    Raises
    ------
    MachineError
        If the code of an axis is not here, or another one.
    PluginError
        If an axis raises, or breaks its contract.
    """
    for change in changes:
        axis = axis_of(change)
        value = axis.values[0]
        given = _read_only(bars)
        try:
            made = axis.change_bars(value, given)
        except WhatIfError:
            raise
        except Exception as error:
            raise PluginError(
                f"axis {axis.kind!r}: change_bars of {value!r} on {bars.symbol} raised "
                f"{type(error).__name__}: {error}"
            ) from error
        check_changed(axis, value, bars, made)
        bars = made
    return bars


@lru_cache(maxsize=256)
def axis_of(change: MarketChange) -> MarketAxis:
    """Return the axis, with one value, that a change was made of.

    Raises
    ------
    MachineError
        If its class cannot be imported here, or its code is not what was sent.
    """
    try:
        found = _read(change)
        code = _code(type(found))
    except PluginError as error:
        raise MachineError(f"{error}. Its module is needed on each worker") from error
    if code != change.code:
        raise MachineError(
            f"axis {change.kind!r}: its code here differs from the one sent; install the same version of its "
            "module on every worker"
        )
    return found


@lru_cache(maxsize=64)
def code_of(kind: type[MarketAxis]) -> str:
    """Return a digest of all that the code of an axis can reach, what the class itself holds included.

    Raises
    ------
    PluginError
        If something that it reaches has no value.
    """
    try:
        return identity_of(f"{kind.__module__}:{kind.__qualname__}", kind, noun="axis")[:16]
    except StrategyError as error:
        raise PluginError(str(error)) from error


def _code(kind: type[MarketAxis]) -> str:
    """Return what an identity holds of an axis' code; of one that comes along the results' version counts."""
    return "" if kind in SEAM.built_in.values() else code_of(kind)


def _read(change: MarketChange) -> MarketAxis:
    kind = SEAM.find(change.kind)
    keys = json.dumps({**json.loads(change.keys), "name": change.kind})
    found = kind.model_validate_json(keys)
    assert isinstance(found, MarketAxis)
    return found


def _read_only(bars: Bars) -> Bars:
    """Return views of bars that cannot be written to, since other configurations share them."""
    views: dict[str, Any] = {}
    for field in fields(bars):
        array = getattr(bars, field.name)
        if isinstance(array, np.ndarray):
            views[field.name] = array.view()
            views[field.name].flags.writeable = False
    return replace(bars, **views)
