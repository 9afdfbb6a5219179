"""Beginnings of files: the first rows as a file has them, and where its header and its rows begin."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa

from whatif.errors import SourceError
from whatif.sources.bounded import encoding_of, text_of
from whatif.sources.columns import bare_name, find_columns
from whatif.sources.numbers import number_style, read_numbers
from whatif.sources.opening import MEMBER, UNPACKED_BY, open_binary
from whatif.sources.patterns import UNITS
from whatif.sources.signs import signs_of
from whatif.sources.spec import IngestSpec
from whatif.sources.stamps import clock_digits, formats_of, is_date_alone, is_time_alone
from whatif.sources.wide import as_long
from whatif.typing import FloatArray

MAX_LINES = 3_000
_LONGEST_PROSE = 65_536
_DELIMITERS = ",;\t|"
_SEP = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?[$€£¥₹]? ?(?:\d[\d.,'\u2019 \u00a0]*|\.\d+)(?:[eE][+-]?\d+)? ?[KMB%]?")
_ENDINGS = (".csv", ".txt", ".tsv", ".parquet", ".pq", ".feather", ".arrow", ".ipc", ".json", ".zip", ".prn",
            *UNPACKED_BY)  # fmt: skip
_TICKER = re.compile(r"ticker|symbol", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Beginning:
    """The first rows of a file.

    Attributes
    ----------
    path : str
        The file, or `ZIP::NAME`.
    names : tuple of str (k)
        Its header; empty where it has none.
    rows : DataFrame (n rows, k columns)
        Columns by position, text as it stands or typed as the file types it.
    skip : int
        Lines before the first row, of a text.
    delimiter : str or None
        What stands between fields, of a text.
    above : str
        What stands above the header.
    symbol : str or None
        Symbol of all rows, which a line of the header names.
    plain : bool
        Whether the header is the first line that is no comment, and fits the rows.
    """

    path: str
    names: tuple[str, ...]
    rows: pd.DataFrame
    skip: int = 0
    delimiter: str | None = None
    above: str = ""
    symbol: str | None = None
    plain: bool = True

    @property
    def stem(self) -> str:
        """Return the file's name without its endings."""
        name = PurePosixPath(self.path.replace("\\", "/").rpartition(MEMBER)[2] or self.path).name
        while (ending := next((e for e in _ENDINGS if name.lower().endswith(e)), None)) is not None:
            name = name[: -len(ending)]
        return name


def beginning_of_text(path: str, spec: IngestSpec) -> Beginning | None:
    """Return the beginning of delimited text; None where nothing in it looks like rows of bars.

    Raises
    ------
    SourceError
        If it cannot be opened.
    """
    with open_binary(path) as stream:
        try:
            encoding = encoding_of(stream.read(4))
            stream.seek(0)
            text = text_of(path, stream, encoding)
            found, wide = (text, None) if spec.header or spec.skip is not None else as_long(text)
            lines = list(islice(found, MAX_LINES))
        except (UnicodeDecodeError, OSError, EOFError):
            return None
    if not lines or any("\0" in line for line in lines):
        return None
    begin = _from_lines(path, lines, spec)
    # of several symbols side by side the first may begin later: the header is the first line all the same
    return begin if begin is None or wide is None else replace(begin, skip=1, plain=True)


def is_prose(path: str) -> bool:
    """Tell whether a file is text of which no line has fields: the report beside the table in a zip.

    One that is long, or cannot be opened, is none.
    """
    if not path.lower().endswith(".txt"):
        return False
    try:
        with open_binary(path) as stream:
            begun = stream.read(_LONGEST_PROSE)
    except (SourceError, OSError, EOFError):
        return False
    lines = begun.decode("utf-8", "replace").splitlines()
    fields = max((line.count(sign) for line in lines for sign in _DELIMITERS), default=0)
    return 0 < len(begun) < _LONGEST_PROSE and "\0" not in begun.decode("latin-1") and fields < 4


