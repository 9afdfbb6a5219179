"""Numbers written as text, as floats that are correctly rounded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from whatif.errors import SourceError
from whatif.typing import BoolArray, FloatArray

MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "-", "--", "<na>"})
"""What stands for no value, in any case."""

THOUSANDS = (".", ",", "'", " ", "_")
COMMAS = r"\d{1,3}(?:,\d{2,3})*,\d{3}"
"""A whole number with commas between its groups: of three digits, or as in India 12,34,567."""

QUOTE = "\u2019"
"""The mark that Switzerland's spreadsheets write between thousands for '."""

_BLANKS = "[\u00a0\u202f\u2009]"
_MAX_COUNT = 2.0**53
_SIGN = r"^([+-]?)[$€£¥₹] ?"
_WRITTEN = re.compile(r"(?P<number>[+-]?(?:[$€£¥₹] ?)?(?:\d+\.?\d*|\.\d+)) ?(?P<unit>[KMBkmb]?)")
_POWERS = {"": 0, "K": 3, "M": 6, "B": 9}


@dataclass(frozen=True)
class NumberStyle:
    """How a file writes numbers.

    Attributes
    ----------
    decimal : str
        The decimal sign, "." or ",".
    thousands : str or None
        What stands between groups of three digits, if anything does.
    stated : bool
        Whether the user said so.
    units : bool
        Whether a currency's sign may stand before a number, and K, M or B (thousands, millions, billions)
        behind it.
    """

    decimal: str = "."
    thousands: str | None = None
    stated: bool = False
    units: bool = False


POINTS = NumberStyle()
"""What is taken for granted: a point for decimals, nothing between thousands."""


def number_style(decimal: str | None, thousands: str | None, units: bool = False) -> NumberStyle:
    """Return the style that the two options state; where commas are decimal signs, dots may group.

    Raises
    ------
    SourceError
        If one of them is no such sign, or both are the same.
    """
    if decimal not in (None, ".", ","):
        raise SourceError(
            f"decimal sign {decimal!r} is neither a dot nor a comma: give --decimal , or leave it out"
        )
    if thousands is not None and thousands not in THOUSANDS:
        raise SourceError(
            f"thousands are not separated by {thousands!r}: give one of {' '.join(THOUSANDS)} or a blank"
        )
    if thousands is not None and thousands == decimal:
        raise SourceError(
            f"{thousands!r} cannot both be the decimal sign and separate thousands: leave one out"
        )
    sign = decimal or ("," if thousands == "." else ".")
    group = thousands or ("." if decimal == "," else None)
    return NumberStyle(sign, group, decimal is not None or thousands is not None, units)


def read_numbers(column: pd.Series, style: NumberStyle | None = None) -> tuple[FloatArray, BoolArray]:
    """Return values (NaN where missing) and which rows are neither a number nor missing.

    Parameters
    ----------
    column : Series (n,)
        Numbers, or text.
    style : NumberStyle, optional
        How text writes them; with a point for decimals, and nothing between thousands, if left out.
    """
    style = style or POINTS
    if pd.api.types.is_bool_dtype(column.dtype):
        return np.full(len(column), np.nan), np.ones(len(column), dtype=bool)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan), np.zeros(len(column), dtype=bool)
    if style != NumberStyle(stated=style.stated, units=style.units):
        column = _plain(column, style)
    try:
        return _cast(column)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        pairs = [_read(value, style.units) for value in column]
    return np.array([value for value, _ in pairs]), np.array([bad for _, bad in pairs], dtype=bool)


def _cast(column: pd.Series) -> tuple[FloatArray, BoolArray]:
    texts = pa.array(column, from_pandas=True)
    if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        texts = pa.array(column, type=pa.string(), from_pandas=True)
    parsed = texts.cast(pa.float64())
    parsed = parsed.combine_chunks() if isinstance(parsed, pa.ChunkedArray) else parsed
    values = np.asarray(parsed.to_numpy(zero_copy_only=False), dtype=np.float64)
    return values, np.zeros(len(column), dtype=bool)


def read_counts(column: pd.Series, style: NumberStyle | None = None) -> tuple[FloatArray, BoolArray]:
    """Return whole numbers, (n,), NaN where missing, and which rows are neither one nor missing, (n,)."""
    values, bad = read_numbers(column, style)
    with np.errstate(invalid="ignore"):
        part = ~np.isnan(values) & ((values != np.floor(values)) | (values < 0) | (values > _MAX_COUNT))
    return np.where(part, np.nan, values), bad | part


def grouped(column: pd.Series) -> str | None:
    """Return a value such as 1.234.567 if the others with a dot could be thousands too, as 1.234."""
    words = _words(column)
    dotted = words.filter(pc.fill_null(pc.match_substring(words, "."), False))
    if (
        not len(dotted)
        or not pc.all(pc.match_substring_regex(dotted, r"^[+-]?[1-9]\d{0,2}(?:\.\d{3})+$")).as_py()
    ):
        return None
    certain = dotted.filter(pc.match_substring_regex(dotted, r"\..*\."))
    return str(certain[0]) if len(certain) else None


def with_commas(column: pd.Series) -> tuple[str, str] | None:
    """Return a value with a comma, and the option that reads it, if most values have one."""
    words = _words(column)
    commas = words.filter(pc.fill_null(pc.match_substring(words, ","), False))
    if not len(commas) or len(commas) <= len(words) / 2:
        return None
    groups = pc.all(pc.match_substring_regex(commas, rf"^[+-]?{COMMAS}(?:\.\d*)?$")).as_py()
    option = "--thousands ," if groups else "--decimal ,"
    if groups and not pc.any(pc.match_substring_regex(commas, r",.*[,.]")).as_py():
        option = "--decimal , or --thousands ,"
    return str(commas[0]), option


def may_be_grouped(column: pd.Series, values: FloatArray) -> bool | None:
    """Tell whether every value with a dot could be thousands, as 1.234 and 12.500; None if none has a dot.

    A value such as 0.125, 1234.500 or 1.5 shows that dots are decimal signs.

    Parameters
    ----------
    column : Series (n,)
        Text.
    values : float64 array (n,)
        The same, read with dots as decimal signs; NaN where missing or no number.
    """
    with np.errstate(invalid="ignore"):
        part = values[np.isfinite(values) & (values != np.floor(values))]
        near = np.abs(part * 1_000 - np.round(part * 1_000)) < 1e-6
    if not (near & (np.abs(part) >= 1) & (np.abs(part) < 1_000)).all():
        return False
    if not pc.any(
        pc.match_substring(pa.array(column.astype("str"), pa.string(), from_pandas=True), ".")
    ).as_py():
        return None
    words = _words(column)
    dotted = words.filter(pc.fill_null(pc.match_substring(words, "."), False))
    return bool(pc.all(pc.match_substring_regex(dotted, r"^[+-]?[1-9]\d{0,2}\.\d{3}$")).as_py())


def _words(column: pd.Series) -> pa.Array:
    return pa.array(column.astype("str").str.strip(), type=pa.string(), from_pandas=True)


def _plain(column: pd.Series, style: NumberStyle) -> pd.Series:
    """Return numbers with a point and without groups; what is not of the style is left as no number."""
    text = column.astype("str").str.strip().str.replace(_BLANKS, " ", regex=True)
    text = text.str.replace(QUOTE, "'", regex=False) if style.thousands == "'" else text
    text = text.str.replace(_SIGN, r"\1", regex=True) if style.units else text
    sign, group = re.escape(style.decimal), re.escape(style.thousands or "")
    groups = COMMAS if style.thousands == "," else rf"\d{{1,3}}(?:{group}\d{{3}})+"
    whole = rf"(?:{groups}|\d*)" if group else r"\d*"
    unit = "| ?[KMBkmb]" if style.units else ""
    of_style = text.str.fullmatch(rf"[+-]?{whole}(?:{sign}\d*)?(?:[eE][+-]?\d+{unit})?")
    of_style = of_style.fillna(False).astype(bool)
    missing = text.isna() | text.str.lower().isin(MISSING)
    bare = text.str.replace(style.thousands, "", regex=False) if style.thousands else text
    return bare.str.replace(style.decimal, ".", regex=False).where(of_style | missing, "not a number")


def _read(value: object, units: bool) -> tuple[float, bool]:
    text = "" if value is None or value is pd.NA or value is pd.NaT else str(value).strip()
    if text.lower() in MISSING:
        return float("nan"), False
    try:
        return (float("nan"), True) if "_" in text else (float(text), False)
    except ValueError:
        return _written(text) if units else (float("nan"), True)


def _written(text: str) -> tuple[float, bool]:
    """Return a number with a currency's sign before it, or thousands, millions or billions behind it."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        return float("nan"), True
    # in decimal, since 1.001 * 1000 is not 1001
    number = re.sub("[$€£¥₹ ]", "", found["number"])
    return float(Decimal(number).scaleb(_POWERS[found["unit"].upper()])), False
