"""The alias that turns a plain Python kernel into machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba import types
from numba.extending import overload, register_jitable

_F = TypeVar("_F", bound=Callable[..., Any])


def jit(kernel: _F) -> _F:
    """Compile `kernel` without reassociation or contraction of float arithmetic.

    With ``NUMBA_DISABLE_JIT=1`` the kernel stays the Python function it is. Where no folder
    for the compiled code can be written (a read-only archive on a cluster) it is compiled
    again in each process.
    """
    return _compiled(kernel, error_model="numpy")


def jit_lean(kernel: _F) -> _F:
    """Compile a kernel that makes no array: without a count of references, it can be ten times as fast."""
    return _compiled(kernel, error_model="numpy", _nrt=False)


def jit_step(step: _F, lean: bool = True) -> _F:
    """Compile a user's function: a division by zero and an index out of range raise, as in Python.

    It is kept nowhere but in what calls it: its types are those of one caller. A `lean` one makes
    no array.
    """
    options = {"error_model": "python", "boundscheck": True, "forceinline": True}
    compiled: _F = numba.njit(fastmath=False, _nrt=not lean, **options)(step)
    return compiled


def usable_in_both(function: _F) -> _F:
    """Leave a function as it is for Python, and let compiled kernels call it."""
    marked: _F = register_jitable(function)
    return marked


@overload(float)
def _float_of_truth(value):  # type: ignore[no-untyped-def]  # numba compares the two signatures
    """Let machine code do ``float(a > b)``, which numba leaves out."""
    if isinstance(value, types.Boolean):
        return lambda value: 1.0 if value else 0.0
    return None


def _compiled(kernel: _F, **options: Any) -> _F:
    try:
        compiled: _F = numba.njit(cache=True, fastmath=False, **options)(kernel)
    except RuntimeError:
        compiled = numba.njit(cache=False, fastmath=False, **options)(kernel)
    return compiled