def _from_lines(path: str, lines: list[str], spec: IngestSpec) -> Beginning | None:
    stated = next((m.group(1) for line in lines[:5] if (m := _SEP.fullmatch(line.strip()))), None)
    delimiter = spec.delimiter or stated or _delimiter(lines)
    if delimiter is None:
        return None
    records = [fields_of(line, delimiter) for line in lines]
    widths = Counter(len(record) for record in records if len(record) > 1)
    if not widths:
        return None
    width = widths.most_common(1)[0][0]
    first = _first_row(records, width) if spec.skip is None else spec.skip
    if first is None or first >= len(records):
        return None
    rows = [record for record in records[first:] if len(record) == width]
    before = [(k, record) for k, record in enumerate(records[:first]) if any(record)]
    header = spec.header or _header(before, width, spec)
    names, above = tuple(header), "".join(lines[:first])
    if names and len(names) == width - 1 and all(not row[-1].strip() for row in rows):
        names = (*names, "")
    frame = pd.DataFrame(rows, columns=range(width), dtype="str")
    at = next((k for k, record in before if tuple(_named(record)) == names), None)
    begun = next((k for k, line in enumerate(lines) if not _is_comment(line)), 0)
    plain = bool(names) and at == begun and at == first - 1 and len(header) == width
    return Beginning(path, names, frame, first, delimiter, above, _ticker(before), plain or bool(spec.header))


def _is_comment(line: str) -> bool:
    text = line.strip()
    return not text or _SEP.fullmatch(text) is not None or (text.startswith("#") and len(text.split(",")) < 5)


def _delimiter(lines: Sequence[str]) -> str | None:
    """Return what parts most lines into as many fields as each other, five or more."""
    best, share = None, 0
    sample = [line for line in lines[-200:] if line.strip()]
    for delimiter in _DELIMITERS:
        widths = Counter(len(fields_of(line, delimiter)) for line in sample)
        width, count = widths.most_common(1)[0] if widths else (1, 0)
        if width >= 5 and count * width > share:
            best, share = delimiter, count * width
    return best


def fields_of(line: str, delimiter: str) -> list[str]:
    """Return the fields of a line of delimited text; none of one that is none."""
    if '"' not in line:
        return line.rstrip("\r\n").split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _first_row(records: Sequence[list[str]], width: int) -> int | None:
    """Return where rows of numbers begin."""
    for k, record in enumerate(records[:50]):
        if (
            len(record) == width
            and sum(_NUMBER.fullmatch(value.strip()) is not None for value in record) >= 4
        ):
            return k
    return None


def _header(before: Sequence[tuple[int, list[str]]], width: int, spec: IngestSpec) -> tuple[str, ...]:
    """Return the names of columns: of the lines above the rows that which knows most of them."""
    best: tuple[str, ...] = ()
    most = 0
    for _, record in before:
        if not width - 1 <= len(record) <= width:
            continue
        names = tuple(_named(record))
        known = sum(bool(at) for at in find_columns("", names, IngestSpec()).values())
        known += sum(name in names for named in spec.columns.values() for name in named)
        if known > most:
            best, most = names, known
    below = [record for _, record in before if len(record) == width]
    if best and below and bare_name(best[0]) in ("price", "ticker", "") and len(before) > 1:
        first = next((record[0] for record in reversed(below) if record[0].strip()), best[0])
        best = (first.strip(), *best[1:])
    if not best and before and len(before[-1][1]) == width:
        best = tuple(_named(before[-1][1]))
    return _filled(best, below)


def _filled(names: tuple[str, ...], lines: Sequence[list[str]]) -> tuple[str, ...]:
    """Return names, those left empty behind the first from other lines of the header, where they are new."""
    found = list(names)
    for k in range(1, len(names)):
        others = [line[k].strip() for line in lines if len(line) == len(names) and line[k].strip()]
        if not found[k] and others and others[0] not in found:
            found[k] = others[0]
    return tuple(found)


def _named(record: Sequence[str]) -> list[str]:
    return [name.strip() for name in record]


def _ticker(before: Sequence[tuple[int, list[str]]]) -> str | None:
    """Return the symbol of a line such as `Ticker,SPY,SPY,SPY,SPY,SPY` in a header of several."""
    for _, record in before:
        values = {value.strip() for value in record[1:]}
        if len(record) > 2 and _TICKER.fullmatch(record[0].strip()) and len(values) == 1 and values != {""}:
            return values.pop()
    return None


