"""What many configurations of one kernel differ in, as columns of numbers, read by their addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

import numpy as np

from whatif.domain import Execution, Overlays, charges_of
from whatif.engines.base import RunInputs
from whatif.engines.compiled.calling import (
    ACROSS_PLACES,
    ANSWER,
    BARS_HELD,
    COLUMNS,
    DESK,
    EACH_DESK,
    ENTRY_PRICE,
    HAS_BAR,
    KEPT,
    KEPT_LENGTH,
    LEFT,
    MEMORY,
    MEMORY_LENGTH,
    MINUTE,
    NOTED,
    PARAMETERS,
    PENDING,
    PLACES,
    ROWS,
    SCRATCH,
    SCRATCH_LENGTH,
    SHOWN,
    SHOWN_ROOM,
    SIZES,
    STOP,
    SYMBOLS,
    TO_CLOSE,
    VOLATILITY,
)
from whatif.engines.compiled.notes import NOTES_KEPT, SHOWN_FIELDS
from whatif.strategies import overlay_rules
from whatif.typing import FloatArray, IntArray

_execution_of, _overlays_of = attrgetter("execution"), attrgetter("overlays")


def cell_text(kind: type, column: int) -> str:
    """Return the text by which a kernel reads its configuration's number of a type, as Python's own number.

    `columns` there are the addresses of columns (c,), `run` the place of the configuration.
    """
    view = "view_at" if kind is float else "whole_at"
    text = f"{view}(columns[{column}], run + 1)[run]"
    return f"float({text})" if kind is float else f"int({text}) != 0" if kind is bool else f"int({text})"


def kind_of(given: RunInputs, members: bool) -> tuple[Any, ...]:
    """Return what configurations must have in common to be run by one call: a kernel, and what it reads.

    With `members`, bars say where a symbol may be traded, and that is acted on earlier by the latency.
    """
    return *kind_of_account(given, members), kinds_of(given.params)


def kind_of_account(given: RunInputs, members: bool) -> tuple[Any, ...]:
    """Return the part of `kind_of` that its settings say."""
    overlays = given.overlays
    late = overlays.latency if members else 0
    read = overlays.sized_by_volatility, overlays.kelly_fraction is not None, late
    return overlays.is_on, overlays.exit_orders, *read, is_special(given)


def noted(notes: FloatArray, many: Sequence[RunInputs], symbols: int) -> FloatArray:
    """Return room for the notes of symbols: what there is for a step that reads them, or for past trades."""
    by_trades = any(given.overlays.kelly_fraction is not None for given in many)
    return np.empty(symbols * NOTES_KEPT) if by_trades and not len(notes) else notes


def is_special(given: RunInputs) -> bool:
    """Return whether a configuration has a setting for which there is machine code of its own."""
    return any(name != "fill_timeframe" for name in given.execution.special)


def has_tiers(given: RunInputs) -> bool:
    """Return whether a configuration's costs go by what is traded in a month."""
    costs = given.execution.costs
    return costs is not None and len(costs.tiers) > 1


def kinds_of(params: Mapping[str, object]) -> tuple[tuple[str, Any], ...]:
    """Return the name of each parameter with its type; of one that is text, with its value."""
    return tuple([(name, v if isinstance(v, str) else type(v)) for name, v in params.items()])


def column(values: Sequence[Any]) -> FloatArray | IntArray:
    """Return values of one type, bool, int or float, as an array (c,) of what `cell_text` reads."""
    if type(values[0]) is float:
        return np.array(values, dtype=np.float64)
    return np.array(values, dtype=np.int64)


