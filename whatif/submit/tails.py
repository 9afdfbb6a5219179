"""Driver logs, a few lines at a time, from where a service leaves them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any, Protocol

from whatif.submit.explain import code_of
from whatif.submit.store import split_uri

_NOT_YET = {"ResourceNotFoundException", "NoSuchKey", "404"}


class Tail(Protocol):
    """A log that grows."""

    def lines(self) -> list[str]:
        """Return what has come since the last call."""


class CloudWatchTail:
    """The streams of a log group whose names begin and are as wanted."""

    def __init__(self, client: Any, group: str, prefix: str, wanted: Callable[[str], bool]) -> None:
        self._client, self._group, self._prefix, self._wanted = client, group, prefix, wanted
        self._since = 0
        self._seen: set[str] = set()

    def lines(self) -> list[str]:
        """Return the lines of events not seen before, in order of time."""
        found = []
        pages = self._client.get_paginator("filter_log_events").paginate(
            logGroupName=self._group, logStreamNamePrefix=self._prefix, startTime=self._since
        )
        for page in pages:
            found += [event for event in page.get("events", []) if self._wanted(event["logStreamName"])]
        new = [event for event in found if event["eventId"] not in self._seen]
        if new:
            # an event of the same millisecond may still come
            self._since = max(event["timestamp"] for event in new)
            self._seen = {event["eventId"] for event in found if event["timestamp"] == self._since}
        return [line for event in new for line in event["message"].splitlines()]


class S3Tail:
    """A gzipped file on S3 that is replaced by a longer one from time to time."""

    def __init__(self, client: Any, uri: str) -> None:
        self._client, self._place = client, split_uri(uri)
        self._tag = ""
        self._shown = 0

    def lines(self) -> list[str]:
        """Return the lines behind those that were returned before."""
        bucket, key = self._place
        answer = self._client.get_object(Bucket=bucket, Key=key)
        if answer.get("ETag") == self._tag:
            return []
        self._tag = answer.get("ETag", "")
        text = gzip.decompress(answer["Body"].read()).decode("utf-8", "replace")
        whole = text[: text.rfind("\n") + 1].splitlines()
        new, self._shown = whole[self._shown :], max(self._shown, len(whole))
        return new


class Quiet:
    """A tail that never stops a run from being followed: it says once why it cannot be read."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail
        self._said = False

    def lines(self) -> list[str]:
        """Return new lines; none where the log is not there yet."""
        try:
            return self._tail.lines()
        except Exception as error:
            if code_of(error) in _NOT_YET or self._said:
                return []
            self._said = True
            return [f"(the driver's log cannot be read: {code_of(error)}: {error})"]
