"""A source of one's own: found, held to the contract, landed exactly once, and a study on its bars."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.json
import pyarrow.parquet
import pytest

from whatif import plugins
from whatif.calendars import schedule
from whatif.domain.timeframe import MINUTE_US
from whatif.errors import PluginError, SourceError
from whatif.lake import list_bars
from whatif.pins import current_pin
from whatif.sources import Chunk, FileSource, IngestSpec, Layout, Source, make_source, named_source
from whatif.sources.contract import checked_chunks, checked_parts
from whatif.sources.delivery import Part, file_parts, read_file, read_part
from whatif.sources.kinds import SEAM
from whatif.sources.kinds.csv import Csv
from whatif.sources.kinds.parquet import Parquet
from whatif.testing import check_source
from whatif.workflow import RunOptions, forget, ingest, run


class Walk(Source):
    """A random walk, a session a chunk; the checkpoint is the number of sessions."""

    symbols: tuple[str, ...]
    days: int = 3
    exchange: str = "XNYS"

    def parts(self) -> list[str]:
        """Return a name for each symbol."""
        return [f"walk:{symbol}" for symbol in self.symbols]

    def read(self, part: str, checkpoint: str | None) -> Iterator[Chunk]:
        """Yield sessions of January 2024."""
        import datetime as dt

        sessions = schedule(self.exchange, dt.date(2024, 1, 2), dt.date(2024, 2, 28))
        for day in range(int(checkpoint or 0), self.days):
            ts = np.arange(sessions.open_us[day], sessions.close_us[day], MINUTE_US)
            draws = np.random.default_rng([day, *part.encode()]).normal(0.0, 0.02, (3, len(ts)))
            price = 100.0 + np.cumsum(draws[0])
            columns = {
                "ts": pa.array(ts, pa.timestamp("us", "UTC")),
                "open": price, "high": price + abs(draws[1]), "low": price - abs(draws[2]), "close": price,
                "volume": np.full(len(ts), 100.0),
            }  # fmt: skip
            layout = Layout(part, "1min", self.exchange, symbol=part.removeprefix("walk:"))
            yield Chunk(layout, pa.RecordBatch.from_pydict(columns), checkpoint=str(day + 1))


class Lines(FileSource):
    """Files of JSON, a bar a line."""

    endings = (".jsonl",)

    def read_file(self, path: str) -> Iterator[Chunk]:
        """Yield a file's rows."""
        table = pyarrow.json.read_json(path)
        yield from self.chunks(path, table.column_names, table.to_batches())


class Faulty(Walk):
    """One that breaks a rule of the contract."""

    rule: str = ""

    def parts(self) -> list[str]:
        """Return names, or what is none."""
        walks = super().parts()
        return {
            "no part": [], "twice": [*walks, *walks], "hidden": ["walk:\x07"], "no text": [7],
            "key": ["https://host/bars?AWSSecretKey=abcdefghijklmnop&secret_key=abcdefghijk"],
        }.get(self.rule, walks)  # type: ignore[return-value]  # fmt: skip

    def read(self, part: str, checkpoint: str | None) -> Iterator[Chunk]:
        """Yield two sessions, the second of which breaks a rule."""
        first, second, *_ = super().read(part, None)
        yield first
        yield second if part != self.parts()[-1] else FAULTS[self.rule](first, second)


def changed(chunk: Chunk, name: str, values: pa.Array | None) -> Chunk:
    """Return a chunk with another column, or without it."""
    columns = dict(zip(chunk.batch.schema.names, chunk.batch.columns, strict=True)) | {name: values}
    kept = {key: column for key, column in columns.items() if column is not None}
    return replace(chunk, batch=pa.RecordBatch.from_pydict(kept))


def named(chunk: Chunk, symbols: list[str], order: list[int]) -> Chunk:
    """Return rows of a chunk with a column for their symbols."""
    taken = replace(chunk, batch=chunk.batch.take(pa.array(order)), layout=replace(chunk.layout, symbol=None))
    return changed(taken, "symbol", pa.array(symbols))


def fails(*_: Chunk) -> Chunk:
    raise KeyError("quota")


