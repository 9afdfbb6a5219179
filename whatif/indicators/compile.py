"""The aliases that turn a plain Python kernel into machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from whatif.domain import jit, jit_lean, room_for_partials
from whatif.typing import FloatArray

__all__ = ["filling", "jit", "jit_lean"]


def filling(kernel: Callable[..., None], *, room: bool = False) -> Callable[..., FloatArray]:
    """Return the indicator that `kernel` computes into an array which it is given last, and fills whole.

    Machine code that makes no array itself takes half as long to compile. With `room` the kernel
    is given room for an exact sum's partials after that.
    """

    def filled(source: FloatArray, *others: Any) -> FloatArray:
        result = np.empty(len(source))
        if room:
            kernel(source, *others, result, room_for_partials())
        else:
            kernel(source, *others, result)
        return result

    filled.__doc__ = kernel.__doc__
    return filled
