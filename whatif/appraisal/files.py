"""Returns as others hold them: frames, CSV, Parquet, vectorbt, backtesting.py, Lean, MLflow."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whatif.errors import StatisticsError
from whatif.pins import LakeLocation

TIMES = ("ts", "time", "timestamp", "date", "datetime", "index")
"""Names of a column of times, the first column if it has no name."""

EXPERIMENT = "mlflow:"
"""What an address of an experiment begins with."""

DRAWN = {"Equity", "DrawdownPct"}
"""Columns that tell backtesting.py's equity curve."""

BESIDE = ("-summary", "-order-events", "-log", "data-monitor-report")
"""Parts of the names of what Lean writes beside a backtest's result."""


@dataclass(frozen=True, eq=False)
class Returns:
    """What was read.

    Attributes
    ----------
    frame : DataFrame
        Numbers, a column for each configuration, by text.
    times : DatetimeIndex or None
        Of the rows.
    equity : bool
        Whether columns are levels of an account.
    market : str
        Column of what holding the market gave; "" if none is known as such.
    trials : int
        Configurations that were tried as far as the source knows; 0 if it does not say.
    """

    frame: pd.DataFrame
    times: pd.DatetimeIndex | None
    equity: bool = False
    market: str = ""
    trials: int = 0


def read_returns(given: Any, metric: str = "return") -> Returns:
    """Return the columns of what a user gave; see `judge`.

    Parameters
    ----------
    given : object
        A frame, a series, an array, a path, paths, an address of an experiment, or what vectorbt or
        backtesting.py return.
    metric : str
        Of an experiment: what its runs call the return of a period.

    Raises
    ------
    StatisticsError
        If it cannot be read, or holds something that is no number, or times out of order.
    """
    if isinstance(given, Returns):
        return given
    if isinstance(given, str) and given.startswith(EXPERIMENT):
        return _experiment(given.removeprefix(EXPERIMENT), metric)
    if isinstance(given, (str, Path)):
        path = Path(given)
        return _together(_in_folder(path)) if path.is_dir() else _file(path)
    if isinstance(given, (list, tuple)) and given and all(isinstance(one, (str, Path)) for one in given):
        return _file(Path(given[0])) if len(given) == 1 else _together([Path(one) for one in given])
    return _columns(_frame(given))


def _frame(given: Any) -> pd.DataFrame:
    if isinstance(given, pd.Series):
        if "_equity_curve" in given.index:  # what backtesting.py's run returns
            return pd.DataFrame(given["_equity_curve"])
        return given.to_frame(str(given.name) if given.name is not None else "returns")
    if isinstance(given, pd.DataFrame):
        return given.copy()
    if callable(getattr(given, "returns", None)):  # vectorbt's portfolio
        return _frame(given.returns())
    values = np.asarray(given)
    if values.ndim not in (1, 2) or values.dtype.kind not in "fiu":
        raise StatisticsError(
            f"returns are a {type(given).__name__}: give a frame, a series, an array of numbers (periods,) "
            "or (periods, configurations), or the path of a CSV or Parquet file"
        )
    columns = values[:, None] if values.ndim == 1 else values
    return pd.DataFrame(columns, columns=["returns"] if values.ndim == 1 else None)


