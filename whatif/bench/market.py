"""Bars that benchmarks run on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from whatif.domain import Bars
from whatif.errors import SourceError
from whatif.pins import LakeLocation, Pin, current_pin, read_bars
from whatif.sources import IngestSpec, SampleMarket, generate
from whatif.workflow import ingest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BARS = 30_889
"""Bars of the ESTX50 file; as many are taken of the sample market."""

YEAR = 252 * 390
"""Minutes of a year of New York's sessions, but for the few that end early."""

FILE = Path("estx50", "2006-01-02-volume-min-001.csv")
"""Where that file is in the folder WHATIF_TEST_DATA."""

_SAMPLE_SYMBOL = "NOISE"
_MIN_SESSION_MINUTES = 360
"""Fewer than a session has on average, early closes included."""

_ESTX50 = IngestSpec(
    symbol="ESTX50",
    exchange="XEUR",
    timezone="Europe/Berlin",
    stamps="end",
    header=("date", "time", "open", "high", "low", "close", "volume", "openinterest"),
)
_SAMPLE = IngestSpec(exchange="XNYS", timezone="UTC")


@dataclass(frozen=True, eq=False)
class BenchMarket:
    """One symbol's bars in the lake.

    Attributes
    ----------
    source : str
        Where they come from, for people.
    exchange : str
        Their calendar.
    pin : Pin
        Their snapshot.
    bars : Bars
        All of them.
    """

    source: str
    exchange: str
    pin: Pin
    bars: Bars


def find_file(given: Path | None) -> Path | None:
    """Return the file of bars to use: the one given, that of WHATIF_TEST_DATA, or none.

    Raises
    ------
    SourceError
        If a file was given and is not there.
    """
    if given is not None:
        if not given.is_file():
            raise SourceError(f"--bars {given} is not a file: give a CSV in ESTX50's format, or leave it out")
        return given
    folder = os.environ.get("WHATIF_TEST_DATA")
    file = Path(folder) / FILE if folder else None
    return file if file is not None and file.is_file() else None


def source_text(file: Path | None, limit: int) -> str:
    """Return where the bars come from, for people."""
    if file is None:
        return f"sample market (synthetic), {limit:,} minutes of {_SAMPLE_SYMBOL}"
    return f"{file.name}, at most {limit:,} minutes"


def load_market(
    spark: SparkSession | None, location: LakeLocation, file: Path | None, limit: int = BARS
) -> BenchMarket:
    """Ingest at most `limit` bars of `file`, or as many of the sample market, and return them.

    Without a session, this process writes them.
    """
    spec = _ESTX50 if file is not None else _SAMPLE
    location.home.mkdir(parents=True, exist_ok=True)
    path = _first_lines(file, location.home, limit) if file is not None else _sample(location.home, limit)
    # a file of which no row is a bar is refused
    ingest([path], spec, location, spark)
    pin = current_pin(location, "bars")
    bars = read_bars(pin, spec.symbol or _SAMPLE_SYMBOL, "1min", None, None, "extended")
    return BenchMarket(source_text(file, limit), str(spec.exchange), pin, bars)


def _first_lines(file: Path, folder: Path, limit: int) -> Path:
    path = folder / "bars.csv"
    with file.open(encoding="utf-8") as source, path.open("w", encoding="utf-8") as target:
        target.writelines(islice(source, limit + 1))
    return path


def _sample(folder: Path, limit: int) -> Path:
    frame = generate(SampleMarket(sessions=limit // _MIN_SESSION_MINUTES + 1), _SAMPLE_SYMBOL).head(limit)
    path = folder / "bars.parquet"
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    return path
