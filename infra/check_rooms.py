"""Check of the rooms of a package: how its modules import each other, and how long its parts are.

    python infra/check_rooms.py [FOLDER]

Reads `[tool.rooms]` of FOLDER/pyproject.toml and the package's text, and imports nothing. Prints each
figure beside its limit and its goal, and what is over a limit; returns 1 if anything is, else 0.

A room is a package or module directly under the package. Its door is its `__init__`: an import from
another room goes by the door if it takes a name that the `__init__` exports (`from whatif.pins import
Pin`), and past it if it names a module inside (`from whatif.pins.pin import Pin`). A name that comes by
a door counts as an import of the module that has it, so that a door hides no chain and no module.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Import:
    """One name that a module imports from the package.

    Attributes
    ----------
    source, target : str
        The module that imports, and the module that it names.
    name : str
        What it takes of the target; "" for the module itself.
    typing : bool
        Whether it is for type checkers alone, and never run.
    line : int
        Where it stands.
    """

    source: str
    target: str
    name: str
    typing: bool
    line: int


@dataclass(frozen=True, eq=False)
class House:
    """A package's text.

    Attributes
    ----------
    trees : mapping of str to Module
        Syntax trees by module.
    packages : collection of str
        Those modules that are an `__init__`.
    imports : mapping of str to list of Import
        What each module imports of the package, wherever in its text.
    exported : mapping of str to mapping of str to str
        The names that an `__init__` passes on, with the modules that it takes them from.
    """

    trees: Mapping[str, ast.Module]
    packages: Collection[str]
    imports: dict[str, list[Import]] = field(default_factory=dict, init=False)
    exported: dict[str, dict[str, str]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        # what is inside comes first: a name that a door exports may be a module's too
        for module in sorted(
            self.trees, key=lambda module: (module not in self.packages, -module.count("."))
        ):
            self.imports[module] = list(self._imports(module))
            if module in self.packages:
                self.exported[module] = {one.name: one.target for one in self.imports[module] if one.name}

    def _imports(self, module: str) -> Iterator[Import]:
        for node, typing in _statements(self.trees[module]):
            if isinstance(node, ast.Import):
                names = [(alias.name, "") for alias in node.names]
            else:
                names = [(node.module or "", alias.name) for alias in node.names if not node.level]
            for base, name in names:
                whole = f"{base}.{name}"
                inside = whole in self.trees and name not in self.exported.get(base, {})
                target, taken = (whole, "") if inside else (base, name)
                if target in self.trees and target != module:
                    yield Import(module, target, taken, typing, node.lineno)

    def home(self, one: Import) -> str:
        """Return the module that has what is imported, behind whatever doors."""
        target = one.target
        while one.name in self.exported.get(target, {}):
            target = self.exported[target][one.name]
        return target

    def past_the_door(self, one: Import) -> bool:
        """Tell whether an import from another room reaches past that room's door.

        The package's own `__init__` is a door itself, and may take a name from anywhere.
        """
        other = "." in one.source and room_of(one.source) != room_of(one.target)
        return other and one.target.count(".") > 1


def room_of(module: str) -> str:
    """Return the room that a module is in."""
    return ".".join(module.split(".")[:2])


def read_house(folder: Path, package: str) -> House:
    """Return the text of a package in `folder`."""
    trees, packages = {}, set()
    for path in sorted((folder / package).rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        trees[module] = ast.parse(path.read_text(encoding="utf-8"), str(path))
        if parts[-1] == "__init__":
            packages.add(module)
    return House(trees, packages)


def _statements(tree: ast.AST, typing: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, typing
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for part in node.body:
                yield from _statements(ast.Module([part], []), typing=True)
            for part in node.orelse:
                yield from _statements(ast.Module([part], []), typing)
        elif not isinstance(node, ast.expr):
            yield from _statements(node, typing)


@dataclass(frozen=True)
class Figure:
    """One figure of a package.

    Attributes
    ----------
    name : str
        Its key in `[tool.rooms]`.
    value : float
        What was counted.
    where : str
        What has the value, or examples.
    """

    name: str
    value: float
    where: str = ""


def fan_out(house: House) -> Figure:
    """Return the most modules that one module imports; of another room's door, it is one."""
    counts = {
        module: len({one.target for one in house.imports[module]})
        for module in house.trees
        if module not in house.packages
    }
    worst = max(counts, key=lambda module: counts[module])
    return Figure("fan-out", counts[worst], worst)


