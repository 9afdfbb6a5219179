"""Check of an axis of one's own against what every axis has to keep to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from whatif.axes import Axis, MarketAxis, Settings, read_axes
from whatif.domain import Bars
from whatif.search import axis_of, change_bars, change_of
from whatif.testing.markets import Shape, random_bars

MARKETS = ((1, 700, Shape()), (2, 120, Shape(price=0.5, step=0.02, session_bars=30)), (3, 5, Shape()))
"""Seed, number of bars and shape of the random markets that bars are changed of."""


def check_axis(
    kind: type[Axis],
    values: Sequence[Any],
    keys: Mapping[str, Any] | None = None,
    markets: Sequence[Bars] = (),
) -> None:
    """Raise unless an axis keeps to the contract of `Axis`, and of `MarketAxis` if it changes bars.

    Parameters
    ----------
    kind : type
        The class, which a module must have under its name.
    values : sequence
        Values as a study lists them, at least one.
    keys : mapping, optional
        Further keys of its section, such as {"at": ...}.
    markets : sequence of Bars, optional
        Bars to change beside random ones, such as some at the instants that the keys name.

    Raises
    ------
    PluginError
        If bars break the contract, or the axis raises.
    AssertionError
        If the same is not the same again, a section does not survive being written and read, a value does
        not survive the way to a worker, one that is off changes bars, or what is made of bars up to an
        instant depends on later ones.
    """
    name = f"{kind.__module__}:{kind.__qualname__}"
    (axis,) = read_axes({"own": {"kind": name, "values": list(values), **(keys or {})}}).values()
    (again,) = read_axes({"own": axis.written}).values()
    assert again == axis, f"{name}: {axis!r} was read back as {again!r}"
    given = Settings({}, {}, {}, "1min")
    for value in axis.values:
        assert axis.put(value, given) == axis.put(value, given), f"{name}: {value!r} gives other settings"
        shown = axis.shown(value)
        assert shown is None or isinstance(shown, (bool, int, float, str)), (
            f"{name}: {value!r} shows as {shown!r}"
        )
    assert given == Settings({}, {}, {}, "1min"), f"{name}: put changed the settings that it was given"
    if isinstance(axis, MarketAxis):
        every = [*markets, *(random_bars(seed, n, shape) for seed, n, shape in MARKETS)]
        for value in axis.values:
            # one that is not causal may draw from other sessions, and need some
            for bars in every if axis.causal else [one for one in every if len(np.unique(one.session)) > 1]:
                _check_change(axis, value, bars)


def _check_change(axis: MarketAxis, value: Any, bars: Bars) -> None:
    said = f"{axis.kind}: {value!r}"
    change = change_of(axis, value)
    made = change_bars([change], bars)
    assert _same(change_bars([change], bars), made), f"{said} changes the same bars otherwise"
    arrived = axis_of(change)
    assert _same(arrived.change_bars(arrived.values[0], bars), axis.change_bars(value, bars)), (
        f"{said} changes bars otherwise on a worker"
    )
    if axis.is_off(value):
        assert _same(axis.change_bars(value, bars), bars), f"{said} is off, and changes bars"
    for cut in ({1, len(bars) // 3, len(bars) - 1} - {0}) if axis.causal else ():
        early = change_bars([change], bars.slice(0, cut))
        seen = made.take(made.ts <= bars.ts[cut - 1])
        assert _same(early, seen), f"{said}: bars up to {bars.ts[cut - 1]} depend on later ones"


def _same(one: Bars, other: Bars) -> bool:
    """Whether bars are equal as bytes."""
    names = [field.name for field in fields(one) if isinstance(getattr(one, field.name), np.ndarray)]
    return one.symbol == other.symbol and all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in names
    )
