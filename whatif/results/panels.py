"""Returns of many configurations as a matrix.

Starts no JVM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from whatif.lake import RETURNS
from whatif.results.store import ResultStore
from whatif.splits import Window
from whatif.typing import FloatArray

Key = tuple[str, str]
"""config_id, and symbol or symbols joined by "+"."""


def returns_panel(store: ResultStore, window: Window, wanted: Sequence[Key]) -> tuple[FloatArray, list[Key]]:
    """Return the stored returns of some rows of the ranking on a window.

    Returns
    -------
    float64 array (periods, found)
        A column each in the order of `wanted`; the mean over symbols where these are pooled.
    list of (str, str)
        Those found: a large study does not keep all returns, and a failed backtest has none.
    """
    periods = len(store.resolved.periods[window.name])
    parts = ["+".join(group) for group in store.resolved.portfolios] if store.resolved.pooled else []
    column = {key: k for k, key in enumerate(dict.fromkeys(wanted))}
    places = (
        {(config_id, part): k for (config_id, _), k in column.items() for part in parts} if parts else column
    )
    # a row for each configuration: each is written whole
    sums, found = np.zeros((len(column), periods)), np.zeros(len(column), dtype=np.int64)
    ids = list(dict.fromkeys(config_id for config_id, _ in column))
    columns = ["config_id", "symbol", "returns"]
    for batch in store.stream(RETURNS, columns, store.slot(window).matches(ids)):
        _add(batch, places, sums, found)
    shares = len(parts) or 1
    whole = found == shares
    keys = [key for key, k in column.items() if whole[k]]
    if not whole.all():
        sums = sums[whole]
    # these may be hundreds of megabytes: as few copies as can be
    panel = np.ascontiguousarray(sums.T)
    panel /= shares
    return panel, keys


def _add(batch: pa.RecordBatch, places: Mapping[Key, int], sums: FloatArray, found: np.ndarray) -> None:
    table = pa.Table.from_batches([batch]).combine_chunks()
    names = zip(table["config_id"].to_pylist(), table["symbol"].to_pylist(), strict=True)
    returns = table["returns"]
    for row, key in enumerate(names):
        place = places.get(key)
        values = None if place is None else returns[row].values
        if place is None or values is None:
            continue
        series = values.to_numpy(zero_copy_only=False).astype(np.float64)
        if len(series) == sums.shape[1]:
            sums[place] += series
            found[place] += 1
