"""Submission of a study: look for the same one, upload, start, follow, fetch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from whatif.errors import SubmitError
from whatif.paths import written_whole
from whatif.submit.bundle import Bundle
from whatif.submit.follow import Watch, follow
from whatif.submit.records import Record, Records
from whatif.submit.requests import Job
from whatif.submit.runner import Runner, State
from whatif.submit.settings import Prices, SubmitSettings
from whatif.submit.store import Store, split_uri
from whatif.submit.target import Target


@dataclass(frozen=True)
class Submission:
    """Everything that is to be sent, and to whom.

    Attributes
    ----------
    job : Job
        What is to be run.
    bundle : Bundle
        What it needs there.
    target : Target
        Where.
    runner : Runner
        Who runs it.
    store : Store
        Where it is uploaded.
    settings : SubmitSettings
        The account.
    archive : str
        The environment archive that has to be there; "" if none is used.
    """

    job: Job
    bundle: Bundle
    target: Target
    runner: Runner
    store: Store
    settings: SubmitSettings
    archive: str = ""

    def uploads(self) -> Mapping[str, bytes]:
        """Return addresses and contents of what is put where the job finds it: on S3, or on this machine."""
        if not self.target.remote:
            code = self.bundle.files[self.bundle.code_path]
            return {self.job.code: code} if self.job.code else {}
        return {f"{self.settings.root}/{path}": content for path, content in self.bundle.files.items()}

    def plan(self) -> dict[str, Any]:
        """Return what would be sent, as plain values; needs no account and no network."""
        uploads = [{"to": uri, "bytes": len(content)} for uri, content in self.uploads().items()]
        return {"target": str(self.target), "uploads": uploads, "request": self.runner.request(self.job)}


@dataclass(frozen=True)
class Wishes:
    """What the one who submits wants.

    Attributes
    ----------
    again : bool
        Start a run although one has succeeded.
    output : Path
        Folder of the report on this machine.
    settings_file : str
        Where the settings came from.
    """

    output: Path
    again: bool = False
    settings_file: str = ""


@dataclass(frozen=True)
class Started:
    """A run and how it came about.

    Attributes
    ----------
    record : Record
        As stored.
    found : bool
        Whether it was there already.
    state : State or None
        Its state if it was there already.
    uploaded : tuple of str
        Addresses of what was not on S3 yet, or not with these bytes.
    """

    record: Record
    found: bool
    state: State | None = None
    uploaded: tuple[str, ...] = field(default=())


def start(submission: Submission, records: Records, wishes: Wishes, now: datetime) -> Started:
    """Start the run of a submission, unless the same thing is running or has succeeded.

    Raises
    ------
    SubmitError
        If it cannot be uploaded or started; the message says what to do.
    """
    found = submission.runner.find(submission.job)
    if found.state is not None and not (wishes.again and found.state.phase.over):
        record = _record(submission, wishes, found.run, now)
        records.save(record)
        return Started(record, True, found.state)
    submission.runner.check()
    uploaded = _upload(submission)
    run = submission.runner.start(replace(submission.job, attempt=found.attempts + 1))
    record = _record(submission, wishes, run, now)
    records.save(record)
    return Started(record, False, None, uploaded)


def finish(record: Record, runner: Runner, prices: Prices, watch: Watch, records: Records) -> State:
    """Follow a run to its end, and return its last state."""
    state = follow(runner, record.run, prices, watch)
    records.seen(record, state.name)
    return state


def fetch(record: Record, store: Store) -> list[Path]:
    """Fetch what a finished job wrote for people, and return the files.

    Raises
    ------
    SubmitError
        If there is nothing.
    """
    folder = Path(record.output)
    if not record.remote:
        found = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    else:
        found = store.fetch_folder(record.remote, folder)
    if not found:
        raise SubmitError(
            f"run {record.run} is over and left nothing in {record.remote or folder}: "
            "'whatif submit … --again' runs it once more; what is stored in the lake stays"
        )
    return found


def _upload(submission: Submission) -> tuple[str, ...]:
    uploads = submission.uploads()
    if not submission.target.remote:
        return tuple(path for path, content in uploads.items() if _written(Path(path), content))
    submission.store.check_bucket(str(submission.settings.bucket))
    if submission.archive and not submission.store.has(submission.archive):
        bucket, _ = split_uri(submission.archive)
        raise SubmitError(
            f"the environment archive {submission.archive} is not there, or {bucket} may not be read: build "
            "it by 'make env-archive' and copy it there ('aws s3 cp'), or set archive in the settings"
        )
    return tuple(uri for uri, content in uploads.items() if submission.store.put_if_absent(uri, content))


def _written(path: Path, content: bytes) -> bool:
    if path.is_file() and not path.is_symlink() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        part.write_bytes(content)
    return True


def _record(submission: Submission, wishes: Wishes, run: str, now: datetime) -> Record:
    job, remote = submission.job, submission.target.remote
    return Record(
        identity=job.identity,
        study=job.study,
        study_text=_study_text(submission.bundle),
        target=str(submission.target),
        settings=wishes.settings_file,
        run=run,
        remote=job.output if remote else "",
        output=str(wishes.output),
        created=now.isoformat(),
    )


def _study_text(bundle: Bundle) -> str:
    return bundle.files[bundle.study_path].decode()