def beginning_of_columns(path: str, table: pa.Table, unnamed: bool = False) -> Beginning:
    """Return the beginning of a table.

    Parameters
    ----------
    path : str
        Its file.
    table : Table
        At least its first rows.
    unnamed : bool
        Whether columns named "column 1" and so on have no names.
    """
    first = table.slice(0, MAX_LINES)
    columns = {k: first.column(k).to_pandas() for k in range(first.num_columns)}
    nameless = unnamed and all(name.startswith("column ") for name in table.column_names)
    return Beginning(path, () if nameless else tuple(table.column_names), pd.DataFrame(columns))


_NEAR = 0.5
_LOOKED_AT = 300


def roles_of(rows: pd.DataFrame) -> tuple[str, ...] | None:
    """Return names of columns: a stamp, or a date and a time, a symbol, prices and what follows them.

    The high is the column that is nowhere below the other prices, the low the one nowhere above. That the
    open comes first and the close last is the order of all who write no header; it is only taken where high
    and low stand second and third.

    Parameters
    ----------
    rows : DataFrame (n rows, k columns)
        Columns by position.

    Returns
    -------
    tuple of str (k) or None
        Names; those that nothing shows are "column 7". None where they are not beyond doubt.
    """
    names, texts = _stamped(rows)
    if not names:
        return None
    numbers = [k for k in range(len(texts)) if names[k].startswith("column")]
    columns = _numbers([texts[k] for k in numbers])
    first = _prices(columns)
    if first is None:
        return None
    for name, k in zip(("open", "high", "low", "close"), numbers[first : first + 4], strict=True):
        names[k] = name
    rest = numbers[first + 4 :]
    if rest and first == 0:
        volume = columns[first + 4]
        if len(rest) > 1 and _is_like_prices(volume, columns[first + 3]):
            return None
        names[rest[0]] = "volume"
        if len(rest) > 1 and _marks_the_newest(columns[-1]):
            names[rest[-1]] = "complete"
    return tuple(names)


def _marks_the_newest(column: FloatArray) -> bool:
    """Tell whether a column is 1 but for the first row or the last, where it is 0: that bar goes on."""
    if len(column) < 3 or not np.isin(column, (0.0, 1.0)).all():
        return False
    return bool((column == 0).sum() == 1 and column[[0, -1]].min() == 0)


