"""The folder that keeps kernels, for this user alone: machine code lies there as a pickle, which is run."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from whatif.domain import exposed, make_private
from whatif.errors import EngineError, MachineError

SHIPPED = Path(sys.prefix, "share", "whatif", "kernels")
"""Where an environment keeps kernels that were compiled when it was made, see `shipped`."""

_PREFIX = "whatif_kernel_"

_home: Path | None = None


def path_of(digest: str) -> Path:
    """Return the file of a kernel."""
    return kernel_folder() / f"{_PREFIX}{digest}.py"


def written(path: Path, text: str) -> Path:
    """Write a kernel's file once, for this user alone to read; return its path."""
    with _by_the_machine(path):
        _refuse_exposed(path.parent / "__pycache__")
        if path.exists() and path.read_bytes() == text.encode():
            _refuse_exposed(path)
            return path
        _take_shipped(path)
        with _whole(path) as file:
            file.write(text.encode())
    return path


def _take_shipped(path: Path) -> None:
    """Copy the machine code that came with the environment for a kernel, if it did.

    It is trusted as the packages are: who may write there may write to those.
    """
    for file in sorted(Path(SHIPPED, "__pycache__").glob(f"{path.stem}*.nb[ci]")):
        try:
            code = file.read_bytes()
        except OSError:  # compiled, as if there were none
            continue
        with _whole(path.parent / "__pycache__" / file.name) as copy:
            copy.write(code)


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """Write a file beside its place, of this user alone, and put it there when it is whole."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.tmp.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def _by_the_machine(path: Path) -> Iterator[None]:
    """Say of an error of the system that it is no fault of the strategy that is compiled.

    Raises
    ------
    MachineError
        Naming the file and the remedy.
    """
    try:
        yield
    except OSError as error:
        raise MachineError(
            f"compiled strategies could not be kept in {path.parent}: {error}. This is no result of a "
            "backtest: make room or give the right to write there, or set WHATIF_KERNELS to another folder "
            "of your own, then run the same command again"
        ) from error


def kernel_folder() -> Path:
    """Return the folder that keeps kernels, made for this user alone if it is not there.

    `WHATIF_KERNELS`, else `kernels` in the lake's home (`keep_kernels_in`, `WHATIF_HOME`), else one
    of this user's own in the system's temporary folder (the task's own, on a cluster): the first that
    this user can write to.

    Raises
    ------
    EngineError
        If others may write to it, or to a folder that it lies in; or there is none to write to.
    """
    tried = []
    for folder in _candidates():
        try:
            make_private(folder)
            usable = os.access(folder, os.W_OK)
        except OSError:
            usable = False
        if usable:
            _refuse_exposed(folder)
            return folder
        tried.append(str(folder))
    raise EngineError(
        f"no folder for compiled strategies can be written to (tried {', '.join(tried)}): "
        "set WHATIF_KERNELS to one of your own"
    )


def keep_kernels_in(home: str | os.PathLike[str]) -> None:
    """Let this process keep kernels in the folder `kernels` of `home`, unless another one is named."""
    global _home
    _home = Path(home)


def _candidates() -> list[Path]:
    named = os.environ.get("WHATIF_KERNELS")
    home = os.environ.get("WHATIF_HOME")
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folders = [Path(named)] if named else []
    folders += [_home / "kernels"] if _home is not None and _home.is_dir() else []
    folders += [Path(home, "kernels")] if home and Path(home).is_dir() else []
    return [
        *(folder.expanduser().absolute() for folder in folders),
        Path(tempfile.gettempdir(), f"whatif-kernels-{user}"),
    ]


def _refuse_exposed(place: Path) -> None:
    """Refuse a folder, or a file in it, that others may write to; make a folder that is missing.

    Raises
    ------
    EngineError
        Naming the path, its mode or owner, and the remedy.
    """
    if not place.exists():
        make_private(place)
    why = exposed(place)
    if why:
        raise EngineError(
            f"compiled strategies are kept in {place}, and what lies there is run, but {why}, or set "
            "WHATIF_KERNELS to a folder that is yours alone"
        )


@lru_cache(maxsize=1)
def _private_file(caching: Any) -> Any:
    """Return a class of numba's files of machine code, given numba's module of them."""

    class PrivateFile(caching.IndexDataCacheFile):  # type: ignore[misc]  # numba has no types
        """Numba's files of one kernel, made for this user alone, and read if nobody else may write them."""

        def _load_index(self) -> Any:
            self._refuse(Path(self._index_path))
            try:
                return super()._load_index()
            except MemoryError:
                raise
            except Exception:  # cut off or altered: compiled, and written, anew
                return {}

        def _load_data(self, name: str) -> Any:
            self._refuse(Path(self._data_path(name)))
            try:
                return super()._load_data(name)
            except MemoryError:
                raise
            except Exception as error:
                raise OSError(f"{name} cannot be read") from error  # which numba takes for not being there

        def _refuse(self, path: Path) -> None:
            if path.exists():
                _refuse_exposed(path)

        @contextmanager
        def _open_for_write(self, filepath: str) -> Iterator[IO[bytes]]:
            with _by_the_machine(Path(filepath)), _whole(Path(filepath)) as file:
                yield file

    return PrivateFile


def keep_private(kernel: Any) -> None:
    """Let a compiled kernel keep its machine code in files of this user alone."""
    from numba.core import caching

    cache = getattr(kernel, "_cache", None)
    found = getattr(cache, "_cache_file", None)
    if isinstance(found, caching.IndexDataCacheFile):
        found.__class__ = _private_file(caching)


def _beside_it(caching: Any) -> Any:
    """Return a locator of machine code, given numba's module of them."""

    class BesideIt(caching._CacheLocator):  # type: ignore[misc]  # numba has no types
        """Keeps machine code of a kernel beside its file, and knows it by the digest that names that.

        Numba's own would know it by the file's time of change, and keep it where `NUMBA_CACHE_DIR` says,
        which may be others' folder too.
        """

        def __init__(self, function: Any, file: Path) -> None:
            self._file = file
            self._py_file = str(file)  # numba's warning of what it cannot keep names it
            self._line = function.__code__.co_firstlineno

        @classmethod
        def from_function(cls, py_func: Any, py_file: str) -> BesideIt | None:
            file = Path(py_file)
            return cls(py_func, file) if file.name.startswith(_PREFIX) else None

        def get_cache_path(self) -> str:
            return str(self._file.parent / "__pycache__")

        def get_source_stamp(self) -> str:
            return self._file.stem

        def get_disambiguator(self) -> str:
            return str(self._line)

    return BesideIt


@lru_cache(maxsize=1)
def keep_beside() -> None:
    """Let numba keep machine code of kernels beside their files, as long as this process lives."""
    from numba.core import caching

    # older versions of numba have it under the second name
    implementation = getattr(caching, "CacheImpl", None) or caching._CacheImpl
    implementation._locator_classes.insert(0, _beside_it(caching))


def is_compilable(digest: str) -> bool:
    """Return whether what has this digest is known to compile, see `note_compilable`."""
    note = _note_of(digest)
    return note.exists() and not exposed(note)


def note_compilable(digest: str) -> None:
    """Note that what has this digest was compiled, or found on disk: no later process needs to try it."""
    note = _note_of(digest)
    with _by_the_machine(note), _whole(note):
        pass


def _note_of(digest: str) -> Path:
    return kernel_folder() / f"{digest}.compiles"