FAULTS: dict[str, Any] = {
    "backwards": lambda first, second: first,
    "within": lambda first, second: replace(second, batch=second.batch.take(pa.array([1, 0]))),
    "of one symbol": lambda first, second: named(second, ["B", "A", "B", "A"], [0, 1, 2, 0]),
    "naive": lambda first, second: changed(second, "ts", second.batch["ts"].cast(pa.timestamp("us"))),
    "text": lambda first, second: changed(second, "close", second.batch["close"].cast(pa.string())),
    "missing": lambda first, second: changed(second, "low", None),
    "unknown": lambda first, second: changed(second, "bid", second.batch["low"]),
    "no symbol": lambda first, second: replace(second, layout=replace(second.layout, symbol=None)),
    "other part": lambda first, second: replace(second, layout=replace(second.layout, source="walk:B")),
    "timeframe": lambda first, second: replace(second, layout=replace(second.layout, timeframe="60min")),
    "exchange": lambda first, second: replace(second, layout=replace(second.layout, exchange="XNYZ")),
    "checkpoint": lambda first, second: replace(second, checkpoint=7),
    "rows": lambda first, second: replace(second, row=np.arange(len(second)) + 1),
    "no chunk": lambda first, second: second.batch,
    "failure": fails,
}


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("own_sources")
    for kind in (Walk, Lines, Faulty):
        setattr(module, kind.__name__, kind)
    module.NoSource = dict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_sources", module)
    found = (("walk", "own_sources:Walk", "own 1.2"), ("lines", "own_sources:Lines", "own 1.2"))
    monkeypatch.setattr(plugins, "_entries", lambda group: found if group == "whatif.sources" else ())
    return module


def rows_of(part: Part) -> list[dict[str, Any]]:
    return [row for batch in read_part(part) for row in batch.to_pylist()]


@pytest.mark.parametrize("name", ["own_sources:Walk", "walk"])
def test_it_is_found_by_module_and_by_entry_point(own, name: str) -> None:
    kind = named_source([name])
    assert kind is Walk
    source = make_source(kind, {"symbols": "A, B", "days": "2"})
    assert source == Walk(symbols=("A", "B"), days=2)
    others = [(one.name, one.origin) for one in SEAM.every() if one.origin != "whatif"]
    assert others == [("lines", "own 1.2"), ("walk", "own 1.2")]


def test_files_and_addresses_come_first(own, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "walk").mkdir()
    assert named_source(["walk"]) is None
    assert named_source(["s3://bucket/walk", "a.csv"]) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["no_module:Walk"], "source 'no_module:Walk' cannot be imported: ModuleNotFoundError"),
        (["own_sources:Walc"], "source 'own_sources:Walc' cannot be imported: AttributeError"),
        (["own_sources:NoSource"], "'own_sources:NoSource' is no class derived from whatif.sources.base"),
        (["own_sources:Lines"], "source 'own_sources:Lines' reads files: name them, and give --format own_s"),
        (["walk", "walk"], "source 'walk' is named with 1 more: ingest it alone"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_named(own, given: list[str], said: str) -> None:
    with pytest.raises((PluginError, SourceError), match=re.escape(said)):
        named_source(given)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "source Walk needs option 'symbols': give --option symbols=VALUE"),
        ({"symbol": "A"}, "option 'symbol' is none of source Walk: did you mean 'symbols'"),
        ({"symbols": "A", "days": "x"}, "option days=x of source Walk: Input should be a valid integer"),
    ],
)
def test_options_are_checked(options: dict[str, str], said: str) -> None:
    with pytest.raises(SourceError, match=re.escape(said)):
        make_source(Walk, options)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("no part", "it names no part"),
        ("twice", "it names part 'walk:A' twice"),
        ("hidden", "is no name of a part"),
        ("no text", "7 is no name of a part"),
        ("key", "of a part carries a key"),
    ],
)
def test_names_that_break_the_contract_are_told_with_the_rule(rule: str, said: str) -> None:
    source = Faulty(symbols=("A",), rule=rule)
    with pytest.raises(SourceError, match=f"source '.*:Faulty' breaks its contract: .*{re.escape(said)}"):
        checked_parts(source)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("backwards", "bars of A are out of order: 2024-01-02T14:30:00 comes after 2024-01-02T20:59:00"),
        ("within", "bars of A are out of order: 2024-01-03T14:30:00 comes after 2024-01-03T14:31:00"),
        ("of one symbol", "bars of A are out of order: 2024-01-03T14:30:00 comes after 2024-01-03T14:31:00"),
        ("naive", "column 'ts' is timestamp[us], not a timestamp with a time zone"),
        ("text", "column 'close' is string, not double"),
        ("missing", "column 'low' is missing"),
        ("unknown", "column 'bid' is none of ts, symbol"),
        ("no symbol", "the symbol is named by a column or by Layout.symbol, and by one of them alone"),
        ("other part", "a chunk says that it is of 'walk:B'"),
        ("timeframe", "timeframe and exchange are written '1h' and 'XNYS'"),
        ("exchange", "'XNYZ'"),
        ("checkpoint", "checkpoint 7 is no text"),
        ("rows", "rows are not numbered upwards"),
        ("no chunk", "it gives a RecordBatch, not a whatif.sources.Chunk"),
    ],
)
def test_chunks_that_break_the_contract_are_told_with_the_rule(rule: str, said: str) -> None:
    source = Faulty(symbols=("A",), rule=rule)
    pattern = f"source '.*:Faulty' breaks its contract: part 'walk:A': .*{re.escape(said)}"
    with pytest.raises(SourceError, match=pattern):
        list(checked_chunks(source, "walk:A", None))


