"""Clients of AWS, made when they are first needed."""

from __future__ import annotations

from typing import Any

from whatif.submit.explain import in_plain_words


def client(service: str, region: str | None = None) -> Any:
    """Return boto3's client of a service; requests that are throttled are sent again by boto3.

    Raises
    ------
    SubmitError
        If no region is known, or the profile that is named does not exist.
    """
    import boto3
    from botocore.config import Config

    with in_plain_words(f"use AWS {service}"):
        config = Config(retries={"mode": "standard", "max_attempts": 5})
        return boto3.session.Session(region_name=region).client(service, config=config)
