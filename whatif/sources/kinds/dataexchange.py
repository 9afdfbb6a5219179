"""AWS Data Exchange: revisions of data sets that this account is entitled to, exported to S3 as files."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np

from whatif.errors import SourceError, nearest
from whatif.sources.base import FetchedFiles
from whatif.sources.services import client, pause, spoken

_DONE, _FAILED = ("COMPLETED",), ("ERROR", "CANCELLED", "TIMED_OUT")
"""States of a job in which nothing more happens."""

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 20.0
"""Seconds between looks at a job, which double."""

_TOLD = 20
_SNAPSHOT = "S3_SNAPSHOT"
"""Type of the assets that are files."""

_PATTERN = "${DataSet.Id}/${Revision.Id}/${Asset.Name}"
"""Where the service puts an asset, below the prefix."""

_REMEDIES = {
    "ResourceNotFoundException": "there is no such data set or revision, or this account is not entitled to "
    "it (any more): 'whatif ingest dataexchange --explain' lists what it is entitled to; correct --data-set, "
    "--revision or --region, or subscribe to the product",
    "AccessDeniedException": "this role may not ask it: it needs dataexchange:ListDataSets, "
    "ListDataSetRevisions, ListRevisionAssets, CreateJob, StartJob and GetJob, and s3:PutObject where it "
    "exports to (docs/services.md)",
    "ServiceLimitExceededException": "the account's limit of jobs at once is reached: wait for the others",
}


class DataExchange(FetchedFiles):
    """Revisions of a data set, each exported below an address of S3 once, and read from there as files.

    Objects of a revision that are there in full are not exported again. A later revision stands where two
    have other values for a bar. How files are read is said as of all files.

    Attributes
    ----------
    data_set : str
        Its id; empty lists those that the account is entitled to.
    to : str
        Where it is exported to, s3://bucket/prefix.
    revision : tuple of str
        Ids of revisions; all that are final and not revoked if left out.
    since : str, optional
        Revisions that were made since this day or instant, UTC.
    kms_key : str, optional
        ARN of the key that objects are encrypted with; S3's own if left out.
    wait : float
        Seconds that an export may take.
    region : str, optional
        Where the data set is; that of the environment if left out.
    """

    data_set: str = ""
    to: str = ""
    revision: tuple[str, ...] = ()
    since: str | None = None
    kms_key: str | None = None
    wait: float = 3600.0
    region: str | None = None

    @cached_property
    def _client(self) -> Any:
        return client("dataexchange", self.region)

    @cached_property
    def _s3(self) -> Any:
        return client("s3")

    def listed(self) -> Iterator[str]:
        """Yield the data sets that the account is entitled to, or the revisions of the one that is named."""
        with self._spoken():
            if not self.data_set:
                for one in self._pages("list_data_sets", "DataSets", Origin="ENTITLED"):
                    yield f"{one['Id']}  {one['Name']}: {one.get('Description', '')}"
                return
            for one in self._every_revision():
                yield f"{one['Id']}  {_day(one)}  {_state(one)}  {one.get('Comment', '')}".rstrip()

    def fetch(self) -> tuple[Sequence[str], Sequence[str]]:
        """Export what is not there yet, and return the folders of revisions, oldest first, and notes."""
        if not self.data_set:
            known = list(self.listed())
            more = [f"… and {len(known) - _TOLD:,} more"] if len(known) > _TOLD else []
            entitled = "\n".join([*known[:_TOLD], *more]) or "none: subscribe to a product first"
            raise SourceError(f"no data set is named: give --data-set ID. Entitled to:\n{entitled}")
        bucket, prefix = self._target()
        if not math.isfinite(self.wait) or self.wait <= 0:
            raise SourceError(f"option wait={self.wait} is no time: give seconds above 0")
        folders, notes = [], []
        with self._spoken():
            every = self._every_revision()
            for one in self._wanted(every):
                folder = f"{prefix}{self.data_set}/{one['Id']}/"
                assets = self._assets(one)
                if self._missing(bucket, folder, assets):
                    self._export(one, bucket, prefix)
                    self._check(one, bucket, folder, assets)
                    size = sum(size for size in assets.values()) / 1e6
                    notes.append(f"revision {one['Id']}: {len(assets):,} files exported, {size:,.1f} MB")
                else:
                    notes.append(f"revision {one['Id']}: {len(assets):,} files there already")
                folders.append(f"s3://{bucket}/{folder}")
        revoked = [one for one in every if one.get("Revoked")]
        notes += [
            f"revision {one['Id']} is left out, {_state(one)}: what it brought, whatif forget takes back"
            for one in revoked
        ]
        return folders, notes

    def _spoken(self) -> Any:
        return spoken(f"data set {self.data_set or '(none named)'}", _REMEDIES)

    def _pages(self, operation: str, name: str, **asked: str) -> Iterator[Mapping[str, Any]]:
        for page in self._client.get_paginator(operation).paginate(**asked):
            yield from page[name]

    def _every_revision(self) -> list[Mapping[str, Any]]:
        """Return all revisions, oldest first."""
        found = self._pages("list_data_set_revisions", "Revisions", DataSetId=self.data_set)
        return sorted(found, key=lambda one: (one["CreatedAt"], one["Id"]))

    def _wanted(self, every: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        since = self._since()
        known = {one["Id"]: one for one in every}
        for name in self.revision:
            if name not in known:
                raise SourceError(
                    f"data set {self.data_set} has no revision {name!r}: {nearest(name, known)}"
                )
            if known[name].get("Revoked"):
                why = known[name].get("RevocationComment") or "no reason is given"
                raise SourceError(
                    f"revision {name} of data set {self.data_set} was revoked by its provider ({why}): it "
                    "cannot be exported any more; leave it out, and take back what it brought: whatif forget"
                )
            if not known[name].get("Finalized"):
                raise SourceError(
                    f"revision {name} of data set {self.data_set} is not final yet: wait for it"
                )
        wanted = [one for one in every if one["Id"] in self.revision] if self.revision else every
        wanted = [
            one
            for one in wanted
            if one.get("Finalized")
            and not one.get("Revoked")
            and (since is None or one["CreatedAt"] >= since)
        ]
        if not wanted:
            raise SourceError(
                f"data set {self.data_set} has no revision to export of its {len(every):,}: those that are "
                f"final, not revoked{'' if since is None else f' and made since {self.since}'} are; "
                f"'whatif ingest dataexchange --data-set {self.data_set} --explain' lists all"
            )
        return wanted

    def _since(self) -> datetime | None:
        if self.since is None:
            return None
        try:
            since = datetime.fromisoformat(self.since)
        except ValueError:
            raise SourceError(
                f"option since={self.since} is no day and no instant: write 2024-01-15 or 2024-01-15T12:00Z"
            ) from None
        return since.replace(tzinfo=UTC) if since.tzinfo is None else since

    def _target(self) -> tuple[str, str]:
        bucket, _, prefix = self.to.removeprefix("s3://").partition("/")
        if not self.to.startswith("s3://") or not bucket:
            raise SourceError(
                f"option to={self.to} is no address of S3: revisions are exported there first; give --to "
                "s3://BUCKET/PREFIX, of a bucket of yours"
            )
        return bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def _assets(self, revision: Mapping[str, Any]) -> dict[str, float]:
        """Return the sizes in bytes of a revision's files by name."""
        found: dict[str, float] = {}
        asked = {"DataSetId": self.data_set, "RevisionId": revision["Id"]}
        for one in self._pages("list_revision_assets", "Assets", **asked):
            if one["AssetType"] != _SNAPSHOT:
                raise SourceError(
                    f"revision {revision['Id']} holds {one['Name']}, of type {one['AssetType']}: only files "
                    f"({_SNAPSHOT}) can be exported to S3"
                )
            found[one["Name"]] = one["AssetDetails"]["S3SnapshotAsset"]["Size"]
        if not found:
            raise SourceError(f"revision {revision['Id']} of data set {self.data_set} holds no file")
        return found

    def _missing(self, bucket: str, folder: str, assets: Mapping[str, float]) -> list[str]:
        """Return the files of a revision that are not below a folder of S3 with their size."""
        there: dict[str, float] = {}
        with spoken(f"s3://{bucket}", {"NoSuchBucket": "there is no such bucket: correct --to"}):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder):
                there |= {one["Key"].removeprefix(folder): one["Size"] for one in page.get("Contents", ())}
        return [name for name, size in assets.items() if there.get(name) != size]

    def _export(self, revision: Mapping[str, Any], bucket: str, prefix: str) -> None:
        """Let the service export a revision, and wait until it has."""
        to = {"RevisionId": revision["Id"], "Bucket": bucket, "KeyPattern": f"{prefix}{_PATTERN}"}
        details: dict[str, Any] = {"DataSetId": self.data_set, "RevisionDestinations": [to]}
        if self.kms_key is not None:
            details["Encryption"] = {"Type": "aws:kms", "KmsKeyArn": self.kms_key}
        job = self._client.create_job(
            Type="EXPORT_REVISIONS_TO_S3", Details={"ExportRevisionsToS3": details}
        )["Id"]
        self._client.start_job(JobId=job)
        rng, until = np.random.default_rng([ord(letter) for letter in job]), time.monotonic() + self.wait
        attempt = 0
        while True:
            told = self._client.get_job(JobId=job)
            if told["State"] in _DONE:
                return
            if told["State"] in _FAILED:
                raise SourceError(_why(revision, job, told))
            if time.monotonic() > until:
                raise SourceError(
                    f"revision {revision['Id']}: its export is {told['State'].lower()} after {self.wait:g} s "
                    f"(job {job}): run the same command again later, which exports nothing that is there by "
                    "then, or give a longer --wait"
                )
            pause(attempt, _FIRST_PAUSE, _LONGEST_PAUSE, rng)
            attempt += 1

    def _check(
        self, revision: Mapping[str, Any], bucket: str, folder: str, assets: Mapping[str, float]
    ) -> None:
        missing = self._missing(bucket, folder, assets)
        if missing:
            raise SourceError(
                f"revision {revision['Id']}: of {len(assets):,} exported files {len(missing):,} are not in "
                f"s3://{bucket}/{folder} as the revision lists them, first {missing[0]}: the revision was "
                "changed, or revoked meanwhile, or somebody else writes there; run the same command again"
            )


def _why(revision: Mapping[str, Any], job: str, told: Mapping[str, Any]) -> str:
    """Return why an export came to nothing, and what to do."""
    errors = told.get("Errors") or []
    said = "; ".join(f"{one['Code']}: {one['Message']}" for one in errors[:3]) or "no reason is given"
    remedy = "run the same command again"
    codes = {one["Code"] for one in errors}
    if "ACCESS_DENIED_EXCEPTION" in codes:
        remedy = "who runs this needs s3:PutObject on the bucket (and the use of its key, --kms-key)"
    elif codes & {"RESOURCE_NOT_FOUND_EXCEPTION", "VALIDATION_EXCEPTION"}:
        remedy = "the revision was revoked, or the bucket is not there: --explain lists the revisions"
    return f"revision {revision['Id']}: its export ended as {told['State']} (job {job}), {said}: {remedy}"


def _day(revision: Mapping[str, Any]) -> str:
    return f"{revision['CreatedAt'].astimezone(UTC):%Y-%m-%d %H:%M}Z"


def _state(revision: Mapping[str, Any]) -> str:
    if revision.get("Revoked"):
        return f"revoked: {revision.get('RevocationComment') or 'no reason is given'}"
    return "final" if revision.get("Finalized") else "not final"
