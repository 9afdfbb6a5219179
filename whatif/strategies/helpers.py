"""Helper modules beside a strategy's file: found in its imports, and imported for it alone."""

from __future__ import annotations

import ast
import builtins
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_loader
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from whatif.errors import StrategyError
from whatif.paths import bounded_text
from whatif.strategies.origin import is_installed_at

MAX_SOURCE_BYTES = 4_000_000
"""Longest strategy file; a longer one is no source."""

MAX_HELPERS = 200
"""Most helper modules of one strategy."""


@dataclass(frozen=True)
class Helpers:
    """What a strategy's file imports that is not installed.

    Attributes
    ----------
    files : tuple of (str, str)
        Paths below the file's folder, with forward slashes, and texts, sorted.
    elsewhere : tuple of (str, str)
        Modules that Python finds in another folder, and that folder's file: they stay where they are.
    """

    files: tuple[tuple[str, str], ...] = ()
    elsewhere: tuple[tuple[str, str], ...] = ()


def helpers_of(text: str, folder: Path) -> Helpers:
    """Return the helper modules of a strategy's text, those that they import in turn included.

    A name that Python or an installed package has means that, also if there is a file of its name.

    Raises
    ------
    StrategyError
        If one cannot be read, or there are too many.
    """
    files: dict[str, str] = {}
    elsewhere: dict[str, str] = {}
    todo = [("", text)]
    while todo:
        package, source = todo.pop()
        for name in _imported(source, package):
            top = name.partition(".")[0]
            if _is_installed(top):
                continue
            found = _files(folder, name)
            if not found and not _is_beside(folder, top):
                elsewhere |= _elsewhere(top)
            for file in found:
                if file not in files:
                    files[file] = bounded_text(
                        folder / file, "helper module", MAX_SOURCE_BYTES, StrategyError
                    )
                    todo.append((_package_of(file), files[file]))
        if len(files) > MAX_HELPERS:
            raise StrategyError(
                f"the strategy imports more than {MAX_HELPERS} files of {folder}: install them as a package"
            )
    return Helpers(tuple(sorted(files.items())), tuple(sorted(elsewhere.items())))


def _imported(source: str, package: str) -> Iterator[str]:
    """Yield the full names of what a text imports, wherever in it; a name taken from one may be another."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):  # said when it is executed
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - (node.level - 1)] if node.level else []
            base = ".".join(part for part in (*above, node.module or "") if part)
            if base:
                yield base
            yield from (f"{base}.{alias.name}".lstrip(".") for alias in node.names if alias.name != "*")


def _files(folder: Path, name: str) -> list[str]:
    """Return the files of a module and of the packages that it lies in."""
    parts = name.split(".")
    found = []
    for count in range(1, len(parts) + 1):
        path = PurePosixPath(*parts[:count])
        for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
            if (folder / file).is_file():
                found.append(str(file))
                break
    return found


def _is_beside(folder: Path, top: str) -> bool:
    return (folder / f"{top}.py").is_file() or (folder / top).is_dir()


def _package_of(file: str) -> str:
    return ".".join(PurePosixPath(file).parent.parts)


def _is_installed(top: str) -> bool:
    if top in sys.stdlib_module_names or top == "whatif":
        return True
    place = _place(top)
    return place in ("built-in", "frozen") or bool(place and is_installed_at(place))


def _elsewhere(top: str) -> dict[str, str]:
    place = _place(top)
    return {top: place} if place else {}


def _place(top: str) -> str:
    """Return where Python would find a module, or ""."""
    try:
        spec = find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return ""
    if spec is None:
        return ""
    return spec.origin or next(iter(spec.submodule_search_locations or []), "")


class _Text(Loader):
    """Executes the text of one module."""

    def __init__(self, text: str, filename: str, bindings: Mapping[str, Any]) -> None:
        self._text, self._filename, self._bindings = text, filename, bindings

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(self._bindings, __file__=self._filename, __whatif_source__=self._text)
        exec(compile(self._text, self._filename, "exec"), vars(module))


class _Beside(MetaPathFinder):
    """Finds helper modules as parts of the strategy's own module, so that two strategies share none."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[Path, Mapping[str, str]]] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        root, _, inner = fullname.partition(".")
        if root not in self.known or not inner:
            return None
        folder, files = self.known[root]
        place = inner.replace(".", "/")
        package, module = f"{place}/__init__.py", f"{place}.py"
        if package not in files and module not in files and not any(f.startswith(f"{place}/") for f in files):
            return None
        file = module if module in files and package not in files else package
        loader = _Text(files.get(file, ""), str(folder / file), bindings(root))
        return spec_from_loader(fullname, loader, origin=str(folder / file), is_package=file == package)


_FINDER = _Beside()
sys.meta_path.append(_FINDER)


def announce(root: str, folder: Path, files: Mapping[str, str]) -> None:
    """Let the module called `root` find its helpers."""
    _FINDER.known[root] = (folder, files)


def bindings(root: str) -> dict[str, Any]:
    """Return what the modules of one strategy are executed with: an import that finds its helpers."""
    if not _FINDER.known[root][1]:
        return {}
    tops = {PurePosixPath(file).parts[0].removesuffix(".py") for file in _FINDER.known[root][1]}

    def load(
        name: str, globals_: Any = None, locals_: Any = None, fromlist: Any = (), level: int = 0
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level or top not in tops:
            return builtins.__import__(name, globals_, locals_, fromlist, level)
        module = importlib.import_module(f"{root}.{name}")
        for inner in fromlist or ():
            if not hasattr(module, inner) and hasattr(module, "__path__"):
                _try_import(f"{module.__name__}.{inner}")
        return module if fromlist else sys.modules[f"{root}.{top}"]

    return {"__builtins__": {**vars(builtins), "__import__": load}}


def _try_import(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
