"""Streams of Kinesis: bars as records of JSON, shard after shard, and bars loaded into a stream."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from whatif.errors import SourceError
from whatif.sources.base import Source
from whatif.sources.chunk import Chunk, Layout
from whatif.sources.columns import layout_of, resolve_columns
from whatif.sources.services import client, code_of, pause, spoken
from whatif.sources.spec import IngestSpec
from whatif.texts import shortened
from whatif.typing import IntArray

OLDEST = "TRIM_HORIZON"
"""As `start`: everything that the stream still holds."""

CHUNK_ROWS = 50_000
_A_REQUEST = 10_000
_A_PUT = 500
"""Records that one PutRecords takes; of bars they are far below its 5 MB."""

_PUTS = 20
"""How often records are sent again that the stream did not take."""

_REMEDIES = {
    "ResourceNotFoundException": "there is no such stream, or no such shard any more: correct --stream, or "
    "--region",
    "ExpiredIteratorException": "an iterator expired again and again: the network is too slow; try again",
    "KMSAccessDeniedException": "this role may not use the stream's key: let it be granted kms:Decrypt",
    "AccessDeniedException": "this role may not read the stream: it needs kinesis:DescribeStreamSummary, "
    "ListShards, GetShardIterator and GetRecords on it (docs/services.md)",
}


@dataclass(frozen=True)
class _Place:
    """How far a shard was read.

    Attributes
    ----------
    sequence : str
        Sequence number of the last record; "" before the first.
    rows : int
        Records until there.
    hour : str
        The hour in which it was read until its end then, ISO UTC.
    """

    sequence: str = ""
    rows: int = 0
    hour: str = ""

    @classmethod
    def of(cls, checkpoint: str | None) -> _Place:
        """Return what a checkpoint says."""
        if checkpoint is None:
            return cls()
        sequence, rows, hour = checkpoint.split("|")
        return cls(sequence, int(rows), hour)

    def text(self) -> str:
        """Return the checkpoint."""
        return f"{self.sequence}|{self.rows}|{self.hour}"


@dataclass(frozen=True, eq=False)
class _Part:
    """A chunk on the disk.

    Attributes
    ----------
    layout : Layout
        What its rows share.
    misfits : tuple of (int, str)
        Records that are no bars, and what they say.
    at, size : int
        Where its rows stand, as a stream of Arrow, and how many bytes they have.
    row : int64 array (n,)
        Their numbers.
    """

    layout: Layout
    misfits: tuple[tuple[int, str], ...]
    at: int
    size: int
    row: IntArray


class _Held:
    """Records of a shard that were read: rows on the disk, and in memory 32 bytes of each.

    A bar is told from others by 128 bits of its key, two hashes.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="whatif-shard-")  # noqa: SIM115
        self._parts: list[_Part] = []
        self._keys: list[pa.Table] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, chunk: Chunk, keys: pa.Array, rows: IntArray) -> None:
        """Hold a chunk, what bar each of its rows is of, and their numbers."""
        at = self._file.tell()
        with pa.ipc.new_stream(self._file, chunk.batch.schema) as stream:
            stream.write_batch(chunk.batch)
        self._parts.append(_Part(chunk.layout, chunk.misfits, at, self._file.tell() - at, rows))
        texts = keys.to_numpy(zero_copy_only=False)
        hashes = {name: pd.util.hash_array(texts, hash_key=salt) for name, salt in _SALTS.items()}
        self._keys.append(pa.table({**hashes, "row": rows}))

    def last_of_each(self) -> Iterator[Chunk]:
        """Yield the chunks without rows that a later record of the same bar replaces."""
        if not self._parts:
            return
        kept = pa.concat_tables(self._keys).group_by(list(_SALTS)).aggregate([("row", "max")])
        last = np.sort(kept["row_max"].to_numpy())
        self._keys = []
        for part in self._parts:
            self._file.seek(part.at)
            with pa.ipc.open_stream(pa.BufferReader(self._file.read(part.size))) as stream:
                batch = stream.read_next_batch()
            stay = np.isin(part.row, last, assume_unique=True)
            yield Chunk(part.layout, batch.filter(pa.array(stay)), row=part.row[stay], misfits=part.misfits)


_SALTS = {"one": "whatif-kinesis-1", "other": "whatif-kinesis-2"}
"""Column of a hash → its salt, of sixteen bytes."""


