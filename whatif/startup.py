"""Start-up: what makes commands and workers begin sooner, each with the seconds that it gains.

Seconds are of a processor, the least of five with and without, on one core of a small machine. Two more need
what stands above this module: `whatif.session.start_ahead` and `whatif.runner.warm_up`.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
import zipimport
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from threading import Lock, RLock, Thread
from types import ModuleType
from typing import Any

_COLLECTOR = (50_000, 20, 50)
_WORKERS_COLLECTOR = (300_000, 20, 50)
"""A worker has imported some 250,000 objects by its first rows, and makes few that hold each other."""

_SPECIAL = ("ndtr", "ndtri", "stdtr")
"""Functions that scipy's package gives as they are compiled."""

_FOR_ARROW = {
    "pandas._libs.tslibs": ("NaT", "Timedelta", "Timestamp"),
    "pandas._libs.missing": ("NA",),
    "pandas._libs.tslibs.offsets": ("DateOffset",),
}
"""What pyarrow looks for in pandas when it first makes an array of Python's objects."""

_lock = Lock()
_depth = 0
_was_on = False
_compiling: tuple[int, Callable[[], object]] | None = None


@contextmanager
def without_collecting() -> Iterator[None]:
    """Hold Python's cyclic garbage collector for a short while, such as the import of large modules.

    It looks at all objects again and again while their number grows. What is freed by counting
    references is freed all the same. Gain: 0.2 of 0.75 s of the import of PyIceberg, which is most of a
    process's first read. Importing numba and compiling gain nothing.
    """
    global _depth, _was_on
    with _lock:
        if _depth == 0:
            _was_on = gc.isenabled()
            gc.disable()
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0 and _was_on:
                gc.enable()


def collect_seldom() -> None:
    """Let the collector of a command look at objects less often.

    Gain: 0.8 of 4.9 s of what `whatif run` imports.
    """
    gc.set_threshold(*_COLLECTOR)


@cache
def freeze_imports() -> None:
    """Keep what a worker has imported by now from being looked through again and again.

    Gain: 0.13 s for each full collection.
    """
    gc.freeze()


def import_arrays_of_numba() -> None:
    """Let numba import its functions on arrays without scipy, and what else it compiles by when it compiles.

    On import they ask whether there is a BLAS by importing scipy's. They ask again where a step calls
    what needs one, and import it then. Gain: 0.29 s in a process that compiles its first kernel, or loads
    one that calls such a function.

    To load machine code numba imports all that code may be made of, and reads none of it; whoever compiles
    imports that, too. Gain: 0.17 s in a process that loads all of its kernels.
    """
    from numba.core import caching, event
    from numba.core.runtime import rtsys

    sys.meta_path.insert(0, _AsksForNoBlas())

    def load_overload(self: Any, sig: Any, target_context: Any) -> Any:
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)

    event.register("numba:compile", _heard_of_compiling(event))
    kept = caching.Cache
    if hasattr(kept, "_load_overload") and hasattr(kept, "_guard_against_spurious_io_errors"):
        kept.load_overload = load_overload


class _AsksForNoBlas(MetaPathFinder, Loader):
    """Finds numba's functions on arrays, and lets them not ask for a BLAS while they are imported."""

    def __init__(self) -> None:
        self._own: Loader | None = None

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where they are; None of any other module."""
        found = PathFinder.find_spec(name, path) if name == "numba.np.arraymath" else None
        if found is not None:
            self._own, found.loader = found.loader, self
        return found

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return what their own loader makes."""
        return None if self._own is None else self._own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Import them; where there is no scipy, they are told so."""
        from numba.np import linalg

        assert self._own is not None
        ask = getattr(linalg, "ensure_blas", None)
        quiet = ask is not None and importlib.util.find_spec("scipy") is not None
        if quiet:
            linalg.ensure_blas = lambda: None
        try:
            self._own.exec_module(module)
        finally:
            if quiet:
                linalg.ensure_blas = ask


@contextmanager
def told_of_compiling(tell: Callable[[], object]) -> Iterator[None]:
    """Call a function once, when numba compiles something in this process as long as the block goes on.

    It is called before that is compiled, which may take seconds. What is found on disk is not compiled.

    Parameters
    ----------
    tell : callable
        What it raises is lost: it is called from inside numba.
    """
    global _compiling
    before, _compiling = _compiling, (os.getpid(), tell)
    try:
        yield
    finally:
        _compiling = before


def say_compiling() -> None:
    """Call what `told_of_compiling` was given, if not yet: this process compiles, or one of its own."""
    global _compiling
    # a child that was forked says nothing of its own accord
    if _compiling is not None and _compiling[0] == os.getpid():
        (_, tell), _compiling = _compiling, None
        with suppress(Exception):
            tell()


def _heard_of_compiling(event: Any) -> Any:
    """Return what hears of each compilation before it begins, given numba's module of events."""

    class Heard(event.Listener):  # type: ignore[misc]  # numba has no types
        def on_start(self, _event: Any) -> None:
            say_compiling()

        def on_end(self, _event: Any) -> None:
            """Do nothing: a listener has to have both."""

    return Heard()


