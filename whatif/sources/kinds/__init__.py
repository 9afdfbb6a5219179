"""Sources that come along: one class in each module, under the module's name; and the seam of all."""

from __future__ import annotations

from whatif.errors import SourceError, nearest
from whatif.plugins import Seam, classes_in
from whatif.sources.base import Source
from whatif.sources.file_source import FileSource

SEAM = Seam("whatif.sources", Source, "source", classes_in(__name__, Source))

_NOT_READ = (".feather", ".arrow", ".ipc", ".h5", ".hdf5", ".pkl", ".xlsx", ".xls")


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
    path = path.partition("::")[0]
    for kind in kinds.values():
        if path.lower().endswith(kind.endings):
            return kind
    if path.lower().endswith(_NOT_READ):
        raise SourceError(
            f"{path}: files of this kind are not read: write it as CSV or Parquet, as with "
            "pandas.read_feather(…).to_parquet(…)"
        )
    raise SourceError(f"{path}: the file's name does not say its format: give it, as in --format csv")