class KinesisStream(Source):
    """A stream with a bar in each record, an object of JSON (also as the DMS wraps it, in `data`).

    A shard is a part; parents come before the shards that they were split or merged into. Of a bar that
    comes several times the last record stands. What is there when the ingest begins is read; the next one
    goes on behind it.

    Attributes
    ----------
    stream : str
        Its name.
    start : str
        TRIM_HORIZON, or an instant with its offset such as 2024-01-02T00:00:00Z: records that arrived since.
    exchange, timezone, timeframe, time_format : str, optional
        As of files, of records that do not say it (`exchange` and `timeframe` may stand in a record).
    region : str, optional
        Where the stream is; that of the environment if left out.
    """

    as_written: ClassVar[bool] = True
    repeats: ClassVar[bool] = True

    stream: str
    start: str = OLDEST
    exchange: str | None = None
    timezone: str | None = None
    timeframe: str | None = None
    time_format: str | None = None
    region: str | None = None

    @cached_property
    def _client(self) -> Any:
        return client("kinesis", self.region)

    def parts(self) -> list[str]:
        """Return the shards, parents first."""
        self._spec({})
        with self._spoken():
            told = self._client.describe_stream_summary(StreamName=self.stream)["StreamDescriptionSummary"]
            if told["StreamStatus"] not in ("ACTIVE", "UPDATING"):
                raise SourceError(
                    f"stream {self.stream}: it is {told['StreamStatus'].lower()}: wait until it is active"
                )
            self._check_retention(told["RetentionPeriodHours"])
            shards = list(self._shards())
        return [f"kinesis:{self.stream}/{shard}" for shard in parents_first(shards)]

    def read(self, part: str, checkpoint: str | None) -> Iterator[Chunk]:
        """Yield the records of a shard that follow a checkpoint, until its end or until now."""
        place, began = _Place.of(checkpoint), datetime.now(UTC)
        shard = part.rpartition("/")[2]
        waiting: list[tuple[int, bytes]] = []
        with _Held() as held:
            with self._spoken():
                self._check_gap(shard, place)
                rows, last = place.rows, place.sequence
                for record in self._records(shard, place, began):
                    rows, last = rows + 1, record["SequenceNumber"]
                    waiting.append((rows, record["Data"]))
                    if len(waiting) == CHUNK_ROWS:
                        self._hold(part, waiting, held)
                        waiting = []
            self._hold(part, waiting, held)
            yield from held.last_of_each()
        hour = began.replace(minute=0, second=0, microsecond=0).isoformat()
        yield self._end(part, _Place(last, rows, hour))

    def publish(self, bars: Iterable[pa.RecordBatch]) -> int:
        """Put bars into the stream, a record each under its symbol, in order for each symbol.

        What the stream does not take is sent again, with what follows it of the same symbol.

        Parameters
        ----------
        bars : iterable of RecordBatch
            Columns symbol, ts, timeframe, session, exchange, open, high, low, close, volume, vwap,
            trade_count, vwap_estimated.

        Returns
        -------
        int
            How many there were.
        """
        count = 0
        for batch in bars:
            rows = batch.to_pylist()
            for first in range(0, len(rows), _A_PUT):
                with self._spoken():
                    self._put([_record(row) for row in rows[first : first + _A_PUT]])
            count += len(rows)
        return count

    def _put(self, records: list[dict[str, Any]]) -> None:
        for attempt in range(_PUTS):
            answer = self._client.put_records(StreamName=self.stream, Records=records)
            if not answer["FailedRecordCount"]:
                return
            failed: set[str] = set()
            again = []
            for record, came in zip(records, answer["Records"], strict=True):
                if "ErrorCode" in came:
                    failed.add(record["PartitionKey"])
                if record["PartitionKey"] in failed:
                    again.append(record)
            records = again
            pause(attempt, 0.05, 5.0, np.random.default_rng([attempt, len(again)]))
        codes = sorted({came["ErrorCode"] for came in answer["Records"] if "ErrorCode" in came})
        raise SourceError(
            f"stream {self.stream} did not take {len(records):,} records in {_PUTS} attempts "
            f"({', '.join(codes)}): it needs more shards; run the same command again, which puts them all "
            "(bars that come twice land once)"
        )

    def _spoken(self) -> Any:
        return spoken(f"stream {self.stream}", _REMEDIES)

    def _shards(self) -> Iterator[Mapping[str, Any]]:
        asked: dict[str, Any] = {"StreamName": self.stream}
        while True:
            page = self._client.list_shards(**asked)
            yield from page["Shards"]
            if not page.get("NextToken"):
                return
            asked = {"NextToken": page["NextToken"]}

    def _since(self) -> datetime | None:
        """Return the instant to begin with; None for the oldest record."""
        if self.start == OLDEST:
            return None
        try:
            since = datetime.fromisoformat(self.start)
        except ValueError:
            since = datetime(1970, 1, 1)  # naive, as what follows refuses
        if since.tzinfo is None:
            raise SourceError(
                f"option start={self.start} is neither {OLDEST} nor an instant with its offset, such as "
                "2024-01-02T00:00:00Z"
            )
        return since

    def _check_retention(self, hours: int) -> None:
        since = self._since()
        oldest = datetime.now(UTC) - timedelta(hours=hours)
        if since is not None and since < oldest:
            raise SourceError(
                f"stream {self.stream} keeps records for {hours:,} hours, since {oldest:%Y-%m-%dT%H:%M}Z, "
                f"and start={self.start} is before that: what arrived earlier is gone. Give --start {OLDEST} "
                "for all that is left, or raise the stream's retention before loading it"
            )

    def _check_gap(self, shard: str, place: _Place) -> None:
        """Refuse to go on where records may have expired since a shard was read, or the stream is another."""
        if not place.hour:
            return
        told = self._told()
        oldest = datetime.now(UTC) - timedelta(hours=told["RetentionPeriodHours"])
        last = datetime.fromisoformat(place.hour)
        if last < oldest - timedelta(hours=1):
            raise SourceError(
                f"stream {self.stream} keeps records for {told['RetentionPeriodHours']:,} hours, and {shard} "
                f"was last read at {place.hour}: records in between may be gone. Load those days from files, "
                f"then begin anew with --start {oldest + timedelta(minutes=5):%Y-%m-%dT%H:%M}Z"
            )
        made = told.get("StreamCreationTimestamp")
        if made is not None and made >= last + timedelta(hours=1):
            raise self._made_anew(shard)

    def _told(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._client.describe_stream_summary(StreamName=self.stream)
        told: Mapping[str, Any] = found["StreamDescriptionSummary"]
        return told

    def _made_anew(self, shard: str) -> SourceError:
        """Return the refusal to go on in another stream of that name; another start goes on by itself."""
        told = self._told()
        oldest = datetime.now(UTC) - timedelta(hours=told["RetentionPeriodHours"])
        begin = max(told.get("StreamCreationTimestamp", oldest), oldest + timedelta(minutes=5))
        return SourceError(
            f"stream {self.stream} was made anew since {shard} was read: where to go on is not known. Begin "
            f"anew with --start {begin.astimezone(UTC):%Y-%m-%dT%H:%M}Z"
        )

    def _iterator(self, shard: str, sequence: str) -> str:
        since = self._since()
        where: dict[str, Any] = {"ShardIteratorType": OLDEST}
        if sequence:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": sequence}
        elif since is not None:
            where = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": since}
        try:
            found = self._client.get_shard_iterator(StreamName=self.stream, ShardId=shard, **where)
        except Exception as error:
            # a number that is none of this stream's
            if not sequence or code_of(error) != "InvalidArgumentException":
                raise
            raise self._made_anew(shard) from error
        return str(found["ShardIterator"])

    def _records(self, shard: str, place: _Place, until: datetime) -> Iterator[Mapping[str, Any]]:
        """Yield the records behind a place; an iterator that expired is asked for anew."""
        at: str | None = self._iterator(shard, place.sequence)
        sequence, expired = place.sequence, 0
        while at is not None:
            try:
                answer = self._client.get_records(ShardIterator=at, Limit=_A_REQUEST)
            except Exception as error:
                expired += 1
                if code_of(error) != "ExpiredIteratorException" or expired > 3:
                    raise
                at = self._iterator(shard, sequence)
                continue
            expired = 0
            records = answer["Records"]
            yield from records
            sequence = records[-1]["SequenceNumber"] if records else sequence
            caught_up = not records and not answer.get("MillisBehindLatest")
            if caught_up or (records and records[-1]["ApproximateArrivalTimestamp"] > until):
                return
            at = answer.get("NextShardIterator")

    def _spec(self, said: Mapping[str, str]) -> IngestSpec:
        return IngestSpec(
            exchange=said.get("exchange") or self.exchange, timezone=self.timezone,
            timeframe=said.get("timeframe") or self.timeframe, time_format=self.time_format,
        )  # fmt: skip

    def _hold(self, part: str, records: Sequence[tuple[int, bytes]], held: _Held) -> None:
        """Add records to what is held, those alike in one chunk; what is no bar as misfits."""
        groups: dict[tuple[str, ...], list[tuple[int, dict[str, str | None]]]] = {}
        misfits = []
        for row, data in records:
            bar = _bar(data)
            if bar is None:
                misfits.append((row, json.dumps({"record": shortened(data.decode("utf-8", "replace"), 500)})))
            elif bar:
                said = (bar.pop("exchange", None) or "", bar.pop("timeframe", None) or "")
                groups.setdefault((*said, *bar), []).append((row, bar))
        for (exchange, timeframe, *names), rows in groups.items():
            spec = self._spec({"exchange": exchange, "timeframe": timeframe})
            try:
                at = resolve_columns(part, names, spec)
            except SourceError:  # records of another kind
                misfits += [(row, json.dumps(bar)) for row, bar in rows]
                continue
            self._hold_alike(layout_of(part, spec), at, names, rows, held)
        if misfits:
            layout = Layout(part, self.timeframe or "1min", self.exchange or "XNYS")
            held.add(
                Chunk(layout, _no_rows(), misfits=tuple(misfits)),
                pa.array([], pa.string()),
                np.empty(0, dtype=np.int64),
            )

    def _hold_alike(
        self, layout: Layout, at: Mapping[str, tuple[int, ...]], names: Sequence[str],
        rows: Sequence[tuple[int, dict[str, str | None]]], held: _Held,
    ) -> None:  # fmt: skip
        columns = {
            target: pa.array(
                [" ".join(bar[names[k]] or "" for k in where) or None for _, bar in rows], pa.string()
            )
            for target, where in at.items()
        }
        stamps = pc.replace_substring(pc.replace_substring(columns["ts"], "+00:00", "Z"), " ", "T")
        nulls = pa.array([""] * len(rows), pa.string())
        key = [columns.get("symbol", nulls).fill_null(""), stamps.fill_null("")]
        held.add(
            Chunk(layout, pa.RecordBatch.from_pydict(columns)),
            pc.binary_join_element_wise(*key, layout.timeframe, layout.exchange, "|").cast(pa.string()),
            np.array([row for row, _ in rows], dtype=np.int64),
        )

    def _end(self, part: str, place: _Place) -> Chunk:
        """Return the chunk without rows that says how far the shard was read."""
        layout = Layout(part, self.timeframe or "1min", self.exchange or "XNYS")
        return Chunk(layout, _no_rows(), checkpoint=place.text(), row=np.empty(0, dtype=np.int64))


def _no_rows() -> pa.RecordBatch:
    names = ("ts", "symbol", "open", "high", "low", "close", "volume")
    return pa.RecordBatch.from_pydict({name: pa.array([], pa.string()) for name in names})


def _bar(data: bytes) -> dict[str, str | None] | None:
    """Return the fields of a record as text; none of one that only controls, None if it is no object."""
    try:
        found = json.loads(data, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    about = found.get("metadata")
    if isinstance(about, dict):
        if about.get("record-type") == "control":
            return {}
        found = found.get("data")
    if not isinstance(found, dict) or any(isinstance(value, list | dict) for value in found.values()):
        return None
    return {name: None if value is None else str(value) for name, value in found.items()} or None


def _record(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a bar as a record; numbers as Python writes them, which gives the same doubles again."""
    daily = row["timeframe"] == "1d"
    said = {
        "symbol": row["symbol"],
        "ts": row["session"].isoformat() if daily else row["ts"].strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "timeframe": row["timeframe"],
        "exchange": row["exchange"],
        **{name: row[name] for name in ("open", "high", "low", "close", "volume")},
    }
    if not row["vwap_estimated"]:
        said["vwap"] = row["vwap"]
    if row["trade_count"] is not None:
        said["trade_count"] = row["trade_count"]
    return {"PartitionKey": row["symbol"], "Data": json.dumps(said, separators=(",", ":")).encode()}


def parents_first(shards: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the ids of shards, each behind those that it was split or merged from; else by id.

    Parameters
    ----------
    shards : sequence of mapping
        As ListShards gives them. A parent that has expired is not among them.
    """
    parents = {
        one["ShardId"]: [one[name] for name in ("ParentShardId", "AdjacentParentShardId") if one.get(name)]
        for one in shards
    }
    depth: dict[str, int] = {}

    def depth_of(shard: str) -> int:
        if shard not in depth:
            above = [depth_of(parent) for parent in parents[shard] if parent in parents]
            depth[shard] = 1 + max(above, default=0)
        return depth[shard]

    return sorted(parents, key=lambda shard: (depth_of(shard), shard))
