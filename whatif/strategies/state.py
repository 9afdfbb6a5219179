"""What a step function sees of its position and account."""

from __future__ import annotations

import numpy as np

from whatif.typing import FloatArray


class State:
    """Position and account at a bar's close; the engine writes it, the step reads it.

    Attributes
    ----------
    size : float
        Units held, negative when short.
    entry_price : float
        Average price of the position; 0.0 when flat.
    bars_held : int
        Bars since the one on which the position was opened; 0 on that bar and when flat.
    cash : float
        Cash of the account.
    value : float
        Cash and positions at this bar's close.
    pending : int
        Orders in this symbol that the broker still holds.
    minute : int
        Whole minutes from the session's regular open to the bar's start; negative before it.
    minutes_to_close : int
        Whole minutes from the bar's start to the session's regular close.
    scratch : float64 array
        Values of the step's own, zeros at the start of the window.
    """

    __slots__ = (
        "bars_held",
        "cash",
        "entry_price",
        "minute",
        "minutes_to_close",
        "pending",
        "scratch",
        "size",
        "value",
    )

    def __init__(self, cash: float, scratch: int) -> None:
        self.size: float = 0.0
        self.entry_price: float = 0.0
        self.bars_held: int = 0
        self.cash: float = cash
        self.value: float = cash
        self.pending: int = 0
        self.minute: int = 0
        self.minutes_to_close: int = 0
        self.scratch: FloatArray = np.zeros(scratch)
