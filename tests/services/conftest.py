"""Services of AWS by moto's server, on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

REGION = "eu-west-1"


@pytest.fixture(scope="session")
def _server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of services that know no state of another test; credentials that nobody else accepts."""
    import urllib.request

    urllib.request.urlopen(
        urllib.request.Request(f"{_server}/moto-api/reset", method="POST"), timeout=10
    ).close()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.setenv(name, REGION)
    monkeypatch.setenv("AWS_ENDPOINT_URL", _server)
    return _server


@pytest.fixture
def kinesis(aws: str) -> Any:
    return boto3.client("kinesis", region_name=REGION)


@pytest.fixture
def s3(aws: str) -> Any:
    made = boto3.client("s3", region_name=REGION)
    made.create_bucket(Bucket="market", CreateBucketConfiguration={"LocationConstraint": REGION})
    return made
