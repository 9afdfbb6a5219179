"""JSON: bars as market services answer, in lists of rows, of objects, or of columns."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pyarrow as pa

from whatif.errors import SourceError
from whatif.sources.beginning import Beginning, beginning_of_columns
from whatif.sources.chunk import Chunk
from whatif.sources.columns import bare_name
from whatif.sources.file_source import FileSource
from whatif.sources.opening import UNPACKED_BY, open_binary
from whatif.sources.spec import IngestSpec

CHUNK_ROWS = 50_000
_FIELDS = 5
"""Columns that bars have at least: a stamp and four prices."""

MAX_BYTES = 256 * 1024 * 1024
"""Longest text that is read; longer ones are better kept as Parquet."""


class Json(FileSource):
    """JSON and JSON lines: rows as lists (ccxt), as objects, by stamp (Alpha Vantage), or columns as lists.

    Rows stand at the top, or as the longest list or object inside one: `bars`, `results`, `values`.
    """

    endings: ClassVar[tuple[str, ...]] = tuple(
        f"{text}{packed}" for packed in ("", *UNPACKED_BY) for text in (".json", ".jsonl", ".ndjson")
    )
    in_folders: ClassVar[bool] = False

    @classmethod
    def beginning(cls, path: str, spec: IngestSpec) -> Beginning | None:
        """Return the first rows of a file."""
        table = _table(path)
        said = (table.schema.metadata or {}).get(b"symbol")
        found = beginning_of_columns(path, table, unnamed=True)
        if len(spec.header) == table.num_columns:
            found = replace(found, names=spec.header)
        return found if said is None else replace(found, symbol=said.decode())

    def read_file(self, path: str) -> Iterator[Chunk]:
        """Yield the rows of a file.

        Raises
        ------
        SourceError
            If it is no JSON, holds no rows, or a column is missing.
        """
        table = _table(path)
        names = self.spec.header or tuple(table.column_names)
        if len(names) != table.num_columns:
            raise SourceError(
                f"{path}: rows have {table.num_columns} values, and --columns names {len(names)}: name each"
            )
        yield from self.chunks(path, names, table.to_batches(max_chunksize=CHUNK_ROWS))


def _table(path: str) -> pa.Table:
    """Return the rows of a file as text by column, as they stand.

    Raises
    ------
    SourceError
        If there are none.
    """
    with open_binary(path) as stream:
        try:
            text = stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise SourceError(f"{path}: cannot be read to its end: {error}: fetch it again") from error
    if len(text) > MAX_BYTES:
        raise SourceError(f"{path}: is longer than {MAX_BYTES:,} bytes: write it as CSV or Parquet")
    try:
        parsed = _parsed(path, text)
        found = _rows(parsed)
    except ValueError as error:
        raise SourceError(f"{path}: {error}: name a file of one list") from error
    if not found:
        raise SourceError(f"{path}: holds no rows of bars: name a file with a list of them")
    if isinstance(found[0], Mapping):
        names = list(dict.fromkeys(name for row in found for name in row))
        rows = [[row.get(name) for name in names] for row in found]
    else:
        width = max(len(row) for row in found)
        names = [f"column {k + 1}" for k in range(width)]
        rows = [[*row, *[None] * (width - len(row))] for row in found]
    columns = [pa.array([_text(row[k]) for row in rows], pa.string()) for k in range(len(names))]
    symbol = _symbol_of(parsed)
    return pa.table(
        dict(zip(names, columns, strict=True)), metadata=None if symbol is None else {"symbol": symbol}
    )


def _parsed(path: str, text: bytes) -> Any:
    """Return what a JSON text or JSON lines hold; numbers as they are written."""

    def read(part: bytes | str) -> Any:
        return json.loads(part, parse_float=str, parse_int=str)

    try:
        return read(text)
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: is no JSON: {error}: name a file of text") from error
    except json.JSONDecodeError as error:
        lines = [line for line in text.decode("utf-8", "replace").splitlines() if line.strip()]
        try:
            if len(lines) < 2:
                raise error
            return [read(line) for line in lines]
        except json.JSONDecodeError:
            raise SourceError(f"{path}: is no JSON, or half-written: {error}: fetch it again") from error


def _rows(found: Any) -> list[Any]:
    """Return the rows of bars in what was parsed: all lists, or all objects; none if there are none.

    Raises
    ------
    ValueError
        If there are several lists of them, and nothing says of which symbol each is.
    """
    if isinstance(found, Mapping):
        return _rows_of_object(found)
    if not isinstance(found, Sequence) or isinstance(found, str) or not found:
        return []
    if all(isinstance(row, Mapping) for row in found):
        found = [_flat(row) for row in found]
    for kind in (list, Mapping):
        if all(isinstance(row, kind) for row in found) and not any(
            _nested(value) for row in found for value in (row.values() if isinstance(row, Mapping) else row)
        ):
            return list(found)
    return _only([rows for value in found if (rows := _rows(value))])


def _flat(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row with what stands in an object of its own, as Databento's `hd`, beside the rest.

    Of several with the same names, as OANDA's `bid` and `ask`, each is named with its object's.
    """
    inner = {name: value for name, value in row.items() if isinstance(value, Mapping)}
    flat = {name: value for name, value in row.items() if name not in inner}
    within = [(name, key, value) for name, object_ in inner.items() for key, value in object_.items()]
    if not inner or not flat or len(flat) + len(within) < _FIELDS:
        return row
    names = Counter([*flat, *(key for _, key, _ in within)])
    return flat | {key if names[key] == 1 else f"{name} {key}": value for name, key, value in within}


