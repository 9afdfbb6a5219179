"""What compiles of a strategy's part: without numba's memory management first, which is faster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from whatif.errors import WhatIfError

Function = Callable[..., Any]


class RefusedByNumbaError(Exception):
    """What numba says of a step that it cannot compile, in all its words."""


class CompileWithFallback:
    """The first of several makings of a function that numba can compile.

    What cannot be compiled is not tried again in this process.

    Parameters
    ----------
    makers : sequence of callable
        Each returns a function; all of them take the same arguments.
    """

    def __init__(self, makers: Sequence[Callable[[], Function]]) -> None:
        self._run = makers[0]()
        self._others = list(makers[1:])
        self._refusal = ""

    def compile(self, types: tuple[Any, ...]) -> Function:
        """Compile it for arguments of these types, or find it on disk; return what compiles.

        Raises
        ------
        RefusedByNumbaError
            If none of them can be compiled.
        """
        while not self._refusal:
            try:
                # a plain function, where numba is told to compile nothing, has no such method
                if hasattr(self._run, "compile"):
                    self._run.compile(types)
                return self._run
            except Exception as error:
                # a refused folder of kernels is no fault of the step's
                if isinstance(error, WhatIfError):
                    raise
                # the last one was allowed most, so what it says is not about memory
                if self._others:
                    self._run = self._others.pop(0)()
                else:
                    self._refusal = str(error) or type(error).__name__
        raise RefusedByNumbaError(self._refusal)
