"""Logs that grow: every line once, in order, and no line ends the following."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from whatif.submit.glue import Glue
from whatif.submit.settings import SubmitSettings
from whatif.submit.tails import CloudWatchTail, Quiet, S3Tail

from .conftest import NoLogs, Pages, refusal

GROUP, RUN = "/aws-glue/jobs/output", "jr_1"


class Events:
    """CloudWatch with the events that were put so far."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []

    def put(self, at: int, text: str, stream: str = RUN) -> None:
        self.events.append(
            {"timestamp": at, "message": text, "logStreamName": stream, "eventId": f"e{len(self.events)}"}
        )

    def get_paginator(self, name: str) -> Any:
        assert name == "filter_log_events"

        class Filtered(Pages):
            def paginate(inner, **given: Any) -> Any:  # noqa: N805
                self.asked.append(given)
                return Pages(
                    "events", lambda: [e for e in self.events if e["timestamp"] >= given["startTime"]]
                ).paginate()

        return Filtered("events", list)


def test_each_event_once_also_those_of_the_same_millisecond() -> None:
    service = Events()
    tail = CloudWatchTail(service, GROUP, RUN, RUN.__eq__)
    assert tail.lines() == []
    service.put(1, "a")
    service.put(2, "b\nc\n")
    assert tail.lines() == ["a", "b", "c"]
    service.put(2, "d")
    service.put(3, "e")
    assert tail.lines() == ["d", "e"]
    assert tail.lines() == []
    assert service.asked[-1] == {"logGroupName": GROUP, "logStreamNamePrefix": RUN, "startTime": 3}


def test_executors_are_not_listened_to() -> None:
    service = Events()
    service.put(1, "mine")
    service.put(2, "theirs", f"{RUN}_g-77")
    assert CloudWatchTail(service, GROUP, RUN, RUN.__eq__).lines() == ["mine"]


class Glue51:
    """A run that names its log group."""

    def get_job_run(self, **_: Any) -> dict[str, Any]:
        return {"JobRun": {"JobRunState": "RUNNING", "LogGroupName": "/aws-glue/jobs-role-secure"}}


@pytest.mark.parametrize(
    ("ours", "group"), [(None, "/aws-glue/jobs-role-secure/output"), ("/desk/glue", "/desk/glue/output")]
)
def test_glue_s_group_is_ours_or_what_the_run_names(
    settings: SubmitSettings, ours: str | None, group: str
) -> None:
    service = Events()
    clients: dict[str, Any] = {"glue": Glue51(), "logs": service}
    glue = settings.glue.model_copy(update={"log_group": ours})
    own = settings.model_copy(update={"glue": glue})
    runner = Glue(own, {}, ("G.1X", 2), clients.__getitem__, float)
    runner.state(RUN)
    assert runner.logs(RUN) == []
    assert service.asked[0]["logGroupName"] == group


class Objects:
    """S3 with one gzipped log."""

    def __init__(self) -> None:
        self.text = ""

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        packed = gzip.compress(self.text.encode())

        class Body:
            def read(self) -> bytes:
                return packed

        return {"ETag": str(hash(self.text)), "Body": Body()}


def test_a_file_that_is_replaced_by_a_longer_one() -> None:
    service = Objects()
    tail = S3Tail(service, "s3://b/stdout.gz")
    service.text = "a\nb\nhal"
    assert tail.lines() == ["a", "b"]
    assert tail.lines() == []
    service.text = "a\nb\nhalf\nc\n"
    assert tail.lines() == ["half", "c"]


def test_a_log_that_is_not_there_yet() -> None:
    assert Quiet(S3Tail(NoLogs(), "s3://b/stdout.gz")).lines() == []
    assert Quiet(CloudWatchTail(NoLogs(), GROUP, RUN, RUN.__eq__)).lines() == []


def test_a_log_that_may_not_be_read_is_said_once() -> None:
    class Denied:
        def get_object(self, **_: Any) -> None:
            raise refusal("AccessDenied", "no s3:GetObject")

    tail = Quiet(S3Tail(Denied(), "s3://b/stdout.gz"))
    assert "cannot be read: AccessDenied" in tail.lines()[0]
    assert tail.lines() == []
