"""Asking a cross-sectional step on one timestamp: what is compiled for each such strategy.

`kernel` writes this module's text to a file of its own for each strategy, as it does with `asking`.
"""

from __future__ import annotations

from whatif.domain import jit_addressed_lean, room_at, view_at, whole_at
from whatif.engines.compiled.calling import (
    ACROSS_PLACES,
    ANSWER,
    BARS_HELD,
    ENTRY_PRICE,
    HAS_BAR,
    KEPT,
    KEPT_LENGTH,
    PARAMETERS,
    PENDING,
    ROWS,
    SIZES,
    SYMBOLS,
)
from whatif.engines.compiled.step_placeholder import AcrossSeen, across_of, desk_of, params_of, step


def ask_step_python(
    i: int,
    run: int,
    series_at: int,
    places_at: int,
    cash: float,
    value: float,
    session: int,
    bar_of_session: int,
) -> int:
    """Ask the step once; return the code of its answer, which is written to the room for it.

    Parameters
    ----------
    i : int
        Timestamps of the window before this one.
    run : int
        Place of the configuration in the columns of parameters.
    series_at : int
        Where the addresses of its series lie, of all symbols for one series after the other.
    places_at : int
        Where the call's places lie, see `whatif.engines.compiled.calling.ACROSS_PLACES`.
    cash, value, session, bar_of_session
        As in `whatif.strategies.AcrossState`.
    """
    places = whole_at(places_at, ACROSS_PLACES)
    count = places[SYMBOLS]
    x = across_of(series_at, places[ROWS], places[HAS_BAR], count)
    state = AcrossSeen(
        view_at(places[SIZES], count),
        view_at(places[ENTRY_PRICE], count),
        whole_at(places[BARS_HELD], count),
        whole_at(places[PENDING], count),
        cash,
        value,
        session,
        bar_of_session,
        room_at(places[KEPT], places[KEPT_LENGTH]),
        room_at(places[ANSWER], count),
        *desk_of(places, count),
    )
    code: int = step(i, x, params_of(places[PARAMETERS], run), state)
    return code


ask_step = jit_addressed_lean(ask_step_python)