def places_of(addresses: Sequence[int], scratch: int, memory: int, stop: int, shown: int) -> IntArray:
    """Return what the calls of a strategy's compiled part share, (PLACES,).

    Parameters
    ----------
    addresses : sequence of int
        Of the minutes from the session's open to each bar, of those from there to its close, of the
        step's and of the overlays' memory, of the addresses of the parameters' columns, of what the
        step's orders are written to, of the parts of a book that `notes` keeps, of a volatility, and of the
        minutes to the close that overlays see.
    scratch, memory : int
        Length of the step's and of the overlays' memory.
    stop : int
        Bars of each series.
    shown : int
        Length of the part with the orders that wait.
    """
    places = np.empty(PLACES, dtype=np.int64)
    at = [MINUTE, TO_CLOSE, SCRATCH, MEMORY, COLUMNS, DESK, NOTED, SHOWN, VOLATILITY, LEFT]
    places[at] = addresses
    places[[SCRATCH_LENGTH, MEMORY_LENGTH, STOP, SHOWN_ROOM]] = scratch, memory, stop, shown // SHOWN_FIELDS
    return places


def across_places_of(addresses: Sequence[int], kept: int, count: int) -> IntArray:
    """Return what the calls of a cross-sectional step share, (ACROSS_PLACES,).

    Parameters
    ----------
    addresses : sequence of int
        Of each symbol's present row, whether it has a bar, its size, entry price, age and waiting orders; of
        the step's memory, the room for its answer, the addresses of the parameters' columns, and the desk for
        orders of each symbol.
    kept, count : int
        Length of the step's memory, and symbols.
    """
    places = np.empty(ACROSS_PLACES, dtype=np.int64)
    at = [ROWS, HAS_BAR, SIZES, ENTRY_PRICE, BARS_HELD, PENDING, KEPT, ANSWER, PARAMETERS, EACH_DESK]
    places[at] = addresses
    places[[KEPT_LENGTH, SYMBOLS]] = kept, count
    return places


def one_of_each(many: Sequence[RunInputs]) -> list[RunInputs]:
    """Return the first configuration with each object of settings: few are shared by many."""
    return list(dict(zip(reversed(_accounts(many)), reversed(many), strict=True)).values())


def _accounts(many: Sequence[RunInputs]) -> list[tuple[int, int]]:
    """Return what tells the objects of settings of each configuration from those of others."""
    return list(zip(map(id, map(_execution_of, many)), map(id, map(_overlays_of, many)), strict=True))


def _place_of_each(many: Sequence[RunInputs]) -> tuple[list[RunInputs], list[int]]:
    """Return one configuration with each object of settings, and the place there of each one's."""
    each = one_of_each(many)
    place = {account: k for k, account in enumerate(_accounts(each))}
    return each, list(map(place.__getitem__, _accounts(many)))


def settings(many: Sequence[RunInputs]) -> FloatArray:
    """Return broker and overlays of each configuration, (c, SETTINGS), as `book.settings_of` reads them."""
    each, places = _place_of_each(many)
    return np.array([_settings(given.execution, given.overlays) for given in each], dtype=np.float64)[places]


def charges(many: Sequence[RunInputs]) -> FloatArray:
    """Return the charges of each configuration, (c, w), in rows as long as their first number says."""
    each, places = _place_of_each(many)
    rows = [charges_of(given.execution.costs) for given in each]
    found = np.zeros((len(rows), max(1, *map(len, rows))))
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return found[places]


@lru_cache(maxsize=256)
def _settings(execution: Execution, overlays: Overlays) -> tuple[float, ...]:
    return (
        float(execution.cash),
        float(execution.commission),
        float(execution.commtype == "fixed"),
        float(execution.shortcash),
        float(execution.slippage),
        float(execution.slippage_fixed),
        float(execution.slip_open),
        float(execution.slip_match),
        float(execution.slip_out),
        float(execution.slip_limit),
        float(execution.checksubmit),
        float(execution.coc),
        *overlay_rules(overlays, execution),
        float(overlays.latency),
        float(execution.is_outright),
        float(execution.margin),
        float(execution.mult),
        float(execution.leverage),
        float(execution.interest) / 365.0,
        float(execution.interest_long),
        *((0.0, 0.0, 0.0) if execution.filler is None else execution.filler.numbers),
        float(execution.coo),
        float(execution.is_corrected),
    )
