"""Messages for what AWS refuses, with a remedy each, and retries where waiting helps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from whatif.errors import SubmitError

T = TypeVar("T")
Sleep = Callable[[float], None]

TRIES = 6
FIRST_WAIT_SECONDS = 2.0

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_REFUSED_KEY = {
    "InvalidAccessKeyId", "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException",
    "InvalidSignatureException", "IncompleteSignature", "AuthFailure",
}  # fmt: skip
_DENIED = {"AccessDenied", "AccessDeniedException", "403", "Forbidden", "UnauthorizedOperation"}
_THROTTLED = {
    "Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown",
}  # fmt: skip
_QUOTA = {
    "ServiceQuotaExceededException", "ConcurrentRunsExceededException",
    "ResourceNumberLimitExceededException", "LimitExceededException",
}  # fmt: skip
_PASSING = {
    "InternalServerException",
    "InternalServiceException",
    "InternalError",
    "ServiceUnavailable",
    "503",
}
_MISSING = {"ResourceNotFoundException", "EntityNotFoundException"}
_NO_CREDENTIALS = {
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound",
    "NoAuthTokenError",
}  # fmt: skip
_EXPIRED_LOGIN = {
    "SSOTokenLoadError", "UnauthorizedSSOTokenError", "TokenRetrievalError", "SSOError",
    "LoginRefreshTokenExpired",
}  # fmt: skip
_UNREACHED = {"EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError"}
_CHECK = "'aws sts get-caller-identity' shows who you are"


def code_of(error: BaseException) -> str:
    """Return AWS' code of an error, or the name of its class."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, Mapping):
        return str(response.get("Error", {}).get("Code", ""))
    return type(error).__name__


def is_transient(error: BaseException) -> bool:
    """Return whether the same request may well succeed a little later."""
    return code_of(error) in _THROTTLED | _QUOTA | _PASSING | _UNREACHED


def patiently(call: Callable[[], T], sleep: Sleep = time.sleep, tries: int = TRIES) -> T:
    """Return what `call` returns; while AWS is throttling or full, try again, waiting longer each time."""
    for attempt in range(tries - 1):
        try:
            return call()
        except Exception as error:
            if not is_transient(error):
                raise
            sleep(FIRST_WAIT_SECONDS * 2**attempt)
    return call()


@contextmanager
def in_plain_words(doing: str, **about: str | None) -> Iterator[None]:
    """Turn what boto3 raises into a `SubmitError` that says what to do.

    Parameters
    ----------
    doing : str
        What was tried, as in "start the job".
    **about : str
        What it concerned: `bucket`, `role`, `resource` (an application or a job), `region`.
    """
    try:
        yield
    except Exception as error:
        if not _is_of_aws(error):
            raise
        raise SubmitError(f"cannot {doing}: {_remedy(error, about)}") from error


def _is_of_aws(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] in ("botocore", "boto3") or hasattr(error, "response")


def _remedy(error: Exception, about: Mapping[str, str | None]) -> str:
    code, text = code_of(error), str(error)
    if code in _NO_CREDENTIALS:
        return (
            f"no AWS credentials ({text}): log in (aws sso login), or set AWS_PROFILE, or AWS_ACCESS_KEY_ID "
            f"and AWS_SECRET_ACCESS_KEY; {_CHECK}"
        )
    if code in _EXPIRED | _EXPIRED_LOGIN:
        return f"the AWS credentials have expired ({code}): log in again (aws sso login); {_CHECK}"
    if code in _REFUSED_KEY:
        return f"AWS does not accept the credentials ({code}): check AWS_PROFILE or the keys; {_CHECK}"
    if code == "NoRegionError":
        return "no AWS region: set region in the settings, or AWS_REGION"
    if code in ("NoSuchBucket", "404") and about.get("bucket"):
        return (
            f"there is no bucket {about['bucket']}: set bucket in the settings to the one that "
            "infra/storage.yaml made (output ArtifactBucket), or deploy that stack"
        )
    if "iam:PassRole" in text:
        return (
            f"you may not pass role {about.get('role') or 'of the job'} to the service: your role needs "
            "iam:PassRole on exactly that role (policy of the submitter in infra/), or name another role in "
            "the settings"
        )
    if code in _DENIED:
        where = about.get("bucket") or about.get("resource") or "it"
        return f"AWS denies access to {where} ({text}): ask for that action for the role you use; {_CHECK}"
    return _of_the_service(error, about)


def _of_the_service(error: Exception, about: Mapping[str, str | None]) -> str:
    code, text = code_of(error), str(error)
    if code in _QUOTA:
        return (
            f"a quota is used up ({text}), and stayed so for a minute: wait until other jobs are done "
            "(whatif status), ask for less with --executors, or have the quota raised (Service Quotas)"
        )
    if code in _THROTTLED:
        return f"AWS asks to slow down ({code}), also after {TRIES} tries: run the same command again later"
    if code in _UNREACHED:
        return f"no answer from AWS ({text}): check the network, and the region {about.get('region') or ''}"
    if code in _MISSING:
        return (
            f"there is no {about.get('resource') or 'such resource'} in this account and region ({text}): "
            "check the settings against the outputs of the stacks in infra/"
        )
    return f"AWS says {code}: {text}"
