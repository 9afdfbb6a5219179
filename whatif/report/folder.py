"""The folder of a study's report, which another study of the same name does not overwrite."""

from __future__ import annotations

import shutil
from pathlib import Path

MARKER = ".study"
"""File in a folder of a report that says which study's it is."""

_SHOWN = 8


def make_own_folder(reports: Path, study: str, digest: str) -> tuple[Path, Path | None]:
    """Return the folder for a study's report, and where one of another study of this name was moved to.

    Parameters
    ----------
    reports : Path
        Folder of all reports.
    study : str
        Name of the study, and of its folder: it always holds the newest report of this name.
    digest : str
        Of all that the study asks. A report of the same study is replaced; one of a study of this name
        that asks something else is kept as ``<study>-<its digest>``, in place of an older one of it.

    Returns
    -------
    Path, Path or None
        The folder, which is there; and where the other one's is now, None if there was none.
    """
    folder, moved = reports / study, None
    other = _digest_in(folder)
    if other and other != digest:
        moved = reports / f"{study}-{other[:_SHOWN]}"
        shutil.rmtree(moved, ignore_errors=True)
        folder.replace(moved)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text(digest, encoding="utf-8")
    return folder, moved


def _digest_in(folder: Path) -> str:
    try:
        found = (folder / MARKER).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return found if found.isalnum() else ""
