"""What AWS refuses is said with what to do."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)

from whatif.errors import SubmitError
from whatif.submit.explain import in_plain_words

from .conftest import ROLE, refusal

PASS_ROLE = (
    "User: arn:aws:iam::111122223333:user/q is not authorized to perform: iam:PassRole on resource: "
    f"{ROLE} because no identity-based policy allows the iam:PassRole action"
)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (NoCredentialsError(), "no AWS credentials .*aws sso login.*AWS_PROFILE"),
        (PartialCredentialsError(provider="env", cred_var="k"), "no AWS credentials"),
        (ProfileNotFound(profile="prod"), r"no AWS credentials .*\(prod\)"),
        (refusal("ExpiredTokenException"), "have expired .*log in again"),
        (refusal("ExpiredToken"), "have expired"),
        (TokenRetrievalError(provider="sso", error_msg="x"), "have expired .*log in again"),
        (refusal("UnrecognizedClientException"), "does not accept the credentials"),
        (refusal("InvalidAccessKeyId"), "does not accept the credentials"),
        (NoRegionError(), "no AWS region: set region in the settings, or AWS_REGION"),
        (refusal("NoSuchBucket"), "there is no bucket quant: set bucket in the settings"),
        (refusal("404"), "there is no bucket quant"),
        (refusal("403"), "AWS denies access to quant"),
        (refusal("AccessDeniedException", PASS_ROLE), f"may not pass role {ROLE} .*iam:PassRole on exactly"),
        (
            refusal("AccessDeniedException", "glue:StartJobRun"),
            "denies access.*glue:StartJobRun.*ask for that",
        ),
        (refusal("ConcurrentRunsExceededException"), "quota is used up"),
        (refusal("ResourceNumberLimitExceededException"), "quota is used up"),
        (refusal("ThrottlingException"), "asks to slow down"),
        (refusal("ResourceNotFoundException"), "there is no application 00f1 in this account and region"),
        (refusal("EntityNotFoundException"), "there is no application 00f1"),
        (EndpointConnectionError(endpoint_url="https://x"), "no answer from AWS .*region eu-west-9"),
        (refusal("ValidationException", "bad ARN"), "ValidationException: .*bad ARN"),
    ],
)
def test_each_refusal_says_what_to_do(error: Exception, says: str) -> None:
    with (
        pytest.raises(SubmitError, match=f"^cannot start it: .*{says}"),
        in_plain_words(
            "start it", bucket="quant", role=ROLE, resource="application 00f1", region="eu-west-9"
        ),
    ):
        raise error


def test_an_error_of_our_own_passes_through() -> None:
    with pytest.raises(KeyError), in_plain_words("start it"):
        raise KeyError("mine")
