"""Weights of training rows: by how little of what their labels look at others share, and by class."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from whatif.models import WEIGHT
from whatif.typing import FloatArray, IntArray

KNOWN = "label_known_at"
"""Column of the instant at which a row's label is known."""

_STEP = 2.0**-30
"""Uniqueness is a multiple of this, so that sums of it are the same in whatever order they are made."""


def average_uniqueness(first: IntArray, last: IntArray, bars: int) -> FloatArray:
    """Return how much of what each label looks at is its own, of labels of one symbol.

    At each bar a label counts as one over the number of labels that look at it; the mean over its bars.

    Parameters
    ----------
    first, last : int64 array (n,)
        Rows of the first and the last bar that each label looks at.
    bars : int
        How many bars there are.

    Returns
    -------
    float64 array (n,)
        Above 0, up to 1 for a label that shares no bar.

    References
    ----------
    M. Lopez de Prado, Advances in Financial Machine Learning (2018), sections 4.3 and 4.4.
    """
    begun, over = (np.bincount(rows, minlength=bars + 1) for rows in (first, last + 1))
    concurrent = np.cumsum(begun - over)[:bars]
    shares = np.concatenate([[0.0], np.cumsum(1.0 / np.maximum(concurrent, 1))])
    return np.asarray((shares[last + 1] - shares[first]) / (last + 1 - first), dtype=np.float64)


def weighed(rows: Any, bars: Any, how: str) -> Any:
    """Return training rows with a column `weight`, whose mean is 1, in place of `KNOWN`.

    Parameters
    ----------
    rows : DataFrame
        Symbol, ts, `KNOWN` and `label` of those that train, among other columns; of Spark or of pandas.
    bars : DataFrame
        Symbol and ts of all bars of the same symbols.
    how : str
        "uniqueness": by `average_uniqueness`, of the bars behind a row's own up to the one in which its label
        is known; "class": so that all rows of a class together weigh as much as those of another; "both".
    """
    if not isinstance(rows, pd.DataFrame):
        return _weighed_on_spark(rows, bars, how)
    groups = bars.groupby("symbol", sort=False).indices
    parts = [
        _of_symbol(how, part, bars.iloc[groups[symbol]])
        for symbol, part in rows.groupby("symbol", sort=False)
    ]
    if not parts:
        return rows.drop(columns=KNOWN).assign(**{WEIGHT: 1.0})
    made = pd.concat(parts)
    steps = (made[WEIGHT] / _STEP).astype("int64").groupby(made["label"]).agg(["sum", "size"])
    factors = _factors({label: (int(total), int(rows)) for label, total, rows in steps.itertuples()}, how)
    return made.assign(**{WEIGHT: made[WEIGHT] * made["label"].map(factors)})


def _weighed_on_spark(rows: Any, bars: Any, how: str) -> Any:
    from pyspark.sql import functions as F  # noqa: N812

    types = dict(rows.dtypes)
    schema = ", ".join(f"`{name}` {kind}" for name, kind in types.items() if name != KNOWN)
    both = rows.groupBy("symbol").cogroup(bars.groupBy("symbol"))
    made = both.applyInPandas(partial(_of_symbol, how), f"{schema}, {WEIGHT} double").persist()
    steps = F.sum((F.col(WEIGHT) / _STEP).cast("long"))
    label = F.col("label") if how != "uniqueness" else F.lit(0.0)
    found = made.groupBy(label.alias("of")).agg(steps.alias("steps"), F.count("*").alias("rows")).collect()
    factors = _factors({row["of"]: (row["steps"], row["rows"]) for row in found}, how)
    factor = F.lit(None).cast("double")
    for of, value in factors.items():
        factor = F.when(label == of, F.lit(value)).otherwise(factor)
    return made.withColumn(WEIGHT, F.col(WEIGHT) * factor)


def _of_symbol(how: str, rows: pd.DataFrame, bars: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one symbol with its uniqueness as weight, or 1."""
    weight = np.ones(len(rows))
    if how != "class" and len(rows):
        ts = np.sort(bars["ts"].to_numpy("datetime64[us]"))
        own = np.searchsorted(ts, rows["ts"].to_numpy("datetime64[us]"))
        last = np.searchsorted(ts, rows[KNOWN].to_numpy("datetime64[us]")) - 1
        unique = average_uniqueness(np.minimum(own + 1, last), last, len(ts))
        weight = np.maximum(np.round(unique / _STEP), 1.0) * _STEP
    return rows.drop(columns=KNOWN).assign(**{WEIGHT: weight})


def _factors(found: Mapping[float, tuple[int, int]], how: str) -> dict[float, float]:
    """Return by what weights are multiplied, by label; `found` has sum, in steps, and number of its rows."""
    count = sum(rows for _, rows in found.values())
    total = sum(steps for steps, _ in found.values())
    if how == "uniqueness":
        return dict.fromkeys(found, count / (total * _STEP))
    return {label: count / (len(found) * steps * _STEP) for label, (steps, _) in found.items()}