def _columns(given: pd.DataFrame) -> Returns:
    """Return the columns of numbers, and the times of the rows if there are any."""
    times: pd.DatetimeIndex | None = None
    if isinstance(given.index, (pd.DatetimeIndex, pd.PeriodIndex)):
        times = given.index.to_timestamp() if isinstance(given.index, pd.PeriodIndex) else given.index
    frame = given.reset_index(drop=True)
    frame.columns = [_named(name, given.columns.names) for name in frame.columns]
    drawn = set(frame.columns) >= DRAWN
    if drawn:
        frame = frame.drop(columns=[name for name in frame.columns if name.startswith("Drawdown")])
    twice = sorted({name for name in frame.columns if list(frame.columns).count(name) > 1})
    if twice:
        raise StatisticsError(f"column {twice[0]!r} is there twice: name each configuration once")
    for place, name in enumerate(list(frame.columns)):
        if times is None and _is_time(frame[name], name, place):
            times = _times(frame.pop(name), name)
    for name in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]) or pd.api.types.is_bool_dtype(frame[name]):
            first = next((one for one in frame[name] if not isinstance(one, (int, float))), None)
            raise StatisticsError(
                f"column {name!r} holds {str(first)[:60]!r}, which is no number: leave the column out, or "
                f"name one of times {', '.join(TIMES)}"
            )
    if not len(frame.columns):
        raise StatisticsError("there is no column of returns: give one for each configuration that was tried")
    if times is not None and not (times.is_monotonic_increasing and times.is_unique):
        raise StatisticsError("times are not in order, or one is there twice: sort the rows, oldest first")
    return Returns(frame, times, equity=drawn)


def _named(name: Any, levels: Sequence[Any]) -> str:
    """Return a column's name: of several levels, as vectorbt has for its parameters, each with its value."""
    if not isinstance(name, tuple):
        return str(name)
    return " ".join(
        str(value) if level is None else f"{level}={value}" for level, value in zip(levels, name, strict=True)
    )


def _is_time(column: pd.Series[Any], name: str, place: int) -> bool:
    if pd.api.types.is_datetime64_any_dtype(column) or name.lower() in TIMES:
        return True
    return (
        place == 0 and (name == "" or name.startswith("Unnamed")) and not pd.api.types.is_float_dtype(column)
    )


def _times(column: pd.Series[Any], name: str) -> pd.DatetimeIndex | None:
    if pd.api.types.is_numeric_dtype(column):
        return None  # rows that are counted
    try:
        return pd.DatetimeIndex(pd.to_datetime(column, utc=True))
    except (ValueError, TypeError) as error:
        raise StatisticsError(f"column {name!r} holds something that is no time: {error}") from error


def _file(path: Path) -> Returns:
    readers: Mapping[str, Callable[[Path], Returns]] = {".csv": _csv, ".parquet": _parquet, ".json": _lean}
    kind = path.suffix.lower()
    if kind not in readers:
        raise StatisticsError(
            f"{path}: returns are read of CSV and Parquet, and of Lean's results, told by .csv, .parquet "
            "and .json"
        )
    if not path.is_file():
        raise StatisticsError(f"{path}: there is no such file")
    try:
        return readers[kind](path)
    except StatisticsError as error:
        raise StatisticsError(f"{path}: {error}") from error
    except Exception as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StatisticsError(f"{path} could not be read as {kind[1:]}: {said}") from error


def _parquet(path: Path) -> Returns:
    return _columns(pd.read_parquet(path))


def _csv(path: Path) -> Returns:
    levels = _levels(path)
    if levels == 1:
        return _columns(pd.read_csv(path))
    found = pd.read_csv(path, header=list(range(levels)), index_col=0)
    times = _times(found.index.to_series(), str(found.index.name))
    return _columns(found if times is None else found.set_index(times))


