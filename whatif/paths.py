"""Names and files that come from outside: kept inside their folder, plain, and of bounded size."""

from __future__ import annotations

import json
import os
import pkgutil
import re
import stat
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from whatif.errors import WhatIfError
from whatif.texts import hidden_character, shown

MAX_NAME_BYTES = 255
"""Longest name that file systems keep, in UTF-8."""

MAX_PATH_BYTES = 4_000
"""Longest path that Linux opens, with room for the folder before it."""

_DRIVE = re.compile(r"[A-Za-z]:")
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)


def inside(folder: Path, name: str, what: str, error: type[WhatIfError]) -> Path:
    """Return the path that `name` has below `folder`, whatever system reads it.

    Parameters
    ----------
    folder : Path
        Where it has to stay; need not exist.
    name : str
        Relative path with forward slashes, as a study, a bucket or an archive gives it.
    what : str
        Names it in a message, such as "strategy file".
    error : type of WhatIfError
        What to raise.

    Raises
    ------
    WhatIfError
        If it is absolute, has "..", "." or empty parts, backslashes, a drive, "~", hidden characters or
        too long a name, also after URL-decoding or in Unicode's compatibility form, or if a link on
        the way leads out of the folder.
    """
    broken = broken_rule(name)
    if broken:
        raise error(
            f"{what} {shown(name)} {broken}, so it would leave the folder {folder} or cannot stand in it: "
            "give a relative path of plain names, such as own/mine.py"
        )
    path = folder / name
    if not _resolved(path, what, error).is_relative_to(_resolved(folder, what, error)):
        raise error(
            f"{what} {shown(name)} would leave the folder {folder} by a link: put the file itself there"
        )
    return path


def broken_rule(name: str) -> str:
    """Return what keeps `name` from being a relative path that stays in its folder; "" if nothing does."""
    broken = _unreadable(name)
    if broken:
        return broken
    for form in _readings(name):
        broken = _leaves(form)
        if broken:
            return broken + (f" (it reads {shown(form)})" if form != name else "")
    return ""


def _readings(name: str) -> dict[str, None]:
    """Return the name as it is written, and as what decodes it once more, or folds its letters, reads it."""
    forms = {name: None}
    while (decoded := unquote(next(reversed(forms)))) not in forms:
        forms[decoded] = None
    return forms | dict.fromkeys(unicodedata.normalize("NFKC", form) for form in forms)


def _leaves(name: str) -> str:
    if name.startswith("/"):
        return "is absolute"
    if "\\" in name or _DRIVE.match(name):
        return "is a path of Windows"
    if hidden_character(name):
        return f"holds the character {hidden_character(name)}"
    parts = name.split("/")
    if ".." in parts:
        return "has '..'"
    if name.startswith("~"):
        return "begins with '~'"
    for part in parts:
        if part in ("", "."):
            return "has an empty part"
        if _DEVICE.match(part) or part != part.strip() or part.endswith("."):
            return f"has a part that not every system can store, {shown(part)}"
    return ""


def _unreadable(path: str) -> str:
    """Return what keeps any path, absolute or not, from being opened."""
    if not path.strip():
        return "is empty"
    unreadable = next((char for char in path if unicodedata.category(char) in ("Cc", "Cs")), "")
    if unreadable:
        return f"holds the character {hidden_character(unreadable)}"
    parts = PurePosixPath(path).parts
    if any(len(os.fsencode(part)) > MAX_NAME_BYTES for part in parts):
        return f"has a name of more than {MAX_NAME_BYTES} bytes"
    return f"has more than {MAX_PATH_BYTES:,} bytes" if len(os.fsencode(path)) > MAX_PATH_BYTES else ""


def regular_file(path: Path, what: str, error: type[WhatIfError]) -> bool:
    """Return whether `path` is a file; False if nothing is there.

    Raises
    ------
    WhatIfError
        If the path cannot be one, may not be looked at, or is a folder, device, pipe or socket.
    """
    broken = _unreadable(str(path))
    if broken:
        raise error(f"{what} {shown(str(path))} {broken}: give the path of a file")
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as reason:
        raise error(f"{what} {path} cannot be read: {reason.strerror or reason}") from reason
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device, pipe or socket"
        raise error(f"{what} {path} cannot be read: it is {kind}; give the path of a file")
    return True


def bounded_text(path: Path, what: str, max_bytes: int, error: type[WhatIfError]) -> str:
    """Return the text of a file in UTF-8, which has to be a regular file of at most `max_bytes`.

    Raises
    ------
    FileNotFoundError
        If nothing is there.
    WhatIfError
        If it is something else, too large, or no text in UTF-8.
    """
    if not regular_file(path, what, error):
        raise FileNotFoundError(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise error(f"{what} {path} has more than {max_bytes:,} bytes: is it the right file?")
        return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except (OSError, UnicodeDecodeError) as reason:
        raise error(f"{what} {path} cannot be read: {reason}") from reason


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a place beside `path` to write a file to: it takes its place when all is written.

    So whoever reads `path` sees the old file or the new one, and never a part.

    Raises
    ------
    WhatIfError
        If a folder is there.
    """
    if path.is_dir():
        raise WhatIfError(f"{path} is a folder, and no file is written over it: give the path of a file")
    part = path.with_name(f".{sha256(path.name.encode()).hexdigest()[:16]}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def kept(name: str, modules: Sequence[str], libraries: Sequence[str], make: Callable[[], Any]) -> Any:
    """Return what `make` returns, as JSON holds it; once it was made, from the user's cache folder.

    It is kept under a digest of all that makes it. What cannot be read is made anew, and what cannot be
    written is not kept.

    Parameters
    ----------
    name : str
        Of the file: letters, digits, hyphens.
    modules : sequence of str
        Modules of `whatif`, by whose text it is known that it would be made alike today.
    libraries : sequence of str
        The same of packages, by their versions.
    make : callable
        Makes it; what it raises is raised, and nothing is kept.
    """
    path = kept_in(tuple(modules), tuple(libraries)) / f"{name}.json"
    with suppress(OSError, ValueError):
        return json.loads(path.read_bytes())
    found = make()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as whole:
            whole.write_text(json.dumps(found), encoding="ascii")
    return found


@lru_cache(maxsize=8)
def kept_in(modules: tuple[str, ...], libraries: tuple[str, ...]) -> Path:
    """Return the folder of the user's cache for what these modules and libraries make; see `kept`.

    It need not be there.
    """
    texts = [str(pkgutil.get_data("whatif", f"{module}.py")) for module in modules]
    digest = sha256(repr((texts, [version(one) for one in libraries])).encode()).hexdigest()[:16]
    try:
        home = Path.home()
    except RuntimeError:  # nobody's: below a file, no folder can be made
        home = Path(os.devnull)
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache", "whatif", digest)


def _resolved(path: Path, what: str, error: type[WhatIfError]) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as reason:  # a link that leads to itself
        raise error(f"{what} {shown(str(path))} leads nowhere: {reason}") from reason
