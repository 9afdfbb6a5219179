"""Does a check notice a wrong line of code? One mutated module at a time, in a process of its own.

The process imports a changed copy of the module in place of the real one, with compilation off,
and runs a check that returns what it found wrong ("" for nothing).
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TIMEOUT = 300
"""Seconds after which a mutant that does not end counts as noticed."""


@dataclass(frozen=True)
class Mutation:
    """A change of one place of a module: `old`, which occurs once, becomes `new`."""

    name: str
    module: str
    old: str
    new: str


_PROCESS = """
import importlib, sys
from importlib.util import spec_from_file_location

name, file, check = sys.argv[1:]

class Substitute:
    @staticmethod
    def find_spec(fullname, path=None, target=None):
        return spec_from_file_location(name, file) if fullname == name else None

sys.meta_path.insert(0, Substitute)
try:
    assert importlib.import_module(name).__file__ == file
except Exception as error:
    print(f"broken: {error!r}")
    sys.exit()
place, _, function = check.partition(":")
try:
    found = getattr(importlib.import_module(place), function)()
except Exception as error:
    found = f"raised {error!r}"
print(f"noticed: {found}" if found else "survived")
"""


def verdict(mutation: Mutation, check: str, folder: Path, path: Path | None = None) -> str:
    """Return "noticed: ..." if `check` finds the mutation, else "survived", or "broken: ...".

    Parameters
    ----------
    mutation : Mutation
        The change; with `old` equal to `new`, none.
    check : str
        A function without arguments, package.module:function.
    folder : Path
        Where the changed copy is written.
    path : Path, optional
        A further folder that modules are imported from.
    """
    copy = folder / f"{mutation.module.rpartition('.')[2]}.py"
    copy.write_text(mutated(mutation, source_of(mutation.module, path)))
    search = [str(REPOSITORY), *([str(path)] if path else [])]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(search)}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROCESS, mutation.module, str(copy), check],
            capture_output=True,
            text=True,
            env=environment,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "noticed: it does not end"
    return done.stdout.strip() if done.returncode == 0 else f"broken: {done.stderr[-500:]}"


def mutated(mutation: Mutation, text: str) -> str:
    """Return the text with the change made."""
    times = text.count(mutation.old)
    if times != 1:
        raise ValueError(f"mutation {mutation.name!r}: {mutation.old!r} occurs {times} times, not once")
    return text.replace(mutation.old, mutation.new)


def source_of(module: str, path: Path | None = None) -> str:
    """Return a module's source text."""
    if path is not None:
        return (path / f"{module}.py").read_text()
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ValueError(f"there is no module {module}")
    return Path(spec.origin).read_text()
