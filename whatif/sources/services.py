"""Services of AWS that bars come from: clients, and what goes wrong in words."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from whatif.errors import SourceError
from whatif.masking import masked
from whatif.pins import catalog_properties, explained

ATTEMPTS = 8
"""How often a request is sent before its failure is told: boto3 waits longer each time, by chance."""

_THROTTLED = (
    "LimitExceededException", "ProvisionedThroughputExceededException", "RequestLimitExceeded", "SlowDown",
    "Throttling", "ThrottlingException", "TooManyRequestsException",
)  # fmt: skip


def pause(attempt: int, first: float, longest: float, rng: np.random.Generator) -> None:
    """Wait before another attempt: twice as long each time, the second half of it by chance.

    Parameters
    ----------
    attempt : int
        How many there were before the last one.
    first, longest : float
        Seconds after the first attempt, at most, and after any.
    rng : Generator
        Draws the part that is by chance.
    """
    time.sleep(min(first * 2.0**attempt, longest) * rng.uniform(0.5, 1.0))


def client(service: str, region: str | None = None) -> Any:
    """Return boto3's client of a service; requests that are throttled, or fail on the way, are sent again.

    S3 is looked for where the catalog of the lake looks for it.

    Raises
    ------
    SourceError
        If no region or no such profile is known.
    """
    import boto3
    from botocore.config import Config

    given = catalog_properties()
    endpoint = given.get("s3.endpoint") if service == "s3" else None
    region = region or (given.get("s3.region") or given.get("client.region") if service == "s3" else None)
    config = Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS}, connect_timeout=10, read_timeout=60
    )
    with spoken(f"AWS {service}"):
        session = boto3.session.Session(region_name=region)
        return session.client(service, config=config, endpoint_url=endpoint)


def object_version(path: str) -> str | None:
    """Return the ETag of an object of S3, which another content has another of; None of other files.

    Raises
    ------
    SourceError
        If it is gone, or may not be read.
    """
    bucket, _, key = path.removeprefix("s3://").partition("::")[0].partition("/")
    if not path.startswith("s3://") or not key:
        return None
    gone = "it is not there any more: name the files that are"
    with spoken(path, {"404": gone, "NoSuchKey": gone, "403": "this role may not read it (s3:GetObject)"}):
        return str(_s3().head_object(Bucket=bucket, Key=key)["ETag"])


@cache
def _s3_of(process: int, environment: tuple[str | None, ...]) -> Any:
    return client("s3")


def _s3() -> Any:
    """Return this process's client of S3: one takes longer to make than to ask."""
    names = (
        "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION",
        "AWS_ACCESS_KEY_ID", "WHATIF_CATALOG_PROPERTIES",
    )  # fmt: skip
    return _s3_of(os.getpid(), tuple(os.environ.get(name) for name in names))


def secret_text(name: str, field: str, region: str | None = None) -> str:
    """Return what a secret of Secrets Manager holds: the text, or a field of its object of JSON.

    Raises
    ------
    SourceError
        If there is none, it may not be read, or has no such field.
    """
    remedies = {
        "ResourceNotFoundException": "there is no such secret: correct --secret, or --region",
        "AccessDeniedException": "this role may not read it: it needs secretsmanager:GetSecretValue on it "
        "(docs/services.md)",
    }
    with spoken(f"secret {name}", remedies), _no_debug():
        found = client("secretsmanager", region).get_secret_value(SecretId=name)
    text = str(found.get("SecretString") or "")
    try:
        held = json.loads(text)
    except ValueError:
        return text
    if not isinstance(held, dict):
        return text
    if not isinstance(held.get(field), str):
        raise SourceError(f"secret {name} is an object of JSON without {field}: name the key that")
    return str(held[field])


@contextmanager
def _no_debug() -> Iterator[None]:
    """Log nothing of level DEBUG meanwhile: botocore logs answers there, the secret among them."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.DEBUG))
    try:
        yield
    finally:
        logging.disable(before)


def code_of(error: BaseException) -> str:
    """Return the code that a service refused a request with; "" of other errors."""
    answer = getattr(error, "response", None)
    return str(answer.get("Error", {}).get("Code", "")) if isinstance(answer, dict) else ""


@contextmanager
def spoken(what: str, remedies: dict[str, str] | None = None) -> Iterator[None]:
    """Turn what boto3 raises inside the block into words.

    Parameters
    ----------
    what : str
        What was asked for, which the message begins with.
    remedies : dict of str to str, optional
        Code of a refusal → what it means, and what to do.

    Raises
    ------
    SourceError
        For errors of boto3 and botocore; whatever else was raised passes.
    """
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("boto3", "botocore"):
            raise
        code = code_of(error)
        said = (remedies or {}).get(code)
        if said is None and code in _THROTTLED:
            said = (
                f"the service throttles: it refused {ATTEMPTS} times in a row ({code}). Run the same command "
                "later, or raise the limit"
            )
        said = said or explained(error) or f"{type(error).__name__}: {error}"
        raise SourceError(f"{what}: {masked(said)}") from None
