"""Files of a finished study beside its report: the folder, and tables as CSV and Parquet."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from whatif.domain import DAY_US
from whatif.paths import written_whole
from whatif.report.columns import axis_key
from whatif.report.regimes import regimes

if TYPE_CHECKING:
    from whatif.report.data import ReportData

MARKER = ".study"
"""File in a folder of a report that says which study's it is."""

KEPT = ".answer"
"""File in a folder of a report that says what the report and the files beside it follow from."""

_SHOWN = 8

_FORMULA = re.compile(r"^\s*[=+\-@\t\r]")
_NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")


def write_files(data: ReportData, folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Write leaderboard, comparison, trades, equity, and regimes and folds if there are, as CSV and Parquet.

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
        "leaderboard": data.ranking.leaderboard,
        "comparison": data.series.comparison,
        "trades": data.series.trades,
        "equity": data.series.equity,
    }
    by_regime = regimes(data)
    if len(by_regime):
        frames["regimes"] = by_regime
    if len(data.joined.folds):
        frames |= {"folds": data.joined.folds, "stitched": data.joined.equity}
    written: dict[str, Path] = {}
    for name, frame in frames.items():
        plain = _plain(frame)
        text = _stamped(without_formulas(plain))
        for ending, save in (("csv", text.to_csv), ("parquet", plain.to_parquet)):
            written[f"{name}.{ending}"] = _put(target / f"{name}.{ending}", save)
    return written


@dataclass(frozen=True)
class KeptAnswer:
    """A report and its files that are in a folder already.

    Attributes
    ----------
    certificate : str
        What the report says of the check by Backtrader's broker.
    files : tuple of Path
        What was written, the report first.
    """

    certificate: str
    files: tuple[Path, ...]


def keep_answer(folder: Path, key: str, certificate: str, files: Sequence[Path]) -> None:
    """Note of files that were written to a folder what they follow from.

    Parameters
    ----------
    folder : Path
        Of the report.
    key : str
        Digest of all that the answer follows from.
    certificate : str
        What the report says of the check by Backtrader's broker.
    files : sequence of Path
        What was written, all of it in the folder, the report first.
    """
    noted = {"key": key, "certificate": certificate, "files": {path.name: _state(path) for path in files}}
    with written_whole(folder / KEPT) as part:
        part.write_text(json.dumps(noted), encoding="utf-8")


def kept_answer(folder: Path, key: str) -> KeptAnswer | None:
    """Return the answer with this key that is in a folder; None if there is none, or a file has changed."""
    try:
        noted = json.loads((folder / KEPT).read_text(encoding="utf-8"))
        if noted["key"] != key or any(_state(folder / name) != was for name, was in noted["files"].items()):
            return None
        return KeptAnswer(str(noted["certificate"]), tuple(folder / name for name in noted["files"]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _state(path: Path) -> list[int]:
    about = path.stat()
    return [about.st_size, about.st_mtime_ns]


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Make each column one type, which Parquet demands and CSV deserves."""
    columns = {}
    for name in frame.columns:
        column = frame[name]
        columns[name] = _one_type(column) if column.dtype == object else column
    return pd.DataFrame(columns, index=frame.index)


def _stamped(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with its times as the texts that `to_csv` writes of them, made ten times as fast."""
    made = {name: _stamps(frame[name]) for name in frame.columns if isinstance(name, str)}
    return frame.assign(**{name: texts for name, texts in made.items() if texts is not None})


def _stamps(column: pd.Series) -> list[str] | None:
    """Return times of UTC as texts; None of other columns, of days alone, and of parts of a second."""
    if not isinstance(column.dtype, pd.DatetimeTZDtype) or str(column.dt.tz) != "UTC" or column.hasnans:
        return None
    us = column.dt.as_unit("us").astype("int64").to_numpy()
    if (us % 1_000_000).any() or not (us % DAY_US).any():
        return None
    signs = np.full((len(us), len("2000-01-01 00:00:00+00:00")), "0")
    texts = np.datetime_as_string(us.view("datetime64[us]"), unit="s").astype("U19")
    signs[:, :19] = texts.view("U1").reshape(len(us), 19)
    signs[:, 10], signs[:, 19:] = " ", list("+00:00")
    whole: list[str] = signs.view(f"U{signs.shape[1]}").ravel().tolist()
    return whole


def _one_type(column: pd.Series) -> pd.Series:
    keys = column.map(axis_key)
    kinds = {type(value) for value in keys if not (value is None or value != value)}
    if kinds <= {int, float} or len(kinds) <= 1:
        return keys.infer_objects()
    return keys.map(lambda value: None if value is None or value != value else str(value))


def _put(path: Path, save: Callable[..., object]) -> Path:
    with written_whole(path) as part:
        save(part, index=False)
    return path


def make_own_folder(reports: Path, study: str, digest: str) -> tuple[Path, Path | None]:
    """Return the folder for a study's report, and where one of another study of this name was moved to.

    Parameters
    ----------
    reports : Path
        Folder of all reports.
    study : str
        Name of the study, and of its folder: it always holds the newest report of this name.
    digest : str
        Of all that the study asks. A report of the same study is replaced; one of a study of this name
        that asks something else is kept as ``<study>-<its digest>``, in place of an older one of it.

    Returns
    -------
    Path, Path or None
        The folder, which is there; and where the other one's is now, None if there was none.
    """
    folder, moved = reports / study, None
    other = _digest_in(folder)
    if other and other != digest:
        moved = reports / f"{study}-{other[:_SHOWN]}"
        shutil.rmtree(moved, ignore_errors=True)
        folder.replace(moved)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text(digest, encoding="utf-8")
    return folder, moved


def _digest_in(folder: Path) -> str:
    try:
        found = (folder / MARKER).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return found if found.isalnum() else ""


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` with an apostrophe before each text, also a column's name, that would be a formula.

    Numbers stay as they are, also those that stand as text.
    """
    columns = {
        _as_text(name): _as_texts(column) if pd.api.types.is_string_dtype(column.dtype) else column
        for name, column in frame.items()
    }
    return pd.DataFrame(columns, index=frame.index)


def _as_texts(column: pd.Series) -> pd.Series:
    """Return texts as `_as_text` has them, each different one looked at once."""
    changed = {value: text for value in column.unique() if (text := _as_text(value)) is not value}
    return column.replace(changed) if changed else column


def _as_text(value: object) -> object:
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.match(value):
        return f"'{value}"
    return value