def _levels(path: Path) -> int:
    """Return how many lines name the columns: one for each level, before one of the index' name."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = [line for line, _ in zip(csv.reader(file), range(20), strict=False)]
    names = 1
    while names < len(lines) and len(lines[names]) > 1 and _is_name(lines[names][0]):
        names += 1
    return names - 1 if names > 1 and not any(lines[names - 1][1:]) else names


def _is_name(text: str) -> bool:
    """Whether a cell before a row is neither a number nor a time, nor empty."""
    try:
        float(text or "0")
    except ValueError:
        return bool(pd.isna(pd.to_datetime(text, errors="coerce", utc=True)))
    return False


def _lean(path: Path) -> Returns:
    """Return equity by day, and the benchmark, of a backtest's result.

    Charts are objects of series by name, whose values are points: `[time, value]`, or `[time, open, high,
    low, close]`, or in older ones `{"x": time, "y": value}`, times in seconds since 1970. Lean samples
    equity many times a day: the last of each day, UTC, counts.
    """
    result = json.loads(path.read_text(encoding="utf-8-sig"))
    equity = _series(result, "Strategy Equity", "Equity")
    if equity is None:
        raise StatisticsError(
            "there is no series Equity in a chart Strategy Equity: give the result of a Lean backtest, "
            "whose name has neither -summary nor -order-events"
        )
    columns = {path.stem: equity}
    benchmark = _series(result, "Benchmark", "Benchmark")
    if benchmark is not None and not benchmark.empty and benchmark.index[0] <= equity.index[0]:
        columns["Benchmark"] = benchmark.reindex(equity.index, method="ffill")
    frame = pd.DataFrame(columns)
    market = "Benchmark" if "Benchmark" in columns and bool((frame["Benchmark"] > 0).all()) else ""
    return replace(_columns(frame if market else frame[[path.stem]]), equity=True, market=market)


def _series(result: Any, chart: str, name: str) -> pd.Series[float] | None:
    """Return a series of a chart by day; None if there is none."""
    found = result
    for key in ("charts", chart, "series", name, "values"):
        found = (
            next((v for k, v in found.items() if k.lower() == key.lower()), None)
            if isinstance(found, dict)
            else None
        )
    if not isinstance(found, list) or not found:
        return None
    # the last of a point's numbers is what it closed at
    points = [(one["x"], one["y"]) if isinstance(one, dict) else (one[0], one[-1]) for one in found]
    days = pd.to_datetime([at for at, _ in points], unit="s", utc=True).floor("D")
    values = pd.Series([float(value) for _, value in points], index=days)
    return values.groupby(level=0).last()


def _in_folder(folder: Path) -> list[Path]:
    """Return the files of a folder that hold returns."""
    every = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".csv", ".parquet", ".json"))
    found = [path for path in every if not any(part in path.stem for part in BESIDE)]
    if not found:
        raise StatisticsError(f"{folder} holds no file of returns: .csv, .parquet, or .json of Lean")
    return found


def _together(paths: Sequence[Path]) -> Returns:
    """Return many files as one: a column for each configuration of each, called by its file."""
    parts = [_file(path) for path in paths]
    first = parts[0]
    frames = []
    for path, part in zip(paths, parts, strict=True):
        if part.equity is not first.equity:
            raise StatisticsError(f"{paths[0]} and {path}: one holds equity and the other returns")
        alike = len(part.frame) == len(first.frame) and (
            part.times is first.times or (part.times is not None and part.times.equals(first.times))
        )
        if not alike:
            raise StatisticsError(
                f"{paths[0]} and {path} are not of the same periods ({_span(first)}; {_span(part)}): judge "
                "backtests over the same ones together"
            )
        own = part.frame.drop(columns=[part.market] if part.market else [])
        names = [path.stem] if len(own.columns) == 1 else [f"{path.stem} {name}" for name in own.columns]
        frames.append(own.set_axis(names, axis=1))
    if first.market:
        frames.append(first.frame[[first.market]])
    frame = pd.concat(frames, axis=1)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise StatisticsError(f"two files are called {twice!r}: give each configuration a name of its own")
    return replace(first, frame=frame)


def _span(part: Returns) -> str:
    rows = f"{len(part.frame):,} rows"
    return rows if part.times is None else f"{rows} from {part.times[0]} to {part.times[-1]}"


def _experiment(name: str, metric: str) -> Returns:
    """Return the history of a metric of each run of an experiment, by its steps."""
    from whatif.tracking import metric_histories

    histories, runs = metric_histories(LakeLocation.from_environment(), name, metric)
    columns = {label: pd.Series(history).sort_index() for label, history in histories.items()}
    first_name, first = next(iter(columns.items()))
    other = next((label for label, one in columns.items() if not one.index.equals(first.index)), None)
    if other is not None:
        raise StatisticsError(
            f"runs {first_name!r} ({len(first):,}) and {other!r} ({len(columns[other]):,}) have not the same "
            f"steps of {metric!r}: log one value for each period, and the same periods"
        )
    return replace(_columns(pd.DataFrame(columns)), trials=runs)
