"""The alias that turns a plain Python kernel into machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

_F = TypeVar("_F", bound=Callable[..., Any])


def jit(kernel: _F) -> _F:
    """Compile `kernel` without reassociation or contraction of float arithmetic.

    With ``NUMBA_DISABLE_JIT=1`` the kernel stays the Python function it is. Where no folder
    for the compiled code can be written (a read-only archive on a cluster) it is compiled
    again in each process.
    """
    try:
        compiled: _F = numba.njit(cache=True, fastmath=False, error_model="numpy")(kernel)
    except RuntimeError:
        compiled = numba.njit(cache=False, fastmath=False, error_model="numpy")(kernel)
    return compiled
