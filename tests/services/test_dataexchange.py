"""AWS Data Exchange by botocore's Stubber, which holds requests and answers to the service's model.

The bucket that is exported to is moto's; files come there where the service's job would put them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from whatif.cli import main
from whatif.errors import SourceError
from whatif.lake import list_bars
from whatif.pins import LakeLocation, has_rows
from whatif.sources import IngestSpec
from whatif.sources.kinds.csv import Csv
from whatif.sources.kinds.dataexchange import DataExchange
from whatif.workflow import ingest

from .conftest import REGION

ROWS = "ts,open,high,low,close,volume\n2024-01-0{day}T14:30:00Z,10,11,9,{close},100\n"
SPEC = IngestSpec(exchange="XNYS", symbol_from="file", timeframe="1min", stamps="start")
SET, TO = "d" * 32, "s3://market/dx"


def revision(name: str, day: int, **more: Any) -> dict[str, Any]:
    at = datetime(2024, 1, day, tzinfo=UTC)
    told = {"Arn": f"arn:{name}", "CreatedAt": at, "UpdatedAt": at, "DataSetId": SET, "Id": name}
    return {**told, "Finalized": True, "Revoked": False, **more}


class Exchange:
    """What the service is to be asked, in order, and answers; a job puts files where it should."""

    def __init__(self, s3: Any) -> None:
        self.s3 = s3
        self.client = boto3.client("dataexchange", region_name=REGION)
        self.stub = Stubber(self.client)
        self.on_start: list[Callable[[], None]] = []
        self.client.meta.events.register("before-parameter-build.dataexchange.StartJob", self._started)
        self.stub.activate()

    def _started(self, **_: Any) -> None:
        self.on_start.pop(0)()

    def lists(self, *revisions: dict[str, Any]) -> None:
        asked = {"DataSetId": SET}
        self.stub.add_response("list_data_set_revisions", {"Revisions": list(revisions)}, asked)

    def holds(self, name: str, kind: str = "S3_SNAPSHOT", **files: str) -> None:
        at = datetime(2024, 1, 1, tzinfo=UTC)
        told = [
            {"Arn": "a", "Id": "i", "CreatedAt": at, "UpdatedAt": at, "DataSetId": SET, "RevisionId": name,
             "AssetType": kind, "Name": f"{file}.csv",
             "AssetDetails": {"S3SnapshotAsset": {"Size": float(len(text))}}}
            for file, text in files.items()
        ]  # fmt: skip
        asked = {"DataSetId": SET, "RevisionId": name}
        self.stub.add_response("list_revision_assets", {"Assets": told}, asked)

    def exports(self, name: str, *states: str, errors: Any = (), key: str = "", **files: str) -> None:
        to = {
            "RevisionId": name, "Bucket": "market",
            "KeyPattern": "dx/${DataSet.Id}/${Revision.Id}/${Asset.Name}",
        }  # fmt: skip
        details: dict[str, Any] = {"DataSetId": SET, "RevisionDestinations": [to]}
        if key:
            details["Encryption"] = {"Type": "aws:kms", "KmsKeyArn": key}
        asked = {"Type": "EXPORT_REVISIONS_TO_S3", "Details": {"ExportRevisionsToS3": details}}
        self.stub.add_response("create_job", {"Id": "j"}, asked)
        self.on_start.append(lambda: self.puts(name, **files))
        self.stub.add_response("start_job", {}, {"JobId": "j"})
        for state in states:
            told = {"Id": "j", "State": state}
            if errors and state == states[-1]:
                told["Errors"] = [{"Code": code, "Message": text} for code, text in errors]  # type: ignore[assignment]
            self.stub.add_response("get_job", told, {"JobId": "j"})

    def puts(self, name: str, **files: str) -> None:
        for file, text in files.items():
            self.s3.put_object(Bucket="market", Key=f"dx/{SET}/{name}/{file}.csv", Body=text.encode())


@pytest.fixture
def exchange(s3: Any, monkeypatch: pytest.MonkeyPatch) -> Exchange:
    made = Exchange(s3)
    monkeypatch.setattr(
        "whatif.sources.kinds.dataexchange.client",
        lambda name, region=None: made.client if name == "dataexchange" else s3,
    )
    monkeypatch.setattr("whatif.sources.services.time.sleep", lambda _: None)
    monkeypatch.setenv("WHATIF_RUNNER", "local")
    return made


def source(**given: Any) -> DataExchange:
    return DataExchange(**{"data_set": SET, "to": TO, **given})


def closes(location: LakeLocation) -> list[float]:
    from whatif.pins import current_pin, read_arrow

    names = ["symbol", "ts", "close"]
    rows = read_arrow(current_pin(location, "bars"), names).sort_by(
        [("symbol", "ascending"), ("ts", "ascending")]
    )
    return list(rows["close"].to_pylist())


def test_revisions_are_exported_once_and_the_later_one_stands(
    exchange: Exchange, lake_home: LakeLocation
) -> None:
    old, new = ROWS.format(day=2, close=10), ROWS.format(day=2, close=10.5)
    exchange.lists(revision("r2", 2), revision("r1", 1))  # newest first, as the service lists them
    exchange.holds("r1", AAPL=old, MSFT=old)
    exchange.exports("r1", "WAITING", "IN_PROGRESS", "COMPLETED", AAPL=old, MSFT=old)
    exchange.holds("r2", AAPL=new)
    exchange.exports("r2", "COMPLETED", AAPL=new)
    report = ingest(source(), SPEC, lake_home)
    exchange.stub.assert_no_pending_responses()
    assert closes(lake_home) == [10.5, 10.0]
    assert "revision r1: 2 files exported, 0.0 MB" in report.notes
    # again: all is there, nothing is exported and nothing lands
    exchange.lists(revision("r2", 2), revision("r1", 1))
    exchange.holds("r1", AAPL=old, MSFT=old)
    exchange.holds("r2", AAPL=new)
    again = ingest(source(), SPEC, lake_home)
    exchange.stub.assert_no_pending_responses()
    assert (again.landed, again.corrected) == (0, 0)
    assert "revision r2: 1 files there already" in again.notes


def test_pages_are_followed_and_a_revision_that_was_revoked_is_told(exchange: Exchange) -> None:
    text = ROWS.format(day=2, close=10)
    listed = "list_data_set_revisions"
    revoked = revision("r1", 1, Revoked=True, RevocationComment="the wrong day")
    exchange.stub.add_response(listed, {"Revisions": [revoked], "NextToken": "more"}, {"DataSetId": SET})
    page = {"Revisions": [revision("r2", 2)]}
    exchange.stub.add_response(listed, page, {"DataSetId": SET, "NextToken": "more"})
    exchange.holds("r2", AAPL=text)
    exchange.exports("r2", "COMPLETED", AAPL=text)
    folders, notes = source().fetch()
    exchange.stub.assert_no_pending_responses()
    assert folders == [f"s3://market/dx/{SET}/r2/"]
    assert any("revision r1 is left out, revoked: the wrong day" in note for note in notes)


def test_what_is_wanted_is_named(exchange: Exchange, lake_home: LakeLocation) -> None:
    every = [revision("r1", 1), revision("r2", 3), revision("r3", 5, Finalized=False)]
    text = ROWS.format(day=2, close=10)
    for given in ({"since": "2024-01-02"}, {"revision": ("r2",)}):
        exchange.lists(*every)
        exchange.holds("r2", AAPL=text)
        if "since" in given:
            exchange.exports("r2", "COMPLETED", key="arn:aws:kms:eu-west-1:1:key/k", AAPL=text)
        folders, _ = source(**given, kms_key="arn:aws:kms:eu-west-1:1:key/k").fetch()
        assert folders == [f"s3://market/dx/{SET}/r2/"]
        exchange.stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"revision": ("r9",)}, "has no revision 'r9': valid: r1, r2, r3"),
        ({"revision": ("r2",)}, r"r2 .* was revoked by its provider \(the wrong day\)"),
        ({"revision": ("r3",)}, "is not final yet"),
        ({"since": "2024-02-01"}, "no revision to export of its 3: .* made since 2024-02-01"),
        ({"since": "soon"}, "since=soon is no day"),
    ],
)
def test_revisions_that_cannot_be_exported(exchange: Exchange, given: dict[str, Any], said: str) -> None:
    revoked = revision("r2", 2, Revoked=True, RevocationComment="the wrong day", RevokedAt=datetime.now(UTC))
    exchange.lists(revision("r1", 1), revoked, revision("r3", 3, Finalized=False))
    with pytest.raises(SourceError, match=said):
        source(**given).fetch()


@pytest.mark.parametrize(
    ("state", "errors", "said"),
    [
        ("ERROR", [("ACCESS_DENIED_EXCEPTION", "no s3:PutObject")], "ACCESS_DENIED.*needs s3:PutObject"),
        ("ERROR", [("RESOURCE_NOT_FOUND_EXCEPTION", "gone")], "revoked, or the bucket is not there"),
        ("ERROR", [("INTERNAL_SERVER_EXCEPTION", "oops")], "oops: run the same command again"),
        ("CANCELLED", [], "ended as CANCELLED .*no reason is given"),
        ("TIMED_OUT", [], "ended as TIMED_OUT"),
    ],
)
def test_a_job_that_fails_lands_nothing(
    exchange: Exchange, lake_home: LakeLocation, state: str, errors: Any, said: str
) -> None:
    exchange.lists(revision("r1", 1))
    exchange.holds("r1", AAPL="x")
    exchange.exports("r1", "IN_PROGRESS", state, errors=errors)
    with pytest.raises(SourceError, match=said):
        ingest(source(), SPEC, lake_home)
    assert not has_rows(lake_home, "bars")


def test_a_job_that_takes_too_long(exchange: Exchange) -> None:
    exchange.lists(revision("r1", 1))
    exchange.holds("r1", AAPL="x")
    exchange.exports("r1", "IN_PROGRESS")
    with pytest.raises(SourceError, match=r"in_progress after 1e-09 s \(job j\): run the same"):
        source(wait=1e-9).fetch()


def test_an_export_that_is_not_what_the_revision_lists(exchange: Exchange) -> None:
    exchange.lists(revision("r1", 1))
    exchange.holds("r1", AAPL="1234", MSFT="1234")
    exchange.exports("r1", "COMPLETED", AAPL="1234", MSFT="12")
    with pytest.raises(SourceError, match=r"of 2 exported files 1 are not in .* first MSFT\.csv"):
        source().fetch()
    exchange.lists(revision("r1", 1))
    exchange.holds("r1", kind="REDSHIFT_DATA_SHARE", AAPL="1234")
    with pytest.raises(SourceError, match="of type REDSHIFT_DATA_SHARE: only files"):
        source().fetch()


def test_an_object_that_changes_while_it_is_read_lands_nothing(
    exchange: Exchange, lake_home: LakeLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = ROWS.format(day=2, close=10)
    exchange.lists(revision("r1", 1))
    exchange.holds("r1", AAPL=text)
    exchange.puts("r1", AAPL=text)
    read = Csv.read_file

    def changing(self: Csv, path: str) -> Any:
        yield from read(self, path)
        exchange.puts("r1", AAPL=ROWS.format(day=3, close=10))

    monkeypatch.setattr(Csv, "read_file", changing)
    with pytest.raises(SourceError, match="was changed while it was read"):
        ingest(source(), SPEC, lake_home)
    assert not has_rows(lake_home, "bars")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("ThrottlingException", "the service throttles"),
        ("ResourceNotFoundException", "not entitled to it"),
        ("AccessDeniedException", "needs dataexchange:ListDataSets"),
    ],
)
def test_a_service_that_refuses(exchange: Exchange, code: str, said: str) -> None:
    exchange.stub.add_client_error("list_data_set_revisions", code, "no", 400)
    with pytest.raises(SourceError, match=said):
        source().fetch()


def test_the_command_lists_and_lands(
    exchange: Exchange, lake_home: LakeLocation, capsys: pytest.CaptureFixture[str]
) -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    one = {"Arn": "a", "AssetType": "S3_SNAPSHOT", "CreatedAt": at, "UpdatedAt": at, "Id": SET,
           "Name": "Minutes", "Description": "of a market", "Origin": "ENTITLED"}  # fmt: skip
    command = ["--home", str(lake_home.home), "ingest", "dataexchange"]
    for more, code in ((["--explain"], 0), ([], 2)):
        exchange.stub.add_response("list_data_sets", {"DataSets": [one]}, {"Origin": "ENTITLED"})
        assert main([*command, *more]) == code
        told = capsys.readouterr()
        assert f"{SET}  Minutes: of a market" in told.out + told.err
    exchange.lists(revision("r1", 1, Comment="January"))
    assert main([*command, "--data-set", SET, "--explain"]) == 0
    assert "r1  2024-01-01 00:00Z  final  January" in capsys.readouterr().out
    assert main([*command, "--data-set", SET]) == 2
    assert "give --to s3://BUCKET/PREFIX" in " ".join(capsys.readouterr().err.split())
    text = ROWS.format(day=2, close=10)
    exchange.lists(revision("r1", 1))
    exchange.holds("r1", AAPL=text)
    exchange.exports("r1", "COMPLETED", AAPL=text)
    files = ["--exchange", "XNYS", "--symbol-from", "file", "--timeframe", "1min"]
    assert main([*command, "--data-set", SET, "--to", TO, *files]) == 0
    assert "1 landed" in capsys.readouterr().out
    assert list_bars(lake_home)["symbol"].tolist() == ["AAPL"]
