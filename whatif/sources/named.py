"""Sources by name: what `whatif ingest` is given in place of files, with options as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_origin

from pydantic import ValidationError

from whatif.errors import SourceError, nearest
from whatif.sources.base import Source
from whatif.sources.file_source import FileSource
from whatif.sources.kinds import SEAM

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
