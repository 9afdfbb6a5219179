"""Check of the lock files against infra/licences.toml: a licence for each package, and no known hole.

    python infra/check_licences.py [FOLDER]

Reads files alone and asks no service. Prints what is wrong, one line each, and returns 1; else 0.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import Version

FOLDER = Path(__file__).resolve().parent.parent
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)")

Locked = Mapping[str, Mapping[str, list[str]]]
"""Package to version to the lock files that have it."""


def locked_packages(folder: Path) -> Locked:
    """Return what the lock files of `folder` pin."""
    found: dict[str, dict[str, list[str]]] = {}
    for lock in sorted(folder.glob("requirements*.lock")):
        for line in lock.read_text(encoding="utf-8").splitlines():
            if pinned := _PINNED.match(line):
                versions = found.setdefault(canonicalize_name(pinned[1]), {})
                versions.setdefault(pinned[2], []).append(lock.name)
    return found


def problems(locked: Locked, data: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong: no licence, one that is not allowed there, a name too many, a known hole."""
    licences = {name: licence for licence, names in data["packages"].items() for name in names}
    for name in sorted(set(locked) - set(licences)):
        yield f"{name} is locked and has no licence in infra/licences.toml: add what its metadata says"
    for name in sorted(set(licences) - set(locked)):
        yield f"{name} has a licence in infra/licences.toml and is not locked: remove it"
    for name in sorted(set(locked) & set(licences)):
        yield from _licence_problems(name, licences[name], locked[name], data)
    accepted = {(one["package"], one["version"]) for one in data.get("accepted", ())}
    for name, version in sorted(accepted):
        if version not in locked.get(name, {}):
            yield f"{name} {version} is accepted in infra/licences.toml and is not locked: remove it"
    for hole in data["holes"]:
        for version, locks in locked.get(hole["package"], {}).items():
            if Version(version) < Version(hole["fixed"]) and (hole["package"], version) not in accepted:
                yield (
                    f"{hole['package']} {version} in {', '.join(locks)} has a known hole ({hole['why']}): "
                    f"lock {hole['fixed']} or later"
                )


def _licence_problems(
    name: str, licence: str, versions: Mapping[str, list[str]], data: Mapping[str, Any]
) -> Iterator[str]:
    where = data["allowed"].get(licence)
    if where != "anywhere" and where not in data:
        yield f"{name} is under {licence}, which [allowed] of infra/licences.toml does not name"
        return
    locks = {lock for each in versions.values() for lock in each}
    wrong = sorted(locks - set(data[where]["locks"])) if where != "anywhere" else []
    if wrong:
        right = ", ".join(data[where]["locks"])
        yield f"{name} is under {licence} and in {', '.join(wrong)}, though it may be in {right} alone"


def main(folder: Path = FOLDER) -> int:
    """Print the problems of a checkout, and return the exit code."""
    data = tomllib.loads((folder / "infra" / "licences.toml").read_text(encoding="utf-8"))
    locked = locked_packages(folder)
    found = list(problems(locked, data))
    good = f"{len(locked)} locked packages: licences and known holes checked, as of {data['known_on']}"
    sys.stdout.write("\n".join(found or [good]) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:2])))
