"""Streams by moto's server: every record once, in whatever shards it came, and what goes wrong in words."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from whatif.cli import main
from whatif.errors import SourceError
from whatif.lake import list_bars, list_refused
from whatif.pins import LakeLocation, current_pin, has_rows, read_arrow
from whatif.sources.kinds.kinesis import KinesisStream, parents_first
from whatif.workflow import ingest

OPEN = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHATIF_RUNNER", "local")


def bar(symbol: str, minute: int, close: float = 10.0, **more: Any) -> dict[str, Any]:
    ts = (OPEN + timedelta(minutes=minute)).isoformat()
    return {
        "symbol": symbol, "ts": ts, "open": 10.0, "high": 11.0, "low": 9.0, "close": close, "volume": 100,
        "exchange": "XNYS", **more,
    }  # fmt: skip


def put(kinesis: Any, *bars: Any) -> None:
    records = [
        {"Data": one if isinstance(one, bytes) else json.dumps(one).encode(), "PartitionKey": key}
        for one, key in ((one, one.get("symbol", "x") if isinstance(one, dict) else "x") for one in bars)
    ]
    assert kinesis.put_records(StreamName="bars", Records=records)["FailedRecordCount"] == 0


def split(kinesis: Any, shard: str) -> None:
    (found,) = [s for s in kinesis.list_shards(StreamName="bars")["Shards"] if s["ShardId"] == shard]
    first, last = (int(found["HashKeyRange"][name]) for name in ("StartingHashKey", "EndingHashKey"))
    kinesis.split_shard(StreamName="bars", ShardToSplit=shard, NewStartingHashKey=str((first + last) // 2))


def closes(location: LakeLocation, symbol: str = "A") -> list[float]:
    rows = read_arrow(current_pin(location, "bars"), ["symbol", "ts", "close"]).sort_by("ts").to_pylist()
    return [row["close"] for row in rows if row["symbol"] == symbol]


def test_bars_land_once_and_the_next_ingest_goes_on(kinesis: Any, lake_home: LakeLocation) -> None:
    kinesis.create_stream(StreamName="bars", ShardCount=2)
    put(kinesis, *[bar(symbol, k, 10 + k / 100) for k in range(5) for symbol in "ABCD"])
    source = KinesisStream(stream="bars")
    first = ingest(source, location=lake_home)
    assert (first.came, first.landed, first.refused) == (20, 20, {})
    assert closes(lake_home) == [10.0, 10.01, 10.02, 10.03, 10.04]
    assert ingest(source, location=lake_home).came == 0
    put(kinesis, bar("A", 5, 10.5))
    again = ingest(KinesisStream(stream="bars"), location=lake_home)
    assert (again.came, again.landed) == (1, 1)


def test_a_split_stream_loses_nothing_and_brings_nothing_twice(kinesis: Any, lake_home: LakeLocation) -> None:
    kinesis.create_stream(StreamName="bars", ShardCount=1)
    put(kinesis, *[bar(symbol, k) for k in range(3) for symbol in "ABCD"])
    source = KinesisStream(stream="bars")
    ingest(source, location=lake_home)
    split(kinesis, "shardId-000000000000")
    put(kinesis, *[bar(symbol, k) for k in range(3, 6) for symbol in "ABCD"])
    ingest(source, location=lake_home)
    assert list_bars(lake_home)["bars"].tolist() == [6, 6, 6, 6]
    assert ingest(source, location=lake_home).came == 0


def test_the_last_of_several_records_of_a_bar_stands(kinesis: Any, lake_home: LakeLocation) -> None:
    kinesis.create_stream(StreamName="bars", ShardCount=1)
    late = bar("A", 0, 10.9)
    put(kinesis, bar("A", 0), bar("A", 1), bar("A", 1), {**late, "ts": late["ts"].replace("+00:00", "Z")})
    report = ingest(KinesisStream(stream="bars"), location=lake_home)
    assert (report.landed, report.refused, closes(lake_home)) == (2, {}, [10.9, 10.0])
    put(kinesis, bar("A", 1, 10.7))
    assert ingest(KinesisStream(stream="bars"), location=lake_home).corrected == 1


def test_what_is_published_again_to_another_shard_is_no_fault(kinesis: Any, lake_home: LakeLocation) -> None:
    """As after a split: bars in one shard and again in the next, whose records stand; none is refused."""
    kinesis.create_stream(StreamName="bars", ShardCount=2)
    for where, close in (("0", 10.0), (str(2**127 + 1), 10.5)):
        records = [
            {
                "Data": json.dumps(bar(symbol, k, close)).encode(),
                "PartitionKey": "x",
                "ExplicitHashKey": where,
            }
            for k in range(5)
            for symbol in "ABCD"
        ]
        kinesis.put_records(StreamName="bars", Records=records)
    put(kinesis, bar("A", 6, high=1))
    report = ingest(KinesisStream(stream="bars"), location=lake_home)
    assert (report.came, report.landed, report.refused) == (21, 20, {"high_below_low": 1})
    assert closes(lake_home) == [10.5] * 5
    assert "20 rows were of bars that a later part has too, and were left out" in report.notes
    assert list_refused(lake_home)["rule"].tolist() == ["high_below_low"]


def test_a_backlog_is_held_on_the_disk(monkeypatch: pytest.MonkeyPatch, lake_home: LakeLocation) -> None:
    """Of 40,000 records, Arrow holds less than half of what their rows have when the first chunk comes."""
    import pyarrow as pa

    monkeypatch.setattr("whatif.sources.kinds.kinesis.CHUNK_ROWS", 2_000)
    pages = []
    for first in range(0, 40_000, 10_000):
        one = page(first + 9_999, last=first == 30_000)
        texts = [json.dumps(bar("A", k)).encode() for k in range(first, first + 10_000)]
        one["Records"] = [{**one["Records"][0], "Data": text} for text in texts]
        pages.append(one)
    of_stub(monkeypatch, *pages)
    before = pa.total_allocated_bytes()
    chunks = KinesisStream(stream="bars").read("kinesis:bars/s", None)
    first_chunk = next(chunks)
    held = pa.total_allocated_bytes() - before
    whole = first_chunk.batch.nbytes + sum(chunk.batch.nbytes for chunk in chunks)
    assert len(first_chunk) == 2_000
    assert held < whole / 2


def test_records_that_are_no_bars_are_in_quarantine(kinesis: Any, lake_home: LakeLocation) -> None:
    kinesis.create_stream(StreamName="bars", ShardCount=1)
    wrapped = {"data": bar("A", 2), "metadata": {"record-type": "data", "operation": "load"}}
    control = {"metadata": {"record-type": "control", "operation": "create-table"}}
    put(
        kinesis,
        bar("A", 0),
        b"\xff no JSON",
        {"symbol": "A", "price": 3},
        bar("A", 1, high=1),
        wrapped,
        control,
    )
    report = ingest(KinesisStream(stream="bars"), location=lake_home)
    assert report.landed == 2
    assert report.refused == {"wrong_field_count": 2, "high_below_low": 1}
    assert sorted(list_refused(lake_home)["row"]) == [2, 3, 4]


def test_records_since_an_instant_alone(kinesis: Any, lake_home: LakeLocation) -> None:
    kinesis.create_stream(StreamName="bars", ShardCount=1)
    put(kinesis, bar("A", 0))
    time.sleep(0.05)
    since = datetime.now(UTC).isoformat()
    time.sleep(0.05)
    put(kinesis, bar("A", 1, 10.5))
    ingest(KinesisStream(stream="bars", start=since), location=lake_home)
    assert closes(lake_home) == [10.5]


def test_a_kill_before_the_checkpoint_brings_nothing_twice(
    kinesis: Any, lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinesis.create_stream(StreamName="bars", ShardCount=1)
    put(kinesis, *[bar("A", k) for k in range(4)])
    with monkeypatch.context() as killed:
        killed.setattr("whatif.workflow.ingestion.store_checkpoints", lambda *_: None)
        ingest(KinesisStream(stream="bars"), location=lake_home)
    report = ingest(KinesisStream(stream="bars"), location=lake_home)
    assert (report.landed, report.already_there, len(closes(lake_home))) == (0, 4, 4)


def test_the_command_publishes_and_ingests(
    kinesis: Any, lake_home: LakeLocation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kinesis.create_stream(StreamName="bars", ShardCount=2)
    lines = ["ts,symbol,open,high,low,close,volume"]
    lines += [f"2024-01-02T14:3{k}:00Z,{s},10.1,11.3,9.7,10.{k},100" for k in range(9) for s in "AB"]
    (tmp_path / "bars.csv").write_text("\n".join(lines) + "\n")
    home = ["--home", str(lake_home.home)]
    given = ["publish", "kinesis", str(tmp_path / "bars.csv"), "--stream", "bars", "--exchange", "XNYS"]
    assert main([*home, *given]) == 0
    assert "18 bars were put into kinesis" in capsys.readouterr().out
    assert main([*home, "ingest", "kinesis", "--stream=bars", "--exchange", "XNYS"]) == 0
    assert closes(lake_home) == [10 + k / 10 for k in range(9)]
    assert main([*home, "publish", "kinesis", "--symbols", "A", "--stream", "bars"]) == 0
    assert main([*home, "ingest", "kinesis", "--stream", "bars", "--exchange", "XNYS"]) == 0
    assert "0 landed, 9 already there, 0 corrected" in capsys.readouterr().out
    assert main([*home, "ingest", "kinesis", "--steam", "bars"]) == 2
    assert "did you mean 'stream'" in capsys.readouterr().err


def test_what_cannot_be_read_is_said_and_the_table_stays(kinesis: Any, lake_home: LakeLocation) -> None:
    kinesis.create_stream(StreamName="bars", ShardCount=1)
    put(kinesis, bar("A", 0))
    ingest(KinesisStream(stream="bars"), location=lake_home)
    before = current_pin(lake_home, "bars")
    for given, said in (
        ({"stream": "other"}, "there is no such stream"),
        (
            {"start": "2020-01-01T00:00:00Z"},
            "keeps records for 24 hours, since .* earlier is gone",
        ),
        ({"start": "yesterday"}, "start=yesterday is neither TRIM_HORIZON nor an instant"),
    ):
        with pytest.raises(SourceError, match=said):
            ingest(KinesisStream(**{"stream": "bars", **given}), location=lake_home)
    assert current_pin(lake_home, "bars") == before


def test_records_that_may_have_expired_since_are_not_passed_over(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="bars", ShardCount=1)
    source = KinesisStream(stream="bars")
    with pytest.raises(SourceError, match="was last read at 2024-01-02T00:00:00\\+00:00: records in between"):
        list(source.read("kinesis:bars/shardId-000000000000", "1|1|2024-01-02T00:00:00+00:00"))


def test_a_stream_that_was_made_anew_is_not_read_on(
    kinesis: Any, lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinesis.create_stream(StreamName="bars", ShardCount=1)
    source = KinesisStream(stream="bars")
    part = "kinesis:bars/shardId-000000000000"
    hour = (datetime.now(UTC) - timedelta(hours=2)).replace(minute=0, second=0, microsecond=0).isoformat()
    again = f"--start {datetime.now(UTC):%Y-%m-%d}"
    with pytest.raises(SourceError, match=rf"made anew since shardId-000000000000 was read.* {again}"):
        list(source.read(part, f"7|1|{hour}"))
    # docs.aws.amazon.com, GetShardIterator: a number of another stream is an InvalidArgumentException
    stub = Stub()

    def refuse(**_: Any) -> Any:
        raise ClientError(
            {"Error": {"Code": "InvalidArgumentException", "Message": "no"}}, "GetShardIterator"
        )

    stub.get_shard_iterator = refuse  # type: ignore[method-assign]
    monkeypatch.setattr("whatif.sources.kinds.kinesis.client", lambda *_: stub)
    now = datetime.now(UTC).isoformat()
    with pytest.raises(SourceError, match="made anew since shardId-000000000000 was read"):
        list(KinesisStream(stream="bars").read(part, f"7|1|{now}"))


class Stub:
    """A client of Kinesis, one shard of which answers as it is told to."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), []

    def describe_stream_summary(self, **_: Any) -> Any:
        return {"StreamDescriptionSummary": {"StreamStatus": "ACTIVE", "RetentionPeriodHours": 24}}

    def list_shards(self, **_: Any) -> Any:
        return {"Shards": [{"ShardId": "s"}]}

    def get_shard_iterator(self, **given: Any) -> Any:
        self.asked.append(given)
        return {"ShardIterator": "i"}

    def get_records(self, **_: Any) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, str):
            raise ClientError({"Error": {"Code": answer, "Message": "no"}}, "GetRecords")
        return answer

    def put_records(self, Records: Any, **_: Any) -> Any:
        self.asked.append(
            [json.loads(one["Data"])["symbol"] + one["Data"].decode()[-3:-1] for one in Records]
        )
        codes = self.answers.pop(0)
        return {
            "FailedRecordCount": len(codes.strip()),
            "Records": [{"ErrorCode": "Throughput"} if code == "x" else {} for code in codes],
        }