def compare_flags_at_once() -> None:
    """Let numba compare the flags of its compiler without asking for each of them in Python.

    It does so thousands of times for a kernel, each time it looks for what it compiled already. Gain: 0.25 of
    1.5 s for each kernel that is compiled.
    """
    from numba.core.targetconfig import TargetConfig

    if "_values" not in getattr(TargetConfig, "__slots__", ()):  # a version that keeps them elsewhere
        return
    defaults: dict[type, dict[str, Any]] = {}

    def values(flags: Any) -> dict[str, Any]:
        kind = type(flags)
        if kind not in defaults:
            defaults[kind] = {name: option.default for name, option in kind.options.items()}
        set_ones: dict[str, Any] = flags._values
        return defaults[kind] | set_ones

    TargetConfig.values = values


def arrow_without_pandas() -> None:
    """Let pyarrow make arrays without importing pandas, as long as nobody else does.

    It asks of whatever it is given whether that is pandas's, for which it imports it. Here it hears that
    there is no frame yet, and gets pandas's times and its missing value, which it looks for once, from the
    modules that have them. As soon as anybody takes more of pandas, that is imported, and pyarrow has it as
    ever. Nothing happens where pandas is imported already. Gain: 0.2 s in a worker.
    """
    import pyarrow.lib

    arrow = getattr(pyarrow.lib, "_pandas_api", None)
    if arrow is None or "pandas" in sys.modules:
        return

    def tell() -> None:
        with suppress(ImportError):  # a version that pyarrow has no use for
            arrow.pd  # noqa: B018 (it looks again)

    none = _NoPandas()
    sys.meta_path.insert(0, none)
    try:
        arrow.have_pandas  # noqa: B018 (it asks, and never again)
    finally:
        sys.meta_path.remove(none)
    defer_package("pandas", tell)
    package = sys.modules.get("pandas")
    if package is None:
        return
    with suppress(Exception):  # whatever is elsewhere is found by importing pandas
        for module, names in _FOR_ARROW.items():
            found = import_module(module)
            for name in names:
                vars(package).setdefault(name, getattr(found, name))


class _NoPandas(MetaPathFinder):
    """Finds no pandas."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Refuse to import pandas, and leave all else to others."""
        if name == "pandas":
            raise ImportError("pyarrow asks for pandas, of which there is nothing yet")
        return None


def begin_worker() -> None:
    """Let a process of its own that will run backtests begin sooner; before it imports anything for them.

    Gain: what `arrow_without_pandas` gains, and 0.12 of 1.0 s to its first rows in which the collector looks
    at objects.
    """
    gc.set_threshold(*_WORKERS_COLLECTOR)
    import_when_used("yaml")  # which numba imports for a file of settings that hardly anybody has
    arrow_without_pandas()


def forget_archives() -> None:
    """Forget what a worker has read of the zip archives on its import path.

    Spark's worker calls `importlib.invalidate_caches` as each task begins, and before Python 3.13
    that reads every archive it knows anew. One that is forgotten is read when an import next looks
    into it, which a warm worker's does not. Gain: 0.05 s for each task, of Spark's own archive.
    """
    for path, finder in list(sys.path_importer_cache.items()):
        if isinstance(finder, zipimport.zipimporter):
            sys.path_importer_cache.pop(path, None)


