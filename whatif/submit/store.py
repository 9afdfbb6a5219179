"""Files on S3: put where other bytes or none are there, fetched with all that stands beside them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from whatif.errors import SubmitError
from whatif.paths import inside
from whatif.submit.explain import code_of, in_plain_words

_NOT_THERE = ("404", "NoSuchKey", "NotFound")
_NO_LOOK = ("403", "AccessDenied", "Forbidden")


def is_s3(address: str) -> bool:
    """Return whether `address` is on S3."""
    return address.startswith(("s3://", "s3a://"))


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of an S3 address.

    Raises
    ------
    SubmitError
        If it is none.
    """
    bucket, _, key = uri.partition("://")[2].partition("/")
    if not is_s3(uri) or not bucket:
        raise SubmitError(f"{uri} is no S3 address: write s3://bucket/key")
    return bucket, key


@dataclass
class Store:
    """S3 through boto3, whose client is made when it is first needed."""

    make_client: Callable[[], Any]
    _client: Any = field(default=None, repr=False)

    @property
    def client(self) -> Any:
        """The client of S3."""
        if self._client is None:
            self._client = self.make_client()
        return self._client

    def has(self, uri: str) -> bool:
        """Return whether there is an object; False as well where one may not look.

        Raises
        ------
        SubmitError
            If there is no such bucket.
        """
        return self._head(uri) is not None

    def holds(self, uri: str, checksum: str) -> bool:
        """Return whether an object's bytes have this SHA-256, in base64, by S3's own reckoning.

        An object that was put without one, as older versions of whatif did, does not count.

        Raises
        ------
        SubmitError
            If there is no such bucket.
        """
        return (self._head(uri) or {}).get("ChecksumSHA256") == checksum

    def _head(self, uri: str) -> Mapping[str, Any] | None:
        bucket, key = split_uri(uri)
        with in_plain_words(f"look for {uri}", bucket=bucket):
            try:
                found: Mapping[str, Any] = self.client.head_object(
                    Bucket=bucket, Key=key, ChecksumMode="ENABLED"
                )
            except Exception as error:
                if code_of(error) not in (*_NOT_THERE, *_NO_LOOK):
                    raise
                return None
        return found

    def check_bucket(self, bucket: str) -> None:
        """Refuse a bucket that is not there or may not be used.

        Raises
        ------
        SubmitError
            If it is so.
        """
        with in_plain_words(f"use bucket {bucket}", bucket=bucket):
            self.client.head_bucket(Bucket=bucket)

    def put_if_absent(self, uri: str, content: bytes) -> bool:
        """Put an object where these bytes are not there yet, and return whether it was put.

        What stands under the name is compared by its checksum: whoever put something else there before
        cannot have it run.

        Raises
        ------
        SubmitError
            If that is not possible.
        """
        checksum = base64.b64encode(hashlib.sha256(content).digest()).decode("ascii")
        if self.holds(uri, checksum):
            return False
        bucket, key = split_uri(uri)
        with in_plain_words(f"upload {uri}", bucket=bucket):
            self.client.put_object(
                Bucket=bucket, Key=key, Body=content, ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum
            )
        return True

    def put_folder(self, folder: Path, uri: str) -> list[str]:
        """Upload all files of a folder, and return their addresses.

        Raises
        ------
        SubmitError
            If the bucket cannot be written to, or a link leads out of the folder.
        """
        bucket, prefix = split_uri(uri)
        put = []
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder).as_posix()
            inside(folder, name, "file to upload,", SubmitError)
            key = f"{prefix.rstrip('/')}/{name}".lstrip("/")
            with in_plain_words(f"upload s3://{bucket}/{key}", bucket=bucket):
                self.client.upload_file(str(path), bucket, key)
            put.append(f"s3://{bucket}/{key}")
        return put

    def fetch(self, uri: str, target: Path) -> bool:
        """Fetch one object into a file, and return whether there is one.

        Raises
        ------
        SubmitError
            If it cannot be read.
        """
        bucket, key = split_uri(uri)
        part = _part_of(target)
        with in_plain_words(f"fetch {uri}", bucket=bucket):
            try:
                self.client.download_file(bucket, key, str(part))
            except Exception as error:
                if code_of(error) not in _NOT_THERE:
                    raise
                return False
        part.replace(target)
        return True

    def fetch_folder(self, uri: str, folder: Path) -> list[Path]:
        """Fetch everything below an address into a folder, and return the files.

        Each one is there whole or not at all.

        Raises
        ------
        SubmitError
            If the bucket cannot be read, or a key would leave the folder.
        """
        bucket, prefix = split_uri(uri)
        prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        fetched = []
        with in_plain_words(f"fetch {uri}", bucket=bucket):
            for key in self._keys(bucket, prefix):
                target = inside(folder, key.removeprefix(prefix), f"object {key!r},", SubmitError)
                part = _part_of(target)
                self.client.download_file(bucket, key, str(part))
                fetched.append(part.replace(target))
        return fetched

    def _keys(self, bucket: str, prefix: str) -> Iterator[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            yield from (entry["Key"] for entry in page.get("Contents", []) if not entry["Key"].endswith("/"))


def _part_of(target: Path) -> Path:
    """Return where a file is written before it takes its name, which may be as long as names get."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SubmitError(
            f"{target} cannot be written ({error.strerror}): a file has a folder's name"
        ) from error
    return target.with_name(f".{hashlib.sha256(target.name.encode()).hexdigest()[:16]}.part")
