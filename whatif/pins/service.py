"""Errors of a catalog service, an object store or a disk, explained with a remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from whatif.errors import LakeError, WhatIfError

DAMAGED = (
    "a file of the lake is missing or damaged: 'whatif doctor' names it and the snapshot that still works, "
    "and goes back to that one with --repair"
)

_REMEDIES = (
    (
        r"java\.nio\.file\.AccessDeniedException|\(Permission denied\)",
        "this user may not write there: let the owner of the folder give the right (chmod u+rwX), or use "
        "another WHATIF_HOME",
    ),
    (
        r"Unable to locate credentials|Unable to load credentials|Partial credentials|NO_CREDENTIALS",
        "there are no AWS credentials: sign in ('aws sso login', 'aws configure'), set AWS_PROFILE or "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role is attached",
    ),
    (
        r"ExpiredToken|EXPIRED_TOKEN|security token included in the request is expired|Token has expired",
        "the AWS credentials have expired: sign in again, then run the same command; what is stored stays",
    ),
    (
        r"UnrecognizedClient|InvalidClientTokenId|InvalidAccessKeyId|INVALID_CLIENT_TOKEN_ID|"
        r"INVALID_ACCESS_KEY_ID|SignatureDoesNotMatch|SIGNATURE_DOES_NOT_MATCH",
        "AWS does not know these credentials: look at AWS_PROFILE, AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY, and at AWS_SESSION_TOKEN for temporary ones",
    ),
    (
        r"AccessDenied|ACCESS_DENIED|Access Denied|not authorized to perform",
        "the role or user in use may not do this: let whoever runs the account grant it on the catalog's "
        "tables, the warehouse's bucket and its KMS key",
    ),
    (
        r"NoSuchBucket|NO_SUCH_BUCKET|specified bucket does not exist",
        "the bucket does not exist: make it, or correct its name; the warehouse's is in "
        "spark.sql.catalog.<catalog>.warehouse (BUCKET in conf/spark is to be filled in)",
    ),
    (
        r"Cannot derive default warehouse location|No default path is set",
        "the catalog has no warehouse: set spark.sql.catalog.<catalog>.warehouse to an s3:// folder, or give "
        "the Glue database a location",
    ),
    (
        r"You must specify a region|Unable to load region",
        "no AWS region is set: set AWS_REGION, or glue.region in WHATIF_CATALOG_PROPERTIES",
    ),
    (
        r"The config profile .* could not be found",
        "that AWS profile does not exist: set AWS_PROFILE to one that 'aws configure list-profiles' prints",
    ),
    (
        r"Could not connect to the endpoint|Unable to execute HTTP request|ConnectTimeout|NETWORK_CONNECTION",
        "the service does not answer: look at region and network (a VPC needs endpoints for Glue and S3), "
        "and at the endpoints in WHATIF_CATALOG_PROPERTIES",
    ),
    (
        r"No space left on device|Disk quota exceeded|File too large",
        "the disk is full (the lake's, or that of Spark's temporary folder, spark.local.dir): nothing of "
        "what was being written is in its table, which stays at its last snapshot; make room, and run the "
        "same command again",
    ),
    (
        r"Read-only file system",
        "the file system is read-only: mount it for writing, or use another WHATIF_HOME",
    ),
    (
        r"Invalid (update|snapshot) timestamp|before last snapshot timestamp|"
        r"Expected sorted (snapshot|metadata) log entries",
        "the table was last written by a clock that was ahead, and takes no commit before that time: run "
        "'whatif doctor --repair', which sets such times to now",
    ),
    (
        r"Metadata file for version \d+ is missing|ChecksumException|could not verify page integrity|"
        r"is not a Parquet file|Cannot parse (json )?metadata|Not an Avro data file|"
        r"NotFoundException: Failed to open input stream|NotFoundException: File does not exist",
        DAMAGED,
    ),
)

_MAX_LENGTH = 300


def explained(error: BaseException) -> str | None:
    """Return what an error of boto3, PyArrow, PyIceberg or Spark means for the user; None if unknown."""
    text = str(error)
    for pattern, remedy in _REMEDIES:
        found = re.search(pattern, text)
        if found:
            begin = text.rfind("\n", 0, found.start()) + 1
            said = text[begin:].partition("\n")[0].strip(" :")[:_MAX_LENGTH]
            return f"{remedy} (it said: {said})"
    return None


@contextmanager
def in_words(where: str) -> Iterator[None]:
    """Turn what a catalog service refuses inside the block into an error that says what to do.

    Parameters
    ----------
    where : str
        What the message begins with, such as "catalog lake".

    Raises
    ------
    LakeError
        For everything that is known; whatever else was raised passes.
    """
    try:
        yield
    except WhatIfError:
        raise
    except Exception as error:
        told = explained(error)
        if told is None:
            raise
        raise LakeError(f"{where}: {told}") from error
