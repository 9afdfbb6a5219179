"""What is known of a file while it is looked at: its first rows, what was concluded, what has to be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import pandas as pd

from whatif.sources.beginning import MAX_LINES, Beginning, fields_of
from whatif.sources.bounded import encoding_of, text_of
from whatif.sources.opening import open_binary
from whatif.sources.providers import Provider
from whatif.sources.spec import IngestSpec
from whatif.sources.wide import as_long

_MAX_SCANNED = 2_000_000


@dataclass(frozen=True)
class Finding:
    """An option that was concluded.

    Attributes
    ----------
    option : str
        As it would be typed.
    because : str
        What shows it.
    """

    option: str
    because: str


@dataclass
class Look:
    """What is known of a file while it is looked at; all but `begin` fills up.

    Attributes
    ----------
    begin : Beginning
        Its first rows.
    spec : IngestSpec
        How it is read: what the user said, and what was concluded.
    provider : Provider or None
        Whose layout it has, if that is known.
    names : tuple of str
        What its columns are called.
    findings : list of Finding
        What was concluded.
    questions : list of str
        What it can mean in several ways, with the options that settle it.
    at : mapping of str to tuple of int
        Column of the table → those of the file that it is made of.
    short_clocks : bool
        Whether times of day stand beside their dates as numbers without leading zeros: 930.
    """

    begin: Beginning
    spec: IngestSpec
    provider: Provider | None = None
    names: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    at: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    short_clocks: bool = False

    def take(self, option: str, because: str, **values: Any) -> None:
        """Set fields of the spec, and note why; what the user said stays."""
        self.spec = replace(self.spec, **values)
        self.findings.append(Finding(option, because))

    def column(self, target: str) -> pd.Series | None:
        """Return the first rows of a table column, joined if it is of several; None if there is none."""
        at = self.at.get(target, ())
        if not at:
            return None
        joined = self.begin.rows[at[0]]
        for k in at[1:]:
            joined = joined.astype("str") + " " + self.begin.rows[k].astype("str")
        return joined

    def texts(self, target: str) -> list[str]:
        """Return the first rows of a table column that is text; none if it is typed."""
        found = self.column(target)
        if found is None or pd.api.types.is_numeric_dtype(found.dtype) or found.dtype.kind in "Mm":
            return []
        return [str(value) for value in found.dropna()]

    def whole_column(self, at: Sequence[int]) -> list[str] | None:
        """Return what stands in a column, each text once; None if it is not known to the file's end."""
        begin = self.begin
        delimiter = begin.delimiter
        if delimiter is None:
            short = len(at) == 1 and len(begin.rows) < MAX_LINES
            return list(dict.fromkeys(map(str, begin.rows[at[0]]))) if short else None
        with open_binary(begin.path) as stream:
            try:
                encoding = encoding_of(stream.read(4))
                stream.seek(0)
                text = text_of(begin.path, stream, encoding)
                given = self.spec.header or self.spec.skip is not None
                lines = islice(text if given else as_long(text)[0], begin.skip, _MAX_SCANNED)
                records = (fields_of(line, delimiter) for line in lines)
                found = {" ".join(r[k] for k in at): None for r in records if len(r) == begin.rows.shape[1]}
                return list(found) if next(text, None) is None else None
            except (UnicodeDecodeError, OSError, EOFError):
                return None
