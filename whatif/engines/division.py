"""Division by zero in a step: an error, as in Python and in compiled steps, not numpy's infinity."""

from __future__ import annotations

from typing import Any

import numpy as np

_DIVISIONS = ("scalar divide", "scalar floor_divide", "scalar remainder", "scalar divmod")


class _Listener:
    """Told of each invalid operation by numpy, in words."""

    def write(self, text: str) -> None:
        if text.rstrip().endswith(_DIVISIONS):
            raise ZeroDivisionError("division by zero")


def divisions_raise() -> Any:
    """Return a context in which dividing one float64 number by zero raises ZeroDivisionError.

    A value of an array, ``x.close[i]``, is a numpy number, which divided by zero is infinite or
    NaN. Whole arrays, and functions outside their domain, give infinity or NaN as ever, silently.
    """
    return np.errstate(divide="log", invalid="log", over="ignore", under="ignore", call=_Listener())
