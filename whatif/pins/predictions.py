"""Pinned predictions of one model for one symbol."""

from __future__ import annotations

import numpy as np

from whatif.pins.filters import all_of, equal, within
from whatif.pins.pin import Pin
from whatif.pins.read import floats, microseconds, read_arrow
from whatif.typing import FloatArray, IntArray


def read_predictions(
    pin: Pin, model_digest: str, symbol: str, start_us: int, end_us: int
) -> tuple[IntArray, FloatArray]:
    """Return the predictions for bars that start in [start_us, end_us), oldest first.

    Returns
    -------
    ts : int64 array (k,)
        Starts of the bars, microseconds UTC.
    prediction : float64 array (k,)
        In the unit of the model's target: a fraction of the close, or a price.
    """
    wanted = all_of(
        equal("model_digest", model_digest), equal("symbol", symbol), within("ts", start_us, end_us)
    )
    table = read_arrow(pin, ["ts", "prediction"], wanted)
    ts = microseconds(table["ts"])
    order = np.argsort(ts, kind="stable")
    return ts[order], floats(table["prediction"])[order]
