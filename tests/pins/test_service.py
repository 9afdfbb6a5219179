"""What AWS refuses, in words: the messages are those that boto3, the AWS SDK and PyArrow really give."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
)

from whatif.cli import main
from whatif.errors import LakeError, RunError
from whatif.pins.service import explained, in_words


def refused(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "GetTable")


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (NoCredentialsError(), "aws sso login"),
        (NoRegionError(), "set AWS_REGION"),
        (ProfileNotFound(profile="quant"), "set AWS_PROFILE"),
        (EndpointConnectionError(endpoint_url="https://glue.nowhere"), "does not answer"),
        (
            refused("ExpiredTokenException", "The security token included in the request is expired"),
            "expired",
        ),
        (refused("UnrecognizedClientException", "The security token is invalid"), "does not know these"),
        (
            refused("AccessDeniedException", "User: arn:… is not authorized to perform: glue:GetTable"),
            "grant",
        ),
        (OSError("When reading 'a': AWS Error ACCESS_DENIED during GetObject operation: "), "KMS key"),
        (OSError("AWS Error NO_SUCH_BUCKET during HeadObject operation: gone"), "bucket does not exist"),
        (
            RuntimeError(
                "An error occurred while calling o59.sql.\n: software.amazon.awssdk.services.s3.model."
                "NoSuchBucketException: The specified bucket does not exist (Service: S3)\n\tat a.b(c:1)"
            ),
            "bucket does not exist",
        ),
        (
            RuntimeError(
                "An error occurred while calling o59.sql.\n: org.apache.iceberg.ValidationException: "
                "Cannot derive default warehouse location, warehouse path must not be null or empty\n\tat a"
            ),
            "has no warehouse",
        ),
        (
            RuntimeError(
                "SdkClientException: Unable to load credentials from any of the providers in the chain"
            ),
            "no AWS credentials",
        ),
    ],
)
def test_the_remedy_and_what_was_said(error: Exception, remedy: str) -> None:
    with pytest.raises(LakeError, match=f"^catalog lake: .*{remedy}") as caught, in_words("catalog lake"):
        raise error
    message = str(caught.value)
    assert "(it said: " in message
    assert "\n" not in message
    assert "\tat" not in message


def test_what_is_unknown_or_already_in_words_passes() -> None:
    for error in (ValueError("something else"), RunError("there are no AWS credentials, said nicely")):
        with pytest.raises(type(error)) as caught, in_words("catalog lake"):
            raise error
        assert caught.value is error
    assert explained(PermissionError(13, "Permission denied")) is None


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path) -> pytest.MonkeyPatch:
    """Take credentials, region and profile away, and name a catalog service."""
    for name in (
        "ACCESS_KEY_ID",
        "SECRET_ACCESS_KEY",
        "SESSION_TOKEN",
        "REGION",
        "DEFAULT_REGION",
        "PROFILE",
    ):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    for name in ("CONFIG_FILE", "SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(f"AWS_{name}", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("WHATIF_CATALOG_PROPERTIES", "type=glue,glue.endpoint=http://127.0.0.1:9")
    return monkeypatch


@pytest.mark.parametrize(
    ("region", "remedy"), [("", "no AWS region is set"), ("eu-west-1", "there are no AWS credentials")]
)
def test_a_command_says_so_before_a_jvm_starts(
    nobody: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], region: str, remedy: str
) -> None:
    nobody.setenv("AWS_REGION", region)
    if not region:
        nobody.delenv("AWS_REGION")
    assert main(["bars"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"error: catalog lake: {remedy}")
    assert "Traceback" not in shown
