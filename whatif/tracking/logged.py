"""Search for a run of MLflow that holds an answer already, without MLflow.

Importing MLflow and opening its data base takes 4 s of a processor, longer than an answer of which nothing is
new. A file of SQLite is asked with the standard library, and only read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from whatif.pins import LakeLocation
from whatif.tracking.run import ANSWER_TAG, IDENTITY_TAG, KIND_TAG, PARENT_TAG, tracking_uri

_QUERY = f"""
SELECT r.run_uuid, r.artifact_uri FROM runs r
JOIN experiments e ON e.experiment_id = r.experiment_id AND e.lifecycle_stage = 'active' AND e.name = :study
JOIN tags i ON i.run_uuid = r.run_uuid AND i.key = '{IDENTITY_TAG}' AND i.value = :identity
JOIN tags a ON a.run_uuid = r.run_uuid AND a.key = '{ANSWER_TAG}' AND a.value = :answer
WHERE r.status = 'FINISHED' AND r.lifecycle_stage = 'active' AND :children <= (
    SELECT count(*) FROM runs c
    JOIN tags p ON p.run_uuid = c.run_uuid AND p.key = '{PARENT_TAG}' AND p.value = r.run_uuid
    JOIN tags k ON k.run_uuid = c.run_uuid AND k.key = '{KIND_TAG}' AND k.value = 'configuration'
    WHERE c.status <> 'RUNNING' AND c.lifecycle_stage = 'active')
"""


@dataclass(frozen=True)
class LoggedAnswer:
    """What a run holds of a study's answer once all of it is logged.

    Attributes
    ----------
    study : str
        The study's name, which names the experiment.
    identity : str
        Digest of the study and its pins.
    answer : str
        Digest of what is logged of the answer.
    children : int
        Configurations that have a run of their own.
    files : sequence of str
        Names of the files that are attached.
    """

    study: str
    identity: str
    answer: str
    children: int
    files: Sequence[str]


def logged_run(location: LakeLocation, wanted: LoggedAnswer) -> str:
    """Return the identifier of the run that holds an answer already; "" if there is none, or it is not known.

    Known it is of a file of SQLite whose runs keep their artifacts on this machine.
    """
    file = _file_of(tracking_uri(location), "sqlite")
    if file is None or not file.is_file():
        return ""
    values = {name: getattr(wanted, name) for name in ("study", "identity", "answer", "children")}
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as opened:
            found = opened.execute(_QUERY, values).fetchall()
    except sqlite3.Error:  # damaged, locked, or of a version that keeps its runs elsewhere: MLflow says so
        return ""
    for run_id, artifacts in found:
        folder = _file_of(artifacts, "file")
        if folder is not None and all((folder / name).is_file() for name in wanted.files):
            return str(run_id)
    return ""


def _file_of(uri: str, scheme: str) -> Path | None:
    """Return the path that a URI of a scheme names on this machine; None for others."""
    parts = urlsplit(uri)
    if parts.scheme != scheme or parts.netloc or parts.query:
        return None
    if scheme == "sqlite":  # three slashes, then a path that may begin with a fourth
        return Path(parts.path[1:])
    return Path(url2pathname(parts.path))
