"""The tables of a finished study as files beside the report."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from whatif.report.columns import axis_key
from whatif.report.data import ReportData
from whatif.report.formulas import without_formulas


def write_files(data: ReportData, folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Write leaderboard, comparison, trades and equity, and what folds there are, as CSV and as Parquet.

    Parameters
    ----------
    data : ReportData
        The finished study.
    folder : path
        Where to; made if it is not there. Files of the same name are replaced, each one whole or not at all.

    Returns
    -------
    dict of str to Path
        File names to where they are, in the order written. Times are UTC; axis values that are lists or
        mappings stand as JSON; numbers in CSV read back as the same floats. A text in CSV that a
        spreadsheet would take for a formula has an apostrophe before it.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    frames = {
        "leaderboard": data.leaderboard,
        "comparison": data.comparison,
        "trades": data.trades,
        "equity": data.equity,
    }
    if len(data.folds):
        frames |= {"folds": data.folds, "stitched": data.stitched_equity}
    written: dict[str, Path] = {}
    for name, frame in frames.items():
        plain = _plain(frame)
        for ending, save in (("csv", without_formulas(plain).to_csv), ("parquet", plain.to_parquet)):
            written[f"{name}.{ending}"] = _put(target / f"{name}.{ending}", save)
    return written


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Make each column one type, which Parquet demands and CSV deserves."""
    columns = {}
    for name in frame.columns:
        column = frame[name]
        columns[name] = _one_type(column) if column.dtype == object else column
    return pd.DataFrame(columns, index=frame.index)


def _one_type(column: pd.Series) -> pd.Series:
    keys = column.map(axis_key)
    kinds = {type(value) for value in keys if not (value is None or value != value)}
    if kinds <= {int, float} or len(kinds) <= 1:
        return keys.infer_objects()
    return keys.map(lambda value: None if value is None or value != value else str(value))


def _put(path: Path, save: Callable[..., object]) -> Path:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        save(part, index=False)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path
