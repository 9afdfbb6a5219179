"""The functions of C that CPython itself calls, and numpy's own loops, as functions of machine code.

Called by an address that the compiler knows nothing of: what it knows, such as `pow` by 0.5, it
replaces by what is nearly the same.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_ALIKE = (
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
    "cbrt",
)
_INVERSE = ("sin", "cos", "tan", "sinh", "cosh", "tanh")

ONE = ("sqrt", *_ALIKE, *(f"a{name}" for name in _INVERSE), "erf", "erfc")
"""Functions of one float."""

TWO = ("pow", "fmod")
"""Functions of two floats."""

LOOPS = (*_ALIKE, *(f"arc{name}" for name in _INVERSE), "power", "hypot", "add")
"""Functions of numpy's whose bytes are numpy's own business: its compiled loops are called."""

_PREFIX = "whatif_c_"


class _UFunc(ctypes.Structure):
    """The head of numpy's PyUFuncObject, which is part of its binary interface."""

    _fields_ = (
        ("head", ctypes.c_char * object.__basicsize__),
        ("nin", ctypes.c_int),
        ("nout", ctypes.c_int),
        ("nargs", ctypes.c_int),
        ("identity", ctypes.c_int),
        ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)),
        ("ntypes", ctypes.c_int),
    )


def _add_symbols() -> None:
    process = ctypes.CDLL(None)
    library = ctypes.CDLL(ctypes.util.find_library("m") or "libm.so.6")
    for name in (*ONE, *TWO):
        function = getattr(process, name, None) or getattr(library, name)
        llvmlite.binding.add_symbol(_PREFIX + name, ctypes.cast(function, ctypes.c_void_p).value)
    for name in LOOPS:
        ufunc = getattr(np, name)
        held = _UFunc.from_address(id(ufunc))
        if (held.nin, held.nout, held.ntypes) != (ufunc.nin, ufunc.nout, ufunc.ntypes):
            continue
        at = ufunc.types.index("d" * ufunc.nin + "->d")
        llvmlite.binding.add_symbol(f"{_PREFIX}np_{name}", held.functions[at])
        # the loop is told where its own data is, which is a place in this process
        _DATA[name] = ctypes.c_void_p(held.data[at])
        llvmlite.binding.add_symbol(f"{_PREFIX}np_{name}_data", ctypes.addressof(_DATA[name]))
        KNOWN_LOOPS.add(name)


_DATA: dict[str, ctypes.c_void_p] = {}
KNOWN_LOOPS: set[str] = set()
"""Loops that were found."""

_add_symbols()


def emit_libm(builder: Any, name: str, args: Any) -> Any:
    """Emit a call of a function of C's by its name."""
    kind = ir.FunctionType(ir.DoubleType(), [ir.DoubleType()] * len(args))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, _PREFIX + name), args)


def _of_two(name: str) -> Any:
    def choose(_context: Any, one: Any, other: Any) -> Any:
        signature = types.float64(types.float64, types.float64)
        return signature, lambda context, builder, signature, args: emit_libm(builder, name, args)

    choose.__name__ = choose.__qualname__ = f"c_{name}"
    return intrinsic(choose)


c_pow, c_fmod = _of_two("pow"), _of_two("fmod")
"""C's functions of these names."""


def emit_loop(builder: Any, name: str, args: Any, count: Any, result: Any, steps: Any) -> None:
    """Emit a call of one of numpy's loops on pointers to floats."""
    word, byte = ir.IntType(64), ir.IntType(8).as_pointer()
    pointers = cgutils.alloca_once(builder, byte, len(args) + 1)
    strides = cgutils.alloca_once(builder, word, len(args) + 1)
    size = cgutils.alloca_once_value(builder, count)
    for k, (place, step) in enumerate(zip((*args, result), steps, strict=True)):
        at = ir.Constant(ir.IntType(32), k)
        builder.store(builder.bitcast(place, byte), builder.gep(pointers, [at]))
        builder.store(step, builder.gep(strides, [at]))
    data = (
        cgutils.add_global_variable(builder.module, byte, f"{_PREFIX}np_{name}_data")
        if (f"{_PREFIX}np_{name}_data" not in builder.module.globals)
        else builder.module.globals[f"{_PREFIX}np_{name}_data"]
    )
    kind = ir.FunctionType(ir.VoidType(), [byte.as_pointer(), word.as_pointer(), word.as_pointer(), byte])
    function = cgutils.get_or_insert_function(builder.module, kind, f"{_PREFIX}np_{name}")
    builder.call(function, [pointers, size, strides, builder.load(data)])
