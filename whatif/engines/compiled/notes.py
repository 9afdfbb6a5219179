"""Notes of a run for a step that reads them: its last fill, its position's best price, orders that wait.

`Book.notes` holds what fills and bars have left, `NOTES_KEPT` numbers of one symbol; `Book.shown` the orders
that wait, one field after the other, for as many as there is room.
"""

from __future__ import annotations

import math

from whatif.domain import TRADE_TALLY, inlinable_lean, note_trade, room_at, view_at
from whatif.typing import FloatArray

NOTES_KEPT = TRADE_TALLY + 7
LAST_PRICE, LAST_SIZE, LAST_ROW, REALISED, HIGHEST, LOWEST, SINCE = range(TRADE_TALLY, NOTES_KEPT)
"""Places of a symbol's notes, behind the tally of its trades, `whatif.domain.note_trade`: price, signed units
and row of its last fill; what its fills have brought; highest high and lowest low of its position's bars, and
the row on which that was opened, -1 when flat."""

SHOWN_FIELDS = 5
KIND, SIZE, PRICE, AGE, MADE = range(SHOWN_FIELDS)
"""Fields of the orders shown: kind, units left, price, bars since that on which they were made, its row."""

_WORD = 8


@inlinable_lean
def begin_notes(notes: FloatArray) -> None:
    """Write the notes of symbols that have not been traded, `NOTES_KEPT` numbers each."""
    for k in range(0, len(notes), NOTES_KEPT):
        notes[k + LAST_PRICE], notes[k + LAST_SIZE], notes[k + LAST_ROW] = math.nan, 0.0, -math.inf
        notes[k + REALISED], notes[k + HIGHEST], notes[k + LOWEST] = 0.0, math.nan, math.nan
        notes[k + SINCE] = -1.0
        for j in range(k, k + TRADE_TALLY):
            notes[j] = 0.0


@inlinable_lean
def note_fill(
    notes: FloatArray,
    row: int,
    entry: float,
    closed: float,
    opened: float,
    after: float,
    at: float,
    closed_fee: float,
    opened_fee: float,
    mult: float,
) -> None:
    """Note an execution at a price, of units that closed and opened a position with an entry price.

    There are `after` units then, and a unit's profit counts `mult` times.
    """
    notes[LAST_PRICE], notes[LAST_SIZE], notes[LAST_ROW] = at, closed + opened, float(row)
    profit = -closed * (at - entry) * mult
    notes[REALISED] = notes[REALISED] + profit - closed_fee - opened_fee
    note_trade(notes[:TRADE_TALLY], closed, opened, after, at, profit, closed_fee, opened_fee)


@inlinable_lean
def note_position(
    notes: FloatArray, highs: FloatArray, lows: FloatArray, row: int, opened_row: int, size: float
) -> None:
    """Note what the bars of a position have reached, up to a row; to be called on each that is asked on."""
    if size == 0.0:
        notes[SINCE], notes[HIGHEST], notes[LOWEST] = -1.0, math.nan, math.nan
        return
    first = row
    if notes[SINCE] != opened_row:
        notes[SINCE], notes[HIGHEST], notes[LOWEST] = float(opened_row), -math.inf, math.inf
        first = opened_row
    for j in range(first, row + 1):
        notes[HIGHEST] = max(notes[HIGHEST], highs[j])
        notes[LOWEST] = min(notes[LOWEST], lows[j])


@inlinable_lean
def show_order(shown: FloatArray, k: int, kind: int, size: float, price: float, made: int) -> None:
    """Write an order that waits to place `k` of those that are shown."""
    room = len(shown) // SHOWN_FIELDS
    shown[KIND * room + k], shown[SIZE * room + k], shown[PRICE * room + k] = float(kind), size, price
    shown[MADE * room + k] = float(made)


@inlinable_lean
def notes_seen(
    highs: FloatArray,
    lows: FloatArray,
    row: int,
    opened_row: int,
    size: float,
    pending: int,
    at: tuple[int, int, int],
) -> tuple[float, float, float, float, float, float, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return the values of `whatif.strategies.NOTES` at the close of a row.

    Parameters
    ----------
    highs, lows : float64 arrays (stop,)
        Of the symbol.
    row, opened_row, size, pending
        As `asking.ask_step` has them.
    at : tuple of int
        Where the symbol's notes lie, and the orders shown, and for how many of them there is room.
    """
    notes_at, shown_at, room = at
    notes = room_at(notes_at, NOTES_KEPT)
    note_position(notes, highs, lows, row, opened_row, size)
    count = min(pending, room)
    shown = room_at(shown_at, SHOWN_FIELDS * room)
    for k in range(count):
        shown[AGE * room + k] = row - shown[MADE * room + k]
    best, worst = notes[HIGHEST], notes[LOWEST]
    if size < 0.0:
        best, worst = worst, best
    return (
        notes[LAST_PRICE],
        notes[LAST_SIZE],
        row - notes[LAST_ROW],
        best,
        worst,
        notes[REALISED],
        view_at(shown_at + _WORD * KIND * room, count),
        view_at(shown_at + _WORD * SIZE * room, count),
        view_at(shown_at + _WORD * PRICE * room, count),
        view_at(shown_at + _WORD * AGE * room, count),
    )