def page(sequence: int, last: bool = False) -> dict[str, Any]:
    record = {
        "SequenceNumber": str(sequence), "Data": json.dumps(bar("A", sequence)).encode(),
        "ApproximateArrivalTimestamp": datetime(2024, 1, 2, tzinfo=UTC), "PartitionKey": "A",
    }  # fmt: skip
    return {"Records": [record], "MillisBehindLatest": 5, **({} if last else {"NextShardIterator": "n"})}


def of_stub(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> Stub:
    stub = Stub(*answers)
    monkeypatch.setattr("whatif.sources.kinds.kinesis.client", lambda *_: stub)
    return stub


def test_an_iterator_that_expires_is_asked_for_anew_behind_the_last_record(
    monkeypatch: pytest.MonkeyPatch, lake_home: LakeLocation
) -> None:
    stub = of_stub(monkeypatch, page(1), "ExpiredIteratorException", page(2), page(3, last=True))
    report = ingest(KinesisStream(stream="bars"), location=lake_home)
    assert (report.came, report.landed) == (3, 3)
    assert stub.asked[1]["StartingSequenceNumber"] == "1"


def test_an_answer_without_records_is_no_end_while_the_shard_is_behind(
    monkeypatch: pytest.MonkeyPatch, lake_home: LakeLocation
) -> None:
    # docs.aws.amazon.com, GetRecords: it may return no records although there are some further on
    quiet = {"Records": [], "MillisBehindLatest": 60_000, "NextShardIterator": "n"}
    end = {**quiet, "MillisBehindLatest": 0}
    of_stub(monkeypatch, quiet, page(1), quiet, quiet, page(2), end)
    report = ingest(KinesisStream(stream="bars"), location=lake_home)
    assert (report.came, report.landed) == (2, 2)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (["ExpiredIteratorException"] * 9, "an iterator expired again and again"),
        ([page(1), "ProvisionedThroughputExceededException"], "the service throttles: it refused 8 times"),
        ([page(1), "AccessDeniedException"], "this role may not read the stream"),
    ],
)
def test_a_failure_half_way_leaves_no_bar(
    monkeypatch: pytest.MonkeyPatch, lake_home: LakeLocation, answers: list[Any], said: str
) -> None:
    of_stub(monkeypatch, *answers)
    with pytest.raises(SourceError, match=said):
        ingest(KinesisStream(stream="bars"), location=lake_home)
    assert not has_rows(lake_home, "bars")


