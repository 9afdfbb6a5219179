"""A step in Python, on Python's own numbers: no number of numpy's reaches it."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NoReturn

import numpy as np

from whatif.strategies import is_installed
from whatif.typing import FloatArray

EARLY = "a bar before the first one: Python counts on from the end there; declare lookback, or test i first"
LATE = "a bar after the present one, which a step cannot know: use indices up to i, and slices up to i + 1"
WHOLE = "a series as a whole, which has no length and no end for it: read x.name[k] or x.name[k:i + 1]"


class Cursor:
    """The row that all series of one run stand on, and what was refused there."""

    __slots__ = ("refused", "row")

    def __init__(self) -> None:
        self.row = -1
        self.refused = ""


NOT_WRITTEN = "the arrays x.name cannot be written to; keep values in s.scratch"
"""What is said of a step that writes into a series."""


class Series:
    """One series, as a step reads it: ``[k]`` and ``[a:b]`` of bars up to the present one.

    Parameters
    ----------
    values : float64 array (n,)
        All of it.
    cursor : Cursor
        Says which row is the present one.
    """

    __slots__ = ("_array", "_cursor", "_values")

    def __init__(self, values: FloatArray, cursor: Cursor) -> None:
        self._array = values
        # a memoryview yields Python floats
        self._values = memoryview(np.ascontiguousarray(values))  # type: ignore[arg-type]
        self._cursor = cursor

    def __getitem__(self, index: Any) -> Any:
        row = self._cursor.row
        if index.__class__ is int:
            if 0 <= index <= row:
                return self._values[index]
            raise self._refused(EARLY if index < 0 else LATE)
        if not isinstance(index, slice):
            raise TypeError(f"x.name[{index!r}]: an index is a whole number, such as i")
        start, stop, step = index.start, index.stop, index.step
        start, stop = 0 if start is None else start, stop
        if stop is None:
            raise self._refused(LATE)
        if step is not None:
            raise TypeError("a slice x.name[a:b] takes no step")
        if start < 0 or stop < 0:
            raise self._refused(EARLY)
        if start > row + 1 or stop > row + 1:
            raise self._refused(LATE)
        return self._array[start:stop].view(Floats)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise TypeError(NOT_WRITTEN)

    def _refused(self, why: str) -> IndexError:
        self._cursor.refused = why
        return IndexError(why)

    def _whole(self, *_args: Any, **_keywords: Any) -> NoReturn:
        self._cursor.refused = WHOLE
        raise TypeError(WHOLE)

    __len__ = __iter__ = __array__ = __contains__ = __reversed__ = _whole
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _whole
    __lt__ = __le__ = __gt__ = __ge__ = _whole

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        self._whole()


def scalar(value: Any) -> Any:
    """Return a number of numpy's as Python's, and arrays as ones that yield Python's numbers."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.item() if value.ndim == 0 else value.view(Floats)
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(map(scalar, value))
    return value


class Floats(np.ndarray):
    """An array whose elements, sums and means are Python's numbers."""

    def __getitem__(self, index: Any) -> Any:
        return scalar(super().__getitem__(index))

    def __iter__(self) -> Any:
        return map(scalar, super().__iter__())

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return array.item() if array.ndim == 0 else array.view(Floats)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return scalar(func(*map(_numpys, args), **{name: _numpys(value) for name, value in kwargs.items()}))


def _numpys(value: Any) -> Any:
    """Return an array as numpy's own, which numpy's functions expect of what they call themselves."""
    if isinstance(value, Floats):
        return value.view(np.ndarray)
    return type(value)(map(_numpys, value)) if type(value) in (list, tuple) else value


def _reduced(name: str) -> Callable[..., Any]:
    native = getattr(np.ndarray, name)

    def method(self: Any, *args: Any, **keywords: Any) -> Any:
        return scalar(native(self.view(np.ndarray), *args, **keywords))

    method.__name__ = name
    return method


for _name in [
    "all",
    "any",
    "argmax",
    "argmin",
    "cumprod",
    "cumsum",
    "dot",
    "item",
    "max",
    "mean",
    "min",
    "prod",
    "std",
    "sum",
    "take",
    "var",
]:  # numpy's own give numbers of numpy's
    setattr(Floats, _name, _reduced(_name))


