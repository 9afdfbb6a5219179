"""Rows of backtests as Arrow record batches, which is how they leave a worker."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from whatif.domain import PLAN_COLUMNS, row_columns, worker_columns
from whatif.engines import MeasuredRuns
from whatif.pins import schema_of, type_of
from whatif.stats import BuyAndHold
from whatif.typing import FloatArray, IntArray

BATCH_ROWS = 1_000
BATCH_NUMBERS = 500_000
"""A worker sends what it has as soon as it holds so many rows, or so many numbers in their series."""


def constant(value: Any, kind: str, count: int) -> pa.Array:
    """Return a column of this kind that holds one value `count` times."""
    return (
        pa.nulls(count, type_of(kind)) if value is None else pa.repeat(pa.scalar(value, type_of(kind)), count)
    )


def batches_of(rows: Iterable[dict[str, Any]], keep: bool) -> Iterator[pa.RecordBatch]:
    """Yield rows in batches of a bounded size, so that memory does not grow with a work item."""
    columns = worker_columns(keep)
    arrays = [name for name, kind in columns.items() if kind.startswith("array")]
    waiting: list[dict[str, Any]] = []
    numbers = 0
    for row in rows:
        waiting.append(row)
        numbers += sum(len(row[name]) for name in arrays if row[name] is not None)
        if numbers > BATCH_NUMBERS or len(waiting) >= BATCH_ROWS:
            yield batch_of(waiting, columns)
            waiting, numbers = [], 0
    if waiting:
        yield batch_of(waiting, columns)


def batch_of(rows: Sequence[dict[str, Any]], columns: Mapping[str, str]) -> pa.RecordBatch:
    """Return rows as one batch."""
    arrays = [
        # what is no number of a metric is missing in a table
        pa.array([row.get(name) for row in rows], type_of(kind), from_pandas=True)
        for name, kind in columns.items()
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema_of(columns))


def batch_of_runs(
    same: Mapping[str, Any],
    own: Mapping[str, Sequence[Any]],
    found: MeasuredRuns,
    holdings: Sequence[BuyAndHold],
    places: IntArray,
) -> pa.RecordBatch:
    """Return the rows of configurations that were run by one call, without an object for each.

    Parameters
    ----------
    same : mapping of str to object
        Columns that hold one value in all of them; None where nothing is said.
    own : mapping of str to sequence
        Columns of texts, one for each of c configurations.
    found : MeasuredRuns
        What came of c configurations.
    holdings : sequence of BuyAndHold
        The benchmark of each of the r configurations that are asked for.
    places : int64 array (r,)
        Which of the c they are.
    """
    held = ("return_pct", "sharpe", "max_drawdown_pct")
    all_of_them, chosen = len(places) == len(found.good), places.tolist()
    values: dict[str, Any] = {name: column[places] for name, column in found.metrics.items()}
    values |= {f"benchmark_{name}": [getattr(one, name) for one in holdings] for name in held}
    values |= {"orders_rejected": found.rejected[places]}
    values |= {name: column if all_of_them else [column[k] for k in chosen] for name, column in own.items()}
    arrays = []
    for name, kind in worker_columns(False).items():
        if name == "returns":
            arrays.append(_lists(found.returns if all_of_them else found.returns[places]))
        elif name in values:
            arrays.append(_column(values[name], kind))
        else:
            arrays.append(constant(same[name], kind, len(places)))
    return pa.RecordBatch.from_arrays(arrays, schema=schema_of(worker_columns(False)))


def _column(values: Any, kind: str) -> pa.Array:
    """Return values as a column; what is no number of a metric is missing in a table."""
    if isinstance(values, np.ndarray):
        return pa.array(values, type_of(kind), from_pandas=True)
    if len(set(map(id, values))) > 1:
        return pa.array(values, type_of(kind), from_pandas=kind == "double")
    one = values[0]
    return constant(None if one != one else one, kind, len(values))


def _lists(rows: FloatArray) -> pa.Array:
    """Return rows (r, k) as lists of numbers; what is no number is missing."""
    count, length = rows.shape
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * np.int32(length), pa.int32())
    # where none is missing, nothing is copied
    missing = bool(np.isnan(rows).any())
    return pa.ListArray.from_arrays(offsets, pa.array(rows.reshape(-1), pa.float64(), from_pandas=missing))


def parameters_of(params: Mapping[str, Any]) -> str:
    """Return parameters as they stand in a row, as JSON."""
    return json.dumps(dict(params))


def parameters_of_many(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Do as `parameters_of` for the parameters of many configurations, column by column."""
    names = set(map(tuple, rows))
    if len(names) != 1 or not rows[0]:
        return [parameters_of(row) for row in rows]
    texts = [_texts(column) for column in zip(*(row.values() for row in rows), strict=True)]
    form = ", ".join(json.dumps(name).replace("%", "%%") + ": %s" for name in rows[0])
    return [f"{{{form}}}" % row for row in zip(*texts, strict=True)]


def _texts(values: Sequence[Any]) -> list[str]:
    """Return each value as JSON; those of numbers hold no comma, and are parts of one text."""
    if {int, float, bool}.issuperset(map(type, values)):
        return json.dumps(values)[1:-1].split(", ")
    return [json.dumps(value) for value in values]


def whole_rows(same: Mapping[str, Any], rows: pa.Table) -> pa.Table:
    """Return rows of workers with the columns that are the same in all of a plan, as in `row_columns`.

    Parameters
    ----------
    same : mapping of str to object
        `Plan.columns`.
    rows : pa.Table
        Columns as in `worker_columns`.
    """
    columns = row_columns("trades_size" in rows.column_names)
    arrays = [
        constant(same[name], kind, rows.num_rows) if name in PLAN_COLUMNS else rows[name]
        for name, kind in columns.items()
    ]
    return pa.Table.from_arrays(arrays, schema=schema_of(columns))


def in_order(parts: Sequence[tuple[IntArray, pa.RecordBatch]]) -> pa.RecordBatch:
    """Return batches as one, whose rows stand at the places that are given with each, (r,)."""
    if len(parts) == 1:
        return parts[0][1]
    order = np.argsort(np.concatenate([places for places, _ in parts]), kind="stable")
    (whole,) = pa.Table.from_batches([batch for _, batch in parts]).combine_chunks().to_batches()
    return whole.take(pa.array(order))