def test_what_it_raises_is_told_with_its_name() -> None:
    with pytest.raises(SourceError, match=r"source '.*:Faulty' failed reading 'walk:A': KeyError: 'quota'"):
        list(checked_chunks(Faulty(symbols=("A",), rule="failure"), "walk:A", None))


def test_rows_are_numbered_through_also_behind_a_checkpoint() -> None:
    source = Walk(symbols=("A",), days=3)
    whole = rows_of(Part("walk:A", source))
    assert [row["row"] for row in whole if row["kind"] == "bar"] == list(range(1, 3 * 390 + 1))
    assert (whole[-1]["kind"], whole[-1]["raw"]) == ("checkpoint", "3")
    rest = rows_of(Part("walk:A", source, checkpoint="2", rows=780))
    assert rest == whole[780:]
    assert [row["kind"] for row in rows_of(Part("walk:A", source, "3", 1170))] == ["empty", "checkpoint"]


def test_it_passes_the_suite() -> None:
    check_source(Walk(symbols=("A", "B")))


def test_files_pass_the_suite(tmp_path: Path) -> None:
    spec = IngestSpec(symbol="A", exchange="XNYS")
    text = "ts,open,high,low,close,volume\n2024-01-02T14:30:00Z,1,1,1,1,5\n2024-01-02T14:31:00Z,1,1,1,1,5\n"
    (tmp_path / "a.csv").write_text(text)
    check_source(Csv(files=(str(tmp_path / "a.csv"),), spec=spec))
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(tmp_path / "a.csv"), tmp_path / "a.parquet")
    check_source(Parquet(files=(str(tmp_path / "a.parquet"),), spec=spec))


def test_the_suite_tells_what_a_checkpoint_forgets() -> None:
    class Again(Walk):
        def read(self, part: str, checkpoint: str | None) -> Iterator[Chunk]:
            return super().read(part, checkpoint and str(int(checkpoint) - 1))

    class Fickle(Walk):
        def read(self, part: str, checkpoint: str | None) -> Iterator[Chunk]:
            calls.append(1)
            return Walk(symbols=self.symbols, days=len(calls)).read(part, checkpoint)

    calls: list[int] = []
    with pytest.raises(AssertionError, match="read on from checkpoint '1' does not give exactly the rows"):
        check_source(Again(symbols=("A",)))
    with pytest.raises(AssertionError, match="read twice gives other rows"):
        check_source(Fickle(symbols=("A",)))
    with pytest.raises(AssertionError, match="it has no bars"):
        check_source(Walk(symbols=("A",), days=0))


def test_a_format_of_ones_own_is_taken_by_its_ending(own, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"Date": "2024-01-02T14:30:00", "o": 1, "h": 2, "l": 1, "c": 2, "v": 5, "sym": "A"}\n')
    for name in ("auto", "lines", "own_sources:Lines"):
        spec = IngestSpec(format=name, exchange="XNYS", timezone="UTC")
        (row,) = [row for batch in read_file(str(path), spec) for row in batch.to_pylist()]
        assert (row["symbol"], row["close"], row["rule"], row["row"]) == ("A", 2.0, None, 1)


STUDY = """
study: own-bars
data: {symbols: [A, B], timeframe: 1min, start: 2024-01-02, end: 2024-01-09}
calendar: {exchange: XNYS}
strategy: {name: sma_crossover}
axes: {fast: [5], slow: [20, 60]}
"""