def other_orders(rows: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return what columns without a header may be called where the high is not second and the low not third.

    Values show high and low, as those of Coinbase (low, high, open, close) and Bitfinex (open, close, high,
    low) do, and not which of the other two is the open: both names are returned, of a file of a stamp, four
    prices and a volume alone; of others nothing.
    """
    names, texts = _stamped(rows)
    numbers = [k for k in range(len(names)) if names[k].startswith("column")]
    columns = _numbers([texts[k] for k in numbers])
    if len(columns) != 5 or len({len(column) for column in columns}) > 1 or not len(columns[0]):
        return []
    four = np.vstack(columns[:4])
    slack = 1e-9 * np.abs(four.max(axis=0))
    highs = np.flatnonzero((four + slack >= four.max(axis=0)).mean(axis=1) >= 0.99)
    lows = np.flatnonzero((four - slack <= four.min(axis=0)).mean(axis=1) >= 0.99)
    if len(highs) != 1 or len(lows) != 1 or highs[0] == lows[0]:
        return []
    high = four[highs[0]]
    if _is_like_prices(columns[4], high) or not all(_is_like_prices(column, high) for column in four):
        return []  # a volume stands among them, as of Gate.io
    names[numbers[highs[0]]], names[numbers[lows[0]]], names[numbers[4]] = "high", "low", "volume"
    first, second = (numbers[k] for k in range(4) if k not in (highs[0], lows[0]))
    found = []
    for one, other in (("open", "close"), ("close", "open")):
        names[first], names[second] = one, other
        found.append(tuple(names))
    return found


def _stamped(rows: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return names of columns with stamps and symbols named, and their values; none where no stamp is."""
    rows = rows.iloc[:_LOOKED_AT]
    texts = [_texts(rows[k]) for k in rows.columns]
    names = [f"column {k + 1}" for k in range(len(texts))]
    stamp = next((k for k, values in enumerate(texts) if _is_stamp(values)), None)
    if stamp is None:
        return [], []
    names[stamp] = "ts"
    after = stamp + 1
    beside = texts[after] if after < len(texts) else []
    clocks = (is_time_alone(beside) and _are_clocks(beside)) or clock_digits(texts[stamp], beside)
    if is_date_alone(texts[stamp]) and clocks:
        names[stamp], names[after] = "date", "time"
    for k, values in enumerate(texts):
        if names[k].startswith("column") and values and all(_is_word(value) for value in values):
            names[k] = "symbol"
            break
    return names, texts


def volume_behind(rows: pd.DataFrame, low: int, high: int, volume: int, others: Sequence[int]) -> int | None:
    """Return which of other columns a column is times a price in each row, as a turnover is of the volume.

    Parameters
    ----------
    rows : DataFrame (n rows, k columns)
        Columns by position.
    low, high, volume : int
        Columns of prices, and the one that may be a turnover.
    others : sequence of int
        Columns that may be the volume.
    """
    rows = rows.iloc[:_LOOKED_AT]
    columns = _numbers(
        [rows[k].astype("str").fillna("").str.strip().tolist() for k in (low, high, volume, *others)]
    )
    lows, highs, amounts = columns[:3]
    at_par = (lows >= _PAR[0]) & (highs <= _PAR[1])  # each of two volumes is the other times a price
    if at_par.all():
        return None
    for k, sizes in zip(others, columns[3:], strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            price = amounts / sizes
        known = (sizes > 0) & (amounts > 0)
        fits = (price >= lows * (1 - _ROUNDED)) & (price <= highs * (1 + _ROUNDED))
        if known.sum() >= _ENOUGH and fits[known].mean() >= 0.99:
            return k
    return None


_ROUNDED, _ENOUGH = 1e-3, 20
_PAR = (0.97, 1.03)
"""Prices of two dollars: nothing shows which of two volumes is the turnover."""


def _texts(column: pd.Series) -> list[str]:
    return [str(value).strip() for value in column.dropna() if str(value).strip()]


def _is_stamp(values: Sequence[str]) -> bool:
    return bool(values) and bool(formats_of(values)) and not all(_is_small(value) for value in values)


def _is_small(value: str) -> bool:
    """Tell whether a text is a number below any date's."""
    try:
        return float(value) < 1e7
    except ValueError:
        return False


def _are_clocks(values: Sequence[str]) -> bool:
    """Tell whether values are times of day, and no prices or volumes of four or six digits."""
    if any(":" in value for value in values):
        return True
    return len({len(value) for value in values}) == 1 and all(
        int(value[:2]) < 24 and int(value[2:4]) < 60 for value in values
    )


def _is_word(value: str) -> bool:
    return value[:1].isalpha() and len(value) <= 20


def _numbers(columns: Sequence[Sequence[str]]) -> list[FloatArray]:
    flat = [value for column in columns[:4] for value in column]
    decimal, thousands = signs_of(flat, [])
    style = number_style(decimal, thousands) if decimal else None
    return [read_numbers(pd.Series(list(column), dtype="str"), style)[0] for column in columns]


def _prices(values: Sequence[FloatArray]) -> int | None:
    """Return where four columns are open, high, low and close, the first such place; None if none is."""
    for k in range(len(values) - 3):
        four = values[k : k + 4]
        if len({len(column) for column in four}) > 1 or not len(four[0]):
            continue
        o, h, low, c = four
        if np.isnan(np.vstack(four)).all(axis=0).any():
            continue
        slack = 1e-9 * np.abs(h)
        fits = (h + slack >= np.fmax(o, c)) & (low - slack <= np.fmin(o, c)) & (h + slack >= low)
        if fits.mean() < 0.99:
            return None
        return k if (h > low).any() or len(values) <= 6 else None
    return None


def _is_like_prices(column: FloatArray, close: FloatArray) -> bool:
    """Tell whether values lie as near to the closes as adjusted ones would."""
    if len(column) != len(close):
        return False
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = column / close
    return bool(np.all((ratio > 1 - _NEAR) & (ratio < 1 + _NEAR)))


_PARTS = re.compile(
    r"(?i)(?:(?P<before>.+)[ _.:/-]+)?(?P<role>open|high|low|close|volume)(?:[ _.:/-]+(?P<behind>.+))?"
)
_NO_VOLUMES = re.compile(
    r"open ?int|spread|dividend|split|trades?\b|count|flag|time|date|id\b|index|period|per\b|adj"
)
_MIN_DIGITS, _FEW = 8, 9


def only_stamps(
    rows: pd.DataFrame, names: Sequence[str], used: Collection[int], symbol: pd.Series | None
) -> str | None:
    """Return the name of the only column that holds stamps; None if there is none, or several.

    Parameters
    ----------
    rows : DataFrame (n rows, k columns)
        First rows of a file, columns by position.
    names : sequence of str (k)
        Its header.
    used : collection of int
        Columns that are something else.
    symbol : Series (n,) or None
        Symbols of rows; None if all are of one.
    """
    found = [k for k in range(len(names)) if k not in used and _are_stamps(rows[k].dropna(), symbol)]
    name = names[found[0]] if len(found) == 1 else None
    return name if name is not None and names.count(name) == 1 else None


def _are_stamps(values: pd.Series, symbol: pd.Series | None) -> bool:
    """Tell whether values are stamps; counts since 1970 run one way for each symbol, as amounts do not."""
    if values.dtype == object and not all(isinstance(value, Hashable) for value in values):
        return False  # lists and mappings of Parquet and JSON
    groups = pd.Series(0, index=values.index) if symbol is None else symbol[values.index]
    if values.groupby(groups).nunique().sum() < len(values):  # no symbol has two bars of one stamp
        return False
    if values.dtype.kind == "M" or isinstance(values.dtype, pd.DatetimeTZDtype):
        return True
    texts = [_as_text(value) for value in values]
    if not any(":" in text or len(text) >= _MIN_DIGITS for text in texts):
        return False
    found = formats_of(texts)
    if not found or found[0].time_format not in UNITS:
        return bool(found)
    numbers = pd.to_numeric(pd.Series(texts), errors="coerce")
    runs = [one for _, one in numbers.groupby(groups.to_numpy())]
    return len(numbers) > 1 and all(r.is_monotonic_increasing or r.is_monotonic_decreasing for r in runs)


def _as_text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def like_volumes(rows: pd.DataFrame, names: Sequence[str], used: Collection[int]) -> list[str]:
    """Return the names of columns that hold whole numbers as volumes are, and are named as nothing else.

    Parameters
    ----------
    rows, names, used
        As of `only_stamps`.
    """
    found = []
    for k, name in enumerate(names):
        column = rows[k]
        typed = column.dtype.kind in "Mmb" or isinstance(column.dtype, pd.DatetimeTZDtype)
        if k in used or not name or typed or _NO_VOLUMES.search(bare_name(name)):
            continue
        numbers = pd.to_numeric(column, errors="coerce")
        whole = numbers.notna() & (numbers >= 0) & (numbers % 1 == 0)
        if whole.all() and numbers.max() > _FEW:
            found.append(name)
    return found


def side_by_side(names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """Return the columns of symbols of which each has its own: symbol → open, high, low, close → name.

    `AAPL_Open` and `Open.AAPL` are the open of AAPL.

    Parameters
    ----------
    names : sequence of str
        Header of a file.
    """
    by_symbol: dict[str, dict[str, str]] = {}
    for name in names:
        part = _PARTS.fullmatch(name.strip())
        if part is not None and (symbol := part["before"] or part["behind"]):
            by_symbol.setdefault(symbol, {})[part["role"].lower()] = name
    return {s: roles for s, roles in by_symbol.items() if {"open", "high", "low", "close"} <= set(roles)}
