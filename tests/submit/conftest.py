"""An account that exists nowhere: settings, a study, and services that go through their states."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from whatif.submit.requests import Job
from whatif.submit.settings import SubmitSettings

GOLDEN = Path(__file__).parent / "golden"
BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
REGION = "eu-west-1"
ROLE = "arn:aws:iam::111122223333:role/whatif-run"

STUDY = """
study: made
data:      {symbols: [SPY], timeframe: 1min, start: 2013-10-04, end: 2013-10-12}
calendar:  {exchange: XNYS}
strategy:  {name: sma_crossover, params: {size: 10}}
axes:      {fast: [3, 5], slow: [20, 30]}
"""

STRATEGY = """
from whatif.strategies import Param, hold, strategy


@strategy(params={"size": Param(1.0)}, inputs={})
def mine(i, x, p, s):
    return hold()
"""


@pytest.fixture
def settings() -> SubmitSettings:
    return SubmitSettings.model_validate(
        {
            "region": REGION,
            "bucket": "quant-artifacts",
            "warehouse": "s3://quant-lake/warehouse/",
            "emr_serverless": {"application_id": "00f1abcd", "execution_role": ROLE},
            "glue": {"job": "whatif-run"},
        }
    )


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    file = tmp_path / "study.yaml"
    file.write_text(STUDY)
    return file


@pytest.fixture
def job() -> Job:
    root = "s3://quant-artifacts/whatif"
    return Job(
        study="made",
        identity="0123456789abcdef",
        study_file=f"{root}/studies/made/aa/study.yaml",
        output=f"{root}/runs/made/0123456789abcdef/",
        entry=f"{root}/code/bb/run_whatif.py",
        code=f"{root}/code/bb/whatif.zip",
    )


@pytest.fixture
def golden() -> Callable[[str], Any]:
    return lambda name: json.loads((GOLDEN / name).read_text())


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that nobody accepts, so that no test can reach an account."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)


@pytest.fixture(scope="session")
def _s3_client() -> Any:
    """A client takes longer to make than all that a test does with it."""
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client("s3", region_name=REGION, **keys)


@pytest.fixture
def s3(_s3_client: Any, credentials: None) -> Iterator[Any]:
    """S3 with the bucket of the settings, in this process."""
    with mock_aws():
        where = {"LocationConstraint": REGION}
        _s3_client.create_bucket(Bucket="quant-artifacts", CreateBucketConfiguration=where)
        yield _s3_client


def refusal(code: str, message: str = "no", operation: str = "StartJobRun") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@dataclass
class Clock:
    """A clock that only sleeping moves."""

    at: datetime = BEGIN
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)


@dataclass
class Pages:
    """What a paginator of boto3 returns."""

    key: str
    entries: Callable[[], list[Mapping[str, Any]]]
    per_page: int = 2

    def paginate(self, **_: Any) -> Iterator[Mapping[str, Any]]:
        entries = self.entries()
        for first in range(0, max(len(entries), 1), self.per_page):
            yield {self.key: entries[first : first + self.per_page]}


@dataclass
class FakeEmr:
    """EMR Serverless: each look at a run takes it to its next state."""

    clock: Clock
    states: list[str] = field(default_factory=lambda: ["SUBMITTED", "SUCCESS"])
    application: dict[str, Any] = field(
        default_factory=lambda: {"state": "STARTED", "releaseLabel": "emr-7.13.0"}
    )
    errors: list[Exception] = field(default_factory=list)
    starts: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    looks: int = 0

    def _maybe_fail(self) -> None:
        if self.errors:
            raise self.errors.pop(0)

    def start_job_run(self, **parameters: Any) -> dict[str, str]:
        self._maybe_fail()
        self.starts.append(parameters)
        for run in self.runs:
            if run.get("token") == parameters["clientToken"]:
                return {"jobRunId": run["id"]}
        run = {
            "id": f"run{len(self.runs) + 1}",
            "name": parameters["name"],
            "token": parameters["clientToken"],
            "state": self.states[0],
            "createdAt": self.clock.now(),
            "stateDetails": "",
        }
        self.runs.append(run)
        self.looks = 0
        return {"jobRunId": run["id"]}

    def get_job_run(self, applicationId: str, jobRunId: str) -> dict[str, Any]:
        self._maybe_fail()
        run = next(run for run in self.runs if run["id"] == jobRunId)
        run["state"] = self.states[min(self.looks, len(self.states) - 1)]
        self.looks += 1
        hours = 0.25 * self.looks
        if run["state"] in ("SUCCESS", "FAILED", "CANCELLED"):
            run["endedAt"] = self.clock.now()
            run["billedResourceUtilization"] = {"vCPUHour": 2.0, "memoryGBHour": 8.0, "storageGBHour": 0.0}
        else:
            run["totalResourceUtilization"] = {"vCPUHour": hours, "memoryGBHour": 4 * hours}
        return {"jobRun": run}

    def cancel_job_run(self, applicationId: str, jobRunId: str) -> None:
        self._maybe_fail()
        self.cancelled.append(jobRunId)

    def get_application(self, applicationId: str) -> dict[str, Any]:
        self._maybe_fail()
        return {"application": self.application}

    def get_paginator(self, name: str) -> Pages:
        assert name == "list_job_runs"
        self._maybe_fail()
        return Pages("jobRuns", lambda: self.runs)


@dataclass
class FakeGlue:
    """Glue, likewise; it knows no tokens."""

    clock: Clock
    states: list[str] = field(default_factory=lambda: ["STARTING", "SUCCEEDED"])
    version: str = "5.1"
    errors: list[Exception] = field(default_factory=list)
    starts: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    looks: int = 0

    def _maybe_fail(self) -> None:
        if self.errors:
            raise self.errors.pop(0)

    def start_job_run(self, **parameters: Any) -> dict[str, str]:
        self._maybe_fail()
        self.starts.append(parameters)
        run = {
            "Id": f"jr_{len(self.runs) + 1}",
            "Arguments": parameters["Arguments"],
            "JobRunState": self.states[0],
            "StartedOn": self.clock.now(),
        }
        self.runs.append(run)
        self.looks = 0
        return {"JobRunId": run["Id"]}

    def get_job_run(self, JobName: str, RunId: str) -> dict[str, Any]:
        self._maybe_fail()
        run = next(run for run in self.runs if run["Id"] == RunId)
        run["JobRunState"] = self.states[min(self.looks, len(self.states) - 1)]
        self.looks += 1
        run |= {"ExecutionTime": 360 * self.looks, "MaxCapacity": 10.0}
        return {"JobRun": run}

    def get_job(self, JobName: str) -> dict[str, Any]:
        self._maybe_fail()
        return {"Job": {"Name": JobName, "GlueVersion": self.version}}

    def batch_stop_job_run(self, JobName: str, JobRunIds: list[str]) -> dict[str, Any]:
        self.stopped += JobRunIds
        return {"Errors": []}

    def get_paginator(self, name: str) -> Pages:
        assert name == "get_job_runs"
        self._maybe_fail()
        return Pages("JobRuns", lambda: self.runs)


class NoLogs:
    """CloudWatch and S3 of a job that has printed nothing yet."""

    def get_paginator(self, name: str) -> Any:
        raise refusal("ResourceNotFoundException", operation=name)

    def get_object(self, **_: Any) -> Any:
        raise refusal("NoSuchKey", operation="GetObject")
