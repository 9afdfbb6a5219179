"""Benchmark of many small ingests into one lake: the last ones beside the first, and what they leave.

They are made twice: one after the other, and with a lake that ages by a day between two of them, since
what is kept goes by age.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from whatif.bench.figures import Figure, Goal, Measurement
from whatif.bench.setting import Setting
from whatif.pins import (
    CHECKSUM_HEADER,
    LakeLocation,
    checksum_file,
    checksums,
    newest_metadata,
    open_table,
    table_names,
)
from whatif.sources import IngestSpec, SampleMarket, generate
from whatif.workflow import ingest

_SYMBOL = "NOISE"
_INGESTS, _QUICK_INGESTS = 1_000, 40
_COMPARED = 96
"""Ingests at the beginning and at the end whose times are compared: files are joined six times in each."""

_SPEC = IngestSpec(exchange="XNYS", timezone="UTC")
_TABLE = "bars"
_NOTES = (
    "each ingest is of a file with a session's minutes, one after the other in this process, without a JVM; "
    "its time is all that 'whatif ingest' does but for the start of Python, upkeep of the lake included",
    "one a calendar day: before the next ingest all times in the tables' metadata are set back by a day",
    f"first and last are means of {_COMPARED} ingests, behind ten that warm up; upkeep comes after 16",
)


@dataclass(frozen=True)
class Left:
    """What ingests leave of the table of bars.

    Attributes
    ----------
    data, metadata : int
        Files of rows; files of metadata, checksums included.
    snapshots : int
        Those that the newest metadata names.
    metadata_bytes : int
        Size of the newest metadata, which each command reads.
    """

    data: int
    metadata: int
    snapshots: int
    metadata_bytes: int


@dataclass(frozen=True)
class _Pass:
    """Times of ingests in seconds, bars that landed, and what a tenth and all of the ingests left."""

    seconds: list[float]
    landed: int
    early: Left
    late: Left


def measure(setting: Setting) -> Measurement:
    """Ingest day after day, and compare the last with the first."""
    count = _QUICK_INGESTS if setting.options.quick else _INGESTS
    setting.say(f"ingests: {count:,} files of a day each into a new lake, twice")
    at_once, daily = (_ingested(setting, count, ages) for ages in (False, True))
    first, last = compared(at_once.seconds)
    first_daily, last_daily = compared(daily.seconds)
    late = at_once.late
    return Measurement(
        name="ingests",
        title=f"{count:,} ingests of one day each, {at_once.landed:,} bars",
        figures=(
            Figure("ratio", "the last / the first", last / first, "x", Goal("at most", 1.3)),
            Figure(
                "ratio_daily",
                "the same, one a calendar day",
                last_daily / first_daily,
                "x",
                Goal("at most", 1.3),
            ),
            Figure(
                "growth",
                "files after all of them / after a tenth",
                _files_of(late) / _files_of(at_once.early),
                "x",
            ),
            Figure("first_seconds", "one of the first", first, "s"),
            Figure("last_seconds", "one of the last", last, "s"),
            Figure(
                "longest_seconds", "longest of the last, with upkeep", max(at_once.seconds[-_COMPARED:]), "s"
            ),
            Figure("data_files", "files of rows in the table's folder", late.data),
            Figure("metadata_files", "files of metadata there", late.metadata),
            Figure("snapshots", "snapshots that the table has", late.snapshots),
            Figure("snapshots_daily", "the same, one ingest a calendar day", daily.late.snapshots),
            Figure("metadata_kilobytes", "newest metadata", late.metadata_bytes / 1e3, "kB"),
            Figure("total_seconds", "all of them", sum(at_once.seconds) + sum(daily.seconds), "s"),
        ),
        notes=_NOTES,
        detail={
            name: {"seconds": one.seconds, "early": vars(one.early), "late": vars(one.late)}
            for name, one in (("at_once", at_once), ("daily", daily))
        },
    )


def _ingested(setting: Setting, count: int, ages: bool) -> _Pass:
    """Ingest so many files of a day into a new lake, which ages by a day after each of them or does not."""
    with tempfile.TemporaryDirectory(prefix="whatif-bench-ingests-", dir=setting.location.home) as folder:
        location = LakeLocation(Path(folder, "home"))
        seconds, landed, early = [], 0, Left(0, 0, 0, 0)
        for number, path in enumerate(_files(Path(folder), count), start=1):
            started = time.perf_counter()
            report = ingest([path], _SPEC, location, runner="local")
            seconds.append(time.perf_counter() - started)
            landed += report.landed
            early = left_of(location) if number == count // 10 else early
            if ages:
                for name in table_names(location):
                    age(location.table_folder(name), timedelta(days=1))
        return _Pass(seconds, landed, early, left_of(location))


def age(folder: Path, by: timedelta) -> None:
    """Let all that a local table's newest metadata says of times be earlier, in the file as it stands."""
    newest = newest_metadata(folder)
    assert newest is not None
    metadata = json.loads(newest.read_text(encoding="utf-8"))
    past = int(by / timedelta(milliseconds=1))
    metadata["last-updated-ms"] -= past
    for name in ("snapshots", "snapshot-log", "metadata-log"):
        for entry in metadata.get(name, []):
            entry["timestamp-ms"] -= past
    data = json.dumps(metadata, separators=(",", ":")).encode()
    newest.write_bytes(data)
    checksum_file(newest).write_bytes(CHECKSUM_HEADER + checksums(data))


def compared(seconds: Sequence[float]) -> tuple[float, float]:
    """Return the mean time of the first ingests, but for ten that warm up, and of the last; seconds."""
    width = min(_COMPARED, (len(seconds) - 10) // 2)
    return statistics.fmean(seconds[10 : 10 + width]), statistics.fmean(seconds[-width:])


def left_of(location: LakeLocation) -> Left:
    """Return what there is of the table of bars."""
    folder = location.table_folder(_TABLE)
    newest = newest_metadata(folder)
    return Left(
        data=sum(1 for _ in (folder / "data").rglob("*.parquet")),
        metadata=sum(1 for path in (folder / "metadata").iterdir() if path.is_file()),
        snapshots=len(open_table(location, _TABLE).metadata.snapshots),
        metadata_bytes=newest.stat().st_size if newest is not None else 0,
    )


def _files_of(left: Left) -> int:
    return left.data + left.metadata


def _files(folder: Path, count: int) -> Iterator[Path]:
    """Write the minutes of a session to a file, day after day, and yield it."""
    frame = generate(SampleMarket(first=date(2015, 1, 2), sessions=count), _SYMBOL)
    for day, rows in frame.groupby(frame["ts"].dt.date):
        path = folder / f"{day}.csv"
        rows.to_csv(path, index=False)
        yield path
