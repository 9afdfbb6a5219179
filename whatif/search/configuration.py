"""Configurations: points of a study's axes, as workers are given them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from whatif.domain import Execution, Overlays

if TYPE_CHECKING:
    from whatif.axes import MarketChange


@dataclass(frozen=True)
class Configuration:
    """One point of all axes.

    Attributes
    ----------
    config_id : str
        Digest of everything that determines its results apart from data, symbol and window.
    params : mapping of str to scalar
        All parameters of the strategy, defaults included.
    model : str or None
        Name of the model whose predictions it trades.
    timeframe : str
        Length of its bars.
    execution : Execution
        Cash, costs and switches of the broker.
    axes : mapping of str to scalar
        Its value on each axis of the study, as tables show it (`whatif.axes.Axis.shown`).
    overlays : Overlays
        Exits, sizing and latency laid over the strategy.
    fold : int
        Number of the fold in whose train windows its model learnt; 1 without a model.
    point : str
        Names it whatever its model learnt from, so that folds can be joined; `config_id` without
        a model.
    market : tuple of MarketChange
        What is changed of the bars before anything is computed of them.
    world : str
        Which other world it is put to, as tables show it; "" of the one that configurations are chosen in.
    home : str
        `config_id` of the same configuration in that one.
    """

    config_id: str
    params: Mapping[str, Any]
    model: str | None
    timeframe: str
    execution: Execution
    axes: Mapping[str, Any] = field(default_factory=dict)
    overlays: Overlays = field(default_factory=Overlays)
    fold: int = 1
    point: str = ""
    market: tuple[MarketChange, ...] = ()
    world: str = ""
    home: str = ""