class _Module:
    """A module of numpy's, or of the user's, whose functions give Python's numbers."""

    def __init__(self, module: types.ModuleType, done: dict[int, Any]) -> None:
        self._module, self._done = module, done

    def __getattr__(self, name: str) -> Any:
        found = _replaced(getattr(self._module, name), self._done)
        setattr(self, name, found)
        return found


class _Function:
    """A function of numpy's that takes and gives Python's numbers, of which True is 1.

    Numpy itself has no sine or square of truth values, and takes the shortest numbers that hold them: it
    computes in half precision, or in bytes. Its powers of whole numbers wrap beyond 64 bits, and refuse a
    negative exponent: they are those of floats here.
    """

    def __init__(self, function: Any) -> None:
        self._function = function
        self._takes = _numpys
        if function is np.power:
            self._takes = _as_float
        elif _knows_numbers_only(function):
            self._takes = _as_number

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        named = {name: _numpys(value) for name, value in keywords.items()}
        return scalar(self._function(*map(self._takes, args), **named))

    def __getattr__(self, name: str) -> Any:
        return _given(getattr(self._function, name))


def _knows_numbers_only(function: Any) -> bool:
    truths = "?" * getattr(function, "nin", 0)
    return isinstance(function, np.ufunc) and not any(
        kind.startswith(f"{truths}->") for kind in function.types
    )


def _as_number(value: Any) -> Any:
    return int(value) if value.__class__ is bool else _numpys(value)


def _as_float(value: Any) -> Any:
    return float(value) if isinstance(value, int) else _numpys(value)


def _given(value: Any) -> Any:
    """Return what a step gets in place of a value from outside itself."""
    if isinstance(value, (np.generic, np.ndarray, tuple)):
        return scalar(value)
    if isinstance(value, np.ufunc) or str(getattr(value, "__module__", "")).partition(".")[0] == "numpy":
        # types stay what they are, for isinstance, but for those that make a number
        number = isinstance(value, type) and issubclass(value, np.generic)
        return _Function(value) if number or (callable(value) and not isinstance(value, type)) else value
    return value


def in_python(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return a step that gets Python's numbers from numpy; itself, where it takes nothing of numpy's."""
    return _copied(step, {})


def _copied(function: Callable[..., Any], done: dict[int, Any]) -> Callable[..., Any]:
    if id(function) in done:
        known: Callable[..., Any] = done[id(function)]
        return known
    done[id(function)] = function
    own, around = function.__globals__, _around(function)
    taken = {name: own[name] for name in _names(function.__code__) if name in own}
    changed = {name: new for name, old in taken.items() if (new := _replaced(old, done)) is not old}
    cells = {name: new for name, old in around.items() if (new := _replaced(old, done)) is not old}
    defaults = tuple(map(_given, function.__defaults__ or ()))
    if not changed and not cells and all(map(_is, defaults, function.__defaults__ or ())):
        return function
    closure = tuple(
        types.CellType(cells[name]) if name in cells else cell
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    )
    copy = types.FunctionType(
        function.__code__, {**own, **changed}, function.__name__, defaults or None, closure
    )
    copy.__kwdefaults__, copy.__module__ = function.__kwdefaults__, function.__module__
    done[id(function)] = copy
    return copy


def _is(one: Any, other: Any) -> bool:
    return one is other


def _replaced(value: Any, done: dict[int, Any]) -> Any:
    # what numba compiled runs in Python as the function that it was
    plain = getattr(value, "py_func", value)
    if isinstance(plain, types.FunctionType) and not plain.__module__.startswith(("whatif.", "numpy")):
        return _copied(plain, done)
    if isinstance(value, types.ModuleType):
        own = value.__name__.partition(".")[0] == "numpy" or not is_installed(value)
        return done.setdefault(id(value), _Module(value, done)) if own else value
    return _given(value)


def _around(function: Callable[..., Any]) -> Mapping[str, Any]:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: cell.cell_contents for name, cell in cells if cell != types.CellType()}


def _names(code: types.CodeType) -> set[str]:
    inner = [value for value in code.co_consts if isinstance(value, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def numpys_warnings_off() -> AbstractContextManager[Any]:
    """Return a context in which numpy's arrays divide by zero, and leave their domain, without a word."""
    return np.errstate(all="ignore")
