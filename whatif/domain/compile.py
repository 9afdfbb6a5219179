"""Compiler of plain Python kernels: the aliases of numba's that the engine uses.

Numba is imported when a kernel is first called or compiled: most commands need none, and its import takes
half a second.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache, update_wrapper
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar
from zipfile import ZipFile
from zipimport import zipimporter

from whatif.domain.private import exposed, make_private
from whatif.startup import compare_flags_at_once, import_arrays_of_numba

_F = TypeVar("_F", bound=Callable[..., Any])

_FROM_PYTHON = {"no_cfunc_wrapper": True}
"""No entry for callers in C: nobody calls these kernels from there, and each one takes time to compile."""

_FROM_KERNELS = {**_FROM_PYTHON, "no_cpython_wrapper": True}
"""No entry for Python either, which would unpack each argument: an eighth of the time of a kernel."""


def _archive_of(names: Mapping[str, Any]) -> str:
    """Return the archive that a module with these globals is imported from; "" if it is a file."""
    loader = names.get("__loader__")
    return loader.archive if isinstance(loader, zipimporter) else ""


@lru_cache(maxsize=8)
def _content(archive: str) -> str:
    with ZipFile(archive) as opened:
        entries = sorted((entry.filename, entry.CRC) for entry in opened.infolist())
    return hashlib.sha256(repr(entries).encode()).hexdigest()[:32]


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


def _packed(caching: Any) -> Any:
    """Return numba's locator of machine code for a package in an archive, given numba's module of them."""

    class Packed(caching._CacheLocator):  # type: ignore[misc]  # numba has no types
        """Keeps machine code of a package that is imported from an archive, by all that the archive holds.

        A cluster's executors find the archive in a folder of its own for each application, by which numba's
        own locator goes: it would compile everything anew each time.
        """

        def __init__(self, function: Any, file: str, content: str, cache: Path) -> None:
            self._content = content
            self._py_file = file  # numba's warning of what it cannot keep names it
            self._line = function.__code__.co_firstlineno
            self._folder = cache / "whatif" / "kernels" / content / function.__module__

        @classmethod
        def from_function(cls, py_func: Any, py_file: str) -> Any:
            archive = _archive_of(py_func.__globals__)
            if not archive:
                return None
            try:
                found = cls(py_func, py_file, _content(archive), Path.home() / ".cache")
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

    return Packed


def _by_sources(locator: Any) -> Any:
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


def _prepared_first(event: Any) -> Any:
    """Return what prepares numba before it first compiles or loads, which is when it takes its lock."""

    class Locked(event.Listener):  # type: ignore[misc]  # numba has no types
        def __init__(self) -> None:
            self._first = True

        def on_start(self, _event: Any) -> None:
            if self._first:
                self._first = False
                import_arrays_of_numba()
                compare_flags_at_once()

        def on_end(self, _event: Any) -> None:
            """Do nothing: a listener has to have both."""

    return Locked()


def _convert_truth(numba: Any) -> None:
    """Let machine code do ``float(a > b)``, which numba leaves out."""

    @numba.extending.overload(float)
    def float_of_truth(value):  # type: ignore[no-untyped-def]  # numba compares the two signatures
        if isinstance(value, numba.types.Boolean):
            return lambda value: 1.0 if value else 0.0
        return None


_UNSWITCHED = 350
"""Instructions of a loop that LLVM copies for both outcomes of a test that is the same in all turns; 50 if it
is not told. A step's loop has many tests of its parameters, and is slow where vectors go both ways."""

_LLVM = 22
"""The last version of LLVM that is known to have the option: a process that names another one is ended."""

_lock = RLock()
_waiting: list[Callable[[], None]] = []
_numba: Any = None


def _set_up() -> Any:
    """Import numba, with what this package adds to it; return it."""
    global _numba
    with _lock:
        if _numba is None:
            import numba
            import numba.extending
            from llvmlite import binding as llvm
            from numba.core import caching, event
            from numba.core.registry import cpu_target

            if llvm.llvm_version_info[0] <= _LLVM:
                llvm.set_option("whatif", f"-unswitch-threshold={_UNSWITCHED}")
            # older versions of numba have it under the second name
            implementation = getattr(caching, "CacheImpl", None) or caching._CacheImpl
            own = [one for one in implementation._locator_classes if "IPython" not in one.__name__]
            implementation._locator_classes[:0] = [_packed(caching), *map(_by_sources, own)]
            # what the first decorator would make, under the lock too: from here on that is for code
            _ = cpu_target.target_context
            event.register("numba:compiler_lock", _prepared_first(event))
            _convert_truth(numba)
            _numba = numba
        while _waiting:
            _waiting.pop(0)()
        return _numba


def before_compiling(teach: Callable[[], None]) -> None:
    """Let a function teach numba something, before it compiles or loads anything of this package."""
    with _lock:
        _waiting.append(teach)
        if _numba is not None:
            _set_up()


class CompiledLater:
    """A kernel that numba compiles, or finds on disk, when it is first called or becomes part of another one.

    Whatever else is asked of it, its compiled function answers.

    Attributes
    ----------
    py_func : callable
        The kernel as it was written.
    """

    def __init__(self, kernel: Callable[..., Any], options: Mapping[str, Any]) -> None:
        update_wrapper(self, kernel)
        self.py_func = kernel
        self._options = options

    @cached_property
    def compiled(self) -> Any:
        """Numba's function; where numba is told to compile nothing, the kernel."""
        options = {"fastmath": False, **_FROM_PYTHON, **self._options}
        try:
            return _set_up().njit(cache=True, **options)(self.py_func)
        except RuntimeError:  # no folder for the machine code can be written
            return _set_up().njit(cache=False, **options)(self.py_func)

    def __call__(self, *given: Any) -> Any:
        """Call it."""
        return self.compiled(*given)

    def __getattr__(self, name: str) -> Any:
        """Return what its compiled function has under this name; numba asks for `_numba_type_`."""
        return getattr(self.compiled, name)


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
    compiled: _F = _set_up().njit(fastmath=False, _nrt=not lean, **options)(step)
    return compiled


def inlinable(function: _F) -> _F:
    """Leave a function as it is for Python, and let compiled kernels call it."""
    return _inlinable(function, _FROM_PYTHON)


def inlinable_lean(function: _F) -> _F:
    """Do as `inlinable` for what makes no array; it becomes a piece of each kernel that calls it."""
    options = {"error_model": "numpy", "forceinline": True, **_FROM_PYTHON}
    return _inlinable(function, {"_nrt": False, **options})


def _inlinable(function: _F, options: Mapping[str, Any]) -> _F:
    def teach() -> None:
        _numba.extending.register_jitable(**options)(function)

    before_compiling(teach)
    return function


def _compiled(kernel: _F, **options: Any) -> _F:
    later: Any = CompiledLater(kernel, options)
    return later  # type: ignore[no-any-return]
