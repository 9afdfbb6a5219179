"""Records of what this machine has submitted: one small JSON file each, in the lake's home."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from whatif.errors import SubmitError
from whatif.paths import written_whole


@dataclass(frozen=True)
class Record:
    """One submission.

    Attributes
    ----------
    identity : str
        Digest of everything that determines its results: its id.
    study, study_text : str
        Name and text of the study.
    target : str
        As given on the command line.
    settings : str
        File of settings that it was submitted with.
    run : str
        Id of the newest run.
    remote : str
        S3 folder of what the job writes for people; "" if it writes to `output`.
    output : str
        Folder of the report on this machine.
    created : str
        When the newest run was started, ISO 8601.
    state : str
        The last state that was seen.
    """

    identity: str
    study: str
    study_text: str
    target: str
    settings: str
    run: str
    remote: str
    output: str
    created: str
    state: str = ""


class Records:
    """The records of a lake's home."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "submissions"

    def save(self, record: Record) -> None:
        """Write a record, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with written_whole(self.folder / f"{record.identity}.json") as part:
            part.write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")

    def seen(self, record: Record, state: str) -> Record:
        """Note the last state of a record, and return the record that says so."""
        updated = replace(record, state=state)
        if updated != record:
            self.save(updated)
        return updated

    def all(self) -> list[Record]:
        """Return all records, newest first."""
        found = []
        for path in self.folder.glob("*.json"):
            if path.name.endswith(".process.json"):
                continue
            try:
                found.append(Record(**json.loads(path.read_text(encoding="utf-8"))))
            except (ValueError, TypeError) as error:
                raise SubmitError(f"{path} is no record of a submission ({error}): remove it") from error
        return sorted(found, key=lambda record: record.created, reverse=True)

    def matching(self, name: str) -> list[Record]:
        """Return the records of a study, or whose id or run begins with `name`, newest first.

        Raises
        ------
        SubmitError
            If there is none.
        """
        records = self.all()
        found = [record for record in records if record.study == name]
        found = found or [r for r in records if r.identity.startswith(name) or r.run == name]
        if not found:
            known = ", ".join(f"{record.identity} ({record.study})" for record in records[:5])
            raise SubmitError(
                f"nothing was submitted as {name!r} from {self.folder.parent}: "
                + (f"known are {known}" if known else "'whatif submit' something first")
            )
        return found