def defer_package(name: str, then: Callable[[], object] = lambda: None) -> None:
    """Let modules of a package be imported without the package's own code, until that is asked for something.

    The package's `__init__` runs when a name is first taken that is neither there nor a module of it, so
    whoever takes one gets what `import` gives. Nothing happens to a package that is imported already, or is
    not installed. Gain: 2.2 of 2.5 s of `arch.bootstrap`, whose package imports volatility models and with
    them matplotlib, statsmodels and scipy's statistics; 0.07 of 0.22 s of `backtrader`, which makes a class
    for each function of TA-Lib.

    Parameters
    ----------
    name : str
        Name of the package, or of a module; packages that it lies in are not imported.
    then : callable
        Called when its own code has run.
    """
    spec = None if name in sys.modules else _spec_of(name)
    if spec is None or spec.loader is None:
        return
    package = importlib.util.module_from_spec(spec)
    _run_when_asked(package, spec.loader, then)
    sys.modules.setdefault(name, package)


def _run_when_asked(module: ModuleType, loader: Loader, then: Callable[[], object] = lambda: None) -> None:
    """Let a module's own code run when a name is first taken from it that it does not have."""
    name, turn, running = module.__name__, RLock(), False

    def get(attribute: str) -> Any:
        nonlocal running
        missing = AttributeError(f"module {name!r} has no attribute {attribute!r}")
        if attribute.startswith("__") and attribute not in ("__all__", "__version__"):
            raise missing
        inside = sys.modules.get(f"{name}.{attribute}")
        if inside is not None:  # a module of it that is being imported
            return inside
        with turn:
            if running:  # the module's own code asks, and has not come to that name
                raise missing
            if module.__dict__.get("__getattr__") is get:
                running = True
                try:
                    loader.exec_module(module)
                finally:
                    running = False
            if module.__dict__.get("__getattr__") is get:
                del module.__dict__["__getattr__"]
                then()
        return getattr(module, attribute)

    module.__dict__["__getattr__"] = get


def import_when_used(*names: str) -> None:
    """Let modules be executed when something is first taken from them, whoever imports them, and whenever.

    Gain: 0.05 s in a process that reads a table, of PyIceberg's parser of filters that are texts and that of
    its configuration file.

    Parameters
    ----------
    names : str
        Names of modules, or of packages. One that is imported already stays as it is.
    """
    sys.meta_path.insert(0, _WhenUsed(frozenset(names)))


class _WhenUsed(MetaPathFinder):
    """Finds modules that are executed when they are used."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where one of the modules is, with a loader that waits; None of any other."""
        spec = PathFinder.find_spec(name, path) if name in self._names else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Waiting(spec.loader)
        return spec


class _Waiting(Loader):
    """Loads a module whose code runs when it is asked for something."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return what the module's own loader makes."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Leave the module as it is, until something is asked of it."""
        _run_when_asked(module, self._loader)


def special_functions() -> Any:
    """Return the module of scipy's compiled special functions, without the package around them.

    The package wraps some for arrays of other libraries, and imports numpy's for Fortran on the way. Who
    takes one of these from the package after this gets it without the rest. Gain: 0.2 s in a process that
    asks for one.
    """
    defer_package("scipy.special")
    found = import_module("scipy.special._ufuncs")
    for name in _SPECIAL:
        vars(sys.modules["scipy.special"]).setdefault(name, getattr(found, name))
    return found


def _spec_of(name: str) -> ModuleSpec | None:
    """Return where a module comes from, without importing the package that it lies in."""
    parent, _, _ = name.rpartition(".")
    if not parent:
        return importlib.util.find_spec(name)
    above = sys.modules[parent].__spec__ if parent in sys.modules else _spec_of(parent)
    places = above and above.submodule_search_locations
    return PathFinder.find_spec(name, list(places)) if places else None


def import_distutils() -> None:
    """Import distutils in this thread, before there is a second one that imports.

    PySpark imports it with the first frame that a Python function maps. Where setuptools is installed, its
    finder stands in for it, and imports setuptools while Python holds the lock of all imports: a second
    thread that is at a module which setuptools imports would wait for ever, and the first for it.
    """
    with suppress(ImportError):
        import_module("distutils.version")


@contextmanager
def imported_meanwhile(name: str) -> Iterator[None]:
    """Import a module while this process waits for others; whoever needs it says what is wrong with it.

    Gain: 0.3 s of arch's bootstraps, which a verdict needs, while a sweep runs.
    """

    def load() -> None:
        with suppress(Exception):
            import_module(name)

    thread = Thread(target=load, name="import", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()
