"""Tables with columns for several symbols, under a header of two levels, as rows of a symbol and bar each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from whatif.sources.columns import bare_name

_PRICES = {"open", "high", "low", "close"}
_LEVELS = ("price", "ticker", "")
"""What stands before the names of a level: what pandas calls it, or nothing."""


@dataclass(frozen=True)
class Wide:
    """A header of two levels, prices and symbols, as `yf.download([...]).to_csv()` writes it.

    Attributes
    ----------
    stamp : str
        Name of the first column.
    fields, symbols : tuple of str
        Names of either level, each once.
    at : tuple of tuple of int
        By symbol, the column of each field; -1 where it has none.
    width, lines : int
        Columns of the table, and lines of its header.
    delimiter : str
        What stands between fields.
    """

    stamp: str
    fields: tuple[str, ...]
    symbols: tuple[str, ...]
    at: tuple[tuple[int, ...], ...]
    width: int
    lines: int
    delimiter: str

    def rows(self, lines: Iterable[str]) -> Iterator[str]:
        """Yield the header of one level, and of each line as many as there are symbols.

        One of a symbol that has nothing there is blank, so that lines can be counted. A line with another
        number of fields is one of a single field.
        """
        yield self._line([self.stamp, "Ticker", *self.fields])
        for line in lines:
            record = _fields(line, self.delimiter)
            if record is None or (record and len(record) != self.width):
                ended = line.endswith(("\n", "\r"))
                whole = '"' + line.rstrip("\r\n").replace('"', '""') + '"'
                yield from (f"{whole}\n", *["\n"] * (len(self.symbols) - 1)) if ended else (whole,)
                continue
            for symbol, where in zip(self.symbols, self.at, strict=True):
                values = [record[k] if k >= 0 and record else "" for k in where]
                bare = not any(value.strip() for value in values)
                yield "\n" if bare else self._line([record[0], symbol, *values])

    def _line(self, values: Sequence[str]) -> str:
        text = io.StringIO()
        csv.writer(text, delimiter=self.delimiter, lineterminator="\n").writerow(values)
        return text.getvalue()


def as_long(lines: Iterable[str]) -> tuple[Iterator[str], Wide | None]:
    """Return lines of a text with one row a symbol and bar, and the header of two levels if it had one.

    A text with another header is returned as it is.
    """
    rest = iter(lines)
    return put_back(list(islice(rest, 3)), rest)


def put_back(first: list[str], rest: Iterator[str]) -> tuple[Iterator[str], Wide | None]:
    """Return what `as_long` does of a text whose first three lines have been taken."""
    wide = wide_header(first)
    if wide is None:
        return chain(first, rest), None
    return wide.rows(chain(first[wide.lines :], rest)), wide


def wide_header(first: Sequence[str]) -> Wide | None:
    """Return what the first three lines say of columns for several symbols; None if they do not."""
    if len(first) < 3:
        return None
    delimiter = max(",;\t|", key=first[0].count)
    try:
        one, other, third = csv.reader([line.rstrip("\r\n") for line in first], delimiter=delimiter)
    except (csv.Error, ValueError):
        return None
    if len(one) != len(other) or len(one) < 2 * len(_PRICES) + 1:
        return None
    levels = [[name.strip() for name in level[1:]] for level in (one, other)]
    if any(bare_name(level[0]) not in _LEVELS for level in (one, other)) or not all(map(all, levels)):
        return None
    if not {bare_name(name) for name in levels[0]} >= _PRICES:
        levels.reverse()  # symbols stand above, as with group_by="ticker"
    names, owners = levels
    pairs = dict(zip(zip(owners, names, strict=True), range(1, len(one)), strict=True))
    fields, symbols = tuple(dict.fromkeys(names)), tuple(dict.fromkeys(owners))
    if not {bare_name(name) for name in fields} >= _PRICES or len(symbols) < 2 or len(pairs) < len(names):
        return None
    if _PRICES & {bare_name(symbol) for symbol in symbols}:
        return None
    at = tuple(tuple(pairs.get((symbol, name), -1) for name in fields) for symbol in symbols)
    named = bool(third) and third[0].strip() != "" and not any(value.strip() for value in third[1:])
    stamp, lines = (third[0].strip(), 3) if named else ("Date", 2)
    return Wide(stamp, fields, symbols, at, len(one), lines, delimiter)


def _fields(line: str, delimiter: str) -> list[str] | None:
    """Return the fields of a line, none of a blank one; None where it is no line of CSV."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None