def test_what_the_stream_does_not_take_is_put_again_in_order_of_each_symbol(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import pyarrow as pa

    monkeypatch.setattr("time.sleep", lambda _: None)
    stub = of_stub(monkeypatch, " x   ", "   ", *["x"] * 20)
    columns = ("open", "high", "low", "close", "volume", "vwap")
    rows = [
        {"symbol": s, "ts": OPEN, "timeframe": "1min", "session": OPEN.date(), "exchange": "XNYS",
         **dict.fromkeys(columns, 1.0), "vwap_estimated": True, "trade_count": n}
        for n, s in enumerate("BAABA", start=10)
    ]  # fmt: skip
    assert KinesisStream(stream="bars").publish([pa.RecordBatch.from_pylist(rows)]) == 5
    assert stub.asked == [["B10", "A11", "A12", "B13", "A14"], ["A11", "A12", "A14"]]
    with pytest.raises(SourceError, match="did not take 1 records in 20 attempts"):
        KinesisStream(stream="bars").publish([pa.RecordBatch.from_pylist(rows[:1])])


def test_shards_come_behind_those_that_they_were_made_of() -> None:
    shards = [
        {"ShardId": "a3", "ParentShardId": "z1", "AdjacentParentShardId": "z2"}, {"ShardId": "z2"},
        {"ShardId": "b4", "ParentShardId": "a3"}, {"ShardId": "z1", "ParentShardId": "expired"},
    ]  # fmt: skip
    assert parents_first(shards) == ["z1", "z2", "a3", "b4"]


@pytest.mark.slow
@pytest.mark.benchmark
def test_a_hundred_thousand_records_of_a_split_stream_also_when_killed(
    kinesis: Any, lake_home: LakeLocation, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each bar lands once, in under 60 s; the shards are split while the stream is half full."""
    kinesis.create_stream(StreamName="bars", ShardCount=4)
    symbols, exchange = [f"S{k}" for k in range(10)], {"exchange": "24/7"}
    bars = [bar(symbol, k, **exchange) for k in range(10_000) for symbol in symbols]
    for first in range(0, len(bars), 500):
        if first == len(bars) // 2:
            split(kinesis, "shardId-000000000001")
        put(kinesis, *bars[first : first + 500])
    command = [sys.executable, "-c", "import sys; from whatif.cli import main; sys.exit(main())"]
    command += ["--home", str(lake_home.home), "ingest", "kinesis", "--stream", "bars", "--exchange", "24/7"]
    began = time.perf_counter()
    with subprocess.Popen(command) as first_go:
        while first_go.poll() is None and not has_rows(lake_home, "bars"):
            time.sleep(0.02)
        first_go.kill()  # bars have landed; how far they were read may not stand there yet
    assert has_rows(lake_home, "bars")
    assert subprocess.run(command, check=False).returncode == 0
    seconds = time.perf_counter() - began
    assert list_bars(lake_home)["bars"].tolist() == [10_000] * 10
    assert ingest(KinesisStream(stream="bars", exchange="24/7"), location=lake_home).landed == 0
    with capsys.disabled():
        sys.stdout.write(f"\n100,000 records of six shards, killed once and started again: {seconds:.1f} s\n")
    assert seconds < 60, f"{seconds:.1f} s"