def chain(house: House) -> Figure:
    """Return the longest chain of modules of which each imports the next, if only when it is called."""
    edges: dict[str, set[str]] = {}
    for module in house.trees:
        run = [one for one in house.imports[module] if not one.typing]
        edges[module] = {end for one in run for end in (one.target, house.home(one))} - {module}
    entered: set[str] = set()
    done: set[str] = set()

    @cache
    def longest(module: str) -> tuple[str, ...]:
        entered.add(module)
        # two that import each other, one of them in a function, count once
        ways = [longest(end) for end in sorted(edges[module] - entered | edges[module] & done)]
        done.add(module)
        return (module, *max(ways, key=len, default=()))

    found = max((longest(module) for module in sorted(house.trees)), key=len)
    return Figure("chain", len(found), " > ".join(found))


def imported_once(house: House) -> Figure:
    """Return how many modules exactly one other imports; a door that passes a module's names on is none."""
    users: dict[str, set[str]] = defaultdict(set)
    for module in house.trees:
        for one in house.imports[module]:
            home = house.home(one)
            if not (module in house.packages and home.startswith(f"{module}.")):
                users[home].add(module)
    single = sorted(m for m, by in users.items() if len(by) == 1 and m not in house.packages)
    return Figure("imported-once", len(single), ", ".join(f"{m} by {min(users[m])}" for m in single))


def past_doors(house: House) -> Figure:
    """Return the percentage of the imports between rooms that reach past a room's door."""
    across = {
        (one.source, one.line, one.target): house.past_the_door(one)
        for module in house.trees
        for one in house.imports[module]
        if room_of(one.source) != room_of(one.target)
    }
    past = sum(across.values())
    return Figure("past-doors", 100.0 * past / max(len(across), 1), f"{past} of {len(across)} imports")


def room_lines(folder: Path, package: str, room: str) -> Figure:
    """Return the lines of a room."""
    files = (folder / package / room).rglob("*.py")
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
    return Figure(f"lines-of-{room}", lines)


def function_lines(house: House) -> Figure:
    """Return the lines of the longest function, its docstring apart."""
    spans = [
        (_lines(node) - (_lines(node.body[0]) if ast.get_docstring(node) else 0), f"{module}.{node.name}")
        for module, tree in house.trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lines, where = max(spans, default=(0, ""))
    return Figure("function-lines", lines, where)


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def breaches(house: House, closed: Collection[str]) -> Iterator[str]:
    """Yield the imports that reach past the door of a room that is closed, and names that a door cannot give.

    Once a module is imported, its package has it by its name: a door that loads a name when it is taken
    would give the module instead.
    """
    for package in sorted(house.packages):
        for one in house.imports[package]:
            if one.typing and f"{package}.{one.name}" in house.trees:
                yield f"{package} exports {one.name!r}, the name of a module in it: rename one of them"
    for module in house.trees:
        for one in house.imports[module]:
            room = room_of(one.target)
            if house.past_the_door(one) and room.rpartition(".")[2] in closed:
                where = f"{one.source}, line {one.line}"
                yield f"{where}: {one.target} is behind the door of {room}: export from there what is needed"


def figures(folder: Path, package: str, room: str, house: House) -> list[Figure]:
    """Return all figures of a package."""
    return [
        fan_out(house),
        chain(house),
        imported_once(house),
        past_doors(house),
        room_lines(folder, package, room),
        function_lines(house),
    ]


def report(found: Collection[Figure], limits: Mapping[str, Any], goals: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each figure, and say which are over their limits."""
    for one in found:
        limit, goal = limits[one.name], goals[one.name]
        value = f"{one.value:.1f}" if isinstance(one.value, float) else f"{one.value:,}"
        over = "OVER ITS LIMIT: " if one.value > limit else ""
        shown = one.where if len(one.where) < 160 or over else f"{one.where[:150]} …"
        yield f"{over}{one.name} {value} (limit {limit:,}, goal {goal:,}) {shown}".rstrip()


def main(folder: Path = FOLDER) -> int:
    """Print the figures of a checkout, and return the exit code."""
    given = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["rooms"]
    house = read_house(folder, given["package"])
    found = figures(folder, given["package"], given["joins"], house)
    wrong = list(breaches(house, given["closed"]))
    lines = [*report(found, given["limits"], given["goals"]), *wrong]
    sys.stdout.write("\n".join(lines) + "\n")
    over = any(one.value > given["limits"][one.name] for one in found)
    return 1 if over or wrong else 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:2])))
