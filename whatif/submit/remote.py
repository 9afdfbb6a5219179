"""The far side: a job whose study, and whose folder of results, are on S3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from whatif.errors import StrategyError, StudyError
from whatif.paths import bounded_text, inside
from whatif.strategies import MAX_HELPERS
from whatif.study import load_study
from whatif.submit.bundle import HELPERS_FILE, named_file
from whatif.submit.clients import client
from whatif.submit.store import Store, is_s3

MAX_LIST_BYTES = 1_000_000
"""Longest list of helper modules."""


@contextmanager
def study_here(address: str) -> Iterator[Path]:
    """Give a study as a file of this machine, its strategy file beside it.

    Parameters
    ----------
    address : str
        Path, or S3 address; what is on S3 is fetched into a folder that is gone afterwards.

    Raises
    ------
    StudyError, StrategyError
        If the study, or the strategy file that it names, is not there, or has a path that would leave
        the folder.
    """
    if not is_s3(address):
        yield Path(address)
        return
    store = _store()
    parent, _, name = address.rpartition("/")
    with TemporaryDirectory(prefix="whatif-study-") as folder:
        path = inside(Path(folder), name or "study.yaml", "study", StudyError)
        if not name or not store.fetch(address, path):
            raise StudyError(f"study {address} does not exist: give the address of a YAML file")
        strategy = named_file(load_study(path))
        if strategy is not None:
            target = inside(Path(folder), strategy, "strategy file", StrategyError)
            if target == path:
                raise StrategyError(f"strategy file {strategy} is the study itself: name a Python file")
            if not store.fetch(f"{parent}/{strategy}", target):
                raise StrategyError(
                    f"strategy file {strategy} is not in the upload: there is no {parent}/{strategy}; put it "
                    "beside the study, name it relative to that, and submit again"
                )
            _fetch_helpers(store, parent, Path(folder), {path, target})
        yield path


def _fetch_helpers(store: Store, parent: str, folder: Path, taken: set[Path]) -> None:
    """Fetch the helper modules of a strategy file that an upload lists.

    Raises
    ------
    StrategyError
        If the list is none, or one of them is not there or would leave the folder.
    """
    listed = inside(folder, HELPERS_FILE, "list of helper modules", StrategyError)
    if listed in taken or not store.fetch(f"{parent}/{HELPERS_FILE}", listed):
        return
    try:
        names = json.loads(bounded_text(listed, "list of helper modules", MAX_LIST_BYTES, StrategyError))
    except ValueError as error:
        raise StrategyError(f"{parent}/{HELPERS_FILE} is no list of JSON: submit again") from error
    if not isinstance(names, list) or len(names) > MAX_HELPERS:
        raise StrategyError(
            f"{parent}/{HELPERS_FILE} is no list of at most {MAX_HELPERS} paths: submit again"
        )
    for name in names:
        target = inside(folder, str(name), "helper module", StrategyError)
        if target.suffix != ".py" or target in taken:
            raise StrategyError(
                f"helper module {str(name)!r} is no Python file beside the strategy: submit again"
            )
        if not store.fetch(f"{parent}/{name}", target):
            raise StrategyError(f"helper module {name} is not in the upload: submit again")


@contextmanager
def output_here(address: str | None) -> Iterator[Path | None]:
    """Give a folder to write to; what is in it afterwards is uploaded if it was asked for on S3."""
    if address is None or not is_s3(address):
        yield None if address is None else Path(address)
        return
    with TemporaryDirectory(prefix="whatif-report-") as folder:
        yield Path(folder)
        _store().put_folder(Path(folder), address)


def _store() -> Store:
    return Store(lambda: client("s3"))
