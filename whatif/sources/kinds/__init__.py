"""Sources that come along, one class in each module under the module's name, and a source by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_origin

from pydantic import ValidationError

from whatif.errors import SourceError, nearest
from whatif.plugins import Seam, classes_in
from whatif.sources.base import Source
from whatif.sources.file_source import FileSource

SEAM = Seam("whatif.sources", Source, "source", classes_in(__name__, Source))

_ONE = "files of this kind are not read: write it as CSV or Parquet, as with pandas."
_UNPACK = (
    "archives of this kind are not read: unpack it, and name the files or their folder, or a zip of them"
)
_BY_PANDAS = {
    (".h5", ".hdf5"): "read_hdf(…).to_parquet(…)",
    (".pkl", ".pickle"): "read_pickle(…).to_parquet(…), which runs what is in it: only if you trust it",
    (".xlsx", ".xls", ".xlsm", ".ods"): "read_excel(…).to_csv(…), or save the sheet as CSV",
    (".sqlite", ".sqlite3", ".db"): "read_sql(…).to_parquet(…)",
}
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".7z", ".rar", ".lz4", ".z")
_NOT_READ = {end: f"{_ONE}{by}" for ends, by in _BY_PANDAS.items() for end in ends}
_NOT_READ |= dict.fromkeys(_ARCHIVES, _UNPACK)
"""Ending of a file's name → why it is not read, and what to do."""


def file_kinds(named: str = "auto") -> dict[str, type[FileSource]]:
    """Return the formats of files by name: that which is named, or with "auto" all.

    Raises
    ------
    SourceError
        If there is none of that name, or it reads no files.
    PluginError
        If it cannot be imported.
    """
    if named != "auto" and named not in SEAM.built_in and ":" in named:
        every = {named: SEAM.find(named)}
    else:
        every = {plugin.name: plugin.kind for plugin in SEAM.every()}
    formats = {name: kind for name, kind in every.items() if issubclass(kind, FileSource)}
    if named == "auto":
        return formats
    if named not in formats:
        raise SourceError(f"format {named!r} is unknown: {nearest(named, ('auto', *formats))}")
    return {named: formats[named]}


def file_kind(path: str, named: str = "auto") -> type[FileSource]:
    """Return the format of a file: as named, or by the file's name (of a `ZIP::NAME`, the zip's).

    Raises
    ------
    SourceError
        If the name says nothing.
    """
    kinds = file_kinds(named)
    if named != "auto":
        return kinds[named]
    # one's own come first, then those that go by more than the ending
    for kind in sorted(kinds.values(), key=lambda kind: (_comes_along(kind), "claims" not in vars(kind))):
        if kind.claims(path):
            return kind
    if path.lower().endswith(".zip"):  # whatever is in it
        return kinds["lean"]
    if (ending := next((one for one in _NOT_READ if path.lower().endswith(one)), None)) is not None:
        raise SourceError(f"{path}: {_NOT_READ[ending]}")
    raise SourceError(f"{path}: the file's name does not say its format: give it, as in --format csv")


def _comes_along(kind: type[FileSource]) -> bool:
    return kind.__module__.startswith(f"{__name__}.")


_IMPORTED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def named_source(given: Sequence[str]) -> type[Source] | None:
    """Return the source that arguments name; None if they name files.

    A file or folder of that name comes first.

    Raises
    ------
    SourceError
        If more is named beside a source, or it reads files.
    PluginError
        If it cannot be imported.
    """
    name = next((name for name in given if _is_source(name)), None)
    if name is None:
        return None
    kind: type[Source] = SEAM.find(name)
    if issubclass(kind, FileSource):
        raise SourceError(f"source {name!r} reads files: name them, and give --format {name}")
    if len(given) > 1:
        raise SourceError(
            f"source {name!r} is named with {len(given) - 1} more: ingest it alone, and give its settings as "
            "--option NAME=VALUE"
        )
    return kind


def make_source(kind: type[Source], options: Mapping[str, str]) -> Source:
    """Return a source with options as text; several values of one are separated by commas.

    Raises
    ------
    SourceError
        Naming the option, its value and what it must be.
    """
    given: dict[str, Any] = dict(options)
    known = {field.alias or name: field for name, field in kind.model_fields.items()}
    for name, value in options.items():
        if name not in known:
            valid = nearest(name, known) if known else "it has none"
            raise SourceError(f"option {name!r} is none of source {kind.__name__}: {valid}")
        if get_origin(known[name].annotation) in (tuple, list, set, frozenset):
            given[name] = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return kind.model_validate(given, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "missing":
            said = f"source {kind.__name__} needs option {name!r}: give --option {name}=VALUE"
        elif str(first["type"]).startswith("date_"):
            given_as = f"{name}={options.get(name, '')}"
            said = f"option {given_as} of source {kind.__name__} is no date: write a day such as 2024-02-01"
        else:
            said = f"option {name}={options.get(name, '')} of source {kind.__name__}: {first['msg']}"
        raise SourceError(said) from None


def parse_options(entries: Iterable[str]) -> dict[str, str]:
    """Return the options of entries such as `symbols=SPY,IBM`.

    Raises
    ------
    SourceError
        If an entry has no =, or an option is given twice.
    """
    options: dict[str, str] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals:
            raise SourceError(f"option {entry!r} has no '=': write NAME=VALUE")
        if name.strip() in options:
            raise SourceError(f"option {name.strip()!r} is given twice: separate values by commas")
        options[name.strip()] = value
    return options


def _is_source(name: str) -> bool:
    if "://" in name or Path(name).exists():
        return False
    if name in SEAM.built_in or _IMPORTED.fullmatch(name):
        return True
    return name.isidentifier() and any(plugin.name == name for plugin in SEAM.every())