class Growing(Walk):
    """A service that has more sessions by and by: as many as a file says."""

    at: str

    def read(self, part: str, checkpoint: str | None) -> Iterator[Chunk]:
        """Yield the sessions there are now."""
        now = self.model_copy(update={"days": int(Path(self.at).read_text())})
        return Walk.read(now, part, checkpoint)


def test_a_study_on_its_bars_runs_to_its_answer(
    lake_home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They land in several goes, each bar once, also after a kill."""
    service = Growing(symbols=("A", "B"), at=str(tmp_path / "sessions"))

    def landed(sessions: int, source: Source = service) -> tuple[int, int, int]:
        (tmp_path / "sessions").write_text(str(sessions))
        report = ingest(source, location=lake_home, runner="local")
        assert report.came == report.landed + report.already_there
        return report.came, report.landed, report.already_there

    assert landed(2) == (1560, 1560, 0)
    assert landed(4) == (1560, 1560, 0)
    before = current_pin(lake_home, "bars")
    assert landed(4) == (0, 0, 0)
    with pytest.raises(SourceError, match=r"(?s)Faulty' breaks its contract: part 'walk:Z'.*nothing was wri"):
        landed(4, Faulty(symbols=("Y", "Z"), rule="backwards"))
    assert current_pin(lake_home, "bars") == before
    with monkeypatch.context() as killed:
        killed.setattr("whatif.workflow.ingestion.store_checkpoints", lambda *_: None)
        assert landed(5) == (780, 780, 0)
    assert landed(5) == (780, 0, 780)
    listed = list_bars(lake_home)
    assert listed[["symbol", "bars", "missing_minutes"]].values.tolist() == [["A", 1950, 0], ["B", 1950, 0]]
    (tmp_path / "study.yaml").write_text(STUDY)
    result = run(tmp_path / "study.yaml", None, lake_home, RunOptions(runner="local"))
    assert len(result.leaderboard()) == 4
    assert result.best


def test_the_examples_of_the_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
    _, _, below = text.partition("## A source")
    service, feather, *_ = re.findall(r"```python\n(.*?)```", below, re.DOTALL)
    (tmp_path / "my_sources.py").write_text(service)
    (tmp_path / "my_formats.py").write_text(feather)
    monkeypatch.syspath_prepend(tmp_path)
    kind = named_source(["my_sources:Service"])
    assert kind is not None
    source = make_source(kind, {"symbols": "SPY,IBM", "end": "2024-01-09"})
    check_source(source)
    bars = [row for row in rows_of(Part("service:IBM", source)) if row["kind"] == "bar"]
    assert len(bars) == 5 * 390  # 2 to 8 January
    assert {(row["symbol"], row["source"], row["hours"]) for row in bars} == {
        ("IBM", "service:IBM", "regular")
    }
    table = pyarrow.table(
        {"Date": ["2024-01-02 09:30"], **{name: [2.0] for name in ("o", "h", "l", "c", "v")}}
    )
    with pyarrow.ipc.new_file(tmp_path / "A.feather", table.schema) as file:
        file.write_table(table)
    spec = IngestSpec("my_formats:Feather", exchange="XNYS", timezone="America/New_York", symbol_from="file")
    (part,), _ = file_parts([tmp_path], spec)
    (row,) = rows_of(part)
    assert (row["symbol"], row["ts"].isoformat(), row["open"]) == ("A", "2024-01-02T14:30:00+00:00", 2.0)
    check_source(part.source.model_copy(update={"files": (part.name,)}))


@pytest.mark.spark
@pytest.mark.slow
def test_bars_that_were_taken_back_come_again(spark, lake_home) -> None:
    service = Walk(symbols=("A", "B"), days=5)
    assert ingest(service, location=lake_home, runner="local").landed == 3900

    forget(lake_home, symbol="A", spark=spark)

    again = ingest(service, location=lake_home, runner="local")
    assert (again.came, again.landed, again.already_there) == (3900, 1950, 1950)
    assert ingest(service, location=lake_home, runner="local").came == 0


@pytest.mark.parametrize("value", ["2024-02-01T15:00:30", "soon"])
def test_an_option_that_is_a_date_says_so(value: str) -> None:
    with pytest.raises(SourceError, match=f"start={value} of source LakeTrades is no date: write a day"):
        make_source(named_source(["trades"]), {"symbols": "SPY", "start": value})
