"""From text to floats, correctly rounded."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from whatif.typing import BoolArray, FloatArray

MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "-", "<na>"})
"""What stands for no value, in any case."""


def read_numbers(column: pd.Series) -> tuple[FloatArray, BoolArray]:
    """Return values (NaN where missing) and which rows are neither a number nor missing.

    Parameters
    ----------
    column : Series (n,)
        Numbers, or text with a point for decimals.
    """
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan), np.zeros(len(column), dtype=bool)
    try:
        parsed = pa.array(column, type=pa.string(), from_pandas=True).cast(pa.float64())
        return np.asarray(parsed.to_numpy(zero_copy_only=False), dtype=np.float64), np.zeros(
            len(column), dtype=bool
        )
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        pairs = [_read(value) for value in column]
    return np.array([value for value, _ in pairs]), np.array([bad for _, bad in pairs], dtype=bool)


def _read(value: object) -> tuple[float, bool]:
    text = "" if value is None or value is pd.NA or value is pd.NaT else str(value).strip()
    if text.lower() in MISSING:
        return float("nan"), False
    try:
        return (float("nan"), True) if "_" in text else (float(text), False)
    except ValueError:
        return float("nan"), True
