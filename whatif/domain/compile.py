"""Compiler of plain Python kernels: the aliases of numba's that the engine uses."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from zipfile import ZipFile
from zipimport import zipimporter

import numba
from numba import types
from numba.core import caching, event
from numba.core.registry import cpu_target
from numba.extending import overload, register_jitable

from whatif.domain.private import exposed, make_private
from whatif.startup import compare_flags_at_once, import_arrays_of_numba

_F = TypeVar("_F", bound=Callable[..., Any])

_FROM_PYTHON = {"no_cfunc_wrapper": True}
"""No entry for callers in C: nobody calls these kernels from there, and each one takes time to compile."""

_FROM_KERNELS = {**_FROM_PYTHON, "no_cpython_wrapper": True}
"""No entry for Python either, which would unpack each argument: an eighth of the time of a kernel."""


class _Locked(event.Listener):  # type: ignore[misc]  # numba has no types
    """What happens before numba first compiles or loads, which is when it takes its lock."""

    def __init__(self) -> None:
        self._first = True

    def on_start(self, _event: event.Event) -> None:
        if self._first:
            self._first = False
            import_arrays_of_numba()
            compare_flags_at_once()

    def on_end(self, _event: event.Event) -> None:
        """Do nothing: a listener has to have both."""


def _archive_of(names: Mapping[str, Any]) -> str:
    """Return the archive that a module with these globals is imported from; "" if it is a file."""
    loader = names.get("__loader__")
    return loader.archive if isinstance(loader, zipimporter) else ""


@lru_cache(maxsize=8)
def _content(archive: str) -> str:
    with ZipFile(archive) as opened:
        entries = sorted((entry.filename, entry.CRC) for entry in opened.infolist())
    return hashlib.sha256(repr(entries).encode()).hexdigest()[:32]


class _Packed(caching._CacheLocator):  # type: ignore[misc]  # numba has no types
    """Keeps machine code of a package that is imported from an archive, by all that the archive holds.

    A cluster's executors find the archive in a folder of its own for each application, by which numba's
    own locator goes: it would compile everything anew each time.
    """

    def __init__(self, function: Any, content: str, cache: Path) -> None:
        self._content = content
        self._line = function.__code__.co_firstlineno
        self._folder = cache / "whatif" / "kernels" / content / function.__module__

    @classmethod
    def from_function(cls, py_func: Any, _py_file: str) -> _Packed | None:
        archive = _archive_of(py_func.__globals__)
        if not archive:
            return None
        try:
            found = cls(py_func, _content(archive), Path.home() / ".cache")
            make_private(Path(found.get_cache_path()))
            found.ensure_cache_path()
        except (OSError, RuntimeError):  # no home, or none that may be written to
            return None
        # what others may write to is neither read nor written: it is a pickle
        return None if exposed(Path(found.get_cache_path())) else found

    def get_cache_path(self) -> str:
        return str(self._folder)

    def get_source_stamp(self) -> str:
        return self._content

    def get_disambiguator(self) -> str:
        return str(self._line)


_COMPILED = ("domain", "engines", "indicators", "stats", "strategies")
"""Rooms whose functions become parts of kernels."""


_PACKAGE = Path(__file__).parents[1]


@lru_cache(maxsize=4)
def sources_digest(package: Path = _PACKAGE) -> str:
    """Return a digest of all sources of the package in a folder that kernels are made of.

    Of this package in an archive, it is one of all that the archive holds.
    """
    archive = _archive_of(globals())
    if archive and package == _PACKAGE:
        return _content(archive)
    files = [path for room in _COMPILED for path in sorted(Path(package, room).rglob("*.py"))]
    parts = [
        (path.relative_to(package).as_posix(), hashlib.sha256(path.read_bytes()).digest()) for path in files
    ]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _of_all_sources(locator: Any) -> Any:
    """Return a locator of numba's that knows a kernel of this package by all that may be a part of it.

    Numba's own looks at the kernel's file alone: a function in another one that has become part of it could
    change unseen, with an upgrade that leaves the kernel's file as it was.
    """

    class Stamped(locator):  # type: ignore[misc]  # numba has no types
        @classmethod
        def from_function(cls, py_func: Any, py_file: str) -> Any:
            return (
                super().from_function(py_func, py_file) if py_func.__module__.startswith("whatif.") else None
            )

        def get_source_stamp(self) -> Any:
            return super().get_source_stamp(), sources_digest()

    return Stamped


# older versions of numba have it under the second name
_implementation = getattr(caching, "CacheImpl", None) or caching._CacheImpl
_implementation._locator_classes[:0] = [
    _Packed,
    *(_of_all_sources(one) for one in _implementation._locator_classes if "IPython" not in one.__name__),
]

# what the first decorator would make, under the lock too: from here on that is for code
_TARGET = cpu_target.target_context
event.register("numba:compiler_lock", _Locked())


def jit(kernel: _F) -> _F:
    """Compile `kernel` without reassociation or contraction of float arithmetic.

    With ``NUMBA_DISABLE_JIT=1`` the kernel stays the Python function it is. Where no folder
    for the compiled code can be written (a machine without home folders) it is compiled again
    in each process.
    """
    return _compiled(kernel, error_model="numpy")


def jit_lean(kernel: _F) -> _F:
    """Compile a kernel that makes no array: without a count of references, it can be ten times as fast."""
    return _compiled(kernel, error_model="numpy", _nrt=False)


def jit_addressed(kernel: _F) -> _F:
    """Do as `jit` for a kernel that is called by its address alone, never from Python."""
    return _compiled(kernel, error_model="numpy", **_FROM_KERNELS)


def jit_addressed_lean(kernel: _F) -> _F:
    """Do as `jit_lean` for a kernel that is called by its address alone, never from Python."""
    return _compiled(kernel, error_model="numpy", _nrt=False, **_FROM_KERNELS)


def jit_step(step: _F, lean: bool, translator: type) -> _F:
    """Compile a user's function: a division by zero and an index out of range raise, as in Python.

    It is kept nowhere but in what calls it: its types are those of one caller. A `lean` one makes
    no array. The `translator` is a compiler of numba's that knows what Python means.
    """
    options = {"error_model": "python", "boundscheck": True, "forceinline": True, **_FROM_KERNELS}
    options["pipeline_class"] = translator
    compiled: _F = numba.njit(fastmath=False, _nrt=not lean, **options)(step)
    return compiled


def inlinable(function: _F) -> _F:
    """Leave a function as it is for Python, and let compiled kernels call it."""
    marked: _F = register_jitable(**_FROM_PYTHON)(function)
    return marked


def inlinable_lean(function: _F) -> _F:
    """Do as `inlinable` for what makes no array; it becomes a piece of each kernel that calls it."""
    options = {"error_model": "numpy", "forceinline": True, **_FROM_PYTHON}
    marked: _F = register_jitable(_nrt=False, **options)(function)
    return marked


@overload(float)
def _float_of_truth(value):  # type: ignore[no-untyped-def]  # numba compares the two signatures
    """Let machine code do ``float(a > b)``, which numba leaves out."""
    if isinstance(value, types.Boolean):
        return lambda value: 1.0 if value else 0.0
    return None


def _compiled(kernel: _F, **options: Any) -> _F:
    try:
        compiled: _F = numba.njit(cache=True, fastmath=False, **{**_FROM_PYTHON, **options})(kernel)
    except RuntimeError:
        compiled = numba.njit(cache=False, fastmath=False, **{**_FROM_PYTHON, **options})(kernel)
    return compiled
