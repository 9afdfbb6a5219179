"""What compiles of a strategy's loop: without numba's memory management first, which is faster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from whatif.errors import WhatIfError

Loop = Callable[..., Any]


class RefusedByNumbaError(Exception):
    """What numba says of a step that it cannot compile, in all its words."""


class CompileWithFallback:
    """The first of several makings of a loop that numba can compile, found when it is called.

    What cannot be compiled is not tried again in this process.

    Parameters
    ----------
    makers : sequence of callable
        Each returns a loop; all of them take the same arguments.
    """

    def __init__(self, makers: Sequence[Callable[[], Loop]]) -> None:
        self._run = makers[0]()
        self._others = list(makers[1:])
        self._refusal = ""

    def __call__(self, *args: Any) -> Any:
        """Run the loop.

        Raises
        ------
        RefusedByNumbaError
            If none of them can be compiled.
        """
        return self._tried(lambda: self._run(*args))

    def compile(self, types: tuple[Any, ...]) -> None:
        """Compile the loop for arguments of these types, or find it on disk, without running it.

        Raises
        ------
        RefusedByNumbaError
            If none of them can be compiled.
        """
        # a plain function, where numba is told to compile nothing, has no such method
        self._tried(lambda: self._run.compile(types) if hasattr(self._run, "compile") else None)

    def _tried(self, use: Callable[[], Any]) -> Any:
        while not self._refusal:
            try:
                return use()
            except Exception as error:
                # a refused folder of kernels is no fault of the step's
                if isinstance(error, WhatIfError) or not _while_compiling(error):
                    raise
                # the last one was allowed most, so what it says is not about memory
                if self._others:
                    self._run = self._others.pop(0)()
                else:
                    self._refusal = str(error) or type(error).__name__
        raise RefusedByNumbaError(self._refusal)


def _while_compiling(error: Exception) -> bool:
    """Return whether numba raised an error, not the step: by the functions that it passed through."""
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).startswith("numba."):
            return True
        trace = trace.tb_next
    return False