def _columns_of(found: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the lists of plain values in an object, and in objects in it: Yahoo's stamps and quotes."""
    columns: dict[str, list[Any]] = {}
    for name, value in found.items():
        inner = value[0] if isinstance(value, list) and len(value) == 1 else value
        if isinstance(inner, Mapping):
            columns = {**_columns_of(inner), **columns}
        elif isinstance(value, list) and not any(map(_nested, value)):
            columns[name] = value
    return columns


def _stamped_columns(found: Mapping[str, Any]) -> list[Any]:
    """Return rows of columns that stand in objects beside a list of stamps as long as they are."""
    stamps = found.get("timestamp")
    if not isinstance(stamps, list) or any(map(_nested, stamps)):
        return []
    columns = {name: value for name, value in _columns_of(found).items() if len(value) == len(stamps)}
    if len(columns) < _FIELDS:
        return []
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _of_pandas(found: Mapping[str, Any]) -> list[Any]:
    """Return rows of what `DataFrame.to_json` writes, of any `orient`; none of anything else."""
    if found.keys() == {"schema", "data"} and isinstance(found["data"], list):
        return _rows(found["data"])
    names, rows, index = (found.get(key) for key in ("columns", "data", "index"))
    if isinstance(names, list) and isinstance(rows, list) and isinstance(index, list):
        whole = all(isinstance(row, list) and len(row) == len(names) for row in rows)
        if not whole or len(index) != len(rows) or any(map(_nested, (*names, *index))):
            return []
        return [
            {"index": at, **dict(zip(names, row, strict=True))} for at, row in zip(index, rows, strict=True)
        ]
    columns = list(found.values())
    if len(columns) < _FIELDS - 1 or not all(isinstance(column, Mapping) and column for column in columns):
        return []
    by_name = {"open", "high", "low", "close"} <= {bare_name(str(name)) for name in found}
    if not by_name or any(column.keys() != columns[0].keys() for column in columns):
        return []
    return [{"index": at, **{name: found[name][at] for name in found}} for at in columns[0]]


def _rows_of_object(found: Mapping[str, Any]) -> list[Any]:
    if rows := _of_pandas(found):
        return rows
    lists = {name: value for name, value in found.items() if isinstance(value, list)}
    if len(lists) < _FIELDS and (rows := _stamped_columns(found)):
        return rows
    of_columns = len({len(value) for value in lists.values()}) == 1 and len(lists) >= _FIELDS
    if of_columns and not any(_nested(value) for column in lists.values() for value in column):
        return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    flat = [
        value
        for value in found.values()
        if isinstance(value, Mapping) and not any(map(_nested, value.values()))
    ]
    if flat and len(flat) == len(found) and all(len(value) >= _FIELDS - 1 for value in flat):
        return [{"timestamp": stamp, **value} for stamp, value in found.items()]
    inside = {name: rows for name, value in found.items() if (rows := _rows(value))}
    wide = {name: rows for name, rows in inside.items() if len(rows[0]) >= _FIELDS}
    inside = wide or inside  # what is narrower holds no bars: fields of a schema, dividends
    objects = len(inside) > 1 and all(isinstance(rows[0], Mapping) for rows in inside.values())
    if objects and not any("symbol" in row for rows in inside.values() for row in rows):
        return [{"symbol": name, **row} for name, rows in inside.items() for row in rows]
    return _only(list(inside.values()))


def _only(lists: list[list[Any]]) -> list[Any]:
    if len(lists) > 1:
        raise ValueError("it holds several lists of rows, and does not say of which symbol each is")
    return lists[0] if lists else []


def _symbol_of(found: Any) -> str | None:
    """Return the symbol that an answer names beside its rows."""
    if not isinstance(found, Mapping):
        return None
    for name, value in found.items():
        if bare_name(name) in ("symbol", "ticker", "instrument", "pair") and isinstance(value, str):
            return value
        if isinstance(value, Mapping) and bare_name(name) in ("meta", "meta data", "data"):
            return _symbol_of(value)
        inner = value[0] if isinstance(value, list) and len(value) == 1 else value
        if isinstance(inner, Mapping) and bare_name(name) in ("chart", "result"):
            return _symbol_of(inner)
    return None


def _nested(value: Any) -> bool:
    return isinstance(value, list | Mapping)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
